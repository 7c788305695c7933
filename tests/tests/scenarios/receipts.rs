//! A decision is explained by what it was made of, for good; whoever changes what is stored of it is found out.

use crate::routing::{owner, policies};
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_tests::stack::{Running, Setup};
use std::time::Duration;

#[tokio::test]
async fn a_lead_is_explained_by_the_policies_that_it_was_decided_by() {
    let rules = "  - name: all\n    assign: { team: sdr }\n";
    let of = |rep: &str| policies(&["one", "two"], &[("sdr", &format!("[{{ rep: {rep} }}]"))], rules);
    let run = Setup::policies(of("one")).start().await;
    let before = run.lead(&[("email", "before@person.example")]).await;
    assert_eq!(owner(&run, &before).await, "one");
    let then = run.show(&before).await;
    let version = then["policy_version"].as_u64().unwrap();

    let published = run.apply(&of("two")).await;
    assert_eq!(published["version"], version + 1, "{published:#}");
    let after = run.lead(&[("email", "after@person.example")]).await;
    assert_eq!(owner(&run, &after).await, "two");
    assert_eq!(run.show(&after).await["policy_version"], version + 1);
    let now = run.show(&before).await;
    assert_eq!((&now["policy_version"], &now["reproduced"]), (&json!(version), &json!(true)), "{now:#}");
    assert_eq!(now["why"], then["why"]);
    run.finish().await;
}

/// Stores a lead's line with another receipt, as somebody with access to the table could.
async fn with_receipt(run: &Running, line: &Value, change: impl FnOnce(&mut Value)) -> Value {
    let mut line = line.clone();
    let mut progress: Value = serde_json::from_str(line["d"]["S"].as_str().unwrap()).unwrap();
    let before = progress.clone();
    change(&mut progress["receipt"]);
    assert_ne!(progress, before);
    line["d"]["S"] = progress.to_string().into();
    store(run, &line);
    run.show(line["pk"]["S"].as_str().unwrap()).await["reproduced"].clone()
}

fn store(run: &Running, line: &Value) {
    let put = json!({ "TableName": named("Table"), "Item": line });
    run.stack.dynamodb.run("PutItem", put.to_string().as_bytes()).unwrap();
}

#[tokio::test]
async fn a_receipt_that_says_somebody_else_is_found_out() {
    let run = Setup::default().start().await;
    let (email, phone) = (("email", "told@person.example"), ("phone", "+12015550171"));
    run.lead(&[email]).await;
    let other = run.lead(&[phone]).await;
    let stranger = run.show(&run.lead(&[("email", "else@person.example")]).await).await["customer"].clone();
    run.pass(Duration::from_secs(3600)).await;
    let both = run.lead(&[email, phone]).await;
    // By the number of the one that gave way.
    let back = run.lead(&[phone, ("note", "once more")]).await;
    assert_eq!(run.show(&other).await["customer"], run.show(&back).await["customer"]);
    let line = |lead: &str| run.table()[&(lead.to_owned(), "l".to_owned())].clone();

    let joined = line(&both);
    let swap = |receipt: &mut Value| {
        let (from, into) = (receipt["j"][0]["from"].take(), receipt["j"][0]["into"].take());
        receipt["j"][0] = json!({ "from": into, "into": from });
    };
    assert_eq!(with_receipt(&run, &joined, swap).await, false, "the other one stays");
    let forget = |receipt: &mut Value| receipt["j"] = json!([]);
    assert_eq!(with_receipt(&run, &joined, forget).await, false, "nobody was joined");
    let elsewhere = |receipt: &mut Value| receipt["j"][0]["from"] = stranger.clone();
    assert_eq!(with_receipt(&run, &joined, elsewhere).await, false, "somebody else was joined");
    store(&run, &joined);

    let known = line(&back);
    let elsewhere = |receipt: &mut Value| receipt["f"][0]["customer"] = stranger.clone();
    assert_eq!(with_receipt(&run, &known, elsewhere).await, false, "its record gave way to another one");
    let by = |receipt: &mut Value| receipt["f"][0]["by"] = stranger.clone();
    assert_eq!(with_receipt(&run, &known, by).await, false, "somebody else's record");
    let nobody = |receipt: &mut Value| receipt["f"] = json!([]);
    assert_eq!(with_receipt(&run, &known, nobody).await, false, "nobody was found");
    store(&run, &known);
    run.finish().await;
}
