//! Random journeys against a plain model: what a person would say happens, read off the document with a finger. It knows
//! nothing of runs, tokens, receipts or due entries.

use super::super::entry::{chance, is_held_out};
use super::super::{Input, MAX_STEPS};
use super::{World, at, customer};
use crate::policy::journey::{Act, Again, Journey};
use crate::policy::{Document, check};
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How far the clock is turned, in minutes.
pub(super) const HORIZON: i64 = 300;

/// One random step; `to` and `other` are labels of steps.
fn step(steps: usize) -> impl Strategy<Value = Value> {
    let label = move || (0..steps).prop_map(|n| format!("s{n}"));
    let name = || prop_oneof![Just("a"), Just("b")];
    let tag = || prop_oneof![Just("t"), Just("u")];
    prop_oneof![
        3 => name().prop_map(|name| json!({"send": {"template": name, "topic": "service"}})),
        2 => (1..40i64).prop_map(|m| json!({"wait": format!("{m}m")})),
        3 => (name(), 1..60i64, proptest::option::of(label())).prop_map(|(event, m, to)| match to {
            Some(to) => json!({"wait_for": {"event": event, "within": format!("{m}m"), "else": to}}),
            None => json!({"wait_for": {"event": event, "within": format!("{m}m")}}),
        }),
        2 => (tag(), label(), label()).prop_map(|(tag, to, other)| json!({"branch": [
            {"when": format!("'{tag}' in tags"), "then": to}, {"else": other}
        ]})),
        1 => (tag(), label()).prop_map(|(tag, to)| json!({"branch": [
            {"when": format!("'{tag}' in tags"), "then": to}
        ]})),
        2 => tag().prop_map(|tag| json!({"tag": tag})),
        1 => tag().prop_map(|tag| json!({"untag": tag})),
        1 => (label(), label(), 1..5u32).prop_map(|(to, other, weight)| match to == other {
            true => json!({"goto": to}),
            false => json!({"split": {to: weight, other: 2}}),
        }),
        1 => label().prop_map(|to| json!({"goto": to})),
        1 => Just(json!({"notify": "owner"})),
        1 => Just(json!({"end": {}})),
    ]
}

/// A random journey without a circle that takes no time.
pub(super) fn journey() -> impl Strategy<Value = Value> {
    let steps = (1..8usize).prop_flat_map(|steps| proptest::collection::vec(step(steps), steps));
    let again = prop_oneof![
        Just(json!("never")),
        Just(json!("after_exit")),
        Just(json!("always")),
        (1..3u32, 20..200i64).prop_map(|(most, m)| json!({"at_most": most, "per": format!("{m}m")})),
    ];
    let exit = proptest::option::weighted(0.4, Just(json!({"event": "x"})));
    let goal = proptest::option::weighted(
        0.4,
        (10..200i64).prop_map(|m| json!({"event": "g", "within": format!("{m}m")})),
    );
    let hold_out = proptest::option::weighted(0.1, Just(json!("50%")));
    (steps, again, exit, goal, hold_out)
        .prop_map(|(steps, again, exit, goal, hold_out)| {
            let steps: Vec<Value> =
                steps.into_iter().enumerate().map(|(n, step)| json!({format!("s{n}"): step})).collect();
            let mut journey = json!({"trigger": {"event": "go"}, "entry": {"again": again}, "steps": steps});
            for (name, part) in [("exit", exit), ("goal", goal), ("hold_out", hold_out)] {
                if let Some(part) = part {
                    journey[name] = part;
                }
            }
            journey
        })
        .prop_filter("no circle without a wait", |journey| {
            let mut document = journey.clone();
            document["kind"] = "journey".into();
            document["name"] = "j".into();
            let document = Document::from_json(document).unwrap();
            !check(&[document]).iter().any(|finding| finding.message.contains("circle"))
        })
}

/// Events by name and minute, in the order in which they happen. No two happen at once: which of those counts is for the ids
/// to say.
pub(super) fn events() -> impl Strategy<Value = Vec<(&'static str, i64)>> {
    let name = prop_oneof![
        3 => Just("a"), 3 => Just("b"), 1 => Just("x"), 1 => Just("g"), 2 => Just("go"), 1 => Just("other")
    ];
    proptest::collection::vec((name, 1..HORIZON), 0..15).prop_map(|mut events| {
        events.sort_by_key(|(_, minute)| *minute);
        events.dedup_by_key(|(_, minute)| *minute);
        events.insert(0, ("go", 0));
        events
    })
}

/// What the model says of a person.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Story {
    /// Effects by run, step of the run, and name.
    pub(super) done: Vec<String>,
    pub(super) tags: BTreeSet<String>,
    pub(super) outcome: Option<&'static str>,
    pub(super) goal: Option<Timestamp>,
}

struct Model {
    journey: Journey,
    story: Story,
    n: u32,
    visits: u32,
    entered: i64,
    entries: Vec<i64>,
    /// The step they wait at, since when and until when; none is that they are not in it.
    at: Option<(usize, i64, i64)>,
}

impl Model {
    fn label(&self, label: &str) -> usize {
        self.journey.steps.iter().position(|step| step.label.as_deref() == Some(label)).unwrap()
    }

    fn leave(&mut self, outcome: &'static str) {
        self.at = None;
        self.story.outcome = Some(outcome);
    }

    fn walk(&mut self, mut at: usize, now: i64) {
        loop {
            let Some(step) = self.journey.steps.get(at).cloned() else { return self.leave("completed") };
            if self.visits >= MAX_STEPS {
                return self.leave("failed");
            }
            self.visits += 1;
            let part = format!("{}.{}.{}", self.n, self.visits, step.label.as_deref().unwrap());
            at = match &step.act {
                Act::Wait(length) => return self.at = Some((at, now, now + length.millis() / super::M)),
                Act::WaitFor(wait) => {
                    return self.at = Some((at, now, now + wait.within.millis() / super::M));
                }
                Act::Branch(cases) => {
                    let case = cases.iter().find(|case| {
                        let has = |tag: &String| {
                            case.when.as_ref().is_some_and(|when| when.contains(&format!("'{tag}'")))
                        };
                        case.otherwise.is_some() || self.story.tags.iter().any(has)
                    });
                    case.and_then(|case| case.label()).map_or(at + 1, |label| self.label(label))
                }
                Act::Split(arms) => {
                    let total: u32 = arms.values().sum();
                    let name = step.label.as_deref().unwrap();
                    let mut ball =
                        (chance(&["split", "j", name, customer().as_str()]) % u64::from(total)) as u32;
                    let mut to = "";
                    for (label, weight) in arms {
                        to = label;
                        if ball < *weight {
                            break;
                        }
                        ball -= weight;
                    }
                    self.label(to)
                }
                Act::Goto(label) => self.label(label),
                Act::End(_) => return self.leave("completed"),
                Act::Tag(tag) => {
                    self.story.tags.insert(tag.name.clone());
                    self.story.done.push(part);
                    at + 1
                }
                Act::Untag(tag) => {
                    self.story.tags.remove(tag);
                    self.story.done.push(part);
                    at + 1
                }
                _ => {
                    self.story.done.push(part);
                    at + 1
                }
            };
        }
    }

    /// Waits that are over before `now` (at `now`, if nothing else happens then).
    fn pass(&mut self, now: i64, and_then_nothing: bool) {
        while let Some((at, _, until)) = self.at {
            if until > now || (until == now && !and_then_nothing) {
                return;
            }
            match &self.journey.steps[at].act {
                Act::WaitFor(wait) => match wait.otherwise.clone() {
                    Some(label) => self.walk(self.label(&label), until),
                    None => self.walk(at + 1, until),
                },
                _ => self.walk(at + 1, until),
            }
        }
    }

    fn happens(&mut self, name: &str, now: i64) {
        self.pass(now, false);
        let in_window = |goal: i64, entered: i64| (now - entered) * super::M <= goal;
        if self.n > 0 {
            let goal = self.journey.goal.as_ref().filter(|goal| goal.event.as_deref() == Some(name));
            let is_goal = goal.is_some_and(|goal| in_window(goal.within.millis(), self.entered));
            if is_goal && self.story.goal.is_none() {
                self.story.goal = Some(at(now));
                if self.at.is_some() {
                    self.leave("goal");
                }
            } else if self.at.is_some() && name == "x" && !self.journey.exit.is_empty() {
                self.leave("exited");
            }
        }
        if let Some((step, ..)) = self.at
            && matches!(&self.journey.steps[step].act, Act::WaitFor(wait) if wait.event == name)
        {
            self.walk(step + 1, now);
        }
        if name == "go" {
            self.trigger(now);
        }
    }

    fn trigger(&mut self, now: i64) {
        let may = match self.journey.entry.again {
            Again::Never => self.n == 0,
            Again::AfterExit => self.at.is_none(),
            Again::Always => true,
            Again::Limited(limit) => {
                let recent =
                    self.entries.iter().filter(|time| (now - **time) * super::M < limit.per.millis());
                self.at.is_none() && recent.count() < limit.at_most as usize
            }
        };
        if !may {
            return;
        }
        self.n += 1;
        (self.visits, self.entered) = (0, now);
        self.entries.push(now);
        (self.story.outcome, self.story.goal) = (None, None);
        match self.journey.hold_out.is_some_and(|share| is_held_out(share, "j", &customer())) {
            true => self.leave("held_out"),
            false => self.walk(0, now),
        }
    }
}

/// What happens to whoever these events are of.
pub(super) fn told(journey: &Value, events: &[(&str, i64)]) -> Story {
    let world = World::new(journey.clone());
    let journey = world.flow().journey().clone();
    let mut model = Model {
        journey,
        story: Story::default(),
        n: 0,
        visits: 0,
        entered: 0,
        entries: Vec::new(),
        at: None,
    };
    for (name, minute) in events {
        model.happens(name, *minute);
    }
    model.pass(HORIZON, true);
    model.story
}

/// What became of somebody in a world.
pub(super) fn lived(world: &World) -> Story {
    let told = |effect: &&super::Effect| !matches!(effect.what, super::What::Told(_));
    Story {
        done: world.effects.iter().filter(told).map(|effect| effect.part.clone()).collect(),
        tags: world.seen.tags.clone(),
        outcome: world.run.as_ref().and_then(|run| run.ended.as_ref()).map(|ended| ended.outcome.name()),
        goal: world.run.as_ref().and_then(|run| run.goal),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// When everything comes in its time.
    #[test]
    fn a_journey_does_what_its_document_says(journey in journey(), events in events()) {
        let mut world = World::new(journey.clone());
        for (name, minute) in &events {
            // What is due at the minute of an event may come before it or after it: an event in time counts.
            world.until(minute - 1);
            world.event(name, *minute);
        }
        world.until(HORIZON);
        prop_assert_eq!(lived(&world), told(&journey, &events));
    }
}

#[test]
fn the_model_can_tell_a_difference() {
    let journey =
        json!({"trigger": {"event": "go"}, "steps": [{"s0": {"wait": "10m"}}, {"s1": {"notify": "owner"}}]});
    let mut world = World::new(journey.clone());
    world.event("go", 0);
    let skipped = Input::Due("1.1.1.nothing");
    world.now = 20;
    world.input(&skipped);
    assert_ne!(lived(&world), told(&journey, &[("go", 0)]));
}
