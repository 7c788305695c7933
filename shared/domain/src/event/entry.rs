//! What is kept of an event: the entry of a customer's timeline, which is its receipt as well.

use super::{Event, Who};
use crate::pii::Pii;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An event as it is kept, with what it led to. That it is there says that the event was decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose it said it was.
    #[serde(rename = "w")]
    pub who: Who,
    /// The event.
    #[serde(rename = "e")]
    pub event: Event,
    /// Version of the policies it was decided with.
    #[serde(rename = "m")]
    pub manifest: u64,
}

/// What is kept of where an event happened: what people look at and conditions may read. What else libraries send of the
/// machine and its network is neither.
const KEPT: [&str; 7] = ["page", "screen", "campaign", "referrer", "locale", "timezone", "groupId"];

impl Entry {
    /// An event as it is kept.
    pub fn of(who: &Who, event: &Event, manifest: u64) -> Self {
        let context: Map<String, Value> = event
            .context
            .reveal()
            .iter()
            .filter(|(name, _)| KEPT.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self { who: who.clone(), event: Event { context: Pii::new(context), ..event.clone() }, manifest }
    }
}
