//! Records that are kept from event to event, for tests of what follows from one.

use super::super::*;
use super::keys;
use crate::event::{EventKind, Own};
use crate::pii::Pii;
use crate::policy::Document;
use serde_json::Value;

pub(super) const DAY: i64 = 86_400_000;

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
        self.happens_to(&id(who), name, properties)
    }

    pub(super) fn happens_to(&mut self, who: &CustomerId, name: &str, properties: Value) -> Taken {
        let own = name.starts_with("lead_") || name.starts_with("tag_");
        let event = Event {
            id: EventId::derived(&[who.as_str(), name, &self.entries.len().to_string()]),
            kind: if own { EventKind::Own } else { EventKind::Track },
            name: name.to_owned(),
            source: "test".to_owned(),
            at: self.now,
            received: self.now,
            properties: Pii::new(properties.as_object().cloned().unwrap_or_default()),
            traits: Pii::default(),
            context: Pii::default(),
        };
        self.take(Incoming::Happened(Happened { who: Who::Customer(who.clone()), event }))
    }

    /// Something comes in and is stored.
    pub(super) fn take(&mut self, incoming: Incoming) -> Taken {
        let (keys, older) = (keys(), BTreeMap::new());
        let with = With { keys: &keys, policies: &self.policies, older: &older, now: self.now };
        let taken = advance(&[incoming], self.loaded(), with);
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

    /// And takes them apart again.
    pub(super) fn part(&mut self, half: &str, root: &str) {
        self.customers.get_mut(&id(half)).unwrap().into = None;
        self.customers.get_mut(&id(root)).unwrap().halves.remove(&id(half));
    }
}

/// What an event led to that is told of as an event of our own.
pub(super) fn told(taken: &Taken) -> Vec<&Own> {
    taken.entries.iter().flat_map(|(_, entry)| &entry.led.happened).collect()
}

pub(super) fn names(taken: &Taken) -> Vec<&str> {
    told(taken).into_iter().map(|own| own.name.as_str()).collect()
}
