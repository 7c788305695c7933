//! LinkedIn Lead Sync. A webhook announces leads by id, and those withdrawn; the answers are fetched afterwards
//! ([`response_path`], [`form_path`], [`read`]).
//!
//! Rules from learn.microsoft.com/linkedin: "Webhook validation" (a challenge every two hours, a prefix in what is
//! signed) and "Lead Sync" (notifications, responses, forms).

mod response;

#[cfg(test)]
mod tests;

pub use response::{Fetched, LinkedinError, form_id, form_path, read, response_path};

use super::draft::Draft;
use super::{Delivery, Mark, Need, Refusal, Secrets, Source, SourceLead, signature};
use crate::body::json::Node;
use crate::body::parse_json;
use crate::http::{HttpRequest, HttpResponse};
use crate::problem::Problem;
use ring::hmac;
use serde_json::json;
use sluice_domain::lead::MarkKind;
use sluice_domain::policy::Encoding;

/// The source `linkedin`.
#[derive(Clone, Copy, Debug)]
pub struct Linkedin;

/// What stands before the body in the string that is signed.
const PREFIX: &str = "hmacsha256=";
/// LinkedIn sends a UUID.
const MAX_CHALLENGE: usize = 256;

impl Source for Linkedin {
    fn kind(&self) -> &'static str {
        "linkedin"
    }

    fn setup(&self) -> &'static str {
        "LinkedIn Developer Portal: the app, Webhooks, with this address; then subscribe it by the Lead Sync API, \
         POST /rest/leadNotifications."
    }

    fn needs(&self) -> &'static [Need] {
        &[
            Need {
                name: "client_secret",
                what: "Primary Client Secret: LinkedIn Developer Portal, the app, Auth. It signs each webhook.",
            },
            Need {
                name: "access_token",
                what: "Access token with r_marketing_leadgen_automation. It fetches the answers of each lead.",
            },
        ]
    }

    /// `GET ?challengeCode=…`: the code and its HMAC. Of two secrets the first answers: it is the app's current one.
    /// Anybody may ask, and deliveries are signed with the same key: what could be the text of a delivery is not signed.
    fn challenge(&self, request: &HttpRequest, secrets: &Secrets) -> Option<HttpResponse> {
        let code = (request.method == "GET").then(|| request.query_value("challengeCode")).flatten()?;
        let Some(secret) = secrets.current("client_secret") else {
            return Some(Problem::from(Refusal::NoSecret.by(secrets)).into());
        };
        if code.is_empty() || code.len() > MAX_CHALLENGE || code.starts_with(PREFIX) {
            return None;
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let response = signature::hex(hmac::sign(&key, code.as_bytes()).as_ref());
        Some(HttpResponse::json(200, &json!({"challengeCode": code, "challengeResponse": response})))
    }

    /// `X-LI-Signature: <hex>` over the prefix and the body. Some describe the prefix as part of the header as well.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let header = delivery.request.header("x-li-signature").map(str::trim);
        let signature = header.map(|value| value.strip_prefix(PREFIX).unwrap_or(value));
        let message = [PREFIX.as_bytes(), &delivery.request.body].concat();
        signature::hmac_sha256(delivery.secrets.all("client_secret"), &message, Encoding::Hex, signature)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let Some(id) = announced(&body, "CREATED") else { return Ok(Vec::new()) };
        let mut draft = Draft::new(delivery);
        draft.id(Some(id));
        draft.note("lead_type", body.get("leadType"));
        draft.note("lead_gen_form", body.get("leadGenForm"));
        draft.note_text(
            "form_id",
            form_id(body.get("leadGenForm").text().unwrap_or_default()).unwrap_or_default(),
        );
        for part in ["owner", "associatedEntity"] {
            for (name, urn) in body.get(part).members() {
                draft.note(&snake(name), urn);
            }
        }
        draft.at(body.get("occurredAt"));
        draft.lead.needs_enrichment = true;
        Ok(vec![draft.finish()])
    }

    fn marks(&self, delivery: &Delivery<'_>) -> Result<Vec<Mark>, Problem> {
        let body = parse_json(delivery.request)?;
        let mark = |id: &str| Mark { external_id: id.to_owned(), kind: MarkKind::Withdrawn };
        Ok(announced(&body, "DELETED").map(mark).into_iter().collect())
    }
}

/// The id of the response a notification of this action is about.
fn announced<'a>(body: &'a Node, action: &str) -> Option<&'a str> {
    let urn = body.get("leadGenFormResponse").text()?;
    let id = urn.rsplit(':').next().filter(|id| response::is_id(id))?;
    (body.get("leadAction").text() == Some(action)).then_some(id)
}

/// `sponsoredAccount` as `sponsored_account`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
