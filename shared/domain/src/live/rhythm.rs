//! How often somebody usually comes, from their own active days: what their silence is measured by.

use super::counts::{DAY, read_gaps, write_gaps};
use crate::policy::Churn;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Active days that are kept.
const DAYS: usize = 12;

/// The newest days on which somebody was active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    /// Days since the epoch in UTC, newest first.
    #[serde(rename = "d", default, serialize_with = "write_gaps", deserialize_with = "read_gaps")]
    days: Vec<i64>,
    /// The last activity, in seconds.
    #[serde(rename = "l")]
    last: i64,
}

/// How likely somebody is to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChurnRisk {
    /// Silent no longer than usual, or too little is known to say.
    #[default]
    None,
    /// Silent for unusually long.
    Warning,
    /// Silent for very long.
    High,
}

impl ChurnRisk {
    /// The word that conditions see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Warning => "warning",
            Self::High => "high",
        }
    }

    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl Rhythm {
    pub(super) fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// Somebody was active.
    pub(super) fn add(&mut self, at: Timestamp) {
        self.last = if self.days.is_empty() { at.seconds() } else { self.last.max(at.seconds()) };
        self.add_day(at.seconds().div_euclid(DAY));
    }

    fn add_day(&mut self, day: i64) {
        let place = self.days.partition_point(|known| *known > day);
        if self.days.get(place) != Some(&day) {
            self.days.insert(place, day);
            self.days.truncate(DAYS);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.days.is_empty() {
            self.last = other.last;
        } else if !other.days.is_empty() {
            self.last = self.last.max(other.last);
        }
        other.days.iter().for_each(|day| self.add_day(*day));
    }

    /// The median time between active days, in milliseconds; nothing while fewer than `least` days are known.
    pub fn median(&self, least: u32) -> Option<i64> {
        if self.days.len() < usize::try_from(least).unwrap_or(usize::MAX).max(2) {
            return None;
        }
        let mut gaps: Vec<i64> = self.days.windows(2).map(|pair| pair[0] - pair[1]).collect();
        gaps.sort_unstable();
        let middle = gaps.len() / 2;
        let days = if gaps.len() % 2 == 1 { gaps[middle] * 2 } else { gaps[middle - 1] + gaps[middle] };
        Some(days * DAY * 1000 / 2)
    }

    /// How likely they are to be lost.
    pub fn risk(&self, churn: &Churn, now: Timestamp) -> ChurnRisk {
        let reached = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let [warning, high] = self.points(churn);
        match (reached(warning), reached(high)) {
            (_, true) => ChurnRisk::High,
            (true, _) => ChurnRisk::Warning,
            _ => ChurnRisk::None,
        }
    }

    /// When the next level is reached if nothing happens.
    pub(crate) fn edge(&self, churn: &Churn, now: Timestamp) -> Option<Timestamp> {
        self.points(churn).into_iter().flatten().filter(|at| *at > now).min()
    }

    fn points(&self, churn: &Churn) -> [Option<Timestamp>; 2] {
        let usual = self.median(churn.least);
        let after = |times: u32| {
            Some(Timestamp::from_seconds(self.last).plus_millis(usual?.saturating_mul(i64::from(times))))
        };
        [after(churn.warning), after(churn.high)]
    }
}
