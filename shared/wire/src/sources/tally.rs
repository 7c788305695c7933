//! Tally's webhooks: the answers of one form. No time is signed.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, signature};
use crate::body::json::Node;
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::policy::Encoding;

/// The source `tally`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally;

impl Source for Tally {
    fn kind(&self) -> &'static str {
        "tally"
    }

    fn setup(&self) -> &'static str {
        "Tally: the form, Integrations, Webhooks, Connect: Endpoint URL. Switch the signing secret on."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "signing_secret",
            what: "Signing secret: the form, Integrations, Webhooks. It signs each webhook.",
        }]
    }

    /// `Tally-Signature`: base 64.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let signature = delivery.request.header("tally-signature").map(str::trim);
        let secrets = delivery.secrets.all("signing_secret");
        signature::hmac_sha256(secrets, &delivery.request.body, Encoding::Base64, signature)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let data = body.get("data");
        let is_response = matches!(body.get("eventType").text(), None | Some("FORM_RESPONSE"));
        if !is_response || data.members().is_empty() {
            return Ok(Vec::new());
        }
        let mut draft = Draft::json(delivery, &body);
        let ids = [data.get("submissionId"), data.get("responseId"), body.get("eventId")];
        draft.first_id(ids.map(Node::text));
        // What the page knew before comes last: of two values for one field the first counts, which is to be what the person typed.
        let is_hidden = |field: &&Node| field.get("type").text() == Some("HIDDEN_FIELDS");
        let (hidden, typed): (Vec<&Node>, Vec<&Node>) =
            data.get("fields").items().iter().partition(is_hidden);
        for field in typed.into_iter().chain(hidden) {
            answer(&mut draft, field);
        }
        draft.note("form_id", data.get("formId"));
        draft.note("form_name", data.get("formName"));
        draft.note("respondent_id", data.get("respondentId"));
        draft.at(data.get("createdAt"));
        Ok(vec![draft.finish()])
    }
}

fn answer(draft: &mut Draft<'_>, field: &Node) {
    let label = field.get("label").text().filter(|label| !label.trim().is_empty());
    let key = field.get("key").text();
    let used = draft.used_of([label, key].into_iter().flatten());
    let Some(label) = used.or(label).or(key) else { return };
    let value = field.get("value");
    match field.get("type").text().unwrap_or_default() {
        "INPUT_EMAIL" => draft.known("email", label, value),
        "INPUT_PHONE_NUMBER" => draft.known("phone", label, value),
        "FILE_UPLOAD" | "SIGNATURE" => {
            for file in value.items() {
                let size = file.get("size").text().and_then(|size| size.parse().ok());
                draft.file(label, file.get("name").text().unwrap_or_default(), size.unwrap_or(0));
                // Where it can be fetched: it is kept there alone.
                draft.field(label, file.get("url"));
            }
        }
        "MATRIX" => {
            for (row, columns) in value.members() {
                let row = texts(field.get("rows"), row).unwrap_or(row);
                draft.field(&format!("{label}.{row}"), &chosen(columns, field.get("columns")));
            }
        }
        _ => draft.field(label, &chosen(value, field.get("options"))),
    }
}

/// A choice is told by the ids of its options; people know their texts.
fn chosen(value: &Node, options: &Node) -> Node {
    match value {
        Node::List(items) => Node::List(items.iter().map(|item| chosen(item, options)).collect()),
        Node::Text(id) => Node::Text(texts(options, id).unwrap_or(id).to_owned()),
        other => other.clone(),
    }
}

/// The text of the option, row or column of that id.
fn texts<'a>(options: &'a Node, id: &str) -> Option<&'a str> {
    options.items().iter().find(|option| option.get("id").text() == Some(id))?.get("text").text()
}
