//! Campaigns and who people turn out to be while they go out.

use crate::campaigns::{ask, broadcast, counters_equal_the_ledger, mails, minutes, people, rest, with};
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_store::keys;
use sluice_tests::stack::Running;

/// Says that two records are one person.
async fn join(run: &Running, one: &str, other: &str) {
    let mut ids = Vec::new();
    for email in [one, other] {
        let (_, found) = run.lookup(json!({ "email": email })).await;
        ids.push(found["id"].clone());
    }
    let path = format!("/api/customers/{}/merge", ids[0].as_str().unwrap());
    let (status, answer) = run.api("POST", &path, Some(json!({ "with": ids[1] }))).await;
    assert_eq!(status, 200, "{answer:#}");
    rest(run).await;
}

#[tokio::test]
async fn who_turns_out_to_be_one_person_while_it_goes_out_gets_it_once() {
    let run = with("at: now\nspread: 1h").await;
    let everybody = people(&run, 12, &[]).await;
    ask(&run, "schedule").await;
    let mut got = mails(&run);
    while got.len() < 3 {
        minutes(&run, 1).await;
        got = mails(&run);
    }
    let (had, had_not): (Vec<&String>, Vec<&String>) =
        everybody.iter().partition(|email| got.contains_key(*email));
    assert!(had_not.len() >= 5, "{got:?}");
    // Who has got it is who still waits; two who wait are one; and so are three.
    let one_each =
        [vec![had[0], had_not[0]], vec![had_not[1], had_not[2]], vec![had[1], had_not[3], had_not[4]]];
    for records in &one_each {
        for other in &records[1..] {
            join(&run, records[0], other).await;
        }
    }
    minutes(&run, 62).await;
    let got = mails(&run);
    for records in &one_each {
        let n: usize = records.iter().filter_map(|email| got.get(*email)).sum();
        assert_eq!(n, 1, "{records:?}: {got:?}");
    }
    let joined: Vec<&String> = one_each.iter().flatten().copied().collect();
    assert!(everybody.iter().all(|email| joined.contains(&email) || got[email] == 1), "{got:?}");
    let shown = broadcast(&run).await;
    assert_eq!((&shown["skipped"]["merged"], &shown["counts"]["sent"]), (&json!(4), &json!(8)), "{shown:#}");
    assert_eq!(shown["state"], "done");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn who_is_one_person_when_it_begins_is_planned_for_once() {
    let run = with("at: now").await;
    let everybody = people(&run, 3, &[]).await;
    join(&run, &everybody[0], &everybody[1]).await;
    ask(&run, "schedule").await;
    minutes(&run, 2).await;
    let shown = broadcast(&run).await;
    assert_eq!(
        (&shown["counts"]["planned"], &shown["skipped"]),
        (&json!(2), &Value::Object(Default::default()))
    );
    assert_eq!(mails(&run).values().sum::<usize>(), 2);
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn an_audience_is_found_among_whatever_else_the_table_holds() {
    let run = with("at: now").await;
    let everybody = people(&run, 20, &[]).await;
    let table = named("Table");
    for n in 0..640 {
        let other = |at: usize| json!({"PutRequest": {"Item": {"pk": {"S": format!("other#{n}")}, "sk": {"S": at.to_string()}}}});
        let body = json!({"RequestItems": {&table: (0..25).map(other).collect::<Vec<_>>()}});
        run.stack.dynamodb.run("BatchWriteItem", body.to_string().as_bytes()).unwrap();
    }
    ask(&run, "schedule").await;
    minutes(&run, 2).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    // Of 2,000 items of each part a page holds all, since it holds few people.
    let pages: Vec<i64> = run
        .table()
        .iter()
        .filter_map(|((pk, sk), item)| {
            keys::parse_section(sk).filter(|_| *pk == keys::campaign("spring"))?;
            serde_json::from_str::<Value>(item["d"]["S"].as_str()?).ok()?["p"].as_i64()
        })
        .collect();
    assert_eq!(pages, [1; 8]);
    run.finish().await;
}
