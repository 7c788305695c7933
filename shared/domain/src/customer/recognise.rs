//! Who is this? From a lead's identities and what the store knows of them to one customer.

use super::{AddressHash, Customer, Identity, IdentityKind, Likeness, MAX_HALVES, Whole};
use crate::id::{CustomerId, LeadId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the store knows of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAddress {
    /// The customer it was claimed for.
    pub customer: CustomerId,
    /// Other customers that came with it and hold something against joining.
    pub others: BTreeSet<CustomerId>,
}

/// Everything loaded for one lead.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Per identity of the lead, in its order: the hash it is claimed under (that of the previous key, if the claim was
    /// made then), or the one to claim; and the claim.
    pub addresses: Vec<(AddressHash, Option<KnownAddress>)>,
    /// Per identity of the lead, in its order, where there is any: when its person was last erased.
    pub erased: Vec<Option<Timestamp>>,
    /// Customer records by id: those the addresses name, the ones they gave way to, and all their halves.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// The record that has taken the lead in already, if it was tried before.
    pub taken_in: Option<CustomerId>,
}

impl Known {
    /// The live customer an id leads to. An id without a record is its own root: whoever finds it creates it.
    pub fn root(&self, id: &CustomerId) -> CustomerId {
        let mut at = id.clone();
        // A chain is at most as long as there are records; the bound only guards against a corrupt circle.
        for _ in 0..=self.customers.len() {
            match self.customers.get(&at).and_then(|customer| customer.into.clone()) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    /// When somebody was erased whose address that was, as far as was known on loading.
    pub fn erased_at(&self, address: &AddressHash) -> Option<Timestamp> {
        let mut all = self.addresses.iter().zip(&self.erased);
        all.find_map(|((hash, _), erased)| erased.filter(|_| hash == address))
    }

    /// Whether a record gave way to another one, itself or by others: it does still, or a person has told the two apart since.
    pub fn gave_way(&self, half: &CustomerId, to: &CustomerId) -> bool {
        let mut at = Some(half);
        for _ in 0..=self.customers.len() {
            let Some(record) = at.and_then(|id| self.customers.get(id)) else { return false };
            if record.into.as_ref() == Some(to) || record.apart.contains_key(to) {
                return true;
            }
            at = record.into.as_ref();
        }
        false
    }

    /// A live customer and its halves, as far as loaded.
    pub fn whole<'a>(&'a self, root: &'a Customer) -> Whole<'a> {
        let mut halves = Vec::new();
        let mut open: Vec<&CustomerId> = root.halves.iter().collect();
        while let Some(id) = open.pop() {
            if let Some(half) = self.customers.get(id) {
                halves.push(half);
                open.extend(&half.halves);
            }
        }
        halves.sort_by(|a, b| a.id.cmp(&b.id));
        Whole { root, halves }
    }

    /// Ids that a complete decision needs and that are not loaded yet.
    pub fn missing(&self, loaded: &BTreeSet<CustomerId>) -> BTreeSet<CustomerId> {
        let named =
            self.addresses.iter().filter_map(|(_, known)| known.as_ref()).map(|known| &known.customer);
        let linked =
            self.customers.values().flat_map(|customer| customer.into.iter().chain(&customer.halves));
        named.chain(linked).chain(&self.taken_in).filter(|id| !loaded.contains(*id)).cloned().collect()
    }

    /// Records that disagree on which gave way to which: they were read while somebody joined or took apart their people.
    pub fn torn(&self) -> BTreeSet<CustomerId> {
        let mut torn = BTreeSet::new();
        for record in self.customers.values() {
            let to = record.into.iter().filter_map(|id| self.customers.get(id));
            let above = to.filter(|root| !root.halves.contains(&record.id));
            let halves = record.halves.iter().filter_map(|id| self.customers.get(id));
            let below = halves.filter(|half| half.into.as_ref() != Some(&record.id));
            for other in above.chain(below) {
                torn.extend([record.id.clone(), other.id.clone()]);
            }
        }
        torn
    }

    pub(super) fn held(&self, root: &CustomerId) -> BTreeSet<(IdentityKind, AddressHash)> {
        let record = self.customers.get(root);
        record
            .map(|root| self.whole(root).parts().flat_map(|part| part.keys.iter().cloned()).collect())
            .unwrap_or_default()
    }
}

/// An identity that led somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Its kind.
    pub kind: IdentityKind,
    /// The live customer it led to.
    pub customer: CustomerId,
    /// Whether it counted, or why it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<SuggestionReason>,
    /// The record that the identity was claimed for, if that had given way to the live one.
    #[serde(rename = "by", default, skip_serializing_if = "Option::is_none")]
    pub half: Option<CustomerId>,
    /// How the customer stood, if it was one of several of whom one stays.
    #[serde(rename = "st", default, skip_serializing_if = "Option::is_none")]
    pub stood: Option<Stood>,
}

impl Found {
    /// The record that it led to by itself.
    pub fn record(&self) -> &CustomerId {
        self.half.as_ref().unwrap_or(&self.customer)
    }
}

/// What says which of several customers stays: who has an owner, then who is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    /// It had an owner.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub owned: bool,
    /// First seen; none if nobody had created its record yet.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl Stood {
    fn of(known: &Known, id: &CustomerId) -> Self {
        let record = known.customers.get(id);
        Self {
            owned: record.is_some_and(|root| known.whole(root).owner().is_some()),
            created: record.map(|customer| customer.created),
        }
    }

    /// The least of several is that of the one who stays.
    pub(super) fn rank(self, id: &CustomerId) -> (bool, i64, CustomerId) {
        (!self.owned, self.created.map_or(i64::MAX, Timestamp::millis), id.clone())
    }
}

/// Why two customers were not joined although something speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionReason {
    /// Both hold a different strong identity of one kind.
    HoldsAnother,
    /// The address is seen with too many people to say who it is.
    SharedAddress,
    /// A person has said that they are two.
    KeptApart,
    /// So many customers were joined already that a person has to look.
    TooManyHalves,
    /// The identity is too weak to join over.
    Weak,
    /// They are described alike, and it could be either.
    Alike,
    /// They are described as one person, and joining by likeness is not switched on.
    JoinOff,
}

/// A hint for a person: these might be one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The other customer.
    pub customer: CustomerId,
    /// The identity that speaks for it; none where it is the likeness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<IdentityKind>,
    /// What speaks against it.
    pub reason: SuggestionReason,
    /// What a comparison came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
}

/// One customer gives way to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// The one that gives way.
    pub from: CustomerId,
    /// The one that stays.
    pub into: CustomerId,
    /// What a comparison came to, where no identity joined them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likeness: Option<Likeness>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognition {
    /// The live customer the lead belongs to.
    pub customer: CustomerId,
    /// The record whose address it came by: the live one, or a half of it; where it joins by likeness, its own. What the lead
    /// says stays there, and what it brings is claimed for it, so that un-merging finds each half as its own leads made it.
    pub home: CustomerId,
    /// Addresses to claim for [`Self::home`], best evidence first.
    pub claims: Vec<(IdentityKind, AddressHash)>,
    /// Every strong address now known to be the customer's, claims included.
    pub keys: BTreeSet<(IdentityKind, AddressHash)>,
    /// Customers that turn out to be one.
    pub merges: Vec<Merge>,
    /// Hints.
    pub suggestions: Vec<Suggestion>,
    /// Addresses seen with a customer that does not hold them.
    pub seen_with: Vec<AddressHash>,
    /// What the identities led to, for the explanation.
    pub found: Vec<Found>,
    /// Addresses claimed for a person who turned out to be somebody else, with the record they were claimed for. They are
    /// nobody's.
    pub lost: Vec<(AddressHash, CustomerId)>,
}

/// Decides who a lead is from.
///
/// An identity leads to its customer unless the address is shared by more than `shared_after` others, or unless the
/// lead itself carries a better kind of identity than this one that the customer holds with another value: a
/// colleague's phone does not make two people one. The best identity that counts gives the customer; others that
/// count join theirs to it if they are strong and no strong kind speaks against it. Who stays is who has an owner, then
/// who is older. A lead that was tried before is of the person who has taken it in, whatever its identities lead to by now.
pub fn recognise(lead: &LeadId, identities: &[Identity], known: &Known, shared_after: usize) -> Recognition {
    recognise_or(&CustomerId::derived(&[lead.as_str()]), identities, known, shared_after)
}

/// The same for whatever names somebody; nobody known is `fresh`.
pub(super) fn recognise_or(
    fresh: &CustomerId,
    identities: &[Identity],
    known: &Known,
    shared_after: usize,
) -> Recognition {
    let lost = claimed_in_vain(identities, known);
    let is_lost = |hash: &AddressHash| lost.iter().any(|(other, _)| other == hash);
    let counts = |(hash, claim): &(AddressHash, Option<KnownAddress>)| {
        (hash.clone(), claim.clone().filter(|_| !is_lost(hash)))
    };
    let addresses: Vec<_> = known.addresses.iter().map(counts).collect();
    let own: BTreeSet<(IdentityKind, AddressHash)> =
        identities.iter().zip(&addresses).map(|(id, (hash, _))| (id.kind, hash.clone())).collect();
    let mut found = Vec::new();
    let mut suggestions = Vec::new();
    let mut seen_with = Vec::new();
    let mut roots: Vec<(IdentityKind, CustomerId)> = Vec::new();
    let mut home = None;

    for (identity, (hash, claim)) in identities.iter().zip(&addresses) {
        let Some(claim) = claim else { continue };
        let root = known.root(&claim.customer);
        let better: BTreeSet<_> = own.iter().filter(|(kind, _)| *kind < identity.kind).cloned().collect();
        let passed_over = if claim.others.len() > shared_after {
            Some(SuggestionReason::SharedAddress)
        } else if conflict(&better, &known.held(&root)) {
            Some(SuggestionReason::HoldsAnother)
        } else {
            None
        };
        if passed_over.is_none() && home.is_none() {
            home = Some(claim.customer.clone());
        }
        if let Some(reason) = passed_over {
            suggestions.push(by_identity(root.clone(), identity.kind, reason));
            // Over the limit it identifies nobody whoever else comes with it: a switchboard's record does not grow.
            if claim.others.len() <= shared_after {
                seen_with.push(hash.clone());
            }
        } else if !roots.iter().any(|(_, known)| *known == root) {
            roots.push((identity.kind, root.clone()));
        }
        let half = Some(claim.customer.clone()).filter(|record| *record != root);
        found.push(Found { kind: identity.kind, customer: root, passed_over, half, stood: None });
    }

    let mut joined: Vec<CustomerId> = Vec::new();
    let mut keys = BTreeSet::new();
    let taken_in = known.taken_in.as_ref().filter(|id| known.customers.contains_key(*id));
    if let Some(root) = taken_in.map(|home| known.root(home)) {
        keys = known.held(&root);
        joined.push(root);
    }
    for (kind, root) in roots {
        if joined.contains(&root) {
            continue;
        }
        if joined.is_empty() {
            keys = known.held(&root);
            joined.push(root);
            continue;
        }
        if !kind.is_strong() {
            suggestions.push(by_identity(root, kind, SuggestionReason::Weak));
            continue;
        }
        match objection(known, &joined, &keys, &root) {
            Some(reason) => suggestions.push(by_identity(root, kind, reason)),
            None => {
                keys.extend(known.held(&root));
                joined.push(root);
            }
        }
    }
    suggestions.retain(|suggestion| !joined.contains(&suggestion.customer));

    let customer = stays(known, &joined).unwrap_or_else(|| unused(fresh, known));
    let merges = joined
        .into_iter()
        .filter(|id| *id != customer)
        .map(|from| Merge { from, into: customer.clone(), likeness: None })
        .collect::<Vec<_>>();
    for one in &mut found {
        let gives_way = || merges.iter().any(|merge| merge.from == one.customer);
        if !merges.is_empty() && one.passed_over.is_none() && (one.customer == customer || gives_way()) {
            one.stood = Some(Stood::of(known, &one.customer));
        }
    }

    let mut claims = Vec::new();
    for (identity, (hash, claim)) in identities.iter().zip(&addresses) {
        let key = (identity.kind, hash.clone());
        let ours = claim.as_ref().is_some_and(|claim| {
            let root = known.root(&claim.customer);
            root == customer || merges.iter().any(|merge| merge.from == root)
        });
        if ours {
            keys.insert(key);
        } else if claim.is_none() && !keys.iter().any(|other| alike(other, &key)) {
            claims.push(key.clone());
            keys.insert(key);
        }
    }
    let home = taken_in.cloned().or(home).unwrap_or_else(|| customer.clone());
    Recognition { customer, home, claims, keys, merges, suggestions, seen_with, found, lost }
}

/// Addresses that were claimed in vain, with whom for. An address is claimed before the record says that it holds it, so of two
/// that are claimed for one record at one instant, and contradict each other, the second is found to be of somebody else when
/// its turn comes: its record holds another value by then. Nobody can make the record hold it any more, since whatever changes
/// the record knows of that other value.
fn claimed_in_vain(identities: &[Identity], known: &Known) -> Vec<(AddressHash, CustomerId)> {
    let strong = identities.iter().zip(&known.addresses).filter(|(identity, _)| identity.kind.is_strong());
    let lost = strong.filter_map(|(identity, (hash, claim))| {
        let customer = &claim.as_ref()?.customer;
        let key = (identity.kind, hash.clone());
        let held = known.held(&known.root(customer));
        let is_lost = !held.contains(&key) && held.iter().any(|other| alike(other, &key));
        is_lost.then(|| (hash.clone(), customer.clone()))
    });
    lost.collect()
}

/// The id of somebody new: the one that is always the same, or, if its record has become somebody else's, one after that.
fn unused(fresh: &CustomerId, known: &Known) -> CustomerId {
    let mut id = fresh.clone();
    while known.customers.contains_key(&id) {
        id = CustomerId::derived(&[id.as_str()]);
    }
    id
}

const fn by_identity(customer: CustomerId, kind: IdentityKind, reason: SuggestionReason) -> Suggestion {
    Suggestion { customer, kind: Some(kind), reason, likeness: None }
}

type Key = (IdentityKind, AddressHash);

/// Whether two keys are values of the same thing: of one kind and, where ids have one, of one namespace.
fn alike(one: &Key, other: &Key) -> bool {
    one.0 == other.0 && one.1.namespace() == other.1.namespace()
}

/// Whether both hold a strong kind and share no value of it.
fn conflict(one: &BTreeSet<Key>, other: &BTreeSet<Key>) -> bool {
    one.iter().filter(|(kind, _)| kind.is_strong()).any(|key| {
        let of = |set: &BTreeSet<Key>| -> BTreeSet<AddressHash> {
            set.iter().filter(|k| alike(k, key)).map(|(_, hash)| hash.clone()).collect()
        };
        let theirs = of(other);
        !theirs.is_empty() && of(one).is_disjoint(&theirs)
    })
}

pub(super) fn objection(
    known: &Known,
    joined: &[CustomerId],
    keys: &BTreeSet<(IdentityKind, AddressHash)>,
    root: &CustomerId,
) -> Option<SuggestionReason> {
    if conflict(keys, &known.held(root)) {
        return Some(SuggestionReason::HoldsAnother);
    }
    let parts = |id: &CustomerId| -> Vec<Customer> {
        let root = known.customers.get(id);
        root.map(|root| known.whole(root).parts().cloned().collect()).unwrap_or_default()
    };
    let theirs = parts(root);
    let ours: Vec<Customer> = joined.iter().flat_map(parts).collect();
    if ours.iter().any(|one| theirs.iter().any(|other| apart(one, other))) {
        return Some(SuggestionReason::KeptApart);
    }
    (ours.len() + theirs.len() > MAX_HALVES).then_some(SuggestionReason::TooManyHalves)
}

/// Whether a person has said that these are two.
pub(super) fn apart(one: &Customer, other: &Customer) -> bool {
    one.apart.contains_key(&other.id) || other.apart.contains_key(&one.id)
}

pub(super) fn stays(known: &Known, joined: &[CustomerId]) -> Option<CustomerId> {
    joined.iter().min_by_key(|id| Stood::of(known, id).rank(id)).cloned()
}
