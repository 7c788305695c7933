//! What reps and managers do with leads, and the lists they see.

use crate::routing::{owner, policies};
use serde_json::{Value, json};
use sluice_tests::stack::{Running, Setup};

pub(crate) async fn act(run: &Running, token: &str, lead: &str, what: &str, body: Value) -> (u16, Value) {
    let answer = run.api_as(Some(token), "POST", &format!("/api/leads/{lead}/{what}"), Some(body)).await;
    run.settle().await;
    answer
}

fn team() -> String {
    let teams = [("sdr", "[{ rep: one, capacity: 2 }, { rep: two, capacity: 2 }]")];
    policies(&["one", "two", "three"], &teams, "  - name: all\n    assign: { team: sdr }\n")
}

#[tokio::test]
async fn a_rep_accepts_and_closes_a_lead_once() {
    let run = Setup::policies(team()).start().await;
    let lead = run.lead(&[("email", "work@person.example")]).await;
    let rep = owner(&run, &lead).await;
    let token = run.new_token("rep", Some(&rep)).await;
    let (status, view) = act(&run, &token, &lead, "accept", json!({})).await;
    assert_eq!((status, view["work"].as_str()), (200, Some("accepted")), "{view:#}");
    let written = run.table();
    let (status, again) = act(&run, &token, &lead, "accept", json!({})).await;
    assert_eq!((status, &again["acts"]), (200, &view["acts"]), "done before is fine");
    assert_eq!(run.table(), written);
    // What does not fit is refused by all of them, and nothing is done.
    for what in ["accept", "close", "disqualify", "claim", "reassign", "credit"] {
        for (body, field) in [
            (json!([]), Value::Null),
            (json!({"reason": 7}), json!("reason")),
            (json!({"reason": "so", "from": "1"}), json!("from")),
        ] {
            let (status, problem) = act(&run, &run.token, &lead, what, body).await;
            assert_eq!((status, &problem["field"]), (422, &field), "{what}: {problem:#}");
            assert_eq!(problem["type"], "urn:sluice:problem:body-unfit", "{what}");
        }
    }
    assert_eq!(run.table(), written);

    let (status, view) = act(&run, &token, &lead, "close", json!({"reason": "bought"})).await;
    assert_eq!((status, view["work"].as_str()), (200, Some("closed")));
    let acts: Vec<&str> =
        view["acts"].as_array().unwrap().iter().filter_map(|act| act["what"].as_str()).collect();
    assert_eq!(acts, ["accept", "close"]);
    assert_eq!((&view["acts"][1]["by"], &view["acts"][1]["reason"]), (&json!(rep), &json!("bought")));
    assert_eq!(act(&run, &token, &lead, "close", json!({})).await.0, 200);
    for what in ["accept", "disqualify"] {
        let (status, problem) = act(&run, &token, &lead, what, json!({})).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (409, Some("urn:sluice:problem:out-of-place")),
            "{what}"
        );
    }
    let (status, _) = act(&run, &run.token, &lead, "reassign", json!({"rep": "three"})).await;
    assert_eq!(status, 409, "a closed lead stays where it is");
    run.finish().await;
}

#[tokio::test]
async fn a_disqualified_lead_makes_room() {
    let teams = [("sdr", "[{ rep: one, capacity: 1 }]")];
    let rules = "  - name: all\n    assign: { team: sdr }\n";
    let run = Setup::policies(policies(&["one"], &teams, rules)).start().await;
    let first = run.lead(&[("email", "room1@person.example")]).await;
    let second = run.lead(&[("email", "room2@person.example")]).await;
    assert_eq!(run.show(&second).await["state"], "escalated");
    let (status, problem) = act(&run, &run.token, &second, "accept", json!({})).await;
    assert_eq!((status, problem["status"].as_u64()), (409, Some(409)), "nobody has it yet");
    let (status, view) = act(&run, &run.token, &first, "disqualify", json!({"reason": "student"})).await;
    assert_eq!((status, view["work"].as_str()), (200, Some("disqualified")));
    assert_eq!(act(&run, &run.token, &first, "disqualify", json!({})).await.0, 200);
    assert_eq!(owner(&run, &second).await, "one");
    run.finish().await;
}

#[tokio::test]
async fn a_manager_gives_a_lead_to_another_rep_or_to_the_next_of_a_team() {
    let run = Setup::policies(team()).start().await;
    let manager = run.new_token_of(json!({"role": "manager", "rep": "three", "teams": ["sdr"]})).await;
    let lead = run.lead(&[("email", "moved@person.example")]).await;
    let first = owner(&run, &lead).await;
    let (status, view) =
        act(&run, &manager, &lead, "reassign", json!({"rep": "three", "reason": "speaks Dutch"})).await;
    assert_eq!((status, view["owner"].as_str()), (200, Some("three")), "{view:#}");
    assert_eq!(view["assignment"]["n"], 2);
    let (_, text) = run.mails().pop().unwrap();
    assert!(run.mails().pop().unwrap().0[0].starts_with("three@"), "{text}");
    let customer = run.customer(view["customer"].as_str().unwrap()).await;
    assert_eq!(customer["owner"]["rep"], "three");
    // To whom it is already: nothing happens.
    let mails = run.mails().len();
    assert_eq!(act(&run, &manager, &lead, "reassign", json!({"rep": "three"})).await.0, 200);
    assert_eq!(run.mails().len(), mails);
    // To the team: the next of it, never the one it is taken from.
    let (status, view) = act(&run, &manager, &lead, "reassign", json!({"team": "sdr"})).await;
    assert_eq!((status, &view["assignment"]["team"]), (200, &json!("sdr")));
    let second = view["owner"].as_str().unwrap().to_owned();
    let (_, view) = act(&run, &manager, &lead, "reassign", json!({"team": "sdr"})).await;
    assert_ne!(view["owner"], second.as_str(), "{view:#}");
    // The same once more, as of the assignment before: it is done already, and the lead stays.
    let before = view["assignment"]["n"].as_u64().unwrap() - 1;
    let (status, again) =
        act(&run, &manager, &lead, "reassign", json!({"team": "sdr", "from": before})).await;
    assert_eq!((status, &again["assignment"]), (200, &view["assignment"]));
    assert!(["one", "two"].contains(&first.as_str()));
    // Under a key it is done once, however often it is asked for; the key is good for nothing else.
    let path = format!("/api/leads/{lead}/reassign");
    let bearer = format!("Bearer {manager}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "handover-1")];
    let mut moved = Vec::new();
    for _ in 0..2 {
        let answer = run.send("POST", &path, &headers, br#"{"team": "sdr"}"#).await;
        assert_eq!(answer.status, 200);
        moved.push(answer.json()["assignment"].clone());
        run.settle().await;
    }
    assert_eq!((&moved[0], moved[0]["n"].as_u64()), (&moved[1], Some(before + 2)));
    run.send("POST", &path, &headers, br#"{"rep": "three"}"#).await.is_problem(409, "idempotency-key-reused");
    assert!(run.show(&lead).await["acts"][0]["k"].is_null(), "hashes of keys are nobody's business");

    for (body, status, name) in [
        (json!({}), 422, "target-missing"),
        (json!({"rep": "three", "team": "sdr"}), 422, "target-missing"),
        (json!({"rep": "nobody"}), 422, "rep-unknown"),
        (json!({"team": "nobody"}), 422, "team-unknown"),
    ] {
        let (found, problem) = act(&run, &manager, &lead, "reassign", body).await;
        assert_eq!(
            (found, problem["type"].as_str()),
            (status, Some(format!("urn:sluice:problem:{name}").as_str()))
        );
    }
    run.finish().await;
}

#[tokio::test]
async fn an_escalated_lead_is_for_who_claims_it_first() {
    let teams = [("sdr", "[{ rep: full, capacity: 1 }]")];
    let rules = "  - name: all\n    assign: { team: sdr }\n";
    let run = Setup::policies(policies(&["full", "fast", "slow"], &teams, rules)).start().await;
    run.lead(&[("email", "claim1@person.example")]).await;
    let lead = run.lead(&[("email", "claim2@person.example")]).await;
    let (fast, slow) = (run.new_token("rep", Some("fast")).await, run.new_token("rep", Some("slow")).await);
    // Anybody may see what anybody may claim.
    assert_eq!(run.api_as(Some(&slow), "GET", &format!("/api/leads/{lead}"), None).await.0, 200);
    let (status, listed) = run.api_as(Some(&slow), "GET", "/api/leads?state=escalated", None).await;
    assert_eq!((status, &listed["leads"][0]["id"]), (200, &json!(lead)));
    // For oneself, unless one is a manager.
    let (status, problem) = act(&run, &slow, &lead, "claim", json!({"rep": "fast"})).await;
    assert_eq!((status, &problem["field"]), (403, &json!("rep")), "{problem:#}");
    assert_eq!(problem["type"], "urn:sluice:problem:not-allowed");
    assert_eq!(run.show(&lead).await["state"], "escalated");
    let (one, other) = tokio::join!(
        act(&run, &fast, &lead, "claim", json!({"rep": "fast"})),
        act(&run, &slow, &lead, "claim", json!({}))
    );
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    // The loser no longer sees a lead that is somebody's, or hears that somebody was faster.
    assert!(statuses[0] == 200 && matches!(statuses[1], 404 | 409), "{statuses:?}");
    let winner = if one.0 == 200 { ("fast", &fast) } else { ("slow", &slow) };
    assert_eq!(owner(&run, &lead).await, winner.0);
    assert_eq!(act(&run, winner.1, &lead, "claim", json!({})).await.0, 200, "again is fine");
    let ended = || run.metrics.sum("Ended", ("State", "assigned"));
    assert_eq!(ended(), 2.0, "the one that the team got and the one that was claimed");
    assert!(run.metrics.sum("PostToOwner", ("State", "assigned")) > 0.0);
    assert_eq!(run.show(&lead).await["assignment"]["n"], 1);
    let (status, _) = act(&run, &run.token, &lead, "claim", json!({"rep": "full"})).await;
    assert_eq!(status, 409);
    let to = if winner.0 == "fast" { "slow" } else { "fast" };
    assert_eq!(act(&run, &run.token, &lead, "reassign", json!({"rep": to})).await.0, 200);
    assert_eq!(ended(), 2.0, "it had its first owner");
    run.finish().await;
}

pub(crate) async fn listed(run: &Running, token: &str, query: &str) -> Vec<String> {
    let (status, page) = run.api_as(Some(token), "GET", &format!("/api/leads?{query}"), None).await;
    assert_eq!(status, 200, "{page:#}");
    let leads = page["leads"].as_array().unwrap();
    leads.iter().map(|lead| lead["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn lists_show_what_was_asked_for_and_a_rep_only_their_own() {
    let run = Setup::policies(team()).start().await;
    let mut of = std::collections::BTreeMap::<String, Vec<String>>::new();
    for at in 0..6 {
        let lead = run.lead(&[("email", &format!("list{at}@person.example"))]).await;
        let view = run.show(&lead).await;
        of.entry(view["owner"].as_str().unwrap_or("nobody").to_owned()).or_default().push(lead);
        run.pass(std::time::Duration::from_secs(1)).await;
    }
    let counts: Vec<(&str, usize)> = of.iter().map(|(rep, leads)| (rep.as_str(), leads.len())).collect();
    assert_eq!(counts, [("nobody", 2), ("one", 2), ("two", 2)]);
    let admin = run.token.clone();
    let newest_first = |rep: &str| of[rep].iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(listed(&run, &admin, "owner=one").await, newest_first("one"));
    assert_eq!(listed(&run, &admin, "state=escalated").await, of["nobody"], "oldest first");
    assert_eq!(listed(&run, &admin, "state=assigned").await.len(), 4);
    assert_eq!(listed(&run, &admin, "state=waiting").await.len(), 0);
    assert_eq!(listed(&run, &admin, "owner=two&source=contact").await.len(), 2);
    assert_eq!(listed(&run, &admin, "owner=two&source=other").await.len(), 0);
    assert_eq!(listed(&run, &admin, "owner=two&since=2027-01-01T00:00:00Z").await.len(), 0);
    let rep = run.new_token("rep", Some("two")).await;
    assert_eq!(listed(&run, &rep, "").await, newest_first("two"));
    assert_eq!(run.api_as(Some(&rep), "GET", "/api/leads?owner=one", None).await.0, 404, "not the peer's");
    act(&run, &rep, &of["two"][0], "close", json!({})).await;
    assert_eq!(listed(&run, &rep, "state=open").await.iter().filter(|id| of["two"].contains(id)).count(), 1);
    for bad in ["state=nonsense", "since=yesterday"] {
        assert_eq!(run.api("GET", &format!("/api/leads?{bad}"), None).await.0, 422);
    }
    run.finish().await;
}

#[tokio::test]
async fn who_is_next_in_a_team_brings_what_the_rule_asked_for_and_is_asked_at_night_where_the_team_says_so() {
    let hours = "hours: { zone: UTC, daily: \"12:00-17:00\" }\noff_hours: anyway";
    let teams = [
        ("sdr", "[{ rep: ann }, { rep: bo }, { rep: cy }]".to_owned()),
        ("night", format!("[{{ rep: ann }}, {{ rep: cy }}]\n{hours}")),
        ("english", "[{ rep: bo }]".to_owned()),
    ];
    let teams = teams.each_ref().map(|(name, members)| (*name, members.as_str()));
    let rules = "  - name: night\n    when: has(lead.fields.night)\n    assign: { team: night }\n  \
                 - name: german\n    assign: { team: sdr, need: { language: lead.language } }\n";
    let mut text = policies(&["ann", "bo", "cy"], &teams, rules);
    for (rep, languages) in [("ann", "[de, en]"), ("bo", "[en]"), ("cy", "[de]")] {
        let mail = format!("email: {rep}@reps.example\n");
        text = text.replace(&mail, &format!("{mail}languages: {languages}\n"));
    }
    let run = Setup::policies(text).start().await;
    let german = run.lead(&[("email", "g@person.example"), ("language", "de")]).await;
    for _ in 0..4 {
        let before = owner(&run, &german).await;
        let (status, view) = act(&run, &run.token, &german, "reassign", json!({"team": "sdr"})).await;
        assert_eq!(status, 200, "{view:#}");
        let other = if before == "ann" { "cy" } else { "ann" };
        assert_eq!(view["owner"], other, "{view:#}");
    }
    let (status, problem) = act(&run, &run.token, &german, "reassign", json!({"team": "english"})).await;
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert_eq!(
        (status, detail.contains("what the lead's rule and the team ask")),
        (409, true),
        "{problem:#}"
    );
    let before = owner(&run, &german).await;
    let path = format!("/api/reps/{before}/rebalance");
    let (_, preview) = run.api("POST", &path, Some(json!({}))).await;
    let other = if before == "ann" { "cy" } else { "ann" };
    assert_eq!(preview["leads"][0]["to"], other, "{preview:#}");
    assert!(preview["leads"][0]["why"].to_string().contains("bo: passed over, does not speak the language"));
    // It is nine in the morning, and the team of the night is on from twelve.
    let night = run.lead(&[("email", "n@person.example"), ("night", "yes")]).await;
    let before = owner(&run, &night).await;
    let (status, view) = act(&run, &run.token, &night, "reassign", json!({"team": "night"})).await;
    let other = if before == "ann" { "cy" } else { "ann" };
    assert_eq!((status, &view["owner"]), (200, &json!(other)), "{view:#}");
    let (_, done) = run.api("POST", &format!("/api/reps/{other}/rebalance"), Some(json!({"do": true}))).await;
    run.settle().await;
    assert_eq!(owner(&run, &night).await, before, "{done:#}");
    run.finish().await;
}

/// Leads in a rep's own list that are open.
async fn open_of(run: &Running, rep: &str) -> std::collections::BTreeSet<String> {
    let token = run.new_token("rep", Some(rep)).await;
    listed(run, &token, "state=open").await.into_iter().collect()
}

#[tokio::test]
async fn an_open_lead_is_in_the_list_of_whoever_works_on_it_whoever_has_its_customer() {
    let rules = "  - name: keep\n    when: customer.owner != \"\"\n    assign: { owner: customer }\n\
                 \x20 - name: two\n    when: 'lead.fields.to == \"two\"'\n    assign: { rep: two }\n\
                 \x20 - name: all\n    assign: { rep: one }\n";
    let run = Setup::policies(policies(&["one", "two"], &[], rules)).start().await;
    let set = |leads: &[&String]| leads.iter().map(|lead| (*lead).clone()).collect();
    // One of a customer's two open leads goes to somebody else, and the customer with it.
    let first = run.lead(&[("email", "ada@person.example"), ("about", "shoes")]).await;
    let second = run.lead(&[("email", "ada@person.example"), ("about", "hats")]).await;
    assert_eq!(open_of(&run, "one").await, set(&[&first, &second]));
    assert_eq!(act(&run, &run.token, &first, "reassign", json!({"rep": "two"})).await.0, 200);
    assert_eq!(run.show(&second).await["owner"], "two", "the customer is theirs");
    assert_eq!(open_of(&run, "one").await, set(&[&second]));
    assert_eq!(open_of(&run, "two").await, set(&[&first]));
    assert_eq!(listed(&run, &run.token, "state=open&owner=one").await, std::slice::from_ref(&second));
    // Whoever works on it finishes it, and has nothing left.
    let one = run.new_token("rep", Some("one")).await;
    let (status, closed) = act(&run, &one, &second, "close", json!({})).await;
    assert_eq!((status, &closed["customer"]), (200, &run.show(&first).await["customer"]), "whose it is");
    assert_eq!(open_of(&run, "one").await, set(&[]));
    assert_eq!(listed(&run, &one, "").await, [""; 0], "what is closed is with its customer's owner");

    // Two customers of two owners turn out to be one.
    let hers = run.lead(&[("email", "eve@person.example")]).await;
    let theirs = run.lead(&[("email", "eve@office.example"), ("to", "two")]).await;
    let customers = [run.show(&hers).await, run.show(&theirs).await].map(|lead| lead["customer"].clone());
    let path = format!("/api/customers/{}/merge", customers[0].as_str().unwrap());
    assert_eq!(run.api("POST", &path, Some(json!({"with": customers[1]}))).await.0, 200);
    run.settle().await;
    assert_eq!(run.show(&hers).await["owner"], run.show(&theirs).await["owner"]);
    assert_eq!(open_of(&run, "one").await, set(&[&hers]));
    assert_eq!(open_of(&run, "two").await, set(&[&first, &theirs]));
    run.finish().await;
}
