//! Who was taken for one with another and is not: each has what its own leads brought, and whom they were given to.

use super::*;
use crate::clock::PastEnd;
use crate::lead::{Assignment, Lead, LeadState, Progress};
use crate::policy::PolicySet;
use crate::routing::{Case, Outcome, Receipt, Saw, change, import, own};

fn id(space: &str, value: &str) -> Identity {
    Identity::within(IdentityKind::External, space, value.to_owned())
}

fn decided() -> Decided {
    Decided { by: "boss".to_owned(), at: Timestamp(1_000) }
}

impl Town {
    fn store(&mut self, records: impl IntoIterator<Item = Customer>) {
        for mut record in records {
            record.version += 1;
            self.customers.insert(record.id.clone(), record);
        }
    }

    fn say(&mut self, change: Change) {
        match change {
            Change::Records(records) => self.store([records.0, records.1]),
            other => panic!("{other:?}"),
        }
    }

    fn part(&mut self, half: &CustomerId) {
        let records = take_apart(&self.known(&[]), half, &BTreeMap::new(), decided());
        self.store(records);
    }
}

/// A town with somebody known by e-mail and somebody known by phone, who are one by a lead with both.
fn joined() -> (Town, CustomerId, CustomerId) {
    let mut town = Town::default();
    let [one, other] = [email("a"), phone("1")].map(|identity| town.post(&[identity]).customer);
    assert_eq!(town.post(&[email("a"), phone("1")]).customer, one);
    (town, one, other)
}

#[test]
fn what_a_lead_brings_is_the_halfs_by_whose_address_it_came() {
    let (mut town, one, other) = joined();
    let who = town.post(&[id("crm", "7"), phone("1")]);
    assert_eq!((&who.customer, &who.home), (&one, &other));
    assert_eq!(town.post(&[id("crm", "7"), id("shop", "9")]).home, other, "and so is what comes by that");
    town.part(&other);
    for brought in [id("crm", "7"), id("shop", "9")] {
        assert_eq!(town.root(brought.clone()), other);
        assert_eq!(town.post(&[brought]).customer, other);
    }
    assert_eq!(town.live(), 2);
}

#[test]
fn of_two_ids_that_two_halves_bring_at_one_instant_the_person_holds_one() {
    let (mut town, one, _) = joined();
    town.race(&[id("crm", "1"), email("a")], &[id("crm", "2"), phone("1")]);
    let held = town.known(&[]).held(&one);
    assert_eq!(held.iter().filter(|(kind, _)| *kind == IdentityKind::External).count(), 1, "{held:?}");
}

#[test]
fn whom_a_person_is_not_is_known_whichever_of_the_records_it_was_said_of() {
    let mut town = Town::default();
    let [one, half, third] =
        [email("a"), phone("1"), email("c")].map(|identity| town.post(&[identity]).customer);
    town.say(keep_apart(&town.known(&[]), &half, &third, decided()));
    town.say(join(&town.known(&[]), &one, &half, decided()));
    let is_not = |town: &Town| -> BTreeSet<CustomerId> {
        let known = town.known(&[]);
        known.whole(&known.customers[&one]).apart().into_iter().cloned().collect()
    };
    assert_eq!(is_not(&town), BTreeSet::from([third.clone()]));
    // Somebody thinks better of it: it was said of another record than those that are joined now, and stands there still.
    town.say(join(&town.known(&[]), &one, &third, decided()));
    assert!(town.customers[&half].apart.contains_key(&third));
    assert_eq!(is_not(&town), BTreeSet::new());
}

/// Whether it is noted on both that they may be one.
fn suggest(town: &mut Town, one: &CustomerId, other: &CustomerId) -> bool {
    let known = town.known(&[]);
    let notes = note_suggestions(&known, one, std::iter::once(other));
    for (on, other) in &notes {
        let record = town.customers.get_mut(on).unwrap();
        record.maybe.insert(other.clone(), Raised::Lead(LeadId::derived(&["any"])));
    }
    !notes.is_empty()
}

#[test]
fn what_was_decided_takes_no_room_from_what_is_suggested_next() {
    let mut town = Town::default();
    let desk = town.post(&[email("desk")]).customer;
    let others: Vec<CustomerId> = (0..20).map(|n| town.post(&[email(&n.to_string())]).customer).collect();
    let noted = others.iter().filter(|other| suggest(&mut town, &desk, other)).count();
    assert_eq!(noted, 16, "more is a switchboard");
    town.say(keep_apart(&town.known(&[]), &desk, &others[0], decided()));
    town.say(join(&town.known(&[]), &desk, &others[1], decided()));
    assert!(suggest(&mut town, &desk, &others[16]) && suggest(&mut town, &desk, &others[17]));
    assert!(!suggest(&mut town, &desk, &others[18]));
    assert_eq!(open_suggestions(&town.known(&[]), &desk).len(), 16);
    // Whoever is taken out again was decided on as well.
    town.part(&others[1]);
    assert!(!suggest(&mut town, &desk, &others[18]));
}

/// Two people, what leads of theirs bring, each by something that its person has, and that a person says that they are two. From the
/// lead `joined` on they are taken for one until then.
fn lived(leads: &[(bool, usize)], joined: Option<usize>) -> Town {
    let mut town = Town::default();
    let mut names = [vec![email("a")], vec![phone("1")]];
    let [one, other] = names.clone().map(|names| town.post(&names).customer);
    for (n, (is_other, by)) in leads.iter().enumerate() {
        if joined == Some(n) {
            town.say(join(&town.known(&[]), &one, &other, decided()));
        }
        let names = &mut names[usize::from(*is_other)];
        let brings = id(&format!("system-{n}"), "7");
        town.post(&[brings.clone(), names[by % names.len()].clone()]);
        names.push(brings);
    }
    match joined {
        Some(_) => town.part(&other),
        None => town.say(keep_apart(&town.known(&[]), &one, &other, decided())),
    }
    town.customers.values_mut().for_each(|record| record.version = 0);
    town
}

proptest! {
    /// Two who are taken apart hold what they would hold if they had never been taken for one.
    #[test]
    fn who_is_taken_apart_is_as_if_they_had_never_been_one(
        leads in prop::collection::vec((any::<bool>(), 0usize..8), 1..12),
        joined in any::<prop::sample::Index>(),
    ) {
        let together = lived(&leads, Some(joined.index(leads.len())));
        let never = lived(&leads, None);
        prop_assert_eq!(together.addresses, never.addresses);
        prop_assert_eq!(together.customers, never.customers);
    }
}

/// A lead by a half's address that brings an id: what is stored with it.
#[test]
fn a_lead_by_a_halfs_address_is_stored_with_the_half_and_the_live_record() {
    let policies = PolicySet::default();
    let origin = Origin { kind: "form".into(), name: "web".into() };
    let fields = [("phone", "+4930901820"), ("external_id", "4711")];
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let lead = Lead {
        id: LeadId::derived(&["new"]),
        origin: origin.clone(),
        external_id: None,
        received: Timestamp(9),
        envelope: Envelope { fields, ..Envelope::default() },
        needs_enrichment: false,
        manifest: 0,
        progress: Progress::default(),
        version: 1,
    };
    let facts = read(&origin, &lead.envelope, &policies.reading(&origin), &policies.settings);
    let kinds: Vec<IdentityKind> = facts.identities.iter().map(|identity| identity.kind).collect();
    assert_eq!(kinds, [IdentityKind::External, IdentityKind::Phone]);
    let [brought, phone] = [0, 1].map(|at| keys().hash(&facts.identities[at]));
    let [live, half] = ["live", "half"].map(|name| CustomerId::derived(&[name]));
    let mut records =
        [&live, &half].map(|id| Customer { version: 3, ..Customer::new(id.clone(), Timestamp(1)) });
    records[0].halves.insert(half.clone());
    records[1].into = Some(live.clone());
    let claim = KnownAddress { customer: half.clone(), others: BTreeSet::new() };
    let known = Known {
        addresses: vec![(brought.clone(), None), (phone.clone(), Some(claim))],
        customers: records.into_iter().map(|record| (record.id.clone(), record)).collect(),
        ..Known::default()
    };
    let who = recognise(&lead.id, &facts.identities, &known, SHARED_AFTER);
    let case = Case { lead: &lead, facts: &facts, known: &known, who: Some(&who) };
    let (after, changed) = change(case, import(case, &policies, Timestamp(9)), &policies);
    assert_eq!(after.customer, Some(half.clone()));
    let held: BTreeMap<CustomerId, _> =
        changed.into_iter().map(|record| (record.id.clone(), (record.version, record.keys))).collect();
    let both = BTreeSet::from([(IdentityKind::External, brought), (IdentityKind::Phone, phone)]);
    // Of the address nobody had written down yet that it is theirs; and what contradicts the id meets the live record's version.
    assert_eq!(held, BTreeMap::from([(half, (3, both)), (live, (3, BTreeSet::new()))]));
}

/// Records of one person, each with its owner, the record it gave way to and its leads.
#[derive(Default)]
struct Family {
    known: Known,
    leads: BTreeMap<CustomerId, Vec<Lead>>,
}

fn named(name: &str) -> CustomerId {
    CustomerId::derived(&[name])
}

fn given(rep: &str, at: i64, n: u32) -> Assignment {
    Assignment { rep: rep.to_owned(), team: None, at: Timestamp(at), n, share: false }
}

impl Family {
    fn with(mut self, name: &str, into: Option<&str>, owner: Option<(&str, i64)>) -> Self {
        let mut record = Customer::new(named(name), Timestamp(0));
        record.owner =
            owner.map(|(rep, at)| Ownership { rep: rep.to_owned(), team: None, since: Timestamp(at) });
        record.into = into.map(named);
        if let Some(live) = into.and_then(|into| self.known.customers.get_mut(&named(into))) {
            live.halves.insert(record.id.clone());
        }
        self.known.customers.insert(record.id.clone(), record);
        self
    }

    /// A lead of a record that was given to these, one after the other; the first time as it joined two, if it did.
    fn lead(mut self, of: &str, reps: &[(&str, i64)], joins: Option<(&str, &str)>) -> Self {
        let mut progress = Progress { state: LeadState::Assigned, ..Progress::default() };
        for (rep, at) in reps {
            let n = progress.next_n();
            progress.end_assignment(Timestamp(*at), PastEnd::Given);
            progress.assignment = Some(given(rep, *at, n));
        }
        let merge = |(from, into)| Merge { from: named(from), into: named(into), likeness: None };
        progress.receipt = reps.first().map(|(rep, at)| Receipt {
            at: Timestamp(*at),
            manifest: 1,
            new_customer: false,
            found: Vec::new(),
            merges: joins.map(merge).into_iter().collect(),
            suggestions: Vec::new(),
            saw: Saw::default(),
            tried: Vec::new(),
            outcome: Outcome::Assigned { rep: (*rep).to_owned(), team: None },
        });
        let leads = self.leads.entry(named(of)).or_default();
        leads.push(Lead {
            id: LeadId::derived(&[of, &leads.len().to_string()]),
            origin: Origin { kind: "form".into(), name: "web".into() },
            external_id: None,
            received: Timestamp(0),
            envelope: Envelope::default(),
            needs_enrichment: false,
            manifest: 1,
            progress,
            version: 1,
        });
        self
    }

    /// The owners of the records that change when one is taken out, that one first.
    fn part(&self, half: &str) -> Vec<Option<(String, i64)>> {
        let records = take_apart(&self.known, &named(half), &self.leads, decided());
        let owner = |record: Customer| record.owner.map(|owner| (owner.rep, owner.since.millis()));
        records.into_iter().map(owner).collect()
    }
}

fn is(rep: &str, since: i64) -> Option<(String, i64)> {
    Some((rep.to_owned(), since))
}

#[test]
fn an_owner_goes_with_the_half_whose_lead_was_given_to_them() {
    let family = |owner| {
        let family =
            Family::default().with("live", None, Some(owner)).with("half", Some("live"), Some(("li", 2)));
        family.lead("live", &[("ana", 1)], None).lead("half", &[("li", 2)], None)
    };
    // Nothing came since: both are whose they were.
    assert_eq!(family(("ana", 1)).part("half"), [is("li", 2), is("ana", 1)]);
    // A lead of one of them was given to somebody else, when it came or later.
    let of_half = family(("kim", 5)).lead("half", &[("kim", 5)], None);
    assert_eq!(of_half.part("half"), [is("kim", 5), is("ana", 1)]);
    let given_on = family(("bo", 6)).lead("half", &[("ana", 5), ("bo", 6)], None);
    assert_eq!(given_on.part("half"), [is("bo", 6), is("ana", 1)]);
    let of_live = family(("kim", 5)).lead("live", &[("kim", 5)], None);
    assert_eq!(of_live.part("half"), [is("li", 2), is("kim", 5)]);
    // Who had the person kept them, by the half's lead too.
    let kept = family(("ana", 1)).lead("half", &[("ana", 5)], None);
    assert_eq!(kept.part("half"), [is("ana", 5), is("ana", 1)]);
}

#[test]
fn what_was_decided_of_the_lead_that_joined_two_is_no_reason_for_either_to_change_hands() {
    let joins = Some(("half", "live"));
    let live = || Family::default().with("live", None, Some(("ana", 1))).lead("live", &[("ana", 1)], None);
    let owned = live().with("half", Some("live"), Some(("li", 2))).lead("half", &[("li", 2)], None);
    assert_eq!(owned.lead("half", &[("ana", 5)], joins).part("half"), [is("li", 2), is("ana", 1)]);
    // The record that the lead got as it joined by likeness has no other owner; and a person may have given the lead on.
    let own = live().with("half", Some("live"), None).lead("half", &[("ana", 5)], joins);
    assert_eq!(own.part("half"), [is("ana", 5), is("ana", 1)]);
    let on = live().with("half", Some("live"), None).lead("half", &[("ana", 5), ("bo", 6)], joins);
    assert_eq!(on.part("half")[0], is("bo", 6));
    // Nobody had either: it is the half's, whose lead it is.
    let nobodys = Family::default().with("live", None, Some(("ana", 5))).with("half", Some("live"), None);
    assert_eq!(nobodys.lead("half", &[("ana", 5)], joins).part("half"), [is("ana", 5), None]);
}

#[test]
fn of_several_records_each_side_has_the_owner_that_its_leads_made() {
    // A half of a half: the live record is one more that changes.
    let family = Family::default()
        .with("live", None, Some(("kim", 7)))
        .with("half", Some("live"), Some(("li", 2)))
        .with("deep", Some("half"), Some(("cy", 1)))
        .lead("live", &[("ana", 1)], None)
        .lead("half", &[("li", 2)], None)
        .lead("deep", &[("cy", 1)], None)
        .lead("deep", &[("kim", 7)], None);
    assert_eq!(family.part("deep"), [is("kim", 7), is("li", 2), is("ana", 1)]);
    assert_eq!(family.part("half"), [is("kim", 7), is("ana", 1)], "what gave way to it goes along");
    // What the other half was given before it gave way is not the live record's; what it was given since is.
    let family = |rep| {
        let family = Family::default().with("live", None, Some(("kim", 7))).with("out", Some("live"), None);
        let family = family.with("other", Some("live"), Some(("zoe", 3))).lead("live", &[("ana", 1)], None);
        family.lead("other", &[("zoe", 3), (rep, 5)], None).lead("out", &[("kim", 7)], None)
    };
    assert_eq!(family("zoe").part("out"), [is("kim", 7), is("ana", 1)]);
    assert_eq!(family("bo").part("out"), [is("kim", 7), is("bo", 5)]);
    assert!(family("bo").part("live").is_empty(), "who gave way to nobody is not taken out");
}

proptest! {
    /// Whomever leads of two are given to, before and while they are one: taken apart both are whose they would be.
    #[test]
    fn owners_are_as_if_two_had_never_been_one(
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0usize..3), 1..12),
        joined in any::<prop::sample::Index>(),
    ) {
        let joined = joined.index(steps.len() + 1);
        let names = ["live", "half"];
        let mut family = Family::default().with("live", None, None).with("half", None, None);
        let mut never = names.map(|name| Customer::new(named(name), Timestamp(0)));
        for (n, (is_half, goes_on, rep)) in steps.iter().enumerate() {
            let (of, rep, at) = (usize::from(*is_half), ["ana", "bo", "cy"][*rep], n as i64 + 1);
            let last = family.leads.get_mut(&named(names[of])).and_then(|leads| leads.last_mut());
            match last.filter(|_| *goes_on) {
                Some(lead) => {
                    let n = lead.progress.next_n();
                    lead.progress.end_assignment(Timestamp(at), PastEnd::Given);
                    lead.progress.assignment = Some(given(rep, at, n));
                }
                None => family = family.lead(names[of], &[(rep, at)], None),
            }
            let owned = if n < joined { names[of] } else { "live" };
            own(family.known.customers.get_mut(&named(owned)).unwrap(), &given(rep, at, 1));
            own(&mut never[of], &given(rep, at, 1));
        }
        family.known.customers.get_mut(&named("half")).unwrap().into = Some(named("live"));
        family.known.customers.get_mut(&named("live")).unwrap().halves.insert(named("half"));
        let rep = |record: &Customer| record.owner.as_ref().map(|owner| owner.rep.clone());
        let parted = take_apart(&family.known, &named("half"), &family.leads, decided());
        prop_assert_eq!(parted.iter().map(rep).collect::<Vec<_>>(), never.iter().rev().map(rep).collect::<Vec<_>>());
    }
}
