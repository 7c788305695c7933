//! What a campaign would come to if somebody scheduled it now: about, since its audience is evaluated when it goes out.

use super::{LONGEST_DAY_MS, Occurrence, TooLate, first};
use crate::policy::Campaign;
use crate::policy::journey::Share;
use crate::time::Timestamp;

/// What it would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// When it goes out.
    pub when: Occurrence,
    /// People who get nothing, to compare with.
    pub held_out: u64,
    /// People who get a message.
    pub messages: u64,
    /// Of these, get a variant at once, while the others wait for the winner; none if nobody waits.
    pub tested: Option<u64>,
    /// How long it takes from the first message to the last of those who live in one zone, in milliseconds.
    pub takes: i64,
    /// When the last messages go out: where recipients' own time counts, of those for whom that day ends last.
    pub last: Timestamp,
}

/// What a campaign to so many people would come to; `rate` is what its channel takes a second.
///
/// # Errors
/// Its time has passed.
pub fn forecast(
    document: &Campaign,
    rate: Option<u32>,
    people: u64,
    now: Timestamp,
) -> Result<Forecast, TooLate> {
    let when = first(&document.at, now)?;
    let held_out = document.hold_out.map_or(0, |part| part_of(people, part));
    let messages = people - held_out;
    let tested = document.winner.map(|winner| part_of(messages, winner.test));
    // What is spread is no faster than the channel either.
    let spread = document.spread.map_or(0, |spread| spread.millis());
    let rate = document.rate.or(rate);
    let takes = |n: u64| {
        let slots = rate.map_or(0, |rate| n.saturating_mul(1000) / u64::from(rate.max(1)));
        i64::try_from(slots).unwrap_or(i64::MAX).max(spread)
    };
    let takes = match (document.winner, tested) {
        (Some(winner), Some(tested)) => {
            takes(tested).saturating_add(winner.after.millis()).saturating_add(takes(messages - tested))
        }
        _ => takes(messages),
    };
    let zones = if when.local.is_some() { LONGEST_DAY_MS } else { 0 };
    let last = Timestamp(when.at.millis().saturating_add(zones)).max(now);
    let last = Timestamp(last.millis().saturating_add(takes));
    Ok(Forecast { when, held_out, messages, tested, takes, last })
}

fn part_of(people: u64, part: Share) -> u64 {
    let part = u128::from(people) * u128::from(part.hundredths());
    u64::try_from(part.div_ceil(10_000)).unwrap_or(people).min(people)
}
