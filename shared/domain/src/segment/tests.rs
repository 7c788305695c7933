//! When a segment is looked at, and that an event costs the same however many there are.

use super::*;
use crate::condition::Condition;
use crate::customer::{Customer, Whole};
use crate::event::{Event, EventKind};
use crate::id::{CustomerId, EventId};
use crate::live::{Live, Person, View};
use crate::pii::Pii;
use crate::policy::{Document, PolicySet};
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_795_260_000_000);
const DAY: i64 = 86_400_000;

fn build(documents: impl IntoIterator<Item = Value>) -> PolicySet {
    PolicySet::build(1, documents.into_iter().map(|document| Document::from_json(document).unwrap())).unwrap()
}

fn segments(conditions: &[&str]) -> PolicySet {
    let document =
        |(i, when): (usize, &&str)| json!({"kind": "segment", "name": format!("s{i}"), "when": when});
    build(conditions.iter().enumerate().map(document))
}

fn event(id: u32, name: &str, at: Timestamp) -> Event {
    Event {
        id: EventId::derived(&["segment test", &id.to_string()]),
        kind: EventKind::Track,
        name: name.to_owned(),
        source: "shop".to_owned(),
        at,
        received: at,
        properties: Pii::new(json!({"total": 10}).as_object().unwrap().clone()),
        traits: Pii::default(),
        context: Pii::default(),
    }
}

fn customer() -> Customer {
    Customer::new(CustomerId::derived(&["somebody"]), NOW.plus_millis(-100 * DAY))
}

#[test]
fn an_event_is_looked_at_by_those_who_ask_for_it_however_many_there_are() {
    for n in [10, 100, 1_000] {
        let mut all = vec![
            json!({"kind": "segment", "name": "buyers", "when": "count_in('order_completed', '30d') >= 1"}),
            json!({"kind": "segment", "name": "quiet", "when": "silent_for('order_completed', '60d')"}),
        ];
        all.extend((0..n).map(|i| {
            let when = match i % 5 {
                0 => format!("count_in('event_{i}', '30d') >= 1"),
                1 => format!("customer.fact_{i} == 'x'"),
                2 => format!("'tag_{i}' in tags"),
                3 => format!("silent_for('{}d')", 20 + i),
                _ => format!("'s{}' in segments && since('event_{i}') > 3", i - 1),
            };
            json!({"kind": "segment", "name": format!("s{i}"), "when": when})
        }));
        let policies = build(all);
        let mut live = Live::new(&policies.live);
        live.apply(&event(1, "order_completed", NOW.plus_millis(-DAY)), &policies.live, NOW);
        let applied = live.apply(&event(2, "order_completed", NOW), &policies.live, NOW);
        let touched = policies.live.index.touched(&applied.changed);
        assert_eq!(touched.len(), 2, "of {n}: {touched:?}");
        let nobody = live.apply(&event(3, "nobody_asks", NOW.plus_millis(1)), &policies.live, NOW);
        assert_eq!(policies.live.index.touched(&nobody.changed).len(), 0, "of {n}");
    }
}

#[test]
fn who_asks_for_a_shorter_silence_than_was_ended_looks() {
    let policies = segments(&["silent_for('7d')", "silent_for('30d')", "silent_for('90d')"]);
    let mut live = Live::new(&policies.live);
    live.apply(&event(1, "x", NOW.plus_millis(-40 * DAY)), &policies.live, NOW);
    let applied = live.apply(&event(2, "y", NOW), &policies.live, NOW);
    assert_eq!(applied.changed.silence, Some(40 * DAY));
    let touched = policies.live.index.touched(&applied.changed);
    assert_eq!(touched, [Target::Segment("s0".into()), Target::Segment("s1".into())].into());
    let late = live.apply(&event(3, "z", NOW.plus_millis(-10 * DAY)), &policies.live, NOW);
    assert_eq!(late.changed.silence, None, "what came late ended no silence");
}

#[test]
fn facts_tags_and_segments_lead_to_who_reads_them() {
    let policies = segments(&[
        "customer.plan == 'pro'",
        "has(customer.country)",
        "'vip' in tags",
        "tags.exists(tag, tag.startsWith('v'))",
        "'s0' in segments",
        "customer.exists(name, name == 'x')",
        "stage == ''",
    ]);
    let touched = |changed: Changed| -> Vec<String> {
        let touched = policies.live.index.touched(&changed).into_iter();
        touched
            .filter_map(|target| if let Target::Segment(name) = target { Some(name) } else { None })
            .collect()
    };
    let input = |input: Input| Changed { inputs: [input].into(), ..Changed::default() };
    assert_eq!(touched(Changed::facts(["plan"])), ["s0", "s5"]);
    assert_eq!(touched(input(Input::Tag("vip".into()))), ["s2", "s3"]);
    assert_eq!(touched(input(Input::Tag("other".into()))), ["s3"]);
    assert_eq!(touched(input(Input::Segment("s0".into()))), ["s4"]);
    assert_eq!(touched(input(Input::Stage)), ["s6"]);
    assert_eq!(touched(Changed::time()), Vec::<String>::new());
    assert_eq!(touched(Changed::everything()).len(), 7);
}

#[test]
fn a_preview_counts_and_shows_some() {
    let policies = build([]);
    let condition = Condition::compile("customer.leads >= 3").unwrap();
    let broken = Condition::compile("customer.shoe_size > 40").unwrap();
    let customers: Vec<Customer> = (0..100u32)
        .map(|i| Customer { id: CustomerId::derived(&[&i.to_string()]), leads: i % 4, ..customer() })
        .collect();
    let live = Live::default();
    let people: Vec<Person<'_>> = customers
        .iter()
        .map(|root| Person { whole: Whole { root, halves: Vec::new() }, halves: Vec::new() })
        .collect();
    let views = || people.iter().map(|person| View::of(person, &live, &policies, NOW));
    let shown = preview(&condition, views());
    assert_eq!((shown.of, shown.matching, shown.errors, shown.sample.len()), (100, 25, 0, 20));
    assert_eq!(shown.sample[0], customers[3].id);
    let shown = preview(&broken, views());
    assert_eq!((shown.matching, shown.errors, shown.error.as_deref()), (0, 100, Some("no field shoe_size")));
}

#[test]
fn edges_are_where_an_answer_changes() {
    let at = |days: i64| NOW.plus_millis(days * DAY);
    let policies = segments(&[
        "count_in('a', '30d') >= 1",
        "count_in('a', '30d') >= 2",
        "silent_for('a', '30d')",
        "since('a') > 10",
        "silent_for('never', '365d')",
        "count_in('a', '30d') == 0",
        "count_in('a', '30d') + 0 >= 1",
        "rfm.recency >= 5",
        "score.interest < 5",
    ]);
    let mut live = Live::new(&policies.live);
    for (i, day) in [-20, -9, -2].into_iter().enumerate() {
        live.apply(&event(i as u32, "a", at(day)), &policies.live, NOW);
    }
    live.apply(&event(9, "order_completed", at(-1)), &policies.live, NOW);
    let customer = customer();
    let person = Person { whole: Whole { root: &customer, halves: Vec::new() }, halves: Vec::new() };
    let view = View::of(&person, &live, &policies, NOW);
    let edge =
        |name: &str| view.edge(&policies.live.segments[name].condition).map(|edge| edge.since(NOW) / DAY);
    let edges: Vec<Option<i64>> = (0..9).map(|i| edge(&format!("s{i}"))).collect();
    let wanted = [Some(28), Some(21), Some(28), Some(8), Some(265), Some(28), Some(10), Some(4), None];
    assert_eq!(edges, wanted);
}

const CONDITIONS: [&str; 12] = [
    "count_in('a', '3d') >= 2",
    "count_in('a', '10d') != 3",
    "count_in('b', '24h') == 0",
    "count_in('a', '5d') > count_in('b', '9d')",
    "silent_for('4d')",
    "silent_for('b', '36h') || silent_for('a', '6d')",
    "since('a') >= 2.5",
    "since('b') < 7 && since('a') > 1",
    "rfm.recency <= 3 || rfm.tier == 'vip'",
    "score.interest >= 12 || score.interest < -2",
    "score.interest_grade == 'hot'",
    "churn == 'warning' || churn == 'high'",
];

proptest! {
    /// The law of edges: until then nothing changes.
    #[test]
    fn until_its_edge_no_answer_changes(
        events in proptest::collection::vec((0..400i64, 0..4usize), 0..25),
        which in 0..CONDITIONS.len(),
        steps in proptest::collection::vec(1..40i64, 30),
    ) {
        let mut documents = vec![
            json!({"kind": "settings", "name": "default", "rfm": {"tiers": [{"name": "vip", "recency": "6d"}]},
                "churn": {"warning": 2, "high": 3, "least": 3, "events": []}}),
            json!({"kind": "scoring", "name": "default", "interest": {"half_life": "3d",
                "rules": [{"name": "a", "on": "a", "points": 10}, {"name": "b", "on": "b", "points": -5}],
                "grades": [{"name": "hot", "from": 15}]}}),
        ];
        documents.extend(CONDITIONS.iter().enumerate().map(|(i, when)| {
            json!({"kind": "segment", "name": format!("s{i}"), "when": when})
        }));
        let policies = build(documents);
        let mut live = Live::new(&policies.live);
        for (i, (hours, name)) in events.iter().enumerate() {
            let name = ["a", "b", "c", "order_completed"][*name];
            live.apply(&event(i as u32, name, NOW.plus_millis(-hours * 3_600_000)), &policies.live, NOW);
        }
        let customer = customer();
        let person = Person { whole: Whole { root: &customer, halves: Vec::new() }, halves: Vec::new() };
        let condition = &policies.live.segments[&format!("s{which}")].condition;
        let view = View::of(&person, &live, &policies, NOW);
        let (answer, edge) = (view.holds(condition, None), view.edge(condition));
        let mut at = NOW;
        for step in steps {
            at = at.plus_millis(step * 977_777);
            if edge.is_some_and(|edge| at >= edge) {
                break;
            }
            let later = View::of(&person, &live, &policies, at).holds(condition, None);
            prop_assert_eq!(&later, &answer, "{} at {} hours, edge {:?}", CONDITIONS[which],
                at.since(NOW) / 3_600_000, edge.map(|edge| edge.since(NOW) / 3_600_000));
        }
    }
}
