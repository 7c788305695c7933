//! Campaigns: one message to many people at a time, as documents.

mod at;

pub(crate) use at::minute;
pub use at::{At, Every, Recurring};

use super::Period;
use super::journey::{Send, Share};
use crate::id::short_hash;
use serde::{Deserialize, Serialize};

/// A campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who gets it.
    pub audience: Audience,
    /// What is sent.
    pub send: Send,
    /// Several messages, one for each person; absent is `send` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
    /// How the best of the variants is found, for everybody who was not in the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<Winner>,
    /// When it goes out.
    #[serde(default)]
    pub at: At,
    /// It does not go out at once but evenly within this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Period>,
    /// Messages a second; absent is as many as the channel's document says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// The part of the audience that gets nothing and is listed, to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<Share>,
    /// What it is for: how many of the people do that is counted, of who gets it and of who gets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// What stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_if: Option<StopIf>,
    /// Reps who are told when it was stopped; none is those whom the settings name for escalated leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<String>,
}

impl Campaign {
    /// Variants of one campaign at most.
    pub const MAX_VARIANTS: usize = 8;
    /// Messages a second at most.
    pub const MAX_RATE: u32 = 1_000;
    /// The longest time to spread over.
    pub const MAX_SPREAD: Period = Period::days(7);

    /// The template of a variant, by its place.
    pub fn template(&self, variant: Option<u8>) -> &str {
        let chosen = variant.and_then(|variant| self.variants.get(usize::from(variant)));
        chosen.and_then(|variant| variant.template.as_deref()).unwrap_or(&self.send.template)
    }

    /// What a variant is called, by its place.
    pub fn variant_name(&self, variant: Option<u8>) -> Option<&str> {
        Some(&self.variants.get(usize::from(variant?))?.name)
    }
}

/// What a campaign is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// An event of this name.
    pub event: String,
    /// Within this time of the message.
    pub within: Period,
}

/// Who gets it: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audience {
    /// Everybody in this segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Everybody on this list: those who have the tag of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Everybody of whom this condition holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

impl Audience {
    /// The condition, where it is not a segment's.
    pub fn condition(&self) -> Option<String> {
        let of_list = |list: &String| format!("{} in tags", serde_json::Value::from(list.as_str()));
        self.query.clone().or_else(|| self.list.as_ref().map(of_list))
    }

    /// The same for the same audience, as it is written.
    pub fn print(&self) -> String {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        short_hash(&[&text(&self.segment), &text(&self.list), &text(&self.query)])
    }
}

/// One of several messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What it is called.
    pub name: String,
    /// Its template; absent is that of `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// How many of the people get it, beside the others' weights.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_one(n: &u32) -> bool {
    *n == 1
}

/// How the best variant is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Winner {
    /// By which part of its messages.
    pub by: Metric,
    /// The part of the people who get a variant at once; the others wait for the winner.
    pub test: Share,
    /// How long after the last of the test is due it is decided.
    pub after: Period,
}

/// What a variant is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The most people opened it.
    Opened,
    /// The most people followed a link of it.
    Clicked,
}

/// Guard rails: parts of the messages that went out. One that is reached stops the campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StopIf {
    /// Came back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounce_rate: Option<Share>,
    /// Were called spam.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub complaint_rate: Option<Share>,
    /// Made somebody want no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsubscribe_rate: Option<Share>,
    /// Looked at once so many went out; absent is 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

impl StopIf {
    /// Messages after which rates mean something, unless the document says.
    pub const AFTER: u32 = 100;
}
