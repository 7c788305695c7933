//! What holds of feedback, whatever fails: what a provider said and somebody took is on the gate of the address and on the
//! message, each thing once (I12, I13).

use crate::plans::Plan;
use crate::scenarios::Event;
use crate::wire::{document, text};
use crate::world::World;
use sluice_domain::customer::{HashKey, HashKeys, Identity, IdentityKind};
use sluice_domain::feedback::{Complaint, Feedback, Kind};
use sluice_domain::gate::{Gate, SuppressedBy};
use sluice_domain::message::{Channel, Message, MessageState};
use sluice_domain::policy::{Cap, Period};
use sluice_domain::time::Timestamp;
use sluice_store::keys;
use sluice_wire::feedback::{Read, read};
use std::collections::BTreeMap;

/// What the settings of the sweep say of soft bounces.
const SOFT: Cap = Cap { at_most: 3, within: Period::days(30) };

/// The keys that addresses are hashed with in a world.
pub fn keys_of(world: &World) -> HashKeys {
    let one = HashKey::new("1", "k".repeat(64).as_bytes());
    match world.is_rotated() {
        false => HashKeys::new(one),
        true => HashKeys::new(HashKey::new("2", "r".repeat(64).as_bytes())).with_old(one),
    }
}

/// Everything that does not hold once all is at rest. Where a machine's clock was off, an event of a time that was still to come
/// there was taken as of that clock: then it counts that it was taken, not when.
pub fn check(world: &World, event: &Event, plan: &Plan, broken: &mut Vec<String>) {
    let shown = |at: Timestamp| Some(at).filter(|_| !plan.puts_clocks_off());
    let bodies = world.delivered.iter().filter(|(queue, _)| *queue == "feedback").map(|(_, body)| body);
    let mut events: Vec<Feedback> = bodies
        .filter_map(|body| match read(body) {
            Ok(Read::Event(event)) => Some(event),
            _ => None,
        })
        .collect();
    if let Event::Http(post) = event
        && String::from_utf8_lossy(&post.payload).contains("\\\"Notification\\\"")
        && events.is_empty()
    {
        broken.push("I1: what SNS was told is taken is on no queue".to_owned());
    }
    events.sort_by_key(|event| event.at);
    let mut told: BTreeMap<String, Vec<&Feedback>> = BTreeMap::new();
    for event in &events {
        for email in &event.recipients {
            told.entry(email.match_key()).or_default().push(event);
        }
    }
    let items = world.rows();
    let find =
        |pk: &str, sk: &str| items.iter().find(|item| text(item, "pk") == pk && text(item, "sk") == sk);
    for (email, told) in &told {
        let hashes = keys_of(world).hashes(&Identity::new(IdentityKind::Email, email.clone()));
        let rows = hashes.iter().filter_map(|hash| find(&keys::gate(Channel::Email, hash), keys::GATE));
        let gate = rows
            .filter_map(|item| document::<Gate>(item, "d"))
            .fold(Gate::default(), |gate, row| gate.together(&row));
        let expected = gate_of(told);
        let said = |gate: &Gate| {
            let suppressed = gate.suppressed.iter().map(|(why, at)| (*why, shown(*at)));
            let soft = gate.soft_bounces.iter().map(|bounce| (bounce.event.clone(), shown(bounce.at)));
            (BTreeMap::from_iter(suppressed), BTreeMap::from_iter(soft))
        };
        if said(&gate) != said(&expected) {
            let (is, ought) = (said(&gate), said(&expected));
            broken.push(format!("I12: the gate of an address says {is:?}, it was told {ought:?}"));
        }
    }
    for event in &events {
        let Some(id) = &event.message else { continue };
        let item = find(id.customer().as_str(), &keys::message(id));
        let Some(message) = item.and_then(|item| document::<Message>(item, "d")) else { continue };
        let trail = &message.trail;
        let is_kept = match event.kind {
            Kind::Delivery => trail.delivered.is_some_and(|at| Some(at) <= event.at),
            Kind::Bounce(_) => trail.bounced.is_some(),
            Kind::Complaint(Complaint::Unwanted) => trail.complained.is_some_and(|at| Some(at) <= event.at),
            _ => true,
        };
        if !is_kept || message.state != MessageState::Sent {
            broken.push(format!(
                "I13: {id} is {:?} with {trail:?} after a {}",
                message.state,
                event.kind.name()
            ));
        }
    }
}

/// What a gate says that was told these events, each once.
fn gate_of(told: &[&Feedback]) -> Gate {
    let mut gate = Gate::default();
    for event in told {
        let at = event.at.unwrap_or_default();
        match event.kind {
            Kind::Bounce(bounce) if bounce.is_hard() => gate.suppress(SuppressedBy::HardBounce, at),
            Kind::Bounce(_) => gate.soft_bounce(at, &event.key(), SOFT),
            Kind::Complaint(Complaint::Unwanted) => gate.suppress(SuppressedBy::Complaint, at),
            Kind::Delivery => gate.delivered(at),
            _ => {}
        }
    }
    gate
}
