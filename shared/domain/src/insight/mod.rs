//! What campaigns, journeys, sources, teams and reps came to.
//!
//! Everything is counted from entries: [`tally`] says what an entry counts, and is added in the transaction that stores the
//! entry. So a counter is the sum of the entries that are there, however often and in whatever order they were told (I12),
//! and is behind what happened by as long as events wait on their queue.

mod alarm;
mod campaigns;
mod cell;
mod cost;
mod counter;
mod credit;
mod exposure;
mod key;
mod lift;
mod measure;
mod report;
mod tally;
#[cfg(test)]
mod tests;
mod touch;

pub use alarm::{Alarm, Rings, judge, looked_at, read_for, rings};
pub use campaigns::{Broadcasts, CampaignRow, Outcome, VariantRow, campaigns};
pub use cell::Cell;
pub use cost::{Costs, share_out};
pub use counter::{Counter, Model, Worth};
pub use credit::{Credited, Credits, credit};
pub use exposure::{Exposure, Exposures};
pub use jiff::civil::Date as Day;
pub use key::{Dimension, Key};
pub use lift::{Interval, Lift, Part, lift};
pub use measure::{Measure, Measured, measured};
pub use report::{
    AttributionRow, Delivery, Earned, JourneyRow, PeopleRow, Report, ReportWith, SourceRow, StepRow,
    attribution, journeys, people, sources,
};
pub use tally::{Counts, Sums, Tallies, day, roll_up, sum_up, tally};
pub use touch::{Touch, Touches};
