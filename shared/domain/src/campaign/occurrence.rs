//! When a campaign goes out, and when again.

use crate::calendar::Zone;
use crate::policy::campaign::{At, Every, Recurring, minute};
use crate::time::Timestamp;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

/// How long before its time the audience is gone through, in milliseconds.
pub const PLAN_AHEAD_MS: i64 = 600_000;
/// From when a day begins somewhere until it begins everywhere, in milliseconds: from UTC+14 to UTC-12.
pub const LONGEST_DAY_MS: i64 = 26 * 3_600_000;
/// How late one of several times may go out, in milliseconds.
const MISSED_MS: i64 = 86_400_000;
/// Where every day begins first (UTC+14).
const FIRST: &str = "Pacific/Kiritimati";
/// Days looked through for the next occurrence: every weekly or monthly one comes within them.
const DAYS: i64 = 40;

/// One time to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// When its first messages go out.
    pub at: Timestamp,
    /// The time that it is where the recipient lives, if it goes by that.
    pub local: Option<DateTime>,
}

/// The time has passed, everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// The first time to go out when it is asked for at `now`.
///
/// # Errors
/// That time has passed. Where it has passed for some recipients only, they get it at once.
pub fn first(at: &At, now: Timestamp) -> Result<Occurrence, TooLate> {
    match at {
        At::Now => Ok(Occurrence { at: now, local: None }),
        At::Time(at) => {
            Some(Occurrence { at: *at, local: None }).filter(|when| when.at >= now).ok_or(TooLate)
        }
        At::Local(local) => {
            let when = everywhere(*local).ok_or(TooLate)?;
            if now.since(when.at) > LONGEST_DAY_MS { Err(TooLate) } else { Ok(when) }
        }
        At::Every(recurring) => after(recurring, now).ok_or(TooLate),
    }
}

/// The time after one, if it goes out again: behind `now` too, so what was missed meanwhile is not made up for.
pub fn next(at: &At, last: Occurrence, now: Timestamp) -> Option<Occurrence> {
    match at {
        At::Every(recurring) => after(recurring, last.at.max(now)),
        At::Now | At::Time(_) | At::Local(_) => None,
    }
}

/// Whether a time of several was let pass by for so long that it does not go out any more: there is a later one.
pub fn is_missed(at: &At, when: Occurrence, now: Timestamp) -> bool {
    matches!(at, At::Every(_)) && now.since(when.at) > MISSED_MS
}

fn everywhere(local: DateTime) -> Option<Occurrence> {
    let at = Zone::named(FIRST)?.minute_of(local.date(), minute(local))?;
    Some(Occurrence { at, local: Some(local) })
}

/// The first occurrence behind `last`.
fn after(recurring: &Recurring, last: Timestamp) -> Option<Occurrence> {
    let zone = recurring.zone.clone().or_else(|| Zone::named(FIRST))?;
    let today = zone.day(last)?;
    let minute = recurring.time.minutes();
    let days = (0..=DAYS).filter_map(|days| today.checked_add(days.days()).ok());
    days.filter(|day| is_on(&recurring.every, *day)).find_map(|day| {
        let at = zone.minute_of(day, minute).filter(|at| *at > last)?;
        let time = jiff::civil::time((minute / 60 % 24) as i8, (minute % 60) as i8, 0, 0);
        let local = recurring.zone.is_none().then(|| day.to_datetime(time));
        Some(Occurrence { at, local })
    })
}

fn is_on(every: &Every, day: Date) -> bool {
    match every {
        Every::Day => true,
        Every::Week(days) => {
            let monday_is_zero = u8::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0);
            days.contains(&monday_is_zero)
        }
        Every::Month(wanted) => day.day() == (*wanted).min(day.days_in_month()),
    }
}
