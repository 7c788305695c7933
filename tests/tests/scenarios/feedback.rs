//! What mail providers say: bounces and complaints stop what would go to the address, deliveries settle messages, and none
//! of it counts twice.

use crate::folder::{folders, strings, text};
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::customer::{HashKey, HashKeys, Identity, IdentityKind};
use sluice_domain::gate::{Gate, SuppressedBy};
use sluice_domain::identity::Email;
use sluice_domain::message::Channel;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::{POLICIES, Running, Setup};

const SES: &str = "/v2/email/outbound-emails";

/// The queue that events go to.
pub(crate) fn queue() -> String {
    named("FeedbackQueue")
}

/// The gate of an e-mail address, as the stack's own key names it.
pub(crate) async fn address(run: &Running, email: &str) -> Gate {
    let secret: Value =
        serde_json::from_str(&run.stack.secrets.value(&named("HashKeySecret")).unwrap()).unwrap();
    let key =
        HashKey::new(secret["version"].as_str().unwrap(), secret["current"].as_str().unwrap().as_bytes());
    let identity = Identity::new(IdentityKind::Email, Email::parse(email).unwrap().match_key());
    let hashes = HashKeys::new(key).hashes(&identity);
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), named("Table"));
    let store = sluice_host::aws::store(&env).unwrap();
    store.gates(&[(Channel::Email, hashes)]).await.unwrap().remove(0).gate
}

/// An event about a mail to one address: a hard bounce, a complaint of abuse, or a delivery.
pub(crate) fn told(kind: &str, mail: &str, to: &str) -> Value {
    let at = "2026-03-02T08:59:00.000Z";
    let detail = json!({
        "timestamp": at, "feedbackId": format!("{mail}-feedback"), "recipients": [to],
        "bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": to}],
        "complaintFeedbackType": "abuse", "complainedRecipients": [{"emailAddress": to}],
    });
    let mut event = json!({"eventType": kind, "mail": {"messageId": mail, "destination": [to]}});
    event[kind.to_lowercase()] = detail;
    event
}

/// The event, on the queue as EventBridge puts it there; waits until it is worked off.
async fn hear(run: &Running, event: &Value) {
    let body = json!({"detail-type": "Email Event", "source": "aws.ses", "detail": event}).to_string();
    run.stack.sqs.send(&queue(), OutgoingMessage::new(body)).unwrap();
    run.settle().await;
}

fn soft(mail: &str, to: &str, at: &str) -> Value {
    let mut event = told("Bounce", mail, to);
    event["bounce"]["bounceType"] = "Transient".into();
    event["bounce"]["timestamp"] = at.into();
    event
}

#[tokio::test]
async fn an_event_comes_by_eventbridge_or_by_sns_with_or_without_its_envelope_and_counts_once() {
    for folder in folders("ses_events_eventbridge") {
        let run = Setup::default().start().await;
        for case in &folder.cases {
            let (id, event, facts) = (text(&case["id"]), folder.json(case), &case["facts"]);
            let topic =
                json!({"Type": "Notification", "MessageId": "1", "Message": event["detail"].to_string()});
            let mut before = None;
            for body in [&event, &topic, &event["detail"], &event] {
                run.stack.sqs.send(&queue(), OutgoingMessage::new(body.to_string())).unwrap();
                run.settle().await;
                let table = run.table();
                assert_eq!(before.get_or_insert_with(|| table.clone()), &table, "{id} counted twice");
            }
            for recipient in strings(&facts["recipients"]) {
                let gate = address(&run, &recipient).await;
                if let Some(why) = facts["suppressed"].as_str() {
                    assert_eq!(gate.suppression().map(|(by, _)| by.name()), Some(why), "{id}");
                }
            }
        }
        let bounced = folder.json(&folder.cases[0]);
        let bounced = text(&bounced["detail"]["bounce"]["bouncedRecipients"][0]["emailAddress"]);
        let why = address(&run, &bounced).await.suppression().map(|(by, _)| by);
        assert_eq!(why, Some(SuppressedBy::HardBounce));
        run.finish().await;
    }
}

#[tokio::test]
async fn soft_bounces_suppress_when_there_are_too_many_within_the_time_and_a_delivery_forgives_them() {
    let settings = "kind: settings\nname: default\n";
    let limit = format!("{settings}messaging: {{ soft_bounces: {{ at_most: 3, within: 10d }} }}\n");
    let run = Setup::policies(POLICIES.replace(settings, &limit)).start().await;
    let why = async |to: &str| address(&run, to).await.suppression().map(|(by, _)| by);
    let (full, far) = ("full@reader.example", "far@reader.example");
    for (n, at) in ["02-20", "02-21", "02-20", "02-21"].into_iter().enumerate() {
        // The same two events, again and again.
        let mail = format!("m-{}", n % 2);
        hear(&run, &soft(&mail, full, &format!("2026-{at}T08:00:00Z"))).await;
    }
    assert_eq!(address(&run, full).await.soft_bounces.len(), 2);
    hear(&run, &soft("m-2", full, "2026-02-22T08:00:00Z")).await;
    assert_eq!(why(full).await, Some(SuppressedBy::SoftBounces));
    for (mail, day) in [("m-3", "01"), ("m-4", "02"), ("m-5", "20")] {
        hear(&run, &soft(mail, far, &format!("2026-02-{day}T08:00:00Z"))).await;
    }
    assert_eq!(why(far).await, None, "not within ten days");
    let mut arrived = told("Delivery", "m-6", far);
    arrived["delivery"]["timestamp"] = "2026-02-21T08:00:00Z".into();
    hear(&run, &arrived).await;
    hear(&run, &soft("m-7", far, "2026-02-22T08:00:00Z")).await;
    hear(&run, &soft("m-5", far, "2026-02-20T08:00:00Z")).await;
    assert_eq!(address(&run, far).await.soft_bounces.len(), 1);
    // An arrival does not bring a dead address back to life, nor does a bounce that comes late say more than it did.
    hear(&run, &told("Bounce", "m-8", far)).await;
    hear(&run, &told("Delivery", "m-9", far)).await;
    assert_eq!(why(far).await, Some(SuppressedBy::HardBounce));
    run.finish().await;
}

#[tokio::test]
async fn a_record_that_nobody_can_read_fails_alone_and_no_address_is_logged() {
    let run = Setup::default().start().await;
    let good = told("Bounce", "m-1", "gone@reader.example");
    let bodies = [
        json!({"detail-type": "Email Bounced", "detail": good}).to_string(),
        "Successfully validated SNS topic for Amazon SES event publishing.".to_owned(),
        json!({"hello": "somebody@reader.example"}).to_string(),
        "no JSON at all: somebody@reader.example".to_owned(),
        json!({"eventType": "Of tomorrow", "mail": {}}).to_string(),
    ];
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| json!({"messageId": n.to_string(), "body": body, "attributes": {}}))
        .collect();
    let answer = run.invoke("record-feedback", &json!({"Records": records})).await.unwrap();
    assert_eq!(answer["batchItemFailures"], json!([{"itemIdentifier": "2"}, {"itemIdentifier": "3"}]));
    assert!(address(&run, "gone@reader.example").await.suppression().is_some());
    run.finish().await;
}

const TEMPLATE: &str = "
---
kind: template
name: hello
subject: Hello
text: Hello {{ customer.email }}
---
kind: topic
name: product
";

/// A stack with one customer who has this address; the customer's id.
async fn with_customer(email: &str) -> (Running, String) {
    let run = Setup::policies(format!("{POLICIES}{}", TEMPLATE.trim_start())).start().await;
    let lead = run.lead(&[("email", email), ("first_name", "Ada")]).await;
    let customer = text(&run.show(&lead).await["customer"]);
    (run, customer)
}

/// A message to the customer once all is quiet, and what SES and the timers made of it.
async fn message(run: &Running, customer: &str) -> Value {
    let wanted = json!({"customer": customer, "template": "hello", "topic": "product"});
    let (status, answer) = run.api("POST", "/api/messages", Some(wanted)).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    show(run, answer["message_id"].as_str().unwrap()).await
}

async fn show(run: &Running, id: &str) -> Value {
    let (status, message) = run.api("GET", &format!("/api/messages/{id}"), None).await;
    assert_eq!(status, 200, "{message:#}");
    message
}

#[tokio::test]
async fn the_mailbox_simulator_shows_what_becomes_of_messages_from_end_to_end() {
    for (to, delivered, bounced, complained, stopped) in [
        ("success@simulator.amazonses.com", true, None, false, None),
        ("bounce+one@simulator.amazonses.com", false, Some("hard"), false, Some("suppressed")),
        ("suppressionlist@simulator.amazonses.com", false, Some("hard"), false, Some("suppressed")),
        ("complaint@simulator.amazonses.com", true, None, true, Some("suppressed")),
        ("ooto@simulator.amazonses.com", true, Some("soft"), false, None),
    ] {
        let (run, customer) = with_customer(to).await;
        let first = message(&run, &customer).await;
        assert_eq!(first["state"], "sent", "{to}: {first:#}");
        assert_eq!(first["delivered"].is_string(), delivered, "{to}: {first:#}");
        assert_eq!(first["bounced"]["kind"].as_str(), bounced, "{to}: {first:#}");
        assert_eq!(first["complained"].is_string(), complained, "{to}: {first:#}");
        let second = message(&run, &customer).await;
        assert_eq!(second["reason"].as_str(), stopped, "{to}: {second:#}");
        let state = if stopped.is_some() { "skipped" } else { "sent" };
        assert_eq!(second["state"], state, "{to}: {second:#}");
        let mails = run.mails().into_iter().filter(|(whom, _)| whom.iter().any(|one| one == to)).count();
        assert_eq!(mails, if stopped.is_some() { 1 } else { 2 }, "{to}");
        run.finish().await;
    }
}

#[tokio::test]
async fn a_message_of_which_nobody_knew_is_settled_by_what_the_provider_says_and_by_nothing_else() {
    let to = "ada@person.example";
    for (kind, state) in [("Delivery", "sent"), ("Complaint", "sent"), ("Reject", "failed"), ("Send", "sent")]
    {
        let (run, customer) = with_customer(to).await;
        run.refusals.refuse("send-message", SES, 1, (500, "InternalServiceErrorException"));
        let unknown = message(&run, &customer).await;
        assert_eq!(unknown["state"], "unknown", "{unknown:#}");
        let id = text(&unknown["id"]);
        // What is said of others is nothing to it.
        hear(&run, &told(kind, "of somebody else", "other@person.example")).await;
        let untagged = told("Delivery", "without a tag", to);
        hear(&run, &untagged).await;
        assert_eq!(show(&run, &id).await["state"], "unknown");
        let mut event = told(kind, "mail-7", to);
        event["mail"]["tags"] = json!({"message": [id]});
        hear(&run, &event).await;
        let settled = show(&run, &id).await;
        assert_eq!(settled["state"], state, "{kind}: {settled:#}");
        // What the provider would not send counts for no cap.
        let gates = run.table().into_iter().filter(|((pk, _), _)| pk.starts_with("gate#email"));
        let gates =
            gates.map(|(_, item)| serde_json::from_str::<Value>(item["d"]["S"].as_str().unwrap()).unwrap());
        let counted: usize = gates.filter_map(|gate| Some(gate["r"].as_array()?.len())).sum();
        assert_eq!(counted, usize::from(state == "sent"), "{kind}");
        // Once settled it stays so, whatever comes late.
        let mut late = told("Send", "mail-7", to);
        late["mail"]["tags"] = json!({"message": [id]});
        hear(&run, &late).await;
        hear(&run, &event).await;
        assert_eq!(show(&run, &id).await, settled);
        assert!(run.mails().iter().all(|(whom, _)| whom[0] != to), "it was not sent again");
        run.finish().await;
    }
}

#[tokio::test]
async fn who_leaves_a_list_of_the_providers_gets_no_more_of_it() {
    let to = "ada@person.example";
    let (run, customer) = with_customer(to).await;
    let leave = |everything: bool, at: &str| {
        json!({
            "eventType": "Subscription", "mail": {"messageId": "m-1", "destination": [to]},
            "subscription": {"timestamp": at, "newTopicPreferences": {
                "unsubscribeAll": everything,
                "topicSubscriptionStatus": [
                    {"topicName": "product", "subscriptionStatus": "OptOut"},
                    {"topicName": "offers", "subscriptionStatus": "OptIn"},
                ],
            }},
        })
    };
    hear(&run, &leave(false, "2026-03-02T08:00:00Z")).await;
    let stopped = message(&run, &customer).await;
    assert_eq!(
        (&stopped["state"], &stopped["reason"]),
        (&json!("skipped"), &json!("opted_out")),
        "{stopped:#}"
    );
    let gate = address(&run, to).await;
    assert_eq!(gate.wish("offers"), None, "that somebody wants something is no consent");
    hear(&run, &leave(true, "2026-03-02T08:30:00Z")).await;
    assert!(address(&run, to).await.wish("anything").is_some());
    run.finish().await;
}
