//! What is wrong in a document and where, and how that is shown.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A place in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One thing to mend in a policy document. Its `Display` is for people: the place, the reason, a hint, and the line
/// with a caret. Never shows what stands where a secret belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct PolicyError {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line and, below it, a caret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
    /// Whether it names a document that is not among those that were read together.
    #[serde(skip)]
    pub is_absent: bool,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        if let Some(snippet) = &self.snippet {
            write!(f, "\n{snippet}")?;
        }
        Ok(())
    }
}

/// A [`PolicyError`] before its file is known.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    pub(super) at: Place,
    message: String,
    hint: Option<String>,
    unseen: bool,
    absent: bool,
}

impl Flaw {
    pub(super) fn new(at: Place, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), hint: None, unseen: false, absent: false }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, without the line it is about.
    pub(super) fn unseen(mut self) -> Self {
        self.unseen = true;
        self
    }

    /// The same, of a document that is not among those read.
    pub(super) fn absent(mut self) -> Self {
        self.absent = true;
        self
    }

    /// With the file's name, and its line unless that is one of the `secret` lines.
    pub(super) fn in_file(self, file: &str, text: &str, secret: &dyn Fn(usize) -> bool) -> PolicyError {
        let Place { line, column } = self.at;
        let shown = text.lines().nth(line - 1).filter(|_| !self.unseen && !secret(line));
        PolicyError {
            file: file.to_owned(),
            line,
            column,
            message: self.message,
            hint: self.hint,
            snippet: shown.map(|text| snippet(text, line, column)),
            is_absent: self.absent,
        }
    }
}

/// Characters shown before and after the place in a long line.
const AROUND: usize = 60;

fn snippet(text: &str, line: usize, column: usize) -> String {
    let start = column.saturating_sub(AROUND + 1);
    let ahead = if start > 0 { "…" } else { "" };
    let shown: String = text.chars().skip(start).take(2 * AROUND).map(visible).collect();
    let behind = if text.chars().nth(start + 2 * AROUND).is_some() { "…" } else { "" };
    let blanks: usize = shown.chars().take(column - 1 - start).map(width).sum();
    let blanks = blanks + ahead.chars().count();
    format!("{line:>5} | {ahead}{}{behind}\n      | {}^", shown.trim_end(), " ".repeat(blanks))
}

/// A terminal obeys control characters, and a tab is as wide as it likes.
fn visible(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// Cells of a terminal: East Asian characters take two.
fn width(c: char) -> usize {
    let wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}');
    if wide { 2 } else { 1 }
}
