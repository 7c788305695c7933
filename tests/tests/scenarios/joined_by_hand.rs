//! Whom a person joins or takes apart is looked at at once, also by taking back what joined them: segments and journeys wait for no event
//! of theirs.

use crate::import::sluice;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

/// Who has written more than once is greeted.
const KNOWN: &str = "
---
kind: segment
name: known
when: customer.leads > 1
---
kind: journey
name: greets
trigger: { segment: known }
steps:
  - tag: greeted
";

async fn started() -> Running {
    Setup::policies(format!("{POLICIES}{KNOWN}")).start().await
}

/// Two customers of one lead each.
async fn two(run: &Running) -> [String; 2] {
    let one = run.lead(&[("email", "ada@person.example")]).await;
    let other = run.lead(&[("phone", "+12015550123")]).await;
    let [one, other] = [run.show(&one).await, run.show(&other).await];
    [&one, &other].map(|lead| lead["customer"].as_str().unwrap().to_owned())
}

async fn done(run: &Running, path: &str, body: Value) {
    let (status, answer) = run.api("POST", path, Some(body)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.settle().await;
}

async fn is_known(run: &Running, customer: &str) -> bool {
    let view = run.customer(customer).await;
    view["segments"].as_array().unwrap().iter().any(|one| one["segment"] == "known")
}

#[tokio::test]
async fn who_is_joined_or_taken_apart_is_looked_at_without_an_event_of_theirs() {
    let run = started().await;
    let [one, other] = two(&run).await;
    assert!(!is_known(&run, &one).await);
    for _ in 0..2 {
        done(&run, &format!("/api/customers/{one}/merge"), json!({"with": other})).await;
        assert!(is_known(&run, &one).await, "at once");
        let view = run.customer(&one).await;
        assert!(view["tags"].to_string().contains("greeted"), "{view:#}");
    }
    done(&run, &format!("/api/customers/{other}/unmerge"), json!({})).await;
    assert!(!is_known(&run, &one).await && !is_known(&run, &other).await);
    // The second time that they are one is a time of its own.
    done(&run, &format!("/api/customers/{one}/merge"), json!({"with": other})).await;
    assert!(is_known(&run, &one).await);
    done(&run, &format!("/api/customers/{other}/unmerge"), json!({})).await;
    assert!(!is_known(&run, &one).await);
    run.finish().await;
}

#[tokio::test]
async fn a_look_that_could_not_be_asked_for_is_made_up_for_by_the_timers() {
    let run = started().await;
    let [one, other] = two(&run).await;
    run.refusals.refuse("serve-console", "AmazonSQS.", usize::MAX, (500, "InternalError"));
    let put = "DynamoDB_20120810.PutItem";
    run.refusals.refuse("serve-console", put, usize::MAX, (500, "InternalServerError"));
    done(&run, &format!("/api/customers/{one}/merge"), json!({"with": other})).await;
    assert!(!is_known(&run, &one).await, "nobody was told");
    run.refusals.lift();
    run.pass(Duration::from_secs(60)).await;
    run.fire_timers().await;
    assert!(is_known(&run, &one).await);
    done(&run, &format!("/api/customers/{other}/unmerge"), json!({})).await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_lead_of_a_file_joined_is_looked_at_when_the_file_is_taken_back() {
    let run = started().await;
    let [one, other] = two(&run).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fair.csv");
    std::fs::write(&file, "email,phone\nada@person.example,+12015550123\n").unwrap();
    let file = file.to_str().unwrap();
    let brought =
        sluice(&run, &["import", file, "--form", "contact", "--route", "--notify", "--batch", "fair"]).await;
    assert!(brought.status.success(), "{brought:?}");
    run.settle().await;
    assert!(is_known(&run, &one).await && is_known(&run, &other).await, "they are one");
    let back = sluice(&run, &["import", "revert", "fair"]).await;
    assert!(back.status.success(), "{back:?}");
    run.settle().await;
    assert!(!is_known(&run, &one).await && !is_known(&run, &other).await);
    run.finish().await;
}
