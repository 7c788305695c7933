//! The YAML of the template as a tree that keeps every position and every intrinsic.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use super::problem::{Position, Problem};

/// One value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// What a node holds. `!Name x` and `{ "Fn::Name": x }` are the same call.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Flag(bool),
    Number(i64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    Call { function: String, argument: Box<Node> },
}

/// One key of a mapping with its value; `at` is the key's position.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Position,
    pub(super) name: String,
    pub(super) node: Node,
}

/// Reads a text that holds one YAML document.
pub(super) fn load(text: &str) -> Result<Node, Problem> {
    let mut documents = MarkedYaml::load_from_str(text).map_err(|error| {
        let marker = error.marker();
        Problem::new(
            Position { line: marker.line(), column: marker.col() + 1 },
            format!("not YAML: {}", error.info()),
        )
    })?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => convert(&document, Position { line: 1, column: 1 }),
        _ => Err(Problem::new(Position { line: 1, column: 1 }, "not one YAML document")),
    }
}

fn convert(yaml: &MarkedYaml<'_>, outer: Position) -> Result<Node, Problem> {
    let start = yaml.span.start;
    // The value inside a tag has no position of its own.
    let at = if start.line() == 0 { outer } else { Position { line: start.line(), column: start.col() + 1 } };
    let value = match &yaml.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(flag) => Value::Flag(*flag),
            Scalar::Integer(number) => Value::Number(*number),
            Scalar::FloatingPoint(number) => Value::Text(number.to_string()),
            Scalar::String(text) => Value::Text(text.to_string()),
        },
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Sequence(items) => {
            Value::List(items.iter().map(|item| convert(item, at)).collect::<Result<_, _>>()?)
        }
        YamlData::Mapping(pairs) => {
            let mut entries = Vec::with_capacity(pairs.len());
            for (key, value) in pairs {
                let key = convert(key, at)?;
                let Value::Text(name) = key.value else {
                    return Err(Problem::new(key.at, "a key is not text"));
                };
                entries.push(Entry { at: key.at, node: convert(value, key.at)?, name });
            }
            call(entries)
        }
        YamlData::Tagged(tag, inner) => {
            if tag.handle != "!" {
                return Err(Problem::new(at, format!("the tag {tag} is not an intrinsic function")));
            }
            Value::Call { function: tag.suffix.clone(), argument: Box::new(convert(inner, at)?) }
        }
        YamlData::Alias(_) | YamlData::BadValue => {
            return Err(Problem::new(at, "a value that cannot be read"));
        }
    };
    Ok(Node { at, value })
}

/// The long form of an intrinsic is a mapping with that one key.
fn call(mut entries: Vec<Entry>) -> Value {
    let long = |name: &str| {
        if name == "Ref" { Some("Ref".to_owned()) } else { name.strip_prefix("Fn::").map(str::to_owned) }
    };
    match entries.as_slice() {
        [only] => match long(&only.name) {
            Some(function) => match entries.pop() {
                Some(entry) => Value::Call { function, argument: Box::new(entry.node) },
                None => Value::Map(entries),
            },
            None => Value::Map(entries),
        },
        _ => Value::Map(entries),
    }
}

impl Node {
    /// The value of a key; none if this is no mapping or has no such key.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.name == name).map(|entry| &entry.node)
    }

    /// The keys of a mapping; empty for anything else.
    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; a single value counts as a list of one, as CloudFormation takes it in policies.
    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// A scalar as CloudFormation passes it on: everything is text.
    pub(super) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Flag(flag) => Some(flag.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) | Value::Call { .. } => None,
        }
    }

    /// A whole number, written as a number or as text.
    pub(super) fn number(&self) -> Option<i64> {
        match &self.value {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// What this is, for an error.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Flag(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => format!("\"{text}\""),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
            Value::Call { function, .. } => format!("!{function}"),
        }
    }
}
