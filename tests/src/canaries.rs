//! What people said of themselves, which must be in no line of any log: their addresses, numbers and names, as their leads have
//! them.

use crate::erased::CANARIES;
use crate::stack::log::targets;
use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::lead::{Envelope, Origin, read};
use sluice_domain::policy::{Reading, Settings};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Once;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;

/// What is shorter is a word that any line may say.
const LEAST: usize = 5;
/// Standard fields that say who somebody is.
const PERSONAL: [&str; 5] = ["email", "phone", "first_name", "last_name", "full_name"];

/// What these fields say of whoever submitted them, as it was written and as it is kept.
pub fn of_fields(fields: &[(String, String)]) -> BTreeSet<String> {
    let envelope = Envelope { fields: fields.to_vec(), ..Envelope::default() };
    let origin = Origin { kind: "form".to_owned(), name: String::new() };
    let facts = read(&origin, &envelope, &Reading::default(), &Settings::default());
    let written = PERSONAL.iter().filter_map(|name| facts.standard.get(name));
    let mut said: BTreeSet<String> = written.map(|value| value.reveal().trim().to_owned()).collect();
    if let Some(email) = &facts.email {
        said.extend([email.as_sent().to_owned(), email.match_key()]);
    }
    if let Some(phone) = &facts.phone {
        said.insert(phone.e164().trim_start_matches('+').to_owned());
    }
    said.retain(|value| value.chars().count() >= LEAST);
    said
}

/// What the leads among these items say of their people.
pub fn of_items<'a>(items: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    let leads = items.into_iter().filter(|item| text(item, "pk").starts_with("ld_"));
    let envelopes = leads.filter_map(|item| document::<Envelope>(item, "e"));
    envelopes.flat_map(|envelope| of_fields(&envelope.fields)).collect()
}

thread_local! {
    /// What was logged on this thread since somebody asked.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with(|lines| lines.borrow_mut().extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From now on each thread keeps what is logged on it.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Lines);
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(targets()));
        // Where another subscriber listens already nothing is heard here.
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// What was logged on this thread since this was asked last.
pub fn heard() -> String {
    let lines = LINES.with(|lines| std::mem::take(&mut *lines.borrow_mut()));
    String::from_utf8_lossy(&lines).into_owned()
}

/// What must not be in the log of a world that begins with these items and whose event submits these fields.
pub fn of_world<'a>(
    items: impl IntoIterator<Item = &'a Value>,
    fields: &[(String, String)],
) -> BTreeSet<String> {
    let mut said = &of_items(items) | &of_fields(fields);
    said.extend(CANARIES.map(str::to_owned));
    // No address at all, of a rep neither.
    said.insert("@".to_owned());
    said
}

/// I8: what of it is in a line that was logged on this thread.
pub fn check(said: &BTreeSet<String>, broken: &mut Vec<String>) {
    let heard = heard();
    for line in heard.lines() {
        if let Some(value) = said.iter().find(|value| line.contains(value.as_str())) {
            broken.push(format!("I8: the log says {value}: {line}"));
        }
    }
}
