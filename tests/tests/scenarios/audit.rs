//! Who changed a policy, a token or an owner: one entry, in the transaction of the change, with ids only.

use super::access::somebody_of;
use serde_json::{Value, json};
use sluice_host::environment::Clock;
use sluice_tests::stack::{POLICIES_SEEN, Running, Setup};
use std::time::Duration;

async fn audit(run: &Running, query: &str) -> Vec<Value> {
    let (status, page) = run.api("GET", &format!("/api/audit{query}"), None).await;
    assert_eq!(status, 200, "{page:#}");
    page["audit"].as_array().unwrap().clone()
}

#[tokio::test]
async fn every_change_of_a_policy_a_token_or_an_owner_says_who_when_and_what() {
    let run = Setup::default().frozen().start().await;
    // Documents.
    let first = audit(&run, "?kind=policy").await;
    assert_eq!((first.len(), &first[0]["version"]), (1, &json!(1)));
    assert_eq!(first[0]["who"], json!({"name": "admin", "role": "admin", "token": "first"}));
    let marketer = run.new_token_of(json!({"role": "marketer"})).await;
    run.pass(Duration::from_secs(60)).await;
    let changed = json!({"kind": "rep", "name": "ann", "full_name": "Ann", "email": "ann@reps.example"});
    let (status, _) = run.api_as(Some(&marketer), "PUT", "/api/policies/rep/ann", Some(changed)).await;
    assert_eq!(status, 200);
    run.pass(POLICIES_SEEN).await;
    let entries = audit(&run, "?kind=policy&limit=1").await;
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((&entry["who"]["name"], &entry["version"]), (&json!("marketer"), &json!(2)));
    let [document] = entry["documents"].as_array().unwrap().as_slice() else { panic!("{entry:#}") };
    assert_eq!(document["document"], "rep/ann");
    assert!(document["from"].is_string() && document["to"].is_string() && document["from"] != document["to"]);
    // Tokens.
    let (_, token) = run.api("POST", "/api/tokens", Some(json!({"role": "rep", "rep": "ann"}))).await;
    let id = token["id"].as_str().unwrap();
    run.pass(Duration::from_secs(1)).await;
    assert_eq!(run.api("DELETE", &format!("/api/tokens/{id}"), None).await.0, 200);
    let tokens = audit(&run, "?kind=token").await;
    let of = |entry: &Value| (entry["token"].clone(), entry["from"].clone(), entry["to"].clone());
    assert_eq!(of(&tokens[0]), (json!(id), json!("rep"), Value::Null));
    assert_eq!(of(&tokens[1]), (json!(id), Value::Null, json!("rep")));
    // Owners.
    let lead = somebody_of(&run, "ann").await;
    assert!(audit(&run, "?kind=owner").await.is_empty(), "the receipt says who got it first");
    let boss = run.new_token_of(json!({"role": "manager", "rep": "boss"})).await;
    let path = format!("/api/leads/{}/reassign", lead["id"].as_str().unwrap());
    let since = run.stack.clock.now().rfc3339();
    for _ in 0..2 {
        let (status, answer) = run.api_as(Some(&boss), "POST", &path, Some(json!({"rep": "bo"}))).await;
        assert_eq!(status, 200, "{answer:#}");
        run.settle().await;
    }
    let owners = audit(&run, &format!("?kind=owner&since={since}&who=boss")).await;
    let [entry] = owners.as_slice() else { panic!("done once, told once: {owners:#?}") };
    assert_eq!(
        (&entry["customer"], &entry["lead"], &entry["by"], &entry["from"], &entry["to"]),
        (&lead["customer"], &lead["id"], &json!("reassign"), &json!("ann"), &json!("bo"))
    );
    assert_eq!((&entry["at"], &entry["who"]["role"]), (&json!(since), &json!("manager")));
    assert!(audit(&run, "?who=nobody").await.is_empty());
    assert_eq!(run.api("GET", "/api/audit?kind=weather", None).await.0, 422);
    run.finish().await;
}

#[tokio::test]
async fn pages_go_back_to_the_first_entry_and_hold_nothing_that_a_customer_said() {
    let run = Setup::default().frozen().start().await;
    let lead = somebody_of(&run, "ann").await;
    let (id, customer) = (lead["id"].as_str().unwrap(), lead["customer"].as_str().unwrap());
    for to in ["bo", "ann", "bo"] {
        run.pass(Duration::from_secs(1)).await;
        let (status, _) =
            run.api("POST", &format!("/api/leads/{id}/reassign"), Some(json!({"rep": to}))).await;
        assert_eq!(status, 200);
        run.settle().await;
    }
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = run.api("GET", &format!("/api/audit?limit=2&cursor={cursor}"), None).await;
        assert!(page["audit"].as_array().unwrap().len() <= 2);
        all.extend(page["audit"].as_array().unwrap().clone());
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let times: Vec<&str> = all.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(all.len() == 4 && times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert_eq!(
        all.iter().map(|entry| entry["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["owner", "owner", "owner", "policy"]
    );
    // Erased, the entries stay: they say no more than that there was somebody.
    assert_eq!(run.api("DELETE", &format!("/api/customers/{customer}"), None).await.0, 202);
    run.settle().await;
    let said: String = audit(&run, "").await.iter().map(Value::to_string).collect();
    assert!(said.contains(customer) && !said.contains("person.example"), "{said}");
    for _ in 0..2 {
        run.pass(Duration::from_secs(400)).await;
        run.fire_timers().await;
    }
    run.finish().await;
}

#[tokio::test]
async fn a_change_that_is_not_stored_is_not_in_the_audit() {
    let run = Setup::default().frozen().start().await;
    let lead = somebody_of(&run, "ann").await;
    let before = run.print();
    run.refusals.refuse("serve-console", "TransactWriteItems", usize::MAX, (500, "InternalServerError"));
    let path = format!("/api/leads/{}/reassign", lead["id"].as_str().unwrap());
    assert_eq!(run.api("POST", &path, Some(json!({"rep": "bo"}))).await.0, 503);
    assert_eq!(run.api("POST", "/api/tokens", Some(json!({"role": "admin"}))).await.0, 503);
    run.refusals.lift();
    assert!(run.print() == before);
    run.finish().await;
}
