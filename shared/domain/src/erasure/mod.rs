//! Erasing a person: what is to be forgotten, how far it is, and what arrives too late.
//!
//! What is left in place of a record is an [`Erasure`]: it keeps the record from being made again by whoever read it before, and
//! it is the state of the job. While it is under way it names the person's leads and addresses by id and keyed hash; once done
//! it says when, by whose order and how many. A lead that is left in the ledger says where and when it was accepted, and that it was
//! erased: its id keeps a delivery that comes again from becoming a new lead.

#[cfg(test)]
mod tests;

use crate::customer::{AddressHash, Customer, HashKeys, Identity, IdentityKind, Known, Whole, blocking_keys};
use crate::event::{Happened, Who};
use crate::id::{CustomerId, LeadId};
use crate::lead::{Facts, Lead, LeadState, Progress, Work};
use crate::policy::Junk;
use crate::routing::Outcome;
use crate::team::{self, TeamState};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// In the minute of the day, by UTC, that is seventeen past three.
const DEAD_LETTERS_MINUTE: i64 = 3 * 60 + 17;

/// One identity as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its kind.
    #[serde(rename = "k")]
    pub kind: IdentityKind,
    /// Its keyed hash, under the key of now first.
    #[serde(rename = "h")]
    pub hashes: Vec<AddressHash>,
}

/// What stands in place of a customer's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The customer.
    #[serde(skip, default = "no_id")]
    pub id: CustomerId,
    /// Counted up by each write.
    #[serde(skip)]
    pub version: u64,
    /// When it was asked for. What was said before is forgotten.
    pub at: Timestamp,
    /// By whom: the rep of the token, else its role, of a manager with the token's id.
    pub by: String,
    /// Of a record that had given way: the one whose erasure takes it along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<CustomerId>,
    /// Addresses that the records named and that are still to be forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Those of them that were nobody else's when it was asked for and can be written to, until their gates are known to be
    /// closed: whoever comes with one meanwhile does not keep it open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Address>,
    /// Each record of the person, with its newest lead that is still there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub records: BTreeMap<CustomerId, Option<LeadId>>,
    /// Customers whose records name one of these: they were told apart from this person, or may be the same.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub linked: BTreeSet<CustomerId>,
    /// Keyed hashes of what the records said, to find it where decisions about those customers quote it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub quoted: BTreeSet<AddressHash>,
    /// Leads that are erased, beside which something may still lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<LeadId>,
    /// Leads erased so far.
    #[serde(default)]
    pub leads: u32,
    /// Ids of the records that it took along. What an event put beside one at the moment of the erasure is found by them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub took: BTreeSet<CustomerId>,
    /// When everything was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Timestamp>,
}

fn no_id() -> CustomerId {
    CustomerId::derived(&[])
}

impl Address {
    /// Whether messages can go to it.
    pub const fn is_reachable(&self) -> bool {
        matches!(self.kind, IdentityKind::Email | IdentityKind::Phone | IdentityKind::WechatOpen)
    }
}

impl Erasure {
    /// The erasure of a whole person: what takes the place of the live record, then of each that gave way to it.
    /// Addresses that identify nobody are not theirs, unless they hold one from before it was listed: others who gave the same
    /// are still written to there.
    pub fn begin(
        root: &Customer,
        known: &Known,
        keys: &HashKeys,
        junk: &Junk,
        by: &str,
        at: Timestamp,
    ) -> Vec<Self> {
        let whole = known.whole(root);
        let parts: BTreeSet<&CustomerId> = whole.parts().map(|part| &part.id).collect();
        let empty = |customer: &Customer| Self {
            id: customer.id.clone(),
            version: customer.version,
            at,
            by: by.to_owned(),
            root: None,
            addresses: Vec::new(),
            gates: Vec::new(),
            records: BTreeMap::new(),
            linked: BTreeSet::new(),
            quoted: BTreeSet::new(),
            beside: Vec::new(),
            leads: 0,
            took: BTreeSet::new(),
            done: None,
        };
        let named = whole.parts().flat_map(|part| part.apart.keys().chain(part.maybe.keys()));
        let linked = named.filter(|id| !parts.contains(id));
        // Only whoever was one with this person can have been decided on by what it said.
        let was_joined = whole.parts().any(|part| !part.apart.is_empty());
        let facts = whole.parts().flat_map(|part| part.facts.values()).filter(|_| was_joined);
        let whole_person = Self {
            quoted: facts.flat_map(|fact| keys.fact_hashes(fact.value.reveal())).collect(),
            addresses: addresses(&whole.parts().collect::<Vec<_>>(), keys, junk),
            took: whole.parts().map(|part| part.id.clone()).collect(),
            records: whole.parts().map(|part| (part.id.clone(), part.last_lead.clone())).collect(),
            linked: linked.cloned().collect(),
            ..empty(root)
        };
        let half = |half: &&Customer| Self { root: Some(root.id.clone()), ..empty(half) };
        std::iter::once(whole_person).chain(whole.halves.iter().map(half)).collect()
    }

    /// Ids of the person's records.
    pub fn holders(&self) -> BTreeSet<CustomerId> {
        self.records.keys().cloned().collect()
    }

    /// Everything is gone at `now`: of the person nothing is left here.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Self {
        Self {
            done: Some(now),
            addresses: Vec::new(),
            gates: Vec::new(),
            records: BTreeMap::new(),
            linked: BTreeSet::new(),
            quoted: BTreeSet::new(),
            beside: Vec::new(),
            ..self.clone()
        }
    }
}

/// Every address that records hold or spell out as theirs, each once. Of one that is only held, the hash of the day is known.
pub fn addresses(records: &[&Customer], keys: &HashKeys, junk: &Junk) -> Vec<Address> {
    let spelled = records.iter().flat_map(|record| record.identities());
    let identities: Vec<Identity> = spelled.filter(|identity| !junk.is_junk(identity)).collect();
    let mut all = addresses_of(&identities, keys);
    for (kind, held) in records.iter().flat_map(|record| &record.keys) {
        if !all.iter().any(|address| address.hashes.contains(held)) {
            all.push(Address { kind: *kind, hashes: vec![held.clone()] });
        }
    }
    all
}

/// Identities as the store knows them, each once.
pub fn addresses_of(identities: &[Identity], keys: &HashKeys) -> Vec<Address> {
    let mut all: Vec<Address> = Vec::new();
    for identity in identities {
        let address = Address { kind: identity.kind, hashes: keys.hashes(identity) };
        if !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

/// What a lead has left in the table beside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traces {
    /// Its identities.
    pub addresses: Vec<Address>,
    /// Keys under which its customer is found by description.
    pub blocks: Vec<AddressHash>,
    /// The domain of a company that may have got its owner with it, and since when it would have one; who that is may have changed.
    pub company: Option<(String, Timestamp)>,
}

/// The traces of a lead.
pub fn traces(lead: &Lead, facts: &Facts, keys: &HashKeys) -> Traces {
    let receipt = lead.progress.receipt.as_ref();
    let assigned = receipt.filter(|receipt| matches!(receipt.outcome, Outcome::Assigned { .. }));
    let domain = facts.company_domain.as_ref().map(ToString::to_string);
    Traces {
        addresses: addresses_of(&facts.identities, keys),
        blocks: blocking_keys(facts).iter().flat_map(|block| keys.block_hashes(block)).collect(),
        company: domain.zip(assigned.map(|receipt| receipt.at)),
    }
}

/// What is left of a lead. That somebody was in touch, how soon and who of the company it was, is the company's own: the counters
/// of speed to lead rest on it.
pub fn remains(progress: &Progress) -> Progress {
    Progress {
        state: LeadState::Erased,
        work: Work::Closed,
        contact: progress.contact.clone(),
        ..Progress::default()
    }
}

/// Teams and rounds in whose books a lead may stand.
pub fn books_of(lead: &Lead) -> BTreeSet<String> {
    let team = lead.progress.assignment.as_ref().and_then(|assignment| assignment.team.clone());
    let rounds = lead.progress.receipt.iter().flat_map(|receipt| receipt.saw.rounds.keys().cloned());
    team.into_iter().chain(rounds).collect()
}

/// Takes a lead out of the books: an open one leaves its place to another, as one that is disqualified does. Its share stays
/// counted.
pub fn leave(lead: &Lead, books: &mut BTreeMap<String, TeamState>) {
    for (name, state) in books {
        // Its commit is durable, so a grant that is still outstanding is no longer needed.
        team::settle(state, &lead.id);
        let assignment = lead.progress.assignment.as_ref().filter(|_| lead.progress.work.is_open());
        if let Some(assignment) = assignment.filter(|assignment| assignment.team.as_ref() == Some(name)) {
            team::close(state, &assignment.rep);
        }
    }
}

/// A lead of somebody else without what its decision saw of this person, while they were taken for one; nothing if it
/// saw nothing of them. What is known of that customer as well stays.
pub fn unquoted(
    lead: &Lead,
    of: &Whole<'_>,
    quoted: &BTreeSet<AddressHash>,
    keys: &HashKeys,
) -> Option<Progress> {
    let own: BTreeSet<&str> =
        of.parts().flat_map(|part| part.facts.values()).map(|fact| fact.value.reveal().as_str()).collect();
    let is_theirs = |value: &Value| {
        let text = value.as_str().filter(|text| !own.contains(text));
        text.is_some_and(|text| keys.fact_hashes(text).iter().any(|hash| quoted.contains(hash)))
    };
    let mut progress = lead.progress.clone();
    let saw = &mut progress.receipt.as_mut()?.saw;
    let before = saw.customer.len();
    saw.customer.retain(|_, value| !is_theirs(value));
    if saw.customer.len() == before {
        return None;
    }
    saw.forgotten = true;
    Some(progress)
}

/// Whether a lead that waits is from a person who was erased after it was accepted: it would have been theirs, so it goes with
/// them. The best identity that leads anywhere decides, as in recognising.
pub fn is_too_late(received: Timestamp, identities: &[Identity], known: &Known, shared_after: usize) -> bool {
    for (at, _) in identities.iter().enumerate() {
        let claim = known.addresses.get(at).and_then(|(_, claim)| claim.as_ref());
        let is_shared = claim.is_some_and(|claim| claim.others.len() > shared_after);
        if known.erased.get(at).copied().flatten().is_some_and(|erased| erased >= received) && !is_shared {
            return true;
        }
        if claim.is_some() && !is_shared {
            return false;
        }
    }
    false
}

/// Whether an event that nobody could take so far is of a person who was erased after it happened. Where it says whose it is, by
/// the records that are `gone`; else as on its arrival, by what its ids lead to ([`crate::advance::identities`]). How many people
/// use a browser says nothing here.
pub fn is_event_of_erased(
    happened: &Happened,
    identities: &[Identity],
    mut known: Known,
    gone: &BTreeSet<CustomerId>,
    shared_after: usize,
) -> bool {
    if let Who::Customer(id) = &happened.who {
        return gone.contains(id);
    }
    let claims = identities.iter().zip(&mut known.addresses);
    for (_, (_, claim)) in claims.filter(|(identity, _)| !identity.kind.is_strong()) {
        claim.iter_mut().for_each(|claim| claim.others.clear());
    }
    is_too_late(happened.event.at, identities, &known, shared_after)
}

/// Whether what a provider said at `at` of an address, by what is `known` of that alone, is of a person who was erased: nobody
/// has the address since, or it was said before.
pub fn is_said_of_erased(at: Option<Timestamp>, known: &Known) -> bool {
    let erased = known.erased.first().copied().flatten();
    let is_free = known.addresses.first().is_none_or(|(_, claim)| claim.is_none());
    erased.is_some_and(|erased| is_free || at.is_some_and(|at| at <= erased))
}

/// Whether this is the minute of the day in which dead letters are looked through: what was on its way when its person was
/// erased may have died since.
pub const fn is_time_for_dead_letters(now: Timestamp) -> bool {
    now.seconds().div_euclid(60).rem_euclid(24 * 60) == DEAD_LETTERS_MINUTE
}
