//! Who reaches whom, what is hidden, and when an owner is another one.

use super::*;
use crate::customer::{Customer, Fact, Known, Ownership};
use crate::id::CustomerId;
use crate::pii::Pii;
use crate::policy::{Document, FieldMap, PolicySet};
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn policies(documents: Vec<Value>) -> PolicySet {
    let documents = documents.into_iter().map(|document| Document::from_json(document).unwrap());
    PolicySet::build(1, documents).unwrap()
}

fn rep(name: &str, reports_to: Option<&str>) -> Value {
    json!({"kind": "rep", "name": name, "reports_to": reports_to})
}

fn team(name: &str, manager: Option<&str>, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|rep| json!({ "rep": rep })).collect();
    json!({"kind": "team", "name": name, "manager": manager, "members": members})
}

fn company() -> PolicySet {
    policies(vec![
        rep("top", None),
        rep("boss", Some("top")),
        rep("ann", None),
        rep("bo", None),
        rep("cy", None),
        rep("assistant", Some("ann")),
        team("sales", Some("boss"), &["ann", "bo"]),
        team("west", None, &["cy", "bo"]),
    ])
}

#[test]
fn a_manager_reaches_whoever_is_below_and_nobody_beside_or_above() {
    let policies = company();
    let reached = |role, rep: Option<&str>, teams: &[&str]| -> Vec<&str> {
        let teams: Vec<String> = teams.iter().map(|&team| team.to_owned()).collect();
        let reach = Reach::of(role, rep, &teams, &policies);
        ["ann", "assistant", "bo", "boss", "cy", "top"].into_iter().filter(|rep| reach.has_rep(rep)).collect()
    };
    assert_eq!(reached(Role::Manager, Some("top"), &[]), ["ann", "assistant", "bo", "boss", "top"]);
    assert_eq!(reached(Role::Manager, Some("boss"), &[]), ["ann", "assistant", "bo", "boss"]);
    assert_eq!(reached(Role::Manager, Some("ann"), &[]), ["ann", "assistant"]);
    assert_eq!(reached(Role::Manager, None, &["west"]), ["bo", "cy"]);
    assert_eq!(reached(Role::Manager, Some("ann"), &["west"]), ["ann", "assistant", "bo", "cy"]);
    assert_eq!(reached(Role::Manager, None, &[]), [""; 0]);
    assert_eq!(reached(Role::Rep, Some("boss"), &[]), ["boss"]);
    assert_eq!(reached(Role::Marketer, None, &[]).len(), 6);
}

#[test]
fn what_nobody_owns_is_out_of_reach_but_for_those_who_see_everybody() {
    let policies = company();
    assert!(Reach::of(Role::Admin, None, &[], &policies).has_owner(None));
    assert!(!Reach::of(Role::Manager, Some("top"), &[], &policies).has_owner(None));
    let names = |reach: &Reach| reach.reps(&policies).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&Reach::everybody()), "ann assistant bo boss cy top");
    assert_eq!(names(&Reach::of(Role::Manager, Some("boss"), &[], &policies)), "ann assistant bo boss");
    let bo = Reach::of(Role::Rep, Some("bo"), &[], &policies);
    assert!(bo.has_queue("sales") && bo.has_queue("west") && !bo.has_team("sales"));
    let boss = Reach::of(Role::Manager, Some("boss"), &[], &policies);
    assert!(boss.has_queue("sales") && boss.has_team("sales") && !boss.has_queue("west"));
}

proptest! {
    /// Reach is the least set that holds the manager and with somebody everybody who is below them.
    #[test]
    fn reach_is_closed_and_holds_nobody_else(
        reports in proptest::collection::vec(proptest::option::of(0..6usize), 6),
        teams in proptest::collection::vec((proptest::option::of(0..6usize), proptest::collection::btree_set(0..6usize, 1..4)), 0..4),
        manager in 0..6usize,
    ) {
        let name = |n: usize| format!("r{n}");
        let mut documents: Vec<Value> = reports
            .iter()
            .enumerate()
            .map(|(n, to)| json!({"kind": "rep", "name": name(n), "reports_to": to.map(name)}))
            .collect();
        for (n, (manager, members)) in teams.iter().enumerate() {
            let members: Vec<Value> = members.iter().map(|rep| json!({"rep": name(*rep)})).collect();
            documents.push(json!({
                "kind": "team", "name": format!("t{n}"), "manager": manager.map(name), "members": members,
            }));
        }
        let reach = Reach::of(Role::Manager, Some(&name(manager)), &[], &policies(documents));
        let mut expected = BTreeSet::from([manager]);
        for _ in 0..6 {
            let above: BTreeSet<usize> = expected.clone();
            expected.extend((0..6).filter(|rep| reports[*rep].is_some_and(|to| above.contains(&to))));
            let led = teams.iter().filter(|(leads, _)| leads.is_some_and(|leads| above.contains(&leads)));
            expected.extend(led.flat_map(|(_, members)| members.iter().copied()));
        }
        for rep in 0..6 {
            prop_assert_eq!(reach.has_rep(&name(rep)), expected.contains(&rep), "{}", rep);
        }
    }

    /// Whatever text a value stands in as a word of its own, it is not there afterwards; the rest stays.
    #[test]
    fn a_hidden_value_is_taken_out_of_any_text(
        value in "[a-zA-Z0-9+@. ]{1,12}", before in "[ -~]{0,12}", after in "[ -~]{0,12}",
    ) {
        prop_assume!(!value.trim().is_empty());
        let mut hidden = Hidden::default();
        hidden.add(&value);
        let text = hidden.scrubbed(&format!("{before}|{}|{after}", value.trim()));
        prop_assert!(!text.contains(&format!("|{}|", value.trim())), "{}", text);
        prop_assert!(text.contains("•••"));
    }
}

#[test]
fn a_value_within_a_longer_word_is_not_meant() {
    let mut hidden = Hidden::default();
    ["Ada", "ada@example.org", "+4930901820", "李"].iter().for_each(|value| hidden.add(value));
    for (text, clean) in [
        ("Ada, Adam and ada@example.org", "•••, Adam and •••"),
        ("https://x.example/?mail=ada%40example.org&id=cu_Ada1", "https://x.example/?mail=•••&id=cu_Ada1"),
        ("call 4930901820 or +4930901820", "call ••• or •••"),
        ("李伟", "•••伟"),
        ("nothing of it", "nothing of it"),
    ] {
        assert_eq!(hidden.scrubbed(text), clean);
    }
}

#[test]
fn a_value_is_hidden_in_whatever_case_it_is_written() {
    let mut hidden = Hidden::default();
    ["ada@shop.example", "Müller", "Straße", "Σοφός"].iter().for_each(|value| hidden.add(value));
    for (text, clean) in [
        ("Write to Ada@Shop.Example or ADA@SHOP.EXAMPLE", "Write to ••• or •••"),
        ("MÜLLER, müller, Müllerin", "•••, •••, Müllerin"),
        // Without case these are longer than as they are written: what follows is found in its place.
        ("İİ, STRASSE ŉ straße, Straßen İ", "İİ, ••• ŉ •••, Straßen İ"),
        ("ΣΟΦΌΣ σοφόσ", "••• •••"),
        ("?n=m%c3%bcller&m=M%C3%9CLLER", "?n=•••&m=•••"),
        ("ada@shop.examples Ada@shop.example", "ada@shop.examples •••"),
    ] {
        assert_eq!(hidden.scrubbed(text), clean);
    }
}

#[test]
fn a_part_of_a_longer_word_hides_no_value_that_begins_within_it() {
    let mut hidden = Hidden::default();
    hidden.add("an an");
    assert_eq!(hidden.scrubbed("man an an"), "man •••");
}

#[test]
fn words_and_times_of_ours_stay_and_numbers_that_are_hidden_do_not() {
    let mut hidden = Hidden::default();
    ["open", "09", "98765432", "17", "ada@example.org", "2027-03-01T09:00:00Z"]
        .iter()
        .for_each(|value| hidden.add(value));
    let mut shown = json!({
        "state": "open", "note": "open at 09", "at": "2027-03-02T09:00:00Z", "appointment": "2027-03-01T09:00:00Z",
        "id": "ada@example.org", "budget": 98_765_432, "count": 17,
        "properties": { "state": "open" },
    });
    hidden.scrub(&mut shown);
    let expected = json!({
        "state": "open", "note": "••• at •••", "at": "2027-03-02T09:00:00Z", "appointment": "•••",
        "id": "•••", "budget": "•••", "count": 17,
        "properties": { "state": "•••" },
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_mask_hides_by_name_whatever_the_name_is_written_like() {
    let mask = Mask::new(["phone", "last_name", "external_id", "budget"].map(str::to_owned));
    let map: FieldMap = [("phone", "call_me_on"), ("budget", "how much")]
        .map(|(fact, name)| (fact.to_owned(), vec![name.to_owned()]))
        .into();
    for name in ["call_me_on", "How_much", "phone", "lastName", "surname", "Budget"] {
        assert!(mask.hides_field(name, &map), "{name}");
    }
    for name in ["contact.phone", "address.last_name", "Telefon"] {
        assert!(mask.hides_field(name, &FieldMap::new()), "{name}");
    }
    assert!(!mask.hides_field("email", &map) && !mask.hides_field("mobile", &map));
    assert!(mask.hides("external_id.crm") && !mask.hides("externals"));
    for path in [
        "customer.phone",
        "customer.external_id.crm",
        "lead.fields.budget",
        "customer",
        "customer.name",
        "qualification.budget",
    ] {
        assert!(mask.hides_path(path), "{path}");
    }
    assert!(!mask.hides_path("qualification.missing"), "that something is open tells nothing of it");
    assert!(!mask.hides_path("customer.city") && !mask.hides_path("customer.first_name"));
    assert!(!Mask::default().hides_path("customer"));
    let mut told =
        json!({"plan": "pro", "contact": {"surname": "Byron", "city": "London"}, "all": [{"budget": 17}]});
    let mut hidden = Hidden::default();
    mask.members(&mut told, &FieldMap::new(), &mut hidden);
    assert_eq!(told["contact"], json!({"surname": "•••", "city": "London"}));
    assert_eq!((&told["plan"], &told["all"][0]["budget"]), (&json!("pro"), &json!("•••")));
    assert_eq!(hidden.scrubbed("Byron, 17"), "•••, •••");
}

fn customer(name: &str, owner: Option<&str>) -> Customer {
    let mut customer = Customer::new(CustomerId::derived(&[name]), Timestamp(0));
    customer.owner = owner.map(|rep| Ownership { rep: rep.to_owned(), team: None, since: Timestamp(0) });
    customer
}

#[test]
fn a_record_is_shown_without_what_is_hidden() {
    let mut record = customer("x", None);
    let fact = Fact { value: Pii::new("Byron".to_owned()), at: Timestamp(0), said: None, tie: None };
    record.facts = BTreeMap::from([("last_name".to_owned(), fact.clone()), ("city".to_owned(), fact)]);
    let mut hidden = Hidden::default();
    let shown = Mask::new(["last_name".to_owned()]).record(&record, &mut hidden);
    assert_eq!(shown.facts["last_name"].value.reveal(), "•••");
    assert_eq!(shown.facts["city"].value.reveal(), "Byron", "by its name; the answer is cleaned of it");
    assert_eq!(hidden.scrubbed("Byron"), "•••");
}

#[test]
fn who_joins_or_leaves_somebody_may_get_another_owner() {
    let (one, two) = (customer("one", Some("ann")), customer("two", Some("bo")));
    let known = Known {
        customers: [&one, &two].map(|record| (record.id.clone(), record.clone())).into(),
        ..Known::default()
    };
    assert_eq!(owner_changes(&known, std::slice::from_ref(&one)), []);
    let (mut live, mut half) = (one.clone(), two.clone());
    live.halves.insert(half.id.clone());
    half.into = Some(live.id.clone());
    let moved = |id: &CustomerId, from: &str, to: &str| Changed {
        customer: id.clone(),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
    };
    assert_eq!(owner_changes(&known, &[live.clone(), half.clone()]), [moved(&two.id, "bo", "ann")]);
    let joined = Known {
        customers: [&live, &half].map(|record| (record.id.clone(), record.clone())).into(),
        ..Known::default()
    };
    assert_eq!(owner_changes(&joined, &[one.clone(), two.clone()]), [moved(&two.id, "ann", "bo")]);
    let given = Customer { owner: customer("", Some("cy")).owner, ..one.clone() };
    assert_eq!(owner_changes(&known, &[given]), [moved(&one.id, "ann", "cy")]);
    let nobody = customer("three", None);
    assert_eq!(owner_changes(&Known::default(), &[nobody]), []);
}

#[test]
fn every_role_has_its_rights() {
    for role in Role::ALL {
        assert_eq!(Role::parse(role.name()), Some(role));
        assert!(role.may(Right::Any) && role.may(Right::ReadPeople));
        assert_eq!(role.may(Right::Admin), role == Role::Admin);
    }
    assert!(!Role::Marketer.may(Right::WorkLeads) && !Role::Manager.may(Right::WritePolicies));
    assert!(!Role::Rep.may(Right::Send) && !Role::Rep.may(Right::Manage));
}
