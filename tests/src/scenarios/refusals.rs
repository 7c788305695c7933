//! Messages on their way while their recipient says no, or is erased. Another message is on its queue behind each.

use super::console::act;
use super::engage::{got, request};
use super::erase::{asked, meanwhile, person};
use super::messages::{ada, body, order};
use super::{Event, Post, Prepare, accept, play};
use crate::events::http_event;
use crate::wire::Headers;
use crate::world::{ADMIN_TOKEN, Name, World};
use serde_json::{Value, json};
use sluice_domain::id::CustomerId;
use sluice_domain::link::Link;
use sluice_domain::message::{Channel, Message, OnUnknown, Order};
use sluice_store::Written;

/// By the button of the mail program, in an earlier message.
pub(super) fn one_click(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, subject) = got(world).await;
        let no = request("POST", &Link::Preferences(subject), "List-Unsubscribe=One-Click");
        let message = order(world, &customer, "2");
        let stored = Message::new(message.clone(), serde_json::Map::new());
        assert_eq!(world.store().put_message(&stored).await.unwrap(), Written::Done);
        on_its_way("message", [message, order(world, &customer, "3")], asked(no))
    })
}

/// On the preference page, to a campaign.
pub(super) fn page(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, subject) = got(world).await;
        let form = "shown=product&shown=news&topic=news&save=yes";
        let no = request("POST", &Link::Preferences(subject), form);
        let bulk = |part| Order { bulk: true, ..order(world, &customer, part) };
        on_its_way("bulk", [bulk("2"), bulk("3")], asked(no))
    })
}

/// On the phone, of what is rather sent twice than never.
pub(super) fn by_staff(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let no =
            staff(&customer, "consents", &json!({ "channel": "email", "topic": "product", "wish": "no" }));
        let often = |part| Order { unknown: Some(OnUnknown::Resend), ..order(world, &customer, part) };
        on_its_way("message", [often("1"), often("2")], asked(no))
    })
}

/// Staff suppresses all addresses, of somebody who gets an SMS.
pub(super) fn suppressed(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let no = staff(&customer, "suppress", &json!({ "reason": "a wrong number" }));
        let sms = |part| {
            let template = "hello-sms".to_owned();
            Order { channel: Channel::Sms, template, ..order(world, &customer, part) }
        };
        on_its_way("message", [sms("1"), sms("2")], asked(no))
    })
}

/// The person is erased.
pub(super) fn erased(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        let message = order(world, &customer, "1");
        let data = [("note".to_owned(), Value::from("kanari"))];
        let stored = Message::new(message.clone(), data.into_iter().collect());
        assert_eq!(world.store().put_message(&stored).await.unwrap(), Written::Done);
        on_its_way("message", [message, order(world, &customer, "2")], meanwhile(&customer))
    })
}

/// Who said no is found to be somebody else as well, who has not: by neither address does anything go to them.
pub(super) fn merged(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (stays, gives_way) = two(world).await;
        let merge = act(ADMIN_TOKEN, &format!("/api/customers/{gives_way}/merge"), &json!({ "with": stays }));
        let orders = ["2", "3"].map(|part| order(world, &gives_way, part));
        on_its_way("message", orders, asked(merge))
    })
}

/// The two are found to be two after all: whoever said no has not changed their mind.
pub(super) fn unmerged(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (stays, gives_way) = two(world).await;
        let path = format!("/api/customers/{gives_way}/merge");
        said(world, act(ADMIN_TOKEN, &path, &json!({ "with": stays }))).await;
        let unmerge = act(ADMIN_TOKEN, &format!("/api/customers/{gives_way}/unmerge"), &json!({}));
        let orders = ["2", "3"].map(|part| order(world, &gives_way, part));
        on_its_way("message", orders, asked(unmerge))
    })
}

/// Two customers, of whom the second, who would give way to the first, has said no: from then on nothing goes to them.
async fn two(world: &mut World) -> (CustomerId, CustomerId) {
    let mut customers = Vec::new();
    for (key, email) in [("1", "ada@example.net"), ("2", "ada@example.org")] {
        // A phone that two e-mail addresses come with makes nobody one by itself.
        let fields = [("email", email), ("phone", "+4930901820")];
        let lead = accept(world, "web", key, &fields, 0).await;
        play(world, &[&lead]).await;
        customers.extend(world.store().lead(&lead).await.unwrap().unwrap().progress.customer);
        world.clock.advance(60_000);
    }
    let [stays, gives_way] = customers.try_into().unwrap();
    let no = json!({ "channel": "email", "topic": "product", "wish": "no" });
    said(world, staff(&gives_way, "consents", &no)).await;
    world.ground.observed().refused = true;
    (stays, gives_way)
}

/// What people asked for, and were told is done.
async fn said(world: &mut World, act: Event) {
    let (_, payload) = asked(act);
    let answer = world.invoke(Name::Console, payload.into()).await.unwrap().unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    world.settle(600_000).await.unwrap();
    world.deliveries = 0;
}

/// What staff writes down for a customer, once however often it is asked.
fn staff(customer: &CustomerId, what: &str, body: &Value) -> Event {
    let headers = Headers::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        ("authorization".to_owned(), format!("Bearer {ADMIN_TOKEN}")),
        ("idempotency-key".to_owned(), "call".to_owned()),
    ]);
    let payload =
        http_event("POST", &format!("/api/customers/{customer}/{what}"), &headers, &body.to_string());
    Event::Http(Post { payload, fields: Vec::new(), again: None, clash: None })
}

fn on_its_way(
    queue: &'static str,
    [first, next]: [Order; 2],
    no: (&'static str, String),
) -> (Event, Vec<(&'static str, String)>) {
    (Event::Queue { queue, bodies: vec![body(&first)] }, vec![(queue, body(&next)), no])
}
