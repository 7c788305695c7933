//! WooCommerce's webhooks about orders (developer.woocommerce.com, "Webhooks"): signed with the webhook's secret, each with the whole
//! order as it is. What became of it is said by its status.

use super::shop::{Buyer, Change, Order, text};
use super::{Delivery, Need, Refusal, Source, SourceLead, signature};
use crate::body::parse_json;
use crate::problem::Problem;
use sluice_domain::event::Happened;
use sluice_domain::policy::Encoding;

/// The source `woocommerce`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Woocommerce;

impl Source for Woocommerce {
    fn kind(&self) -> &'static str {
        "woocommerce"
    }

    fn setup(&self) -> &'static str {
        "WooCommerce: Settings, Advanced, Webhooks, Add webhook: one with the topic Order created and one with Order updated, version \
         WP REST API Integration v3, with this address."
    }

    fn needs(&self) -> &'static [Need] {
        &[Need { name: "secret", what: "The Secret of the webhooks: a long random text of your own." }]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["trusted"]
    }

    /// `x-wc-webhook-signature`: base 64, over the body. The ping of a webhook that is being saved is not signed, and says nothing.
    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        let signature = delivery.request.header("x-wc-webhook-signature").map(str::trim);
        if signature.is_none()
            && is_ping(&delivery.request.body)
            && delivery.secrets.all("secret").next().is_some()
        {
            return Ok(());
        }
        let secrets = delivery.secrets.all("secret");
        signature::hmac_sha256(secrets, &delivery.request.body, Encoding::Base64, signature)
    }

    fn leads(&self, _delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        Ok(Vec::new())
    }

    fn events(&self, delivery: &Delivery<'_>) -> Result<Vec<Happened>, Problem> {
        let topic = delivery.request.header("x-wc-webhook-topic").map(str::trim).unwrap_or_default();
        if !matches!(topic, "order.created" | "order.updated" | "order.restored")
            || is_ping(&delivery.request.body)
        {
            return Ok(Vec::new());
        }
        let body = parse_json(delivery.request)?;
        let Some(id) = text(&body, &["id"]) else { return Ok(Vec::new()) };
        let billing = |name: &str| text(&body, &["billing", name]);
        let order = Order {
            id,
            number: text(&body, &["number"]),
            total: text(&body, &["total"]),
            currency: text(&body, &["currency"]),
            items: body.get("line_items").items().len(),
            buyer: Buyer {
                // 0 is a guest.
                id: text(&body, &["customer_id"]).filter(|id| *id != "0"),
                facts: vec![
                    ("email", billing("email")),
                    ("phone", billing("phone")),
                    ("firstName", billing("first_name")),
                    ("lastName", billing("last_name")),
                    ("company", billing("company")),
                    ("country", billing("country")),
                ],
            },
        };
        // Times without a zone are UTC where their names end so.
        let utc = |name: &str| text(&body, &[name]).map(|at| format!("{at}Z"));
        let (created, modified) = (utc("date_created_gmt"), utc("date_modified_gmt"));
        let (created, modified) = (created.as_deref(), modified.as_deref());
        let changes = match text(&body, &["status"]).unwrap_or_default() {
            "processing" | "completed" => {
                let mut changes = vec![
                    Change { name: "Order Completed", which: "", at: created, amount: None },
                    Change {
                        name: "Order Updated",
                        which: modified.unwrap_or_default(),
                        at: modified,
                        amount: None,
                    },
                ];
                changes.extend(body.get("refunds").items().iter().filter_map(|refund| {
                    let (which, amount) = (text(refund, &["id"])?, text(refund, &["total"])?);
                    Some(Change { name: "Order Refunded", which, at: modified, amount: Some(amount) })
                }));
                changes
            }
            "cancelled" | "refunded" | "failed" | "trash" => {
                vec![Change { name: "Order Cancelled", which: "", at: modified, amount: None }]
            }
            // Not paid yet.
            _ => return Ok(Vec::new()),
        };
        Ok(order.events(&changes, delivery))
    }
}

/// What WooCommerce posts to an address that is being saved.
fn is_ping(body: &[u8]) -> bool {
    body.strip_prefix(b"webhook_id=").is_some_and(|id| !id.is_empty() && id.iter().all(u8::is_ascii_digit))
}
