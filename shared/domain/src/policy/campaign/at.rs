//! When a campaign goes out: `now`, `{ time: … }`, `{ local_time: … }`, `{ every: [mon, thu], time: "09:00", zone: … }`.

use crate::calendar::{DAY_NAMES, Zone};
use crate::policy::journey::TimeOfDay;
use crate::time::Timestamp;
use jiff::civil::DateTime;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::fmt;

/// When it goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// As soon as it is scheduled.
    #[default]
    Now,
    /// Then, for everybody.
    Time(Timestamp),
    /// When it is that time where the recipient lives.
    Local(DateTime),
    /// Again and again.
    Every(Recurring),
}

/// Again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurring {
    /// On these days.
    pub every: Every,
    /// At this time of the day.
    pub time: TimeOfDay,
    /// Of the day here; none is where each recipient lives.
    pub zone: Option<Zone>,
}

/// Days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Every {
    /// All.
    Day,
    /// These of the week, Monday is 0.
    Week(BTreeSet<u8>),
    /// This of the month; one that a month lacks is its last.
    Month(i8),
}

/// As it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    time: Option<String>,
    local_time: Option<String>,
    every: Option<Days>,
    day: Option<i8>,
    zone: Option<String>,
}

enum Days {
    Word(String),
    List(Vec<String>),
}

/// How it is written.
const FORMS: &str = "`now`, `{ time: … }`, `{ local_time: … }` or `{ every: …, time: …, zone: … }`";

/// What `zone` says where each recipient's counts.
const OWN: &str = "recipient";

impl Written {
    fn read(self) -> Result<At, String> {
        let Self { time, local_time, every, day, zone } = self;
        match (time, local_time, every) {
            (None, Some(local), None) if day.is_none() && zone.is_none() => civil(&local).map(At::Local),
            (Some(time), None, None) if day.is_none() => match zone {
                None => Timestamp::parse(&time).map(At::Time).ok_or_else(|| {
                    format!("`{time}` is no instant; write it like `2027-03-01T09:00:00Z`, or with `zone`")
                }),
                Some(zone) => {
                    let (zone, local) = (named(&zone)?, civil(&time)?);
                    let at = zone.minute_of(local.date(), minute(local));
                    at.map(At::Time).ok_or_else(|| format!("`{time}` is out of the years we know"))
                }
            },
            (Some(time), None, Some(days)) => {
                let time = serde_json::from_value(time.into()).map_err(|error| error.to_string())?;
                let zone =
                    match zone.ok_or("`every` needs a `zone`, such as `Europe/Berlin` or `recipient`")? {
                        zone if zone == OWN => None,
                        zone => Some(named(&zone)?),
                    };
                Ok(At::Every(Recurring { every: days.read(day)?, time, zone }))
            }
            _ => Err(format!("write {FORMS}")),
        }
    }
}

impl Days {
    fn read(self, day: Option<i8>) -> Result<Every, String> {
        match (self, day) {
            (Self::Word(word), Some(day)) if word == "month" => match day {
                1..=31 => Ok(Every::Month(day)),
                _ => Err("a day of a month is 1 to 31".to_owned()),
            },
            (Self::Word(word), None) if word == "month" => {
                Err("`every: month` needs the `day` of the month".to_owned())
            }
            (_, Some(_)) => Err("`day` is only read with `every: month`".to_owned()),
            (Self::Word(word), None) if word == "day" => Ok(Every::Day),
            (Self::Word(word), None) => Self::List(vec![word]).read(None),
            (Self::List(words), None) => {
                let place = |word: &String| {
                    let at = DAY_NAMES.iter().position(|day| day == word);
                    at.and_then(|at| u8::try_from(at).ok()).ok_or_else(|| {
                        format!("`{word}` is none of `day`, `month` and {}", DAY_NAMES.join(", "))
                    })
                };
                let days: BTreeSet<u8> = words.iter().map(place).collect::<Result<_, _>>()?;
                if days.is_empty() { Err("no day is in the list".to_owned()) } else { Ok(Every::Week(days)) }
            }
        }
    }
}

fn named(zone: &str) -> Result<Zone, String> {
    Zone::named(zone)
        .ok_or_else(|| format!("there is no time zone `{zone}`; zones are called like `Europe/Berlin`"))
}

fn civil(text: &str) -> Result<DateTime, String> {
    let read = text.trim().parse::<DateTime>().ok().filter(|at| at.second() == 0);
    read.ok_or_else(|| format!("`{text}` is no local time; write it like `2027-03-01T09:00`"))
}

/// Minutes since midnight.
pub(crate) fn minute(at: DateTime) -> u16 {
    u16::try_from(i32::from(at.hour()) * 60 + i32::from(at.minute())).unwrap_or(0)
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Days;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`day`, `month`, or a list of days such as `[mon, thu]`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Days, E> {
                Ok(Days::Word(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Days, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = seq.next_element()? {
                    words.push(word);
                }
                Ok(Days::List(words))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = At;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(FORMS)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<At, E> {
                match text {
                    "now" => Ok(At::Now),
                    other => Err(E::custom(format!("`{other}` is no time to go out; write {FORMS}"))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<At, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map))?.read().map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Now => return serializer.serialize_str("now"),
            _ => serializer.serialize_map(None)?,
        };
        match self {
            Self::Now => {}
            Self::Time(at) => map.serialize_entry("time", &at.rfc3339())?,
            Self::Local(at) => {
                map.serialize_entry("local_time", &at.strftime("%Y-%m-%dT%H:%M").to_string())?
            }
            Self::Every(Recurring { every, time, zone }) => {
                match every {
                    Every::Day => map.serialize_entry("every", "day")?,
                    Every::Month(day) => {
                        map.serialize_entry("every", "month")?;
                        map.serialize_entry("day", day)?;
                    }
                    Every::Week(days) => {
                        let names = days.iter().filter_map(|day| DAY_NAMES.get(usize::from(*day)));
                        map.serialize_entry("every", &names.collect::<Vec<_>>())?;
                    }
                }
                map.serialize_entry("time", time)?;
                map.serialize_entry("zone", zone.as_ref().map_or(OWN, Zone::name))?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: &Value) -> Result<At, String> {
        At::deserialize(value).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_read_and_written_alike() {
        for value in [
            json!("now"),
            json!({ "time": "2027-03-01T09:00:00.000Z" }),
            json!({ "local_time": "2027-03-01T09:00" }),
            json!({ "every": "day", "time": "09:00", "zone": "Europe/Berlin" }),
            json!({ "every": ["mon", "thu"], "time": "18:30", "zone": "recipient" }),
            json!({ "every": "month", "day": 31, "time": "07:05", "zone": "Asia/Shanghai" }),
        ] {
            assert_eq!(serde_json::to_value(read(&value).unwrap()).unwrap(), value);
        }
        let berlin = read(&json!({ "time": "2027-03-01T09:00", "zone": "Europe/Berlin" })).unwrap();
        assert_eq!(berlin, At::Time(Timestamp::parse("2027-03-01T08:00:00Z").unwrap()));
    }

    #[test]
    fn nonsense_is_refused_and_says_what_would_not_be() {
        for (value, said) in [
            (json!("soon"), "`now`, `{ time: … }`, `{ local_time: … }` or `{ every: …, time: …, zone: … }`"),
            (json!("0 9 * * 1"), "`{ every: …, time: …, zone: … }`"),
            (json!({}), "`now`"),
            (json!({ "time": "tomorrow" }), "no instant"),
            (json!({ "time": "2027-03-01T09:00" }), "no instant"),
            (json!({ "local_time": "2027-13-01T09:00" }), "no local time"),
            (json!({ "local_time": "2027-03-01T09:00", "zone": "UTC" }), "`now`"),
            (json!({ "every": "day", "time": "09:00" }), "zone"),
            (json!({ "every": "day", "time": "25:00", "zone": "UTC" }), "time of the day"),
            (json!({ "every": "moon", "time": "09:00", "zone": "UTC" }), "`moon`"),
            (json!({ "every": [], "time": "09:00", "zone": "UTC" }), "no day"),
            (json!({ "every": "month", "time": "09:00", "zone": "UTC" }), "`day`"),
            (json!({ "every": "month", "day": 32, "time": "09:00", "zone": "UTC" }), "1 to 31"),
            (json!({ "every": "day", "day": 3, "time": "09:00", "zone": "UTC" }), "`day`"),
            (json!({ "every": "day", "time": "09:00", "zone": "Mars/Base" }), "time zone"),
        ] {
            let error = read(&value).unwrap_err();
            assert!(error.contains(said), "{value}: {error}");
        }
    }
}
