//! What is due is handed on each minute, whatever else is due.

use crate::campaigns::store;
use bytes::Bytes;
use serde_json::json;
use sluice::cli::{embedded_functions, local_template};
use sluice::host::clock::StackClock;
use sluice::host::spec::{StackSpec, named};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_store::{DueEntry, keys};
use sluice_tests::stack::Setup;
use sluice_wire::queue::{CampaignMessage, CampaignTask, encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test]
async fn what_no_queue_takes_keeps_nobody_behind_it_waiting() {
    let run = Setup::default().frozen().start().await;
    let store = store(&run);
    let now = run.stack.clock.now();
    // More than one read of one shard, for a queue that a later version has.
    let mut ids = (0..).map(|n: u32| format!("id-{n}")).filter(|id| keys::shard_of(id) == 0);
    let mut stays = Vec::new();
    for id in ids.by_ref().take(205) {
        let entry =
            DueEntry { at: now.plus_millis(-60_000), id, queue: "later".to_owned(), body: String::new() };
        store.put_due(&entry).await.unwrap();
        stays.push(entry);
    }
    let id = ids.next().unwrap();
    let begin = CampaignMessage { campaign: "none".to_owned(), broadcast: 1, task: CampaignTask::Begin };
    let body = encode(&begin);
    let last = DueEntry { at: now, id, queue: "campaign".to_owned(), body };
    store.put_due(&last).await.unwrap();
    assert!(
        run.invoke("fire-timers", &json!({})).await.is_err(),
        "somebody has to look at what is not taken"
    );
    let left: Vec<_> = run.table().into_keys().filter(|(pk, _)| pk.starts_with("due#")).collect();
    assert_eq!(left.len(), 205);
    assert!(left.iter().all(|(_, sk)| !sk.ends_with(&last.id)));
    store.delete_due(&stays).await.unwrap();
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn entries_that_fill_a_read_or_cannot_be_read_keep_nobody_behind_them_waiting() {
    let run = Setup::default().frozen().start().await;
    let store = store(&run);
    let now = run.stack.clock.now();
    // The store ends a read at 1 MB: these are three reads, of far fewer entries than are asked for.
    let mut ids = (0..).map(|n: u32| format!("id-{n}")).filter(|id| keys::shard_of(id) == 0);
    let mut stays = Vec::new();
    for id in ids.by_ref().take(45) {
        let (at, body) = (now.plus_millis(-60_000), "x".repeat(50_000));
        let entry = DueEntry { at, id, queue: "later".to_owned(), body };
        store.put_due(&entry).await.unwrap();
        stays.push(entry);
    }
    let strange = stays.first().unwrap();
    let item = json!({"pk": {"S": keys::due(0)}, "sk": {"S": keys::due_at(strange.at, &strange.id)}, "d": {"S": "{"}});
    let put = json!({"TableName": named("Table"), "Item": item});
    run.stack.dynamodb.run("PutItem", put.to_string().as_bytes()).unwrap();
    let begin = CampaignMessage { campaign: "none".to_owned(), broadcast: 1, task: CampaignTask::Begin };
    let last =
        DueEntry { at: now, id: ids.next().unwrap(), queue: "campaign".to_owned(), body: encode(&begin) };
    store.put_due(&last).await.unwrap();
    assert!(run.invoke("fire-timers", &json!({})).await.is_err(), "somebody has to look at what stays");
    let left: Vec<_> = run.table().into_keys().filter(|(pk, _)| pk.starts_with("due#")).collect();
    assert_eq!(left.len(), 45);
    assert!(left.iter().all(|(_, sk)| !sk.ends_with(&last.id)));
    store.delete_due(&stays).await.unwrap();
    run.settle().await;
    run.finish().await;
}

/// The stack's clock, moved on once a run has looked at when it begins.
struct Slow {
    clock: StackClock,
    has_begun: AtomicBool,
}

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        if !self.has_begun.swap(true, Ordering::SeqCst) {
            self.clock.advance(Duration::from_secs(20));
        }
        now
    }
}

#[tokio::test]
async fn what_a_run_comes_to_late_is_on_time_all_the_same() {
    let run = Setup::default().frozen().start().await;
    let store = store(&run);
    let begin = CampaignMessage { campaign: "none".to_owned(), broadcast: 1, task: CampaignTask::Begin };
    let at = run.stack.clock.now().plus_millis(60_000);
    let entry = DueEntry { at, id: "soon".to_owned(), queue: "campaign".to_owned(), body: encode(&begin) };
    store.put_due(&entry).await.unwrap();
    // An instance to which entries take twenty seconds to read.
    let spec = StackSpec::from_template(&local_template().unwrap(), &run.stack.addresses).unwrap();
    let timers = spec.functions.iter().find(|function| function.name == "fire-timers").unwrap();
    let mut env = run.sdk();
    env.vars.extend(timers.vars.clone());
    env.clock = Arc::new(Slow { clock: run.stack.clock.clone(), has_begun: AtomicBool::new(false) });
    let timers = embedded_functions()["fire-timers"](env).await.unwrap();
    timers.invoke(Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(at.since(run.stack.clock.now()), 40_000);
    let held = run.stack.sqs.contents(&named("CampaignQueue")).unwrap();
    assert_eq!(held.iter().map(|held| held.visible_at).collect::<Vec<_>>(), [at.millis()]);
    run.pass(Duration::from_secs(40)).await;
    run.finish().await;
}
