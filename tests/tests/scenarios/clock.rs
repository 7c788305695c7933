//! The response clock: reminders, reassignment, the first contact, and how fast leads were answered.

use crate::pages::all;
use crate::routing::{owner, policies};
use serde_json::{Value, json};
use sluice_tests::stack::{Running, Setup};
use std::collections::BTreeSet;
use std::time::Duration;

const EVERYONE: &str = "  - name: all\n    assign: { team: sdr }\n";

/// Two reps and a boss; the team's document goes on with `more`.
fn team(more: &str) -> String {
    let members = format!("[{{ rep: one, capacity: 9 }}, {{ rep: two, capacity: 9 }}]\n{more}");
    policies(&["one", "two"], &[("sdr", &members)], EVERYONE)
}

fn usual() -> String {
    team("response: { within: 10m, remind: [\"50%\"], limit: 1, catch_all: { rep: boss } }\n")
}

/// Waits until nothing is being worked on; what waits for its time may wait.
async fn quiet(run: &Running) {
    let busy = |queue: &String| {
        let depth = run.stack.sqs.depth(queue).unwrap();
        depth.visible + depth.in_flight > 0
    };
    while run.queues().iter().any(busy) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Lets time pass at once.
async fn leap(run: &Running, seconds: u64) {
    run.stack.advance(Duration::from_secs(seconds));
    run.invoke("fire-timers", &json!({})).await.unwrap();
    quiet(run).await;
}

/// Lets minutes pass one by one, as the timers see them.
async fn minutes(run: &Running, minutes: u64) {
    for _ in 0..minutes {
        leap(run, 60).await;
    }
}

async fn act(run: &Running, token: &str, lead: &str, what: &str, body: Value) -> (u16, Value) {
    let answer = run.api_as(Some(token), "POST", &format!("/api/leads/{lead}/{what}"), Some(body)).await;
    quiet(run).await;
    answer
}

fn reminders(run: &Running, rep: &str) -> usize {
    let to = format!("{rep}@reps.example");
    let told =
        |(to_all, text): &(Vec<String>, String)| to_all.contains(&to) && text.contains("first contact");
    run.mails().iter().filter(|mail| told(mail)).count()
}

#[tokio::test]
async fn a_silent_owner_is_reminded_then_a_colleague_gets_the_lead_then_the_catch_all() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "slow@person.example")]).await;
    let first = owner(&run, &lead).await;
    let second = if first == "one" { "two" } else { "one" };
    let view = run.show(&lead).await;
    assert_eq!((&view["clock"]["team"], &view["clock"]["within"]), (&json!("sdr"), &json!("10m")));
    assert_eq!((&view["clock"]["due"]["point"], &view["clock"]["running"]), (&json!("50%"), &json!(true)));

    minutes(&run, 4).await;
    assert_eq!(reminders(&run, &first), 0);
    minutes(&run, 3).await;
    assert_eq!(reminders(&run, &first), 1);
    let mail = run.mails().pop().unwrap().1;
    assert!(mail.contains("5m of your working time are left") && mail.contains(&lead), "{mail}");
    let view = run.show(&lead).await;
    assert_eq!(view["clock"]["reminded"][0]["point"], "50%", "{:#}", view["clock"]);
    assert_eq!((&view["owner"], &view["clock"]["due"]["point"]), (&json!(first), &json!("100%")));

    minutes(&run, 5).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["assignment"]["n"]), (&json!(second), &json!(2)), "{view:#}");
    assert_eq!((&view["past"][0]["rep"], &view["past"][0]["why"]), (&json!(first), &json!("silent")));
    let why = view["why"].to_string();
    assert!(why.contains(&format!("{first}: passed over, let this lead's time run out")), "{why}");
    assert!(why.contains(&format!("Assigned to {second} (reassignment 1)")), "{why}");

    minutes(&run, 12).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["clock"]), (&json!("boss"), &Value::Null), "{view:#}");
    assert_eq!((reminders(&run, &first), reminders(&run, second), reminders(&run, "boss")), (1, 1, 0));
    // Neither of the two has the lead, so both have room again.
    let teams = run.table();
    let sdr = teams[&("team#sdr".to_owned(), "t".to_owned())]["d"]["S"].as_str().unwrap().to_owned();
    let sdr: Value = serde_json::from_str(&sdr).unwrap();
    assert_eq!((&sdr["m"]["one"]["o"], &sdr["m"]["two"]["o"]), (&json!(0), &json!(0)), "{sdr}");
    run.finish().await;
}

#[tokio::test]
async fn a_lead_whose_rep_was_reminded_is_in_their_list_once_over_all_pages() {
    const LEADS: usize = 60;
    let sdr = "[{ rep: one }]\nresponse: { within: 10m, remind: [\"50%\"], then: remind_only }\n";
    let run = Setup::policies(policies(&["one"], &[("sdr", sdr)], EVERYONE)).start().await;
    let mut posted = BTreeSet::new();
    for at in 0..LEADS {
        let email = format!("again{at}@person.example");
        posted.insert(run.post("contact", &[("email", email.as_str())]).await.lead_id());
    }
    quiet(&run).await;
    minutes(&run, 7).await;
    assert_eq!(reminders(&run, "one"), LEADS);
    let (listed, pages) = all(&run, &run.token, "/api/leads?owner=one", "leads").await;
    assert_eq!((listed.len(), pages), (LEADS, 2), "of more notices than are looked at for a page");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), posted);
    run.finish().await;
}

#[tokio::test]
async fn an_old_lead_that_goes_to_the_catch_all_leaves_its_customer_with_who_has_them_by_now() {
    let rules = "  - { name: named, when: 'has(lead.fields.two)', assign: { rep: two } }\n  - { name: all, assign: { team: sdr } }\n";
    let members = "[{ rep: one }]\nresponse: { within: 10m, limit: 1, catch_all: { rep: boss } }\n";
    let run = Setup::policies(policies(&["one", "two"], &[("sdr", members)], rules)).start().await;
    let email = ("email", "slow@person.example");
    let old = run.lead(&[email]).await;
    assert_eq!(owner(&run, &old).await, "one");
    let newer = run.lead(&[email, ("two", "1")]).await;
    assert_eq!(owner(&run, &newer).await, "two");
    // For today they are away.
    let away = json!({"leave": [{"from": run.show(&newer).await["received"]}]});
    assert_eq!(run.api("PUT", "/api/reps/two/leave", Some(away)).await.0, 200);
    minutes(&run, 12).await;
    assert_eq!(run.show(&old).await["assignment"]["rep"], "boss");
    let (_, customer) = run.lookup(json!({"email": email.1})).await;
    assert_eq!(customer["owner"]["rep"], "two", "{customer:#}");
    run.finish().await;
}

#[tokio::test]
async fn the_first_contact_stops_the_clock_for_good_and_is_counted_once() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "called@person.example")]).await;
    let rep = owner(&run, &lead).await;
    let other = if rep == "one" { "two" } else { "one" };
    let (mine, theirs) = (run.new_token("rep", Some(&rep)).await, run.new_token("rep", Some(other)).await);
    minutes(&run, 3).await;
    assert_eq!(act(&run, &mine, &lead, "accept", json!({})).await.0, 200);
    assert_eq!(run.show(&lead).await["clock"]["running"], true, "accepting is no contact");
    for (body, field) in [
        (json!({}), "channel"),
        (json!({"channel": "two words"}), "channel"),
        (json!({"channel": "phone", "at": "2030-01-01T00:00:00Z"}), "at"),
        (json!({"channel": "phone", "at": "2020-01-01T00:00:00Z"}), "at"),
        (json!({"channel": "phone", "at": "then"}), "at"),
        (json!({"channel": "phone", "key": ""}), "key"),
    ] {
        let (status, problem) = act(&run, &mine, &lead, "contacts", body).await;
        let expected = if field == "key" { 400 } else { 422 };
        assert_eq!((status, problem["field"].as_str()), (expected, Some(field)), "{problem:#}");
    }
    let call = json!({"channel": "phone", "note": "wants a demo", "key": "call-1"});
    assert_eq!(act(&run, &theirs, &lead, "contacts", call.clone()).await.0, 404, "not the peer's lead");
    let (status, answer) = act(&run, &mine, &lead, "contacts", call.clone()).await;
    assert_eq!((status, &answer["contact"]["by"]), (200, &json!(rep)), "{answer:#}");
    assert_eq!(answer["first"]["within"], true);
    let written = run.table();
    assert_eq!(act(&run, &mine, &lead, "contacts", call).await, (200, answer));
    assert_eq!(run.table(), written, "the same key, the same contact");
    let (status, problem) =
        act(&run, &mine, &lead, "contacts", json!({"channel": "email", "key": "call-1"})).await;
    assert_eq!((status, problem["type"].as_str()), (409, Some("urn:sluice:problem:idempotency-key-reused")));
    assert_eq!(act(&run, &mine, &lead, "contacts", json!({"channel": "email"})).await.0, 200);

    minutes(&run, 30).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["clock"]["running"]), (&json!(rep), &json!(false)), "{view:#}");
    assert_eq!(view["contacts"].as_array().map(Vec::len), Some(2));
    assert_eq!(reminders(&run, &rep), 0);
    // Nor does a new owner get a clock.
    let (_, view) = act(&run, &run.token, &lead, "reassign", json!({"rep": other})).await;
    assert_eq!(view["clock"], Value::Null);
    let (status, report) = run.api("GET", "/api/insight/speed-to-lead?by=rep", None).await;
    assert_eq!((status, &report["all"]["count"]), (200, &json!(1)), "{report:#}");
    assert_eq!((&report["groups"][0]["rep"], &report["all"]["within_window"]), (&json!(rep), &json!(1.0)));
    run.finish().await;
}

#[tokio::test]
async fn a_lead_given_by_hand_has_a_clock_of_its_own_and_closing_stops_it() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "hand@person.example")]).await;
    let first = owner(&run, &lead).await;
    let second = if first == "one" { "two" } else { "one" };
    minutes(&run, 3).await;
    let (_, view) = act(&run, &run.token, &lead, "reassign", json!({"rep": second})).await;
    assert_eq!(
        (&view["clock"]["team"], &view["past"][0]["why"]),
        (&json!("sdr"), &json!("given")),
        "{view:#}"
    );
    minutes(&run, 4).await;
    assert_eq!(
        (reminders(&run, &first), reminders(&run, second)),
        (0, 0),
        "the first one's entry is nobody's"
    );
    minutes(&run, 3).await;
    assert_eq!((reminders(&run, &first), reminders(&run, second)), (0, 1));
    let (_, view) = act(&run, &run.token, &lead, "close", json!({})).await;
    assert_eq!(view["clock"]["running"], false);
    minutes(&run, 12).await;
    assert_eq!(run.show(&lead).await["assignment"]["rep"], second);
    run.finish().await;
}

#[tokio::test]
async fn what_nobody_answers_waits_for_a_person_and_is_not_routed_again() {
    let run = Setup::policies(team("response: { within: 5m, limit: 1 }\n")).start().await;
    let lead = run.lead(&[("email", "nobody@person.example")]).await;
    let first = owner(&run, &lead).await;
    minutes(&run, 14).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["state"], &view["owner"]), (&json!("escalated"), &Value::Null), "{view:#}");
    let told = |run: &Running| run.mails().iter().filter(|(to, _)| to[0].starts_with("boss@")).count();
    assert_eq!(told(&run), 1);
    minutes(&run, 20).await;
    assert_eq!((run.show(&lead).await["state"].clone(), told(&run)), (json!("escalated"), 1));
    let token = run.new_token("rep", Some(&first)).await;
    let (status, view) = act(&run, &token, &lead, "claim", json!({})).await;
    assert_eq!(
        (status, &view["owner"], &view["assignment"]["n"]),
        (200, &json!(first), &json!(3)),
        "{view:#}"
    );
    assert_eq!(view["clock"]["running"], true, "whoever claims it has a window");
    assert_eq!(act(&run, &token, &lead, "contacts", json!({"channel": "phone"})).await.0, 200);
    minutes(&run, 8).await;
    assert_eq!(owner(&run, &lead).await, first);
    run.finish().await;
}

#[tokio::test]
async fn those_that_wait_for_a_person_keep_nobody_waiting_who_could_be_taken() {
    let teams = [
        ("sdr", "[{ rep: one }]\nresponse: { within: 2h, then: escalate }"),
        ("tiny", "[{ rep: only, capacity: 1 }]"),
    ];
    let rules = "  - name: tiny\n    when: has(lead.fields.desk)\n    assign: { team: tiny }\n  \
                 - name: all\n    when: \"!has(lead.fields.desk)\"\n    assign: { team: sdr }\n";
    let run = Setup::policies(policies(&["one", "only"], &teams, rules)).start().await;
    for n in 0..12 {
        run.lead(&[("email", &format!("silent{n}@person.example"))]).await;
    }
    leap(&run, 7_200).await;
    leap(&run, 60).await;
    let waiting = run.ledger().await["in_flight"]["escalated"].clone();
    assert_eq!(waiting, 12, "they wait for a person, older than any other");
    let mut leads = Vec::new();
    for email in ["tiny0@person.example", "tiny1@person.example"] {
        leads.push(run.lead(&[("email", email), ("desk", "tiny")]).await);
    }
    assert_eq!(run.show(&leads[1]).await["state"], "escalated");
    let (status, _) = act(&run, &run.token, &leads[0], "close", json!({"reason": "won"})).await;
    assert_eq!(status, 200);
    run.settle().await;
    assert_eq!(owner(&run, &leads[1]).await, "only", "at once, not in an hour");
    assert_eq!(run.ledger().await["in_flight"]["escalated"], 12);
    run.finish().await;
}

#[tokio::test]
async fn a_window_runs_in_working_time_and_heeds_leave_that_is_set_later() {
    let hours =
        "hours: { zone: Europe/Berlin, mon-fri: \"09:00-17:00\" }\nresponse: { within: 10m, limit: 2 }\n";
    let run = Setup::policies(team(hours)).start().await;
    // Friday, 16:55 in Berlin.
    leap(&run, 4 * 86_400 + 6 * 3_600 + 55 * 60).await;
    let lead = run.lead(&[("email", "weekend@person.example")]).await;
    let first = owner(&run, &lead).await;
    minutes(&run, 8).await;
    leap(&run, 2 * 86_400).await;
    minutes(&run, 2).await;
    assert_eq!(owner(&run, &lead).await, first, "nobody works at the weekend");
    let token = run.new_token("rep", Some(&first)).await;
    let leave = json!({"leave": [{"from": "2026-03-09", "to": "2026-03-09"}]});
    let (status, answer) =
        run.api_as(Some(&token), "PUT", &format!("/api/reps/{first}/leave"), Some(leave)).await;
    assert_eq!(status, 200, "{answer:#}");
    // Monday, 9:20: the point is not reached for somebody on leave.
    leap(&run, 86_400 - 8 * 3_600).await;
    minutes(&run, 20).await;
    let view = run.show(&lead).await;
    assert_eq!(view["owner"], json!(first), "{view:#}");
    assert!(
        view["clock"]["due"]["at"].as_str().unwrap().starts_with("2026-03-10T08:05"),
        "{:#}",
        view["clock"]
    );
    leap(&run, 86_400).await;
    minutes(&run, 3).await;
    assert_ne!(owner(&run, &lead).await, first);
    let (_, _) = act(&run, &run.token, &lead, "close", json!({})).await;
    leap(&run, 86_400).await;
    minutes(&run, 3).await;
    run.finish().await;
}

#[tokio::test]
async fn a_leave_that_was_mistyped_does_not_put_a_clock_to_sleep_until_its_end() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "typo@person.example")]).await;
    let first = owner(&run, &lead).await;
    // They are told of it twice.
    for rep in [if first == "one" { "two" } else { "one" }, first.as_str()] {
        assert_eq!(act(&run, &run.token, &lead, "reassign", json!({"rep": rep})).await.0, 200);
        quiet(&run).await;
    }
    let leave = |to: &str| {
        let (run, path) = (&run, format!("/api/reps/{first}/leave"));
        let body = json!({"leave": [{"from": "2026-03-02", "to": to}]});
        async move { assert_eq!(run.api("PUT", &path, Some(body)).await.0, 200) }
    };
    let due = |view: &Value| view["clock"]["due"]["at"].as_str().unwrap_or_default().to_owned();
    leave("2027-03-02").await;
    minutes(&run, 6).await;
    assert!(due(&run.show(&lead).await).starts_with("2027-03-03"), "asleep for a year");
    leave("2026-03-02").await;
    quiet(&run).await;
    let view = run.show(&lead).await;
    assert!(due(&view).starts_with("2026-03-03T00:05"), "{view:#}");
    leap(&run, 86_400).await;
    minutes(&run, 3).await;
    assert_ne!(owner(&run, &lead).await, first, "the window of the day after is over");
    // What it was to wake up for a year later is nobody's.
    assert_eq!(act(&run, &run.token, &lead, "close", json!({})).await.0, 200);
    leap(&run, 367 * 86_400).await;
    run.finish().await;
}

/// The document of a rep who plans to be away.
fn planned(rep: &str, to: &str) -> String {
    format!("kind: rep\nname: {rep}\nemail: {rep}@reps.example\nleave: [{{ from: 2026-03-02, to: {to} }}]\n")
}

#[tokio::test]
async fn a_planned_leave_that_was_mistyped_is_mended_by_publishing_it_anew() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "plan@person.example")]).await;
    let first = owner(&run, &lead).await;
    let due = |view: &Value| view["clock"]["due"]["at"].as_str().unwrap_or_default().to_owned();
    run.publish(&planned(&first, "2027-03-02")).await;
    minutes(&run, 6).await;
    assert!(due(&run.show(&lead).await).starts_with("2027-03-03"), "asleep for a year");
    run.publish(&planned(&first, "2026-03-02")).await;
    minutes(&run, 1).await;
    let view = run.show(&lead).await;
    assert!(due(&view).starts_with("2026-03-03T00:05"), "{view:#}");
    assert_eq!(act(&run, &run.token, &lead, "close", json!({})).await.0, 200);
    leap(&run, 367 * 86_400).await;
    run.finish().await;
}

#[tokio::test]
async fn who_goes_on_leave_with_no_end_known_does_not_keep_the_lead() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "gone@person.example")]).await;
    let first = owner(&run, &lead).await;
    let second = if first == "one" { "two" } else { "one" };
    let path = format!("/api/reps/{first}/leave");
    let now = run.show(&lead).await["received"].clone();
    assert_eq!(run.api("PUT", &path, Some(json!({"leave": [{"from": now}]}))).await.0, 200);
    minutes(&run, 7).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["clock"]["running"]), (&json!(second), &json!(true)), "{view:#}");
    assert_eq!((&view["past"][0]["rep"], &view["past"][0]["why"]), (&json!(first), &json!("away")));
    assert_eq!(reminders(&run, &first), 0);
    let why = view["why"].to_string();
    assert!(why.contains(&format!("{first} is away with no end known")), "{why}");
    // The other one goes as well.
    let path = format!("/api/reps/{second}/leave");
    assert_eq!(run.api("PUT", &path, Some(json!({"leave": [{"from": now}]}))).await.0, 200);
    minutes(&run, 7).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["clock"]), (&json!("boss"), &Value::Null), "{view:#}");
    run.finish().await;
}

#[tokio::test]
async fn who_is_only_reminded_is_reminded_once_they_are_back_from_a_leave_without_an_end() {
    let run = Setup::policies(team("response: { within: 10m, remind: [\"50%\"], then: remind_only }\n"))
        .start()
        .await;
    let lead = run.lead(&[("email", "patient@person.example")]).await;
    let other = run.lead(&[("email", "other@person.example")]).await;
    let (first, second) = (owner(&run, &lead).await, owner(&run, &other).await);
    let leave = |leave: Value| {
        let (run, path) = (&run, format!("/api/reps/{first}/leave"));
        async move { assert_eq!(run.api("PUT", &path, Some(json!({"leave": [leave]}))).await.0, 200) }
    };
    let now = run.show(&lead).await["received"].clone();
    leave(json!({"from": now})).await;
    minutes(&run, 7).await;
    assert_eq!(
        (reminders(&run, &first), reminders(&run, &second)),
        (0, 1),
        "the last reminder there is goes out"
    );
    let view = run.show(&lead).await;
    assert_eq!((&view["owner"], &view["clock"]["running"]), (&json!(first), &json!(true)), "{view:#}");
    let tomorrow = json!({"point": "50%", "at": "2026-03-03T00:00:00.000Z"});
    assert_eq!((&view["clock"]["away"], &view["clock"]["due"]), (&json!(true), &tomorrow), "{view:#}");
    assert!(view["why"].to_string().contains(&format!("{first} is away with no end known")), "{view:#}");

    // The end is known in the evening, and the clock has looked by the time she is back.
    leave(json!({"from": now, "to": "2026-03-03"})).await;
    leap(&run, 16 * 3_600).await;
    let view = run.show(&lead).await;
    assert_eq!((&view["clock"]["away"], reminders(&run, &first)), (&json!(false), 0), "{view:#}");
    leap(&run, 23 * 3_600).await;
    minutes(&run, 7).await;
    assert_eq!((owner(&run, &lead).await, reminders(&run, &first)), (first.clone(), 1));
    let view = run.show(&lead).await;
    assert_eq!((&view["clock"]["running"], &view["reproduced"]), (&json!(false), &json!(true)), "{view:#}");
    // Nothing is left to remind of.
    leap(&run, 2 * 86_400).await;
    assert_eq!((reminders(&run, &first), reminders(&run, &second)), (1, 1));
    run.finish().await;
}

#[tokio::test]
async fn speed_to_lead_is_reported_by_source_team_and_rep_within_its_bound() {
    let run = Setup::policies(team("response: { within: 2h, then: escalate }\n")).start().await;
    let mut waited = Vec::new();
    for at in 0..12u64 {
        let lead = run.post("contact", &[("email", &format!("speed{at}@person.example"))]).await.lead_id();
        quiet(&run).await;
        let seconds = 7 * (at + 1) * (at + 1) * (at + 1);
        leap(&run, seconds).await;
        let (status, answer) = act(&run, &run.token, &lead, "contacts", json!({"channel": "phone"})).await;
        assert_eq!(status, 200, "{answer:#}");
        waited.push(answer["first"]["elapsed_ms"].as_f64().unwrap() / 1000.0);
    }
    waited.sort_by(f64::total_cmp);
    for (by, groups) in [("source", 1), ("team", 1), ("rep", 2)] {
        let path = format!("/api/insight/speed-to-lead?by={by}&since=2026-03-01&until=2026-03-31");
        let (status, report) = run.api("GET", &path, None).await;
        assert_eq!((status, report["groups"].as_array().map(Vec::len)), (200, Some(groups)), "{report:#}");
        let counts =
            report["groups"].as_array().unwrap().iter().map(|group| group["count"].as_u64().unwrap());
        assert_eq!(counts.sum::<u64>(), 12);
        for (name, rank) in [("p50", 6), ("p90", 11), ("p99", 12)] {
            let (found, exact) = (report["all"]["elapsed_seconds"][name].as_f64().unwrap(), waited[rank - 1]);
            assert!((found - exact).abs() <= exact * 0.05 + 0.1, "{name}: {found} for {exact}");
        }
        let within = waited.iter().filter(|seconds| **seconds <= 7_200.0).count() as f64 / 12.0;
        assert!((report["all"]["within_window"].as_f64().unwrap() - within).abs() < 0.001, "{report:#}");
    }
    for (query, field) in
        [("by=owner", "by"), ("since=yesterday", "since"), ("since=2026-03-31&until=2026-03-01", "since")]
    {
        let (status, problem) = run.api("GET", &format!("/api/insight/speed-to-lead?{query}"), None).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem:#}");
    }
    let empty = run.api("GET", "/api/insight/speed-to-lead?since=2025-01-01&until=2025-01-31", None).await.1;
    assert_eq!((&empty["all"]["count"], &empty["all"]["elapsed_seconds"]["p50"]), (&json!(0), &Value::Null));
    // The entries of clocks that were stopped are still to come.
    leap(&run, 7_800).await;
    minutes(&run, 3).await;
    run.finish().await;
}

#[tokio::test]
async fn trying_a_lead_says_which_clock_would_start() {
    let run = Setup::policies(usual()).start().await;
    let asked = json!({"form": "contact", "body": "{\"email\":\"try@person.example\"}"});
    let (status, tried) = run.api("POST", "/api/leads/try", Some(asked)).await;
    assert_eq!((status, &tried["clock"]["within"]), (200, &json!("10m")), "{tried:#}");
    assert!(tried["why"].to_string().contains("Response clock of team sdr: 10m of"), "{tried:#}");
    run.finish().await;
}

#[tokio::test]
async fn speed_to_lead_counts_working_time_apart_from_the_time_that_passed() {
    let hours = "hours: { zone: Europe/Berlin, mon-fri: \"09:00-17:00\" }\nresponse: { within: 2h, then: escalate }\n";
    let run = Setup::policies(team(hours)).start().await;
    // Friday, 16:50 in Berlin; in touch on Monday at 9:20: half an hour of work later.
    leap(&run, 4 * 86_400 + 6 * 3_600 + 50 * 60).await;
    let lead = run.lead(&[("email", "weekend@person.example")]).await;
    leap(&run, 2 * 86_400 + 16 * 3_600 + 30 * 60).await;
    let (status, answer) = act(&run, &run.token, &lead, "contacts", json!({"channel": "phone"})).await;
    assert_eq!(status, 200, "{answer:#}");
    let (passed, worked) = ((2 * 86_400 + 16 * 3_600 + 30 * 60) as f64, 1_800.0);
    let near = |found: &Value, exact: f64, error: f64| {
        let found = found.as_f64().unwrap_or_default();
        // The stack's clock goes on while it works.
        assert!(
            found >= exact * (1.0 - error) && found <= (exact + 60.0) * (1.0 + error),
            "{found} for {exact}"
        );
    };
    near(&json!(answer["first"]["elapsed_ms"].as_f64().unwrap() / 1000.0), passed, 0.0);
    near(&json!(answer["first"]["working_ms"].as_f64().unwrap() / 1000.0), worked, 0.0);
    for by in ["source", "team", "rep"] {
        let path = format!("/api/insight/speed-to-lead?by={by}&since=2026-03-01&until=2026-03-31");
        let (status, report) = run.api("GET", &path, None).await;
        assert_eq!((status, report["groups"].as_array().map(Vec::len)), (200, Some(1)), "{report:#}");
        for figures in [&report["all"], &report["groups"][0]] {
            for name in ["p50", "p90", "p99"] {
                near(&figures["elapsed_seconds"][name], passed, 0.05);
                near(&figures["working_seconds"][name], worked, 0.05);
            }
            assert_eq!(
                (&figures["count"], &figures["within_window"]),
                (&json!(1), &json!(1.0)),
                "{report:#}"
            );
        }
    }
    // The entry of the clock that was stopped is still to come.
    leap(&run, 7_800).await;
    minutes(&run, 3).await;
    run.finish().await;
}

#[tokio::test]
async fn how_late_a_point_is_acted_on_is_measured() {
    let run = Setup::policies(usual()).start().await;
    let lead = run.lead(&[("email", "late@person.example")]).await;
    let late = || run.metrics.sum("ClockLateness", ("Stack", "sluice"));
    // The owner is to be reminded after five minutes, and nothing runs for two more.
    leap(&run, 4 * 60).await;
    assert_eq!(late(), 0.0);
    leap(&run, 3 * 60).await;
    assert!((120_000.0..150_000.0).contains(&late()), "{} ms", late());
    assert_eq!(run.metrics.sum("Reminders", ("Stack", "sluice")), 1.0);
    // What fires for nobody is not late.
    let before = late();
    act(&run, &run.token, &lead, "close", json!({})).await;
    leap(&run, 30 * 60).await;
    assert_eq!((late(), run.metrics.sum("ClockStale", ("Stack", "sluice"))), (before, 1.0));
    run.finish().await;
}
