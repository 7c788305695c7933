//! What alerts look at: one number of a key.

use super::{Costs, Counter, Counts, Dimension, Key, Model, Sums, Worth, tally::THOUSAND};
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Leads of a source or an advertisement.
    Leads,
    /// Leads that a team or a rep was given.
    Assigned,
    /// The part of these that were none.
    DisqualifiedRate,
    /// Runs of a journey that began.
    Entered,
    /// The part of these that reached the goal.
    GoalRate,
    /// Messages of a journey or a step that went out.
    Sent,
    /// The part of these that came back.
    BounceRate,
    /// The part of these that were called spam.
    ComplaintRate,
    /// The part of these by which somebody said that they want no more.
    UnsubscribeRate,
    /// The part of these that were opened.
    OpenRate,
    /// The part of these a link of which was followed.
    ClickRate,
    /// Orders: of what brought the buyers by the last touch, of teams and reps all of theirs.
    Orders,
    /// Money, likewise.
    Revenue,
    /// What a lead of a source or an advertisement costs.
    CostPerLead,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 14] = [
        Self::Leads,
        Self::Assigned,
        Self::DisqualifiedRate,
        Self::Entered,
        Self::GoalRate,
        Self::Sent,
        Self::BounceRate,
        Self::ComplaintRate,
        Self::UnsubscribeRate,
        Self::OpenRate,
        Self::ClickRate,
        Self::Orders,
        Self::Revenue,
        Self::CostPerLead,
    ];

    /// The word used in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::Assigned => "assigned",
            Self::DisqualifiedRate => "disqualified_rate",
            Self::Entered => "entered",
            Self::GoalRate => "goal_rate",
            Self::Sent => "sent",
            Self::BounceRate => "bounce_rate",
            Self::ComplaintRate => "complaint_rate",
            Self::UnsubscribeRate => "unsubscribe_rate",
            Self::OpenRate => "open_rate",
            Self::ClickRate => "click_rate",
            Self::Orders => "orders",
            Self::Revenue => "revenue",
            Self::CostPerLead => "cost_per_lead",
        }
    }

    /// Whether it is a part of something.
    pub const fn is_part(self) -> bool {
        self.part().is_some()
    }

    /// Of a part: what, and of what.
    const fn part(self) -> Option<(Counter, Counter)> {
        Some(match self {
            Self::DisqualifiedRate => (Counter::Disqualified, Counter::Assigned),
            Self::GoalRate => (Counter::Reached, Counter::Entered),
            Self::BounceRate => (Counter::Bounced, Counter::Sent),
            Self::ComplaintRate => (Counter::Complained, Counter::Sent),
            Self::UnsubscribeRate => (Counter::Unsubscribed, Counter::Sent),
            Self::OpenRate => (Counter::Opened, Counter::Sent),
            Self::ClickRate => (Counter::Clicked, Counter::Sent),
            _ => return None,
        })
    }

    /// The kinds of key that it can be measured of.
    pub const fn is_of(self) -> &'static [Dimension] {
        use Dimension::{Ad, Campaign, Journey, Rep, Source, Step, Team};
        match self {
            Self::Leads | Self::CostPerLead => &[Source, Ad],
            Self::Assigned | Self::DisqualifiedRate => &[Team, Rep],
            Self::Entered | Self::GoalRate => &[Journey],
            Self::Orders | Self::Revenue => &[Source, Ad, Journey, Step, Campaign, Team, Rep],
            _ => &[Journey, Step],
        }
    }
}

/// What a measure came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The number; of a part from 0 to 1.
    pub value: f64,
    /// Of a part: of how many.
    pub of: Option<i64>,
}

/// What a measure comes to; nothing where nothing can be said, such as a part of none. What its steps counted counts for a
/// journey, what its variants did for a campaign.
pub fn measured(measure: Measure, key: &Key, sums: &Sums, costs: &Costs) -> Option<Measured> {
    let counts = of(key, sums);
    let count = |counter: Counter| counts.get(&counter).copied().unwrap_or_default();
    let number = |value: f64| Some(Measured { value, of: None });
    if let Some((part, whole)) = measure.part() {
        let of = count(whole);
        return (of > 0).then(|| Measured { value: count(part) as f64 / of as f64, of: Some(of) });
    }
    let is_owner = matches!(key.dimension(), Dimension::Team | Dimension::Rep);
    let worth = |worth: Worth, unit: i64| match is_owner {
        true => count(Counter::Whole(worth)) as f64,
        false => count(Counter::Credited(Model::Last, worth)) as f64 / unit as f64,
    };
    match measure {
        Measure::Leads => number(count(Counter::Leads) as f64),
        Measure::Assigned => number(count(Counter::Assigned) as f64),
        Measure::Entered => number(count(Counter::Entered) as f64),
        Measure::Sent => number(count(Counter::Sent) as f64),
        Measure::Orders => number(worth(Worth::Orders, THOUSAND)),
        Measure::Revenue => number(worth(Worth::Revenue, 1) / 100.0),
        Measure::CostPerLead => {
            let leads = count(Counter::Leads);
            let cost = costs.of(key).filter(|_| leads > 0)?;
            number(cost as f64 / leads as f64 / 100.0)
        }
        _ => None,
    }
}

/// Counters of a key; of a journey those of its steps as well, of a campaign those of its variants.
pub(super) fn of(key: &Key, sums: &Sums) -> Counts {
    let mut counts = sums.get(key).cloned().unwrap_or_default();
    let is_part = |part: &Key| match (key, part) {
        (Key::Journey(journey), Key::Step(of, _)) => journey == of,
        (Key::Campaign(campaign, None), Key::Campaign(of, Some(_))) => campaign == of,
        _ => false,
    };
    for (counter, n) in sums.iter().filter(|(part, _)| is_part(part)).flat_map(|(_, counts)| counts) {
        *counts.entry(*counter).or_default() += n;
    }
    counts
}
