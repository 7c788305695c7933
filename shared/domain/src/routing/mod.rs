//! Whose lead is this? Rules in order; the first that matches and yields somebody decides.

mod decide;
mod explain;
mod import;
mod live;
#[cfg(test)]
mod tests;
mod tried;

pub(crate) use decide::absorb;
pub use decide::{Case, change, company_goes_along, company_owned, decide, goes_along, own, owner};
pub use explain::{Explanation, explain, reproduced};
pub use import::import;
pub use live::{
    Desk, LiveTeams, Missing, ask_anyway, is_round, lacks, members, on_leave, round_name, watched,
};

use crate::condition::Scope;
use crate::customer::{Found, Merge, Ownership, Suggestion, Whole};
use crate::id::LeadId;
use crate::identity::Language;
use crate::lead::{Facts, Flag, LeadState};
use crate::policy::{Assign, By, EndWord, LanguageNeed, Need, OffHours, PolicySet, Target};
use crate::team::{OffDuty, Snapshot, Why};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
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
    /// It is for whoever of a team claims it.
    Queued {
        /// The team.
        team: String,
    },
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
            Self::Queued { .. } => LeadState::Queued,
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
    /// It matched, and the customer (or the company) has no owner.
    NoOwner,
    /// It matched, and the owner does not take leads now.
    OwnerAway,
    /// It matched, and the owner is full in a team whose returning customers may not exceed capacity.
    OwnerFull,
    /// It matched, and the rep does not take leads now.
    RepAway,
    /// It matched, and nobody in the team can take it.
    Nobody,
    /// It matched, nobody of the team (or of the teams) is on duty, and its leads wait for who is back.
    Waits,
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
    /// The owner of the lead's company and the team it came through.
    #[serde(rename = "co", default, skip_serializing_if = "Option::is_none")]
    pub company: Option<(String, Option<String>)>,
    /// Reps named by rules who were not at work, and owners who were on leave as `rep` or `team/rep`.
    #[serde(rename = "a", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub off_duty: BTreeMap<String, OffDuty>,
    /// Whose turn it was between teams, by the name of the round; the teams are its members.
    #[serde(rename = "ro", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rounds: BTreeMap<String, Snapshot>,
    /// The teams as they stood when asked; asked again (by another rule, which may ask for more) as `team#1` and so on.
    #[serde(rename = "t", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub teams: BTreeMap<String, Snapshot>,
    /// Part of it was erased together with somebody this customer was joined with: the decision cannot be made again.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    /// Whether an owner had room, where that was asked, by `team/rep`.
    #[serde(rename = "k", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owner_has_room: BTreeMap<String, bool>,
}

impl Saw {
    /// What a team answered each time it was asked, in order.
    pub fn answers<'a>(&'a self, team: &'a str) -> impl Iterator<Item = &'a Snapshot> {
        (0..).map_while(move |n| self.teams.get(&ask_name(team, n)))
    }

    /// The first time at which somebody who was passed over for not being at work is back.
    pub fn first_back(&self) -> Option<Timestamp> {
        let named = self.off_duty.values().filter_map(|off_duty| off_duty.back);
        named.chain(self.teams.values().filter_map(Snapshot::first_back)).min()
    }
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
    #[serde(rename = "tried", with = "tried")]
    pub tried: Vec<Verdict>,
    /// The result.
    #[serde(rename = "out")]
    pub outcome: Outcome,
}

impl Receipt {
    /// What the rule that decided asks of whoever gets the lead. `policies` are those of its manifest version.
    pub fn need<'p>(&self, policies: &'p PolicySet) -> Option<&'p Need> {
        let (Verdict::Decided, before) = self.tried.split_last()? else { return None };
        let (rule, _) = policies.routing.rules.get(before.len())?;
        rule.assign.as_ref().map(|assign| &assign.need)
    }

    /// Whether the lead waits because its rule's teams are off duty and said that their leads wait: nobody need be told.
    pub fn waits_for_hours(&self) -> bool {
        self.outcome == Outcome::Escalated && self.tried.last() == Some(&Verdict::Waits)
    }

    /// Whether a lead that nobody can take is as it was when `before` was decided: for the same reasons, and until the same
    /// moment. Otherwise what is stored no longer explains it.
    pub fn says_the_same(&self, before: &Self) -> bool {
        let waits = |receipt: &Self| (receipt.tried.clone(), receipt.saw.first_back());
        self.outcome == before.outcome && waits(self) == waits(before)
    }
}

/// Where members of teams come from: the live teams when deciding, the receipt when deciding again.
pub trait Shares {
    /// The next member of a team who brings what is asked. Counts.
    fn next(&mut self, team: &str, need: &Asked) -> Turn;
    /// Of several teams the one whose turn it is, and its next member; if there is nobody, why not in each of them.
    /// Counts.
    fn round(
        &mut self,
        teams: &[String],
        needs: &BTreeMap<&str, Asked>,
    ) -> Result<(String, String), Vec<Turn>>;
    /// Gives the owner one more lead; `false` if the team lets returning customers not exceed capacity and the owner
    /// is full. Counts.
    fn keep(&mut self, team: &str, rep: &str) -> bool;
    /// Why a rep who is named by a rule is not at work.
    fn off_duty(&mut self, rep: &str) -> Option<OffDuty>;
    /// Whether an owner, whom somebody is theirs through `team`, is on leave: their customers wait overnight.
    fn on_leave(&mut self, rep: &str, team: Option<&str>) -> Option<OffDuty>;
    /// Whether an answer was only made up, so that what comes of it does not count and nothing more is to be asked.
    fn is_waiting(&self) -> bool {
        false
    }
}

/// Whose turn it is in a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// This member's.
    Of(String),
    /// Nobody's.
    Nobody {
        /// Whether somebody would have come into question if they were at work, and nobody who is.
        off_duty: bool,
    },
}

impl Turn {
    /// As a decision saw it.
    pub fn seen(seen: &Snapshot) -> Self {
        match seen.chosen_rep() {
            Some(rep) => Self::Of(rep),
            None => Self::Nobody { off_duty: seen.is_off_duty() },
        }
    }
}

/// What a rule and its team ask of whoever gets the lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Every one of these languages.
    pub languages: Vec<Language>,
    /// Every one of these skills.
    pub skills: Vec<String>,
}

impl Asked {
    /// What all of these ask for this lead. A lead whose language is not known asks for none.
    pub fn of<'a>(needs: impl IntoIterator<Item = &'a Need>, facts: &Facts) -> Self {
        let mut asked = Self::default();
        for need in needs {
            asked.languages.extend(match need.language {
                None => None,
                Some(LanguageNeed::This(language)) => Some(language),
                Some(LanguageNeed::Leads) => facts.language,
            });
            asked.skills.extend(need.skills.iter().cloned());
        }
        asked
    }
}

/// What the customer brings to a decision.
#[derive(Clone, Debug, Default)]
pub struct CustomerView {
    /// What conditions see as `customer`.
    pub view: Map<String, Value>,
    /// The owner and the team it came through.
    pub owner: Option<(String, Option<String>)>,
    /// The owner of the lead's company and the team it came through.
    pub company: Option<(String, Option<String>)>,
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
        let rules = &policies.routing;
        let view = match rules.read_whole_customer {
            true => full,
            false => rules.customer_fields.iter().filter_map(|name| full.remove_entry(name)).collect(),
        };
        let owner = owner.map(|owner| (owner.rep.clone(), owner.team.clone()));
        Self { view, owner, company: None, repeats }
    }

    /// As a receipt has it.
    pub fn from_saw(saw: &Saw) -> Self {
        Self {
            view: saw.customer.clone(),
            owner: saw.owner.clone(),
            company: saw.company.clone(),
            repeats: saw.repeats.clone(),
        }
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
    let scope = Scope::new()
        .with("lead", &lead_view(policies, facts))
        .with("customer", &Value::Object(customer.view.clone()));
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
        match rule.assign.as_ref().map(|assign| give(policies, facts, assign, customer, shares)) {
            Some(Ok(outcome)) => {
                tried.push(Verdict::Decided);
                return (tried, outcome);
            }
            Some(Err(Verdict::Waits)) => {
                tried.push(Verdict::Waits);
                return (tried, Outcome::Escalated);
            }
            Some(Err(verdict)) => tried.push(verdict),
            None => tried.push(Verdict::NoMatch),
        }
        if shares.is_waiting() {
            break;
        }
    }
    (tried, Outcome::Escalated)
}

/// What conditions see as `lead`: the territory is looked up only if one of them asks.
fn lead_view<'a>(policies: &PolicySet, facts: &'a Facts) -> Cow<'a, Value> {
    if !policies.routing.read_territory {
        return Cow::Borrowed(&facts.view);
    }
    let mut view = facts.view.clone();
    if let Some(view) = view.as_object_mut() {
        view.insert("territory".to_owned(), policies.territories.of(facts).unwrap_or_default().into());
    }
    Cow::Owned(view)
}

fn give(
    policies: &PolicySet,
    facts: &Facts,
    assign: &Assign,
    customer: &CustomerView,
    shares: &mut dyn Shares,
) -> Result<Outcome, Verdict> {
    let asked = |team: &str| {
        Asked::of(
            [Some(&assign.need), policies.teams.get(team).map(|team| &team.need)].into_iter().flatten(),
            facts,
        )
    };
    match &assign.target {
        Target::CustomersOwner => keep(policies, customer.owner.as_ref(), shares),
        Target::CompanysOwner => keep(policies, customer.company.as_ref(), shares),
        Target::Team(team) => match shares.next(team, &asked(team)) {
            Turn::Of(rep) => Ok(Outcome::Assigned { rep, team: Some(team.clone()) }),
            turn @ Turn::Nobody { .. } => Err(nobody(policies, std::slice::from_ref(team), &[turn])),
        },
        Target::Teams { teams, by: By::First } => {
            let mut turns = Vec::new();
            for team in teams {
                match shares.next(team, &asked(team)) {
                    Turn::Of(rep) => return Ok(Outcome::Assigned { rep, team: Some(team.clone()) }),
                    turn @ Turn::Nobody { .. } => turns.push(turn),
                }
                if shares.is_waiting() {
                    break;
                }
            }
            Err(nobody(policies, teams, &turns))
        }
        Target::Teams { teams, by: By::Round } => {
            let needs: BTreeMap<&str, Asked> =
                teams.iter().map(|team| (team.as_str(), asked(team))).collect();
            let (team, rep) = shares.round(teams, &needs).map_err(|turns| nobody(policies, teams, &turns))?;
            Ok(Outcome::Assigned { rep, team: Some(team) })
        }
        Target::Queue(team) => Ok(Outcome::Queued { team: team.clone() }),
        Target::Rep(rep) if policies.is_available(rep) && shares.off_duty(rep).is_none() => {
            Ok(Outcome::Assigned { rep: rep.clone(), team: None })
        }
        Target::Rep(_) => Err(Verdict::RepAway),
    }
}

/// What becomes of a lead that nobody of these teams takes: it waits if every one of them is off duty and says so.
fn nobody(policies: &PolicySet, teams: &[String], turns: &[Turn]) -> Verdict {
    let waits = |(team, turn): (&String, &Turn)| {
        let says_so = policies.teams.get(team).is_some_and(|team| team.off_hours == OffHours::Wait);
        says_so && *turn == Turn::Nobody { off_duty: true }
    };
    let is_whole = teams.len() == turns.len();
    if is_whole && teams.iter().zip(turns).all(waits) { Verdict::Waits } else { Verdict::Nobody }
}

/// Whoever owns the customer or the company gets the lead too, and it counts for the team they have them through.
fn keep(
    policies: &PolicySet,
    owner: Option<&(String, Option<String>)>,
    shares: &mut dyn Shares,
) -> Result<Outcome, Verdict> {
    let Some((rep, team)) = owner else { return Err(Verdict::NoOwner) };
    if !policies.is_available(rep) || shares.on_leave(rep, team.as_deref()).is_some() {
        return Err(Verdict::OwnerAway);
    }
    let is_member = |team: &&String| policies.teams.get(*team).is_some_and(|team| team.member(rep).is_some());
    let team = team.as_ref().filter(is_member);
    match team {
        Some(team) if !shares.keep(team, rep) => Err(Verdict::OwnerFull),
        _ => Ok(Outcome::Assigned { rep: rep.clone(), team: team.cloned() }),
    }
}

/// The name an owner's leave is written down under: which days it is depends on the team they have somebody through.
fn owner_name(rep: &str, team: Option<&str>) -> String {
    team.map_or_else(|| rep.to_owned(), |team| format!("{team}/{rep}"))
}

/// The name of an answer: a team is asked once for each rule that names it.
fn ask_name(team: &str, n: usize) -> String {
    if n == 0 { team.to_owned() } else { format!("{team}#{n}") }
}

/// How often each team was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Asks(BTreeMap<String, usize>);

impl Asks {
    /// The name of the team's next answer.
    pub(crate) fn next(&mut self, team: &str) -> String {
        let n = self.0.entry(team.to_owned()).or_default();
        *n += 1;
        ask_name(team, *n - 1)
    }
}

/// Decides again from what the receipt says was seen. Equal verdicts and outcome mean that the explanation is true.
pub fn replay(receipt: &Receipt, facts: &Facts, policies: &PolicySet) -> (Vec<Verdict>, Outcome) {
    struct AsSeen<'a>(&'a Saw, Asks);
    impl Shares for AsSeen<'_> {
        fn next(&mut self, team: &str, _: &Asked) -> Turn {
            self.0.teams.get(&self.1.next(team)).map_or(Turn::Nobody { off_duty: false }, Turn::seen)
        }
        fn round(
            &mut self,
            teams: &[String],
            _: &BTreeMap<&str, Asked>,
        ) -> Result<(String, String), Vec<Turn>> {
            let turns: Vec<Turn> = teams.iter().map(|team| self.next(team, &Asked::default())).collect();
            let team = self.0.rounds.get(&round_name(teams)).and_then(Snapshot::chosen_rep);
            let found =
                team.and_then(|team| match turns.get(teams.iter().position(|one| *one == team)?)? {
                    Turn::Of(rep) => Some((team, rep.clone())),
                    Turn::Nobody { .. } => None,
                });
            found.ok_or(turns)
        }
        fn keep(&mut self, team: &str, rep: &str) -> bool {
            self.0.owner_has_room.get(&format!("{team}/{rep}")).copied().unwrap_or(true)
        }
        fn off_duty(&mut self, rep: &str) -> Option<OffDuty> {
            self.0.off_duty.get(rep).copied()
        }
        fn on_leave(&mut self, rep: &str, team: Option<&str>) -> Option<OffDuty> {
            // Without a team, the same rep may be asked for by name as well.
            let off_duty = self.0.off_duty.get(&owner_name(rep, team)).copied();
            off_duty.filter(|off_duty| off_duty.why == Why::Leave)
        }
    }
    if receipt.outcome == Outcome::Imported {
        return (Vec::new(), import::outcome(facts, receipt.saw.repeats.as_ref()));
    }
    route(policies, facts, &CustomerView::from_saw(&receipt.saw), &mut AsSeen(&receipt.saw, Asks::default()))
}
