//! Whose a company is when its owner leaves.

use crate::erasure::erase;
use crate::routing::owner;
use crate::routing_depth::{rep, rules, stack, why};
use serde_json::{Value, json};
use sluice_tests::stack::Running;
use std::time::Duration;

/// Three who take turns, and companies that stay with who has their first lead.
async fn started() -> Running {
    let documents = format!(
        "{}{}{}kind: team\nname: sdr\nmembers: [{{ rep: ann }}, {{ rep: bo }}, {{ rep: cy }}]\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rep("cy", ""),
        rules(&["name: company, assign: { owner: company }", "name: all, assign: { team: sdr }"]),
    );
    stack(&documents).start().await
}

async fn lead(run: &Running, email: &str) -> String {
    run.lead(&[("email", email)]).await
}

/// The lead whose company goes along, and to whom.
fn along(answer: &Value, leaver: &str) -> (String, String) {
    let words = format!("Its company was {leaver}'s and goes along.");
    let rows = answer["leads"].as_array().unwrap().iter();
    let with: Vec<&Value> =
        rows.filter(|row| row["why"].as_array().unwrap().iter().any(|line| *line == words)).collect();
    assert_eq!(with.len(), 1, "it goes once: {answer:#}");
    let text = |name: &str| with[0][name].as_str().unwrap().to_owned();
    (text("lead"), text("to"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leavers_company_goes_along_with_the_first_of_its_leads() {
    let run = started().await;
    let first = lead(&run, "one@acme.example").await;
    let second = lead(&run, "two@acme.example").await;
    let leaver = owner(&run, &first).await;
    assert_eq!(owner(&run, &second).await, leaver);
    let path = format!("/api/reps/{leaver}/rebalance");
    let written = run.table();
    let (status, preview) = run.api("POST", &path, Some(json!({}))).await;
    assert_eq!((status, preview["leads"].as_array().unwrap().len()), (200, 2), "{preview:#}");
    let shown = along(&preview, &leaver);
    assert!(run.table() == written, "a preview writes nothing");

    let (status, done) = run.api("POST", &path, Some(json!({"do": true}))).await;
    assert_eq!(status, 200, "{done:#}");
    run.settle().await;
    assert_eq!(along(&done, &leaver), shown, "as it was shown");
    let to = shown.1;
    assert_ne!(to, leaver);
    for email in ["three@acme.example", "four@mail.acme.example", "five@acme.example"] {
        let next = lead(&run, email).await;
        assert_eq!(owner(&run, &next).await, to);
        assert!(why(&run, &next).await.contains(&format!("the owner {to} keeps the company")));
    }
    let (_, again) = run.api("POST", &path, Some(json!({"do": true}))).await;
    assert_eq!(again["leads"], json!([]), "done again, there is nothing left");

    // With whom it was found by it is forgotten, whoever has it by now.
    let of_company =
        |run: &Running| run.table().into_keys().filter(|(pk, _)| pk == "co#acme.example").count();
    assert_eq!(of_company(&run), 1);
    erase(&run, run.show(&first).await["customer"].as_str().unwrap()).await;
    assert_eq!(of_company(&run), 0);
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test]
async fn a_company_whose_owner_takes_no_more_leads_is_whose_next_lead_it_is() {
    let run = started().await;
    let first = lead(&run, "one@acme.example").await;
    let leaver = owner(&run, &first).await;
    run.apply(rep(&leaver, "available: false\n").trim_end_matches("---\n")).await;
    let second = lead(&run, "two@acme.example").await;
    let new = owner(&run, &second).await;
    assert_ne!(new, leaver);
    for email in ["three@acme.example", "four@acme.example"] {
        let next = lead(&run, email).await;
        assert_eq!(owner(&run, &next).await, new);
        assert!(why(&run, &next).await.contains(&format!("the owner {new} keeps the company")));
    }
    // Who takes leads again does not have it again.
    run.apply(rep(&leaver, "").trim_end_matches("---\n")).await;
    let last = lead(&run, "five@acme.example").await;
    assert_eq!(owner(&run, &last).await, new);
    run.finish().await;
}
