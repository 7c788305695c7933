//! The one place that prints.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// A line for people or programs, on stdout. A reader that has seen enough and left, as `head` does, is no failure.
pub(crate) fn say(line: &str) {
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

/// Says what went wrong and how the command ends.
pub(crate) fn fail(message: &str) -> ExitCode {
    note(&format!("error: {message}"));
    ExitCode::FAILURE
}

/// A value as JSON, indented.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
