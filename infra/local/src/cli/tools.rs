//! The operator's tools: thin over the API, so that they say what any program would be told.

use super::StackArgs;
use super::explain::{print_reading, print_why};
use super::output::{Failure, note, pretty, say};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) async fn try_lead(file: &Path, form: &str, stack: &StackArgs) -> Result<(), Failure> {
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let content_type = content_type(file, &bytes);
    let body = json!({"form": form, "content_type": content_type, "encoding": "base64", "body": STANDARD.encode(&bytes)});
    let answer = stack.call("POST", "/api/leads/try", Some(&body)).await?;
    if stack.json {
        say(&pretty(&answer));
        return Ok(());
    }
    let owner = answer["owner"]["rep"].as_str();
    say(&match owner {
        Some(owner) => format!("{}: {owner}", words(&answer["state"])),
        None => words(&answer["state"]),
    });
    print_reading(&answer);
    print_why(&answer);
    say("Nothing was written.");
    Ok(())
}

pub(crate) async fn ledger(stack: &StackArgs) -> Result<(), Failure> {
    let ledger = whole_ledger(stack).await?;
    if stack.json {
        say(&pretty(&ledger));
    } else {
        say(&format!("{:<14}{:>9}", "accepted", number(&ledger["accepted"])));
        for (title, part) in [("ended", &ledger["ended"]), ("in flight", &ledger["in_flight"])] {
            let part = part.as_object().cloned().unwrap_or_default();
            say(&format!("{title:<14}{:>9}", part.values().filter_map(Value::as_u64).sum::<u64>()));
            for (state, n) in part.iter().filter(|(_, n)| n.as_u64() != Some(0)) {
                say(&format!("  {state:<12}{:>9}", number(n)));
            }
        }
        say("by source");
        for (source, counts) in ledger["sources"].as_object().into_iter().flatten() {
            let parts: Vec<String> = counts
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(state, _)| *state != "accepted")
                .map(|(state, n)| format!("{state} {n}"))
                .collect();
            say(&format!("  {source:<12}{:>9}   {}", number(&counts["accepted"]), parts.join(", ")));
        }
    }
    match ledger["disagree"].as_u64() {
        Some(0) => Ok(()),
        n => {
            let leads = ledger["leads"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Err(format!(
                "accepted is not ended + in flight: {} leads are missing from the index of open leads or in it too long, \
                 among them {}",
                n.unwrap_or_default(),
                leads.collect::<Vec<_>>().join(", ")
            )
            .into())
        }
    }
}

/// All parts of the ledger, added up.
async fn whole_ledger(stack: &StackArgs) -> Result<Value, Failure> {
    let mut ledger = stack.call("GET", "/api/ledger", None).await?;
    while let Some(cursor) = ledger["cursor"].as_str() {
        note(&format!("{} leads counted, going on", number(&ledger["accepted"])));
        let part = stack.call("GET", &format!("/api/ledger?cursor={cursor}"), None).await?;
        add_part(&mut ledger, part);
    }
    Ok(ledger)
}

/// Numbers are added, lists go on; whatever else is as the last part says.
fn add_part(sum: &mut Value, part: Value) {
    match (sum, part) {
        (Value::Object(sum), Value::Object(part)) => {
            for (name, part) in part {
                match name.as_str() {
                    "adds_up" => sum[&name] = json!(sum[&name] == true && part == true),
                    _ => add_part(sum.entry(name).or_insert(Value::Null), part),
                }
            }
        }
        (Value::Array(sum), Value::Array(part)) => sum.extend(part),
        (Value::Number(sum), Value::Number(part)) => {
            *sum = (sum.as_u64().unwrap_or_default() + part.as_u64().unwrap_or_default()).into();
        }
        (sum, part) => *sum = part,
    }
}

pub(crate) async fn merge(id: &str, with: &str, stack: &StackArgs) -> Result<(), Failure> {
    let path = format!("/api/customers/{id}/merge");
    let answer = stack.call("POST", &path, Some(&json!({"with": with}))).await?;
    if stack.json {
        say(&pretty(&answer));
    } else {
        let owner = answer["owner"]["rep"].as_str().unwrap_or("nobody");
        say(&format!("They are one: {}, owned by {owner}.", words(&answer["id"])));
    }
    Ok(())
}

pub(crate) async fn keep_apart(id: &str, from: &str, stack: &StackArgs) -> Result<(), Failure> {
    let path = format!("/api/customers/{id}/keep-apart");
    let answer = stack.call("POST", &path, Some(&json!({"from": from}))).await?;
    if stack.json {
        say(&pretty(&answer));
    } else {
        say(&format!("{id} and {from} are two, and are kept apart."));
    }
    Ok(())
}

pub(crate) async fn unmerge(id: &str, stack: &StackArgs) -> Result<(), Failure> {
    let answer = stack.call("POST", &format!("/api/customers/{id}/unmerge"), Some(&json!({}))).await?;
    if stack.json {
        say(&pretty(&answer));
    } else {
        say(&format!(
            "{} and {} are two again, and are kept apart.",
            words(&answer["taken_out"]["id"]),
            words(&answer["stays"]["id"])
        ));
    }
    Ok(())
}

/// Page by page. Done again after it was stopped, it goes on with what is left.
pub(crate) async fn rebalance(
    rep: &str,
    does: bool,
    to: Option<&str>,
    team: Option<&str>,
    stack: &StackArgs,
) -> Result<(), Failure> {
    let path = format!("/api/reps/{rep}/rebalance");
    let (mut cursor, mut rows) = (Value::Null, Vec::new());
    loop {
        let body = json!({"do": does, "rep": to, "team": team, "cursor": cursor});
        let mut answer = match stack.call("POST", &path, Some(&body)).await {
            Ok(answer) => answer,
            Err(why) => {
                // What was handed over so far was, and no call says it again.
                if stack.json && !rows.is_empty() {
                    say(&pretty(&json!({"rep": rep, "done": does, "leads": rows, "cursor": cursor})));
                }
                return Err(why);
            }
        };
        let page = answer["leads"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for row in page.iter().filter(|_| !stack.json) {
            say(&format!("{} -> {}", words(&row["lead"]), row["to"].as_str().unwrap_or("nobody")));
            print_why(row);
        }
        rows.extend(page);
        cursor = answer["cursor"].take();
        if cursor.is_null() {
            break;
        }
    }
    let (leads, left) = (rows.len(), rows.iter().filter(|row| row["to"].is_null()).count());
    if stack.json {
        say(&pretty(&json!({"rep": rep, "done": does, "leads": rows, "cursor": null})));
    } else {
        let what = if does { "handed over" } else { "would go to others" };
        say(&format!("{} of {leads} open leads of {rep} {what}.", leads - left));
    }
    match (does, left) {
        (true, 1..) => Err(format!("{left} stayed; --to REP or --team TEAM says where they go").into()),
        _ => Ok(()),
    }
}

pub(super) fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// By the file's name, and for multipart by the boundary its first line shows.
fn content_type(file: &Path, bytes: &[u8]) -> String {
    match file.extension().and_then(|ext| ext.to_str()) {
        Some("json") => "application/json".to_owned(),
        Some("multipart") => {
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let boundary = String::from_utf8_lossy(first).trim().trim_start_matches("--").to_owned();
            format!("multipart/form-data; boundary={boundary}")
        }
        _ => "application/x-www-form-urlencoded".to_owned(),
    }
}
