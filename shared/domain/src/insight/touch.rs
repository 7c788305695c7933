//! Touches: what brought somebody.

use super::exposure::variant;
use super::{Cell, Key};
use crate::event::{Event, EventKind};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One thing that brought somebody: a lead of theirs, or a message of ours that they followed a link of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Touch {
    /// When, in seconds.
    #[serde(rename = "t")]
    pub at: i64,
    /// What.
    #[serde(rename = "k")]
    pub key: Key,
    /// Of a lead: the advertisement that led to the form.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub ad: Option<Key>,
}

impl Touch {
    /// What an event says of how somebody came to us; most say nothing. Only our own functions are believed.
    pub fn of(event: &Event) -> Option<Self> {
        let said = said(event)?;
        let (key, ad) = match event.name.as_str() {
            "lead_captured" => (origin(said)?, ad(said)),
            "message_clicked" if is_first(said) => (sender(said).or_else(|| campaign(said))?, None),
            _ => return None,
        };
        Some(Self { at: event.at.seconds(), key, ad })
    }

    /// What it is counted under.
    pub fn cell(&self) -> Cell {
        Cell::origin(self.key.clone(), self.ad.clone())
    }
}

/// What one of our own functions says; nothing of what others call by the same name.
pub(super) fn said(event: &Event) -> Option<&Map<String, Value>> {
    (event.kind == EventKind::Own).then(|| event.properties.reveal())
}

pub(super) fn text<'a>(said: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether a message was opened, or a link of it followed, for the first time.
pub(super) fn is_first(said: &Map<String, Value>) -> bool {
    said.get("first").and_then(Value::as_bool).unwrap_or_default()
}

/// Where a lead came from.
pub(super) fn origin(said: &Map<String, Value>) -> Option<Key> {
    let name = text(said, "form").or_else(|| text(said, "source"))?;
    Some(Key::Source(name.to_owned()))
}

/// The advertisement that led to a lead.
pub(super) fn ad(said: &Map<String, Value>) -> Option<Key> {
    Key::ad(text(said, "utm_source")?, text(said, "utm_campaign"))
}

/// The campaign of a message, with the variant.
pub(super) fn campaign(said: &Map<String, Value>) -> Option<Key> {
    Some(Key::Campaign(text(said, "campaign")?.to_owned(), variant(said)))
}

/// What sent a message, if that is counted here: campaigns count their own, and what the API asks for nobody.
pub(super) fn sender(said: &Map<String, Value>) -> Option<Key> {
    let (journey, step) = (text(said, "journey")?, text(said, "step")?);
    Some(Key::Step(journey.to_owned(), step.to_owned()))
}

/// The touches of a customer record, in the order of time: the first and the newest, whatever order they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Touches(Vec<Touch>);

impl Touches {
    /// The most that are kept: they are part of an item that is charged by the kilobyte.
    pub const MOST: usize = 10;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.0.iter()
    }

    /// One more.
    pub fn add(&mut self, touch: Touch) {
        if let Err(at) = self.0.binary_search(&touch) {
            self.0.insert(at, touch);
        }
        if self.0.len() > Self::MOST {
            self.0.remove(1);
        }
    }

    /// Those of another record of the same person as well.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().cloned().for_each(|touch| self.add(touch));
    }

    /// Those that count for an order made at `at`: before it, by no more than `window` milliseconds.
    pub fn before(&self, at: Timestamp, window: i64) -> Vec<Touch> {
        let (last, first) = (at.seconds(), at.plus_millis(-window).seconds());
        self.0.iter().filter(|touch| (first..=last).contains(&touch.at)).cloned().collect()
    }
}
