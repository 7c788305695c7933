//! Meta's webhooks and its Graph API.

use super::super::tests::document;
use super::*;
use ring::hmac;
use sluice_domain::policy::FieldMap;

const SECRET: &str = "an app secret of these tests";

fn secrets() -> Secrets {
    Secrets::default()
        .with("app_secret", "the next one")
        .with("app_secret", SECRET)
        .with("verify_token", "open sesame")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/meta/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn signed(body: Vec<u8>) -> HttpRequest {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), &body);
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    HttpRequest {
        method: "POST".into(),
        headers: vec![("x-hub-signature-256".into(), format!("sha256={hex}"))],
        body: body.into(),
        ..HttpRequest::default()
    }
}

fn verify(request: &HttpRequest, secrets: &Secrets) -> Result<(), Refusal> {
    let document = document("meta");
    Meta.verify(&Delivery { request, document: &document, secrets, certificate: None, now: Timestamp(0) })
}

fn read(body: Vec<u8>) -> Result<Vec<SourceLead>, Problem> {
    let (request, document) = (signed(body), document("meta"));
    let secrets = secrets();
    Meta.leads(&Delivery {
        request: &request,
        document: &document,
        secrets: &secrets,
        certificate: None,
        now: Timestamp(0),
    })
}

fn leads(body: Vec<u8>) -> Vec<SourceLead> {
    assert_eq!(verify(&signed(body.clone()), &secrets()), Ok(()));
    read(body).unwrap()
}

fn named<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_batch_announces_each_lead_once_and_nothing_else() {
    let leads = leads(fixture("batch.json"));
    let ids: Vec<_> = leads.iter().map(|lead| lead.external_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["881100220033", "881100220034", "881100220035"]);
    assert!(leads.iter().all(|lead| lead.needs_enrichment && !lead.test && lead.fields.is_empty()));
    assert_eq!(leads[0].created_at, Some(Timestamp::from_seconds(1_767_000_123)));
    assert_eq!(named(&leads[0].attribution, "form_id"), Some("5550001"));
    assert_eq!(named(&leads[0].attribution, "ad_id"), None, "an organic lead has no ad");
    assert_eq!(named(&leads[2].attribution, "ad_id"), Some("120000000000000007"));
    assert_eq!(named(&leads[2].attribution, "page_id"), Some("7000001"), "told by the entry alone");
}

#[test]
fn ids_of_older_apps_are_numbers_and_keep_every_digit() {
    let leads = leads(fixture("numeric_ids.json"));
    assert_eq!(leads[0].external_id.as_deref(), Some("98765432109876543219"));
    assert_eq!(named(&leads[0].attribution, "ad_id"), None, "0 is no ad");
    assert_eq!(named(&leads[0].attribution, "page_id"), Some("7000001"));
    assert_eq!(leads[0].created_at, Some(Timestamp::from_seconds(1_767_000_123)));
}

#[test]
fn the_test_button_of_the_dashboard_is_known() {
    let leads = leads(fixture("dashboard_test.json"));
    assert!(leads[0].test);
}

#[test]
fn only_the_bytes_that_were_signed_are_believed() {
    let good = signed(fixture("batch.json"));
    assert_eq!(verify(&good, &secrets()), Ok(()));

    let mut rewritten = good.clone();
    let value: serde_json::Value = serde_json::from_slice(&good.body).unwrap();
    rewritten.body = value.to_string().into();
    assert_eq!(verify(&rewritten, &secrets()), Err(Refusal::Wrong), "the same JSON in other bytes");

    let mut bare = good.clone();
    bare.headers[0].1 = bare.headers[0].1.replace("sha256=", "");
    assert_eq!(verify(&bare, &secrets()), Err(Refusal::Wrong), "the algorithm is not named");

    let mut unsigned = good.clone();
    unsigned.headers.clear();
    assert_eq!(verify(&unsigned, &secrets()), Err(Refusal::Missing));
    assert_eq!(verify(&good, &Secrets::default()), Err(Refusal::NoSecret));
    assert_eq!(verify(&good, &Secrets::default().with("app_secret", "other")), Err(Refusal::Wrong));
}

#[test]
fn bodies_that_announce_nothing_are_no_error_and_broken_ones_are() {
    for body in [
        "{}",
        "[]",
        "null",
        r#"{"object":"user","entry":[{"changes":[{"field":"leadgen","value":{"leadgen_id":1}}]}]}"#,
        r#"{"object":"page","entry":[{"changes":[{"field":"leadgen","value":{}},{"field":"leadgen","value":{"leadgen_id":"../me"}}]}]}"#,
    ] {
        assert_eq!(leads(body.into()), [], "{body}");
    }
    for body in ["", "{", "object=page"] {
        assert_eq!(read(body.into()).unwrap_err().status, 400, "{body}");
    }
}

fn handshake(query: &str, secrets: &Secrets) -> HttpResponse {
    let request = HttpRequest { method: "GET".into(), query: query.into(), ..HttpRequest::default() };
    Meta.challenge(&request, secrets).unwrap()
}

#[test]
fn the_handshake_echoes_the_challenge_for_our_token_only() {
    let good = "hub.mode=subscribe&hub.challenge=90210&hub.verify_token=open+sesame";
    let answer = handshake(good, &secrets());
    assert_eq!((answer.status, answer.body.as_ref()), (200, b"90210".as_slice()));
    assert!(answer.headers.iter().any(|(n, v)| n == "content-type" && v.starts_with("text/plain")));

    for query in [
        "hub.mode=subscribe&hub.challenge=90210&hub.verify_token=open",
        "hub.mode=subscribe&hub.challenge=90210",
        "hub.challenge=90210&hub.verify_token=open+sesame",
        "hub.mode=subscribe&hub.verify_token=open+sesame",
        "",
    ] {
        let answer = handshake(query, &secrets());
        assert_eq!(answer.status, 403, "{query}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("90210"), "{query}");
    }
    assert_eq!(
        handshake("hub.mode=subscribe&hub.challenge=9&hub.verify_token=", &Secrets::default()).status,
        403
    );
    // A token that could not be read may be the one that was given.
    assert_eq!(handshake(good, &Secrets::default().with_unread("verify_token")).status, 503);
    assert_eq!(handshake(good, &secrets().with_unread("verify_token")).status, 200);
    assert!(Meta.challenge(&signed(b"{}".to_vec()), &secrets()).is_none());
}

fn told(answer: &[u8]) -> Result<GraphLead, GraphError> {
    read_graph(answer, &FieldMap::new())
}

/// A lead of the Graph API with these answers.
fn answered(map: &FieldMap, answers: &[(&str, &str)]) -> Vec<(String, String)> {
    let field = |(name, value): &(&str, &str)| serde_json::json!({"name": name, "values": [value]});
    let fields: Vec<_> = answers.iter().map(field).collect();
    let answer = serde_json::json!({"id": "1", "field_data": fields}).to_string();
    read_graph(answer.as_bytes(), map).unwrap().fields
}

#[test]
fn forms_of_any_language_have_an_address_and_a_number() {
    let none = FieldMap::new();
    let names = |answers: &[(&str, &str)]| {
        answered(&none, answers).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let german = [
        ("vollständiger_name", "Grete Weil"),
        ("e-mail-adresse", "grete@person.example"),
        ("telefonnummer", "+4930901820"),
    ];
    assert_eq!(names(&german), ["vollständiger_name", "email", "telefonnummer"]);
    let unheard_of = [("nafn", "Anna"), ("netfang", "anna@person.example"), ("simi", "+3545885522")];
    assert_eq!(names(&unheard_of), ["nafn", "email", "phone"], "known by their look");
    let other = [("email", "ada@person.example"), ("wer_hat_dich_geworben?", "bo@person.example")];
    assert_eq!(names(&other), ["email", "wer_hat_dich_geworben?"]);
}

#[test]
fn of_two_addresses_the_one_whose_name_says_more_comes_first() {
    let answers = [("work_email", "office@person.example"), ("city", "Ulm"), ("email", "ada@person.example")];
    let values: Vec<String> =
        answered(&FieldMap::new(), &answers).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["ada@person.example", "Ulm", "office@person.example"]);
    let used = FieldMap::from([("email".to_owned(), vec!["work_email".to_owned()])]);
    assert_eq!(answered(&used, &answers)[0].0, "work_email");
}

#[test]
fn answers_that_the_document_names_keep_their_names() {
    let map = |field: &str, name: &str| FieldMap::from([(field.to_owned(), vec![name.to_owned()])]);
    let answers =
        [("work_email", "ada@person.example"), ("phone_number", "+4930901820"), ("nr", "+4930901821")];
    let names =
        |map: &FieldMap| answered(map, &answers).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&FieldMap::new()), ["email", "phone", "nr"]);
    assert_eq!(names(&map("phone", "phone_number")), ["email", "phone_number", "nr"]);
    assert_eq!(names(&map("phone", "nr")), ["email", "phone_number", "nr"]);
    assert_eq!(names(&map("external_id", "work_email")), ["work_email", "phone", "nr"]);
}

#[test]
fn boxes_that_were_ticked_are_told_apart_from_those_that_were_not() {
    let lead = told(
        br#"{"id":"1","field_data":[],"custom_disclaimer_responses":[{"checkbox_key":"news","is_checked":"1"},
            {"checkbox_key":"calls","is_checked":""},{"checkbox_key":"","is_checked":"1"},{"checkbox_key":"post"}]}"#,
    );
    let consents = [("consent_news", "true"), ("consent_calls", "false"), ("consent_post", "false")];
    let expected: Vec<_> = consents.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(lead.unwrap().attribution, expected);
}

#[test]
fn the_graph_answer_gives_fields_under_standard_names() {
    let lead = told(&fixture("graph_lead.json")).unwrap();
    assert_eq!(lead.id, "881100220033");
    let fields: Vec<_> = lead.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let expected = [
        ("full_name", "Zoë Ångström"),
        ("email", "zoe@example.org"),
        ("phone", "+46701740605"),
        ("company", "Ångström & Co"),
        ("what_do_you_need?", "advice"),
        ("what_do_you_need?", "a price"),
    ];
    assert_eq!(fields, expected, "a question without an answer is absent");
    assert_eq!(lead.created_at, Timestamp::parse("2026-02-03T04:05:06Z"));
    assert_eq!(named(&lead.attribution, "platform"), Some("ig"));
    assert_eq!(named(&lead.attribution, "is_organic"), Some("false"));
    assert_eq!(named(&lead.attribution, "ad_id"), Some("120000000000000007"));
    assert_eq!(named(&lead.attribution, "campaign_id"), None);
    assert!(!lead.test);
    assert!(!format!("{lead:?}").contains("zoe"));
}

#[test]
fn a_lead_of_the_testing_tool_is_a_test() {
    let lead = told(
        br#"{"id":"1","field_data":[{"name":"full_name","values":["<test lead: dummy data for full_name>"]}]}"#,
    );
    assert!(lead.unwrap().test);
}

#[test]
fn graph_errors_say_whether_to_wait_or_what_to_do() {
    let error = |code: i64, subcode: i64| {
        format!(r#"{{"error":{{"message":"m","code":{code},"error_subcode":{subcode},"fbtrace_id":"t"}}}}"#)
    };
    for (status, code, subcode, expected) in [
        (400, 4, 0, GraphError::RateLimited(4)),
        (400, 17, 0, GraphError::RateLimited(17)),
        (400, 32, 0, GraphError::RateLimited(32)),
        (400, 613, 0, GraphError::RateLimited(613)),
        (400, 80_005, 0, GraphError::RateLimited(80_005)),
        (500, 1, 99, GraphError::Unavailable(1)),
        (500, 999, 0, GraphError::Unavailable(999)),
        (401, 190, 463, GraphError::Token(190)),
        (403, 200, 0, GraphError::Permission(200)),
        (400, 10, 0, GraphError::Permission(10)),
        (400, 100, 33, GraphError::Unknown),
        (400, 100, 0, GraphError::Refused(100)),
    ] {
        let body = error(code, subcode);
        assert_eq!(GraphError::classify(status, body.as_bytes()), expected);
        let waits = matches!(expected, GraphError::RateLimited(_) | GraphError::Unavailable(_));
        assert_eq!(expected.is_retryable(), waits);
        if status != 500 {
            assert_eq!(told(body.as_bytes()), Err(expected));
        }
    }
    assert_eq!(GraphError::classify(503, b"<html>"), GraphError::Unreadable);
    assert!(GraphError::Unreadable.is_retryable());
    assert!(!GraphError::classify(404, b"").is_retryable());
    assert!(GraphError::Token(190).to_string().contains("page_token"));
    assert_eq!(told(b"{}"), Err(GraphError::Unreadable));
}

#[test]
fn the_path_asks_for_every_field_that_is_read() {
    let path = graph_path("881100220033");
    assert!(path.starts_with("/881100220033?fields="));
    for field in [
        "created_time",
        "field_data",
        "custom_disclaimer_responses",
        "ad_id",
        "form_id",
        "platform",
        "is_organic",
    ] {
        assert!(path.contains(field), "{field}");
    }
    assert!(graph_path("../me?x").starts_with("/..%2Fme%3Fx?fields="));
}
