//! The webhook action of Elementor Pro's forms: urlencoded, in plain mode under the fields' visible labels, in advanced
//! mode nested by field id. Nothing is signed or numbered, and the visitor sees an error for any answer but exactly 200.

use super::draft::Draft;
use super::{Delivery, Source, SourceLead, names};
use crate::body::parse_now;
use crate::problem::Problem;
use sluice_domain::policy::Auth;
use std::collections::BTreeMap;
use std::net::IpAddr;

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

/// The ids of what Elementor adds to the fields.
const ADDED: [&str; 6] = ["credit", "date", "page_url", "remote_ip", "time", "user_agent"];

/// What Elementor adds to the fields, by its id. Two posts of one person differ in the time at least, so it is no part of what was
/// submitted.
fn meta(draft: &mut Draft<'_>, id: &str, value: &str) {
    match id {
        "page_url" => draft.page(value),
        "remote_ip" => draft.note_text("ip", value),
        "date" | "form_id" | "form_name" | "time" | "user_agent" => draft.note_text(id, value),
        _ => {}
    }
}

/// The id of what Elementor adds under this title. In plain mode it sends no ids, so a field that is called like one is somebody's.
fn titled(title: &str, value: &str) -> Option<&'static str> {
    Some(match title {
        "form_id" => "form_id",
        "form_name" => "form_name",
        "Page URL" => "page_url",
        "User Agent" => "user_agent",
        "Remote IP" => "remote_ip",
        "Date" => "date",
        "Time" => "time",
        "Powered by" => "credit",
        "Credit" if value == "Elementor" => "credit",
        _ => return None,
    })
}

/// The id of a field without a label, which is sent as `No Label message`.
fn unlabelled(name: &str) -> Option<&str> {
    name.strip_prefix("No Label").map(str::trim).filter(|id| !id.is_empty())
}

fn plain(draft: &mut Draft<'_>, fields: &[(String, String)]) {
    let added = added(draft, fields);
    for (at, (name, value)) in fields.iter().enumerate() {
        let id = added.get(&at).copied().or_else(|| titled(name, value));
        if let Some(id) = id.filter(|_| !draft.is_named(name)) {
            meta(draft, id, value);
        } else {
            let unlabelled = unlabelled(name).filter(|_| !draft.is_used(name));
            draft.text(unlabelled.unwrap_or(name), value);
        }
    }
}

/// What Elementor added, by its place, where the site's language is another: it stands between the last field and
/// `form_id`, and is known by its look. The browser, its address or Elementor's own name has to be among it, or it may as
/// well be what somebody filled in.
fn added<'a>(draft: &Draft<'_>, fields: &'a [(String, String)]) -> BTreeMap<usize, &'a str> {
    let mut found = BTreeMap::new();
    let end = fields.iter().position(|(name, _)| name == "form_id").unwrap_or(0);
    for (at, (name, value)) in fields.iter().enumerate().take(end).rev() {
        let is_called_so = ADDED.contains(&name.as_str()) || unlabelled(name).is_some();
        let is_a_field = is_called_so || draft.is_named(name) || names::ours(name).is_some();
        let Some(id) = look(value).filter(|id| !is_a_field && !found.values().any(|seen| seen == id)) else {
            break;
        };
        found.insert(at, id);
    }
    let is_sure = found.values().any(|id| matches!(*id, "credit" | "remote_ip" | "user_agent"));
    if is_sure { found } else { BTreeMap::new() }
}

/// Which of the things Elementor adds this looks like.
fn look(value: &str) -> Option<&'static str> {
    let value = value.trim();
    let numbers: Vec<&str> =
        value.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).collect();
    let is_short = |number: &&str| number.len() <= 2;
    let is_year = |number: &&str| number.len() == 4;
    let is_text = value.chars().count() > 40 || value.contains(['@', '?', '!']);
    Some(match value {
        "Elementor" => "credit",
        _ if value.parse::<IpAddr>().is_ok() => "remote_ip",
        _ if value.starts_with("Mozilla/") || value.starts_with("Opera/") => "user_agent",
        _ if value.starts_with("https://") || value.starts_with("http://") => "page_url",
        _ if is_text => return None,
        _ if (2..=3).contains(&numbers.len())
            && numbers.iter().filter(|number| is_year(number)).count() == 1
            && numbers.iter().all(|number| is_short(number) || is_year(number)) =>
        {
            "date"
        }
        _ if (2..=3).contains(&numbers.len()) && numbers.iter().all(is_short) && is_clock(value) => "time",
        _ => return None,
    })
}

fn advanced(draft: &mut Draft<'_>, fields: &[(String, String)]) {
    let mut order: Vec<&str> = Vec::new();
    let mut parts: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (name, value) in fields {
        match name.split('.').collect::<Vec<_>>().as_slice() {
            ["form", "id"] => draft.note_text("form_id", value),
            ["form", "name"] => draft.note_text("form_name", value),
            ["meta", id, "value"] => meta(draft, id, value),
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
        let name = draft.used_of([part("title"), id]).or(title).unwrap_or(id);
        let value = if part("value").is_empty() { part("raw_value") } else { part("value") };
        match part("type") {
            "email" => draft.known_text("email", name, value),
            "tel" => draft.known_text("phone", name, value),
            _ => draft.text(name, value),
        }
    }
}

/// Whether hours and minutes stand on both sides of what stands between them: `9:30 am`, `9h30`, `오전 9시 30분`.
fn is_clock(value: &str) -> bool {
    let ends_in_digit = |text: &str| text.trim_end().ends_with(|c: char| c.is_ascii_digit());
    let begins_with_digit = |text: &str| text.trim_start().starts_with(|c: char| c.is_ascii_digit());
    let signs = value.match_indices([':', '.', 'h', '时', '時', '시']);
    value.len() <= 24
        && signs.into_iter().any(|(at, sign)| {
            let after = value.get(at + sign.len()..).unwrap_or_default();
            value.get(..at).is_some_and(ends_in_digit) && begins_with_digit(after)
        })
}
