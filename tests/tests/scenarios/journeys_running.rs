//! Journeys through a whole stack: events start them, time and events move them, and each step is done once.

use crate::timeline::{Call, EARLIER, put, take, timeline, user};
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// The usual documents, and these.
fn policies(more: &str) -> String {
    let templates = "
kind: topic
name: product
consent: opt_out
---
kind: template
name: welcome
subject: Welcome
html: <p>Hello {{ customer.first_name }}, you saw {{ event.properties.plan | default('nothing') }}.</p>
defaults: { customer.first_name: you }
---
kind: template
name: nudge
subject: Still there?
html: <p>We have not seen you.</p>
";
    format!("{POLICIES}\n---{templates}---\n{more}")
}

async fn started(more: &str) -> Running {
    Setup::policies(policies(more)).frozen().start().await
}

/// Somebody with an e-mail address, who did nothing so far.
async fn ada(run: &Running) {
    let traits = json!({"email": "ada@person.example", "firstName": "Ada"});
    take(run, vec![Call::identify("hello", 0, traits).user("ada").browser("b-1")]).await;
}

fn runs(customer: &Value) -> Vec<(&str, &str, &str)> {
    let text = |run: &Value, name: &str| run[name].as_str().unwrap_or_default().to_owned();
    let all = customer["runs"].as_array().unwrap();
    let rows = all.iter().map(|run| {
        let at = if run["state"] == "active" { text(run, "step") } else { text(run, "outcome") };
        (text(run, "journey"), text(run, "state"), at)
    });
    rows.map(|(a, b, c)| (leak(a), leak(b), leak(c))).collect()
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn subjects(run: &Running) -> Vec<String> {
    let mails = run.mails().into_iter().filter(|(to, _)| to.iter().any(|to| to.contains("ada@")));
    let subject =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("Subject: ").map(str::to_owned));
    mails.filter_map(|(_, text)| subject(&text)).collect()
}

const WELCOME: &str = "
kind: journey
name: welcome
trigger: { event: signed_up }
entry: { when: has(customer.email) }
exit: { event: order_completed }
steps:
  - send: { template: welcome, topic: service }
  - wait_for: { event: video_started, within: 3h, else: nudge }
  - tag: watcher
  - notify: { text: Watched the video. }
  - end
  - nudge: { send: { template: nudge, topic: service } }
  - wait: 1d
  - task: { title: Call them, within: 2d }
";

const CAPPED: &str = "
kind: channel
name: email
via: ses
caps: [{ at_most: 1, within: 24h }]
---
kind: journey
name: capped
trigger: { event: signed_up }
steps:
  - send: { template: welcome, topic: product }
  - wait: 1h
  - send: { template: nudge, topic: product, at_cap: exit }
  - wait: 1d
  - tag: late
";

#[tokio::test]
async fn a_message_at_a_cap_ends_its_journey_where_its_step_says_so() {
    let run = started(CAPPED).await;
    ada(&run).await;
    take(&run, vec![Call::track("Signed Up", "1", EARLIER).user("ada")]).await;
    assert_eq!(subjects(&run), ["Welcome"]);
    run.stack.advance(HOUR);
    pass_timers(&run, 3).await;
    assert_eq!(subjects(&run), ["Welcome"]);
    let customer = user(&run, "ada").await;
    let all = runs(&customer);
    assert_eq!((all.len(), all[0].0, all[0].1), (1, "capped", "ended"), "{customer:#}");
    let all = timeline(&run, &customer).await;
    let stopped: Vec<&Value> = all.iter().filter(|thing| thing["event"] == "message_stopped").collect();
    assert_eq!(stopped.len(), 1, "{all:#?}");
    // The wait that it had come to finds nobody.
    run.stack.advance(24 * HOUR);
    pass_timers(&run, 1).await;
    run.finish().await;
}

#[tokio::test]
async fn an_event_starts_a_journey_and_what_it_waits_for_moves_it_on() {
    let run = started(WELCOME).await;
    ada(&run).await;
    let signed_up = Call::track("Signed Up", "1", EARLIER).user("ada").with(json!({"plan": "pro"}));
    take(&run, vec![signed_up]).await;
    assert_eq!(subjects(&run), ["Welcome"]);
    let (_, letter) = run.mails().pop().unwrap();
    assert!(letter.contains("you saw pro"), "the event is there for the template: {letter}");
    let customer = user(&run, "ada").await;
    assert_eq!(runs(&customer), [("welcome", "active", "wait_for.video_started")], "{customer:#}");

    run.stack.advance(HOUR);
    take(&run, vec![Call::track("Video Started", "2", EARLIER + 3_600).user("ada")]).await;
    let customer = user(&run, "ada").await;
    assert_eq!(runs(&customer), [("welcome", "ended", "completed")], "{customer:#}");
    assert_eq!(customer["tags"][0]["tag"], "watcher", "{customer:#}");
    // Nobody owns Ada: whoever is told of such leads is told.
    let told = run.messages("boss").await;
    assert_eq!(
        (&told[0]["kind"], &told[0]["text"]),
        (&json!("notify"), &json!("Watched the video.")),
        "{told:#?}"
    );
    assert_eq!(told[0]["state"], "sent");
    let all = timeline(&run, &customer).await;
    let names: Vec<&str> = all.iter().filter_map(|thing| thing["event"].as_str()).collect();
    for name in ["journey_entered", "journey_ended", "tagged", "video_started", "signed_up"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    // The wait that is over finds nobody.
    pass_timers(&run, 4).await;
    assert_eq!(subjects(&run), ["Welcome"]);
    run.finish().await;
}

/// Begins anew whenever somebody visits, which is also what a run waits for.
const VISITS: &str = "
kind: journey
name: visits
trigger: { event: shop_visited }
entry: { again: always }
steps:
  - wait_for: { event: shop_visited, within: 2h }
  - tag: regular
  - wait: 2h
";

#[tokio::test]
async fn what_an_event_makes_of_a_run_is_told_apart_from_the_run_that_it_begins() {
    let run = started(VISITS).await;
    ada(&run).await;
    take(&run, vec![Call::track("Shop Visited", "1", EARLIER).user("ada")]).await;
    run.stack.advance(HOUR);
    take(&run, vec![Call::track("Shop Visited", "2", EARLIER + 3_600).user("ada")]).await;
    let customer = user(&run, "ada").await;
    let all = timeline(&run, &customer).await;
    let both = all.iter().find(|thing| thing["event"] == "shop_visited" && thing["journeys"][1].is_object());
    let moved = both.unwrap_or_else(|| panic!("{all:#?}"))["journeys"].as_array().unwrap();
    let steps = |moved: &Value| -> Vec<String> {
        let why = moved["why"].as_array().unwrap().iter().filter_map(Value::as_str);
        why.filter(|words| words.starts_with("Step ")).map(str::to_owned).collect()
    };
    let rows: Vec<(&Value, usize)> = moved.iter().map(|moved| (&moved["run"], steps(moved).len())).collect();
    assert_eq!(rows, [(&json!(1), 2), (&json!(2), 1)], "{moved:#?}");
    assert!(steps(&moved[0]).iter().any(|step| step.contains("regular")), "{moved:#?}");
    assert!(moved[1]["why"][0].as_str().unwrap().starts_with("Entered"), "{moved:#?}");
    pass_timers(&run, 5).await;
    run.finish().await;
}

/// Lets hours pass, minute by minute where something may be due.
async fn pass_timers(run: &Running, hours: u32) {
    for _ in 0..hours * 6 {
        run.stack.advance(Duration::from_secs(600));
        run.fire_timers().await;
    }
    run.pass(Duration::from_secs(120)).await;
}

#[tokio::test]
async fn who_does_nothing_is_nudged_when_the_time_is_over_and_somebody_gets_a_task() {
    let run = started(WELCOME).await;
    ada(&run).await;
    take(&run, vec![Call::track("Signed Up", "1", EARLIER).user("ada")]).await;
    pass_timers(&run, 2).await;
    assert_eq!(subjects(&run), ["Welcome"], "not yet");
    pass_timers(&run, 2).await;
    let customer = user(&run, "ada").await;
    assert_eq!(subjects(&run), ["Welcome", "Still there?"], "{customer:#}");
    assert_eq!(runs(&customer), [("welcome", "active", "wait.1d")]);
    let (status, all) = run.api("GET", "/api/journeys/welcome", None).await;
    assert_eq!((status, &all["steps"]), (200, &json!({"wait.1d": 1})), "{all:#}");
    assert_eq!((&all["active"], &all["ended"], &all["complete"]), (&json!(1), &json!(0), &json!(true)));
    assert_eq!(run.api("GET", "/api/journeys/nobodys", None).await.0, 404);
    pass_timers(&run, 25).await;
    assert_eq!(runs(&user(&run, "ada").await), [("welcome", "ended", "completed")]);
    let (_, all) = run.api("GET", "/api/journeys/welcome?state=ended", None).await;
    assert_eq!((&all["outcomes"], &all["steps"]), (&json!({"completed": 1}), &json!({})), "{all:#}");
    assert_eq!(all["sample"][0]["outcome"], "completed");
    assert_eq!(run.api("GET", "/api/journeys/welcome?state=gone", None).await.0, 422);
    let told = run.messages("boss").await;
    assert_eq!((&told[0]["kind"], &told[0]["text"]), (&json!("task"), &json!("Call them")), "{told:#?}");
    assert!(told[0]["due"].is_string());
    let ada = user(&run, "ada").await["id"].as_str().unwrap().to_owned();
    let (_, whole) = run.api("GET", &format!("/api/customers/{ada}/export"), None).await;
    let told: Vec<&Value> = whole["events"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|event| event["told"].as_array().unwrap())
        .collect();
    let [task] = told.as_slice() else { panic!("told once: {told:#?}") };
    assert_eq!(
        (&task["what"], &task["to"], &task["text"]),
        (&json!("task"), &json!("boss"), &json!("Call them"))
    );
    assert_eq!((&task["journey"], &task["deliveries"][0]["state"]), (&json!("welcome"), &json!("sent")));
    run.finish().await;
}

#[tokio::test]
async fn an_order_ends_it_at_once_and_nobody_enters_twice() {
    let run = started(WELCOME).await;
    ada(&run).await;
    take(&run, vec![Call::track("Signed Up", "1", EARLIER).user("ada")]).await;
    take(&run, vec![Call::track("Order Completed", "2", EARLIER).user("ada")]).await;
    assert_eq!(runs(&user(&run, "ada").await), [("welcome", "ended", "exited")]);
    take(&run, vec![Call::track("Signed Up", "3", EARLIER).user("ada")]).await;
    pass_timers(&run, 4).await;
    assert_eq!(subjects(&run), ["Welcome"]);
    run.finish().await;
}

#[tokio::test]
async fn fifty_identical_triggers_at_once_are_one_run_and_one_message() {
    let run = started(WELCOME).await;
    ada(&run).await;
    for n in 0..50 {
        // The same call repeated, and as many calls that say the same.
        put(&run, vec![Call::track("Signed Up", "same", EARLIER).user("ada").browser("b-1")]);
        put(&run, vec![Call::track("Signed Up", &format!("other-{n}"), EARLIER).user("ada")]);
    }
    run.settle().await;
    let customer = user(&run, "ada").await;
    assert_eq!(runs(&customer), [("welcome", "active", "wait_for.video_started")]);
    assert_eq!(customer["runs"][0]["run"], 1);
    assert_eq!(subjects(&run), ["Welcome"]);
    pass_timers(&run, 30).await;
    assert_eq!(subjects(&run), ["Welcome", "Still there?"]);
    assert_eq!(run.messages("boss").await.len(), 1);
    run.finish().await;
}

const SEGMENTS: &str = "
kind: lifecycle
name: default
stages: [visitor, buyer, loyal]
moves:
  - { to: buyer, on: order_completed, from: [visitor] }
  - { to: loyal, when: 'count_in(\"order_completed\", \"90d\") >= 2', from: [buyer] }
---
kind: segment
name: buyers
when: count_in(\"order_completed\", \"30d\") > 0
---
kind: journey
name: win-back
trigger: { segment: buyers, change: left }
entry: { again: after_exit }
steps:
  - send: { template: nudge, topic: service }
---
kind: journey
name: thanks
trigger: { stage: loyal }
steps:
  - set: { status: gold }
  - tag: { name: loyal, for: 5d }
";

#[tokio::test]
async fn a_segment_is_entered_by_an_event_and_left_by_time_and_stages_begin_journeys() {
    let run = started(SEGMENTS).await;
    ada(&run).await;
    take(&run, vec![Call::track("Order Completed", "1", EARLIER).user("ada").with(json!({"total": 10}))])
        .await;
    let customer = user(&run, "ada").await;
    assert_eq!(
        (&customer["stage"], &customer["segments"][0]["segment"]),
        (&json!("buyer"), &json!("buyers"))
    );
    let (status, preview) = run.api("POST", "/api/segments/buyers/preview", None).await;
    assert_eq!((status, &preview["matching"], &preview["of"]), (200, &json!(1), &json!(1)), "{preview:#}");
    assert_eq!(preview["sample"][0], customer["id"]);
    let (_, preview) =
        run.api("POST", "/api/segments/new/preview", Some(json!({"when": "stage == 'visitor'"}))).await;
    assert_eq!(preview["matching"], 0, "{preview:#}");

    take(&run, vec![Call::track("Order Completed", "2", EARLIER).user("ada").with(json!({"total": 10}))])
        .await;
    let customer = user(&run, "ada").await;
    assert_eq!(
        (&customer["stage"], &customer["tags"][0]["tag"]),
        (&json!("loyal"), &json!("loyal")),
        "{customer:#}"
    );
    assert_eq!(customer["profile"]["status"]["value"], "gold");

    // Thirty days later they are out of it, by themselves; the tag's time is over, too.
    for _ in 0..31 {
        run.stack.advance(Duration::from_secs(86_400));
        run.fire_timers().await;
        run.pass(Duration::from_secs(120)).await;
    }
    let customer = user(&run, "ada").await;
    assert_eq!((&customer["segments"], &customer["tags"]), (&json!([]), &json!([])), "{customer:#}");
    assert_eq!(subjects(&run), ["Still there?"]);
    run.finish().await;
}

#[tokio::test]
async fn who_is_erased_leaves_their_journeys_and_nothing_is_left_of_them() {
    let run = started(&format!("{WELCOME}---\n{SEGMENTS}")).await;
    let before = run.table();
    ada(&run).await;
    take(&run, vec![Call::track("Signed Up", "1", EARLIER).user("ada").with(json!({"plan": "ada's plan"}))])
        .await;
    let customer = user(&run, "ada").await;
    let (status, _) =
        run.api("DELETE", &format!("/api/customers/{}", customer["id"].as_str().unwrap()), None).await;
    assert_eq!(status, 202);
    run.settle().await;
    pass_timers(&run, 5).await;
    assert!(run.mails().is_empty(), "what was waited for finds nobody");
    let left: Vec<String> = run
        .table()
        .into_iter()
        .filter(|(key, item)| before.get(key) != Some(item))
        .map(|((pk, sk), item)| format!("{pk} {sk} {item}"))
        .filter(|item| {
            item.contains("ada") || item.contains("Ada") || item.contains(" s ") || item.contains(" r#")
        })
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    run.finish().await;
}
