//! What tests need of the machine, and what happens where it is not to be had.

use sluice_host::environment::Environment;
use std::process::Stdio;
use tokio::process::Command;

/// What a test needs, if it is there. Else the test is left out and says so; in CI, which has to show everything, it fails.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
pub fn found<T>(what: &str, found: Result<T, String>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(why) => {
            assert!(!in_ci(), "nothing is left out in CI, and there is no {what}: {why}");
            println!("skipped: no {what} here: {why}");
            None
        }
    }
}

/// Whether this is a run of `.ci/run` or of a build server.
pub fn in_ci() -> bool {
    Environment::of_process().optional("CI").is_some()
}

/// Runs a program to its end: what it printed, else the last that it complained of.
pub(crate) async fn said(command: &mut Command) -> Result<String, String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().await.map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&done.stderr);
    Err(format!("{program}: {}", complaint.lines().last().unwrap_or("failed without a word")))
}

/// An error in words.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
