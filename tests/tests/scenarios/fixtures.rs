//! Requests as senders and Lambda really form them, in folders with an index that says what has to come of each. Our
//! own are beside the tests; a larger collection is used where it is there.

use crate::folder::{Folder, folders, strings, text};
use crate::senders;
use crate::tracking::{SOURCES, entries};
use base64::Engine;
use serde_json::{Value, json};
use sluice_domain::id::EventId;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{Running, Setup};
use std::collections::BTreeSet;

/// Checks a stored lead against what the fixture says of it.
fn check_form_lead(lead: &Value, facts: &Value, case: &str) {
    if let Some(fields) = facts["fields"].as_array() {
        let wanted: Vec<Value> = fields.iter().filter(|field| field[0] != "website_url2").cloned().collect();
        assert_eq!(lead["fields"], Value::Array(wanted.clone()), "{case}");
        let expected = if wanted.is_empty() { "invalid" } else { "assigned" };
        assert_eq!(lead["state"], expected, "{case}");
    }
    for (at, file) in facts["files"].as_array().into_iter().flatten().enumerate() {
        assert_eq!(lead["files"][at]["field"], file["name"], "{case}");
        assert_eq!(lead["files"][at]["size"], file["size"], "{case}");
    }
    if facts.get("email").is_some_and(Value::is_null) {
        assert!(lead["email"].is_null(), "{case}");
        assert!(!lead["flags"].as_array().unwrap().contains(&json!("email_invalid")), "{case}");
    }
}

#[tokio::test]
async fn every_form_post_of_the_fixtures_is_taken_as_its_facts_say() {
    for folder in folders("html_form") {
        let run = Setup::default().start().await;
        for case in &folder.cases {
            let (id, facts) = (text(&case["id"]), &case["facts"]);
            let before = run.leads().len();
            let answer = run.raw(&folder.bytes(case)).await;
            run.settle().await;
            let new = run.leads().len() - before;
            if let Some(statuses) = facts["must_answer_status"].as_array() {
                assert!(statuses.contains(&json!(answer.status)), "{id}: {}", answer.status);
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    Some("https://shop.example"),
                    "{id}"
                );
                assert_eq!(new, 0, "{id}");
                continue;
            }
            // A robot is told what everybody is told.
            let lead = answer.lead_id();
            if facts["spam"] == true {
                let kept = run.show(&lead).await;
                assert_eq!(
                    (new, &kept["state"], &kept["customer"]),
                    (1, &json!("spam"), &Value::Null),
                    "{id}"
                );
                continue;
            }
            assert_eq!(new, 1, "{id}");
            check_form_lead(&run.show(&lead).await, facts, &id);
            // The next case may have the same fields: it is to be a lead of its own, no repeat.
            run.pass(std::time::Duration::from_secs(660)).await;
        }
        run.finish().await;
    }
}

/// What the Graph API answers for a lead.
const GRAPH_ANSWER: &str = "10-graph-response";

/// A person for every id that Meta's notifications name; the fixture's own for the one it is about.
async fn graph(fixture: Value) -> Fake {
    Fake::start(move |request| {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        if fixture["id"] == id.as_str() {
            return (200, fixture.clone());
        }
        let email = format!("person-{id}@person.example");
        let fields = json!([{"name": "email", "values": [email]}]);
        (200, json!({"id": id, "created_time": "2026-03-02T08:59:00+0000", "field_data": fields}))
    })
    .await
}

/// The stack with the secrets of a Meta folder, and the Graph API it asks.
async fn stack_for(setup: Setup, meta: &Folder) -> (Running, Fake) {
    let graph = graph(meta.json(meta.find(GRAPH_ANSWER).expect("the Graph API's answer"))).await;
    let of = |name: &str| {
        let found = meta.cases.iter().map(|case| text(&case[name])).find(|value| !value.is_empty());
        found.expect("the folder's secrets")
    };
    let setup = setup
        .var("META_APP_SECRET", of("secret"))
        .var("META_VERIFY_TOKEN", of("verify_token"))
        .var("SLUICE_GRAPH_URL", &graph.url);
    (setup.start().await, graph)
}

async fn leads_by_external_id(run: &Running, external_id: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for id in run.leads() {
        let lead = run.show(&id).await;
        if lead["external_id"] == external_id {
            found.push(lead);
        }
    }
    found
}

#[tokio::test]
async fn every_meta_webhook_of_the_fixtures_is_answered_as_meta_needs_and_its_leads_are_completed() {
    for folder in folders("meta_lead_ads") {
        let (run, graph) = stack_for(Setup::default(), &folder).await;
        for case in &folder.cases {
            let (id, facts) = (text(&case["id"]), &case["facts"]);
            if id == GRAPH_ANSWER {
                continue;
            }
            assert!(text(&case["file"]).ends_with(".http"), "{id}: nothing is done with this case");
            let before = run.table();
            let answer = run.raw(&folder.bytes(case)).await;
            if let Some(status) = facts["must_answer_status"].as_u64() {
                assert_eq!(u64::from(answer.status), status, "{id}: {}", answer.text());
            }
            if let Some(body) = facts["must_answer_body"].as_str() {
                assert_eq!(answer.text(), body, "{id}");
                assert!(answer.header("content-type").is_some_and(|it| it.starts_with("text/plain")), "{id}");
            }
            if let Some(secret) = facts["must_not_echo"].as_str() {
                assert!(!answer.text().contains(secret), "{id}");
            }
            if matches!(facts["signature"].as_str(), Some("invalid" | "missing")) {
                assert_eq!(answer.status, 401, "{id}");
                assert_eq!(run.table(), before, "{id} left something in the table");
                continue;
            }
            run.settle().await;
            for external_id in strings(&facts["leadgen_ids"]) {
                let found = leads_by_external_id(&run, &external_id).await;
                assert_eq!(found.len(), 1, "{id}: {external_id}");
                assert_eq!(found[0]["state"], "assigned", "{id}: {:#}", found[0]);
                assert!(!found[0]["email"].is_null(), "{id}: {:#}", found[0]);
                for name in ["form_id", "page_id"] {
                    if let Some(value) = facts[name].as_str() {
                        assert_eq!(found[0]["attribution"][name], value, "{id}");
                    }
                }
            }
            let new = run.leads().len() - before.keys().filter(|(_, sk)| sk == "l").count();
            assert_eq!(new, strings(&facts["leadgen_ids"]).len(), "{id}");
        }
        let told = folder.find(GRAPH_ANSWER).unwrap();
        let id = text(&folder.json(told)["id"]);
        let lead = leads_by_external_id(&run, &id).await.remove(0);
        for name in ["email", "phone"] {
            assert_eq!(lead[name], told["facts"][name], "{lead:#}");
        }
        let customer = run.customer(&text(&lead["customer"])).await;
        assert_eq!(customer["profile"]["full_name"]["value"], told["facts"]["full_name"]);
        assert!(
            graph
                .seen()
                .iter()
                .all(|asked| { asked.headers()["authorization"] == "Bearer page-token-of-the-scenarios" })
        );
        run.finish().await;
    }
}

/// What a fixture of this name has to do with us.
enum Envelope {
    Wrapped,
    Tracked,
    OtherRoute,
    NotHttp,
    OwnSchedule,
    ForeignRecords,
    MixedBatch,
    Answer,
}

fn kind_of(id: &str) -> Envelope {
    match id {
        _ if ["-meta_lead_ads--", "-html_form--", "-typeform--"].iter().any(|of| id.contains(*of)) => {
            Envelope::Wrapped
        }
        _ if id.contains("-segment_sdk--") => Envelope::Tracked,
        // Calls to routes of others.
        _ if id.starts_with("lh-apigw_v2") || id.starts_with("fx-example-apigw-v2") => Envelope::OtherRoute,
        _ if id.starts_with("lh-") && id.contains("url") => Envelope::OtherRoute,
        // API Gateway's older payload, which our routes do not use, and events of other services.
        "lh-apigw_proxy_request" | "fx-example-apigw-request" => Envelope::NotHttp,
        "fx-example-sns-event" | "fx-example-dynamodb-event" | "fx-example-ses-lambda-event" => {
            Envelope::NotHttp
        }
        "fx-example-eventbridge-schedule" | "scheduler-custom-input" => Envelope::OwnSchedule,
        "fx-example-sqs-event" => Envelope::ForeignRecords,
        "sqs-mixed-batch" => Envelope::MixedBatch,
        "fx-example-sqs-batch-response" => Envelope::Answer,
        other => panic!("{other}: say what this fixture is to us"),
    }
}

#[tokio::test]
async fn every_lambda_envelope_of_the_fixtures_is_ours_or_is_refused_without_a_trace() {
    let secrets = folders("meta_lead_ads").into_iter().zip(folders("typeform"));
    for (folder, (meta, typeform)) in folders("lambda_envelopes").into_iter().zip(secrets) {
        let setup = senders::setup(&typeform, "typeform").at(Setup::default().start);
        let (run, _graph) = stack_for(setup, &meta).await;
        for case in &folder.cases {
            let id = text(&case["id"]);
            let payload = folder.json(case);
            let before = run.table();
            match kind_of(&id) {
                Envelope::Wrapped => wrapped(&run, &folder, case, &payload).await,
                Envelope::Tracked => tracked(&run, &folder, case, &payload).await,
                Envelope::OtherRoute => {
                    println!("{id}: not ours");
                    for function in ["capture-lead", "record-engagement", "serve-console", "track-event"] {
                        let answer = run.invoke(function, &payload).await.expect("an HTTP answer");
                        assert_eq!(answer["statusCode"], 404, "{id}: {answer:#}");
                    }
                    assert_eq!(run.table(), before, "{id}");
                }
                Envelope::NotHttp => {
                    println!("{id}: not ours");
                    for function in [
                        "capture-lead",
                        "record-engagement",
                        "serve-console",
                        "track-event",
                        "route-lead",
                        "enrich-lead",
                        "send-message",
                        "record-feedback",
                        "advance-journey",
                        "erase-customer",
                    ] {
                        let error = run.invoke(function, &payload).await.expect_err("no such event");
                        assert_eq!(error, "MalformedEvent", "{id} to {function}");
                    }
                    assert_eq!(run.table(), before, "{id}");
                }
                Envelope::OwnSchedule => run.invoke("fire-timers", &payload).await.map(drop).expect("fires"),
                Envelope::ForeignRecords => {
                    let readers = [
                        "route-lead",
                        "enrich-lead",
                        "send-message",
                        "record-feedback",
                        "erase-customer",
                        "advance-journey",
                    ];
                    for function in readers {
                        let answer = run.invoke(function, &payload).await.expect("an answer");
                        let records = payload["Records"].as_array().unwrap();
                        assert_eq!(failures(&answer), ids(records), "{id} to {function}");
                    }
                    assert_eq!(run.table(), before, "{id}");
                }
                Envelope::MixedBatch => mixed_batch(&run, payload, &case["facts"]["good_answer"]).await,
                Envelope::Answer => assert!(payload["batchItemFailures"][0]["itemIdentifier"].is_string()),
            }
        }
        run.finish().await;
    }
}

fn failures(answer: &Value) -> BTreeSet<String> {
    let failures = answer["batchItemFailures"].as_array().expect("a batch answer");
    failures.iter().map(|failure| text(&failure["itemIdentifier"])).collect()
}

fn ids(records: &[Value]) -> BTreeSet<String> {
    records.iter().map(|record| text(&record["messageId"])).collect()
}

async fn wrapped(run: &Running, folder: &Folder, case: &Value, payload: &Value) {
    let wraps = text(&case["facts"]["wraps"]);
    let (source, wrapped_id) = wraps.split_once('/').expect("what it wraps");
    let source = Folder::read(folder.path.with_file_name(source));
    let inner = source.find(wrapped_id).expect("the wrapped case");
    let before = run.leads();
    let answer = run.invoke("capture-lead", payload).await.expect("an HTTP answer");
    let new = senders::new_leads(run, &before).await;
    let facts = &inner["facts"];
    if let Some(status) = facts["must_answer_status"].as_u64() {
        assert_eq!(answer["statusCode"], status, "{wraps}: {answer:#}");
    }
    if let Some(body) = facts["must_answer_body"].as_str() {
        assert_eq!(answer["body"], body, "{wraps}");
    }
    for external_id in strings(&facts["leadgen_ids"]) {
        assert_eq!(leads_by_external_id(run, &external_id).await.len(), 1, "{wraps}");
    }
    if wraps.starts_with("typeform/") {
        assert_eq!(answer["statusCode"], 200, "{wraps}: {answer:#}");
        let [lead] = new.as_slice() else { panic!("{wraps}: {new:#?}") };
        senders::check(lead, facts, &wraps);
        assert_eq!(lead["state"], "assigned", "{wraps}: {lead:#}");
    }
    if facts["fields"].is_array() {
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let lead = run.show(&text(&body["lead_id"])).await;
        check_form_lead(&lead, facts, &wraps);
        let ip = &payload["requestContext"]["http"]["sourceIp"];
        assert_eq!(&lead["attribution"]["ip"], ip, "{wraps}");
        run.pass(std::time::Duration::from_secs(660)).await;
    }
}

/// A call of a tracking library: its events are on timelines.
async fn tracked(run: &Running, folder: &Folder, case: &Value, payload: &Value) {
    let wraps = text(&case["facts"]["wraps"]);
    let (source, wrapped_id) = wraps.split_once('/').expect("what it wraps");
    let source = Folder::read(folder.path.with_file_name(source));
    let inner = source.find(wrapped_id).expect("the wrapped case");
    run.stack.secrets.put("sluice/sources/write", "wk_public_demo_1".to_owned()).unwrap();
    run.apply(SOURCES).await;
    let answer = run.invoke("track-event", payload).await.expect("an HTTP answer");
    assert_eq!(answer["statusCode"], 200, "{wraps}: {answer:#}");
    run.settle().await;
    let there = entries(run);
    let ids = strings(&inner["facts"]["message_ids"]);
    assert!(!ids.is_empty(), "{wraps}");
    assert!(ids.iter().all(|id| there.contains_key(&EventId::derived(&["page", id]))), "{wraps}");
}

/// Good records around a bad one: the bad one alone is reported, its neighbours are done.
async fn mixed_batch(run: &Running, mut payload: Value, good_answer: &Value) {
    let bad = failures(good_answer);
    let records = payload["Records"].as_array_mut().unwrap();
    // Leads that wait: the queue refuses them, so nobody has routed them yet.
    run.refusals.refuse("capture-lead", "AmazonSQS.", usize::MAX, (500, "InternalError"));
    let mut leads = Vec::new();
    for (at, record) in records.iter_mut().enumerate() {
        if !bad.contains(&text(&record["messageId"])) {
            let email = format!("batch-{at}@person.example");
            let lead = run.post("contact", &[("email", &email)]).await.lead_id();
            record["body"] = json!({"lead": lead}).to_string().into();
            leads.push(lead);
        }
    }
    run.refusals.lift();
    for id in &leads {
        assert_eq!(run.show(id).await["state"], "waiting");
    }
    // A second delivery at the same time changes nothing.
    let (first, second) =
        tokio::join!(run.invoke("route-lead", &payload), run.invoke("route-lead", &payload));
    assert_eq!(failures(&first.unwrap()), bad);
    assert_eq!(failures(&second.unwrap()), bad);
    for id in &leads {
        assert_eq!(run.show(id).await["state"], "assigned");
    }
    // The due entries that capture left lead to what is done already.
    run.pass(std::time::Duration::from_secs(60)).await;
    run.fire_timers().await;
    for id in &leads {
        assert_eq!(run.show(id).await["assignment"]["n"], 1);
    }
}

/// Base 64 is used by the envelopes; decoding it here keeps the fixtures honest.
#[test]
fn base64_envelopes_hold_the_bytes_of_what_they_wrap() {
    for folder in folders("lambda_envelopes") {
        for case in folder.cases.iter().filter(|case| text(&case["facts"]["wraps"]).starts_with("html_form/"))
        {
            let payload = folder.json(case);
            let body = text(&payload["body"]);
            let body = match payload["isBase64Encoded"] == true {
                true => base64::engine::general_purpose::STANDARD.decode(body).unwrap(),
                false => body.into_bytes(),
            };
            let wraps = text(&case["facts"]["wraps"]);
            let http = std::fs::read(folder.path.with_file_name(format!("{wraps}.http"))).unwrap();
            assert!(http.ends_with(&body), "{wraps}");
        }
    }
}
