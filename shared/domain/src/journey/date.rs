//! Days that make people enter: "3 days before" a date of theirs, birthdays, in their own time zone.

use super::{Flow, Sees};
use crate::calendar::Zone;
use crate::policy::journey::DateTrigger;
use crate::time::Timestamp;
use jiff::civil::Date;

/// A day is over after this: nobody is congratulated two days late.
pub(super) const LATE_MS: i64 = 24 * 3_600_000;

/// When a date of the customer's makes them enter next, strictly after `after`; none is that no date of theirs does.
pub fn next_date(flow: &Flow, sees: &dyn Sees, after: Timestamp) -> Option<Timestamp> {
    let dates = flow.journey().trigger.iter().filter_map(|trigger| trigger.date.as_ref());
    dates.filter_map(|trigger| next(trigger, sees, after)).min()
}

/// Whether a date of the customer's makes them enter at this instant.
pub fn occurs(flow: &Flow, sees: &dyn Sees, at: Timestamp) -> bool {
    next_date(flow, sees, at.plus_millis(-1)) == Some(at)
}

fn next(trigger: &DateTrigger, sees: &dyn Sees, after: Timestamp) -> Option<Timestamp> {
    let written = sees.fact(&trigger.fact)?;
    let (date, zone) = (day_of(&written)?, sees.zone());
    if !trigger.yearly {
        return instant(trigger, date, &zone).filter(|at| *at > after);
    }
    let year = zone.day(after)?.year();
    // A day before or after may lie in another year than the date itself.
    let years = (year.saturating_sub(1)..=year.saturating_add(2)).filter(|year| *year > date.year());
    let days = years.filter_map(|year| in_year(date, year));
    days.filter_map(|date| instant(trigger, date, &zone)).find(|at| *at > after)
}

/// The day in another year; the 29th of February is the 28th where there is none.
fn in_year(date: Date, year: i16) -> Option<Date> {
    Date::new(year, date.month(), date.day()).or_else(|_| Date::new(year, date.month(), 28)).ok()
}

fn instant(trigger: &DateTrigger, date: Date, zone: &Zone) -> Option<Timestamp> {
    let day = date.checked_add(jiff::Span::new().days(trigger.days.days())).ok()?;
    zone.minute_of(day, trigger.at.minutes())
}

/// A date as facts have it: `1990-05-01`, alone or before a time.
fn day_of(text: &str) -> Option<Date> {
    let text = text.trim();
    let day =
        text.get(..10).filter(|_| text.len() == 10 || matches!(text.as_bytes().get(10), Some(b'T' | b' ')));
    day?.parse().ok()
}
