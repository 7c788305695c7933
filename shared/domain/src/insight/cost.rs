//! What sources and advertisements cost, day by day.

use super::Key;
use crate::policy::Cost;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Shares an amount by weights in whole units: together exactly the amount, each less than one unit from its exact share. What
/// is left over goes to the largest remainders, of equal ones to the first. Without any weight nobody gets anything.
pub fn share_out(amount: i64, weights: &[u64]) -> Vec<i64> {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let sign = amount.signum();
    let amount = u128::from(amount.unsigned_abs());
    if total == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &u64| amount * u128::from(*weight);
    let mut shares: Vec<u128> = weights.iter().map(|weight| exact(weight) / total).collect();
    let left = amount - shares.iter().sum::<u128>();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder
        .sort_by_key(|at| std::cmp::Reverse(weights.get(*at).map_or(0, |weight| exact(weight) % total)));
    for at in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares.into_iter().map(|share| sign * i64::try_from(share).unwrap_or(i64::MAX)).collect()
}

/// What was paid, by what for, in hundredths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs(BTreeMap<Key, i64>);

impl Costs {
    /// What these documents say was paid from one day to another, both counted. A document's amount is spread evenly over its
    /// days.
    pub fn between<'a>(costs: impl IntoIterator<Item = &'a Cost>, from: Date, to: Date) -> Self {
        let mut all = Self::default();
        for cost in costs {
            let (first, last) = (cost.from, cost.last());
            if last < from || first > to {
                continue;
            }
            let days = usize::try_from((last - first).get_days() + 1).unwrap_or(1);
            let shares = share_out(cost.amount.hundredths(), &vec![1; days]);
            let dated = first.series(jiff::Span::new().days(1)).zip(shares);
            let paid: i64 = dated.filter(|(day, _)| (from..=to).contains(day)).map(|(_, share)| share).sum();
            *all.0.entry(cost.of.clone()).or_default() += paid;
        }
        all
    }

    /// What was paid for this; nothing if no document says anything.
    pub fn of(&self, key: &Key) -> Option<i64> {
        self.0.get(key).copied()
    }

    /// Everything that was paid for.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.keys()
    }

    /// What was paid for all of it.
    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }
}
