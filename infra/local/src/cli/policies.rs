//! `sluice validate` and `sluice apply`.

use super::StackArgs;
use super::output::{note, pretty, say};
use serde_json::{Value, json};
use sluice_domain::policy::Document;
use sluice_wire::policy::{SourceText, load};
use std::path::Path;

/// Reads every .yaml, .yml and .json file below a folder, in the order of their paths.
pub fn read_folder(dir: &Path) -> Result<Vec<SourceText>, String> {
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json") {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                files.push(SourceText { file: path.display().to_string(), text });
            }
        }
    }
    files.sort_by(|a, b| a.file.cmp(&b.file));
    if files.is_empty() {
        return Err(format!("{}: no .yaml files here", dir.display()));
    }
    Ok(files)
}

/// The documents of a folder; the error has all findings.
pub(crate) fn documents_in(dir: &Path) -> Result<Vec<Document>, String> {
    loaded(&read_folder(dir)?)
}

fn loaded(files: &[SourceText]) -> Result<Vec<Document>, String> {
    load(files).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        format!("{} to mend\n{}", errors.len(), lines.join("\n"))
    })
}

/// Checks files; the error has all findings.
fn check(files: &[SourceText]) -> Result<Vec<String>, String> {
    Ok(loaded(files)?.iter().map(Document::path).collect())
}

pub(crate) fn validate(dir: &Path, json: bool) -> Result<(), String> {
    let files = read_folder(dir)?;
    let documents = check(&files)?;
    if json {
        say(&json!({"valid": true, "documents": documents}).to_string());
    } else {
        say(&format!("{} documents in {} files are fine.", documents.len(), files.len()));
    }
    Ok(())
}

pub(crate) async fn apply(dir: &Path, prune: bool, stack: &StackArgs) -> Result<(), String> {
    let files = read_folder(dir)?;
    check(&files)?;
    let answer = publish(&files, prune, stack).await?;
    if stack.json {
        say(&pretty(&answer));
        return Ok(());
    }
    let changed: Vec<&str> =
        answer["changed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match changed.as_slice() {
        [] => say(&format!("Nothing changed; version {} stays.", answer["version"])),
        changed => {
            say(&format!("Published as version {}:", answer["version"]));
            changed.iter().for_each(|path| say(&format!("  {path}")));
        }
    }
    note("Functions use it within two seconds.");
    Ok(())
}

/// Publishes checked files.
pub(crate) async fn publish(files: &[SourceText], prune: bool, stack: &StackArgs) -> Result<Value, String> {
    let files: Vec<Value> = files.iter().map(|file| json!({"file": file.file, "text": file.text})).collect();
    let path = if prune { "/api/policies/apply?prune=true" } else { "/api/policies/apply" };
    stack.call("POST", path, Some(&json!({"files": files}))).await
}
