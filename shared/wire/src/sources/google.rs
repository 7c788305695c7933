//! Google Ads lead forms. Nothing is signed: a key of the advertiser's own travels in the body.
//!
//! Rules from developers.google.com/google-ads/webhook/docs/implementation: `lead_id` identifies the lead, ids are
//! 64-bit numbers, unknown fields are ignored, `is_test` is the "Send test data" button.

use super::draft::Draft;
use super::{Delivery, Need, Refusal, Source, SourceLead, names, signature, unwritten};
use crate::body::parse_json;
use crate::http::HttpResponse;
use crate::problem::Problem;
use serde_json::json;
use sluice_domain::id::LeadId;

/// The source `google`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Google;

impl Source for Google {
    fn kind(&self) -> &'static str {
        "google"
    }

    fn setup(&self) -> &'static str {
        "Google Ads: the lead form asset, Export leads from Google Ads, Webhook integration: Webhook URL."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "google_key",
            what: "Key: a text of your choice, typed again beside the Webhook URL of the lead form.",
        }]
    }

    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let body = parse_json(delivery.request).ok();
        let given = body.as_ref().and_then(|body| body.get("google_key").text());
        signature::key(delivery.secrets.all("google_key"), given)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let mut draft = Draft::json(delivery, &body);
        draft.id(body.get("lead_id").text());
        let mut columns = Vec::new();
        for column in body.get("user_column_data").items() {
            let named = |name: &str| column.get(name).text().filter(|name| !name.trim().is_empty());
            let name = named("column_id").or_else(|| named("column_name"));
            columns.extend(name.map(|name| (name, column.get("string_value"))));
        }
        names::best_first(&mut columns, &delivery.document.fields);
        for (name, value) in columns {
            draft.field(name, value);
        }
        draft.note("gclid", body.get("gcl_id"));
        for name in [
            "form_id",
            "campaign_id",
            "adgroup_id",
            "creative_id",
            "asset_group_id",
            "lead_stage",
            "api_version",
        ] {
            draft.note(name, body.get(name));
        }
        draft.at(body.get("lead_submit_time"));
        draft.lead.test = body.get("is_test").text() == Some("true");
        let mut lead = draft.finish();
        // The key is in the body, and no business of who may read leads.
        let key = body.get("google_key").text().unwrap_or_default();
        lead.raw = lead.raw.map(|raw| unwritten::without(&raw, key));
        Ok(vec![lead])
    }

    fn answer(&self, _delivery: &Delivery<'_>, _accepted: &[LeadId]) -> HttpResponse {
        HttpResponse::json(200, &json!({}))
    }
}
