//! Absences of one person: whole days in their own time zone, or from one instant to another.

use super::hours::Zone;
use crate::time::Timestamp;
use jiff::civil::Date;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most absences kept for one person.
pub const MAX_ABSENCES: usize = 50;

/// A date of the local calendar, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A whole day.
    Day(Date),
    /// An instant.
    At(Timestamp),
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Day(date) => serializer.collect_str(date),
            Self::At(at) => serializer.collect_str(at),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let day = || text.parse::<Date>().ok().filter(|_| text.len() == 10).map(Self::Day);
        let at = || text.parse::<jiff::Timestamp>().ok().map(|at| Self::At(Timestamp(at.as_millisecond())));
        day().or_else(at).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no date such as 2026-12-24 and no time such as 2026-12-24T12:00:00Z"
            ))
        })
    }
}

/// One absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absence {
    /// First day, or since when.
    pub from: Moment,
    /// Last day (which counts), or until when; absent is until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Moment>,
}

impl Absence {
    /// Begin and end (which does not count) as instants, for somebody who lives by `zone`; an absence without an end
    /// ends never. Empty if it ends before it begins.
    pub fn interval(&self, zone: &Zone) -> (Timestamp, Timestamp) {
        let from = match self.from {
            Moment::Day(date) => midnight(date, zone).unwrap_or(Timestamp(i64::MIN)),
            Moment::At(at) => at,
        };
        let to = match self.to {
            None => Timestamp(i64::MAX),
            Some(Moment::Day(date)) => {
                date.tomorrow().ok().and_then(|next| midnight(next, zone)).unwrap_or(Timestamp(i64::MAX))
            }
            Some(Moment::At(at)) => at,
        };
        (from, to.max(from))
    }
}

/// All absences of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Leave(pub Vec<Absence>);

impl Leave {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn midnight(date: Date, zone: &Zone) -> Option<Timestamp> {
    super::schedule::instant(date, 0, zone)
}
