//! `sluice validate` and `sluice apply`.

use super::StackArgs;
use super::output::{Failure, note, pretty, say};
use serde_json::{Value, json};
use sluice_domain::policy::{Document, too_large};
use sluice_wire::policy::{Examined, PolicyError, SourceText, examine, parse};
use std::path::Path;

/// Reads every .yaml, .yml and .json file below a folder, in the order of their paths; or the one file that is named.
pub fn read_folder(dir: &Path) -> Result<Vec<SourceText>, String> {
    if dir.is_file() {
        return match is_policy(dir) {
            true => Ok(vec![read_file(dir)?]),
            false => Err(format!("{}: neither a folder nor a .yaml, .yml or .json file", dir.display())),
        };
    }
    let mut files = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
            if path.is_dir() {
                open.push(path);
            } else if is_policy(&path) {
                files.push(read_file(&path)?);
            }
        }
    }
    files.sort_by(|a, b| a.file.cmp(&b.file));
    if files.is_empty() {
        return Err(format!("{}: no .yaml files here", dir.display()));
    }
    Ok(files)
}

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json")
}

fn read_file(path: &Path) -> Result<SourceText, String> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| format!("{file}: {error}"))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceText { file, text }),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(format!("{file}:{line}: what stands here is not UTF-8; save the file as UTF-8"))
        }
    }
}

/// The documents of a folder; the error has all findings.
pub(crate) fn documents_in(dir: &Path) -> Result<Vec<Document>, String> {
    Ok(examine(&read_folder(dir)?).map_err(|errors| refused(&errors, false))?.documents)
}

fn to_mend(n: usize) -> String {
    format!("{n} to mend")
}

/// What is to be mended, in words; for programs it is on stdout.
fn refused(errors: &[PolicyError], json: bool) -> String {
    if json {
        say(&json!({"valid": false, "errors": errors, "warnings": []}).to_string());
        return to_mend(errors.len());
    }
    format!("{}\n{}", to_mend(errors.len()), lines(errors))
}

/// The same of what the stack found.
fn heard(failure: Failure, json: bool) -> Failure {
    match failure.problem().and_then(|problem| problem["errors"].as_array()) {
        Some(errors) if json => {
            say(&json!({"valid": false, "errors": errors, "warnings": []}).to_string());
            to_mend(errors.len()).into()
        }
        _ => failure,
    }
}

fn lines(errors: &[PolicyError]) -> String {
    words(errors).join("\n")
}

fn words(errors: &[PolicyError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

/// What the stack found, in words: of files here with its place, of what stays with the document's name, of what is no more as it is.
fn told(found: &Value) -> String {
    if let Ok(placed) = serde_json::from_value::<PolicyError>(found.clone()) {
        return placed.to_string();
    }
    let message = found["message"].as_str().unwrap_or_default();
    match found["file"].as_str() {
        Some(document) => format!("{document}, published before: {message}"),
        None => message.to_owned(),
    }
}

/// Says what is probably not meant.
fn warn(warnings: &[String]) {
    if !warnings.is_empty() {
        note(&format!("{} to look at\n{}", warnings.len(), warnings.join("\n")));
    }
}

/// What is said once where something is named that the folder, or the file, does not have.
const ELSEWHERE: &str = "What documents name is looked for in what is given here only; `sluice apply` looks among what is published as well.";

pub(crate) fn validate(dir: &Path, json: bool) -> Result<(), Failure> {
    let files = read_folder(dir)?;
    let Examined { documents, warnings } = examine(&files).map_err(|errors| {
        let is_whole = !errors.iter().any(|error| error.is_absent);
        let said = refused(&errors, json);
        if is_whole { said } else { format!("{said}\n{ELSEWHERE}") }
    })?;
    if json {
        let documents: Vec<String> = documents.iter().map(Document::path).collect();
        say(&json!({"valid": true, "documents": documents, "errors": [], "warnings": warnings}).to_string());
    } else {
        warn(&words(&warnings));
        say(&format!("{} documents in {} files are fine.", documents.len(), files.len()));
    }
    Ok(())
}

pub(crate) async fn apply(dir: &Path, prune: bool, stack: &StackArgs) -> Result<(), Failure> {
    if prune && dir.is_file() {
        return Err(format!("`--prune` goes by a whole folder, and {} is one file", dir.display()).into());
    }
    let files = read_folder(dir)?;
    match examine(&files) {
        // Of what is published the stack warns itself.
        Ok(_) => {}
        // What the folder is to be is all there will be.
        Err(errors) if prune => return Err(refused(&errors, stack.json).into()),
        // What it names may be published already: the stack knows. What cannot be read it need not be asked.
        Err(_) => {
            let read = parse(&files).map_err(|errors| refused(&errors, stack.json))?;
            let large = read.placed(too_large(&read.documents));
            if !large.is_empty() {
                return Err(refused(&large, stack.json).into());
            }
        }
    }
    let answer = publish(&files, prune, stack).await.map_err(|failure| heard(failure, stack.json))?;
    if stack.json {
        say(&pretty(&answer));
        return Ok(());
    }
    let listed = |name: &str| answer[name].as_array().into_iter().flatten();
    warn(&listed("warnings").map(told).collect::<Vec<_>>());
    let changed: Vec<&str> = listed("changed").filter_map(Value::as_str).collect();
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
pub(crate) async fn publish(files: &[SourceText], prune: bool, stack: &StackArgs) -> Result<Value, Failure> {
    let files: Vec<Value> = files.iter().map(|file| json!({"file": file.file, "text": file.text})).collect();
    let path = if prune { "/api/policies/apply?prune=true" } else { "/api/policies/apply" };
    stack.call("POST", path, Some(&json!({"files": files}))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_utf_8_is_named_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rep.yaml"), b"kind: rep\nname: zoe\nfull_name: Zo\xeb\n").unwrap();
        let said = read_folder(folder.path()).unwrap_err();
        assert!(said.contains("rep.yaml:3: ") && said.contains("save the file as UTF-8"), "{said}");
    }

    #[test]
    fn one_file_is_read_by_itself_and_no_other_sort_of_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("rep.yaml"), "kind: rep\nname: zoe\n").unwrap();
        std::fs::write(path("team.json"), r#"{"kind": "team", "name": "a", "members": [{"rep": "bo"}]}"#)
            .unwrap();
        std::fs::write(path("notes.txt"), "later").unwrap();
        let read = read_folder(&path("rep.yaml")).unwrap();
        assert!(matches!(read.as_slice(), [one] if one.file.ends_with("rep.yaml")), "{read:?}");
        assert_eq!(read_folder(folder.path()).unwrap().len(), 2);
        assert!(read_folder(&path("notes.txt")).unwrap_err().contains("neither a folder nor a .yaml"));
        assert!(validate(&path("rep.yaml"), false).is_ok());
        let said = validate(&path("team.json"), false).unwrap_err().to_string();
        assert!(said.contains("`bo`") && said.contains("in what is given here only"), "{said}");
    }
}
