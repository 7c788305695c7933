//! How senders prove themselves where they do not sign, and what a rotation of secrets does.

use ring::hmac;
use serde_json::json;
use sluice_tests::stack::http::{Answer, urlencoded};
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
---
kind: source
name: office
type: hubspot
auth: url_key
form: 77/cccc
secrets: { url_key: [env:JOT_KEY_OLD] }
---
kind: source
name: flow
type: webflow
auth: url_key
secrets: { url_key: [env:JOT_KEY_OLD] }
---
kind: source
name: plugin
type: gravity_forms
auth: public
---
kind: source
name: contact
type: contact_form_7
auth: public
---
kind: source
name: changing
type: jotform
auth: url_key
secrets: { url_key: ['secret:jot', env:JOT_KEY_OLD] }
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
async fn what_one_secret_of_a_rotation_proves_is_believed_also_while_the_other_cannot_be_read() {
    let run = stack().await;
    let body = r#"{"submissionID":"1","email":"jot@person.example"}"#;
    let before = run.table();
    let call = "secretsmanager.GetSecretValue";
    run.refusals.refuse("capture-lead", call, usize::MAX, (400, "AccessDeniedException"));
    let answer = post(&run, "/hooks/changing?key=other", &[], body).await;
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), Some("5"));
    post(&run, "/hooks/changing", &[], body).await.is_problem(401, "key-missing");
    assert_eq!(run.table(), before, "refused, and written down all the same");
    assert_eq!(post(&run, "/hooks/changing?key=old", &[], body).await.status, 200);
    // One that is to be deleted is none.
    run.refusals.lift();
    run.refusals.refuse("capture-lead", call, 1, (400, "InvalidRequestException"));
    post(&run, "/hooks/changing?key=other", &[], body).await.is_problem(401, "key-wrong");
    assert_eq!(post(&run, "/hooks/changing?key=old", &[], body).await.status, 200);
    run.settle().await;
    assert_eq!(run.leads().len(), 1, "the second was the first again");
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

#[tokio::test]
async fn an_older_script_of_hubspots_and_a_program_with_a_token_bring_leads() {
    let run = stack().await;
    let context = r#"{"hutk":"aa","pageUrl":"https://shop.example/a","sfdcCampaignId":"701"}"#;
    let form = urlencoded(&[("email", "v2@person.example"), ("hs_context", context)]);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(run.send("POST", "/hooks/site", &headers, form.as_bytes()).await.status, 200);
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    let notes = &lead["attribution"];
    assert_eq!((&lead["email"], &notes["salesforce_campaign"]), (&json!("v2@person.example"), &json!("701")));
    assert_eq!(
        (&notes["hubspot_cookie"], &notes["page_url"]),
        (&json!("aa"), &json!("https://shop.example/a"))
    );

    let before = run.table();
    let body = r#"{"fields":[{"name":"email","value":"token@person.example"}]}"#;
    let route = "/submissions/v3/integration/secure/submit/77/cccc";
    post(&run, route, &[], body).await.is_problem(401, "key-missing");
    post(&run, route, &[("authorization", "Bearer other")], body).await.is_problem(401, "key-wrong");
    assert_eq!(run.table(), before, "refused, and written down all the same");
    let answer = post(&run, route, &[("authorization", "Bearer old")], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    run.settle().await;
    assert_eq!(run.leads().len(), 2);
    run.finish().await;
}

#[tokio::test]
async fn what_webflows_dashboard_sends_without_a_signature_is_known_by_the_key_in_its_address() {
    let run = stack().await;
    let body =
        r#"{"triggerType":"form_submission","payload":{"id":"w1","data":{"E-Mail":"flow@person.example"}}}"#;
    post(&run, "/hooks/flow", &[], body).await.is_problem(401, "key-missing");
    assert_eq!(post(&run, "/hooks/flow?key=old", &[], body).await.status, 200);
    run.settle().await;
    assert_eq!(run.show(&run.leads().remove(0)).await["email"], "flow@person.example");
    run.finish().await;
}

#[tokio::test]
async fn a_signature_pad_costs_jotforms_lead_nothing_else() {
    let run = stack().await;
    let sign = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(4_000));
    let answers = json!({"q1_email": "sign@person.example", "q2_sign": sign}).to_string();
    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = format!("{}{}--b--\r\n", part("submissionID", "9"), part("rawRequest", &answers));
    let headers = [("content-type", "multipart/form-data; boundary=b")];
    assert_eq!(run.send("POST", "/hooks/jot?key=old", &headers, body.as_bytes()).await.status, 200);
    run.settle().await;
    let lead = run.show(&run.leads().remove(0)).await;
    assert_eq!(
        (&lead["email"], &lead["state"]),
        (&json!("sign@person.example"), &json!("assigned")),
        "{lead:#}"
    );
    assert_eq!(lead["unreadable"], json!(["body_value_cut"]));
    run.finish().await;
}

#[tokio::test]
async fn form_plugins_may_put_or_patch_and_send_files_of_megabytes() {
    let run = stack().await;
    for method in ["PUT", "PATCH"] {
        let body = format!(r#"{{"email":"{method}@person.example"}}"#);
        let headers = [("content-type", "application/json")];
        assert_eq!(
            run.send(method, "/hooks/plugin", &headers, body.as_bytes()).await.status,
            200,
            "{method}"
        );
    }
    let file = |size: usize| json!({"filename": "cv.pdf", "content": "QUJD".repeat(size / 4)});
    let body = |size: usize| json!({"your-email": "cv@person.example", "cv": file(size)}).to_string();
    assert_eq!(post(&run, "/hooks/contact", &[], &body(3_000_000)).await.status, 200);
    post(&run, "/hooks/contact", &[], &body(5_000_000)).await.is_problem(413, "body-too-large");
    run.settle().await;
    let mut seen = Vec::new();
    for id in run.leads() {
        let lead = run.show(&id).await;
        seen.push((lead["email"].as_str().unwrap().to_lowercase(), lead["files"].clone()));
    }
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let files = json!([{"field": "cv", "name": "cv.pdf", "size": 2_250_000}]);
    let expected = [("cv", files), ("patch", json!([])), ("put", json!([]))];
    assert_eq!(seen, expected.map(|(who, files)| (format!("{who}@person.example"), files)));
    run.finish().await;
}

#[tokio::test]
async fn an_item_that_is_too_large_is_cut_and_costs_its_neighbours_nothing() {
    let run = stack().await;
    let mut large = serde_json::Map::from_iter([("email".to_owned(), json!("large@person.example"))]);
    large.extend((0..20).map(|at| (format!("f{at}"), json!("x".repeat(20_000)))));
    let batch = json!([{"email": "one@person.example"}, large, {"email": "two@person.example"}]);
    let answer = post(&run, "/hooks/open", &[], &batch.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["lead_ids"].as_array().unwrap().len(), 3);
    run.settle().await;
    for id in run.leads() {
        let lead = run.show(&id).await;
        let is_large = lead["email"] == "large@person.example";
        let unreadable = if is_large { json!(["body_value_cut"]) } else { json!([]) };
        assert_eq!(
            (&lead["state"], &lead["unreadable"]),
            (&json!("assigned"), &unreadable),
            "{}",
            lead["email"]
        );
    }
    run.finish().await;
}
