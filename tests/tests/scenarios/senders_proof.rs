//! How senders prove themselves where they do not sign, and what a rotation of secrets does.

use ring::hmac;
use serde_json::json;
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::{POLICIES, Running, Setup};

const SOURCES: &str = r#"
---
kind: source
name: jot
type: jotform
auth: url_key
secrets: { url_key: [env:JOT_KEY, env:JOT_KEY_OLD] }
---
kind: source
name: mute
type: jotform
auth: url_key
secrets: { url_key: [env:NOT_SET] }
---
kind: source
name: open
type: json
auth: public
---
kind: source
name: partner
type: json
auth: signature
signature: { header: X-Partner-Signature, encoding: base64, prefix: "sha256=" }
secrets: { signing_secret: [env:PARTNER, env:PARTNER_OLD] }
id: lead.id
fields:
  email: [lead.contact.mail]
---
kind: source
name: site
type: hubspot
auth: public
form: 77/aaaa
redirect: https://shop.example/thanks
"#;

async fn stack() -> Running {
    let setup = Setup::policies(format!("{POLICIES}{SOURCES}"));
    let vars = [
        ("JOT_KEY", "new key & more"),
        ("JOT_KEY_OLD", "old"),
        ("PARTNER", "p-new"),
        ("PARTNER_OLD", "p-old"),
    ];
    vars.into_iter().fold(setup, |setup, (name, value)| setup.var(name, value)).start().await
}

async fn post(run: &Running, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut all = vec![("content-type", "application/json")];
    all.extend(headers);
    run.send("POST", target, &all, body.as_bytes()).await
}

#[tokio::test]
async fn a_sender_that_cannot_sign_is_known_by_the_key_in_its_address() {
    let run = stack().await;
    let before = run.table();
    let body = r#"{"submissionID":"1","email":"jot@person.example"}"#;
    post(&run, "/hooks/jot", &[], body).await.is_problem(401, "key-missing");
    post(&run, "/hooks/jot?key=", &[], body).await.is_problem(401, "key-missing");
    post(&run, "/hooks/jot?key=new", &[], body).await.is_problem(401, "key-wrong");
    post(&run, "/hooks/mute?key=", &[], body).await.is_problem(401, "secret-missing");
    post(&run, "/hooks/mute?key=any", &[], body).await.is_problem(401, "secret-missing");
    assert_eq!(run.table(), before, "refused, and written down all the same");
    for key in ["new+key+%26+more", "old"] {
        assert_eq!(post(&run, &format!("/hooks/jot?key={key}"), &[], body).await.status, 200, "{key}");
    }
    assert_eq!(run.leads().len(), 1, "the second was the first again");
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn a_program_that_signs_its_json_is_believed_with_either_secret_of_a_rotation() {
    let run = stack().await;
    let body = |id: u32| format!(r#"{{"lead":{{"id":{id},"contact":{{"mail":"p{id}@person.example"}}}}}}"#);
    let signed = |secret: &str, body: &str| {
        use base64::Engine;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = base64::engine::general_purpose::STANDARD.encode(hmac::sign(&key, body.as_bytes()));
        format!("sha256={tag}")
    };
    for (id, secret) in [(1, "p-new"), (2, "p-old"), (2, "p-new")] {
        let signature = signed(secret, &body(id));
        let answer = post(&run, "/hooks/partner", &[("x-partner-signature", &signature)], &body(id)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["lead_ids"].as_array().unwrap().len(), 1);
    }
    run.settle().await;
    let before = run.table();
    let good = signed("p-new", &body(3));
    post(&run, "/hooks/partner", &[], &body(3)).await.is_problem(401, "signature-missing");
    post(&run, "/hooks/partner", &[("x-signature", &good)], &body(3))
        .await
        .is_problem(401, "signature-missing");
    let bare = good.trim_start_matches("sha256=");
    post(&run, "/hooks/partner", &[("x-partner-signature", bare)], &body(3))
        .await
        .is_problem(401, "signature-wrong");
    post(&run, "/hooks/partner", &[("x-partner-signature", &good)], &body(4))
        .await
        .is_problem(401, "signature-wrong");
    assert_eq!(run.table(), before);
    let leads = run.leads();
    assert_eq!(leads.len(), 2);
    for lead in leads {
        let lead = run.show(&lead).await;
        assert_eq!(lead["email"], format!("p{}@person.example", lead["external_id"].as_str().unwrap()));
    }
    run.finish().await;
}

#[tokio::test]
async fn whoever_may_post_anything_gets_no_further_than_a_lead() {
    let run = stack().await;
    assert_eq!(post(&run, "/hooks/open", &[], r#"{"email":"o@person.example"}"#).await.status, 200);
    post(&run, "/hooks/open", &[], r#"{"email":"#).await.is_problem(400, "malformed-body");
    let large = format!("{{\"email\":\"{}\"}}", "x".repeat(1_100_000));
    post(&run, "/hooks/open", &[], &large).await.is_problem(413, "body-too-large");
    let many = vec![json!({"email": "m@person.example"}); 1_001];
    post(&run, "/hooks/open", &[], &json!(many).to_string()).await.is_problem(413, "batch-too-large");
    run.send("GET", "/hooks/open", &[], b"").await.is_problem(400, "no-challenge");
    post(&run, "/hooks/nobody", &[], "{}").await.is_problem(404, "no-such-source");
    run.settle().await;
    assert_eq!(run.leads().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_hubspot_form_belongs_to_the_source_that_names_it() {
    let run = stack().await;
    let body = r#"{"fields":[{"name":"email","value":"h@person.example"}]}"#;
    let route = "/submissions/v3/integration/submit";
    let answer = post(&run, &format!("{route}/77/aaaa"), &[("origin", "https://any.example")], body).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"redirectUri": "https://shop.example/thanks"})));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    post(&run, &format!("{route}/77/bbbb"), &[], body).await.is_problem(404, "no-such-source");
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!((&lead["source"], &lead["attribution"]["form_id"]), (&json!("site"), &json!("77/aaaa")));
    run.finish().await;
}
