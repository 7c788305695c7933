//! Why a template could not be rendered, and where. Names fields, never values: those are about people.

use super::library::reason_of;
use crate::condition::line_and_column;
use minijinja::{Error, ErrorKind};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `template/welcome`
    pub document: String,
    /// The part: `["translations", "zh", "html"]`.
    pub path: Vec<String>,
    /// The line within the part, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} line {} column {}", self.document, self.path.join("."), self.line, self.column)
    }
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No template has this name.
    NoTemplate,
    /// The recipient lacks something that has no default: not to be sent to them as they are.
    MissingField,
    /// It would be too large or take too long.
    TooMuch,
    /// The documents do not fit together, or a value is of a type that does not go with what is done with it.
    Broken,
}

/// Why there is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// What kind it is.
    pub reason: Reason,
    /// What is wrong, in words.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Failure {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), place: None }
    }

    /// A mistake in a source: shown in the parser's words, which quote nothing but the source.
    pub(super) fn of_syntax(error: &Error, source: &str, places: &BTreeMap<String, Place>) -> Self {
        let message = format!("not a template: {}", error.detail().unwrap_or("it cannot be read"));
        Self { reason: Reason::Broken, message, place: place(error, Some(source), places) }
    }

    /// A mistake while rendering. What minijinja says may quote values.
    pub(super) fn of_rendering(error: &Error, places: &BTreeMap<String, Place>) -> Self {
        let written = error.range().and_then(|at| error.template_source()?.get(at)).unwrap_or("this").trim();
        let quoted: String = written.chars().take(80).collect();
        let message = match error.kind() {
            ErrorKind::UndefinedError => {
                let field = error.detail().and_then(|detail| detail.split('`').nth(1)).unwrap_or(&quoted);
                format!("`{field}` is not known and has no default")
            }
            ErrorKind::OutOfFuel => "this makes the message too large, or takes too long".to_owned(),
            ErrorKind::UnknownFilter => format!("there is no filter `{quoted}`"),
            ErrorKind::UnknownTest => format!("there is no test `{quoted}`"),
            ErrorKind::UnknownFunction => format!("there is no function `{quoted}`"),
            ErrorKind::TemplateNotFound => format!("`{quoted}`: there is no such partial with this part"),
            _ => format!("`{quoted}` cannot be done with the value there is"),
        };
        let mut innermost = error;
        while let Some(inner) =
            std::error::Error::source(innermost).and_then(|inner| inner.downcast_ref::<Error>())
        {
            innermost = inner;
        }
        if !std::ptr::eq(innermost, error) {
            return Self::of_rendering(innermost, places);
        }
        Self { reason: reason_of(error), message, place: place(error, error.template_source(), places) }
    }
}

fn place(error: &Error, source: Option<&str>, places: &BTreeMap<String, Place>) -> Option<Place> {
    let mut place = places.get(error.name()?)?.clone();
    (place.line, place.column) = match (source, error.range()) {
        (Some(source), Some(range)) => line_and_column(source, range.start),
        _ => (error.line().unwrap_or(1), 1),
    };
    Some(place)
}
