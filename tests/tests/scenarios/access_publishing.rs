//! What a marketer publishes, and what only an admin does: who sees what, and where data goes with which secrets.

use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, POLICIES_SEEN, Setup};

const PUT: &str = "DynamoDB_20120810.PutItem";
const DOWN: (u16, &str) = (503, "ServiceUnavailable");

const MORE: &str = r#"
---
kind: channel
name: sms
via: webhook
webhook: { url: https://sms.example/send, body: { to: "{{ to }}", text: "{{ text }}" }, bearer: env:SMS_TOKEN }
---
kind: source
name: told
type: sns
topics: ["arn:aws:sns:us-east-1:123456789012:ses-events"]
---
kind: source
name: site
type: segment
secrets: { write_key: [env:HOOK] }
---
kind: webhook
name: warehouse
url: https://warehouse.example/events
secrets: [env:HOOK]
events: ["*"]
---
kind: journey
name: told
trigger: { event: signed_up }
steps:
  - webhook: { url: https://crm.example/in, secrets: [env:HOOK], facts: [email] }
  - wait: 1d
"#;

fn call(to: &str, bearer: &str) -> Value {
    let webhook = json!({"url": to, "body": {"to": "{{ to }}", "text": "{{ text }}"}, "bearer": bearer});
    json!({"kind": "channel", "name": "sms", "via": "webhook", "webhook": webhook})
}

fn journey(steps: &Value) -> Value {
    json!({"kind": "journey", "name": "told", "trigger": {"event": "signed_up"}, "steps": steps})
}

#[tokio::test]
async fn only_an_admin_says_where_data_goes_and_who_is_below_whom() {
    let run = Setup::policies(format!("{POLICIES}{MORE}")).start().await;
    let marketer = run.new_token("marketer", None).await;
    let theirs = "https://theirs.example/in";
    let step = json!({"webhook": {"url": theirs, "secrets": ["env:HOOK"], "facts": ["email"]}});
    let facts = json!({"webhook": {"url": "https://crm.example/in", "secrets": ["env:HOOK"], "facts": ["email", "phone"]}});
    let signed = json!({"url": theirs, "secrets": ["env:HOOK"]});
    let members = json!([{"rep": "ann"}, {"rep": "bo"}, {"rep": "boss"}]);
    let before = run.print();
    for (document, about) in [
        (call(theirs, "env:SMS_TOKEN"), "channel/sms"),
        (call("https://sms.example/send", "env:HOOK"), "channel/sms"),
        (
            json!({"kind": "channel", "name": "email", "via": "smtp", "from": "us@shop.example", "smtp": {"host": "theirs.example"}}),
            "channel/email",
        ),
        (
            json!({"kind": "webhook", "name": "mine", "url": theirs, "secrets": ["env:HOOK"], "events": ["*"]}),
            "webhook/mine",
        ),
        (
            json!({"kind": "webhook", "name": "warehouse", "url": theirs, "secrets": ["env:HOOK"], "events": ["*"]}),
            "webhook/warehouse",
        ),
        (
            json!({"kind": "source", "name": "meta", "type": "meta", "secrets": {"app_secret": ["env:HOOK"], "verify_token": ["env:HOOK"], "page_token": ["env:HOOK"]}}),
            "source/meta",
        ),
        (
            json!({"kind": "source", "name": "told", "type": "sns", "topics": ["arn:aws:sns:us-east-1:210987654321:mine"]}),
            "source/told",
        ),
        (
            json!({"kind": "source", "name": "site", "type": "segment", "secrets": {"write_key": ["env:HOOK"]}, "trusted": true}),
            "source/site",
        ),
        (json!({"kind": "rep", "name": "bo", "email": "bo@reps.example", "reports_to": "ann"}), "rep/bo"),
        (json!({"kind": "rep", "name": "bo", "email": "bo@reps.example", "webhook": signed}), "rep/bo"),
        (json!({"kind": "rep", "name": "bo", "email": "me@theirs.example"}), "rep/bo"),
        (
            json!({"kind": "team", "name": "sales", "manager": "ann", "members": [{"rep": "ann"}, {"rep": "bo"}]}),
            "team/sales",
        ),
        (json!({"kind": "team", "name": "sales", "manager": "boss", "members": members}), "team/sales"),
        (journey(&json!([step])), "journey/told"),
        (journey(&json!([facts, {"wait": "1d"}])), "journey/told"),
    ] {
        let path = format!(
            "/api/policies/{}/{}",
            document["kind"].as_str().unwrap(),
            document["name"].as_str().unwrap()
        );
        let (status, problem) = run.api_as(Some(&marketer), "PUT", &path, Some(document)).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (403, Some("urn:sluice:problem:not-allowed")),
            "{about}: {problem:#}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(about), "{problem:#}");
    }
    // What is left out is taken away.
    let body = json!({"files": [{"file": "a", "text": POLICIES}]});
    let (status, problem) =
        run.api_as(Some(&marketer), "POST", "/api/policies/apply?prune=true", Some(body)).await;
    assert_eq!(status, 403, "{problem:#}");
    run.settle().await;
    assert!(run.print() == before, "a refused publication left something");

    let call_again =
        json!({"webhook": {"url": "https://crm.example/in", "secrets": ["env:HOOK"], "facts": ["email"]}});
    for document in [
        json!({"kind": "rep", "name": "newcomer", "full_name": "New Comer"}),
        json!({"kind": "rep", "name": "bo", "email": "bo@reps.example", "capacity": 3}),
        json!({"kind": "template", "name": "hello", "channel": "email", "subject": "Hello", "html": "<p>Hello</p>"}),
        json!({"kind": "segment", "name": "some", "when": "customer.leads > 0"}),
        json!({"kind": "journey", "name": "plain", "trigger": {"event": "signed_up"}, "steps": [{"tag": "new"}]}),
        journey(&json!([call_again, {"wait": "2d"}])),
        json!({"kind": "form", "name": "second"}),
    ] {
        let path = format!(
            "/api/policies/{}/{}",
            document["kind"].as_str().unwrap(),
            document["name"].as_str().unwrap()
        );
        let (status, answer) = run.api_as(Some(&marketer), "PUT", &path, Some(document)).await;
        assert_eq!(status, 200, "{path}: {answer:#}");
    }
    run.pass(POLICIES_SEEN).await;
    run.finish().await;
}

#[tokio::test]
async fn a_document_names_no_variable_of_the_function_itself() {
    let run = Setup::default().start().await;
    for name in [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "SLUICE_TABLE",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "aws_key",
    ] {
        let document = call("https://theirs.example/in", &format!("env:{name}"));
        let (status, problem) = run.api("PUT", "/api/policies/channel/sms", Some(document)).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (422, Some("urn:sluice:problem:policy-invalid")),
            "{name}: {problem:#}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(name), "{problem:#}");
    }
    run.finish().await;
}

#[tokio::test]
async fn a_publication_whose_answer_was_lost_wakes_those_who_wait_when_it_is_repeated() {
    let away = POLICIES
        .replace("name: ann\n", "name: ann\navailable: false\n")
        .replace("name: bo\n", "name: bo\navailable: false\n");
    let run = Setup::policies(away).start().await;
    let lead = run.lead(&[("email", "waits@person.example")]).await;
    assert_eq!(run.show(&lead).await["state"], "escalated");
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let read = run.send("GET", "/api/policies", &headers, b"").await;
    let held = [headers[0], headers[1], ("if-match", read.header("etag").unwrap())];
    let put = async |email: &str| {
        let back = json!({"kind": "rep", "name": "ann", "email": email}).to_string();
        run.send("PUT", "/api/policies/rep/ann", &held, back.as_bytes()).await
    };
    // The document is written and published, and the function dies before anybody is told.
    run.refusals.pass_first("serve-console", PUT, 1);
    run.refusals.refuse("serve-console", PUT, usize::MAX, DOWN);
    run.refusals.refuse("serve-console", "AmazonSQS.", usize::MAX, DOWN);
    let lost = put("ann@reps.example").await;
    assert_eq!(lost.status, 503, "{}", lost.text());
    run.refusals.lift();
    let (_, health) = run.api("GET", "/api/health", None).await;
    let template = format!("SLUICE_TEMPLATE: {}", health["template"]);
    assert!(include_str!("../../../infra/template.yaml").contains(&template), "{health:#}");
    assert_eq!(health["build"]["version"], env!("CARGO_PKG_VERSION"), "{health:#}");
    put("other@reps.example").await.is_problem(409, "version-changed");
    let repeated = put("ann@reps.example").await;
    let again = repeated.json();
    assert_eq!((repeated.status, &again["version"]), (200, &health["policies"]["version"]), "{again:#}");
    assert_eq!(again["changed"], json!([]), "it was published by the first call");
    run.pass(POLICIES_SEEN).await;
    assert_eq!(run.show(&lead).await["owner"], "ann");
    run.finish().await;
}

#[tokio::test]
async fn a_leave_whose_answer_was_lost_wakes_those_who_wait_when_it_is_repeated() {
    let run = Setup::default().start().await;
    let bearer = format!("Bearer {}", run.token);
    let leave = async |rep: &str, tag: &str, leave: Value| {
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("if-match", tag)];
        let body = json!({ "leave": leave }).to_string();
        run.send("PUT", &format!("/api/reps/{rep}/leave"), &headers, body.as_bytes()).await
    };
    let away = json!([{"from": "2026-03-01"}]);
    let set = leave("ann", "*", away.clone()).await;
    assert_eq!((set.status, leave("bo", "*", away).await.status), (200, 200), "{}", set.text());
    run.settle().await;
    let lead = run.lead(&[("email", "waits@person.example")]).await;
    assert_eq!(run.show(&lead).await["state"], "escalated");
    // It is set, and the function dies before anybody is told.
    run.refusals.refuse("serve-console", PUT, usize::MAX, DOWN);
    run.refusals.refuse("serve-console", "AmazonSQS.", usize::MAX, DOWN);
    let tag = set.header("etag").unwrap();
    let lost = leave("ann", tag, json!([])).await;
    assert_eq!(lost.status, 503, "{}", lost.text());
    run.refusals.lift();
    leave("ann", tag, json!([{"from": "2027-01-01"}])).await.is_problem(409, "changed");
    let again = leave("ann", tag, json!([])).await;
    assert_eq!((again.status, &again.json()["at_work"]), (200, &json!(true)), "{}", again.text());
    run.settle().await;
    assert_eq!(run.show(&lead).await["owner"], "ann");
    run.finish().await;
}
