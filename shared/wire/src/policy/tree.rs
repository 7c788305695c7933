//! YAML as a tree in which every key and value knows where it was written.

use super::escapes::Written;
use super::flaw::{Flaw, Place};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};
use std::collections::HashMap;

/// Keys and values of one file at most, those that aliases repeat included: a few aliases can stand for billions.
const MAX_NODES: usize = 20_000;
/// How deep lists and mappings may be inside one another: reading the tree recurses.
const MAX_DEPTH: usize = 32;

/// What a text of a template needs that would be a mapping without it.
const IN_QUOTES: &str = "a text that begins with `{` goes in quotes: \"{{ … }}\"";

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// Text, and how it was written.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) style: ScalarStyle,
    /// The last line it stands on.
    pub(super) last_line: usize,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) at: Place,
    pub(super) name: String,
    pub(super) node: Node,
}

/// The documents of a file as far as they can be read, and what keeps the rest from it. Documents without content
/// are left out.
pub(super) fn read(text: &str) -> (Vec<Node>, Vec<Flaw>) {
    let mut builder = Builder::default();
    let written = Written::read(text);
    let mut parser = Parser::new_from_str(&written.joined);
    while let Some(next) = parser.next_event() {
        let taken = match next {
            Ok((event, span)) => builder.take(event, written.place(&span.start), span.end.line()),
            Err(error) => Err(syntax(text, written.place(error.marker()), &error)),
        };
        if let Err(flaw) = taken {
            builder.report(flaw);
            break;
        }
    }
    (builder.documents, builder.flaws)
}

impl Node {
    /// The value of a key; none if this is no mapping or has no such key.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.name == name).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The value at the end of a path, or the last one on the way that exists.
    pub(super) fn nearest(&self, path: &[String]) -> &Self {
        let Some((first, rest)) = path.split_first() else { return self };
        let next = match &self.value {
            Value::List(items) => first.parse().ok().and_then(|at: usize| items.get(at)),
            // A list of one may be written as the one.
            Value::Map(_) if first == "0" && self.get(first).is_none() => return self.nearest(rest),
            _ => self.get(first),
        };
        next.map_or(self, |next| next.nearest(rest))
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether nothing was written, or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Visits every value with the name of the key it is below, outer ones first.
    pub(super) fn walk<'a>(&'a self, key: &'a str, visit: &mut dyn FnMut(&'a str, &'a Self)) {
        visit(key, self);
        match &self.value {
            Value::Scalar(_) => {}
            Value::List(items) => items.iter().for_each(|item| item.walk(key, visit)),
            Value::Map(entries) => entries.iter().for_each(|entry| entry.node.walk(&entry.name, visit)),
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|entry| 1 + entry.node.size()).sum::<usize>(),
        }
    }

    fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|entry| entry.node.depth()).max().unwrap_or(0),
        }
    }
}

impl Scalar {
    pub(super) fn is_plain(&self) -> bool {
        self.style == ScalarStyle::Plain
    }

    pub(super) fn is_null(&self) -> bool {
        self.is_plain() && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

#[derive(Default)]
struct Builder {
    documents: Vec<Node>,
    flaws: Vec<Flaw>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    key: Option<(Place, Option<String>)>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Place, last_line: usize) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_tag(at, tag.as_deref())?;
                let scalar = Scalar { text: text.into_owned(), style, last_line };
                self.close(Node { at, value: Value::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_tag(at, tag.as_deref())?;
                self.begin(Node { at, value: Value::List(Vec::new()) }, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_tag(at, tag.as_deref())?;
                self.begin(Node { at, value: Value::Map(Vec::new()) }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, .. }) => self.close(node, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node =
                    node.ok_or_else(|| Flaw::new(at, "this alias stands for something that holds itself"))?;
                if self.open.len() + node.depth() > MAX_DEPTH {
                    return Err(too_deep(at));
                }
                self.count(at, node.size())?;
                self.close(node, 0)
            }
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(node.at));
        }
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        self.count(node.at, 1)?;
        if anchor > 0 {
            self.count(node.at, node.size())?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            if !node.is_null() {
                self.documents.push(node);
            }
            return Ok(());
        };
        let flaw = match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => {
                items.push(node);
                None
            }
            (Value::Map(entries), Some((at, Some(name)))) => {
                match entries.iter().find(|entry| entry.name == name) {
                    None => {
                        entries.push(Entry { at, name, node });
                        None
                    }
                    Some(first) => {
                        let line = first.at.line;
                        let flaw =
                            Flaw::new(at, format!("`{name}` is here twice; the first is on line {line}"));
                        Some(if name.contains("secret") { flaw.unseen() } else { flaw })
                    }
                }
            }
            (Value::Map(_), Some((_, None))) | (Value::Scalar(_), _) => None,
            (Value::Map(_), None) => {
                let name = node.text().filter(|name| *name != "<<").map(str::to_owned);
                let flaw = match (node.text(), &name) {
                    (Some(_), None) => {
                        Some(Flaw::new(node.at, "mappings are not merged here").hint("write the fields out"))
                    }
                    (None, _) => {
                        let flaw = Flaw::new(node.at, "a key is a word, not a list or a mapping");
                        let is_map = matches!(node.value, Value::Map(_));
                        Some(if is_map { flaw.hint(IN_QUOTES) } else { flaw })
                    }
                    (Some(_), Some(_)) => None,
                };
                open.key = Some((node.at, name));
                flaw
            }
        };
        flaw.into_iter().for_each(|flaw| self.report(flaw));
        Ok(())
    }

    /// Below a key for secrets nothing is shown: what is wrong there is not in the tree, so nobody can look later.
    fn report(&mut self, flaw: Flaw) {
        let mut names = self.open.iter().filter_map(|open| open.key.as_ref()?.1.as_deref());
        let flaw = if names.any(|name| name.contains("secret")) { flaw.unseen() } else { flaw };
        self.flaws.push(flaw);
    }

    fn count(&mut self, at: Place, nodes: usize) -> Result<(), Flaw> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("a file holds at most {MAX_NODES} keys and values, repeated ones included");
            return Err(Flaw::new(at, message).hint("split the file, or use fewer aliases"));
        }
        Ok(())
    }
}

fn too_deep(at: Place) -> Flaw {
    Flaw::new(at, format!("lists and mappings are more than {MAX_DEPTH} deep here"))
}

/// Tags would change what a value is behind the reader's back; no policy needs one.
fn refuse_tag(at: Place, tag: Option<&saphyr_parser::Tag>) -> Result<(), Flaw> {
    match tag {
        None => Ok(()),
        Some(_) => Err(Flaw::new(at, "what starts with `!` is a YAML tag, and policies have none")
            .hint("a condition that starts with `!` goes in quotes")),
    }
}

/// What the parser says, and the usual reason for it.
fn syntax(text: &str, at: Place, error: &ScanError) -> Flaw {
    let flaw = Flaw::new(at, format!("not YAML: {}", error.info()));
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    // Which words of the line are a secret is not known now, so it is not shown.
    let flaw = if line.contains("secret") { flaw.unseen() } else { flaw };
    match line.split_once("when:") {
        Some((before, _)) if before.contains('{') => flaw.hint(
            "inside { } a condition ends at the first bracket or comma: put the whole condition in quotes, or write \
             the rule in block style",
        ),
        Some(_) => flaw.hint(
            "put the whole condition in single quotes: without them it may not hold `: `, and nothing may follow a \
             closing quote",
        ),
        None if line.contains(": {{") || line.contains(": {%") => flaw.hint(IN_QUOTES),
        None if error.info().contains("tab") => flaw.hint("indent with blanks, not with tabs"),
        None => flaw.hint("look at the indentation, and put a text with `: `, ` #` or a leading `*` in quotes"),
    }
}
