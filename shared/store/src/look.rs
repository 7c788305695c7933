//! Looks at what customers are by now, though nothing happens to them.

use crate::DueEntry;
use sluice_domain::customer::Customer;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{EventMessage, Wake, encode};

/// Looks at those of these records that stand by themselves, due at `at`. With the commit that writes the records, nobody who
/// dies after it leaves them unlooked at.
pub fn looks<'a>(
    records: impl IntoIterator<Item = &'a Customer>,
    now: Timestamp,
    at: Timestamp,
) -> Vec<DueEntry> {
    let live = records.into_iter().filter(|record| record.into.is_none());
    let entry = |record| {
        let wake = Wake::joined(record, now);
        DueEntry { at, id: wake.id(), queue: "event".to_owned(), body: encode(&EventMessage::Due(wake)) }
    };
    live.map(entry).collect()
}
