//! Working hours as documents write them: `{ zone: Asia/Shanghai, mon-fri: "09:00-18:30", calendar: cn }`.

use crate::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::OnceLock;

/// The days of a week, Monday first, as documents call them.
pub const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Minutes of a day.
pub(super) const DAY: u16 = 24 * 60;

/// A time zone of the IANA database, which is compiled in: the machine's own does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// The zone with this name, `Asia/Shanghai`.
    pub fn named(name: &str) -> Option<Self> {
        static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
        let zone = DATABASE.get_or_init(TimeZoneDatabase::bundled).get(name).ok()?;
        Some(Self { name: name.to_owned(), zone })
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Its name as it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn rules(&self) -> &TimeZone {
        &self.zone
    }

    /// The day that it is here; none out of the years that calendars know.
    pub fn day(&self, at: Timestamp) -> Option<Date> {
        Some(jiff::Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(self.zone.clone()).date())
    }

    /// When a minute of a day comes here. One that the clock skips comes as much later as the clock skips, of one that comes
    /// twice it is the first.
    pub fn minute_of(&self, day: Date, minute: u16) -> Option<Timestamp> {
        let time = jiff::civil::time((minute / 60 % 24) as i8, (minute % 60) as i8, 0, 0);
        let zoned = self.zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| {
            D::Error::custom(format!("there is no time zone `{name}`; zones are called like `Europe/Berlin`"))
        })
    }
}

/// Spans of a day in minutes since its midnight, in order, apart from each other. The last may end on the next day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u16, u16)>);

impl Spans {
    /// Reads `09:00-12:30, 13:30-18:00`. A span that does not end after its beginning goes over midnight; `24:00` is
    /// the end of the day. `closed` is no span at all.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == "closed" {
            return Ok(Self::default());
        }
        let mut spans = text.split(',').map(span).collect::<Result<Vec<_>, _>>()?;
        spans.sort_unstable();
        let first_begins = spans.first().map_or(0, |(from, _)| *from);
        let overlap = spans.windows(2).any(|pair| matches!(pair, [(_, to), (from, _)] if from < to));
        if overlap || spans.last().is_some_and(|(_, to)| *to > first_begins + DAY) {
            return Err(format!("the spans of `{text}` overlap"));
        }
        Ok(Self(spans))
    }

    /// The spans: begin and end in minutes since midnight.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        self.0.iter().copied()
    }

    /// When the span ends in which an instant lies, read every day in a time zone; none if it lies in none. Spans that
    /// touch are one. A local time that the clock skips stands for the instant of the change.
    pub fn end_of_span(&self, zone: &Zone, at: Timestamp) -> Option<Timestamp> {
        let mut end = None;
        // As many steps as spans can touch; spans that fill the day have no end.
        for _ in 0..=self.0.len() {
            match self.end_of_one(zone, end.unwrap_or(at)) {
                Some(later) => end = Some(later),
                None => return end,
            }
        }
        end
    }

    fn end_of_one(&self, zone: &Zone, at: Timestamp) -> Option<Timestamp> {
        let local = jiff::Timestamp::from_millisecond(at.millis()).ok()?.to_zoned(zone.rules().clone());
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let (day, to) = self.0.iter().find_map(|(from, to)| match () {
            () if (*from..*to).contains(&minute) => Some((local.date(), *to)),
            () if *to > DAY && minute < to - DAY => Some((local.date().yesterday().ok()?, *to)),
            () => None,
        })?;
        let (day, to) = if to >= DAY { (day.tomorrow().ok()?, to - DAY) } else { (day, to) };
        let time = jiff::civil::time((to / 60) as i8, (to % 60) as i8, 0, 0);
        // Of a time that comes twice it is the first that is still to come.
        let ends = zone.rules().to_ambiguous_zoned(day.to_datetime(time));
        let ends = [ends.clone().compatible(), ends.later()].into_iter().flatten();
        ends.map(|end| Timestamp(end.timestamp().as_millisecond())).find(|end| *end > at)
    }

    /// What is left of them before a minute of the day.
    pub(super) fn until(&self, minute: u16) -> Self {
        let kept = self.0.iter().map(|(from, to)| (*from, (*to).min(minute)));
        Self(kept.filter(|(from, to)| from < to).collect())
    }
}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("closed");
        }
        for (at, (from, to)) in self.0.iter().enumerate() {
            let to = if *to > DAY { to - DAY } else { *to };
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

impl Serialize for Spans {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Spans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// `HH:MM` as minutes since midnight, up to 24:00.
pub(crate) fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |part: &str, digits: std::ops::RangeInclusive<usize>| -> Option<u16> {
        let plain = digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| plain)
    };
    let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
    (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
}

fn span(text: &str) -> Result<(u16, u16), String> {
    let text = text.trim();
    let ends = text.split_once(['-', '\u{2013}']).and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    let Some((from, to)) = ends.filter(|(from, _)| *from < DAY) else {
        return Err(format!("`{text}` is no span of time; write it like `09:00-18:30`"));
    };
    if from == to {
        return Err(format!("`{text}` begins and ends at one time; all day is `00:00-24:00`"));
    }
    Ok((from, if to > from { to } else { to + DAY }))
}

/// Working hours of a team or a rep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Where the clock is read.
    pub zone: Zone,
    /// Spans of each day, Monday first.
    pub days: [Spans; 7],
    /// The holiday calendar kept.
    pub calendar: Option<String>,
}

/// Hours that are read in a zone of their own, or in that of whoever they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalHours {
    /// Where the clock is read; absent is where somebody lives.
    pub zone: Option<Zone>,
    /// Spans of each day, Monday first.
    pub days: [Spans; 7],
    /// The holiday calendar kept.
    pub calendar: Option<String>,
}

impl LocalHours {
    /// The hours of somebody who lives in `zone`.
    pub fn of(&self, zone: Zone) -> Hours {
        Hours {
            zone: self.zone.clone().unwrap_or(zone),
            days: self.days.clone(),
            calendar: self.calendar.clone(),
        }
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { zone, days, calendar } = self.clone();
        LocalHours { zone: Some(zone), days, calendar }.serialize(serializer)
    }
}

impl Serialize for LocalHours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(zone) = &self.zone {
            map.serialize_entry("zone", zone)?;
        }
        for (name, spans) in DAY_NAMES.iter().zip(&self.days).filter(|(_, spans)| !spans.0.is_empty()) {
            map.serialize_entry(name, spans)?;
        }
        if let Some(calendar) = &self.calendar {
            map.serialize_entry("calendar", calendar)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let LocalHours { zone, days, calendar } = LocalHours::deserialize(deserializer)?;
        let zone = zone.ok_or_else(|| D::Error::missing_field("zone"))?;
        Ok(Self { zone, days, calendar })
    }
}

impl<'de> Deserialize<'de> for LocalHours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = LocalHours;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LocalHours, A::Error> {
        let (mut zone, mut calendar) = (None, None);
        let mut days: [Option<Spans>; 7] = Default::default();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Zone => zone = Some(map.next_value()?),
                Key::Calendar => calendar = Some(map.next_value()?),
                Key::Days(from, to) => {
                    let spans: Spans = map.next_value()?;
                    for day in (0..7).map(|step| (from + step) % 7).take((to + 7 - from) % 7 + 1) {
                        if days[day].replace(spans.clone()).is_some() {
                            return Err(A::Error::custom(format!("{} is here twice", DAY_NAMES[day])));
                        }
                    }
                }
            }
        }
        if days.iter().all(Option::is_none) {
            return Err(A::Error::custom("no day has hours; write `mon-fri: \"09:00-18:00\"`"));
        }
        Ok(LocalHours { zone, calendar, days: days.map(Option::unwrap_or_default) })
    }
}

enum Key {
    Zone,
    Calendar,
    Days(usize, usize),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const KNOWN: [&str; 11] =
            ["zone", "calendar", "mon-fri", "daily", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let key = String::deserialize(deserializer)?;
        let (from, to) = key.split_once('-').unwrap_or((&key, &key));
        match (key.as_str(), weekday(from), weekday(to)) {
            ("zone", ..) => Ok(Self::Zone),
            ("calendar", ..) => Ok(Self::Calendar),
            ("daily", ..) => Ok(Self::Days(0, 6)),
            (_, Some(from), Some(to)) => Ok(Self::Days(from, to)),
            _ => Err(D::Error::unknown_field(&key, &KNOWN)),
        }
    }
}

/// The day of the week with this name, Monday is 0.
pub(super) fn weekday(name: &str) -> Option<usize> {
    DAY_NAMES.iter().position(|day| *day == name)
}
