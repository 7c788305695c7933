//! Netlify Forms: the outgoing webhook of a submission, and the body that a `submission-created` function sees.
//!
//! It is signed with a JSON Web Token (RFC 7519) whose claim `sha256` names the body.

use super::draft::Draft;
use super::signature::{self, URL_SAFE};
use super::{Delivery, Need, Refusal, Source, SourceLead};
use crate::body::json::{self, Node};
use crate::body::parse_json;
use crate::problem::Problem;
use base64::Engine;
use ring::{digest, hmac};

/// The source `netlify`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Netlify;

impl Source for Netlify {
    fn kind(&self) -> &'static str {
        "netlify"
    }

    fn setup(&self) -> &'static str {
        "Netlify: Project configuration, Notifications, Emails and webhooks, Form submission notifications, HTTP POST \
         request: URL to notify, with a JWS secret token."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "jws_secret",
            what: "JWS secret token: a text of your choice, typed again beside the URL. It signs each webhook.",
        }]
    }

    /// `X-Webhook-Signature`: a token of HS256 and no other algorithm, least of all `none` (RFC 8725 section 3.1).
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let mut secrets = delivery.secrets.all("jws_secret").peekable();
        if secrets.peek().is_none() {
            return Err(Refusal::NoSecret);
        }
        let token = delivery.request.header("x-webhook-signature").map(str::trim).ok_or(Refusal::Missing)?;
        let (signed, tag) = token.rsplit_once('.').ok_or(Refusal::Wrong)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Wrong)?;
        let tag = URL_SAFE.decode(tag).map_err(|_| Refusal::Wrong)?;
        let is_good = |secret: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
        };
        let (header, claims) = (part(header)?, part(claims)?);
        if header.get("alg").text() != Some("HS256") || !secrets.any(is_good) {
            return Err(Refusal::Wrong);
        }
        let body = signature::hex(digest::digest(&digest::SHA256, &delivery.request.body).as_ref());
        let named = claims.get("sha256").text().unwrap_or_default().to_ascii_lowercase();
        let is_netlify = claims.get("iss").text() == Some("netlify");
        if is_netlify && signature::same(&body, &named) { Ok(()) } else { Err(Refusal::Wrong) }
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let submission = if body.get("payload").members().is_empty() { &body } else { body.get("payload") };
        if submission.members().is_empty() {
            return Ok(Vec::new());
        }
        let mut draft = Draft::json(delivery, &body);
        draft.id(submission.get("id").text());
        for (name, value) in submission.get("data").members() {
            match name.as_str() {
                "ip" | "user_agent" => draft.note(name, value),
                "referrer" => {
                    draft.note(name, value);
                    draft.page(value.text().unwrap_or_default());
                }
                "name" => draft.known("full_name", name, value),
                "form-name" | "bot-field" => {}
                _ => answer(&mut draft, name, value),
            }
        }
        // What Netlify itself took for these, where the form calls them otherwise.
        for (standard, name) in [
            ("email", "email"),
            ("first_name", "first_name"),
            ("last_name", "last_name"),
            ("company", "company"),
        ] {
            if !draft.has(standard) && !draft.is_mapped(standard) {
                draft.known(standard, name, submission.get(name));
            }
        }
        let is_called = |draft: &Draft<'_>, name: &str| draft.has(name) || draft.is_mapped(name);
        if !["full_name", "first_name", "last_name"].into_iter().any(|name| is_called(&draft, name)) {
            draft.known("full_name", "name", submission.get("name"));
        }
        for name in ["form_id", "form_name", "site_url", "number"] {
            draft.note(name, submission.get(name));
        }
        draft.at(submission.get("created_at"));
        Ok(vec![draft.finish_by_look()])
    }
}

/// What was filled in. Files are described, several in a list, with where they can be fetched: they are kept there alone.
fn answer(draft: &mut Draft<'_>, name: &str, value: &Node) {
    let one = std::slice::from_ref(value);
    let values = if value.items().is_empty() { one } else { value.items() };
    let is_file = |value: &Node| ["filename", "url"].into_iter().all(|part| value.get(part).text().is_some());
    if !values.iter().all(is_file) {
        return draft.field(name, value);
    }
    for file in values {
        let size = file.get("size").text().and_then(|size| size.parse().ok());
        draft.file(name, file.get("filename").text().unwrap_or_default(), size.unwrap_or(0));
        draft.field(name, file.get("url"));
    }
}

fn part(text: &str) -> Result<Node, Refusal> {
    let bytes = URL_SAFE.decode(text).map_err(|_| Refusal::Wrong)?;
    json::read(&String::from_utf8_lossy(&bytes)).map(|(node, _)| node).map_err(|_| Refusal::Wrong)
}
