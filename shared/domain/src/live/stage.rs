//! The lifecycle stage with its history.
//!
//! What is kept are the moves that were asked for, by events and by hand, in the order in which they happened. The stage
//! is what they lead to one after the other, so an event that comes late takes its place among the others instead of
//! moving somebody back. When there are too many, what the oldest have led to is settled, and everything later starts
//! from there.

use super::{Instant, Stages};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Moves that are kept one by one.
const ASKED: usize = 12;
/// Stages that are kept, past ones included: what later moves start from is always among them.
const STAYS: usize = ASKED + 4;

/// A move that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum Asked {
    /// By an event: the moves of the document that it makes, one bit each; the first that starts at the stage counts.
    Moves(u32),
    /// To this stage, from wherever.
    To(String),
}

/// The stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageLog {
    /// The stages that somebody came to, oldest first, each with its start. Before the first is the first of the document.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    stays: Vec<(Timestamp, String)>,
    /// How many of them no late event changes any more, and up to when.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    settled: Option<(usize, Instant)>,
    /// Later moves, oldest first.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    asked: Vec<(Instant, Asked)>,
    /// The document whose moves the bits mean.
    #[serde(rename = "d", default, skip_serializing_if = "String::is_empty")]
    document: String,
}

impl StageLog {
    /// Whether nothing was ever asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_none() && self.asked.is_empty()
    }

    /// The stage; nothing is the first of the document.
    pub fn stage(&self) -> Option<&str> {
        self.stays.last().map(|(_, stage)| stage.as_str())
    }

    /// The stages that somebody came to, oldest first, each with its start; the last is the one they are in.
    pub fn history(&self) -> &[(Timestamp, String)] {
        &self.stays
    }

    /// An event makes these moves of the document, as bits.
    pub(super) fn event(&mut self, moves: u32, at: Instant, stages: &Stages) {
        self.ask(at, Asked::Moves(moves), stages);
    }

    /// Somebody, or what holds of the person, moves them.
    pub(super) fn set(&mut self, to: &str, at: Instant, stages: &Stages) {
        self.ask(at, Asked::To(to.to_owned()), stages);
    }

    fn ask(&mut self, at: Instant, asked: Asked, stages: &Stages) {
        self.read_by(stages);
        // Earlier than what everything starts from: it cannot be told any more what it would have changed.
        if self.settled.as_ref().is_some_and(|(_, settled)| *settled > at) {
            return;
        }
        // Two looks within one millisecond are told apart by nothing: what the later one found is how it is.
        if matches!(asked, Asked::To(_)) {
            self.asked.retain(|(other, held)| *other != at || !matches!(held, Asked::To(_)));
        }
        let entry = (at, asked);
        if let Err(place) = self.asked.binary_search(&entry) {
            self.asked.insert(place, entry);
        }
        self.walk(stages);
    }

    /// The moves of another version of the document mean nothing in this one: what they led to stands.
    fn read_by(&mut self, stages: &Stages) {
        if self.document != stages.id() {
            self.document = stages.id().to_owned();
            if let Some((last, _)) = self.asked.pop() {
                self.asked.clear();
                self.settled = Some((self.stays.len(), last));
            }
        }
    }

    /// Follows the moves, and leaves no more than may be kept.
    fn walk(&mut self, stages: &Stages) {
        // Of moves that were asked for again and again, without another in between, the first and the last are enough.
        let mut i = 1;
        while self.asked.len() > ASKED && i + 1 < self.asked.len() {
            let same = self.asked[i - 1].1 == self.asked[i].1 && self.asked[i].1 == self.asked[i + 1].1;
            if same {
                self.asked.remove(i);
            } else {
                i += 1;
            }
        }
        self.stays.truncate(self.settled.as_ref().map_or(0, |(n, _)| *n));
        let settle = self.asked.len().saturating_sub(ASKED);
        for (i, (at, asked)) in self.asked.iter().enumerate() {
            let stage = self.stays.last().map_or(stages.first(), |(_, stage)| stage.as_str());
            if let Some(to) = asked.leads_to(stage, stages) {
                self.stays.push((at.at, to.to_owned()));
            }
            if i < settle {
                self.settled = Some((self.stays.len(), at.clone()));
            }
        }
        self.asked.drain(..settle);
        let over = self.stays.len().saturating_sub(STAYS);
        self.stays.drain(..over);
        if let Some((n, _)) = &mut self.settled {
            *n = n.saturating_sub(over);
        }
    }

    /// Takes in the moves of another record of the person.
    pub(super) fn merge(&mut self, other: &Self, stages: &Stages) {
        if other.is_empty() {
            return;
        }
        self.read_by(stages);
        let mut other = other.clone();
        other.read_by(stages);
        let until = |log: &Self| log.settled.as_ref().map(|(_, at)| at.clone());
        if until(&other) > until(self) {
            (self.settled, self.stays) = (other.settled, other.stays);
        }
        let settled = until(self);
        for entry in other.asked {
            if let Err(place) = self.asked.binary_search(&entry) {
                self.asked.insert(place, entry);
            }
        }
        self.asked.retain(|(at, _)| settled.as_ref().is_none_or(|settled| at >= settled));
        self.walk(stages);
    }
}

impl Asked {
    /// The stage it leads to from a stage, if it leads to another.
    fn leads_to<'a>(&'a self, stage: &str, stages: &'a Stages) -> Option<&'a str> {
        match self {
            Self::Moves(bits) => stages.step(*bits, stage),
            Self::To(to) => (to != stage).then_some(to),
        }
    }
}
