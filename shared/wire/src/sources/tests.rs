//! What holds for every source, and helpers for their own tests.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

mod naming;
mod order;
mod reading;
mod submission;

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
fn a_secret_that_could_not_be_read_proves_nothing_and_disproves_nothing() {
    let good = || Secrets::default().with_unread("url_key").with("url_key", "old");
    let none = || Secrets::default().with_unread("url_key");
    let document = Document { auth: Auth::UrlKey, ..document("jotform") };
    for (secrets, query, expected) in [
        (good(), "key=old", Ok(())),
        (good(), "key=other", Err(Refusal::Unread)),
        (good(), "", Err(Refusal::KeyMissing)),
        (none(), "key=old", Err(Refusal::Unread)),
        (none(), "key=", Err(Refusal::Unread)),
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
    let problem = Problem::from(Refusal::Unread);
    assert_eq!((problem.status, problem.name, problem.retry_after), (503, "unavailable", Some(5)));
    // One that is empty is none, and not one that could not be read.
    assert!(!Secrets::default().with("url_key", " ").has_unread());
}

#[test]
fn ids_of_any_length_tell_one_lead_from_another() {
    let request = HttpRequest::default();
    let (document, secrets) = (document("json"), Secrets::default());
    let delivery = Delivery {
        request: &request,
        document: &document,
        secrets: &secrets,
        certificate: None,
        now: Timestamp(0),
    };
    let kept = |id: &str| {
        let mut draft = draft::Draft::new(&delivery);
        draft.id(Some(id));
        draft.lead.external_id
    };
    let (one, other) = (format!("{}1", "x".repeat(400)), format!("{}2", "x".repeat(400)));
    assert_eq!(kept(&one[1..]).as_deref(), Some(&one[1..]), "400 bytes are kept as they are");
    assert_eq!(kept(&one), kept(&format!(" {one} ")));
    assert_ne!(kept(&one), kept(&other));
    assert!(kept(&one).is_some_and(|id| id.len() < 100));
    assert_eq!(kept(" "), None);
}

#[test]
fn a_tiktok_lead_without_an_id_is_called_by_what_its_event_says() {
    let told = |body: &str| {
        let request =
            HttpRequest { method: "POST".into(), body: body.to_owned().into(), ..HttpRequest::default() };
        read(&tiktok::Tiktok, &document("tiktok"), &request).0.remove(0).external_id.unwrap()
    };
    let id = told(r#"{"event":"lead.new","create_time":1,"content":"{\"name\":\"Ada\",\"n\":[1,null]}"}"#);
    let text = "lead.new\n1\n{\"name\":\"Ada\",\"n\":[\"1\",null]}";
    let sha = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    assert_eq!(id, signature::hex(sha.as_ref()));
    assert_eq!(id, told(r#"{"create_time":1,"event":"lead.new","content":{"name":"Ada","n":[1,null]}}"#));
    assert_ne!(id, told(r#"{"create_time":2,"event":"lead.new","content":{"name":"Ada","n":[1,null]}}"#));
}

#[test]
fn an_empty_id_is_none_and_the_next_one_counts() {
    let id = |kind: &str, body: &str| {
        let request =
            HttpRequest { method: "POST".into(), body: body.to_owned().into(), ..HttpRequest::default() };
        read(find(kind).unwrap(), &document(kind), &request).0.remove(0).external_id
    };
    let told = |lead_id: &str| {
        id("tiktok", &format!(r#"{{"event":"lead.new","content":{{"lead_id":"{lead_id}","name":"Ada"}}}}"#))
    };
    for empty in ["", " "] {
        assert!(told(empty).is_some_and(|id| id.len() == 64), "what the event says");
    }
    assert_eq!(told("7").as_deref(), Some("7"));
    for (kind, body, expected) in [
        ("typeform", r#"{"event_id":"e","form_response":{"token":""}}"#, Some("e")),
        ("typeform", r#"{"event_id":"","form_response":{"token":""}}"#, None),
        ("tally", r#"{"eventId":"e","data":{"submissionId":"","responseId":" "}}"#, Some("e")),
        ("tally", r#"{"eventId":"e","data":{"submissionId":"","responseId":"r"}}"#, Some("r")),
        ("tally", r#"{"data":{"submissionId":""}}"#, None),
        ("webflow", r#"{"payload":{"id":"","_id":"w","data":{"a":"b"}}}"#, Some("w")),
    ] {
        assert_eq!(id(kind, body).as_deref(), expected, "{body}");
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
        method in prop::sample::select(vec!["GET", "POST", "PUT"]),
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
                        let kept = serde_json::to_vec(&crate::capture::from_source(lead)).unwrap();
                        prop_assert!(kept.len() <= crate::capture::MAX_STORED);
                    }
                }
                Err(problem) => prop_assert!((400..500).contains(&problem.status)),
            }
        }
    }
}

mod shops {
    //! What shops say of orders: one event for each thing that becomes of one, and none of what says nothing.

    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use ring::hmac;
    use serde_json::{Value, json};
    use sluice_domain::event::{Happened, Who};

    fn signed(kind: &str, headers: &[(&str, &str)], body: &str) -> Result<Vec<Happened>, Refusal> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"shared");
        let signature = STANDARD.encode(hmac::sign(&key, body.as_bytes()));
        let name = if kind == "shopify" { "x-shopify-hmac-sha256" } else { "x-wc-webhook-signature" };
        let mut headers = headers.to_vec();
        headers.push((name, &signature));
        delivered(kind, &headers, body)
    }

    fn delivered(kind: &str, headers: &[(&str, &str)], body: &str) -> Result<Vec<Happened>, Refusal> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let request = HttpRequest {
            method: "POST".into(),
            headers: headers.chain([("content-type".to_owned(), "application/json".to_owned())]).collect(),
            body: body.to_owned().into(),
            ..HttpRequest::default()
        };
        let document = Document { name: "shop".into(), ..document(kind) };
        let secrets = Secrets::default().with("secret", "old").with("secret", "shared");
        let now = Timestamp::parse("2027-01-01T00:00:00.000Z").unwrap();
        let delivery =
            Delivery { request: &request, document: &document, secrets: &secrets, certificate: None, now };
        let source = find(kind).unwrap();
        believe(source, &delivery)?;
        assert!(source.leads(&delivery).unwrap().is_empty());
        Ok(source.events(&delivery).unwrap())
    }

    fn said(happened: &[Happened]) -> Vec<(&str, Value, String)> {
        happened
            .iter()
            .map(|one| {
                (one.event.name.as_str(), json!(one.event.properties.reveal()), one.event.at.rfc3339())
            })
            .collect()
    }

    fn shopify() -> Value {
        json!({
            "id": 820982911946154508_u64, "name": "#9999", "email": "jon@example.com", "currency": "EUR",
            "created_at": "2026-11-20T12:00:00-05:00", "updated_at": "2026-11-21T12:00:00-05:00", "cancelled_at": null,
            "total_price": "403.00", "current_total_price": "398.00", "test": false, "financial_status": "paid",
            "line_items": [{"id": 1}, {"id": 2}], "billing_address": {"country_code": "DE"},
            "customer": {"id": 115310627314723954_u64, "first_name": "Jon", "last_name": "Doe", "phone": "+4930901820"},
        })
    }

    #[test]
    fn shopify_says_of_an_order_what_became_of_it() {
        let topic = |topic: &'static str| [("x-shopify-topic", topic)];
        let created = signed("shopify", &topic("orders/create"), &shopify().to_string()).unwrap();
        let properties = json!({
            "order_id": "820982911946154508", "order_number": "#9999", "total": "398.00", "currency": "EUR", "items": 2,
        });
        assert_eq!(said(&created), [("Order Completed", properties, "2026-11-20T17:00:00.000Z".to_owned())]);
        let Who::Ids(ids) = &created[0].who else { panic!("a shop names no customer of ours") };
        assert_eq!(ids.anonymous.as_ref().unwrap().reveal(), "shop/customer/115310627314723954");
        let traits = json!(created[0].event.traits.reveal());
        assert_eq!((&traits["email"], &traits["country"]), (&json!("jon@example.com"), &json!("DE")));
        let paid = signed("shopify", &topic("orders/paid"), &shopify().to_string()).unwrap();
        assert_eq!(paid[0].event.id, created[0].event.id, "the same thing told twice");
        let updated = signed("shopify", &topic("orders/updated"), &shopify().to_string()).unwrap();
        assert_eq!(
            (said(&updated)[0].0, said(&updated)[0].2.as_str()),
            ("Order Updated", "2026-11-21T17:00:00.000Z")
        );
        let mut cancelled = shopify();
        cancelled["cancelled_at"] = json!("2026-11-22T12:00:00.000Z");
        let cancelled = signed("shopify", &topic("orders/cancelled"), &cancelled.to_string()).unwrap();
        assert_eq!(said(&cancelled)[0].0, "Order Cancelled");
        assert!(cancelled[0].event.properties.reveal().get("total").is_none());
    }

    #[test]
    fn an_order_of_shopify_is_bought_once_it_is_paid() {
        let told = |topic: &'static str, status: Value| {
            let mut order = shopify();
            order["financial_status"] = status;
            let happened = signed("shopify", &[("x-shopify-topic", topic)], &order.to_string()).unwrap();
            happened.into_iter().map(|one| one.event.name).collect::<Vec<_>>()
        };
        for status in
            [json!("pending"), json!("authorized"), json!("partially_paid"), json!("voided"), Value::Null]
        {
            for topic in ["orders/create", "orders/updated", "orders/edited", "orders/fulfilled"] {
                assert_eq!(told(topic, status.clone()), [""; 0], "{topic} {status}");
            }
        }
        for status in ["paid", "partially_refunded", "refunded"] {
            assert_eq!(told("orders/create", json!(status)), ["Order Completed"], "{status}");
            assert_eq!(told("orders/updated", json!(status)), ["Order Updated"], "{status}");
        }
        assert_eq!(told("orders/paid", Value::Null), ["Order Completed"], "the topic says it");
    }

    #[test]
    fn of_tests_other_topics_and_nobody_there_is_nothing_to_tell() {
        let mut nobody = shopify();
        (nobody["email"], nobody["customer"]) = (Value::Null, Value::Null);
        let topic = ("x-shopify-topic", "orders/create");
        for (headers, body) in [
            (vec![("x-shopify-topic", "products/update")], shopify()),
            (vec![topic, ("x-shopify-test", "true")], shopify()),
            (vec![topic], nobody),
            (vec![topic], json!({})),
        ] {
            assert_eq!(signed("shopify", &headers, &body.to_string()).unwrap(), []);
        }
        assert_eq!(delivered("shopify", &[topic], "{}"), Err(Refusal::Missing));
        assert_eq!(
            delivered("shopify", &[topic, ("x-shopify-hmac-sha256", "AAAA")], "{}"),
            Err(Refusal::Wrong)
        );
        // A guest is known by the address.
        let mut guest = shopify();
        guest["customer"] = Value::Null;
        let guest = signed("shopify", &[topic], &guest.to_string()).unwrap();
        let Who::Ids(ids) = &guest[0].who else { panic!() };
        assert_eq!(ids.anonymous.as_ref().unwrap().reveal(), "shop/guest/jon@example.com");
    }

    #[test]
    fn woocommerce_says_by_the_status_of_an_order_what_became_of_it() {
        let order = |status: &str| {
            json!({
                "id": 727, "number": "727", "status": status, "currency": "USD", "total": "29.35", "customer_id": 0,
                "date_created_gmt": "2026-03-22T19:28:02", "date_modified_gmt": "2026-03-22T19:30:00",
                "billing": {"first_name": "John", "last_name": "Doe", "email": "John.Doe@example.com", "phone": "", "country": "US"},
                "line_items": [{"id": 315}], "refunds": [{"id": 726, "reason": "", "total": "-10.00"}],
            })
            .to_string()
        };
        let topic = [("x-wc-webhook-topic", "order.updated")];
        let named = |status: &str| -> Vec<String> {
            let happened = signed("woocommerce", &topic, &order(status)).unwrap();
            happened.into_iter().map(|one| one.event.name).collect()
        };
        assert_eq!(named("pending"), [""; 0]);
        assert_eq!(named("completed"), ["Order Completed", "Order Updated", "Order Refunded"]);
        assert_eq!(named("processing"), named("completed"));
        assert_eq!(named("cancelled"), ["Order Cancelled"]);
        let done = signed("woocommerce", &topic, &order("completed")).unwrap();
        assert_eq!(done[0].event.at.rfc3339(), "2026-03-22T19:28:02.000Z");
        assert_eq!(done[2].event.properties.reveal()["total"], "-10.00");
        let Who::Ids(ids) = &done[0].who else { panic!() };
        assert_eq!(ids.anonymous.as_ref().unwrap().reveal(), "shop/guest/john.doe@example.com");
        assert!(done[0].event.traits.reveal().get("phone").is_none(), "an empty text says nothing");
        let created =
            signed("woocommerce", &[("x-wc-webhook-topic", "order.created")], &order("completed")).unwrap();
        assert_eq!(created[0].event.id, done[0].event.id);
    }

    #[test]
    fn the_ping_of_an_address_that_is_being_saved_is_answered_and_nothing_else_unsigned() {
        assert_eq!(delivered("woocommerce", &[], "webhook_id=17"), Ok(Vec::new()));
        for body in ["webhook_id=", "webhook_id=17&x=1", "{}"] {
            assert_eq!(
                delivered("woocommerce", &[("x-wc-webhook-topic", "order.created")], body),
                Err(Refusal::Missing)
            );
        }
    }
}
