//! What came back of a message: from the provider, and from whoever opened it. Each is kept with its earliest time, so
//! that repeats and reordering change nothing.

use super::{Sign, Visited};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// What gave programs away.
    #[serde(rename = "w", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub signs: BTreeSet<Sign>,
    /// Visits of the last seconds, one by one.
    #[serde(rename = "v", default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Visited>,
    /// The first of a person's clicks that was written down, by its number.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub first_click: Option<u32>,
    /// Clicks that were counted as a person's and were a program's, by their numbers: the newest of them.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub taken_back: Vec<u32>,
    /// Whoever got it wants no more, by a link of it.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub unsubscribed: Option<Timestamp>,
}

/// Why a message came back, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounce {
    /// The address does not exist.
    Hard,
    /// The provider refused to send it.
    Rejected,
    /// It could not be delivered this time.
    Soft,
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

    /// The receiver's server took it.
    pub fn deliver(&mut self, at: Timestamp) {
        self.delivered = Some(self.delivered.map_or(at, |held| held.min(at)));
    }

    /// It came back. Of several reasons the gravest stays.
    pub fn bounce(&mut self, at: Timestamp, why: Bounce) {
        let stays = self.bounced.is_some_and(|(held, reason)| (reason, held) <= (why, at));
        if !stays {
            self.bounced = Some((at, why));
        }
    }

    /// Whoever got it called it spam.
    pub fn complain(&mut self, at: Timestamp) {
        self.complained = Some(self.complained.map_or(at, |held| held.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_back_is_the_same_in_whatever_order_it_is_told_and_however_often() {
        let told: [fn(&mut Trail); 6] = [
            |trail| trail.deliver(Timestamp(5)),
            |trail| trail.deliver(Timestamp(4)),
            |trail| trail.bounce(Timestamp(6), Bounce::Soft),
            |trail| trail.bounce(Timestamp(8), Bounce::Hard),
            |trail| trail.bounce(Timestamp(7), Bounce::Hard),
            |trail| trail.complain(Timestamp(9)),
        ];
        let expected = Trail {
            delivered: Some(Timestamp(4)),
            bounced: Some((Timestamp(7), Bounce::Hard)),
            complained: Some(Timestamp(9)),
            ..Trail::default()
        };
        for first in 0..told.len() {
            let mut trail = Trail::default();
            for n in 0..told.len() * 2 {
                told[(first + n) % told.len()](&mut trail);
            }
            told.iter().rev().for_each(|tell| tell(&mut trail));
            assert_eq!(trail, expected);
        }
    }
}
