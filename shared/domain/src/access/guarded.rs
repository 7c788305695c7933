//! What of the documents only an admin changes: who sees what, and where data of people goes with which secrets.

use crate::policy::Document;
use crate::policy::journey::Act;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A part of a document that is an admin's to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    /// What it says, in words.
    pub what: &'static str,
    value: Value,
}

/// The guarded parts of these documents, by `kind/name`; documents without one are left out.
pub fn guarded(documents: &[Document]) -> BTreeMap<String, Guarded> {
    documents.iter().filter_map(|document| Some((document.path(), part(document)?))).collect()
}

/// The first part that is not as before, with its document.
pub fn changed(before: &[Document], after: &[Document]) -> Option<(String, &'static str)> {
    let (before, after) = (guarded(before), guarded(after));
    let mut paths = before.keys().chain(after.keys());
    let path = paths.find(|path| before.get(*path) != after.get(*path))?;
    let part = after.get(path).or_else(|| before.get(path))?;
    Some((path.clone(), part.what))
}

fn part(document: &Document) -> Option<Guarded> {
    let (what, value) = match document {
        Document::Access(_) => ("who sees what", document.to_json()),
        Document::Webhook(_) => ("which system is told of what", document.to_json()),
        Document::Channel(channel) => (
            "what sends its messages, and with which secrets",
            json!({
                "via": channel.via,
                "smtp": channel.smtp,
                "webhook": channel.webhook.as_ref().map(|call| {
                    json!([call.url, call.bearer, call.basic, call.secrets])
                }),
            }),
        ),
        Document::Source(source) => (
            "how the sender proves who it is, and what of it is believed",
            json!([
                source.auth,
                source.secrets,
                source.signature,
                source.certificate,
                source.topics,
                source.trusted,
            ]),
        ),
        Document::Rep(rep) => {
            if rep.reports_to.is_none() && rep.webhook.is_none() && rep.email.is_none() {
                return None;
            }
            (
                "whom the rep reports to, and where the rep's notices go",
                json!([rep.reports_to, rep.webhook, rep.email]),
            )
        }
        Document::Team(team) => {
            let members: BTreeSet<&str> = team.members.iter().map(|member| member.rep.as_str()).collect();
            ("who leads the team, and who is in it", json!([team.manager, members]))
        }
        Document::Journey(journey) => {
            let calls: Vec<Value> = journey
                .steps
                .iter()
                .filter_map(|step| match &step.act {
                    Act::Webhook(call) => Some(json!(call)),
                    _ => None,
                })
                .collect();
            if calls.is_empty() {
                return None;
            }
            ("which systems its steps tell, of what, and with which secrets", calls.into())
        }
        Document::Form(_)
        | Document::Routing(_)
        | Document::Settings(_)
        | Document::Calendar(_)
        | Document::Territory(_)
        | Document::Topic(_)
        | Document::Template(_)
        | Document::Layout(_)
        | Document::Partial(_)
        | Document::Lifecycle(_)
        | Document::Scoring(_)
        | Document::Segment(_)
        | Document::Campaign(_)
        | Document::Cost(_)
        | Document::Alert(_) => return None,
    };
    Some(Guarded { what, value })
}
