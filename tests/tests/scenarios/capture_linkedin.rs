//! LinkedIn's leads: which token they are fetched with, and when they were submitted.

use ring::hmac;
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const SECRET: &str = "client-secret-of-the-scenarios";

/// LinkedIn tells that somebody has submitted a form; `more` is put into what it says.
async fn announce(run: &Running, id: &str, more: Value) {
    let mut body = json!({
        "type": "LEAD_ACTION", "leadAction": "CREATED", "leadType": "SPONSORED",
        "leadGenFormResponse": format!("urn:li:leadGenFormResponse:{id}"),
        "leadGenForm": "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:8186,1)",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let body = body.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("hmacsha256={body}").as_bytes());
    let signature: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [("content-type", "application/json"), ("x-li-signature", signature.as_str())];
    assert_eq!(run.send("POST", "/hooks/linkedin", &headers, body.as_bytes()).await.status, 200);
}

/// LinkedIn's API, which takes one token and refuses others as expired.
async fn api(good: &'static str) -> Fake {
    Fake::start(move |request| {
        if request.headers()["authorization"] != format!("Bearer {good}") {
            return (401, json!({"status": 401, "serviceErrorCode": 65601, "message": "The token used in the request has expired"}));
        }
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let text = json!({"textQuestionAnswer": {"answer": format!("{id}@li.example")}});
        let answers = json!({"answers": [{"questionId": 3, "answerDetails": text}]});
        let form = json!({"content": {"questions": [{"questionId": 3, "predefinedField": "EMAIL"}]}});
        (200, json!({"id": id, "submittedAt": 1_772_352_000_000_i64, "form": form, "formResponse": answers}))
    })
    .await
}

/// A stack whose source has two tokens, as while one is changed.
async fn start(api: &Fake, tokens: [&str; 2]) -> Running {
    start_with(api, tokens, "").await
}

async fn start_with(api: &Fake, tokens: [&str; 2], more: &str) -> Running {
    let source = "\n---\nkind: source\nname: linkedin\ntype: linkedin\nsecrets:\n  client_secret: [env:LI_SECRET]\n  \
                  access_token: [env:LI_TOKEN, env:LI_TOKEN_NEXT]\n";
    let setup = Setup::policies(format!("{POLICIES}{source}{more}")).var("LI_SECRET", SECRET);
    let setup = setup.var("LI_TOKEN", tokens[0]).var("LI_TOKEN_NEXT", tokens[1]);
    setup.var("SLUICE_LINKEDIN_URL", &api.url).start().await
}

fn tokens_seen(api: &Fake) -> Vec<String> {
    let token = |request: &::http::Request<bytes::Bytes>| {
        request.headers()["authorization"].to_str().unwrap().to_owned()
    };
    api.seen().iter().map(token).collect()
}

#[tokio::test]
async fn while_an_access_token_is_changed_the_lead_is_fetched_with_whichever_is_good() {
    let linkedin = api("fresh").await;
    let run = start(&linkedin, ["expired", "fresh"]).await;
    announce(&run, "a1-1", json!({})).await;
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!((&lead["state"], &lead["email"]), (&json!("assigned"), &json!("a1-1@li.example")), "{lead:#}");
    assert_eq!(tokens_seen(&linkedin), ["Bearer expired", "Bearer fresh"]);
    run.finish().await;

    // The other way round, one call is enough.
    let linkedin = api("still-good").await;
    let run = start(&linkedin, ["still-good", "not-yet"]).await;
    announce(&run, "a1-2", json!({})).await;
    run.settle().await;
    assert_eq!(run.show(&run.leads().remove(0)).await["state"], "assigned");
    assert_eq!(tokens_seen(&linkedin), ["Bearer still-good"]);
    run.finish().await;
}

#[tokio::test]
async fn while_no_token_is_good_the_lead_waits_in_the_ledger() {
    let linkedin = api("fresh").await;
    let run = start(&linkedin, ["expired", "revoked"]).await;
    announce(&run, "a1-3", json!({})).await;
    run.settle().await;
    let id = run.leads().remove(0);
    assert_eq!(run.show(&id).await["state"], "waiting");
    assert_eq!(tokens_seen(&linkedin), ["Bearer expired", "Bearer revoked"]);
    // Somebody deletes it at LinkedIn, and nobody has to wait for it any more.
    announce(&run, "a1-3", json!({"leadAction": "DELETED"})).await;
    run.settle().await;
    is_withdrawn(&run, &id).await;
    run.pass(Duration::from_secs(600)).await;
    run.fire_timers().await;
    is_withdrawn(&run, &id).await;
    run.finish().await;
}

async fn is_withdrawn(run: &Running, id: &str) {
    let lead = run.show(id).await;
    assert_eq!(
        (&lead["state"], &lead["marks"][0]["mark"]),
        (&json!("erased"), &json!("withdrawn")),
        "{lead:#}"
    );
    assert!(lead["why"].to_string().contains("linkedin says that it was withdrawn at"), "{lead:#}");
}

fn is_in_the_table(run: &Running, text: &str) -> bool {
    run.table().values().any(|item| item.to_string().contains(text))
}

#[tokio::test]
async fn a_lead_that_is_withdrawn_goes_with_everything_it_said_and_nothing_else() {
    let linkedin = api("fresh").await;
    let run = start(&linkedin, ["fresh", "fresh"]).await;
    // Somebody of whom nothing else is known goes whole.
    announce(&run, "only-1", json!({})).await;
    run.settle().await;
    let only = run.leads().remove(0);
    let customer = run.show(&only).await["customer"].as_str().unwrap().to_owned();
    assert!(is_in_the_table(&run, "only-1@li.example"));
    for _ in 0..2 {
        announce(&run, "only-1", json!({"leadAction": "DELETED"})).await;
        run.settle().await;
        is_withdrawn(&run, &only).await;
        assert!(!is_in_the_table(&run, "only-1@li.example"), "{:#?}", run.table());
        assert_eq!(run.api("GET", &format!("/api/customers/{customer}"), None).await.0, 404);
    }
    // Told again, it does not come back.
    announce(&run, "only-1", json!({})).await;
    run.settle().await;
    is_withdrawn(&run, &only).await;

    // Of somebody who wrote by themselves the rest stays, whoever has worked on what goes.
    let first = run.lead(&[("email", "ada@person.example"), ("phone", "+12015550123")]).await;
    let owner = run.show(&first).await["owner"].clone();
    announce(&run, "more-1", json!({})).await;
    run.settle().await;
    let more = run.leads().into_iter().find(|id| *id != first && *id != only).unwrap();
    let other = run.show(&more).await["customer"].as_str().unwrap().to_owned();
    let ada = run.show(&first).await["customer"].as_str().unwrap().to_owned();
    let both = json!({"with": other});
    assert_eq!(run.api("POST", &format!("/api/customers/{ada}/merge"), Some(both)).await.0, 200);
    assert_eq!(run.api("POST", &format!("/api/leads/{more}/accept"), Some(json!({}))).await.0, 200);
    let last = run.lead(&[("email", "ada@person.example"), ("note", "one more question")]).await;
    announce(&run, "more-1", json!({"leadAction": "DELETED"})).await;
    run.settle().await;
    is_withdrawn(&run, &more).await;
    assert!(!is_in_the_table(&run, "more-1@li.example"), "{:#?}", run.table());
    for lead in [&first, &last] {
        let lead = run.show(lead).await;
        assert_eq!(
            (&lead["email"], &lead["state"]),
            (&json!("ada@person.example"), &json!("assigned")),
            "{lead:#}"
        );
        assert_eq!(lead["owner"], owner);
    }
    assert_eq!(run.api("GET", &format!("/api/customers/{ada}"), None).await.0, 200);
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

#[tokio::test]
async fn whose_lead_is_withdrawn_is_looked_at_by_the_timers() {
    let linkedin = api("fresh").await;
    let known = "\n---\nkind: segment\nname: known\nwhen: customer.leads > 2\n";
    let run = start_with(&linkedin, ["fresh", "fresh"], known).await;
    let own = run.lead(&[("email", "c1@li.example")]).await;
    let ada = run.show(&own).await["customer"].as_str().unwrap().to_owned();
    let other = run.lead(&[("phone", "+12015550123")]).await;
    let other = run.show(&other).await["customer"].as_str().unwrap().to_owned();
    // The lead comes to a record that is somebody's half.
    let path = format!("/api/customers/{other}/merge");
    assert_eq!(run.api("POST", &path, Some(json!({"with": ada}))).await.0, 200);
    run.settle().await;
    announce(&run, "c1", json!({})).await;
    run.settle().await;
    assert_eq!(run.customer(&ada).await["segments"][0]["segment"], "known");
    announce(&run, "c1", json!({"leadAction": "DELETED"})).await;
    run.settle().await;
    run.fire_timers().await;
    assert_eq!(run.customer(&ada).await["segments"], json!([]));
    run.finish().await;
}

#[tokio::test]
async fn when_a_person_submitted_is_as_the_notification_says_else_as_the_answers_say() {
    let linkedin = api("fresh").await;
    let run = start(&linkedin, ["fresh", "fresh"]).await;
    let told = [
        (json!({}), "2026-03-01T08:00:00.000Z"),
        (json!({"occurredAt": 1_772_442_000_000_i64}), "2026-03-02T09:00:00.000Z"),
    ];
    for (at, (more, expected)) in told.into_iter().enumerate() {
        let before = run.leads();
        announce(&run, &format!("b{at}-1"), more).await;
        run.settle().await;
        let new = run.leads().into_iter().find(|id| !before.contains(id)).unwrap();
        assert_eq!(run.show(&new).await["attribution"]["created_at"], expected);
    }
    run.finish().await;
}
