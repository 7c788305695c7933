//! Other systems are told of events: each once, signed, with a log of what was delivered and a way to have it again.

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use sluice_wire::standard_webhooks::{SigningKey, headers};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

pub(crate) const SECRET: &str = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";

/// A receiver whose answer can be changed.
pub(crate) async fn receiver() -> (Fake, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(204));
    let answered = status.clone();
    let fake = Fake::serve(move |_| {
        let status = answered.load(Ordering::SeqCst);
        http::Response::builder().status(status).body(Bytes::new()).unwrap()
    });
    (fake.await, status)
}

async fn stack(all: &str, some: &str) -> Running {
    let documents = format!(
        r#"{POLICIES}
---
kind: webhook
name: warehouse
url: {all}
secrets: [env:HOOK]
events: ["*"]
---
kind: webhook
name: crm
url: {some}
secrets: [env:HOOK]
events: [lead_assigned, order_completed, segment_entered]
---
kind: segment
name: buyers
when: rfm.money >= 20
---
kind: source
name: shop
type: segment
trusted: true
secrets: {{ write_key: [env:SHOP_KEY] }}
"#
    );
    Setup::policies(documents).var("HOOK", SECRET).var("SHOP_KEY", "shop-key").start().await
}

async fn track(run: &Running, event: &str, id: &str) {
    post(run, event, id).await;
    run.settle().await;
}

async fn post(run: &Running, event: &str, id: &str) {
    let call = json!({"userId": "u-1", "event": event, "messageId": id, "properties": {"order_id": "o-1", "total": 20}});
    let headers = [("authorization", "Basic c2hvcC1rZXk6"), ("content-type", "application/json")];
    let answer = run.send("POST", "/v1/track", &headers, call.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// A request is signed with the receiver's secret, under its id and time.
pub(crate) fn is_signed(request: &http::Request<Bytes>) {
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    let at = Timestamp::from_seconds(header("webhook-timestamp").parse().unwrap());
    let key = [SigningKey::read(SECRET).unwrap()];
    for (name, value) in headers(&key, &header("webhook-id"), at, request.body()) {
        assert_eq!(header(&name), value, "{name}");
    }
}

/// What a receiver was told, by the name of the event.
fn told(fake: &Fake) -> BTreeMap<String, Vec<Value>> {
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for request in fake.seen() {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        told.entry(body["type"].as_str().unwrap().to_owned()).or_default().push(body);
    }
    told
}

async fn endpoint(run: &Running, name: &str) -> Value {
    let (_, list) = run.api("GET", "/api/webhooks", None).await;
    let mut all = list["webhooks"].as_array().unwrap().iter();
    all.find(|one| one["webhooks"] == json!([name])).unwrap_or_else(|| panic!("{list:#}")).clone()
}

pub(crate) async fn deliveries(run: &Running, endpoint: &Value, query: &str) -> Vec<Value> {
    let path = format!("/api/webhooks/{}/deliveries{query}", endpoint["id"].as_str().unwrap());
    let (status, page) = run.api("GET", &path, None).await;
    assert_eq!(status, 200, "{page:#}");
    page["deliveries"].as_array().unwrap().clone()
}

/// Both deliveries, once each has failed and waits for its next attempt.
async fn both_waiting(run: &Running, receiver: &Value) -> Vec<Value> {
    loop {
        let waiting = deliveries(run, receiver, "?state=ready").await;
        if waiting.len() == 2 {
            return waiting;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn each_event_goes_once_to_whoever_asked_for_it_signed_and_as_it_is_kept() {
    let ((all, _), (some, _)) = (receiver().await, receiver().await);
    let run = stack(&all.url, &some.url).await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    let customer = run.show(&lead).await["customer"].clone();
    for _ in 0..3 {
        // The library repeats itself: the same event.
        track(&run, "Order Completed", "m-1").await;
    }
    let crm = told(&some);
    assert_eq!(crm.keys().collect::<Vec<_>>(), ["lead_assigned", "order_completed", "segment_entered"]);
    assert!(crm.values().all(|bodies| bodies.len() == 1), "{crm:#?}");
    assert_eq!(crm["lead_assigned"][0]["data"]["customer"], customer);
    let order = &crm["order_completed"][0];
    assert_eq!(order["data"]["properties"], json!({"order_id": "o-1", "total": 20}));
    assert_eq!(
        (&order["data"]["source"], &order["data"]["name"]),
        (&json!("shop"), &json!("Order Completed"))
    );
    assert_eq!(crm["segment_entered"][0]["data"]["properties"]["segment"], "buyers");
    let warehouse = told(&all);
    for event in ["lead_captured", "lead_assigned", "order_completed", "segment_entered"] {
        assert_eq!(warehouse.get(event).map(Vec::len), Some(1), "{event}: {:?}", warehouse.keys());
    }
    some.seen().iter().for_each(is_signed);
    let receiver = endpoint(&run, "crm").await;
    let log = deliveries(&run, &receiver, "").await;
    let rows: Vec<(&str, &str)> =
        log.iter().map(|one| (one["kind"].as_str().unwrap(), one["state"].as_str().unwrap())).collect();
    assert_eq!(rows.len(), 3, "{log:#?}");
    assert!(rows.iter().all(|(_, state)| *state == "sent"));
    assert_eq!(receiver["last"]["webhook"], "crm");
    run.finish().await;
}

#[tokio::test]
async fn what_was_not_taken_is_in_the_log_and_is_delivered_again_when_asked_for() {
    let ((all, _), (some, status)) = (receiver().await, receiver().await);
    let run = stack(&all.url, &some.url).await;
    status.store(410, Ordering::SeqCst);
    track(&run, "Order Completed", "m-1").await;
    let receiver = endpoint(&run, "crm").await;
    assert_eq!(receiver["state"], "gone");
    // What was on its way then was told so too; what came later was not sent any more.
    let failed = deliveries(&run, &receiver, "?state=failed").await;
    let skipped = deliveries(&run, &receiver, "?state=skipped").await;
    assert!(!failed.is_empty() && failed.len() + skipped.len() == 2, "{failed:#?} {skipped:#?}");
    let seen = some.seen().len();
    // It is back, and turned on.
    status.store(204, Ordering::SeqCst);
    let id = receiver["id"].as_str().unwrap();
    assert_eq!(run.api("POST", &format!("/api/webhooks/{id}/enable"), None).await.0, 200);
    for delivery in failed.iter().chain(&skipped) {
        let again = json!({"delivery": delivery["id"]});
        let (status, answer) = run.api("POST", &format!("/api/webhooks/{id}/redeliver"), Some(again)).await;
        assert_eq!((status, &answer["id"]), (202, &delivery["id"]), "{answer:#}");
        run.settle().await;
    }
    let log = deliveries(&run, &receiver, "?state=sent").await;
    assert_eq!((log.len(), some.seen().len()), (2, seen + 2), "{log:#?}");
    let ids: Vec<String> =
        some.seen().iter().map(|call| call.headers()["webhook-id"].to_str().unwrap().to_owned()).collect();
    assert!(ids[seen..].contains(&ids[0]), "the same event is called the same: {ids:?}");
    // Pages go back one by one.
    let (_, first) = run.api("GET", &format!("/api/webhooks/{id}/deliveries?limit=1"), None).await;
    let cursor = first["cursor"].as_str().unwrap();
    let second = deliveries(&run, &receiver, &format!("?limit=1&cursor={cursor}")).await;
    assert_ne!(first["deliveries"][0]["id"], second[0]["id"]);
    for (what, expected) in [(json!({"delivery": "x"}), 404), (json!({}), 422)] {
        assert_eq!(run.api("POST", &format!("/api/webhooks/{id}/redeliver"), Some(what)).await.0, expected);
    }
    run.finish().await;
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_and_nothing_is_told_of_who_was_erased() {
    let ((all, _), (some, status)) = (receiver().await, receiver().await);
    let run = stack(&all.url, &some.url).await;
    status.store(503, Ordering::SeqCst);
    post(&run, "Order Completed", "m-1").await;
    let receiver = endpoint(&run, "crm").await;
    let waiting = both_waiting(&run, &receiver).await;
    status.store(204, Ordering::SeqCst);
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(deliveries(&run, &receiver, "?state=sent").await.len(), 2);
    let seen = some.seen().len();
    let customer = waiting[0]["customer"].as_str().unwrap();
    assert_eq!(run.api("DELETE", &format!("/api/customers/{customer}"), None).await.0, 202);
    run.settle().await;
    let id = receiver["id"].as_str().unwrap();
    let again = json!({"delivery": waiting[0]["id"]});
    assert_eq!(run.api("POST", &format!("/api/webhooks/{id}/redeliver"), Some(again)).await.0, 202);
    run.settle().await;
    assert_eq!(some.seen().len(), seen);
    for _ in 0..2 {
        run.pass(Duration::from_secs(400)).await;
        run.fire_timers().await;
    }
    run.finish().await;
}

#[tokio::test]
async fn a_delivery_that_waits_to_be_tried_again_begins_anew_when_asked_for() {
    let ((all, _), (some, status)) = (receiver().await, receiver().await);
    let run = stack(&all.url, &some.url).await;
    status.store(503, Ordering::SeqCst);
    post(&run, "Order Completed", "m-1").await;
    let receiver = endpoint(&run, "crm").await;
    let waiting = both_waiting(&run, &receiver).await;
    assert!(waiting[0]["attempts"].as_u64() > Some(0), "{waiting:#?}");
    status.store(204, Ordering::SeqCst);
    let path = format!("/api/webhooks/{}/redeliver", receiver["id"].as_str().unwrap());
    let (status, again) = run.api("POST", &path, Some(json!({"delivery": waiting[0]["id"]}))).await;
    assert_eq!((status, &again["attempts"]), (202, &json!(0)), "{again:#}");
    run.settle().await;
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(deliveries(&run, &receiver, "?state=sent").await.len(), 2);
    run.finish().await;
}

#[tokio::test]
async fn the_receiver_of_a_journeys_step_is_listed_and_turned_on_again() {
    let (fake, answer) = receiver().await;
    let documents = format!(
        "{POLICIES}
---
kind: source
name: shop
type: segment
trusted: true
secrets: {{ write_key: [env:SHOP_KEY] }}
---
kind: journey
name: told
trigger: {{ event: order_completed }}
entry: {{ again: always }}
steps:
  - webhook: {{ url: {}, secrets: [env:HOOK] }}
",
        fake.url
    );
    let run = Setup::policies(documents).var("HOOK", SECRET).var("SHOP_KEY", "shop-key").start().await;
    answer.store(410, Ordering::SeqCst);
    track(&run, "Order Completed", "m-1").await;
    let list = |answer: Value| answer["webhooks"].as_array().unwrap().clone();
    let found = list(run.api("GET", "/api/webhooks", None).await.1);
    assert_eq!((found.len(), &found[0]["journeys"]), (1, &json!(["told"])), "{found:#?}");
    assert_eq!(
        (&found[0]["state"], &found[0]["last"]["journey"]),
        (&json!("gone"), &json!("told")),
        "{found:#?}"
    );
    // A manager sees only what reps of theirs are told.
    let boss = run.new_token("manager", Some("boss")).await;
    assert!(list(run.api_as(Some(&boss), "GET", "/api/webhooks", None).await.1).is_empty());
    answer.store(204, Ordering::SeqCst);
    let path = format!("/api/webhooks/{}/enable", found[0]["id"].as_str().unwrap());
    let (status, enabled) = run.api("POST", &path, None).await;
    assert_eq!((status, &enabled["state"]), (200, &json!("enabled")), "{enabled:#}");
    let seen = fake.seen().len();
    track(&run, "Order Completed", "m-2").await;
    assert_eq!(fake.seen().len(), seen + 1);
    run.finish().await;
}
