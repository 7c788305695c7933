//! What holds for every source, and helpers for their own tests.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A document of that type, with the proof that suits it best.
pub(super) fn document(kind: &str) -> Document {
    let auth = find(kind).unwrap().proofs()[0];
    Document { name: kind.to_owned(), sender: kind.to_owned(), auth, ..Document::default() }
}

/// What a source reads of a request that was believed.
pub(super) fn read(
    source: &dyn Source,
    document: &Document,
    request: &HttpRequest,
) -> (Vec<SourceLead>, Vec<Mark>) {
    let secrets = Secrets::default();
    let delivery = Delivery { request, document, secrets: &secrets, certificate: None, now: Timestamp(0) };
    (source.leads(&delivery).unwrap(), source.marks(&delivery).unwrap())
}

/// A source that can sign is believed with nothing less.
pub(super) fn refused_by_type(source: &dyn Source) {
    let request = HttpRequest { method: "POST".into(), query: "key=k".into(), ..HttpRequest::default() };
    let secrets = Secrets::default().with("url_key", "k");
    for auth in [Auth::UrlKey, Auth::Public] {
        let document = Document { auth, ..document(source.kind()) };
        let delivery = Delivery {
            request: &request,
            document: &document,
            secrets: &secrets,
            certificate: None,
            now: Timestamp(0),
        };
        assert_eq!(believe(source, &delivery), Err(Refusal::Proof));
    }
}

#[test]
fn every_source_is_found_by_its_kind_and_kinds_differ() {
    for source in registry() {
        assert_eq!(find(source.kind()).unwrap().kind(), source.kind());
        assert_eq!(registry().iter().filter(|other| other.kind() == source.kind()).count(), 1);
    }
    assert!(find("carrier-pigeon").is_none());
}

#[test]
fn every_source_says_what_it_needs_and_where_its_address_goes() {
    for source in registry() {
        assert!(source.setup().ends_with('.'), "{}", source.kind());
        assert!(!source.proofs().is_empty());
        let signs = source.proofs().contains(&Auth::Signature);
        // SNS signs with a key of its own, of which everybody has the other half.
        let shares_a_secret = signs && source.kind() != "sns";
        assert_eq!(shares_a_secret, !source.needs().is_empty(), "{}", source.kind());
        let names: BTreeSet<&str> = source.needs().iter().map(|need| need.name).collect();
        assert_eq!(names.len(), source.needs().len());
        assert!(source.needs().iter().all(|need| need.what.len() > 20 && need.what.contains('.')));
    }
}

#[test]
fn without_a_secret_no_source_believes_anything() {
    let nothing = registry().iter().flat_map(|source| source.needs()).chain([&URL_KEY]);
    let nothing = nothing.fold(Secrets::default(), |secrets, need| secrets.with(need.name, " "));
    let request = HttpRequest { method: "POST".into(), query: "key=+".into(), ..HttpRequest::default() };
    for source in registry() {
        for auth in source.proofs().iter().filter(|auth| **auth != Auth::Public) {
            let document = Document { auth: *auth, ..document(source.kind()) };
            let delivery = Delivery {
                request: &request,
                document: &document,
                secrets: &nothing,
                certificate: None,
                now: Timestamp(0),
            };
            let refusal = believe(*source, &delivery).unwrap_err();
            let without = if needs(*source, *auth).is_empty() { Refusal::Missing } else { Refusal::NoSecret };
            assert_eq!(refusal, without, "{}", source.kind());
            assert_eq!(Problem::from(refusal).status, 401);
        }
    }
}

#[test]
fn a_key_in_the_address_is_compared_with_every_value_of_the_secret() {
    let secrets = Secrets::default().with("url_key", "next & last").with("url_key", "current");
    let document = Document { auth: Auth::UrlKey, ..document("jotform") };
    for (query, expected) in [
        ("key=current", Ok(())),
        ("a=b&key=next+%26+last", Ok(())),
        ("key=other", Err(Refusal::KeyWrong)),
        ("key=", Err(Refusal::KeyMissing)),
        ("Key=current", Err(Refusal::KeyMissing)),
        ("", Err(Refusal::KeyMissing)),
    ] {
        let request = HttpRequest { method: "POST".into(), query: query.into(), ..HttpRequest::default() };
        let delivery = Delivery {
            request: &request,
            document: &document,
            secrets: &secrets,
            certificate: None,
            now: Timestamp(0),
        };
        assert_eq!(believe(&jotform::Jotform, &delivery), expected, "{query}");
    }
}

#[test]
fn secrets_are_never_printed() {
    assert!(!format!("{:?}", Secrets::default().with("app_secret", "hush")).contains("hush"));
}

/// Bodies that are nearly what some sender sends.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "true",
        "1e999",
        "\"id\":",
        "\"payload\":",
        "\"data\":",
        "\"fields\":",
        "\"event\":\"verify_webhook\"",
        "\"content\":",
        "\"form_response\":{",
        "\"answers\":[",
        "\"user_column_data\":[{",
        "\"Type\":\"Notification\",",
        "\"eventType\":\"Bounce\",",
        "\"rawRequest\":",
        "fields%5Ba%5D%5Bvalue%5D=1&",
        "&=&",
        "1.3=a&",
        "é",
        "\u{0}",
        "--b\r\nContent-Disposition: form-data; name=\"rawRequest\"\r\n\r\n{",
        "\r\n--b--\r\n",
        "\\ud800",
    ];
    let piece = prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn header() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "t=-?[0-9]{0,25},(s|v1)=[0-9a-fg]{0,70}",
        "[A-Za-z0-9_=-]{0,20}(\\.[A-Za-z0-9_=-]{0,20}){0,3}"
    ]
}

proptest! {
    #[test]
    fn whatever_is_sent_no_source_panics(
        body in nearly(),
        header in header(),
        kind in prop::sample::select(vec![
            "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "",
        ]),
        query in "[ -~]{0,30}",
        method in prop::sample::select(vec!["GET", "POST"]),
    ) {
        let names = [
            "x-hub-signature-256", "x-li-signature", "tiktok-signature", "x-douyin-signature", "typeform-signature",
            "x-webflow-signature", "x-webflow-timestamp", "calendly-webhook-signature", "tally-signature",
            "x-webhook-signature", "x-signature", "msg-id", "x-amz-sns-rawdelivery",
        ];
        let mut headers: Vec<(String, String)> =
            names.iter().map(|name| ((*name).to_owned(), header.clone())).collect();
        headers.push(("content-type".to_owned(), kind.to_owned()));
        let request = HttpRequest {
            method: method.to_owned(), query, headers, body: body.into(), ..HttpRequest::default()
        };
        for source in registry() {
            let secrets = source.needs().iter().fold(Secrets::default().with("url_key", "k"), |secrets, need| {
                secrets.with(need.name, "secret")
            });
            let document = document(source.kind());
            let delivery = Delivery { request: &request, document: &document, secrets: &secrets, certificate: None, now: Timestamp(0) };
            let _ = source.challenge(&request, &secrets);
            prop_assert!(document.auth == Auth::Public || believe(*source, &delivery).is_err());
            let _ = source.marks(&delivery);
            let _ = source.certificate(&delivery);
            prop_assert!(source.subscription(&delivery).is_ok_and(|it| it.is_none()) || source.kind() == "sns");
            let _ = source.feedback(&delivery);
            match source.leads(&delivery) {
                Ok(leads) => {
                    let ids: Vec<_> = leads.iter().filter_map(|lead| lead.external_id.as_ref()).collect();
                    prop_assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
                    for lead in &leads {
                        prop_assert!(crate::capture::from_source(lead).is_ok());
                    }
                }
                Err(problem) => prop_assert!((400..500).contains(&problem.status)),
            }
        }
    }
}
