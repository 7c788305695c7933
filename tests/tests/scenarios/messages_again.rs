//! A message that may have gone out and is sent again, or turns out not to have.

use crate::messages::{SES, TEMPLATES, ask, mail_by, show, tried, with, with_ada};
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[tokio::test]
async fn the_links_of_a_mail_that_may_be_out_lead_where_they_did_when_it_is_sent_again() {
    let calls = AtomicUsize::new(0);
    let answer = move |_: &http::Request<Bytes>| {
        let status: u16 = if calls.fetch_add(1, Ordering::Relaxed) == 0 { 502 } else { 200 };
        (status, json!({"sid": "SM17"}))
    };
    let provider = Fake::start(answer).await;
    let (run, ada) = with_ada(with(&mail_by(&provider.url))).await;
    let id = ask(&run, &ada, json!({"unknown": "resend"})).await;
    assert_eq!(tried(&run, &id).await["state"], "unknown");
    let (a, b) = ("https://shop.example/a", "https://shop.example/b");
    let more = format!("<a href=\"{a}\">");
    let newer = TEMPLATES.replace(&more, &format!("<a href=\"{b}\">New</a> {more}"));
    assert_ne!(newer, TEMPLATES);
    run.apply(&newer).await;
    run.pass(Duration::from_secs(901)).await;
    run.fire_timers().await;
    let message = show(&run, &id).await;
    assert_eq!((&message["state"], &message["attempts"]), (&json!("sent"), &json!(2)), "{message:#}");
    assert_eq!(message["links"], json!([a, b]));
    let counted = format!("{}/c/", run.stack.addresses.url);
    let clicks = |at: usize| -> Vec<String> {
        let mail: Value = serde_json::from_slice(provider.seen()[at].body()).unwrap();
        let html = mail["html"].as_str().unwrap().split(counted.as_str()).skip(1);
        html.map(|rest| format!("/c/{}", rest.split('"').next().unwrap())).collect()
    };
    for (paths, wanted) in [(clicks(0), vec![a]), (clicks(1), vec![b, a])] {
        assert_eq!(paths.len(), wanted.len(), "{paths:?}");
        for (path, url) in paths.iter().zip(wanted) {
            let answer = run.send("GET", path, &[], b"").await;
            assert_eq!((answer.status, answer.header("location")), (302, Some(url)));
        }
    }
    run.finish().await;
}

#[tokio::test]
async fn a_mail_that_a_person_finds_not_to_have_gone_out_counts_for_no_cap() {
    let channel = "kind: channel\nname: email\nvia: ses\ncaps: [{ at_most: 1, within: 7d }]\n";
    let (run, ada) = with_ada(with(channel)).await;
    let outcome = async || {
        let id = ask(&run, &ada, json!({"at_cap": "skip"})).await;
        run.settle().await;
        show(&run, &id).await
    };
    run.refusals.refuse("send-message", SES, 1, (500, "InternalFailure"));
    let lost = outcome().await;
    assert_eq!(lost["state"], "unknown", "{lost:#}");
    assert_eq!(outcome().await["reason"], "cap", "it may have gone out");
    let settle = format!("/api/messages/{}/settle", lost["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, settled) = run.api("POST", &settle, Some(json!({"went_out": false}))).await;
        assert_eq!((status, &settled["state"]), (200, &json!("failed")), "{settled:#}");
    }
    assert_eq!(outcome().await["state"], "sent");
    assert_eq!(outcome().await["reason"], "cap");
    run.finish().await;
}
