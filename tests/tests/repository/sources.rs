//! What a source file may hold.

use crate::{files, none, relative, root};
use sluice_domain::event::OWN_EVENTS;

/// Lines of the longest file.
const LONGEST: usize = 600;

/// What clippy must refuse everywhere.
const BANNED: [&str; 7] = [
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
];

/// Where a refused method is allowed, and why.
const ALLOWED: [(&str, &str); 7] = [
    ("shared/host/src/lambda.rs", "the one place that reads the machine's clock and environment"),
    ("infra/services/src/dynamodb.rs", "measures how long the store takes; decides nothing"),
    ("functions/send-message/src/smtp/tests.rs", "runs itself again with the roots of another machine"),
    ("shared/domain/tests/matching.rs", "other data to judge by is named by whoever runs it"),
    ("tests/bench/src/machine.rs", "measures"),
    ("tests/tests/fault_sweep.rs", "chooses the length of the sweep and measures it"),
    ("tests/tests/sqs_conformance/server.rs", "asks for AWS credentials and measures"),
];

/// What the domain never names, apart from what clippy refuses.
const NOT_IN_DOMAIN: [&str; 11] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "std::time::Instant",
    "SystemTime",
    "async fn",
    "getrandom",
    "rand::",
];

/// Every source file: its name and its text.
fn sources() -> Vec<(String, String)> {
    let sources: Vec<_> = files(&root())
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| (relative(&path), std::fs::read_to_string(&path).unwrap()))
        .collect();
    assert!(sources.len() > 100, "the sources were not found");
    sources
}

/// Lines of code with their numbers: comments and what only tests see are left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"))
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn is_test(file: &str) -> bool {
    file.starts_with("tests/")
        || file.contains("/tests/")
        || file.ends_with("tests.rs")
        || file.contains("/examples/")
}

#[test]
fn every_module_says_what_it_is() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    none("files that do not begin with //!", silent.map(|(file, _)| file).collect());
}

#[test]
fn the_readme_names_every_event_that_is_told_by_us() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let unnamed = OWN_EVENTS.into_iter().filter(|name| !readme.contains(&format!("`{name}`")));
    none("told and not in README.md", unnamed.map(str::to_owned).collect());
}

#[test]
fn no_file_is_longer_than_fits_in_the_head() {
    let long = sources().into_iter().filter_map(|(file, text)| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{file}: {lines} lines"))
    });
    none("files to divide", long.collect());
}

#[test]
fn nothing_is_unsafe_unfinished_or_skipped() {
    // Written in two parts, so that this file does not find itself.
    let words = [
        concat!("unsafe", " {"),
        concat!("unsafe", " fn"),
        concat!("unsafe", " impl"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
    ];
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (at, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    none("not in this repository", wrong);
}

#[test]
fn only_the_command_prints() {
    let words = ["println!", "eprintln!", "print!(", "eprint!("];
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if file == "infra/local/src/cli/output.rs" || is_test(&file) {
            continue;
        }
        let printed = code(&text).filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        wrong.extend(printed.map(|(at, line)| format!("{file}:{at}: {}", line.trim())));
    }
    none("prints outside the command", wrong);
}

#[test]
fn clippy_refuses_the_clock_and_the_environment_and_few_places_may_use_them() {
    let config = std::fs::read_to_string(root().join("clippy.toml")).unwrap();
    let unlisted =
        BANNED.iter().filter(|method| !config.contains(&format!("path = \"{method}\", reason = \"")));
    none("not refused by clippy.toml", unlisted.map(|method| (*method).to_owned()).collect());
    let word = concat!("clippy::disallowed", "_methods");
    let lifting: Vec<String> =
        sources().into_iter().filter(|(_, text)| text.contains(word)).map(|(file, _)| file).collect();
    let new = lifting.iter().filter(|file| ALLOWED.iter().all(|(known, _)| known != file));
    none("lift the ban without being listed", new.cloned().collect());
    let stale = ALLOWED.iter().filter(|(known, _)| !lifting.iter().any(|file| file == known));
    none("listed and lift nothing", stale.map(|(known, _)| (*known).to_owned()).collect());
}

#[test]
fn the_domain_names_no_io_clock_environment_or_randomness() {
    let mut wrong = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| file.starts_with("shared/domain/src/")) {
        if is_test(&file) {
            continue;
        }
        let named = code(&text).filter(|(_, line)| NOT_IN_DOMAIN.iter().any(|name| line.contains(name)));
        wrong.extend(named.map(|(at, line)| format!("{file}:{at}: {}", line.trim())));
    }
    none("in the domain", wrong);
}
