//! What becomes known when a customer's state changes: each is an event of our own.

use super::qualification::Settled;
use super::rhythm::ChurnRisk;
use crate::event::{Event, EventKind};
use crate::id::{CustomerId, EventId};
use crate::pii::Pii;
use crate::time::Timestamp;
use serde_json::{Value, json};

/// A score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Axis {
    /// How well the person fits.
    Fit,
    /// How interested they are.
    Interest,
}

impl Axis {
    /// The word that conditions and events use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Interest => "interest",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Another lifecycle stage.
    StageChanged {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// A tag that was not there.
    TagAdded {
        /// The tag.
        tag: String,
    },
    /// A tag was taken away.
    TagRemoved {
        /// The tag.
        tag: String,
    },
    /// A tag's time is over.
    TagExpired {
        /// The tag.
        tag: String,
    },
    /// A score crossed a threshold; empty is no grade.
    GradeChanged {
        /// Which score.
        axis: Axis,
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// Another tier; empty is none.
    TierChanged {
        /// Before.
        from: String,
        /// Now.
        to: String,
    },
    /// Silence became unusual, or ended.
    ChurnChanged {
        /// Before.
        from: ChurnRisk,
        /// Now.
        to: ChurnRisk,
    },
    /// A part of 三定 was settled or corrected.
    Qualified {
        /// What is still missing.
        missing: Vec<Settled>,
    },
    /// The person came into a segment.
    Entered {
        /// The segment.
        segment: String,
    },
    /// The person is not in a segment any more.
    Left {
        /// The segment.
        segment: String,
    },
}

impl Happening {
    /// The name of its event.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StageChanged { .. } => "stage_changed",
            Self::TagAdded { .. } => "tagged",
            Self::TagRemoved { .. } => "untagged",
            Self::TagExpired { .. } => "tag_expired",
            Self::GradeChanged { .. } => "score_changed",
            Self::TierChanged { .. } => "tier_changed",
            Self::ChurnChanged { .. } => "churn_changed",
            Self::Qualified { .. } => "qualification_changed",
            Self::Entered { .. } => "segment_entered",
            Self::Left { .. } => "segment_left",
        }
    }

    /// What its event says.
    pub fn properties(&self) -> Value {
        match self {
            Self::StageChanged { from, to } | Self::TierChanged { from, to } => {
                json!({"from": from, "to": to})
            }
            Self::TagAdded { tag } | Self::TagRemoved { tag } | Self::TagExpired { tag } => {
                json!({"tag": tag})
            }
            Self::GradeChanged { axis, from, to } => json!({"axis": axis.name(), "from": from, "to": to}),
            Self::ChurnChanged { from, to } => json!({"from": from.name(), "to": to.name()}),
            Self::Qualified { missing } => {
                let missing: Vec<&str> = missing.iter().map(|part| part.name()).collect();
                json!({"missing": missing})
            }
            Self::Entered { segment } | Self::Left { segment } => json!({"segment": segment}),
        }
    }

    /// As an event of the function that saw it. `cause` is the id of what it came of (an event, a wake), `n` tells several
    /// of one cause apart: the same three give the same event.
    pub fn event(
        &self,
        function: &str,
        customer: &CustomerId,
        cause: &str,
        n: usize,
        at: Timestamp,
    ) -> Event {
        let properties = match self.properties() {
            Value::Object(properties) => properties,
            _ => serde_json::Map::new(),
        };
        let n = n.to_string();
        Event {
            id: EventId::derived(&[function, self.name(), customer.as_str(), cause, &n]),
            kind: EventKind::Own,
            name: self.name().to_owned(),
            source: function.to_owned(),
            at,
            received: at,
            properties: Pii::new(properties),
            traits: Pii::default(),
            context: Pii::default(),
        }
    }
}
