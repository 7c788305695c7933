//! What SES says of mails, on the fixtures of the repository and of a larger collection where that is at hand: which
//! messages of SNS's are believed, and what is read of each in every shape in which it may arrive.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy knows the test functions, not their helpers"
)]

use serde_json::Value;
use sluice_domain::feedback::{Bounce, Complaint, Feedback, Kind};
use sluice_domain::policy::{Auth, Source as Document};
use sluice_domain::time::Timestamp;
use sluice_wire::feedback::{Read, bare, read};
use sluice_wire::http::HttpRequest;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{FeedbackMessage, encode};
use sluice_wire::sns::Certificate;
use sluice_wire::sources::{Delivery, Refusal, Secrets, Source, Subscription, believe, find};
use std::fs;
use std::path::{Path, PathBuf};

/// The topics of the two collections.
const TOPICS: [&str; 2] =
    ["arn:aws:sns:eu-central-1:210987654321:mail-events", "arn:aws:sns:us-east-1:123456789012:ses-events"];

fn folders(name: &str) -> Vec<(PathBuf, Vec<Value>)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    let more = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads").join(name);
    let mut folders = Vec::new();
    for folder in [own, more] {
        let Ok(index) = fs::read(folder.join("index.json")) else {
            println!("skipped: nothing at {}", folder.display());
            continue;
        };
        let index: Value = serde_json::from_slice(&index).unwrap();
        folders.push((folder, index["cases"].as_array().unwrap().clone()));
    }
    folders
}

fn request(bytes: &[u8]) -> HttpRequest {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let mut lines = std::str::from_utf8(&bytes[..end]).unwrap().split("\r\n");
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    HttpRequest {
        method: "POST".to_owned(),
        path,
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(),
        body: bytes[end + 4..].to_vec().into(),
        ..HttpRequest::default()
    }
}

fn document() -> Document {
    let topics = TOPICS.map(str::to_owned).to_vec();
    Document { name: "sns".to_owned(), sender: "sns".to_owned(), topics, ..Document::default() }
}

fn sns() -> &'static dyn Source {
    find("sns").unwrap()
}

/// What comes of a request as capture-lead takes it, with this certificate where one would be fetched.
#[derive(Debug, PartialEq)]
enum Outcome {
    Refused(Refusal),
    Unusable(u16),
    Subscription(Subscription),
    Feedback(Vec<Feedback>),
}

fn take(request: &HttpRequest, document: &Document, secrets: &Secrets, pem: &[u8], now: i64) -> Outcome {
    let now = Timestamp::from_seconds(now);
    let first = Delivery { request, document, secrets, certificate: None, now };
    let certificate = Certificate::parse(pem).unwrap();
    let fetched = match sns().certificate(&first) {
        Err(refusal) => return Outcome::Refused(refusal),
        Ok(url) => url.map(|_| &certificate),
    };
    let delivery = Delivery { certificate: fetched, ..first };
    if let Err(refusal) = believe(sns(), &delivery) {
        return Outcome::Refused(refusal);
    }
    let brought = || -> Result<Outcome, Problem> {
        Ok(match sns().subscription(&delivery)? {
            Some(subscription) => Outcome::Subscription(subscription),
            None => Outcome::Feedback(sns().feedback(&delivery)?),
        })
    };
    brought().unwrap_or_else(|problem| Outcome::Unusable(problem.status))
}

fn check(event: &Feedback, facts: &Value, id: &str) {
    let word = facts["eventType"].as_str().or_else(|| facts["notificationType"].as_str());
    if let Some(word) = word {
        let name = word.replace(' ', "").to_lowercase();
        let known = event.kind.name().replace('_', "");
        assert!(known == name || event.kind == Kind::Other(word.to_owned()), "{id}: {event:?}");
    }
    if let Some(mail) = facts["ses_message_id"].as_str() {
        assert_eq!(event.mail, mail, "{id}");
    }
    if let Some(recipients) = facts["recipients"].as_array() {
        let found: Vec<&str> = event.recipients.iter().map(|email| email.as_sent()).collect();
        assert_eq!(found, recipients.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>(), "{id}");
    }
    assert!(event.at.is_some() && !event.mail.is_empty(), "{id}: {event:?}");
}

#[test]
fn only_what_sns_signed_for_a_topic_of_ours_is_believed() {
    let mut believed = 0;
    for (folder, cases) in folders("ses_events_sns") {
        let pem = fs::read(folder.join("cert.pem")).unwrap();
        for case in &cases {
            let (id, facts) = (case["id"].to_string(), &case["facts"]);
            let request = request(&fs::read(folder.join(case["file"].as_str().unwrap())).unwrap());
            let now = case["now"].as_i64().unwrap();
            let outcome = take(&request, &document(), &Secrets::default(), &pem, now);
            let expected = match (facts["signature"].as_str(), facts["must_answer_status"].as_u64()) {
                (Some("invalid"), _) => Some(Outcome::Refused(Refusal::Wrong)),
                (Some("missing"), _) => Some(Outcome::Refused(Refusal::Missing)),
                (Some("must be refused before any fetch"), _) => Some(Outcome::Refused(Refusal::Address)),
                (_, Some(403)) => Some(Outcome::Refused(Refusal::Topic)),
                (None, Some(400)) => Some(Outcome::Refused(Refusal::Kind)),
                (_, Some(400)) => Some(Outcome::Unusable(400)),
                _ => None,
            };
            match (outcome, expected) {
                (outcome, Some(expected)) => assert_eq!(outcome, expected, "{id}"),
                (Outcome::Subscription(Subscription::Confirm(url)), None) => {
                    assert!(facts["action"].as_str().unwrap().starts_with("GET SubscribeURL"), "{id}");
                    assert!(
                        url.starts_with("https://sns.") && url.contains("Action=ConfirmSubscription"),
                        "{id}"
                    );
                    believed += 1;
                }
                (Outcome::Subscription(Subscription::Ended), None) => {
                    assert!(id.contains("unsubscribe"), "{id}");
                    believed += 1;
                }
                (Outcome::Feedback(events), None) => {
                    events.iter().for_each(|event| check(event, facts, &id));
                    assert_eq!(events.len(), usize::from(!id.contains("validated")), "{id}");
                    believed += 1;
                    // Under another key, at a time when the certificate was not valid, or without the topic, none of it.
                    let certificates = folders("ses_events_sns").into_iter();
                    let mut certificates =
                        certificates.map(|(folder, _)| fs::read(folder.join("cert.pem")).unwrap());
                    if let Some(other) = certificates.find(|other| *other != pem) {
                        let refused = take(&request, &document(), &Secrets::default(), &other, now);
                        assert_eq!(refused, Outcome::Refused(Refusal::Wrong), "{id}");
                    }
                    for early_or_late in [1_000_000_000, 4_000_000_000] {
                        let refused = take(&request, &document(), &Secrets::default(), &pem, early_or_late);
                        assert_eq!(refused, Outcome::Refused(Refusal::Expired), "{id}");
                    }
                    let nobody = Document { topics: Vec::new(), ..document() };
                    let refused = take(&request, &nobody, &Secrets::default(), &pem, now);
                    assert_eq!(refused, Outcome::Refused(Refusal::Topic), "{id}");
                }
                (outcome, None) => assert_eq!(outcome, Outcome::Feedback(Vec::new()), "{id}"),
            }
        }
    }
    assert!(believed >= 15, "{believed}");
}

#[test]
fn a_certificate_of_the_document_counts_instead_of_the_one_that_is_named() {
    for (folder, cases) in folders("ses_events_sns") {
        let pem = fs::read_to_string(folder.join("cert.pem")).unwrap();
        let pinned = Document { certificate: Some(pem), ..document() };
        for case in cases.iter().filter(|case| case["facts"]["eventType"].is_string()) {
            let request = request(&fs::read(folder.join(case["file"].as_str().unwrap())).unwrap());
            let now = Timestamp::from_seconds(case["now"].as_i64().unwrap());
            let (document, secrets) = (&pinned, &Secrets::default());
            let delivery = Delivery { request: &request, document, secrets, certificate: None, now };
            assert_eq!(sns().certificate(&delivery), Ok(None), "nothing is fetched");
            assert_eq!(believe(sns(), &delivery), Ok(()), "{}", case["id"]);
        }
    }
}

#[test]
fn what_comes_without_an_envelope_needs_the_key_in_the_address_and_an_envelope_is_verified_in_any_case() {
    let (folder, cases) = folders("ses_events_sns").remove(0);
    let pem = fs::read(folder.join("cert.pem")).unwrap();
    let secrets = Secrets::default().with("url_key", "the key");
    let keyed = Document { auth: Auth::UrlKey, ..document() };
    let ask = |id: &str, query: &str, drop: &str| {
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        let mut request = request(&fs::read(folder.join(case["file"].as_str().unwrap())).unwrap());
        request.query = query.to_owned();
        request.headers.retain(|(name, _)| name != drop);
        take(&request, &keyed, &secrets, &pem, case["now"].as_i64().unwrap())
    };
    let Outcome::Feedback(events) = ask("40-raw", "key=the+key", "") else { panic!("believed") };
    assert_eq!(events[0].kind, Kind::Bounce(Bounce::Permanent));
    assert!(matches!(ask("40-raw", "key=the+key", "x-amz-sns-topic-arn"), Outcome::Feedback(_)));
    assert_eq!(ask("40-raw", "key=another", ""), Outcome::Refused(Refusal::KeyWrong));
    assert_eq!(ask("40-raw", "", ""), Outcome::Refused(Refusal::KeyMissing));
    // Without the header that says so it is an envelope, and none.
    assert_eq!(ask("40-raw", "key=the+key", "x-amz-sns-rawdelivery"), Outcome::Refused(Refusal::Missing));
    assert!(matches!(ask("02-delivery", "key=the+key", ""), Outcome::Feedback(_)));
    assert_eq!(ask("30-tampered", "key=the+key", ""), Outcome::Unusable(401));
    assert_eq!(ask("37-subscription-tampered", "key=the+key", ""), Outcome::Unusable(401));
    assert!(matches!(ask("20-subscription-confirmation", "key=the+key", ""), Outcome::Subscription(_)));
    assert_eq!(ask("35-topic-of-somebody-else", "key=the+key", ""), Outcome::Refused(Refusal::Topic));
}

#[test]
fn an_event_is_the_same_in_whichever_shape_it_arrives() {
    let mut seen = 0;
    for (folder, cases) in folders("ses_events_sns") {
        for case in cases.iter().filter(|case| case["facts"]["signature"] == "valid") {
            let request = request(&fs::read(folder.join(case["file"].as_str().unwrap())).unwrap());
            let text = String::from_utf8(request.body.to_vec()).unwrap();
            let envelope: Value = serde_json::from_str(&text).unwrap();
            let message = envelope["Message"].as_str().unwrap();
            let Ok(Read::Event(event)) = bare(message) else { continue };
            check(&event, &case["facts"], &case["id"].to_string());
            let own = encode(&FeedbackMessage::Event(event.clone()));
            let bus = serde_json::json!({
                "detail-type": "Email Event", "source": "aws.ses", "time": "2026-01-05T09:29:59Z",
                "detail": serde_json::from_str::<Value>(message).unwrap(),
            });
            for body in [text.as_str(), message, &own, &bus.to_string()] {
                assert_eq!(read(body), Ok(Read::Event(event.clone())), "{}", case["id"]);
            }
            // Our own form holds what we act on, and nothing else of the person.
            assert!(own.len() < 600 && !own.contains("Winter"), "{own}");
            seen += 1;
        }
    }
    assert!(seen >= 12, "{seen}");
    for (folder, cases) in folders("ses_events_eventbridge") {
        for case in &cases {
            let text = fs::read_to_string(folder.join(case["file"].as_str().unwrap())).unwrap();
            let Ok(Read::Event(event)) = read(&text) else { panic!("{}", case["id"]) };
            check(&event, &case["facts"], &case["id"].to_string());
        }
    }
}

#[test]
fn complaints_that_something_is_no_spam_are_told_apart() {
    let complaint = |kind: &str| {
        let body = format!(
            r#"{{"eventType":"Complaint","complaint":{{"complaintFeedbackType":"{kind}"}},"mail":{{"messageId":"1"}}}}"#
        );
        let Ok(Read::Event(event)) = read(&body) else { panic!("{body}") };
        event.kind
    };
    assert_eq!(complaint("not-spam"), Kind::Complaint(Complaint::NotSpam));
    for kind in ["abuse", "fraud", "virus", "auth-failure", "other", "", "of tomorrow"] {
        assert_eq!(complaint(kind), Kind::Complaint(Complaint::Unwanted), "{kind}");
    }
}
