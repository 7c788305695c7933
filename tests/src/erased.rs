//! I8: what must be left of a person who was erased or of a lead that was withdrawn, and what must not.

use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::erasure::Erasure;
use sluice_domain::gate::Gate;

/// What is in everything that erased people of scenarios have said, and in nothing else.
pub const CANARIES: [&str; 5] = ["kanari", "Kanari", "4930901899", "4930901898", "person77701"];

/// Whether somebody was erased, and a message says something of them.
pub fn is_of_erased(body: &str, items: &[Value]) -> bool {
    let is_erased = |item: &Value| text(item, "sk") == "c" && item.get("x").is_some();
    CANARIES.iter().any(|canary| body.contains(canary)) && items.iter().any(is_erased)
}

/// Everything of I8 that does not hold of the items of a table and the bodies of messages. Nobody erased, nothing to hold.
pub fn check<'a>(items: &[Value], bodies: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut broken = Vec::new();
    let erasures: Vec<(&str, Erasure)> =
        items.iter().filter_map(|item| Some((text(item, "pk"), document(item, "x")?))).collect();
    let is_withdrawn = |item: &Value| text(item, "sk") == "m#withdrawn";
    if erasures.is_empty() && !items.iter().any(is_withdrawn) {
        return broken;
    }
    for (id, erasure) in &erasures {
        if erasure.root.is_none() && erasure.done.is_none() {
            broken.push(format!("I8: the erasure of {id} does not end"));
        }
        let is_empty = erasure.addresses.is_empty()
            && erasure.gates.is_empty()
            && erasure.records.is_empty()
            && erasure.beside.is_empty();
        if !is_empty || !erasure.linked.is_empty() || !erasure.quoted.is_empty() {
            broken.push(format!("I8: the erasure of {id} keeps what it worked with"));
        }
    }
    for item in items {
        let all = item.to_string();
        for canary in CANARIES.iter().filter(|canary| all.contains(*canary)) {
            let (pk, sk) = (text(item, "pk"), text(item, "sk"));
            broken.push(format!("I8: {canary} is left in {pk} {sk}"));
        }
        let is_theirs = erasures.iter().any(|(id, _)| text(item, "pk") == *id);
        if is_theirs && item.get("x").is_none() {
            broken.push(format!(
                "I8: {} {} is left of somebody who was erased",
                text(item, "pk"),
                text(item, "sk")
            ));
        }
        let names = |id: &&str| all.contains(*id) && text(item, "pk") != *id;
        // A record that had given way says whose erasure took it along.
        if text(item, "pk").starts_with("ad#")
            || (text(item, "pk").starts_with("cu_") && item.get("d").is_some())
        {
            for (id, _) in erasures.iter().filter(|(id, _)| names(id)) {
                broken.push(format!("I8: {} still names {id}", text(item, "pk")));
            }
        }
    }
    let gates = items.iter().filter(|item| text(item, "pk").starts_with("gate#"));
    let mut gates = gates.filter_map(|item| document::<Gate>(item, "d"));
    if !erasures.is_empty() && !gates.any(|gate| gate.erased.is_some()) {
        broken.push("I8: no gate is closed".to_owned());
    }
    let left = |body: &&str| CANARIES.iter().any(|canary| body.contains(canary));
    broken.extend(bodies.filter(left).map(|body| format!("I8: a message says {body}")));
    broken
}
