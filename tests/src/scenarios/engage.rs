//! What recipients do by the links of a message that they got: open it, follow a link, say no, choose, confirm.

use super::erase::{asked as said, meanwhile, person};
use super::messages::{ada, body, order};
use super::{Event, POISON, Post, Prepare, accept_with, lead_body};
use crate::events::http_event;
use crate::wire::Headers;
use crate::world::{World, hash_keys, link_keys};
use serde_json::{Value, json};
use sluice_domain::customer::{Identity, IdentityKind};
use sluice_domain::gate::Wish;
use sluice_domain::id::CustomerId;
use sluice_domain::lead::ConsentProof;
use sluice_domain::link::{Link, Subject};
use sluice_domain::message::{Cause, CauseKind, Channel, Message, Order};
use sluice_domain::time::Timestamp;
use sluice_store::Written;

/// What is published for them.
pub(super) fn documents() -> Vec<Value> {
    vec![
        json!({ "kind": "topic", "name": "news", "consent": "double_opt_in", "confirm": "ask" }),
        json!({
            "kind": "template", "name": "linked", "subject": "Read",
            "html": "<a href=\"https://shop.example/a\">A</a> <a href=\"https://shop.example/b\">B</a>",
        }),
        json!({ "kind": "template", "name": "ask", "subject": "Really?", "text": "{{ link.confirm }}" }),
    ]
}

const ADA: &str = "ada@example.org";

/// A message that ada got eleven minutes ago, so that another may go out, and what its links are about.
pub(super) async fn got(world: &mut World) -> (CustomerId, Subject) {
    let customer = ada(world).await;
    let order = Order { template: "linked".to_owned(), ..order(world, &customer, "1") };
    world.send("message", &body(&order));
    world.settle(600_000).await.unwrap();
    world.deliveries = 0;
    world.clock.advance(660_000);
    (customer, about(ADA, &order))
}

fn about(email: &str, order: &Order) -> Subject {
    let identity = Identity::new(IdentityKind::Email, email.to_owned());
    let address = hash_keys().hashes(&identity).remove(0);
    Subject {
        message: order.id(),
        channel: Channel::Email,
        address,
        topic: order.topic.clone(),
        is_trial: false,
    }
}

/// A request by a link, made again until it is answered.
pub(super) fn request(method: &str, link: &Link, form: &str) -> Event {
    let headers = Headers::from([
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        (
            "user-agent".to_owned(),
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
        ),
    ]);
    let path = format!("/{}/{}", link.purpose().letter(), link_keys().mint(link));
    let payload = http_event(method, &path, &headers, form);
    let post = Post { payload, fields: Vec::new(), again: None, clash: None };
    Event::Http(Post { again: Some(Box::new(post.clone())), ..post })
}

pub(super) fn open(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, subject) = got(world).await;
        (request("GET", &Link::Open(subject.message), ""), Vec::new())
    })
}

/// It is opened in the moment in which its recipient says that they want no more.
pub(super) fn open_refused(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, subject) = got(world).await;
        let open = request("GET", &Link::Open(subject.message.clone()), "");
        let no = request("POST", &Link::Preferences(subject), "List-Unsubscribe=One-Click");
        (open, vec![said(no)])
    })
}

pub(super) fn click(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, subject) = got(world).await;
        (request("GET", &Link::Click(subject.message, 1), ""), Vec::new())
    })
}

/// One click, while another message is on its way.
pub(super) fn unsubscribe(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, subject) = got(world).await;
        let next = order(world, &customer, "2");
        let event = request("POST", &Link::Preferences(subject), "List-Unsubscribe=One-Click");
        (event, vec![("message", body(&next))])
    })
}

/// The page is saved: one topic less, another more.
pub(super) fn page(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, subject) = got(world).await;
        let next = order(world, &customer, "2");
        let form = "shown=product&shown=news&topic=news&save=yes";
        (request("POST", &Link::Preferences(subject), form), vec![("message", body(&next))])
    })
}

/// The button of the page that the question leads to.
pub(super) fn confirm(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let customer = ada(world).await;
        let question = asked(world, &customer, ADA).await;
        (request("POST", &Link::Confirm(about(ADA, &question)), "confirm=yes"), Vec::new())
    })
}

/// The same, while the person is erased.
pub(super) fn erased(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        const EMAIL: &str = "kanari@example.org";
        let (customer, _) = person(world).await;
        let question = asked(world, &customer, EMAIL).await;
        let event = request("POST", &Link::Confirm(about(EMAIL, &question)), "confirm=yes");
        (event, vec![meanwhile(&customer)])
    })
}

/// A question that went out a minute ago, after a yes.
async fn asked(world: &mut World, customer: &CustomerId, email: &str) -> Order {
    let at = Timestamp(world.clock.millis());
    let cause = Cause { kind: CauseKind::Confirmation, name: "news".to_owned(), part: "1".to_owned() };
    let order =
        Order { cause, template: "ask".to_owned(), topic: "news".to_owned(), ..order(world, customer, "1") };
    let store = world.store();
    let read = store.gates(&[(Channel::Email, vec![about(email, &order).address])]).await.unwrap().remove(0);
    let mut gate = read.gate.clone();
    gate.say("news", Wish::Yes, at);
    assert_eq!(store.update_gate(&read, &gate).await.unwrap(), Written::Done);
    let mut message = Message::new(order.clone(), serde_json::Map::new());
    message.to = Some(email.to_owned().into());
    assert_eq!(store.put_message(&message).await.unwrap(), Written::Done);
    world.send("message", &body(&order));
    world.settle(600_000).await.unwrap();
    world.deliveries = 0;
    world.clock.advance(60_000);
    order
}

/// A lead whose box was ticked for a topic that asks whether it was meant.
pub(super) fn question(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let ticked = ConsentProof { topic: "news".to_owned(), given: true, version: "1".to_owned() };
        let lead = accept_with(world, "web", "1", &[("email", ADA), ("name", "Ada")], 0, Some(ticked)).await;
        let bodies = vec![lead_body(&lead), POISON.to_owned()];
        (Event::Queue { queue: "lead", bodies }, Vec::new())
    })
}
