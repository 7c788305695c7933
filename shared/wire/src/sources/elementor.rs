//! The webhook action of Elementor Pro's forms: urlencoded, in plain mode under the fields' visible labels, in advanced
//! mode nested by field id. Nothing is signed or numbered, and the visitor sees an error for any answer but exactly 200.

use super::draft::Draft;
use super::{Delivery, Source, SourceLead};
use crate::body::parse_now;
use crate::problem::Problem;
use sluice_domain::policy::Auth;
use std::collections::BTreeMap;

/// The source `elementor`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elementor;

impl Source for Elementor {
    fn kind(&self) -> &'static str {
        "elementor"
    }

    fn setup(&self) -> &'static str {
        "Elementor Pro: the form, Actions After Submit: Webhook, Webhook URL. Advanced Data says more: switch it on."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::UrlKey, Auth::Public]
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let (mut draft, fields) = Draft::of(delivery, parse_now(delivery.request)?);
        let is_advanced = fields.iter().any(|(name, _)| name.starts_with("fields."));
        if is_advanced {
            advanced(&mut draft, &fields)
        } else {
            plain(&mut draft, &fields)
        }
        Ok(vec![draft.finish_by_look()])
    }
}

/// What Elementor adds to the fields under these labels, or as `meta` under these ids. Two posts of one person differ
/// in the time at least, so it is no part of what was submitted.
fn meta(draft: &mut Draft<'_>, name: &str, value: &str) -> bool {
    match name {
        "form_id" | "form_name" => draft.note_text(name, value),
        "Page URL" | "page_url" => draft.page(value),
        "User Agent" | "user_agent" => draft.note_text("user_agent", value),
        "Remote IP" | "remote_ip" => draft.note_text("ip", value),
        "Date" | "date" => draft.note_text("date", value),
        "Time" | "time" => draft.note_text("time", value),
        "Powered by" | "credit" => {}
        _ => return false,
    }
    true
}

fn plain(draft: &mut Draft<'_>, fields: &[(String, String)]) {
    for (name, value) in fields {
        if draft.is_named(name) || !meta(draft, name, value) {
            draft.text(name, value);
        }
    }
}

fn advanced(draft: &mut Draft<'_>, fields: &[(String, String)]) {
    let mut order: Vec<&str> = Vec::new();
    let mut parts: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (name, value) in fields {
        match name.split('.').collect::<Vec<_>>().as_slice() {
            ["form", "id"] => draft.note_text("form_id", value),
            ["form", "name"] => draft.note_text("form_name", value),
            ["meta", id, "value"] => drop(meta(draft, id, value)),
            ["fields", id, part] => {
                if !order.contains(id) {
                    order.push(id);
                }
                // A list of values repeats its name.
                parts.entry((id, part)).or_insert(value);
            }
            _ => {}
        }
    }
    for id in order {
        let part = |name| parts.get(&(id, name)).copied().unwrap_or_default();
        let title = Some(part("title")).filter(|title| !title.is_empty() && !title.starts_with("No Label"));
        let title = title.unwrap_or(id);
        let value = if part("value").is_empty() { part("raw_value") } else { part("value") };
        match part("type") {
            "email" => draft.known_text("email", title, value),
            "tel" => draft.known_text("phone", title, value),
            _ => draft.text(title, value),
        }
    }
}
