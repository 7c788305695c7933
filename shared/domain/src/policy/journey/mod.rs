//! Journeys: what happens to whom, step by step, as documents.

mod measure;
mod step;
mod written;

pub use measure::{DayOffset, Share, TimeOfDay};
pub use step::{
    Act, Addressee, Case, KINDS as STEP_KINDS, Notify, Points, Send, Step, TagFor, Task, Until, WaitFor,
    WebhookStep,
};

use super::{Period, is_default};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A journey.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journey {
    /// Its name.
    pub name: String,
    /// What makes somebody enter: one, or any of several. Without one, people enter by `enrol` only.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub trigger: Vec<Trigger>,
    /// Who enters, and how often.
    #[serde(default, skip_serializing_if = "is_default")]
    pub entry: Entry,
    /// What ends it for a person at once, wherever they are.
    #[serde(default, with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub exit: Vec<Sign>,
    /// What it is for. Reaching it ends the journey for a person, and counts also after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// The part of those who would enter that gets nothing and is counted, to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out: Option<Share>,
    /// What becomes of people who are in an earlier version.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_publish: OnPublish,
    /// Nobody enters and nobody moves on; everybody stays where they are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paused: bool,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Journey {
    /// Steps of one journey at most.
    pub const MAX_STEPS: usize = 100;
    /// Triggers, and likewise exits, of one journey at most.
    pub const MAX_TRIGGERS: usize = 10;

    /// The document without what may change while people are in it without making another version of it.
    pub(crate) fn flow(&self) -> Self {
        Self { paused: false, on_publish: OnPublish::default(), ..self.clone() }
    }
}

/// What makes somebody enter: exactly one of `event`, `form`, `segment`, `stage` and `date`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trigger {
    /// An event of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// A lead by this form or source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// A change of this segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// With `segment`: which change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// This stage is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// A day comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<DateTrigger>,
    /// With `event` and `form`: a condition the event has to meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// A change of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Somebody comes in.
    #[default]
    Entered,
    /// Somebody goes out.
    Left,
}

/// A day that comes, by a date of the customer's and in their time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateTrigger {
    /// The fact that is the date: `birth_date`.
    pub fact: String,
    /// Every year on that day; absent is once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub yearly: bool,
    /// So many days before or after it: `3 days before`; absent is the day itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub days: DayOffset,
    /// At this time of the customer's day; absent is 09:00.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at: TimeOfDay,
}

/// Who enters, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// Who; absent is everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// How often.
    #[serde(skip_serializing_if = "is_default")]
    pub again: Again,
}

/// How often somebody enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Once.
    #[default]
    Never,
    /// Whenever they are not in it.
    AfterExit,
    /// Each time; who is in it starts over.
    Always,
    /// Whenever they are not in it, but no more often than this.
    Limited(Limit),
}

/// So often within a rolling time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// 1 to 20.
    pub at_most: u32,
    /// Within this time.
    pub per: Period,
}

impl Limit {
    /// The largest number; what a run remembers is bounded by it.
    pub const MOST: u32 = 20;
}

impl Serialize for Again {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_str("never"),
            Self::AfterExit => serializer.serialize_str("after_exit"),
            Self::Always => serializer.serialize_str("always"),
            Self::Limited(limit) => limit.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Again {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Again;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`never`, `after_exit`, `always` or `{ at_most: 2, per: 30d }`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Again, E> {
                match text {
                    "never" => Ok(Again::Never),
                    "after_exit" => Ok(Again::AfterExit),
                    "always" => Ok(Again::Always),
                    other => Err(E::unknown_variant(other, &["never", "after_exit", "always"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Again, A::Error> {
                Limit::deserialize(MapAccessDeserializer::new(map)).map(Again::Limited)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// What can be noticed at any step: an event, a condition that holds, or an event that meets a condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sign {
    /// An event of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// A condition: of the event if there is one, else of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// What a journey is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// An event of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// A condition: of the event if there is one, else of the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Within this time from entering.
    pub within: Period,
}

impl Goal {
    /// What reaches it.
    pub fn sign(&self) -> Sign {
        Sign { event: self.event.clone(), when: self.when.clone() }
    }
}

/// What becomes of people who are in an earlier version when another is published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPublish {
    /// They go on by the version they entered by.
    #[default]
    Finish,
    /// They leave.
    Exit,
    /// They go on by the new version: from the step that stands beside theirs here, else from the step of the same name; who
    /// is at a step that the new version does not have finishes the old one.
    Migrate(BTreeMap<String, String>),
}

/// A list, or the only item of it.
mod one_or_many {
    use super::*;

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        items: &Vec<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match items.as_slice() {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping, or a list of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vec<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(list)
            }
        }
        deserializer.deserialize_any(Reader(PhantomData))
    }
}
