//! Countries: ISO 3166-1 alpha-2 and the three codes that telephone numbering plans add (`AC`, `TA`, `XK`), read
//! from what people and form tools write.

use super::Language;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;

/// A country by its ISO 3166-1 alpha-2 code; shown and stored in upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads an alpha-2 code (`de`), an alpha-3 code (`DEU`) or a name in English, its official one included
    /// (`Korea, Republic of`), or in another of the main languages (`Deutschland`, `Allemagne`). Case, accents, blanks and
    /// punctuation do not count. `None` for anything else, `XX` included.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_BYTES {
            return None;
        }
        let wanted = plain(text);
        if wanted.is_empty() {
            return None;
        }
        // Codes are what is nearly always asked, and need no name to be taken apart.
        let found = rows().find(|row| row.has_code(&wanted)).map(|row| row.code);
        found.or_else(|| NAMES.get(&wanted).copied())
    }

    /// The alpha-2 code in upper case.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The time zone in which most of its people live, by its IANA name; none for a country without people.
    pub fn zone(&self) -> Option<&'static str> {
        let zones = ZONES.lines().filter_map(|line| line.split_once(' '));
        zones.into_iter().find(|(code, _)| *code == self.code()).map(|(_, zone)| zone)
    }

    /// What nearly all of its people read, where that is one language; none for countries of several.
    pub fn language(&self) -> Option<Language> {
        let spoken =
            SPOKEN.iter().find(|(_, countries)| countries.split(' ').any(|code| code == self.code()));
        spoken.and_then(|(language, _)| Language::parse(language))
    }

    fn from_code(code: &str) -> Option<Self> {
        code.as_bytes().try_into().ok().map(Self)
    }
}

/// Languages and the countries whose people read them before any other.
const SPOKEN: [(&str, &str); 14] = [
    ("cs", "CZ"),
    ("da", "DK"),
    ("de", "AT DE LI"),
    ("en", "AU GB IE NZ US"),
    ("es", "AR BO CL CO CR CU DO EC ES GT HN MX NI PA PE PY SV UY VE"),
    ("fr", "FR MC"),
    ("it", "IT SM VA"),
    ("ja", "JP"),
    ("ko", "KR"),
    ("nl", "NL"),
    ("pl", "PL"),
    ("pt", "BR PT"),
    ("sv", "SE"),
    ("zh", "CN HK MO TW"),
];

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not a country: use a code such as \"DE\""))
    }
}

const TABLE: &str = include_str!("countries.txt");

/// Countries by their names, as these are compared.
static NAMES: LazyLock<HashMap<String, Country>> = LazyLock::new(|| {
    rows().flat_map(|row| row.names.split('|').map(move |name| (plain(name), row.code))).collect()
});

const ZONES: &str = include_str!("zones.txt");

/// Longer than any name in the table.
const MAX_BYTES: usize = 200;

struct Row {
    code: Country,
    alpha_3: &'static str,
    names: &'static str,
}

impl Row {
    fn has_code(&self, wanted: &str) -> bool {
        wanted.eq_ignore_ascii_case(self.code.code()) || wanted.eq_ignore_ascii_case(self.alpha_3)
    }
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter_map(|line| {
        let (code, rest) = line.split_once(' ')?;
        let (alpha_3, names) = rest.split_once(' ')?;
        Some(Row { code: Country::from_code(code)?, alpha_3, names })
    })
}

/// Lower case, without accents (taken apart, they are no letters), blanks and punctuation; `&` is "and".
fn plain(text: &str) -> String {
    text.replace('&', "and").nfd().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<String> {
        Country::parse(text).map(|c| c.to_string())
    }

    #[test]
    fn codes_and_names_in_any_case_are_read() {
        for (text, expected) in [
            ("us", "US"),
            ("US", "US"),
            (" De ", "DE"),
            ("DEU", "DE"),
            ("U.S.A.", "US"),
            ("united states", "US"),
            ("Côte d’Ivoire", "CI"),
            ("cote d'ivoire", "CI"),
            ("ÖSTERREICH", "AT"),
            ("中国", "CN"),
            ("UK", "GB"),
            ("Bosnia & Herzegovina", "BA"),
            ("Bosnia and Herzegovina", "BA"),
            ("Korea, Republic of", "KR"),
            ("Taiwan, Province of China", "TW"),
            ("IRAN, ISLAMIC REPUBLIC OF", "IR"),
            ("Moldova (Republic of)", "MD"),
            ("The Bahamas", "BS"),
            ("Russian Federation", "RU"),
            ("Viet Nam", "VN"),
            ("Czech Republic", "CZ"),
            ("Frankreich", "FR"),
            ("Pays-Bas", "NL"),
            ("Alemania", "DE"),
            ("etats unis", "US"),
            ("Estados Unidos", "US"),
            ("Regno Unito", "GB"),
            ("Великобритания", "GB"),
            ("ألمانيا", "DE"),
            ("ドイツ", "DE"),
            ("독일", "DE"),
            ("भारत", "IN"),
        ] {
            assert_eq!(code(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn every_country_with_people_has_a_zone_that_exists() {
        let without: Vec<&str> =
            rows().filter(|row| row.code.zone().is_none()).map(|row| row.alpha_3).collect();
        assert_eq!(without, ["BVT", "HMD"]);
        for zone in rows().filter_map(|row| row.code.zone()) {
            assert!(crate::calendar::Zone::named(zone).is_some(), "{zone}");
        }
        assert_eq!(Country::parse("DE").unwrap().zone(), Some("Europe/Berlin"));
    }

    #[test]
    fn a_country_of_one_language_has_it_and_no_country_has_two() {
        let language = |code: &str| Country::parse(code).unwrap().language().map(|found| found.to_string());
        for (code, expected) in
            [("CN", Some("zh")), ("TW", Some("zh")), ("AT", Some("de")), ("CH", None), ("IN", None)]
        {
            assert_eq!(language(code).as_deref(), expected, "{code}");
        }
        let codes: Vec<&str> = SPOKEN.iter().flat_map(|(_, countries)| countries.split(' ')).collect();
        let different: std::collections::BTreeSet<&str> = codes.iter().copied().collect();
        assert_eq!(different.len(), codes.len());
        for code in codes {
            assert!(Country::parse(code).is_some() && language(code).is_some(), "{code}");
        }
    }

    #[test]
    fn what_is_no_country_is_none() {
        for text in ["", "  ", "XX", "ZZ", "001", "Atlantis", "#", "--", &"x".repeat(10_000)] {
            assert_eq!(code(text), None, "{text}");
        }
    }

    #[test]
    fn the_table_is_whole_and_no_name_means_two_countries() {
        assert_eq!(rows().count(), 249 + 3);
        for row in rows() {
            for name in row.names.split('|').chain([row.code.code(), row.alpha_3]) {
                assert_eq!(Country::parse(name), Some(row.code), "{name}");
            }
        }
    }

    #[test]
    fn a_country_is_stored_as_its_code() {
        let country: Country = serde_json::from_str("\"germany\"").unwrap();
        assert_eq!(serde_json::to_string(&country).unwrap(), "\"DE\"");
        assert!(serde_json::from_str::<Country>("\"nowhere\"").is_err());
    }
}
