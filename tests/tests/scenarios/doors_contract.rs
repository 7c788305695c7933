//! What an answer says where there is nothing to say: each is held against `infra/openapi.yaml` as it comes.

use crate::timeline::{Call, take};
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};

const MORE: &str = r#"
---
kind: template
name: bill
from_name: The desk
reply_to: desk@shop.example
subject: "{{ data.n }} for {{ customer.first_name }}"
html: "<p>{% for one in data.items %}{{ one.name }}{% endfor %} {{ data.paid }}</p>"
defaults: { customer.first_name: you }
---
kind: source
name: fair
type: json
auth: public
id: no
---
kind: source
name: site
type: segment
secrets: { write_key: [env:SITE] }
trusted: true
"#;

async fn get(run: &Running, path: &str) -> Value {
    let (status, answer) = run.api("GET", path, None).await;
    assert_eq!(status, 200, "{path}: {answer:#}");
    answer
}

#[tokio::test]
async fn answers_with_nothing_to_say_are_as_the_contract_has_them() {
    let rule = "rules:\n  - name: by name\n    when: has(lead.fields.direct)\n    assign: { rep: ann }\n";
    let policies = POLICIES.replacen("rules:\n", rule, 1);
    let run = Setup::policies(format!("{policies}{MORE}")).start().await;
    // A lead of nobody, one by a robot, and one that a rule gives to a rep without a team.
    let nobody = run.lead(&[("note", "no name, no address")]).await;
    run.lead(&[("email", "r@robot.example"), ("website_url2", "x")]).await;
    let lead = run.lead(&[("phone", "+1 212 555 0199"), ("direct", "yes"), ("company", "Mill")]).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let spam = get(&run, "/api/leads?state=spam").await;
    assert_eq!(spam["leads"][0]["customer"], Value::Null, "{spam:#}");
    assert_eq!(run.show(&nobody).await["email"], Value::Null);
    let ledger = get(&run, "/api/ledger").await;
    assert_eq!((&ledger["sources"]["contact"]["spam"], &ledger["disagree"]), (&json!(1), &json!(0)));

    // First contact with a lead of no team: how fast by team has a row of none.
    let contact = json!({"channel": "phone"});
    assert_eq!(run.api("POST", &format!("/api/leads/{lead}/contacts"), Some(contact)).await.0, 200);
    let speed = get(&run, "/api/insight/speed-to-lead?by=team").await;
    assert_eq!(speed["groups"][0]["team"], Value::Null, "{speed:#}");

    // What programs say of a person is theirs to shape; of what was said by no lead nothing is named.
    let traits = json!({
        "phone": "+12125550199", "company": "Old Mill", "age": 42, "vip": true, "address": {"city": "Rome", "tags": ["a", 1]},
        "nothing": null,
    });
    let calls = vec![
        Call::identify("i1", 0, traits).user("u1"),
        Call::track("Looked Around", "t1", 1).user("u1").with(json!({"list": [1, {"a": null}]})),
    ];
    take(&run, calls).await;
    let shown = run.customer(&customer).await;
    let said: Vec<&Value> = shown["profile"]["company"]["over"].as_array().into_iter().flatten().collect();
    let by_no_lead =
        said.iter().copied().chain([&shown["profile"]["company"]]).find(|one| one["lead"].is_null());
    assert!(by_no_lead.is_some(), "{shown:#}");
    let timeline = get(&run, &format!("/api/customers/{customer}/timeline")).await;
    let things = timeline["timeline"].as_array().unwrap();
    assert!(things.iter().any(|thing| thing["traits"]["address"]["city"] == "Rome"), "{timeline:#}");
    let found = run.lookup(json!({"phone": "+12125550199"})).await;
    assert_eq!(found.1["id"], customer.as_str());
    // Who came by a source says no country, and was asked for nothing.
    let body = br#"{"no": "L-1", "email": "fair@person.example"}"#;
    run.send("POST", "/hooks/fair", &[("content-type", "application/json")], body).await;
    run.settle().await;
    let (_, fair) = run.lookup(json!({"email": "fair@person.example"})).await;
    let lead = get(&run, &format!("/api/customers/{}/export", fair["id"].as_str().unwrap())).await["leads"]
        [0]
    .clone();
    for name in ["country", "consent", "phone", "language"] {
        assert!(lead[name].is_null(), "{name}: {lead:#}");
    }
    let document = get(&run, &format!("/api/customers/{customer}/export")).await;
    assert!(
        document["leads"][0]["email"].is_null() && document["events"][0]["ids"].is_object(),
        "{document:#}"
    );
    let manager = run.new_token("manager", Some("boss")).await;
    let path = format!("/api/customers/{customer}/export");
    assert_eq!(run.api_as(Some(&manager), "GET", &path, None).await.0, 200);

    // Who had no say, whose token was nobody's.
    let rule = get(&run, "/api/audit?kind=owner").await;
    assert_eq!(
        (&rule["audit"][0]["who"]["role"], &rule["audit"][0]["who"]["token"]),
        (&Value::Null, &Value::Null),
        "{rule:#}"
    );
    let (_, made) =
        run.api("POST", "/api/tokens", Some(json!({"role": "manager", "teams": ["sales"]}))).await;
    let path = format!("/api/tokens/{}", made["id"].as_str().unwrap());
    let (status, revoked) = run.api("DELETE", &path, None).await;
    assert_eq!((status, &revoked["rep"], &revoked["state"]), (200, &Value::Null, &json!("revoked")));
    let tokens = get(&run, "/api/audit?kind=token").await;
    assert_eq!(tokens["audit"][0]["teams"], json!(["sales"]), "{tokens:#}");

    let asked = json!({"data": {"n": 3, "items": [{"name": "a"}], "paid": false}});
    let (status, preview) = run.api("POST", "/api/templates/bill/preview", Some(asked)).await;
    assert_eq!((status, &preview["from_name"]), (200, &json!("The desk")), "{preview:#}");
    let used = preview["used"].as_array().unwrap();
    assert!(used.iter().any(|one| !one["value"].is_string()), "{preview:#}");

    imports(&run).await;
    run.settle().await;
    run.finish().await;
}

/// Rows that are refused and flagged, tried and brought in; and a batch of which something stays.
async fn imports(run: &Running) {
    let rows = json!([
        {"n": 1, "fields": [["email", "one@file.example"], ["colour", "red"]]},
        {"n": 2, "fields": []},
        {"n": 3, "fields": [["email", "no address"]]},
    ]);
    let tried = json!({"form": "contact", "columns": ["email", "colour"], "rows": rows});
    let (status, tried) = run.api("POST", "/api/imports/try", Some(tried)).await;
    assert_eq!((status, &tried["columns"]["colour"]), (200, &json!("other")), "{tried:#}");
    let begin = json!({"batch": "fair", "form": "contact", "route": true});
    assert_eq!(run.api("POST", "/api/imports", Some(begin)).await.0, 200);
    let (status, brought) = run.api("POST", "/api/imports/fair/rows", Some(json!({ "rows": rows }))).await;
    assert_eq!(status, 200, "{brought:#}");
    for answer in [&tried, &brought] {
        assert_eq!(
            (&answer["rows"][1]["fate"], &answer["rows"][1]["lead"]),
            (&json!("refused"), &Value::Null)
        );
        assert!(
            answer["rows"][1]["why"].is_string() && answer["rows"][2]["flags"][0].is_string(),
            "{answer:#}"
        );
    }
    run.settle().await;
    let worked_on = brought["rows"][0]["lead"].as_str().unwrap();
    assert_eq!(run.api("POST", &format!("/api/leads/{worked_on}/accept"), Some(json!({}))).await.0, 200);
    let (status, mut back) = run.api("POST", "/api/imports/fair/revert", Some(json!({}))).await;
    assert_eq!(status, 200, "{back:#}");
    let mut left = Vec::new();
    loop {
        left.extend(back["left"].as_array().cloned().unwrap());
        if back["wait"].is_number() {
            run.pass(std::time::Duration::from_secs(back["wait"].as_u64().unwrap())).await;
        } else if back["cursor"].is_null() {
            break;
        }
        back = run.api("POST", "/api/imports/fair/revert", Some(json!({"cursor": back["cursor"]}))).await.1;
    }
    assert!(left.contains(&json!({"row": 1, "lead": worked_on, "why": "worked_on"})), "{left:?}");
}
