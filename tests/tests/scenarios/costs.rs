//! What a lead costs in the table, where that must not grow with the company.

use crate::results::{counters_equal_the_entries, report, row};
use crate::routing::policies;
use crate::timeline::{Call, take, user};
use crate::tracking::entries;
use serde_json::json;
use sluice::host::spec::named;
use sluice_domain::event::{Entry, Event, Happened, Who};
use sluice_domain::id::{CustomerId, EventId};
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::{Running, Setup};
use sluice_wire::queue::{EventMessage, encode};
use std::fmt::Write;
use std::time::Duration;

/// Units read and written for one new lead.
async fn cost(run: &Running, n: usize) -> (f64, f64) {
    let [email, phone] = person(n);
    cost_of(run, &[("email", &email), ("phone", &phone)]).await
}

fn person(n: usize) -> [String; 2] {
    [format!("cost{n}@person.example"), format!("+1201555{:04}", 1_000 + n)]
}

/// Units read and written for one lead.
async fn cost_of(run: &Running, fields: &[(&str, &str)]) -> (f64, f64) {
    let _ = run.stack.dynamodb.take_meter();
    let lead = run.lead(fields).await;
    let units = units(run);
    assert_ne!(run.show(&lead).await["state"], "escalated");
    units
}

/// Units read and written since the meter was emptied. Documents are asked for every few seconds, by `Query`, and not counted.
fn units(run: &Running) -> (f64, f64) {
    let meter = run.stack.dynamodb.take_meter();
    let get =
        ["GetItem", "BatchGetItem"].map(|name| meter.operations.get(name).map_or(0.0, |op| op.read.total()));
    (get.into_iter().sum(), meter.write_units())
}

fn reps(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("r{n}")).collect()
}

fn members(reps: &[String]) -> String {
    let list: Vec<String> = reps.iter().map(|rep| format!("{{ rep: {rep} }}")).collect();
    format!("[{}]", list.join(", "))
}

async fn team_of(n: usize, rules: &str) -> Running {
    let reps = reps(n);
    let names: Vec<&str> = reps.iter().map(String::as_str).collect();
    Setup::policies(policies(&names, &[("sdr", &members(&reps))], rules)).start().await
}

const ALL: &str = "  - name: all\n    assign: { team: sdr }\n";

fn sum<const N: usize>(costs: [(f64, f64); N]) -> (f64, f64) {
    costs.into_iter().fold((0.0, 0.0), |(read, write), (r, w)| (read + r, write + w))
}

/// What each kind of lead reads and writes: to route it, the index and the ledger included; to tell its owner; and to take its two
/// events, that it came in and who has it, of which `what_the_events_of_a_lead_cost` says what they are made of.
#[tokio::test]
async fn what_each_kind_of_lead_costs() {
    const TELL: (f64, f64) = (1.0, 2.0);
    let keep = "  - name: keep\n    when: customer.owner != ''\n    assign: { owner: customer }\n";
    let run = team_of(5, &format!("{keep}{ALL}")).await;
    cost(&run, 0).await;
    let new = cost(&run, 1).await;
    let repeat = cost(&run, 1).await;
    let [email, phone] = person(1);
    let again = [("email", email.as_str()), ("phone", phone.as_str()), ("note", "one more question")];
    // What brings somebody twice within one second is one touch, which the state has already.
    run.pass(Duration::from_secs(60)).await;
    let returning = cost_of(&run, &again).await;
    let [email, phone] = person(2);
    cost_of(&run, &[("email", &email)]).await;
    cost_of(&run, &[("phone", &phone)]).await;
    run.pass(Duration::from_secs(60)).await;
    let joined = cost(&run, 2).await;
    assert_eq!(
        [
            ("new, with two identities", new),
            ("a repeat, of which nobody is told", repeat),
            ("a returning customer, who keeps the owner", returning),
            ("two customers become one", joined),
        ],
        [
            ("new, with two identities", sum([(6.0, 10.0), TELL, (4.0, 12.0)])),
            ("a repeat, of which nobody is told", (4.0, 7.0)),
            // The owner has it by no team: none is written, and the state is there already.
            // Neither they nor who was joined said a name: the notice looks for it in their record.
            ("a returning customer, who keeps the owner", sum([(7.0, 8.0), TELL, (1.0, 0.0), (4.0, 10.0)])),
            // The events read the other half's record and state, and look for themselves there, too.
            ("two customers become one", sum([(8.0, 10.0), TELL, (1.0, 0.0), (8.0, 10.0)])),
        ]
    );
    run.finish().await;
}

/// Units read and written for the two events of a lead when they are told of another customer, a while later, in one message or each in
/// its own.
async fn cost_of_events(run: &Running, customer: &CustomerId, told: &[Entry], messages: usize) -> (f64, f64) {
    let n = entries(run).len();
    let events = told.iter().map(|entry| {
        let id = EventId::derived(&[&entry.event.name, customer.as_str(), &n.to_string()]);
        let at = entry.event.at.plus_millis(n as i64 * 1000);
        let event = Event { id, at, ..entry.event.clone() };
        Happened { who: Who::Customer(customer.clone()), event }
    });
    let events: Vec<Happened> = events.collect();
    let _ = run.stack.dynamodb.take_meter();
    for events in events.chunks(told.len() / messages) {
        let body = encode(&EventMessage::Events(events.to_vec()));
        run.stack.sqs.send(&named("EventQueue"), OutgoingMessage::new(body)).unwrap();
        run.settle().await;
    }
    units(run)
}

#[tokio::test]
async fn what_the_events_of_a_lead_cost() {
    let run = team_of(2, ALL).await;
    let [email, _] = person(0);
    run.lead(&[("email", &email), ("utm_source", "Google"), ("utm_campaign", "Spring")]).await;
    let mut told: Vec<Entry> = entries(&run).into_values().collect();
    told.sort_by(|one, other| other.event.name.cmp(&one.event.name));
    let names: Vec<&str> = told.iter().map(|entry| entry.event.name.as_str()).collect();
    assert_eq!(names, ["lead_captured", "lead_assigned"]);
    let mut others = Vec::new();
    for n in 0..2 {
        let name = format!("u-{n}");
        take(&run, vec![Call::identify(&name, 0, json!({})).user(&name)]).await;
        others.push(CustomerId::parse(user(&run, &name).await["id"].as_str().unwrap()).unwrap());
    }
    let mut costs = Vec::new();
    for (what, customer, messages) in [
        ("of somebody new", &others[0], 1),
        ("of somebody who has a state", &others[0], 1),
        ("of somebody new, each by itself", &others[1], 2),
    ] {
        costs.push((what, cost_of_events(&run, customer, &told, messages).await));
    }
    // Each item twice, since they are one transaction: an entry for each event, the state with what brought the person, the cell of
    // the source with the advertisement, the cell of the team with the rep; and of somebody who has no state yet a look at the record.
    assert_eq!(
        costs,
        [
            ("of somebody new", (4.0, 2.0 * 6.0)),
            ("of somebody who has a state", (4.0, 2.0 * 5.0)),
            // The second stands alone with its cell: whether the record is still there is read afterwards.
            ("of somebody new, each by itself", (7.0, 2.0 * 6.0)),
        ]
    );
    counters_equal_the_entries(&run);
    let sources = report(&run, "sources").await;
    for of in ["source/contact", "ad/google/spring"] {
        assert_eq!(row(&sources, "source", of)["leads"], 4, "{sources:#}");
    }
    assert_eq!(row(&report(&run, "teams").await, "name", "sdr")["assigned"], 4);
    let reps = report(&run, "reps").await;
    assert_eq!(reps["rows"].as_array().unwrap().len(), 1, "{reps:#}");
    assert_eq!(reps["rows"][0]["assigned"], 4);
    run.finish().await;
}

#[tokio::test]
async fn what_a_lead_reads_does_not_grow_with_its_team() {
    let mut costs = Vec::new();
    for n in [2, 40] {
        let run = team_of(n, ALL).await;
        cost(&run, 0).await;
        let (read, _) = cost(&run, 1).await;
        // The lead, its two addresses, the team with the count of absences, the lead again; then its notice.
        costs.push(read);
        let away = json!({"leave": [{"from": "2026-03-02", "to": "2026-03-04"}]});
        assert_eq!(run.api("PUT", "/api/reps/r0/leave", Some(away)).await.0, 200);
        run.settle().await;
        let (after_change, _) = cost(&run, 2).await;
        assert!(after_change >= read + n as f64, "all are read once: {after_change} after {read}");
        assert_eq!(cost(&run, 3).await.0, read, "and then no longer");
        run.finish().await;
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn what_a_lead_writes_does_not_grow_with_the_rules_before_the_one_that_matches() {
    let mut costs = Vec::new();
    for n in [0, 300] {
        let mut rules = String::new();
        for rule in 0..n {
            let when = format!("lead.fields.company == 'Nobody {rule}'");
            writeln!(rules, "  - name: idle {rule}\n    when: \"{when}\"\n    assign: {{ team: sdr }}")
                .unwrap();
        }
        let run = team_of(2, &(rules + ALL)).await;
        cost(&run, 0).await;
        costs.push(cost(&run, 1).await.1);
        run.finish().await;
    }
    assert_eq!(costs[0], costs[1]);
}
