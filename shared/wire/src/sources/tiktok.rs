//! TikTok webhooks. The scheme of the signature is documented (developers.tiktok.com, "Webhooks verification"), the body
//! of its lead event is not: every text of the event's content is taken as a field.
//!
//! TikTok repeats a call for 72 hours and says nothing of an id: the lead's own id counts, else what the event says.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, names, signature};
use crate::body::json::{self, Node};
use crate::body::parse_json;
use crate::problem::Problem;
use ring::digest;

/// The source `tiktok`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiktok;

impl Source for Tiktok {
    fn kind(&self) -> &'static str {
        "tiktok"
    }

    fn setup(&self) -> &'static str {
        "TikTok for Developers: Manage apps, the app, Webhooks: Callback URL."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "client_secret",
            what: "Client secret: TikTok for Developers, Manage apps, the app, App details. It signs each webhook.",
        }]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["events"]
    }

    /// `TikTok-Signature: t=<seconds>,s=<hex>`, over the time, a dot and the body.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let header = delivery.request.header("tiktok-signature");
        let secrets = delivery.secrets.all("client_secret");
        signature::timed(secrets, &delivery.request.body, header, "s", delivery.now)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let event = body.get("event").text().unwrap_or_default();
        let content = content(body.get("content"));
        let events = &delivery.document.events;
        let is_lead = match events.as_slice() {
            [] => event.to_ascii_lowercase().contains("lead") || content.get("lead_id") != &Node::Null,
            events => events.iter().any(|listed| listed == event),
        };
        if !is_lead {
            return Ok(Vec::new());
        }
        let mut draft = Draft::json(delivery, &body);
        let told = [event, body.get("create_time").text().unwrap_or_default(), &content.to_json()].join("\n");
        let told = signature::hex(digest::digest(&digest::SHA256, told.as_bytes()).as_ref());
        draft.first_id([content.get("lead_id").text(), Some(&told)]);
        told_fields(&mut draft, &content);
        draft.note_text("event", event);
        draft.note("client_key", body.get("client_key"));
        draft.at(body.get("create_time"));
        Ok(vec![draft.finish()])
    }
}

/// The content of an event, which is an object or the text of one.
pub(super) fn content(node: &Node) -> Node {
    match node.text().map(json::read) {
        Some(Ok((content, _))) => content,
        _ => node.clone(),
    }
}

/// What an event says, as fields; its ids say where the lead came from, but for those that say who it is. What is no object is
/// one field.
pub(super) fn told_fields(draft: &mut Draft<'_>, content: &Node) {
    let Node::Object(members) = content else { return draft.field("content", content) };
    for (name, value) in members {
        match name.as_str() {
            name if draft.is_used(name) || draft.is_standard(name) => told(draft, name, name, value),
            "lead_id" => {}
            name if name.ends_with("_id") && value.text().is_some() => draft.note(name, value),
            name => told(draft, name, name, value),
        }
    }
}

/// Longest path that is still put before the names of an object's members, in bytes.
const MAX_PATH: usize = 200;

/// One member, however deep: lists of names and values are fields by those names, and what is called a standard name is
/// that, unless it was said further up.
fn told(draft: &mut Draft<'_>, path: &str, name: &str, value: &Node) {
    match value {
        Node::List(items) if items.iter().filter_map(pair).any(|(_, value)| value.is_some()) => {
            for item in items {
                match pair(item) {
                    Some((name, value)) => draft.field(name, value.unwrap_or(&Node::Null)),
                    None => draft.field(path, item),
                }
            }
        }
        Node::Object(members) if path.len() <= MAX_PATH => {
            for (member, value) in members {
                told(draft, &format!("{path}.{member}"), member, value);
            }
        }
        _ => match names::ours(name) {
            Some(standard) if path != name && !draft.has(standard) => draft.known(standard, path, value),
            _ => draft.field(path, value),
        },
    }
}

/// `{"name": "email", "values": ["ada@example.com"]}` and what is made like it. The value of a question that nobody answered is
/// `null`, or is not there.
fn pair(item: &Node) -> Option<(&str, Option<&Node>)> {
    let name =
        ["name", "field_name", "key", "question", "label"].into_iter().find_map(|key| item.get(key).text());
    let member = |key: &str| item.members().iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let values = ["values", "value", "field_value", "answer"].map(member);
    let answered = values.into_iter().flatten().find(|value| **value != Node::Null);
    let name = name.filter(|name| !name.trim().is_empty())?;
    Some((name, answered.or(values.into_iter().flatten().next())))
}
