//! A batch taken back leaves people as they were, in whatever order its leads go; names and columns.

use super::*;
use crate::customer::{AddressHash, Customer, HashKey, HashKeys, Known, KnownAddress, recognise};
use crate::id::CustomerId;
use crate::lead::{Envelope, Facts, Lead, Origin, Progress, read};
use crate::policy::{Form, PolicySet};
use crate::routing::{Case, change, import};
use crate::time::Timestamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const EMAILS: [&str; 4] = ["", "ada@one.example", "bo@two.example", "cy@three.example"];
const PHONES: [&str; 3] = ["", "+4930901820", "+4930901821"];

/// Everything stored, as the store would have it.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    leads: BTreeMap<LeadId, Lead>,
    customers: BTreeMap<CustomerId, Customer>,
    addresses: BTreeMap<AddressHash, (CustomerId, BTreeSet<CustomerId>)>,
    /// Who did something themselves.
    lived: BTreeSet<CustomerId>,
}

fn keys() -> HashKeys {
    HashKeys::new(HashKey::new("1", b"k"))
}

fn facts(lead: &Lead, policies: &PolicySet) -> Facts {
    read(&lead.origin, &lead.envelope, &policies.reading(&lead.origin), &policies.settings)
}

impl World {
    fn known(&self, facts: &Facts) -> Known {
        let addresses = facts.identities.iter().map(|identity| {
            let hash = keys().hashes(identity).remove(0);
            let known = self.addresses.get(&hash);
            let known = known.map(|(customer, others)| KnownAddress {
                customer: customer.clone(),
                others: others.clone(),
            });
            (hash, known)
        });
        Known { addresses: addresses.collect(), customers: self.customers.clone(), ..Known::default() }
    }

    fn bring_in(&mut self, mut lead: Lead, policies: &PolicySet) {
        let facts = facts(&lead, policies);
        let known = self.known(&facts);
        let who = recognise(&lead.id, &facts.identities, &known, 3);
        for (_, hash) in &who.claims {
            self.addresses.insert(hash.clone(), (who.home.clone(), BTreeSet::new()));
        }
        let case = Case { lead: &lead, facts: &facts, known: &known, who: Some(&who) };
        let receipt = import(case, policies, lead.received);
        let (after, customers) = change(case, receipt, policies);
        self.customers.extend(customers.into_iter().map(|customer| (customer.id.clone(), customer)));
        for hash in &who.seen_with {
            self.addresses.get_mut(hash).unwrap().1.insert(who.customer.clone());
        }
        lead.progress = after;
        self.leads.insert(lead.id.clone(), lead);
    }

    fn take_back(&mut self, id: &LeadId, goes: Goes, policies: &PolicySet) {
        let Some(lead) = self.leads.get(id).cloned() else { return };
        let all = Known { customers: self.customers.clone(), ..Known::default() };
        let root = all.root(lead.progress.customer.as_ref().unwrap());
        let (ours, others) = self.customers.clone().into_iter().partition(|(id, _)| all.root(id) == root);
        let [known, others] = [ours, others].map(|customers| Known { customers, ..Known::default() });
        let chains: BTreeMap<_, _> = known
            .customers
            .values()
            .map(|record| {
                let mut chain = Vec::new();
                let mut next = record.last_lead.clone();
                while let Some(lead) = next.take().and_then(|id| self.leads.get(&id)) {
                    next.clone_from(&lead.progress.previous);
                    chain.push((lead.clone(), facts(lead, policies)));
                }
                (record.id.clone(), chain)
            })
            .collect();
        let addresses = self.addresses.iter().map(|(hash, (customer, others))| {
            (hash.clone(), KnownAddress { customer: customer.clone(), others: others.clone() })
        });
        let addresses = addresses.collect();
        let (addresses, keys) = (&addresses, &keys());
        let lived = &self.lived;
        let around = Around {
            lead: &lead,
            known: &known,
            chains: &chains,
            addresses,
            others: &others,
            lived,
            keys,
            goes,
        };
        let plan = take_back(around, policies);
        assert!(plan.leads.iter().any(|gone| gone.id == *id), "the lead itself goes");
        plan.leads.iter().for_each(|lead| drop(self.leads.remove(&lead.id)));
        for (lead, after) in plan.relinked {
            self.leads.get_mut(&lead.id).unwrap().progress = after;
        }
        plan.gone.iter().for_each(|customer| drop(self.customers.remove(&customer.id)));
        self.customers.extend(plan.customers.into_iter().map(|customer| (customer.id.clone(), customer)));
        for (hash, holder) in plan.freed {
            assert_eq!(self.addresses.remove(&hash).unwrap().0, holder);
        }
        for (hash, with) in plan.unseen {
            if let Some((_, others)) = self.addresses.get_mut(&hash) {
                others.remove(&with);
            }
        }
    }
}

fn lead(n: u64, (email, phone, name): (usize, usize, u8), batch: Option<&str>) -> Lead {
    let fields = [("email", EMAILS[email].to_owned()), ("phone", PHONES[phone].to_owned())];
    let fields = fields.into_iter().chain([("company", format!("Mill {name}"))]);
    let import = batch.map(|batch| Imported { batch: batch.to_owned(), row: n, quiet: true });
    Lead {
        id: lead_id("web", "any", n),
        origin: Origin { kind: "form".into(), name: "web".into() },
        external_id: None,
        received: Timestamp(n as i64 * 1_000),
        envelope: Envelope {
            fields: fields.map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Envelope::default()
        },
        needs_enrichment: false,
        manifest: 0,
        progress: Progress { import, ..Progress::default() },
        version: 1,
    }
}

fn rows(most: usize) -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    prop::collection::vec((0..EMAILS.len(), 0..PHONES.len(), 0..3u8), 0..most)
}

proptest! {
    #[test]
    fn a_batch_taken_back_in_any_order_had_never_been(
        before in rows(6),
        batch in rows(14),
        order in any::<prop::sample::Index>(),
        goes in prop::sample::select(vec![Goes::Batch, Goes::Alone]),
    ) {
        let policies = PolicySet::default();
        let mut world = World::default();
        for (n, row) in (1..).zip(before) {
            world.bring_in(lead(n, row, None), &policies);
        }
        let mut expected = world.clone();
        let mut ids = Vec::new();
        for (n, row) in (100..).zip(batch) {
            let lead = lead(n, row, (goes == Goes::Batch).then_some("spring"));
            ids.push(lead.id.clone());
            world.bring_in(lead, &policies);
        }
        if !ids.is_empty() {
            let turn = order.index(ids.len());
            ids.rotate_left(turn);
        }
        if goes == Goes::Alone {
            // What a lead joined rests on those that came after it.
            ids.sort_by_key(|id| std::cmp::Reverse(world.leads[id].received));
        }
        // Under which of its records a joined person came with an address is not kept.
        let joins = |lead: &Lead| lead.progress.receipt.iter().any(|receipt| !receipt.merges.is_empty());
        let has_joined = world.leads.values().any(joins);
        for id in &ids {
            world.take_back(id, goes, &policies);
        }
        if has_joined {
            for stored in [&mut world, &mut expected] {
                stored.addresses.values_mut().for_each(|(_, others)| others.clear());
            }
        }
        prop_assert_eq!(world, expected);
    }
}

#[test]
fn a_lead_that_came_later_keeps_what_it_came_by() {
    let policies = PolicySet::default();
    let mut world = World::default();
    world.bring_in(lead(1, (1, 1, 0), Some("spring")), &policies);
    world.bring_in(lead(2, (1, 0, 1), None), &policies);
    let first = lead_id("web", "any", 1);
    let customer = world.leads[&first].progress.customer.clone().unwrap();
    world.take_back(&first, Goes::Batch, &policies);
    assert_eq!(world.leads.len(), 1);
    let record = &world.customers[&customer];
    assert_eq!((record.leads, record.keys.len(), world.addresses.len()), (1, 1, 1), "the phone went");
    assert_eq!(record.facts["company"].value.reveal(), "Mill 1", "what it says itself");
    assert!(!record.facts.contains_key("phone"));
}

#[test]
fn a_lead_that_is_withdrawn_goes_alone_whoever_has_worked_on_it() {
    let policies = PolicySet::default();
    let mut world = World::default();
    for (n, row) in [(1, (1, 0, 0)), (2, (1, 1, 1)), (3, (1, 0, 2))] {
        world.bring_in(lead(n, row, None), &policies);
    }
    let [first, second, third] = [1, 2, 3].map(|n| lead_id("web", "any", n));
    let customer = world.leads[&first].progress.customer.clone().unwrap();
    world.leads.get_mut(&second).unwrap().progress.work = crate::lead::Work::Accepted;
    world.take_back(&second, Goes::Alone, &policies);
    assert_eq!(world.leads.keys().collect::<BTreeSet<_>>(), BTreeSet::from([&first, &third]));
    assert_eq!(world.leads[&third].progress.previous, Some(first), "the timeline goes on past it");
    let record = &world.customers[&customer];
    assert_eq!((record.leads, record.keys.len(), world.addresses.len()), (2, 1, 1), "the phone went");
    assert!(!record.facts.contains_key("phone"));
}

#[test]
fn who_did_something_themselves_stays_without_any_lead() {
    let policies = PolicySet::default();
    for has_lived in [false, true] {
        let mut world = World::default();
        world.bring_in(lead(1, (1, 1, 0), Some("spring")), &policies);
        let first = lead_id("web", "any", 1);
        let customer = world.leads[&first].progress.customer.clone().unwrap();
        if has_lived {
            world.lived.insert(customer.clone());
        }
        world.take_back(&first, Goes::Batch, &policies);
        assert!(world.leads.is_empty());
        let keys = world.customers.get(&customer).map(|record| (record.leads, record.keys.len()));
        assert_eq!(keys, has_lived.then_some((0, 2)));
        assert_eq!(world.addresses.len(), if has_lived { 2 } else { 0 }, "its addresses lead to it");
    }
}

#[test]
fn columns_are_read_as_the_forms_fields_are() {
    let form = Form {
        name: "demo".into(),
        fields: [("email".to_owned(), vec!["business_email".to_owned()])].into(),
        honeypot: Some("website_url2".into()),
        ..Form::default()
    };
    for (name, read_as) in [
        ("Business E-mail", Column::Standard("email")),
        ("email", Column::Other),
        ("First Name", Column::Standard("first_name")),
        ("utm_source", Column::Attribution),
        ("Created at", Column::Submitted),
        ("website_url2", Column::Hidden),
        ("Budget", Column::Other),
    ] {
        assert_eq!(column(name, &form), read_as, "{name}");
    }
    for (text, at) in [
        ("2026-01-05T10:00:00+01:00", Some("2026-01-05T09:00:00.000Z")),
        ("2026-01-05 10:00:30", Some("2026-01-05T10:00:30.000Z")),
        ("2026-01-05", Some("2026-01-05T00:00:00.000Z")),
        ("1767607200", Some("2026-01-05T10:00:00.000Z")),
        ("05.01.2026", None),
    ] {
        assert_eq!(submitted_at(text).map(Timestamp::rfc3339).as_deref(), at, "{text}");
    }
}

#[test]
fn the_columns_of_a_box_and_of_what_people_cannot_see_are_found_as_fields_are() {
    let consent = |field: &str| {
        serde_json::from_value(serde_json::json!({
            "field": field, "topic": "product", "wording": "Write to me.", "version": "1",
        }))
        .unwrap()
    };
    let form = |field: &str, honeypot: &str| Form {
        consent: Some(consent(field)),
        honeypot: Some(honeypot.to_owned()),
        ..Form::default()
    };
    let nested = form("contact[newsletter]", "contact[e-mail][]");
    for name in ["contact[newsletter]", "contact.newsletter", "Contact Newsletter"] {
        assert_eq!(column(name, &nested), Column::Consent, "{name}");
    }
    for name in ["contact[e-mail][]", "contact.e-mail"] {
        assert_eq!(column(name, &nested), Column::Hidden, "{name}");
    }
    let list = form("newsletter[]", "e-mail");
    assert_eq!(column("Newsletter", &list), Column::Consent);
    assert_eq!(
        (column("e-mail", &list), column("email", &list)),
        (Column::Hidden, Column::Standard("email"))
    );
    assert_eq!(column("13", &form("1.3", "hp")), Column::Other, "a name without letters is as it is written");
}

#[test]
fn a_batchs_name_is_safe_in_keys_and_paths() {
    assert!(is_batch_name("spring-2026.a_1"));
    for wrong in ["", "-a", "A", "a b", "a/b", "a#b", &"a".repeat(65)] {
        assert!(!is_batch_name(wrong), "{wrong}");
    }
}
