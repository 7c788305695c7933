//! Telling reps: once, with a link, signed, again after a refusal.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{Running, Setup};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const SES: &str = "/v2/email/outbound-emails";

#[tokio::test]
async fn an_owner_gets_one_mail_with_a_link_to_the_lead() {
    let run = Setup::default().start().await;
    let fields = [
        ("email", "ada@person.example"),
        ("first_name", "Ada"),
        ("last_name", "L\r\nBcc: x"),
        ("company", "Byron"),
    ];
    let lead = run.lead(&fields).await;
    let owner = run.show(&lead).await["owner"].as_str().unwrap().to_owned();
    let mails = run.mails();
    assert_eq!(mails.len(), 1);
    let (to, text) = &mails[0];
    assert_eq!(to, &[format!("{owner}@reps.example")]);
    let link = format!("{}/api/leads/{lead}", run.stack.addresses.url);
    assert!(text.contains(&link), "{text}");
    // Followed in a browser it asks for a token; the page itself says nothing of anybody.
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    for target in [
        format!("/api/leads/{lead}"),
        format!("/api/customers/{customer}"),
        "/api/campaigns/spring".to_owned(),
        "/api/policies/alert/quiet".to_owned(),
    ] {
        let page =
            run.send("GET", &target, &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")], b"").await;
        let html = String::from_utf8_lossy(&page.body).into_owned();
        assert_eq!(
            (page.status, html.contains("Your API token"), html.contains("person.example")),
            (200, true, false),
            "{target}"
        );
        assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
        let program = run.send("GET", &target, &[("accept", "application/json")], b"").await;
        program.is_problem(401, "token-missing");
    }
    assert!(text.contains("Subject: New lead: Ada"), "{text}");
    assert!(text.contains("Byron") && text.contains("ada@person.example"));
    let head = text.split("\r\n\r\n").next().unwrap();
    assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{head}");
    let messages = run.messages(&owner).await;
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(
        (&message["lead"], &message["channel"], &message["state"]),
        (&json!(lead), &json!("email"), &json!("sent"))
    );
    // Delivered once more by the queue: it went out already.
    let notice = json!({"lead": lead, "rep": owner, "kind": "assigned", "n": 1}).to_string();
    let record = json!({"messageId": "again", "body": notice});
    let answer = run.invoke("send-message", &json!({"Records": [record, record]})).await.unwrap();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn who_came_back_without_a_name_is_told_of_by_the_name_that_is_known() {
    let run = Setup::default().start().await;
    let ada = [("email", "ada@person.example"), ("first_name", "Ada"), ("last_name", "Lovelace")];
    run.lead(&[&ada[..], &[("company", "Byron")]].concat()).await;
    run.lead(&[("email", "ada@person.example"), ("about", "engines")]).await;
    let (_, text) = run.mails().pop().unwrap();
    assert!(text.contains("Subject: Came back: Ada Lovelace (contact)"), "{text}");
    assert!(text.contains("Name: Ada Lovelace") && text.contains("Company: Byron"), "{text}");
    // What the lead says itself comes first.
    run.lead(&[("email", "ada@person.example"), ("full_name", "Ada King"), ("about", "looms")]).await;
    let (_, text) = run.mails().pop().unwrap();
    assert!(text.contains("Subject: Came back: Ada King (contact)"), "{text}");
    run.finish().await;
}

async fn first_message(run: &Running) -> Value {
    let mut all = run.messages("ann").await;
    all.extend(run.messages("bo").await);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

/// Until the first attempt is over.
async fn tried(run: &Running) -> Value {
    loop {
        let mut all = run.messages("ann").await;
        all.extend(run.messages("bo").await);
        if let Some(message) = all.into_iter().find(|message| message["state"] != "claimed") {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_mail_refused_for_now_is_sent_later() {
    let run = Setup::default().start().await;
    run.refusals.refuse("send-message", SES, 2, (429, "TooManyRequestsException"));
    run.post("contact", &[("email", "slow@person.example")]).await.lead_id();
    let message = tried(&run).await;
    assert_eq!((&message["state"], &message["attempts"]), (&json!("ready"), &json!(1)), "{message:#}");
    assert!(run.mails().is_empty());
    run.stack.advance(Duration::from_secs(6));
    while first_message(&run).await["attempts"] != 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.pass(Duration::from_secs(34)).await;
    let message = first_message(&run).await;
    assert_eq!(
        (&message["state"], &message["attempts"], &message["unknown"]),
        (&json!("sent"), &json!(3), &json!(0))
    );
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn whoever_lost_the_lead_before_they_could_be_told_is_not_told() {
    let run = Setup::default().start().await;
    run.refusals.refuse("send-message", SES, 1, (429, "TooManyRequestsException"));
    let lead = run.post("contact", &[("email", "moved@person.example")]).await.lead_id();
    assert_eq!(tried(&run).await["state"], "ready");
    let (first, second) = if run.messages("ann").await.is_empty() { ("bo", "ann") } else { ("ann", "bo") };
    let (status, _) =
        run.api("POST", &format!("/api/leads/{lead}/reassign"), Some(json!({ "rep": second }))).await;
    assert_eq!(status, 200);
    run.pass(Duration::from_secs(6)).await;
    let late = &run.messages(first).await[0];
    assert_eq!(late["state"], "skipped", "{late:#}");
    assert!(late["note"].as_str().is_some_and(|note| note.starts_with("overtaken")), "{late:#}");
    assert_eq!(run.messages(second).await[0]["state"], "sent");
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_mail_whose_fate_is_unknown_is_shown_so_and_sent_again() {
    let run = Setup::default().start().await;
    run.refusals.refuse("send-message", SES, 1, (500, "InternalFailure"));
    run.post("contact", &[("email", "unknown@person.example")]).await.lead_id();
    let message = tried(&run).await;
    assert_eq!((&message["state"], &message["unknown"]), (&json!("unknown"), &json!(1)), "{message:#}");
    run.pass(Duration::from_secs(6)).await;
    let message = first_message(&run).await;
    assert_eq!(
        (&message["state"], &message["attempts"], &message["unknown"]),
        (&json!("sent"), &json!(2), &json!(1))
    );
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_mail_refused_for_good_has_failed_and_the_lead_is_not_held_up() {
    let run = Setup::default().start().await;
    run.refusals.refuse("send-message", SES, 1, (400, "MessageRejected"));
    let lead = run.lead(&[("email", "rejected@person.example")]).await;
    assert_eq!(run.show(&lead).await["state"], "assigned");
    let message = first_message(&run).await;
    assert_eq!(
        (&message["state"], &message["note"]),
        (&json!("failed"), &json!("MessageRejected")),
        "{message:#}"
    );
    run.finish().await;
}

const KEY: &str = "c2NlbmFyaW8tc2lnbmluZy1rZXktMDEyMzQ1Njc=";

#[tokio::test]
async fn a_webhook_is_signed_and_comes_again_under_the_same_id_until_it_is_taken() {
    let count = Arc::new(AtomicUsize::new(0));
    let asked = count.clone();
    let receiver = Fake::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => (503, json!({})),
        _ => (200, json!({})),
    });
    let receiver = receiver.await;
    let policies = format!(
        "kind: form\nname: contact\n---\nkind: rep\nname: hook\nwebhook:\n  url: {}/leads\n  secrets: [env:HOOK_SECRET]\n\
         ---\nkind: routing\nname: default\nrules:\n  - name: all\n    assign: {{ rep: hook }}\n",
        receiver.url
    );
    let run = Setup::policies(policies).var("HOOK_SECRET", format!("whsec_{KEY}")).start().await;
    let lead = run.post("contact", &[("email", "hook@person.example"), ("first_name", "Hu")]).await.lead_id();
    while receiver.seen().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while run.messages("hook").await[0]["state"] != "ready" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.pass(Duration::from_secs(6)).await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/leads"));
        let mut signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
        signed.extend_from_slice(request.body());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(KEY).unwrap());
        let signature = header("webhook-signature");
        let signature = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, &signed, &signature).expect("the signature is that of the body");
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!((&body["type"], &body["data"]["lead"]), (&json!("lead.assigned"), &json!(lead)));
        assert_eq!(body["data"]["email"], "hook@person.example");
        assert_eq!(body["data"]["link"], format!("{}/api/leads/{lead}", run.stack.addresses.url));
    }
    assert_eq!(seen[0].headers()["webhook-id"], seen[1].headers()["webhook-id"]);
    let message = &run.messages("hook").await[0];
    assert_eq!(
        (&message["state"], &message["attempts"], &message["channel"]),
        (&json!("sent"), &json!(2), &json!("webhook"))
    );
    run.finish().await;
}

#[tokio::test]
async fn a_rep_without_mailbox_or_webhook_is_shown_as_not_told() {
    let policies = "kind: form\nname: contact\n---\nkind: rep\nname: mute\n---\nkind: routing\nname: default\n\
                    rules:\n  - name: all\n    assign: { rep: mute }\n";
    let run = Setup::policies(policies).start().await;
    run.lead(&[("email", "mute@person.example")]).await;
    let message = &run.messages("mute").await[0];
    assert_eq!((&message["state"], &message["channel"]), (&json!("skipped"), &json!("none")), "{message:#}");
    assert!(message["note"].as_str().is_some_and(|why| why.contains("neither")));
    run.finish().await;
}
