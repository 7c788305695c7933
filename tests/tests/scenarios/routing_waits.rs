//! Leads that wait for somebody: when they are tried again they are decided as they would have been, and say what became of them.

use crate::routing::{owner, policies};
use crate::routing_depth::{HOUR, pass, rep, rules, stack, why};
use serde_json::json;
use sluice::host::spec::named;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_tests::stack::{Running, Setup};
use std::time::Duration;

/// From Monday, 2 March 2026, at 9:00 UTC to the Saturday after it.
const TO_SATURDAY: u32 = 24 * 5;
/// From Saturday at nine to Monday, ten minutes after nine and more.
const TO_MONDAY: u32 = 24 * 2;

const WEEK: &str = "hours: { zone: UTC, mon-fri: \"09:00-17:00\" }";

async fn post(run: &Running, email: &str, more: &[(&str, &str)]) -> String {
    run.lead(&[&[("email", email)], more].concat()).await
}

#[tokio::test]
async fn a_lead_that_waits_over_a_weekend_is_decided_as_what_it_was_when_it_came() {
    let documents = format!(
        "{}{}kind: team\nname: newbiz\nmembers: [{{ rep: ann }}]\noff_hours: wait\n{WEEK}\n---\n{}",
        rep("ann", ""),
        rep("bo", ""),
        rules(&[
            "name: talk, when: 'lead.fields.to == \"bo\"', assign: { rep: bo }",
            "name: new people, when: '!customer.known', assign: { team: newbiz }",
            "name: came once, when: 'customer.leads == 1 && !has(customer.company)', assign: { team: newbiz }",
            "name: existing, assign: { rep: bo }",
        ]),
    );
    let run = stack(&documents).start().await;
    let before = post(&run, "known@person.example", &[("to", "bo")]).await;
    assert_eq!(owner(&run, &before).await, "bo");
    pass(&run, HOUR * TO_SATURDAY).await;

    let fresh = post(&run, "new@person.example", &[("company", "Acme")]).await;
    let known = post(&run, "known@person.example", &[("company", "Acme")]).await;
    for (lead, rule) in [(&fresh, "Rule 2 \"new people\""), (&known, "Rule 3 \"came once\"")] {
        assert_eq!(run.show(lead).await["state"], "escalated");
        let said = why(&run, lead).await;
        assert!(
            said.contains(&format!("{rule}: matches, nobody of the team who could take it is on duty")),
            "{said}"
        );
    }
    // Sent once more by an impatient finger: the second is the repeat, and the first is no repeat of that.
    let twice = post(&run, "new@person.example", &[("company", "Acme")]).await;
    assert_eq!(run.show(&twice).await["state"], "repeat");

    pass(&run, HOUR * TO_MONDAY).await;
    let back = run.show(&fresh).await;
    let said = why(&run, &fresh).await;
    assert_eq!((&back["state"], &back["owner"]), (&json!("assigned"), &json!("ann")), "{said}");
    assert!(said.contains("Rule 2 \"new people\": matches: the next of team newbiz:"), "{said}");
    assert!(said.contains("First seen with this lead: a new customer."), "{said}");
    assert!(!said.contains("is known"), "{said}");
    let said = why(&run, &known).await;
    assert_eq!(owner(&run, &known).await, "ann", "{said}");
    assert!(said.contains("Rule 3 \"came once\": matches: the next of team newbiz:"), "{said}");
    assert!(said.contains("The email is known: customer "), "{said}");
    assert!(run.mails().iter().any(|(_, text)| text.contains("Subject: New lead:")), "nobody came back");
    run.finish().await;
}

#[tokio::test]
async fn a_lead_that_waits_and_then_finds_nobody_is_explained_and_counted_anew() {
    let documents = format!(
        "{}kind: team\nname: sdr\nmembers: [{{ rep: ann, capacity: 1 }}]\noff_hours: wait\n{WEEK}\n---\n{}",
        rep("ann", ""),
        rules(&["name: all, assign: { team: sdr }"]),
    );
    let run = stack(&documents).start().await;
    pass(&run, HOUR * TO_SATURDAY).await;
    let first = post(&run, "first@person.example", &[]).await;
    run.pass(Duration::from_secs(1)).await;
    let second = post(&run, "second@person.example", &[]).await;
    let measured = |name: &str| run.metrics.sum(name, ("State", "escalated"));
    assert_eq!((measured("WaitingForHours"), measured("Escalated")), (2.0, 0.0));
    assert!(run.mails().is_empty(), "nobody is disturbed");

    pass(&run, HOUR * TO_MONDAY).await;
    assert_eq!(owner(&run, &first).await, "ann");
    let told = |run: &Running| run.mails().iter().filter(|(to, _)| to[0].starts_with("boss@")).count();
    assert_eq!(told(&run), 1);
    assert_eq!((measured("WaitingForHours"), measured("Escalated")), (2.0, 1.0), "an alarm goes off");
    let said = why(&run, &second).await;
    assert!(said.contains("Waited from 2026-03-07T09:"), "{said}");
    assert!(said.contains("because nobody of the team was on duty, and its leads wait."), "{said}");
    assert!(said.contains("Nobody can take it now: escalated"), "{said}");
    assert!(!said.contains("Waits for the first who is back"), "{said}");

    // Tried again in vain: nothing is written, and nothing counted.
    let written = run.table();
    let stored = |table: &std::collections::BTreeMap<(String, String), serde_json::Value>| {
        let of = |(key, item): (&(String, String), &serde_json::Value)| (key.clone(), item.clone());
        table.iter().filter(|((pk, _), _)| *pk == second).map(of).collect::<Vec<_>>()
    };
    pass(&run, HOUR).await;
    assert_eq!(stored(&run.table()), stored(&written));
    assert_eq!((told(&run), measured("Escalated")), (1, 1.0));
    // The evening comes and goes: it waits for hours once more, and nobody hears of it twice.
    pass(&run, HOUR * 26).await;
    assert_eq!((told(&run), measured("WaitingForHours"), measured("Escalated")), (1, 2.0, 1.0));

    let path = format!("/api/leads/{first}/disqualify");
    assert_eq!(run.api("POST", &path, Some(json!({}))).await.0, 200);
    run.settle().await;
    assert_eq!(owner(&run, &second).await, "ann");
    let said = why(&run, &second).await;
    assert!(said.contains("because nobody could take it."), "{said}");
    assert!(said.contains("because nobody of the team was on duty"), "{said}");
    run.finish().await;
}

/// Waits until nobody could take a lead, and all that is to be done about it now is done.
async fn escalated(run: &Running, lead: &str) {
    for _ in 0..1_000 {
        let state = run.show(lead).await["state"].clone();
        if state == "escalated" && run.stack.function("route-lead").unwrap().running() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{lead} is not escalated");
}

#[tokio::test]
async fn a_lead_that_waits_for_minutes_is_in_its_queue_until_somebody_is_back() {
    let noon = Timestamp::parse("2026-03-02T12:00:00Z").unwrap();
    let documents = format!(
        "{}kind: team\nname: sdr\nmembers: [{{ rep: ann }}]\noff_hours: wait\n\
         hours: {{ zone: UTC, mon-fri: \"12:00-17:00\" }}\n---\n{}",
        rep("ann", ""),
        rules(&["name: all, assign: { team: sdr }"]),
    );
    for refuses in [false, true] {
        let run = stack(&documents).at(noon.plus_millis(-150_000)).frozen().start().await;
        if refuses {
            run.refusals.refuse("route-lead", "AmazonSQS.", usize::MAX, (500, "InternalError"));
        }
        let lead = run.post("contact", &[("email", "soon@person.example")]).await.lead_id();
        escalated(&run, &lead).await;
        let is_entry = |(pk, sk): &(String, String)| pk.starts_with("due#") && sk.contains("-back-");
        let entries = run.table().into_keys().filter(is_entry).count();
        let delayed = run.stack.sqs.depth(&named("LeadQueue")).unwrap().delayed;
        // The timers look once a minute: what they are to hand on is for a queue that refuses, and for longer waits.
        assert_eq!((entries, delayed), if refuses { (1, 0) } else { (0, 1) });

        run.refusals.lift();
        let left = u64::try_from(noon.since(run.stack.clock.now())).unwrap();
        run.pass(Duration::from_millis(left + 1_000)).await;
        if refuses {
            run.fire_timers().await;
        }
        assert_eq!(owner(&run, &lead).await, "ann");
        run.finish().await;
    }
}

#[tokio::test]
async fn an_escalated_lead_that_no_identity_leads_back_to_stays_its_persons() {
    for matching in ["false", "true"] {
        let teams = [("tiny", "[{ rep: only, capacity: 1 }]")];
        let rules = "  - name: all\n    assign: { team: tiny }\n";
        let policies = policies(&["only"], &teams, rules).replace(
            "escalate_to: [boss]",
            &format!("escalate_to: [boss]\nmatching: {{ suggest: {matching} }}"),
        );
        let run = Setup::policies(policies).start().await;
        let first = run.lead(&[("email", "e1@person.example")]).await;
        let eve = [("first_name", "Eve"), ("last_name", "Nobody"), ("postal_code", "80331")];
        let second = run.lead(&[eve[0], eve[1], eve[2], ("birth_date", "1990-02-03")]).await;
        let waits = run.show(&second).await;
        assert_eq!(waits["state"], "escalated", "{waits:#}");
        let path = format!("/api/leads/{first}/close");
        assert_eq!(run.api("POST", &path, Some(json!({"reason": "won"}))).await.0, 200);
        run.settle().await;
        assert_eq!(owner(&run, &second).await, "only");
        let view = run.show(&second).await;
        assert_eq!(view["customer"], waits["customer"], "{view:#}");
        assert_eq!(view["suggestions"], json!([]), "{view:#}");
        let person = run.customer(waits["customer"].as_str().unwrap()).await;
        assert_eq!(person["owner"]["rep"], "only", "{person:#}");
        // Its place is free again once it is closed.
        let path = format!("/api/leads/{second}/close");
        assert_eq!(run.api("POST", &path, Some(json!({"reason": "won"}))).await.0, 200);
        let third = run.lead(&[("email", "e3@person.example")]).await;
        assert_eq!(owner(&run, &third).await, "only");
        run.finish().await;
    }
}
