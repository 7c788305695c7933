//! What a lead costs in the table, where that must not grow with the company.

use crate::routing::policies;
use serde_json::json;
use sluice_tests::stack::{Running, Setup};
use std::fmt::Write;

/// Units read and written for one new lead.
async fn cost(run: &Running, n: usize) -> (f64, f64) {
    let [email, phone] = person(n);
    cost_of(run, &[("email", &email), ("phone", &phone)]).await
}

fn person(n: usize) -> [String; 2] {
    [format!("cost{n}@person.example"), format!("+1201555{:04}", 1_000 + n)]
}

/// Units read and written for one lead. Documents are asked for every few seconds, by `Query`, and not counted.
async fn cost_of(run: &Running, fields: &[(&str, &str)]) -> (f64, f64) {
    let _ = run.stack.dynamodb.take_meter();
    let lead = run.lead(fields).await;
    let meter = run.stack.dynamodb.take_meter();
    let get =
        ["GetItem", "BatchGetItem"].map(|name| meter.operations.get(name).map_or(0.0, |op| op.read.total()));
    assert_ne!(run.show(&lead).await["state"], "escalated");
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

/// What the two events of a lead read and write: taken together, in one transaction of two entries, a look at the record, the state with
/// the touch, and the counters of source, team and rep, each twice.
const EVENTS: (f64, f64) = (4.0, 14.0);

const ALL: &str = "  - name: all\n    assign: { team: sdr }\n";

/// What each kind of lead reads and writes, the index and the ledger included; telling the owner reads one and writes two, and
/// that it came in and who has it are two events.
#[tokio::test]
async fn what_each_kind_of_lead_costs() {
    let keep = "  - name: keep\n    when: customer.owner != ''\n    assign: { owner: customer }\n";
    let run = team_of(5, &format!("{keep}{ALL}")).await;
    cost(&run, 0).await;
    // Whether the two events are taken together or one after the other is the queue's to say: apart they read one more and
    // write two fewer. So both are counted as one number.
    let told = |(read, write): (f64, f64)| (read - 1.0 - EVENTS.0) * 2.0 + write - 2.0 - EVENTS.1;
    let new = told(cost(&run, 1).await);
    assert_eq!(cost(&run, 1).await, (4.0, 7.0), "a repeat, of which nobody is told");
    let [email, phone] = person(1);
    let again = [("email", email.as_str()), ("phone", phone.as_str()), ("note", "one more question")];
    let returning = told(cost_of(&run, &again).await);
    let [email, phone] = person(2);
    cost_of(&run, &[("email", &email)]).await;
    cost_of(&run, &[("phone", &phone)]).await;
    let joined = told(cost(&run, 2).await);
    assert_eq!(
        [
            ("new, with two identities", new),
            ("a returning customer, who keeps the owner", returning),
            // The two events read the other half's record and state as well.
            ("two customers become one", joined),
        ],
        [
            ("new, with two identities", 6.0 * 2.0 + 10.0),
            // The owner has it by no team: one counter less.
            ("a returning customer, who keeps the owner", 7.0 * 2.0 + 8.0 - 2.0),
            ("two customers become one", (8.0 + 4.0) * 2.0 + 10.0 - 2.0),
        ]
    );
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
