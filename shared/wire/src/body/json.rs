//! JSON with nothing lost on the way: numbers as written, names in order, repeats kept, and the slips of common
//! senders (`NaN`, half a surrogate pair) repaired.

use super::{BodyFlag, Submission, malformed, not_fields};
use crate::problem::Problem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// A JSON value in which every number and truth value is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// `null`, and what is no value at all.
    Null,
    /// A string, or a number, `true` or `false` exactly as written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object's members in order, repeats kept.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// The first member of that name.
    pub(crate) fn get(&self, name: &str) -> &Node {
        match self {
            Self::Object(members) => {
                members.iter().find(|(n, _)| n == name).map_or(&Self::Null, |(_, node)| node)
            }
            _ => &Self::Null,
        }
    }

    /// The member at the end of a path.
    pub(crate) fn at(&self, path: &[&str]) -> &Node {
        path.iter().fold(self, |node, name| node.get(name))
    }

    /// The members of an object; nothing for anything else.
    pub(crate) fn members(&self) -> &[(String, Node)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }

    /// A string, number or truth value as text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As JSON, in which numbers and truth values are text.
    pub(crate) fn to_json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => "null".to_owned(),
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::to_json).collect::<Vec<_>>().join(","))
            }
            Self::Object(members) => {
                let member = |(name, node): &(String, Self)| format!("{}:{}", quoted(name), node.to_json());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Whether any value in it is such a one: a text, or none for `null`.
    pub(crate) fn any(&self, is: &dyn Fn(Option<&str>) -> bool) -> bool {
        match self {
            Self::Null => is(None),
            Self::Text(text) => is(Some(text)),
            Self::List(items) => items.iter().any(|item| item.any(is)),
            Self::Object(members) => members.iter().any(|(name, node)| is(Some(name)) || node.any(is)),
        }
    }

    /// The items of a list; nothing for anything else.
    pub(crate) fn items(&self) -> &[Node] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

/// Reads `text`; the flag tells that it had to be repaired.
pub(crate) fn read(text: &str) -> Result<(Node, bool), serde_json::Error> {
    let (prepared, repaired) = prepare(text);
    match serde_json::from_str(&prepared) {
        Ok(node) => Ok((node, repaired)),
        // The sender knows its own text, so line and column are taken from there.
        Err(error) => Err(serde_json::from_str::<IgnoredAny>(text).err().unwrap_or(error)),
    }
}

/// Reads an object into fields: `{"a": {"b": [1, 2]}}` is `a.b` twice, `null` is absent.
pub(super) fn fields(text: &str, submission: &mut Submission) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let (node, repaired) = match read(text) {
        Ok(read) => read,
        // Sound JSON that serde_json would not build is only ever too deep for it.
        Err(_) if is_well_formed(text) => {
            if text.trim_start().starts_with('[') {
                return Err(not_fields("A list"));
            }
            submission.flag(BodyFlag::NestedTooDeep);
            return Ok(());
        }
        Err(error) => {
            return Err(malformed(format!(
                "The JSON cannot be read at line {} column {}. Check quotes, commas and brackets there.",
                error.line(),
                error.column()
            )));
        }
    };
    if repaired {
        submission.flag(BodyFlag::RepairedJson);
    }
    match node {
        Node::Object(members) => {
            for (name, node) in members {
                let name = submission.cut_name(&name);
                flatten(&name, node, 0, submission);
            }
        }
        Node::Null => return Err(not_fields("`null`")),
        Node::Text(_) => return Err(not_fields("A single value")),
        Node::List(_) => return Err(not_fields("A list")),
    }
    Ok(())
}

/// Adds a value under a name, as the fields of an object are added.
pub(crate) fn push(name: &str, node: &Node, submission: &mut Submission) {
    let name = submission.cut_name(name);
    flatten(&name, node.clone(), 0, submission);
}

/// Levels of nesting that still make a readable name.
const MAX_DEPTH: usize = 16;

/// Names are cut before they are handed down: a long one over a long list would be copied for each item.
fn flatten(name: &str, node: Node, depth: usize, submission: &mut Submission) {
    if depth > MAX_DEPTH {
        return submission.flag(BodyFlag::NestedTooDeep);
    }
    match node {
        Node::Null => {}
        Node::Text(text) => submission.push(name, text),
        Node::List(items) => {
            for item in items {
                flatten(name, item, depth + 1, submission);
            }
        }
        Node::Object(members) => {
            for (member, node) in members {
                let path = submission.cut_name(&format!("{name}.{member}"));
                flatten(&path, node, depth + 1, submission);
            }
        }
    }
}

/// Whether it is JSON, once the slips of common senders are mended.
pub(super) fn is_mendable(text: &str) -> bool {
    is_well_formed(&mend(text).0)
}

fn is_well_formed(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The same JSON with the slips of common senders repaired: `NaN` and the infinities become `null`, half a surrogate pair
/// U+FFFD. The flag tells whether there were any.
pub(crate) fn mend(text: &str) -> (String, bool) {
    rewrite(text, false)
}

/// As [`mend`], with each number, `true` and `false` quoted, so that reading it cannot change how it was written.
fn prepare(text: &str) -> (String, bool) {
    rewrite(text, true)
}

fn rewrite(text: &str, quoted: bool) -> (String, bool) {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut repaired = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let taken = if first == '"' {
            let end = string_end(rest);
            let (string, mended) = mend_surrogates(&rest[..end]);
            repaired |= mended;
            out.push_str(&string);
            end
        } else if is_bare(first) {
            let end = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
            let word = &rest[..end];
            match word {
                "NaN" | "Infinity" | "-Infinity" => {
                    out.push_str("null");
                    repaired = true;
                }
                "null" => out.push_str(word),
                _ if quoted && is_well_formed(word) => {
                    out.push('"');
                    out.push_str(word);
                    out.push('"');
                }
                _ => out.push_str(word),
            }
            end
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    (out, repaired)
}

/// Where the string that `text` starts with ends, closing quote included.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            // This may end inside a wider character; none of its bytes looks like a quote or a backslash.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// A JSON string in which every `\uD800`-`\uDFFF` that is not half of a pair reads `\uFFFD`.
fn mend_surrogates(string: &str) -> (Cow<'_, str>, bool) {
    let escape = |at: usize| -> Option<u16> {
        let digits = string.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = string[at..].find('\\') {
        at += found;
        match escape(at) {
            Some(0xD800..=0xDBFF) if matches!(escape(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&string[copied..at]);
                out.push_str("\\uFFFD");
                at += 6;
                copied = at;
            }
            // A backslash and the character it escapes, whatever its width.
            _ => at += 1 + string[at + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return (Cow::Borrowed(string), false);
    }
    out.push_str(&string[copied..]);
    (Cow::Owned(out), true)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}
