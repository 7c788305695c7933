//! Routing: first match, sticky owner, fall-through, escalation; and every decision can be made again.

use super::*;
use crate::calendar::Leave;
use crate::customer::{HashKey, HashKeys, Known, recognise};
use crate::id::LeadId;
use crate::lead::{Envelope, Lead, Origin, Progress, read};
use crate::policy::{Document, PolicySet};
use crate::team::TeamState;
use proptest::prelude::*;
use serde_json::json;

fn policies() -> PolicySet {
    let documents = [
        json!({"kind": "rep", "name": "li"}),
        json!({"kind": "rep", "name": "ana"}),
        json!({"kind": "rep", "name": "tom", "available": false}),
        json!({"kind": "team", "name": "big", "members": [{"rep": "li", "capacity": 1}, {"rep": "tom"}]}),
        json!({"kind": "team", "name": "all", "members": [{"rep": "li", "weight": 2}, {"rep": "ana", "capacity": 3}]}),
        json!({"kind": "routing", "name": "default", "rules": [
            {"name": "tests", "when": "lead.fields.email.endsWith('@test.example')", "end": "test"},
            {"name": "owner", "when": "customer.owner != ''", "assign": {"owner": "customer"}},
            {"name": "big", "when": "lead.fields.employees >= 200", "assign": {"team": "big"}},
            {"name": "germany", "when": "lead.country == 'DE'", "assign": {"rep": "tom"}},
            {"name": "rest", "when": "!has(lead.fields.nobody)", "assign": {"team": "all"}},
        ]}),
    ];
    PolicySet::build(7, documents.map(|document| Document::from_json(document).unwrap())).unwrap()
}

fn lead(n: usize, fields: &[(&str, &str)]) -> Lead {
    Lead {
        id: LeadId::derived(&[&n.to_string()]),
        origin: Origin { kind: "form".into(), name: "contact".into() },
        external_id: None,
        received: Timestamp(n as i64),
        envelope: Envelope {
            fields: fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            ..Envelope::default()
        },
        needs_enrichment: false,
        manifest: 7,
        progress: Progress::default(),
        version: 1,
    }
}

struct Office {
    policies: PolicySet,
    teams: BTreeMap<String, TeamState>,
}

impl Office {
    fn new() -> Self {
        let teams = ["big", "all"].map(|name| (name.to_owned(), TeamState::default()));
        Self { policies: policies(), teams: teams.into() }
    }

    /// Decides a lead of an unknown person, and checks that the receipt reproduces after a trip through JSON.
    fn decide(&mut self, lead: &Lead) -> Receipt {
        let reading = self.policies.reading(&lead.origin);
        let facts = read(&lead.origin, &lead.envelope, &reading, &self.policies.settings);
        let keys = HashKeys::new(HashKey::new("1", b"k"));
        let addresses = facts.identities.iter().map(|id| (keys.hashes(id).remove(0), None)).collect();
        let known = Known { addresses, ..Known::default() };
        let who = recognise(&lead.id, &facts.identities, &known, 3);
        let case = Case { lead, facts: &facts, known: &known, who: Some(&who) };
        let reps = self.policies.reps.keys().cloned();
        let desk = Desk { leave: reps.map(|rep| (rep, Leave::default())).collect(), ..Desk::default() };
        let mut missing = Missing::default();
        let live =
            LiveTeams { teams: &mut self.teams, desk: &desk, missing: &mut missing, looks_ahead: false };
        let receipt = decide(case, &self.policies, live, Timestamp(9));
        assert!(missing.is_empty());
        let stored: Receipt = serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap();
        assert_eq!(stored, receipt);
        assert!(explain(&stored, &facts, &self.policies).reproduced);
        receipt
    }
}

#[test]
fn a_test_of_the_senders_own_ends_as_a_test_whatever_the_rules_say() {
    let mut office = Office::new();
    let mut lead = lead(1, &[("email", "dummy@person.example")]);
    lead.envelope.attribution.insert("test".to_owned(), "true".to_owned());
    let receipt = office.decide(&lead);
    assert_eq!(receipt.outcome, Outcome::Ended(EndWord::Test));
    assert!(receipt.tried.is_empty());
}

#[test]
fn the_first_rule_that_matches_and_yields_somebody_decides() {
    let mut office = Office::new();
    let first = office.decide(&lead(1, &[("email", "a@example.com"), ("employees", "500")]));
    assert_eq!(first.outcome, Outcome::Assigned { rep: "li".into(), team: Some("big".into()) });
    // Li is full and Tom away: the big team yields nobody, and the rules after it are tried.
    let second = office.decide(&lead(2, &[("email", "b@example.com"), ("employees", "500")]));
    assert_eq!(second.tried[2], Verdict::Nobody);
    assert_eq!(second.outcome.state(), LeadState::Assigned);
    assert!(matches!(second.outcome, Outcome::Assigned { team: Some(ref team), .. } if team == "all"));
}

#[test]
fn a_condition_that_cannot_be_evaluated_is_no_match_and_says_so() {
    let receipt = Office::new().decide(&lead(1, &[("email", "a@example.com")]));
    assert!(matches!(receipt.tried[2], Verdict::Error(_)), "{:?}", receipt.tried);
}

#[test]
fn a_rule_may_end_a_lead_and_an_empty_one_is_invalid() {
    let mut office = Office::new();
    assert_eq!(office.decide(&lead(1, &[("email", "x@test.example")])).outcome.state(), LeadState::Test);
    assert_eq!(office.decide(&lead(2, &[("email", "  ")])).outcome, Outcome::Invalid);
}

#[test]
fn when_no_rule_yields_anybody_the_lead_is_escalated() {
    let receipt = Office::new().decide(&lead(1, &[("email", "a@example.com"), ("nobody", "yes")]));
    assert_eq!(receipt.outcome, Outcome::Escalated);
    assert_eq!(receipt.tried.len(), 5);
}

#[test]
fn an_explanation_of_something_that_was_not_decided_is_found_out() {
    let mut office = Office::new();
    let lead = lead(1, &[("email", "a@example.com")]);
    let mut receipt = office.decide(&lead);
    receipt.outcome = Outcome::Assigned { rep: "tom".into(), team: Some("all".into()) };
    let facts =
        read(&lead.origin, &lead.envelope, &office.policies.reading(&lead.origin), &office.policies.settings);
    assert!(!explain(&receipt, &facts, &office.policies).reproduced);
}

proptest! {
    /// Whatever comes in, decisions reproduce, capacities hold and weights are kept.
    #[test]
    fn every_decision_can_be_made_again(posts in prop::collection::vec((0u16..400, 0u8..4), 1..60)) {
        let mut office = Office::new();
        for (n, (employees, kind)) in posts.into_iter().enumerate() {
            let employees = employees.to_string();
            let mail = format!("p{n}@example.com");
            let mut fields = vec![("email", mail.as_str()), ("employees", employees.as_str())];
            match kind {
                0 => fields.push(("country", "Germany")),
                1 => fields.push(("nobody", "yes")),
                2 => fields.push(("employees", "many")),
                _ => {}
            }
            office.decide(&lead(n, &fields));
            let open = |team: &str, rep: &str| office.teams[team].members.get(rep).map_or(0, |m| m.open);
            prop_assert!(open("big", "li") <= 1 && open("all", "ana") <= 3 && open("big", "tom") == 0);
        }
    }
}

#[test]
fn what_is_missing_is_asked_for_as_it_is_needed_and_then_all_at_once() {
    let mut office = Office::new();
    office.teams.clear();
    let lead = lead(1, &[("email", "a@person.example"), ("employees", "500")]);
    let reading = office.policies.reading(&lead.origin);
    let facts = read(&lead.origin, &lead.envelope, &reading, &office.policies.settings);
    let case = Case { lead: &lead, facts: &facts, known: &Known::default(), who: None };
    let mut asked = |looks_ahead| {
        let (desk, mut missing) = (Desk::default(), Missing::default());
        let live = LiveTeams { teams: &mut office.teams, desk: &desk, missing: &mut missing, looks_ahead };
        decide(case, &office.policies, live, Timestamp(9));
        (missing.teams.into_iter().collect::<Vec<_>>(), missing.reps.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(asked(false), (vec!["big".to_owned()], vec!["li".to_owned()]));
    let all = vec!["all".to_owned(), "big".to_owned()];
    assert_eq!(asked(true), (all, vec!["ana".to_owned(), "li".to_owned()]));
}
