//! A campaign as a person reads it.

use super::super::output::{Failure, note, pretty, say};
use super::StackArgs;
use super::find;
use serde::Deserialize;
use serde_json::Value;
use sluice_domain::campaign::first;
use sluice_domain::policy::campaign::At;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often it is shown again.
const AGAIN: Duration = Duration::from_secs(2);
/// Characters of the bar.
const BAR: usize = 30;
/// What is shown of each variant.
const COLUMNS: [&str; 6] = ["sent", "delivered", "opened", "clicked", "bounced", "unsubscribed"];

pub(super) async fn run(name: &str, watch: bool, stack: &StackArgs) -> Result<(), Failure> {
    loop {
        let view = find(name, stack).await?;
        if stack.json {
            say(&pretty(&view));
            return Ok(());
        }
        print(&view, stack).await;
        let state = view["state"].as_str().unwrap_or_default();
        if !watch || !matches!(state, "scheduled" | "running") {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
        say("");
    }
}

/// The campaign and its newest broadcasts.
pub(super) async fn print(view: &Value, stack: &StackArgs) {
    let text = |name: &str| view[name].as_str().unwrap_or_default();
    say(&format!("{}: {}", text("name"), text("state")));
    if !text("description").is_empty() {
        say(&format!("  {}", text("description")));
    }
    if view["document"].is_null() {
        say("  Its document is not published any more.");
    }
    let broadcasts = view["broadcasts"].as_array().into_iter().flatten();
    let mut begun: Vec<&Value> = Vec::new();
    for one in broadcasts {
        match one["began"].is_null() && one["state"] == "scheduled" {
            true => say(&format!("  goes out {} (broadcast {})", when(one), one["broadcast"])),
            false => begun.push(one),
        }
    }
    begun.iter().for_each(|one| broadcast(one, text("name")));
    if text("state") == "draft" {
        note(&of_draft(text("name"), &view["document"]["at"], stack.now().await));
    }
}

/// What there is to do for a campaign that nobody scheduled.
fn of_draft(name: &str, at: &Value, now: Timestamp) -> String {
    let at = At::deserialize(at).unwrap_or_default();
    match first(&at, now) {
        Ok(_) => format!("Nobody scheduled it: `sluice campaign schedule {name}` lets it go out."),
        Err(_) => {
            "Nobody scheduled it, and the time that its document says has passed: publish it with another one."
                .to_owned()
        }
    }
}

fn broadcast(one: &Value, name: &str) {
    let by = one["by"].as_str().unwrap_or_default();
    say("");
    say(&format!("  broadcast {}: {}, {}, by {by}", one["broadcast"], words(&one["state"]), when(one)));
    let spans = [("began", "began"), ("last_slot", "last message due"), ("ended", "ended")];
    let spans =
        spans.iter().filter_map(|(key, word)| Some(format!("{word} {}", instant(one[*key].as_str()?))));
    let spans: Vec<String> = spans.collect();
    if !spans.is_empty() {
        say(&format!("    {}", spans.join(", ")));
    }
    let counts = &one["counts"];
    let n = |name: &str| counts[name].as_i64().unwrap_or(0);
    let (planned, waiting) = (n("planned"), n("waiting"));
    if planned > 0 {
        let done = (planned - waiting).max(0);
        let rest = rest(words(&one["state"]), waiting);
        say(&format!("    {}  {} of {} people, {rest}", bar(done, planned), done, planned));
    }
    let sent = n("sent");
    let mut parts = vec![format!("sent {sent}")];
    for name in ["delivered", "opened", "clicked", "unsubscribed", "bounced", "complained"] {
        parts.push(format!("{name} {}", rate(n(name), sent)));
    }
    for name in ["failed", "unknown"].into_iter().filter(|name| n(name) > 0) {
        parts.push(format!("{name} {}", n(name)));
    }
    say(&format!("    {}", parts.join("   ")));
    if n("held_out") > 0 {
        say(&format!("    held out {}: they get nothing, to compare with", n("held_out")));
    }
    let skipped: BTreeMap<&String, i64> = one["skipped"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(why, _)| *why != "held_out")
        .map(|(why, n)| (why, n.as_i64().unwrap_or(0)))
        .collect();
    if !skipped.is_empty() {
        let why: Vec<String> =
            skipped.iter().map(|(why, n)| format!("{} {n}", why.replace('_', " "))).collect();
        say(&format!("    left out {}: {}", skipped.values().sum::<i64>(), why.join(", ")));
    }
    variants(one);
    let stopped = &one["stopped"];
    if let Some(why) = stopped["why"].as_str() {
        let at = instant(stopped["at"].as_str().unwrap_or_default());
        say(&format!("    stopped {at}: {why}"));
        if one["state"] == "stopped" {
            say(&format!("    `sluice campaign resume {name}` lets it go on, `… cancel {name}` ends it."));
        }
    }
}

fn variants(one: &Value) {
    let variants: Vec<&Value> = one["variants"].as_array().into_iter().flatten().collect();
    if variants.is_empty() {
        return;
    }
    let head = COLUMNS.iter().fold(String::new(), |head, word| format!("{head}{word:>14}"));
    say(&format!("    {:<16}{head}", "variant"));
    for variant in variants {
        let sent = variant["sent"].as_i64().unwrap_or(0);
        let cells = COLUMNS.iter().fold(String::new(), |cells, name| {
            let n = variant[*name].as_i64().unwrap_or(0);
            let cell = if *name == "sent" { n.to_string() } else { rate(n, sent) };
            format!("{cells}{cell:>14}")
        });
        say(&format!("    {:<16}{cells}", words(&variant["variant"])));
    }
    if let Some(winner) = one["winner"]["variant"].as_str() {
        let at = instant(one["winner"]["at"].as_str().unwrap_or_default());
        say(&format!("    {winner} won and goes to everybody else, since {at}"));
    }
}

fn when(one: &Value) -> String {
    let at = instant(one["at"].as_str().unwrap_or_default());
    match one["local_time"].as_str() {
        Some(local) => format!("{} where each recipient lives, first at {at}", local.replace('T', " ")),
        None => at,
    }
}

/// A number, and its part of what went out.
fn rate(n: i64, sent: i64) -> String {
    match (n, sent) {
        (0, _) | (_, ..=0) => n.to_string(),
        _ => format!("{n} ({:.1}%)", n as f64 * 100.0 / sent as f64),
    }
}

/// What becomes of those whose turn has not come.
fn rest(state: &str, waiting: i64) -> String {
    match (state, waiting) {
        ("cancelled", 1..) => format!("the other {waiting} are left out"),
        _ => format!("{waiting} to go"),
    }
}

fn bar(done: i64, all: i64) -> String {
    let part = |of: i64| usize::try_from(done.clamp(0, all) * of / all.max(1)).unwrap_or(0);
    let filled = part(i64::try_from(BAR).unwrap_or(0));
    format!("[{}{}] {:>3}%", "#".repeat(filled), "-".repeat(BAR - filled.min(BAR)), part(100))
}

/// `2026-12-02 09:30 UTC` of a time in RFC 3339.
pub(super) fn instant(text: &str) -> String {
    match Timestamp::parse(text) {
        Some(_) => format!("{} UTC", text.get(..16).unwrap_or(text).replace('T', " ")),
        None => text.to_owned(),
    }
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_draft_whose_time_has_passed_is_not_told_to_be_scheduled() {
        let now = Timestamp::parse("2026-03-02T09:00:00Z").unwrap();
        for (at, can_go) in [
            (Value::Null, true),
            (json!("now"), true),
            (json!({ "time": "2026-03-02T09:00:00Z" }), true),
            (json!({ "time": "2026-03-01T09:00:00Z" }), false),
            (json!({ "local_time": "2026-02-28T09:00" }), false),
            (json!({ "every": "day", "time": "08:00", "zone": "UTC" }), true),
        ] {
            let said = of_draft("spring", &at, now);
            assert_eq!(said.contains("sluice campaign schedule spring"), can_go, "{at}: {said}");
            assert_eq!(said.contains("has passed"), !can_go, "{at}: {said}");
        }
    }

    #[test]
    fn a_bar_is_as_full_as_what_is_done() {
        assert_eq!(bar(0, 4), format!("[{}]   0%", "-".repeat(30)));
        assert_eq!(bar(1, 2), format!("[{}{}]  50%", "#".repeat(15), "-".repeat(15)));
        assert_eq!(bar(9, 9), format!("[{}] 100%", "#".repeat(30)));
        assert_eq!((rate(0, 0), rate(3, 0), rate(1, 8)), ("0".into(), "3".into(), "1 (12.5%)".into()));
        assert_eq!(instant("2026-12-02T09:30:05.000Z"), "2026-12-02 09:30 UTC");
    }

    #[test]
    fn of_a_cancelled_broadcast_nobody_is_to_go() {
        assert_eq!(rest("cancelled", 2_875), "the other 2875 are left out");
        assert_eq!((rest("cancelled", 0), rest("sending", 3)), ("0 to go".into(), "3 to go".into()));
    }
}
