//! LinkedIn's notifications, and what its API tells of a lead.

use super::super::tests::{document, read as read_call, refused_by_type};
use super::*;
use sluice_domain::policy::FieldMap;
use sluice_domain::time::Timestamp;

fn call(action: &str) -> HttpRequest {
    let body = format!(
        r#"{{"type":"LEAD_ACTION","leadGenFormResponse":"urn:li:leadGenFormResponse:a1-b2","leadGenForm":
        "urn:li:versionedLeadGenForm:(urn:li:leadGenForm:77,3)","owner":{{"sponsoredAccount":"urn:li:sponsoredAccount:5"}},
        "leadType":"SPONSORED","leadAction":"{action}","occurredAt":1767605399100}}"#
    );
    HttpRequest { method: "POST".into(), body: body.into(), ..HttpRequest::default() }
}

#[test]
fn a_new_response_is_fetched_and_a_deleted_one_is_a_mark() {
    let document = document("linkedin");
    let (leads, marks) = read_call(&Linkedin, &document, &call("CREATED"));
    assert_eq!((leads.len(), marks), (1, vec![]));
    assert_eq!(leads[0].external_id.as_deref(), Some("a1-b2"));
    assert!(leads[0].needs_enrichment && leads[0].fields.is_empty());
    assert_eq!(leads[0].created_at, Some(Timestamp(1_767_605_399_100)));
    for note in
        [("form_id", "77"), ("sponsored_account", "urn:li:sponsoredAccount:5"), ("lead_type", "SPONSORED")]
    {
        assert!(leads[0].attribution.contains(&(note.0.into(), note.1.into())), "{note:?}");
    }
    let mark = Mark { external_id: "a1-b2".into(), kind: MarkKind::Withdrawn };
    assert_eq!(read_call(&Linkedin, &document, &call("DELETED")), (vec![], vec![mark]));
    assert_eq!(read_call(&Linkedin, &document, &call("UPDATED")), (vec![], vec![]));
    refused_by_type(&Linkedin);
}

#[test]
fn the_documents_own_challenge_is_answered_for_get_only() {
    let secrets = Secrets::default().with("client_secret", "current").with("client_secret", "old");
    let request = HttpRequest {
        method: "GET".into(),
        query: "applicationId=1&challengeCode=890e4665-4dfe-4ab1-b689-ed553bceeed0".into(),
        ..HttpRequest::default()
    };
    let answer = Linkedin.challenge(&request, &secrets).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    // `printf 890e… | openssl dgst -sha256 -hmac current`
    assert_eq!(body["challengeResponse"], "b589eb5872c9e25ca48dfecb9e2616d30dfb9c6a727ab607a5e6d9c951f581ee");
    assert_eq!(Linkedin.challenge(&request, &Secrets::default()).unwrap().status, 401);
    // It is the current one that answers, or none.
    let old = Secrets::default().with_unread("client_secret").with("client_secret", "old");
    assert_eq!(Linkedin.challenge(&request, &old).unwrap().status, 503);
    // Signed, it would be the signature of a delivery that nobody sent.
    let forged = format!("challengeCode=hmacsha256%3D{}", r#"{"leadAction":"CREATED"}"#);
    assert!(Linkedin.challenge(&HttpRequest { query: forged, ..request.clone() }, &secrets).is_none());
    assert!(Linkedin.challenge(&HttpRequest { method: "POST".into(), ..request }, &secrets).is_none());
    assert!(
        Linkedin
            .challenge(&HttpRequest { method: "GET".into(), ..HttpRequest::default() }, &secrets)
            .is_none()
    );
}

const RESPONSE: &str = r#"{"id":"a1-b2","testLead":false,"submittedAt":1767605399100,
    "versionedLeadGenFormUrn":"urn:li:versionedLeadGenForm:(urn:li:leadGenForm:77,3)",
    "leadMetadata":{"sponsoredLeadMetadata":{"campaign":"urn:li:sponsoredCampaign:9"}},
    "formResponse":{"consentResponses":[{"consentId":7,"accepted":true}],"answers":[
      {"questionId":1,"answerDetails":{"textQuestionAnswer":{"answer":"Grete"}}},
      {"questionId":2,"answerDetails":{"textQuestionAnswer":{"answer":"grete@person.example"}}},
      {"questionId":3,"answerDetails":{"multipleChoiceAnswer":{"options":[12]}}}]}}"#;
const FORM: &str = r#"{"id":77,"name":"Demo","hiddenFields":[{"name":"utm_source","value":"li"}],"content":{"questions":[
    {"questionId":1,"predefinedField":"FIRST_NAME"},{"questionId":2,"predefinedField":"WORK_EMAIL"},
    {"questionId":3,"name":"Size","questionDetails":{"multipleChoiceQuestionDetails":{"options":[
      {"id":11,"text":"small"},{"id":12,"text":{"localized":{"en_US":"large"}}}]}}}]}}"#;

fn told(response: &str, form: Option<&str>) -> Result<Fetched, LinkedinError> {
    read(response.as_bytes(), form.map(str::as_bytes), &FieldMap::new())
}

#[test]
fn answers_that_the_document_names_keep_their_names() {
    let map = FieldMap::from([
        ("email".to_owned(), vec!["WORK_EMAIL".to_owned()]),
        ("external_id.crm".to_owned(), vec!["question_1".to_owned()]),
    ]);
    let names = |form: Option<&str>| {
        let told = read(RESPONSE.as_bytes(), form.map(str::as_bytes), &map).unwrap();
        told.fields.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(Some(FORM)), ["first_name", "WORK_EMAIL", "Size", "utm_source"]);
    assert_eq!(
        names(None),
        ["question_1", "question_2", "question_3"],
        "the document says where the address is"
    );
}

#[test]
fn of_two_addresses_the_one_whose_name_says_more_comes_first() {
    let form = FORM.replace(r#""questionId":3,"name":"Size""#, r#""questionId":3,"predefinedField":"EMAIL""#);
    let values: Vec<String> =
        told(RESPONSE, Some(&form)).unwrap().fields.into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["Grete", "large", "grete@person.example", "li"]);
}

#[test]
fn answers_are_named_by_the_questions_of_their_form() {
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![
        named("first_name", "Grete"),
        named("email", "grete@person.example"),
        named("Size", "large"),
        named("utm_source", "li"),
    ];
    let apart = told(RESPONSE, Some(FORM)).unwrap();
    assert_eq!((&apart.fields, &apart.lacks_form), (&expected, &None));
    assert!(apart.attribution.contains(&named("consent_7", "true")));
    assert!(apart.attribution.contains(&named("campaign", "urn:li:sponsoredCampaign:9")));
    assert!(!apart.test && !format!("{apart:?}").contains("grete"));

    let together = RESPONSE.replacen('{', &format!(r#"{{"form":{FORM},"#), 1);
    assert_eq!(told(&together, None).unwrap(), apart);

    let without = told(RESPONSE, None).unwrap();
    assert_eq!(without.lacks_form.as_deref(), Some("77"));
    assert!(without.fields.contains(&named("email", "grete@person.example")), "known by its look");
    assert!(without.fields.contains(&named("question_1", "Grete")));
    assert_eq!(told("{}", None), Err(LinkedinError::Unreadable));
    assert_eq!(told("<html>", None), Err(LinkedinError::Unreadable));
}

#[test]
fn paths_stay_below_the_api() {
    assert!(response_path("a1-b2").starts_with("/leadFormResponses/a1-b2?fields="));
    assert!(response_path("../me?x").starts_with("/leadFormResponses/..%2Fme%3Fx?"));
    assert_eq!(form_path("77"), "/leadForms/77");
    assert_eq!(form_id("urn:li:leadGenForm:8186"), Some("8186"));
    assert_eq!(form_id("urn:li:versionedLeadGenForm:(urn:li:leadGenForm:,1)"), None);
    for id in ["", "../me", "a/b", "a b", &"x".repeat(201)] {
        assert!(!response::is_id(id), "{id}");
    }
}
