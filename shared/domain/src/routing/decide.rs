//! One lead's decision on live teams: what it sees, what it takes, what it writes down.

use super::{CustomerView, Receipt, Saw, Shares, route};
use crate::customer::{Customer, Known, Ownership, Recognition};
use crate::id::{CustomerId, LeadId};
use crate::lead::{Assignment, Facts, Lead, Progress};
use crate::policy::PolicySet;
use crate::routing::Outcome;
use crate::team::{self, Member, TeamState};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

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

/// Teams while deciding: loaded ones answer and change, others are noted so that they can be loaded.
#[derive(Debug)]
pub struct LiveTeams<'a> {
    /// Loaded teams.
    pub teams: &'a mut BTreeMap<String, TeamState>,
    /// Teams that were asked for and are not loaded. If there are any, the decision does not count.
    pub missing: &'a mut BTreeSet<String>,
}

/// Decides a lead at `now`.
pub fn decide(case: Case<'_>, policies: &PolicySet, teams: LiveTeams<'_>, now: Timestamp) -> Receipt {
    let Case { lead, facts, known, who } = case;
    let view = who.map(|who| customer_view(case, who, policies)).unwrap_or_default();
    let mut saw = Saw {
        customer: view.view.clone(),
        owner: view.owner.clone(),
        repeats: view.repeats.clone(),
        ..Saw::default()
    };
    let mut shares = Live { teams, policies, lead: &lead.id, now, saw: &mut saw };
    let (tried, outcome) = route(policies, facts, &view, &mut shares);
    Receipt {
        at: now,
        manifest: policies.version,
        new_customer: who.is_some_and(|who| !known.customers.contains_key(&who.customer)),
        found: who.map(|who| who.found.clone()).unwrap_or_default(),
        merges: who.map(|who| who.merges.clone()).unwrap_or_default(),
        suggestions: who.map(|who| who.suggestions.clone()).unwrap_or_default(),
        saw,
        tried,
        outcome,
    }
}

/// The team that a returning customer's owner came through: it will be asked for room.
pub fn owners_team(case: Case<'_>, policies: &PolicySet) -> Option<String> {
    let root = case.known.customers.get(&case.who?.customer)?;
    let owner = case.known.whole(root).owner()?;
    owner.team.clone().filter(|team| policies.teams.contains_key(team))
}

/// A team's members as the documents say.
pub fn members(policies: &PolicySet, team: &str) -> Vec<Member> {
    let members = policies.teams.get(team).map(|team| team.members.as_slice()).unwrap_or_default();
    members
        .iter()
        .map(|member| Member {
            rep: member.rep.clone(),
            weight: member.weight,
            capacity: member.capacity,
            available: policies.is_available(&member.rep),
        })
        .collect()
}

/// What a decision makes of the lead and of its customers. Both are stored together or not at all.
pub fn change(case: Case<'_>, receipt: Receipt, policies: &PolicySet) -> (Progress, Vec<Customer>) {
    let Case { lead, facts, known, who } = case;
    let mut after = Progress { state: receipt.outcome.state(), ..lead.progress.clone() };
    if let Outcome::Assigned { rep, team } = &receipt.outcome {
        let n = lead.progress.next_n();
        after.assignment = Some(Assignment { rep: rep.clone(), team: team.clone(), at: receipt.at, n });
        after.start_clock(policies, team.as_deref(), &policies.schedule(rep, team.as_deref()));
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
            people.get(&merge.from).into = Some(merge.into.clone());
            people.get(&merge.into).halves.insert(merge.from.clone());
        }
        if let (Outcome::Assigned { .. }, Some(assignment)) = (&receipt.outcome, &after.assignment) {
            own(people.get(&who.customer), assignment);
        }
    }
    after.receipt = Some(receipt);
    (after, people.changed.into_values().collect())
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

/// What repeats are recognised by: the same fields through another form are no repeat.
fn fingerprint(lead: &Lead) -> String {
    format!("{}:{}", lead.origin.name, lead.envelope.fingerprint())
}

/// The whole person as it will be after joining.
fn customer_view(case: Case<'_>, who: &Recognition, policies: &PolicySet) -> CustomerView {
    let mut root = case.known.customers.get(&who.customer).cloned();
    if let Some(root) = &mut root {
        root.halves.extend(who.merges.iter().map(|merge| merge.from.clone()));
    }
    let whole = root.as_ref().map(|root| case.known.whole(root));
    let (fingerprint, window) = (fingerprint(case.lead), policies.settings.repeat_window_ms());
    let repeats = whole.as_ref().and_then(|whole| {
        whole.parts().find_map(|part| part.repeats(&fingerprint, case.lead.received, window)).cloned()
    });
    // An escalated lead that is tried again is no repeat of itself.
    let repeats = repeats.filter(|of| *of != case.lead.id);
    CustomerView::of(whole.as_ref(), repeats, policies)
}

struct Live<'a> {
    teams: LiveTeams<'a>,
    policies: &'a PolicySet,
    lead: &'a LeadId,
    now: Timestamp,
    saw: &'a mut Saw,
}

impl Shares for Live<'_> {
    fn next(&mut self, team: &str) -> Option<String> {
        let Some(state) = self.teams.teams.get_mut(team) else {
            self.teams.missing.insert(team.to_owned());
            return None;
        };
        let members = members(self.policies, team);
        let (rep, seen) = match team::grant(state, &members, self.lead, self.now, &|_| None) {
            team::Assignment::Granted { rep, seen } => (Some(rep), seen),
            team::Assignment::Nobody { seen } => (None, seen),
        };
        self.saw.teams.insert(team.to_owned(), seen);
        rep
    }

    fn keep(&mut self, team: &str, rep: &str) -> bool {
        let Some(state) = self.teams.teams.get_mut(team) else {
            self.teams.missing.insert(team.to_owned());
            return true;
        };
        let may_exceed = self.policies.teams.get(team).is_none_or(|team| team.sticky_may_exceed.0);
        let members = members(self.policies, team);
        let Some(member) = members.iter().find(|member| member.rep == rep) else { return true };
        let has_room = team::take_sticky(state, member, self.lead, self.now, may_exceed).is_ok();
        self.saw.owner_has_room = Some(has_room);
        has_room
    }
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
        let (id, received, fingerprint) = (&self.lead.id, self.lead.received, fingerprint(self.lead));
        let window = policies.settings.repeat_window_ms();
        self.get(&who.home).absorb(id, &fingerprint, received, facts, window);
        self.get(&who.customer).keys.extend(who.claims.iter().cloned());
        // An address may have been claimed for a record that did not get as far as holding it.
        for (identity, (hash, claim)) in facts.identities.iter().zip(&self.known.addresses) {
            let key = (identity.kind, hash.clone());
            if let Some(claim) = claim.as_ref().filter(|_| who.keys.contains(&key))
                && (claim.customer == who.home || claim.customer == who.customer)
            {
                self.get(&claim.customer).keys.insert(key);
            }
        }
    }
}
