//! Values that a caller does not see, taken out of whatever is shown: explanations, notes and links may quote them.

use crate::time::Timestamp;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write;
use std::ops::Range;

/// Values to take out of an answer. Shows none of them in a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(BTreeSet<String>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hidden({})", self.0.len())
    }
}

impl Hidden {
    /// What stands in place of a value.
    pub const SHOWN: &'static str = "•••";

    /// A number has to have as many digits to be taken for a hidden one: smaller ones are counts.
    const DIGITS: usize = 5;

    /// Whether there is nothing to take out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A value, in the ways in which it is written elsewhere.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.is_empty() || value == Self::SHOWN {
            return;
        }
        self.0.insert(value.to_owned());
        // In a query each is another text.
        self.0.extend([value.to_lowercase(), value.to_uppercase()]);
        self.0.extend(value.strip_prefix('+').filter(|digits| !digits.is_empty()).map(str::to_owned));
    }

    /// Every text and number below a value.
    pub fn add_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Number(number) => self.add(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.add_all(item)),
            Value::Object(members) => members.values().for_each(|member| self.add_all(member)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// What another found.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Takes the values out of everything below `shown`. Names of members stay, and so do times and what members of ours say
    /// in words of ours: somebody may be called Open, or live at number 09.
    pub fn scrub(&self, shown: &mut Value) {
        self.scrub_in(&self.sought(), shown, true);
    }

    fn scrub_in(&self, sought: &[String], shown: &mut Value, is_ours: bool) {
        match shown {
            Value::String(text) if self.is_time(text) => {}
            Value::String(text) => *text = without_all(sought, text),
            Value::Number(number) => {
                let written = number.to_string();
                if written.len() >= Self::DIGITS && self.0.contains(&written) {
                    *shown = Self::SHOWN.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub_in(sought, item, is_ours)),
            Value::Object(members) => {
                for (name, member) in members {
                    let is_word = is_ours && OURS.contains(&name.as_str()) && is_word(member);
                    if !is_word {
                        self.scrub_in(sought, member, is_ours && !THEIRS.contains(&name.as_str()));
                    }
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Whether it is an instant, and not one that is hidden.
    fn is_time(&self, text: &str) -> bool {
        text.contains('T') && Timestamp::parse(text).is_some() && !self.0.contains(text)
    }

    /// A text without the values, whatever case they are written in. One that is part of a longer word, or of an id, is not meant.
    pub fn scrubbed(&self, text: &str) -> String {
        without_all(&self.sought(), text)
    }

    /// What to look for in a text without case, the longest first: a name may be part of an address.
    fn sought(&self) -> Vec<String> {
        let written = self.0.iter().flat_map(|value| [without_case(value), without_case(&percent(value))]);
        let mut sought: Vec<String> = written.collect::<BTreeSet<_>>().into_iter().collect();
        sought.sort_by_key(|value| Reverse(value.len()));
        sought
    }
}

/// Members of answers whose words are ours.
const OURS: [&str; 10] =
    ["id", "state", "kind", "channel", "what", "role", "type", "status", "work", "outcome"];

/// Members of answers that hold what people and their systems said, by names of their own.
const THEIRS: [&str; 7] = ["properties", "traits", "context", "data", "fields", "facts", "profile"];

/// Whether it is one of the words that we use for states and kinds.
fn is_word(value: &Value) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    value.as_str().is_some_and(|text| text.chars().all(is_part))
}

fn without_all(sought: &[String], text: &str) -> String {
    sought.iter().fold(Caseless::of(text.to_owned()), |text, value| text.without(value)).text
}

/// Capitals of a letter may be several, and a letter may have two small forms: `SS` is `ß`, `Σ` is `σ` and `ς`.
fn small(letter: char) -> impl Iterator<Item = char> {
    letter.to_uppercase().flat_map(char::to_lowercase)
}

fn without_case(text: &str) -> String {
    text.chars().flat_map(small).collect()
}

/// A text beside itself without case.
struct Caseless {
    text: String,
    small: String,
    /// Where each letter begins, in `small` and in the text, and both ends: the lengths need not be the same.
    places: Vec<(usize, usize)>,
}

impl Caseless {
    fn of(text: String) -> Self {
        let mut lower = String::with_capacity(text.len());
        let mut places = Vec::with_capacity(text.len() + 1);
        for (at, letter) in text.char_indices() {
            places.push((lower.len(), at));
            lower.extend(small(letter));
        }
        places.push((lower.len(), text.len()));
        Self { text, small: lower, places }
    }

    /// The text with `value` replaced where it is a word of its own.
    fn without(self, value: &str) -> Self {
        let mut clean = String::new();
        let (mut done, mut from) = (0, 0);
        while let Some(found) = self.small[from..].find(value).map(|found| from + found) {
            let after = found + value.len();
            match self.word(found..after) {
                Some(word) => {
                    clean.push_str(&self.text[done..word.start]);
                    clean.push_str(Hidden::SHOWN);
                    (done, from) = (word.end, after);
                }
                None => from = found + self.small[found..].chars().next().map_or(1, char::len_utf8),
            }
        }
        if done == 0 {
            return self;
        }
        clean.push_str(&self.text[done..]);
        Self::of(clean)
    }

    /// The place in the text of what was found, if it is whole letters and no part of a longer word.
    fn word(&self, found: Range<usize>) -> Option<Range<usize>> {
        let (at, after) = (self.place(found.start)?, self.place(found.end)?);
        let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        let word = &self.text[at..after];
        let goes_before = is_part(word.chars().next()) && is_part(self.text[..at].chars().next_back());
        let goes_on = is_part(word.chars().next_back()) && is_part(self.text[after..].chars().next());
        (!goes_before && !goes_on).then_some(at..after)
    }

    fn place(&self, small: usize) -> Option<usize> {
        let found = self.places.binary_search_by_key(&small, |(small, _)| *small).ok()?;
        self.places.get(found).map(|(_, at)| *at)
    }
}

/// As it stands in a query.
fn percent(value: &str) -> String {
    let mut written = String::new();
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => written.push(byte.into()),
            _ => drop(write!(written, "%{byte:02X}")),
        }
    }
    written
}
