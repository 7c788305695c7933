//! Webflow's `form_submission` webhooks (developers.webflow.com, "Working with webhooks"), and the bodies of its first
//! version. The time is signed in milliseconds.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, signature};
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::policy::Encoding;
use sluice_domain::time::Timestamp;

/// The source `webflow`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Webflow;

impl Source for Webflow {
    fn kind(&self) -> &'static str {
        "webflow"
    }

    fn setup(&self) -> &'static str {
        "Webflow: Site settings, Apps & integrations, Webhooks, Add webhook: trigger Form submission, API v2, with this address."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "secret",
            what: "Signing secret: shown once when the webhook is added; for one that an app made, the app's client secret.",
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
        if !is_submission || answers.is_empty() {
            return Ok(Vec::new());
        }
        let mut draft = Draft::json(delivery, &body);
        draft.id(payload.get("id").text().or_else(|| payload.get("_id").text()));
        for (name, value) in answers {
            draft.field(name, value);
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
