//! Speed to lead: how long it takes from a lead to the first contact, counted in buckets from which percentiles are read.
//!
//! A bucket's upper end is a tenth above its lower end, and its value is the harmonic mean of the two. So a percentile is
//! off by less than 5 % of the exact one (by nearest rank), or lies in the first second with it.

use crate::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::fmt;

/// The first bucket ends here, in milliseconds.
const FIRST: i64 = 1_000;
/// Buckets: the last ends beyond ten years.
const BUCKETS: usize = 210;
/// The largest relative error of a percentile.
pub const ERROR: f64 = 0.05;

/// Upper ends of the buckets, which are in them. Whole numbers, so that every machine has the same ones.
const ENDS: [i64; BUCKETS] = {
    let mut ends = [FIRST; BUCKETS];
    let mut at = 1;
    while at < BUCKETS {
        ends[at] = ends[at - 1] + ends[at - 1] / 10;
        at += 1;
    }
    ends
};

/// The bucket of a duration in milliseconds; what is longer than ten years is in the last.
pub fn bucket(millis: i64) -> u16 {
    let at = ENDS.partition_point(|end| *end < millis).min(BUCKETS - 1);
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// What a bucket stands for, in milliseconds.
pub fn value(bucket: u16) -> i64 {
    let at = usize::from(bucket).min(BUCKETS - 1);
    match at.checked_sub(1) {
        None => FIRST / 2,
        Some(before) => {
            let (low, high) = (i128::from(ENDS[before]), i128::from(ENDS[at]));
            i64::try_from(2 * low * high / (low + high)).unwrap_or(i64::MAX)
        }
    }
}

/// Durations by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram(pub BTreeMap<u16, u64>);

impl Histogram {
    /// How many.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// Counts the other's as well.
    pub fn add(&mut self, other: &Self) {
        for (bucket, n) in &other.0 {
            *self.0.entry(*bucket).or_default() += n;
        }
    }

    /// The duration in milliseconds that `percent` of all do not exceed, by nearest rank; `None` of none.
    pub fn percentile(&self, percent: u64) -> Option<i64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.0.iter().find(|(_, n)| {
            seen += **n;
            seen >= rank
        });
        reached.map(|(bucket, _)| value(*bucket))
    }
}

/// First contacts of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// From lead to contact.
    pub elapsed: Histogram,
    /// The same in working time.
    pub working: Histogram,
    /// Contacts of teams that have a window.
    pub windowed: u64,
    /// Of these, in time.
    pub within: u64,
}

impl Tally {
    /// Counts the other's as well.
    pub fn add(&mut self, other: &Self) {
        self.elapsed.add(&other.elapsed);
        self.working.add(&other.working);
        self.windowed += other.windowed;
        self.within += other.within;
    }
}

/// Which tally a first contact counts in. Names of documents, which hold no `#`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Day of the contact, in UTC.
    pub day: Date,
    /// Form or source of the lead.
    pub source: String,
    /// Team, or nothing.
    pub team: String,
    /// Rep.
    pub rep: String,
}

impl Group {
    /// The day of an instant.
    pub fn day(at: Timestamp) -> Date {
        let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
        at.to_zoned(TimeZone::UTC).date()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.day, self.source, self.team, self.rep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_apart_and_reach_over_ten_years() {
        assert!(ENDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ENDS[BUCKETS - 1] > 10 * 366 * 86_400_000);
        assert_eq!((bucket(0), bucket(1_000), bucket(1_001), bucket(i64::MAX)), (0, 0, 1, 209));
        assert_eq!(Histogram::default().percentile(50), None);
    }

    proptest! {
        /// Against the exact percentile of the sorted durations.
        #[test]
        fn percentiles_keep_their_bound(
            mut all in prop::collection::vec((0u32..36).prop_flat_map(|bits| 0..(2i64 << bits)), 1..400),
            percent in 1u64..=100,
        ) {
            let mut halves = [Histogram::default(), Histogram::default()];
            for (at, millis) in all.iter().enumerate() {
                *halves[at % 2].0.entry(bucket(*millis)).or_default() += 1;
            }
            let [mut histogram, other] = halves;
            histogram.add(&other);
            all.sort_unstable();
            let rank = (all.len() as u64 * percent).div_ceil(100).max(1) as usize;
            let exact = all[rank - 1];
            let found = histogram.percentile(percent).unwrap();
            prop_assert_eq!(histogram.count(), all.len() as u64);
            let error = (found - exact).abs();
            prop_assert!(error <= 500 || error as f64 <= ERROR * exact as f64, "{found} for {exact}");
        }
    }
}
