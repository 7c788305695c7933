//! What nobody could take lies among the dead letters with what its senders said: of a person who is erased it goes from there
//! too, whether it died before or after.

use crate::erasure::{MAIL, erase, left};
use crate::feedback::{address, queue as feedback_queue, told};
use crate::timeline::timeline;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::gate::SuppressedBy;
use sluice_host::environment::Clock;
use sluice_services::sqs::{OutgoingMessage, Sqs};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const SITE: &str = "
---
kind: source
name: site
type: segment
secrets: { write_key: [env:SITE_KEY] }
";
const BEA: &str = "bea@else.example";
/// What the site calls the person.
const USER: &str = "444000077";
/// Everything that a function asks of the table.
const TABLE: &str = "DynamoDB_20120810.";
const NOT_ALLOWED: (u16, &str) = (400, "AccessDeniedException");
const DAY: i64 = 24 * 3_600_000;

/// A stack with two customers whom the site knows as well; the first one's id.
async fn started() -> (Running, String) {
    let run = Setup::policies(format!("{POLICIES}{SITE}")).var("SITE_KEY", "site-key").start().await;
    let lead = run.lead(&[("email", MAIL), ("first_name", "Merula")]).await;
    run.lead(&[("email", BEA), ("first_name", "Bea")]).await;
    for (user, email) in [(USER, MAIL), ("u-bea", BEA)] {
        call(&run, json!([identify(user, json!({"email": email}))])).await;
    }
    run.settle().await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    (run, customer)
}

/// Something that the person says of themselves, in words found nowhere else.
fn merula() -> Value {
    identify(USER, json!({"email": MAIL, "phone": "+1 (201) 555-0177", "name": "Merula Turdus"}))
}

fn identify(user: &str, traits: Value) -> Value {
    json!({"type": "identify", "userId": user, "traits": traits})
}

fn track(user: &str, event: &str, properties: Value) -> Value {
    json!({"type": "track", "userId": user, "event": event, "properties": properties})
}

/// One call of the site's library.
async fn call(run: &Running, batch: Value) {
    let headers = [("authorization", "Basic c2l0ZS1rZXk6"), ("content-type", "application/json")];
    let body = json!({ "batch": batch }).to_string();
    let answer = run.send("POST", "/v1/batch", &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// What waits is brought as often as it may be, until so many letters of events and of feedback are dead.
async fn dies(run: &Running, events: u64, feedback: u64) {
    let dead = || (run.depth(&named("EventDeadLetters")), run.depth(&named("FeedbackDeadLetters")));
    for _ in 0..600 {
        if dead() == (events, feedback) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        run.stack.advance(Duration::from_secs(181));
    }
    panic!("{:?} are dead: {}", dead(), run.depths());
}

/// Puts dead letters back on their queue, as an operator does.
async fn put_back(run: &Running, dead: &str) {
    let sdk = sluice_host::aws::sqs(&run.sdk()).unwrap();
    sdk.start_message_move_task().source_arn(Sqs::queue_arn(&named(dead))).send().await.unwrap();
    run.stack.advance(Duration::from_secs(1));
    run.settle().await;
}

/// The timers run in the minute of the day in which dead letters are looked through.
async fn looks_of_the_day(run: &Running) {
    let now = run.stack.clock.now().millis();
    let at = (3 * 60 + 17) * 60_000 + 5_000;
    let wait = (at - now.rem_euclid(DAY)).rem_euclid(DAY);
    run.stack.advance(Duration::from_millis(wait.unsigned_abs()));
    run.fire_timers().await;
}

fn visible(run: &Running, dead: &str) -> u64 {
    run.stack.sqs.depth(&named(dead)).unwrap().visible
}

#[tokio::test]
async fn what_died_goes_with_its_person_and_what_is_of_others_stays_for_whoever_mends_it() {
    let (run, customer) = started().await;
    for function in ["advance-journey", "record-feedback"] {
        run.refusals.refuse(function, TABLE, usize::MAX, NOT_ALLOWED);
    }
    let nest = track(USER, "Nest Viewed", json!({"note": "tirili"}));
    call(&run, json!([nest, merula()])).await;
    call(&run, json!([track("u-bea", "Pricing Viewed", json!({"plan": "pro"}))])).await;
    // Of one browser, so in one message.
    let mut shared =
        [track(USER, "Shared", json!({"note": "tirili"})), track("u-bea", "Shared Too", json!({}))];
    shared.iter_mut().for_each(|event| event["anonymousId"] = "b-1".into());
    call(&run, json!(shared)).await;
    let bus = |to: &str| {
        let event = told("Bounce", &format!("mail-{to}"), to);
        json!({"detail-type": "Email Event", "source": "aws.ses", "detail": event}).to_string()
    };
    for body in [bus(MAIL), bus(BEA), json!({"of tomorrow": MAIL}).to_string(), "not ours".to_owned()] {
        run.stack.sqs.send(&feedback_queue(), OutgoingMessage::new(body)).unwrap();
    }
    dies(&run, 3, 4).await;
    run.refusals.lift();
    let found = left(&run);
    for dead in ["EventDeadLetters", "FeedbackDeadLetters"] {
        let is_there = found.iter().any(|line| line.contains(&format!("is in {}", named(dead))));
        assert!(is_there, "{dead}: {found:#?}");
    }

    erase(&run, &customer).await;
    assert_eq!(left(&run), Vec::<String>::new());
    // The others' can be seen, moved and counted by alarms as before.
    assert_eq!((visible(&run, "EventDeadLetters"), visible(&run, "FeedbackDeadLetters")), (1, 2));
    assert_eq!(run.metrics.sum("DeadLettersErased", ("Stack", "sluice")), 4.0);
    let (_, bea) = run.lookup(json!({"email": BEA})).await;
    let names = async || {
        let all = timeline(&run, &bea).await;
        all.iter().filter_map(|thing| thing["event"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let taken = names().await;
    assert!(taken.iter().any(|name| name == "shared_too"), "what one letter said of both: {taken:?}");
    assert!(!taken.iter().any(|name| name == "pricing_viewed"), "{taken:?}");

    let suppressed = async || address(&run, BEA).await.suppression().map(|(by, _)| by);
    assert_eq!(suppressed().await, None);
    put_back(&run, "EventDeadLetters").await;
    assert!(names().await.iter().any(|name| name == "pricing_viewed"));
    run.stack.sqs.send(&feedback_queue(), OutgoingMessage::new(bus(BEA))).unwrap();
    run.settle().await;
    assert_eq!(suppressed().await, Some(SuppressedBy::HardBounce));
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    assert_eq!(left(&run), Vec::<String>::new());
    purge(&run, "FeedbackDeadLetters").await;
    run.finish().await;
}

async fn purge(run: &Running, queue: &str) {
    let sdk = sluice_host::aws::sqs(&run.sdk()).unwrap();
    sdk.purge_queue().queue_url(run.stack.addresses.queue_url(&named(queue))).send().await.unwrap();
}

#[tokio::test]
async fn what_dies_after_its_person_was_erased_is_dropped_when_it_is_put_back_and_gone_by_the_next_day() {
    let (run, customer) = started().await;
    run.refusals.refuse("advance-journey", TABLE, usize::MAX, NOT_ALLOWED);
    call(&run, json!([track(USER, "Nest Viewed", json!({"note": "tirili"})), merula()])).await;
    while run.stack.sqs.depth(&named("EventQueue")).unwrap().in_flight == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (status, asked) = run.api("DELETE", &format!("/api/customers/{customer}"), None).await;
    assert_eq!(status, 202, "{asked:#}");
    while run.api("GET", asked["look"].as_str().unwrap(), None).await.1["state"] != "erased" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Once more a minute later, by which it is still on its way.
    run.stack.advance(Duration::from_secs(61));
    run.invoke("fire-timers", &json!({})).await.unwrap();
    while run.depth(&named("EraseQueue")) > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    dies(&run, 1, 0).await;
    run.refusals.lift();
    let is_dead = |line: &String| line.contains(&format!("is in {}", named("EventDeadLetters")));
    assert!(!left(&run).is_empty() && left(&run).iter().all(is_dead), "{:#?}", left(&run));

    let (_, letter) = run.queued().pop().unwrap();
    let before = run.table();
    run.stack.sqs.send(&named("EventQueue"), OutgoingMessage::new(letter)).unwrap();
    run.settle().await;
    assert_eq!(run.table(), before, "nothing is stored of it");
    assert_eq!(run.metrics.sum("EventsTooLate", ("Stack", "sluice")), 2.0);
    assert_eq!(visible(&run, "EventDeadLetters"), 1);

    looks_of_the_day(&run).await;
    assert_eq!(left(&run), Vec::<String>::new());
    run.finish().await;
}
