//! How often and when the events happened that some policy asks about.

use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// What has to be kept of one event's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// Exact times of so many, newest first. At least one: the last.
    pub keep: usize,
    /// Of older ones the number of each day, so many days back; 0 is none.
    pub days: i64,
}

impl Need {
    /// The most exact times of one name. Comparisons with a larger number are answered from the days.
    pub const MOST: usize = 20;
    /// The most days.
    pub const MAX_DAYS: i64 = 400;

    /// What is enough for both.
    pub fn both(self, other: Self) -> Self {
        Self { keep: self.keep.max(other.keep), days: self.days.max(other.days) }
    }
}

/// When one event happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// In seconds, newest first.
    #[serde(rename = "t", default, serialize_with = "write_gaps", deserialize_with = "read_gaps")]
    times: Vec<i64>,
    /// How often on older days, counted since the epoch in UTC.
    #[serde(rename = "d", default, skip_serializing_if = "BTreeMap::is_empty")]
    days: BTreeMap<i64, u32>,
}

pub(super) const DAY: i64 = 86_400;

impl Seen {
    /// Counts one more. The newest are exact, so whatever order they come in the result is the same.
    pub(super) fn add(&mut self, at: Timestamp, need: Need, now: Timestamp) {
        let at = at.seconds();
        let place = self.times.partition_point(|known| *known > at);
        self.times.insert(place, at);
        self.fit(need, now);
    }

    /// Leaves no more than is needed.
    pub(super) fn fit(&mut self, need: Need, now: Timestamp) {
        while self.times.len() > need.keep.max(1) {
            if let Some(oldest) = self.times.pop() {
                *self.days.entry(oldest.div_euclid(DAY)).or_default() += 1;
            }
        }
        let first = now.seconds().div_euclid(DAY) - need.days - 1;
        self.days.retain(|day, _| need.days > 0 && *day >= first);
    }

    /// Takes in what was seen elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        self.times.extend(&other.times);
        self.times.sort_unstable_by(|a, b| b.cmp(a));
        for (day, n) in &other.days {
            *self.days.entry(*day).or_default() += n;
        }
    }

    /// The last time.
    pub fn last(&self) -> Option<Timestamp> {
        self.times.first().map(|at| Timestamp::from_seconds(*at))
    }

    /// How often within the last `window_ms`. An older day's are taken to have happened at its noon.
    pub fn count(&self, window_ms: i64, now: Timestamp) -> u64 {
        let is_in = |at: i64| now.since(Timestamp::from_seconds(at)) < window_ms;
        let exact = self.times.iter().filter(|at| is_in(**at)).count() as u64;
        let days = self.days.iter().filter(|(day, _)| is_in(noon(**day)));
        exact + days.map(|(_, n)| u64::from(*n)).sum::<u64>()
    }

    /// The instants after `now` at which the count of a window falls, with the count from then on, soonest first.
    pub(crate) fn falls(&self, window_ms: i64, now: Timestamp) -> impl Iterator<Item = (Timestamp, u64)> {
        let days = self.days.iter().map(|(day, n)| (noon(*day), u64::from(*n)));
        let times = self.times.iter().rev().map(|at| (*at, 1));
        let mut all: Vec<(i64, u64)> = days.chain(times).collect();
        all.sort_unstable();
        let mut left = self.count(window_ms, now);
        all.into_iter().filter_map(move |(at, n)| {
            let out = Timestamp::from_seconds(at).plus_millis(window_ms);
            (out > now).then(|| {
                left = left.saturating_sub(n);
                (out, left)
            })
        })
    }
}

const fn noon(day: i64) -> i64 {
    day * DAY + DAY / 2
}

/// The first as it is, the others as seconds before the one before: short numbers.
pub(super) fn write_gaps<S: Serializer>(times: &[i64], serializer: S) -> Result<S::Ok, S::Error> {
    let mut before = 0;
    serializer.collect_seq(times.iter().enumerate().map(|(i, at)| {
        let written = if i == 0 { *at } else { before - at };
        before = *at;
        written
    }))
}

pub(super) fn read_gaps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    let mut times = Vec::<i64>::deserialize(deserializer)?;
    for i in 1..times.len() {
        times[i] = times[i - 1].saturating_sub(times[i]);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_260_000_000);

    fn seen(ages_hours: &[i64], need: Need) -> Seen {
        let mut seen = Seen::default();
        for age in ages_hours {
            seen.add(NOW.plus_millis(-age * 3_600_000), need, NOW);
        }
        seen
    }

    #[test]
    fn the_newest_are_exact_and_older_ones_counted_by_day() {
        let seen = seen(&[1, 2, 30, 31, 200, 900], Need { keep: 2, days: 20 });
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<Seen>(&text).unwrap(), seen);
        assert_eq!(seen.times.len(), 2);
        assert_eq!(seen.last(), Some(NOW.plus_millis(-3_600_000)));
        assert_eq!(seen.count(3 * 3_600_000, NOW), 2);
        assert_eq!(seen.count(20 * 86_400_000, NOW), 5, "what is older than the days is gone");
    }

    #[test]
    fn a_window_falls_when_its_oldest_leaves() {
        let seen = seen(&[1, 5, 23], Need { keep: 5, days: 0 });
        let falls: Vec<_> = seen.falls(86_400_000, NOW).collect();
        assert_eq!(falls[0], (NOW.plus_millis(3_600_000), 2));
        assert_eq!(seen.count(86_400_000, falls[0].0.plus_millis(-1)), 3);
        assert_eq!(seen.count(86_400_000, falls[0].0), 2);
        assert_eq!(falls.last().map(|fall| fall.1), Some(0));
    }

    proptest! {
        #[test]
        fn whatever_order_they_come_in_the_counts_are_the_same(
            ages in proptest::collection::vec(0..900i64, 0..40).prop_shuffle(), keep in 1..6usize, days in 0..30i64,
        ) {
            let need = Need { keep, days };
            let shuffled = seen(&ages, need);
            let mut sorted = ages.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&shuffled, &seen(&sorted, need));
            let (left, right) = ages.split_at(ages.len() / 2);
            let mut both = seen(left, need);
            both.merge(&seen(right, need));
            both.fit(need, NOW);
            prop_assert_eq!(&both, &shuffled);
        }
    }
}
