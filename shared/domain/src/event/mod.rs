//! Events: what people do, and what happens to them. Whatever comes in by the tracking API and whatever our own functions
//! tell of (leads, assignments, stages, opens, clicks, orders) is of this one kind.

mod entry;
mod own;

pub use entry::{Call, Entry, Heard, Led, Moved, Outgo, Own, Task, Tell};
pub use own::Teller;

use crate::id::{CustomerId, EventId};
use crate::pii::Pii;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The kinds of event, after the calls of Segment's specification; what our own functions tell of is `Own`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Somebody did something.
    Track,
    /// Somebody says who they are.
    Identify,
    /// A page was seen.
    Page,
    /// A screen of an app was seen.
    Screen,
    /// Somebody belongs to a group, such as a company.
    Group,
    /// Two ids are one person's.
    Alias,
    /// Told by one of our own functions.
    Own,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Track, Self::Identify, Self::Page, Self::Screen, Self::Group, Self::Alias, Self::Own];

    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::Identify => "identify",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
            Self::Own => "own",
        }
    }
}

/// Whose event it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// Whoever goes by these ids; at least one is there.
    Ids(Ids),
    /// This customer, as one of our own functions says.
    Customer(CustomerId),
}

/// The ids that a tracking library sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ids {
    /// The company's own id of a person (`userId`): a strong identity.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Pii<String>>,
    /// What a browser or device calls itself (`anonymousId`).
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Pii<String>>,
    /// The id that is the same person's (`previousId` of `alias`): a user's or a browser's.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Pii<String>>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id: the same `messageId` of the same source is the same event, for ever.
    #[serde(rename = "i")]
    pub id: EventId,
    /// Its kind.
    #[serde(rename = "k")]
    pub kind: EventKind,
    /// What it is called by whoever sent it, such as `Order Completed`; for `page` and `screen` what was seen, which may be
    /// empty.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The source document that it came by; of our own the function.
    #[serde(rename = "s")]
    pub source: String,
    /// When it happened, by our clock; never later than received.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// When it was received.
    #[serde(rename = "r")]
    pub received: Timestamp,
    /// What is said about it.
    #[serde(rename = "p", default, skip_serializing_if = "is_empty")]
    pub properties: Pii<Map<String, Value>>,
    /// What is said about the person or group.
    #[serde(rename = "f", default, skip_serializing_if = "is_empty")]
    pub traits: Pii<Map<String, Value>>,
    /// Where it happened, as the library says: page, campaign, locale, time zone, device.
    #[serde(rename = "c", default, skip_serializing_if = "is_empty")]
    pub context: Pii<Map<String, Value>>,
}

fn is_empty(map: &Pii<Map<String, Value>>) -> bool {
    map.reveal().is_empty()
}

impl Event {
    /// The name that policies use: `Order Completed` is `order_completed`, a page `page_viewed`, a screen `screen_viewed`,
    /// and the other calls go by what they say: `identified`, `group_joined`, `aliased`.
    pub fn key(&self) -> String {
        match self.kind {
            EventKind::Track | EventKind::Own => key_of(&self.name),
            EventKind::Identify => "identified".to_owned(),
            EventKind::Page => "page_viewed".to_owned(),
            EventKind::Screen => "screen_viewed".to_owned(),
            EventKind::Group => "group_joined".to_owned(),
            EventKind::Alias => "aliased".to_owned(),
        }
    }

    /// Before which events it is: by time, then by id, so that everybody sees one order.
    pub fn order(&self) -> (Timestamp, &EventId) {
        (self.at, &self.id)
    }

    /// Before which events it is decided: as [`Event::order`] says, but of one instant those first that say who somebody is.
    /// Libraries give a whole burst of calls one time, and what was done is then theirs who did it.
    pub fn turn(&self) -> (Timestamp, bool, &EventId) {
        let says_who = matches!(self.kind, EventKind::Identify | EventKind::Alias);
        (self.at, !says_who, &self.id)
    }
}

/// A name as policies write it: letters and digits in lower case, and one `_` for whatever else is between them.
pub fn key_of(name: &str) -> String {
    let mut key = String::with_capacity(name.len());
    for c in name.trim().chars() {
        if c.is_alphanumeric() {
            key.extend(c.to_lowercase());
        } else if !key.is_empty() && !key.ends_with('_') {
            key.push('_');
        }
    }
    key.truncate(key.trim_end_matches('_').len());
    key
}

/// An event with whose it is: what travels on the event queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happened {
    /// Whose.
    #[serde(rename = "w")]
    pub who: Who,
    /// What.
    #[serde(rename = "e")]
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::key_of;

    #[test]
    fn a_name_is_one_name_however_it_is_written() {
        for name in ["Order Completed", "order_completed", " order-completed! ", "ORDER  COMPLETED"] {
            assert_eq!(key_of(name), "order_completed");
        }
        assert_eq!(key_of("下单 完成"), "下单_完成");
        assert_eq!(key_of("!!"), "");
    }
}
