//! Routing: first match, sticky owner, fall-through, escalation; and every decision can be made again.

use super::*;
use crate::calendar::Leave;
use crate::customer::{HashKey, HashKeys, Known, recognise};
use crate::id::{CustomerId, LeadId};
use crate::lead::{Envelope, Lead, Origin, Progress, read};
use crate::policy::{Document, PolicySet};
use crate::team::{MemberState, TeamState};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

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
    companies: BTreeMap<String, (String, Option<String>)>,
    now: Timestamp,
}

impl Office {
    fn new() -> Self {
        let teams = ["big", "all"].map(|name| (name.to_owned(), TeamState::default()));
        Self { policies: policies(), teams: teams.into(), companies: BTreeMap::new(), now: Timestamp(9) }
    }

    /// An office with reps called so, these other documents and rules.
    fn of<const N: usize>(reps: &[&str], documents: [Value; N], rules: Value) -> Self {
        let reps = reps.iter().map(|name| json!({"kind": "rep", "name": name}));
        let routing = json!({"kind": "routing", "name": "default", "rules": rules});
        let documents: Vec<Document> = documents
            .into_iter()
            .chain(reps)
            .chain([routing])
            .map(|document| Document::from_json(document).unwrap())
            .collect();
        assert_eq!(crate::policy::check(&documents), []);
        let policies = PolicySet::build(7, documents).unwrap();
        let rounds =
            policies.routing.rules.iter().filter_map(|(rule, _)| match &rule.assign.as_ref()?.target {
                Target::Teams { teams, .. } => Some(round_name(teams)),
                _ => None,
            });
        let names = policies.teams.keys().cloned().chain(rounds);
        let teams = names.map(|name| (name, TeamState::default())).collect();
        Self { policies, teams, companies: BTreeMap::new(), now: Timestamp(9) }
    }

    /// The same at another time.
    fn at(&mut self, now: &str) -> &mut Self {
        self.now = Timestamp::parse(now).unwrap();
        self
    }

    fn why(&self, lead: &Lead, receipt: &Receipt) -> String {
        let reading = self.policies.reading(&lead.origin);
        let facts = read(&lead.origin, &lead.envelope, &reading, &self.policies.settings);
        explain(receipt, &facts, &self.policies).why.join("\n")
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
        let leave = reps.map(|rep| (rep, Leave::default())).collect();
        let desk = Desk { leave, companies: self.companies.clone() };
        let mut missing = Missing::default();
        let live =
            LiveTeams { teams: &mut self.teams, desk: &desk, missing: &mut missing, looks_ahead: false };
        let receipt = decide(case, &self.policies, live, self.now);
        assert!(missing.is_empty());
        let stored: Receipt = serde_json::from_str(&serde_json::to_string(&receipt).unwrap()).unwrap();
        assert_eq!(stored, receipt);
        let (progress, _) = change(case, stored, &self.policies);
        let decided = Lead { progress, ..lead.clone() };
        assert_eq!(reproduced(&decided, &facts, &self.policies), Some(true));
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
    let customer = Some(CustomerId::derived(&[lead.id.as_str()]));
    let progress = Progress { customer, receipt: Some(receipt), ..Progress::default() };
    let told = Lead { progress, ..lead };
    assert_eq!(reproduced(&told, &facts, &office.policies), Some(false));
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

#[test]
fn teams_that_are_all_off_duty_and_say_wait_keep_the_lead_from_later_rules() {
    let team = |name: &str, rep: &str, hours: &str, off_hours: &str| {
        json!({"kind": "team", "name": name, "members": [{"rep": rep}], "off_hours": off_hours,
            "hours": {"zone": "UTC", "daily": hours}})
    };
    for by in ["first", "round"] {
        let office = |teams: [&str; 2]| {
            let documents = [
                team("early", "ann", "10:00-17:00", "wait"),
                team("late", "bo", "12:00-17:00", "wait"),
                team("usual", "bo", "12:00-17:00", "escalate"),
            ];
            let rules = json!([
                {"name": "both", "assign": {"teams": teams, "by": by}},
                {"name": "rest", "assign": {"rep": "cy"}},
            ]);
            Office::of(&["ann", "bo", "cy"], documents, rules)
        };
        let lead = lead(1, &[("email", "a@person.example")]);
        let mut waiting = office(["late", "early"]);
        let receipt = waiting.at("2026-03-02T09:00:00Z").decide(&lead);
        assert_eq!((&receipt.tried, &receipt.outcome), (&vec![Verdict::Waits], &Outcome::Escalated), "{by}");
        assert!(receipt.waits_for_hours());
        assert_eq!(receipt.saw.first_back(), Timestamp::parse("2026-03-02T10:00:00Z"));
        let why = waiting.why(&lead, &receipt);
        assert!(
            why.contains("nobody of the teams who could take it is on duty, and their leads wait:"),
            "{why}"
        );
        assert!(why.contains("Waits for the first who is back, at 2026-03-02T10:00:00.000Z."), "{why}");
        let receipt = waiting.at("2026-03-02T10:00:00Z").decide(&lead);
        assert_eq!(receipt.outcome, Outcome::Assigned { rep: "ann".into(), team: Some("early".into()) });
        // One of them does not wait.
        let receipt = office(["early", "usual"]).at("2026-03-02T09:00:00Z").decide(&lead);
        assert_eq!(receipt.tried, [Verdict::Nobody, Verdict::Decided], "{by}");
    }
}

#[test]
fn a_lead_waits_only_for_who_could_take_it_and_while_nobody_is_on_duty() {
    let rep = |name: &str, hours: &str| json!({"kind": "rep", "name": name, "languages": ["de"], "hours": {"zone": "UTC", "daily": hours}});
    let office = |capacity: u32, need: serde_json::Value| {
        let team = json!({"kind": "team", "name": "sdr", "off_hours": "wait", "need": need,
            "members": [{"rep": "ann", "capacity": capacity}, {"rep": "bo"}]});
        let rules = json!([
            {"name": "all", "assign": {"team": "sdr"}},
            {"name": "rest", "assign": {"rep": "cy"}},
        ]);
        Office::of(&["cy"], [rep("ann", "10:00-17:00"), rep("bo", "12:00-17:00"), team], rules)
    };
    let lead = |n| lead(n, &[("email", &format!("{n}@person.example"))]);
    // Ann is at work and full: the team is on duty, and the next rule has its turn.
    let mut full = office(1, json!({}));
    let receipt = full.at("2026-03-02T11:00:00Z").decide(&lead(1));
    assert_eq!(receipt.outcome, Outcome::Assigned { rep: "ann".into(), team: Some("sdr".into()) });
    let receipt = full.decide(&lead(2));
    assert_eq!(receipt.tried, [Verdict::Nobody, Verdict::Decided]);
    // Before she is, the lead waits for her.
    let receipt = office(1, json!({})).at("2026-03-02T09:00:00Z").decide(&lead(3));
    assert_eq!(receipt.tried, [Verdict::Waits]);
    // Nobody of them can ever take it, at work or not.
    for now in ["2026-03-02T09:00:00Z", "2026-03-02T11:00:00Z"] {
        let receipt = office(9, json!({"language": "fr"})).at(now).decide(&lead(4));
        assert_eq!(receipt.tried, [Verdict::Nobody, Verdict::Decided], "{now}");
    }
}

#[test]
fn a_day_of_leave_is_one_of_the_team_for_who_has_no_hours_of_their_own() {
    let team = |name: &str, zone: &str| {
        json!({"kind": "team", "name": name, "members": [{"rep": "ann"}],
            "hours": {"zone": zone, "daily": "09:00-17:00"}})
    };
    let ann = json!({"kind": "rep", "name": "ann", "leave": [{"from": "2026-01-05", "to": "2026-01-05"}]});
    let rules = json!([
        {"name": "owner", "assign": {"owner": "company"}},
        {"name": "named", "when": "has(lead.fields.ann)", "assign": {"rep": "ann"}},
        {"name": "rest", "assign": {"rep": "bo"}},
    ]);
    let owner = |receipt: &Receipt| match &receipt.outcome {
        Outcome::Assigned { rep, .. } => rep.clone(),
        other => panic!("{other:?}"),
    };
    let known = [("email", "a@firm.example"), ("ann", "yes")];
    // Six in the evening of the fourth there, five in the evening of the fifth, and the sixth.
    let times = ["2026-01-05T02:00:00Z", "2026-01-06T01:00:00Z", "2026-01-06T08:00:00Z"];
    let la = team("la", "America/Los_Angeles");
    let mut office = Office::of(&["bo"], [la.clone(), ann.clone()], rules.clone());
    assert_eq!(office.policies.zone_of("ann", None).name(), "America/Los_Angeles");
    office.companies.insert("firm.example".into(), ("ann".into(), Some("la".into())));
    for (n, (now, expected)) in times.into_iter().zip(["ann", "bo", "ann"]).enumerate() {
        let lead = lead(n, &known);
        let receipt = office.at(now).decide(&lead);
        assert_eq!(owner(&receipt), expected, "{now}");
        if expected == "bo" {
            let why = office.why(&lead, &receipt);
            assert!(why.contains("the owner ann is on leave until 2026-01-06T08:00:00.000Z"), "{why}");
            assert!(why.contains("but ann is on leave until 2026-01-06T08:00:00.000Z"), "{why}");
        }
    }
    // Of several teams it is the one they have the customer through; asked for by name, the first.
    let mut office = Office::of(&["bo"], [la, team("berlin", "Europe/Berlin"), ann], rules);
    office.companies.insert("firm.example".into(), ("ann".into(), Some("la".into())));
    let receipt = office.at("2026-01-06T01:00:00Z").decide(&lead(9, &known));
    assert_eq!((&receipt.tried[..1], owner(&receipt)), (&[Verdict::OwnerAway][..], "ann".to_owned()));
}

#[test]
fn who_is_asked_although_off_duty_is_asked_for_their_leave() {
    let team = json!({"kind": "team", "name": "sdr", "members": [{"rep": "ann"}], "off_hours": "anyway",
        "hours": {"zone": "UTC", "daily": "10:00-17:00"}});
    let office = Office::of(&["ann"], [team], json!([{"name": "all", "assign": {"team": "sdr"}}]));
    let mut missing = Missing::default();
    missing.team("sdr", &office.policies, Timestamp::parse("2026-03-02T09:00:00Z").unwrap());
    assert!(missing.reps.contains("ann"), "{missing:?}");
    // Where nobody is on duty it is asked who is back first.
    let team = |hours: &str| {
        json!({"kind": "team", "name": "sdr", "members": [{"rep": "ann"}, {"rep": "bo"}],
            "hours": {"zone": "UTC", "daily": hours}})
    };
    let bo = json!({"kind": "rep", "name": "bo", "hours": {"zone": "UTC", "daily": "08:00-12:00"}});
    for (hours, expected) in [("10:00-17:00", vec!["bo"]), ("08:30-17:00", vec!["ann", "bo"])] {
        let office = Office::of(&["ann"], [bo.clone(), team(hours)], json!([]));
        for (now, expected) in
            [("2026-03-02T09:00:00Z", expected), ("2026-03-02T06:00:00Z", vec!["ann", "bo"])]
        {
            let mut missing = Missing::default();
            missing.team("sdr", &office.policies, Timestamp::parse(now).unwrap());
            assert_eq!(
                missing.reps.iter().map(String::as_str).collect::<Vec<_>>(),
                expected,
                "{hours} {now}"
            );
        }
    }
}

#[test]
fn what_the_rule_that_decided_asks_for_is_known_afterwards() {
    let rule = |when: &str, skill: &str| json!({"name": skill, "when": when, "assign": {"team": "sdr", "need": {"skills": [skill]}}});
    let rules = json!([rule("lead.country == 'DE'", "german"), rule("lead.country == 'FR'", "french")]);
    let ann = json!({"kind": "rep", "name": "ann", "skills": ["german", "french"]});
    let team = json!({"kind": "team", "name": "sdr", "members": [{"rep": "ann"}]});
    let mut office = Office::of(&[], [ann, team], rules);
    let mut need = |n: usize, country: &str| {
        let receipt = office.decide(&lead(n, &[("email", "a@person.example"), ("country", country)]));
        receipt.need(&office.policies).map(|need| need.skills.clone())
    };
    assert_eq!(need(1, "FR"), Some(vec!["french".to_owned()]));
    assert_eq!(need(2, "IT"), None, "no rule decided");
}

#[test]
fn open_leads_of_teams_that_a_rep_left_count_for_their_capacity_over_all() {
    let team = |name: &str, rep: &str| json!({"kind": "team", "name": name, "members": [{"rep": rep}]});
    let ann = json!({"kind": "rep", "name": "ann", "capacity": 2});
    let rules =
        json!([{"name": "all", "assign": {"team": "sdr"}}, {"name": "rest", "assign": {"rep": "bo"}}]);
    let mut office = Office::of(&["bo"], [ann, team("sdr", "ann"), team("west", "bo")], rules);
    let place = MemberState { open: 1, ..MemberState::default() };
    // One of a team that she is in no longer, one of a team that there is no longer.
    for name in ["west", "gone"] {
        office.policies.left.entry(name.to_owned()).or_default().insert("ann".to_owned());
        let state = office.teams.entry(name.to_owned()).or_default();
        state.members.insert("ann".to_owned(), place.clone());
    }
    let first = lead(1, &[("email", "a@person.example")]);
    let receipt = office.decide(&first);
    assert_eq!(receipt.tried, [Verdict::Nobody, Verdict::Decided]);
    let why = office.why(&first, &receipt);
    assert!(why.contains("ann: passed over, full (2 of 2 open over all teams)"), "{why}");
    // One is closed.
    office.teams.remove("gone");
    office.teams.insert("gone".to_owned(), TeamState::default());
    let receipt = office.decide(&lead(2, &[("email", "b@person.example")]));
    assert_eq!(receipt.outcome, Outcome::Assigned { rep: "ann".into(), team: Some("sdr".into()) });
    // They are read with the team, and hold what is given through it.
    let all = BTreeSet::from(["gone", "sdr", "west"].map(str::to_owned));
    let mut missing = Missing::default();
    missing.team("sdr", &office.policies, Timestamp(9));
    assert_eq!(missing.teams, all);
    assert_eq!(watched(&office.policies, &BTreeMap::new(), &office.teams), all);
}

#[test]
fn a_lead_in_the_queue_of_a_team_that_is_gone_is_decided_anew_and_says_so() {
    let team = |name: &str| json!({"kind": "team", "name": name, "members": [{"rep": "ann"}]});
    let desk = json!([{"name": "desk", "assign": {"queue": "desk"}}]);
    let mut office = Office::of(&["ann"], [team("desk")], desk);
    let mut lead = lead(1, &[("email", "a@person.example")]);
    let receipt = office.decide(&lead);
    (lead.progress.state, lead.progress.receipt) = (receipt.outcome.state(), Some(receipt));
    assert_eq!(lead.progress.queue(), Some("desk"));
    assert!(!lead.progress.is_stranded(&office.policies));
    let mut later = Office::of(&["ann"], [team("sdr")], json!([{"name": "all", "assign": {"team": "sdr"}}]));
    for (version, is_stranded) in [(6, false), (7, false), (8, true)] {
        later.policies.version = version;
        assert_eq!(lead.progress.is_stranded(&later.policies), is_stranded, "{version}");
    }
    later.at("2026-03-02T09:00:00Z");
    let receipt = later.decide(&lead);
    assert_eq!(receipt.outcome, Outcome::Assigned { rep: "ann".into(), team: Some("sdr".into()) });
    lead.progress.waited(&receipt);
    let said = lead.progress.waits.first().map(ToString::to_string);
    let waited = "Waited from 1970-01-01T00:00:00.009Z to 2026-03-02T09:00:00.000Z in the queue of team desk, until \
                  there was no such team any more: decided anew.";
    assert_eq!(said.as_deref(), Some(waited));
    assert!(!lead.progress.was_escalated(), "somebody might have taken it");
}

#[test]
fn a_company_is_whose_first_lead_it_was_until_they_take_no_more_or_leave() {
    let mut office = Office::new();
    let receipt = office.decide(&lead(1, &[("email", "a@firm.example")]));
    let Outcome::Assigned { rep, team } = receipt.outcome.clone() else { panic!("{receipt:?}") };
    let owner = |rep: &str| Ownership { rep: rep.to_owned(), team: None, since: Timestamp(1) };
    let policies = &office.policies;
    let got = Some(Ownership { rep, team, since: receipt.at });
    assert_eq!(company_owned(None, &receipt, policies), got);
    assert_eq!(company_owned(Some(&owner("li")), &receipt, policies), None, "who takes leads keeps it");
    for no_more in ["tom", "gone"] {
        assert_eq!(company_owned(Some(&owner(no_more)), &receipt, policies), got, "{no_more}");
    }
    let ended = Receipt { outcome: Outcome::Escalated, ..receipt };
    assert_eq!(company_owned(None, &ended, policies), None, "nobody got it");

    let along = company_goes_along(&owner("li"), "li", "ana", Some("all"));
    let ana = Ownership { rep: "ana".into(), team: Some("all".into()), since: Timestamp(1) };
    assert_eq!(along, Some(ana), "since when it is known");
    assert_eq!(company_goes_along(&owner("ana"), "li", "tom", None), None, "somebody else's by now");
}
