//! Whose are events? From the ids that a tracking library sends to one customer.
//!
//! A user id, and the e-mail address and phone number that `identify` names, are evidence as a lead's are. What a browser
//! calls itself is not: several people may use it. So an anonymous id only leads somewhere where nothing better does, and
//! it never joins two people who are known: whoever is known first takes its earlier events along, later people are merely
//! pointed on to.

use super::decided::note_suggestions;
use super::recognise::{apart, recognise_or};
use super::{
    AddressHash, Customer, HashKeys, Identity, IdentityKind, Joined, Known, KnownAddress, MAX_HALVES, Raised,
    Recognition, SuggestionReason, Whole,
};
use crate::erasure::is_too_late;
use crate::event::{Event, EventKind, Ids};
use crate::id::CustomerId;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Anonymous ids that a record names; a person who clears cookies daily has more, whose addresses know it as well.
const MOST_ANONYMOUS: usize = 16;
/// People an anonymous id is pointed on to. One that more use is a machine in public: its events are nobody's.
const MOST_PEOPLE: usize = 16;

/// Where events of an anonymous id go that names nobody else: to whoever was known last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The record.
    pub customer: CustomerId,
    /// When the event happened that said so.
    pub at: Timestamp,
}

/// What the store knows of one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The hash it is claimed under, or the one to claim.
    pub hash: AddressHash,
    /// Whose it is, and who else came with it.
    pub claim: Option<KnownAddress>,
    /// Of an anonymous id: who was known last, if that is not who has it.
    pub to: Option<Pointer>,
    /// When a person was last erased whose it was.
    pub erased: Option<Timestamp>,
}

/// An address to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub address: AddressHash,
    /// For this record.
    pub customer: CustomerId,
    /// When a person was last erased whose it was, as read: who does not know of it may not claim it.
    pub erased: Option<Timestamp>,
    /// For whom it was claimed in vain.
    pub lost: Option<CustomerId>,
}

/// An anonymous id that points on from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// The id.
    pub address: AddressHash,
    /// To whom.
    pub to: Pointer,
    /// The pointer as it was read.
    pub was: Option<Pointer>,
}

/// Who some events say they are of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Evidence, best first.
    pub strong: Vec<Identity>,
    /// What the browser or device calls itself, and what it did before.
    pub anonymous: Vec<Identity>,
    /// The user id that an `alias` says is the same person's, where it is one.
    pub other_user: Option<Identity>,
}

impl Named {
    /// The ids of an event, with what its traits name.
    pub fn of(ids: &Ids, event: &Event, traits: &[Identity]) -> Self {
        let user = |id: &str| Identity::within(IdentityKind::External, "", id.to_owned());
        let browser = |id: &str| Identity::new(IdentityKind::Anonymous, id.to_owned());
        let text = |id: &Option<crate::pii::Pii<String>>| id.as_ref().map(|id| id.reveal().clone());
        let (own, previous) = (text(&ids.user), text(&ids.previous));
        let previous =
            previous.filter(|previous| event.kind == EventKind::Alias && Some(previous) != own.as_ref());
        let mut strong: Vec<Identity> = own.iter().map(|id| user(id)).collect();
        strong.extend(traits.iter().cloned());
        let mut anonymous: Vec<Identity> = text(&ids.anonymous).iter().map(|id| browser(id)).collect();
        anonymous.extend(previous.iter().map(|id| browser(id)));
        anonymous.dedup();
        Self { strong, anonymous, other_user: previous.map(|id| user(&id)) }
    }

    /// Everything that is to be looked up.
    pub fn identities(&self) -> impl Iterator<Item = &Identity> {
        self.strong.iter().chain(&self.anonymous).chain(&self.other_user)
    }
}

/// Somebody who may be the same person, what speaks for it, and what against.
type Suggested = (CustomerId, IdentityKind, SuggestionReason);

/// Where events belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The record whose address they came by: theirs they stay.
    pub home: CustomerId,
    /// The live record of the person.
    pub root: CustomerId,
}

/// People as they were read, and as events make them, one after the other.
#[derive(Debug)]
pub struct Stitch<'a> {
    keys: &'a HashKeys,
    shared_after: usize,
    /// What is known of ids, each under its hash of now.
    pub ties: BTreeMap<AddressHash, Tie>,
    /// Records.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// Records that have changed.
    pub changed: BTreeSet<CustomerId>,
    /// Addresses to claim, in order.
    pub claims: Vec<Claim>,
    /// Addresses that were claimed in vain, with whom for.
    pub lost: BTreeMap<AddressHash, CustomerId>,
    /// Pointers that change, by address.
    pub pointed: BTreeMap<AddressHash, Pointed>,
    /// Addresses that came with a customer who does not hold them.
    pub seen_with: BTreeSet<(AddressHash, CustomerId)>,
    /// An id is claimed for a record that is not there yet: whose it is will be known in a moment.
    pub unsettled: bool,
}

impl<'a> Stitch<'a> {
    /// People as read.
    pub const fn new(
        keys: &'a HashKeys,
        shared_after: usize,
        ties: BTreeMap<AddressHash, Tie>,
        customers: BTreeMap<CustomerId, Customer>,
    ) -> Self {
        Self {
            keys,
            shared_after,
            ties,
            customers,
            changed: BTreeSet::new(),
            claims: Vec::new(),
            lost: BTreeMap::new(),
            pointed: BTreeMap::new(),
            seen_with: BTreeSet::new(),
            unsettled: false,
        }
    }

    /// Whose an event is; nobody's if it is too late for it: its person was erased since.
    pub fn place(&mut self, named: &Named, event: &Event) -> Option<Place> {
        if self.is_too_late(named, event.at) {
            return None;
        }
        let (place, mut suggestions) = match named.strong.is_empty() {
            false => self.known_person(named, event),
            true => (self.browser(named.anonymous.first()?, event), Vec::new()),
        };
        for identity in &named.anonymous {
            self.tie(identity, &place, event);
        }
        if let Some(other) = &named.other_user
            && let Some(claim) = self.tie_of(other).claim
        {
            let theirs = self.root(&claim.customer);
            suggestions.push((theirs, other.kind, SuggestionReason::HoldsAnother));
        }
        if event.says_who() {
            let shared = named.anonymous.iter().filter_map(|browser| self.known_other(browser, &place));
            suggestions.extend(shared.map(|other| (other, IdentityKind::Anonymous, SuggestionReason::Weak)));
        }
        self.suggest(&place, suggestions, event);
        Some(place)
    }

    /// The record, created if nobody did so far, to be changed.
    pub fn change(&mut self, id: &CustomerId, at: Timestamp) -> &mut Customer {
        self.changed.insert(id.clone());
        self.customers.entry(id.clone()).or_insert_with(|| Customer::new(id.clone(), at))
    }

    /// Changes what a record says of its person; `how` answers whether it did. An address of theirs that it spells out no
    /// more stays theirs, under every key by which something may have been said of it: from now on nobody can tell its hashes.
    pub fn restate(
        &mut self,
        id: &CustomerId,
        at: Timestamp,
        how: impl FnOnce(&mut Customer) -> bool,
    ) -> bool {
        let record = self.change(id, at);
        let before = record.identities();
        if !how(record) {
            return false;
        }
        let now = record.identities();
        for gone in before.iter().filter(|identity| identity.kind.is_strong() && !now.contains(identity)) {
            let keys = self.keys.hashes(gone).into_iter().map(|hash| (gone.kind, hash));
            let keys: BTreeSet<(IdentityKind, AddressHash)> = keys.collect();
            if self.parts(&self.root(id)).iter().any(|part| !part.keys.is_disjoint(&keys)) {
                self.change(id, at).keys.extend(keys);
            }
        }
        true
    }

    /// The live record that an id leads to.
    pub fn root(&self, id: &CustomerId) -> CustomerId {
        let mut at = id.clone();
        for _ in 0..=self.customers.len() {
            match self.customers.get(&at).and_then(|customer| customer.into.clone()) {
                Some(next) => at = next,
                None => break,
            }
        }
        at
    }

    /// Every record of a person, the live one first; none if it is not there.
    pub fn parts(&self, root: &CustomerId) -> Vec<&Customer> {
        let mut parts: Vec<&Customer> = Vec::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if let Some(record) =
                self.customers.get(id).filter(|record| parts.iter().all(|part| part.id != record.id))
            {
                parts.push(record);
                open.extend(&record.halves);
            }
        }
        if let Some(halves) = parts.get_mut(1..) {
            halves.sort_by(|a, b| a.id.cmp(&b.id));
        }
        parts
    }

    /// The whole person, by the live record.
    pub fn whole(&self, root: &CustomerId) -> Option<Whole<'_>> {
        let mut parts = self.parts(root).into_iter();
        Some(Whole { root: parts.next()?, halves: parts.collect() })
    }

    /// The record that an identity was claimed for.
    pub fn holder(&self, identity: &Identity) -> Option<CustomerId> {
        self.tie_of(identity).claim.map(|claim| claim.customer)
    }

    /// What is known of these identities, as recognising asks.
    fn known(&self, identities: &[Identity]) -> Known {
        let ties: Vec<Tie> = identities.iter().map(|identity| self.tie_of(identity)).collect();
        Known {
            erased: ties.iter().map(|tie| tie.erased).collect(),
            addresses: ties.into_iter().map(|tie| (tie.hash, tie.claim)).collect(),
            customers: self.customers.clone(),
            taken_in: None,
        }
    }

    fn tie_of(&self, identity: &Identity) -> Tie {
        let hash = self.first_hash(identity);
        let known = self.ties.get(&hash).cloned();
        known.unwrap_or(Tie { hash, claim: None, to: None, erased: None })
    }

    fn first_hash(&self, identity: &Identity) -> AddressHash {
        self.keys.hash(identity)
    }

    /// The best identity that leads anywhere decides, as for leads. How many people use a browser says nothing here.
    fn is_too_late(&self, named: &Named, at: Timestamp) -> bool {
        let identities: Vec<Identity> = named.strong.iter().chain(&named.anonymous).cloned().collect();
        let mut known = Known { customers: BTreeMap::new(), ..Known::default() };
        for identity in &identities {
            let mut tie = self.tie_of(identity);
            if let Some(claim) = tie.claim.as_mut().filter(|_| !identity.kind.is_strong()) {
                claim.others.clear();
            }
            known.erased.push(tie.erased);
            known.addresses.push((tie.hash, tie.claim));
        }
        is_too_late(at, &identities, &known, self.shared_after)
    }

    fn claim(&mut self, identity: &Identity, hash: &AddressHash, customer: &CustomerId) {
        let first = self.first_hash(identity);
        let erased = self.ties.get(&first).and_then(|tie| tie.erased);
        let lost = self.lost.remove(hash);
        self.claims.push(Claim { address: hash.clone(), customer: customer.clone(), erased, lost });
        let claim = KnownAddress { customer: customer.clone(), others: BTreeSet::new() };
        self.ties.insert(first, Tie { hash: hash.clone(), claim: Some(claim), to: None, erased });
    }

    /// Events that name their person.
    fn known_person(&mut self, named: &Named, event: &Event) -> (Place, Vec<Suggested>) {
        let strong = self.settled(&named.strong);
        let known = self.known(&strong);
        let fresh = CustomerId::derived(&[event.id.as_str()]);
        let who = recognise_or(&fresh, &strong, &known, self.shared_after);
        for merge in &who.merges {
            self.join(&merge.from, &merge.into, event);
        }
        self.lost.extend(who.lost.iter().cloned());
        for (kind, hash) in &who.claims {
            let held = strong
                .iter()
                .zip(&known.addresses)
                .find(|(identity, (known, _))| identity.kind == *kind && known == hash);
            if let Some((identity, _)) = held {
                self.claim(identity, hash, &who.home);
            }
        }
        self.hold(&strong, &known, &who, event.at);
        for address in &who.seen_with {
            self.see_with(address, &who.customer);
        }
        let suggested =
            who.suggestions.into_iter().filter_map(|one| Some((one.customer, one.kind?, one.reason)));
        (Place { root: self.root(&who.customer), home: who.home }, suggested.collect())
    }

    /// Whoever else is known by a browser, if they are two: one that more people use says of nobody who they are.
    fn known_other(&self, browser: &Identity, place: &Place) -> Option<CustomerId> {
        let claim = self.tie_of(browser).claim?;
        let holder = self.root(&claim.customer);
        let is_known = self.parts(&holder).into_iter().any(|record| !is_nobody(record));
        let is_theirs = claim.others.iter().all(|other| [&holder, &place.root].contains(&&self.root(other)));
        (is_known && is_theirs).then_some(holder)
    }

    /// Those who may be the same person are noted on both records, for a person to decide.
    fn suggest(&mut self, place: &Place, suggestions: Vec<Suggested>, event: &Event) {
        let root = self.root(&place.root);
        for (other, kind, reason) in suggestions {
            let theirs = self.root(&other);
            if theirs == root || !self.customers.contains_key(&theirs) || self.are_apart(&root, &theirs) {
                continue;
            }
            let raised = Raised::Event { id: event.id.clone(), at: event.at, kind, reason };
            let known = Known { customers: self.customers.clone(), ..Known::default() };
            for (on, other) in note_suggestions(&known, &place.home, std::iter::once(&theirs)) {
                self.change(&on, event.at).maybe.insert(other, raised.clone());
            }
        }
    }

    /// The evidence that counts. What is claimed for a record that is not there yet may be of somebody who is known by something
    /// better, and who would be joined to this person for ever: it counts only if there is nothing better here either.
    fn settled(&mut self, strong: &[Identity]) -> Vec<Identity> {
        let holder = |identity: &Identity| self.holder(identity).map(|id| self.root(&id));
        let best = strong.first().and_then(holder);
        let mut counted = Vec::new();
        let mut unsettled = false;
        for (at, identity) in strong.iter().enumerate() {
            match holder(identity) {
                Some(root)
                    if at > 0 && !self.customers.contains_key(&root) && Some(&root) != best.as_ref() =>
                {
                    unsettled = true;
                }
                _ => counted.push(identity.clone()),
            }
        }
        self.unsettled |= unsettled;
        counted
    }

    /// The records name the addresses they hold. One may have been claimed for a record that did not get as far.
    fn hold(&mut self, strong: &[Identity], known: &Known, who: &Recognition, at: Timestamp) {
        for (identity, (hash, claim)) in strong.iter().zip(&known.addresses) {
            let key = (identity.kind, hash.clone());
            let holder = match claim {
                _ if who.claims.contains(&key) => who.home.clone(),
                Some(claim) if who.keys.contains(&key) => claim.customer.clone(),
                _ => continue,
            };
            if !self.customers.get(&holder).is_some_and(|record| record.keys.contains(&key)) {
                self.change(&holder, at).keys.insert(key);
                // What contradicts it may come to another record of the person at this instant: both change the live one.
                self.change(&who.customer, at);
            }
        }
        if !self.customers.contains_key(&who.home) {
            self.change(&who.home, at);
        }
    }

    fn see_with(&mut self, address: &AddressHash, customer: &CustomerId) {
        let tie = self.ties.values_mut().find(|tie| tie.hash == *address);
        if let Some(claim) = tie.and_then(|tie| tie.claim.as_mut())
            && claim.others.insert(customer.clone())
        {
            self.seen_with.insert((address.clone(), customer.clone()));
        }
    }

    fn join(&mut self, from: &CustomerId, into: &CustomerId, event: &Event) {
        let half = self.change(from, event.at);
        (half.into, half.joined) = (Some(into.clone()), Some(Joined::Event(event.id.clone())));
        self.change(into, event.at).halves.insert(from.clone());
    }

    /// Events that name nobody but their browser.
    fn browser(&mut self, identity: &Identity, event: &Event) -> Place {
        let tie = self.tie_of(identity);
        let home = match (&tie.to, &tie.claim) {
            (Some(to), _) => to.customer.clone(),
            (None, Some(claim)) => claim.customer.clone(),
            (None, None) => {
                let own = record_of("anonymous", &tie);
                self.claim(identity, &tie.hash, &own);
                own
            }
        };
        if !self.customers.contains_key(&home) {
            self.change(&home, event.at);
        }
        self.name(identity, &tie.hash, &home, event.at);
        Place { root: self.root(&home), home }
    }

    /// A record names its browsers, as far as it has room.
    fn name(&mut self, identity: &Identity, hash: &AddressHash, id: &CustomerId, at: Timestamp) {
        let key = (IdentityKind::Anonymous, hash.clone());
        let holds = self.tie_of(identity).claim.is_some_and(|claim| claim.customer == *id);
        let named = |record: &Customer| {
            record.keys.contains(&key)
                || record.keys.iter().filter(|(kind, _)| *kind == IdentityKind::Anonymous).count()
                    >= MOST_ANONYMOUS
        };
        if holds && !self.customers.get(id).is_some_and(named) {
            self.change(id, at).keys.insert(key);
        }
    }

    /// The browser of somebody who may be known. It is theirs by the record that the event came by, as all that it says is.
    fn tie(&mut self, identity: &Identity, place: &Place, event: &Event) {
        let tie = self.tie_of(identity);
        let Some(claim) = &tie.claim else {
            self.claim(identity, &tie.hash, &place.home);
            self.name(identity, &tie.hash, &place.home, event.at);
            return;
        };
        let holder = self.root(&claim.customer);
        let now = tie.to.as_ref().map_or_else(|| holder.clone(), |to| self.root(&to.customer));
        if now == place.root {
            return;
        }
        if tie.to.is_none() && claim.others.is_empty() && self.gives_way(&holder, &place.root, &tie) {
            self.join(&holder, &place.home, event);
        } else if tie.to.as_ref().is_none_or(|to| (to.at, &to.customer) < (event.at, &place.home)) {
            self.point(identity, tie, &place.home, event.at);
        }
    }

    /// Whether a record is nobody's so far, so that its events are those of whoever turns up first. One that is not there yet
    /// may be somebody's who is being written down at this moment, unless it is the browser's own.
    fn gives_way(&self, from: &CustomerId, into: &CustomerId, tie: &Tie) -> bool {
        let (ours, theirs) = (self.parts(from), self.parts(into));
        let is_sure = !ours.is_empty() || *from == record_of("anonymous", tie);
        is_sure
            && ours.iter().all(|record| is_nobody(record))
            && ours.len() + theirs.len() <= MAX_HALVES
            && !self.are_apart(from, into)
    }

    /// Whether a person has said that two are two.
    fn are_apart(&self, one: &CustomerId, other: &CustomerId) -> bool {
        let theirs = self.parts(other);
        self.parts(one).into_iter().any(|record| theirs.iter().any(|other| apart(record, other)))
    }

    fn point(&mut self, identity: &Identity, tie: Tie, to: &CustomerId, at: Timestamp) {
        let Some(claim) = tie.claim.clone() else { return };
        let is_public = claim.others.len() >= MOST_PEOPLE && !claim.others.contains(to);
        let to = if is_public { record_of("public", &tie) } else { to.clone() };
        if tie.to.as_ref().is_some_and(|was| was.customer == to) {
            return;
        }
        let pointer = Pointer { customer: to.clone(), at };
        let was = self.pointed.get(&tie.hash).map_or_else(|| tie.to.clone(), |pointed| pointed.was.clone());
        let pointed = Pointed { address: tie.hash.clone(), to: pointer.clone(), was };
        self.pointed.insert(tie.hash.clone(), pointed);
        let mut others = claim.others;
        others.insert(to);
        let claim = Some(KnownAddress { customer: claim.customer, others });
        let first = self.first_hash(identity);
        self.ties.insert(first, Tie { claim, to: Some(pointer), ..tie });
    }
}

/// Whether nothing says of a record who it is.
fn is_nobody(record: &Customer) -> bool {
    record.leads == 0 && record.owner.is_none() && !record.keys.iter().any(|(kind, _)| kind.is_strong())
}

/// The record of whoever uses a browser, while nobody knows who that is or because too many do: the same for everybody who
/// looks, and another one after an erasure.
fn record_of(what: &str, tie: &Tie) -> CustomerId {
    let erased = tie.erased.map_or_else(String::new, |at| at.millis().to_string());
    CustomerId::derived(&[what, tie.hash.as_str(), &erased])
}
