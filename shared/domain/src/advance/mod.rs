//! What events make of their people: from a person as read and what happened to everything that is to be stored and sent.
//!
//! Pure, and one decision for all events that came together: they are taken in the order in which they happened.

#[cfg(test)]
mod tests;

use crate::customer::{
    AddressHash, Customer, HashKeys, Identity, Named, Place, Pointed, Stitch, Tie, Traits,
};
use crate::event::{Entry, Event, EventKind, Happened, Ids, Who};
use crate::id::{CustomerId, EventId};
use crate::policy::PolicySet;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Everything read for events that may be one person's.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What is known of their ids, each under its hash of now.
    pub ties: BTreeMap<AddressHash, Tie>,
    /// Records of everybody whom the ids lead to.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// Records that were erased, and when.
    pub erased: BTreeMap<CustomerId, Timestamp>,
    /// Events that were decided on before.
    pub entries: BTreeMap<EventId, (CustomerId, Entry)>,
}

/// What is to be stored, all of it or nothing, and what is to be sent then.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Addresses to claim before, best evidence first. If somebody else was faster, all is decided again.
    pub claims: Vec<(AddressHash, CustomerId)>,
    /// Records as they shall be.
    pub customers: Vec<Customer>,
    /// Anonymous ids that point on.
    pub pointed: Vec<Pointed>,
    /// Addresses that came with a customer who does not hold them.
    pub seen_with: BTreeSet<(AddressHash, CustomerId)>,
    /// Entries, each under the record it belongs to.
    pub entries: Vec<(CustomerId, Entry)>,
    /// Entries that were put beside records just before those were erased: they go.
    pub stray: Vec<(CustomerId, EventId)>,
    /// Somebody else is writing down a person at this moment who may be this one: better to look again.
    pub unsettled: bool,
    /// Events that were decided on before.
    pub absorbed: usize,
    /// Events that came too late: their person was erased.
    pub dropped: usize,
}

impl Taken {
    /// Whether nothing but entries is to be stored.
    pub fn is_idle(&self) -> bool {
        self.claims.is_empty()
            && self.customers.is_empty()
            && self.pointed.is_empty()
            && self.seen_with.is_empty()
    }
}

/// Everything by which the person of an event is looked for.
pub fn identities(happened: &Happened, policies: &PolicySet) -> Vec<Identity> {
    match &happened.who {
        Who::Ids(ids) => {
            let traits = Traits::of(&happened.event, policies);
            Named::of(ids, &happened.event, &traits.identities).identities().cloned().collect()
        }
        Who::Customer(_) => Vec::new(),
    }
}

/// Decides what happened, in the order of time.
pub fn advance(happened: &[Happened], loaded: Loaded, keys: &HashKeys, policies: &PolicySet) -> Taken {
    let Loaded { ties, customers, erased, entries } = loaded;
    let mut taken = Taken::default();
    let mut stitch = Stitch::new(keys, policies.settings.shared_after as usize, ties, customers);
    let mut fresh: Vec<&Happened> = Vec::new();
    let mut seen = BTreeSet::new();
    for one in happened {
        match entries.get(&one.event.id) {
            Some((home, _)) if erased.contains_key(home) => {
                taken.stray.push((home.clone(), one.event.id.clone()));
                taken.dropped += 1;
            }
            None if seen.insert(&one.event.id) => fresh.push(one),
            _ => taken.absorbed += 1,
        }
    }
    fresh.sort_by(|a, b| a.event.order().cmp(&b.event.order()));
    let mut last: Option<(&Ids, Place)> = None;
    for Happened { who, event } in fresh {
        let place = match who {
            Who::Customer(id) => {
                let lives = stitch.customers.contains_key(id) && !erased.contains_key(id);
                lives.then(|| Place { home: id.clone(), root: stitch.root(id) })
            }
            Who::Ids(ids) => {
                let says_nothing_new = !matches!(event.kind, EventKind::Identify | EventKind::Alias);
                match &last {
                    Some((before, place)) if says_nothing_new && *before == ids => Some(place.clone()),
                    _ => place_of(ids, event, policies, &mut stitch),
                }
            }
        };
        let Some(place) = place else {
            taken.dropped += 1;
            last = None;
            continue;
        };
        let entry = Entry::of(who, event, policies.version);
        taken.entries.push((place.home.clone(), entry));
        last = match who {
            Who::Ids(ids) => Some((ids, place)),
            Who::Customer(_) => None,
        };
    }
    taken.unsettled = stitch.unsettled;
    taken.claims = stitch.claims;
    taken.pointed = stitch.pointed.into_values().collect();
    taken.seen_with = stitch.seen_with;
    let changed = stitch.changed.iter().filter_map(|id| stitch.customers.get(id));
    taken.customers = changed.cloned().collect();
    taken
}

/// Whose an event is, with what it says about them taken down.
fn place_of(ids: &Ids, event: &Event, policies: &PolicySet, stitch: &mut Stitch<'_>) -> Option<Place> {
    let traits = Traits::of(event, policies);
    let named = Named::of(ids, event, &traits.identities);
    let place = stitch.place(&named, event)?;
    // The record that holds a user id says which, so that it is found again under every hash key.
    if let (Some(user), Some(identity)) = (&ids.user, named.strong.first())
        && let Some(holder) = stitch.holder(identity)
        && stitch.customers.get(&holder).is_some_and(|record| !record.facts.contains_key("external_id"))
    {
        let user = user.reveal().clone();
        stitch.change(&holder, event.at).note("external_id", user, event.at, &event.source, false);
    }
    if stitch.customers.get(&place.home).is_some_and(|record| traits.change(record)) {
        traits.apply(stitch.change(&place.home, event.at));
    }
    Some(place)
}
