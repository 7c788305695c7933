//! Teams that are removed, and that somebody leaves, while their leads are open: nothing is stranded, forgotten or silent.

use crate::routing::{owner, policies};
use crate::routing_depth::{pass, rep, rules, stack, why};
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, POLICIES_SEEN, Running, Setup};
use std::time::Duration;

/// Publishes these documents and no others, and lets the time pass after which all functions go by them. The answer.
pub(crate) async fn replace(run: &Running, documents: &str) -> Value {
    let files = json!({"files": [{"file": "all.yaml", "text": documents}]});
    let (status, answer) = run.api("POST", "/api/policies/apply?prune=true", Some(files)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.pass(POLICIES_SEEN).await;
    answer
}

/// What a publication warns of.
fn warned(answer: &Value) -> Vec<&str> {
    let warnings = answer["warnings"].as_array().unwrap().iter();
    warnings.map(|warning| warning["message"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn leads_in_the_queue_of_a_team_that_is_removed_are_decided_by_the_rules_of_now() {
    let teams = [("desk", "[{ rep: fay }]"), ("sdr", "[{ rep: one }]")];
    let queue = "  - name: desk\n    assign: { queue: desk }\n";
    let run = Setup::policies(policies(&["fay", "one"], &teams, queue)).start().await;
    let mut leads = Vec::new();
    for (name, plain) in [("q1", "yes"), ("q2", "yes"), ("q3", "")] {
        let email = format!("{name}@person.example");
        leads.push(run.lead(&[("email", &email), ("plain", plain)]).await);
    }
    assert_eq!(run.ledger().await["in_flight"]["queued"], 3);
    // As long as the team is there nobody else decides.
    run.fire_timers().await;
    assert_eq!(run.show(&leads[0]).await["queue"], "desk");

    let rules = "  - name: plain\n    when: lead.fields.plain == \"yes\"\n    assign: { team: sdr }\n";
    let answer = replace(&run, &policies(&["fay", "one"], &teams[1..], rules)).await;
    let queue =
        "team/desk is removed and has a queue: leads that wait in it are decided anew, by the rules of now";
    assert_eq!(warned(&answer), [queue]);
    run.fire_timers().await;
    for lead in &leads[..2] {
        assert_eq!(owner(&run, lead).await, "one");
        let said = why(&run, lead).await;
        assert!(said.contains("in the queue of team desk, until there was no such team any more"), "{said}");
        assert!(said.contains("Rule 1 \"plain\": matches: the next of team sdr:"), "{said}");
    }
    assert_eq!(run.show(&leads[2]).await["state"], "escalated", "no rule has anybody for it");
    let told = |rep: &str| run.mails().iter().filter(|(to, _)| to[0].starts_with(rep)).count();
    assert_eq!((told("one@"), told("fay@"), told("boss@")), (2, 0, 1));
    // Once, however often the timers look.
    run.fire_timers().await;
    assert_eq!((told("one@"), told("boss@")), (2, 1));
    assert_eq!(run.show(&leads[0]).await["assignment"]["n"], 1);
    run.finish().await;
}

#[tokio::test]
async fn open_leads_of_a_team_that_a_rep_left_count_for_their_capacity_over_all() {
    let teams = [("a", "[{ rep: ann }]"), ("b", "[{ rep: ann }, { rep: bo }]")];
    let rest = "  - name: b\n    assign: { team: b }\n";
    let first = format!("  - name: a\n    when: has(lead.fields.a)\n    assign: {{ team: a }}\n{rest}");
    let documents = |teams: &[(&str, &str)], rules: &str| {
        policies(&["ann", "bo"], teams, rules).replace("name: ann\n", "name: ann\ncapacity: 2\n")
    };
    let run = Setup::policies(documents(&teams, &first)).start().await;
    let lead = async |name: &str, fields: &[(&str, &str)]| {
        let email = format!("{name}@person.example");
        run.lead(&[&[("email", email.as_str())], fields].concat()).await
    };
    let hers = [lead("a1", &[("a", "yes")]).await, lead("a2", &[("a", "yes")]).await];
    let answer = replace(&run, &documents(&teams[1..], rest)).await;
    assert_eq!(
        warned(&answer),
        ["team/a is removed and has 2 open leads (ann 2): whoever has them keeps them; hand them over with \
             `sluice rebalance REP`"]
    );
    for name in ["b1", "b2"] {
        let lead = lead(name, &[]).await;
        assert_eq!(owner(&run, &lead).await, "bo");
        let said = why(&run, &lead).await;
        assert!(said.contains("ann: passed over, full (2 of 2 open over all teams)"), "{said}");
        // A publication that has nothing to do with it changes nothing of that.
        run.apply("kind: rep\nname: cy\nemail: cy@reps.example\n").await;
    }
    let (status, _) = run.api("POST", &format!("/api/leads/{}/close", hers[0]), Some(json!({}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    let mut owners = Vec::new();
    for name in ["b3", "b4", "b5"] {
        owners.push(owner(&run, &lead(name, &[]).await).await);
    }
    owners.sort();
    assert_eq!(owners, ["ann", "bo", "bo"], "the place that came free is hers, and no other");
    run.finish().await;
}

#[tokio::test]
async fn a_clock_that_stops_with_its_team_says_so() {
    let clock = "[{ rep: one }]\nresponse: { within: 10m, remind: [\"50%\"], then: escalate }\n";
    let teams = [("sdr", clock), ("west", "[{ rep: two }]")];
    let rules = |team: &str| format!("  - name: all\n    assign: {{ team: {team} }}\n");
    let run = Setup::policies(policies(&["one", "two"], &teams, &rules("sdr"))).start().await;
    let lead = run.lead(&[("email", "waits@person.example")]).await;
    assert_eq!(owner(&run, &lead).await, "one");
    let gone = "There is no team sdr any more: no clock of its leads runs on.";
    assert!(!why(&run, &lead).await.contains(gone));
    // Whoever asks beforehand is told the like, but for a manager of others, who does not see whose leads are open.
    let manager = run.new_token_of(json!({"role": "manager", "teams": ["west"]})).await;
    for (token, is_told) in [(&run.token, true), (&manager, false)] {
        let team = json!({"kind": "team", "name": "sdr", "members": [{"rep": "one"}]});
        let (status, checked) = run.api_as(Some(token), "POST", "/api/policies/validate", Some(team)).await;
        let mut said = warned(&checked).into_iter();
        let behind = "team/sdr has no `response` any more and has 1 open lead (one 1)";
        assert_eq!((status, said.any(|line| line.starts_with(behind))), (200, is_told), "{checked:#}");
    }
    let answer = replace(&run, &policies(&["one", "two"], &teams[1..], &rules("west"))).await;
    assert_eq!(
        warned(&answer),
        [
            "team/sdr is removed and has 1 open lead (one 1): whoever has them keeps them, and no response clock of \
             theirs runs any more; hand them over with `sluice rebalance REP`"
        ]
    );
    // At once, and once its point is over.
    assert!(why(&run, &lead).await.contains(gone));
    pass(&run, Duration::from_secs(12 * 60)).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["clock"]["running"]), (&json!("one"), &json!(false)), "{view:#}");
    assert!(why(&run, &lead).await.contains(gone));
    // Whoever was in touch needs no clock.
    let (status, _) =
        run.api("POST", &format!("/api/leads/{lead}/contacts"), Some(json!({"channel": "phone"}))).await;
    assert_eq!(status, 200);
    assert!(!why(&run, &lead).await.contains(gone));
    run.finish().await;
}

#[tokio::test]
async fn whoever_publishes_is_warned_of_what_is_new_and_probably_not_meant() {
    let run = Setup::default().start().await;
    let put = async |name: &str, document: Value| {
        let (status, answer) = run.api("PUT", &format!("/api/policies/rep/{name}"), Some(document)).await;
        assert_eq!(status, 200, "{answer:#}");
        warned(&answer).join("\n")
    };
    let cy = json!({"kind": "rep", "name": "cy"});
    // Whoever asks beforehand is told the same.
    let checked = run.api("POST", "/api/policies/validate", Some(cy.clone())).await.1;
    assert_eq!(warned(&checked).join("\n"), put("cy", cy.clone()).await, "{checked:#}");
    for _ in 0..2 {
        let said = put("cy", cy.clone()).await;
        assert!(
            said.contains("cy is told of nothing, no lead and no escalation"),
            "also of a repeat: {said}"
        );
    }
    let dee = json!({"kind": "rep", "name": "dee", "email": "dee@reps.example"});
    assert_eq!(put("dee", dee).await, "", "what was there before is no news");

    // A topic that a form names has a document, and then none.
    let topic = run.apply("kind: topic\nname: product\n").await;
    assert_eq!(warned(&topic), Vec::<&str>::new());
    let answer = replace(&run, POLICIES).await;
    let said = warned(&answer).join("\n");
    assert!(said.contains("no document describes the topic `product` any more"), "{said}");
    let warnings = answer["warnings"].as_array().unwrap();
    let place = |one: &Value| (one["file"].clone(), one["line"].clone(), one["column"].clone());
    assert!(warnings.iter().any(|one| place(one) == (json!("all.yaml"), json!(9), json!(10))), "{answer:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_leavers_lead_leaves_its_customer_with_who_has_them_by_now() {
    let run = stack(&format!(
        "{}{}{}{}",
        rep("ann", ""),
        rep("bo", ""),
        rep("cy", ""),
        rules(&[
            "name: bos, when: 'has(lead.fields.bo)', assign: { rep: bo }",
            "name: all, assign: { rep: ann }",
        ]),
    ))
    .start()
    .await;
    for name in ["shared", "hers"] {
        run.lead(&[("email", &format!("{name}@person.example"))]).await;
    }
    run.lead(&[("email", "shared@person.example"), ("bo", "1")]).await;
    let (_, done) = run.api("POST", "/api/reps/ann/rebalance", Some(json!({"do": true, "rep": "cy"}))).await;
    assert_eq!(done["leads"].as_array().unwrap().len(), 2, "{done:#}");
    run.settle().await;
    for (name, expected) in [("shared", "bo"), ("hers", "cy")] {
        let (_, customer) = run.lookup(json!({"email": format!("{name}@person.example")})).await;
        assert_eq!(customer["owner"]["rep"], expected, "{customer:#}");
    }
    run.finish().await;
}
