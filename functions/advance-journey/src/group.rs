//! Which events may be one person's: those that share an id, directly or by way of others, or lead to one record.

use sluice_domain::advance::{Loaded, identities};
use sluice_domain::customer::{AddressHash, HashKeys};
use sluice_domain::event::{Happened, Who};
use sluice_domain::id::CustomerId;
use sluice_domain::policy::PolicySet;
use sluice_store::WantedPerson;
use std::collections::{BTreeMap, BTreeSet};

/// Events that are decided together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The records of the batch they came in, by their places.
    pub(crate) records: BTreeSet<usize>,
    pub(crate) events: Vec<Happened>,
    /// Their ids, each with its hashes, that of now first.
    addresses: BTreeMap<AddressHash, Vec<AddressHash>>,
    customers: BTreeSet<CustomerId>,
    /// How often it was looked at because somebody was just being written down.
    pub(crate) looks: u32,
}

impl Group {
    /// What is to be read for the first `most` of its events, in the order of time.
    pub(crate) fn wanted(&self, most: usize) -> WantedPerson {
        WantedPerson {
            addresses: self.addresses.values().cloned().collect(),
            customers: self.customers.clone(),
            events: self.events.iter().take(most).map(|one| one.event.id.clone()).collect(),
        }
    }

    fn join(&mut self, other: Self) {
        self.records.extend(other.records);
        self.events.extend(other.events);
        self.addresses.extend(other.addresses);
        self.customers.extend(other.customers);
    }

    fn shares(&self, other: &Self) -> bool {
        self.addresses.keys().any(|hash| other.addresses.contains_key(hash))
            || self.customers.iter().any(|id| other.customers.contains(id))
    }
}

/// Puts together what shares an id.
pub(crate) fn groups(work: Vec<(usize, Happened)>, keys: &HashKeys, policies: &PolicySet) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (record, one) in work {
        let identities = identities(&one, policies);
        let mut group = Group { records: BTreeSet::from([record]), ..Group::default() };
        group
            .addresses
            .extend(identities.iter().map(|identity| (keys.hash(identity), keys.hashes(identity))));
        if let Who::Customer(id) = &one.who {
            group.customers.insert(id.clone());
        }
        group.events.push(one);
        let (same, other): (Vec<Group>, Vec<Group>) =
            groups.into_iter().partition(|other| other.shares(&group));
        groups = other;
        let mut joined = Group::default();
        same.into_iter().for_each(|one| joined.join(one));
        joined.join(group);
        groups.push(joined);
    }
    for group in &mut groups {
        group.events.sort_by(|a, b| a.event.order().cmp(&b.event.order()));
    }
    groups
}

/// Whether two people as read are one, though their events share no id.
pub(crate) fn meet(one: &Loaded, other: &Loaded) -> bool {
    one.customers.keys().any(|id| other.customers.contains_key(id))
}
