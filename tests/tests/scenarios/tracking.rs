//! Calls of tracking libraries, byte by byte: over TCP, and inside the events in which API Gateway hands them to Lambda.

use crate::folder::{Folder, folders, strings, text};
use crate::senders::event;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_domain::event::Entry;
use sluice_domain::id::EventId;
use sluice_domain::time::Timestamp;
use sluice_tests::stack::{POLICIES, POLICIES_SEEN, Running, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A source for each family of libraries.
pub(crate) const SOURCES: &str = "
---
kind: source
name: page
type: segment
secrets: { write_key: [env:OLD, 'secret:write'] }
origins: ['https://shop.example']
---
kind: source
name: hog
type: posthog
secrets: { api_key: ['secret:api'] }
origins: ['https://shop.example']
";

/// Starts a stack that knows these keys.
pub(crate) async fn start(write_key: &str, api_key: &str) -> Running {
    let run = Setup { policies: None, ..Setup::default() }.var("OLD", "the-old-key").start().await;
    let keys = [("write", write_key), ("api", api_key)];
    for (name, key) in keys {
        run.stack.secrets.put(&format!("sluice/sources/{name}"), key.to_owned()).unwrap();
    }
    run.apply(&format!("{POLICIES}{SOURCES}")).await;
    run
}

/// Every entry of every timeline, by the id of its event.
pub(crate) fn entries(run: &Running) -> BTreeMap<EventId, Entry> {
    let entry = |((pk, sk), item): ((String, String), Value)| {
        let id = EventId::parse(sk.strip_prefix("e#")?).filter(|_| pk.starts_with("cu_"))?;
        Some((id, serde_json::from_str(item["d"]["S"].as_str()?).expect("an entry")))
    };
    run.table().into_iter().filter_map(entry).collect()
}

/// How the bytes get to the function.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Tcp,
    Event,
}

struct Answer {
    status: u64,
    allows: Option<String>,
    body: Value,
}

async fn deliver(run: &Running, way: Way, bytes: &[u8], at: usize) -> Answer {
    // One library was told of a host with a path: that is a stage of the API's.
    let staged = bytes.starts_with(b"POST /collect/");
    if way == Way::Tcp && !staged {
        let answer = run.raw(bytes).await;
        let allows = answer.header("access-control-allow-origin").map(str::to_owned);
        return Answer { status: answer.status.into(), allows, body: answer.json() };
    }
    let mut event = event(bytes, at.is_multiple_of(2));
    if staged {
        event["requestContext"]["stage"] = "collect".into();
    }
    let answer = run.invoke("track-event", &event).await.expect("an HTTP answer");
    Answer {
        status: answer["statusCode"].as_u64().unwrap_or_default(),
        allows: answer["headers"]["access-control-allow-origin"].as_str().map(str::to_owned),
        body: serde_json::from_str(&text(&answer["body"])).unwrap_or_default(),
    }
}

/// What a case has to be answered. The collection says in words what Segment does with what is not good.
fn status(case: &Value) -> u64 {
    match text(&case["id"]).as_str() {
        "04-no-ids" | "05-track-without-event" | "08-batch-2501" => 400,
        "07-wrong-write-key" => 401,
        _ => case["facts"]["http"].as_u64().unwrap_or(200),
    }
}

/// The ids of a case's events as their library has them; the collection gives only their number for some.
fn message_ids(case: &Value) -> Result<Vec<String>, usize> {
    let facts = &case["facts"];
    match (facts["message_ids"].is_array(), facts["unique_by_messageId"].as_u64()) {
        (true, _) => Ok(strings(&facts["message_ids"])),
        (false, Some(unique)) => Err(unique.try_into().unwrap()),
        (false, None) => Err(usize::from(status(case) == 200)),
    }
}

async fn folder_holds(name: &str) {
    for folder in folders(name) {
        for way in [Way::Tcp, Way::Event] {
            cases_hold(&folder, name, way).await;
        }
    }
}

async fn cases_hold(folder: &Folder, name: &str, way: Way) {
    let keys =
        folder.cases.iter().flat_map(|case| [text(&case["write_key"]), text(&case["facts"]["write_key"])]);
    let known = keys.into_iter().find(|key| !key.is_empty());
    let key = known.unwrap_or_else(|| {
        if name == "posthog" { "phc_public_demo_1" } else { "wk_public_demo_1" }.to_owned()
    });
    let run = start(&key, &key).await;
    let source = if name == "posthog" { "hog" } else { "page" };
    let mut there = BTreeSet::new();
    for (at, case) in folder.cases.iter().enumerate() {
        let id = text(&case["id"]);
        let before = run.table();
        let answer = deliver(&run, way, &folder.bytes(case), at).await;
        assert_eq!(answer.status, status(case), "{id}: {}", answer.body);
        run.settle().await;
        let all = entries(&run);
        let new: Vec<&Entry> =
            all.iter().filter(|(id, _)| !there.contains(*id)).map(|(_, entry)| entry).collect();
        match message_ids(case) {
            Ok(ids) => {
                let of = |id: &String| EventId::derived(&[source, id]);
                assert!(ids.iter().all(|id| all.contains_key(&of(id))), "{id}: {:?}", all.keys());
                let wanted = ids.iter().filter(|id| !there.contains(&of(id))).count();
                assert_eq!(new.len(), wanted, "{id}");
                for (n, key) in strings(&case["facts"]["events"]).iter().enumerate() {
                    assert_eq!(all[&of(&ids[n])].event.key(), *key, "{id}");
                }
            }
            Err(wanted) => assert_eq!(new.len(), wanted, "{id}"),
        }
        if new.is_empty() {
            assert_eq!(run.table(), before, "{id} left something in the table");
        }
        for entry in new {
            assert!(entry.event.at <= entry.event.received, "{id}");
        }
        for (message_id, time) in case["facts"]["at"].as_object().into_iter().flatten() {
            // As long before it was received as before it was sent: half a minute.
            let event = &all[&EventId::derived(&[source, message_id])].event;
            let time = Timestamp::parse(&text(time)).unwrap();
            let sent = Timestamp::parse("2026-03-02T08:59:00Z").unwrap();
            assert_eq!(event.received.since(event.at), sent.since(time.plus_millis(-60_000)), "{id}");
        }
        if let Some(origin) = case["facts"]["allows"].as_str() {
            assert_eq!(answer.allows.as_deref(), Some(origin), "{id}");
        } else {
            assert_eq!(answer.allows, None, "{id}");
        }
        let dropped: Vec<&Value> =
            answer.body["dropped"].as_array().into_iter().flatten().map(|it| &it["index"]).collect();
        assert_eq!(
            json!(dropped),
            case["facts"]["dropped"].as_array().map_or(json!([]), |it| json!(it)),
            "{id}"
        );
        if case["facts"]["flags"] == true {
            assert_eq!(
                (&answer.body["featureFlags"], &answer.body["flags"]),
                (&json!({}), &json!({})),
                "{id}"
            );
        }
        there = all.into_keys().collect();
    }
    run.finish().await;
}

#[tokio::test]
async fn calls_of_segments_api_become_events() {
    folder_holds("segment_http_api").await;
}

#[tokio::test]
async fn calls_of_segments_libraries_become_events() {
    folder_holds("segment_sdk").await;
}

#[tokio::test]
async fn calls_of_rudderstacks_libraries_become_events() {
    folder_holds("rudderstack").await;
}

#[tokio::test]
async fn calls_of_posthogs_libraries_become_events() {
    folder_holds("posthog").await;
}

fn basic(key: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{key}:")))
}

#[tokio::test]
async fn what_the_queue_does_not_take_is_to_be_repeated_and_the_repeat_is_absorbed() {
    let run = start("write", "api").await;
    let authorization = basic("write");
    let headers = [("authorization", authorization.as_str())];
    // Twelve people are twelve messages, in two calls, of which one is refused.
    let batch: Vec<Value> = (0..12)
        .map(|n| json!({"type": "track", "event": "Seen", "userId": format!("u-{n}"), "messageId": n}))
        .collect();
    let body = json!({"batch": batch}).to_string();
    run.refusals.pass_first("track-event", "AmazonSQS.", 1);
    run.refusals.refuse("track-event", "AmazonSQS.", usize::MAX, (500, "InternalError"));
    let answer = run.send("POST", "/v1/batch", &headers, body.as_bytes()).await;
    answer.is_problem(429, "queue-busy");
    assert_eq!(answer.header("retry-after"), Some("2"));
    // PostHog's library for pages repeats no 4xx.
    let hog = json!({"api_key": "api", "batch": [{"event": "Seen", "distinct_id": "d-1", "uuid": "1"}]});
    let answer = run.send("POST", "/batch/", &[], hog.to_string().as_bytes()).await;
    answer.is_problem(503, "queue-busy");
    assert_eq!(answer.header("retry-after"), Some("2"));
    run.settle().await;
    let some = entries(&run).len();
    assert!((1..12).contains(&some), "{some}");
    run.refusals.lift();
    for _ in 0..2 {
        let answer = run.send("POST", "/v1/batch", &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"success": true})));
        run.settle().await;
        assert_eq!(entries(&run).len(), 12);
    }
    assert!(run.table().keys().all(|(pk, _)| !pk.starts_with("due#")), "the queue is where events are");
    run.finish().await;
}

#[tokio::test]
async fn a_computer_that_many_people_use_brings_all_their_events() {
    let run = start("write", "api").await;
    let authorization = basic("write");
    let headers = [("authorization", authorization.as_str())];
    let batch: Vec<Value> = (0..60)
        .map(|n| {
            let traits = json!({"email": format!("p{n}@person.example"), "company": "Acme"});
            json!({"type": "identify", "anonymousId": "desk", "userId": format!("u-{n}"), "messageId": n, "traits": traits})
        })
        .collect();
    let body = json!({"batch": batch}).to_string();
    assert_eq!(run.send("POST", "/v1/batch", &headers, body.as_bytes()).await.status, 200);
    run.settle().await;
    let taken = entries(&run).into_values().filter(|entry| entry.event.source == "page").count();
    assert_eq!(taken, 60, "whatever they come to is taken in as many transactions as it needs");
    run.finish().await;
}

#[tokio::test]
async fn gzip_that_api_gateway_passed_on_as_text_is_refused_with_what_to_set_and_counted() {
    let run = start("write", "api").await;
    let bytes = b"POST /e/ HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n\r\n{}";
    let mut call = event(bytes, false);
    call["body"] = "\u{1f}\u{fffd}\u{8}\u{0}\u{0}".into();
    call["isBase64Encoded"] = false.into();
    let answer = run.invoke("track-event", &call).await.expect("an HTTP answer");
    let body: Value = serde_json::from_str(&text(&answer["body"])).unwrap();
    assert_eq!(
        (&answer["statusCode"], &body["type"]),
        (&json!(400), &json!("urn:sluice:problem:gzip-garbled"))
    );
    assert!(text(&body["detail"]).contains("disable_compression: true"));
    assert!(run.metrics.lines().iter().any(|line| line.contains("BodiesGarbled")));
    run.finish().await;
}

#[tokio::test]
async fn a_key_being_changed_has_two_values_and_is_its_own_librarys() {
    let run = start("write", "api").await;
    let body = |id: &str| json!({"event": "Seen", "userId": "u-1", "messageId": id}).to_string();
    for (n, (key, target, status)) in [
        ("write", "/v1/track", 200),
        ("the-old-key", "/v1/track", 200),
        ("other", "/v1/track", 401),
        ("api", "/v1/track", 401),
        ("write", "/batch/", 401),
        ("api", "/batch/", 200),
    ]
    .into_iter()
    .enumerate()
    {
        let authorization = basic(key);
        let event = json!({"event": "Seen", "distinct_id": "u-1", "uuid": n.to_string()});
        let body = match target {
            "/batch/" => json!({"api_key": key, "batch": [event]}).to_string(),
            _ => body(&n.to_string()),
        };
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let answer = run.send("POST", target, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{key} {target}: {}", answer.text());
    }
    run.send("POST", "/v1/track", &[], body("none").as_bytes()).await.is_problem(401, "key-missing");
    // A key in the headers is judged before the body, one in the body cannot be.
    for (key, status, name) in [("other", 401, "key-wrong"), ("write", 400, "malformed-body")] {
        let authorization = basic(key);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        run.send("POST", "/v1/track", &headers, b"{").await.is_problem(status, name);
    }
    run.send("POST", "/v1/track", &[], b"{").await.is_problem(400, "malformed-body");
    // Below /hooks there is no tracking library.
    run.send("POST", "/hooks/page", &[], b"{}").await.is_problem(404, "no-such-source");
    run.send("POST", "/v1/metrics", &[], b"{}").await.is_problem(404, "no-such-route");
    run.send("POST", "/batch/x", &[], b"{}").await.is_problem(404, "no-such-route");
    run.settle().await;
    assert_eq!(entries(&run).len(), 3);
    run.finish().await;
}

#[tokio::test]
async fn a_key_of_two_sources_makes_nobody_trusted() {
    let run = start("write", "api").await;
    let server = |key: &str| json!({"kind": "source", "name": "a-server", "type": "segment", "trusted": true, "secrets": {"write_key": [key]}});
    // The same reference is refused, also where the other document is published already.
    for reference in ["secret:write", "secret:api"] {
        let (status, problem) =
            run.api("PUT", "/api/policies/source/a-server", Some(server(reference))).await;
        assert_eq!((status, problem["type"].as_str().unwrap()), (422, "urn:sluice:problem:policy-invalid"));
        assert!(problem["detail"].as_str().unwrap().contains(reference), "{problem}");
    }
    // Two references may come to hold one value all the same: one that pages have.
    for (name, value) in [("hers", "write"), ("his", "api")] {
        run.stack.secrets.put(&format!("sluice/sources/{name}"), value.to_owned()).unwrap();
    }
    let mut policy = server("secret:hers");
    policy["secrets"]["write_key"] = json!(["secret:hers", "secret:his"]);
    let (status, _) = run.api("PUT", "/api/policies/source/a-server", Some(policy)).await;
    assert_eq!(status, 200);
    run.stack.advance(POLICIES_SEEN);
    for (key, status) in [("write", 200), ("api", 401)] {
        let authorization = basic(key);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = json!({"event": "Seen", "userId": "u-1", "messageId": key}).to_string();
        let answer = run.send("POST", "/v1/track", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{key}: {}", answer.text());
    }
    run.settle().await;
    let sources: Vec<String> = entries(&run).into_values().map(|entry| entry.event.source).collect();
    assert_eq!(sources, ["page"]);
    run.finish().await;
}

#[tokio::test]
async fn a_secret_that_is_to_be_deleted_is_none() {
    let run = start("write", "api").await;
    let gone = (400, "InvalidRequestException");
    run.refusals.refuse("track-event", "secretsmanager.GetSecretValue", usize::MAX, gone);
    for (key, status) in [("the-old-key", 200), ("write", 401)] {
        let authorization = basic(key);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = json!({"event": "Seen", "userId": "u-1", "messageId": key}).to_string();
        let answer = run.send("POST", "/v1/track", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{key}: {}", answer.text());
    }
    // It was restored: that is seen within a minute.
    run.refusals.lift();
    run.pass(Duration::from_secs(61)).await;
    let authorization = basic("write");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body = json!({"event": "Seen", "userId": "u-1", "messageId": "again"}).to_string();
    assert_eq!(run.send("POST", "/v1/track", &headers, body.as_bytes()).await.status, 200);
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_refuses_no_call_of_another_source() {
    let run = start("write", "api").await;
    let (call, denied) = ("secretsmanager.GetSecretValue", (400, "AccessDeniedException"));
    let track = async |key: &str, id: &str| {
        let authorization = basic(key);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = json!({"event": "Seen", "userId": "u-1", "messageId": id}).to_string();
        run.send("POST", "/v1/track", &headers, body.as_bytes()).await
    };
    let hog = async || {
        let body = json!({"api_key": "api", "batch": [{"event": "Seen", "distinct_id": "d-1", "uuid": "1"}]});
        run.send("POST", "/batch/", &[], body.to_string().as_bytes()).await
    };
    // Sources are asked in the order of their names: `hog`'s key is not read, and the one of `page` is.
    run.refusals.refuse("track-event", call, 1, denied);
    assert_eq!(track("write", "1").await.status, 200);
    // Nor is it from now on. Whose a key is that nobody else has cannot be told meanwhile.
    run.refusals.refuse("track-event", call, usize::MAX, denied);
    assert_eq!(track("the-old-key", "2").await.status, 200);
    for answer in [track("other", "3").await, hog().await] {
        answer.is_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    // Of two values of one source the other one is enough.
    run.pass(Duration::from_secs(61)).await;
    assert_eq!(track("the-old-key", "4").await.status, 200);
    track("write", "5").await.is_problem(503, "unavailable");
    run.refusals.lift();
    assert_eq!((track("write", "5").await.status, hog().await.status), (200, 200));
    track("other", "3").await.is_problem(401, "key-wrong");
    run.settle().await;
    assert_eq!(entries(&run).len(), 5);
    run.finish().await;
}

#[tokio::test]
async fn a_key_makes_nobody_trusted_while_it_cannot_be_told_whether_pages_have_it() {
    let run = start("write", "api").await;
    run.stack.secrets.put("sluice/sources/server", "hers".to_owned()).unwrap();
    let server = "\n---\nkind: source\nname: a-server\ntype: segment\ntrusted: true\nsecrets: { write_key: ['secret:server'] }\n";
    run.apply(&format!("{POLICIES}{SOURCES}{server}")).await;
    let authorization = basic("hers");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    let body = json!({"event": "Seen", "userId": "u-1", "messageId": "1"}).to_string();
    let call = "secretsmanager.GetSecretValue";
    run.refusals.pass_first("track-event", call, 1);
    run.refusals.refuse("track-event", call, usize::MAX, (400, "AccessDeniedException"));
    run.send("POST", "/v1/track", &headers, body.as_bytes()).await.is_problem(503, "unavailable");
    run.refusals.lift();
    assert_eq!(run.send("POST", "/v1/track", &headers, body.as_bytes()).await.status, 200);
    run.settle().await;
    let sources: Vec<String> = entries(&run).into_values().map(|entry| entry.event.source).collect();
    assert_eq!(sources, ["a-server"]);
    run.finish().await;
}

#[tokio::test]
async fn a_page_may_call_if_its_origin_is_the_sources() {
    let run = start("write", "api").await;
    let body = json!({"event": "Seen", "anonymousId": "b-1", "writeKey": "write"}).to_string();
    for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false)] {
        let headers = [("origin", origin), ("content-type", "text/plain")];
        for (method, target) in
            [("OPTIONS", "/v1/t"), ("POST", "/v1/t"), ("OPTIONS", "/batch/"), ("OPTIONS", "/e/")]
        {
            let body = if method == "POST" { body.as_str() } else { "" };
            let answer = run.send(method, target, &headers, body.as_bytes()).await;
            assert!(matches!(answer.status, 200 | 204), "{method} {target}: {}", answer.status);
            let given = answer.header("access-control-allow-origin");
            assert_eq!(given, allowed.then_some(origin), "{method} {target}");
            assert_eq!(answer.header("vary"), Some("origin"));
            if allowed {
                assert_eq!(answer.header("access-control-expose-headers"), Some("retry-after"));
            }
            if method == "OPTIONS" {
                let headers = answer.header("access-control-allow-headers").unwrap();
                assert!(headers.contains("authorization") && headers.contains("content-type"));
            }
        }
    }
    run.settle().await;
    run.finish().await;
}
