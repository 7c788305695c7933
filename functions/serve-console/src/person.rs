//! A customer as people see it: what is known, who said it, why this value and not another.

use crate::sight::Sight;
use serde_json::{Map, Value, json};
use sluice_domain::customer::{
    AddressHash, Candidate, HashKeys, Identity, Ownership, Suggestion, Survivor, Survivorship, Whole,
};
use sluice_domain::matching::Evidence;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;

/// Every field: the value that stands, the lead and the source it came with, the rule that chose it, and the values it
/// was chosen over, best first.
pub(crate) fn profile(whole: &Whole<'_>, rules: &Survivorship) -> Map<String, Value> {
    whole
        .chosen(rules)
        .into_iter()
        .map(|(name, chosen)| {
            let mut shown = candidate(&chosen.value);
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("rule".to_owned(), chosen.rule.name().into());
                if let Survivor::Sources(order) = &chosen.rule {
                    shown.insert("preference".to_owned(), order.clone().into());
                }
                shown.insert("over".to_owned(), chosen.over.iter().map(candidate).collect());
            }
            (name.to_owned(), shown)
        })
        .collect()
}

fn candidate(one: &Candidate<'_>) -> Value {
    let said = one.record.source_of(one.fact);
    json!({
        "value": one.fact.value.reveal(),
        "at": one.fact.at.rfc3339(),
        "lead": said.and_then(|said| said.lead.as_ref()),
        "source": said.map(|said| &said.source),
        "record": one.record.id,
        "records": one.times,
    })
}

/// Every identity held, by record. The store knows only hashes; the value is shown where a field of the person has it.
pub(crate) fn identities(whole: &Whole<'_>, keys: &HashKeys) -> Vec<Value> {
    let mut values: BTreeMap<AddressHash, Identity> = BTreeMap::new();
    for identity in whole.parts().flat_map(|part| part.identities()) {
        values.extend(keys.hashes(&identity).into_iter().map(|hash| (hash, identity.clone())));
    }
    let held = whole.parts().flat_map(|part| part.keys.iter().map(move |key| (part, key)));
    held.map(|(part, (kind, hash))| {
        json!({
            "kind": kind.name(),
            "namespace": Some(hash.namespace()).filter(|namespace| !namespace.is_empty()),
            "strong": kind.is_strong(),
            "value": values.get(hash).map(Identity::value),
            "record": part.id,
        })
    })
    .collect()
}

/// Whose a customer is.
pub(crate) fn owner(owner: &Ownership) -> Value {
    json!({"rep": owner.rep, "team": owner.team, "since": owner.since.rfc3339()})
}

/// The identities a lead carries.
pub(crate) fn carried(identities: &[Identity], sight: &Sight) -> Vec<Value> {
    identities
        .iter()
        .map(|identity| {
            json!({
                "kind": identity.kind.name(),
                "namespace": Some(&identity.namespace).filter(|namespace| !namespace.is_empty()),
                "strong": identity.kind.is_strong(),
                "value": sight.shown(identity.kind.name(), Some(identity.value())),
            })
        })
        .collect()
}

/// A suggestion that is open, with what raised it, a `lead` or an `event`, and when.
pub(crate) fn raised(one: &Suggestion, what: &str, id: Value, at: Timestamp) -> Value {
    let mut shown = suggestion(one);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert(what.to_owned(), id);
        shown.insert("at".to_owned(), at.rfc3339().into());
    }
    shown
}

/// Another customer who may be the same person, and why: by an identity, or by likeness with what speaks for and against.
pub(crate) fn suggestion(one: &Suggestion) -> Value {
    let likeness = one.likeness.as_ref();
    json!({
        "customer": one.customer,
        "kind": one.kind.map_or("likeness", |kind| kind.name()),
        "reason": one.reason,
        "verdict": likeness.map(|likeness| likeness.verdict),
        "probability": likeness.map(|likeness| f64::from(likeness.thousandths) / 1_000.0),
        "evidence": likeness.map(|likeness| {
            let row = |e: &Evidence| json!({"field": e.field, "says": e.words(), "bits": (e.bits * 10.0).round() / 10.0});
            likeness.evidence.iter().map(row).collect::<Vec<_>>()
        }),
    })
}
