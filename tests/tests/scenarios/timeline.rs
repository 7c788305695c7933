//! What people do is on their timelines, whoever turns out to have done it.

use serde_json::{Map, Value, json};
use sluice::host::spec::named;
use sluice_domain::event::{Event, EventKind, Happened, Ids, Who};
use sluice_domain::id::EventId;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::{Running, Setup};
use sluice_wire::queue::{EventMessage, encode};

/// How long before the scenario's start things begin to happen, in seconds: they are in the past when they come in.
pub(crate) const EARLIER: i64 = 1_000;

/// What a tracking library says, as it lies on the queue.
pub(crate) struct Call {
    who: Ids,
    event: Event,
}

impl Call {
    /// Something called `name`, `at` seconds after [`EARLIER`] before the scenario's start.
    pub(crate) fn track(name: &str, id: &str, at: i64) -> Self {
        let at = Timestamp::parse(sluice_tests::stack::START).unwrap().plus_millis((at - EARLIER) * 1000);
        let event = Event {
            id: EventId::derived(&["site", id]),
            kind: EventKind::Track,
            name: name.to_owned(),
            source: "site".to_owned(),
            at,
            received: at,
            properties: Pii::default(),
            traits: Pii::default(),
            context: Pii::default(),
        };
        Self { who: Ids::default(), event }
    }

    /// Who they are.
    pub(crate) fn identify(id: &str, at: i64, traits: Value) -> Self {
        let mut call = Self::track("", id, at);
        call.event.kind = EventKind::Identify;
        call.event.traits = Pii::new(object(traits));
        call
    }

    /// Another id that is the same person's.
    fn alias(id: &str, at: i64, previous: &str) -> Self {
        let mut call = Self::track("", id, at);
        call.event.kind = EventKind::Alias;
        call.who.previous = Some(Pii::new(previous.to_owned()));
        call
    }

    pub(crate) fn user(mut self, id: &str) -> Self {
        self.who.user = Some(Pii::new(id.to_owned()));
        self
    }

    pub(crate) fn browser(mut self, id: &str) -> Self {
        self.who.anonymous = Some(Pii::new(id.to_owned()));
        self
    }

    pub(crate) fn with(mut self, properties: Value) -> Self {
        self.event.properties = Pii::new(object(properties));
        self
    }

    fn happened(self) -> Happened {
        Happened { who: Who::Ids(self.who), event: self.event }
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Puts calls on the queue, one message for all, without waiting.
pub(crate) fn put(run: &Running, calls: Vec<Call>) {
    let events = calls.into_iter().map(Call::happened).collect();
    let body = encode(&EventMessage::Events(events));
    run.stack.sqs.send(&named("EventQueue"), OutgoingMessage::new(body)).unwrap();
}

/// Puts calls on the queue and waits until all is quiet.
pub(crate) async fn take(run: &Running, calls: Vec<Call>) {
    put(run, calls);
    run.settle().await;
}

/// The customer with this user id.
pub(crate) async fn user(run: &Running, id: &str) -> Value {
    let (status, customer) = run.lookup(json!({ "external_id": id })).await;
    assert_eq!(status, 200, "{id}: {customer:#}");
    customer
}

/// What the timeline of a customer says, newest first.
pub(crate) async fn timeline(run: &Running, customer: &Value) -> Vec<Value> {
    let id = customer["id"].as_str().unwrap();
    let (status, page) = run.api("GET", &format!("/api/customers/{id}/timeline"), None).await;
    assert_eq!(status, 200, "{page:#}");
    page["timeline"].as_array().cloned().unwrap()
}

fn names(timeline: &[Value]) -> Vec<&str> {
    timeline.iter().map(|thing| thing["event"].as_str().or(thing["what"].as_str()).unwrap()).collect()
}

#[tokio::test]
async fn a_visitor_becomes_known_and_keeps_the_history_of_their_browser() {
    let run = Setup::default().start().await;
    take(&run, vec![Call::track("Pricing Viewed", "1", 1).browser("b-1").with(json!({"plan": "pro"}))]).await;
    take(
        &run,
        vec![
            Call::track("Video Started", "2", 2).browser("b-1"),
            Call::identify("3", 3, json!({"email": "ada@person.example", "firstName": "Ada"}))
                .user("u-1")
                .browser("b-1"),
            Call::track("Order Completed", "4", 4).user("u-1"),
        ],
    )
    .await;
    let customer = user(&run, "u-1").await;
    let all = timeline(&run, &customer).await;
    assert_eq!(names(&all), ["order_completed", "identified", "video_started", "pricing_viewed"]);
    assert_eq!(all[3]["properties"]["plan"], "pro");
    assert_eq!(customer["profile"]["first_name"]["value"], "Ada", "{customer:#}");
    assert_eq!(customer["profile"]["first_name"]["source"], "site");

    // The lead of the same person is theirs, and on the same timeline.
    run.lead(&[("email", "ada@person.example"), ("message", "call me")]).await;
    let (_, by_email) = run.lookup(json!({"email": "ada@person.example"})).await;
    assert_eq!(by_email["id"], customer["id"]);
    assert_eq!(timeline(&run, &customer).await.len(), 4 + 3, "it, that it came in and who has it");

    // Everything once more, in another order, changes nothing.
    let before = run.table();
    take(
        &run,
        vec![
            Call::track("Order Completed", "4", 9).user("u-1"),
            Call::track("Video Started", "2", 2).browser("b-1"),
            Call::track("Pricing Viewed", "1", 1).browser("b-1").with(json!({"plan": "pro"})),
        ],
    )
    .await;
    assert_eq!(run.table(), before);
    run.finish().await;
}

#[tokio::test]
async fn a_shared_browser_joins_nobody_and_points_on() {
    let run = Setup::default().start().await;
    for (user, id) in [("ann", "1"), ("ben", "3")] {
        take(&run, vec![Call::identify(id, 1, json!({})).user(user).browser("shop-pc")]).await;
        take(&run, vec![Call::track("Thing Seen", &format!("{id}-after"), 2).browser("shop-pc")]).await;
    }
    let (ann, ben) = (user(&run, "ann").await, user(&run, "ben").await);
    assert_ne!(ann["id"], ben["id"]);
    for customer in [&ann, &ben] {
        assert_eq!(names(&timeline(&run, customer).await), ["thing_seen", "identified"]);
    }
    run.finish().await;
}

#[tokio::test]
async fn a_timeline_is_paged_and_shows_each_thing_once() {
    let run = Setup::default().start().await;
    let calls = (0..23).map(|n| Call::track("Step", &n.to_string(), i64::from(n / 3)).user("u-1"));
    take(&run, calls.collect()).await;
    let customer = user(&run, "u-1").await;
    let id = customer["id"].as_str().unwrap();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let target = format!("/api/customers/{id}/timeline?limit=5{cursor}");
        let (status, page) = run.api("GET", &target, None).await;
        assert_eq!(status, 200, "{page:#}");
        let things = page["timeline"].as_array().unwrap();
        assert!(!things.is_empty() && things.len() <= 5);
        seen.extend(
            things.iter().map(|thing| (thing["at"].clone(), thing["id"].as_str().unwrap().to_owned())),
        );
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let times: Vec<&str> = seen.iter().map(|(at, _)| at.as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let mut ids: Vec<&String> = seen.iter().map(|(_, id)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((seen.len(), ids.len()), (23, 23));
    let (status, problem) = run.api("GET", &format!("/api/customers/{id}/timeline?cursor=x"), None).await;
    assert_eq!((status, &problem["field"]), (422, &json!("cursor")), "{problem:#}");
    run.finish().await;
}

#[tokio::test]
async fn many_at_once_of_one_person_are_each_taken_once() {
    let run = Setup::default().start().await;
    for n in 0..40 {
        let call = |id: String| Call::track("Click", &id, n).user("u-1").browser(&format!("b-{}", n % 3));
        put(&run, vec![call(format!("{n}")), call(format!("{}", n / 2))]);
        put(&run, vec![call(format!("{n}"))]);
    }
    run.settle().await;
    let customer = user(&run, "u-1").await;
    assert_eq!(timeline(&run, &customer).await.len(), 40);
    assert_eq!(run.live_customers().len(), 1);
    run.finish().await;
}

/// What a call costs that no policy reads: one unit for its entry.
#[tokio::test]
async fn an_event_that_changes_nothing_costs_one_unit() {
    let run = Setup::default().start().await;
    take(
        &run,
        vec![Call::identify("0", 0, json!({"email": "ada@person.example"})).user("u-1").browser("b-1")],
    )
    .await;
    let _ = run.stack.dynamodb.take_meter();
    take(&run, vec![Call::track("Page Seen", "1", 1).user("u-1").browser("b-1")]).await;
    assert_eq!(run.stack.dynamodb.take_meter().write_units(), 1.0);
    let _ = run.stack.dynamodb.take_meter();
    take(&run, vec![Call::track("Page Seen", "1", 1).user("u-1").browser("b-1")]).await;
    assert_eq!(run.stack.dynamodb.take_meter().write_units(), 0.0, "once more");
    run.finish().await;
}

#[tokio::test]
async fn nothing_is_left_of_what_an_erased_person_did_and_what_was_on_its_way_is_dropped() {
    let run = Setup::default().start().await;
    let before = run.table();
    let seen = |id: &str, at: i64| Call::track("Nest Seen", id, at).with(json!({"where": "amselbau"}));
    take(&run, vec![seen("1", 1).browser("merula-pc"), seen("2", 2).browser("shop-pc")]).await;
    take(
        &run,
        vec![
            Call::identify("3", 3, json!({"email": "merula@amselnest.example"}))
                .user("merula")
                .browser("merula-pc"),
        ],
    )
    .await;
    take(&run, vec![Call::identify("4", 4, json!({})).user("bea").browser("shop-pc")]).await;
    take(&run, vec![seen("5", 5).user("merula").browser("shop-pc"), seen("6", 6).browser("shop-pc")]).await;
    let merula = user(&run, "merula").await;
    assert_eq!(timeline(&run, &merula).await.len(), 4);
    let id = merula["id"].as_str().unwrap();
    let (status, export) = run.api("GET", &format!("/api/customers/{id}/export"), None).await;
    assert_eq!((status, export["events"].as_array().unwrap().len()), (200, 4), "{export:#}");

    let (status, _) = run.api("DELETE", &format!("/api/customers/{id}"), None).await;
    assert_eq!(status, 202);
    run.settle().await;
    // Late, by each of her ids; and once more what was there.
    let late =
        vec![seen("7", 7).user("merula"), seen("8", 8).browser("merula-pc"), seen("9", 9).browser("shop-pc")];
    take(&run, late).await;
    take(&run, vec![seen("5", 5).user("merula").browser("shop-pc"), seen("1", 1).browser("merula-pc")]).await;
    let bea = user(&run, "bea").await;
    let beas = format!("{} {}", bea["id"], bea["merged_from"]);
    let left: Vec<String> = run
        .table()
        .into_iter()
        .filter(|(key, item)| before.get(key) != Some(item) && !beas.contains(&key.0))
        .map(|((pk, sk), item)| format!("{pk} {sk} {item}"))
        .filter(|item| ["merula", "amsel", "Nest"].iter().any(|word| item.contains(word)))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(names(&timeline(&run, &bea).await), ["identified", "nest_seen"], "what she did is still hers");

    // Who comes again afterwards is somebody new.
    run.pass(std::time::Duration::from_secs(60)).await;
    take(&run, vec![seen("10", EARLIER + 30).user("merula").browser("merula-pc")]).await;
    let again = user(&run, "merula").await;
    assert_ne!(again["id"], merula["id"]);
    assert_eq!(names(&timeline(&run, &again).await), ["nest_seen"]);
    run.finish().await;
}

/// Who is suggested on a customer's page, and why.
async fn suggestions(run: &Running, user_id: &str) -> Vec<Value> {
    let page = user(run, user_id).await;
    let mut shown = page["suggestions"].as_array().cloned().unwrap();
    shown.sort_by_key(|one| one["at"].as_str().map(str::to_owned));
    shown
}

#[tokio::test]
async fn whom_an_event_does_not_join_it_suggests_on_both_pages() {
    let run = Setup::default().start().await;
    let known = json!({"email": "ada@person.example"});
    take(&run, vec![Call::identify("1", 1, known.clone()).user("ada").browser("b-1")]).await;
    take(&run, vec![Call::identify("2", 2, json!({})).user("old")]).await;
    // One browser, and two who are known; somebody else's address; two user ids that are said to be one person's.
    let calls = [
        ("ben", Call::identify("3", 3, json!({})).user("ben").browser("b-1"), "anonymous_id", "weak"),
        ("eve", Call::identify("4", 4, known).user("eve"), "email", "holds_another"),
        ("old", Call::alias("5", 5, "old").user("ada"), "external_id", "holds_another"),
    ];
    let mut raised = Vec::new();
    for (other, call, kind, reason) in calls {
        raised.push((other, call.event.id.clone(), kind, reason));
        take(&run, vec![call]).await;
    }
    let ada = user(&run, "ada").await;
    let shown = suggestions(&run, "ada").await;
    assert_eq!(shown.len(), 3, "{shown:#?}");
    let export = format!("/api/customers/{}/export", ada["id"].as_str().unwrap());
    let (_, export) = run.api("GET", &export, None).await;
    assert!(shown.iter().all(|one| export["suggestions"].as_array().unwrap().contains(one)), "{export:#}");
    for ((other, event, kind, reason), shown) in raised.into_iter().zip(shown) {
        let theirs = user(&run, other).await;
        assert_ne!(theirs["id"], ada["id"], "{other} was joined");
        assert_eq!((&shown["customer"], &shown["event"]), (&theirs["id"], &json!(event)), "{other}");
        assert_eq!((&shown["kind"], &shown["reason"]), (&json!(kind), &json!(reason)), "{other}");
        let mirrored = &suggestions(&run, other).await[0];
        assert_eq!((&mirrored["customer"], &mirrored["event"]), (&ada["id"], &json!(event)), "{other}");
    }

    // What a person has decided is not brought up again, and a browser of three is nobody's.
    let (id, ben) = (ada["id"].as_str().unwrap(), user(&run, "ben").await["id"].clone());
    let (status, _) =
        run.api("POST", &format!("/api/customers/{id}/keep-apart"), Some(json!({"from": ben}))).await;
    assert_eq!(status, 200);
    take(&run, vec![Call::identify("6", 6, json!({})).user("ben").browser("b-1")]).await;
    take(&run, vec![Call::identify("7", 7, json!({})).user("cy").browser("b-1")]).await;
    assert_eq!(suggestions(&run, "ben").await, Vec::<Value>::new());
    assert_eq!(suggestions(&run, "cy").await, Vec::<Value>::new());
    assert_eq!(suggestions(&run, "ada").await.len(), 2);
    run.finish().await;
}
