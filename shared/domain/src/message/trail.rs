//! What came back of a message: from the provider, and from whoever opened it. Each is kept with its earliest time, so
//! that repeats and reordering change nothing.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a message after it left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// The receiver's server took it.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Timestamp>,
    /// It came back.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub bounced: Option<(Timestamp, Bounce)>,
    /// Whoever got it called it spam.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub complained: Option<Timestamp>,
    /// A person opened it.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<Seen>,
    /// A person followed a link of it.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub clicked: Option<Seen>,
    /// A program opened it or followed a link: a proxy that fetches in advance, a scanner.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Seen>,
    /// Whoever got it wants no more, by a link of it.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub unsubscribed: Option<Timestamp>,
}

/// Why a message came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounce {
    /// The address does not exist.
    Hard,
    /// It could not be delivered this time.
    Soft,
    /// The provider refused to send it.
    Rejected,
}

/// Something that happens more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When first.
    #[serde(rename = "f")]
    pub first: Timestamp,
    /// How often.
    #[serde(rename = "n")]
    pub times: u32,
}

impl Seen {
    /// Once more.
    #[must_use]
    pub fn again(seen: Option<Self>, at: Timestamp) -> Self {
        match seen {
            None => Self { first: at, times: 1 },
            Some(Self { first, times }) => Self { first: first.min(at), times: times.saturating_add(1) },
        }
    }
}

impl Trail {
    /// Whether nothing came back yet.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
