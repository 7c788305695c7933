//! Meta (Facebook and Instagram) Lead Ads. A webhook announces leads by id; the person's answers are fetched from the
//! Graph API afterwards ([`graph_path`], [`read_graph`]).
//!
//! Rules from developers.facebook.com: "Webhooks, getting started" (handshake, signature, batches of up to 1000
//! changes, 36 hours of redelivery) and "Lead Ads, retrieving leads".

mod graph;

#[cfg(test)]
mod tests;

pub use graph::{GraphError, GraphLead, graph_path, read_graph};

use super::{Delivery, Need, Refusal, Secrets, Source, SourceLead, signature};
use crate::{
    body::{json::Node, parse_json},
    http::{HttpRequest, HttpResponse},
    problem::Problem,
};
use sluice_domain::{policy::Encoding, time::Timestamp};
use std::collections::HashSet;

/// The source `meta`.
#[derive(Clone, Copy, Debug)]
pub struct Meta;

impl Source for Meta {
    fn kind(&self) -> &'static str {
        "meta"
    }

    fn setup(&self) -> &'static str {
        "Meta App Dashboard: the app, Webhooks, Page: Callback URL; subscribe the field leadgen, then the page."
    }

    fn needs(&self) -> &'static [Need] {
        &[
            Need {
                name: "app_secret",
                what: "App Secret: App Dashboard, App settings, Basic. It signs each webhook.",
            },
            Need {
                name: "verify_token",
                what: "Verify Token: a text of your choice, typed again when subscribing.",
            },
            Need {
                name: "page_token",
                what: "Long-lived Page access token with leads_retrieval. It fetches the answers of each lead.",
            },
        ]
    }

    /// `GET ?hub.mode=subscribe&hub.challenge=…&hub.verify_token=…`: the challenge as plain text, or 403 without it.
    fn challenge(&self, request: &HttpRequest, secrets: &Secrets) -> Option<HttpResponse> {
        if request.method != "GET" {
            return None;
        }
        let mode = request.query_value("hub.mode");
        let token = request.query_value("hub.verify_token").unwrap_or_default();
        let challenge = request.query_value("hub.challenge").filter(|text| text.len() <= MAX_CHALLENGE);
        let known = secrets.all("verify_token").any(|ours| signature::same(ours, &token));
        Some(match challenge {
            Some(challenge) if known && mode.as_deref() == Some("subscribe") => {
                // What is echoed comes from the caller: it must never be taken for a page.
                HttpResponse::text(200, challenge).with_header("x-content-type-options", "nosniff")
            }
            _ if !known && secrets.has_unread() => Problem::from(Refusal::Unread).into(),
            _ => Problem::new(
                403,
                "verify-token-wrong",
                "The verify token is not the one configured for this source.",
            )
            .into(),
        })
    }

    /// `X-Hub-Signature-256: sha256=<hex>` over the bytes sent. Meta escapes everything beyond ASCII as `\uXXXX`, so a
    /// body that was parsed and written again has another signature.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let header = delivery.request.header("x-hub-signature-256");
        let signature = header.map(|value| value.trim().strip_prefix("sha256=").unwrap_or_default());
        let secrets = delivery.secrets.all("app_secret");
        signature::hmac_sha256(secrets, &delivery.request.body, Encoding::Hex, signature)
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let body = parse_json(delivery.request)?;
        let mut seen = HashSet::new();
        let changes = body
            .get("entry")
            .items()
            .iter()
            .flat_map(|entry| entry.get("changes").items().iter().map(move |change| (entry, change)));
        Ok(changes
            .filter(|_| body.get("object").text() == Some("page"))
            .filter(|(_, change)| change.get("field").text() == Some("leadgen"))
            .filter_map(|(entry, change)| announced(entry, change.get("value")))
            .filter(|lead| seen.insert(lead.external_id.clone()))
            .collect())
    }
}

/// Meta sends a number of about ten digits.
const MAX_CHALLENGE: usize = 256;

/// What the "Test" button of the App Dashboard sends. No such lead can be fetched.
const DASHBOARD_SAMPLE: &str = "444444444444";

/// One change of a page. Without a lead's id there is nothing to fetch, now or on redelivery, so it is left out rather
/// than refused together with its neighbours.
fn announced(entry: &Node, value: &Node) -> Option<SourceLead> {
    let external_id = id(value.get("leadgen_id"))?.to_owned();
    let page_id = id(value.get("page_id")).or_else(|| id(entry.get("id")));
    let attribution = [
        ("page_id", page_id),
        ("form_id", id(value.get("form_id"))),
        ("ad_id", id(value.get("ad_id"))),
        ("adgroup_id", id(value.get("adgroup_id"))),
    ];
    Some(SourceLead {
        test: external_id == DASHBOARD_SAMPLE,
        external_id: Some(external_id),
        attribution: attribution
            .into_iter()
            .filter_map(|(name, id)| Some((name.to_owned(), id?.to_owned())))
            .collect(),
        created_at: value.get("created_time").text().and_then(Timestamp::parse),
        needs_enrichment: true,
        ..SourceLead::default()
    })
}

/// An id as digits, whether it came as a string or (older apps) as a number; `0` is none.
fn id(node: &Node) -> Option<&str> {
    let text = node.text()?;
    let is_id = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    (is_id && text.bytes().any(|b| b != b'0')).then_some(text)
}
