//! The one place that prints.

use std::process::ExitCode;

/// A line for people or programs, on stdout.
#[expect(clippy::print_stdout, reason = "the command's own output")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A line about what is going on, on stderr.
#[expect(clippy::print_stderr, reason = "the command's own output")]
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
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
