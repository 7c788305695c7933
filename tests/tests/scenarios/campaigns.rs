//! Campaigns: one message to many people, when and as its document says, and what is counted of it.

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::campaign::{Broadcast, Counts, Occurrence};
use sluice_host::environment::Clock;
use sluice_store::{Parked, Store, keys};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeMap;
use std::time::Duration;

/// What every campaign here is made of.
pub(crate) const DOCUMENTS: &str = "
kind: topic
name: product
---
kind: template
name: spring
subject: Spring at {{ customer.company }}
html: <p>Hello. <a href=\"https://shop.example/spring\">Look</a></p>
defaults: { customer.company: us }
---
kind: template
name: spring-b
subject: It is spring, {{ customer.company }}
html: <p>Hello. <a href=\"https://shop.example/spring\">Look</a></p>
defaults: { customer.company: us }
---
kind: segment
name: acme
when: customer.company == \"Acme\"
";

/// A stack whose clock only the scenario moves, with a campaign called `spring` that says this besides.
pub(crate) async fn with(campaign: &str) -> Running {
    let text = format!("{POLICIES}---\n{}\n---\n{}", DOCUMENTS.trim(), document(campaign));
    Setup::policies(text).frozen().start().await
}

/// The campaign as a document: to the segment, unless it says otherwise.
pub(crate) fn document(more: &str) -> String {
    let audience = if more.contains("audience:") { "" } else { "audience: { segment: acme }\n" };
    let send = if more.contains("send:") { "" } else { "send: { template: spring, topic: product }\n" };
    format!("kind: campaign\nname: spring\n{audience}{send}{}\n", more.trim())
}

/// So many people of one company, with more fields; their addresses.
pub(crate) async fn people(run: &Running, n: usize, more: &[(&str, &str)]) -> Vec<String> {
    let emails: Vec<String> = (0..n).map(|n| format!("p{n}@person.example")).collect();
    for email in &emails {
        let mut fields = vec![("email", email.as_str()), ("company", "Acme")];
        fields.extend(more);
        run.post("contact", &fields).await.lead_id();
    }
    run.settle().await;
    emails
}

/// Waits until nothing is going on but what waits for its time.
pub(crate) async fn rest(run: &Running) {
    let queues = [
        "CampaignQueue",
        "BulkQueue",
        "MessageQueue",
        "NoticeQueue",
        "EventQueue",
        "FeedbackQueue",
        "LeadQueue",
    ];
    let busy = |queue: &str| {
        let depth = run.stack.sqs.depth(&named(queue)).unwrap();
        depth.visible + depth.in_flight > 0
    };
    while queues.iter().any(|queue| busy(queue)) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Time passes as it does: the timers fire each minute, and messages come in their seconds.
pub(crate) async fn minutes(run: &Running, minutes: u64) {
    for _ in 0..minutes {
        run.invoke("fire-timers", &json!({})).await.unwrap();
        rest(run).await;
        for _ in 0..4 {
            run.stack.advance(Duration::from_secs(15));
            // What waits for the clock needs a turn to see it.
            tokio::time::sleep(Duration::from_millis(5)).await;
            rest(run).await;
        }
    }
}

pub(crate) async fn ask(run: &Running, what: &str) -> (u16, Value) {
    let answer = run.api("POST", &format!("/api/campaigns/spring/{what}"), None).await;
    rest(run).await;
    answer
}

/// The campaign's newest broadcast that began, as the API shows it.
pub(crate) async fn broadcast(run: &Running) -> Value {
    let (status, view) = run.api("GET", "/api/campaigns/spring", None).await;
    assert_eq!(status, 200, "{view:#}");
    let all = view["broadcasts"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|one| !one["began"].is_null()).unwrap_or(Value::Null)
}

/// How many mails went to each person.
pub(crate) fn mails(run: &Running) -> BTreeMap<String, usize> {
    let mut mails = BTreeMap::new();
    for (to, _) in run.mails() {
        for to in to.into_iter().filter(|to| to.ends_with("@person.example")) {
            *mails.entry(to).or_default() += 1;
        }
    }
    mails
}

/// The counters are what the messages say (I12).
pub(crate) fn counters_equal_the_ledger(run: &Running) {
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    let mut ledger: BTreeMap<String, i64> = BTreeMap::new();
    for ((pk, sk), item) in run.table() {
        if pk.starts_with("tally#") {
            for (name, n) in
                item.as_object().unwrap().iter().filter_map(|(name, n)| Some((name.strip_prefix('#')?, n)))
            {
                *counted.entry(name.to_owned()).or_default() +=
                    n["N"].as_str().unwrap().parse::<i64>().unwrap();
            }
        }
        if pk.starts_with("cu_") && sk.starts_with("m#") {
            let message = serde_json::from_str(item["d"]["S"].as_str().unwrap()).unwrap();
            for name in sluice_domain::campaign::names(&message) {
                *ledger.entry(name).or_default() += 1;
            }
        }
    }
    counted.retain(|_, n| *n != 0);
    assert_eq!(counted, ledger);
}

#[tokio::test]
async fn a_campaign_goes_out_to_its_segment_once_and_counts_what_became_of_it() {
    let run = with("at: now").await;
    let everybody = people(&run, 12, &[]).await;
    run.lead(&[("email", "other@person.example"), ("company", "Other")]).await;
    let (status, view) = run.api("GET", "/api/campaigns", None).await;
    assert_eq!((status, &view["campaigns"][0]["state"]), (200, &json!("draft")), "{view:#}");
    let (status, answer) = ask(&run, "schedule").await;
    assert_eq!((status, &answer["broadcast"]), (202, &json!(1)), "{answer:#}");
    let got = mails(&run);
    assert_eq!(got.keys().cloned().collect::<Vec<_>>().len(), everybody.len());
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    minutes(&run, 2).await;
    let shown = broadcast(&run).await;
    assert_eq!(shown["state"], "done", "{shown:#}");
    assert_eq!((&shown["counts"]["planned"], &shown["counts"]["sent"]), (&json!(12), &json!(12)));
    assert_eq!(shown["counts"]["waiting"], 0);
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn when_a_campaign_goes_out_its_document_says_and_no_call() {
    let run = with("at: now").await;
    let everybody = people(&run, 1, &[]).await;
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let later: &[u8] = br#"{"at": "2027-01-01T09:00:00Z"}"#;
    for what in ["schedule", "pause", "resume", "cancel"] {
        let path = format!("/api/campaigns/spring/{what}");
        let answer = run.send("POST", &path, &headers, later).await;
        answer.is_problem(422, "body-unfit");
        assert_eq!(answer.json()["field"], "at", "{what}");
        run.send("POST", &path, &headers, b"[]").await.is_problem(422, "body-unfit");
        run.send("POST", &path, &headers, b"{").await.is_problem(400, "malformed-json");
        let other = format!("/api/campaigns/autumn/{what}");
        run.send("POST", &other, &headers, later).await.is_problem(404, "no-such-campaign");
    }
    minutes(&run, 2).await;
    assert!(mails(&run).is_empty(), "nothing goes out");
    let empty = run.send("POST", "/api/campaigns/spring/schedule", &headers, b"{}").await;
    assert_eq!(empty.status, 202, "{}", empty.text());
    rest(&run).await;
    minutes(&run, 2).await;
    assert_eq!(mails(&run).get(&everybody[0]), Some(&1));
    run.finish().await;
}

#[tokio::test]
async fn a_pause_holds_what_was_planned_until_it_is_resumed() {
    let run = with("at: now\nrate: 2").await;
    let everybody = people(&run, 30, &[]).await;
    let (status, _) = ask(&run, "schedule").await;
    assert_eq!(status, 202);
    let before = mails(&run).len();
    assert!(before < everybody.len(), "the rate holds most of them back: {before}");
    let (status, shown) = ask(&run, "pause").await;
    assert_eq!((status, &shown["state"]), (200, &json!("paused")), "{shown:#}");
    let at_pause = mails(&run);
    minutes(&run, 10).await;
    assert_eq!(mails(&run), at_pause, "nothing goes out while it is paused");
    let shown = broadcast(&run).await;
    assert_eq!(shown["counts"]["sent"], at_pause.len());
    assert_eq!(shown["counts"]["waiting"], everybody.len() - at_pause.len());
    let (status, _) = ask(&run, "pause").await;
    assert_eq!(status, 200, "it is paused already");
    let (status, _) = ask(&run, "resume").await;
    assert_eq!(status, 200);
    minutes(&run, 4).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    let shown = broadcast(&run).await;
    assert_eq!((&shown["state"], &shown["counts"]["sent"]), (&json!("done"), &json!(30)), "{shown:#}");
    counters_equal_the_ledger(&run);
    let (status, answer) = ask(&run, "pause").await;
    assert_eq!((status, &answer["type"]), (409, &json!("urn:sluice:problem:wrong-state")), "{answer:#}");
    run.finish().await;
}

#[tokio::test]
async fn what_is_cancelled_midway_does_not_go_out_and_says_why() {
    let run = with("at: now\nrate: 2").await;
    let everybody = people(&run, 30, &[]).await;
    let (status, shown) = ask(&run, "schedule").await;
    assert_eq!(status, 202, "{shown:#}");
    let (status, shown) = ask(&run, "cancel").await;
    assert_eq!((status, &shown["state"]), (200, &json!("cancelled")), "{shown:#}");
    let before = mails(&run);
    assert!(!before.is_empty() && before.len() < everybody.len(), "{before:?}");
    minutes(&run, 3).await;
    assert_eq!(mails(&run), before);
    let shown = broadcast(&run).await;
    assert_eq!(shown["skipped"]["cancelled"], everybody.len() - before.len(), "{shown:#}");
    assert_eq!(shown["counts"]["waiting"], 0);
    counters_equal_the_ledger(&run);
    let (status, _) = ask(&run, "resume").await;
    assert_eq!(status, 409);
    let (status, _) = ask(&run, "cancel").await;
    assert_eq!(status, 200, "it is cancelled already");
    run.finish().await;
}

/// The table of the stack, as its functions reach it.
pub(crate) fn store(run: &Running) -> Store {
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), named("Table"));
    sluice_host::aws::store(&env).unwrap()
}

/// So many rows that have nothing to do with anything, all in one part of the table: an audience is read in pages of it.
async fn fill(run: &Running, rows: usize) {
    let store = store(run);
    let now = run.stack.clock.now();
    let row = |n: usize| {
        let store = &store;
        async move {
            let at = Occurrence { at: now, local: None };
            let other = Broadcast::new("other", 1, at, "ann", now);
            let parked = Parked { id: n.to_string(), queue: "bulk".to_owned(), body: String::new() };
            store.park(&other, 0, &parked).await.unwrap();
        }
    };
    stream::iter((0..rows).map(row)).buffer_unordered(16).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_while_the_audience_is_gone_through_loses_nobody() {
    let run = with("at: now").await;
    let everybody = people(&run, 12, &[]).await;
    fill(&run, 4_200).await;
    // That a first page is done is written, and whoever wrote it does not hear so.
    run.refusals.lose("run-campaign", "DynamoDB_20120810.PutItem", 1);
    ask(&run, "schedule").await;
    minutes(&run, 3).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    let pages = |item: &Value| {
        let section: Value = serde_json::from_str(item["d"]["S"].as_str().unwrap()).unwrap();
        section["p"].as_u64().unwrap()
    };
    let sections =
        run.table().into_iter().filter(|((pk, sk), _)| pk == "campaign#spring" && sk.starts_with("s#"));
    assert!(sections.map(|(_, item)| pages(&item)).max() > Some(1), "a part has several pages");
    assert_eq!(broadcast(&run).await["state"], "done");
    counters_equal_the_ledger(&run);
    run.finish().await;
}

#[tokio::test]
async fn what_waits_anew_is_not_taken_from_what_waits_with_what_waited_before() {
    let run = Setup::default().frozen().start().await;
    let store = store(&run);
    let now = run.stack.clock.now();
    let document = serde_json::from_value(json!({
        "name": "spring", "audience": { "segment": "vip" }, "send": { "template": "spring", "topic": "product" },
    }));
    let mut broadcast = Broadcast::new("spring", 1, Occurrence { at: now, local: None }, "ann", now);
    broadcast.begin(&document.unwrap(), 1, None, now).unwrap();
    let parked = Parked { id: "ms_1".to_owned(), queue: "bulk".to_owned(), body: "{}".to_owned() };
    broadcast.pause().unwrap();
    store.park(&broadcast, 0, &parked).await.unwrap();
    assert!(store.parked(&broadcast, 0, 10).await.unwrap().is_empty(), "nobody has let it go on");
    broadcast.resume(&Counts::default(), now).unwrap();
    let waited = store.parked(&broadcast, 0, 10).await.unwrap();
    assert_eq!(waited.len(), 1);
    // It is paused again before that is over: the same message waits again.
    let mut again = broadcast.clone();
    again.pause().unwrap();
    store.park(&again, 0, &parked).await.unwrap();
    store.unpark(&broadcast, 0, &waited).await.unwrap();
    assert!(store.parked(&broadcast, 0, 10).await.unwrap().is_empty());
    again.resume(&Counts::default(), now).unwrap();
    let waits: Vec<Parked> =
        store.parked(&again, 0, 10).await.unwrap().into_iter().map(|(_, one)| one).collect();
    assert_eq!(waits, [parked]);
    run.finish().await;
}

#[tokio::test]
async fn of_much_that_waits_some_is_handed_on_at_a_time_while_somebody_looks() {
    let run = with("at: now\nrate: 2").await;
    let everybody = people(&run, 20, &[]).await;
    ask(&run, "schedule").await;
    ask(&run, "pause").await;
    minutes(&run, 3).await;
    let table = run.table();
    let waits = |(pk, _): &&(String, String)| pk.starts_with("parked#spring#");
    let (_, own) = table.iter().find(|(key, _)| waits(key)).expect("something waits");
    let held: Broadcast = serde_json::from_str(
        table[&("campaign#spring".to_owned(), keys::broadcast(1))]["d"]["S"].as_str().unwrap(),
    )
    .unwrap();
    let held = Broadcast { campaign: "spring".to_owned(), n: 1, ..held };
    // Much that goes nowhere waits before it.
    let one: Parked = serde_json::from_str(own["d"]["S"].as_str().unwrap()).unwrap();
    let one = Parked { queue: "none".to_owned(), ..one };
    let store = store(&run);
    let park = |n: usize| {
        let (store, held, parked) = (&store, &held, Parked { id: format!("again-{n}"), ..one.clone() });
        async move { store.park(held, 0, &parked).await.unwrap() }
    };
    stream::iter((0..2_100).map(park)).buffer_unordered(16).collect::<Vec<()>>().await;
    let before = run.table().keys().filter(waits).count();
    let (status, _) = ask(&run, "resume").await;
    assert_eq!(status, 200);
    let table = run.table();
    let left = table.keys().filter(waits).count();
    assert!(left > 0 && left < before, "{left} of {before}");
    let looks = |item: &Value| item["d"]["S"].as_str().is_some_and(|entry| entry.contains("watch"));
    assert!(table.iter().any(|((pk, _), item)| pk.starts_with("due#") && looks(item)), "nobody looks");
    minutes(&run, 25).await;
    let got = mails(&run);
    assert!(everybody.iter().all(|email| got.get(email) == Some(&1)), "{got:?}");
    assert_eq!(run.table().keys().filter(waits).count(), 0);
    counters_equal_the_ledger(&run);
    run.finish().await;
}
