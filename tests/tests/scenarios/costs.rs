//! What a lead costs in the table, where that must not grow with the company.

use crate::routing::{owner, policies};
use serde_json::json;
use sluice_tests::stack::{Running, Setup};
use std::fmt::Write;

/// Units read and written for one new lead. Documents are asked for every few seconds, by `Query`, and not counted.
async fn cost(run: &Running, n: usize) -> (f64, f64) {
    let _ = run.stack.dynamodb.take_meter();
    let fields =
        [("email", format!("cost{n}@person.example")), ("phone", format!("+1201555{:04}", 1_000 + n))];
    let lead = run.lead(&fields.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
    let meter = run.stack.dynamodb.take_meter();
    let get =
        ["GetItem", "BatchGetItem"].map(|name| meter.operations.get(name).map_or(0.0, |op| op.read.total()));
    owner(run, &lead).await;
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
    assert!(costs[0] <= 7.0, "{costs:?}");
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
