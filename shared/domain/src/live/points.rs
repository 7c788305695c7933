//! Points of interest that fade, and what they were given for.
//!
//! Points are kept as whole numbers by half-life period: what a period's points are worth at its start is a sum of whole
//! numbers, the same in whatever order they come. After one half-life all of them count half.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Periods that are kept: after twelve half-lives a point is worth a four-thousandth.
const PERIODS: i64 = 12;
/// Reasons that are kept.
const REASONS: usize = 5;

/// What points were given for: when in seconds, by which rule, how many.
pub type Line = (i64, String, i32);

/// Interest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Points {
    /// The half-life they are kept by, in seconds.
    #[serde(rename = "h")]
    half_life: i64,
    /// Thousandths of points by period, as they are worth at its start.
    #[serde(rename = "p", default, skip_serializing_if = "BTreeMap::is_empty")]
    periods: BTreeMap<i64, i64>,
    /// The newest reasons, newest first.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Line>,
}

impl Points {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.lines.is_empty()
    }

    /// Gives points.
    pub(super) fn add(&mut self, rule: &str, points: i32, at: Timestamp, half_life: i64, now: Timestamp) {
        self.keep_by(half_life, now);
        let period = at.seconds().div_euclid(self.half_life);
        *self.periods.entry(period).or_default() += self.worth(f64::from(points) * 1000.0, at, period);
        self.lines.push((at.seconds(), rule.to_owned(), points));
        self.fit(now);
    }

    /// Takes in what was given elsewhere.
    pub(super) fn merge(&mut self, other: &Self, now: Timestamp) {
        if self.half_life == 0 {
            self.half_life = other.half_life;
        }
        let mut other = other.clone();
        if other.half_life != 0 {
            other.keep_by(self.half_life, now);
        }
        for (period, points) in other.periods {
            *self.periods.entry(period).or_default() += points;
        }
        self.lines.extend(other.lines);
        self.fit(now);
    }

    /// Leaves no more than matters at `now`.
    pub(super) fn fit(&mut self, now: Timestamp) {
        self.lines.sort_by(|a, b| b.cmp(a));
        self.lines.truncate(REASONS);
        if self.half_life > 0 {
            let first = now.seconds().div_euclid(self.half_life) - PERIODS;
            self.periods.retain(|period, _| *period >= first);
        }
    }

    /// What they are worth.
    pub fn value(&self, now: Timestamp) -> f64 {
        let of = |(period, points): (&i64, &i64)| *points as f64 * self.fading(*period, now);
        self.periods.iter().map(of).sum::<f64>() / 1000.0
    }

    /// When they will be worth `level`, if they fade to it.
    pub(crate) fn reaches(&self, level: f64, now: Timestamp) -> Option<Timestamp> {
        let ratio = self.value(now) / level;
        if self.half_life == 0 || !ratio.is_finite() || ratio < 1.0 {
            return None;
        }
        let ms = ratio.log2() * self.half_life as f64 * 1000.0;
        Some(now.plus_millis(ms.ceil() as i64 + 1))
    }

    /// The newest reasons, newest first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// From now on it fades by another half-life.
    fn keep_by(&mut self, half_life: i64, now: Timestamp) {
        let half_life = half_life.max(1);
        if self.half_life == half_life {
            return;
        }
        let worth = self.value(now) * 1000.0;
        self.periods.clear();
        self.half_life = half_life;
        let period = now.seconds().div_euclid(half_life);
        let points = self.worth(worth, now, period);
        if points != 0 {
            self.periods.insert(period, points);
        }
    }

    /// What points given at an instant are worth at the start of its period, which is more.
    fn worth(&self, points: f64, at: Timestamp, period: i64) -> i64 {
        (points / self.fading(period, at)).round() as i64
    }

    /// Which part of a period's points is left.
    fn fading(&self, period: i64, at: Timestamp) -> f64 {
        let seconds = at.millis() as f64 / 1000.0 - (period.saturating_mul(self.half_life)) as f64;
        (-seconds / self.half_life.max(1) as f64).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_795_260_000_000);
    const DAY: i64 = 86_400_000;

    #[test]
    fn points_count_half_after_each_half_life() {
        let mut points = Points::default();
        points.add("pricing", 40, NOW, 30 * 86_400, NOW);
        for (days, worth) in [(0, 40.0), (30, 20.0), (60, 10.0), (45, 14.142)] {
            assert!((points.value(NOW.plus_millis(days * DAY)) - worth).abs() < 0.01, "{days}");
        }
        let at = points.reaches(10.0, NOW).unwrap();
        assert!((at.since(NOW) - 60 * DAY).abs() < 20_000, "{}", at.since(NOW));
        assert!(points.value(at) <= 10.0);
        assert_eq!((points.reaches(50.0, NOW), points.reaches(0.0, NOW)), (None, None));
    }

    #[test]
    fn another_half_life_changes_how_they_fade_and_not_what_they_are_worth_now() {
        let mut points = Points::default();
        points.add("a", 40, NOW.plus_millis(-30 * DAY), 30 * 86_400, NOW);
        points.keep_by(7 * 86_400, NOW);
        for (days, worth) in [(0, 20.0), (7, 10.0)] {
            assert!((points.value(NOW.plus_millis(days * DAY)) - worth).abs() < 0.01, "{days}");
        }
    }

    proptest! {
        #[test]
        fn whatever_order_they_come_in_the_points_are_the_same(
            given in proptest::collection::vec((0..400i64, -50..100i32, 0..4u8), 0..30).prop_shuffle(),
        ) {
            let sum = |given: &[(i64, i32, u8)]| {
                let mut points = Points::default();
                for (days, n, rule) in given {
                    points.add(&format!("rule {rule}"), *n, NOW.plus_millis(-days * DAY), 14 * 86_400, NOW);
                }
                points
            };
            let mut sorted = given.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sum(&given), sum(&sorted));
            let (left, right) = given.split_at(given.len() / 2);
            let mut both = sum(left);
            both.merge(&sum(right), NOW);
            prop_assert_eq!(both, sum(&given));
            let text = serde_json::to_string(&sum(&given)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Points>(&text).unwrap(), sum(&given));
        }
    }
}
