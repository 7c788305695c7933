//! Whose people a token reaches: reps their own, managers those of the team below, and what tokens are worth until when.

use super::access::{call, somebody_of};
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

/// Two teams, each with a manager; the director is above the one by `reports_to`, and leads the other herself.
const COMPANY: &str = r#"
---
kind: rep
name: cy
---
kind: rep
name: chief
reports_to: top
---
kind: rep
name: top
---
kind: team
name: west
manager: chief
members: [{ rep: cy }]
---
kind: team
name: heads
manager: top
members: [{ rep: boss }]
"#;

const TEMPLATE: &str = r#"
---
kind: template
name: hello
channel: email
subject: Hello
html: <p>Hello</p>
"#;

struct Company {
    run: Running,
    /// The lead and the customer of ann, who is in the team of boss; and those of bo, her peer.
    ann: [String; 2],
    bo: [String; 2],
    /// A message to ann's customer.
    message: String,
}

async fn company() -> Company {
    let run = Setup::policies(format!("{POLICIES}{COMPANY}{TEMPLATE}")).start().await;
    let text = |view: &Value, name: &str| view[name].as_str().unwrap().to_owned();
    let [ann, bo] = [somebody_of(&run, "ann").await, somebody_of(&run, "bo").await]
        .map(|lead| [text(&lead, "id"), text(&lead, "customer")]);
    let order = json!({"customer": ann[1], "template": "hello"});
    let (status, answer) = run.api("POST", "/api/messages", Some(order)).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    let message = text(&answer, "message_id");
    Company { run, ann, bo, message }
}

#[tokio::test]
async fn results_of_people_are_of_those_within_reach() {
    let Company { run, .. } = company().await;
    let company = run.new_token("marketer", None).await;
    for (asked, reps, teams) in [
        (json!({"role": "rep", "rep": "ann"}), vec!["ann"], vec![]),
        (json!({"role": "manager", "rep": "boss"}), vec!["ann", "bo"], vec!["sales"]),
        (json!({"role": "manager", "rep": "chief"}), vec![], vec![]),
        (json!({"role": "marketer"}), vec!["ann", "bo"], vec!["sales"]),
    ] {
        let token = run.new_token_of(asked.clone()).await;
        for (report, expected) in [("reps", reps), ("teams", teams)] {
            let (status, answer) =
                run.api_as(Some(&token), "GET", &format!("/api/insight/{report}"), None).await;
            assert_eq!(status, 200, "{answer:#}");
            let names: Vec<&str> =
                answer["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{asked} {report}");
        }
    }
    // What the company came to is the same for whoever may see it.
    let manager = run.new_token("manager", Some("chief")).await;
    let sources = |token: String| {
        let run = &run;
        async move { run.api_as(Some(&token), "GET", "/api/insight/sources", None).await.1["rows"].clone() }
    };
    let (all, seen) = (sources(company).await, sources(manager).await);
    assert!(all.as_array().is_some_and(|rows| !rows.is_empty()));
    assert_eq!(all, seen);
    run.finish().await;
}

#[tokio::test]
async fn whatever_names_a_lead_a_customer_or_a_rep_is_not_there_for_others() {
    let Company { run, ann, bo, message } = company().await;
    let outsiders = [
        ("a peer", json!({"role": "rep", "rep": "bo"})),
        ("a rep of another team", json!({"role": "rep", "rep": "cy"})),
        ("the manager of another team", json!({"role": "manager", "rep": "chief"})),
        ("a manager by another team's name", json!({"role": "manager", "teams": ["west"]})),
        ("somebody below", json!({"role": "manager", "rep": "ann"})),
    ];
    let mut tokens = Vec::new();
    for (who, asked) in outsiders {
        tokens.push((who, run.new_token_of(asked).await));
    }
    let before = run.print();
    run.refusals.refuse("serve-console", "AmazonSQS.", usize::MAX, (503, "ServiceUnavailable"));
    for (who, token) in &tokens {
        // Somebody below is asked about boss, who is above; the others about ann.
        let rep = if *who == "somebody below" { "boss" } else { "ann" };
        let (lead, customers) = match *who {
            "somebody below" => (&bo[0], [bo[1].as_str(), ann[1].as_str()]),
            _ => (&ann[0], [ann[1].as_str(), bo[1].as_str()]),
        };
        for route in serve_console::ROUTES {
            let (method, path, body) = call(route.name, lead, customers);
            let path =
                path.replace("/reps/ann", &format!("/reps/{rep}")).replace("rep=ann", &format!("rep={rep}"));
            let path = match route.name.split_once("/api/messages/{id}") {
                Some((_, rest)) => format!("/api/messages/{message}{rest}"),
                None => path,
            };
            let names_somebody = route.name.contains("/leads/{id}")
                || route.name.contains("/customers/")
                || route.name.contains("/reps/")
                || route.name.contains("/messages");
            // Ann's own message, and whom the look-up is for, are within her reach.
            let is_hers = path.contains(&message) || path.ends_with("/lookup");
            if !names_somebody || (*who == "somebody below" && is_hers) {
                continue;
            }
            let (status, answer) = run.api_as(Some(token), &method, &path, body).await;
            assert!(matches!(status, 403 | 404), "{who}: {} {path}: {status} {answer:#}", route.name);
        }
        for list in [format!("/api/leads?owner={rep}"), format!("/api/messages?customer={}", customers[0])] {
            assert_eq!(run.api_as(Some(token), "GET", &list, None).await.0, 404, "{who}: {list}");
        }
        let (status, leads) = run.api_as(Some(token), "GET", "/api/leads?state=assigned", None).await;
        let shows = |id: &str| leads["leads"].as_array().unwrap().iter().any(|row| row["id"] == id);
        assert!(status == 200 && !shows(lead), "{who}: {leads:#}");
    }
    run.settle().await;
    assert!(run.print() == before, "a call about somebody else's left something");
    run.refusals.lift();
    run.finish().await;
}

#[tokio::test]
async fn a_manager_sees_the_team_below_and_the_teams_below_that() {
    let Company { run, ann, bo, message } = company().await;
    let insiders = [
        ("the manager", json!({"role": "manager", "rep": "boss"})),
        ("the manager's manager", json!({"role": "manager", "rep": "top"})),
        ("a manager by the team's name", json!({"role": "manager", "teams": ["sales"]})),
        ("the rep", json!({"role": "rep", "rep": "ann"})),
    ];
    for (who, asked) in insiders {
        let token = run.new_token_of(asked.clone()).await;
        let mut paths = vec![
            format!("/api/leads/{}", ann[0]),
            format!("/api/customers/{}", ann[1]),
            format!("/api/customers/{}/timeline", ann[1]),
            format!("/api/customers/{}/runs", ann[1]),
            format!("/api/customers/{}/consents", ann[1]),
            format!("/api/messages?customer={}", ann[1]),
            format!("/api/messages/{message}"),
            "/api/leads?owner=ann".to_owned(),
            "/api/messages?rep=ann".to_owned(),
            "/api/reps/ann/leave".to_owned(),
        ];
        if asked["role"] == "manager" {
            paths.push(format!("/api/leads/{}", bo[0]));
            paths.push(format!("/api/customers/{}/export", bo[1]));
        }
        for path in paths {
            let (status, answer) = run.api_as(Some(&token), "GET", &path, None).await;
            assert_eq!(status, 200, "{who}: {path} {answer:#}");
        }
        let (_, list) = run.api_as(Some(&token), "GET", "/api/leads?owner=ann", None).await;
        assert_eq!(list["leads"][0]["id"], ann[0].as_str(), "{who}: {list:#}");
        let (_, found) = run
            .api_as(
                Some(&token),
                "POST",
                "/api/customers/lookup",
                Some(json!({"email": "ann0@person.example"})),
            )
            .await;
        assert_eq!(found["id"], ann[1].as_str(), "{who}");
    }
    run.finish().await;
}

#[tokio::test]
async fn what_a_token_of_a_team_wrote_and_asked_for_is_no_other_tokens() {
    let mask = "---\nkind: access\nname: default\nmasks: { manager: [last_name] }\n";
    let run = Setup::policies(format!("{POLICIES}{COMPANY}{mask}")).start().await;
    let fields = [("email", "ada@person.example"), ("last_name", "Kanarienvogel")];
    let lead = run.lead(&fields).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let mut tokens = Vec::new();
    for team in ["sales", "sales", "west"] {
        tokens.push(run.new_token_of(json!({"role": "manager", "teams": [team]})).await);
    }
    let [own, beside, other] = [&tokens[0], &tokens[1], &tokens[2]];

    let path = format!("/api/leads/{lead}");
    let said = json!({"channel": "phone", "note": "Kanarienvogel wants a call"});
    assert_eq!(run.api_as(Some(own), "POST", &format!("{path}/contacts"), Some(said)).await.0, 200);
    for (token, note) in [(own, "Kanarienvogel wants a call"), (beside, "••• wants a call")] {
        let (_, view) = run.api_as(Some(token), "GET", &path, None).await;
        assert_eq!(view["contacts"][0]["note"], note, "{view:#}");
        assert!(view["contacts"][0]["by"].as_str().unwrap().starts_with("manager tk_"), "{view:#}");
    }

    let (status, asked) = run.api_as(Some(own), "DELETE", &format!("/api/customers/{customer}"), None).await;
    assert_eq!(status, 202, "{asked:#}");
    run.settle().await;
    for (token, expected) in [(own, 200), (beside, 404), (other, 404)] {
        let look = asked["look"].as_str().unwrap();
        assert_eq!(run.api_as(Some(token), "GET", look, None).await.0, expected);
    }
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test]
async fn nobody_gives_a_lead_to_somebody_out_of_reach() {
    let Company { run, ann, .. } = company().await;
    let boss = run.new_token("manager", Some("boss")).await;
    let before = run.print();
    for (what, body, field) in [
        ("reassign", json!({"rep": "cy"}), "rep"),
        ("reassign", json!({"team": "west"}), "team"),
        ("claim", json!({"rep": "cy"}), "rep"),
    ] {
        let path = format!("/api/leads/{}/{what}", ann[0]);
        let (status, problem) = run.api_as(Some(&boss), "POST", &path, Some(body)).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem:#}");
    }
    for body in [json!({"do": true, "rep": "cy"}), json!({"do": true, "team": "west"})] {
        let (status, _) = run.api_as(Some(&boss), "POST", "/api/reps/ann/rebalance", Some(body)).await;
        assert_eq!(status, 422);
    }
    run.settle().await;
    assert!(run.print() == before);
    let path = format!("/api/leads/{}/reassign", ann[0]);
    assert_eq!(run.api_as(Some(&boss), "POST", &path, Some(json!({"rep": "bo"}))).await.0, 200);
    run.settle().await;
    // The new owner sees the customer, the old one does not any more.
    let [new, old] = ["bo", "ann"].map(|rep| run.new_token("rep", Some(rep)));
    let path = format!("/api/customers/{}", ann[1]);
    assert_eq!(run.api_as(Some(&new.await), "GET", &path, None).await.0, 200);
    assert_eq!(run.api_as(Some(&old.await), "GET", &path, None).await.0, 404);
    run.finish().await;
}

#[tokio::test]
async fn what_nobody_owns_is_for_those_who_see_everybody() {
    let Company { run, .. } = company().await;
    let begin = json!({"batch": "spring", "form": "contact"});
    assert_eq!(run.api("POST", "/api/imports", Some(begin)).await.0, 200);
    let rows = json!({"rows": [{"n": 1, "fields": [["email", "row@person.example"]]}]});
    let (_, answer) = run.api("POST", "/api/imports/spring/rows", Some(rows)).await;
    let lead = answer["rows"][0]["lead"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned();
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let marketer = run.new_token("marketer", None).await;
    let top = run.new_token("manager", Some("top")).await;
    for path in [format!("/api/leads/{lead}"), format!("/api/customers/{customer}")] {
        assert_eq!(run.api_as(Some(&marketer), "GET", &path, None).await.0, 200, "{path}");
        assert_eq!(run.api_as(Some(&top), "GET", &path, None).await.0, 404, "{path}");
    }
    // A preview counts those within reach.
    let when = json!({"when": "customer.leads > 0"});
    let count = |answer: Value| answer["of"].as_u64().unwrap();
    let (_, all) = run.api_as(Some(&marketer), "POST", "/api/segments/any/preview", Some(when.clone())).await;
    let (_, below) = run.api_as(Some(&top), "POST", "/api/segments/any/preview", Some(when)).await;
    assert!(count(all) > count(below.clone()), "{below:#}");
    assert!(!below["sample"].as_array().unwrap().contains(&json!(customer)));
    run.finish().await;
}

#[tokio::test]
async fn a_token_is_worth_nothing_once_it_expires_or_is_revoked() {
    let run = Setup::default().frozen().start().await;
    for (asked, field) in [
        (json!({"role": "emperor"}), "role"),
        (json!({"role": "rep"}), "rep"),
        (json!({"role": "rep", "rep": "nobody"}), "rep"),
        (json!({"role": "manager"}), "teams"),
        (json!({"role": "manager", "teams": ["none"]}), "teams"),
        (json!({"role": "marketer", "teams": ["sales"]}), "teams"),
        (json!({"role": "admin", "expires": "yesterday"}), "expires"),
        (json!({"role": "admin", "expires": "2020-01-01T00:00:00Z"}), "expires"),
    ] {
        let (status, problem) = run.api("POST", "/api/tokens", Some(asked.clone())).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{asked}: {problem:#}");
    }
    let (_, short) =
        run.api("POST", "/api/tokens", Some(json!({"role": "admin", "expires": "2d", "note": "CI"}))).await;
    let (_, long) = run.api("POST", "/api/tokens", Some(json!({"role": "rep", "rep": "ann"}))).await;
    let is_good = async |token: &Value, why: &str| {
        let (status, answer) = run.api_as(token["token"].as_str(), "GET", "/api/health", None).await;
        assert_eq!(status == 200, why.is_empty(), "{answer:#}");
        assert!(why.is_empty() || answer["type"] == format!("urn:sluice:problem:{why}"), "{answer:#}");
    };
    is_good(&short, "").await;
    run.pass(Duration::from_secs(2 * 86_400)).await;
    is_good(&short, "token-expired").await;
    is_good(&long, "").await;
    let path = format!("/api/tokens/{}", long["id"].as_str().unwrap());
    for _ in 0..2 {
        let (status, answer) = run.api("DELETE", &path, None).await;
        assert_eq!((status, answer["state"].as_str()), (200, Some("revoked")));
    }
    is_good(&long, "token-revoked").await;
    assert_eq!(run.api("DELETE", "/api/tokens/tk_0123456789abcdef", None).await.0, 404);
    let (_, list) = run.api("GET", "/api/tokens", None).await;
    let mut states: Vec<(&str, Option<&str>)> = list["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| (token["state"].as_str().unwrap(), token["note"].as_str()))
        .collect();
    states.sort_unstable();
    assert_eq!(states, [("expired", Some("CI")), ("revoked", None)]);
    assert!(!list.to_string().contains(short["token"].as_str().unwrap()), "shown once");
    run.finish().await;
}
