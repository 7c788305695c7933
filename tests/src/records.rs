//! Records of other versions of the code.
//!
//! What is guaranteed: code reads every record that an older version wrote, and every record of a newer version that has
//! more attributes, or more fields in its documents; when it writes such a record again the additions to a document are
//! gone, so a newer version may rest nothing on them until no older one runs. Policy documents are strict, since a word
//! that means nothing is an author's mistake: code that knows a word is deployed before a document uses it. A queue
//! message that is not understood fails, and is put back from the dead letters once newer code runs.

use crate::observe::Observed;
use crate::scenarios::{Event, Post, Prepared};
use crate::table::key;
use crate::wire::{Call, text};
use crate::world::{Name, QUEUES, Snapshot};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What newer code adds.
const LATER: &str = "later";

/// A call as newer code would make it: what it stores has more attributes and fields.
pub fn as_newer(call: &Call) -> Call {
    let mut body = call.json().clone();
    match call.operation.as_str() {
        "PutItem" => body["Item"] = newer_item(&body["Item"]),
        "UpdateItem" => newer_values(&mut body),
        "TransactWriteItems" => {
            for action in body["TransactItems"].as_array_mut().into_iter().flatten() {
                if let Some(put) = action.get_mut("Put") {
                    put["Item"] = newer_item(&put["Item"]);
                }
                if let Some(update) = action.get_mut("Update") {
                    newer_values(update);
                }
            }
        }
        _ => return call.clone(),
    }
    call.with_body(&body)
}

/// An item as newer code would store it. Policy texts are stored under their hash and stay as they are.
pub fn newer_item(item: &Value) -> Value {
    let mut item = item.clone();
    if text(&item, "pk").starts_with("policy#") {
        return item;
    }
    for value in item.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        newer_document(value);
    }
    item[LATER] = json!({ "S": "more" });
    item
}

fn newer_values(update: &mut Value) {
    let values = update.get_mut("ExpressionAttributeValues").and_then(Value::as_object_mut);
    values.into_iter().flat_map(serde_json::Map::values_mut).for_each(newer_document);
}

/// One more field, if the attribute is a document.
fn newer_document(attribute: &mut Value) {
    let Some(Ok(Value::Object(mut document))) = attribute["S"].as_str().map(serde_json::from_str) else {
        return;
    };
    document.insert(LATER.to_owned(), json!({ "is": ["more"] }));
    attribute["S"] = Value::Object(document).to_string().into();
}

/// Scenarios as one version of the code prepared them: what its records, events and messages looked like.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    /// Items that all have in common.
    common: Vec<Value>,
    scenarios: Vec<KeptScenario>,
}

#[derive(Serialize, Deserialize)]
struct KeptScenario {
    name: String,
    function: Name,
    /// The other items.
    items: Vec<Value>,
    event: KeptEvent,
    beside: Vec<(String, String)>,
    millis: i64,
    is_rotated: bool,
    delivered: Vec<(String, String)>,
    observed: KeptObserved,
}

#[derive(Serialize, Deserialize)]
enum KeptEvent {
    Queue { queue: String, bodies: Vec<String> },
    Http(KeptPost),
    Schedule,
}

#[derive(Serialize, Deserialize)]
struct KeptPost {
    payload: String,
    fields: Vec<(String, String)>,
    again: Option<Box<KeptPost>>,
    clash: Option<String>,
}

/// What was seen while it was prepared; maps as lists.
#[derive(Serialize, Deserialize)]
struct KeptObserved {
    capacity: Vec<((String, String), u32)>,
    handed: Vec<((String, String), u32)>,
    assigned: BTreeMap<String, Vec<String>>,
    order: Vec<String>,
    owners: BTreeMap<String, Vec<String>>,
    open: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Kept {
    /// Keeps these scenarios.
    pub fn of(all: &[Prepared]) -> Self {
        let is_common =
            |item: &Value| all.iter().all(|one| one.snapshot.items.values().any(|its| **its == *item));
        let first = all.first().map(|one| one.snapshot.items.values().map(|item| Value::clone(item)));
        let common: Vec<Value> = first.into_iter().flatten().filter(is_common).collect();
        let scenarios = all.iter().map(|one| KeptScenario::of(one, &common)).collect();
        Self { common, scenarios }
    }

    /// The scenarios, to be played by the code of today.
    pub fn prepared(&self) -> Vec<Prepared> {
        self.scenarios.iter().map(|one| one.prepared(&self.common)).collect()
    }
}

impl KeptScenario {
    fn of(one: &Prepared, common: &[Value]) -> Self {
        let Snapshot { items, millis, is_rotated, delivered, observed, .. } = &one.snapshot;
        let own = |(queue, body): &(&str, String)| ((*queue).to_owned(), body.clone());
        Self {
            name: one.name.clone(),
            function: one.function,
            items: items
                .values()
                .filter(|item| !common.contains(item))
                .map(|item| Value::clone(item))
                .collect(),
            event: KeptEvent::of(&one.event),
            beside: one.beside.iter().map(own).collect(),
            millis: *millis,
            is_rotated: *is_rotated,
            delivered: delivered.iter().map(own).collect(),
            observed: KeptObserved {
                capacity: Vec::from_iter(one.snapshot.capacity.clone()),
                handed: observed.handed.iter().map(|(channel, n)| (own(channel), *n)).collect(),
                assigned: observed.assigned.clone(),
                order: observed.order.clone(),
                owners: observed.owners.clone(),
                open: observed.open.clone(),
            },
        }
    }

    fn prepared(&self, common: &[Value]) -> Prepared {
        let items = common.iter().chain(&self.items).map(|item| (key(item), Arc::new(item.clone())));
        let queue = |(queue, body): &(String, String)| (static_queue(queue), body.clone());
        let handed = self.observed.handed.iter().map(|((channel, id), n)| {
            let channel = ["email", "webhook"].into_iter().find(|known| known == channel);
            ((channel.expect("a known channel"), id.clone()), *n)
        });
        let observed = Observed {
            handed: handed.collect(),
            assigned: self.observed.assigned.clone(),
            order: self.observed.order.clone(),
            owners: self.observed.owners.clone(),
            open: self.observed.open.clone(),
            ..Observed::default()
        };
        let snapshot = Snapshot {
            items: Arc::new(items.collect()),
            capacity: BTreeMap::from_iter(self.observed.capacity.clone()),
            is_rotated: self.is_rotated,
            millis: self.millis,
            observed,
            delivered: self.delivered.iter().map(queue).collect(),
            is_newer: false,
        };
        Prepared {
            name: self.name.clone(),
            function: self.function,
            snapshot,
            event: self.event.event(),
            beside: self.beside.iter().map(queue).collect(),
        }
    }
}

impl KeptEvent {
    fn of(event: &Event) -> Self {
        match event {
            Event::Queue { queue, bodies } => {
                Self::Queue { queue: (*queue).to_owned(), bodies: bodies.clone() }
            }
            Event::Http(post) => Self::Http(KeptPost::of(post)),
            Event::Schedule => Self::Schedule,
        }
    }

    fn event(&self) -> Event {
        match self {
            Self::Queue { queue, bodies } => {
                Event::Queue { queue: static_queue(queue), bodies: bodies.clone() }
            }
            Self::Http(post) => Event::Http(post.post()),
            Self::Schedule => Event::Schedule,
        }
    }
}

impl KeptPost {
    fn of(post: &Post) -> Self {
        let text = |payload: &Bytes| String::from_utf8_lossy(payload).into_owned();
        Self {
            payload: text(&post.payload),
            fields: post.fields.clone(),
            again: post.again.as_ref().map(|again| Box::new(Self::of(again))),
            clash: post.clash.as_ref().map(text),
        }
    }

    fn post(&self) -> Post {
        Post {
            payload: Bytes::from(self.payload.clone()),
            fields: self.fields.clone(),
            again: self.again.as_ref().map(|again| Box::new(again.post())),
            clash: self.clash.clone().map(Bytes::from),
        }
    }
}

fn static_queue(name: &str) -> &'static str {
    QUEUES.iter().map(|(queue, _, _)| *queue).find(|queue| *queue == name).expect("a known queue")
}
