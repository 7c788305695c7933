//! How much and when: caps over all channels, quiet hours, and the pace that a provider takes.

use crate::engagement::{MESSAGES, ask, customer, message};
use crate::timeline::{Call, EARLIER, take, timeline, user};
use bytes::Bytes;
use serde_json::{Value, json};
use sluice::cli::{embedded_functions, local_template};
use sluice::host::spec::{StackSpec, named};
use sluice_domain::id::CustomerId;
use sluice_domain::message::{Cause, CauseKind, Channel, Order};
use sluice_host::environment::Clock;
use sluice_host::function::Function;
use sluice_store::Slot;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use sluice_wire::queue::{OrderMessage, encode};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3_600);

/// The usual documents with these words about messages in the settings, SMS by a provider, and more.
fn documents(messaging: &str, provider: &Fake, more: &str) -> String {
    let settings = format!("escalate_to: [boss]\nmessaging: {messaging}\n");
    let policies = POLICIES.replace("escalate_to: [boss]\n", &settings);
    let sms = format!(
        "---
kind: channel
name: sms
via: webhook
webhook: {{ url: {}/send, body: {{ to: \"{{{{ to }}}}\", text: \"{{{{ text }}}}\" }} }}
---
kind: template
name: hello-sms
channel: sms
text: Hello
",
        provider.url
    );
    format!("{policies}{MESSAGES}{sms}{more}")
}

async fn provider() -> Fake {
    Fake::start(|_| (200, json!({"id": "1"}))).await
}

/// Asks for a message; its id.
async fn wanted(run: &Running, who: &str, channel: &str, more: Value) -> String {
    let template = if channel == "sms" { "hello-sms" } else { "news" };
    let mut body = json!({"customer": who, "template": template, "channel": channel, "topic": "product"});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let (status, asked) = run.api("POST", "/api/messages", Some(body)).await;
    assert_eq!(status, 202, "{asked:#}");
    asked["message_id"].as_str().unwrap().to_owned()
}

/// The same, and what became of it once all is quiet.
async fn outcome(run: &Running, who: &str, channel: &str, more: Value) -> Value {
    let id = wanted(run, who, channel, more).await;
    run.settle().await;
    message(run, &id).await
}

fn reason(message: &Value) -> (&str, &str) {
    (message["state"].as_str().unwrap(), message["reason"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn a_mail_counts_for_an_sms_where_a_cap_is_over_all_channels() {
    let provider = provider().await;
    let caps = "{ caps: [{ at_most: 1, within: 24h }] }";
    let run = Setup::policies(documents(caps, &provider, "")).frozen().start().await;
    let who = customer(&run, "one@person.example", &[("phone", "+1 212 555 0199")]).await;
    let other = customer(&run, "two@person.example", &[("phone", "+1 212 555 0198")]).await;
    assert_eq!(ask(&run, &who, "news", "product").await["state"], "sent");
    let waits = outcome(&run, &who, "sms", json!({})).await;
    assert_eq!(reason(&waits), ("ready", "cap"), "{waits:#}");
    assert_eq!(waits["why"], "1 messages within 1d is as many as may be", "{waits:#}");
    let skipped = outcome(&run, &who, "sms", json!({"at_cap": "skip"})).await;
    assert_eq!(reason(&skipped), ("skipped", "cap"), "{skipped:#}");
    assert!(provider.seen().is_empty());
    // Whatever others got.
    assert_eq!(outcome(&run, &other, "sms", json!({})).await["state"], "sent");
    let mail = outcome(&run, &other, "email", json!({"at_cap": "skip"})).await;
    assert_eq!(reason(&mail), ("skipped", "cap"), "{mail:#}");
    run.pass(24 * HOUR).await;
    run.fire_timers().await;
    assert_eq!(message(&run, waits["id"].as_str().unwrap()).await["state"], "sent");
    assert_eq!(provider.seen().len(), 2);
    run.finish().await;
}

#[tokio::test]
async fn of_a_mail_and_an_sms_at_once_one_goes_out_where_a_cap_is_over_all_channels() {
    const PEOPLE: usize = 12;
    let provider = provider().await;
    let caps = "{ caps: [{ at_most: 1, within: 24h }] }";
    let run = Setup::policies(documents(caps, &provider, "")).start().await;
    let mut asked = Vec::new();
    for n in 0..PEOPLE {
        let (email, phone) = (format!("p{n}@person.example"), format!("+1 212 555 01{:02}", 70 + n));
        asked.push(customer(&run, &email, &[("phone", &phone)]).await);
    }
    let both = asked.iter().map(|who| {
        let skip = || json!({"at_cap": "skip"});
        futures::future::join(wanted(&run, who, "email", skip()), wanted(&run, who, "sms", skip()))
    });
    let both = futures::future::join_all(both).await;
    run.settle().await;
    for (mail, sms) in both {
        let mut ends = Vec::new();
        for id in [mail, sms] {
            let message = message(&run, &id).await;
            ends.push(format!("{:?}", reason(&message)));
        }
        ends.sort();
        assert_eq!(ends, [r#"("sent", "")"#, r#"("skipped", "cap")"#]);
    }
    let news = run.raw_mails().into_iter().filter(|(_, raw)| raw.contains("Subject: News")).count();
    assert_eq!(news + provider.seen().len(), PEOPLE);
    run.finish().await;
}

#[tokio::test]
async fn what_a_person_asked_for_is_kept_back_by_no_cap_and_counts_for_none() {
    let provider = provider().await;
    let caps = "{ caps: [{ at_most: 1, within: 24h }] }";
    let more = "---\nkind: channel\nname: email\nvia: ses\ncaps: [{ at_most: 1, within: 24h }]\n\
                ---\nkind: topic\nname: orders\nservice: true\n";
    let run = Setup::policies(documents(caps, &provider, more)).frozen().start().await;
    let who = customer(&run, "one@person.example", &[("phone", "+1 212 555 0199")]).await;
    for topic in ["service", "orders"] {
        assert_eq!(ask(&run, &who, "receipt", topic).await["state"], "sent", "{topic}");
    }
    run.pass(HOUR).await;
    // Neither of the channel's cap nor of that over all has anything been used up; the newsletter uses up both.
    let news = ask(&run, &who, "news", "product").await;
    assert_eq!(reason(&news), ("sent", ""), "{news:#}");
    for channel in ["email", "sms"] {
        let skipped = outcome(&run, &who, channel, json!({"at_cap": "skip"})).await;
        assert_eq!(reason(&skipped), ("skipped", "cap"), "{skipped:#}");
    }
    for topic in ["service", "orders"] {
        assert_eq!(ask(&run, &who, "receipt", topic).await["state"], "sent", "{topic}");
    }
    run.finish().await;
}

const BY_NIGHT: &str = "---
kind: channel
name: email
via: ses
quiet_hours: \"21:00-08:00\"
---
kind: journey
name: given-up
trigger: { event: signed_up }
steps:
  - send: { template: news, topic: product, in_quiet_hours: exit }
  - wait: 1h
  - tag: written
---
kind: journey
name: by-another-way
trigger: { event: trial_started }
steps:
  - send: { template: news, topic: product, in_quiet_hours: replace, replacement: { channel: sms, template: hello-sms } }
  - wait: 1h
  - tag: reached
";

/// Tags of a customer, and the journeys that they have behind them.
fn seen(customer: &Value) -> (Vec<&str>, Vec<(&str, &str)>) {
    let tags = customer["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["tag"].as_str());
    let runs = customer["runs"].as_array().into_iter().flatten();
    let runs = runs.filter_map(|run| Some((run["journey"].as_str()?, run["state"].as_str()?)));
    (tags.collect(), runs.collect())
}

#[tokio::test]
async fn in_quiet_hours_something_else_goes_out_or_the_journey_ends_where_its_author_says_so() {
    let provider = provider().await;
    // It is four in the night there.
    let zone = "{ zone: America/New_York }";
    let run = Setup::policies(documents(zone, &provider, BY_NIGHT)).frozen().start().await;
    let who = customer(&run, "night@person.example", &[("phone", "+1 212 555 0199")]).await;
    let replace =
        json!({"in_quiet_hours": "replace", "replace_by": {"channel": "sms", "template": "hello-sms"}});
    let replaced = outcome(&run, &who, "email", replace).await;
    assert_eq!(reason(&replaced), ("skipped", "quiet_hours"), "{replaced:#}");
    assert_eq!(provider.seen().len(), 1, "the other one went out at once");
    let exit = outcome(&run, &who, "email", json!({"in_quiet_hours": "exit"})).await;
    assert_eq!(reason(&exit), ("skipped", "quiet_hours"), "{exit:#}");
    let (_, list) = run.api("GET", &format!("/api/messages?customer={who}"), None).await;
    let sms: Vec<&Value> =
        list["messages"].as_array().unwrap().iter().filter(|message| message["channel"] == "sms").collect();
    assert_eq!((sms.len(), &sms[0]["state"]), (1, &json!("sent")), "{list:#}");

    // The same of steps of journeys, of two people by night and one by day.
    let signs_up = async |name: &str, event: &str, phone: &str| {
        let traits = json!({"email": format!("{name}@person.example"), "phone": phone});
        take(&run, vec![Call::identify(&format!("{name}-is"), 0, traits).user(name)]).await;
        take(&run, vec![Call::track(event, &format!("{name}-{event}"), EARLIER).user(name)]).await;
        user(&run, name).await
    };
    let owl = signs_up("owl", "Signed Up", "+1 212 555 0171").await;
    assert_eq!(seen(&owl), (vec![], vec![("given-up", "ended")]), "{owl:#}");
    let all = timeline(&run, &owl).await;
    assert_eq!(all.iter().filter(|thing| thing["event"] == "message_stopped").count(), 1, "{all:#?}");
    let bat = signs_up("bat", "Trial Started", "+1 212 555 0172").await;
    assert_eq!(seen(&bat), (vec![], vec![("by-another-way", "active")]), "{bat:#}");
    assert_eq!(provider.seen().len(), 2);
    let news = || run.raw_mails().into_iter().filter(|(_, raw)| raw.contains("Subject: News")).count();
    assert_eq!(news(), 0);

    let later = async |hours: u32| {
        run.pass(hours * HOUR).await;
        run.fire_timers().await;
    };
    later(6).await;
    assert_eq!(seen(&user(&run, "owl").await), (vec![], vec![("given-up", "ended")]));
    assert_eq!(seen(&user(&run, "bat").await), (vec!["reached"], vec![("by-another-way", "ended")]));
    signs_up("lark", "Signed Up", "+1 212 555 0173").await;
    later(2).await;
    let lark = user(&run, "lark").await;
    assert_eq!(seen(&lark), (vec!["written"], vec![("given-up", "ended")]), "{lark:#}");
    assert_eq!((news(), provider.seen().len()), (1, 2));
    run.finish().await;
}

#[tokio::test]
async fn what_goes_out_instead_waits_for_the_morning_where_its_own_channel_is_quiet_too() {
    let provider = provider().await;
    // It is four in the night there, for mails as for text messages.
    let night = "{ zone: America/New_York, quiet_hours: \"21:00-08:00\" }";
    let run = Setup::policies(documents(night, &provider, "")).frozen().start().await;
    let who = customer(&run, "night@person.example", &[("phone", "+1 212 555 0199")]).await;
    let replace =
        json!({"in_quiet_hours": "replace", "replace_by": {"channel": "sms", "template": "hello-sms"}});
    let replaced = outcome(&run, &who, "email", replace).await;
    assert_eq!(reason(&replaced), ("skipped", "quiet_hours"), "{replaced:#}");
    let instead = async || {
        let (_, list) = run.api("GET", &format!("/api/messages?customer={who}"), None).await;
        let mut all = list["messages"].as_array().unwrap().iter();
        all.find(|message| message["channel"] == "sms").unwrap().clone()
    };
    let waits = instead().await;
    assert_eq!((reason(&waits), provider.seen().len()), (("ready", "quiet_hours"), 0), "{waits:#}");
    run.pass(6 * HOUR).await;
    run.fire_timers().await;
    let went = instead().await;
    assert_eq!((reason(&went), provider.seen().len()), (("sent", ""), 1), "{went:#}");
    run.finish().await;
}

#[tokio::test]
async fn who_asks_for_room_at_the_same_moment_gets_it_one_behind_the_other() {
    const MANY: i64 = 16;
    let run = Setup::default().start().await;
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), named("Table"));
    let (store, now) = (sluice_host::aws::store(&env).unwrap(), run.stack.clock.now());
    for minute in 0..5 {
        let now = now.plus_millis(minute * 60_000);
        let ask = |_| store.reserve(Channel::Email, 1, 100, now, 60_000);
        let slots = futures::future::try_join_all((0..MANY).map(ask)).await.unwrap();
        let mut from: Vec<i64> = slots
            .iter()
            .map(|slot| match slot {
                Slot::At(from) => from.since(now),
                Slot::Busy => panic!("the provider was idle: {slots:?}"),
            })
            .collect();
        from.sort_unstable();
        assert_eq!(from, (0..MANY).map(|n| n * 10).collect::<Vec<_>>());
    }
    run.finish().await;
}

#[tokio::test]
async fn how_long_a_message_waits_for_room_is_measured_though_its_queue_gets_it_anew() {
    let channel = "---\nkind: channel\nname: email\nvia: ses\nrate: 1\n";
    let run = Setup::policies(format!("{POLICIES}{MESSAGES}{channel}")).frozen().start().await;
    let who = customer(&run, "one@person.example", &[]).await;
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), named("Table"));
    let store = sluice_host::aws::store(&env).unwrap();
    // A hundred others are before it, more than room is reserved for ahead.
    let taken = store.reserve(Channel::Email, 100, 1, run.stack.clock.now(), 60_000).await.unwrap();
    assert!(matches!(taken, Slot::At(_)));
    let id = wanted(&run, &who, "email", json!({})).await;
    // It comes by at once and each half minute, the third time with room ahead.
    for times in 1..=3 {
        let measured = || run.metrics.lines().iter().filter(|line| line.contains("RoomWaitSeconds")).count();
        for _ in 0..1_000 {
            if measured() == times {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(measured(), times);
        run.stack.advance(Duration::from_secs(30));
    }
    run.pass(Duration::from_secs(13)).await;
    assert_eq!(message(&run, &id).await["state"], "sent");
    assert_eq!(run.metrics.sum("RoomWaitSeconds", ("Queue", "message")), 90.0);
    run.finish().await;
}

/// Another instance of the function that sends, which shares nothing with the stack's own but what is stored.
async fn instance(run: &Running, ses: &str) -> Arc<dyn Function> {
    let spec = StackSpec::from_template(&local_template().unwrap(), &run.stack.addresses).unwrap();
    let sender = spec.functions.iter().find(|function| function.name == "send-message").unwrap();
    let mut env = run.sdk();
    env.vars.extend(sender.vars.clone());
    env.vars.insert("AWS_ENDPOINT_URL_SESV2".to_owned(), ses.to_owned());
    embedded_functions()["send-message"](env).await.unwrap()
}

/// A batch as its queue hands it over.
fn batch(orders: &[Order]) -> Bytes {
    let record = |(at, order): (usize, &Order)| json!({"messageId": at.to_string(), "body": encode(&OrderMessage::new(order.clone()))});
    let records: Vec<Value> = orders.iter().enumerate().map(record).collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

/// A provider that takes every mail and notes when.
async fn noting_provider() -> (Fake, Arc<Mutex<Vec<Instant>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let times = taken.clone();
    let ses = Fake::start(move |_| {
        times.lock().unwrap().push(Instant::now());
        (200, json!({"MessageId": "taken"}))
    });
    (ses.await, taken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_gets_no_more_a_second_than_it_takes_however_many_instances_send() {
    const RATE: u32 = 10;
    const PEOPLE: usize = 36;
    let (ses, taken) = noting_provider().await;
    // Nobody is told of the leads: that would be mail as well, and has a test of its own.
    let untold: Vec<&str> = POLICIES.lines().filter(|line| !line.starts_with("email: ")).collect();
    let channel = format!("---\nkind: channel\nname: email\nvia: ses\nrate: {RATE}\n");
    let setup = Setup::policies(format!("{}\n{MESSAGES}{channel}", untold.join("\n")));
    let run = setup.var("AWS_ENDPOINT_URL_SESV2", &ses.url).start().await;
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(run.post("contact", &[("email", &format!("p{n}@person.example"))]).await.lead_id());
    }
    run.settle().await;
    let now = run.stack.clock.now();
    let mut orders = Vec::new();
    for lead in &people {
        let who = CustomerId::parse(run.show(lead).await["customer"].as_str().unwrap()).unwrap();
        let cause = Cause { kind: CauseKind::Api, name: "receipt".to_owned(), part: "1".to_owned() };
        orders.push(Order::new(who, now, cause, Channel::Email, "receipt", "service"));
    }
    assert!(taken.lock().unwrap().is_empty());
    let (one, other) = (instance(&run, &ses.url).await, instance(&run, &ses.url).await);

    let began = Instant::now();
    let mut batches = orders.chunks(6).map(batch);
    let half: Vec<Bytes> = batches.by_ref().take(3).collect();
    let works = async |function: &Arc<dyn Function>, batches: Vec<Bytes>| {
        for batch in batches {
            let answer = function.invoke(batch).await.unwrap();
            assert_eq!(answer, json!({"batchItemFailures": []}).to_string());
        }
    };
    tokio::join!(works(&one, half), works(&other, batches.collect()));
    // What had to wait for longer than a moment went back to its queue, from which the stack's own instance takes it.
    for _ in 0..1_000 {
        if taken.lock().unwrap().len() == PEOPLE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut taken = taken.lock().unwrap().clone();
    taken.sort();
    assert_eq!(taken.len(), PEOPLE);
    for (at, time) in (0..).zip(&taken) {
        let least = Duration::from_secs(1) * at / RATE;
        let passed = time.duration_since(began) + Duration::from_millis(5);
        assert!(passed >= least, "{} mails after {passed:?} at {RATE} a second", at + 1);
    }
    run.settle().await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_notices_goes_out_no_faster_than_the_channel_takes() {
    const RATE: u32 = 10;
    const LEADS: usize = 24;
    let (ses, taken) = noting_provider().await;
    let channel = format!("---\nkind: channel\nname: email\nvia: ses\nrate: {RATE}\n");
    let setup = Setup::policies(format!("{POLICIES}{MESSAGES}{channel}"));
    let run = setup.var("AWS_ENDPOINT_URL_SESV2", &ses.url).start().await;
    let began = Instant::now();
    for n in 0..LEADS {
        run.post("contact", &[("email", &format!("p{n}@person.example"))]).await.lead_id();
    }
    for _ in 0..1_000 {
        if taken.lock().unwrap().len() >= LEADS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    run.settle().await;
    let mut taken = taken.lock().unwrap().clone();
    taken.sort();
    assert_eq!(taken.len(), LEADS, "each owner is told once");
    for (at, time) in (0..).zip(&taken) {
        let least = Duration::from_secs(1) * at / RATE;
        let passed = time.duration_since(began) + Duration::from_millis(5);
        assert!(passed >= least, "{} mails after {passed:?} at {RATE} a second", at + 1);
    }
    run.finish().await;
}
