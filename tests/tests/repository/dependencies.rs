//! Who may depend on whom.

use crate::{files, none, relative, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Folders from the bottom up: a package may use packages of lower folders only, and none of its own.
const LAYERS: [&str; 9] = [
    "shared/domain",
    "shared/wire",
    "shared/store",
    "shared/host",
    "functions",
    "infra/services",
    "infra/local",
    "tests",
    "tests/bench",
];

/// What the domain must not link, by the beginning of a package's name: it has no IO, clock, randomness or async. What
/// ring itself needs is left out: the domain calls its hashes only.
const NOT_IN_DOMAIN: [&str; 12] = [
    "aws-",
    "async-",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "lambda",
    "mio",
    "rand",
    "reqwest",
    "rustls",
    "tokio",
];

fn cargo(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(run.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Each package of the workspace: its folder and the packages of the workspace that it names, tests included.
fn packages() -> BTreeMap<String, (String, Vec<String>)> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]))
            .unwrap();
    let package = |package: &Value| {
        let folder = relative(Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap());
        let own = package["dependencies"].as_array().unwrap().iter().filter(|it| it["path"].is_string());
        let own = own.map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        (package["name"].as_str().unwrap().to_owned(), (folder, own))
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn layer(folder: &str) -> usize {
    let inside = |layer: &&str| folder == *layer || *layer == "functions" && folder.starts_with("functions/");
    LAYERS.iter().position(inside).unwrap_or_else(|| panic!("{folder} has no layer"))
}

#[test]
fn dependencies_point_one_way_and_functions_never_use_each_other() {
    let packages = packages();
    assert!(packages.len() > 10, "the workspace was not read");
    let mut wrong = Vec::new();
    for (name, (folder, own)) in &packages {
        for used in own {
            let (of_used, _) = &packages[used];
            if layer(of_used) >= layer(folder) {
                wrong.push(format!("{name} uses {used}"));
            }
            if folder == "infra/services" {
                wrong.push(format!("{name} stands for AWS and uses {used}"));
            }
        }
    }
    none("dependencies against the arrow", wrong);
}

#[test]
fn the_domain_links_no_io_clock_randomness_or_async() {
    let tree =
        cargo(&["tree", "--package", "sluice-domain", "--edges", "normal", "--prefix", "none", "--offline"]);
    assert!(tree.contains("cel v"), "the tree was not read");
    let of_ring = cargo(&["tree", "--package", "ring", "--edges", "normal", "--prefix", "none", "--offline"]);
    let wrong = tree
        .lines()
        .filter(|line| NOT_IN_DOMAIN.iter().any(|name| line.starts_with(name)))
        .filter(|line| !of_ring.lines().any(|needed| needed == *line));
    none("linked by the domain", wrong.map(str::to_owned).collect());
}

#[test]
fn only_the_store_names_the_sdk_of_the_table() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let naming = packages.filter(|package| {
        package["dependencies"].as_array().unwrap().iter().any(|it| it["name"] == "aws-sdk-dynamodb")
    });
    let naming: BTreeSet<&str> = naming.map(|package| package["name"].as_str().unwrap()).collect();
    // The benchmark makes the table's calls without us, to say what there is to gain.
    assert_eq!(naming, BTreeSet::from(["sluice-bench", "sluice-store"]));
}

#[test]
fn versions_are_pinned_only_in_the_workspace() {
    let mut wrong = Vec::new();
    for path in files(&root()).into_iter().filter(|path| path.ends_with("Cargo.toml")) {
        if path == root().join("Cargo.toml") {
            continue;
        }
        let mut in_dependencies = false;
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let line = line.trim();
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
                if in_dependencies && !line.ends_with("dependencies]") {
                    wrong.push(format!("{}: write {line} on one line", relative(&path)));
                }
            } else if in_dependencies && !line.is_empty() && !line.starts_with('#') {
                let from_workspace = line.contains(".workspace = true") || line.contains("workspace = true,");
                if !from_workspace && !line.contains("{ workspace = true }") {
                    wrong.push(format!("{}: {line}", relative(&path)));
                }
            }
        }
    }
    none("dependencies that do not come from the workspace", wrong);
}

#[test]
fn every_function_is_a_library_with_a_main_of_a_dozen_lines() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("functions")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        seen += 1;
        let lines = |file: &str| {
            std::fs::read_to_string(folder.join("src").join(file)).map(|text| text.lines().count())
        };
        match (lines("lib.rs"), lines("main.rs")) {
            (Ok(_), Ok(..=12)) => {}
            (Ok(_), Ok(lines)) => wrong.push(format!("{name}: its main has {lines} lines")),
            _ => wrong.push(format!("{name}: lib.rs or main.rs is missing")),
        }
    }
    assert!(seen >= 6, "the functions were not found");
    none("functions of another shape", wrong);
}

#[test]
fn a_target_whose_tests_are_not_built_has_none() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1", "--offline"]))
            .unwrap();
    let is_test = |line: &str| {
        let line = line.trim_start();
        let attribute = line.starts_with("#[");
        attribute && (line.contains("cfg(test)") || line.contains("test]"))
    };
    let is_example = |line: &str| {
        let line = line.trim_start();
        (line.starts_with("///") || line.starts_with("//!")) && line.contains("```")
    };
    let (mut unbuilt, mut wrong) = (0, Vec::new());
    for package in metadata["packages"].as_array().unwrap() {
        let targets = package["targets"].as_array().unwrap();
        let is_library = |target: &Value| target["kind"] == serde_json::json!(["lib"]);
        let has_library = targets.iter().any(is_library);
        for target in targets {
            let path = Path::new(target["src_path"].as_str().unwrap());
            // A binary beside a library is one file; what else lies there is the library's.
            let all = if is_library(target) || !has_library && path.ends_with("main.rs") {
                files(path.parent().unwrap())
            } else {
                vec![path.to_owned()]
            };
            unbuilt += usize::from(target["test"] == false);
            for file in all.into_iter().filter(|file| file.extension().is_some_and(|it| it == "rs")) {
                let text = std::fs::read_to_string(&file).unwrap();
                if target["test"] == false && text.lines().any(is_test) {
                    wrong.push(format!("{}: tests", relative(&file)));
                }
                if target["doctest"] == false && text.lines().any(is_example) {
                    wrong.push(format!("{}: examples in comments", relative(&file)));
                }
            }
        }
    }
    assert!(unbuilt > 10, "the targets were not read");
    none("never run", wrong);
}
