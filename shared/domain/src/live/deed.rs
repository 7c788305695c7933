//! What people and journeys do to a customer's state.

use super::Qualification;
use crate::event::{Event, EventKind};
use crate::pii::Pii;
use crate::time::Timestamp;
use serde_json::{Map, Value};

/// One thing done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// A tag is given.
    Tag {
        /// The tag.
        tag: String,
        /// Until when it holds; nothing is for good.
        until: Option<Timestamp>,
    },
    /// A tag is taken away.
    Untag {
        /// The tag.
        tag: String,
    },
    /// The person is put into a stage.
    Stage {
        /// The stage.
        stage: String,
    },
    /// Points of interest are given.
    Points {
        /// How many; negative ones take.
        points: i32,
        /// What for.
        reason: String,
    },
    /// A part of 三定 is settled.
    Qualify {
        /// `need`, `grade`, `amount`, `date`, any of them.
        said: Pii<Map<String, Value>>,
    },
}

impl Deed {
    /// The longest tag or reason, in bytes.
    pub const LONGEST: usize = 64;

    /// What an event of our own says was done: `tag_added {tag, until}`, `tag_removed {tag}`, `stage_set {stage}`,
    /// `points_given {points, reason}`, `lead_qualified {need, grade, amount, date}` and `lead_captured` with any of the same.
    /// Nobody else's events do anything.
    pub fn of(event: &Event) -> Option<Self> {
        if event.kind != EventKind::Own {
            return None;
        }
        let said = event.properties.reveal();
        let text = |name: &str| {
            let text = said.get(name)?.as_str()?;
            (!text.is_empty() && text.len() <= Self::LONGEST).then(|| text.to_owned())
        };
        Some(match event.name.as_str() {
            "tag_added" => {
                let until = said.get("until").and_then(Value::as_i64).map(Timestamp);
                Self::Tag { tag: text("tag")?, until }
            }
            "tag_removed" => Self::Untag { tag: text("tag")? },
            "stage_set" => Self::Stage { stage: text("stage")? },
            "points_given" => {
                let points = said.get("points")?.as_i64()?.clamp(-1_000, 1_000);
                Self::Points { points: points as i32, reason: text("reason")? }
            }
            "lead_captured" if !Qualification::PARTS.iter().any(|part| said.contains_key(*part)) => {
                return None;
            }
            "lead_captured" | "lead_qualified" => Self::Qualify { said: event.properties.clone() },
            _ => return None,
        })
    }

    /// As an event of our own tells it: what it is called and what it says.
    pub fn told(&self) -> (&'static str, Map<String, Value>) {
        let mut said = Map::new();
        let name = match self {
            Self::Tag { tag, until } => {
                said.insert("tag".into(), tag.as_str().into());
                said.extend(until.map(|until| ("until".to_owned(), until.millis().into())));
                "tag_added"
            }
            Self::Untag { tag } => {
                said.insert("tag".into(), tag.as_str().into());
                "tag_removed"
            }
            Self::Stage { stage } => {
                said.insert("stage".into(), stage.as_str().into());
                "stage_set"
            }
            Self::Points { points, reason } => {
                said.insert("points".into(), (*points).into());
                said.insert("reason".into(), reason.as_str().into());
                "points_given"
            }
            Self::Qualify { said: all } => {
                said = all.reveal().clone();
                "lead_qualified"
            }
        };
        (name, said)
    }
}
