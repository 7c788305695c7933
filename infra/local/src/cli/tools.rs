//! The operator's tools: thin over the API, so that they say what any program would be told.

use super::output::{note, pretty, say};
use super::{Explained, StackArgs};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::Path;

pub(crate) async fn try_lead(file: &Path, form: &str, stack: &StackArgs) -> Result<(), String> {
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

pub(crate) async fn explain(kind: Explained, id: &str, stack: &StackArgs) -> Result<(), String> {
    match kind {
        Explained::Lead => explain_lead(id, stack).await,
        Explained::Customer => {
            let customer = stack.call("GET", &format!("/api/customers/{id}"), None).await?;
            say(&pretty(&customer));
            let mut otherwise = Vec::new();
            for lead in customer["leads"].as_array().into_iter().flatten() {
                let id = lead["id"].as_str().unwrap_or_default();
                let lead = stack.call("GET", &format!("/api/leads/{id}"), None).await?;
                if !stack.json {
                    say("");
                    print_lead(id, &lead);
                }
                otherwise.extend(is_otherwise(&lead).then_some(id));
            }
            report(&otherwise)
        }
        Explained::Message => {
            if id.starts_with("ms_") {
                let message = stack.call("GET", &format!("/api/messages/{id}"), None).await?;
                say(&pretty(&message));
                return Ok(());
            }
            let named = "a message to a customer is named ms_…, one to a rep LEAD/REP, as ld_…/li.wei";
            let (lead, rep) = id.split_once('/').ok_or(named)?;
            let mut path = format!("/api/messages?rep={rep}");
            loop {
                let page = stack.call("GET", &path, None).await?;
                let found: Vec<&Value> =
                    page["messages"].as_array().into_iter().flatten().filter(|m| m["lead"] == lead).collect();
                if !found.is_empty() {
                    // One for each channel, if the rep has several.
                    say(&pretty(&json!({"lead": lead, "rep": rep, "messages": found})));
                    return Ok(());
                }
                match page["cursor"].as_str() {
                    Some(cursor) => path = format!("/api/messages?rep={rep}&cursor={cursor}"),
                    None => return Err(format!("{rep} was told nothing about {lead}")),
                }
            }
        }
    }
}

async fn explain_lead(id: &str, stack: &StackArgs) -> Result<(), String> {
    let lead = stack.call("GET", &format!("/api/leads/{id}"), None).await?;
    if stack.json {
        say(&pretty(&lead));
    } else {
        print_lead(id, &lead);
    }
    let otherwise: Vec<&str> = is_otherwise(&lead).then_some(id).into_iter().collect();
    report(&otherwise)
}

/// Whether deciding again from what was seen came to something else.
fn is_otherwise(lead: &Value) -> bool {
    lead["reproduced"] == false
}

/// Fails if there is a lead that is decided otherwise now, however it was shown.
fn report(otherwise: &[&str]) -> Result<(), String> {
    if otherwise.is_empty() {
        return Ok(());
    }
    let leads = otherwise.join(", ");
    Err(format!("{leads}: deciding again from what was seen gives another result; please report this"))
}

fn print_lead(id: &str, lead: &Value) {
    say(&format!("Lead {id} from {} at {}", words(&lead["source"]), words(&lead["received"])));
    say(&format!("State: {}   Owner: {}", words(&lead["state"]), lead["owner"].as_str().unwrap_or("nobody")));
    if let Some(customer) = lead["customer"].as_str() {
        say(&format!("Customer: {customer}"));
    }
    let missing: Vec<&str> =
        lead["missing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !missing.is_empty() {
        say(&format!("Still to be settled: {}", missing.join(", ")));
    }
    print_reading(lead);
    print_why(lead);
    if lead["reproduced"] == true {
        let version = &lead["policy_version"];
        say(&format!("Decided again from what was seen, policy version {version}: the same."));
    }
}

pub(crate) async fn ledger(stack: &StackArgs) -> Result<(), String> {
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
            ))
        }
    }
}

/// All parts of the ledger, added up.
async fn whole_ledger(stack: &StackArgs) -> Result<Value, String> {
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

pub(crate) async fn merge(id: &str, with: &str, stack: &StackArgs) -> Result<(), String> {
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

pub(crate) async fn keep_apart(id: &str, from: &str, stack: &StackArgs) -> Result<(), String> {
    let path = format!("/api/customers/{id}/keep-apart");
    let answer = stack.call("POST", &path, Some(&json!({"from": from}))).await?;
    if stack.json {
        say(&pretty(&answer));
    } else {
        say(&format!("{id} and {from} are two, and are kept apart."));
    }
    Ok(())
}

pub(crate) async fn unmerge(id: &str, stack: &StackArgs) -> Result<(), String> {
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
) -> Result<(), String> {
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
        (true, 1..) => Err(format!("{left} stayed; --to REP or --team TEAM says where they go")),
        _ => Ok(()),
    }
}

/// By what the person can be recognised, and what a person should look at.
fn print_reading(answer: &Value) {
    let list = |name: &str| answer[name].as_array().into_iter().flatten();
    let identity = |one: &Value| {
        let weak = if one["strong"] == true { "" } else { " (a hint only)" };
        let within =
            one["namespace"].as_str().map(|namespace| format!(" of {namespace}")).unwrap_or_default();
        format!("{}{within} {}{weak}", words(&one["kind"]), words(&one["value"]))
    };
    let identities: Vec<String> = list("identities").map(identity).collect();
    say(&format!(
        "Identities: {}",
        if identities.is_empty() { "none".to_owned() } else { identities.join(", ") }
    ));
    let flags: Vec<String> = list("flags").chain(list("unreadable")).map(words).collect();
    if !flags.is_empty() {
        say(&format!("To be looked at: {}", flags.join(", ")));
    }
}

fn print_why(answer: &Value) {
    for line in answer["why"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(&format!("  {line}"));
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
