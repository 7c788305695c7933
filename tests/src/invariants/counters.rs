//! What holds of counters.

use crate::wire::document;
use serde_json::Value;
use sluice_domain::event::Entry;
use sluice_domain::insight::{Counter, Tallies, tally};
use sluice_store::keys;

/// What was counted of results, and what there is to count.
#[derive(Debug, Default)]
pub(super) struct Counters {
    stored: Tallies,
    entries: Tallies,
    /// Whose entries went with them: what they counted stays.
    erased: bool,
}

impl Counters {
    /// Reads an item, if it has to do with counters.
    pub(super) fn take(&mut self, pk: &str, sk: &str, item: &Value) {
        if let Some((day, cell)) = keys::parse_counter(pk, sk) {
            for (name, value) in item.as_object().into_iter().flatten() {
                let n = value["N"].as_str().and_then(|n| n.parse().ok());
                if let (Some(counter), Some(n)) = (Counter::parse(name), n) {
                    self.stored.add(day, cell.clone(), counter, n);
                }
            }
        } else if keys::parse_entry(sk).is_some() && pk.starts_with("cu_") {
            let entry: Option<Entry> = document(item, "d");
            entry.iter().for_each(|entry| self.entries.merge(tally(entry)));
        } else if sk == keys::CUSTOMER && pk.starts_with("cu_") && item.get("x").is_some() {
            self.erased = true;
        }
    }

    /// I12: counters are what the entries come to.
    pub(super) fn check(&self, broken: &mut Vec<String>) {
        if self.stored != self.entries && !self.erased {
            broken.push(format!("I12: counted is {:?}, the entries are {:?}", self.stored, self.entries));
        }
    }
}
