//! Language tags: a language with the script and region that make wordings differ, `zh-Hant` or `pt-BR`.

use super::{Country, Language};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A language, with a script or a region where one is named (RFC 5646, without variants and extensions). Written as the
/// RFC recommends: `zh-Hant-TW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageTag {
    language: Language,
    script: Option<[u8; 4]>,
    region: Option<[u8; 2]>,
}

impl LanguageTag {
    /// Reads `de`, `zh-Hant`, `zh_hant_tw`, `pt-BR`. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut subtags = text.trim().split(['-', '_']);
        let primary = subtags.next()?;
        let is_code = matches!(primary.len(), 2 | 3) && primary.chars().all(|c| c.is_ascii_alphabetic());
        let mut tag =
            Self { language: Language::parse(primary).filter(|_| is_code)?, script: None, region: None };
        for subtag in subtags {
            let letters =
                subtag.bytes().all(|byte| byte.is_ascii_alphabetic()).then_some(subtag.as_bytes())?;
            if let (Ok(script), None, None) = (<[u8; 4]>::try_from(letters), tag.script, tag.region) {
                let [first, rest @ ..] = script.map(|letter| letter.to_ascii_lowercase());
                let [second, third, fourth] = rest;
                tag.script = Some([first.to_ascii_uppercase(), second, third, fourth]);
            } else if let (Ok(region), None) = (<[u8; 2]>::try_from(letters), tag.region) {
                tag.region = Some(region.map(|letter| letter.to_ascii_uppercase()));
            } else {
                return None;
            }
        }
        Some(tag)
    }

    /// What somebody reads who speaks the language and lives in the country.
    pub fn of(language: Language, country: Option<Country>) -> Self {
        let region = country.and_then(|country| country.to_string().as_bytes().try_into().ok());
        Self { language, script: None, region }
    }

    /// The language alone.
    pub const fn language(&self) -> Language {
        self.language
    }

    /// Which of several wordings to show to a reader of this one, best first: itself, the same script, the same region,
    /// the language, then any other of the language. `None` if there is none of the language.
    pub fn best_of<'a>(&self, available: impl IntoIterator<Item = &'a Self>) -> Option<&'a Self> {
        let script = self.script.or_else(|| self.usual_script());
        let rank = |other: &Self| match (other.script, other.region) {
            _ if other == self => 0,
            (found, None) if found.is_some() && found == script => 1,
            (None, found) if found.is_some() && found == self.region => 2,
            (None, None) => 3,
            _ => 4,
        };
        available.into_iter().filter(|other| other.language == self.language).min_by_key(|other| rank(other))
    }

    /// Where a region decides how a language is written.
    fn usual_script(&self) -> Option<[u8; 4]> {
        match (self.language.code(), self.region.as_ref()?) {
            ("zh", b"TW" | b"HK" | b"MO") => Some(*b"Hant"),
            ("zh", b"CN" | b"SG") => Some(*b"Hans"),
            _ => None,
        }
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.language.code())?;
        let parts =
            [self.script.as_ref().map(<[u8; 4]>::as_slice), self.region.as_ref().map(<[u8; 2]>::as_slice)];
        for part in parts.into_iter().flatten() {
            write!(f, "-{}", std::str::from_utf8(part).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl Serialize for LanguageTag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LanguageTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no language; write a tag such as `de`, `pt-BR` or `zh-Hant`"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> LanguageTag {
        LanguageTag::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn tags_are_read_and_written_as_is_usual() {
        for (text, written) in [
            ("de", "de"),
            ("DE_at", "de-AT"),
            ("zh-hant", "zh-Hant"),
            ("ZH_HANT_tw", "zh-Hant-TW"),
            (" pt-br ", "pt-BR"),
            ("deu", "de"),
        ] {
            assert_eq!(tag(text).to_string(), written);
        }
        for text in
            ["", "xx", "Deutsch", "de-", "de-AT-Latn", "zh-Hant-Hans", "de-1996", "en-x-a", "de,en", "*"]
        {
            assert_eq!(LanguageTag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_nearest_wording_is_shown() {
        let best = |wanted: &str, available: &[&str]| {
            let available: Vec<LanguageTag> = available.iter().map(|text| tag(text)).collect();
            tag(wanted).best_of(&available).map(ToString::to_string)
        };
        let all = ["en", "zh", "zh-Hant", "pt-BR", "de"];
        for (wanted, shown) in [
            ("zh-Hant-TW", Some("zh-Hant")),
            ("zh-Hant", Some("zh-Hant")),
            ("zh-TW", Some("zh-Hant")),
            ("zh-HK", Some("zh-Hant")),
            ("zh-CN", Some("zh")),
            ("zh-Hans", Some("zh")),
            ("zh", Some("zh")),
            ("pt", Some("pt-BR")),
            ("pt-PT", Some("pt-BR")),
            ("de-CH", Some("de")),
            ("fr", None),
        ] {
            assert_eq!(best(wanted, &all).as_deref(), shown, "{wanted}");
        }
        assert_eq!(best("zh-Hant", &["en", "zh-TW", "zh"]).as_deref(), Some("zh"));
        assert_eq!(best("zh-TW", &["en", "zh-TW", "zh"]).as_deref(), Some("zh-TW"));
    }
}
