//! A lead from a file that is not to be routed: the person is recognised, nobody is asked to take it.

use super::decide::{customer_view, recorded};
use super::{Case, Outcome, Receipt, Saw};
use crate::id::LeadId;
use crate::lead::{Facts, Flag};
use crate::policy::PolicySet;
use crate::time::Timestamp;

/// Decides a lead that came in from a file at `now`, without asking the rules.
pub fn import(case: Case<'_>, policies: &PolicySet, now: Timestamp) -> Receipt {
    let repeats = case.who.and_then(|who| customer_view(case, who, policies).repeats);
    let outcome = outcome(case.facts, repeats.as_ref());
    Receipt { saw: Saw { repeats, ..Saw::default() }, ..recorded(case, policies, outcome, now) }
}

/// How it ends, by what it says and by what it repeats.
pub(super) fn outcome(facts: &Facts, repeats: Option<&LeadId>) -> Outcome {
    match repeats {
        _ if facts.flags.contains(&Flag::Empty) => Outcome::Invalid,
        Some(of) => Outcome::Repeat { of: of.clone() },
        None => Outcome::Imported,
    }
}
