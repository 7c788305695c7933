//! Rules of the repository as tests: who may depend on whom, what a source file may hold, and that the template says
//! what the code does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is not there stops the test, what is skipped is said"
)]

#[path = "repository/campaigns.rs"]
mod campaigns;
#[path = "repository/dead_letters.rs"]
mod dead_letters;
#[path = "repository/dependencies.rs"]
mod dependencies;
#[path = "repository/keys.rs"]
mod keys;
#[path = "repository/messages.rs"]
mod messages;
#[path = "repository/openapi.rs"]
mod openapi;
#[path = "repository/permissions.rs"]
mod permissions;
#[path = "repository/samples.rs"]
mod samples;
#[path = "repository/shop.rs"]
mod shop;
#[path = "repository/sources.rs"]
mod sources;
#[path = "repository/stack.rs"]
mod stack;
#[path = "repository/template.rs"]
mod template;

use std::path::{Path, PathBuf};

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file's path as it is named in complaints.
fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Every file below a folder, sorted, without what builds and tools leave behind.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Fails with every complaint at once.
fn none(what: &str, complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{what}:\n  {}", complaints.join("\n  "));
}
