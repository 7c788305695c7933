//! What holds of decisions, whatever fails: each can be made again from what its receipt says was seen, and comes out as it is stored.

use crate::table::Items;
use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::clock;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{Envelope, Lead, Origin, Progress, read};
use sluice_domain::policy::{Document, PolicySet};
use sluice_domain::routing::reproduced;
use sluice_domain::time::Timestamp;
use sluice_store::{Manifest, keys};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Everything that does not hold once all is at rest (I1).
pub(crate) fn check(items: &Items, broken: &mut Vec<String>) {
    let lines = items.iter().filter(|((pk, sk), _)| sk == keys::LEAD && pk.starts_with("ld_"));
    for lead in lines.filter_map(|((pk, _), item)| lead(pk, item, items)) {
        let Some(receipt) = lead.progress.receipt.as_ref().filter(|receipt| !receipt.saw.forgotten) else {
            continue;
        };
        let mut decided_by = BTreeMap::new();
        for version in clock::manifests(&lead.progress) {
            decided_by.insert(version, policies(items, version));
        }
        let policies = policies(items, receipt.manifest);
        let facts = read(&lead.origin, &lead.envelope, &policies.reading(&lead.origin), &policies.settings);
        let is_same = reproduced(&lead, &facts, &policies) == Some(true);
        if !is_same || !clock::reproduced(&lead.progress, &decided_by) {
            broken.push(format!("I1: what was decided of {} comes out otherwise: {receipt:?}", lead.id));
        }
    }
}

/// A lead as the table has it; none of one that was erased.
fn lead(pk: &str, item: &Value, items: &Items) -> Option<Lead> {
    let apart = || items.get(&(pk.to_owned(), keys::envelope(text(item, "f"))));
    let envelope: Option<Envelope> = document(item, "e").or_else(|| document(apart()?, "e"));
    let (kind, name) = text(item, "o").split_once('/')?;
    Some(Lead {
        id: LeadId::parse(pk)?,
        origin: Origin { kind: kind.to_owned(), name: name.to_owned() },
        external_id: None,
        received: Timestamp(0),
        envelope: envelope?,
        needs_enrichment: false,
        manifest: 0,
        progress: document::<Progress>(item, "d")?,
        version: 0,
    })
}

/// The documents of a version, compiled once.
fn policies(items: &Items, version: u64) -> Arc<PolicySet> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<PolicySet>>>> = Mutex::new(None);
    let key = (keys::MANIFEST.to_owned(), keys::manifest(version));
    let Some(item) = items.get(&key) else { return Arc::default() };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    let compile = || {
        let manifest: Manifest = document(item, "d").unwrap_or_default();
        let texts = manifest.documents.iter().filter_map(|entry| {
            let text = items.get(&(keys::policy(&entry.sha), "0000".to_owned()))?["b"]["S"].as_str()?;
            Document::from_json(serde_json::from_str(text).ok()?).ok()
        });
        Arc::new(PolicySet::build(version, texts).unwrap())
    };
    known.entry(text(item, "d").to_owned()).or_insert_with(compile).clone()
}
