//! Meta's webhooks: who is believed, and what happens while Meta does not answer.

use ring::hmac;
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn signature(secret: &str, body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    format!("sha256={}", tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn announcement(ids: &[&str]) -> String {
    let change = |id: &&str| json!({"field": "leadgen", "value": {"leadgen_id": id, "form_id": "7", "page_id": "5", "created_time": 1772442000}});
    let changes: Vec<Value> = ids.iter().map(change).collect();
    json!({"object": "page", "entry": [{"id": "5", "time": 1772442000, "changes": changes}]}).to_string()
}

async fn announce(run: &Running, secret: &str, ids: &[&str]) -> Answer {
    let body = announcement(ids);
    let signature = signature(secret, &body);
    let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
    run.send("POST", "/hooks/meta", &headers, body.as_bytes()).await
}

const SECRET: &str = "app-secret-of-the-scenarios";

#[tokio::test]
async fn a_source_that_signs_and_has_no_secret_believes_nobody() {
    let run = Setup::default().var("META_APP_SECRET", "").start().await;
    let before = run.table();
    for secret in ["", "guess", SECRET] {
        announce(&run, secret, &["1"]).await.is_problem(401, "secret-missing");
    }
    let unsigned = run.send("POST", "/hooks/meta", &[], announcement(&["1"]).as_bytes()).await;
    unsigned.is_problem(401, "secret-missing");
    assert_eq!(run.table(), before);
    run.finish().await;
}

#[tokio::test]
async fn while_a_secret_is_changed_the_old_and_the_new_are_good() {
    let both = "[env:META_APP_SECRET, env:META_APP_SECRET_OLD]";
    let policies = POLICIES.replace("[env:META_APP_SECRET]", both);
    let graph = Fake::start(|request| {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let email = format!("m{id}@person.example");
        (200, json!({"id": id, "field_data": [{"name": "email", "values": [email]}]}))
    });
    let graph = graph.await;
    let setup =
        Setup::policies(&policies).var("META_APP_SECRET_OLD", "old").var("SLUICE_GRAPH_URL", &graph.url);
    let run = setup.start().await;
    assert_eq!(announce(&run, SECRET, &["1"]).await.status, 200);
    assert_eq!(announce(&run, "old", &["2"]).await.status, 200);
    announce(&run, "older", &["3"]).await.is_problem(401, "signature-wrong");
    run.settle().await;
    run.apply(POLICIES).await;
    announce(&run, "old", &["4"]).await.is_problem(401, "signature-wrong");
    assert_eq!(announce(&run, SECRET, &["5"]).await.status, 200);
    run.settle().await;
    assert_eq!(run.leads().len(), 3);
    run.finish().await;
}

#[tokio::test]
async fn a_lead_waits_in_the_ledger_while_meta_is_down_and_is_routed_once_it_answers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let graph = Fake::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => (500, json!({"error": {"code": 2, "message": "An unexpected error has occurred."}})),
        1 => (400, json!({"error": {"code": 4, "message": "Application request limit reached"}})),
        _ => {
            (200, json!({"id": "77", "field_data": [{"name": "email", "values": ["meta77@person.example"]}]}))
        }
    });
    let graph = graph.await;
    let run = Setup::default().var("SLUICE_GRAPH_URL", &graph.url).start().await;
    assert_eq!(announce(&run, SECRET, &["77"]).await.status, 200);
    let state = |asked_so_far: usize| {
        let (run, asked) = (&run, asked.clone());
        async move {
            while asked.load(Ordering::SeqCst) < asked_so_far {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let id = run.leads().remove(0);
            (run.show(&id).await["state"].clone(), run.ledger().await["in_flight"]["waiting"].clone())
        }
    };
    assert_eq!(state(1).await, (json!("waiting"), json!(1)));
    // The queue brings it again after its visibility timeout; then Meta limits the rate, which is waited out.
    run.stack.advance(Duration::from_secs(181));
    assert_eq!(state(2).await, (json!("waiting"), json!(1)));
    // It is put down for five to ten minutes later.
    while !run.table().into_keys().any(|(pk, _)| pk.starts_with("due#")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.pass(Duration::from_secs(600)).await;
    run.fire_timers().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!((&lead["state"], &lead["email"]), (&json!("assigned"), &json!("meta77@person.example")));
    run.finish().await;
}

#[tokio::test]
async fn while_a_page_token_is_changed_the_lead_is_fetched_with_whichever_is_good() {
    let policies =
        POLICIES.replace("[env:META_PAGE_TOKEN]", "[env:META_PAGE_TOKEN_OLD, env:META_PAGE_TOKEN]");
    let graph = Fake::start(|request| match request.headers()["authorization"].to_str() {
        Ok("Bearer revoked") => (400, json!({"error": {"code": 190, "message": "The session is invalid"}})),
        _ => {
            let answer = json!([{"name": "email", "values": ["meta80@person.example"]}]);
            (200, json!({"id": "80", "created_time": "2026-03-01T08:00:00+0000", "field_data": answer}))
        }
    });
    let graph = graph.await;
    let setup = Setup::policies(&policies).var("META_PAGE_TOKEN_OLD", "revoked");
    let run = setup.var("SLUICE_GRAPH_URL", &graph.url).start().await;
    assert_eq!(announce(&run, SECRET, &["80"]).await.status, 200);
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!((&lead["state"], &lead["email"]), (&json!("assigned"), &json!("meta80@person.example")));
    run.finish().await;
}

#[tokio::test]
async fn when_a_person_submitted_is_as_the_notification_says_else_as_the_graph_says() {
    let graph = Fake::start(|request| {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let answer = json!([{"name": "email", "values": [format!("m{id}@person.example")]}]);
        (200, json!({"id": id, "created_time": "2026-03-01T10:00:00+0200", "field_data": answer}))
    });
    let graph = graph.await;
    let run = Setup::default().var("SLUICE_GRAPH_URL", &graph.url).start().await;
    let silent = announcement(&["91"]).replace(r#""created_time":1772442000,"#, "");
    assert!(!silent.contains("created_time"), "{silent}");
    for (body, told) in
        [(silent, "2026-03-01T08:00:00.000Z"), (announcement(&["92"]), "2026-03-02T09:00:00.000Z")]
    {
        let before = run.leads();
        let signature = signature(SECRET, &body);
        let headers = [("content-type", "application/json"), ("x-hub-signature-256", signature.as_str())];
        assert_eq!(run.send("POST", "/hooks/meta", &headers, body.as_bytes()).await.status, 200);
        run.settle().await;
        let new = run.leads().into_iter().find(|id| !before.contains(id)).unwrap();
        let lead = run.show(&new).await;
        assert_eq!(
            (&lead["state"], &lead["attribution"]["created_at"]),
            (&json!("assigned"), &json!(told)),
            "{lead:#}"
        );
    }
    run.finish().await;
}

#[tokio::test]
async fn what_meta_refuses_for_good_is_given_up_after_days_with_its_code() {
    let graph = Fake::start(|_| {
        (400, json!({"error": {"code": 2500, "message": "An active access token must be used"}}))
    });
    let graph = graph.await;
    let run = Setup::default().var("SLUICE_GRAPH_URL", &graph.url).start().await;
    assert_eq!(announce(&run, SECRET, &["79"]).await.status, 200);
    run.settle().await;
    let id = run.leads().remove(0);
    assert_eq!(run.show(&id).await["state"], "waiting");
    run.pass(Duration::from_secs(3 * 86_400 - 60)).await;
    run.fire_timers().await;
    assert_eq!(run.show(&id).await["state"], "waiting", "for three days somebody may mend it");
    run.pass(Duration::from_secs(86_400 + 3_600)).await;
    run.fire_timers().await;
    let lead = run.show(&id).await;
    assert_ne!(lead["state"], "waiting", "{lead:#}");
    assert!(lead["unreadable"].to_string().contains("refuses to tell this lead (code 2500)"), "{lead:#}");
    run.finish().await;
}

#[tokio::test]
async fn metas_own_test_lead_ends_as_the_rules_say() {
    let with_rule = "rules:\n  - name: tests\n    when: has(lead.attribution.test)\n    end: test\n";
    let graph = Fake::start(|_| {
        let dummy = "<test lead: dummy data for email>";
        (200, json!({"id": "78", "field_data": [{"name": "email", "values": [dummy]}]}))
    });
    let graph = graph.await;
    let setup = Setup::policies(POLICIES.replace("rules:\n", with_rule));
    let run = setup.var("SLUICE_GRAPH_URL", &graph.url).start().await;
    assert_eq!(announce(&run, SECRET, &["78"]).await.status, 200);
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!((&lead["state"], &lead["owner"]), (&json!("test"), &Value::Null), "{lead:#}");
    assert!(run.mails().is_empty());
    run.finish().await;
}

#[tokio::test]
async fn a_lead_of_a_form_in_another_language_is_somebody_and_what_they_ticked_is_noted() {
    let graph = Fake::start(|request| {
        assert!(request.uri().query().is_some_and(|query| query.contains("custom_disclaimer_responses")));
        let field = |name: &str, value: &str| json!({"name": name, "values": [value]});
        let fields = [
            field("vollständiger_name", "Grete Weil"),
            field("e-mail-adresse", "grete@person.example"),
            field("telefonnummer", "+4930901820"),
        ];
        let ticked = json!([{"checkbox_key": "news", "is_checked": "1"}]);
        (200, json!({"id": "81", "field_data": fields, "custom_disclaimer_responses": ticked}))
    });
    let graph = graph.await;
    let run = Setup::default().var("SLUICE_GRAPH_URL", &graph.url).start().await;
    assert_eq!(announce(&run, SECRET, &["81"]).await.status, 200);
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!(
        (&lead["state"], &lead["email"]),
        (&json!("assigned"), &json!("grete@person.example")),
        "{lead:#}"
    );
    assert_eq!(
        (&lead["phone"], &lead["attribution"]["consent_news"]),
        (&json!("+4930901820"), &json!("true"))
    );
    run.finish().await;
}

#[tokio::test]
async fn a_field_that_the_document_calls_as_meta_does_is_found() {
    let map = "type: meta\nfields: { phone: [work_phone_number] }\n";
    let graph = Fake::start(|_| {
        let field = |name: &str, value: &str| json!({"name": name, "values": [value]});
        let fields = [field("email", "ida@person.example"), field("work_phone_number", "+4930901820")];
        (200, json!({"id": "82", "field_data": fields}))
    });
    let graph = graph.await;
    assert!(POLICIES.contains("type: meta\n"));
    let setup = Setup::policies(POLICIES.replace("type: meta\n", map)).var("SLUICE_GRAPH_URL", &graph.url);
    let run = setup.start().await;
    assert_eq!(announce(&run, SECRET, &["82"]).await.status, 200);
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!(lead["phone"], "+4930901820", "{lead:#}");
    run.finish().await;
}
