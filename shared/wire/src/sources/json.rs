//! Any program that posts JSON (or a form): the document says which fields are which, which one is the id and how it is
//! signed, if it is.
//!
//! A list is a batch. What a Google Form's script sends as `namedValues` is read as the fields themselves.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, signature};
use crate::body::json::{Node, push};
use crate::body::{Submission, not_fields, parse_json, parse_now};
use crate::http::HttpResponse;
use crate::problem::Problem;
use serde_json::json;
use sluice_domain::id::LeadId;
use sluice_domain::policy::{Auth, SignatureScheme};
use std::collections::HashSet;

/// The source `json`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json;

/// What the object of an Apps Script's submit event calls its answers.
const NAMED_VALUES: &str = "namedValues";

/// Leads of one batch at most, as many as Meta sends.
const MAX_BATCH: usize = 1_000;

impl Source for Json {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn setup(&self) -> &'static str {
        "Your own program: POST one JSON object for a lead, or a list of them, with Content-Type: application/json."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::Signature, Auth::UrlKey, Auth::Public]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "signing_secret",
            what: "A long random text of your own: the program signs each body with it, HMAC-SHA256.",
        }]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["id", "signature"]
    }

    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let scheme = delivery.document.signature.clone().unwrap_or_default();
        let SignatureScheme { header, encoding, prefix } = scheme;
        let given = delivery.request.header(&header.to_ascii_lowercase()).map(str::trim);
        let signature = given.map(|value| value.strip_prefix(prefix.as_str()).unwrap_or_default());
        let secrets = delivery.secrets.all("signing_secret");
        signature::hmac_sha256(secrets, &delivery.request.body, encoding, signature)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let Some(body) = parse_json(delivery.request).ok().filter(|body| matches!(**body, Node::List(_)))
        else {
            return Ok(vec![lead(delivery, parse_now(delivery.request)?)]);
        };
        let items = body.items();
        if items.len() > MAX_BATCH {
            let detail = format!("A batch holds at most {MAX_BATCH} leads. Send the rest in another.");
            return Err(Problem::new(413, "batch-too-large", detail));
        }
        let is_none = |item: &&Node| !matches!(item, Node::Object(_));
        if let Some(at) = items.iter().position(|item| is_none(&item)) {
            return Err(not_fields(&format!("Item {} of the list", at + 1)));
        }
        let mut seen = HashSet::new();
        let leads = items.iter().filter(|item| !item.members().is_empty()).map(|item| {
            let mut submission = body.submission_of(item, items.len());
            for (name, value) in item.members() {
                push(name, value, &mut submission);
            }
            lead(delivery, submission)
        });
        Ok(leads.filter(|lead| lead.external_id.as_ref().is_none_or(|id| seen.insert(id.clone()))).collect())
    }

    fn answer(&self, _delivery: &Delivery<'_>, accepted: &[LeadId]) -> HttpResponse {
        HttpResponse::json(200, &json!({"lead_ids": accepted}))
    }
}

fn lead(delivery: &Delivery<'_>, body: Submission) -> SourceLead {
    let id = delivery.document.id.as_deref().and_then(|name| body.value(name).map(str::to_owned));
    let (mut draft, fields) = Draft::of(delivery, body);
    draft.id(id.as_deref());
    let is_of_script = fields.iter().any(|(name, _)| answer_of_script(name).is_some());
    for (name, value) in &fields {
        let answer = answer_of_script(name);
        draft.text(answer.filter(|_| !draft.is_named(name)).unwrap_or(name), value);
    }
    // Questions of a Google Form are in any language; another program's document says what its names mean.
    if is_of_script { draft.finish_by_look() } else { draft.finish() }
}

/// The question that an Apps Script tells the answer of.
fn answer_of_script(name: &str) -> Option<&str> {
    name.strip_prefix(NAMED_VALUES)?.strip_prefix('.')
}
