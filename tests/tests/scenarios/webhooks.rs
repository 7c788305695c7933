//! Signed webhooks as a receiver meets them: what it answers decides what it is sent next.

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_host::web;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{Running, Setup};
use sluice_wire::standard_webhooks::{SigningKey, headers};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SECRET: &str = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";
const NEXT: &str = "whsec_bmV4dG5leHRuZXh0bmV4dG5leHRuZXh0";

fn policies(url: &str) -> String {
    format!(
        "kind: form\nname: contact\n---\nkind: rep\nname: hook\nwebhook:\n  url: {url}\n  secrets: [env:HOOK, env:HOOK_NEXT]\n\
         ---\nkind: routing\nname: default\nrules:\n  - name: all\n    assign: {{ rep: hook }}\n"
    )
}

async fn stack(url: &str) -> Running {
    Setup::policies(policies(url)).var("HOOK", SECRET).var("HOOK_NEXT", NEXT).start().await
}

/// A receiver that gives these answers, each once, the last again and again.
async fn receiver(answers: Vec<(u16, Option<(&'static str, String)>)>) -> Fake {
    let count = Arc::new(AtomicUsize::new(0));
    Fake::serve(move |_| {
        let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let (status, header) = &answers[at];
        let mut answer = http::Response::builder().status(*status);
        if let Some((name, value)) = header {
            answer = answer.header(*name, value);
        }
        answer.body(Bytes::new()).unwrap()
    })
    .await
}

/// The newest message, once an attempt is over.
async fn attempted(run: &Running, attempts: u64) -> Value {
    loop {
        let message = run.messages("hook").await.into_iter().next().unwrap_or_default();
        if message["state"] != "claimed" && message["attempts"].as_u64() == Some(attempts) {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn post(run: &Running, who: &str) -> String {
    run.post("contact", &[("email", &format!("{who}@person.example"))]).await.lead_id()
}

async fn listed(run: &Running) -> Vec<Value> {
    let (status, list) = run.api("GET", "/api/webhooks", None).await;
    assert_eq!(status, 200, "{list:#}");
    list["webhooks"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_receiver_believes_either_secret_while_it_is_being_changed() {
    let hook = receiver(vec![(204, None)]).await;
    let run = stack(&hook.url).await;
    let lead = post(&run, "both").await;
    let message = attempted(&run, 1).await;
    assert_eq!((&message["state"], &message["note"]), (&json!("sent"), &json!("status 204")));
    let request = &hook.seen()[0];
    let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    let at = Timestamp::from_seconds(header("webhook-timestamp").parse().unwrap());
    let keys = [SECRET, NEXT].map(|secret| SigningKey::read(secret).unwrap());
    for (name, value) in headers(&keys, &format!("{lead}_assigned_1_hook"), at, request.body()) {
        assert_eq!(header(&name), value, "{name}");
    }
    assert_eq!(header("webhook-signature").split(' ').count(), 2);
    let list = listed(&run).await;
    assert_eq!(
        (&list[0]["state"], &list[0]["last"]["state"]),
        (&json!("enabled"), &json!("sent")),
        "{list:#?}"
    );
    assert_eq!((&list[0]["reps"], &list[0]["last"]["lead"]), (&json!(["hook"]), &json!(lead)));
    run.finish().await;
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let other = receiver(vec![(200, None)]).await;
    let hook = receiver(vec![(307, Some(("location", other.url.clone()))), (200, None)]).await;
    let run = stack(&hook.url).await;
    post(&run, "moved").await;
    let message = attempted(&run, 1).await;
    assert_eq!((&message["state"], &message["note"]), (&json!("ready"), &json!("status 307")));
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(attempted(&run, 2).await["state"], "sent");
    assert!(other.seen().is_empty());
    run.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_sent_nothing_until_somebody_turns_it_on_again() {
    let hook = receiver(vec![(410, None), (200, None)]).await;
    let run = stack(&hook.url).await;
    let first = post(&run, "first").await;
    let message = attempted(&run, 1).await;
    assert_eq!((&message["state"], &message["lead"]), (&json!("failed"), &json!(first)), "{message:#}");
    run.settle().await;
    let second = post(&run, "second").await;
    run.settle().await;
    let message = run.messages("hook").await[0].clone();
    assert_eq!((&message["lead"], &message["state"]), (&json!(second), &json!("skipped")), "{message:#}");
    assert!(message["note"].as_str().unwrap().contains("410"), "{message:#}");
    assert_eq!(hook.seen().len(), 1);
    let list = listed(&run).await;
    assert_eq!(list[0]["state"], "gone", "{list:#?}");
    assert!(list[0]["gone"].as_str().is_some_and(|at| at.starts_with("2026-03-02T")), "{list:#?}");

    let enable = format!("/api/webhooks/{}/enable", list[0]["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, view) = run.api("POST", &enable, None).await;
        assert_eq!((status, &view["state"]), (200, &json!("enabled")), "{view:#}");
    }
    let third = post(&run, "third").await;
    run.settle().await;
    let message = run.messages("hook").await[0].clone();
    assert_eq!((&message["lead"], &message["state"]), (&json!(third), &json!("sent")), "{message:#}");
    let (status, _) = run.api("POST", "/api/webhooks/ep_00000000000000000000000000/enable", None).await;
    assert_eq!(status, 404);
    assert_eq!(run.api("POST", "/api/webhooks/nothing/enable", None).await.0, 404);
    run.finish().await;
}

#[tokio::test]
async fn another_url_is_another_receiver() {
    let hook = receiver(vec![(410, None)]).await;
    let run = stack(&hook.url).await;
    post(&run, "first").await;
    attempted(&run, 1).await;
    run.settle().await;
    let new = receiver(vec![(200, None)]).await;
    run.apply(&policies(&format!("{}/new", new.url))).await;
    let lead = post(&run, "second").await;
    run.settle().await;
    let message = run.messages("hook").await[0].clone();
    assert_eq!((&message["lead"], &message["state"]), (&json!(lead), &json!("sent")), "{message:#}");
    assert_eq!(listed(&run).await[0]["state"], "enabled");
    run.finish().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_in_seconds_or_until_a_time() {
    let until = "Mon, 02 Mar 2026 09:30:00 GMT".to_owned();
    let hook = receiver(vec![
        (429, Some(("retry-after", "120".to_owned()))),
        (503, Some(("retry-after", until))),
        (502, None),
        (200, None),
    ]);
    let hook = hook.await;
    let run = stack(&hook.url).await;
    post(&run, "busy").await;
    assert_eq!(attempted(&run, 1).await["note"], "status 429");
    run.stack.advance(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(hook.seen().len(), 1, "not before two minutes");
    run.stack.advance(Duration::from_secs(62));
    assert_eq!(attempted(&run, 2).await["note"], "status 503");
    // Half past nine is more than three minutes away: until then it is a due entry.
    run.stack.advance(Duration::from_secs(20 * 60));
    run.fire_timers().await;
    assert_eq!(hook.seen().len(), 2, "not before half past nine");
    run.stack.advance(Duration::from_secs(8 * 60));
    run.invoke("fire-timers", &json!({})).await.unwrap();
    assert_eq!(attempted(&run, 3).await["note"], "status 502");
    run.pass(Duration::from_secs(133)).await;
    assert_eq!(attempted(&run, 4).await["state"], "sent");
    let ids: Vec<_> = hook.seen().iter().map(|request| request.headers()["webhook-id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    run.finish().await;
}

#[tokio::test]
async fn nothing_is_sent_to_this_machine_or_a_private_network() {
    let hook = receiver(vec![(200, None)]).await;
    let port = hook.url.rsplit(':').next().unwrap().to_owned();
    for host in [
        "http://127.0.0.1",
        "http://localhost",
        "https://localhost",
        "https://127.1",
        "https://127.0.0.1",
        "https://[::ffff:127.0.0.1]",
        "https://169.254.169.254",
    ] {
        let url = format!("{host}:{port}/leads");
        let setup = Setup::policies(policies(&url)).var("HOOK", SECRET).var("HOOK_NEXT", NEXT);
        let run = setup.var(web::ALLOW, "").start().await;
        post(&run, "inside").await;
        run.settle().await;
        let message = run.messages("hook").await[0].clone();
        assert_eq!(message["state"], "failed", "{host}: {message:#}");
        assert_eq!(message["note"], "not sent: the address is not public", "{host}");
        run.finish().await;
    }
    assert!(hook.seen().is_empty());
}

#[tokio::test]
async fn what_a_receiver_says_at_length_is_not_listened_to() {
    let hook = Fake::serve(|_| http::Response::new(Bytes::from(vec![b'x'; 5_000_000]))).await;
    let run = stack(&hook.url).await;
    post(&run, "long").await;
    assert_eq!(attempted(&run, 1).await["state"], "sent");
    run.finish().await;
}

#[tokio::test]
async fn a_receiver_that_is_not_there_has_been_sent_nothing() {
    let run = stack("http://127.0.0.1:9/").await;
    post(&run, "nobody").await;
    // Port 9 is none that web servers have.
    let message = attempted(&run, 1).await;
    assert_eq!((&message["state"], &message["unknown"]), (&json!("failed"), &json!(0)), "{message:#}");
    run.settle().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    run.apply(&policies(&format!("http://{free}/"))).await;
    post(&run, "nobody-again").await;
    let message = attempted(&run, 1).await;
    assert_eq!(
        (&message["state"], &message["note"]),
        (&json!("ready"), &json!("no connection")),
        "{message:#}"
    );
    let hook = receiver(vec![(200, None)]).await;
    run.apply(&policies(&hook.url)).await;
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(attempted(&run, 2).await["state"], "sent");
    run.finish().await;
}

#[tokio::test]
async fn a_short_secret_signs_nothing_and_what_waited_goes_out_once_it_is_mended() {
    let hook = receiver(vec![(200, None)]).await;
    let setup = Setup::policies(policies(&hook.url)).var("HOOK", SECRET).var("HOOK_NEXT", "whsec_c2hvcnQ=");
    let run = setup.start().await;
    post(&run, "short").await;
    let message = attempted(&run, 1).await;
    assert_eq!(message["note"], "the signing secret is not of 24 to 64 bytes", "{message:#}");
    assert_eq!(message["state"], "ready");
    assert!(hook.seen().is_empty());
    run.apply(&policies(&hook.url).replace(", env:HOOK_NEXT", "")).await;
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(attempted(&run, 2).await["state"], "sent");
    assert_eq!(hook.seen().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_receiver_that_never_takes_it_is_tried_for_a_day_ever_more_seldom_and_then_it_has_failed() {
    // Seconds after which it is tried again, each time up to a tenth later.
    const PAUSES: [u64; 9] = [5, 30, 120, 600, 1_800, 7_200, 18_000, 28_800, 33_000];
    let hook = receiver(vec![(503, None)]).await;
    let setup = Setup::policies(policies(&hook.url)).var("HOOK", SECRET).var("HOOK_NEXT", NEXT);
    let run = setup.frozen().start().await;
    let lead = post(&run, "never").await;
    let seconds = async |seconds: u64| {
        run.stack.advance(Duration::from_secs(seconds));
        run.invoke("fire-timers", &json!({})).await.unwrap();
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    for (attempts, pause) in (1..).zip(PAUSES) {
        let waits = attempted(&run, attempts).await;
        assert_eq!((&waits["state"], &waits["note"]), (&json!("ready"), &json!("status 503")), "{waits:#}");
        seconds(pause - 1).await;
        assert_eq!(hook.seen().len() as u64, attempts, "not before {pause} s");
        seconds(pause / 10 + 2).await;
    }
    let failed = attempted(&run, 10).await;
    assert_eq!((&failed["state"], &failed["note"]), (&json!("failed"), &json!("status 503")), "{failed:#}");
    assert_eq!(run.metrics.sum("FailedSends", ("Channel", "webhook")), 1.0);
    let list = listed(&run).await;
    assert_eq!((&list[0]["state"], &list[0]["last"]["state"]), (&json!("enabled"), &json!("failed")));
    // Nothing more comes of it, whenever: it is the same delivery all along, and a new one is tried anew.
    for _ in 0..3 {
        seconds(86_400).await;
    }
    let ids: Vec<_> = hook.seen().iter().map(|request| request.headers()["webhook-id"].clone()).collect();
    assert_eq!(ids, vec![format!("{lead}_assigned_1_hook"); 10]);
    run.settle().await;
    run.finish().await;
}
