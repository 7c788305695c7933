//! Whose an order is: what it came to, shared among the touches before it, in whole units that add up exactly.

use super::{Model, Touch, share_out};
use crate::id::EventId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What an event about orders changed, and who had a part in it: kept with the event's entry, so that what was counted can be
/// counted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credited {
    /// When the order was made.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What brought the buyer, in the order of time.
    #[serde(rename = "t", default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Touch>,
    /// Orders more; fewer if one was cancelled.
    #[serde(rename = "o", default, skip_serializing_if = "is_zero")]
    pub orders: i64,
    /// 1 if it is the first that stands, -1 if it was.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub buyers: i64,
    /// Money more, in hundredths.
    #[serde(rename = "m", default, skip_serializing_if = "is_zero")]
    pub money: i64,
    /// After so many milliseconds a touch counts half.
    #[serde(rename = "h")]
    pub half_life: i64,
    /// Who owns the buyer.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub rep: Option<String>,
    /// The team through which.
    #[serde(rename = "te", default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// By which event each of the newest orders of a record was credited, each by a hash of its id: what changes of it goes where
/// that went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Credits(Vec<(String, EventId)>);

impl Credits {
    /// The most that are kept: they are part of an item that is charged by the kilobyte, and old orders rarely change.
    pub const MOST: usize = 12;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The event by which an order was credited.
    pub fn of(&self, order: &str) -> Option<&EventId> {
        self.0.iter().find(|(known, _)| known == order).map(|(_, event)| event)
    }

    /// One more, once for each order. Of too many the one goes that was credited first.
    pub fn add(&mut self, order: String, event: EventId) {
        if self.of(&order).is_some() {
            return;
        }
        self.0.push((order, event));
        if self.0.len() > Self::MOST {
            self.0.remove(0);
        }
    }
}

/// The shares of `touches`, which are in the order of time and none later than `at`, in `amount`: one each, and together
/// exactly `amount`. A negative amount goes back as it came. `half_life` is in milliseconds.
pub fn credit(model: Model, touches: &[Touch], at: Timestamp, amount: i64, half_life: i64) -> Vec<i64> {
    let last = touches.len().saturating_sub(1);
    let weight = |(n, touch): (usize, &Touch)| match model {
        Model::First => u64::from(n == 0),
        Model::Last => u64::from(n == last),
        Model::Linear => 1,
        Model::Position => position(n, touches.len()),
        Model::TimeDecay => decay(at.seconds() - touch.at, half_life / 1000),
    };
    let weights: Vec<u64> = touches.iter().enumerate().map(weight).collect();
    share_out(amount, &weights)
}

/// 40 to the ends, 20 to all between; of two touches each is an end.
fn position(n: usize, all: usize) -> u64 {
    let between = all.saturating_sub(2) as u64;
    match (n == 0 || n + 1 == all, between) {
        (_, 0) => 1,
        (true, between) => 2 * between,
        (false, _) => 1,
    }
}

/// 2^32 times 2 to the power of minus n sixteenths. Whole numbers, so that every machine shares alike.
const STEPS: [u64; 17] = [
    4_294_967_296,
    4_112_874_773,
    3_938_502_376,
    3_771_522_796,
    3_611_622_603,
    3_458_501_653,
    3_311_872_529,
    3_171_459_999,
    3_037_000_500,
    2_908_241_642,
    2_784_941_738,
    2_666_869_345,
    2_553_802_834,
    2_445_529_972,
    2_341_847_524,
    2_242_560_872,
    2_147_483_648,
];

/// How much a touch of this age counts, both in seconds: half as much after each half-life, between sixteenths of one in a
/// straight line (off by less than 0.03 %). However long ago it is, it counts something.
fn decay(age: i64, half_life: i64) -> u64 {
    let (age, half_life) = (age.max(0).unsigned_abs(), half_life.max(1).unsigned_abs());
    let halves = (age / half_life).min(31);
    let rest = age % half_life;
    let (step, part) = (rest * 16 / half_life, rest * 16 % half_life);
    let at = |n: u64| STEPS.get(usize::try_from(n).unwrap_or(16)).copied().unwrap_or(STEPS[16]);
    let (high, low) = (at(step), at(step + 1));
    let fall = u128::from(high - low) * u128::from(part) / u128::from(half_life);
    ((high - u64::try_from(fall).unwrap_or(0)) >> halves).max(1)
}
