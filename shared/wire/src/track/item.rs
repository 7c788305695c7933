//! What every library's event has: ids, a time, what is said of it and of its person.

use serde_json::{Map, Value};
use sluice_domain::event::{Event, EventKind, Happened, Ids, Who};
use sluice_domain::id::EventId;
use sluice_domain::lead::names_somebody;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;

/// Longest name of an event in characters; more is cut.
const MAX_NAME: usize = 200;

/// Parts of the context that are kept: where somebody was and by what way they came. Addresses, user agents and versions of
/// libraries are nobody's business.
const CONTEXT: [&str; 11] = [
    "page", "campaign", "locale", "timezone", "device", "os", "app", "screen", "referrer", "location",
    "groupId",
];

/// What is the same for all events of a call.
pub(super) struct About<'a> {
    pub(super) source: &'a str,
    pub(super) received: Timestamp,
    pub(super) sent_at: Option<Timestamp>,
    pub(super) context: &'a Map<String, Value>,
}

/// Why an event was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It is larger than [`super::MAX_EVENT`].
    TooLarge,
    /// It is no object, or cannot be read.
    NotAnEvent,
    /// It does not say of what kind it is, or of none there is.
    Kind,
    /// It is nobody's.
    NoId,
    /// A `track` without a name.
    NoName,
    /// A `group` without the group.
    NoGroup,
    /// An `alias` without the other id.
    NoPrevious,
    /// The library's own business, such as a recording of the screen.
    Machinery,
}

impl Why {
    /// The stable name, for answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::NotAnEvent => "not-an-event",
            Self::Kind => "unknown-type",
            Self::NoId => "no-user-id",
            Self::NoName => "no-event-name",
            Self::NoGroup => "no-group-id",
            Self::NoPrevious => "no-previous-id",
            Self::Machinery => "machinery",
        }
    }

    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::TooLarge => "The event is larger than 32 KB. Send less with it.",
            Self::NotAnEvent => "The event is no JSON object, or nested too deep.",
            Self::Kind => "`type` is one of track, identify, page, screen, group and alias.",
            Self::NoId => "The event needs a `userId` or an `anonymousId` that is somebody's.",
            Self::NoName => "A track call needs `event`, the name of what was done.",
            Self::NoGroup => "A group call needs `groupId`.",
            Self::NoPrevious => "An alias call needs `previousId`.",
            Self::Machinery => "Events of this name are not kept.",
        }
    }

    /// The field it is about.
    pub const fn field(self) -> Option<&'static str> {
        match self {
            Self::TooLarge | Self::NotAnEvent | Self::Machinery => None,
            Self::Kind => Some("type"),
            Self::NoId => Some("userId"),
            Self::NoName => Some("event"),
            Self::NoGroup => Some("groupId"),
            Self::NoPrevious => Some("previousId"),
        }
    }
}

/// An event that was left out of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its place, from 0.
    pub index: usize,
    /// Why.
    pub why: Why,
}

/// What a library says, put together.
pub(super) struct Said {
    pub(super) kind: EventKind,
    pub(super) name: String,
    pub(super) ids: Ids,
    pub(super) time: Option<Timestamp>,
    pub(super) properties: Map<String, Value>,
    pub(super) traits: Map<String, Value>,
    pub(super) context: Map<String, Value>,
}

impl Said {
    pub(super) fn happened(self, id: EventId, about: &About<'_>) -> Result<Happened, Why> {
        if self.ids.user.is_none() && self.ids.anonymous.is_none() {
            return Err(Why::NoId);
        }
        let mut context = self.context;
        context.retain(|name, value| CONTEXT.contains(&name.as_str()) && !value.is_null());
        let event = Event {
            id,
            kind: self.kind,
            name: self.name.chars().take(MAX_NAME).collect(),
            source: about.source.to_owned(),
            at: happened_at(self.time, about.sent_at, about.received),
            received: about.received,
            properties: self.properties.into(),
            traits: self.traits.into(),
            context: context.into(),
        };
        Ok(Happened { who: Who::Ids(self.ids), event })
    }
}

/// When it happened by our clock: as long before it was received as before it was sent by the sender's, and never later
/// than received. Without the time of sending the sender's clock is taken as it is.
pub(crate) fn happened_at(
    time: Option<Timestamp>,
    sent: Option<Timestamp>,
    received: Timestamp,
) -> Timestamp {
    let at = match (time, sent) {
        (None, _) => received,
        (Some(time), None) => time,
        (Some(time), Some(sent)) => received.plus_millis(sent.since(time).saturating_neg()),
    };
    at.clamp(Timestamp(0).min(received), received)
}

/// An id of a person; what programs write for nobody is none.
pub(super) fn id(value: Option<&Value>) -> Option<Pii<String>> {
    text_of(value).filter(|id| names_somebody(id)).map(Pii::new)
}

/// A text, or a number as text; trimmed, and not empty.
pub(super) fn text_of(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A time: RFC 3339, or a count of seconds or milliseconds.
pub(super) fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::String(text) => Timestamp::parse(text),
        Value::Number(number) => {
            let number = number.as_f64()?;
            // Seconds of this size are in the year 5138, milliseconds in 1973.
            Some(if number.abs() < 1e11 {
                Timestamp((number * 1000.0) as i64)
            } else {
                Timestamp(number as i64)
            })
        }
        _ => None,
    }
}

/// An object that is taken out; anything else is an empty one.
pub(super) fn object(from: &mut Map<String, Value>, name: &str) -> Map<String, Value> {
    match from.remove(name) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
