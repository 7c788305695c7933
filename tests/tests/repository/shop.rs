//! A shop that says of an order that it was paid.

use crate::stack::Recorded;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;

/// Posts it as WooCommerce does.
pub(crate) async fn order(it: &Recorded) {
    let order = json!({
        "id": 1, "status": "completed", "total": "9.00", "date_created_gmt": "2026-03-02T09:00:00",
        "date_modified_gmt": "2026-03-02T09:00:00", "billing": { "email": "ada@example.org" },
    });
    let body = order.to_string().into_bytes();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"app-secret"), &body);
    let signature = STANDARD.encode(tag);
    let headers = [("x-wc-webhook-topic", "order.created"), ("x-wc-webhook-signature", signature.as_str())];
    let answer = it.send("POST", "/hooks/shop", "", &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}
