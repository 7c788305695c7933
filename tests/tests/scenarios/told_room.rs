//! Notices that wait for room: in the lists meanwhile, with no more room than they need, and nothing waits with them.

use crate::routing::owner;
use crate::work::listed;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::message::Channel;
use sluice_host::environment::Clock;
use sluice_store::{Slot, keys};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A mail a second.
const RATED: &str = "---\nkind: channel\nname: email\nvia: ses\nrate: 1\n";

/// One rep, who is told by mail and by webhook.
async fn told_twice(hook: &Fake) -> Running {
    let policies = format!(
        "kind: form\nname: contact\n---\nkind: rep\nname: hook\nemail: hook@reps.example\nwebhook:\n  url: {}\n  \
         secrets: [env:HOOK]\n---\nkind: routing\nname: default\nrules:\n  - name: all\n    assign: {{ rep: hook }}\n{RATED}",
        hook.url
    );
    let secret = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";
    Setup::policies(policies).var("HOOK", secret).frozen().start().await
}

/// Takes room for so many mails before anybody else asks for it.
async fn take(run: &Running, mails: u32) {
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), named("Table"));
    let store = sluice_host::aws::store(&env).unwrap();
    let now = run.stack.clock.now();
    assert_eq!(store.reserve(Channel::Email, mails, 1, now, 0).await.unwrap(), Slot::At(now));
}

/// Until so many notices are to come again later, and none is being worked on.
async fn come_again(run: &Running, notices: u64) {
    for _ in 0..2_000 {
        let depth = run.stack.sqs.depth(&named("NoticeQueue")).unwrap();
        if depth.delayed == notices && depth.visible + depth.in_flight == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", run.depths());
}

/// From when on the provider is free.
fn free(run: &Running) -> Value {
    run.table()[&(keys::pace(Channel::Email), keys::PACE.to_owned())]["us"].clone()
}

/// What became of a rep's notice over a channel, and after how many attempts.
async fn became(run: &Running, rep: &str, channel: &str) -> (String, u64) {
    let notices = run.messages(rep).await;
    let notice = notices.iter().find(|notice| notice["channel"] == channel);
    let notice = notice.unwrap_or_else(|| panic!("{notices:#?}"));
    (notice["state"].as_str().unwrap().to_owned(), notice["attempts"].as_u64().unwrap())
}

#[tokio::test]
async fn a_lead_is_in_its_owners_lists_and_is_handed_over_with_them_while_its_notice_waits() {
    let run = Setup::policies(format!("{POLICIES}{RATED}")).frozen().start().await;
    take(&run, 30).await;
    let lead = run.post("contact", &[("email", "waits@person.example")]).await.lead_id();
    come_again(&run, 1).await;
    let first = owner(&run, &lead).await;
    let second = if first == "ann" { "bo" } else { "ann" };
    assert_eq!(became(&run, &first, "email").await, ("ready".to_owned(), 0));
    let token = run.token.clone();
    for query in ["state=open".to_owned(), format!("state=open&owner={first}"), format!("owner={first}")] {
        assert_eq!(listed(&run, &token, &query).await, std::slice::from_ref(&lead), "{query}");
    }

    let path = format!("/api/reps/{first}/rebalance");
    let (status, done) = run.api("POST", &path, Some(json!({"do": true, "rep": second}))).await;
    assert_eq!((status, done["leads"].as_array().map(Vec::len)), (200, Some(1)), "{done:#}");
    come_again(&run, 2).await;
    assert_eq!(owner(&run, &lead).await, second);
    assert_eq!(became(&run, second, "email").await, ("ready".to_owned(), 0));
    assert!(run.mails().is_empty());

    run.pass(Duration::from_secs(40)).await;
    assert_eq!(became(&run, second, "email").await, ("sent".to_owned(), 1));
    assert_eq!(became(&run, &first, "email").await.0, "skipped", "it has moved on");
    assert_eq!(run.mails().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_mail_that_waited_for_room_is_skipped_once_its_rep_has_no_address() {
    let hook = Fake::start(|_| (200, json!({}))).await;
    let run = told_twice(&hook).await;
    take(&run, 30).await;
    run.post("contact", &[("email", "late@person.example")]).await.lead_id();
    come_again(&run, 1).await;
    assert_eq!(became(&run, "hook", "email").await, ("ready".to_owned(), 0));
    assert_eq!(became(&run, "hook", "webhook").await, ("sent".to_owned(), 1), "it waits for no mail");
    let document =
        json!({"kind": "rep", "name": "hook", "webhook": {"url": hook.url, "secrets": ["env:HOOK"]}});
    let (status, answer) = run.api("PUT", "/api/policies/rep/hook", Some(document)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.pass(Duration::from_secs(40)).await;
    assert_eq!(became(&run, "hook", "email").await.0, "skipped");
    assert!(run.mails().is_empty());
    assert_eq!(hook.seen().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_notice_that_comes_again_for_its_webhook_takes_no_more_room() {
    let calls = AtomicUsize::new(0);
    let hook = Fake::start(move |_| {
        let status = if calls.fetch_add(1, Ordering::SeqCst) < 2 { 503 } else { 200 };
        (status, json!({}))
    });
    let hook = hook.await;
    let run = told_twice(&hook).await;
    run.post("contact", &[("email", "once@person.example")]).await.lead_id();
    come_again(&run, 1).await;
    assert_eq!(became(&run, "hook", "email").await, ("sent".to_owned(), 1));
    assert_eq!(became(&run, "hook", "webhook").await.1, 1);
    let taken = free(&run);
    // The second attempt comes after 5 seconds, the third after 30 more.
    run.stack.advance(Duration::from_secs(7));
    until_called(&hook, 2).await;
    come_again(&run, 1).await;
    assert_eq!(free(&run), taken, "room for one mail");
    run.pass(Duration::from_secs(35)).await;
    assert_eq!(became(&run, "hook", "webhook").await, ("sent".to_owned(), 3));
    assert_eq!((free(&run), run.mails().len(), hook.seen().len()), (taken, 1, 3));
    run.finish().await;
}

#[tokio::test]
async fn a_pace_that_cannot_be_read_holds_up_the_mail_alone() {
    let hook = Fake::start(|_| (200, json!({}))).await;
    let run = told_twice(&hook).await;
    run.refusals.refuse("send-message", "DynamoDB_20120810.UpdateItem", 1, (400, "ValidationException"));
    run.post("contact", &[("email", "held@person.example")]).await.lead_id();
    until_called(&hook, 1).await;
    while became(&run, "hook", "webhook").await.0 != "sent" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Its queue gives it once more.
    run.pass(Duration::from_secs(150)).await;
    assert_eq!(became(&run, "hook", "webhook").await, ("sent".to_owned(), 1));
    assert_eq!(became(&run, "hook", "email").await, ("sent".to_owned(), 1));
    assert_eq!((run.mails().len(), hook.seen().len()), (1, 1));
    run.finish().await;
}

async fn until_called(hook: &Fake, times: usize) {
    for _ in 0..2_000 {
        if hook.seen().len() >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was called {} times", hook.seen().len());
}
