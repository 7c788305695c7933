//! What staff asks for about messages: one to somebody, a trial, what became of one, and what somebody wants of them.

use super::console::{act, call, once};
use super::erase::{meanwhile, person};
use super::feedback::{by_bus, delivery, handed_over};
use super::messages::{ada, body, order};
use super::{Event, NOTED, Prepare, accept, lead_body, play};
use crate::faults::OFF;
use crate::world::{ADMIN_TOKEN, Name, World};
use serde_json::{Value, json};
use sluice_domain::id::CustomerId;
use sluice_domain::message::Handed;

/// Where messages are asked for.
const MESSAGES: &str = "/api/messages";
/// Where trials of the template are asked for.
const TRIALS: &str = "/api/templates/hello/test-send";

/// Somebody says no on the phone while a message to them is on its way.
pub(super) fn consents(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let no = json!({ "channel": "email", "topic": "product", "wish": "no", "note": "on the phone" });
        beside_a_message(world, "consents", &no).await
    })
}

/// Nothing is to be sent to any address of somebody, while a message to them is on its way.
pub(super) fn suppress(world: &mut World) -> Prepare<'_> {
    Box::pin(async { beside_a_message(world, "suppress", &json!({ "reason": "a wrong number" })).await })
}

async fn beside_a_message(
    world: &mut World,
    what: &str,
    said: &Value,
) -> (Event, Vec<(&'static str, String)>) {
    let customer = ada(world).await;
    let message = body(&order(world, &customer, "1"));
    (once(&format!("/api/customers/{customer}/{what}"), said), vec![("message", message)])
}

/// Messages may be sent again, while one is on its way.
pub(super) fn unsuppress(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let path = format!("/api/customers/{customer}");
        let before = act(ADMIN_TOKEN, &format!("{path}/suppress"), &json!({ "reason": "a wrong number" }));
        done(world, before).await;
        // Longer than the clock of a machine is off: what stands is what was said last.
        world.clock.advance(2 * OFF);
        let message = body(&order(world, &customer, "1"));
        let event = once(&format!("{path}/unsuppress"), &json!({ "reason": "it was right" }));
        (event, vec![("message", message)])
    })
}

/// A message is asked for, to a record that gives way to an older one meanwhile.
pub(super) fn message(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, both) = to_be_joined(world).await;
        (once(MESSAGES, &noted(&customer)), vec![("lead", both)])
    })
}

/// The same without a key: each call is another message.
pub(super) fn message_new(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, both) = to_be_joined(world).await;
        (call("POST", ADMIN_TOKEN, MESSAGES, &noted(&customer)), vec![("lead", both)])
    })
}

/// Somebody, and a lead by which they become one with another.
async fn to_be_joined(world: &mut World) -> (CustomerId, String) {
    let phone = ("phone", "+4930901820");
    let mail = ("email", "ada@example.org");
    let first = accept(world, "web", "1", &[phone], 0).await;
    let other = accept(world, "web", "2", &[mail], 0).await;
    play(world, &[&first, &other]).await;
    let lead = world.store().lead(&other).await.unwrap().unwrap();
    let customer = lead.progress.customer.unwrap();
    world.clock.advance(86_400_000);
    let both = accept(world, "web", "3", &[mail, phone], 0).await;
    (customer, lead_body(&both))
}

/// A message is asked for, to somebody who is erased meanwhile.
pub(super) fn erased(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        (once(MESSAGES, &noted(&customer)), vec![meanwhile(&customer)])
    })
}

fn noted(customer: &CustomerId) -> Value {
    let data = json!({ "note": "kanari" });
    json!({ "customer": customer, "template": NOTED, "topic": "product", "data": data })
}

/// A trial of a template, while its customer gets a message.
pub(super) fn test_send(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (asked, message) = trial(world).await;
        (call("POST", ADMIN_TOKEN, TRIALS, &asked), vec![("message", message)])
    })
}

/// The same under a key.
pub(super) fn test_send_once(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (asked, message) = trial(world).await;
        (once(TRIALS, &asked), vec![("message", message)])
    })
}

/// A trial as it is asked for, and a message to its customer.
async fn trial(world: &mut World) -> (Value, String) {
    let customer = ada(world).await;
    let message = body(&order(world, &customer, "1"));
    (json!({ "customer": customer, "to": "tester@example.com", "topic": "product" }), message)
}

/// Somebody has found out that a message went out of which nobody knew, while the provider says that it arrived.
pub(super) fn settle(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let message = handed_over(world, Handed::Unknown("no answer".to_owned())).await;
        let arrived = by_bus(&delivery(world, "mail-1", "ada@example.org", Some(&message)));
        let path = format!("/api/messages/{}/settle", message.id());
        (act(ADMIN_TOKEN, &path, &json!({ "went_out": true })), vec![("feedback", arrived)])
    })
}

/// The same where nobody but them says anything, while another message waits for this one's cap.
pub(super) fn settle_alone(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let message = handed_over(world, Handed::Unknown("no answer".to_owned())).await;
        let path = format!("/api/messages/{}/settle", message.id());
        let next = body(&order(world, &message.order.customer, "2"));
        (act(ADMIN_TOKEN, &path, &json!({ "went_out": true })), vec![("message", next)])
    })
}

/// A call was made before, and answered.
async fn done(world: &mut World, call: Event) {
    let Event::Http(post) = call else { unreachable!("a call is a request") };
    world.invoke(Name::Console, post.payload).await.unwrap().unwrap();
}
