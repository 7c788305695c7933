//! Looks at what customers are by now, though nothing happens to them.

use crate::DueEntry;
use sluice_domain::customer::Customer;
use sluice_domain::id::CustomerId;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{EventMessage, Wake, encode};
use std::collections::BTreeSet;

/// Looks at whom these records are of, due at `at`: of a half whose live record is among them that one is enough. With the commit
/// that writes the records, nobody who dies after it leaves them unlooked at.
pub fn looks<'a>(
    records: impl IntoIterator<Item = &'a Customer> + Clone,
    now: Timestamp,
    at: Timestamp,
) -> Vec<DueEntry> {
    let ids: BTreeSet<&CustomerId> = records.clone().into_iter().map(|record| &record.id).collect();
    let is_first = |record: &&Customer| record.into.as_ref().is_none_or(|live| !ids.contains(live));
    let entry = |record| {
        let wake = Wake::joined(record, now);
        DueEntry { at, id: wake.id(), queue: "event".to_owned(), body: encode(&EventMessage::Due(wake)) }
    };
    records.into_iter().filter(is_first).map(entry).collect()
}
