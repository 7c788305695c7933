//! Measures that journeys are written with: parts of a hundred, days before and after, times of the day.

use crate::calendar;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A part of everybody, written `10%` or `2.5%`: in hundredths of a per cent, 1 to 9,900.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    /// In hundredths of a per cent.
    pub const fn hundredths(self) -> u16 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let number = text.trim().strip_suffix('%')?.trim();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 2) || !digits(part, 2) {
            return None;
        }
        let part: u16 = format!("{part:0<2}").parse().ok()?;
        let hundredths = whole.parse::<u16>().ok()? * 100 + part;
        (1..=9_900).contains(&hundredths).then_some(Self(hundredths))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) => write!(f, "{whole}.{}%", format!("{part:02}").trim_end_matches('0')),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || format!("`{text}` is no part of everybody; write it like `10%` or `2.5%`, at most 99%");
        Self::parse(&text).ok_or_else(|| D::Error::custom(wrong()))
    }
}

/// So many days after a day (negative: before it), written `3 days before` or `1 day after`; at most a year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayOffset(i32);

impl DayOffset {
    /// Days after; negative is before.
    pub const fn days(self) -> i32 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let (number, unit, side) = (words.next()?, words.next()?, words.next()?);
        let number: i32 = number.parse().ok().filter(|n| (0..=365).contains(n))?;
        let sign = match (unit, side, words.next()) {
            ("day" | "days", "before", None) => -1,
            ("day" | "days", "after", None) => 1,
            _ => return None,
        };
        Some(Self(number * sign))
    }
}

impl fmt::Display for DayOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.0.abs() == 1 { "day" } else { "days" };
        let side = if self.0 < 0 { "before" } else { "after" };
        write!(f, "{} {unit} {side}", self.0.abs())
    }
}

impl Serialize for DayOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DayOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || format!("`{text}`: write it like `3 days before` or `1 day after`, at most 365 days");
        Self::parse(&text).ok_or_else(|| D::Error::custom(wrong()))
    }
}

/// A time of the day, `09:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl Default for TimeOfDay {
    fn default() -> Self {
        Self(9 * 60)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let minute = calendar::minute_of_day(&text).filter(|minute| *minute < 24 * 60);
        let wrong = || format!("`{text}` is no time of the day; write it like `09:00`");
        minute.map(Self).ok_or_else(|| D::Error::custom(wrong()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn measures_are_read_and_written_alike_and_nonsense_is_refused() {
        for text in ["10%", "2.5%", "0.01%", "99%"] {
            assert_eq!(serde_json::from_value::<Share>(json!(text)).unwrap().to_string(), text);
        }
        for text in ["3 days before", "1 day after", "365 days before"] {
            assert_eq!(serde_json::from_value::<DayOffset>(json!(text)).unwrap().to_string(), text);
        }
        assert_eq!(serde_json::from_value::<TimeOfDay>(json!("9:05")).unwrap().to_string(), "09:05");
        for text in ["", "0%", "100%", "99.5%", "10", "-1%", "1.234%"] {
            assert!(serde_json::from_value::<Share>(json!(text)).is_err(), "{text}");
        }
        for text in
            ["", "3", "3 days", "-3 days before", "366 days after", "3 weeks before", "3 days before it"]
        {
            assert!(serde_json::from_value::<DayOffset>(json!(text)).is_err(), "{text}");
        }
        for text in ["24:00", "9", "9:5"] {
            assert!(serde_json::from_value::<TimeOfDay>(json!(text)).is_err(), "{text}");
        }
    }
}
