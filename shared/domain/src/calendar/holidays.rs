//! Holiday calendars: the days of a country on which other hours hold.

use super::hours::{DAY_NAMES, Spans, minute, weekday};
use jiff::civil::Date;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A holiday calendar. Days that are not in it are like every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// What hours call it, `cn`.
    pub name: String,
    /// The days, in any order.
    pub days: Vec<Day>,
}

/// A day, or several in a row, with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// The local date, `2026-12-25`.
    pub date: Date,
    /// The last date, where there are several in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
    /// What people call it.
    pub name: String,
    /// Which hours hold; absent is none.
    #[serde(default, skip_serializing_if = "Opening::is_closed")]
    pub open: Opening,
}

/// The hours of a named day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opening {
    /// Nobody works.
    #[default]
    Closed,
    /// `until 12:00`: a half day, the day's hours end then.
    Until(u16),
    /// `like mon`: an extra working day with the hours of that day of the week (Monday is 0).
    Like(usize),
}

impl Opening {
    const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// The hours of a date whose day of the week (Monday is 0) is `usual`.
    pub(super) fn spans(self, week: &[Spans; 7], usual: usize) -> Spans {
        match self {
            Self::Closed => Spans::default(),
            Self::Until(minute) => week[usual % 7].until(minute),
            Self::Like(day) => week[day % 7].clone(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.trim().split_once(' ') {
            None => (text.trim() == "closed").then_some(Self::Closed),
            Some(("until", time)) => minute(time).map(Self::Until),
            Some(("like", day)) => weekday(day.trim()).map(Self::Like),
            Some(_) => None,
        }
    }
}

impl Serialize for Opening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Closed => serializer.serialize_str("closed"),
            Self::Until(minute) => {
                serializer.collect_str(&format_args!("until {:02}:{:02}", minute / 60, minute % 60))
            }
            Self::Like(day) => serializer.collect_str(&format_args!("like {}", DAY_NAMES[day % 7])),
        }
    }
}

impl<'de> Deserialize<'de> for Opening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no opening; write `until 12:00` for a half day, `like mon` for an extra working day, \
                 or leave it out"
            ))
        })
    }
}

impl Day {
    /// The most days one entry stands for: more is a mistyped year.
    pub const MAX: usize = 62;

    /// The dates it stands for; none if it ends before it begins, and no more than [`Self::MAX`].
    pub fn dates(&self) -> impl Iterator<Item = Date> {
        let last = self.to.unwrap_or(self.date);
        let next = |date: &Date| date.tomorrow().ok();
        std::iter::successors(Some(self.date), next).take_while(move |date| *date <= last).take(Self::MAX)
    }
}
