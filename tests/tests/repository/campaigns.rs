//! The part of the permissions' workload that campaigns are: planned, sent, paused, resumed, and stopped by what comes back.

use crate::stack::Recorded;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_host::environment::Environment;
use sluice_store::Store;
use sluice_tests::sns;
use std::sync::Arc;
use std::time::Duration;

const DOCUMENT: &str = r#"
kind: topic
name: news
---
kind: campaign
name: spring
audience: { query: "has(customer.email)" }
send: { template: hello, topic: news }
spread: 30m
stop_if: { bounce_rate: "1%", after: 1 }
tell: [ann]
"#;

/// Time passes, minute by minute.
async fn minutes(it: &Recorded, minutes: u32) {
    for _ in 0..minutes {
        it.stack.function("fire-timers").unwrap().invoke(bytes::Bytes::from_static(b"{}")).await.unwrap();
        it.rest().await;
        it.stack.advance(Duration::from_secs(60));
        it.rest().await;
    }
}

async fn ask(it: &Recorded, what: &str) {
    let answer = it.call("POST", &format!("/api/campaigns/spring/{what}"), &Value::Null).await;
    assert!((200..300).contains(&answer.status), "{what}: {}", answer.body);
    it.rest().await;
}

/// A campaign to everybody behind these leads.
pub(crate) async fn campaigns(it: &Recorded, leads: &[String]) {
    it.publish(&[("campaign.yaml".to_owned(), DOCUMENT.to_owned())]).await;
    ask(it, "schedule").await;
    minutes(it, 6).await;
    ask(it, "pause").await;
    minutes(it, 12).await;
    ask(it, "resume").await;
    minutes(it, 3).await;
    let mails = it.stack.ses.list();
    let texts = mails.iter().filter_map(|mail| it.stack.ses.read(&mail.id));
    let link = texts.map(|text| String::from_utf8_lossy(&text).into_owned()).find_map(|text| {
        let rest = text.split_once("List-Unsubscribe: <")?.1;
        Some(rest.split_once('>')?.0.split_once("/u/")?.1.to_owned())
    });
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let path = format!("/u/{}", link.expect("a mail of the campaign"));
    let body = b"List-Unsubscribe=One-Click".to_vec();
    assert_eq!(it.send("POST", &path, "", &form, body).await.status, 200);
    let mut went_out = None;
    for lead in leads {
        let lead = it.call("GET", &format!("/api/leads/{lead}"), &Value::Null).await.body;
        let path = format!("/api/messages?customer={}", lead["customer"].as_str().unwrap_or_default());
        let listed = it.call("GET", &path, &Value::Null).await.body;
        let mut messages = listed["messages"].as_array().cloned().unwrap_or_default().into_iter();
        went_out = went_out
            .or_else(|| messages.find(|one| one["cause"]["kind"] == "campaign" && one["state"] == "sent"));
    }
    let message = went_out.expect("a message of the campaign that went out")["id"].clone();
    let to = "back@example.org";
    let bounce = json!({
        "eventType": "Bounce",
        "bounce": {
            "bounceType": "Permanent", "bouncedRecipients": [{ "emailAddress": to }],
            "timestamp": "2026-11-23T09:31:00Z", "feedbackId": "one",
        },
        "mail": { "messageId": "mail-9", "destination": [to], "tags": { "message": [message] } },
    });
    let body = sns::notification("9", &bounce.to_string());
    assert_eq!(it.send("POST", "/hooks/ses", "", &[], body.into_bytes()).await.status, 200);
    it.rest().await;
    minutes(it, 3).await;
    let shown = it.call("GET", "/api/campaigns/spring", &Value::Null).await.body;
    assert_eq!(shown["broadcasts"][0]["state"], "stopped", "{shown}");
}

/// The store beside the functions.
pub(crate) fn store(it: &Recorded) -> Store {
    let mut env = Environment::of_process();
    env.clock = Arc::new(it.stack.clock.clone());
    for (name, value) in [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", it.stack.addresses.dynamodb.as_str()),
        ("SLUICE_TABLE", named("Table").as_str()),
    ] {
        env.vars.insert(name.to_owned(), value.to_owned());
    }
    sluice_host::aws::store(&env).unwrap()
}
