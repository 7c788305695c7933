//! The one place that prints.

use serde_json::{Value, json};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether something is on stdout.
static SAID: AtomicBool = AtomicBool::new(false);

/// Why a command did not do what it is for.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    words: String,
    /// What the stack answered, if it was asked.
    problem: Option<Value>,
}

impl Failure {
    /// What the stack refused, in its own words.
    pub(crate) const fn refused(words: String, problem: Option<Value>) -> Self {
        Self { words, problem }
    }

    /// The same with more around its words.
    pub(crate) fn told(self, tell: impl FnOnce(&str) -> String) -> Self {
        Self { words: tell(&self.words), ..self }
    }

    /// Whether what was asked about is not there.
    pub(crate) fn is_of_nothing(&self) -> bool {
        self.problem.as_ref().is_some_and(|problem| problem["status"] == 404)
    }

    /// What the stack answered, if it was asked.
    pub(crate) const fn problem(&self) -> Option<&Value> {
        self.problem.as_ref()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Self { words, problem: None }
    }
}

impl From<&str> for Failure {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

/// A line for people or programs, on stdout. A reader that has seen enough and left, as `head` does, is no failure.
pub(crate) fn say(line: &str) {
    SAID.store(true, Ordering::Relaxed);
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Stdout for what is written in pieces. A reader that has left gets no more, which is no failure either.
#[derive(Default)]
pub(crate) struct Output {
    is_left: bool,
}

impl Output {
    fn until_left<T>(&mut self, done: io::Result<T>, otherwise: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_left = true;
                Ok(otherwise)
            }
            done => done,
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_left {
            return Ok(bytes.len());
        }
        SAID.store(true, Ordering::Relaxed);
        let done = io::stdout().lock().write(bytes);
        self.until_left(done, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = io::stdout().lock().flush();
        self.until_left(done, ())
    }
}

/// A line about what is going on, on stderr.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Says what went wrong and how the command ends. A program reads one document: what is there already says it, else the stack's
/// answer does, else the words.
pub(crate) fn fail(failure: &Failure, is_json: bool) -> ExitCode {
    if is_json && !SAID.load(Ordering::Relaxed) {
        let document = failure.problem.clone().unwrap_or_else(|| json!({ "error": failure.words }));
        say(&document.to_string());
    }
    note(&format!("error: {failure}"));
    ExitCode::FAILURE
}

/// A value as JSON, indented.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
