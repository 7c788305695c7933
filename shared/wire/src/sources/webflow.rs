//! Webflow's `form_submission` webhooks (developers.webflow.com, "Working with webhooks"), and the bodies of its first
//! version. The time is signed in milliseconds.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, names, signature};
use crate::body::json::Node;
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::identity::Phone;
use sluice_domain::lead::standard_field;
use sluice_domain::policy::{Auth, Encoding};
use sluice_domain::time::Timestamp;

/// The source `webflow`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Webflow;

impl Source for Webflow {
    fn kind(&self) -> &'static str {
        "webflow"
    }

    fn setup(&self) -> &'static str {
        "Webflow's API: POST /v2/sites/{site}/webhooks, triggerType form_submission, with this address; keep the secretKey it answers. \
         Webhooks that the dashboard makes (Site settings, Apps & integrations, Webhooks) are not signed: write `auth: url_key` for those."
    }

    /// What the dashboard makes is not signed (developers.webflow.com, "Working with webhooks", validating request signatures).
    fn proofs(&self) -> &'static [Auth] {
        &[Auth::Signature, Auth::UrlKey]
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "secret",
            what: "Signing secret: the secretKey in the API's answer; for a webhook that an app made, the app's client secret.",
        }]
    }

    /// `x-webflow-signature`: hex, over `x-webflow-timestamp`, a colon and the body.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let time = delivery.request.header("x-webflow-timestamp").map(str::trim).unwrap_or_default();
        let signature = delivery.request.header("x-webflow-signature").map(str::trim);
        let message = [time.as_bytes(), b":", &delivery.request.body].concat();
        let signature = signature.filter(|_| !time.is_empty());
        signature::hmac_sha256(delivery.secrets.all("secret"), &message, Encoding::Hex, signature)?;
        let millis: i64 = time.parse().map_err(|_| Refusal::Wrong)?;
        signature::fresh(Timestamp(millis), delivery.now)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let is_submission = matches!(body.get("triggerType").text(), None | Some("form_submission"));
        let payload = if body.get("payload").members().is_empty() { &body } else { body.get("payload") };
        let answers = payload.get("data").members();
        let mut draft = Draft::json(delivery, &body);
        draft.first_id(["id", "_id"].map(|name| payload.get(name).text()));
        if !is_submission || answers.is_empty() && draft.lead.external_id.is_none() {
            return Ok(Vec::new());
        }
        let country = |(name, value): &(String, Node)| {
            standard_field(name, &delivery.document.fields) == Some("country")
                && value.text().is_some_and(|country| !country.trim().is_empty())
        };
        let is_anywhere = delivery.document.default_country.is_none() && !answers.iter().any(country);
        for (name, value) in answers {
            let whole = is_anywhere.then(|| whole_number(delivery, name, value)).flatten();
            draft.field(name, &whole.map_or_else(|| value.clone(), Node::Text));
        }
        for (name, key) in [
            ("form_id", "formId"),
            ("form_name", "name"),
            ("form_element_id", "formElementId"),
            ("site_id", "siteId"),
            ("site_id", "site"),
        ] {
            draft.note(name, payload.get(key));
        }
        draft.page(payload.get("pageUrl").text().unwrap_or_default());
        let at = if payload.get("submittedAt").text().is_some() { "submittedAt" } else { "d" };
        draft.at(payload.get(at));
        Ok(vec![draft.finish_by_look()])
    }
}

/// A phone number that was typed in whole arrives as a JSON number, 15550000000: without its plus, and of no country.
fn whole_number(delivery: &Delivery<'_>, name: &str, value: &Node) -> Option<String> {
    let is_phone = names::ours(name) == Some("phone")
        || standard_field(name, &delivery.document.fields) == Some("phone");
    let digits = value.text().filter(|_| is_phone)?.trim();
    let is_long = (11..=15).contains(&digits.len()) && !digits.starts_with('0');
    let whole = format!("+{digits}");
    let is_number = is_long && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && Phone::parse(&whole, None).is_ok()).then_some(whole)
}
