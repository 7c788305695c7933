//! What campaigns came to: what became of their messages as their own tallies count it, and what people did then, as entries of
//! events do. Both are of the broadcasts of some days; money is of the orders of these days, as everywhere.

use super::measure::of;
use super::report::{count, credited, rate, unattributed};
use super::{Counter, Delivery, Earned, Key, Lift, Part, Report, ReportWith, Sums, lift};
use crate::campaign;
use crate::policy::Campaign;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The broadcasts of one campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Broadcasts {
    /// How many.
    pub n: u32,
    /// What they counted.
    pub counts: campaign::Counts,
    /// The document that the newest of them goes by.
    pub document: Option<Campaign>,
}

/// What people did who got it, and how that compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of those who got it: reached the goal; nothing of a campaign without one.
    pub converted: Option<i64>,
    /// The part of these.
    pub conversion: Option<f64>,
    /// Compared with the hold-out.
    pub lift: Option<Lift>,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CampaignRow {
    /// Its name.
    pub campaign: String,
    /// How many times it went out.
    pub broadcasts: u32,
    /// People who got nothing, to compare with.
    pub held_out: i64,
    /// See [`Outcome`].
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Its messages.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Orders that they brought.
    #[serde(flatten)]
    pub earned: Earned,
    /// Its variants.
    pub variants: Vec<VariantRow>,
}

/// A variant of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantRow {
    /// Its name.
    pub variant: String,
    /// See [`Outcome`].
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Its messages.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Orders that they brought.
    #[serde(flatten)]
    pub earned: Earned,
}

/// Campaigns with their variants, by name.
pub fn campaigns(
    sums: &Sums,
    went_out: &BTreeMap<String, Broadcasts>,
    with: ReportWith<'_>,
) -> Report<CampaignRow> {
    let counted = sums.keys().filter_map(|key| match key {
        Key::Campaign(name, _) => Some(name),
        _ => None,
    });
    let names: BTreeSet<&String> = went_out.keys().chain(counted).collect();
    let none = Broadcasts::default();
    let rows = names.into_iter().map(|name| row(name, sums, went_out.get(name).unwrap_or(&none), with));
    Report { rows: rows.collect(), unattributed: unattributed(sums, with.model) }
}

fn row(name: &str, sums: &Sums, went_out: &Broadcasts, with: ReportWith<'_>) -> CampaignRow {
    let whole = of(&Key::Campaign(name.to_owned(), None), sums);
    let sent = &went_out.counts;
    let held_out = Part {
        n: natural(count(&whole, Counter::HeldOutReached)),
        of: natural(sent.skipped().get("held_out").copied().unwrap_or_default()),
    };
    let has_goal = went_out.document.as_ref().is_some_and(|document| document.goal.is_some());
    let outcome = |converted: i64, delivery: &Delivery| Outcome {
        converted: has_goal.then_some(converted),
        conversion: rate(converted as f64, delivery.sent as f64).filter(|_| has_goal),
        lift: lift(Part { n: natural(converted), of: natural(delivery.sent) }, held_out).filter(|_| has_goal),
    };
    let variants = went_out.document.iter().flat_map(|document| &document.variants).zip(0u8..);
    let variants = variants.map(|(variant, place)| {
        let counts = sums.get(&Key::Campaign(name.to_owned(), Some(place))).cloned().unwrap_or_default();
        let delivery = Delivery::of(|counter| sent.of(&counter.name(), place));
        VariantRow {
            variant: variant.name.clone(),
            outcome: outcome(count(&counts, Counter::Reached), &delivery),
            delivery,
            earned: credited(&counts, with.model),
        }
    });
    let delivery = Delivery::of(|counter| sent.total(&counter.name()));
    CampaignRow {
        campaign: name.to_owned(),
        broadcasts: went_out.n,
        held_out: i64::try_from(held_out.of).unwrap_or(i64::MAX),
        outcome: outcome(count(&whole, Counter::Reached), &delivery),
        variants: variants.collect(),
        delivery,
        earned: credited(&whole, with.model),
    }
}

fn natural(n: i64) -> u64 {
    n.max(0).unsigned_abs()
}
