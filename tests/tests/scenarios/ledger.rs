//! No accepted lead is lost: refused queues, a throttled table, poison, and the count that proves it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_services::sqs::{OutgoingMessage, Sqs};
use sluice_tests::stack::{Running, Setup};
use std::collections::BTreeSet;
use std::time::Duration;

const DOWN: (u16, &str) = (500, "InternalError");
const THROTTLED: (u16, &str) = (400, "ProvisionedThroughputExceededException");

async fn state(run: &Running, lead: &str) -> String {
    run.show(lead).await["state"].as_str().unwrap().to_owned()
}

fn due(run: &Running) -> usize {
    run.table().into_keys().filter(|(pk, _)| pk.starts_with("due#")).count()
}

#[tokio::test]
async fn a_queue_that_refuses_delays_a_lead_and_nothing_more() {
    let run = Setup::default().start().await;
    run.refusals.refuse("*", "AmazonSQS.SendMessage", usize::MAX, DOWN);
    let id = run.post("contact", &[("email", "queue@person.example")]).await.lead_id();
    assert_eq!((state(&run, &id).await.as_str(), due(&run)), ("waiting", 1));
    assert_eq!(run.ledger().await["in_flight"]["waiting"], 1);
    // While the queue refuses, the entry stays for the next minute.
    assert!(run.invoke("fire-timers", &json!({})).await.is_err());
    assert_eq!(due(&run), 1);
    assert_eq!(run.metrics.sum("QueueRefused", ("Queue", "lead")), 2.0, "once by each who tried");
    run.refusals.lift();
    run.fire_timers().await;
    assert_eq!((state(&run, &id).await.as_str(), due(&run)), ("assigned", 0));
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_throttled_table_is_said_to_the_caller_who_tries_again() {
    let run = Setup::default().start().await;
    let before = run.table();
    run.refusals.refuse("capture-lead", "DynamoDB_20120810.PutItem", usize::MAX, THROTTLED);
    let answer = run.post("contact", &[("email", "again@person.example")]).await;
    answer.is_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(run.table(), before);
    run.refusals.lift();
    // The SDK's own repeats hide a throttle that passes.
    run.refusals.refuse("capture-lead", "DynamoDB_20120810.PutItem", 1, THROTTLED);
    let id = run.lead(&[("email", "again@person.example")]).await;
    assert_eq!(state(&run, &id).await, "assigned");
    run.finish().await;
}

#[tokio::test]
async fn a_throttled_table_behind_the_queue_brings_the_lead_again() {
    let run = Setup::default().start().await;
    run.refusals.refuse("route-lead", "DynamoDB_20120810.", usize::MAX, THROTTLED);
    let id = run.post("contact", &[("email", "later@person.example")]).await.lead_id();
    while run.stack.sqs.depth(&named("LeadQueue")).unwrap().in_flight == 0
        || run.stack.function("route-lead").unwrap().running() > 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(state(&run, &id).await, "waiting");
    run.refusals.lift();
    run.pass(Duration::from_secs(181)).await;
    assert_eq!(state(&run, &id).await, "assigned");
    run.finish().await;
}

#[tokio::test]
async fn with_queue_and_table_refusing_the_sender_is_told_and_may_send_again() {
    let run = Setup::default().start().await;
    run.refusals.refuse("capture-lead", "AmazonSQS.", usize::MAX, DOWN);
    run.refusals.refuse("capture-lead", "DynamoDB_20120810.PutItem", usize::MAX, THROTTLED);
    let key = [("content-type", "application/json"), ("idempotency-key", "both")];
    let body = br#"{"email":"both@person.example"}"#;
    let answer = run.send("POST", "/f/contact", &key, body).await;
    answer.is_problem(503, "unavailable");
    assert!(answer.header("retry-after").is_some());
    run.refusals.lift();
    let id = run.send("POST", "/f/contact", &key, body).await.lead_id();
    run.settle().await;
    assert_eq!(state(&run, &id).await, "assigned");
    assert_eq!(run.leads().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_lead_stored_and_never_queued_is_driven_again_by_the_reconciler() {
    let run = Setup::default().start().await;
    // The lead's own PutItem passes; neither its message nor its due entry does.
    run.refusals.refuse("capture-lead", "AmazonSQS.", usize::MAX, DOWN);
    run.refusals.pass_first("capture-lead", "DynamoDB_20120810.PutItem", 1);
    run.refusals.refuse("capture-lead", "DynamoDB_20120810.PutItem", usize::MAX, DOWN);
    let answer = run.post("contact", &[("email", "lost@person.example")]).await;
    answer.is_problem(503, "unavailable");
    run.refusals.lift();
    let id = run.leads().remove(0);
    assert_eq!(
        (state(&run, &id).await.as_str(), due(&run), run.depth(&named("LeadQueue"))),
        ("waiting", 0, 0)
    );
    run.pass(Duration::from_secs(300)).await;
    run.fire_timers().await;
    assert_eq!(state(&run, &id).await, "assigned");
    run.finish().await;
}

#[tokio::test]
async fn poison_ends_in_the_dead_letters_and_neither_hides_nor_stops_a_lead() {
    let run = Setup::default().start().await;
    // A lead whose every decision fails, and a message that is none of ours.
    run.refusals.refuse("route-lead", "DynamoDB_20120810.TransactWriteItems", usize::MAX, DOWN);
    let id = run.post("contact", &[("email", "poison@person.example")]).await.lead_id();
    run.stack.sqs.send(&named("LeadQueue"), OutgoingMessage::new("{\"neither\":")).unwrap();
    let dead = named("LeadDeadLetters");
    for _ in 0..12 {
        if run.depth(&dead) == 2 {
            break;
        }
        wait_for_the_batch(&run).await;
        run.stack.advance(Duration::from_secs(181));
    }
    // The reconciler drives the lead too, so more than one message about it may have died.
    assert!(run.depth(&dead) >= 2, "{}", run.depths());
    assert_eq!(state(&run, &id).await, "waiting");
    let ledger = run.ledger().await;
    assert_eq!(
        (&ledger["adds_up"], &ledger["in_flight"]["waiting"]),
        (&json!(true), &json!(1)),
        "{ledger:#}"
    );

    // Somebody mended it and drives the dead letters again.
    run.refusals.lift();
    let sdk = sluice_host::aws::sqs(&run.sdk()).unwrap();
    let moved = sdk.start_message_move_task().source_arn(Sqs::queue_arn(&dead)).send().await.unwrap();
    assert!(moved.task_handle.is_some());
    for _ in 0..200 {
        if state(&run, &id).await == "assigned" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(state(&run, &id).await, "assigned");
    assert_eq!(run.mails().len(), 1);
    // What is nobody's dies again, and is thrown away.
    for _ in 0..12 {
        if run.depth(&dead) == 1 && run.depth(&named("LeadQueue")) == 0 {
            break;
        }
        wait_for_the_batch(&run).await;
        run.stack.advance(Duration::from_secs(181));
    }
    assert_eq!(run.depth(&dead), 1, "{}", run.depths());
    sdk.purge_queue().queue_url(run.stack.addresses.queue_url(&dead)).send().await.unwrap();
    run.finish().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_its_own_lead_and_no_other_of_the_batch() {
    let run = Setup::default().frozen().start().await;
    let known = run.lead(&[("email", "known@person.example")]).await;
    let customer = run.show(&known).await["customer"].as_str().unwrap().to_owned();
    run.refusals.refuse("capture-lead", "AmazonSQS.", usize::MAX, DOWN);
    let mut ids =
        vec![run.post("contact", &[("email", "known@person.example"), ("note", "2")]).await.lead_id()];
    for n in 0..9 {
        ids.push(run.post("contact", &[("email", &format!("batch{n}@person.example"))]).await.lead_id());
    }
    run.refusals.lift();
    // One lead is not what this version writes, and of another the customer is not.
    let put = |item: &Value| {
        let put = json!({"TableName": named("Table"), "Item": item});
        run.stack.dynamodb.run("PutItem", put.to_string().as_bytes()).unwrap();
    };
    let table = run.table();
    let broken =
        [(ids[1].clone(), "l".to_owned()), (customer, "c".to_owned())].map(|key| table[&key].clone());
    for item in &broken {
        let mut strange = item.clone();
        strange["v"] = json!({"S": "one"});
        put(&strange);
    }
    let record = |id: &String| json!({"messageId": id, "body": json!({"lead": id}).to_string()});
    let records: Vec<Value> = ids.iter().map(record).collect();
    let answer = run.invoke("route-lead", &json!({"Records": records})).await.unwrap();
    let failed: BTreeSet<&str> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|failure| failure["itemIdentifier"].as_str())
        .collect();
    assert_eq!(failed, BTreeSet::from([ids[0].as_str(), ids[1].as_str()]));
    for id in &ids[2..] {
        assert_eq!(state(&run, id).await, "assigned");
    }
    broken.iter().for_each(put);
    run.fire_timers().await;
    assert_eq!(
        (state(&run, &ids[0]).await, state(&run, &ids[1]).await),
        ("assigned".into(), "assigned".into())
    );
    run.finish().await;
}

/// Until every visible message was tried and no call runs.
async fn wait_for_the_batch(run: &Running) {
    let busy = || {
        let queue = run.stack.sqs.depth(&named("LeadQueue")).unwrap();
        queue.visible > 0 || run.stack.function("route-lead").unwrap().running() > 0
    };
    tokio::time::sleep(Duration::from_millis(5)).await;
    while busy() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_ledger_counts_every_lead_by_state_and_source() {
    let run = Setup::default().start().await;
    for email in ["one@person.example", "two@person.example"] {
        run.lead(&[("email", email)]).await;
    }
    run.lead(&[("email", "two@person.example")]).await;
    run.lead(&[]).await;
    let answer = run.post("demo", &[("business_email", "three@person.example")]).await;
    answer.lead_id();
    run.settle().await;
    let ledger = run.ledger().await;
    assert_eq!(ledger["accepted"], 5);
    let ended: Vec<&Value> =
        ["assigned", "repeat", "invalid"].iter().map(|state| &ledger["ended"][state]).collect();
    assert_eq!(ended, [3, 1, 1]);
    assert_eq!(ledger["sources"]["contact"]["accepted"], 4);
    assert_eq!(ledger["sources"]["demo"], json!({"accepted": 1, "assigned": 1}));
    run.finish().await;
}

#[tokio::test]
async fn the_parts_of_a_ledger_are_its_sum() {
    let run = Setup::default().start().await;
    for at in 0..12 {
        run.lead(&[("email", &format!("part{at}@person.example"))]).await;
    }
    let whole = run.ledger().await;
    assert_eq!((&whole["accepted"], &whole["cursor"]), (&json!(12), &json!(null)), "{whole:#}");
    let mut sum = 0;
    for segment in 0..4 {
        // As an answer that stopped before this segment began, and behind the others, would say it.
        let places: Vec<Value> =
            (0..4).map(|at| if at == segment { json!("") } else { json!(null) }).collect();
        let cursor = URL_SAFE_NO_PAD.encode(json!(places).to_string());
        let (status, part) = run.api("GET", &format!("/api/ledger?cursor={cursor}"), None).await;
        assert_eq!((status, &part["cursor"]), (200, &json!(null)), "{part:#}");
        sum += part["accepted"].as_u64().unwrap();
        assert_eq!(part["accepted"], part["ended"]["assigned"], "{part:#}");
    }
    assert_eq!(sum, 12);
    for wrong in ["x", &URL_SAFE_NO_PAD.encode("[\"\"]"), &URL_SAFE_NO_PAD.encode("[\"x\",null,null,null]")] {
        let (status, problem) = run.api("GET", &format!("/api/ledger?cursor={wrong}"), None).await;
        assert_eq!((status, &problem["type"]), (422, &json!("urn:sluice:problem:cursor-unreadable")));
    }
    run.finish().await;
}
