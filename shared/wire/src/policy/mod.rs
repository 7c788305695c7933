//! Policy documents as people write them: YAML (or JSON, which is YAML), several documents to a file.
//!
//! Every mistake in every file is reported, each with its place. A document is read into a tree that keeps positions;
//! what does not fit its type is reported, taken out of the tree, and the rest is read again.

mod escapes;
mod flaw;
mod senders;
mod tree;
mod typed;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use flaw::PolicyError;

use flaw::{Flaw, Place};
use saphyr_parser::ScalarStyle;
use senders::{check_keys, check_sources};
use serde::Deserialize;
use sluice_domain::policy::{self, Document, Finding, KINDS, Other, is_like, one_of};
use std::collections::{BTreeSet, HashSet};
use tree::{Node, Value};
use typed::{Mismatch, Part};

/// The text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// What errors call it.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// Mistakes reported of one document at most.
const MAX_MISTAKES: usize = 50;

/// Reads and checks documents, all of them together: they may name one another across files.
///
/// # Errors
/// Everything that is wrong, in the order of the files and of their lines. What only follows from another mistake
/// (a rep that cannot be read is not missing as well) is left out.
pub fn load(sources: &[SourceText]) -> Result<Vec<Document>, Vec<PolicyError>> {
    Ok(examine(sources)?.documents)
}

/// Documents that may be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Examined {
    /// The documents.
    pub documents: Vec<Document>,
    /// What is probably not meant, though nothing stands against it.
    pub warnings: Vec<PolicyError>,
}

/// As [`load`], with what is to be warned of.
///
/// # Errors
/// As [`load`].
pub fn examine(sources: &[SourceText]) -> Result<Examined, Vec<PolicyError>> {
    let mut files = Files::read(sources);
    files.find(check(&files.documents));
    let files = files.whole()?;
    let warnings = files.placed(policy::doubts(&files.documents, &BTreeSet::new()));
    Ok(Examined { documents: files.documents, warnings })
}

/// Reads documents without checking what they say of one another: for single documents, which may name others that
/// are published already.
///
/// # Errors
/// Everything that cannot be read, in the order of the files and of their lines.
pub fn parse(sources: &[SourceText]) -> Result<Files<'_>, Vec<PolicyError>> {
    let mut files = Files::read(sources);
    files.find(check_sources(&files.documents));
    files.whole()
}

/// Checks documents, each by itself and all of them against each other. Empty means they may be published.
pub fn check(documents: &[Document]) -> Vec<Finding> {
    let mut findings = policy::check(documents);
    findings.extend(check_sources(documents));
    findings.extend(check_keys(documents));
    findings.extend(policy::too_large(documents));
    findings
}

/// Files as far as they can be read, and where everything in them stands.
pub struct Files<'a> {
    /// The documents, in the order of the files.
    pub documents: Vec<Document>,
    sources: &'a [SourceText],
    origins: Vec<Origin>,
    flaws: Vec<(usize, Flaw)>,
    /// Files and lines that are never shown.
    secret_lines: BTreeSet<(usize, usize)>,
    is_whole: bool,
}

impl<'a> Files<'a> {
    fn read(sources: &'a [SourceText]) -> Self {
        let mut files = Self {
            documents: Vec::new(),
            sources,
            origins: Vec::new(),
            flaws: Vec::new(),
            secret_lines: BTreeSet::new(),
            is_whole: true,
        };
        for (file, source) in sources.iter().enumerate() {
            let (trees, mistakes) = tree::read(source.text.trim_start_matches('\u{feff}'));
            files.is_whole &= mistakes.is_empty();
            files.flaws.extend(mistakes.into_iter().map(|flaw| (file, flaw)));
            for tree in trees {
                files.secret_lines.extend(lines_with_secrets(&tree).into_iter().map(|line| (file, line)));
                let read = read(tree);
                files.flaws.extend(read.flaws.into_iter().map(|flaw| (file, flaw)));
                match read.document {
                    Some(document) => {
                        files.documents.push(document);
                        files.origins.push(Origin { file, tree: read.tree, wounds: read.wounds });
                    }
                    None => files.is_whole = false,
                }
            }
        }
        files
    }

    /// Takes in what was found wrong with the documents, but for what may only follow from what cannot be read.
    fn find(&mut self, findings: Vec<Finding>) {
        let follows = |finding: &Finding| matches!(finding.other, Some(Other::Absent)) && !self.is_whole;
        let found: Vec<_> = findings
            .iter()
            .filter(|finding| !follows(finding))
            .filter_map(|finding| self.place(finding))
            .collect();
        self.flaws.extend(found);
    }

    /// The same, if nothing is wrong with them.
    fn whole(mut self) -> Result<Self, Vec<PolicyError>> {
        match std::mem::take(&mut self.flaws) {
            flaws if flaws.is_empty() => Ok(self),
            flaws => Err(self.in_files(flaws)),
        }
    }

    /// Findings about these documents, each with its place; of other documents nothing is known here.
    pub fn placed(&self, findings: impl IntoIterator<Item = Finding>) -> Vec<PolicyError> {
        self.in_files(findings.into_iter().filter_map(|finding| self.place(&finding)).collect())
    }

    fn place(&self, finding: &Finding) -> Option<(usize, Flaw)> {
        let origin = self.origins.get(finding.document)?;
        Some((origin.file, place(finding, origin, &self.origins, self.sources)?))
    }

    fn in_files(&self, mut flaws: Vec<(usize, Flaw)>) -> Vec<PolicyError> {
        flaws.sort_by_key(|(file, flaw)| (*file, flaw.at));
        let errors = flaws.into_iter().filter_map(|(file, flaw)| {
            let source = self.sources.get(file)?;
            let is_secret = |line| self.secret_lines.contains(&(file, line));
            Some(flaw.in_file(&source.file, &source.text, &is_secret))
        });
        errors.collect()
    }
}

/// Where a document was read.
struct Origin {
    file: usize,
    tree: Node,
    wounds: HashSet<Place>,
}

/// One document as far as it can be read.
struct Read {
    document: Option<Document>,
    tree: Node,
    flaws: Vec<Flaw>,
    /// Lists and mappings that something was taken out of: what is found wrong with the whole of them may only follow.
    wounds: HashSet<Place>,
}

fn read(mut tree: Node) -> Read {
    let mut flaws = Vec::new();
    let mut taken: Vec<(Place, String)> = Vec::new();
    let kind = match take_kind(&mut tree) {
        Ok(kind) => kind,
        Err(flaw) => return Read { document: None, tree, flaws: vec![flaw], wounds: HashSet::new() },
    };
    let mut document = None;
    while flaws.len() < MAX_MISTAKES {
        let mismatch = match typed(kind, &tree) {
            Ok(read) => {
                document = Some(read);
                break;
            }
            Err(mismatch) => mismatch,
        };
        let follows = taken.iter().any(|(place, name)| {
            mismatch.part == Some(Part::Value(*place))
                && mismatch.missing.is_none_or(|field| name == field || is_like(name, field))
        });
        if !follows {
            flaws.push(mismatch.flaw(tree.at));
        }
        match mismatch.part.and_then(|part| take_out(&mut tree, part)) {
            Some(out) => taken.push(out),
            None => break,
        }
    }
    let wounds = taken.into_iter().map(|(place, _)| place).collect();
    Read { document, tree, flaws, wounds }
}

/// Takes `kind` off, wherever it stands among the keys: the types do not have it.
fn take_kind(tree: &mut Node) -> Result<&'static str, Flaw> {
    let start = tree.at;
    let Value::Map(entries) = &mut tree.value else {
        return Err(
            Flaw::new(start, "a document is a mapping").hint(format!("it begins with `kind: {}`", KINDS[0]))
        );
    };
    let Some(at) = entries.iter().position(|entry| entry.name == "kind") else {
        return Err(
            Flaw::new(start, "this document has no `kind`").hint(format!("known: {}", KINDS.join(", ")))
        );
    };
    let entry = entries.remove(at);
    let Some(word) = entry.node.text() else {
        return Err(
            Flaw::new(entry.node.at, "`kind` is one word").hint(format!("known: {}", KINDS.join(", ")))
        );
    };
    let kind = KINDS.iter().copied().find(|kind| *kind == word);
    kind.ok_or_else(|| Flaw::new(entry.node.at, format!("unknown kind `{word}`")).hint(one_of(word, KINDS)))
}

fn typed(kind: &str, tree: &Node) -> Result<Document, Mismatch> {
    match kind {
        "form" => Deserialize::deserialize(tree).map(Document::Form),
        "source" => Deserialize::deserialize(tree).map(Document::Source),
        "access" => Deserialize::deserialize(tree).map(Document::Access),
        "webhook" => Deserialize::deserialize(tree).map(Document::Webhook),
        "rep" => Deserialize::deserialize(tree).map(Document::Rep),
        "team" => Deserialize::deserialize(tree).map(Document::Team),
        "routing" => Deserialize::deserialize(tree).map(Document::Routing),
        "settings" => Deserialize::deserialize(tree).map(Document::Settings),
        "calendar" => Deserialize::deserialize(tree).map(Document::Calendar),
        "territory" => Deserialize::deserialize(tree).map(Document::Territory),
        "channel" => Deserialize::deserialize(tree).map(Document::Channel),
        "topic" => Deserialize::deserialize(tree).map(Document::Topic),
        "template" => Deserialize::deserialize(tree).map(Document::Template),
        "layout" => Deserialize::deserialize(tree).map(Document::Layout),
        "partial" => Deserialize::deserialize(tree).map(Document::Partial),
        "lifecycle" => Deserialize::deserialize(tree).map(Document::Lifecycle),
        "scoring" => Deserialize::deserialize(tree).map(Document::Scoring),
        "segment" => Deserialize::deserialize(tree).map(Document::Segment),
        "journey" => Deserialize::deserialize(tree).map(Document::Journey),
        "cost" => Deserialize::deserialize(tree).map(Document::Cost),
        "alert" => Deserialize::deserialize(tree).map(Document::Alert),
        "campaign" => Deserialize::deserialize(tree).map(Document::Campaign),
        other => {
            Err(serde::de::Error::custom(format!("documents of kind `{other}` cannot be read from YAML")))
        }
    }
}

/// Takes a part out; answers from which list or mapping, and the key it had there.
fn take_out(node: &mut Node, part: Part) -> Option<(Place, String)> {
    match &mut node.value {
        Value::Scalar(_) => None,
        Value::List(items) => match items.iter().position(|item| part == Part::Value(item.at)) {
            Some(at) => {
                items.remove(at);
                Some((node.at, String::new()))
            }
            None => items.iter_mut().find_map(|item| take_out(item, part)),
        },
        Value::Map(entries) => {
            let is_it =
                |entry: &tree::Entry| part == Part::Key(entry.at) || part == Part::Value(entry.node.at);
            match entries.iter().position(is_it) {
                Some(at) => Some((node.at, entries.remove(at).name)),
                None => entries.iter_mut().find_map(|entry| take_out(&mut entry.node, part)),
            }
        }
    }
}

/// Lines on which something other than a reference stands where secrets belong. They are never shown.
fn lines_with_secrets(tree: &Node) -> Vec<usize> {
    let mut lines = Vec::new();
    tree.walk("", &mut |key, node| {
        if key.contains("secret") {
            node.walk("", &mut |_, inner| {
                if let Value::Scalar(scalar) = &inner.value
                    && !scalar.text.starts_with("env:")
                    && !scalar.text.starts_with("secret:")
                {
                    lines.extend(inner.at.line..=scalar.last_line);
                }
            });
        }
    });
    lines
}

/// The finding at its place in the file; none if it may only follow from what was taken out there.
fn place(finding: &Finding, origin: &Origin, origins: &[Origin], sources: &[SourceText]) -> Option<Flaw> {
    let node = origin.tree.nearest(&finding.path);
    let is_whole = matches!(node.value, Value::Scalar(_));
    if !is_whole && origin.wounds.contains(&node.at) {
        return None;
    }
    let mut message = finding.message.clone();
    if let Some(Other::Document(first)) = finding.other
        && let Some(first) = origins.get(first)
    {
        let file = sources.get(first.file).map(|source| source.file.as_str()).unwrap_or_default();
        message.push_str(&format!("; the first is {file}:{}", first.tree.at.line));
    }
    let text = sources.get(origin.file).map(|source| source.text.as_str()).unwrap_or_default();
    let at = match finding.within {
        None => node.at,
        Some((line, column)) => inside(node, text, line, column).unwrap_or_else(|| {
            message.push_str(&format!(" (line {line}, column {column} of the value)"));
            node.at
        }),
    };
    let flaw = Flaw::new(at, message);
    let flaw = match &finding.hint {
        Some(hint) => flaw.hint(hint),
        None => flaw,
    };
    Some(if finding.other == Some(Other::Absent) { flaw.absent() } else { flaw })
}

/// The place of a line and column of a value's text, where the text stands in the file as it is.
fn inside(node: &Node, text: &str, line: usize, column: usize) -> Option<Place> {
    let Value::Scalar(scalar) = &node.value else { return None };
    let on_one_line = scalar.last_line == node.at.line && line == 1;
    let row = |number: usize| text.lines().nth(number.checked_sub(1)?);
    match scalar.style {
        ScalarStyle::Plain if on_one_line => {
            Some(Place { line: node.at.line, column: node.at.column + column - 1 })
        }
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted if on_one_line => {
            // Escapes are longer than what they stand for.
            let written: String = row(node.at.line)?.chars().skip(node.at.column).collect();
            let is_same = written.starts_with(&scalar.text);
            is_same.then_some(Place { line: node.at.line, column: node.at.column + column })
        }
        ScalarStyle::Literal => {
            let number = node.at.line + line - 1;
            let content = scalar.text.lines().nth(line - 1)?;
            let written = row(number)?;
            let indent = written.strip_suffix(content)?.chars().count();
            Some(Place { line: number, column: indent + column })
        }
        _ => None,
    }
}
