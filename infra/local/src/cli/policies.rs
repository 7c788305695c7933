//! `sluice validate` and `sluice apply`.

use super::StackArgs;
use super::output::{note, pretty, say};
use serde_json::{Value, json};
use sluice_domain::policy::Document;
use sluice_wire::policy::{Examined, PolicyError, SourceText, examine};
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
    Ok(check(&read_folder(dir)?)?.documents)
}

/// Checks files; the error has all findings.
fn check(files: &[SourceText]) -> Result<Examined, String> {
    examine(files).map_err(|errors| format!("{}\n{}", to_mend(&errors), lines(&errors)))
}

fn to_mend(errors: &[PolicyError]) -> String {
    format!("{} to mend", errors.len())
}

/// Checks files; for programs, which read stdout, the findings are there.
fn check_for(files: &[SourceText], json: bool) -> Result<Examined, String> {
    if !json {
        return check(files);
    }
    examine(files).map_err(|errors| {
        say(&json!({"valid": false, "errors": errors, "warnings": []}).to_string());
        to_mend(&errors)
    })
}

fn lines(errors: &[PolicyError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Says what is probably not meant.
fn warn(warnings: &[PolicyError]) {
    if !warnings.is_empty() {
        note(&format!("{} to look at\n{}", warnings.len(), lines(warnings)));
    }
}

pub(crate) fn validate(dir: &Path, json: bool) -> Result<(), String> {
    let files = read_folder(dir)?;
    let Examined { documents, warnings } = check_for(&files, json)?;
    if json {
        let documents: Vec<String> = documents.iter().map(Document::path).collect();
        say(&json!({"valid": true, "documents": documents, "errors": [], "warnings": warnings}).to_string());
    } else {
        warn(&warnings);
        say(&format!("{} documents in {} files are fine.", documents.len(), files.len()));
    }
    Ok(())
}

pub(crate) async fn apply(dir: &Path, prune: bool, stack: &StackArgs) -> Result<(), String> {
    let files = read_folder(dir)?;
    warn(&check_for(&files, stack.json)?.warnings);
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
