//! Test sends: what would go out, to somebody who tests, and of no consequence for anybody.

use crate::engagement::{BROWSER, ask, customer, mail_to, message, start};
use crate::rights::consents;
use serde_json::{Value, json};
use sluice_tests::stack::Running;
use sluice_tests::stack::mail::Mail;
use std::time::Duration;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
const SAMPLE: &str = "sample@person.example";
const TESTER: &str = "tester@shop.example";

/// Has a template sent to whoever tests, as the customer would get it; the message's id and the mail.
async fn tried(run: &Running, customer: &str, template: &str, topic: Option<&str>) -> (String, Mail) {
    let mut trial = json!({"customer": customer, "to": TESTER});
    if let Some(topic) = topic {
        trial["topic"] = topic.into();
    }
    let (status, asked) = run.api("POST", &format!("/api/templates/{template}/test-send"), Some(trial)).await;
    assert_eq!(status, 202, "{asked:#}");
    run.settle().await;
    (asked["message_id"].as_str().unwrap().to_owned(), mail_to(run, TESTER))
}

/// Pages and answers of a trial's link, in whatever way it is used.
async fn used(run: &Running, path: &str, bodies: &[&str]) {
    for (method, body) in [("GET", "")].into_iter().chain(bodies.iter().map(|body| ("POST", *body))) {
        let answer = run.send(method, path, &[FORM, BROWSER], body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{method} {body}");
        assert!(answer.text().contains("This message was a test"), "{method} {body}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_trial_is_the_mail_that_would_go_out_and_its_links_change_nothing_for_anybody() {
    let run = start().await;
    let sample = customer(&run, SAMPLE, &[]).await;
    assert_eq!(ask(&run, &sample, "news", "product").await["state"], "sent");
    let (id, trial) = tried(&run, &sample, "news", Some("product")).await;
    let real = mail_to(&run, SAMPLE);
    let button = "list-unsubscribe-post";
    assert_eq!(trial.header(button), Some(ONE_CLICK));
    assert_eq!((trial.header(button), &trial.subject), (real.header(button), &real.subject));
    for letter in ['o', 'c', 'u'] {
        assert_eq!(trial.paths(letter).len(), real.paths(letter).len(), "{letter}");
    }

    let before = run.table();
    let button = trial.unsubscribe().unwrap();
    let saved = "shown=product&shown=events&topic=events&save=yes";
    used(&run, &button, &[ONE_CLICK, "nothing=yes", saved, "nonsense=1"]).await;
    used(&run, &trial.paths('u')[0], &[saved]).await;
    assert_eq!(run.send("GET", &trial.paths('o')[0], &[BROWSER], b"").await.status, 200);
    let click = run.send("GET", &trial.paths('c')[0], &[BROWSER], b"").await;
    assert_eq!((click.status, click.header("location")), (302, Some("https://shop.example/a?x=1&y=2#top")));
    run.settle().await;
    assert_eq!(run.table(), before, "nothing was written");
    let shown = message(&run, &id).await;
    for nothing in ["opened", "clicked", "by_machines", "unsubscribed"] {
        assert_eq!(shown[nothing], Value::Null, "{shown:#}");
    }
    assert_eq!(consents(&run, &json!(sample)).await["proofs"], json!([]));
    // Neither the customer as whom they read nor whoever tests, who may be a customer too, is kept from anything.
    let tester = customer(&run, TESTER, &[]).await;
    for who in [&sample, &tester] {
        assert_eq!(ask(&run, who, "news", "product").await["state"], "sent");
    }

    // A trial stays one once nothing is left of its message.
    assert_eq!(run.api("DELETE", &format!("/api/customers/{sample}"), None).await.0, 202);
    run.settle().await;
    used(&run, &button, &[ONE_CLICK]).await;
    assert_eq!(ask(&run, &tester, "news", "product").await["state"], "sent");
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test]
async fn without_a_topic_a_trial_is_what_somebody_asked_for_and_has_no_button() {
    let run = start().await;
    let sample = customer(&run, SAMPLE, &[]).await;
    let (_, trial) = tried(&run, &sample, "receipt", None).await;
    assert_eq!((trial.header("list-unsubscribe-post"), trial.unsubscribe()), (None, None));
    let unknown = json!({"customer": sample, "to": TESTER, "topic": "weather"});
    let (status, problem) = run.api("POST", "/api/templates/news/test-send", Some(unknown)).await;
    assert_eq!((status, &problem["field"]), (422, &json!("topic")), "{problem:#}");
    run.finish().await;
}

#[tokio::test]
async fn the_question_can_be_tried_and_a_yes_to_it_confirms_nothing() {
    let run = start().await;
    let sample = customer(&run, SAMPLE, &[]).await;
    let (_, trial) = tried(&run, &sample, "confirm-offers", Some("offers")).await;
    let [path] = trial.paths('k').try_into().expect("one link that confirms");
    let before = run.table();
    used(&run, &path, &["confirm=yes"]).await;
    assert_eq!(run.table(), before);
    for who in [sample, customer(&run, TESTER, &[]).await] {
        let news = ask(&run, &who, "news", "offers").await;
        assert_eq!((&news["state"], &news["reason"]), (&json!("skipped"), &json!("no_consent")), "{news:#}");
    }
    run.finish().await;
}
