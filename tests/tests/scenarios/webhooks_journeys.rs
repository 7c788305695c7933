//! A journey tells another system: one signed request for each run, again after a failure, until the receiver has gone.

use crate::timeline::{Call, EARLIER, put, take, timeline, user};
use crate::webhooks_out::{SECRET, deliveries, is_signed, receiver};
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// People who sign up are told to a system of somebody else's; whoever signs up again after the end is told again.
async fn started(hook: &Fake) -> Running {
    let documents = format!(
        r#"{POLICIES}
---
kind: journey
name: hello
trigger: {{ event: signed_up }}
entry: {{ again: after_exit }}
steps:
  - webhook: {{ url: "{url}/hello", secrets: [env:HOOK], facts: [email, company] }}
  - wait: 1h
---
kind: journey
name: elsewhere
trigger: {{ event: moved_out }}
steps:
  - webhook: {{ url: "{url}/elsewhere", secrets: [env:HOOK] }}
"#,
        url = hook.url
    );
    Setup::policies(documents).var("HOOK", SECRET).frozen().start().await
}

async fn known(run: &Running, id: &str) {
    let traits = json!({"email": format!("{id}@person.example")});
    take(run, vec![Call::identify(&format!("hello-{id}"), 0, traits).user(id)]).await;
}

async fn sign_up(run: &Running, id: &str, n: i64) {
    take(run, vec![Call::track("Signed Up", &format!("{id}-{n}"), EARLIER + n).user(id)]).await;
}

/// The receiver that the journey names.
async fn endpoint(run: &Running, journey: &str) -> Value {
    let (_, list) = run.api("GET", "/api/webhooks", None).await;
    let mut all = list["webhooks"].as_array().unwrap().iter();
    all.find(|one| one["journeys"] == json!([journey])).unwrap_or_else(|| panic!("{list:#}")).clone()
}

fn ids(hook: &Fake) -> Vec<String> {
    hook.seen().iter().map(|call| call.headers()["webhook-id"].to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_run_tells_it_once_signed_and_after_a_failure_again_under_the_same_id() {
    let (hook, status) = receiver().await;
    let run = started(&hook).await;
    known(&run, "ada").await;
    known(&run, "bo").await;
    status.store(500, Ordering::SeqCst);
    put(&run, vec![Call::track("Signed Up", "ada-1", EARLIER + 1).user("ada")]);
    let receiver = endpoint(&run, "hello").await;
    while deliveries(&run, &receiver, "?state=ready").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(hook.seen().len(), 1);
    status.store(204, Ordering::SeqCst);
    run.pass(Duration::from_secs(10)).await;
    sign_up(&run, "bo", 2).await;
    // The library repeats itself.
    sign_up(&run, "ada", 1).await;
    let told = hook.seen();
    let called = ids(&hook);
    assert_eq!((called.len(), &called[0]), (3, &called[1]), "the same is called the same: {called:?}");
    assert_ne!(called[1], called[2]);
    told.iter().for_each(is_signed);
    let ada = user(&run, "ada").await;
    let body: Value = serde_json::from_slice(told[1].body()).unwrap();
    assert_eq!(body["type"], "customer.journey");
    assert_eq!((&body["data"]["customer"], &body["data"]["journey"]), (&ada["id"], &json!("hello")));
    assert_eq!(body["data"]["facts"], json!({"email": "ada@person.example", "company": null}));

    let page = timeline(&run, &ada).await;
    let entry = page.iter().find(|thing| thing["event"] == "signed_up").unwrap();
    assert!(entry["journeys"][0]["why"].to_string().contains("webhook"), "{entry:#}");
    let sent = deliveries(&run, &receiver, "?state=sent").await;
    let rows: Vec<(&Value, &Value)> = sent.iter().map(|one| (&one["journey"], &one["attempts"])).collect();
    assert_eq!(rows, [(&json!("hello"), &json!(1)), (&json!("hello"), &json!(2))], "{sent:#?}");

    // After the end of a run somebody may come in again, and that is another thing to tell.
    run.pass(Duration::from_secs(3_700)).await;
    run.fire_timers().await;
    sign_up(&run, "ada", 3_700).await;
    assert_eq!(hook.seen().len(), 4);
    assert!(!called.contains(&ids(&hook)[3]));
    run.pass(Duration::from_secs(3_700)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test]
async fn a_receiver_that_has_gone_hears_no_more_until_it_is_turned_on_again() {
    let (hook, status) = receiver().await;
    let run = started(&hook).await;
    known(&run, "ada").await;
    known(&run, "bo").await;
    status.store(410, Ordering::SeqCst);
    sign_up(&run, "ada", 1).await;
    sign_up(&run, "bo", 2).await;
    assert_eq!(hook.seen().len(), 1, "it said that it has gone");
    let receiver = endpoint(&run, "hello").await;
    assert_eq!(receiver["state"], "gone");
    assert_eq!(endpoint(&run, "elsewhere").await["state"], "enabled");
    let log = deliveries(&run, &receiver, "").await;
    let states: Vec<&Value> = log.iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["skipped", "failed"], "{log:#?}");

    status.store(204, Ordering::SeqCst);
    let id = receiver["id"].as_str().unwrap();
    assert_eq!(run.api("POST", &format!("/api/webhooks/{id}/enable"), None).await.0, 200);
    for delivery in &log {
        let again = json!({"delivery": delivery["id"]});
        let (status, answer) = run.api("POST", &format!("/api/webhooks/{id}/redeliver"), Some(again)).await;
        assert_eq!((status, &answer["id"]), (202, &delivery["id"]), "{answer:#}");
        run.settle().await;
    }
    assert_eq!(deliveries(&run, &receiver, "?state=sent").await.len(), 2);
    let called = ids(&hook);
    assert_eq!((called.len(), &called[0]), (3, &called[2]), "{called:?}");
    // Another receiver's deliveries are not this one's.
    let other = endpoint(&run, "elsewhere").await;
    assert_eq!(deliveries(&run, &other, "").await, Vec::<Value>::new());
    run.pass(Duration::from_secs(3_700)).await;
    run.fire_timers().await;
    run.finish().await;
}
