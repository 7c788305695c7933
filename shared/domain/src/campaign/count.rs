//! What is counted of a broadcast. A message says itself what it stands for ([`names`]), whatever happened to it and in
//! whatever order: counters are the sums, kept with each write of a message.

use crate::message::{Message, MessageState};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What messages that are being handed over or went out are called.
pub(super) const SENT: &str = "sent";
/// What a message is called whose place another took.
const REPLACED: &str = "replaced";

/// Whether a counter is of claims.
pub fn is_claim(name: &str) -> bool {
    name.split_once('#').map_or(name, |(plain, _)| plain) == SENT
}

/// What a message counts as; nothing unless it is a campaign's.
pub fn names(message: &Message) -> BTreeSet<String> {
    let Some(of) = &message.order.campaign else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    let mut add = |name: &str| {
        names.insert(key(name, of.variant));
    };
    match message.state {
        MessageState::Ready => {}
        MessageState::Claimed | MessageState::Sent => add(SENT),
        MessageState::Unknown => add("unknown"),
        MessageState::Failed => add("failed"),
        MessageState::Skipped if message.is_replaced() => add(REPLACED),
        MessageState::Skipped => {
            add(&format!("skipped.{}", message.reason.as_ref().map_or("none", |reason| reason.name())));
        }
    }
    let trail = &message.trail;
    let came_back = [
        (trail.delivered.is_some(), "delivered"),
        (trail.bounced.is_some(), "bounced"),
        (trail.complained.is_some(), "complained"),
        (trail.opened.is_some(), "opened"),
        (trail.clicked.is_some(), "clicked"),
        (trail.unsubscribed.is_some(), "unsubscribed"),
    ];
    came_back.into_iter().filter(|(is, _)| *is).for_each(|(_, name)| add(name));
    names
}

fn key(name: &str, variant: Option<u8>) -> String {
    match variant {
        Some(variant) => format!("{name}#{variant}"),
        None => name.to_owned(),
    }
}

/// Sums, by what is counted and the variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<String, i64>);

impl Counts {
    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what one part counted.
    pub fn add(&mut self, name: &str, n: i64) {
        let held = self.0.entry(name.to_owned()).or_default();
        *held += n;
        if *held == 0 {
            self.0.remove(name);
        }
    }

    /// Adds what others counted.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, n)| self.add(name, *n));
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        earlier.0.iter().for_each(|(name, n)| since.add(name, -n));
        since
    }

    /// What was counted by this name, of all variants.
    pub fn total(&self, name: &str) -> i64 {
        self.iter().filter(|(known, _, _)| *known == name).map(|(_, _, n)| n).sum()
    }

    /// What was counted by this name, of one variant.
    pub fn of(&self, name: &str, variant: u8) -> i64 {
        self.0.get(&key(name, Some(variant))).copied().unwrap_or_default()
    }

    /// Messages that came to an end, or whose outcome is unknown.
    pub fn ended(&self) -> i64 {
        let is_end = |name: &str| matches!(name, SENT | "unknown" | "failed") || name.starts_with("skipped.");
        self.iter().filter(|(name, _, _)| is_end(name)).map(|(_, _, n)| n).sum()
    }

    /// Names, variants and numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<u8>, i64)> {
        self.0.iter().map(|(key, n)| match key.split_once('#') {
            Some((name, variant)) => (name, variant.parse().ok(), *n),
            None => (key.as_str(), None, *n),
        })
    }

    /// Why messages were left out, and how many.
    pub fn skipped(&self) -> BTreeMap<&str, i64> {
        let mut skipped = BTreeMap::new();
        for (name, _, n) in self.iter() {
            if let Some(reason) = name.strip_prefix("skipped.") {
                *skipped.entry(reason).or_default() += n;
            }
        }
        skipped
    }
}
