//! What a decision changes: the lead, its customer, customers that give way.

use sluice_domain::customer::{Customer, Known, Ownership, Recognition};
use sluice_domain::lead::{Assignment, Facts, Lead, Progress};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{Outcome, Receipt};
use sluice_domain::time::Timestamp;
use sluice_store::Commit;
use std::collections::BTreeMap;

/// Name of a lead's fingerprint for recognising repeats: the same fields through another form are no repeat.
pub(crate) fn fingerprint(lead: &Lead) -> String {
    format!("{}:{}", lead.origin.name, lead.envelope.fingerprint())
}

/// The transaction of one decided lead.
pub(crate) fn commit(
    lead: &Lead,
    facts: &Facts,
    known: &Known,
    who: Option<&Recognition>,
    receipt: Receipt,
    policies: &PolicySet,
    now: Timestamp,
) -> Commit {
    let mut after = Progress { state: receipt.outcome.state(), ..lead.progress.clone() };
    if let Outcome::Assigned { rep, team } = &receipt.outcome {
        let n = lead.progress.assignment.as_ref().map_or(0, |assignment| assignment.n) + 1;
        after.assignment = Some(Assignment { rep: rep.clone(), team: team.clone(), at: now, n });
    }
    let mut commit = Commit::default();
    if let Some(who) = who {
        let mut people = People { known, changed: BTreeMap::new(), lead };
        // A lead that was escalated before has been taken in already.
        if lead.progress.customer.is_none() {
            after.previous = people.home_of(who).last_lead.clone();
            people.take_in(who, facts, policies);
        }
        after.customer = lead.progress.customer.clone().or_else(|| Some(who.home.clone()));
        people.merge(who);
        people.own(who, after.assignment.as_ref().filter(|_| matches!(receipt.outcome, Outcome::Assigned { .. })));
        for customer in people.changed.into_values() {
            commit = commit.customer(customer);
        }
        for address in &who.seen_with {
            commit = commit.seen_with(address.clone(), who.customer.clone());
        }
    }
    after.receipt = Some(receipt);
    commit.lead(lead, after)
}

struct People<'a> {
    known: &'a Known,
    changed: BTreeMap<String, Customer>,
    lead: &'a Lead,
}

impl People<'_> {
    fn get(&mut self, id: &sluice_domain::id::CustomerId) -> &mut Customer {
        let (known, lead) = (self.known, self.lead);
        self.changed.entry(id.to_string()).or_insert_with(|| {
            known.customers.get(id).cloned().unwrap_or_else(|| Customer::new(id.clone(), lead.received))
        })
    }

    fn home_of(&mut self, who: &Recognition) -> &mut Customer {
        self.get(&who.home)
    }

    fn take_in(&mut self, who: &Recognition, facts: &Facts, policies: &PolicySet) {
        let (id, received, fingerprint) = (self.lead.id.clone(), self.lead.received, fingerprint(self.lead));
        let window = policies.settings.repeat_window_ms();
        self.home_of(who).absorb(&id, &fingerprint, received, facts, window);
        let claims = who.claims.clone();
        self.get(&who.customer).keys.extend(claims);
        // An address may have been claimed for a record that did not get as far as holding it.
        for (identity, (hash, claim)) in facts.identities.iter().zip(&self.known.addresses) {
            if let Some(claim) = claim
                && who.keys.contains(&(identity.kind, hash.clone()))
                && (claim.customer == who.home || claim.customer == who.customer)
            {
                self.get(&claim.customer).keys.insert((identity.kind, hash.clone()));
            }
        }
    }

    fn merge(&mut self, who: &Recognition) {
        for merge in &who.merges {
            self.get(&merge.from).into = Some(merge.into.clone());
            self.get(&merge.into).halves.insert(merge.from.clone());
        }
    }

    fn own(&mut self, who: &Recognition, assignment: Option<&Assignment>) {
        let Some(assignment) = assignment else { return };
        let owner = &mut self.get(&who.customer).owner;
        let keeps = owner.as_ref().is_some_and(|owner| owner.rep == assignment.rep && owner.team == assignment.team);
        if !keeps {
            *owner = Some(Ownership {
                rep: assignment.rep.clone(),
                team: assignment.team.clone(),
                since: assignment.at,
            });
        }
    }
}
