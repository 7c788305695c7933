//! A person is erased: asked for, worked off, and at the moment at which something about them is on its way.

use super::console::{act, call};
use super::{Event, MEANWHILE, POISON, Post, Prepare, accept, enrich_body, form_post, lead_body, play};
use crate::events::queue_event;
use crate::world::{ADMIN_TOKEN, Name, World};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sluice_domain::event::{Event as Happening, EventKind, Happened, Ids, Who};
use sluice_domain::feedback::{Bounce, Feedback, Kind};
use sluice_domain::id::{CustomerId, EventId, LeadId};
use sluice_domain::identity::Email;
use sluice_domain::lead::MarkKind;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;
use sluice_store::Mark;
use sluice_wire::queue::{EraseMessage, EventMessage, FeedbackMessage, encode};

const MAIL: (&str, &str) = ("email", "kanari@example.org");
const PHONE: (&str, &str) = ("phone", "+4930901899");
const NAME: (&str, &str) = ("name", "Kanari");

/// Joined from two records, in touch with somebody, with a lead that waits for room and one that is on its way.
pub(super) fn ask(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        let next = accept(world, "web", "9", &[MAIL, ("note", "kanari again")], 600).await;
        let took = world.clock.millis();
        (taken_at(took, delete(&customer)), vec![("lead", lead_body(&next))])
    })
}

/// The same, named by the record that gave way.
pub(super) fn work(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        let next = accept(world, "web", "9", &[PHONE, NAME], 600).await;
        let body = begin(world, &customer).await;
        let bodies = vec![body, POISON.to_owned()];
        (Event::Queue { queue: "erase", bodies }, vec![("lead", lead_body(&next))])
    })
}

/// A lead that was on its way is found to be too late, while it is brought again.
pub(super) fn late(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        let next = accept(world, "web", "9", &[MAIL, ("phone", "+4930901898"), NAME], 600).await;
        let body = begin(world, &customer).await;
        world.send("erase", &body);
        // Room has come free, and somebody else has it now.
        for (queue, name) in [("erase", Name::Erase), ("lead", Name::Route), ("notice", Name::Send)] {
            deliver(world, queue, name).await;
        }
        let late = encode(&EraseMessage::Lead(next.clone()));
        (
            Event::Queue { queue: "erase", bodies: vec![late, POISON.to_owned()] },
            vec![("lead", lead_body(&next))],
        )
    })
}

/// What nobody could take of the person lies among the dead letters: an event with one of somebody else, and a bounce of both.
pub(super) fn dead_letters(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        let events = vec![
            identify(world, "person77701", MAIL.1, "Kanari"),
            identify(world, "grace-1", "grace@example.org", "Grace"),
        ];
        let bounce = Feedback {
            message: None,
            mail: "mail-1".to_owned(),
            event: "bounce-1".to_owned(),
            kind: Kind::Bounce(Bounce::Permanent),
            at: Some(Timestamp(world.clock.millis())),
            recipients: [MAIL.1, "joan@example.org"].map(|to| Email::parse(to).unwrap()).to_vec(),
        };
        world.clock.advance(1_000);
        let body = begin(world, &customer).await;
        let dead = vec![
            ("event-dead", encode(&EventMessage::Events(events))),
            ("feedback-dead", encode(&FeedbackMessage::Event(bounce))),
        ];
        (Event::Queue { queue: "erase", bodies: vec![body, POISON.to_owned()] }, dead)
    })
}

/// Somebody says who they are.
fn identify(world: &World, user: &str, email: &str, name: &str) -> Happened {
    let at = Timestamp(world.clock.millis());
    let traits = [("email".to_owned(), email.into()), ("name".to_owned(), name.into())];
    Happened {
        who: Who::Ids(Ids { user: Some(user.to_owned().into()), ..Ids::default() }),
        event: Happening {
            id: EventId::derived(&["site", user]),
            kind: EventKind::Identify,
            name: String::new(),
            source: "site".to_owned(),
            at,
            received: at,
            properties: Pii::default(),
            traits: Pii::new(Map::from_iter(traits)),
            context: Pii::default(),
        },
    }
}

/// One lead of a person who has others is withdrawn, while a further one is on its way.
pub(super) fn withdrawn(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let grace = ("email", "grace@example.org");
        let mut leads = Vec::new();
        for (at, form, fields) in [
            ("1", "web", &[grace, ("name", "Grace")][..]),
            ("2", "tight", &[grace, PHONE, NAME, ("company", "kanari mills")]),
        ] {
            leads.push(accept(world, form, at, fields, 600).await);
            play(world, &[&leads[leads.len() - 1]]).await;
            world.clock.advance(86_400_000);
        }
        let later = accept(world, "web", "3", &[grace, ("note", "once more")], 0).await;
        play(world, &[&later]).await;
        world.clock.advance(86_400_000);
        let next = accept(world, "web", "9", &[grace, ("note", "and again")], 0).await;
        (withdraw(world, &leads[1]).await, vec![("lead", lead_body(&next))])
    })
}

/// The only lead of a person is withdrawn, while it is brought again.
pub(super) fn withdrawn_only(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lead = accept(world, "tight", "1", &[MAIL, PHONE, NAME], 600).await;
        play(world, &[&lead]).await;
        (withdraw(world, &lead).await, vec![("lead", lead_body(&lead))])
    })
}

async fn withdraw(world: &World, lead: &LeadId) -> Event {
    let mark = Mark { kind: MarkKind::Withdrawn, at: Timestamp(world.clock.millis()) };
    world.store().put_mark(lead, mark).await.unwrap();
    let body = encode(&EraseMessage::Withdrawn(lead.clone()));
    Event::Queue { queue: "erase", bodies: vec![body, POISON.to_owned()] }
}

/// A lead of a new address joins the person, who is erased in the midst of it.
pub(super) fn route(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, _) = person(world).await;
        world.clock.advance(86_400_000);
        let next = accept(world, "web", "9", &[("external_id", "person77701"), PHONE, NAME], 600).await;
        let bodies = vec![lead_body(&next)];
        (Event::Queue { queue: "lead", bodies }, vec![meanwhile(&customer)])
    })
}

/// A lead by which the person comes to be, and who is erased as soon as that is known.
pub(super) fn route_new(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let next = accept(world, "web", "9", &[MAIL, PHONE, NAME], 600).await;
        let customer = CustomerId::derived(&[next.as_str()]);
        let bodies = vec![lead_body(&next)];
        (Event::Queue { queue: "lead", bodies }, vec![meanwhile(&customer)])
    })
}

/// A form's post under a key comes again, large, while the person whom the first one brought is erased.
pub(super) fn capture(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let note = format!("kanari {}", "n".repeat(600));
        let post = form_post(Some("one"), &[MAIL, ("note", &note)]);
        world.invoke(Name::Capture, post.payload.clone()).await.unwrap().unwrap();
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        let lead = LeadId::derived(&["form", "web", "one"]);
        let customer = CustomerId::derived(&[lead.as_str()]);
        let again = Some(Box::new(post.clone()));
        (Event::Http(Post { again, ..post }), vec![meanwhile(&customer)])
    })
}

/// What was announced is fetched, large, and its person is erased as soon as there is one.
pub(super) fn enrich(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lead = accept(world, "ads", "77701", &[], 600).await;
        let customer = CustomerId::derived(&[lead.as_str()]);
        (Event::Queue { queue: "enrich", bodies: vec![enrich_body(&lead)] }, vec![meanwhile(&customer)])
    })
}

/// Somebody writes down a further contact.
pub(super) fn contact(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (customer, lead) = person(world).await;
        let body = json!({ "channel": "phone", "key": "two", "note": "kanari called back" });
        (act(ADMIN_TOKEN, &format!("/api/leads/{lead}/contacts"), &body), vec![meanwhile(&customer)])
    })
}

/// The live record of a person, and a lead that has its owner.
pub(super) async fn person(world: &mut World) -> (CustomerId, LeadId) {
    let mail = accept(world, "tight", "1", &[MAIL, NAME], 600).await;
    let phone = accept(world, "web", "2", &[PHONE], 0).await;
    let other = accept(world, "tight", "3", &[("email", "grace@example.org")], 0).await;
    let full = accept(world, "tight", "4", &[("email", "joan@example.org")], 0).await;
    play(world, &[&mail, &phone, &other, &full]).await;
    let joins = accept(world, "web", "5", &[MAIL, PHONE, ("note", "kanari")], 0).await;
    play(world, &[&joins]).await;
    let Event::Http(post) = act(
        ADMIN_TOKEN,
        &format!("/api/leads/{joins}/contacts"),
        &json!({ "channel": "phone", "key": "one", "note": "kanari wants a demo" }),
    ) else {
        unreachable!("a call is HTTP");
    };
    world.invoke(Name::Console, post.payload).await.unwrap().unwrap();
    let lead = world.store().lead(&mail).await.unwrap().unwrap();
    let home = lead.progress.customer.unwrap();
    let known = world.store().people([home.clone()].into()).await.unwrap();
    let root = known.root(&home);
    assert!(known.customers.len() == 2, "joined: {known:?}");
    (root, joins)
}

/// With the time by the clock of the front door, in milliseconds since the epoch.
fn taken_at(millis: i64, act: Event) -> Event {
    let Event::Http(post) = act else { unreachable!("people ask by HTTP") };
    let mut event: Value = serde_json::from_slice(&post.payload).unwrap();
    event["requestContext"]["timeEpoch"] = millis.into();
    let payload = Bytes::from(event.to_string());
    let again = Post { payload: payload.clone(), fields: Vec::new(), again: None, clash: None };
    Event::Http(Post { payload, again: Some(Box::new(again)), ..post })
}

fn delete(customer: &CustomerId) -> Event {
    call("DELETE", ADMIN_TOKEN, &format!("/api/customers/{customer}"), &json!({}))
}

/// Somebody asks to erase the customer.
pub(super) fn meanwhile(customer: &CustomerId) -> (&'static str, String) {
    asked(delete(customer))
}

/// What a person asks for beside an event.
pub(super) fn asked(act: Event) -> (&'static str, String) {
    let Event::Http(post) = act else { unreachable!("people ask by HTTP") };
    (MEANWHILE, String::from_utf8(post.payload.to_vec()).unwrap())
}

/// Asks for the erasure; the body of the message that goes on with it.
async fn begin(world: &mut World, customer: &CustomerId) -> String {
    let Event::Http(post) = delete(customer) else { unreachable!("a call is HTTP") };
    world.invoke(Name::Console, post.payload).await.unwrap().unwrap();
    let messages = world.receive("erase", 10);
    let handles: Vec<&str> = messages.iter().map(|message| message.receipt_handle.as_str()).collect();
    world.queues.delete_batch("erase", &handles).unwrap();
    messages[0].body.clone()
}

pub(super) async fn deliver(world: &mut World, queue: &'static str, name: Name) {
    let messages = world.receive(queue, 10);
    let answer = world.invoke(name, queue_event(&messages)).await.unwrap();
    world.acknowledge(queue, &messages, &answer);
}
