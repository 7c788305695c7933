//! Taking leads back, of a batch or one that its sender has withdrawn: what becomes of a customer if they had never been.
//!
//! A customer is what its leads have made of it, so it is made again from those that stay. An address goes when no lead
//! that stays came by it; a customer without any lead goes, unless somebody has joined it or kept it apart since, or it did
//! something itself.

use crate::customer::{AddressHash, By, Customer, HashKeys, Known, KnownAddress, Ownership, Raised};
use crate::id::{CustomerId, LeadId};
use crate::lead::{Facts, Lead, LeadState, Progress, Work};
use crate::policy::PolicySet;
use crate::routing::absorb;
use std::collections::{BTreeMap, BTreeSet};

/// Leads taken back at once: with all that hangs on them they fit one transaction of 100 items.
const AT_ONCE: usize = 5;

/// Everything loaded around one lead that is to go.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The lead; it has a customer.
    pub lead: &'a Lead,
    /// All records of the person.
    pub known: &'a Known,
    /// By record, its leads with what they say, newest first and all of them.
    pub chains: &'a BTreeMap<CustomerId, Vec<(Lead, Facts)>>,
    /// What the store knows of the addresses that the leads and the records name.
    pub addresses: &'a BTreeMap<AddressHash, KnownAddress>,
    /// Customers that records of the person are suggested to be one with.
    pub others: &'a Known,
    /// Records of people who did something themselves: they stay, leads or not.
    pub lived: &'a BTreeSet<CustomerId>,
    /// What addresses are hashed with.
    pub keys: &'a HashKeys,
    /// What goes.
    pub goes: Goes,
}

/// What goes with the lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// Others of its batch that the same record holds, unless somebody has worked on them.
    Batch,
    /// Nothing: the lead alone, whoever has worked on it.
    Alone,
}

/// Why a lead stays although its batch is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A person has done something with it.
    WorkedOn,
    /// It is still on its way to an owner.
    OnItsWay,
    /// Its customer has so many leads that a person has to look.
    TooManyLeads,
}

impl Kept {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkedOn => "worked_on",
            Self::OnItsWay => "on_its_way",
            Self::TooManyLeads => "too_many_leads",
        }
    }
}

/// What is to be stored and deleted, all in one.
#[derive(Clone, Debug, Default)]
pub struct Takeback {
    /// Leads that go: the one asked for and others of the same batch and customer.
    pub leads: Vec<Lead>,
    /// Leads that stay and continue the timeline past one that goes.
    pub relinked: Vec<(Lead, Progress)>,
    /// Customers as they shall be.
    pub customers: Vec<Customer>,
    /// Customers that go.
    pub gone: Vec<Customer>,
    /// Addresses that nobody holds any more, with who held them.
    pub freed: Vec<(AddressHash, CustomerId)>,
    /// Addresses that came with a customer, as if they had not.
    pub unseen: Vec<(AddressHash, CustomerId)>,
    /// Places that come free, of a lead that is open: team and rep.
    pub places: Vec<(String, String)>,
    /// Shares that are given back: team and rep. The lead never was, so whoever got it is due another.
    pub shares: Vec<(String, String)>,
}

/// Whether a person has done something with the lead, or it has not come to rest.
pub fn worked_on(lead: &Lead) -> Option<Kept> {
    let Progress { acts, work, contact, past, .. } = &lead.progress;
    if !acts.is_empty() || *work != Work::Open || contact.is_some() || !past.is_empty() {
        Some(Kept::WorkedOn)
    } else if lead.progress.state == LeadState::Waiting {
        Some(Kept::OnItsWay)
    } else {
        None
    }
}

/// Takes back the lead and what goes with it.
pub fn take_back(around: Around<'_>, policies: &PolicySet) -> Takeback {
    let Around { lead, known, chains, .. } = around;
    let none = Vec::new();
    let Some(home) = lead.progress.customer.as_ref().and_then(|id| known.customers.get(id)) else {
        return Takeback { leads: vec![lead.clone()], ..Takeback::default() };
    };
    let chain = chains.get(&home.id).unwrap_or(&none);
    let of_batch = |other: &Lead| {
        let batch = |lead: &Lead| lead.progress.import.as_ref().map(|import| import.batch.clone());
        let is_alike = batch(other) == batch(lead) && other.origin == lead.origin;
        around.goes == Goes::Batch && is_alike && worked_on(other).is_none()
    };
    let others = chain.iter().map(|(other, _)| other).filter(|other| other.id != lead.id && of_batch(other));
    let goes: BTreeSet<_> =
        std::iter::once(lead).chain(others).take(AT_ONCE).map(|lead| lead.id.clone()).collect();
    let (gone_leads, stay): (Vec<_>, Vec<_>) = chain.iter().partition(|(lead, _)| goes.contains(&lead.id));
    let mut people = People { known, changed: BTreeMap::new() };
    let mut plan = Takeback::default();

    for (at, (staying, _)) in stay.iter().enumerate() {
        let previous = stay.get(at + 1).map(|(older, _)| older.id.clone());
        if staying.progress.previous != previous {
            let after = Progress { previous, ..staying.progress.clone() };
            plan.relinked.push((staying.clone(), after));
        }
    }
    make_again(people.get(&home.id), &stay, policies);
    let rest: Vec<&(Lead, Facts)> =
        chains.values().flatten().filter(|(lead, _)| !goes.contains(&lead.id)).collect();
    for (lead, _) in &gone_leads {
        // Others of the batch go as well: nothing rests on what they say.
        let stays = rest.iter().filter(|(other, _)| !of_batch(other)).map(|(other, _)| other);
        unjoin(lead, stays, &mut people);
    }
    let still_used: BTreeSet<AddressHash> =
        rest.iter().flat_map(|(_, facts)| hashes(facts, around.keys)).collect();
    let still_seen: BTreeSet<AddressHash> =
        rest.iter().flat_map(|(lead, facts)| passed_over(lead, facts, around.keys)).collect();
    let root = known.root(&home.id);
    disown(&root, &gone_leads, &rest, &mut people);
    plan.customers = unsuggest(around.others, &goes, &rest, &mut people);
    for (lead, facts) in &gone_leads {
        for hash in
            passed_over(lead, facts, around.keys).into_iter().filter(|hash| !still_seen.contains(hash))
        {
            let Some(address) = around.addresses.get(&hash) else { continue };
            for with in [&home.id, &root].into_iter().filter(|id| address.others.contains(*id)) {
                plan.unseen.push((hash.clone(), with.clone()));
            }
        }
        for hash in hashes(facts, around.keys).into_iter().filter(|hash| !still_used.contains(hash)) {
            let Some(address) = around.addresses.get(&hash) else { continue };
            // Of somebody else it is theirs, whoever came with it.
            let is_ours = chains.contains_key(&address.customer);
            let holder = known.customers.get(&address.customer).filter(|_| is_ours);
            if holder.is_some_and(|holder| holder.keys.iter().any(|(_, held)| *held == hash)) {
                people.get(&address.customer).keys.retain(|(_, held)| *held != hash);
                plan.freed.push((hash, address.customer.clone()));
            }
        }
    }
    plan.unseen.sort();
    plan.unseen.dedup();
    plan.freed.sort();
    plan.freed.dedup();
    for (lead, _) in &gone_leads {
        let Some(assignment) = &lead.progress.assignment else { continue };
        let place = assignment.team.clone().map(|team| (team, assignment.rep.clone()));
        plan.shares.extend(place.clone().filter(|_| assignment.share));
        plan.places.extend(place);
    }
    plan.leads = gone_leads.into_iter().map(|(lead, _)| lead.clone()).collect();
    settle_records(people, &mut plan, around);
    plan
}

/// A record as its remaining leads make it. What people and other leads did to it stays.
fn make_again(record: &mut Customer, stay: &[&(Lead, Facts)], policies: &PolicySet) {
    record.leads = 0;
    record.last_lead = None;
    record.recent.clear();
    let of_events = record.said_by_events();
    record.facts.clear();
    record.said.clear();
    if let Some((oldest, _)) = stay.last() {
        record.created = oldest.received;
    }
    for (lead, facts) in stay.iter().rev() {
        absorb(record, lead, facts, policies);
    }
    for (name, fact, source) in of_events {
        let by = By { source: &source, at: fact.at, tie: fact.tie.as_deref() };
        record.note(&name, fact.value.into_inner(), by);
    }
}

/// Takes apart what the lead joined, unless something newer is known of the person: it may rest on the join.
fn unjoin<'a>(lead: &Lead, mut stays: impl Iterator<Item = &'a Lead>, people: &mut People<'_>) {
    let Some(receipt) = &lead.progress.receipt else { return };
    let at = |lead: &Lead| lead.progress.receipt.as_ref().map(|receipt| receipt.at);
    if stays.any(|other| at(other) > Some(receipt.at)) {
        return;
    }
    for merge in &receipt.merges {
        let joined = |half: &Customer| half.into.as_ref() == Some(&merge.into);
        if people.known.customers.get(&merge.from).is_some_and(joined) {
            let from = people.get(&merge.from);
            (from.into, from.joined) = (None, None);
            people.get(&merge.into).halves.remove(&merge.from);
        }
    }
}

/// What a lead that goes suggests goes with it, on both sides, unless one that stays suggests the same. The records of
/// others as they shall be.
fn unsuggest(
    others: &Known,
    goes: &BTreeSet<LeadId>,
    rest: &[&(Lead, Facts)],
    people: &mut People<'_>,
) -> Vec<Customer> {
    let suggests = |lead: &Lead, one: &CustomerId, other: &CustomerId| {
        let receipt = lead.progress.receipt.as_ref();
        let mut named = receipt.into_iter().flat_map(|receipt| &receipt.suggestions);
        named.any(|suggestion| suggestion.customer == *one || suggestion.customer == *other)
    };
    let is_gone = |raised: &Raised| raised.lead().is_some_and(|lead| goes.contains(lead));
    let mend = |record: &mut Customer| {
        let id = record.id.clone();
        record.maybe = std::mem::take(&mut record.maybe)
            .into_iter()
            .filter_map(|(other, raised)| {
                if !is_gone(&raised) {
                    return Some((other, raised));
                }
                let (staying, _) = rest.iter().find(|(lead, _)| suggests(lead, &id, &other))?;
                Some((other, Raised::Lead(staying.id.clone())))
            })
            .collect();
    };
    let is_touched = |record: &&Customer| record.maybe.values().any(is_gone);
    let ours: Vec<CustomerId> =
        people.known.customers.values().filter(is_touched).map(|record| record.id.clone()).collect();
    ours.iter().for_each(|id| mend(people.get(id)));
    let theirs = others.customers.values().filter(is_touched);
    let theirs = theirs.filter(|record| !people.known.customers.contains_key(&record.id));
    theirs
        .map(|record| {
            let mut record = record.clone();
            mend(&mut record);
            record
        })
        .collect()
}

/// An owner that came with a lead goes with it, to whoever has the newest lead that stays.
fn disown(root: &CustomerId, gone: &[&(Lead, Facts)], rest: &[&(Lead, Facts)], people: &mut People<'_>) {
    let Some(owner) = people.known.customers.get(root).and_then(|root| root.owner.clone()) else { return };
    let came_with = gone.iter().filter_map(|(lead, _)| lead.progress.assignment.as_ref());
    if !came_with.into_iter().any(|assignment| assignment.at == owner.since && assignment.rep == owner.rep) {
        return;
    }
    let left = rest.iter().filter_map(|(lead, _)| lead.progress.assignment.as_ref());
    people.get(root).owner = left.max_by_key(|assignment| assignment.at).map(|assignment| Ownership {
        rep: assignment.rep.clone(),
        team: assignment.team.clone(),
        since: assignment.at,
    });
}

/// A record without leads goes with its addresses. Joined with another it stays until the join goes; if people have said
/// who it is not, or its events are there, it stays as it is.
fn settle_records(people: People<'_>, plan: &mut Takeback, around: Around<'_>) {
    let Around { addresses, lived, .. } = around;
    for (id, mut record) in people.changed {
        if record.leads > 0 {
            plan.customers.push(record);
        } else if !record.apart.is_empty() || lived.contains(&id) {
            if let Some(before) = people.known.customers.get(&id) {
                record.keys.clone_from(&before.keys);
            }
            plan.freed.retain(|(_, holder)| *holder != id);
            plan.customers.push(record);
        } else if record.into.is_some() || !record.halves.is_empty() {
            plan.customers.push(record);
        } else {
            for (_, hash) in &record.keys {
                if addresses.get(hash).is_some_and(|address| address.customer == id) {
                    plan.freed.push((hash.clone(), id.clone()));
                }
            }
            plan.gone.push(record);
        }
    }
}

/// Addresses that a lead came with and that did not count for it.
fn passed_over(lead: &Lead, facts: &Facts, keys: &HashKeys) -> Vec<AddressHash> {
    let found = lead.progress.receipt.iter().flat_map(|receipt| &receipt.found);
    let kinds: BTreeSet<_> =
        found.filter(|found| found.passed_over.is_some()).map(|found| found.kind).collect();
    let identities = facts.identities.iter().filter(|identity| kinds.contains(&identity.kind));
    identities.flat_map(|identity| keys.hashes(identity)).collect()
}

fn hashes(facts: &Facts, keys: &HashKeys) -> Vec<AddressHash> {
    facts.identities.iter().flat_map(|identity| keys.hashes(identity)).collect()
}

struct People<'a> {
    known: &'a Known,
    changed: BTreeMap<CustomerId, Customer>,
}

impl People<'_> {
    fn get(&mut self, id: &CustomerId) -> &mut Customer {
        let known = self.known;
        self.changed.entry(id.clone()).or_insert_with(|| {
            known.customers.get(id).cloned().unwrap_or_else(|| Customer::new(id.clone(), Default::default()))
        })
    }
}
