//! `sluice campaign`: the real command against a running stack.

use crate::campaigns::{DOCUMENTS, document};
use crate::command::{Command, Sluice};
use serde_json::{Value, json};
use sluice_domain::policy::SEEN_MS;
use sluice_domain::time::Timestamp;
use std::process::Output;

const START: &str = "2026-03-02T09:00:00Z";

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn publish(sluice: &Sluice, campaign: &str) {
    let files = json!({"files": [
        {"file": "more.yaml", "text": DOCUMENTS}, {"file": "campaign.yaml", "text": document(campaign)},
    ]});
    let answer = sluice.api("POST", "/api/policies/apply", Some(files)).await;
    assert!(answer["version"].is_number(), "{answer:#}");
    pass(sluice, SEEN_MS).await;
}

/// Time passes, with all that is due in it.
async fn pass(sluice: &Sluice, millis: i64) {
    let clock = sluice.api("GET", "/_local/clock", None).await;
    let to = Timestamp::parse(clock["now"].as_str().unwrap()).unwrap().plus_millis(millis).rfc3339();
    let moved = sluice.api("POST", &format!("/_local/clock?to={to}"), None).await;
    assert_eq!(moved["settled"], true, "{moved:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_is_looked_at_tried_scheduled_held_back_and_seen_to_its_end() {
    let data = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(data.path()).now(Timestamp::parse(START).unwrap())).await;
    let campaign = |arguments: &[&str]| sluice.tool(&[&["campaign"], arguments].concat());
    assert!(String::from_utf8_lossy(&campaign(&["list"]).stderr).contains("sluice apply"));
    assert!(refused(&campaign(&["show", "spring"])).contains("nor any other"));
    publish(&sluice, "at: now\nrate: 2\nvariants: [{ name: plain }, { name: bold, template: spring-b }]")
        .await;
    for n in 0..12 {
        let body =
            format!("email=p{n}%40person.example&company=Acme&time_zone=Asia%2FShanghai&full_name=P{n}");
        let lead = sluice.post(&body).await.unwrap().lead_id();
        sluice.ended(&lead).await;
    }
    assert!(out(&campaign(&["list"])).contains("draft"));
    let shown = campaign(&["show", "spring"]);
    assert!(String::from_utf8_lossy(&shown.stderr).contains("sluice campaign schedule spring"), "{shown:?}");

    let preview = out(&campaign(&["preview", "spring"]));
    assert!(
        preview.contains("12 of 12 people (segment acme)") && preview.contains("6 s for 12"),
        "{preview}"
    );
    assert!(preview.contains("plain 1, bold 1") && preview.contains("(Asia/Shanghai)"), "{preview}");
    let preview: Value = serde_json::from_str(&out(&campaign(&["preview", "spring", "--json"]))).unwrap();
    assert_eq!((&preview["messages"], &preview["seconds"]), (&json!(12), &json!(6)), "{preview:#}");

    let trial = ["test", "spring", "--to", "me@shop.example", "--variant", "bold"];
    assert!(out(&campaign(&trial)).contains("me@shop.example"));
    pass(&sluice, 1_000).await;
    let mails = sluice.api("GET", "/_local/mail?format=json&q=me@shop.example", None).await;
    assert_eq!(mails["mails"].as_array().map(Vec::len), Some(1), "{mails:#}");
    assert!(refused(&campaign(&["test", "spring", "--to", "me"])).contains("no address"));

    for _ in 0..2 {
        let scheduled = out(&campaign(&["schedule", "spring", "--key", "launch"]));
        assert!(scheduled.contains("(broadcast 1)"), "{scheduled}");
    }
    assert!(refused(&campaign(&["schedule", "spring"])).to_lowercase().contains("cancel"));
    let paused = out(&campaign(&["pause", "spring"]));
    assert!(paused.contains("spring: paused"), "{paused}");
    pass(&sluice, 120_000).await;
    assert!(out(&campaign(&["show", "spring"])).contains("paused"));
    assert!(out(&campaign(&["resume", "spring"])).contains("broadcast 1"));
    pass(&sluice, 300_000).await;
    let shown = out(&campaign(&["show", "spring", "--watch"]));
    assert!(shown.contains("100%  12 of 12 people") && shown.contains("sent 12"), "{shown}");
    assert!(shown.contains("bold") && shown.contains("spring: done"), "{shown}");
    assert!(refused(&campaign(&["cancel", "spring"])).contains("cannot be cancelled"));
    assert!(refused(&campaign(&["pause", "nowhere"])).contains("there are spring"));
    let shown: Value = serde_json::from_str(&out(&campaign(&["show", "spring", "--json"]))).unwrap();
    assert_eq!(shown["broadcasts"][0]["counts"]["sent"], 12, "{shown:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_says_what_each_of_some_would_get_and_when_it_is_that_time_there() {
    let data = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(data.path()).now(Timestamp::parse(START).unwrap())).await;
    let campaign = |arguments: &[&str]| sluice.tool(&[&["campaign"], arguments].concat());
    publish(
        &sluice,
        "audience: { query: has(customer.email) }\nat: { local_time: \"2026-03-03T09:00\" }\nhold_out: 50%",
    )
    .await;
    for (n, zone) in ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Asia/Tokyo"].iter().enumerate() {
        let zone = zone.replace('/', "%2F");
        let body = format!("email=p{n}%40person.example&time_zone={zone}");
        let lead = sluice.post(&body).await.unwrap().lead_id();
        sluice.ended(&lead).await;
    }
    let preview: Value = serde_json::from_str(&out(&campaign(&["preview", "spring", "--json"]))).unwrap();
    assert_eq!((&preview["held_out"], &preview["messages"]), (&json!(2), &json!(2)), "{preview:#}");
    assert_eq!(preview["first"], "2026-03-02T19:00:00.000Z", "{preview:#}");
    let sample = preview["sample"].as_array().unwrap();
    assert_eq!(sample.len(), 4, "{preview:#}");
    for one in sample {
        let expected = match one["zone"].as_str().unwrap() {
            "Asia/Shanghai" => "2026-03-03T01:00:00.000Z",
            "America/New_York" => "2026-03-03T14:00:00.000Z",
            "Europe/Berlin" => "2026-03-03T08:00:00.000Z",
            _ => "2026-03-03T00:00:00.000Z",
        };
        assert_eq!(one["at"], expected, "{one}");
    }
    let words = out(&campaign(&["preview", "spring"]));
    assert!(words.contains("2026-03-03 09:00 where each recipient lives"), "{words}");

    publish(&sluice, "at: { time: \"2026-03-01T09:00:00Z\" }").await;
    assert!(refused(&campaign(&["preview", "spring"])).contains("has passed"));
    let shown = campaign(&["show", "spring"]);
    let said = String::from_utf8_lossy(&shown.stderr);
    assert!(said.contains("has passed") && !said.contains("campaign schedule"), "{said}");
    assert!(refused(&campaign(&["schedule", "spring"])).contains("Publish it with another one"));
    assert!(refused(&campaign(&["test", "spring", "--to", "me@shop.example"])).contains("--customer"));
}
