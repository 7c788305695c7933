//! What behaviour makes of a customer, as documents: lifecycle stages, scores, tiers, churn warnings, segments.

use super::Period;
use serde::{Deserialize, Serialize};

/// The lifecycle: its stages and what moves a customer from one to another, in either direction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// `default`.
    pub name: String,
    /// The stages by name. Everybody starts in the first.
    pub stages: Vec<String>,
    /// In order: of several that fit, the first moves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
}

impl Lifecycle {
    /// The most stages.
    pub const MAX_STAGES: usize = 20;
    /// The most moves: which of them an event made is kept as one number.
    pub const MAX_MOVES: usize = 32;
}

/// One move between stages: by an event, or by what holds of the person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The stage it leads to.
    pub to: String,
    /// The stages it leads from; none is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// The event that moves, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// With `on`: a condition over `event` alone.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Instead of `on`: a condition over the person, looked at whenever what it reads changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// Scores on two axes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// `default`.
    pub name: String,
    /// How well the person fits, by what is known of them.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub fit: Fit,
    /// How interested the person is, by what they do.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub interest: Interest,
}

impl Scoring {
    /// The most rules on one axis.
    pub const MAX_RULES: usize = 100;
    /// The most points that one rule gives or takes.
    pub const MAX_POINTS: i32 = 1_000;
}

/// The rules of fit. They do not fade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fit {
    /// Each whose condition holds gives its points.
    pub rules: Vec<FitRule>,
    /// Grades by points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Grade>,
}

/// One rule of fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitRule {
    /// For explanations.
    pub name: String,
    /// A condition over `customer`.
    pub when: String,
    /// Points, negative ones too.
    pub points: i32,
}

/// The rules of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interest {
    /// After which time points count half.
    pub half_life: HalfLife,
    /// Each event that a rule names gives its points.
    pub rules: Vec<InterestRule>,
    /// Grades by points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Grade>,
}

/// A half-life; 30 days unless something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HalfLife(pub Period);

impl Default for HalfLife {
    fn default() -> Self {
        Self(Period::days(30))
    }
}

/// One rule of interest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterestRule {
    /// For explanations.
    pub name: String,
    /// The event, by its name.
    pub on: String,
    /// A condition over `event` alone.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Points, negative ones too.
    pub points: i32,
}

/// A grade: its name and the points from which it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grade {
    /// `A`, `hot`.
    pub name: String,
    /// From so many points on.
    pub from: i32,
}

/// What buyers are worth, by recency, frequency and money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rfm {
    /// The currency that money is counted in; orders in others count as orders only. Absent is all as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Best first: a person has the first whose cut points they reach.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// A tier and its cut points; what is absent is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// `vip`.
    pub name: String,
    /// The last order is no longer ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recency: Option<Period>,
    /// At least so many orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<u32>,
    /// Orders of at least so much, in whole units of the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<u32>,
}

/// When silence is a warning: in multiples of the median time between a person's own active days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Churn {
    /// From so many times their usual on it is a warning.
    pub warning: u32,
    /// From so many times on the risk is high.
    pub high: u32,
    /// Active days that have to be known before anything is said.
    pub least: u32,
    /// The events that count as activity; empty is everything that people do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

impl Default for Churn {
    fn default() -> Self {
        Self { warning: 2, high: 4, least: 4, events: Vec::new() }
    }
}

/// A segment: everybody of whom a condition holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The condition over the person.
    pub when: String,
    /// Whether those who are found to be in it when it is published count as entering: journeys that it starts then start
    /// for all of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trigger: bool,
}
