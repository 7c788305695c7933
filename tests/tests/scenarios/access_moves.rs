//! Managers move what is theirs, and are not told of who is not.

use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, POLICIES_SEEN, Running, Setup};

/// A team beside that of the usual documents: ann is in it too.
const WEST: &str = r#"
---
kind: rep
name: chief
---
kind: rep
name: cy
available: false
---
kind: team
name: west
manager: chief
members: [{ rep: cy }, { rep: ann }]
"#;

const ANNS: &str = "  - name: hers
    when: has(lead.fields.ann)
    assign: { rep: ann }
  - name: his
    when: has(lead.fields.cy)
    assign: { rep: cy }
";

/// Leads go to whom they name, whoever has their customer.
async fn stack(more: &str) -> Running {
    let policies = POLICIES.replace("rules:\n", &format!("rules:\n{ANNS}"));
    Setup::policies(format!("{policies}{more}")).start().await
}

fn text(view: &Value, name: &str) -> String {
    view[name].as_str().unwrap_or_else(|| panic!("{name}: {view:#}")).to_owned()
}

#[tokio::test]
async fn an_old_lead_does_not_take_its_customer_out_of_others_hands() {
    let run = stack(&WEST.replace("available: false\n", "")).await;
    let old = run.lead(&[("email", "ada@person.example"), ("ann", "1")]).await;
    let new = run.lead(&[("email", "ada@person.example"), ("cy", "1")]).await;
    let (status, answer) =
        run.api("POST", &format!("/api/leads/{new}/reassign"), Some(json!({"rep": "cy"}))).await;
    assert_eq!(status, 200, "{answer:#}");
    run.settle().await;
    let customer = text(&run.show(&old).await, "customer");
    assert_eq!(run.customer(&customer).await["owner"]["rep"], "cy");
    // Ann still has the old lead, and boss is above her.
    let boss = run.new_token("manager", Some("boss")).await;
    let before = run.print();
    let path = format!("/api/leads/{old}/reassign");
    let (status, problem) = run.api_as(Some(&boss), "POST", &path, Some(json!({"rep": "bo"}))).await;
    assert_eq!(
        (status, problem["type"].as_str()),
        (409, Some("urn:sluice:problem:out-of-place")),
        "{problem:#}"
    );
    assert!(run.print() == before, "a refused move left something");
    let body = json!({"do": true, "rep": "bo"});
    let (status, done) = run.api_as(Some(&boss), "POST", "/api/reps/ann/rebalance", Some(body)).await;
    assert_eq!((status, &done["leads"][0]["to"]), (200, &json!("bo")), "{done:#}");
    run.settle().await;
    assert_eq!(
        run.customer(&customer).await["owner"]["rep"],
        "cy",
        "of a leaver's lead nobody asked for that"
    );
    // Whoever reaches both moves it.
    let (status, _) = run.api("POST", &path, Some(json!({"rep": "ann"}))).await;
    assert_eq!(status, 200);
    run.settle().await;
    assert_eq!(run.customer(&customer).await["owner"]["rep"], "ann");
    run.finish().await;
}

#[tokio::test]
async fn a_leavers_leads_of_a_team_out_of_reach_are_the_callers_to_place() {
    let run = stack(WEST).await;
    let lead = run.lead(&[("email", "bob@person.example"), ("ann", "1")]).await;
    run.api("POST", &format!("/api/leads/{lead}/reassign"), Some(json!({"rep": "bo"}))).await;
    run.settle().await;
    let (status, answer) =
        run.api("POST", &format!("/api/leads/{lead}/reassign"), Some(json!({"team": "west"}))).await;
    assert_eq!((status, &answer["assignment"]["rep"]), (200, &json!("ann")), "{answer:#}");
    run.settle().await;
    let cy = json!({"kind": "rep", "name": "cy"});
    assert_eq!(run.api("PUT", "/api/policies/rep/cy", Some(cy)).await.0, 200);
    run.pass(POLICIES_SEEN).await;
    let boss = run.new_token("manager", Some("boss")).await;
    let path = "/api/reps/ann/rebalance";
    let (status, shown) = run.api_as(Some(&boss), "POST", path, Some(json!({}))).await;
    assert_eq!((status, &shown["leads"][0]["lead"]), (200, &json!(lead)), "{shown:#}");
    assert_eq!(
        (&shown["leads"][0]["to"], &shown["leads"][0]["team"]),
        (&Value::Null, &Value::Null),
        "{shown:#}"
    );
    let words = shown.to_string();
    assert!(!words.contains("cy:") && !words.contains("west"), "{shown:#}");
    let (_, done) = run.api_as(Some(&boss), "POST", path, Some(json!({"do": true, "rep": "bo"}))).await;
    assert_eq!(done["leads"][0]["to"], "bo", "{done:#}");
    run.settle().await;
    assert_eq!(run.show(&lead).await["owner"], "bo");
    run.finish().await;
}

#[tokio::test]
async fn no_explanation_names_a_customer_or_an_owner_out_of_reach() {
    let run = stack(WEST).await;
    let one = [("email", "one@person.example"), ("phone", "+12015550111"), ("ann", "1")];
    let two = [("email", "two@person.example"), ("phone", "+12015550122")];
    let one = text(&run.show(&run.lead(&one).await).await, "customer");
    // Bo's, by hand: the teams' turn is not what this is about.
    let lead = run.lead(&two).await;
    run.api("POST", &format!("/api/leads/{lead}/reassign"), Some(json!({"rep": "bo"}))).await;
    run.settle().await;
    let two = text(&run.show(&lead).await, "customer");
    // The mailbox of one, the phone of the other.
    let mixed = [("email", "one@person.example"), ("phone", "+12015550122")];
    let mixed = run.lead(&mixed).await;
    let whole = run.show(&mixed).await;
    assert_eq!(
        (text(&whole, "owner"), text(&whole, "customer")),
        ("ann".to_owned(), one.clone()),
        "{whole:#}"
    );
    assert!(whole["why"].to_string().contains(&two) && whole["suggestions"][0]["customer"] == two.as_str());
    let path = format!("/api/leads/{mixed}");
    for (role, rep, sees) in [("rep", "ann", false), ("manager", "boss", true)] {
        let token = run.new_token(role, Some(rep)).await;
        let (status, view) = run.api_as(Some(&token), "GET", &path, None).await;
        assert_eq!((status, view.to_string().contains(&two)), (200, sees), "{view:#}");
        assert_eq!(view["suggestions"].as_array().unwrap().len(), usize::from(sees), "{view:#}");
    }
    // Chief is above ann in west and sees her customers; cy's manager alone sees neither.
    let cy = run.new_token("manager", Some("cy")).await;
    let tried = json!({"form": "contact", "body": json!({"email": "one@person.example", "phone": "+12015550122", "topic": "another"}).to_string()});
    let (_, whole) = run.api("POST", "/api/leads/try", Some(tried.clone())).await;
    assert_eq!(whole["owner"]["rep"], "ann", "{whole:#}");
    let (status, tried) = run.api_as(Some(&cy), "POST", "/api/leads/try", Some(tried)).await;
    assert_eq!(
        (status, &tried["customer"], &tried["owner"]["rep"]),
        (200, &Value::Null, &json!("•••")),
        "{tried:#}"
    );
    let words = tried.to_string();
    assert!(!words.contains(&one) && !words.contains(&two) && !words.contains("owner ann"), "{tried:#}");
    run.finish().await;
}
