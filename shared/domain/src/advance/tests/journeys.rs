//! Journeys among everything else that follows from an event: what they hear of, and what they tell.

use super::super::*;
use super::keys;
use crate::event::{EventKind, Own};
use crate::journey::{Script, Somebody, play};
use crate::pii::Pii;
use crate::policy::Document;
use serde_json::{Value, json};

const DAY: i64 = 86_400_000;

pub(super) fn id(name: &str) -> CustomerId {
    CustomerId::derived(&[name])
}

/// Records that are kept, and what came of what happened to them.
pub(super) struct Kept {
    pub(super) policies: PolicySet,
    pub(super) customers: BTreeMap<CustomerId, Customer>,
    pub(super) states: BTreeMap<CustomerId, State>,
    pub(super) runs: BTreeMap<(CustomerId, String), Run>,
    pub(super) now: Timestamp,
    entries: Vec<(CustomerId, Entry)>,
}

impl Kept {
    /// These records, of which nobody has looked at any.
    pub(super) fn new<'a>(documents: &[Value], names: impl IntoIterator<Item = &'a str>) -> Self {
        let documents = documents.iter().map(|document| Document::from_json(document.clone()).unwrap());
        let mut kept = Self {
            policies: PolicySet::build(1, documents).unwrap(),
            customers: BTreeMap::new(),
            states: BTreeMap::new(),
            runs: BTreeMap::new(),
            now: Timestamp(100 * DAY),
            entries: Vec::new(),
        };
        for name in names {
            let record = Customer { version: 1, ..Customer::new(id(name), kept.now) };
            kept.customers.insert(record.id.clone(), record);
        }
        kept
    }

    fn loaded(&self) -> Loaded {
        let journeys: Vec<&String> = self.policies.journeys.keys().collect();
        let mut loaded =
            Loaded { customers: self.customers.clone(), states: self.states.clone(), ..Loaded::default() };
        for id in self.customers.keys() {
            for journey in &journeys {
                let key = (id.clone(), (*journey).clone());
                let run = self.runs.get(&key).cloned();
                loaded.runs.insert(key, run);
            }
            let mut counted = Live::default();
            let own = self.entries.iter().filter(|(home, _)| home == id);
            for event in own.flat_map(|(_, entry)| entry.events()) {
                counted.apply(&event, &self.policies.live, self.now);
            }
            loaded.history.insert(id.clone(), counted);
        }
        loaded.runs.extend(self.runs.iter().map(|(key, run)| (key.clone(), Some(run.clone()))));
        loaded
    }

    /// Something happens to the person of this record now, and is stored.
    pub(super) fn happens(&mut self, who: &str, name: &str, properties: Value) -> Taken {
        let own = name.starts_with("lead_") || name.starts_with("tag_");
        let event = Event {
            id: EventId::derived(&[who, name, &self.entries.len().to_string()]),
            kind: if own { EventKind::Own } else { EventKind::Track },
            name: name.to_owned(),
            source: "test".to_owned(),
            at: self.now,
            received: self.now,
            properties: Pii::new(properties.as_object().cloned().unwrap_or_default()),
            traits: Pii::default(),
            context: Pii::default(),
        };
        let happened = Happened { who: Who::Customer(id(who)), event };
        let (keys, older) = (keys(), BTreeMap::new());
        let with = With { keys: &keys, policies: &self.policies, older: &older, now: self.now };
        let taken = advance(&[Incoming::Happened(happened)], self.loaded(), with);
        assert_eq!(taken.missing, Missing::default());
        for (id, state) in &taken.states {
            let mut state = state.clone();
            state.live.version += 1;
            self.states.insert(id.clone(), state);
        }
        for (id, journey, run) in &taken.runs {
            let run = Run { version: run.version + 1, ..run.clone() };
            self.runs.insert((id.clone(), journey.clone()), run);
        }
        self.customers.extend(taken.customers.iter().map(|record| (record.id.clone(), record.clone())));
        self.entries.extend(taken.entries.iter().cloned());
        taken
    }

    pub(super) fn later(&mut self, days: i64) {
        self.now = self.now.plus_millis(days * DAY);
    }

    /// Somebody else joins two records.
    pub(super) fn join(&mut self, half: &str, root: &str) {
        self.customers.get_mut(&id(half)).unwrap().into = Some(id(root));
        self.customers.get_mut(&id(root)).unwrap().halves.insert(id(half));
    }
}

/// What an event led to that is told of as an event of our own.
pub(super) fn told(taken: &Taken) -> Vec<&Own> {
    taken.entries.iter().flat_map(|(_, entry)| &entry.led.happened).collect()
}

pub(super) fn names(taken: &Taken) -> Vec<&str> {
    told(taken).into_iter().map(|own| own.name.as_str()).collect()
}

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
