//! What a record's own events say of what was not counted before.

use super::{Live, LivePolicy};
use crate::event::Event;
use crate::time::Timestamp;

/// Counts everything anew by the policies of today, from the entries of the record, in any order. What is counted, scored
/// and bought comes of the entries alone; tags, the stage, 三定, the segments and what is waited for stay as they are, since
/// journeys and people have their part in them.
pub fn recount<'a>(
    before: &Live,
    entries: impl IntoIterator<Item = &'a Event>,
    policy: &LivePolicy,
    now: Timestamp,
) -> Live {
    let mut counted = Live::default();
    for event in entries {
        counted.apply(event, policy, now);
    }
    Live {
        counts: counted.counts,
        last: counted.last.max(before.last),
        rhythm: counted.rhythm,
        interest: counted.interest,
        orders: counted.orders,
        spec: policy.spec.clone(),
        ..before.clone()
    }
}
