//! Orders of a shop: paid, told twice, changed; whoever ordered is who is known by the address.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};

const DOCUMENTS: &str = r#"
---
kind: source
name: wordpress
type: woocommerce
secrets: { secret: [env:SHOP_SECRET] }
trusted: true
---
kind: segment
name: buyers
when: rfm.money >= 20
"#;

async fn order(run: &Running, total: &str, status: &str, modified: &str) -> u16 {
    let order = json!({
        "id": 727, "number": "727", "status": status, "currency": "USD", "total": total, "customer_id": 5,
        "date_created_gmt": "2026-03-02T08:00:00", "date_modified_gmt": modified,
        "billing": {"first_name": "Ada", "email": "ada@person.example"}, "line_items": [{"id": 1}],
    });
    let body = order.to_string().into_bytes();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"shop-secret");
    let signature = STANDARD.encode(hmac::sign(&key, &body));
    let headers = [
        ("content-type", "application/json"),
        ("x-wc-webhook-topic", "order.updated"),
        ("x-wc-webhook-signature", signature.as_str()),
    ];
    let answer = run.send("POST", "/hooks/wordpress", &headers, &body).await;
    run.settle().await;
    answer.status
}

#[tokio::test]
async fn orders_of_a_shop_are_events_of_whoever_ordered() {
    let setup = Setup::policies(format!("{POLICIES}{DOCUMENTS}")).var("SHOP_SECRET", "shop-secret");
    let run = setup.start().await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let bought = async || {
        let view = run.customer(&customer).await;
        (
            view["orders"]["count"].clone(),
            view["orders"]["money"].clone(),
            view["segments"].as_array().unwrap().len(),
        )
    };
    for _ in 0..2 {
        assert_eq!(order(&run, "29.35", "processing", "2026-03-02T08:01:00").await, 200);
    }
    assert_eq!(bought().await, (json!(1), json!(29.35), 1), "told twice, ordered once");
    // Something was taken out of it.
    assert_eq!(order(&run, "12.00", "completed", "2026-03-02T08:30:00").await, 200);
    assert_eq!(bought().await, (json!(1), json!(12.0), 0));
    assert_eq!(order(&run, "12.00", "cancelled", "2026-03-02T08:40:00").await, 200);
    assert_eq!(bought().await.0, json!(0));
    let (_, timeline) = run.api("GET", &format!("/api/customers/{customer}/timeline?limit=200"), None).await;
    let named = |name: &str| {
        let all = timeline["timeline"].as_array().unwrap().iter();
        all.filter(|thing| thing["event"] == name).count()
    };
    assert_eq!((named("order_completed"), named("order_updated"), named("order_cancelled")), (1, 2, 1));
    // Nobody else's word counts, and nothing is written.
    let before = run.print();
    let body = Value::to_string(&json!({"id": 1, "status": "completed"}));
    let forged = [("x-wc-webhook-topic", "order.created"), ("x-wc-webhook-signature", "AAAA")];
    run.send("POST", "/hooks/wordpress", &forged, body.as_bytes()).await.is_problem(401, "signature-wrong");
    assert!(run.print() == before);
    run.finish().await;
}
