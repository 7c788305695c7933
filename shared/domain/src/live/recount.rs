//! What a record's own events say of what was not counted before.

use super::{Live, LivePolicy};

/// What counts now: `counted`, which is what the entries of the record come to by the policies of today, in any order. What is
/// counted, scored and bought comes of the entries alone; tags, the stage, 三定, points that were given, the segments and what is waited for
/// stay as they are, since journeys and people have their part in them.
pub fn recount(before: &Live, counted: Live, policy: &LivePolicy) -> Live {
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
