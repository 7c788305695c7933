//! What a mail provider says: of messages we know and of mails we do not, by EventBridge and by SNS.

use super::messages::{ada, order};
use super::{Event, Headers, POISON, Post, Prepare, http_event};
use crate::heard::keys_of;
use crate::sns;
use crate::world::World;
use serde_json::{Map, Value, json};
use sluice_domain::customer::{Identity, IdentityKind};
use sluice_domain::message::{Channel, Handed, Message, OnUnknown};
use sluice_domain::time::Timestamp;
use sluice_store::{Commit, Written};

/// What is published for them.
pub(super) fn documents() -> Vec<Value> {
    vec![
        json!({ "kind": "source", "name": "ses", "type": "sns", "auth": "signature", "topics": [sns::TOPIC] }),
        json!({
            "kind": "settings", "name": "default", "escalate_to": ["boss"],
            "messaging": { "soft_bounces": { "at_most": 3, "within": "30d" } },
        }),
    ]
}

/// A mail of this kind, at this many seconds after the world begins.
fn event(world: &World, kind: &str, mail: &str, to: &str, message: Option<&Message>, detail: Value) -> Value {
    let at = Timestamp(world.clock.millis()).rfc3339();
    let mut tags = json!({ "ses:configuration-set": ["mail"] });
    if let Some(message) = message {
        tags["message"] = json!([message.id()]);
    }
    let name = kind[..1].to_lowercase() + &kind[1..];
    let mut event = json!({
        "eventType": kind,
        "mail": { "messageId": mail, "timestamp": at, "destination": [to], "tags": tags },
    });
    event[name] = detail;
    event[kind[..1].to_lowercase() + &kind[1..]]["timestamp"] = at.into();
    event
}

fn bounce(world: &World, kind: &str, mail: &str, to: &str, message: Option<&Message>) -> Value {
    let detail = json!({
        "bounceType": kind, "bouncedRecipients": [{ "emailAddress": to }], "feedbackId": format!("{mail}-feedback"),
    });
    event(world, "Bounce", mail, to, message, detail)
}

fn complaint(world: &World, kind: &str, mail: &str, to: &str, message: Option<&Message>) -> Value {
    let detail = json!({
        "complainedRecipients": [{ "emailAddress": to }], "complaintFeedbackType": kind,
        "feedbackId": format!("{mail}-complaint"),
    });
    event(world, "Complaint", mail, to, message, detail)
}

pub(super) fn delivery(world: &World, mail: &str, to: &str, message: Option<&Message>) -> Value {
    event(world, "Delivery", mail, to, message, json!({ "recipients": [to] }))
}

/// As EventBridge puts it on the queue.
pub(super) fn by_bus(event: &Value) -> String {
    json!({ "detail-type": "Email Event", "source": "aws.ses", "id": "1", "detail": event }).to_string()
}

/// As SNS puts it on the queue.
fn by_topic(event: &Value) -> String {
    json!({ "Type": "Notification", "MessageId": "1", "Message": event.to_string() }).to_string()
}

/// A message to Ada that was handed over, with what the sender knows of it.
pub(super) async fn handed_over(world: &mut World, handed: Handed) -> Message {
    let customer = ada(world).await;
    let now = Timestamp(world.clock.millis());
    let hashes = keys_of(world).hashes(&Identity::new(IdentityKind::Email, "ada@example.org".to_owned()));
    let store = world.store();
    let gate = store.gates(&[(Channel::Email, hashes)]).await.unwrap().remove(0);
    let mut message = Message::new(order(world, &customer, "1"), Map::new());
    message.claim(now, "sender".to_owned(), gate.address().unwrap().clone());
    let mut counted = gate.gate.clone();
    counted.claimed(now);
    let commit = Commit::default().message(message.clone()).gate(gate, counted);
    assert_eq!(store.commit(commit).await.unwrap(), Written::Done);
    message.version += 1;
    message.settle(handed, OnUnknown::Hold, now);
    assert_eq!(store.put_message(&message).await.unwrap(), Written::Done);
    world.ground.observed().handed.insert(("email", message.id().to_string()), 1);
    world.clock.advance(5_000);
    message
}

/// A hard bounce of a message, by both ways, and soft ones of mails that nobody here knows: one short of too many, one of
/// them told twice.
pub(super) fn bounced(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let message = handed_over(world, Handed::Sent("mail-1".to_owned())).await;
        let hard = bounce(world, "Permanent", "mail-1", "ada@example.org", Some(&message));
        let soft = |mail: &str| bounce(world, "Transient", mail, "grace@example.org", None);
        let bodies = vec![by_bus(&hard), POISON.to_owned(), by_topic(&soft("a")), by_bus(&soft("a"))];
        (
            Event::Queue { queue: "feedback", bodies },
            vec![("feedback", by_topic(&hard)), ("feedback", by_topic(&soft("b")))],
        )
    })
}

/// As many soft bounces as are too many, at once, after the hash key was rotated.
pub(super) fn bounced_softly(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let soft =
            |world: &World, mail: &str| by_bus(&bounce(world, "Transient", mail, "grace@example.org", None));
        world.send("feedback", &soft(world, "a"));
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        world.rotate();
        let bodies = vec![soft(world, "b"), soft(world, "a")];
        (Event::Queue { queue: "feedback", bodies }, vec![("feedback", soft(world, "c"))])
    })
}

/// Ada calls a message spam; somebody else takes one out of the spam folder; of a third it is only said that it arrived.
pub(super) fn complained(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let message = handed_over(world, Handed::Sent("mail-1".to_owned())).await;
        let spam = complaint(world, "abuse", "mail-1", "ada@example.org", Some(&message));
        let arrived = delivery(world, "mail-1", "ada@example.org", Some(&message));
        let kind = complaint(world, "not-spam", "mail-2", "grace@example.org", None);
        let bodies = vec![by_bus(&spam), by_bus(&kind)];
        (
            Event::Queue { queue: "feedback", bodies },
            vec![("feedback", by_bus(&arrived)), ("feedback", by_topic(&spam))],
        )
    })
}

/// Nobody knows whether a message went out, until the provider says that it arrived.
pub(super) fn delivered_unknown(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let message = handed_over(world, Handed::Unknown("no answer".to_owned())).await;
        let arrived = delivery(world, "mail-1", "ada@example.org", Some(&message));
        let sent = event(world, "Send", "mail-1", "ada@example.org", Some(&message), json!({}));
        let bodies = vec![by_bus(&arrived), by_bus(&sent)];
        (Event::Queue { queue: "feedback", bodies }, vec![("feedback", by_topic(&arrived))])
    })
}

fn hook(body: String) -> (Event, Vec<(&'static str, String)>) {
    let headers = Headers::from([("content-type".to_owned(), "text/plain; charset=UTF-8".to_owned())]);
    let payload = http_event("POST", "/hooks/ses", &headers, &body);
    let post = Post { payload, fields: Vec::new(), again: None, clash: None };
    (Event::Http(Post { again: Some(Box::new(post.clone())), ..post }), Vec::new())
}

/// SNS posts a bounce, for the first time, so that its certificate is fetched.
pub(super) fn hooked(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let bounce = bounce(world, "Permanent", "mail-9", "grace@example.org", None);
        hook(sns::notification("n-1", &bounce.to_string()))
    })
}

/// SNS asks whether the address is ours.
pub(super) fn subscribed(_: &mut World) -> Prepare<'_> {
    Box::pin(async { hook(sns::confirmation("n-2")) })
}
