//! Which events may be one person's: those that share an id, directly or by way of others, or lead to one record.

use crate::batch::MOST;
use sluice_domain::advance::{Incoming, Loaded, Missing, Wake, identities};
use sluice_domain::customer::{AddressHash, HashKeys};
use sluice_domain::event::{Happened, Who};
use sluice_domain::id::CustomerId;
use sluice_domain::policy::PolicySet;
use sluice_store::WantedPerson;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Events that are decided together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The records of the batch they came in, by their places.
    pub(crate) records: BTreeSet<usize>,
    pub(crate) incoming: Vec<Incoming>,
    /// What turned out to be needed besides.
    pub(crate) missing: Missing,
    /// Policies that runs are pinned to.
    pub(crate) older: BTreeMap<u64, Arc<PolicySet>>,
    /// How often more was read.
    pub(crate) loads: u32,
    /// Their ids, each with its hashes, that of now first.
    addresses: BTreeMap<AddressHash, Vec<AddressHash>>,
    customers: BTreeSet<CustomerId>,
    /// How many of them are decided at once.
    pub(crate) most: usize,
    /// How often it was looked at because somebody was just being written down.
    pub(crate) looks: u32,
}

impl Group {
    /// What is to be read for those of its events that are decided now, in the order of time.
    pub(crate) fn wanted(&self, policies: &PolicySet) -> WantedPerson {
        let now = self.incoming.iter().take(self.most);
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
        let (same, other): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|other| other.shares(&group));
        groups = other;
        let mut joined = Group::default();
        same.into_iter().for_each(|one| joined.join(one));
        joined.join(group);
        groups.push(joined);
    }
    for group in &mut groups {
        group.most = MOST;
        group.incoming.sort_by_cached_key(Incoming::order);
    }
    groups
}

/// Whether two people as read are one, though their events share no id.
pub(crate) fn meet(one: &Loaded, other: &Loaded) -> bool {
    one.customers.keys().any(|id| other.customers.contains_key(id))
}
