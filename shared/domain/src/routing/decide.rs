//! One lead's decision on live teams: what it sees, what it takes, what it writes down.

use super::live::{Live, LiveTeams};
use super::{Asks, CustomerView, Receipt, Saw, route};
use crate::customer::{
    Customer, Found, Joined, Known, KnownAddress, Merge, Ownership, Raised, Recognition, Suggestion,
    SuggestionReason, Whole, note_suggestions,
};
use crate::id::{CustomerId, LeadId};
use crate::lead::{Assignment, Facts, Lead, Progress};
use crate::policy::PolicySet;
use crate::routing::Outcome;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A lead with all that was loaded for it.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The lead as stored.
    pub lead: &'a Lead,
    /// What it says.
    pub facts: &'a Facts,
    /// What the store knows of its identities.
    pub known: &'a Known,
    /// Who it is from; `None` for a lead with nothing in it.
    pub who: Option<&'a Recognition>,
}

/// Decides a lead at `now`.
pub fn decide(case: Case<'_>, policies: &PolicySet, teams: LiveTeams<'_>, now: Timestamp) -> Receipt {
    let Case { lead, facts, who, .. } = case;
    let mut view = who.map(|who| customer_view(case, who, policies)).unwrap_or_default();
    if policies.routing.use_company_owners {
        let owner =
            facts.company_domain.as_ref().and_then(|domain| teams.desk.companies.get(domain.as_str()));
        view.company = owner.cloned();
    }
    let mut saw = Saw {
        customer: view.view.clone(),
        owner: view.owner.clone(),
        company: view.company.clone(),
        repeats: view.repeats.clone(),
        ..Saw::default()
    };
    let asks = Asks::default();
    let mut shares = Live { teams, policies, lead: &lead.id, now, saw: &mut saw, asks, lacks: false };
    let (tried, outcome) = route(policies, facts, &view, &mut shares);
    Receipt { saw, tried, ..recorded(case, policies, outcome, now) }
}

/// What is written down of any decision, whatever it went by. Who the lead is from was found when it was taken in: tried again,
/// it adds what it joins now.
pub(super) fn recorded(case: Case<'_>, policies: &PolicySet, outcome: Outcome, now: Timestamp) -> Receipt {
    let Case { lead, known, who, .. } = case;
    let first = taken_in(lead);
    let is_new = |who: &Recognition| !known.customers.contains_key(&who.customer);
    Receipt {
        at: now,
        manifest: policies.version,
        new_customer: first.map_or_else(|| who.is_some_and(is_new), |first| first.new_customer),
        found: who.map(|who| found(who, first)).unwrap_or_default(),
        merges: who.map(|who| merges(who, first)).unwrap_or_default(),
        suggestions: who.map(|who| suggestions(who, first)).unwrap_or_default(),
        saw: Saw::default(),
        tried: Vec::new(),
        outcome,
    }
}

/// The last decision of a lead that counts on its customer already.
fn taken_in(lead: &Lead) -> Option<&Receipt> {
    lead.progress.receipt.as_ref().filter(|_| lead.progress.customer.is_some())
}

/// What the identities lead to, without those that only lead back to what the lead itself brought.
fn found(who: &Recognition, first: Option<&Receipt>) -> Vec<Found> {
    let is_known = |one: &&Found| {
        let before = |first: &Receipt| first.found.iter().any(|found| found.kind == one.kind);
        one.passed_over.is_some() || one.customer != who.customer || first.is_none_or(before)
    };
    who.found.iter().filter(is_known).cloned().collect()
}

fn merges(who: &Recognition, first: Option<&Receipt>) -> Vec<Merge> {
    let before = first.map(|first| first.merges.as_slice()).unwrap_or_default();
    before.iter().chain(&who.merges).cloned().collect()
}

fn suggestions(who: &Recognition, first: Option<&Receipt>) -> Vec<Suggestion> {
    let before = first.map(|first| first.suggestions.as_slice()).unwrap_or_default();
    let is_named = |one: &&Suggestion| who.suggestions.iter().any(|now| now.customer == one.customer);
    before.iter().filter(|one| !is_named(one)).chain(&who.suggestions).cloned().collect()
}

/// Who owns a returning customer, and the team they came through if there still is one: both will be asked, unless
/// they say the same once more.
pub fn owner(case: Case<'_>, policies: &PolicySet) -> Option<(String, Option<String>)> {
    let root = case.known.customers.get(&case.who?.customer)?;
    let whole = case.known.whole(root);
    let owner = whole.owner().filter(|_| repeats(&whole, case.lead, policies).is_none())?;
    let team = owner.team.clone().filter(|team| policies.teams.contains_key(team));
    Some((owner.rep.clone(), team))
}

/// What a decision makes of the lead and of its customers. Both are stored together or not at all.
pub fn change(case: Case<'_>, receipt: Receipt, policies: &PolicySet) -> (Progress, Vec<Customer>) {
    let Case { lead, facts, known, who } = case;
    let mut after = Progress { state: receipt.outcome.state(), ..lead.progress.clone() };
    after.waited(&receipt);
    if let Outcome::Assigned { rep, team } = &receipt.outcome {
        let n = lead.progress.next_n();
        let mut answers = team.iter().flat_map(|team| receipt.saw.answers(team));
        let share = answers.any(|seen| seen.chosen_rep().as_ref() == Some(rep));
        after.assignment =
            Some(Assignment { rep: rep.clone(), team: team.clone(), at: receipt.at, n, share });
        after.start_clock(policies, team.as_deref(), &policies.schedule(rep, team.as_deref(), None));
    }
    let mut people = People { known, changed: BTreeMap::new(), lead };
    if let Some(who) = who {
        // A lead that was escalated before has been taken in already.
        if lead.progress.customer.is_none() {
            after.previous.clone_from(&people.get(&who.home).last_lead);
            people.take_in(who, facts, policies);
            after.customer = Some(who.home.clone());
        }
        for merge in &who.merges {
            let from = people.get(&merge.from);
            (from.into, from.joined) = (Some(merge.into.clone()), Some(Joined::By(lead.id.clone())));
            people.get(&merge.into).halves.insert(merge.from.clone());
        }
        let open = who.suggestions.iter().filter(|one| one.reason != SuggestionReason::KeptApart);
        for (on, other) in note_suggestions(known, &who.home, open.map(|one| &one.customer)) {
            people.get(&on).maybe.insert(other, Raised::Lead(lead.id.clone()));
        }
        if let (Outcome::Assigned { .. }, Some(assignment)) = (&receipt.outcome, &after.assignment) {
            own(people.get(&who.customer), assignment);
        }
    }
    after.receipt = Some(receipt);
    (after, people.changed.into_values().collect())
}

/// Whether a customer goes with a lead of theirs that is taken from `from` without anybody having asked for the customer: not
/// if somebody else has them by now who takes leads.
pub fn goes_along(owner: Option<&Ownership>, from: &str, policies: &PolicySet) -> bool {
    owner.is_none_or(|owner| owner.rep == from || !policies.is_available(&owner.rep))
}

/// Makes the assignment's rep the customer's owner; who owns it already keeps it since when they had it.
pub fn own(customer: &mut Customer, assignment: &Assignment) {
    let keeps = |owner: &Ownership| owner.rep == assignment.rep && owner.team == assignment.team;
    if !customer.owner.as_ref().is_some_and(keeps) {
        customer.owner = Some(Ownership {
            rep: assignment.rep.clone(),
            team: assignment.team.clone(),
            since: assignment.at,
        });
    }
}

/// Who owns a company once a lead of it was decided: whoever got it, if nobody has the company or somebody who takes no more leads.
/// Nothing if that stays as it is.
pub fn company_owned(
    owner: Option<&Ownership>,
    receipt: &Receipt,
    policies: &PolicySet,
) -> Option<Ownership> {
    let Outcome::Assigned { rep, team } = &receipt.outcome else { return None };
    if owner.is_some_and(|owner| policies.is_available(&owner.rep)) {
        return None;
    }
    Some(Ownership { rep: rep.clone(), team: team.clone(), since: receipt.at })
}

/// Who owns a company once a lead of it that `from` leaves behind went to this rep: it goes along, if it was theirs. Since when says
/// still which lead it was found by, whose person takes it along when they are erased.
pub fn company_goes_along(owner: &Ownership, from: &str, rep: &str, team: Option<&str>) -> Option<Ownership> {
    (owner.rep == from).then(|| Ownership {
        rep: rep.to_owned(),
        team: team.map(str::to_owned),
        since: owner.since,
    })
}

/// Lets a customer record take a lead in.
pub(crate) fn absorb(home: &mut Customer, lead: &Lead, facts: &Facts, policies: &PolicySet) {
    let window = policies.settings.repeat_window_ms();
    home.absorb(&lead.id, &lead.origin.name, &fingerprint(lead), lead.received, facts, window);
}

/// What repeats are recognised by: the same fields through another form are no repeat.
fn fingerprint(lead: &Lead) -> String {
    format!("{}:{}", lead.origin.name, lead.envelope.fingerprint())
}

/// The whole person as it will be after joining. A lead that is tried again sees everything but what it brought itself: it would
/// take itself for somebody who came before.
pub(super) fn customer_view(case: Case<'_>, who: &Recognition, policies: &PolicySet) -> CustomerView {
    let Case { lead, known, .. } = case;
    let others = taken_in(lead).map(|_| without(known, lead));
    let known = others.as_ref().unwrap_or(known);
    let mut root = known.customers.get(&who.customer).cloned();
    if let Some(root) = &mut root {
        root.halves.extend(who.merges.iter().map(|merge| merge.from.clone()));
    }
    let whole = root.as_ref().map(|root| known.whole(root));
    let whole = whole.filter(|whole| taken_in(lead).is_none_or(|first| is_left(whole, lead, first)));
    let repeats = whole.as_ref().and_then(|whole| repeats(whole, lead, policies));
    CustomerView::of(whole.as_ref(), repeats, policies)
}

/// Everybody without what a lead brought that was taken in: its count, and the facts that nobody said before it.
fn without(known: &Known, lead: &Lead) -> Known {
    let mut known = known.clone();
    for record in known.customers.values_mut() {
        if lead.progress.customer.as_ref() == Some(&record.id) {
            record.leads = record.leads.saturating_sub(1);
        }
        record.unsay(&lead.id);
    }
    known
}

/// Whether anybody is left without a lead that was taken in: they were known before it, or they are somebody's by now, were joined
/// with somebody, or have events that say something of them. Leads behind it, the same sent twice for one, make nobody known to it.
fn is_left(whole: &Whole<'_>, lead: &Lead, first: &Receipt) -> bool {
    let is_more = |part: &Customer| {
        let is_other = lead.progress.customer.as_ref() != Some(&part.id);
        is_other || part.owner.is_some() || !part.said_by_events().is_empty()
    };
    !first.new_customer || whole.parts().any(is_more)
}

/// The lead that this one is a repeat of. One that was taken in was none then, and is none of those after it.
fn repeats(whole: &Whole<'_>, lead: &Lead, policies: &PolicySet) -> Option<LeadId> {
    if taken_in(lead).is_some() {
        return None;
    }
    let (fingerprint, window) = (fingerprint(lead), policies.settings.repeat_window_ms());
    whole.parts().find_map(|part| part.repeats(&fingerprint, lead.received, window)).cloned()
}

struct People<'a> {
    known: &'a Known,
    changed: BTreeMap<CustomerId, Customer>,
    lead: &'a Lead,
}

impl People<'_> {
    fn get(&mut self, id: &CustomerId) -> &mut Customer {
        let (known, lead) = (self.known, self.lead);
        self.changed.entry(id.clone()).or_insert_with(|| {
            known.customers.get(id).cloned().unwrap_or_else(|| Customer::new(id.clone(), lead.received))
        })
    }

    fn take_in(&mut self, who: &Recognition, facts: &Facts, policies: &PolicySet) {
        let (known, lead) = (self.known, self.lead);
        let home = self.get(&who.home);
        absorb(home, lead, facts, policies);
        home.keys.extend(who.claims.iter().cloned());
        // What contradicts it may come to another record of the person at this instant: both change the live one.
        self.get(&who.customer);
        // An address may have been claimed for a record of the person that did not get as far as holding it.
        let is_theirs = |id: &CustomerId| {
            let root = known.root(id);
            root == who.customer || who.merges.iter().any(|merge| merge.from == root)
        };
        for (identity, (hash, claim)) in facts.identities.iter().zip(&known.addresses) {
            let key = (identity.kind, hash.clone());
            let is_lost = |claim: &KnownAddress| who.lost.contains(&(hash.clone(), claim.customer.clone()));
            let claim = claim.as_ref().filter(|claim| who.keys.contains(&key) && !is_lost(claim));
            let Some(holder) = claim.map(|claim| &claim.customer).filter(|id| is_theirs(id)) else {
                continue;
            };
            let record = self.changed.get(holder).or_else(|| known.customers.get(holder));
            if record.is_none_or(|record| !record.keys.contains(&key)) {
                self.get(holder).keys.insert(key);
            }
        }
    }
}
