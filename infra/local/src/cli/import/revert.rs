//! `sluice import revert` and `sluice import list`.

use super::super::StackArgs;
use super::super::output::{Failure, note, pretty, say};
use super::read;
use serde_json::{Value, json};
use sluice_wire::imports::{Left, Reverted};
use std::collections::BTreeMap;
use std::time::Duration;

/// Takes a batch back, call by call. Killed, it goes on where it was: what is gone is gone.
pub(super) async fn run(batch: &str, stack: &StackArgs) -> Result<(), Failure> {
    let path = format!("/api/imports/{batch}/revert");
    let (mut leads, mut customers, mut addresses) = (0, 0, 0);
    let mut left: BTreeMap<u64, Left> = BTreeMap::new();
    let mut cursor: Option<String> = None;
    loop {
        let done: Reverted = read(stack.insist("POST", &path, &json!({"cursor": cursor})).await?)?;
        leads += done.leads;
        customers += done.customers;
        addresses += done.addresses;
        left.extend(done.left.into_iter().map(|left| (left.row, left)));
        if !stack.json && done.cursor.is_some() {
            note(&format!("{leads} leads taken back"));
        }
        if let Some(seconds) = done.wait {
            note(&format!("Rows of it may still be coming in; going on in {seconds} s."));
            tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
        }
        cursor = done.cursor;
        if cursor.is_none() {
            break;
        }
    }
    if stack.json {
        let left: Vec<&Left> = left.values().collect();
        say(&pretty(&json!({
            "batch": batch, "leads": leads, "customers": customers, "addresses": addresses, "left": left,
        })));
    } else {
        say(&format!(
            "{leads} leads of batch {batch} taken back, with {customers} customers and {addresses} addresses."
        ));
        for Left { row, lead, why } in left.values() {
            say(&format!("  row {row}, lead {lead} stays: {}", words(why)));
        }
    }
    let moving = left.values().filter(|left| left.why == "on_its_way").count();
    match moving {
        0 => Ok(()),
        n => Err(format!("{n} leads are still on their way to an owner: run it again in a moment").into()),
    }
}

fn words(why: &str) -> &str {
    match why {
        "worked_on" => "somebody has worked on it",
        "on_its_way" => "it is on its way to an owner",
        "too_many_leads" => "its customer has too many leads, a person has to look",
        other => other,
    }
}

pub(super) async fn list(stack: &StackArgs) -> Result<(), Failure> {
    let mut all = Vec::new();
    let mut path = "/api/imports".to_owned();
    loop {
        let page = stack.call("GET", &path, None).await?;
        all.extend(page["imports"].as_array().cloned().unwrap_or_default());
        match page["cursor"].as_str() {
            Some(cursor) => path = format!("/api/imports?cursor={cursor}"),
            None => break,
        }
    }
    if stack.json {
        say(&pretty(&Value::Array(all)));
        return Ok(());
    }
    for batch in &all {
        let text = |name: &str| batch[name].as_str().unwrap_or_default().to_owned();
        say(&format!(
            "{}  {:<18}  form {}  by {} at {}",
            text("batch"),
            state(&text("state")),
            text("form"),
            text("by"),
            text("at")
        ));
    }
    if !all.is_empty() {
        note("How many leads came in with each is counted by `sluice ledger --json`, under imports.");
    }
    Ok(())
}

/// A batch does not know the end of its file: it may go on at any time, until it is taken back.
fn state(name: &str) -> &str {
    match name {
        "open" => "open for more rows",
        "reverting" => "being taken back",
        "reverted" => "taken back",
        other => other,
    }
}
