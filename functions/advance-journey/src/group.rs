//! Which events may be one person's: those that share an id, directly or by way of others, or lead to one record.

use sluice_domain::advance::{Incoming, Loaded, Missing, Wake, identities};
use sluice_domain::customer::{AddressHash, HashKeys};
use sluice_domain::event::{Happened, Who};
use sluice_domain::id::CustomerId;
use sluice_domain::policy::PolicySet;
use sluice_store::WantedPerson;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is taken of one person in one transaction at most, which holds 100 items: each is an entry, and what it changes is a
/// few more. Of what comes to more than that less is taken.
const MOST: usize = 40;

/// Events that are decided together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The records of the batch they came in, by their places.
    pub(crate) records: BTreeSet<usize>,
    pub(crate) incoming: Vec<Incoming>,
    /// The record of each of them.
    pub(crate) of: Vec<usize>,
    /// How often what is taken together was halved, since it came to too many writes.
    pub(crate) halved: u32,
    /// What turned out to be needed besides.
    pub(crate) missing: Missing,
    /// Policies that runs are pinned to.
    pub(crate) older: BTreeMap<u64, Arc<PolicySet>>,
    /// How often more was read.
    pub(crate) loads: u32,
    /// Their ids, each with its hashes, that of now first.
    addresses: BTreeMap<AddressHash, Vec<AddressHash>>,
    customers: BTreeSet<CustomerId>,
    /// How often it was looked at because somebody was just being written down.
    pub(crate) looks: u32,
}

impl Group {
    /// How many of its events are taken together.
    pub(crate) fn most(&self) -> usize {
        (MOST >> self.halved.min(usize::BITS - 1)).clamp(1, self.incoming.len().max(1))
    }

    /// The first so many are through. More are taken together again, a bit at a time.
    pub(crate) fn through(&mut self, n: usize) {
        self.incoming.drain(..n.min(self.incoming.len()));
        self.of.drain(..n.min(self.of.len()));
        self.halved = self.halved.saturating_sub(1);
    }

    /// What came in and is not through, each by the place of its record.
    pub(crate) fn into_work(self) -> Vec<(usize, Incoming)> {
        self.of.into_iter().zip(self.incoming).collect()
    }

    /// What is to be read for the first of its events, in the order of time.
    pub(crate) fn wanted(&self, policies: &PolicySet) -> WantedPerson {
        let now = self.incoming.iter().take(self.most());
        let events = now.clone().map(Incoming::id).chain(self.missing.events.iter().cloned());
        let journeys = now.flat_map(|one| -> Vec<String> {
            match one {
                Incoming::Happened(happened) => {
                    policies.triggers.on_event(&happened.event.key()).map(str::to_owned).collect()
                }
                Incoming::Due(Wake { journey: Some(journey), .. }) => vec![journey.clone()],
                Incoming::Due(Wake { journey: None, .. }) => {
                    policies.triggers.dated.iter().cloned().collect()
                }
            }
        });
        WantedPerson {
            addresses: self.addresses.values().cloned().collect(),
            customers: self.customers.clone(),
            events: events.collect(),
            journeys: journeys.collect(),
            runs: self.missing.runs.clone(),
            history: self.missing.history.clone(),
        }
    }

    fn join(&mut self, other: Self) {
        self.records.extend(other.records);
        self.incoming.extend(other.incoming);
        self.of.extend(other.of);
        self.addresses.extend(other.addresses);
        self.customers.extend(other.customers);
    }

    fn shares(&self, other: &Self) -> bool {
        self.addresses.keys().any(|hash| other.addresses.contains_key(hash))
            || self.customers.iter().any(|id| other.customers.contains(id))
    }
}

/// Puts together what shares an id.
pub(crate) fn groups(work: Vec<(usize, Incoming)>, keys: &HashKeys, policies: &PolicySet) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (record, one) in work {
        let identities = match &one {
            Incoming::Happened(happened) => identities(happened, policies),
            Incoming::Due(_) => Vec::new(),
        };
        let mut group = Group { records: BTreeSet::from([record]), ..Group::default() };
        group
            .addresses
            .extend(identities.iter().map(|identity| (keys.hash(identity), keys.hashes(identity))));
        group.customers.extend(match &one {
            Incoming::Happened(Happened { who: Who::Customer(id), .. }) => Some(id.clone()),
            Incoming::Due(wake) => Some(wake.customer.clone()),
            Incoming::Happened(_) => None,
        });
        group.incoming.push(one);
        group.of.push(record);
        let (same, other): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|other| other.shares(&group));
        groups = other;
        let mut joined = Group::default();
        same.into_iter().for_each(|one| joined.join(one));
        joined.join(group);
        groups.push(joined);
    }
    for group in &mut groups {
        let mut sorted: Vec<(Incoming, usize)> = group.incoming.drain(..).zip(group.of.drain(..)).collect();
        sorted.sort_by_cached_key(|(one, _)| one.order());
        (group.incoming, group.of) = sorted.into_iter().unzip();
    }
    groups
}

/// Whether two people as read are one, though their events share no id.
pub(crate) fn meet(one: &Loaded, other: &Loaded) -> bool {
    one.customers.keys().any(|id| other.customers.contains_key(id))
}
