//! A decision in words, rendered when somebody asks.

use super::{Outcome, Receipt, Verdict, replay};
use crate::customer::{Found, SuggestionReason};
use crate::lead::Facts;
use crate::policy::{Assign, PolicySet};
use crate::team::Snapshot;
use serde::Serialize;

/// Why a lead went where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// One sentence a line, in the order things were decided.
    pub why: Vec<String>,
    /// Manifest version of the policies used.
    pub policy_version: u64,
    /// Whether deciding again from what was seen gives the same verdicts and outcome.
    pub reproduced: bool,
}

/// Explains a receipt with the policies of its version.
pub fn explain(receipt: &Receipt, facts: &Facts, policies: &PolicySet) -> Explanation {
    let (verdicts, outcome) = replay(receipt, facts, policies);
    let reproduced = verdicts == receipt.tried && outcome == receipt.outcome;
    let mut why = who(receipt, facts);
    for (at, verdict) in receipt.tried.iter().enumerate() {
        let Some((rule, _)) = policies.routing.rules.get(at) else { continue };
        why.push(format!(
            "Rule {} \"{}\": {}",
            at + 1,
            rule.name,
            verdict_words(verdict, rule.assign.as_ref(), receipt)
        ));
        if let (Some(Assign::Team(team)), Verdict::Decided | Verdict::Nobody) = (&rule.assign, verdict) {
            why.extend(receipt.saw.teams.get(team).map(Snapshot::words).unwrap_or_default());
        }
    }
    why.push(match &receipt.outcome {
        Outcome::Assigned { rep, team: Some(team) } => format!("Assigned to {rep}, as a lead of team {team}."),
        Outcome::Assigned { rep, team: None } => format!("Assigned to {rep}."),
        Outcome::Repeat { of } => format!("The same form with the same fields came minutes before ({of}): counted as a repeat, nobody told again."),
        Outcome::Ended(_) if receipt.tried.is_empty() => {
            "The sender says that it is a test of its own: no person, nobody told.".to_owned()
        }
        Outcome::Ended(_) => format!("Ended as {} by the rule.", receipt.outcome.state().name()),
        Outcome::Escalated => "Nobody can take it now: escalated, and tried again when somebody becomes available.".to_owned(),
        Outcome::Invalid => "There is no field in it: nothing one could work with.".to_owned(),
        Outcome::Imported => "Imported without routing: the person is known, nobody was told.".to_owned(),
    });
    Explanation { why, policy_version: receipt.manifest, reproduced }
}

fn who(receipt: &Receipt, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::new();
    if facts.is_nobody() {
        return lines;
    }
    if facts.identities.is_empty() {
        lines.push(
            "No usable e-mail, phone or other id: nobody to recognise, so a customer of its own.".to_owned(),
        );
    }
    for Found { kind, customer, passed_over } in &receipt.found {
        lines.push(match passed_over {
            None => format!("The {} is known: customer {customer}.", kind.name()),
            Some(reason) => {
                format!("The {} is known from customer {customer}, but {}.", kind.name(), objection(*reason))
            }
        });
    }
    if receipt.new_customer && !facts.identities.is_empty() {
        lines.push("First seen with this lead: a new customer.".to_owned());
    }
    for merge in &receipt.merges {
        let by = merge.likeness.as_ref().map(|by| format!(" By likeness, {}.", by.words()));
        lines.push(format!(
            "Customers {} and {} are one person: {} gives way.{}",
            merge.into,
            merge.from,
            merge.from,
            by.unwrap_or_default()
        ));
    }
    for suggestion in &receipt.suggestions {
        let same = suggestion.kind.map(|kind| format!("same {}", kind.name()));
        let by = same.or_else(|| suggestion.likeness.as_ref().map(|likeness| likeness.words()));
        lines.push(format!(
            "Perhaps the same person as {} ({}), not joined: {}.",
            suggestion.customer,
            by.unwrap_or_default(),
            objection(suggestion.reason)
        ));
    }
    lines
}

const fn objection(reason: SuggestionReason) -> &'static str {
    match reason {
        SuggestionReason::HoldsAnother => "each holds a different identity of one kind",
        SuggestionReason::SharedAddress => "that address is shared by too many people",
        SuggestionReason::KeptApart => "a person has said that they are two",
        SuggestionReason::Weak => "that alone is too weak to join two customers",
        SuggestionReason::Alike => "a person has to look",
        SuggestionReason::JoinOff => "joining by likeness is not switched on",
        SuggestionReason::TooManyHalves => "too many were joined already, a person has to look",
    }
}

fn verdict_words(verdict: &Verdict, assign: Option<&Assign>, receipt: &Receipt) -> String {
    let owner = || receipt.saw.owner.as_ref().map_or("", |(rep, _)| rep.as_str());
    match verdict {
        Verdict::NoMatch => "does not match.".to_owned(),
        Verdict::Error(reason) => format!("could not be evaluated ({reason}), which counts as no match."),
        Verdict::NoOwner => "matches, but the customer has no owner.".to_owned(),
        Verdict::OwnerAway => format!("matches, but the owner {} does not take leads now.", owner()),
        Verdict::OwnerFull => format!("matches, but the owner {} is full.", owner()),
        Verdict::RepAway => match assign {
            Some(Assign::Rep(rep)) => format!("matches, but {rep} does not take leads now."),
            _ => "matches, but the rep does not take leads now.".to_owned(),
        },
        Verdict::Nobody => "matches, but nobody in the team can take it:".to_owned(),
        Verdict::Decided => match assign {
            Some(Assign::Owner(_)) => format!("matches: the owner {} keeps the customer.", owner()),
            Some(Assign::Team(team)) => format!("matches: the next of team {team}:"),
            Some(Assign::Rep(rep)) => format!("matches: {rep}."),
            None => "matches.".to_owned(),
        },
    }
}
