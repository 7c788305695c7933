//! A team's response clock, as its document writes it:
//! `response: { within: 5m, remind: ["50%", "80%"], then: reassign, limit: 3, catch_all: { rep: boss } }`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// How soon the members of a team have to be in touch with whoever sent a lead, and what happens if they are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// The window, in working time of whoever has the lead.
    pub within: Window,
    /// Points of the window at which the owner is reminded, in rising order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remind: Vec<Point>,
    /// What happens at its end.
    #[serde(default, skip_serializing_if = "Then::is_reassign")]
    pub then: Then,
    /// How often a lead is taken from somebody, 1 to 20.
    #[serde(default = "three", skip_serializing_if = "is_three")]
    pub limit: u32,
    /// Who gets a lead that nobody of the team was in touch with, without a clock; absent is a person who looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<CatchAll>,
}

const fn three() -> u32 {
    3
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_three(n: &u32) -> bool {
    *n == 3
}

impl Response {
    /// The most reminders of one window.
    pub const MAX_POINTS: usize = 10;
    /// The largest limit.
    pub const MAX_LIMIT: u32 = 20;

    /// The point after `point` (0 is the start): the next reminder, or [`Point::END`].
    pub fn after(&self, point: Point) -> Point {
        self.remind.iter().copied().filter(|next| *next > point).min().unwrap_or(Point::END)
    }
}

/// A length of working time: hours, minutes and seconds, `5m` or `1h30m`. At least a minute, which is as often as
/// timers fire, and at most 1,000 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window(i64);

impl Window {
    /// Its length in milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The part of it that lies before a point, in milliseconds.
    pub const fn until(self, point: Point) -> i64 {
        self.0 * point.0 as i64 / 100
    }

    /// Reads `5m`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time; write it like `5m`, `90s` or `1h30m`");
        let (mut millis, mut number, mut last) = (0i64, String::new(), 4);
        for c in text.trim().chars() {
            if c.is_ascii_digit() && number.len() < 7 {
                number.push(c);
                continue;
            }
            let (rank, unit) = match c {
                'h' => (3, 3_600_000),
                'm' => (2, 60_000),
                's' => (1, 1_000),
                'd' => return Err(format!("`{text}`: write hours, a day of work has no fixed length")),
                _ => return Err(wrong()),
            };
            let count: i64 = number.parse().map_err(|_| wrong())?;
            if rank >= last {
                return Err(wrong());
            }
            millis += count * unit;
            (number, last) = (String::new(), rank);
        }
        if !number.is_empty() || last == 4 {
            return Err(wrong());
        }
        if !(60_000..=3_600_000_000).contains(&millis) {
            return Err(format!("`{text}`: a window is at least 1m and at most 1000h"));
        }
        Ok(Self(millis))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&length(self.0))
    }
}

/// A length of time in milliseconds as people write it, `1h30m`; parts of a second are left out.
pub fn length(millis: i64) -> String {
    let seconds = millis.max(0) / 1_000;
    let parts = [(seconds / 3_600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A point of a window in per cent of it: `50%`. 100 is its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point(u8);

impl Point {
    /// Where a window starts.
    pub const START: Self = Self(0);
    /// Where it ends.
    pub const END: Self = Self(100);

    /// So many per cent, at most 100.
    pub fn percent(percent: u8) -> Self {
        Self(percent.min(100))
    }

    /// How many per cent.
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<u8>().ok());
        percent.filter(|percent| (1..100).contains(percent)).map(Self).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is no point of the window; write it like `50%`, 1 to 99"))
        })
    }
}

/// What happens at the end of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// Another member of the team gets the lead.
    #[default]
    Reassign,
    /// Nothing: the owner was reminded.
    RemindOnly,
    /// The lead waits for a person, who is told.
    Escalate,
}

impl Then {
    const fn is_reassign(&self) -> bool {
        matches!(self, Self::Reassign)
    }
}

/// Who gets a lead in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatchAll {
    /// This rep, whether at work or not.
    Rep(String),
    /// The next of this team.
    Team(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_they_are_written() {
        for (text, millis, written) in [
            ("5m", 300_000, "5m"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            (" 2h ", 7_200_000, "2h"),
            ("1000h", 3_600_000_000, "1000h"),
        ] {
            let window = Window::parse(text).unwrap();
            assert_eq!((window.millis(), window.to_string().as_str()), (millis, written));
            assert_eq!(Window::parse(written), Ok(window));
        }
        for text in ["", "5", "m", "5 min", "30s", "1d", "5m5m", "5m1h", "-5m", "1.5h", "99999999h", "1001h"]
        {
            assert!(Window::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_point_lies_in_the_window() {
        let point = |text: &str| serde_json::from_value::<Point>(text.into());
        assert_eq!(point("50%").unwrap(), Point::percent(50));
        assert_eq!(Window::parse("5m").unwrap().until(Point::percent(50)), 150_000);
        for text in ["0%", "100%", "50", "%", "-1%", "300%"] {
            assert!(point(text).is_err(), "{text}");
        }
    }
}
