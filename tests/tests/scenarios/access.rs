//! Who may do what: every route, every role, and nobody.

use serde_json::{Value, json};
use sluice_tests::stack::{Running, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who gets past the door of each route: admin, manager, marketer, rep. Everybody else is told 403, strangers 401.
const MAY: &[(&str, &[&str])] = &[
    ("GET /api/health", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/openapi.yaml", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/ledger", &["admin", "manager"]),
    ("GET /api/leads", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/leads/try", &["admin", "manager", "marketer"]),
    ("GET /api/leads/{id}", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/leads/{id}/accept", &["admin", "manager", "rep"]),
    ("POST /api/leads/{id}/close", &["admin", "manager", "rep"]),
    ("POST /api/leads/{id}/disqualify", &["admin", "manager", "rep"]),
    ("POST /api/leads/{id}/contacts", &["admin", "manager", "rep"]),
    ("POST /api/leads/{id}/qualify", &["admin", "manager", "rep"]),
    ("POST /api/leads/{id}/reassign", &["admin", "manager"]),
    ("POST /api/leads/{id}/claim", &["admin", "manager", "rep"]),
    ("POST /api/leads/{id}/credit", &["admin", "manager"]),
    ("GET /api/reps/{name}/leave", &["admin", "manager", "rep"]),
    ("PUT /api/reps/{name}/leave", &["admin", "manager", "rep"]),
    ("POST /api/reps/{name}/rebalance", &["admin", "manager"]),
    ("GET /api/customers", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/customers/lookup", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/customers/{id}", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/customers/{id}/merge", &["admin", "manager"]),
    ("POST /api/customers/{id}/keep-apart", &["admin", "manager"]),
    ("POST /api/customers/{id}/unmerge", &["admin", "manager"]),
    ("GET /api/customers/{id}/export", &["admin", "manager"]),
    ("GET /api/customers/{id}/erasure", &["admin", "manager"]),
    ("GET /api/customers/{id}/consents", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/customers/{id}/timeline", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/customers/{id}/runs", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/customers/{id}/consents", &["admin", "manager", "rep"]),
    ("POST /api/customers/{id}/suppress", &["admin", "manager"]),
    ("POST /api/customers/{id}/unsuppress", &["admin", "manager"]),
    ("GET /api/policies", &["admin", "manager", "marketer"]),
    ("POST /api/policies/validate", &["admin", "manager", "marketer"]),
    ("POST /api/policies/apply", &["admin", "marketer"]),
    ("GET /api/policies/{kind}/{name}", &["admin", "manager", "marketer"]),
    ("PUT /api/policies/{kind}/{name}", &["admin", "marketer"]),
    ("GET /api/imports", &["admin", "marketer"]),
    ("POST /api/imports", &["admin", "marketer"]),
    ("POST /api/imports/try", &["admin", "marketer"]),
    ("GET /api/imports/{batch}", &["admin", "marketer"]),
    ("POST /api/imports/{batch}/rows", &["admin", "marketer"]),
    ("POST /api/imports/{batch}/revert", &["admin", "marketer"]),
    ("GET /api/insight/speed-to-lead", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/insight/teams", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/insight/reps", &["admin", "manager", "marketer", "rep"]),
    ("GET /api/insight/journeys", &["admin", "manager", "marketer"]),
    ("GET /api/insight/campaigns", &["admin", "manager", "marketer"]),
    ("GET /api/insight/sources", &["admin", "manager", "marketer"]),
    ("GET /api/insight/attribution", &["admin", "manager", "marketer"]),
    ("GET /api/messages", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/messages", &["admin", "manager", "marketer"]),
    ("GET /api/messages/{id}", &["admin", "manager", "marketer", "rep"]),
    ("POST /api/messages/{id}/settle", &["admin", "manager", "marketer"]),
    ("POST /api/templates/{name}/preview", &["admin", "manager", "marketer"]),
    ("POST /api/templates/{name}/test-send", &["admin", "manager", "marketer"]),
    ("POST /api/segments/{name}/preview", &["admin", "manager", "marketer"]),
    ("GET /api/journeys/{name}", &["admin", "manager", "marketer"]),
    ("GET /api/campaigns", &["admin", "manager", "marketer"]),
    ("GET /api/campaigns/{name}", &["admin", "manager", "marketer"]),
    ("POST /api/campaigns/{name}/schedule", &["admin", "marketer"]),
    ("POST /api/campaigns/{name}/pause", &["admin", "marketer"]),
    ("POST /api/campaigns/{name}/resume", &["admin", "marketer"]),
    ("POST /api/campaigns/{name}/cancel", &["admin", "marketer"]),
    ("POST /api/campaigns/{name}/test-send", &["admin", "manager", "marketer"]),
    ("GET /api/webhooks", &["admin", "manager"]),
    ("GET /api/webhooks/{id}/deliveries", &["admin", "manager"]),
    ("POST /api/webhooks/{id}/enable", &["admin", "manager"]),
    ("POST /api/webhooks/{id}/redeliver", &["admin", "manager"]),
    ("GET /api/tokens", &["admin"]),
    ("POST /api/tokens", &["admin"]),
    ("DELETE /api/tokens/{id}", &["admin"]),
    ("GET /api/audit", &["admin"]),
    // The last: nothing is left of the customer after it.
    ("DELETE /api/customers/{id}", &["admin", "manager"]),
];

/// Longer than what a published policy wakes waits for.
const WHILE: Duration = Duration::from_secs(4);

/// A call that would do something if it were let in.
pub(super) fn call(route: &str, lead: &str, [customer, other]: [&str; 2]) -> (String, String, Option<Value>) {
    let (method, path) = route.split_once(' ').unwrap();
    let id = match path.split('/').nth(2) {
        Some("customers") => customer,
        Some("leads") => lead,
        _ => "nothing",
    };
    let rep = if route.starts_with("PUT /api/policies") { "newcomer" } else { "ann" };
    let path =
        path.replace("{id}", id).replace("{kind}", "rep").replace("{name}", rep).replace("{batch}", "spring");
    let path = if (method, path.as_str()) == ("GET", "/api/messages") {
        "/api/messages?rep=ann".to_owned()
    } else {
        path
    };
    let body = match route {
        "POST /api/leads/try" => json!({"form": "contact", "body": "{\"email\":\"try@person.example\"}"}),
        "POST /api/customers/lookup" => json!({"email": "ann0@person.example"}),
        "POST /api/customers/{id}/merge" => json!({"with": other}),
        "POST /api/customers/{id}/keep-apart" => json!({"from": other}),
        "POST /api/customers/{id}/consents" => json!({"channel": "email", "topic": "news", "wish": "no"}),
        "POST /api/customers/{id}/suppress" => json!({"channel": "email", "reason": "asked"}),
        "POST /api/customers/{id}/unsuppress" => json!({"channel": "email", "reason": "asked"}),
        "POST /api/messages" => json!({"customer": customer, "template": "none"}),
        "POST /api/messages/{id}/settle" => json!({"went_out": true}),
        "POST /api/templates/{name}/test-send" | "POST /api/campaigns/{name}/test-send" => {
            json!({"customer": customer, "to": "me@shop.example"})
        }
        "POST /api/leads/{id}/contacts" => json!({"channel": "phone"}),
        "POST /api/leads/{id}/qualify" => json!({"grade": "A"}),
        "POST /api/leads/{id}/reassign" => json!({"rep": "bo"}),
        "POST /api/leads/{id}/claim" => json!({"rep": "ann"}),
        "POST /api/leads/{id}/credit" => json!({"reason": "no lead"}),
        "PUT /api/reps/{name}/leave" => json!({"leave": [{"from": "2027-01-01"}]}),
        "POST /api/policies/validate" | "POST /api/policies/apply" => {
            json!({"files": [{"file": "a.yaml", "text": "kind: rep\nname: intruder\n"}]})
        }
        "POST /api/segments/{name}/preview" => json!({"when": "customer.leads > 0"}),
        "PUT /api/policies/{kind}/{name}" => json!({"kind": "rep", "name": "newcomer"}),
        "POST /api/imports" => json!({"batch": "spring", "form": "contact"}),
        "POST /api/imports/try" => {
            json!({"form": "contact", "rows": [{"n": 1, "fields": [["email", "try@person.example"]]}]})
        }
        "POST /api/imports/{batch}/rows" => {
            json!({"rows": [{"n": 1, "fields": [["email", "row@person.example"]]}]})
        }
        "POST /api/tokens" => json!({"role": "admin"}),
        _ if method == "POST" => json!({}),
        _ => return (method.to_owned(), path, None),
    };
    (method.to_owned(), path, Some(body))
}

pub(super) async fn somebody_of(run: &Running, rep: &str) -> Value {
    for at in 0..4 {
        let lead = run.lead(&[("email", &format!("{rep}{at}@person.example"))]).await;
        let view = run.show(&lead).await;
        if view["owner"] == rep {
            return view;
        }
    }
    panic!("{rep} got no lead");
}

#[tokio::test]
async fn every_route_lets_in_whom_it_should_and_a_refused_call_changes_nothing() {
    let listed: BTreeSet<&str> = serve_console::ROUTES.iter().map(|route| route.name).collect();
    let expected: BTreeMap<&str, &[&str]> = MAY.iter().copied().collect();
    assert_eq!(listed, expected.keys().copied().collect(), "this table names every route");

    let run = Setup::default().start().await;
    let lead = somebody_of(&run, "ann").await;
    assert_eq!(lead["email"], "ann0@person.example");
    let other = somebody_of(&run, "bo").await;
    let customers = [&lead, &other].map(|lead| lead["customer"].as_str().unwrap());
    let lead = lead["id"].as_str().unwrap();
    let mut tokens = BTreeMap::from([("admin", run.token.clone())]);
    for (role, rep) in [("manager", Some("boss")), ("marketer", None), ("rep", Some("ann"))] {
        tokens.insert(role, run.new_token(role, rep).await);
    }
    let before = run.print();
    // Whatever a call would send stands in the table instead.
    run.refusals.refuse("serve-console", "AmazonSQS.", usize::MAX, (503, "ServiceUnavailable"));
    for (route, may) in MAY {
        let (method, path, body) = call(route, lead, customers);
        for (role, token) in tokens.iter().filter(|(role, _)| !may.contains(role)) {
            let (status, problem) = run.api_as(Some(token), &method, &path, body.clone()).await;
            assert_eq!(
                (status, problem["type"].as_str()),
                (403, Some("urn:sluice:problem:not-allowed")),
                "{role} {route}"
            );
        }
        for stranger in [None, Some(""), Some("slt_guess"), Some(&run.token[1..])] {
            let (status, _) = run.api_as(stranger, &method, &path, body.clone()).await;
            assert_eq!(status, 401, "{route}");
        }
        run.settle().await;
        assert!(run.print() == before, "a refused {route} left something");
    }
    run.refusals.lift();
    for (route, may) in MAY {
        let (method, path, body) = call(route, lead, customers);
        for role in *may {
            let (status, answer) = run.api_as(Some(&tokens[role]), &method, &path, body.clone()).await;
            // Who is erased is looked after once more a minute later.
            let erases = route.starts_with("DELETE /api/customers");
            run.pass(if erases { Duration::from_secs(125) } else { WHILE }).await;
            // Some acts have been done by the role before: that is a conflict, and no question of rights.
            // What is asked of these names none that is there: that is no question of rights either.
            let nameless = [
                "/api/messages",
                "/api/templates",
                "/webhooks/",
                "erasure",
                "/api/journeys/",
                "/campaigns/",
                "/tokens/",
            ];
            let names_nothing = nameless.iter().any(|part| route.contains(part));
            // Whose a person was who is erased, nobody knows: the manager after the admin is told that there is nobody.
            let names_nothing = names_nothing || erases;
            let is_known = matches!(status, 200 | 201 | 202 | 404 | 409) || (status == 422 && names_nothing);
            assert!(is_known, "{role} {route}: {status} {answer:#}");
            assert!(
                status != 404 || names_nothing || (role == &"rep" && route.contains("{id}")),
                "{role} {route}: {answer:#}"
            );
        }
    }
    // What comes late of somebody who was erased is looked for a while later.
    for _ in 0..2 {
        run.pass(Duration::from_secs(400)).await;
        run.invoke("fire-timers", &json!({})).await.expect("the timers fire");
        // What is due within two minutes lies on its queue until then.
        run.pass(Duration::from_secs(125)).await;
    }
    run.finish().await;
}

#[tokio::test]
async fn a_rep_sees_neither_a_peers_lead_nor_a_peers_messages() {
    let run = Setup::default().start().await;
    let lead = somebody_of(&run, "ann").await;
    let id = lead["id"].as_str().unwrap();
    let peer = run.new_token("rep", Some("bo")).await;
    let boss = run.new_token("manager", Some("boss")).await;
    let before = run.table();
    for what in ["accept", "close", "disqualify", "claim"] {
        let (status, _) =
            run.api_as(Some(&peer), "POST", &format!("/api/leads/{id}/{what}"), Some(json!({}))).await;
        assert_eq!(status, 404, "{what}: a peer's lead is not there");
    }
    // Of a lead that is not there nobody is told what the call lacks besides.
    let nothing = "ld_00000000000000000000000000";
    for (token, id, what) in [
        (&peer, id, "contacts"),
        (&peer, nothing, "claim"),
        (&boss, nothing, "claim"),
        (&boss, nothing, "reassign"),
        (&boss, nothing, "credit"),
        (&boss, nothing, "contacts"),
        (&run.token, nothing, "claim"),
    ] {
        let path = format!("/api/leads/{id}/{what}");
        let (status, problem) = run.api_as(Some(token), "POST", &path, Some(json!({}))).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (404, Some("urn:sluice:problem:no-such-lead")),
            "{what}: {problem:#}"
        );
    }
    assert_eq!(run.api_as(Some(&peer), "GET", &format!("/api/leads/{id}"), None).await.0, 404);
    assert_eq!(run.api_as(Some(&peer), "GET", "/api/messages?rep=ann", None).await.0, 404);
    let (status, page) = run.api_as(Some(&peer), "GET", "/api/messages", None).await;
    assert_eq!(status, 200);
    assert!(page["messages"].as_array().unwrap().iter().all(|message| message["lead"] != id), "{page:#}");
    assert!(run.table() == before);
    let own = run.new_token("rep", Some("ann")).await;
    assert_eq!(run.api_as(Some(&own), "GET", &format!("/api/leads/{id}"), None).await.0, 200);
    run.finish().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named_as_such() {
    let run = Setup::default().start().await;
    run.send("GET", "/", &[], b"").await.is_problem(404, "no-such-route");
    for (method, path) in [("GET", "/f/contact"), ("DELETE", "/api/leads/ld_x"), ("DELETE", "/hooks/meta")] {
        run.send(method, path, &[], b"").await.is_problem(405, "wrong-method");
    }
    for path in
        ["/api/leads/ld_nothing", "/api/leads/x", "/api/customers/cu_nothing", "/api/policies/form/none"]
    {
        let (status, problem) = run.api("GET", path, None).await;
        assert_eq!((status, problem["status"].as_u64()), (404, Some(404)), "{path}");
    }
    let (status, problem) = run.api("POST", "/api/tokens", Some(json!({"role": "emperor"}))).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("role")));
    run.finish().await;
}
