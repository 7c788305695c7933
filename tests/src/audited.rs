//! What holds of the audit, whatever fails: each publication has its entry, and each change of a token, once.

use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::access::{Change, Note};
use sluice_store::Token;
use std::collections::BTreeMap;

/// Everything that does not hold once all is at rest (I12).
pub(crate) fn check(items: &[Value], broken: &mut Vec<String>) {
    let notes: Vec<Note> = items
        .iter()
        .filter(|item| text(item, "pk") == "audit")
        .filter_map(|item| document(item, "d"))
        .collect();
    let mut noted: BTreeMap<String, usize> = BTreeMap::new();
    for note in &notes {
        let what = match &note.change {
            Change::Policy { version, .. } => format!("version {version}"),
            Change::Token { token, to: Some(_), .. } => format!("{token} made"),
            Change::Token { token, to: None, .. } => format!("{token} revoked"),
            Change::Owner { .. } => continue,
        };
        *noted.entry(what).or_default() += 1;
    }
    let mut happened: Vec<String> = Vec::new();
    for item in items {
        match text(item, "pk") {
            "manifest" => happened.push(format!("version {}", text(item, "sk").trim_start_matches('0'))),
            "token" => {
                let Some(token) = document::<Token>(item, "d") else { continue };
                let token = Token { sha: text(item, "sk").to_owned(), ..token };
                happened.push(format!("{} made", token.id()));
                happened.extend(token.revoked.map(|_| format!("{} revoked", token.id())));
            }
            _ => {}
        }
    }
    for what in happened {
        match noted.remove(&what).unwrap_or(0) {
            1 => {}
            n => broken.push(format!("I12: {what} has {n} entries of the audit")),
        }
    }
    for what in noted.into_keys() {
        broken.push(format!("I12: the audit says of {what} what is not so"));
    }
}
