//! Journeys among everything else that follows from an event: what they hear of, and what they tell.

use super::kept::{DAY, Kept, names, told};
use crate::journey::{Script, Somebody, play};
use serde_json::json;

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
