//! Calls as libraries make them, and what becomes of them. What real libraries send is among the fixtures.

use super::*;
use crate::http::HttpRequest;
use crate::queue::EventMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_domain::event::{Happened, Ids, Who};
use sluice_domain::id::EventId;
use sluice_domain::time::Timestamp;
use std::collections::BTreeSet;
use std::io::Write;

const NOW: &str = "2026-03-02T09:00:00Z";

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

fn post(path: &str, body: impl Into<bytes::Bytes>) -> HttpRequest {
    HttpRequest { method: "POST".into(), path: path.into(), body: body.into(), ..HttpRequest::default() }
}

fn call(path: &str, body: &Value) -> Call {
    read(Route::of(path).unwrap(), &post(path, body.to_string())).unwrap()
}

fn taken(path: &str, body: &Value) -> Taken {
    call(path, body).events("web", now(), || [7; 10])
}

fn one(path: &str, body: &Value) -> Happened {
    let mut taken = taken(path, body);
    assert_eq!((taken.happened.len(), taken.dropped.len()), (1, 0), "{body}: {:?}", taken.dropped);
    taken.happened.remove(0)
}

fn why(path: &str, body: &Value) -> Why {
    let taken = taken(path, body);
    assert_eq!((taken.happened.len(), taken.dropped.len()), (0, 1), "{body}");
    taken.dropped[0].why
}

fn ids(happened: &Happened) -> (Option<&str>, Option<&str>, Option<&str>) {
    let Who::Ids(ids) = &happened.who else { panic!("no ids") };
    let text = |id: &'_ Option<sluice_domain::pii::Pii<String>>| {
        id.as_ref().map(|id| id.reveal().as_str().to_owned())
    };
    let leak = |id: Option<String>| id.map(|id| &*Box::leak(id.into_boxed_str()));
    (leak(text(&ids.user)), leak(text(&ids.anonymous)), leak(text(&ids.previous)))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_path_of_the_libraries_is_known_and_no_other() {
    for (path, route) in [
        ("/v1/track", Route::One(EventKind::Track)),
        ("/v1/t", Route::One(EventKind::Track)),
        ("/v1/identify", Route::One(EventKind::Identify)),
        ("/v1/i", Route::One(EventKind::Identify)),
        ("/v1/page", Route::One(EventKind::Page)),
        ("/v1/p", Route::One(EventKind::Page)),
        ("/v1/screen", Route::One(EventKind::Screen)),
        ("/v1/s", Route::One(EventKind::Screen)),
        ("/v1/group", Route::One(EventKind::Group)),
        ("/v1/g", Route::One(EventKind::Group)),
        ("/v1/alias", Route::One(EventKind::Alias)),
        ("/v1/a", Route::One(EventKind::Alias)),
        ("/v1/batch", Route::Batch),
        ("/v1/b", Route::Batch),
        ("/beacon/v1/batch", Route::Batch),
        ("/batch/", Route::Posthog),
        ("/batch", Route::Posthog),
        ("/capture/", Route::Posthog),
        ("/e/", Route::Posthog),
        ("/i/v0/e/", Route::Posthog),
        ("/decide/", Route::Flags),
        ("/flags", Route::Flags),
    ] {
        assert_eq!(Route::of(path), Some(route), "{path}");
    }
    for path in ["/v1/", "/v1/own", "/v1/track/x", "/v1/Track", "/batch/x", "/beacon/v1/track", "/e", "/"] {
        assert_eq!(Route::of(path).is_some(), path == "/e", "{path}");
    }
}

#[test]
fn a_time_is_as_long_before_it_was_received_as_before_it_was_sent() {
    for (timestamp, sent_at, at) in [
        // A clock that is an hour late, or a day early, tells the same.
        (Some("2026-03-02T07:59:50Z"), Some("2026-03-02T08:00:00Z"), "2026-03-02T08:59:50Z"),
        (Some("2026-03-03T08:59:50+00:00"), Some("2026-03-03T09:00:00Z"), "2026-03-02T08:59:50Z"),
        (Some("2012-12-02T00:30:08.276Z"), None, "2012-12-02T00:30:08.276Z"),
        // Never later than received.
        (Some("2026-03-02T08:00:10Z"), Some("2026-03-02T08:00:00Z"), NOW),
        (Some("2126-03-02T08:00:10Z"), None, NOW),
        (None, Some("2026-03-02T08:00:00Z"), NOW),
        (None, None, NOW),
        // Impossible ones are none.
        (Some("2026-02-31T25:00:00Z"), Some("2026-03-02T08:00:00Z"), NOW),
        (Some("-000044-03-15T00:00:00Z"), None, "1970-01-01T00:00:00Z"),
    ] {
        let body = json!({"userId": "u1", "event": "x", "timestamp": timestamp, "sentAt": sent_at});
        let event = one("/v1/track", &body).event;
        assert_eq!(event.at, Timestamp::parse(at).unwrap(), "{timestamp:?} {sent_at:?}");
        assert_eq!(event.received, now());
    }
    let of =
        |time: Value| one("/v1/track", &json!({"userId": "u1", "event": "x", "timestamp": time})).event.at;
    assert_eq!(of(json!(1_700_000_000)), Timestamp(1_700_000_000_000));
    assert_eq!(of(json!(1_700_000_000_123i64)), Timestamp(1_700_000_000_123));
}

#[test]
fn calls_become_events_of_their_kind() {
    let event = one(
        "/v1/identify",
        &json!({
            "userId": 42, "anonymousId": "a1", "messageId": "m1",
            "traits": {"email": "ada@person.example"},
            "context": {"traits": {"email": "old@person.example", "plan": "pro"}, "ip": "192.0.2.1", "locale": "de-DE"},
        }),
    );
    assert_eq!(ids(&event), (Some("42"), Some("a1"), None));
    assert_eq!(event.event.id, EventId::derived(&["web", "m1"]));
    assert_eq!(json!(event.event.traits), json!({"email": "ada@person.example", "plan": "pro"}));
    assert_eq!(json!(event.event.context), json!({"locale": "de-DE"}), "no addresses, and no traits twice");

    let page = one(
        "/v1/page",
        &json!({"anonymousId": "a1", "name": "Pricing", "category": "Docs", "properties": {"path": "/p"}}),
    );
    assert_eq!((page.event.key().as_str(), page.event.name.as_str()), ("page_viewed", "Pricing"));
    assert_eq!(json!(page.event.properties), json!({"path": "/p", "category": "Docs"}));

    let group = one("/v1/g", &json!({"userId": "u1", "groupId": "acct-7", "traits": {"name": "Acme"}}));
    assert_eq!(json!(group.event.properties), json!({"groupId": "acct-7"}));
    assert_eq!(json!(group.event.traits), json!({"name": "Acme"}));

    let alias = one("/v1/alias", &json!({"userId": "u1", "previousId": "a1"}));
    assert_eq!(ids(&alias), (Some("u1"), None, Some("a1")));
}

#[test]
fn what_is_nobodys_or_lacks_its_name_is_left_out_and_said_so() {
    for (path, body, expected) in [
        ("/v1/track", json!({"event": "x"}), Why::NoId),
        ("/v1/track", json!({"event": "x", "userId": null, "anonymousId": ""}), Why::NoId),
        ("/v1/track", json!({"event": "x", "userId": "undefined"}), Why::NoId),
        ("/v1/track", json!({"event": "x", "userId": {"id": 1}}), Why::NoId),
        ("/v1/track", json!({"userId": "u1"}), Why::NoName),
        ("/v1/track", json!({"userId": "u1", "event": "  "}), Why::NoName),
        ("/v1/group", json!({"userId": "u1"}), Why::NoGroup),
        ("/v1/alias", json!({"userId": "u1"}), Why::NoPrevious),
        ("/v1/batch", json!({"batch": [{"userId": "u1"}]}), Why::Kind),
        ("/v1/batch", json!({"batch": [{"type": "own", "userId": "u1"}]}), Why::Kind),
        ("/v1/batch", json!({"batch": [7]}), Why::NotAnEvent),
        (
            "/v1/batch",
            json!({"batch": [{"type": "track", "event": "x", "userId": "u", "properties": {"x": "a".repeat(33_000)}}]}),
            Why::TooLarge,
        ),
        ("/batch/", json!({"batch": [{"event": "$snapshot", "distinct_id": "u1"}]}), Why::Machinery),
        ("/batch/", json!({"batch": [{"event": "x"}]}), Why::NoId),
    ] {
        let call = call(path, &body);
        let taken = call.events("web", now(), || [7; 10]);
        assert_eq!(why(path, &body), expected, "{body}");
        let answer = answer(&call, &taken);
        match call.is_single() {
            true => assert_eq!(answer.unwrap_err().status, 400),
            false => {
                let answer: Value = serde_json::from_slice(&answer.unwrap().body).unwrap();
                assert_eq!(answer["dropped"][0]["reason"], expected.name());
            }
        }
    }
}

#[test]
fn one_bad_event_harms_no_other() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let body = format!(
        r#"{{"batch": [
            {{"type":"track","userId":"u1","event":"a","messageId":"1","properties":{{"x":NaN,"y":-Infinity,"z":"NaN"}}}},
            {{"type":"track","userId":"u1","event":"deep","messageId":"2","properties":{{"x":{deep}}}}},
            {{"type":"track","userId":"u1","event":"half \ud83d","messageId":"3"}},
            {{"type":"teleport","userId":"u1"}},
            {{"type":"track","userId":"u1","event":"again","messageId":"1"}}
        ]}}"#
    );
    let call = read(Route::Batch, &post("/v1/batch", body)).unwrap();
    let taken = call.events("web", now(), || [7; 10]);
    let names: Vec<&str> = taken.happened.iter().map(|it| it.event.name.as_str()).collect();
    assert_eq!(names, ["a", "half \u{fffd}"], "and the first of two with one id");
    assert_eq!(json!(taken.happened[0].event.properties), json!({"x": null, "y": null, "z": "NaN"}));
    let dropped: Vec<(usize, Why)> = taken.dropped.iter().map(|it| (it.index, it.why)).collect();
    assert_eq!(dropped, [(1, Why::NotAnEvent), (3, Why::Kind)]);
}

#[test]
fn a_batch_says_some_things_of_all_its_events() {
    let body = json!({
        "batch": [
            {"type": "track", "userId": "u1", "event": "a", "messageId": "1", "timestamp": "2026-03-02T07:59:50Z"},
            {"type": "track", "userId": "u1", "event": "b", "messageId": "2", "context": {"device": {"type": "tv"}}},
        ],
        "context": {"device": {"type": "phone"}, "locale": "de"}, "sentAt": "2026-03-02T08:00:00Z",
    });
    let taken = taken("/v1/batch", &body);
    let contexts: Vec<Value> = taken.happened.iter().map(|it| json!(it.event.context)).collect();
    assert_eq!(contexts[0], json!({"device": {"type": "phone"}, "locale": "de"}));
    assert_eq!(contexts[1], json!({"device": {"type": "tv"}, "locale": "de"}));
    assert_eq!(taken.happened[0].event.at, now().plus_millis(-10_000));
}

#[test]
fn an_event_without_an_id_is_known_again_by_its_time_and_else_is_new() {
    let timed = json!({"userId": "u1", "event": "x", "timestamp": "2026-03-02T07:59:50Z"});
    assert_eq!(one("/v1/track", &timed).event.id, one("/v1/track", &timed).event.id);
    let untimed = call("/v1/track", &json!({"userId": "u1", "event": "x"}));
    let id = |random| untimed.events("web", now(), || [random; 10]).happened[0].event.id.clone();
    assert_ne!(id(1), id(2));
    let of = |source| {
        call("/v1/track", &json!({"userId": "u1", "event": "x", "messageId": "m"}))
            .events(source, now(), || [0; 10])
            .happened[0]
            .event
            .id
            .clone()
    };
    assert_ne!(of("web"), of("app"), "two sources may give one id to two things");
}

#[test]
fn the_key_is_found_wherever_the_libraries_put_it() {
    let basic =
        |user: &str| ("authorization".to_owned(), format!("Basic {}", STANDARD.encode(format!("{user}:"))));
    let key = |request: &HttpRequest| {
        let call = read(Route::of(&request.path).unwrap(), request).unwrap();
        call.key.map(|key| key.reveal().clone())
    };
    let track = json!({"userId": "u", "event": "x", "writeKey": "in-body"}).to_string();
    let mut request = post("/v1/track", track);
    assert_eq!(key(&request).as_deref(), Some("in-body"));
    request.headers.push(basic("in-header"));
    assert_eq!(key(&request).as_deref(), Some("in-header"));
    let batch = json!({"batch": [], "writeKey": "in-batch"}).to_string();
    assert_eq!(key(&post("/v1/batch", batch)).as_deref(), Some("in-batch"));
    let beacon =
        HttpRequest { query: "writeKey=in-query".into(), ..post("/beacon/v1/batch", r#"{"batch":[]}"#) };
    assert_eq!(key(&beacon).as_deref(), Some("in-query"));
    for body in [
        json!({"api_key": "phc", "batch": []}),
        json!({"token": "phc", "event": "x"}),
        json!({"event": "x", "properties": {"token": "phc"}}),
        json!([{"event": "x", "properties": {"token": "phc"}}]),
    ] {
        assert_eq!(key(&post("/e/", body.to_string())).as_deref(), Some("phc"), "{body}");
    }
    assert_eq!(key(&post("/v1/track", "{}")), None);
}

#[test]
fn what_is_no_call_as_a_whole_is_refused() {
    let status =
        |path: &str, body: Vec<u8>| read(Route::of(path).unwrap(), &post(path, body)).unwrap_err().status;
    assert_eq!(status("/v1/track", br#"{"userId":"u","event":"x",}"#.to_vec()), 400);
    assert_eq!(status("/v1/track", Vec::new()), 400);
    assert_eq!(status("/v1/batch", br#"{"userId":"u"}"#.to_vec()), 400);
    assert_eq!(status("/v1/batch", br#"[]"#.to_vec()), 400);
    assert_eq!(status("/v1/track", format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_EVENT)).into_bytes()), 413);
    assert_eq!(
        status("/v1/batch", format!(r#"{{"batch":["{}"]}}"#, "a".repeat(MAX_BATCH)).into_bytes()),
        413
    );
    assert_eq!(status("/v1/batch", json!({"batch": vec![1; MAX_EVENTS + 1]}).to_string().into_bytes()), 400);
    assert_eq!(status("/batch/", json!({"batch": vec![1; MAX_EVENTS + 1]}).to_string().into_bytes()), 413);
    assert_eq!(status("/batch/", vec![b' '; 1024 * 1024 + 1]), 413);
    assert_eq!(status("/batch/", gzip(&" ".repeat(1024 * 1024 + 1))), 413);
    assert_eq!(status("/e/", b"data=%%%".to_vec()), 400);
    assert!(
        read(Route::Batch, &post("/v1/batch", json!({"batch": vec![1; MAX_EVENTS]}).to_string())).is_ok()
    );
}

#[test]
fn gzip_and_the_forms_of_pages_are_undone() {
    let body = json!({"event": "x", "distinct_id": "u1", "uuid": "1", "api_key": "phc"}).to_string();
    let base64 = STANDARD.encode(&body);
    let form =
        |data: &str| form_urlencoded::Serializer::new(String::new()).append_pair("data", data).finish();
    for (name, bytes) in [
        ("plain", body.clone().into_bytes()),
        ("gzip without a header", gzip(&body)),
        ("base 64", base64.clone().into_bytes()),
        ("a form with JSON", form(&body).into_bytes()),
        ("a form with base 64", form(&base64).into_bytes()),
        ("the same, not escaped", format!("data={base64}").into_bytes()),
        ("a form with gzip in base 64", form(&STANDARD.encode(gzip(&body))).into_bytes()),
    ] {
        let call =
            read(Route::Posthog, &post("/e/", bytes)).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        assert_eq!(call.events("web", now(), || [0; 10]).happened.len(), 1, "{name}");
    }
    let mut request = post("/v1/batch", gzip(r#"{"batch":[{"type":"track","event":"x","userId":"u1"}]}"#));
    request.headers = vec![
        ("content-encoding".into(), "gzip".into()),
        // As RudderStack's library for Node declares it.
        ("content-type".into(), "application/x-www-form-urlencoded".into()),
    ];
    assert_eq!(read(Route::Batch, &request).unwrap().events("web", now(), || [0; 10]).happened.len(), 1);
}

#[test]
fn gzip_that_was_passed_on_as_text_is_refused_with_what_to_set() {
    let garbled = String::from_utf8_lossy(&gzip("{}")).into_owned();
    let problem = read(Route::Posthog, &post("/e/", garbled)).unwrap_err();
    assert_eq!((problem.status, problem.name), (400, GARBLED));
    assert!(problem.detail.contains("disable_compression: true"));
    assert_eq!(content()["supportedCompression"], json!(["base64"]));
}

#[test]
fn a_batchs_context_is_part_of_each_event_and_counts_as_that() {
    let batch = |context: usize, event: usize| {
        let batch = [
            json!({"type": "track", "userId": "u1", "event": "x", "messageId": "1", "properties": {"a": "x".repeat(event)}}),
        ];
        post("/v1/batch", json!({"batch": batch, "context": {"locale": "x".repeat(context)}}).to_string())
    };
    let taken = |context, event| {
        let taken = read(Route::Batch, &batch(context, event)).unwrap().events("web", now(), || [0; 10]);
        (taken.happened.len(), taken.dropped.first().map(|dropped| dropped.why.name()))
    };
    assert_eq!(taken(20 * 1024, 10 * 1024), (1, None));
    assert_eq!(taken(20 * 1024, 20 * 1024), (0, Some(Why::TooLarge.name())));
    let problem = read(Route::Batch, &batch(MAX_EVENT, 1)).unwrap_err();
    assert_eq!((problem.status, problem.name), (400, "context-too-large"));
}

#[test]
fn posthogs_names_and_ids_become_ours() {
    let of = |event: Value| one("/batch/", &json!({"batch": [event]}));
    let track = of(json!({
        "event": "Plan Chosen", "distinct_id": "u1", "uuid": "1",
        "properties": {"plan": "pro", "$lib": "posthog-python", "$current_url": "https://shop.example/p", "$set": {"tier": 2}},
    }));
    assert_eq!((track.event.kind, track.event.key().as_str()), (EventKind::Track, "plan_chosen"));
    assert_eq!(ids(&track), (Some("u1"), None, None));
    assert_eq!(track.event.id, EventId::derived(&["web", "1"]));
    assert_eq!(json!(track.event.properties), json!({"plan": "pro"}));
    assert_eq!(json!(track.event.traits), json!({"tier": 2}));
    assert_eq!(json!(track.event.context), json!({"page": {"url": "https://shop.example/p"}}));

    let identify = of(json!({
        "event": "$identify", "distinct_id": "u1", "$set": {"email": "ada@person.example"},
        "properties": {"$anon_distinct_id": "a1", "$set_once": {"email": "first@person.example", "via": "ad"}},
    }));
    assert_eq!((identify.event.kind, ids(&identify)), (EventKind::Identify, (Some("u1"), Some("a1"), None)));
    assert_eq!(json!(identify.event.traits), json!({"email": "ada@person.example", "via": "ad"}));

    let page = of(json!({
        "event": "$pageview", "offset": 2000,
        "properties": {"distinct_id": "d1", "$device_id": "d1", "$pathname": "/p", "title": "Pricing"},
    }));
    assert_eq!(
        (page.event.kind, page.event.name.as_str(), ids(&page)),
        (EventKind::Page, "Pricing", (None, Some("d1"), None))
    );
    assert_eq!(page.event.at, now().plus_millis(-2000));

    let known = of(
        json!({"event": "x", "properties": {"distinct_id": "u1", "$device_id": "d1", "$is_identified": true}}),
    );
    assert_eq!(ids(&known), (Some("u1"), Some("d1"), None));
    let unknown =
        of(json!({"event": "x", "distinct_id": "r1", "properties": {"$process_person_profile": false}}));
    assert_eq!(ids(&unknown), (None, Some("r1"), None));

    let browser = "0192f3a4-1b2c-7d3e-8f4a-5b6c7d8e9f0a";
    for (lib, distinct, alias) in [
        ("posthog-python", "a1", "u1"),
        ("posthog-node", "u1", "a1"),
        ("web", browser, "u1"),
        ("posthog-python", "u1", browser),
    ] {
        let alias = of(
            json!({"event": "$create_alias", "distinct_id": distinct, "properties": {"alias": alias, "$lib": lib}}),
        );
        let older =
            if [distinct].contains(&browser) || ids(&alias).2 == Some(browser) { browser } else { "a1" };
        assert_eq!(
            (alias.event.kind, ids(&alias)),
            (EventKind::Alias, (Some("u1"), None, Some(older))),
            "{lib}"
        );
    }
    let group = json!({"event": "$groupidentify", "distinct_id": "$company_7", "properties": {"$group_type": "company", "$group_key": "7"}});
    assert_eq!(why("/batch/", &json!({"batch": [group]})), Why::NoId);
    let group = of(
        json!({"event": "$groupidentify", "distinct_id": "u1", "properties": {"$group_type": "company", "$group_key": "7", "$group_set": {"name": "Acme"}}}),
    );
    assert_eq!(
        (json!(group.event.traits), json!(group.event.properties)),
        (json!({"name": "Acme"}), json!({"groupId": "7"}))
    );
}

#[test]
fn answers_are_those_that_the_libraries_take_for_success() {
    let body = |path: &str, body: &Value| {
        let call = call(path, body);
        let taken = call.events("web", now(), || [0; 10]);
        let answer = answer(&call, &taken).unwrap();
        assert_eq!(answer.status, 200);
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    assert_eq!(body("/v1/track", &json!({"event": "x", "userId": "u1"})), json!({"success": true}));
    assert_eq!(body("/v1/batch", &json!({"batch": []})), json!({"success": true}));
    assert_eq!(body("/batch/", &json!({"batch": []})), json!({"status": 1}));
    assert_eq!(body("/flags/", &json!({"token": "phc", "distinct_id": "u1"})), content());
}

fn happened(
    user: Option<&str>,
    anonymous: Option<&str>,
    previous: Option<&str>,
    id: usize,
    at: i64,
    size: usize,
) -> Happened {
    let mut event = one("/v1/track", &json!({"userId": "x1", "event": "x", "messageId": id.to_string()}));
    let id = |id: Option<&str>| id.map(|id| id.to_owned().into());
    event.who = Who::Ids(Ids { user: id(user), anonymous: id(anonymous), previous: id(previous) });
    event.event.at = Timestamp(at);
    event.event.name = "n".repeat(size);
    event
}

fn read_bundle(bundle: &Bundle) -> Vec<Happened> {
    let EventMessage::Events(events) = serde_json::from_str(&bundle.body).unwrap() else { panic!("events") };
    assert_eq!(bundle.events, events.len());
    assert_eq!(crate::queue::encode(&EventMessage::Events(events.clone())), bundle.body);
    events
}

#[test]
fn ids_link_events_also_by_way_of_others() {
    let bundles = bundle(vec![
        happened(Some("u1"), None, None, 1, 30, 1),
        happened(None, Some("a2"), None, 2, 20, 1),
        happened(Some("u9"), None, None, 3, 10, 1),
        happened(Some("u2"), None, Some("a2"), 4, 10, 1),
        happened(Some("u1"), Some("a1"), None, 5, 10, 1),
        happened(Some("u2"), Some("a1"), None, 6, 40, 1),
        // An id of a user and one of a browser may be the same text and are two.
        happened(None, Some("u9"), None, 7, 10, 1),
    ]);
    let times: Vec<Vec<i64>> =
        bundles.iter().map(|it| read_bundle(it).iter().map(|it| it.event.at.millis()).collect()).collect();
    assert_eq!(times, [vec![10, 10, 20, 30, 40], vec![10], vec![10]]);
}

#[test]
fn of_one_instant_comes_first_who_somebody_is() {
    for id in 0..8 {
        let did = happened(Some("u1"), None, None, id, 10, 1);
        let mut said = happened(Some("u1"), None, None, 100 + id, 10, 1);
        said.event.kind = EventKind::Identify;
        let bundles = bundle(vec![did.clone(), said.clone()]);
        assert_eq!(read_bundle(&bundles[0]), [said, did]);
    }
}

#[test]
fn characters_that_no_queue_takes_are_written_as_escapes() {
    let mut event = happened(Some("u1"), None, None, 1, 1, 1);
    event.event.name = "a\u{ffff}b\u{fffe}".to_owned();
    let bundles = bundle(vec![event.clone()]);
    assert!(bundles[0].body.chars().all(|c| !matches!(c, '\u{fffe}' | '\u{ffff}')));
    assert_eq!(read_bundle(&bundles[0]), [event]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn bundles_hold_every_event_once_in_order_and_no_more_than_a_queue_takes(
        events in prop::collection::vec((0..6u8, 0..6u8, 0..5i64, 1..2500usize), 0..260)
    ) {
        let all: Vec<Happened> = events
            .iter()
            .enumerate()
            .map(|(id, (user, anonymous, at, size))| {
                let name = |kind: &str, n: u8| (n > 0).then(|| format!("{kind}{n}"));
                let (user, anonymous) = (name("u", *user).or(Some("u0".to_owned())), name("a", *anonymous));
                happened(user.as_deref(), anonymous.as_deref(), None, id, *at, *size)
            })
            .collect();
        let count = all.len();
        let mut seen = BTreeSet::new();
        for bundle in bundle(all) {
            prop_assert!(bundle.events <= MAX_BUNDLE_EVENTS && bundle.body.len() <= MAX_BUNDLE_BYTES);
            let events = read_bundle(&bundle);
            prop_assert!(events.windows(2).all(|pair| pair[0].event.turn() < pair[1].event.turn()));
            seen.extend(events.into_iter().map(|it| it.event.id));
        }
        prop_assert_eq!(seen.len(), count);
    }

    #[test]
    fn no_body_makes_it_panic(body in "\\PC{0,80}", json in "[\\[\\]{}\",:a-z0-9$ ]{0,60}", which in 0..8usize) {
        let path = ["/v1/track", "/v1/batch", "/v1/alias", "/batch/", "/e/", "/flags/", "/v1/group", "/v1/identify"][which];
        for body in [body, json] {
            if let Ok(call) = read(Route::of(path).unwrap(), &post(path, body)) {
                let taken = call.events("web", now(), || [0; 10]);
                let _ = answer(&call, &taken);
            }
        }
    }
}
