//! Territories: names for countries, regions and postal codes. The most specific entry says which one a lead is in.

#[cfg(test)]
mod tests;

use crate::identity::Country;
use crate::lead::Facts;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// A territory: `lead.territory` is its name for leads from one of its areas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Territory {
    /// What conditions compare.
    pub name: String,
    /// Where it is.
    pub areas: Vec<Area>,
}

/// A country, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// The country.
    pub country: Country,
    /// States or provinces as people write them; case does not matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Postal codes: whole ones, beginnings and ranges, in any number of lists such as `80, 81, 82031-82340`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postal: Vec<Codes>,
}

/// Postal codes that begin with one of a range of beginnings of one length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeRange {
    low: String,
    high: String,
}

impl CodeRange {
    fn parse(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let (low, high) = (plain(low), plain(high));
        let good =
            |code: &str| (1..=10).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
        if !good(&low) || !good(&high) {
            return Err(format!(
                "`{text}` is no postal code, beginning or range; write `80`, `80331` or `80000-87999`"
            ));
        }
        if low.len() != high.len() || low > high {
            return Err(format!(
                "`{text}` is no range: both ends have as many characters, the smaller comes first"
            ));
        }
        Ok(Self { low, high })
    }

    fn holds(&self, other: &Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    fn meets(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

impl fmt::Display for CodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high { f.write_str(&self.low) } else { write!(f, "{}-{}", self.low, self.high) }
    }
}

/// One list of postal codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Codes(pub Vec<CodeRange>);

impl Serialize for Codes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let codes: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        serializer.serialize_str(&codes.join(", "))
    }
}

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let codes =
            text.split([',', '\n']).map(str::trim).filter(|code| !code.is_empty()).map(CodeRange::parse);
        codes.collect::<Result<_, _>>().map(Self).map_err(D::Error::custom)
    }
}

/// Upper case, without what separates.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.'))
        .flat_map(char::to_uppercase)
        .collect()
}

/// Countries whose sign before a postal code, as on letters from abroad (`D-80331`), is not their alpha-2 code: the
/// distinguishing signs of their vehicles.
const SIGNS: [(&str, &str); 23] = [
    ("AT", "A"),
    ("BA", "BIH"),
    ("BE", "B"),
    ("DE", "D"),
    ("EE", "EST"),
    ("ES", "E"),
    ("FI", "FIN"),
    ("FR", "F"),
    ("GB", "UK"),
    ("HU", "H"),
    ("IE", "IRL"),
    ("IT", "I"),
    ("LI", "FL"),
    ("LU", "L"),
    ("ME", "MNE"),
    ("MK", "NMK"),
    ("NO", "N"),
    ("PT", "P"),
    ("RS", "SRB"),
    ("RU", "RUS"),
    ("SE", "S"),
    ("SI", "SLO"),
    ("VA", "V"),
];

/// A plain code without the sign of its country before it; `None` if there is none.
fn without_country(code: &str, country: Country) -> Option<&str> {
    let signs = SIGNS.iter().filter(|(of, _)| *of == country.code()).map(|(_, sign)| *sign);
    let rests = signs.chain([country.code()]).filter_map(|sign| code.strip_prefix(sign));
    rests.into_iter().find(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Where two territories claim the same: the place of the later in its document, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    /// Index of the territory, of the area, and the name of the list in it with the index there.
    pub(super) at: (usize, usize, Option<(&'static str, usize)>),
    /// Index of the territory that has it already.
    pub(super) first: usize,
    /// What both have, in words.
    pub(super) what: String,
}

/// All territories, ready to be asked.
#[derive(Debug, Default)]
pub struct Map {
    countries: BTreeMap<Country, Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    whole: Option<String>,
    regions: BTreeMap<String, String>,
    /// By length of the beginnings.
    postal: BTreeMap<usize, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    range: CodeRange,
    name: String,
    /// The narrowest entry of the same length around this one.
    around: Option<usize>,
}

impl Map {
    /// Of two that claim the same the first has it.
    pub fn build<'a>(territories: impl IntoIterator<Item = &'a Territory>) -> Self {
        let mut map = Self::default();
        for territory in territories {
            for area in &territory.areas {
                let parts = map.countries.entry(area.country).or_default();
                if area.regions.is_empty() && area.postal.is_empty() {
                    parts.whole.get_or_insert_with(|| territory.name.clone());
                }
                for region in &area.regions {
                    parts
                        .regions
                        .entry(region.trim().to_lowercase())
                        .or_insert_with(|| territory.name.clone());
                }
                for range in area.postal.iter().flat_map(|codes| &codes.0) {
                    let entry = Entry { range: range.clone(), name: territory.name.clone(), around: None };
                    parts.postal.entry(range.low.len()).or_default().push(entry);
                }
            }
        }
        for entries in map.countries.values_mut().flat_map(|parts| parts.postal.values_mut()) {
            nest(entries);
        }
        map
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.countries.is_empty()
    }

    /// The territory a lead is in: by the longest beginning of its postal code, of equally long ones by the narrowest
    /// range; else by its region; else by its country.
    pub fn of(&self, facts: &Facts) -> Option<&str> {
        let parts = self.countries.get(&facts.country?)?;
        let text = |name: &str| facts.standard.get(name).map(|value| value.reveal().as_str());
        let postal = text("postal_code").map(plain).and_then(|code| {
            parts.by_code(&code).or_else(|| parts.by_code(without_country(&code, facts.country?)?))
        });
        let region = || parts.regions.get(&text("region")?.trim().to_lowercase());
        postal.or_else(region).or(parts.whole.as_ref()).map(String::as_str)
    }
}

impl Parts {
    fn by_code(&self, code: &str) -> Option<&String> {
        let shorter =
            self.postal.iter().rev().filter_map(|(length, entries)| Some((code.get(..*length)?, entries)));
        shorter.into_iter().find_map(|(beginning, entries)| {
            let after = entries.partition_point(|entry| entry.range.low.as_str() <= beginning);
            let mut at = after.checked_sub(1);
            while let Some(entry) = at.and_then(|at| entries.get(at)) {
                if entry.range.high.as_str() >= beginning {
                    return Some(&entry.name);
                }
                at = entry.around;
            }
            None
        })
    }
}

/// Sorts so that of all ranges that hold a code the last one that begins before it is the narrowest, or is inside it.
fn nest(entries: &mut Vec<Entry>) {
    entries.sort_by(|a, b| (&a.range.low, &b.range.high).cmp(&(&b.range.low, &a.range.high)));
    entries.dedup_by(|later, first| later.range == first.range);
    let mut open: Vec<usize> = Vec::new();
    for at in 0..entries.len() {
        while open.last().is_some_and(|last| entries[*last].range.high < entries[at].range.low) {
            open.pop();
        }
        entries[at].around = open.last().copied();
        open.push(at);
    }
}

/// A range with the indices of its territory, of the area and of the list.
type Claimed = (CodeRange, usize, usize, usize);

/// Everything that is claimed twice, or by ranges of which neither holds the other.
pub(super) fn clashes(territories: &[&Territory]) -> Vec<Clash> {
    let mut clashes = Vec::new();
    let mut whole: BTreeMap<Country, usize> = BTreeMap::new();
    let mut regions: BTreeMap<(Country, String), usize> = BTreeMap::new();
    let mut ranges: BTreeMap<(Country, usize), Vec<Claimed>> = BTreeMap::new();
    for (t, territory) in territories.iter().enumerate() {
        for (a, area) in territory.areas.iter().enumerate() {
            let mut add = |first: usize, list, what: String| {
                clashes.push(Clash { at: (t, a, list), first, what });
            };
            if area.regions.is_empty() && area.postal.is_empty() {
                match whole.get(&area.country) {
                    Some(first) => add(*first, None, format!("all of {}", area.country)),
                    None => drop(whole.insert(area.country, t)),
                }
            }
            for (i, region) in area.regions.iter().enumerate() {
                let key = (area.country, region.trim().to_lowercase());
                match regions.get(&key) {
                    Some(first) => add(*first, Some(("regions", i)), format!("{region} in {}", area.country)),
                    None => drop(regions.insert(key, t)),
                }
            }
            for (i, codes) in area.postal.iter().enumerate() {
                for range in &codes.0 {
                    let list = ranges.entry((area.country, range.low.len())).or_default();
                    list.push((range.clone(), t, a, i));
                }
            }
        }
    }
    for ((country, _), mut list) in ranges {
        list.sort_by(|a, b| (&a.0.low, &b.0.high, a.1).cmp(&(&b.0.low, &a.0.high, b.1)));
        let mut open: Vec<usize> = Vec::new();
        for at in 0..list.len() {
            while open.last().is_some_and(|last| list[*last].0.high < list[at].0.low) {
                open.pop();
            }
            let (range, t, a, i) = &list[at];
            if let Some((other, first, ..)) = open.last().map(|last| &list[*last])
                && other.meets(range)
                && (other == range || !other.holds(range))
            {
                let both = if other == range { range.to_string() } else { format!("{other} and {range}") };
                let what = format!("{both} in {country}");
                clashes.push(Clash { at: (*t, *a, Some(("postal", *i))), first: *first, what });
            }
            open.push(at);
        }
    }
    clashes
}
