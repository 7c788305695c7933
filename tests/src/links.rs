//! What holds of what people said, whatever fails: wishes that were acknowledged stand, with one proof each; a visit is
//! counted once.

use crate::wire::{document, text};
use crate::world::Visits;
use serde_json::{Value, json};
use sluice_domain::event::Entry;
use sluice_domain::gate::{Gate, Proof, Said, Wish};
use sluice_domain::message::{CauseKind, Message};
use std::collections::BTreeMap;

/// Everything that does not hold once all is at rest. Where nobody said anything there is nothing to hold.
pub fn check(name: &str, items: &[Value], visits: Visits) -> Vec<String> {
    let mut broken = Vec::new();
    let messages: Vec<Message> = items
        .iter()
        .filter(|item| text(item, "pk").starts_with("cu_") && text(item, "sk").starts_with("m#"))
        .filter_map(|item| document(item, "d"))
        .collect();
    match name {
        "engage-open" | "engage-click" => {
            counted(&messages, visits, &mut broken);
            told(&messages, items, &mut broken);
        }
        "engage-unsubscribe" | "engage-open-refused" => {
            wishes(items, &[("product", Wish::No)], &mut broken);
            let first = messages.iter().min_by_key(|message| message.order.at);
            if first.is_none_or(|message| message.trail.unsubscribed.is_none()) {
                broken.push("I12: the message does not say that its recipient wants no more".to_owned());
            }
        }
        "refuse-one-click" | "refuse-by-staff" | "refuse-merged" | "refuse-unmerged" | "console-consents" => {
            wishes(items, &[("product", Wish::No)], &mut broken);
        }
        "refuse-suppressed" | "console-suppress" => suppressed(items, false, &mut broken),
        "console-unsuppress" => suppressed(items, true, &mut broken),
        "engage-page" | "refuse-page" => {
            wishes(items, &[("product", Wish::No), ("news", Wish::Confirmed)], &mut broken);
        }
        "engage-confirm" => wishes(items, &[("news", Wish::Confirmed)], &mut broken),
        "route-question" => {
            wishes(items, &[("news", Wish::Yes)], &mut broken);
            let questions = messages.iter().filter(|one| one.order.cause.kind == CauseKind::Confirmation);
            let questions: Vec<_> = questions.map(|one| one.order.topic.as_str()).collect();
            if questions != ["news"] {
                broken.push(format!("I12: {questions:?} was asked of a person who said yes to news"));
            }
        }
        _ => {}
    }
    broken
}

/// I12: no visit is counted twice. One that could not be counted is answered all the same: the picture comes, the person is
/// led on.
fn counted(messages: &[Message], visits: Visits, broken: &mut Vec<String>) {
    let trails = messages.iter().map(|message| &message.trail);
    let seen = trails.flat_map(|trail| [trail.opened, trail.clicked, trail.machine]).flatten();
    let counted: u32 = seen.map(|seen| seen.times).sum();
    let Visits { made, answered } = visits;
    if counted > made {
        broken.push(format!("I12: {counted} visits are counted of {made} made and {answered} answered"));
    }
}

/// I12: no more clicks are told of a message than it counts, and one of them as the first.
fn told(messages: &[Message], items: &[Value], broken: &mut Vec<String>) {
    let entries = items.iter().filter(|item| text(item, "sk").starts_with("e#"));
    let entries: Vec<Entry> = entries.filter_map(|item| document(item, "d")).collect();
    let clicks = || entries.iter().map(|entry| &entry.event).filter(|event| event.name == "message_clicked");
    for message in messages {
        let id = message.id();
        let told = clicks().filter(|event| event.properties.reveal().get("message") == Some(&json!(id)));
        let firsts = told.clone().filter(|event| event.properties.reveal().contains_key("first")).count();
        let (told, counted) = (told.count(), message.trail.clicked.map_or(0, |seen| seen.times as usize));
        if told > counted || firsts > 1 {
            broken.push(format!("I12: {id} has {counted} clicks, {told} are told, {firsts} as the first"));
        }
    }
}

/// Both addresses are suppressed, or were and are no more; each has one proof of either.
fn suppressed(items: &[Value], lifted: bool, broken: &mut Vec<String>) {
    for channel in ["email", "sms"] {
        let of = |kind: &str| {
            let begins = format!("{kind}#{channel}#");
            items.iter().filter(move |item| text(item, "pk").starts_with(&begins))
        };
        let gates = of("gate").filter_map(|item| document::<Gate>(item, "d"));
        let gate = gates.reduce(|all, one| all.together(&one)).unwrap_or_default();
        if gate.suppression().is_none() != lifted {
            let (asked, said) = (if lifted { "sending again" } else { "suppressing" }, gate.suppression());
            broken.push(format!("I4: {asked} was acknowledged, and the gate of {channel} says {said:?}"));
        }
        let said: Vec<Said> =
            of("consent").filter_map(|item| Some(document::<Proof>(item, "d")?.said)).collect();
        let no = said.iter().filter(|said| matches!(said, Said::Suppressed(_))).count();
        let yes = said.iter().filter(|said| matches!(said, Said::Lifted)).count();
        if (no, yes) != (1, usize::from(lifted)) {
            broken
                .push(format!("I12: {channel} has {no} proofs that it is suppressed, {yes} that it is not"));
        }
    }
}

/// The gate says this and nothing else, and each of it has one proof.
fn wishes(items: &[Value], wanted: &[(&str, Wish)], broken: &mut Vec<String>) {
    let gates = items.iter().filter(|item| text(item, "pk").starts_with("gate#email#"));
    let gates: Vec<Gate> = gates.filter_map(|item| document(item, "d")).collect();
    let gate = gates.into_iter().reduce(|all, one| all.together(&one)).unwrap_or_default();
    let proofs = items.iter().filter(|item| text(item, "pk").starts_with("consent#"));
    let mut proved: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for proof in proofs.filter_map(|item| document::<Proof>(item, "d")) {
        if let Said::Wish { topic, wish } = proof.said {
            *proved.entry((topic, wish.name())).or_default() += 1;
        }
    }
    for (topic, wish) in wanted {
        let held = gate.wish(topic).map(|(wish, _)| wish);
        if held != Some(*wish) {
            broken
                .push(format!("I4: {} to {topic} was acknowledged, and the gate says {held:?}", wish.name()));
        }
        let times = proved.remove(&((*topic).to_owned(), wish.name())).unwrap_or(0);
        if times != 1 {
            broken.push(format!("I12: {} to {topic} has {times} proofs", wish.name()));
        }
    }
    if !proved.is_empty() {
        broken.push(format!("I12: proofs of what nobody said: {proved:?}"));
    }
}
