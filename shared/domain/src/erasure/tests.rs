//! What an erasure finds, and what is left of it.

use super::*;
use crate::customer::{HashKey, KnownAddress};
use crate::lead::{Assignment, Envelope, Origin};
use crate::team::{Grant, MemberState};

const NOW: Timestamp = Timestamp(1_795_692_000_000);

fn keys() -> HashKeys {
    HashKeys::new(HashKey::new("2", b"now")).with_old(HashKey::new("1", b"before"))
}

fn email(value: &str) -> Identity {
    Identity::new(IdentityKind::Email, value.to_owned())
}

fn phone(value: &str) -> Identity {
    Identity::new(IdentityKind::Phone, value.to_owned())
}

fn id(name: &str) -> CustomerId {
    CustomerId::derived(&[name])
}

fn lead(name: &str) -> Lead {
    Lead {
        id: LeadId::derived(&[name]),
        origin: Origin { kind: "form".to_owned(), name: "web".to_owned() },
        external_id: None,
        received: NOW,
        envelope: Envelope::default(),
        needs_enrichment: false,
        manifest: 1,
        progress: Progress::default(),
        version: 1,
    }
}

/// What is known of identities: for each who holds it, how many others came with it, and when its person was erased.
fn known(of: &[(&Identity, Option<&str>, usize, Option<i64>)]) -> Known {
    let mut known = Known::default();
    for (identity, holder, others, erased) in of {
        let others = (0..*others).map(|n| id(&n.to_string())).collect();
        let claim = holder.map(|holder| KnownAddress { customer: id(holder), others });
        known.addresses.push((keys().hashes(identity).remove(0), claim));
        known.erased.push(erased.map(|before| NOW.plus_millis(before)));
    }
    known
}

#[test]
fn an_erasure_names_every_record_address_and_lead_of_the_whole_person() {
    let (mut root, mut half, mut other) =
        (Customer::new(id("root"), NOW), Customer::new(id("half"), NOW), Customer::new(id("other"), NOW));
    root.keys.insert((IdentityKind::Email, keys().hashes(&email("ada@example.org")).remove(0)));
    root.halves.insert(half.id.clone());
    root.last_lead = Some(LeadId::derived(&["a"]));
    root.version = 7;
    half.into = Some(root.id.clone());
    half.keys.insert((IdentityKind::Phone, keys().hashes(&phone("+4930901820")).remove(1)));
    half.apart.insert(other.id.clone(), None);
    half.version = 3;
    other.apart.insert(half.id.clone(), None);
    let known = Known {
        customers: [&root, &half, &other].map(|one| (one.id.clone(), one.clone())).into(),
        ..Known::default()
    };

    let erasures = Erasure::begin(&root, &known, &keys(), &Junk::default(), "admin", NOW);
    let [whole, of_half] = erasures.as_slice() else { panic!("{erasures:?}") };
    assert_eq!((&whole.id, whole.version, &whole.root), (&root.id, 7, &None));
    assert_eq!((&of_half.id, of_half.version, &of_half.root), (&half.id, 3, &Some(root.id.clone())));
    assert_eq!(whole.holders(), [root.id.clone(), half.id.clone()].into());
    assert_eq!(whole.records[&root.id], root.last_lead);
    assert_eq!(whole.linked, [other.id].into());
    let hashes: Vec<&AddressHash> = whole.addresses.iter().flat_map(|address| &address.hashes).collect();
    assert_eq!(hashes.len(), 2);
    assert!(of_half.addresses.is_empty() && of_half.records.is_empty());
    let ended = Erasure { gates: whole.addresses.clone(), ..whole.clone() }.ended(NOW);
    assert_eq!((ended.done, ended.leads, ended.at), (Some(NOW), 0, NOW));
    assert!(ended.addresses.is_empty() && ended.records.is_empty() && ended.linked.is_empty());
    assert!(ended.gates.is_empty());
}

#[test]
fn an_address_that_a_record_spells_out_is_known_under_every_key() {
    let mut record = Customer::new(id("ada"), NOW);
    let fact =
        crate::customer::Fact { value: "ada@example.org".to_owned().into(), at: NOW, said: None, tie: None };
    record.facts.insert("email".to_owned(), fact);
    let hashes = keys().hashes(&email("ada@example.org"));
    record.keys.insert((IdentityKind::Email, hashes[1].clone()));
    assert_eq!(
        addresses(&[&record], &keys(), &Junk::default()),
        [Address { kind: IdentityKind::Email, hashes }]
    );
}

#[test]
fn an_address_that_identifies_nobody_is_not_theirs() {
    let mut record = Customer::new(id("ada"), NOW);
    for (name, value) in [("email", "test@example.com"), ("phone", "+12345678900")] {
        let value = value.to_owned().into();
        record.facts.insert(name.to_owned(), crate::customer::Fact { value, at: NOW, said: None, tie: None });
    }
    assert_eq!(addresses(&[&record], &keys(), &Junk::default()), []);
    let nothing = Junk { emails: Vec::new(), phones: Vec::new() };
    assert_eq!(addresses(&[&record], &keys(), &nothing).len(), 2);
    // It was theirs before it was listed.
    let hash = keys().hashes(&email("test@example.com")).remove(0);
    record.keys.insert((IdentityKind::Email, hash));
    assert_eq!(addresses(&[&record], &keys(), &Junk::default()).len(), 1);
}

#[test]
fn a_lead_that_would_have_been_theirs_is_too_late_and_one_that_came_since_is_not() {
    let (mail, number) = (email("ada@example.org"), phone("+4930901820"));
    let both = [mail.clone(), number.clone()];
    let late = |known: &Known, identities: &[Identity]| is_too_late(NOW, identities, known, 3);
    assert!(late(&known(&[(&mail, None, 0, Some(0))]), &both[..1]), "at the same instant");
    assert!(late(&known(&[(&mail, None, 0, Some(5))]), &both[..1]));
    assert!(!late(&known(&[(&mail, None, 0, Some(-1))]), &both[..1]), "said since");
    assert!(!late(&known(&[(&mail, None, 0, None)]), &both[..1]), "nobody was erased");
    // A new address with the number of somebody erased: recognised by the number.
    assert!(late(&known(&[(&mail, None, 0, None), (&number, None, 0, Some(5))]), &both));
    // Somebody who lives, with the number of somebody erased.
    assert!(!late(&known(&[(&mail, Some("bea"), 0, None), (&number, None, 0, Some(5))]), &both));
    // Whoever has the address now got it after the erasure.
    assert!(late(&known(&[(&mail, Some("new"), 0, Some(5))]), &both[..1]));
    // A switchboard says of nobody who they are.
    assert!(!late(&known(&[(&number, Some("bea"), 4, Some(5))]), &both[1..]));
    assert!(!late(&Known::default(), &[]), "nobody");
}

#[test]
fn an_open_lead_leaves_its_place_and_its_share_stays_counted() {
    let mut gone = lead("a");
    let assignment =
        Assignment { rep: "ann".to_owned(), team: Some("sales".to_owned()), at: NOW, n: 1, share: true };
    gone.progress.assignment = Some(assignment);
    let mut state = TeamState::default();
    state.members.insert("ann".to_owned(), MemberState { pass: 9, open: 2, ..MemberState::default() });
    let grant = Grant { rep: "ann".to_owned(), paid: 5, at: NOW, seen: Default::default() };
    state.grants.insert(gone.id.clone(), grant);
    let mut round = TeamState::default();
    let grant = Grant { rep: "sales".to_owned(), paid: 5, at: NOW, seen: Default::default() };
    round.members.insert("sales".to_owned(), MemberState { pass: 9, open: 1, ..MemberState::default() });
    round.grants.insert(gone.id.clone(), grant);
    let mut books =
        BTreeMap::from([("sales".to_owned(), state), ("round#dach+sales".to_owned(), round.clone())]);
    leave(&gone, &mut books);
    assert_eq!((books["sales"].members["ann"].open, books["sales"].members["ann"].pass), (1, 9));
    assert!(books.values().all(|state| state.grants.is_empty()));
    assert_eq!(books["round#dach+sales"].members, round.members, "a round counts shares, not open leads");

    let before = books.clone();
    gone.progress.work = Work::Closed;
    leave(&gone, &mut books);
    assert_eq!(books, before, "what is closed holds no place");
}

#[test]
fn of_a_lead_only_what_the_company_did_is_left() {
    let mut gone = lead("a");
    gone.progress.customer = Some(id("ada"));
    gone.progress.previous = Some(LeadId::derived(&["b"]));
    let left = remains(&gone.progress);
    assert_eq!(left, Progress { state: LeadState::Erased, work: Work::Closed, ..Progress::default() });
    assert!(left.state.is_end() && !left.work.is_open() && !left.state.has_a_person());
}

#[test]
fn what_a_decision_about_somebody_else_quotes_of_them_is_found_by_its_hash_and_goes() {
    let fact = |value: &str| crate::customer::Fact {
        value: value.to_owned().into(),
        at: NOW,
        said: None,
        tie: None,
    };
    let (mut ada, mut bea) = (Customer::new(id("ada"), NOW), Customer::new(id("bea"), NOW));
    ada.facts = [("company", fact("Analytical Engines")), ("country", fact("GB"))]
        .map(|(name, fact)| (name.to_owned(), fact))
        .into();
    bea.facts.insert("country".to_owned(), fact("GB"));
    ada.apart.insert(bea.id.clone(), None);
    let known =
        Known { customers: [&ada, &bea].map(|one| (one.id.clone(), one.clone())).into(), ..Known::default() };
    let erasure = Erasure::begin(&ada, &known, &keys(), &Junk::default(), "admin", NOW).remove(0);
    assert!(!serde_json::to_string(&erasure).unwrap().contains("Analytical"));
    let mut of_bea = lead("b");
    assert_eq!(unquoted(&of_bea, &known.whole(&bea), &erasure.quoted, &keys()), None);
    let mut receipt = crate::routing::Receipt {
        at: NOW,
        manifest: 1,
        new_customer: false,
        found: Vec::new(),
        merges: Vec::new(),
        suggestions: Vec::new(),
        saw: Default::default(),
        tried: Vec::new(),
        outcome: Outcome::Escalated,
    };
    let saw = [("company", "Analytical Engines"), ("country", "GB"), ("owner", "ann")];
    receipt.saw.customer = saw.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect();
    of_bea.progress.receipt = Some(receipt);
    let after = unquoted(&of_bea, &known.whole(&bea), &erasure.quoted, &keys()).unwrap();
    let saw = after.receipt.as_ref().map(|receipt| &receipt.saw).unwrap();
    let left: Vec<&str> = saw.customer.keys().map(String::as_str).collect();
    assert_eq!((left, saw.forgotten), (vec!["country", "owner"], true));
    of_bea.progress = after;
    assert_eq!(unquoted(&of_bea, &known.whole(&bea), &erasure.quoted, &keys()), None, "done once");
}

#[test]
fn an_event_that_nobody_took_is_of_somebody_erased_as_it_would_be_on_its_arrival() {
    use crate::event::{Event, EventKind, Ids};
    let happened = |who: Who| Happened {
        who,
        event: Event {
            id: crate::id::EventId::derived(&["1"]),
            kind: EventKind::Identify,
            name: String::new(),
            source: "site".to_owned(),
            at: NOW,
            received: NOW,
            properties: Default::default(),
            traits: Default::default(),
            context: Default::default(),
        },
    };
    let (mail, call) = (email("ada@example.org"), phone("+4930901820"));
    let browser = Identity::new(IdentityKind::Anonymous, "b-1".to_owned());
    let by_ids = |of: &[(&Identity, Option<&str>, usize, Option<i64>)]| {
        let identities: Vec<Identity> = of.iter().map(|(identity, ..)| (*identity).clone()).collect();
        let gone = BTreeSet::from([id("ada")]);
        is_event_of_erased(&happened(Who::Ids(Ids::default())), &identities, known(of), &gone, 3)
    };
    assert!(by_ids(&[(&mail, None, 0, Some(0))]), "erased since");
    assert!(!by_ids(&[(&mail, None, 0, Some(-1))]), "it happened since");
    assert!(!by_ids(&[(&mail, Some("bea"), 0, None), (&call, None, 0, Some(0))]), "of whom the best id says");
    assert!(by_ids(&[(&mail, None, 0, None), (&call, None, 0, Some(0))]), "the best that leads anywhere");
    assert!(by_ids(&[(&browser, Some("bea"), 9, Some(0))]), "many people use a browser, each by themselves");
    assert!(!by_ids(&[(&call, Some("bea"), 9, Some(0))]), "a switchboard says of nobody who it is");
    assert!(!by_ids(&[]));

    let of = |customer: &str| {
        let gone = BTreeSet::from([id("ada")]);
        is_event_of_erased(&happened(Who::Customer(id(customer))), &[], Known::default(), &gone, 3)
    };
    assert_eq!((of("ada"), of("bea")), (true, false));
}

#[test]
fn what_is_said_of_an_address_is_of_somebody_erased_until_somebody_comes_with_it_again() {
    let mail = email("ada@example.org");
    let of = |holder: Option<&str>, erased: Option<i64>, at: Option<i64>| {
        let at = at.map(|later| NOW.plus_millis(later));
        is_said_of_erased(at, &known(&[(&mail, holder, 0, erased)]))
    };
    assert!(of(None, Some(0), Some(1)), "a mail that comes back after its person was erased");
    assert!(of(None, Some(0), None));
    assert!(of(Some("ada"), Some(0), Some(0)), "said before");
    assert!(!of(Some("ada"), Some(0), Some(1)), "of whoever came back");
    assert!(!of(Some("ada"), Some(0), None));
    assert!(!of(None, None, Some(0)));
    assert!(!of(Some("ada"), None, Some(0)));
}

#[test]
fn dead_letters_are_looked_through_in_one_minute_of_each_day() {
    let day = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
    let minutes = (0..2 * 24 * 60).map(|minute| day.plus_millis(minute * 60_000 + 59_999));
    let looks: Vec<String> =
        minutes.filter(|at| is_time_for_dead_letters(*at)).map(|at| at.rfc3339()[..16].to_owned()).collect();
    assert_eq!(looks, ["2026-03-02T03:17", "2026-03-03T03:17"]);
}
