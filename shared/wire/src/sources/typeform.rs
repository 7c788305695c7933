//! Typeform webhooks (developer.typeform.com, "Webhooks"). No time is signed; a response's token stays the same however
//! often it is delivered.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, signature};
use crate::body::json::Node;
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::policy::Encoding;

/// The source `typeform`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typeform;

impl Source for Typeform {
    fn kind(&self) -> &'static str {
        "typeform"
    }

    fn setup(&self) -> &'static str {
        "Typeform: the form, Connect, Webhooks, Add a webhook: Endpoint. Then Edit: Secret."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "secret",
            what: "Secret: a text of your choice, typed again under Connect, Webhooks, Edit. It signs each webhook.",
        }]
    }

    /// `Typeform-Signature: sha256=<base 64>`.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let header = delivery.request.header("typeform-signature");
        let signature = header.map(|value| value.trim().strip_prefix("sha256=").unwrap_or_default());
        let secrets = delivery.secrets.all("secret");
        signature::hmac_sha256(secrets, &delivery.request.body, Encoding::Base64, signature)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let response = body.get("form_response");
        let is_whole = matches!(body.get("event_type").text(), None | Some("form_response"));
        if !is_whole || response.members().is_empty() {
            return Ok(Vec::new());
        }
        let mut draft = Draft::json(delivery, &body);
        draft.id(response.get("token").text().or_else(|| body.get("event_id").text()));
        for (name, value) in response.get("hidden").members() {
            draft.field(name, value);
        }
        let definition = response.get("definition");
        for answer in response.get("answers").items() {
            let question = answer.get("field");
            let of = |field: &&Node| field.get("id") == question.get("id");
            let title = definition.get("fields").items().iter().find(of).unwrap_or(question).get("title");
            let title =
                title.text().or_else(|| question.get("ref").text()).or_else(|| question.get("id").text());
            let kind = answer.get("type").text().unwrap_or_default();
            let title = title.unwrap_or(kind);
            match kind {
                "email" => draft.known("email", title, answer.get(kind)),
                "phone_number" => draft.known("phone", title, answer.get(kind)),
                "choice" => {
                    let choice = answer.get("choice");
                    draft.field(title, choice.get("label"));
                    draft.field(title, choice.get("other"));
                }
                "choices" => {
                    let choices = answer.get("choices");
                    draft.field(title, choices.get("labels"));
                    draft.field(title, choices.get("other"));
                }
                kind => draft.field(title, answer.get(kind)),
            }
        }
        draft.note("form_id", response.get("form_id"));
        draft.note("form_name", definition.get("title"));
        draft.note("score", response.at(&["calculated", "score"]));
        draft.at(response.get("submitted_at"));
        Ok(vec![draft.finish()])
    }
}
