//! TikTok webhooks. The scheme of the signature is documented (developers.tiktok.com, "Webhooks verification"), the body
//! of its lead event is not: every text of the event's content is taken as a field. Those who receive leads disagree on whether
//! there is an event at all: a body without one is read as what an event would say, each of its entries by itself.
//!
//! TikTok repeats a call for 72 hours and says nothing of an id: the lead's own id counts, else what the event says.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, names, signature};
use crate::body::json::{self, Node};
use crate::body::{Json, parse_json};
use crate::problem::Problem;
use ring::digest;
use std::collections::{HashMap, HashSet};

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
        let is_unnamed = event.trim().is_empty() && events.is_empty();
        if !is_lead && !is_unnamed {
            return Ok(Vec::new());
        }
        let told = if is_blank(&content) { entries(&body) } else { vec![content] };
        let leads = read(delivery, &body, &told, is_lead);
        // What stands beside its entries may be somebody as well.
        Ok(if leads.is_empty() { read(delivery, &body, &[bare(&body)], is_lead) } else { leads })
    }
}

/// What an event says of itself, beside its content.
const ENVELOPE: [&str; 5] = ["client_key", "content", "create_time", "event", "object"];

/// Levels of nesting in which a lead's id is looked for.
const MAX_DEPTH: usize = 16;

/// The leads of a body, one for each content. Of an event that does not say that it is a lead those that are like one.
fn read(delivery: &Delivery<'_>, body: &Json, told: &[Node], is_lead: bool) -> Vec<SourceLead> {
    let mut seen = HashSet::new();
    let of_event =
        body.get("object").text().is_some_and(|object| object.to_ascii_lowercase().contains("lead"));
    let leads = told.iter().filter_map(|content| {
        let draft = draft(delivery, body, content, told.len());
        let is_like_one = lead_id(content, MAX_DEPTH).is_some() || draft.names_somebody();
        (is_lead || is_like_one || of_event && draft.says_anything()).then(|| draft.finish())
    });
    leads.filter(|lead| lead.external_id.as_ref().is_none_or(|id| seen.insert(id.clone()))).collect()
}

/// One lead of so many in a body.
fn draft<'a>(delivery: &Delivery<'a>, body: &Json, content: &Node, of: usize) -> Draft<'a> {
    let mut draft = match of {
        1 => Draft::json(delivery, body),
        _ => Draft::of(delivery, body.submission_of(content, of)).0,
    };
    let event = body.get("event").text().unwrap_or_default();
    let told = [event, body.get("create_time").text().unwrap_or_default(), &content.to_json()].join("\n");
    let told = signature::hex(digest::digest(&digest::SHA256, told.as_bytes()).as_ref());
    let of_body = if of == 1 { lead_id(body, MAX_DEPTH) } else { None };
    draft.first_id([lead_id(content, MAX_DEPTH), of_body, Some(&told)]);
    told_fields(&mut draft, content);
    draft.note_text("event", event);
    draft.note("client_key", body.get("client_key"));
    draft.note("object", body.get("object"));
    let times = [body.get("create_time"), content.get("create_time")];
    draft.at(times.into_iter().find(|time| time.text().is_some()).unwrap_or(&Node::Null));
    draft
}

fn is_blank(content: &Node) -> bool {
    match content {
        Node::Null => true,
        Node::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// What a body without content says: each of its entries, else all of it.
fn entries(body: &Node) -> Vec<Node> {
    let items = if body.items().is_empty() { body.get("entry").items() } else { body.items() };
    let entries: Vec<Node> = items.iter().filter(|item| !item.members().is_empty()).cloned().collect();
    if entries.is_empty() { vec![bare(body)] } else { by_lead(entries) }
}

/// Entries of one lead as one: each may say a part of it.
fn by_lead(entries: Vec<Node>) -> Vec<Node> {
    let (mut leads, mut places) = (Vec::<Node>::new(), HashMap::new());
    for entry in entries {
        let place = match lead_id(&entry, MAX_DEPTH) {
            Some(id) => *places.entry(id.to_owned()).or_insert(leads.len()),
            None => leads.len(),
        };
        match (leads.get_mut(place), entry) {
            (Some(Node::Object(told)), Node::Object(more)) => {
                for one in more {
                    if !told.contains(&one) {
                        told.push(one);
                    }
                }
            }
            (_, entry) => leads.push(entry),
        }
    }
    leads
}

/// A body without what an event says of itself.
fn bare(body: &Node) -> Node {
    let members = body.members().iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str()));
    Node::Object(members.cloned().collect())
}

/// The lead's id, however deep it stands, by itself or as the answer of that name.
fn lead_id(node: &Node, depth: usize) -> Option<&str> {
    let own = node.get("lead_id").text();
    let answer = || pair(node).filter(|(name, _)| *name == "lead_id")?.1?.text();
    let within = || match node {
        Node::List(items) if depth > 0 => items.iter().find_map(|item| lead_id(item, depth - 1)),
        Node::Object(members) if depth > 0 => {
            members.iter().find_map(|(_, member)| lead_id(member, depth - 1))
        }
        _ => None,
    };
    let is_said = |id: &&str| !id.trim().is_empty();
    own.filter(is_said).or_else(|| answer().filter(is_said)).or_else(within)
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
                    Some((name, value)) => told(draft, name, name, value.unwrap_or(&Node::Null)),
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
    let name = ["name", "field_name", "key", "question", "label", "field"]
        .into_iter()
        .find_map(|key| item.get(key).text());
    let member = |key: &str| item.members().iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let values = ["values", "value", "field_value", "answer"].map(member);
    let answered = values.into_iter().flatten().find(|value| **value != Node::Null);
    let name = name.filter(|name| !name.trim().is_empty())?;
    Some((name, answered.or(values.into_iter().flatten().next())))
}
