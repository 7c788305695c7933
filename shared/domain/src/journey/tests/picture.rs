//! Pictures: everything is on them, nothing of it is more than text, and boxes and ways do not run into each other.

use super::super::draw;
use super::policies;
use expect_test::expect_file;
use serde_json::{Value, json};

fn picture(journey: Value) -> String {
    draw(&policies(1, journey).journeys["j"])
}

fn send(template: &str) -> Value {
    json!({"send": {"template": template, "topic": "product"}})
}

#[test]
fn a_picture_shows_the_steps_and_the_ways_between_them() {
    let svg = picture(json!({
        "trigger": [{"event": "lead_captured"}, {"date": {"fact": "birth_date", "yearly": true, "days": "3 days before"}}],
        "entry": {"when": "has(customer.email)", "again": {"at_most": 2, "per": "30d"}},
        "exit": {"event": "unsubscribed"}, "goal": {"event": "order_completed", "within": "30d"}, "hold_out": "10%",
        "steps": [
            send("welcome"),
            {"again": {"wait_for": {"event": "email_clicked", "within": "3d", "else": "nudge"}}},
            {"branch": [{"when": "'vip' in tags", "then": "gift"}, {"else": "halves"}]},
            {"gift": {"task": {"title": "Send a present", "within": "2d"}}},
            {"end": {}},
            {"halves": {"split": {"nudge": 3, "done": 1}}},
            {"nudge": send("nudge")},
            {"until_hours": {"mon-fri": "09:00-17:00"}},
            {"goto": "again"},
            {"done": {"tag": {"name": "quiet", "for": "30d"}}}
        ]
    }));
    expect_file!["picture.svg"].assert_eq(&svg);
    for words in [
        "Send welcome",
        "at most 3d",
        "not within 3d",
        "it happened",
        "75%",
        "25%",
        "else",
        "Goal: order_completed within 30d",
    ] {
        assert!(svg.contains(words), "{words}");
    }
    // `goto` is a way and no box.
    assert!(!svg.contains("Go to"));
}

#[test]
fn what_is_written_in_a_journey_is_text_in_its_picture() {
    let svg = picture(json!({
        "trigger": {"event": "go", "when": "event.properties.a < 1 && event.properties.b == \"<script>\""},
        "steps": [
            {"notify": {"text": "</text><script>alert('1')</script> & \u{1b}[31m"}},
            {"notify": {"text": "客户很久没有来访，请尽快联系他们，看看有什么可以帮忙的"}}
        ]
    }));
    assert!(!svg.contains("<script") && !svg.contains('\u{1b}'), "{svg}");
    assert!(svg.contains("&lt;/text&gt;&lt;script&gt;") && svg.contains("…</text>"));
    // Each tag that is opened is closed.
    for tag in ["svg", "g", "text", "title", "style", "defs", "marker"] {
        let opened = svg.matches(&format!("<{tag}>")).count() + svg.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

/// Left, top, right and bottom of each box of a picture.
fn boxes(svg: &str) -> Vec<[i32; 4]> {
    let rects = svg.lines().filter(|line| line.contains("<rect class=\"box\""));
    let read = |line: &str| {
        let rect = &line[line.find("<rect").unwrap()..];
        let value = |name: &str| -> i32 {
            let rest = &rect[rect.find(&format!(" {name}=\"")).unwrap() + name.len() + 3..];
            rest[..rest.find('"').unwrap()].parse().unwrap()
        };
        [value("x"), value("y"), value("x") + value("width"), value("y") + value("height")]
    };
    rects.map(read).collect()
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, ..Default::default() })]

    #[test]
    fn no_box_lies_on_another(journey in super::model::journey()) {
        let svg = picture(journey);
        let boxes = boxes(&svg);
        for (n, one) in boxes.iter().enumerate() {
            for other in &boxes[n + 1..] {
                let apart = one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] || other[3] <= one[1];
                proptest::prop_assert!(apart, "{:?} {:?}", one, other);
            }
        }
    }
}
