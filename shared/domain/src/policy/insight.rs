//! What people want to know: what was paid for what brings people, how orders are credited, and what somebody is to be told of.

use super::Period;
use crate::insight::{Key, Measure};
use jiff::civil::Date;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// How orders are credited to what brought their buyers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attribution {
    /// What happened longer before an order has no part in it.
    pub window: Period,
    /// With `time_decay`: what happened so long before an order counts half.
    pub half_life: Period,
}

impl Default for Attribution {
    fn default() -> Self {
        Self { window: Period::days(90), half_life: Period::days(7) }
    }
}

/// What was paid for a source or an advertisement over some days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Its name.
    pub name: String,
    /// For what: `source/NAME`, `ad/UTM_SOURCE` or `ad/UTM_SOURCE/UTM_CAMPAIGN`.
    pub of: Key,
    /// How much, over all days.
    pub amount: Amount,
    /// In which currency; absent is that of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The first day, in UTC.
    pub from: Date,
    /// The last day; absent is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl Cost {
    /// The most days of one document.
    pub const MAX_DAYS: i32 = 3_660;

    /// The last day.
    pub fn last(&self) -> Date {
        self.to.unwrap_or(self.from)
    }
}

/// An amount of money, in hundredths; written as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i64);

impl Amount {
    /// In hundredths.
    pub const fn hundredths(self) -> i64 {
        self.0
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            serializer.serialize_i64(self.0 / 100)
        } else {
            serializer.serialize_f64(self.0 as f64 / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = crate::live::hundredths(&Value::deserialize(deserializer)?);
        amount.map(Self).ok_or_else(|| D::Error::custom("an amount is a number, such as 1200.50"))
    }
}

/// Somebody is told when a measure leaves its bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// Of what: `source/NAME`, `ad/…`, `journey/NAME`, `step/JOURNEY/STEP`, `campaign/NAME`, `team/NAME` or `rep/NAME`.
    pub of: Key,
    /// What is measured.
    pub measure: Measure,
    /// More than this is too much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Bound>,
    /// Less than this is too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Bound>,
    /// Over so many days, the present one among them.
    pub within: Period,
    /// Of a part: only once it is one of so many. Absent is 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<u32>,
    /// Reps who are told; none is those whom the settings name for escalated leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<String>,
}

impl Alert {
    /// The most days that are looked at.
    pub const MAX_DAYS: i64 = 31;
    /// So many alerts at most: each is looked at every few minutes.
    pub const MOST: usize = 50;
    /// A part of fewer says nothing, unless the document says.
    pub const LEAST: u32 = 20;

    /// Over so many days.
    pub const fn days(&self) -> i64 {
        (self.within.millis() + 86_399_999) / 86_400_000
    }
}

/// A bound: a number, or a part of a hundred written `2.5%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Bound {
    /// As a number; 0.025 for `2.5%`.
    pub value: f64,
    /// Whether it is a part.
    pub is_part: bool,
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.is_part {
            true => serializer.collect_str(&format_args!("{}%", (self.value * 1e6).round() / 1e4)),
            false => serializer.serialize_f64(self.value),
        }
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("a bound is a number, or a part of a hundred such as `2.5%`");
        let bound = match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_f64().map(|value| Self { value, is_part: false }),
            Value::String(text) => {
                let number =
                    text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
                number.map(|percent| Self { value: percent / 100.0, is_part: true })
            }
            _ => None,
        };
        bound.filter(|bound| bound.value.is_finite() && bound.value >= 0.0).ok_or_else(wrong)
    }
}
