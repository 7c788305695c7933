//! Tags, some of which expire.

use super::Instant;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tags that one record has room for.
const MOST: usize = 50;
/// How long it is remembered that a tag was taken away, for what comes late.
const REMEMBERED_MS: i64 = 30 * 86_400_000;

/// What was said last about a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    /// When it was said.
    #[serde(rename = "t")]
    at: Instant,
    /// Until when it holds; absent is for good.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// It was taken away.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// The tags of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, Tag>);

impl Tags {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags that hold, each with its end.
    pub fn holding(&self, now: Timestamp) -> impl Iterator<Item = (&str, Option<Timestamp>)> {
        let holds = move |tag: &Tag| !tag.gone && tag.until.is_none_or(|until| until > now);
        self.0.iter().filter(move |(_, tag)| holds(tag)).map(|(name, tag)| (name.as_str(), tag.until))
    }

    /// Whether a tag holds.
    pub fn holds(&self, name: &str, now: Timestamp) -> bool {
        self.holding(now).any(|(known, _)| known == name)
    }

    /// Gives a tag, until then or for good. The newest word counts.
    pub(super) fn give(&mut self, name: &str, until: Option<Timestamp>, at: Instant, now: Timestamp) {
        self.say(name, Tag { at, until, gone: false }, now);
    }

    /// Takes a tag away.
    pub(super) fn take(&mut self, name: &str, at: Instant, now: Timestamp) {
        self.say(name, Tag { at, until: None, gone: true }, now);
    }

    fn say(&mut self, name: &str, tag: Tag, now: Timestamp) {
        if self.0.get(name).is_none_or(|known| known.at < tag.at) {
            self.0.insert(name.to_owned(), tag);
        }
        self.fit(now);
    }

    /// Takes what has expired away; gives it back.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<String> {
        let is_over = |tag: &Tag| !tag.gone && tag.until.is_some_and(|until| until <= now);
        let over: Vec<String> =
            self.0.iter().filter(|(_, tag)| is_over(tag)).map(|(name, _)| name.clone()).collect();
        for name in &over {
            if let Some(tag) = self.0.get_mut(name) {
                tag.gone = true;
            }
        }
        self.fit(now);
        over
    }

    /// When the next one ends.
    pub(crate) fn edge(&self, now: Timestamp) -> Option<Timestamp> {
        self.holding(now).filter_map(|(_, until)| until).min()
    }

    fn fit(&mut self, now: Timestamp) {
        let ended = |tag: &Tag| tag.until.unwrap_or(tag.at.at).max(tag.at.at);
        self.0.retain(|_, tag| !tag.gone || now.since(ended(tag)) < REMEMBERED_MS);
        while self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, tag)| (!tag.gone, tag.at.clone()));
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { return };
            self.0.remove(&oldest);
        }
    }

    pub(super) fn merge(&mut self, other: &Self, now: Timestamp) {
        for (name, tag) in &other.0 {
            self.say(name, tag.clone(), now);
        }
    }
}
