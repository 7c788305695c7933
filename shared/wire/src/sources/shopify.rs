//! Shopify's webhooks about orders (shopify.dev, "Webhooks"): signed with the app's secret, each with the whole order as it is.

use super::shop::{Buyer, Change, Order, text};
use super::{Delivery, Need, Refusal, Source, SourceLead, signature};
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::event::Happened;
use sluice_domain::policy::Encoding;

/// The source `shopify`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shopify;

impl Source for Shopify {
    fn kind(&self) -> &'static str {
        "shopify"
    }

    fn setup(&self) -> &'static str {
        "Shopify: Settings, Notifications, Webhooks, Create webhook: the events Order creation, Order payment, Order update and Order \
         cancellation, format JSON, with this address."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need {
            name: "secret",
            what: "Settings, Notifications, Webhooks: the text that webhooks are signed with; for those that an app made, its client secret.",
        }]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["trusted"]
    }

    /// `x-shopify-hmac-sha256`: base 64, over the body.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let signature = delivery.request.header("x-shopify-hmac-sha256").map(str::trim);
        let secrets = delivery.secrets.all("secret");
        signature::hmac_sha256(secrets, &delivery.request.body, Encoding::Base64, signature)
    }

    fn leads(&self, _delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        Ok(Vec::new())
    }

    fn events(&self, delivery: &Delivery<'_>) -> Result<Vec<Happened>, Problem> {
        let header = |name: &str| delivery.request.header(name).map(str::trim).unwrap_or_default();
        let topic = header("x-shopify-topic");
        if !topic.starts_with("orders/") || header("x-shopify-test") == "true" {
            return Ok(Vec::new());
        }
        let body = parse_json(delivery.request)?;
        let is_test = body.get("test").text() == Some("true");
        let Some(id) = text(&body, &["id"]).filter(|_| !is_test) else { return Ok(Vec::new()) };
        let or = |one: &[&str], other: &[&str]| text(&body, one).or_else(|| text(&body, other));
        let buyer = Buyer {
            id: text(&body, &["customer", "id"]),
            facts: vec![
                ("email", or(&["email"], &["customer", "email"])),
                ("phone", or(&["phone"], &["customer", "phone"])),
                ("firstName", or(&["customer", "first_name"], &["billing_address", "first_name"])),
                ("lastName", or(&["customer", "last_name"], &["billing_address", "last_name"])),
                ("country", or(&["billing_address", "country_code"], &["shipping_address", "country_code"])),
            ],
        };
        let order = Order {
            id,
            number: text(&body, &["name"]),
            // What is left of it once some was paid back.
            total: or(&["current_total_price"], &["total_price"]),
            currency: text(&body, &["currency"]),
            items: body.get("line_items").items().len(),
            buyer,
        };
        let created = text(&body, &["created_at"]);
        let updated = text(&body, &["updated_at"]);
        let cancelled = text(&body, &["cancelled_at"]);
        // Bought is what was paid, whatever was paid back since. Until then `orders/paid` is waited for.
        let is_paid =
            matches!(text(&body, &["financial_status"]), Some("paid" | "partially_refunded" | "refunded"));
        let completed = Change { name: "Order Completed", which: "", at: created, amount: None };
        let change = match topic {
            _ if cancelled.is_some() => {
                Change { name: "Order Cancelled", which: "", at: cancelled, amount: None }
            }
            "orders/paid" => completed,
            _ if !is_paid => return Ok(Vec::new()),
            "orders/create" => completed,
            "orders/updated" | "orders/edited" | "orders/fulfilled" | "orders/partially_fulfilled" => {
                Change {
                    name: "Order Updated",
                    which: updated.unwrap_or_default(),
                    at: updated,
                    amount: None,
                }
            }
            _ => return Ok(Vec::new()),
        };
        Ok(order.events(&[change], delivery))
    }
}
