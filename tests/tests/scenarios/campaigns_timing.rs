//! When campaigns go out, to whom of their audience, and what stops them.

use crate::campaigns::{
    ask, broadcast, counters_equal_the_ledger, document, mails, minutes, people, rest, with,
};
use crate::engagement::mail_to;
use crate::keyed::under;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::Running;
use std::collections::BTreeSet;
use std::time::Duration;

/// What happens to one mail, as SES tells it.
async fn hear(run: &Running, kind: &str, message: &str, to: &str) {
    let detail = json!({
        "timestamp": "2026-03-02T09:10:00.000Z", "feedbackId": format!("{message}-{kind}"), "recipients": [to],
        "bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": to}],
        "complaintFeedbackType": "abuse", "complainedRecipients": [{"emailAddress": to}],
    });
    let mail = json!({"messageId": message, "destination": [to], "tags": {"message": [message]}});
    let mut event = json!({"eventType": kind, "mail": mail});
    event[kind.to_lowercase()] = detail;
    let body = json!({"detail-type": "Email Event", "source": "aws.ses", "detail": event}).to_string();
    run.stack.sqs.send(&named("FeedbackQueue"), OutgoingMessage::new(body)).unwrap();
    rest(run).await;
}

/// Every message of the campaign: its id and the address that it went to, for those that went out.
async fn messages(run: &Running) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for customer in run.live_customers() {
        let (_, page) = run.api("GET", &format!("/api/messages?customer={customer}"), None).await;
        let shown = run.customer(&customer).await;
        let email =
            shown["profile"]["email"]["value"].as_str().or(shown["email"].as_str()).unwrap_or_default();
        for message in page["messages"].as_array().into_iter().flatten() {
            if message["cause"]["kind"] == "campaign" && message["state"] == "sent" {
                all.push((message["id"].as_str().unwrap().to_owned(), email.to_owned()));
            }
        }
    }
    all
}

#[tokio::test]
async fn at_its_time_and_not_before_for_everybody() {
    let run = with("at: { time: \"2026-03-02T10:30:00Z\" }").await;
    let everybody = people(&run, 5, &[]).await;
    let (status, answer) = ask(&run, "schedule").await;
    assert_eq!((status, &answer["state"]), (202, &json!("scheduled")), "{answer:#}");
    let (status, answer) = ask(&run, "schedule").await;
    assert_eq!((status, &answer["type"]), (409, &json!("urn:sluice:problem:under-way")), "{answer:#}");
    minutes(&run, 89).await;
    assert!(mails(&run).is_empty(), "its audience is gone through ahead, and nothing goes out");
    let shown = broadcast(&run).await;
    assert_eq!((&shown["state"], &shown["counts"]["planned"]), (&json!("sending"), &json!(5)), "{shown:#}");
    // Who is not in the audience any more when it is sent does not get it.
    run.post("contact", &[("email", everybody[0].as_str()), ("company", "Elsewhere")]).await.lead_id();
    minutes(&run, 3).await;
    assert_eq!(mails(&run).values().sum::<usize>(), 5 - left(&run).await, "{:?}", mails(&run));
    let (status, answer) = ask(&run, "schedule").await;
    assert_eq!((status, &answer["type"]), (409, &json!("urn:sluice:problem:time-passed")), "{answer:#}");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

/// How many left the audience between.
async fn left(run: &Running) -> usize {
    let shown = broadcast(run).await;
    shown["skipped"]["left_audience"].as_u64().unwrap_or_default() as usize
}

#[tokio::test]
async fn each_recipient_gets_it_when_it_is_that_time_where_they_live() {
    let run = with("at: { local_time: \"2026-03-03T09:00\" }").await;
    let zones = [("Asia/Shanghai", 16), ("Europe/Berlin", 23), ("America/New_York", 29)];
    for (zone, _) in zones {
        let email = format!("{}@person.example", zone.rsplit('/').next().unwrap().to_lowercase());
        run.post("contact", &[("email", &email), ("company", "Acme"), ("time_zone", zone)]).await.lead_id();
    }
    run.settle().await;
    ask(&run, "schedule").await;
    // From nine in Greenwich on the day before.
    let mut got = BTreeSet::new();
    for hour in 1..=30 {
        run.stack.advance(Duration::from_secs(3_480));
        minutes(&run, 2).await;
        for who in mails(&run).into_keys().filter(|who| !got.contains(who)).collect::<Vec<_>>() {
            let (zone, after) = zones
                .into_iter()
                .find(|(zone, _)| who.starts_with(&zone.rsplit('/').next().unwrap().to_lowercase()))
                .unwrap();
            assert!((after..=after + 1).contains(&hour), "{zone} got it after {hour} hours");
            got.insert(who);
        }
    }
    assert_eq!(got.len(), zones.len());
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn what_recurs_goes_out_again_as_its_document_says_by_then() {
    let run = with("at: { every: day, time: \"09:20\", zone: UTC }").await;
    people(&run, 3, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 25).await;
    assert_eq!(mails(&run).values().sum::<usize>(), 3);
    let (_, view) = run.api("GET", "/api/campaigns/spring", None).await;
    assert_eq!(view["next"], "2026-03-03T09:20:00.000Z", "{view:#}");
    run.publish(&document(
        "at: { every: day, time: \"09:20\", zone: UTC }\nsend: { template: spring-b, topic: product }",
    ))
    .await;
    run.stack.advance(Duration::from_secs(85_000));
    minutes(&run, 30).await;
    assert_eq!(mails(&run).values().sum::<usize>(), 6, "everybody twice");
    assert!(run.mails().iter().filter(|(_, text)| text.contains("It is spring")).count() == 3);
    let (status, _) = ask(&run, "cancel").await;
    assert_eq!(status, 200);
    run.stack.advance(Duration::from_secs(86_400));
    minutes(&run, 20).await;
    assert_eq!(mails(&run).values().sum::<usize>(), 6, "no third time");
    run.finish().await;
}

#[tokio::test]
async fn what_recurs_and_was_paused_for_days_goes_out_when_it_is_time_again() {
    let run = with("at: { every: day, time: \"09:20\", zone: UTC }").await;
    people(&run, 3, &[]).await;
    ask(&run, "schedule").await;
    ask(&run, "pause").await;
    run.stack.advance(Duration::from_secs(4 * 86_400));
    minutes(&run, 2).await;
    ask(&run, "resume").await;
    minutes(&run, 2).await;
    let (_, view) = run.api("GET", "/api/campaigns/spring", None).await;
    let all = view["broadcasts"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{view:#}");
    assert_eq!((&all[1]["state"], &all[1]["missed"]), (&json!("cancelled"), &json!(true)), "{view:#}");
    assert_eq!((&all[0]["state"], &all[0]["missed"]), (&json!("scheduled"), &json!(false)), "{view:#}");
    minutes(&run, 10).await;
    assert!(mails(&run).is_empty(), "four days late: {:?}", mails(&run));
    minutes(&run, 15).await;
    assert_eq!(mails(&run).values().sum::<usize>(), 3);
    ask(&run, "cancel").await;
    run.stack.advance(Duration::from_secs(86_400));
    minutes(&run, 3).await;
    run.finish().await;
}

#[tokio::test]
async fn what_comes_late_does_not_wait_for_the_second_of_its_minute_again() {
    let run = with("at: { time: \"2026-03-02T09:30:40Z\" }").await;
    let everybody = people(&run, 5, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 25).await;
    assert!(mails(&run).is_empty());
    // The timers come five seconds late, with all that was to go out.
    let late = Timestamp::parse("2026-03-02T09:30:45Z").unwrap().since(run.stack.clock.now());
    run.stack.advance(Duration::from_millis(late.unsigned_abs()));
    run.invoke("fire-timers", &json!({})).await.unwrap();
    rest(&run).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    minutes(&run, 3).await;
    run.finish().await;
}

#[tokio::test]
async fn what_waited_goes_on_at_the_rate_however_it_waited() {
    let run = with("at: { time: \"2026-03-02T09:30:00Z\" }\nrate: 1").await;
    let everybody = people(&run, 30, &[]).await;
    ask(&run, "schedule").await;
    // Its audience is gone through ahead; people wait in bundles of a minute.
    minutes(&run, 25).await;
    ask(&run, "pause").await;
    minutes(&run, 15).await;
    assert!(mails(&run).is_empty());
    ask(&run, "resume").await;
    for _ in 0..5 {
        run.stack.advance(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(5)).await;
        rest(&run).await;
    }
    let first = mails(&run).len();
    assert!(first <= 20, "{first} in ten seconds");
    minutes(&run, 4).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn spread_over_an_hour_it_goes_out_bit_by_bit_and_can_be_paused_and_cancelled_between() {
    let run = with("at: now\nspread: 1h").await;
    let everybody = people(&run, 40, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 20).await;
    let third = mails(&run).len();
    assert!((4..=24).contains(&third), "{third} of 40 after a third of the time");
    ask(&run, "pause").await;
    let at_pause = mails(&run);
    minutes(&run, 20).await;
    assert_eq!(mails(&run), at_pause);
    ask(&run, "resume").await;
    minutes(&run, 3).await;
    assert!(mails(&run).len() > at_pause.len(), "what waited goes on at once");
    minutes(&run, 22).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

const CONTEST: &str = "at: now\nvariants: [{ name: plain }, { name: bold, template: spring-b }]\nwinner: { by: clicked, test: 40%, after: 1h }\n";

/// One person clicks, of the second variant; and opens.
async fn click_bold(run: &Running) {
    let bold = run.mails().into_iter().find(|(_, text)| text.contains("It is spring")).expect("a test mail");
    let link = mail_to(run, &bold.0[0]).paths('c').remove(0);
    let agent = [(
        "user-agent",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
    )];
    assert_eq!(run.send("GET", &link, &agent, b"").await.status, 302, "{link}");
    rest(run).await;
    assert_eq!(broadcast(run).await["variants"][1]["clicked"], 1);
}

#[tokio::test]
async fn a_test_that_waited_goes_on_for_as_long_as_it_was_to_take() {
    let run = with(CONTEST).await;
    let everybody = people(&run, 40, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 2).await;
    ask(&run, "pause").await;
    minutes(&run, 65).await;
    ask(&run, "resume").await;
    minutes(&run, 10).await;
    let shown = broadcast(&run).await;
    assert_eq!(shown["winner"], Value::Null, "{shown:#}");
    click_bold(&run).await;
    minutes(&run, 55).await;
    let shown = broadcast(&run).await;
    assert_eq!(shown["winner"]["variant"], "bold", "{shown:#}");
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn a_winner_is_chosen_so_long_after_the_last_of_the_test_is_due() {
    // At one message a second each part has a place in eight.
    for (pace, takes, least) in [("spread: 30m", 30, 30 * 60_000), ("rate: 1", 0, 8_000)] {
        let run = with(&format!("{}{pace}", CONTEST.replace("after: 1h", "after: 10m"))).await;
        let everybody = people(&run, 40, &[]).await;
        ask(&run, "schedule").await;
        minutes(&run, takes + 9).await;
        let shown = broadcast(&run).await;
        assert_eq!(shown["winner"], Value::Null, "{pace}: {shown:#}");
        click_bold(&run).await;
        minutes(&run, takes + 15).await;
        let shown = broadcast(&run).await;
        assert_eq!(shown["winner"]["variant"], "bold", "{pace}: {shown:#}");
        let instant = |text: &Value| Timestamp::parse(text.as_str().unwrap()).unwrap();
        let took = instant(&shown["winner"]["at"]).since(instant(&shown["began"]));
        assert!(took >= 600_000 + least, "{pace}: {shown:#}");
        let last = instant(&shown["last_slot"]).since(instant(&shown["began"]));
        assert!(last >= 600_000 + least, "{pace}: {shown:#}");
        minutes(&run, 3).await;
        let got = mails(&run);
        assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{pace}: {got:?}");
        counters_equal_the_ledger(&run);
        run.finish().await;
    }
}

#[tokio::test]
async fn a_winner_goes_out_also_if_its_test_takes_longer_than_a_message_may_be_late() {
    let contest = CONTEST.replace("after: 1h", "after: 10m");
    let send = "send: { template: spring, topic: product, within: 5m }";
    let run = with(&format!("{contest}spread: 30m\n{send}")).await;
    let everybody = people(&run, 40, &[]).await;
    ask(&run, "schedule").await;
    // Of the test everybody gets it within these minutes, also in those that were to be the winner's too.
    minutes(&run, 32).await;
    let tested = mails(&run);
    assert!(!tested.is_empty() && tested.len() < everybody.len(), "{tested:?}");
    minutes(&run, 7).await;
    assert_eq!(mails(&run), tested);
    click_bold(&run).await;
    minutes(&run, 38).await;
    let shown = broadcast(&run).await;
    assert_eq!(shown["winner"]["variant"], "bold", "{shown:#}");
    assert_eq!((&shown["state"], &shown["skipped"]), (&json!("done"), &json!({})), "{shown:#}");
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn the_variant_that_more_people_click_goes_to_everybody_else() {
    let run = with(&format!("{CONTEST}hold_out: 10%")).await;
    let everybody = people(&run, 40, &[]).await;
    ask(&run, "schedule").await;
    minutes(&run, 2).await;
    let shown = broadcast(&run).await;
    let (sent, held) =
        (shown["counts"]["sent"].as_u64().unwrap(), shown["counts"]["held_out"].as_u64().unwrap());
    assert!((6..=26).contains(&sent), "{shown:#}");
    click_bold(&run).await;
    minutes(&run, 62).await;
    let shown = broadcast(&run).await;
    assert_eq!(shown["winner"]["variant"], "bold", "{shown:#}");
    assert_eq!(shown["counts"]["sent"].as_u64().unwrap() + held, everybody.len() as u64, "{shown:#}");
    let bolds = run.mails().iter().filter(|(_, text)| text.contains("It is spring")).count() as u64;
    assert_eq!(shown["variants"][1]["sent"], bolds);
    assert!(mails(&run).values().all(|n| *n == 1));
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn a_guard_rail_stops_it_and_says_so_and_a_person_lets_it_go_on() {
    let run = with("at: now\nspread: 1h\nstop_if: { bounce_rate: 20%, after: 4 }").await;
    let everybody = people(&run, 30, &[]).await;
    ask(&run, "schedule").await;
    while mails(&run).len() < 6 {
        minutes(&run, 1).await;
    }
    let out = messages(&run).await;
    for (id, to) in &out[..2] {
        hear(&run, "Bounce", id, to).await;
    }
    minutes(&run, 2).await;
    let shown = broadcast(&run).await;
    assert_eq!(
        (&shown["state"], &shown["stopped"]["by"]),
        (&json!("stopped"), &json!("bounced")),
        "{shown:#}"
    );
    assert_eq!(shown["counts"]["bounced"], 2, "{shown:#}");
    let told = run.messages("boss").await;
    assert_eq!((&told[0]["kind"], &told[0]["state"]), (&json!("halt"), &json!("sent")), "{told:#?}");
    let at_stop = mails(&run);
    minutes(&run, 10).await;
    assert_eq!(mails(&run), at_stop, "nothing goes out");
    let (status, _) = ask(&run, "pause").await;
    assert_eq!(status, 409, "it is stopped");
    ask(&run, "resume").await;
    minutes(&run, 62).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    let shown = broadcast(&run).await;
    assert_eq!(shown["state"], "done", "what was counted before counts no more: {shown:#}");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn who_is_erased_while_it_goes_out_gets_nothing_and_the_others_do() {
    let run = with("at: now\nspread: 30m").await;
    let everybody = people(&run, 10, &[]).await;
    ask(&run, "schedule").await;
    let got = mails(&run);
    let gone = everybody.iter().find(|email| !got.contains_key(*email)).unwrap();
    let (_, found) = run.lookup(json!({"email": gone})).await;
    let id = found["id"].as_str().unwrap();
    let (status, _) = run.api("DELETE", &format!("/api/customers/{id}"), None).await;
    assert_eq!(status, 202);
    rest(&run).await;
    minutes(&run, 32).await;
    let got = mails(&run);
    assert!(!got.contains_key(gone), "{got:?}");
    assert_eq!(got.len(), everybody.len() - 1);
    // Nobody waits for that message for longer than a day.
    run.stack.advance(Duration::from_secs(90_000));
    minutes(&run, 2).await;
    assert_eq!(broadcast(&run).await["state"], "done");
    run.finish().await;
}

#[tokio::test]
async fn a_trial_goes_to_whoever_tests_and_counts_nothing() {
    let run = with("at: now\nvariants: [{ name: plain }, { name: bold, template: spring-b }]").await;
    let everybody = people(&run, 1, &[]).await;
    let (_, found) = run.lookup(json!({"email": everybody[0]})).await;
    let trial = json!({"customer": found["id"], "to": "me@shop.example", "variant": "bold"});
    // Under a key it goes out once, and of another variant it is another one.
    for _ in 0..2 {
        let answer = under(&run, "try", "/api/campaigns/spring/test-send", &trial).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        rest(&run).await;
    }
    let plain = json!({"customer": found["id"], "to": "me@shop.example", "variant": "plain"});
    let answer = under(&run, "try", "/api/campaigns/spring/test-send", &plain).await;
    answer.is_problem(409, "idempotency-key-reused");
    let mut mails = run.mails().into_iter().filter(|(to, _)| to == &["me@shop.example"]);
    let mail = mails.next().expect("a trial");
    assert_eq!(mails.count(), 0, "one mail");
    assert!(mail.1.contains("It is spring"), "{}", mail.1);
    assert!(
        mail.1.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"),
        "as of its topic: {}",
        mail.1
    );
    let mut wrong = trial;
    wrong["variant"] = "third".into();
    let (status, answer) = run.api("POST", "/api/campaigns/spring/test-send", Some(wrong)).await;
    assert_eq!((status, &answer["field"]), (422, &json!("variant")), "{answer:#}");
    assert_eq!(broadcast(&run).await, Value::Null);
    let (status, _) = run.api("POST", "/api/campaigns/autumn/schedule", None).await;
    assert_eq!(status, 404);
    let (status, answer) = ask(&run, "pause").await;
    assert_eq!((status, &answer["type"]), (409, &json!("urn:sluice:problem:not-scheduled")));
    run.finish().await;
}

#[tokio::test]
async fn the_same_call_with_a_key_is_one_broadcast_and_pages_that_come_twice_send_once() {
    let run = with("at: now").await;
    let everybody = people(&run, 8, &[]).await;
    let token = format!("Bearer {}", run.token);
    let headers = [("authorization", token.as_str()), ("idempotency-key", "launch")];
    for _ in 0..2 {
        let answer = run.send("POST", "/api/campaigns/spring/schedule", &headers, b"").await;
        assert_eq!((answer.status, &answer.json()["broadcast"]), (202, &json!(1)));
        rest(&run).await;
    }
    let again = |task: Value| {
        json!({"Records": [
            {"messageId": "1", "body": json!({"c": "spring", "b": 1, "do": task}).to_string()},
        ]})
    };
    for part in 0..8 {
        let pages = again(json!({"pages": {"part": part, "page": 0}}));
        run.invoke("run-campaign", &pages).await.unwrap();
    }
    run.invoke("run-campaign", &again(json!("begin"))).await.unwrap();
    rest(&run).await;
    minutes(&run, 2).await;
    let answer = run.send("POST", "/api/campaigns/spring/schedule", &headers, b"").await;
    assert_eq!((answer.status, &answer.json()["broadcast"]), (202, &json!(1)), "also once it is done");
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    assert!(Timestamp::parse(broadcast(&run).await["ended"].as_str().unwrap()).is_some());
    run.finish().await;
}

#[tokio::test]
async fn a_key_is_known_however_many_broadcasts_there_were_since() {
    let run = with("at: now").await;
    let everybody = people(&run, 1, &[]).await;
    let token = format!("Bearer {}", run.token);
    let headers = [("authorization", token.as_str()), ("idempotency-key", "launch")];
    let launch = || run.send("POST", "/api/campaigns/spring/schedule", &headers, b"");
    assert_eq!(launch().await.status, 202);
    rest(&run).await;
    minutes(&run, 2).await;
    for n in 2..=22 {
        let (status, answer) = ask(&run, "schedule").await;
        assert_eq!((status, &answer["broadcast"]), (202, &json!(n)), "{answer:#}");
        let (status, answer) = ask(&run, "cancel").await;
        assert_eq!(status, 200, "{answer:#}");
        rest(&run).await;
    }
    let answer = launch().await;
    assert_eq!((answer.status, &answer.json()["broadcast"]), (202, &json!(1)));
    assert_eq!(broadcast(&run).await["broadcast"], 22);
    assert!(mails(&run).contains_key(&everybody[0]));
    minutes(&run, 3).await;
    run.finish().await;
}
