//! SES's events by SNS over HTTPS, byte by byte: over TCP, and inside the events in which API Gateway hands them to Lambda.
//! What is believed is taken down once, what is not leaves nothing.

use crate::feedback::{address, queue, told};
use crate::folder::{Folder, folders, strings, text};
use crate::messages::{ask, show, with, with_ada};
use crate::senders::event;
use serde_json::{Value, json};
use sluice_domain::gate::{EVERY_TOPIC, SuppressedBy, Wish};
use sluice_domain::time::Timestamp;
use sluice_tests::sns::{self, Sns};
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

/// A source of type sns for these topics.
fn source(name: &str, more: &str) -> String {
    format!("{POLICIES}---\nkind: source\nname: {name}\ntype: sns\n{more}\n")
}

async fn post(run: &Running, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut all = vec![("content-type", "text/plain; charset=UTF-8")];
    all.extend(headers);
    run.send("POST", target, &all, body.as_bytes()).await
}

async fn status(run: &Running, way: &str, bytes: &[u8], encode: bool) -> u64 {
    match way {
        "tcp" => run.raw(bytes).await.status.into(),
        _ => {
            let answer = run.invoke("capture-lead", &event(bytes, encode)).await.expect("an HTTP answer");
            answer["statusCode"].as_u64().unwrap()
        }
    }
}

/// What an address ought to be suppressed by, as the event in a body says.
fn ought(message: &Value) -> Option<SuppressedBy> {
    match (message["bounce"]["bounceType"].as_str(), message["complaint"]["complaintFeedbackType"].as_str()) {
        (Some("Permanent"), _) => Some(SuppressedBy::HardBounce),
        (_, Some("not-spam")) => None,
        _ => message["complaint"].is_object().then_some(SuppressedBy::Complaint),
    }
}

async fn one_case(run: &Running, sns: &Sns, way: &str, folder: &Folder, case: &Value, at: usize) {
    let (facts, bytes) = (&case["facts"], folder.bytes(case));
    let id = format!("{} {way}", text(&case["id"]));
    let (table, asked) = (run.table(), sns.asked().len());
    let answered = status(run, way, &bytes, at.is_multiple_of(2)).await;
    let said = text(&facts["signature"]);
    let refused = match said.as_str() {
        "invalid" | "missing" | "must be refused before any fetch" => Some(401),
        _ => facts["must_answer_status"].as_u64().filter(|status| *status >= 400),
    };
    run.settle().await;
    if let Some(expected) = refused {
        assert_eq!(answered, expected, "{id}");
        assert_eq!(run.table(), table, "{id} left something in the table");
        let confirmed = sns.asked().iter().skip(asked).any(|target| target.contains("Action="));
        assert!(!confirmed, "{id} confirmed a subscription");
        if said.starts_with("must be refused") {
            assert_eq!(sns.asked().len(), asked, "{id} fetched something");
        }
        return;
    }
    assert_eq!(answered, 200, "{id}");
    let confirmed = sns.asked().iter().skip(asked).filter(|target| target.contains("Action=")).count();
    assert_eq!(confirmed, usize::from(facts["action"].is_string()), "{id}");
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let envelope: Value = serde_json::from_slice(&bytes[body..]).unwrap();
    let message: Value = serde_json::from_str(&text(&envelope["Message"])).unwrap_or_default();
    if facts["suppressed"].is_string() {
        assert_eq!(ought(&message).map(SuppressedBy::name), facts["suppressed"].as_str(), "{id}");
    }
    for recipient in strings(&facts["recipients"]) {
        let gate = address(run, &recipient).await;
        let suppressed = gate.suppressed.keys().copied();
        match ought(&message) {
            Some(ought) => assert!(suppressed.clone().any(|by| by == ought), "{id}: {gate:?}"),
            // It was said of a mail that it is none.
            None if message["complaint"].is_object() => assert_eq!(suppressed.count(), 0, "{id}: {gate:?}"),
            None => {}
        }
        if let Some("Transient" | "Undetermined") = message["bounce"]["bounceType"].as_str() {
            assert_eq!(gate.soft_bounces.len(), 1, "{id}: {gate:?}");
        }
        let out = gate.wish(EVERY_TOPIC).is_some_and(|(wish, _)| wish == Wish::No);
        assert_eq!(out, message["subscription"]["newTopicPreferences"]["unsubscribeAll"] == true, "{id}");
    }
    // Delivered again, now and an hour later, it is what it was.
    let table = run.table();
    for _ in 0..2 {
        assert_eq!(status(run, way, &bytes, !at.is_multiple_of(2)).await, 200, "{id}");
        run.settle().await;
        assert_eq!(run.table(), table, "{id} counted twice");
        run.stack.advance(Duration::from_secs(1_800));
    }
}

#[tokio::test]
async fn every_message_of_the_fixtures_is_taken_down_once_or_refused_without_a_trace() {
    for folder in folders("ses_events_sns") {
        let pem = std::fs::read_to_string(folder.path.join("cert.pem")).unwrap();
        let hook = text(&folder.cases[0]["target"]).trim_start_matches("/hooks/").to_owned();
        let topics = "topics: [\"arn:aws:sns:us-east-1:123456789012:ses-events\", \"arn:aws:sns:eu-central-1:210987654321:mail-events\"]";
        for way in ["tcp", "event"] {
            let sns = Sns::with(&pem);
            let mut setup = Setup::policies(source(&hook, topics))
                .at(Timestamp::from_seconds(folder.cases[0]["now"].as_i64().unwrap()));
            setup.sns = sns.clone();
            let run = setup.start().await;
            for (at, case) in folder.cases.iter().enumerate() {
                one_case(&run, &sns, way, &folder, case, at).await;
            }
            let fetched: Vec<String> =
                sns.asked().into_iter().filter(|target| target.ends_with(".pem")).collect();
            assert_eq!(fetched.len(), 1, "one certificate, fetched once: {fetched:?}");
            run.finish().await;
        }
    }
}

#[tokio::test]
async fn that_a_mail_is_no_spam_stops_nothing_and_leaves_no_complaint() {
    let source = format!("kind: source\nname: ses\ntype: sns\ntopics: [\"{}\"]", sns::TOPIC);
    let (run, ada) = with_ada(with(&source)).await;
    let consents = format!("/api/customers/{ada}/consents");
    let mails = || run.mails().iter().filter(|(to, _)| *to == ["ada@person.example"]).count();
    let rounds = [("not-spam", Value::Null, "sent", 2), ("abuse", json!("complaint"), "skipped", 3)];
    for (kind, suppressed, state, sent) in rounds {
        let first = ask(&run, &ada, json!({"topic": "service"})).await;
        run.settle().await;
        let mut event = told("Complaint", kind, "ada@person.example");
        event["mail"]["tags"] = json!({ "message": [first] });
        event["complaint"]["complaintFeedbackType"] = kind.into();
        let event = sns::notification(kind, &event.to_string());
        assert_eq!(post(&run, "/hooks/ses", &[], &event).await.status, 200);
        run.settle().await;
        let (_, said) = run.api("GET", &consents, None).await;
        let addresses = said["addresses"].as_array().unwrap();
        let gate = addresses.iter().find(|one| one["channel"] == "email").cloned().unwrap_or_default();
        assert_eq!(gate["suppressed"]["by"], suppressed, "{kind}: {said:#}");
        let proofs = said["proofs"].as_array().unwrap().len();
        assert_eq!(proofs, usize::from(!suppressed.is_null()), "{kind}: {said:#}");
        let message = show(&run, &first).await;
        assert_eq!(message["complained"].is_null(), suppressed.is_null(), "{kind}: {message:#}");
        let next = ask(&run, &ada, json!({})).await;
        run.settle().await;
        assert_eq!(show(&run, &next).await["state"], state, "{kind}");
        assert_eq!(mails(), sent, "{kind}");
    }
    run.finish().await;
}

#[tokio::test]
async fn a_certificate_in_the_document_is_the_only_one_that_counts() {
    let pem: String = sns::CERTIFICATE.lines().map(|line| format!("  {line}\n")).collect();
    let pinned = format!("topics: [\"{}\"]\ncertificate: |\n{pem}", sns::TOPIC);
    let mut setup = Setup::policies(source("ses", &pinned));
    setup.sns = Sns::with("nobody is to fetch this");
    let asked = setup.sns.clone();
    let run = setup.start().await;
    let bounce = told("Bounce", "m-1", "gone@reader.example");
    assert_eq!(post(&run, "/hooks/ses", &[], &sns::notification("1", &bounce.to_string())).await.status, 200);
    run.settle().await;
    assert!(address(&run, "gone@reader.example").await.suppression().is_some());
    assert_eq!(asked.asked(), Vec::<String>::new());
    run.finish().await;
}

#[tokio::test]
async fn without_its_envelope_a_message_needs_the_key() {
    let more = format!("auth: url_key\nsecrets: {{ url_key: [env:SES_KEY] }}\ntopics: [\"{}\"]", sns::TOPIC);
    let run = Setup::policies(source("ses", &more)).var("SES_KEY", "the-key").start().await;
    let body = told("Bounce", "m-1", "gone@reader.example").to_string();
    let raw = [("x-amz-sns-rawdelivery", "true"), ("x-amz-sns-topic-arn", sns::TOPIC)];
    let elsewhere = [raw[0], ("x-amz-sns-topic-arn", "arn:aws:sns:eu-central-1:666666666666:mail-events")];
    let before = run.table();
    post(&run, "/hooks/ses", &raw, &body).await.is_problem(401, "key-missing");
    post(&run, "/hooks/ses?key=a-key", &raw, &body).await.is_problem(401, "key-wrong");
    post(&run, "/hooks/ses?key=the-key", &elsewhere, &body).await.is_problem(403, "topic-unknown");
    post(&run, "/hooks/ses?key=the-key", &[], &body).await.is_problem(401, "signature-missing");
    post(&run, "/hooks/ses?key=the-key", &raw, "hello").await.is_problem(400, "not-an-event");
    let forged = sns::notification("1", &body).replace("gone@", "kept@");
    post(&run, "/hooks/ses?key=the-key", &[], &forged).await.is_problem(401, "signature-wrong");
    run.settle().await;
    assert_eq!(run.table(), before);
    assert_eq!(post(&run, "/hooks/ses?key=the-key", &raw, &body).await.status, 200);
    assert_eq!(post(&run, "/hooks/ses?key=the-key", &[], &sns::confirmation("2")).await.status, 200);
    run.settle().await;
    assert!(address(&run, "gone@reader.example").await.suppression().is_some());
    run.finish().await;
}

#[tokio::test]
async fn a_subscription_is_confirmed_only_for_a_topic_of_ours_and_asked_for_again_while_sns_is_down() {
    let setup = Setup::policies(source("ses", &format!("topics: [\"{}\"]", sns::TOPIC)));
    let asked = setup.sns.clone();
    let run = setup.start().await;
    let foreign = sns::signed(json!({
        "Type": "SubscriptionConfirmation", "MessageId": "1", "Token": "t", "Message": "You have chosen",
        "TopicArn": "arn:aws:sns:eu-central-1:666666666666:mail-events",
        "SubscribeURL": format!("https://{}/?Action=ConfirmSubscription&Token=t", sns::HOST),
    }));
    post(&run, "/hooks/ses", &[], &foreign).await.is_problem(403, "topic-unknown");
    assert_eq!(asked.asked(), Vec::<String>::new(), "nothing is fetched for a topic of somebody else's");
    run.refusals.refuse("capture-lead", "Action=ConfirmSubscription", 1, (500, "InternalError"));
    post(&run, "/hooks/ses", &[], &sns::confirmation("2")).await.is_problem(503, "unavailable");
    assert_eq!(post(&run, "/hooks/ses", &[], &sns::confirmation("2")).await.status, 200);
    let confirmed: Vec<String> = asked.asked().into_iter().filter(|it| it.contains("Action=")).collect();
    let expected = format!("/?Action=ConfirmSubscription&TopicArn={}&Token=token", sns::TOPIC);
    assert_eq!(confirmed, [expected]);
    run.finish().await;
}

#[tokio::test]
async fn while_the_certificate_cannot_be_fetched_sns_is_asked_to_come_again_and_one_that_is_not_there_is_refused()
 {
    let setup = Setup::policies(source("ses", &format!("topics: [\"{}\"]", sns::TOPIC)));
    let run = setup.start().await;
    let message = sns::notification("1", &told("Bounce", "m-1", "gone@reader.example").to_string());
    let before = run.table();
    run.refusals.refuse("capture-lead", ".pem", 1, (500, "InternalError"));
    post(&run, "/hooks/ses", &[], &message).await.is_problem(503, "unavailable");
    run.refusals.refuse("capture-lead", ".pem", 1, (403, "AccessDenied"));
    post(&run, "/hooks/ses", &[], &message).await.is_problem(401, "certificate-foreign");
    assert_eq!(run.table(), before);
    assert_eq!(post(&run, "/hooks/ses", &[], &message).await.status, 200);
    run.settle().await;
    assert!(address(&run, "gone@reader.example").await.suppression().is_some());
    run.finish().await;
}

#[tokio::test]
async fn what_the_queue_refuses_waits_for_the_timers_and_what_cannot_be_kept_at_all_is_sent_again() {
    let run = Setup::policies(source("ses", &format!("topics: [\"{}\"]", sns::TOPIC))).start().await;
    let message = |id: &str, to: &str| sns::notification(id, &told("Complaint", id, to).to_string());
    run.refusals.refuse("capture-lead", "AmazonSQS.", usize::MAX, (500, "InternalError"));
    let one = message("1", "one@reader.example");
    assert_eq!(post(&run, "/hooks/ses", &[], &one).await.status, 200);
    // Delivered again it is the same entry.
    assert_eq!(run.table().keys().filter(|(pk, _)| pk.starts_with("due#")).count(), 1);
    run.refusals.refuse(
        "capture-lead",
        "DynamoDB_20120810.PutItem",
        usize::MAX,
        (500, "InternalServerError"),
    );
    let two = message("2", "two@reader.example");
    post(&run, "/hooks/ses", &[], &two).await.is_problem(503, "unavailable");
    run.refusals.lift();
    assert!(address(&run, "one@reader.example").await.suppression().is_none());
    run.fire_timers().await;
    assert!(address(&run, "one@reader.example").await.suppression().is_some());
    assert_eq!(post(&run, "/hooks/ses", &[], &two).await.status, 200);
    run.settle().await;
    assert!(address(&run, "two@reader.example").await.suppression().is_some());
    assert_eq!(run.depth(&queue()), 0);
    run.finish().await;
}
