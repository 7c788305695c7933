//! A decision in words, rendered when somebody asks.

use super::{Asks, Outcome, Receipt, Verdict, owner_name, replay, round_name};
use crate::customer::{Found, Recognised, SuggestionReason};
use crate::lead::{Facts, Lead};
use crate::policy::{Assign, By, PolicySet, Target};
use crate::team::{Seen, Snapshot};
use serde::Serialize;

/// Why a lead went where it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// One sentence a line, in the order things were decided.
    pub why: Vec<String>,
    /// Manifest version of the policies used.
    pub policy_version: u64,
}

/// Whether a lead's decision, made again from what its receipt says was seen, comes out as it is stored: who the lead is from, the
/// verdicts and the outcome. Nothing was decided of a lead without a receipt.
pub fn reproduced(lead: &Lead, facts: &Facts, policies: &PolicySet) -> Option<bool> {
    let receipt = lead.progress.receipt.as_ref()?;
    let (verdicts, outcome) = replay(receipt, facts, policies);
    let as_decided = verdicts == receipt.tried && outcome == receipt.outcome;
    Some(as_decided && is_recognised(lead, receipt, facts, policies))
}

fn is_recognised(lead: &Lead, receipt: &Receipt, facts: &Facts, policies: &PolicySet) -> bool {
    let Receipt { found, merges, suggestions, new_customer, .. } = receipt;
    if facts.is_nobody() {
        return found.is_empty() && merges.is_empty() && suggestions.is_empty();
    }
    let Some(home) = &lead.progress.customer else { return false };
    let said = Recognised { found, merges, suggestions, new_customer: *new_customer, home };
    // One that had waited was taken in before: what it joins since is added to what it joined then.
    match lead.progress.waits.is_empty() {
        true => said.is_of(&lead.id, &facts.identities, policies.settings.matching.join),
        false => said.is_one_person(),
    }
}

/// Explains a receipt with the policies of its version.
pub fn explain(receipt: &Receipt, facts: &Facts, policies: &PolicySet) -> Explanation {
    let mut why = who(receipt, facts);
    let mut asks = Asks::default();
    for (at, verdict) in receipt.tried.iter().enumerate() {
        let Some((rule, _)) = policies.routing.rules.get(at) else { continue };
        why.push(format!(
            "Rule {} \"{}\": {}",
            at + 1,
            rule.name,
            verdict_words(verdict, rule.assign.as_ref(), receipt)
        ));
        if !matches!(verdict, Verdict::NoMatch | Verdict::Error(_)) {
            why.extend(candidates(rule.assign.as_ref(), receipt, &mut asks));
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
        Outcome::Escalated if receipt.waits_for_hours() => match receipt.saw.first_back() {
            Some(back) => format!("Waits for the first who is back, at {back}."),
            None => "Waits for the first who is back.".to_owned(),
        },
        Outcome::Escalated => "Nobody can take it now: escalated, and tried again when somebody becomes available.".to_owned(),
        Outcome::Queued { team } => format!("Waits in the queue of team {team} until one of its members claims it."),
        Outcome::Invalid => "There is no field in it: nothing one could work with.".to_owned(),
        Outcome::Imported => "Imported without routing: the person is known, nobody was told.".to_owned(),
    });
    Explanation { why, policy_version: receipt.manifest }
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
    for Found { kind, customer, passed_over, .. } in &receipt.found {
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

/// Who came into question for a rule that matched, one line each.
fn candidates(assign: Option<&Assign>, receipt: &Receipt, asks: &mut Asks) -> Vec<String> {
    let mut of =
        |team: &str| receipt.saw.teams.get(&asks.next(team)).map(Snapshot::words).unwrap_or_default();
    match assign.map(|assign| &assign.target) {
        Some(Target::Team(team)) => of(team),
        Some(Target::Teams { teams, by }) => {
            let mut lines = Vec::new();
            if *by == By::Round {
                lines.extend(receipt.saw.rounds.get(&round_name(teams)).map(between).unwrap_or_default());
            }
            for team in teams {
                lines.extend(of(team).into_iter().map(|line| format!("{team}, {line}")));
            }
            lines
        }
        _ => Vec::new(),
    }
}

/// A turn between teams.
fn between(round: &Snapshot) -> Vec<String> {
    let turn = round.chosen_rep();
    let words = |team: &Seen| match (&team.passed_over, turn.as_ref() == Some(&team.rep)) {
        (Some(_), _) => format!("Team {}: nobody can take it.", team.rep),
        (None, true) => format!("Team {}: its turn.", team.rep),
        (None, false) => format!("Team {}: later.", team.rep),
    };
    round.members.iter().map(words).collect()
}

fn verdict_words(verdict: &Verdict, assign: Option<&Assign>, receipt: &Receipt) -> String {
    let target = assign.map(|assign| &assign.target);
    let (whose, owner) = match target {
        Some(Target::CompanysOwner) => ("company", &receipt.saw.company),
        _ => ("customer", &receipt.saw.owner),
    };
    let owner_name = owner.as_ref().map_or_else(String::new, |(rep, team)| owner_name(rep, team.as_deref()));
    let owner = owner.as_ref().map_or("", |(rep, _)| rep.as_str());
    let away = |rep: &str| match receipt.saw.off_duty.get(rep) {
        Some(off_duty) => format!("is {off_duty}"),
        None => "does not take leads now".to_owned(),
    };
    match verdict {
        Verdict::NoMatch => "does not match.".to_owned(),
        Verdict::Error(reason) => format!("could not be evaluated ({reason}), which counts as no match."),
        Verdict::NoOwner => format!("matches, but the {whose} has no owner."),
        Verdict::OwnerAway => format!("matches, but the owner {owner} {}.", away(&owner_name)),
        Verdict::OwnerFull => format!("matches, but the owner {owner} is full."),
        Verdict::RepAway => match target {
            Some(Target::Rep(rep)) => format!("matches, but {rep} {}.", away(rep)),
            _ => "matches, but the rep does not take leads now.".to_owned(),
        },
        Verdict::Nobody => match target {
            Some(Target::Teams { .. }) => "matches, but nobody in the teams can take it:".to_owned(),
            _ => "matches, but nobody in the team can take it:".to_owned(),
        },
        Verdict::Waits => match target {
            Some(Target::Teams { .. }) => {
                "matches, nobody of the teams who could take it is on duty, and their leads wait:".to_owned()
            }
            _ => "matches, nobody of the team who could take it is on duty, and its leads wait:".to_owned(),
        },
        Verdict::Decided => match target {
            Some(Target::CustomersOwner | Target::CompanysOwner) => {
                format!("matches: the owner {owner} keeps the {whose}.")
            }
            Some(Target::Team(team)) => format!("matches: the next of team {team}:"),
            Some(Target::Teams { by: By::Round, .. }) => "matches: the teams in turn:".to_owned(),
            Some(Target::Teams { by: By::First, .. }) => {
                "matches: the first team that has somebody:".to_owned()
            }
            Some(Target::Queue(team)) => format!("matches: the queue of team {team}."),
            Some(Target::Rep(rep)) => format!("matches: {rep}."),
            None => "matches.".to_owned(),
        },
    }
}
