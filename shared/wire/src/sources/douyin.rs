//! Douyin Open Platform webhooks (developer.open-douyin.com, "Webhooks"): SHA-1 of secret and body as signature,
//! `Msg-Id` for repeats, an address that is tested by a challenge, five seconds to answer.
//!
//! Which events come is chosen there; without `events` in the document each of them is a lead.

use super::draft::Draft;
use super::tiktok::{content, told_fields};
use super::{Delivery, Need, Refusal, Secrets, Source, SourceLead, signature};
use crate::body::{json, parse_json};
use crate::http::{HttpRequest, HttpResponse};
use crate::problem::Problem;
use ring::digest;
use serde_json::{Value, json};

/// The source `douyin`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Douyin;

const CHALLENGE: &str = "verify_webhook";

impl Source for Douyin {
    fn kind(&self) -> &'static str {
        "douyin"
    }

    fn setup(&self) -> &'static str {
        "Douyin Open Platform: the app, Development settings, Webhooks: URL. Choose the events that are leads."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "client_secret",
            what: "Client Secret: Douyin Open Platform, the app, App information. It signs each webhook.",
        }]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["events"]
    }

    /// What came is sent back as it came: a number as a number, a text as a text.
    fn challenge(&self, request: &HttpRequest, _secrets: &Secrets) -> Option<HttpResponse> {
        let body = (request.method == "POST").then(|| parse_json(request).ok()).flatten()?;
        if body.get("event").text() != Some(CHALLENGE) {
            return None;
        }
        let challenge = sent(body.raw())?;
        Some(HttpResponse::json(200, &json!({"challenge": challenge})))
    }

    /// `X-Douyin-Signature`: the hex of SHA-1 over the secret and the body, which is no HMAC.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let mut secrets = delivery.secrets.all("client_secret").peekable();
        if secrets.peek().is_none() {
            return Err(Refusal::NoSecret);
        }
        let given = delivery.request.header("x-douyin-signature").ok_or(Refusal::Missing)?;
        let given = given.trim().to_ascii_lowercase();
        let is_good = |secret: &str| {
            let mut sha = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
            sha.update(secret.as_bytes());
            sha.update(&delivery.request.body);
            signature::same(&signature::hex(sha.finish().as_ref()), &given)
        };
        if secrets.any(is_good) { Ok(()) } else { Err(Refusal::Wrong) }
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let event = body.get("event").text().unwrap_or_default();
        let events = &delivery.document.events;
        let is_lead = events.is_empty() || events.iter().any(|listed| listed == event);
        if event.is_empty() || event == CHALLENGE || !is_lead {
            return Ok(Vec::new());
        }
        let content = content(body.get("content"));
        let mut draft = Draft::json(delivery, &body);
        draft.id(delivery.request.header("msg-id"));
        told_fields(&mut draft, &content);
        draft.note_text("event", event);
        for name in ["client_key", "from_user_id", "to_user_id", "log_id"] {
            if draft.is_used(name) {
                draft.field(name, body.get(name));
            } else {
                draft.note(name, body.get(name));
            }
        }
        draft.at(content.get("msg_time"));
        Ok(vec![draft.finish()])
    }
}

/// The challenge as it was sent: what is read as fields is all text.
fn sent(body: &[u8]) -> Option<Value> {
    let read =
        |text: &str| serde_json::from_str::<Value>(&json::mend(text.trim_start_matches('\u{feff}')).0).ok();
    let body = read(&String::from_utf8_lossy(body))?;
    let content = match &body["content"] {
        Value::String(text) => read(text)?,
        content => content.clone(),
    };
    content.get("challenge").filter(|given| given.is_string() || given.is_number()).cloned()
}
