//! Values that a caller does not see, taken out of whatever is shown: explanations, notes and links may quote them.

use crate::time::Timestamp;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write;

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
        self.0.insert(value.to_lowercase());
        self.0.extend(value.strip_prefix('+').map(str::to_owned));
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
        self.scrub_in(shown, true);
    }

    fn scrub_in(&self, shown: &mut Value, is_ours: bool) {
        match shown {
            Value::String(text) if self.is_time(text) => {}
            Value::String(text) => *text = self.scrubbed(text),
            Value::Number(number) => {
                let written = number.to_string();
                if written.len() >= Self::DIGITS && self.0.contains(&written) {
                    *shown = Self::SHOWN.into();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.scrub_in(item, is_ours)),
            Value::Object(members) => {
                for (name, member) in members {
                    let is_word = is_ours && OURS.contains(&name.as_str()) && is_word(member);
                    if !is_word {
                        self.scrub_in(member, is_ours && !THEIRS.contains(&name.as_str()));
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

    /// A text without the values. One that is part of a longer word, or of an id, is not meant.
    pub fn scrubbed(&self, text: &str) -> String {
        // The longest first: a name may be part of an address.
        let mut values: Vec<&String> = self.0.iter().collect();
        values.sort_by_key(|value| Reverse(value.len()));
        values.into_iter().fold(text.to_owned(), |text, value| {
            let clean = without(&text, value);
            let in_query = percent(value);
            if in_query == *value { clean } else { without(&clean, &in_query) }
        })
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

/// The text with `value` replaced where it is a word of its own.
fn without(text: &str, value: &str) -> String {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let (begins, ends) = (is_part(value.chars().next()), is_part(value.chars().next_back()));
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(value) {
        let after = at + value.len();
        let is_part_of_word = begins && is_part(text[..at].chars().next_back())
            || ends && is_part(text[after..].chars().next());
        if !is_part_of_word {
            clean.push_str(&text[done..at]);
            clean.push_str(Hidden::SHOWN);
            done = after;
        }
    }
    clean.push_str(&text[done..]);
    clean
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
