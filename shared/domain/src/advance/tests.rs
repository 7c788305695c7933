//! Whose events are, through the door that they come in by: in any order, more than once, two at a time.

mod brought;
mod journeys;
mod kept;
mod published;

use super::*;
use crate::customer::{HashKey, KnownAddress};
use crate::event::Led;
use crate::id::EventId;
use crate::pii::Pii;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn keys() -> HashKeys {
    HashKeys::new(HashKey::new("1", b"test"))
}

fn decide(happened: &[Happened], loaded: Loaded) -> Taken {
    let incoming: Vec<Incoming> = happened.iter().cloned().map(Incoming::Happened).collect();
    let (keys, policies, older) = (keys(), PolicySet::default(), BTreeMap::new());
    let now = Timestamp(10_000);
    advance(&incoming, loaded, With { keys: &keys, policies: &policies, older: &older, now })
}

/// What a tracking library says: who, by which browser, and with `identify` an e-mail address.
#[derive(Clone, Debug)]
struct Call {
    user: Option<u8>,
    browser: Option<u8>,
    email: Option<u8>,
    /// `alias`: another browser that is the same person's.
    other: Option<u8>,
    at: i64,
    n: usize,
}

impl Call {
    fn happened(&self) -> Happened {
        let id = |kind: &str, n: u8| Pii::new(format!("{kind}{n}"));
        let kind = match (self.user, self.email, self.other) {
            (Some(_), _, Some(_)) => EventKind::Alias,
            (_, Some(_), _) => EventKind::Identify,
            _ => EventKind::Track,
        };
        let mut traits = Map::new();
        if let (EventKind::Identify, Some(email)) = (kind, self.email) {
            traits.insert("email".to_owned(), Value::String(format!("e{email}@example.org")));
        }
        Happened {
            who: Who::Ids(Ids {
                user: self.user.map(|n| id("u", n)),
                anonymous: self.browser.map(|n| id("a", n)),
                previous: self.other.filter(|_| kind == EventKind::Alias).map(|n| id("a", n)),
            }),
            event: Event {
                id: EventId::derived(&[&self.n.to_string()]),
                kind,
                name: "Thing Done".to_owned(),
                source: "site".to_owned(),
                at: Timestamp(self.at),
                received: Timestamp(self.at),
                properties: Pii::default(),
                traits: Pii::new(traits),
                context: Pii::default(),
            },
        }
    }
}

/// A store small enough to see through.
#[derive(Default)]
struct Town {
    ties: BTreeMap<AddressHash, Tie>,
    customers: BTreeMap<CustomerId, Customer>,
    entries: BTreeMap<EventId, (CustomerId, Entry)>,
}

impl Town {
    fn load(&self) -> Loaded {
        Loaded {
            ties: self.ties.clone(),
            customers: self.customers.clone(),
            entries: self.entries.clone(),
            ..Loaded::default()
        }
    }

    fn decide(&self, happened: &[Happened], loaded: Loaded) -> Taken {
        decide(happened, loaded)
    }

    /// Whether all addresses are theirs now.
    fn claim(&mut self, taken: &Taken) -> bool {
        for (hash, holder) in &taken.released {
            let tie = self.ties.get_mut(hash).unwrap();
            tie.claim = tie.claim.take().filter(|claim| claim.customer != *holder);
        }
        taken.claims.iter().all(|Claim { address: hash, customer, lost, .. }| {
            let tie = self.ties.entry(hash.clone()).or_insert_with(|| Tie {
                hash: hash.clone(),
                claim: None,
                to: None,
                erased: None,
            });
            let claim = tie
                .claim
                .get_or_insert_with(|| KnownAddress { customer: customer.clone(), others: BTreeSet::new() });
            if Some(&claim.customer) == lost.as_ref() {
                claim.customer.clone_from(customer);
            }
            claim.customer == *customer
        })
    }

    /// Whether everything was as it was read.
    fn commit(&mut self, taken: Taken) -> bool {
        let stored = |id: &CustomerId| self.customers.get(id).map_or(0, |record| record.version);
        let pointer = |hash: &AddressHash| self.ties.get(hash).and_then(|tie| tie.to.clone());
        let holds = taken.customers.iter().all(|record| stored(&record.id) == record.version)
            && taken.pointed.iter().all(|one| pointer(&one.address) == one.was)
            && taken.entries.iter().all(|(_, entry)| !self.entries.contains_key(&entry.event.id));
        if !holds {
            return false;
        }
        for mut record in taken.customers {
            record.version += 1;
            self.customers.insert(record.id.clone(), record);
        }
        for pointed in taken.pointed {
            let tie = self.ties.get_mut(&pointed.address).unwrap();
            tie.claim.as_mut().unwrap().others.insert(pointed.to.customer.clone());
            tie.to = Some(pointed.to);
        }
        for (hash, customer) in taken.seen_with {
            self.ties.get_mut(&hash).unwrap().claim.as_mut().unwrap().others.insert(customer);
        }
        for (home, entry) in taken.entries {
            assert!(self.customers.contains_key(&home), "an entry of nobody");
            self.entries.insert(entry.event.id.clone(), (home, entry));
        }
        true
    }

    fn take(&mut self, happened: &[Happened]) {
        for attempt in 0..20 {
            let taken = self.decide(happened, self.load());
            if (attempt > 5 || !taken.unsettled) && self.claim(&taken) && self.commit(taken) {
                return;
            }
        }
        panic!("never done");
    }

    /// Two functions at once: both read, then claim and commit in turns; whoever loses begins again.
    fn race(&mut self, one: &[Happened], other: &[Happened]) {
        let (first, second) = (self.decide(one, self.load()), self.decide(other, self.load()));
        let (won, also) = (self.claim(&first), self.claim(&second));
        let (won, also) = (won && !first.unsettled, also && !second.unsettled);
        if !(also && self.commit(second)) {
            self.take(other);
        }
        if !(won && self.commit(first)) {
            self.take(one);
        }
    }

    fn root(&self, id: &CustomerId) -> CustomerId {
        let mut at = id.clone();
        while let Some(into) = self.customers.get(&at).and_then(|record| record.into.clone()) {
            at = into;
        }
        at
    }

    fn root_of(&self, kind: crate::customer::IdentityKind, value: String) -> Option<CustomerId> {
        let tie = self.ties.get(&keys().hash(&Identity::new(kind, value)))?;
        Some(self.root(&tie.claim.as_ref()?.customer))
    }

    fn user(&self, n: u8) -> Option<CustomerId> {
        self.root_of(crate::customer::IdentityKind::External, format!("u{n}"))
    }
}

fn call() -> impl Strategy<Value = Call> {
    let id = |n: u8| proptest::option::weighted(0.6, 0..n);
    let rare = |n: u8| proptest::option::weighted(0.3, 0..n);
    (id(3), id(3), rare(3), proptest::option::weighted(0.1, 0u8..3), 0i64..1000).prop_map(
        |(user, browser, email, other, at)| Call {
            browser: browser.or_else(|| user.is_none().then_some(0)),
            user,
            email,
            other,
            at,
            n: 0,
        },
    )
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    proptest::collection::vec(call(), 1..14).prop_map(|mut calls| {
        calls.iter_mut().enumerate().for_each(|(n, call)| call.n = n);
        calls
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever a browser is used for, by whom and in which order it is heard of: two user ids are two people, each event is
    /// one entry of one person, and repeats of everything change nothing.
    #[test]
    fn a_shared_browser_never_joins_two_known_people(calls in calls(), pairs in proptest::collection::vec(any::<bool>(), 14)) {
        let mut town = Town::default();
        let mut rest: &[Call] = &calls;
        for at_once in pairs {
            match rest {
                [one, other, more @ ..] if at_once => {
                    town.race(&[one.happened()], &[other.happened()]);
                    rest = more;
                }
                [one, more @ ..] => {
                    town.take(&[one.happened()]);
                    rest = more;
                }
                [] => break,
            }
        }
        let users: Vec<CustomerId> = (0..3).filter_map(|n| town.user(n)).collect();
        let distinct: BTreeSet<&CustomerId> = users.iter().collect();
        prop_assert_eq!(users.len(), distinct.len());
        prop_assert_eq!(town.entries.len(), calls.len());
        for call in &calls {
            let (home, _) = &town.entries[&call.happened().event.id];
            if let Some(user) = call.user {
                prop_assert_eq!(Some(town.root(home)), town.user(user), "an event of somebody known is theirs");
            }
        }
        for (id, record) in &town.customers {
            let is_known = |other: &CustomerId| town.customers[other].maybe.contains_key(id);
            prop_assert!(record.maybe.keys().all(is_known), "a suggestion stands on both records");
        }
        let (customers, ties) = (town.customers.clone(), town.ties.clone());
        for call in calls.iter().rev() {
            town.take(&[call.happened()]);
        }
        prop_assert_eq!(town.entries.len(), calls.len());
        prop_assert_eq!((&town.customers, &town.ties), (&customers, &ties));
    }

    /// What a browser did before anybody was known is theirs who is known first, and nobody's else.
    #[test]
    fn earlier_events_of_a_browser_belong_to_whoever_is_known_first(before in 1usize..5, together in any::<bool>(), late in calls()) {
        let mut town = Town::default();
        let event = |n: usize, user: Option<u8>| Call { user, browser: Some(7), email: None, other: None, at: n as i64, n: 100 + n }.happened();
        let early: Vec<Happened> = (0..before).map(|n| event(n, None)).collect();
        let known = event(before, Some(0));
        if together {
            town.take(&[early.clone(), vec![known]].concat());
        } else {
            early.iter().for_each(|one| town.take(std::slice::from_ref(one)));
            town.take(&[known]);
        }
        for call in &late {
            town.take(&[call.happened()]);
        }
        for one in &early {
            let (home, _) = &town.entries[&one.event.id];
            prop_assert_eq!(Some(town.root(home)), town.user(0));
        }
    }
}

#[test]
fn a_browser_points_on_to_whoever_was_known_last_and_old_events_stay_where_they_are() {
    let mut town = Town::default();
    let call = |n: usize, user: Option<u8>| {
        Call { user, browser: Some(0), email: None, other: None, at: n as i64, n }.happened()
    };
    for (n, user) in [(0, None), (1, Some(1)), (2, None), (3, Some(2)), (4, None), (5, Some(1)), (6, None)] {
        town.take(&[call(n, user)]);
    }
    let of = |n: usize| town.root(&town.entries[&call(n, None).event.id].0);
    let (one, two) = (town.user(1).unwrap(), town.user(2).unwrap());
    assert_eq!(
        (0..7).map(of).collect::<Vec<_>>(),
        [&one, &one, &one, &two, &two, &one, &one].map(Clone::clone)
    );
    let entries = town.entries.clone();
    for n in 0..7 {
        town.take(&[call(n, None)]);
    }
    assert_eq!(town.entries, entries);
}

#[test]
fn a_browser_that_a_crowd_uses_is_nobodys() {
    let mut town = Town::default();
    let call = |n: usize, user: Option<u8>| {
        Call { user, browser: Some(0), email: None, other: None, at: n as i64, n }.happened()
    };
    for n in 0..60usize {
        town.take(&[call(n, Some(n as u8))]);
    }
    town.take(&[call(99, None)]);
    let home = town.entries[&call(99, None).event.id].0.clone();
    assert!((0..60).all(|n| town.user(n) != Some(town.root(&home))));
    assert_eq!(town.customers[&home].keys.len(), 0);
}

#[test]
fn what_happened_before_an_erasure_is_dropped_and_what_happened_since_is_somebody_new() {
    let call = |n: usize| {
        Call { user: Some(0), browser: Some(0), email: None, other: None, at: 10 + n as i64, n }.happened()
    };
    let mut loaded = Loaded::default();
    let user = Identity::within(crate::customer::IdentityKind::External, "", "u0".to_owned());
    let hash = keys().hash(&user);
    let gone = CustomerId::derived(&["gone"]);
    let stray = Entry::of(&call(0).who, &call(0).event, 1, Led::default());
    loaded.ties.insert(hash.clone(), Tie { hash, claim: None, to: None, erased: Some(Timestamp(15)) });
    loaded.erased.insert(gone.clone(), Timestamp(15));
    loaded.entries.insert(call(0).event.id, (gone.clone(), stray));
    let taken = decide(&[call(0), call(5), call(6)], loaded);
    assert_eq!((taken.dropped, taken.entries.len()), (2, 1));
    assert_eq!(taken.stray, [(gone.clone(), call(0).event.id)], "what was put just before goes again");
    assert_ne!(taken.entries[0].0, gone);

    let own = Happened { who: Who::Customer(gone.clone()), ..call(7) };
    let mut loaded = Loaded::default();
    loaded.erased.insert(gone, Timestamp(15));
    assert_eq!(decide(&[own], loaded).dropped, 1);
}

#[test]
fn traits_fill_blanks_and_only_a_trusted_source_replaces_what_is_known_by_something_newer() {
    let mut policies = PolicySet::default();
    let server = crate::policy::Source { name: "server".to_owned(), trusted: true, ..Default::default() };
    policies.sources.insert("server".to_owned(), server);
    let mut record = Customer::new(CustomerId::derived(&["x"]), Timestamp(0));
    let mut say = |source: &str, at: i64, traits: Value| {
        let mut event =
            Call { user: Some(0), browser: None, email: Some(0), other: None, at, n: 0 }.happened().event;
        event.source = source.to_owned();
        event.traits = Pii::new(traits.as_object().cloned().unwrap_or_default());
        Traits::of(&event, &policies).apply(&mut record);
        let text = |name: &str| record.facts.get(name).map(|fact| fact.value.reveal().clone());
        (text("first_name"), text("plan"), text("city"))
    };
    let some = |text: &str| Some(text.to_owned());
    let said = say("site", 10, json!({"firstName": "Ada", "plan": "free", "address": {"city": "London"}}));
    assert_eq!(said, (some("Ada"), some("free"), some("London")));
    let said = say("site", 20, json!({"firstName": "Bea", "plan": "pro"}));
    assert_eq!(said, (some("Ada"), some("free"), some("London")), "a page may say anything");
    assert_eq!(say("server", 30, json!({"plan": "pro"})).1, some("pro"));
    assert_eq!(say("server", 25, json!({"plan": "basic"})).1, some("pro"), "late");
    assert_eq!(say("site", 40, json!({"plan": "gold"})).1, some("pro"));
}
