//! Messages to customers.

use super::company::publish_more;
use super::{Event, MEANWHILE, POISON, Prepare, accept, play};
use crate::events::queue_event;
use crate::wire::text;
use crate::world::World;
use serde_json::{Value, json};
use sluice_domain::id::CustomerId;
use sluice_domain::message::{Cause, CauseKind, Channel, Message, OnUnknown, Order, Otherwise, Replacement};
use sluice_domain::time::Timestamp;
use sluice_store::Written;
use sluice_wire::queue::{OrderMessage, encode};

/// The template of messages that staff ask for, of which nothing can be sent without what is said in it.
pub(crate) const NOTED: &str = "noted";

/// What is published for them. The provider of SMS is the receiver of webhooks.
pub(super) fn documents() -> Vec<Value> {
    vec![
        json!({ "kind": "topic", "name": "product" }),
        json!({ "kind": "channel", "name": "email", "via": "ses", "caps": [{ "at_most": 1, "within": "10m" }] }),
        json!({
            "kind": "channel", "name": "sms", "via": "webhook",
            "webhook": {
                "url": "https://hook.test/in", "secrets": ["secret:hook"],
                "body": { "to": "{{ to }}", "text": "{{ text }}" },
            },
        }),
        json!({
            "kind": "template", "name": "hello", "subject": "Hello", "text": "Hello {{ customer.email }}",
            "html": "<p>Hello {{ customer.email }}</p>",
        }),
        json!({ "kind": "template", "name": NOTED, "subject": "Hello", "text": "Hello {{ data.note }}" }),
        json!({
            "kind": "template", "name": "hello-sms", "channel": "sms", "text": "Hello {{ customer.email }}",
            "defaults": { "customer.email": "you" },
        }),
    ]
}

/// A person with an address and a phone, and what is asked for.
pub(super) async fn ada(world: &mut World) -> CustomerId {
    let fields = [("email", "ada@example.org"), ("phone", "+4930901820")];
    let lead = accept(world, "web", "1", &fields, 0).await;
    play(world, &[&lead]).await;
    let items = world.rows();
    let customer = items.iter().find(|item| text(item, "sk") == "c").map(|item| text(item, "pk").to_owned());
    CustomerId::parse(&customer.unwrap()).unwrap()
}

pub(super) fn order(world: &World, customer: &CustomerId, part: &str) -> Order {
    let cause = Cause { kind: CauseKind::Api, name: "hello".to_owned(), part: part.to_owned() };
    let now = Timestamp(world.clock.millis());
    Order::new(customer.clone(), now, cause, Channel::Email, "hello", "product")
}

pub(super) fn body(order: &Order) -> String {
    encode(&OrderMessage::new(order.clone()))
}

/// A stored message and one that only its queue holds; the second has to wait for the first's cap.
pub(super) fn email(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let one = order(world, &customer, "1");
        let stored = Message::new(one.clone(), serde_json::Map::new());
        assert_eq!(world.store().put_message(&stored).await.unwrap(), Written::Done);
        let two = order(world, &customer, "2");
        let bodies = vec![body(&one), POISON.to_owned()];
        (Event::Queue { queue: "message", bodies }, vec![("message", body(&two))])
    })
}

/// Two at once for one address, of which one has to wait.
pub(super) fn capped(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let bodies = ["1", "2"].map(|part| body(&order(world, &customer, part))).to_vec();
        (Event::Queue { queue: "bulk", bodies }, Vec::new())
    })
}

/// A mail, and in the midst of it an SMS: one message within ten minutes is as many as may be over all channels.
pub(super) fn capped_overall(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let settings = json!({
            "kind": "settings", "name": "default", "escalate_to": ["boss"],
            "messaging": { "caps": [{ "at_most": 1, "within": "10m" }] },
        });
        publish_more(world, vec![settings]).await;
        // As long as functions go by what they know.
        world.clock.advance(3_000);
        let mail = order(world, &customer, "1");
        let template = "hello-sms".to_owned();
        let sms = Order { channel: Channel::Sms, template, ..order(world, &customer, "2") };
        world.send("message", &body(&sms));
        let taken = world.receive("message", 1);
        let handles: Vec<&str> = taken.iter().map(|message| message.receipt_handle.as_str()).collect();
        world.queues.delete_batch("message", &handles).unwrap();
        let sms = String::from_utf8(queue_event(&taken).to_vec()).unwrap();
        let bodies = vec![body(&mail), POISON.to_owned()];
        (Event::Queue { queue: "message", bodies }, vec![(MEANWHILE, sms)])
    })
}

/// Better twice than never.
pub(super) fn resent(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let order = Order { unknown: Some(OnUnknown::Resend), ..order(world, &customer, "1") };
        (Event::Queue { queue: "message", bodies: vec![body(&order)] }, Vec::new())
    })
}

/// At the cap an SMS goes out instead.
pub(super) fn replaced(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let first = order(world, &customer, "1");
        world.send("message", &body(&first));
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        let replacement = Replacement { channel: Channel::Sms, template: "hello-sms".to_owned() };
        let second = order(world, &customer, "2");
        let second = Order { at_cap: Some(Otherwise::Replace), replacement: Some(replacement), ..second };
        (Event::Queue { queue: "message", bodies: vec![body(&second)] }, Vec::new())
    })
}
