//! Response clocks: a reminder, an owner whose time runs out, a contact at that moment, a lead nobody answers, an owner who was away.

use super::company::publish_more;
use super::console::{act, call};
use super::erase::asked;
use super::{Event, Prepare, accept, lead_body};
use crate::events::queue_event;
use crate::world::{ADMIN_TOKEN, Name, World};
use serde_json::{Value, json};
use sluice_domain::clock::Tick;
use sluice_domain::id::LeadId;
use sluice_domain::time::Timestamp;
use sluice_store::{Commit, LeaveRecord, Wanted, Written, keys};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeSet;

/// Half of the owner's window is over.
pub(super) fn reminder(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, tick) = assigned(world, "timed").await;
        world.clock.advance(tick.at.millis() - world.clock.millis());
        (Event::Queue { queue: "lead", bodies: vec![body(&tick)] }, Vec::new())
    })
}

/// The whole window is over, and the person writes once more.
pub(super) fn expiry(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, tick) = window_over(world).await;
        let again = [("email", "ada@example.org"), ("name", "Ada")];
        let next = accept(world, "timed", "2", &again, 0).await;
        (Event::Queue { queue: "lead", bodies: vec![body(&tick)] }, vec![("lead", lead_body(&next))])
    })
}

/// The entry of the first reminder comes hours late, when the window is long over; nobody else may have the lead.
pub(super) fn very_late(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (_, tick) = assigned(world, "brisk").await;
        world.clock.advance(4 * 3_600_000);
        (Event::Queue { queue: "lead", bodies: vec![body(&tick), body(&tick)] }, Vec::new())
    })
}

/// Who is only reminded was away with no end known when the reminder was due. They are back, and it is due again.
pub(super) fn back(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let response = json!({ "within": "3m", "remind": ["50%"], "then": "remind_only" });
        let members = json!([{ "rep": "gil", "capacity": 4 }]);
        let timed = json!({ "kind": "team", "name": "timed", "sticky_may_exceed": false, "members": members, "response": response });
        publish_more(world, vec![timed]).await;
        let (lead, tick) = assigned(world, "timed").await;
        leave(world, "gil", &json!([{ "from": "2020-01-01" }])).await;
        world.clock.advance(tick.at.millis() - world.clock.millis());
        world.send("lead", &body(&tick));
        deliver(world, "lead", Name::Route).await;
        // The entry of the look that is no longer needed comes soon as well.
        let look = outstanding(world, &lead).await;
        world.clock.advance(look.at.millis() - world.clock.millis() - 240_000);
        leave(world, "gil", &json!([])).await;
        let tick = outstanding(world, &lead).await;
        (Event::Queue { queue: "lead", bodies: vec![body(&tick)] }, Vec::new())
    })
}

/// The absence that a clock slept through is shorter than it was, and a lead comes in.
pub(super) fn set_anew(world: &mut World) -> Prepare<'_> {
    woken_sooner(world, LeadMessage::Leave)
}

/// The same of what was left when the time was up.
pub(super) fn set_anew_later(world: &mut World) -> Prepare<'_> {
    woken_sooner(world, |rep| LeadMessage::LeaveAfter { rep, after: keys::AFTER_NOTICES.to_owned() })
}

fn woken_sooner(world: &mut World, told: fn(String) -> LeadMessage) -> Prepare<'_> {
    Box::pin(async move {
        let (lead, tick) = assigned(world, "timed").await;
        let lead = world.store().lead(&lead).await.unwrap().unwrap();
        let rep = lead.progress.assignment.unwrap().rep;
        let end = Timestamp(world.clock.millis() + 600_000).rfc3339();
        leave(world, &rep, &json!([{ "from": "2020-01-01", "to": end }])).await;
        world.clock.advance(tick.at.millis() - world.clock.millis());
        world.send("lead", &body(&tick));
        deliver(world, "lead", Name::Route).await;
        world.clock.advance(300_000);
        // Whoever wrote that down is still to tell of it.
        let wanted = Wanted { reps: BTreeSet::from([rep.clone()]), ..Wanted::default() };
        let version = world.store().desk(&wanted).await.unwrap().leave[&rep].version;
        let none = Commit::default().leave(&rep, LeaveRecord { version, ..LeaveRecord::default() });
        assert_eq!(world.store().commit(none).await.unwrap(), Written::Done);
        let next = accept(world, "timed", "2", &[("email", "grace@example.org")], 0).await;
        let told = encode(&told(rep));
        (Event::Queue { queue: "lead", bodies: vec![told] }, vec![("lead", lead_body(&next))])
    })
}

/// A rep's absences are set, and routing has looked who may be served now.
async fn leave(world: &mut World, rep: &str, leave: &Value) {
    let path = format!("/api/reps/{rep}/leave");
    let Event::Http(put) = call("PUT", ADMIN_TOKEN, &path, &json!({ "leave": leave })) else {
        unreachable!("a call is a request")
    };
    world.invoke(Name::Console, put.payload).await.unwrap().unwrap();
    deliver(world, "lead", Name::Route).await;
}

/// Somebody is in touch at the moment at which the window ends.
pub(super) fn contact(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (lead, tick) = window_over(world).await;
        let event = in_touch(&lead);
        (event, vec![("lead", body(&tick))])
    })
}

/// The window ends, and in the midst of it somebody is in touch.
pub(super) fn answered(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (lead, tick) = window_over(world).await;
        (Event::Queue { queue: "lead", bodies: vec![body(&tick)] }, vec![asked(in_touch(&lead))])
    })
}

/// A lead whose owner was reminded and has no time left, and the point of its clock that says so.
async fn window_over(world: &mut World) -> (LeadId, Tick) {
    let (lead, tick) = assigned(world, "timed").await;
    remind(world, &tick).await;
    let tick = outstanding(world, &lead).await;
    world.clock.advance(tick.at.millis() - world.clock.millis());
    (lead, tick)
}

/// Somebody called the person of the lead.
fn in_touch(lead: &LeadId) -> Event {
    let path = format!("/api/leads/{lead}/contacts");
    act(ADMIN_TOKEN, &path, &json!({ "channel": "phone", "key": "call" }))
}

/// A lead with its owner, who was told, and the first point of its clock.
pub(super) async fn assigned(world: &mut World, form: &str) -> (LeadId, Tick) {
    let lead = accept(world, form, "1", &[("email", "ada@example.org")], 0).await;
    world.send("lead", &lead_body(&lead));
    deliver(world, "lead", Name::Route).await;
    deliver(world, "notice", Name::Send).await;
    let tick = outstanding(world, &lead).await;
    (lead, tick)
}

async fn remind(world: &mut World, tick: &Tick) {
    world.clock.advance(tick.at.millis() - world.clock.millis());
    world.send("lead", &body(tick));
    deliver(world, "lead", Name::Route).await;
    deliver(world, "notice", Name::Send).await;
}

async fn deliver(world: &mut World, queue: &'static str, name: Name) {
    let messages = world.receive(queue, 10);
    assert!(!messages.is_empty(), "nothing on {queue}");
    let answer = world.invoke(name, queue_event(&messages)).await.unwrap();
    world.acknowledge(queue, &messages, &answer);
}

async fn outstanding(world: &World, lead: &LeadId) -> Tick {
    let lead = world.store().lead(lead).await.unwrap().unwrap();
    lead.progress.tick(&lead.id).unwrap()
}

pub(super) fn body(tick: &Tick) -> String {
    encode(&LeadMessage::Clock(tick.clone()))
}
