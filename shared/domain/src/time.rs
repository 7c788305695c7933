//! One instant, in milliseconds since the Unix epoch.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An instant in milliseconds since 1970-01-01T00:00:00Z. The core never asks for the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since the epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant moved by `millis` (which may be negative).
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant; negative if `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// RFC 3339 in UTC with milliseconds, for people and for JSON.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => format!("{at:.3}"),
            Err(_) => format!("{} ms", self.0),
        }
    }

    /// Reads a date of HTTP's, `Sun, 06 Nov 1994 08:49:37 GMT`, also in the two obsolete forms that whoever reads one has to
    /// accept. (RFC 9110 section 5.6.7.)
    pub fn parse_http_date(text: &str) -> Option<Self> {
        const OBSOLETE: [&str; 2] = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        let text = text.trim();
        let obsolete = |form: &str| {
            let local = jiff::fmt::strtime::parse(form, text).ok()?.to_datetime().ok()?;
            local.to_zoned(jiff::tz::TimeZone::UTC).ok()
        };
        let usual = jiff::fmt::rfc2822::parse(text).ok();
        let at = usual.or_else(|| OBSOLETE.into_iter().find_map(obsolete))?;
        Some(Self(at.timestamp().as_millisecond()))
    }

    /// Reads RFC 3339, and the relatives senders really use: an offset without a colon (`+0000`, Meta), a bare count of
    /// seconds, and one of milliseconds. A count that no calendar reaches is no time.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(count) = text.parse::<i64>() {
            // Milliseconds have thirteen digits from 2001 to 2286; so many seconds are beyond the year 9999.
            let is_millis = (1_000_000_000_000..10_000_000_000_000).contains(&count.unsigned_abs());
            let at = if is_millis { Self(count) } else { Self::from_seconds(count) };
            return jiff::Timestamp::from_millisecond(at.0).is_ok().then_some(at);
        }
        let millis = |at: jiff::Timestamp| Self(at.as_millisecond());
        text.parse::<jiff::Timestamp>().ok().map(millis).or_else(|| {
            jiff::fmt::strtime::parse("%Y-%m-%dT%H:%M:%S%.f%z", text).ok()?.to_timestamp().ok().map(millis)
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_of_seconds_or_with_thirteen_digits_of_milliseconds() {
        for (text, millis) in [
            ("1767605400", Some(1_767_605_400_000)),
            (" 1767605400123 ", Some(1_767_605_400_123)),
            ("0", Some(0)),
            ("-1", Some(-1_000)),
            ("253402207199", Some(253_402_207_199_000)),
            ("999999999999", None),
            ("17676054000000", None),
            ("1767605400000000", None),
            ("9223372036854775807", None),
            ("99999999999999999999", None),
            ("1767605400.5", None),
        ] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::millis), millis, "{text}");
        }
    }

    #[test]
    fn an_offset_has_a_colon_or_none() {
        for text in ["2026-01-05T09:30:00Z", "2026-01-05T10:30:00+01:00", "2026-01-05T10:30:00+0100"] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp::from_seconds(1_767_605_400)), "{text}");
        }
    }

    #[test]
    fn a_date_of_http_is_read_in_each_of_its_three_forms() {
        let at = Timestamp::parse("1994-11-06T08:49:37Z");
        assert!(at.is_some());
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Sun Nov  6 08:49:37 1994 ",
        ] {
            assert_eq!(Timestamp::parse_http_date(text), at, "{text}");
        }
        for text in
            ["", "soon", "Sunday, 06-Nov-94", "Sunday, 06-Nov-94 08:49:37 CET", "Sun Nov 31 08:49:37 1994"]
        {
            assert_eq!(Timestamp::parse_http_date(text), None, "{text}");
        }
    }
}
