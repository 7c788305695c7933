//! Recognition: who joins whom, and who does not.

mod again;
mod parted;

use super::*;
use crate::id::{CustomerId, EventId, LeadId};
use crate::lead::{Envelope, Origin, read};
use crate::policy::{Reading, Settings};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SHARED_AFTER: usize = 3;

/// A store small enough to see through: addresses and customers, changed as a commit would.
#[derive(Default)]
struct Town {
    addresses: BTreeMap<AddressHash, KnownAddress>,
    customers: BTreeMap<CustomerId, Customer>,
    posted: usize,
}

/// A lead with what was read for it, and who it is.
struct Read {
    identities: Vec<Identity>,
    known: Known,
    who: Recognition,
}

fn keys() -> HashKeys {
    HashKeys::new(HashKey::new("1", b"test"))
}

fn identity(kind: IdentityKind, value: &str) -> Identity {
    Identity::new(kind, value.to_owned())
}

fn email(value: &str) -> Identity {
    identity(IdentityKind::Email, value)
}

fn phone(value: &str) -> Identity {
    identity(IdentityKind::Phone, value)
}

impl Town {
    fn known(&self, identities: &[Identity]) -> Known {
        let addresses = identities.iter().map(|identity| {
            let hash = keys().hashes(identity).remove(0);
            let claim = self.addresses.get(&hash).cloned();
            (hash, claim)
        });
        Known { addresses: addresses.collect(), customers: self.customers.clone(), ..Known::default() }
    }

    fn lead(&mut self) -> LeadId {
        self.posted += 1;
        LeadId::derived(&[&self.posted.to_string()])
    }

    fn post(&mut self, identities: &[Identity]) -> Recognition {
        let lead = self.lead();
        self.take(&lead, identities)
    }

    fn take(&mut self, lead: &LeadId, identities: &[Identity]) -> Recognition {
        for _ in 0..20 {
            let read = self.read(lead, identities);
            let who = read.who.clone();
            if self.claim(&read) && self.commit(read) {
                return who;
            }
        }
        panic!("never done");
    }

    /// Two functions at once: both read, then claim, then commit; whoever loses begins again.
    fn race(&mut self, one: &[Identity], other: &[Identity]) {
        let (first, second) = (self.lead(), self.lead());
        let (one_read, other_read) = (self.read(&first, one), self.read(&second, other));
        let (won, also) = (self.claim(&one_read), self.claim(&other_read));
        if !(also && self.commit(other_read)) {
            self.take(&second, other);
        }
        if !(won && self.commit(one_read)) {
            self.take(&first, one);
        }
    }

    fn read(&self, lead: &LeadId, identities: &[Identity]) -> Read {
        let known = self.known(identities);
        let who = recognise(lead, identities, &known, SHARED_AFTER);
        assert!(again::said(&who, &known).is_of(lead, identities, false), "made again otherwise: {who:?}");
        Read { identities: identities.to_vec(), known, who }
    }

    /// Whether all addresses are theirs now.
    fn claim(&mut self, read: &Read) -> bool {
        for (hash, holder) in &read.who.lost {
            if self.addresses.get(hash).is_some_and(|claim| claim.customer == *holder) {
                self.addresses.remove(hash);
            }
        }
        read.who.claims.iter().all(|(_, hash)| {
            let customer = read.who.home.clone();
            let claim = KnownAddress { customer: customer.clone(), others: BTreeSet::new() };
            self.addresses.entry(hash.clone()).or_insert(claim).customer == customer
        })
    }

    /// Whether every record it changes was as it was read.
    fn commit(&mut self, read: Read) -> bool {
        let Read { identities, known, who } = read;
        let created = Timestamp(self.posted as i64);
        let mut changed: BTreeMap<CustomerId, Customer> = BTreeMap::new();
        let mut get = |id: &CustomerId, change: &dyn Fn(&mut Customer)| {
            let stored = || known.customers.get(id).cloned();
            change(
                changed
                    .entry(id.clone())
                    .or_insert_with(|| stored().unwrap_or_else(|| Customer::new(id.clone(), created))),
            );
        };
        get(&who.home, &|record| record.keys.extend(who.claims.iter().cloned()));
        get(&who.customer, &|_| {});
        for merge in &who.merges {
            get(&merge.from, &|from| from.into = Some(merge.into.clone()));
            get(&merge.into, &|into| into.halves.extend([merge.from.clone()]));
        }
        for (identity, (hash, claim)) in identities.iter().zip(&known.addresses) {
            let key = (identity.kind, hash.clone());
            let is_lost = who.lost.iter().any(|(lost, _)| lost == hash);
            if let Some(claim) = claim.as_ref().filter(|_| who.keys.contains(&key) && !is_lost) {
                get(&claim.customer, &|record| record.keys.extend([key.clone()]));
            }
        }
        let stored = |id: &CustomerId| self.customers.get(id).map_or(0, |record| record.version);
        if !changed.values().all(|record| stored(&record.id) == record.version) {
            return false;
        }
        for (id, mut record) in changed {
            record.version += 1;
            self.customers.insert(id, record);
        }
        for hash in &who.seen_with {
            self.addresses.get_mut(hash).unwrap().others.insert(who.customer.clone());
        }
        true
    }

    fn live(&self) -> usize {
        self.customers.values().filter(|customer| customer.into.is_none()).count()
    }

    fn root(&self, identity: Identity) -> CustomerId {
        let known = self.known(&[identity]);
        known.root(&known.addresses[0].1.as_ref().unwrap().customer)
    }
}

#[test]
fn the_same_person_by_email_by_phone_and_by_both_is_one_customer_in_any_order() {
    let posts = [vec![email("a")], vec![phone("1")], vec![email("a"), phone("1")]];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut town = Town::default();
        for at in order {
            town.post(&posts[at]);
        }
        assert_eq!(town.live(), 1, "{order:?}");
        assert_eq!(town.root(email("a")), town.root(phone("1")));
    }
}

#[test]
fn customers_with_different_emails_do_not_join_over_a_phone() {
    let mut town = Town::default();
    town.post(&[email("a"), phone("1")]);
    let who = town.post(&[email("b"), phone("1")]);
    assert_eq!(town.live(), 2);
    assert_eq!(who.suggestions.len(), 1);
    assert_eq!(who.suggestions[0].reason, SuggestionReason::HoldsAnother);
    assert_ne!(town.root(email("a")), town.root(email("b")));
}

#[test]
fn a_lead_between_two_who_cannot_join_goes_to_the_better_evidence() {
    let mut town = Town::default();
    let first = town.post(&[email("a"), phone("1")]);
    town.post(&[email("b"), phone("2")]);
    let who = town.post(&[email("a"), phone("2")]);
    assert_eq!(who.customer, first.customer);
    assert!(who.merges.is_empty() && who.suggestions.len() == 1);
}

#[test]
fn a_switchboard_stops_identifying_anybody() {
    let mut town = Town::default();
    for name in ["a", "b", "c", "d", "e"] {
        town.post(&[email(name), phone("switchboard")]);
    }
    let who = town.post(&[phone("switchboard")]);
    assert_eq!(who.found[0].passed_over, Some(SuggestionReason::SharedAddress));
    assert!(town.customers[&who.customer].keys.is_empty());
}

#[test]
fn what_is_remembered_of_a_switchboard_stops_growing() {
    let mut town = Town::default();
    for n in 0..50 {
        town.post(&[email(&n.to_string()), phone("switchboard")]);
    }
    let hash = keys().hashes(&phone("switchboard")).remove(0);
    assert_eq!(town.addresses[&hash].others.len(), SHARED_AFTER + 1);
    let who = town.post(&[email("one more"), phone("switchboard")]);
    assert_eq!(who.found[0].passed_over, Some(SuggestionReason::SharedAddress));
    assert!(who.seen_with.is_empty(), "and costs no write");
}

#[test]
fn an_address_claimed_without_its_customer_leads_to_that_customer() {
    let mut town = Town::default();
    let ghost = CustomerId::derived(&["ghost"]);
    let hash = keys().hashes(&email("a")).remove(0);
    town.addresses.insert(hash, KnownAddress { customer: ghost.clone(), others: BTreeSet::new() });
    let who = town.post(&[email("a"), phone("1")]);
    assert_eq!(who.customer, ghost);
    assert_eq!(town.root(phone("1")), ghost);
}

#[test]
fn who_has_an_owner_stays_then_who_is_older() {
    let mut town = Town::default();
    let by_email = town.post(&[email("a")]);
    let by_phone = town.post(&[phone("1")]);
    let mut owned = Town { posted: town.posted, ..Town::default() };
    owned.addresses = town.addresses.clone();
    owned.customers = town.customers.clone();
    let owner = Ownership { rep: "li".into(), team: None, since: Timestamp(1) };
    owned.customers.get_mut(&by_phone.customer).unwrap().owner = Some(owner);
    assert_eq!(town.post(&[email("a"), phone("1")]).customer, by_email.customer);
    assert_eq!(owned.post(&[email("a"), phone("1")]).customer, by_phone.customer);
}

#[test]
fn who_was_taken_apart_stays_apart() {
    let mut town = Town::default();
    let one = town.post(&[email("a")]).customer;
    let other = town.post(&[phone("1")]).customer;
    town.customers.get_mut(&one).unwrap().apart.insert(other.clone(), None);
    let who = town.post(&[email("a"), phone("1")]);
    assert!(who.merges.is_empty());
    assert_eq!(who.suggestions[0].reason, SuggestionReason::KeptApart);
    assert_eq!(town.live(), 2);
}

#[test]
fn while_a_key_is_rotated_claims_under_the_previous_are_found() {
    let old = HashKeys::new(HashKey::new("1", b"old"));
    let new = HashKeys::new(HashKey::new("2", b"new")).with_old(HashKey::new("1", b"old"));
    assert!(new.hashes(&email("a")).contains(&old.hashes(&email("a"))[0]));
}

#[test]
fn an_unverified_post_fills_blanks_and_overwrites_nothing() {
    let facts = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let origin = Origin { kind: "form".into(), name: "contact".into() };
        let envelope = Envelope { fields, ..Envelope::default() };
        read(&origin, &envelope, &Reading::default(), &Settings::default())
    };
    let mut customer = Customer::new(CustomerId::derived(&["c"]), Timestamp(0));
    let lead = LeadId::derived(&["l"]);
    customer.absorb(
        &lead,
        "f",
        "1",
        Timestamp(1),
        &facts(&[("email", "a@example.com"), ("name", "Ada")]),
        1000,
    );
    customer.absorb(&lead, "f", "2", Timestamp(2), &facts(&[("name", "Mallory"), ("company", "Acme")]), 1000);
    assert_eq!(customer.facts["full_name"].value.reveal(), "Ada");
    assert_eq!(customer.facts["company"].value.reveal(), "Acme");
    assert_eq!(customer.leads, 2);
}

#[test]
fn the_same_within_the_window_is_a_repeat_and_later_is_not() {
    let mut customer = Customer::new(CustomerId::derived(&["c"]), Timestamp(0));
    let lead = LeadId::derived(&["l"]);
    let nothing = read(
        &Origin { kind: "form".into(), name: "f".into() },
        &Envelope::default(),
        &Reading::default(),
        &Settings::default(),
    );
    customer.absorb(&lead, "f", "same", Timestamp(1_000), &nothing, 600_000);
    assert_eq!(customer.repeats("same", Timestamp(601_000), 600_000), Some(&lead));
    assert_eq!(customer.repeats("same", Timestamp(601_001), 600_000), None);
    assert_eq!(customer.repeats("other", Timestamp(1_001), 600_000), None);
}

#[test]
fn a_lead_worked_on_late_makes_nobody_forget_those_after_it() {
    let mut customer = Customer::new(CustomerId::derived(&["c"]), Timestamp(0));
    let nothing = read(
        &Origin { kind: "form".into(), name: "f".into() },
        &Envelope::default(),
        &Reading::default(),
        &Settings::default(),
    );
    let (day, window) = (86_400_000, 600_000);
    let mut take = |what: &str, at: i64| {
        let lead = LeadId::derived(&[what, &at.to_string()]);
        customer.absorb(&lead, "f", what, Timestamp(at), &nothing, window);
        (lead, customer.clone())
    };
    let (new, _) = take("new", 2 * day);
    let (_, after) = take("old", day);
    assert_eq!(after.repeats("new", Timestamp(2 * day + 1), window), Some(&new));
    assert_eq!(after.recent.len(), 1, "what is past the window is not remembered");
    let (_, after) = take("new", 2 * day - 5);
    assert_eq!(after.repeats("new", Timestamp(2 * day + window), window), Some(&new));
    for n in 0..9 {
        take(&n.to_string(), 2 * day - 9 + n);
    }
    assert_eq!(take("last", 2 * day - 20).1.repeats("new", Timestamp(2 * day), window), Some(&new));
}

#[test]
fn ids_of_two_systems_do_not_contradict_each_other_and_of_one_they_do() {
    let id = |space: &str, value: &str| Identity::within(IdentityKind::External, space, value.to_owned());
    let mut town = Town::default();
    town.post(&[id("crm", "1"), email("a")]);
    town.post(&[id("shop", "9"), phone("1")]);
    town.post(&[email("a"), phone("1")]);
    assert_eq!(town.live(), 1);
    assert_eq!(town.root(id("crm", "1")), town.root(id("shop", "9")));

    let mut town = Town::default();
    town.post(&[id("crm", "1"), email("a")]);
    town.post(&[id("crm", "2"), phone("1")]);
    let who = town.post(&[email("a"), phone("1")]);
    assert_eq!((town.live(), who.suggestions[0].reason), (2, SuggestionReason::HoldsAnother));
}

#[test]
fn a_weak_identity_leads_to_its_customer_and_joins_nobody() {
    let wechat = |value: &str| identity(IdentityKind::WechatId, value);
    let mut town = Town::default();
    let first = town.post(&[wechat("mia_berg")]).customer;
    assert_eq!(town.post(&[wechat("mia_berg")]).customer, first);
    // Somebody with a mailbox comes with the number of one who has none: it leads there.
    assert_eq!(town.post(&[email("a"), wechat("mia_berg")]).customer, first);
    // Another mailbox keeps to itself, and two customers do not join over a number.
    town.post(&[email("b")]);
    let who = town.post(&[email("b"), wechat("mia_berg")]);
    assert_ne!(who.customer, first);
    assert_eq!(town.live(), 2);
    let phone_only = town.post(&[phone("1")]).customer;
    let who = town.post(&[phone("1"), wechat("mia_berg")]);
    assert_eq!(who.customer, phone_only);
    assert_eq!(who.suggestions[0].reason, SuggestionReason::Weak);
    // A changed number contradicts nothing.
    town.post(&[email("b"), wechat("bert")]);
    let who = town.post(&[email("b"), wechat("bert_2")]);
    assert!(who.suggestions.is_empty());
}

#[test]
fn records_read_on_either_side_of_a_join_are_seen_not_to_fit() {
    let mut town = Town::default();
    let one = town.post(&[email("a")]).customer;
    let other = town.post(&[phone("1")]).customer;
    let before = town.known(&[email("a")]);
    town.post(&[email("a"), phone("1")]);
    let after = town.known(&[email("a")]);
    assert!(before.torn().is_empty() && after.torn().is_empty());
    for (first, second) in [(&one, &other), (&other, &one)] {
        let read = [(&before, first), (&after, second)];
        let customers = read.map(|(known, id)| (id.clone(), known.customers[id].clone())).into();
        let known = Known { customers, ..Known::default() };
        assert_eq!(known.torn(), BTreeSet::from([one.clone(), other.clone()]));
    }
}

proptest! {
    /// What a source says that is believed stands, and of several such the newest, in whatever order they come and however often;
    /// what anybody says only fills blanks. (I13)
    #[test]
    fn what_is_believed_and_newest_stands(said in prop::collection::vec((any::<bool>(), 0i64..4, 0u8..8), 1..10), order in any::<u64>()) {
        let ids: Vec<EventId> = (0u8..8).map(|n| EventId::derived(&[&n.to_string()])).collect();
        let mut record = Customer::new(CustomerId::derived(&["c"]), Timestamp(0));
        let mut came = said.clone();
        came.rotate_left(usize::try_from(order).unwrap_or_default() % said.len());
        if order % 2 == 0 {
            came.reverse();
        }
        let value = |at: i64, n: u8| format!("{at} {n}");
        for (believed, at, n) in came.iter().chain(&said) {
            let tie = believed.then(|| ids[usize::from(*n)].tie());
            record.note("plan", value(*at, *n), By { source: "s", at: Timestamp(*at), tie });
        }
        let newest = said.iter().filter(|(believed, ..)| *believed).max_by_key(|(_, at, n)| (*at, &ids[usize::from(*n)]));
        let (_, at, n) = newest.unwrap_or(&came[0]);
        prop_assert_eq!(record.facts["plan"].value.reveal(), &value(*at, *n));
    }

    /// Whatever is posted in whatever order, two of them at one instant: an address leads to one live customer, nobody points in
    /// a circle, no live customer holds two values of one kind, and merging never loses a record.
    #[test]
    fn recognition_keeps_its_promises(posts in prop::collection::vec((0u8..6, 0u8..6, 0u8..5, any::<bool>()), 1..40)) {
        let mut town = Town::default();
        let id = |value: u8| Identity::within(IdentityKind::External, "crm", value.to_string());
        let said = |(e, p, which, _): (u8, u8, u8, bool)| match which {
            0 => vec![email(&e.to_string())],
            1 => vec![phone(&p.to_string())],
            2 => vec![id(p), email(&e.to_string())],
            3 => vec![id(e), phone(&p.to_string())],
            _ => vec![email(&e.to_string()), phone(&p.to_string())],
        };
        let mut rest: &[_] = &posts;
        while let [one, more @ ..] = rest {
            let before: Vec<_> = town.customers.keys().cloned().collect();
            rest = match more {
                [other, others @ ..] if one.3 => {
                    town.race(&said(*one), &said(*other));
                    others
                }
                _ => {
                    let who = town.post(&said(*one));
                    prop_assert!(town.customers[&who.customer].into.is_none());
                    more
                }
            };
            prop_assert!(before.iter().all(|id| town.customers.contains_key(id)));
            let known = town.known(&said(*one));
            prop_assert!(known.torn().is_empty());
            for customer in town.customers.values() {
                let root = known.root(&customer.id);
                prop_assert!(town.customers[&root].into.is_none());
                let whole = known.whole(&town.customers[&root]);
                let mut held: BTreeMap<IdentityKind, BTreeSet<&AddressHash>> = BTreeMap::new();
                for (kind, hash) in whole.parts().flat_map(|part| &part.keys) {
                    held.entry(*kind).or_default().insert(hash);
                }
                prop_assert!(held.values().all(|hashes| hashes.len() == 1), "{held:?}");
            }
        }
        for (hash, claim) in &town.addresses {
            let known = town.known(&[]);
            let holds = known.held(&known.root(&claim.customer)).iter().any(|(_, held)| held == hash);
            prop_assert!(holds, "a record names what is claimed for it");
        }
    }
}
