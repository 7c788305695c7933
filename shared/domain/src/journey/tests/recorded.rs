//! Runs as they were recorded: whoever is in a journey when new code is deployed goes on as they would have.
//!
//! `recorded.json` holds each decision with what it was made of, run as stored included. A change of the code must leave these
//! decisions as they are; a new kind of decision is added by a new case here, with `UPDATE_EXPECT=1`.

use super::super::{Decision, Input};
use super::{World, event};
use crate::event::Event;
use expect_test::expect_file;
use serde_json::{Value, json};

/// What came in, when, in minutes.
enum In {
    Event(&'static str, i64),
    /// What the run waits for.
    Due(i64),
    Changed(i64, &'static str),
    Publish(i64, Value),
}

struct Case {
    name: &'static str,
    journey: Value,
    inputs: Vec<In>,
}

fn cases() -> Vec<Case> {
    let send =
        |template: &str| json!({"send": {"template": template, "topic": "product", "at_cap": "defer"}});
    let long = json!({
        "trigger": {"event": "lead_captured"}, "entry": {"again": "after_exit"},
        "exit": [{"event": "unsubscribed"}, {"when": "'out' in tags"}],
        "goal": {"event": "order_completed", "within": "30d"},
        "steps": [
            send("welcome"),
            {"wait_for": {"event": "email_clicked", "within": "3d", "else": "nudge"}},
            {"notify": {"rep": "li.wei", "text": "They clicked."}},
            {"score": {"interest": 5}},
            {"tag": {"name": "warm", "for": "30d"}},
            {"branch": [{"when": "'warm' in tags", "then": "halves"}, {"else": "out"}]},
            {"halves": {"split": {"nudge": 1, "call": 1}}},
            {"call": {"task": {"title": "Call them", "within": "2d"}}},
            {"nudge": send("nudge")},
            {"until_hours": {"zone": "Europe/Berlin", "mon-fri": "09:00-17:00"}},
            {"wait": "1d"},
            {"webhook": {"url": "https://crm.example/hook", "secrets": ["env:HOOK"], "facts": ["email"]}},
            {"out": "end"}
        ]
    });
    let mut shorter = long.clone();
    shorter["on_publish"] = json!({"migrate": {}});
    shorter["steps"][1]["wait_for"]["within"] = "1d".into();
    vec![
        Case {
            name: "all the way by time-outs, and once more by a click",
            journey: long.clone(),
            inputs: vec![
                In::Event("lead_captured", 1),
                In::Event("lead_captured", 2),
                In::Due(4_321),
                In::Due(4_860),
                In::Due(6_400),
                In::Event("order_completed", 7_000),
                In::Event("lead_captured", 8_000),
                In::Event("email_clicked", 7_999),
                In::Event("email_clicked", 8_001),
            ],
        },
        Case {
            name: "out by a condition",
            journey: long.clone(),
            inputs: vec![In::Event("lead_captured", 1), In::Changed(2, "none"), In::Changed(3, "out")],
        },
        Case {
            name: "reaches the goal",
            journey: long.clone(),
            inputs: vec![In::Event("lead_captured", 1), In::Event("order_completed", 5)],
        },
        Case {
            name: "goes on by a new version",
            journey: long,
            inputs: vec![In::Event("lead_captured", 1), In::Publish(10, shorter), In::Due(1_441)],
        },
    ]
}

fn decision(decision: &Decision) -> Value {
    json!({"run": decision.run, "effects": decision.effects, "why": decision.why, "go_on": decision.go_on})
}

/// Plays the cases and writes each decision down.
fn record() -> Value {
    let mut recorded = Vec::new();
    for case in cases() {
        let mut world = World::new(case.journey.clone());
        let mut journey = case.journey;
        let mut decisions = Vec::new();
        for input in case.inputs {
            let (mut minute, mut what) = match input {
                In::Event(name, minute) => {
                    (minute, json!({"event": event(name, &format!("{name} {minute}"), minute)}))
                }
                In::Due(minute) => {
                    let due = world.run.as_ref().and_then(|run| run.due.as_ref());
                    (minute, json!({"due": due.map(|due| &due.token)}))
                }
                In::Changed(minute, tag) => {
                    world.seen.tags.insert(tag.to_owned());
                    (minute, json!("changed"))
                }
                In::Publish(minute, new) => {
                    journey = new.clone();
                    world.publish(new);
                    (minute, json!("publish"))
                }
            };
            loop {
                minute = minute.max(world.now);
                world.now = minute;
                let before = world.run.clone();
                let made = read(&what, &|input| world.decide(&world.seen, before.as_ref(), input));
                decisions.push(json!({
                    "minute": minute, "input": what, "tags": world.seen.tags,
                    "journey": journey,
                    "pinned": world.before.as_ref().map(|policies| policies.journeys["j"].journey()),
                    "before": before, "decision": decision(&made),
                }));
                for effect in &made.effects {
                    if let super::What::Change(super::Change::Tag { name, .. }) = &effect.what {
                        world.seen.tags.insert(name.clone());
                    }
                }
                world.run = made.run;
                if !made.go_on {
                    break;
                }
                what = json!("go_on");
            }
        }
        recorded.push(json!({"case": case.name, "decisions": decisions}));
    }
    Value::Array(recorded)
}

fn read(what: &Value, decide: &dyn Fn(&Input<'_>) -> Decision) -> Decision {
    match (what.as_str(), what.get("event"), what.get("due")) {
        (_, Some(event), _) => {
            let event: Event = serde_json::from_value(event.clone()).unwrap();
            decide(&Input::Event(&event))
        }
        (_, _, Some(due)) => decide(&Input::Due(due.as_str().unwrap_or_default())),
        (Some("changed"), ..) => decide(&Input::Changed),
        (Some("publish"), ..) => decide(&Input::Publish),
        (Some("go_on"), ..) => decide(&Input::GoOn),
        _ => panic!("{what} is no input"),
    }
}

#[test]
fn what_was_recorded_is_what_is_decided_now() {
    let text = serde_json::to_string_pretty(&record()).unwrap() + "\n";
    expect_file!["recorded.json"].assert_eq(&text);
}

#[test]
fn runs_of_earlier_code_go_on_as_they_would_have() {
    let recorded: Value = serde_json::from_str(include_str!("recorded.json")).unwrap();
    let mut count = 0;
    for case in recorded.as_array().unwrap() {
        for step in case["decisions"].as_array().unwrap() {
            let mut world = World::new(step["journey"].clone());
            if !step["pinned"].is_null() {
                world.publish(step["journey"].clone());
                world.before = Some(super::policies(1, step["pinned"].clone()));
            }
            world.now = step["minute"].as_i64().unwrap();
            world.seen.tags = serde_json::from_value(step["tags"].clone()).unwrap();
            world.run = serde_json::from_value(step["before"].clone()).unwrap();
            let made = read(&step["input"], &|input| world.decide(&world.seen, world.run.as_ref(), input));
            assert_eq!(decision(&made), step["decision"], "{}: {}", case["case"], step["input"]);
            count += 1;
        }
    }
    assert!(count > 10);
}
