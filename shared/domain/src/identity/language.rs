//! Languages: the primary subtag of BCP 47, read from what forms, browsers and people write.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// A language by its shortest ISO 639 code (RFC 5646 section 2.2.1): two lower-case letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language([u8; 2]);

impl Language {
    /// Reads a language tag (`de-AT`, `zh_Hans_CN.UTF-8`), a header's list with weights (`de-AT, en;q=0.8`: the
    /// heaviest that is a language), an ISO 639-2 code (`ger`) or a name in English or its own language (`Deutsch`).
    /// Region and script are dropped. `None` for anything else, `*` and `und` included.
    pub fn parse(text: &str) -> Option<Self> {
        Self::weighed(text).next()
    }

    /// All languages of a header's list (`fr-FR, fr;q=0.9, de;q=0.8`), the heaviest first, each once.
    pub fn accepted(text: &str) -> Vec<Self> {
        Self::weighed(text).fold(Vec::new(), |mut all, language| {
            if !all.contains(&language) {
                all.push(language);
            }
            all
        })
    }

    fn weighed(text: &str) -> impl Iterator<Item = Self> {
        let text = Some(text.trim()).filter(|text| text.len() <= MAX_BYTES).unwrap_or_default();
        let mut wanted: Vec<(u32, &str)> = text.split([',', ';']).fold(Vec::new(), |mut all, part| {
            match part.trim().strip_prefix("q=") {
                Some(weight) => {
                    if let Some(last) = all.last_mut() {
                        last.0 = thousandths(weight);
                    }
                }
                None => all.push((1_000, part.trim())),
            }
            all
        });
        // Stable: of equal weight the first stays first.
        wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        wanted
            .into_iter()
            .filter(|(weight, _)| *weight > 0)
            .filter_map(|(_, one)| Self::of_tag(one).or_else(|| Self::of_name(one)))
    }

    /// The code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn of_tag(tag: &str) -> Option<Self> {
        let mut subtags = tag.split(['-', '_', '.', '@']);
        let primary = subtags.next()?;
        let is_tag = matches!(primary.len(), 2 | 3)
            && subtags.all(|s| s.len() <= 8 && s.chars().all(|c| c.is_ascii_alphanumeric()));
        is_tag.then_some(())?;
        rows().find(|row| row.has_code(primary)).map(|row| row.code)
    }

    fn of_name(name: &str) -> Option<Self> {
        // "German (Germany)", "Deutsch / German"
        let name = plain(name.split(['(', '/']).next()?);
        (!name.is_empty()).then_some(())?;
        rows().find(|row| row.names.split('|').any(|known| plain(known) == name)).map(|row| row.code)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no language; write a code such as `de`")))
    }
}

const TABLE: &str = include_str!("languages.txt");

/// Longer than any header a browser sends.
const MAX_BYTES: usize = 400;

struct Row {
    code: Language,
    others: &'static str,
    names: &'static str,
}

impl Row {
    fn has_code(&self, wanted: &str) -> bool {
        wanted.eq_ignore_ascii_case(self.code.code())
            || self.others.split(',').any(|other| wanted.eq_ignore_ascii_case(other))
    }
}

fn rows() -> impl Iterator<Item = Row> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (code, rest) = line.split_once(' ')?;
        let (others, names) = rest.split_once(' ')?;
        Some(Row { code: Language(code.as_bytes().try_into().ok()?), others, names })
    })
}

/// The weight of RFC 9110 section 12.4.2 in thousandths; one that cannot be read does not count.
fn thousandths(weight: &str) -> u32 {
    let weight: f64 = weight.trim().parse().unwrap_or(0.0);
    (weight.clamp(0.0, 1.0) * 1_000.0) as u32
}

fn plain(text: &str) -> String {
    text.nfd().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn tags_headers_and_names_are_read() {
        for (text, code) in [
            ("de", "de"),
            ("DE", "de"),
            ("de-AT", "de"),
            ("zh-Hans-CN", "zh"),
            ("zh_CN.UTF-8", "zh"),
            ("ger", "de"),
            ("deu", "de"),
            ("cmn", "zh"),
            ("iw", "he"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("en;q=0.5, fr", "fr"),
            ("en;q=0, fr;q=0.1", "fr"),
            ("*, it;q=0.2", "it"),
            ("und, pt", "pt"),
            ("German", "de"),
            ("Deutsch", "de"),
            ("Français", "fr"),
            ("francais", "fr"),
            ("中文", "zh"),
            ("Русский", "ru"),
            ("English (US)", "en"),
            ("Deutsch / German", "de"),
        ] {
            assert_eq!(Language::parse(text).map(|l| l.to_string()).as_deref(), Some(code), "{text}");
        }
    }

    #[test]
    fn every_language_of_a_header_is_read_by_its_weight() {
        let codes = |text: &str| Language::accepted(text).iter().map(Language::to_string).collect::<Vec<_>>();
        assert_eq!(codes("fr-FR,fr;q=0.9,en;q=0.2,de;q=0.8"), ["fr", "de", "en"]);
        assert_eq!(codes("*, de;q=0, it;q=0.2"), ["it"]);
        assert!(codes("").is_empty() && codes(&"de,".repeat(500)).is_empty());
    }

    #[test]
    fn what_is_no_language_is_none() {
        for text in ["", "  ", "*", "und", "xx", "Klingon", "q=1", ";;;", "de;q=0", &"de".repeat(500)] {
            assert_eq!(Language::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_code_and_no_name_means_two_languages() {
        let mut seen = BTreeMap::new();
        for row in rows() {
            for word in row
                .others
                .split(',')
                .chain([row.code.code()])
                .map(str::to_owned)
                .chain(row.names.split('|').map(plain))
            {
                let before = seen.insert(word.clone(), row.code);
                assert!(before.is_none_or(|code| code == row.code), "{word}");
            }
        }
        assert_eq!(rows().count(), 184);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_left(text in any::<String>()) {
            let _ = Language::parse(&text);
        }
    }
}
