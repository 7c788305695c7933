//! Journeys: a person whom conditions see, and what is common to the tests.

mod behaviour;
mod dates;
mod faults;
mod model;
mod picture;
mod recorded;

use super::{Change, Decision, Effect, Flow, Given, Input, Run, Sees, What, advance};
use crate::calendar::Zone;
use crate::condition::{Condition, EvalError, Scope};
use crate::event::{Event, EventKind};
use crate::id::{CustomerId, EventId};
use crate::policy::{Document, PolicySet};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A minute.
pub(super) const M: i64 = 60_000;

/// Minutes after the first of December 2026, 00:00 UTC.
pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp(1_796_083_200_000 + minutes * M)
}

/// Somebody.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) tags: BTreeSet<String>,
    pub(super) facts: BTreeMap<String, String>,
    pub(super) zone: Option<&'static str>,
    /// When conditions change by time alone.
    pub(super) edge: Option<Timestamp>,
}

impl Sees for Seen {
    fn holds(&self, condition: &Condition, event: Option<&Event>, at: Timestamp) -> Result<bool, EvalError> {
        let mut scope = Scope::new()
            .with("tags", &json!(self.tags))
            .with("customer", &json!(self.facts))
            .with("score", &json!({"now": at.seconds()}));
        if let Some(event) = event {
            scope = scope.with("event", &json!({"properties": event.properties.reveal()}));
        }
        condition.eval(&scope)
    }

    fn edge(&self, _: &Condition, at: Timestamp) -> Option<Timestamp> {
        self.edge.filter(|edge| *edge > at)
    }

    fn zone(&self) -> Zone {
        self.zone.and_then(Zone::named).unwrap_or_else(Zone::utc)
    }

    fn fact(&self, name: &str) -> Option<String> {
        self.facts.get(name).cloned()
    }
}

pub(super) fn customer() -> CustomerId {
    CustomerId::derived(&["ada"])
}

pub(super) fn event(name: &str, id: &str, minute: i64) -> Event {
    Event {
        id: EventId::derived(&[id]),
        kind: EventKind::Track,
        name: name.to_owned(),
        source: "test".to_owned(),
        at: at(minute),
        received: at(minute),
        properties: serde_json::Map::new().into(),
        traits: serde_json::Map::new().into(),
        context: serde_json::Map::new().into(),
    }
}

/// The journey `j` as a document's JSON says, in a manifest.
pub(super) fn policies(version: u64, mut journey: Value) -> PolicySet {
    journey["kind"] = "journey".into();
    journey["name"] = "j".into();
    PolicySet::build(version, [Document::from_json(journey).unwrap()]).unwrap()
}

/// A stack of one person and one journey, which applies what is decided.
pub(super) struct World {
    pub(super) policies: PolicySet,
    /// The manifest that runs of an earlier version entered by.
    pub(super) before: Option<PolicySet>,
    pub(super) customer: CustomerId,
    pub(super) seen: Seen,
    pub(super) run: Option<Run>,
    pub(super) now: i64,
    pub(super) effects: Vec<Effect>,
    pub(super) why: Vec<String>,
}

impl World {
    pub(super) fn new(journey: Value) -> Self {
        Self {
            policies: policies(1, journey),
            before: None,
            customer: customer(),
            seen: Seen::default(),
            run: None,
            now: 0,
            effects: Vec::new(),
            why: Vec::new(),
        }
    }

    /// Publishes another version.
    pub(super) fn publish(&mut self, journey: Value) {
        let new = policies(self.policies.version + 1, journey);
        self.before = Some(std::mem::replace(&mut self.policies, new));
    }

    pub(super) fn flow(&self) -> &Flow {
        &self.policies.journeys["j"]
    }

    pub(super) fn decide(&self, seen: &Seen, run: Option<&Run>, input: &Input<'_>) -> Decision {
        let given = Given {
            customer: &self.customer,
            current: self.policies.journeys.get("j"),
            pinned: self.before.as_ref().and_then(|policies| policies.journeys.get("j")),
            others: &[],
            sees: seen,
            now: at(self.now),
        };
        advance(run, input, &given)
    }

    /// Decides to the end, as a function does before it commits; with `cut` only the first part.
    pub(super) fn decided(
        &self,
        input: &Input<'_>,
        cut: bool,
    ) -> (Seen, Option<Run>, Vec<Effect>, Vec<String>) {
        let mut seen = self.seen.clone();
        let (mut effects, mut why) = (Vec::new(), Vec::new());
        let mut decision = self.decide(&seen, self.run.as_ref(), input);
        loop {
            for effect in &decision.effects {
                if let What::Change(Change::Tag { name, .. }) = &effect.what {
                    seen.tags.insert(name.clone());
                }
                if let What::Change(Change::Untag(name)) = &effect.what {
                    seen.tags.remove(name);
                }
            }
            effects.extend(decision.effects.clone());
            why.extend(decision.why.iter().map(super::Reason::words));
            if cut || !decision.go_on {
                return (seen, decision.run, effects, why);
            }
            decision = self.decide(&seen, decision.run.as_ref(), &Input::GoOn);
        }
    }

    /// What came in is decided and committed.
    pub(super) fn input(&mut self, input: &Input<'_>) {
        let (seen, run, effects, why) = self.decided(input, false);
        (self.seen, self.run) = (seen, run);
        self.effects.extend(effects);
        self.why.extend(why);
    }

    pub(super) fn event(&mut self, name: &str, minute: i64) {
        self.now = self.now.max(minute);
        let event = event(name, &format!("{name} {minute}"), minute);
        self.input(&Input::Event(&event));
    }

    /// Time passes, and what is due is done in its time.
    pub(super) fn until(&mut self, minute: i64) {
        while let Some(due) =
            self.run.as_ref().and_then(|run| run.due.clone()).filter(|due| due.at <= at(minute))
        {
            self.now = self.now.max((due.at.since(at(0)) + M - 1) / M);
            self.input(&Input::Due(&due.token));
        }
        self.now = minute;
    }

    pub(super) fn run(&self) -> &Run {
        self.run.as_ref().unwrap()
    }

    /// What went out, and the outcome: `1.1.send.a 1.4.send.b completed`.
    pub(super) fn told(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for effect in self.effects.iter().filter(|effect| !matches!(effect.what, What::Told(_))) {
            words.push(effect.part.clone());
        }
        let run = self.run.as_ref();
        words.extend(run.and_then(|run| run.ended.as_ref()).map(|ended| ended.outcome.name().to_owned()));
        words.join(" ")
    }

    pub(super) fn last(&self) -> &str {
        self.why.last().map_or("", String::as_str)
    }
}
