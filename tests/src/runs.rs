//! What holds of people in journeys, whatever fails: that no step is skipped or repeated and nobody is moved past anybody else
//! (I7), and that what is known of people is the newest that was said (I13).

use crate::scenarios::company::TRUSTED;
use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::customer::Customer;
use sluice_domain::event::{Entry, EventKind, Outgo};
use sluice_domain::id::EventId;
use sluice_domain::journey::{Reason, Run};
use sluice_domain::time::Timestamp;
use sluice_store::keys;
use std::collections::BTreeMap;

/// A run is written: its version is the one after that which was written before.
pub fn see(item: &Value, versions: &mut BTreeMap<(String, String), u64>, broken: &mut Vec<String>) {
    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
    if !sk.starts_with("r#") || !pk.starts_with("cu_") {
        return;
    }
    let version = item["v"]["N"].as_str().and_then(|n| n.parse().ok()).unwrap_or_default();
    let before = versions.insert((pk.to_owned(), sk.to_owned()), version).unwrap_or_default();
    if version != before + 1 {
        broken.push(format!("I7: {sk} of {pk} goes from version {before} to {version}"));
    }
}

/// Everything that does not hold once all is at rest.
pub fn check(items: &[Value], now: Timestamp, broken: &mut Vec<String>) {
    let entries: Vec<(&str, Entry)> = items
        .iter()
        .filter(|item| text(item, "pk").starts_with("cu_") && text(item, "sk").starts_with("e#"))
        .filter_map(|item| Some((text(item, "pk"), document(item, "d")?)))
        .collect();
    steps(items, now, &entries, broken);
    asked(items, &entries, broken);
    facts(items, &entries, broken);
}

/// I7: each step of a run is begun by one input, whose receipt says so, and nobody waits longer than they should.
fn steps(items: &[Value], now: Timestamp, entries: &[(&str, Entry)], broken: &mut Vec<String>) {
    let mut begun: BTreeMap<(&str, &str, u32), u32> = BTreeMap::new();
    for moved in entries.iter().flat_map(|(_, entry)| &entry.led.moved) {
        let steps = moved.why.iter().filter(|why| matches!(why, Reason::Begun(_))).count();
        *begun.entry((moved.customer.as_str(), &moved.journey, moved.run)).or_default() +=
            u32::try_from(steps).unwrap_or(u32::MAX);
    }
    for item in items {
        let Some(journey) = text(item, "sk").strip_prefix("r#") else { continue };
        let Some(run) = document::<Run>(item, "d") else { continue };
        let customer = text(item, "pk");
        if let Some(due) = run.due.as_ref().filter(|due| due.at <= now) {
            broken.push(format!("I7: {journey} of {customer} waits for {} since {}", due.token, due.at));
        }
        let said = begun.get(&(customer, journey, run.n)).copied().unwrap_or_default();
        if said != run.visits {
            broken.push(format!(
                "I7: run {} of {journey} of {customer} is past {} steps, receipts say {said}",
                run.n, run.visits
            ));
        }
    }
}

/// I7: what a step asks for has left, and is kept where it went to.
fn asked(items: &[Value], entries: &[(&str, Entry)], broken: &mut Vec<String>) {
    let sort_keys = |prefix: &'static str| {
        items.iter().filter(move |item| text(item, "pk").starts_with(prefix)).map(|item| text(item, "sk"))
    };
    for sent in entries.iter().flat_map(|(_, entry)| &entry.led.sent) {
        let (id, is_there) = match sent {
            Outgo::Message(order) => {
                let id = order.id();
                let sk = keys::message(&id);
                (id.to_string(), sort_keys("cu_").any(|key| key == sk))
            }
            Outgo::Tell(tell) => {
                (tell.id(), sort_keys("rep#").any(|key| key.contains(&keys::told_as(&tell.id()))))
            }
            Outgo::Heard(heard) => {
                (heard.id(), sort_keys("rep#").any(|key| key.contains(&keys::told_as(&heard.id()))))
            }
            Outgo::Webhook(call) => {
                (call.id(), sort_keys("rep#").any(|key| key.contains(&keys::told_as(&call.id()))))
            }
        };
        if !is_there {
            broken.push(format!("I7: {id} was asked for by a step and did not get there"));
        }
    }
}

/// I13: of what a trusted source says of a person the newest stands, in whatever order it came.
fn facts(items: &[Value], entries: &[(&str, Entry)], broken: &mut Vec<String>) {
    let mut newest: BTreeMap<(&str, &str), (Timestamp, &EventId, &Value)> = BTreeMap::new();
    let said = entries
        .iter()
        .filter(|(_, entry)| entry.event.kind == EventKind::Identify && entry.event.source == TRUSTED);
    for (customer, entry) in said {
        for (name, value) in entry.event.traits.reveal().iter().filter(|(name, _)| *name == "plan") {
            let one = (entry.event.at, &entry.event.id, value);
            let known = newest.entry((customer, name)).or_insert(one);
            if (known.0, known.1) < (one.0, one.1) {
                *known = one;
            }
        }
    }
    for ((customer, name), (.., value)) in newest {
        let item = items.iter().find(|item| text(item, "pk") == customer && text(item, "sk") == "c");
        let Some(record) = item.and_then(|item| document::<Customer>(item, "d")) else { continue };
        let known = record.facts.get(name).map(|fact| fact.value.reveal().as_str());
        if known != value.as_str() {
            broken.push(format!(
                "I13: {customer} has {name} {known:?} and the newest that was said is {value}"
            ));
        }
    }
}
