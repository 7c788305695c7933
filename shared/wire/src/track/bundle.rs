//! Events put together for the queue: those that may be one person's stay together and in order, so that whoever works them
//! off loads that person once.

use crate::queue::encode;
use sluice_domain::event::{Happened, Who};
use std::collections::HashMap;

/// Most events of one message.
pub const MAX_BUNDLE_EVENTS: usize = 100;
/// Largest message in bytes; a queue takes 256 KB.
pub const MAX_BUNDLE_BYTES: usize = 200 * 1024;

/// The body of one message on the event queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What the first of its events is called by us.
    pub id: String,
    /// `EventMessage::Events`, encoded.
    pub body: String,
    /// How many events it holds.
    pub events: usize,
}

/// Bundles events: two are in one bundle if ids link them, also by way of others. Within a person they are in the order in which
/// they are decided.
pub fn bundle(happened: Vec<Happened>) -> Vec<Bundle> {
    let mut people = People::default();
    for (at, event) in happened.iter().enumerate() {
        people.add(at, &event.who);
    }
    let mut groups: Vec<Vec<Happened>> = Vec::new();
    let mut place: HashMap<usize, usize> = HashMap::new();
    for (at, event) in happened.into_iter().enumerate() {
        let root = people.root(at);
        let group = *place.entry(root).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(event);
    }
    groups.into_iter().flat_map(split).collect()
}

/// Events of one person in as few messages as hold them.
fn split(mut events: Vec<Happened>) -> Vec<Bundle> {
    const OPEN: &str = "{\"events\":[";
    const CLOSE: &str = "]}";
    events.sort_by(|a, b| a.event.turn().cmp(&b.event.turn()));
    let mut bundles: Vec<Bundle> = Vec::new();
    for event in events {
        let text = encode(&event);
        let fits = |last: &Bundle| {
            last.events < MAX_BUNDLE_EVENTS
                && last.body.len() + 1 + text.len() + CLOSE.len() <= MAX_BUNDLE_BYTES
        };
        match bundles.last_mut().filter(|last| fits(last)) {
            Some(last) => {
                last.body.push(',');
                last.body.push_str(&text);
                last.events += 1;
            }
            None => bundles.push(Bundle {
                id: event.event.id.to_string(),
                body: format!("{OPEN}{text}"),
                events: 1,
            }),
        }
    }
    bundles.iter_mut().for_each(|bundle| bundle.body.push_str(CLOSE));
    bundles
}

/// Which events are linked by their ids: a union-find over the places of events.
#[derive(Default)]
struct People {
    parents: Vec<usize>,
    by_id: HashMap<String, usize>,
}

impl People {
    fn add(&mut self, at: usize, who: &Who) {
        self.parents.push(at);
        for id in names(who) {
            match self.by_id.get(&id) {
                None => drop(self.by_id.insert(id, at)),
                Some(&other) => {
                    let (one, other) = (self.root(at), self.root(other));
                    self.parents[one.max(other)] = one.min(other);
                }
            }
        }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] != at {
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }
}

/// What an event is linked by. The other id of an alias may be a user's or a browser's.
fn names(who: &Who) -> Vec<String> {
    match who {
        Who::Customer(id) => vec![format!("c{id}")],
        Who::Ids(ids) => {
            let user = ids.user.iter().map(|id| format!("u{}", id.reveal()));
            let anonymous = ids.anonymous.iter().map(|id| format!("a{}", id.reveal()));
            let previous =
                ids.previous.iter().flat_map(|id| ["u", "a"].map(|kind| format!("{kind}{}", id.reveal())));
            user.chain(anonymous).chain(previous).collect()
        }
    }
}
