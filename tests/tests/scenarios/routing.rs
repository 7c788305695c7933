//! Who gets a lead, and why.

use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES_SEEN, Running, Setup};
use std::collections::BTreeMap;
use std::time::Duration;

/// Documents with these reps (each with a mailbox, `-` before the name is away), teams and rules.
pub(crate) fn policies(reps: &[&str], teams: &[(&str, &str)], rules: &str) -> String {
    let mut text = String::from(
        "kind: form\nname: contact\ndefault_country: US\n---\nkind: settings\nname: default\nescalate_to: [boss]\n",
    );
    for rep in reps.iter().chain(&["boss"]) {
        let (name, available) = match rep.strip_prefix('-') {
            Some(name) => (name, "available: false\n"),
            None => (*rep, ""),
        };
        text += &format!("---\nkind: rep\nname: {name}\nemail: {name}@reps.example\n{available}");
    }
    for (team, members) in teams {
        text += &format!("---\nkind: team\nname: {team}\nmembers: {members}\n");
    }
    text + &format!("---\nkind: routing\nname: default\nrules:\n{rules}")
}

const KEEP: &str =
    "  - name: keep the owner\n    when: customer.owner != \"\"\n    assign: { owner: customer }\n";

pub(crate) async fn owner(run: &Running, lead: &str) -> String {
    let view = run.show(lead).await;
    assert_eq!(view["state"], "assigned", "{view:#}");
    view["owner"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_rule_that_matches_and_yields_somebody_decides() {
    let rules = "  - name: large\n    when: lead.fields.employees >= 200\n    assign: { rep: lara }\n\
                 \x20 - name: german\n    when: lead.country in [\"DE\", \"AT\"]\n    assign: { rep: greta }\n\
                 \x20 - name: ours\n    when: lead.email_domain == \"shop.example\"\n    end: test\n\
                 \x20 - name: rest\n    assign: { team: sdr }\n";
    let teams = [("sdr", "[{ rep: sam }]")];
    let run = Setup::policies(policies(&["lara", "greta", "sam"], &teams, rules)).start().await;
    for (email, employees, country, expected) in [
        ("a@person.example", "250", "DE", "lara"),
        ("b@person.example", "40", "DE", "greta"),
        ("c@person.example", "", "at", "greta"),
        ("d@person.example", "many", "FR", "sam"),
        ("e@person.example", "199", "", "sam"),
    ] {
        let lead = run.lead(&[("email", email), ("employees", employees), ("country", country)]).await;
        assert_eq!(owner(&run, &lead).await, expected, "{email}");
        let why = run.show(&lead).await["why"].to_string();
        assert!(why.contains("large"), "the rules tried are named: {why}");
    }
    let ours = run.lead(&[("email", "qa@shop.example"), ("country", "FR")]).await;
    assert_eq!(run.show(&ours).await["state"], "test");
    run.finish().await;
}

#[tokio::test]
async fn a_returning_customer_stays_with_the_owner_and_a_repeat_disturbs_nobody() {
    let rules = format!("{KEEP}  - name: rest\n    assign: {{ team: sdr }}\n");
    let teams = [("sdr", "[{ rep: one }, { rep: two }]")];
    let run = Setup::policies(policies(&["one", "two"], &teams, &rules)).start().await;
    let fields = [("email", "back@person.example"), ("first_name", "Bea")];
    let first = run.lead(&fields).await;
    let rep = owner(&run, &first).await;
    run.lead(&[("email", "between@person.example")]).await;
    let mails = run.mails().len();
    // Within ten minutes the same fields are a repeat; the customer knows, the owner is left in peace.
    run.pass(Duration::from_secs(9 * 60)).await;
    let repeat = run.lead(&fields).await;
    let view = run.show(&repeat).await;
    assert_eq!((&view["state"], &view["assignment"]), (&json!("repeat"), &Value::Null));
    assert_eq!(run.customer(view["customer"].as_str().unwrap()).await["lead_count"], 2);
    assert_eq!(run.mails().len(), mails);
    // Other fields are news at once.
    let news = run.lead(&[fields[0], ("message", "call me")]).await;
    assert_eq!(owner(&run, &news).await, rep);
    assert_eq!(run.mails().len(), mails + 1);
    // Later the person came back.
    run.pass(Duration::from_secs(20 * 60)).await;
    let back = run.lead(&fields).await;
    assert_eq!(owner(&run, &back).await, rep);
    let (to, text) = run.mails().pop().unwrap();
    assert_eq!(to, [format!("{rep}@reps.example")]);
    assert!(text.contains("Came back: Bea"), "{text}");
    run.finish().await;
}

#[tokio::test]
async fn a_team_shares_by_weight_exactly() {
    let teams = [("sdr", "[{ rep: heavy, weight: 2 }, { rep: light }]")];
    let rules = "  - name: all\n    assign: { team: sdr }\n";
    let run = Setup::policies(policies(&["heavy", "light"], &teams, rules)).start().await;
    let mut received: BTreeMap<String, u32> = BTreeMap::new();
    for at in 1..=30 {
        let lead = run.lead(&[("email", &format!("w{at}@person.example"))]).await;
        *received.entry(owner(&run, &lead).await).or_default() += 1;
        let heavy = received.get("heavy").copied().unwrap_or(0);
        let light = received.get("light").copied().unwrap_or(0);
        // In units of half a lead: never further apart than one lead of who is ahead.
        assert!(heavy.abs_diff(2 * light) <= 2, "{received:?} after {at}");
    }
    assert_eq!(received, [("heavy".to_owned(), 20), ("light".to_owned(), 10)].into());
    run.finish().await;
}

#[tokio::test]
async fn a_full_team_leaves_the_lead_to_the_next_rule() {
    let teams =
        [("small", "[{ rep: one, capacity: 1 }, { rep: two, capacity: 1 }]"), ("large", "[{ rep: big }]")];
    let rules =
        "  - name: small\n    assign: { team: small }\n  - name: large\n    assign: { team: large }\n";
    let run = Setup::policies(policies(&["one", "two", "big"], &teams, rules)).start().await;
    let mut owners = Vec::new();
    for at in 0..4 {
        let lead = run.lead(&[("email", &format!("c{at}@person.example"))]).await;
        owners.push((owner(&run, &lead).await, lead));
    }
    let names: Vec<&str> = owners.iter().map(|(owner, _)| owner.as_str()).collect();
    assert_eq!(names, ["one", "two", "big", "big"]);
    let why = run.show(&owners[2].1).await["why"].to_string();
    assert!(why.contains("full (1 of 1 open)"), "{why}");
    // Room that came free is used again.
    let (status, _) = run.api("POST", &format!("/api/leads/{}/close", owners[1].1), Some(json!({}))).await;
    assert_eq!(status, 200);
    let lead = run.lead(&[("email", "c5@person.example")]).await;
    assert_eq!(owner(&run, &lead).await, "two");
    run.finish().await;
}

#[tokio::test]
async fn a_lead_nobody_can_take_is_escalated_told_and_taken_when_somebody_is_free() {
    let teams = [("tiny", "[{ rep: only, capacity: 1 }]")];
    let rules = "  - name: all\n    assign: { team: tiny }\n";
    let run = Setup::policies(policies(&["only"], &teams, rules)).start().await;
    let first = run.lead(&[("email", "e1@person.example")]).await;
    let second = run.lead(&[("email", "e2@person.example"), ("first_name", "Eve")]).await;
    let view = run.show(&second).await;
    assert_eq!((&view["state"], &view["owner"]), (&json!("escalated"), &Value::Null), "{view:#}");
    assert_eq!(run.ledger().await["in_flight"]["escalated"], 1);
    let told: Vec<_> = run.mails().into_iter().filter(|(to, _)| to[0] == "boss@reps.example").collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].1.contains("Nobody can take this lead: Eve"), "{}", told[0].1);
    // Tried again each minute, told once.
    run.fire_timers().await;
    run.fire_timers().await;
    assert_eq!(run.messages("boss").await.len(), 1);
    assert_eq!(run.mails().len(), 2);

    let (status, _) =
        run.api("POST", &format!("/api/leads/{first}/close"), Some(json!({"reason": "won"}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    assert_eq!(owner(&run, &second).await, "only");
    assert_eq!(run.messages("only").await.len(), 2);
    run.finish().await;
}

#[tokio::test]
async fn a_policy_that_makes_somebody_available_takes_up_what_was_escalated() {
    let teams = [("tiny", "[{ rep: sick }]")];
    let rules = "  - name: all\n    assign: { team: tiny }\n";
    let run = Setup::policies(policies(&["-sick"], &teams, rules)).start().await;
    let lead = run.lead(&[("email", "s1@person.example")]).await;
    assert_eq!(run.show(&lead).await["state"], "escalated");
    run.publish("kind: rep\nname: sick\nemail: sick@reps.example\n").await;
    // Within seconds, not with the next minute.
    run.pass(POLICIES_SEEN).await;
    assert_eq!(owner(&run, &lead).await, "sick");
    run.finish().await;
}

#[tokio::test]
async fn a_trial_writes_nothing_and_says_what_then_happens() {
    let rules = format!(
        "{KEEP}  - name: sellers\n    when: lower(lead.fields.message).contains(\"backlinks\")\n    end: spam\n\
         \x20 - name: rest\n    assign: {{ team: sdr }}\n"
    );
    let teams = [("sdr", "[{ rep: one, capacity: 2 }, { rep: two, capacity: 2 }]")];
    let run = Setup::policies(policies(&["one", "two"], &teams, &rules)).start().await;
    let mut seen = BTreeMap::new();
    for fields in [
        json!({"email": "t1@person.example"}),
        json!({"email": "t2@person.example", "message": "Best BACKLINKS"}),
        json!({"email": "t1@person.example"}),
        json!({"email": "t1@person.example", "message": "more"}),
        json!({"email": "t3@person.example"}),
        json!({}),
        json!({"email": "t4@person.example"}),
        json!({"email": "t5@person.example"}),
        json!({"email": "t6@person.example"}),
    ] {
        let before = run.table();
        let asked =
            json!({"form": "contact", "content_type": "application/json", "body": fields.to_string()});
        let (status, trial) = run.api("POST", "/api/leads/try", Some(asked)).await;
        assert_eq!(status, 200, "{trial:#}");
        assert_eq!(run.table(), before, "a trial wrote something");
        let body = fields.to_string();
        let posted = run.send("POST", "/f/contact", &[("content-type", "application/json")], body.as_bytes());
        let id = posted.await.lead_id();
        run.settle().await;
        let real = run.show(&id).await;
        assert_eq!(trial["state"], real["state"], "{fields}");
        assert_eq!(trial["owner"]["rep"], real["assignment"]["rep"], "{fields}");
        assert_eq!(trial["flags"], real["flags"], "{fields}");
        *seen.entry(real["state"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let states: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(states, ["assigned", "escalated", "invalid", "repeat", "spam"]);
    run.finish().await;
}
