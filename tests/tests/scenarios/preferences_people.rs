//! What a person wants who has more than one address, and of whom nothing is left or who comes back after that.

use crate::engagement::{ask, mail_to, send, start};
use crate::erasure::erase;
use crate::preferences::{CLUB, FORM, ONE_CLICK, boxes, get, joins, post, proofs, questions_to, still_gets};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn the_page_shows_what_is_refused_by_another_address_and_ticking_it_brings_it_back() {
    let run = start().await;
    run.apply("kind: settings\nname: default\nescalate_to: [boss]\nsurvivorship: { email: newest }\n").await;
    let home = send(&run, "kim@home.example", &[], "product").await;
    let work = send(&run, "kim@work.example", &[], "product").await;
    let who = home.customer.as_str();
    let path = format!("/api/customers/{who}/merge");
    let (status, merged) = run.api("POST", &path, Some(json!({ "with": work.customer }))).await;
    assert_eq!(status, 200, "{merged:#}");
    run.settle().await;
    let button = home.mail.unsubscribe().unwrap();
    assert_eq!(run.send("POST", &button, &[FORM], ONE_CLICK).await.status, 200);
    run.pass(Duration::from_secs(60)).await;
    assert!(!still_gets(&run, who, "product").await);
    let page = work.mail.unsubscribe().unwrap();
    assert_eq!(boxes(&get(&run, &page, &[]).await.text()).0, Vec::<String>::new());
    let saved = post(&run, &page, &[("shown", "product"), ("topic", "product"), ("save", "yes")]).await;
    assert_eq!(boxes(&saved.text()).0, ["product"]);
    assert!(still_gets(&run, who, "product").await);
    assert_eq!(run.raw_mails().pop().unwrap().0, ["kim@work.example"]);
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_whom_no_record_is_left_it_is_not_kept_where_they_were() {
    let run = start().await;
    let sent = send(&run, "erased@person.example", &[], "product").await;
    erase(&run, &sent.customer).await;
    run.pass(Duration::from_secs(60)).await;
    let path = sent.mail.unsubscribe().unwrap();
    let saved = post(&run, &path, &[("shown", "events"), ("topic", "events"), ("save", "yes")]).await;
    assert_eq!((saved.status, boxes(&saved.text()).0), (200, vec!["events".to_owned()]), "{}", saved.text());
    let kept = proofs(&run);
    assert_eq!((kept.len(), &kept[0]["s"]["wish"]["w"]), (1, &json!("confirmed")), "{kept:#?}");
    assert_eq!((&kept[0]["i"], &kept[0]["u"]), (&Value::Null, &Value::Null), "{kept:#?}");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_after_an_erasure_gets_what_they_ask_for_once_they_have_confirmed_anything() {
    let run = start().await;
    run.apply(CLUB).await;
    let email = "back@person.example";
    let before = joins(&run, email, &[]).await;
    assert_eq!(ask(&run, &before, "receipt", "service").await["state"], "sent");
    erase(&run, &before).await;
    run.pass(Duration::from_secs(60)).await;
    let who = joins(&run, email, &[("ok", "on"), ("n", "2")]).await;
    assert_ne!(who, before);
    assert_eq!(ask(&run, &who, "receipt", "service").await["reason"], "erased");
    assert_eq!(questions_to(&run, email), 1);
    let path = mail_to(&run, email).paths('k').remove(0);
    run.pass(Duration::from_secs(60)).await;
    assert!(post(&run, &path, &[("confirm", "yes")]).await.text().contains("Thank you"));
    assert_eq!(ask(&run, &who, "receipt", "service").await["state"], "sent");
    assert_eq!(ask(&run, &who, "news", "offers").await["state"], "sent");
    assert_eq!(ask(&run, &who, "news", "product").await["reason"], "erased");
    run.finish().await;
}

const FAIR: &str = r#"
---
kind: topic
name: events
title: { en: Events }
consent: opt_in
confirm: confirm-offers
---
kind: form
name: club
consent: { field: ok, topic: events, wording: Send me word of events, version: "1" }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_after_an_erasure_is_asked_about_a_topic_that_asks_nobody_else() {
    let run = start().await;
    run.apply(FAIR).await;
    let email = "again@person.example";
    let before = joins(&run, email, &[("ok", "on")]).await;
    assert_eq!(questions_to(&run, email), 0);
    assert_eq!(ask(&run, &before, "news", "events").await["state"], "sent");
    erase(&run, &before).await;
    run.pass(Duration::from_secs(60)).await;
    let who = joins(&run, email, &[("ok", "on"), ("n", "2")]).await;
    assert_eq!(questions_to(&run, email), 1);
    assert_eq!(ask(&run, &who, "news", "events").await["reason"], "erased");
    let path = mail_to(&run, email).paths('k').remove(0);
    run.pass(Duration::from_secs(60)).await;
    assert!(post(&run, &path, &[("confirm", "yes")]).await.text().contains("Thank you"));
    assert_eq!(ask(&run, &who, "news", "events").await["state"], "sent");

    // So is whoever says so to staff. The mails of who was erased are gone.
    erase(&run, &who).await;
    run.pass(Duration::from_secs(60)).await;
    let who = joins(&run, email, &[("n", "3")]).await;
    assert_eq!(questions_to(&run, email), 0, "nothing was ticked");
    let yes = json!({"channel": "email", "topic": "events", "wish": "yes"});
    assert_eq!(run.api("POST", &format!("/api/customers/{who}/consents"), Some(yes)).await.0, 200);
    run.settle().await;
    assert_eq!(questions_to(&run, email), 1);
    run.finish().await;
}
