//! What JSON escapes otherwise than YAML: a character beyond the first 65,536, an emoji for one, as a pair of surrogates.

use super::flaw::Place;
use saphyr_parser::Marker;
use std::borrow::Cow;

/// Characters that a pair is longer than the one escape it becomes: `\ud83d\ude00`, and `\U0001f600`.
const LONGER: usize = 2;

/// A text as the parser reads it, with the way back to the places where it was written.
pub(super) struct Written<'a> {
    /// The text, in JSON with one escape for each pair.
    pub(super) joined: Cow<'a, str>,
    /// Where such escapes end in it, in characters from its start, in order.
    ends: Vec<usize>,
}

impl<'a> Written<'a> {
    /// Joins the pairs of a text that is JSON; whatever else it is stays as it is.
    pub(super) fn read(text: &'a str) -> Self {
        let is_json = text.trim_start().starts_with(['{', '[']);
        if !is_json || !text.contains("\\u") {
            return Self { joined: Cow::Borrowed(text), ends: Vec::new() };
        }
        let (mut joined, mut ends, mut length) = (String::with_capacity(text.len()), Vec::new(), 0);
        let mut quote = None;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let pair = pair(rest).filter(|_| quote == Some('"'));
            let taken = match (c, quote) {
                _ if pair.is_some() => 12,
                // What is escaped ends nothing and begins nothing.
                ('\\', Some('"')) => 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
                ('"' | '\'', None) => {
                    quote = Some(c);
                    1
                }
                (_, Some(open)) if open == c => {
                    quote = None;
                    1
                }
                _ => c.len_utf8(),
            };
            let (part, after) = rest.split_at(taken);
            let part = pair.map_or(Cow::Borrowed(part), |c| Cow::Owned(format!("\\U{:08x}", u32::from(c))));
            length += part.chars().count();
            if pair.is_some() {
                ends.push(length);
            }
            joined.push_str(&part);
            rest = after;
        }
        Self { joined: Cow::Owned(joined), ends }
    }

    /// Where the parser stands, in the text as it was written.
    pub(super) fn place(&self, marker: &Marker) -> Place {
        let line_begins = marker.index().saturating_sub(marker.col());
        let until = |index: usize| self.ends.partition_point(|end| *end <= index);
        let pairs = until(marker.index()) - until(line_begins);
        Place { line: marker.line().max(1), column: marker.col() + LONGER * pairs + 1 }
    }
}

/// The character that a text begins with as a pair of escapes.
fn pair(text: &str) -> Option<char> {
    let half = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    char::decode_utf16([half(0)?, half(6)?]).next()?.ok().filter(|c| c.len_utf16() == 2)
}
