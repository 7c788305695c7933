//! Whose lead is this? Rules in order; the first that matches and yields somebody decides.

mod decide;
mod explain;
mod import;
#[cfg(test)]
mod tests;

pub(crate) use decide::absorb;
pub use decide::{Case, LiveTeams, change, decide, members, own, owners_team};
pub use explain::{Explanation, explain};
pub use import::import;

use crate::condition::Scope;
use crate::customer::{Found, Merge, Ownership, Suggestion, Whole};
use crate::id::LeadId;
use crate::lead::{Facts, Flag, LeadState};
use crate::policy::{Assign, EndWord, PolicySet};
use crate::team::Snapshot;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a lead was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has an owner.
    Assigned {
        /// The rep.
        rep: String,
        /// The team whose share it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<String>,
    },
    /// The same was submitted minutes before.
    Repeat {
        /// By this lead.
        of: LeadId,
    },
    /// A rule ended it.
    Ended(EndWord),
    /// Nobody can take it now.
    Escalated,
    /// There is nothing in it.
    Invalid,
    /// It came in from a file that was not to be routed.
    Imported,
}

impl Outcome {
    /// The lead's state after it.
    pub const fn state(&self) -> LeadState {
        match self {
            Self::Assigned { .. } => LeadState::Assigned,
            Self::Repeat { .. } => LeadState::Repeat,
            Self::Ended(EndWord::Spam) => LeadState::Spam,
            Self::Ended(EndWord::Test) => LeadState::Test,
            Self::Ended(EndWord::Suppressed) => LeadState::Suppressed,
            Self::Escalated => LeadState::Escalated,
            Self::Invalid => LeadState::Invalid,
            Self::Imported => LeadState::Imported,
        }
    }
}

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its condition is false.
    #[serde(rename = "no")]
    NoMatch,
    /// Its condition could not be evaluated, which counts as false.
    #[serde(rename = "error")]
    Error(String),
    /// It matched, and the customer has no owner.
    NoOwner,
    /// It matched, and the owner does not take leads now.
    OwnerAway,
    /// It matched, and the owner is full in a team whose returning customers may not exceed capacity.
    OwnerFull,
    /// It matched, and the rep does not take leads now.
    RepAway,
    /// It matched, and nobody in the team can take it.
    Nobody,
    /// It decided.
    #[serde(rename = "yes")]
    Decided,
}

/// What the decision saw besides the lead and the policies: enough to make it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saw {
    /// What conditions read of the customer, and nothing else of it.
    #[serde(rename = "c", default, skip_serializing_if = "Map::is_empty")]
    pub customer: Map<String, Value>,
    /// The owner and the team it came through.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<(String, Option<String>)>,
    /// The lead this one repeats.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<LeadId>,
    /// The teams as they stood when asked.
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, Snapshot>,
    /// Whether the owner had room, where that was asked.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub owner_has_room: Option<bool>,
}

/// The record of one decision: idempotency record, timeline entry and explanation at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// When.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// The manifest version it used.
    #[serde(rename = "m")]
    pub manifest: u64,
    /// Whether the customer was first seen with this lead.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    pub new_customer: bool,
    /// What the identities led to.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Found>,
    /// Customers joined by this lead.
    #[serde(rename = "j", default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<Merge>,
    /// Customers not joined.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<Suggestion>,
    /// What it saw.
    #[serde(rename = "saw")]
    pub saw: Saw,
    /// The rules tried, in order, up to the one that decided.
    #[serde(rename = "tried")]
    pub tried: Vec<Verdict>,
    /// The result.
    #[serde(rename = "out")]
    pub outcome: Outcome,
}

/// Where members of teams come from: the live teams when deciding, the receipt when deciding again.
pub trait Shares {
    /// The next member of a team, or nobody. Counts.
    fn next(&mut self, team: &str) -> Option<String>;
    /// Gives the owner one more lead; `false` if the team lets returning customers not exceed capacity and the owner
    /// is full. Counts.
    fn keep(&mut self, team: &str, rep: &str) -> bool;
}

/// What the customer brings to a decision.
#[derive(Clone, Debug, Default)]
pub struct CustomerView {
    /// What conditions see as `customer`.
    pub view: Map<String, Value>,
    /// The owner and the team it came through.
    pub owner: Option<(String, Option<String>)>,
    /// The lead this one repeats.
    pub repeats: Option<LeadId>,
}

impl CustomerView {
    /// A known customer, cut to what the rules read.
    pub fn of(whole: Option<&Whole<'_>>, repeats: Option<LeadId>, policies: &PolicySet) -> Self {
        let owner = whole.and_then(Whole::owner);
        let mut full = Map::new();
        full.insert("known".into(), whole.is_some().into());
        full.insert("leads".into(), whole.map_or(0, Whole::leads).into());
        full.insert("owner".into(), owner.map_or("", |owner: &Ownership| owner.rep.as_str()).into());
        full.insert("team".into(), owner.and_then(|owner| owner.team.as_deref()).unwrap_or_default().into());
        let rules = &policies.settings.survivorship;
        for (name, fact) in whole.map(|whole| whole.facts(rules)).unwrap_or_default() {
            full.entry(name).or_insert_with(|| fact.value.reveal().clone().into());
        }
        let mut view = Map::new();
        for path in policies.routing.reads("customer") {
            match path.split('.').nth(1) {
                None => view.clone_from(&full),
                Some(name) => {
                    if let Some(value) = full.get(name) {
                        view.insert(name.to_owned(), value.clone());
                    }
                }
            }
        }
        Self { view, owner: owner.map(|owner| (owner.rep.clone(), owner.team.clone())), repeats }
    }

    /// As a receipt has it.
    pub fn from_saw(saw: &Saw) -> Self {
        Self { view: saw.customer.clone(), owner: saw.owner.clone(), repeats: saw.repeats.clone() }
    }
}

/// Decides. Deterministic: the same lead, customer, policies and shares give the same verdicts and outcome.
pub fn route(
    policies: &PolicySet,
    facts: &Facts,
    customer: &CustomerView,
    shares: &mut dyn Shares,
) -> (Vec<Verdict>, Outcome) {
    if facts.flags.contains(&Flag::Empty) {
        return (Vec::new(), Outcome::Invalid);
    }
    if facts.flags.contains(&Flag::Test) {
        return (Vec::new(), Outcome::Ended(EndWord::Test));
    }
    if let Some(of) = &customer.repeats {
        return (Vec::new(), Outcome::Repeat { of: of.clone() });
    }
    let scope =
        Scope::new().with("lead", &facts.view).with("customer", &Value::Object(customer.view.clone()));
    let mut tried = Vec::new();
    for (rule, condition) in &policies.routing.rules {
        match condition.as_ref().map(|condition| condition.eval(&scope)) {
            Some(Ok(false)) => {
                tried.push(Verdict::NoMatch);
                continue;
            }
            Some(Err(error)) => {
                tried.push(Verdict::Error(error.reason));
                continue;
            }
            Some(Ok(true)) | None => {}
        }
        if let Some(end) = rule.end {
            tried.push(Verdict::Decided);
            return (tried, Outcome::Ended(end));
        }
        match rule.assign.as_ref().map(|assign| give(policies, assign, customer, shares)) {
            Some(Ok(outcome)) => {
                tried.push(Verdict::Decided);
                return (tried, outcome);
            }
            Some(Err(verdict)) => tried.push(verdict),
            None => tried.push(Verdict::NoMatch),
        }
    }
    (tried, Outcome::Escalated)
}

fn give(
    policies: &PolicySet,
    assign: &Assign,
    customer: &CustomerView,
    shares: &mut dyn Shares,
) -> Result<Outcome, Verdict> {
    match assign {
        Assign::Owner(_) => {
            let Some((rep, team)) = &customer.owner else { return Err(Verdict::NoOwner) };
            if !policies.is_available(rep) {
                return Err(Verdict::OwnerAway);
            }
            let is_member = |team: &&String| {
                policies
                    .teams
                    .get(*team)
                    .is_some_and(|team| team.members.iter().any(|member| member.rep == *rep))
            };
            let team = team.as_ref().filter(is_member);
            match team {
                Some(team) if !shares.keep(team, rep) => Err(Verdict::OwnerFull),
                _ => Ok(Outcome::Assigned { rep: rep.clone(), team: team.cloned() }),
            }
        }
        Assign::Team(team) => match shares.next(team) {
            Some(rep) => Ok(Outcome::Assigned { rep, team: Some(team.clone()) }),
            None => Err(Verdict::Nobody),
        },
        Assign::Rep(rep) if policies.is_available(rep) => {
            Ok(Outcome::Assigned { rep: rep.clone(), team: None })
        }
        Assign::Rep(_) => Err(Verdict::RepAway),
    }
}

/// Decides again from what the receipt says was seen. Equal verdicts and outcome mean that the explanation is true.
pub fn replay(receipt: &Receipt, facts: &Facts, policies: &PolicySet) -> (Vec<Verdict>, Outcome) {
    struct AsSeen<'a>(&'a Saw);
    impl Shares for AsSeen<'_> {
        fn next(&mut self, team: &str) -> Option<String> {
            self.0.teams.get(team).and_then(Snapshot::chosen_rep)
        }
        fn keep(&mut self, _: &str, _: &str) -> bool {
            self.0.owner_has_room.unwrap_or(true)
        }
    }
    if receipt.outcome == Outcome::Imported {
        return (Vec::new(), import::outcome(facts, receipt.saw.repeats.as_ref()));
    }
    route(policies, facts, &CustomerView::from_saw(&receipt.saw), &mut AsSeen(&receipt.saw))
}
