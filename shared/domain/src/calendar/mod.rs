//! Working time: hours in a time zone, holidays of a country, absences of a person, and what follows for an instant.
//!
//! A [`Schedule`] answers whether it is open at an instant, when it opens next, how much open time lies between two
//! instants and when an amount of open time will have passed. Everything is an instant outside and local time inside,
//! so a day on which the clocks change has as many open hours as really pass.

mod absence;
mod holidays;
mod hours;
mod schedule;
#[cfg(test)]
mod tests;

pub use absence::{Absence, Leave, MAX_ABSENCES, Moment};
pub use holidays::{Calendar, Day, Opening};
pub(crate) use hours::minute as minute_of_day;
pub use hours::{DAY_NAMES, Hours, LocalHours, Spans, Zone};
pub use schedule::{Closed, Reason, Schedule};
