//! Typeform webhooks (developer.typeform.com, "Webhooks"). No time is signed; a response's token stays the same however
//! often it is delivered.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, names, signature};
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
        draft.first_id([response.get("token").text(), body.get("event_id").text()]);
        let definition = response.get("definition");
        for answer in response.get("answers").items() {
            let question = answer.get("field");
            let kind = answer.get("type").text().unwrap_or_default();
            let title = title(&draft, definition.get("fields"), question).unwrap_or(kind);
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
        // What the page knew before: of two values for one field the one that the person typed comes first.
        for (name, value) in response.get("hidden").members() {
            draft.field(name, value);
        }
        // What the form worked out from the answers. Its score is noted below.
        for variable in response.get("variables").items() {
            let value = variable.get(variable.get("type").text().unwrap_or_default());
            if let Some(name) = variable.get("key").text().filter(|name| *name != "score") {
                draft.field(&format!("variables.{name}"), value);
            }
        }
        draft.note("outcome", response.at(&["outcome", "title"]));
        draft.note("outcome_id", response.at(&["outcome", "id"]));
        draft.note("form_id", response.get("form_id"));
        draft.note("form_name", definition.get("title"));
        let is_score = |variable: &&Node| variable.get("key").text() == Some("score");
        let score = response.get("variables").items().iter().find(is_score);
        let calculated = response.at(&["calculated", "score"]);
        draft.note("score", score.map_or(calculated, |variable| variable.get("number")));
        draft.at(response.get("submitted_at"));
        Ok(vec![draft.finish()])
    }
}

/// What an answer is to, by the name that the document uses; else the part of a block such as contact information by its key, which
/// is the same in every language; else the question's title, which may be that of a question within others.
fn title<'a>(draft: &Draft<'_>, fields: &'a Node, question: &'a Node) -> Option<&'a str> {
    let said = |node: &'a Node| node.text().filter(|text| !text.trim().is_empty());
    let key = ["subfield_key", "ref", "id"].map(|name| said(question.get(name)));
    let [part, reference, id] = key;
    let asked = find(fields, question.get("id"));
    let of_asked = |name: &str| asked.and_then(|field| said(field.get(name)));
    let part = part.or_else(|| of_asked("subfield_key"));
    let title = of_asked("title").or_else(|| said(question.get("title")));
    let used = draft.used_of([part, title, reference, of_asked("ref"), id].into_iter().flatten());
    used.or(part.filter(|part| names::ours(part).is_some())).or(title).or(reference).or(id)
}

/// The question of that id, at whatever depth.
fn find<'a>(fields: &'a Node, id: &Node) -> Option<&'a Node> {
    fields.items().iter().find_map(|field| match field.get("id") == id {
        true => Some(field),
        false => find(field.at(&["properties", "fields"]), id).or_else(|| find(field.get("fields"), id)),
    })
}
