//! The part of the permissions' workload that is one person's: asked, written to up to a limit and beyond it, told of what came back,
//! and erased.

use crate::stack::Recorded;
use serde_json::{Value, json};
use sluice_tests::sns;
use std::time::Duration;

/// Waits until a message is in that state.
async fn stands(it: &Recorded, message: &str, wanted: &str) {
    let mut shown = Value::Null;
    for _ in 0..1_000 {
        shown = it.call("GET", &format!("/api/messages/{message}"), &Value::Null).await.body;
        if shown["state"] == wanted {
            it.rest().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {wanted}: {shown}");
}

/// A person who is asked whether they meant it, written to more often than may be at once, says no by a link, and is erased.
pub(crate) async fn messages(it: &Recorded) {
    let fields = json!({ "email": "pat@example.org", "phone": "+4930901999", "news": "yes" });
    let answer = it.call("POST", "/f/club", &fields).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    it.rest().await;
    let lead = answer.body["lead_id"].as_str().unwrap();
    let lead = it.call("GET", &format!("/api/leads/{lead}"), &Value::Null).await.body;
    let customer = lead["customer"].as_str().unwrap_or_else(|| panic!("no customer: {lead}"));
    // Two are to go in a minute, and the question was the first.
    for (bulk, stands_then) in [(false, "sent"), (false, "ready"), (true, "ready")] {
        let wanted = json!({ "customer": customer, "template": "hello", "topic": "news", "bulk": bulk });
        let answer = it.call("POST", "/api/messages", &wanted).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        let message = answer.body["message_id"].as_str().unwrap_or_else(|| panic!("{}", answer.body));
        stands(it, message, stands_then).await;
        it.stack.advance(Duration::from_secs(1));
    }
    for _ in 0..3 {
        it.stack.advance(Duration::from_secs(61));
        it.rest().await;
    }
    let mails = it.stack.ses.list();
    let mails = mails.iter().filter_map(|mail| it.stack.ses.read(&mail.id));
    let texts = mails.map(|text| String::from_utf8_lossy(&text).into_owned()).collect::<Vec<_>>();
    let link = texts.iter().find_map(|text| {
        let rest = text.split_once("List-Unsubscribe: <")?.1;
        Some(rest.split_once('>')?.0.split_once("/u/")?.1.to_owned())
    });
    let link = link.unwrap_or_else(|| panic!("no mail with a link among {}", texts.len()));
    let listed = it.call("GET", &format!("/api/messages?customer={customer}"), &Value::Null).await.body;
    let message = &listed["messages"][0]["id"];
    assert!(message.is_string(), "{listed}");
    let delivery = json!({
        "eventType": "Delivery",
        "delivery": { "recipients": ["pat@example.org"], "timestamp": "2026-03-02T09:00:01Z" },
        "mail": { "messageId": "mail-2", "destination": ["pat@example.org"], "tags": { "message": [message] } },
    });
    let body = sns::notification("2", &delivery.to_string());
    assert_eq!(it.send("POST", "/hooks/ses", "", &[], body.into_bytes()).await.status, 200);
    it.rest().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = b"List-Unsubscribe=One-Click".to_vec();
    assert_eq!(it.send("POST", &format!("/u/{link}"), "", &form, body).await.status, 200);
    crate::dead_letters::about(it, "pat@example.org");
    let erased = it.call("DELETE", &format!("/api/customers/{customer}"), &Value::Null).await;
    assert_eq!(erased.status, 202, "{}", erased.body);
    it.rest().await;
}
