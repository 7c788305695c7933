//! Journeys among everything else that follows from an event: what they hear of, and what they tell.

use super::kept::{DAY, Kept, id, names, told};
use crate::event::Own;
use crate::insight::{Counter, day};
use crate::journey::{Reason, Script, Somebody, is_held_out, play};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn a_way_out_by_what_an_event_leads_to_is_taken_at_once_as_when_it_is_tried() {
    let documents = [
        json!({"kind": "segment", "name": "buyers", "when": "count_in('order_completed', '30d') >= 1"}),
        json!({
            "kind": "journey", "name": "care", "trigger": {"event": "trial_started"},
            "exit": {"when": "'buyers' in segments"}, "steps": [{"wait": "9d"}, {"tag": "late"}]
        }),
    ];
    let mut kept = Kept::new(&documents, ["ada"]);
    assert_eq!(names(&kept.happens("ada", "trial_started", json!({}))), ["journey_entered"]);
    kept.later(1);
    let bought = kept.happens("ada", "order_completed", json!({"order_id": "7", "total": 9}));
    assert_eq!(names(&bought), ["segment_entered", "journey_ended"]);
    assert_eq!(told(&bought)[1].properties["outcome"], "exited");

    let events = json!([{"event": "trial_started"}, {"event": "order_completed", "at": "1d"}]);
    let person: Somebody = serde_json::from_value(json!({ "events": events })).unwrap();
    let (from, until) = (kept.now, kept.now.plus_millis(20 * DAY));
    let lines = play(&kept.policies, Script { journey: "care", person: &person, from, until }).unwrap();
    let words: Vec<(i64, &str)> =
        lines.iter().map(|line| (line.at.since(from) / DAY, line.words.as_str())).collect();
    assert!(words.contains(&(1, "Leaves: a condition that ends the journey holds.")), "{words:?}");
}

#[test]
fn a_condition_that_is_a_goal_counts_for_those_held_out_and_after_the_end_within_its_window() {
    let documents = [json!({
        "kind": "journey", "name": "greet", "trigger": {"event": "signed_up"}, "hold_out": "50%",
        "goal": {"when": "'gold' in tags", "within": "10d"}, "steps": [{"tag": "greeted"}]
    })];
    let people: Vec<String> = (0..20).map(|n| format!("p{n}")).collect();
    let mut kept = Kept::new(&documents, people.iter().map(String::as_str));
    let share = kept.policies.journeys["greet"].journey().hold_out.unwrap();
    for who in &people {
        kept.happens(who, "signed_up", json!({}));
    }
    kept.later(9);
    let mut parts = BTreeSet::new();
    let (soon, late) = people.split_at(10);
    for who in soon {
        let taken = kept.happens(who, "tag_added", json!({"tag": "gold"}));
        assert_eq!(names(&taken), ["tagged", "journey_goal_reached"]);
        let held_out = is_held_out(share, "greet", &id(who));
        assert_eq!(told(&taken)[1].properties.contains_key("held_out"), held_out);
        parts.insert(held_out);
    }
    assert_eq!(parts.len(), 2, "of each part is one");
    kept.now = kept.now.plus_millis(1);
    for who in soon {
        kept.happens(who, "tag_removed", json!({"tag": "gold"}));
    }
    kept.later(1);
    for who in soon {
        let again = kept.happens(who, "tag_added", json!({"tag": "gold"}));
        assert_eq!(names(&again), ["tagged"], "once is all");
    }
    kept.later(1);
    for who in late {
        let late = kept.happens(who, "tag_added", json!({"tag": "gold"}));
        assert_eq!(names(&late), ["tagged"], "its window is over");
    }
}

#[test]
fn a_goal_after_the_end_counts_for_a_run_of_a_record_that_gave_way() {
    let documents = [json!({
        "kind": "journey", "name": "greet", "trigger": {"event": "signed_up"}, "entry": {"again": "after_exit"},
        "goal": {"event": "order_completed", "within": "10d"}, "steps": [{"tag": "greeted"}]
    })];
    let mut kept = Kept::new(&documents, ["ada", "half"]);
    let began = kept.now.rfc3339();
    kept.happens("half", "signed_up", json!({}));
    kept.later(1);
    kept.join("half", "ada");
    let bought = kept.happens("ada", "order_completed", json!({"order_id": "7", "total": 9}));
    assert_eq!(names(&bought), ["journey_goal_reached"]);
    assert_eq!(told(&bought)[0].properties["entered"], began);
    assert_eq!(kept.runs[&(id("half"), "greet".to_owned())].goal, Some(kept.now));
    let more = kept.happens("ada", "order_completed", json!({"order_id": "8", "total": 9}));
    assert_eq!(names(&more), Vec::<&str>::new(), "once is all");

    // What makes them enter is for the live record.
    let again = kept.happens("ada", "signed_up", json!({}));
    assert_eq!(names(&again), ["journey_entered", "tagged", "journey_ended"]);
    assert!(kept.runs.contains_key(&(id("ada"), "greet".to_owned())));
}

#[test]
fn what_is_told_of_a_run_that_gives_way_to_a_new_one_is_told_as_its_own() {
    let journey = |steps: Value| {
        json!({
            "kind": "journey", "name": "care", "trigger": {"event": "order_completed"}, "entry": {"again": "always"},
            "goal": {"event": "order_completed", "within": "30d"}, "steps": steps
        })
    };
    let said = |own: &Own, name: &str| own.properties.get(name).cloned().unwrap_or_default();
    let order = |n: &str| json!({"order_id": n, "total": 9});
    // One that is under way, and one that is over.
    for (steps, before, outcomes) in [
        (json!([{"wait": "9d"}]), vec!["journey_entered"], vec!["goal"]),
        (json!([{"tag": "thanked"}]), vec!["journey_entered", "tagged", "journey_ended"], vec![]),
    ] {
        let mut kept = Kept::new(&[journey(steps)], ["ada"]);
        let first = kept.now.rfc3339();
        assert_eq!(names(&kept.happens("ada", "order_completed", order("1"))), before);
        kept.later(2);
        let again = kept.happens("ada", "order_completed", order("2"));
        let all = told(&again);
        let of = |run: u32| -> Vec<&Own> {
            let of_journey = all.iter().filter(|own| own.name.starts_with("journey_"));
            of_journey.filter(|own| said(own, "run") == run).copied().collect()
        };
        let old: Vec<&str> = of(1).iter().map(|own| own.name.as_str()).collect();
        assert_eq!(old[0], "journey_goal_reached");
        assert!(of(1).iter().all(|own| said(own, "entered") == first), "{all:?}");
        let ended = of(1).into_iter().filter(|own| own.name == "journey_ended");
        let ended: Vec<Value> = ended.map(|own| said(own, "outcome")).collect();
        assert_eq!(ended, outcomes);
        assert_eq!(of(2)[0].name, "journey_entered");
        assert!(of(2).iter().all(|own| said(own, "entered") == kept.now.rfc3339()), "{all:?}");
        // The first counts as reached on the day on which it began.
        let reached: Vec<_> =
            again.tallies.iter().filter(|(.., counts)| counts.contains_key(&Counter::Reached)).collect();
        assert_eq!(reached.len(), 1);
        assert_eq!(reached[0].0, day(kept.now.plus_millis(-2 * DAY)));
    }
}

#[test]
fn the_receipt_of_an_event_that_moves_a_run_on_and_begins_another_has_each_step_under_its_run() {
    let journey = |steps: Value| {
        json!({
            "kind": "journey", "name": "care", "trigger": {"event": "order_completed"}, "entry": {"again": "always"},
            "steps": steps
        })
    };
    let wait_for = json!({"wait_for": {"event": "order_completed", "within": "9d"}});
    // One that has to leave, and one that was at its end.
    let (leaves, ends) = (json!([{"tag": "regular"}, {"wait": "9d"}]), json!([{"tag": "regular"}]));
    for (more, steps) in [(leaves, 2), (ends, 1)] {
        let all = [json!([wait_for.clone()]), more].map(|part| part.as_array().unwrap().clone()).concat();
        let mut kept = Kept::new(&[journey(Value::from(all))], ["ada"]);
        kept.happens("ada", "order_completed", json!({"order_id": "1", "total": 9}));
        kept.later(2);
        let again = kept.happens("ada", "order_completed", json!({"order_id": "2", "total": 9}));
        let moved: Vec<_> = again.entries.iter().flat_map(|(_, entry)| &entry.led.moved).collect();
        assert_eq!(moved.iter().map(|moved| moved.run).collect::<Vec<_>>(), [1, 2], "{moved:?}");
        let begun = |n: usize| moved[n].why.iter().filter(|why| matches!(why, Reason::Begun(_))).count();
        assert_eq!((begun(0), begun(1)), (steps, 1), "{moved:?}");
        assert!(matches!(moved[0].why.last(), Some(Reason::Ended(_))), "{moved:?}");
        assert_eq!(moved[1].why[0], Reason::Entered(2));
        assert_eq!(kept.runs[&(id("ada"), "care".to_owned())].visits, 1);
    }
}

#[test]
fn who_is_in_a_journey_that_is_removed_is_told_to_have_left_it() {
    let care = json!({
        "kind": "journey", "name": "care", "trigger": {"event": "trial_started"}, "steps": [{"wait": "9d"}]
    });
    let mut kept = Kept::new(&[care], ["ada"]);
    let first = kept.now.rfc3339();
    kept.happens("ada", "trial_started", json!({}));
    kept.later(1);
    kept.policies.journeys.clear();
    let left = kept.happens("ada", "page_liked", json!({}));
    assert_eq!(names(&left), ["journey_ended"]);
    let said = json!({"journey": "care", "run": 1, "entered": first, "outcome": "exited"});
    assert_eq!(Value::Object(told(&left)[0].properties.clone()), said);
    assert!(kept.happens("ada", "page_liked", json!({})).is_idle());
}
