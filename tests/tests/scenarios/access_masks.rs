//! Facts that a role does not see are in no answer, whatever the call.

use super::access::call;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

/// What the person says of each fact, as nothing else is written.
const SAID: [(&str, &str); 8] = [
    ("email", "kanari.canary@kanari.example"),
    ("phone", "+49 30 901820"),
    ("last_name", "Kanarienvogel"),
    ("street", "Vogelweg 17"),
    ("city", "Nestheim"),
    ("birth_date", "1987-06-05"),
    ("budget", "98765432"),
    ("message", "Write to Kanari.Canary@Kanari.Example, KANARIENVOGEL"),
];

/// What must not be found in any answer.
const CANARIES: [&str; 10] = [
    "kanari.canary",
    "Kanari.Canary",
    "KANARIENVOGEL",
    "kanari%2Ecanary",
    "901820",
    "Kanarienvogel",
    "Vogelweg",
    "Nestheim",
    "1987-06-05",
    "98765432",
];

const DOCUMENTS: &str = r#"
---
kind: template
name: hello
channel: email
subject: Hello {{ customer.last_name }}
html: |
  <p>Dear {{ customer.last_name }}, we call {{ customer.phone }}.</p>
  <p><a href="https://shop.example/?mail={{ customer.email }}">Shop</a></p>
defaults: { customer.last_name: there, customer.phone: you }
translations:
  de: { subject: Hallo, html: "<p>Hallo {{ customer.email }}</p>" }
---
kind: template
name: plain
channel: email
subject: Hello
html: <p>Hello {{ customer.first_name }}</p>
defaults: { customer.first_name: there }
---
kind: template
name: lacking
channel: email
subject: Hello
html: <p>{{ customer.phone }} {% for one in data.list %}{{ one }}{% endfor %}</p>
defaults: { customer.phone: you }
---
kind: template
name: echo
channel: email
subject: Hello
html: <p>{{ data.guess }} {{ customer.phone }}</p>
defaults: { customer.phone: you }
---
kind: segment
name: reachable
when: has(customer.phone)
---
kind: segment
name: deep
when: '"reachable" in segments'
---
kind: segment
name: plain
when: customer.leads > 0
---
kind: source
name: shop
type: segment
secrets: { write_key: [env:SHOP_KEY] }
"#;

const MASKS: &str = r#"
kind: access
name: default
masks:
  marketer: [email, phone, last_name, street, city, birth_date, budget]
  manager: [email, phone, last_name, street, city, birth_date, budget]
  rep: [email, phone, last_name, street, city, birth_date, budget]
"#;

struct Seen {
    run: Running,
    lead: String,
    customer: String,
    message: String,
}

async fn somebody() -> Seen {
    let setup = Setup::policies(format!("{POLICIES}{DOCUMENTS}---{MASKS}")).var("SHOP_KEY", "shop-key");
    let run = setup.start().await;
    let lead = run.lead(&SAID).await;
    let view = run.show(&lead).await;
    let customer = view["customer"].as_str().unwrap().to_owned();
    let basic = "Basic c2hvcC1rZXk6";
    let call = json!({
        "userId": "u-1", "messageId": "m-1", "type": "identify",
        "traits": {"email": SAID[0].1, "lastName": "Kanarienvogel", "address": {"street": "Vogelweg 17"}, "budget": 98765432},
    });
    let headers = [("authorization", basic), ("content-type", "application/json")];
    let answer = run.send("POST", "/v1/identify", &headers, call.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let order = json!({"customer": customer, "template": "hello", "data": {"phone": "+49 30 901820"}});
    let (status, answer) = run.api("POST", "/api/messages", Some(order)).await;
    assert_eq!(status, 202, "{answer:#}");
    let note = json!({"channel": "phone", "note": "Kanarienvogel wants a call on +49 30 901820"});
    assert_eq!(run.api("POST", &format!("/api/leads/{lead}/contacts"), Some(note)).await.0, 200);
    let said = json!({"channel": "sms", "topic": "*", "wish": "no", "note": "Kanarienvogel, who lives in Vogelweg 17, wants none"});
    let said = run.api("POST", &format!("/api/customers/{customer}/consents"), Some(said)).await;
    assert_eq!(said.0, 200, "{:#}", said.1);
    run.settle().await;
    Seen { run, lead, customer, message: answer["message_id"].as_str().unwrap().to_owned() }
}

#[tokio::test]
async fn what_a_role_does_not_see_is_in_no_answer() {
    let Seen { run, lead, customer, message } = somebody().await;
    let whole = run.api("GET", &format!("/api/customers/{customer}/export"), None).await.1.to_string();
    for canary in CANARIES.iter().filter(|canary| !canary.contains('%')) {
        assert!(whole.contains(canary), "{canary} is somewhere to be hidden");
    }
    let owner = run.show(&lead).await["owner"].as_str().unwrap().to_owned();
    let mut shown = 0;
    for (role, rep) in [("marketer", None), ("manager", Some("boss")), ("rep", Some(owner.as_str()))] {
        let token = run.new_token(role, rep).await;
        let mut paths: Vec<(String, String, Option<Value>)> = reads_about(&lead, &customer);
        paths.push(("GET".to_owned(), format!("/api/messages/{message}"), None));
        paths.push(("GET".to_owned(), format!("/api/messages?customer={customer}"), None));
        paths.push(("GET".to_owned(), format!("/api/leads?owner={owner}"), None));
        for language in ["en", "de"] {
            let asked = json!({"customer": customer, "language": language});
            paths.push(("POST".to_owned(), "/api/templates/hello/preview".to_owned(), Some(asked)));
        }
        for (method, path, body) in paths {
            let (status, answer) = run.api_as(Some(&token), &method, &path, body).await;
            let text = answer.to_string();
            shown += usize::from(status == 200 && (text.contains(&customer) || text.contains("•••")));
            for canary in CANARIES {
                assert!(!text.contains(canary), "{role} sees {canary} by {method} {path}: {answer:#}");
            }
        }
    }
    assert!(shown > 20, "the calls are about somebody: {shown}");
    // What is not hidden is there.
    let token = run.new_token("marketer", None).await;
    let (_, view) = run.api_as(Some(&token), "GET", &format!("/api/leads/{lead}"), None).await;
    assert_eq!((&view["email"], &view["country"]), (&json!("•••"), &json!("DE")));
    assert!(view["fields"].as_array().unwrap().contains(&json!(["city", "•••"])));
    run.finish().await;
}

/// Every call that only reads, about this lead and customer.
fn reads_about(lead: &str, customer: &str) -> Vec<(String, String, Option<Value>)> {
    let reads = serve_console::ROUTES.iter().map(|route| route.name).filter(|route| {
        let asks = ["/lookup", "/leads/try", "/segments/", "/imports/try"];
        route.starts_with("GET") || asks.iter().any(|ask| route.contains(ask))
    });
    reads
        .map(|route| {
            let (method, path, body) = call(route, lead, [customer, customer]);
            let body = match route {
                "POST /api/customers/lookup" => Some(json!({"email": SAID[0].1})),
                "POST /api/leads/try" => {
                    Some(json!({"form": "contact", "body": json!({"email": SAID[0].1}).to_string()}))
                }
                _ => body,
            };
            (method, path, body)
        })
        .collect()
}

#[tokio::test]
async fn a_masked_fact_cannot_be_found_out_by_asking() {
    let Seen { run, customer, .. } = somebody().await;
    let token = run.new_token("marketer", None).await;
    let before = run.print();
    for when in ["customer.last_name == 'Kanarienvogel'", "customer.phone != ''", "size(customer.email) > 3"]
    {
        let (status, problem) =
            run.api_as(Some(&token), "POST", "/api/segments/any/preview", Some(json!({"when": when}))).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (403, Some("urn:sluice:problem:masked-fact")),
            "{when}"
        );
    }
    // A trial goes to whoever tests: none of the template's wordings may show it.
    for language in [Value::Null, json!("en"), json!("de")] {
        let asked = json!({"customer": customer, "to": "me@shop.example", "language": language});
        let (status, problem) =
            run.api_as(Some(&token), "POST", "/api/templates/hello/test-send", Some(asked)).await;
        assert_eq!((status, problem["field"].as_str()), (403, Some("template")), "{problem:#}");
    }
    assert!(run.print() == before);
    let asked = json!({"customer": customer, "to": "me@shop.example"});
    let (status, answer) =
        run.api_as(Some(&token), "POST", "/api/templates/plain/test-send", Some(asked)).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn a_segment_does_not_tell_what_its_condition_reads() {
    let Seen { run, customer, .. } = somebody().await;
    let token = run.new_token("marketer", None).await;
    for (name, when) in [
        ("reachable", None),
        ("deep", None),
        ("any", Some("'deep' in segments")),
        ("any", Some("size(segments) > 1")),
        ("any", Some("segments.exists(one, one.startsWith('d'))")),
    ] {
        let body = when.map_or_else(|| json!({}), |when| json!({"when": when}));
        let path = format!("/api/segments/{name}/preview");
        let (status, problem) = run.api_as(Some(&token), "POST", &path, Some(body)).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (403, Some("urn:sluice:problem:masked-fact")),
            "{name} {when:?}: {problem:#}"
        );
    }
    let names = |view: &Value| -> Vec<String> {
        let segments = view["segments"].as_array().unwrap().iter();
        segments.map(|one| one["segment"].as_str().unwrap().to_owned()).collect()
    };
    let path = format!("/api/customers/{customer}");
    assert_eq!(names(&run.customer(&customer).await), ["deep", "plain", "reachable"]);
    assert_eq!(names(&run.api_as(Some(&token), "GET", &path, None).await.1), ["plain"]);
    assert_eq!(run.api_as(Some(&token), "POST", "/api/segments/plain/preview", Some(json!({}))).await.0, 200);
    run.finish().await;
}

#[tokio::test]
async fn what_a_caller_wrote_is_read_back_as_it_is_right_or_wrong() {
    let Seen { run, lead, customer, .. } = somebody().await;
    let marketer = run.new_token("marketer", None).await;
    for guess in ["+4930901820", "+4930901821", "Kanarienvogel"] {
        let asked = json!({"customer": customer, "language": "en", "data": {"guess": guess}});
        let (status, shown) =
            run.api_as(Some(&marketer), "POST", "/api/templates/echo/preview", Some(asked)).await;
        assert_eq!(status, 200, "{shown:#}");
        assert!(shown["html"].as_str().unwrap().contains(&format!("<p>{guess} •••")), "{shown:#}");
    }
    let owner = run.show(&lead).await["owner"].as_str().unwrap().to_owned();
    let token = run.new_token("rep", Some(&owner)).await;
    for guess in ["+4930901820", "+4930901821"] {
        let note = json!({"channel": "phone", "note": format!("is it {guess}")});
        let path = format!("/api/leads/{lead}/contacts");
        let (status, answer) = run.api_as(Some(&token), "POST", &path, Some(note.clone())).await;
        assert_eq!((status, &answer["contact"]["note"]), (200, &note["note"]), "{answer:#}");
        let (_, view) = run.api_as(Some(&token), "GET", &format!("/api/leads/{lead}"), None).await;
        let contacts = view["contacts"].as_array().unwrap();
        assert!(contacts.iter().any(|one| one["note"] == note["note"]), "{view:#}");
        // What somebody else wrote is not.
        let others = contacts.iter().find(|one| one["by"] == "admin").unwrap();
        assert_eq!(others["note"], "••• wants a call on •••");
    }
    let (status, view) = run
        .api_as(
            Some(&token),
            "POST",
            &format!("/api/leads/{lead}/disqualify"),
            Some(json!({"reason": "no +4930901820"})),
        )
        .await;
    assert_eq!((status, &view["acts"][0]["reason"]), (200, &json!("no +4930901820")), "{view:#}");
    assert!(view["why"].to_string().contains(": no +4930901820"), "{view:#}");
    run.settle().await;
    run.finish().await;
}

#[tokio::test]
async fn a_trial_is_of_what_was_looked_at() {
    let Seen { run, customer, .. } = somebody().await;
    let token = run.new_token("marketer", None).await;
    let asked = json!({"customer": customer, "to": "me@shop.example"});
    // Nobody can say what a template reads that cannot be shown.
    let before = run.print();
    let fails = json!({"customer": customer, "to": "me@shop.example", "data": {"list": 5}});
    let (status, problem) =
        run.api_as(Some(&token), "POST", "/api/templates/lacking/test-send", Some(fails)).await;
    assert_eq!(
        (status, problem["type"].as_str()),
        (422, Some("urn:sluice:problem:template-fails")),
        "{problem:#}"
    );
    assert!(run.print() == before);
    // It reads more by the time it is sent.
    run.refusals.refuse("serve-console", "AmazonSQS.", usize::MAX, (503, "ServiceUnavailable"));
    let (status, answer) =
        run.api_as(Some(&token), "POST", "/api/templates/plain/test-send", Some(asked)).await;
    assert_eq!(status, 202, "{answer:#}");
    run.refusals.lift();
    run.apply("kind: template\nname: plain\nchannel: email\nsubject: Hello\nhtml: <p>Call {{ customer.phone }}</p>\ndefaults: { customer.phone: you }\n").await;
    run.pass(Duration::from_secs(70)).await;
    run.fire_timers().await;
    let sent: Vec<String> = run
        .raw_mails()
        .into_iter()
        .filter(|(to, _)| to[0].contains("me@shop.example"))
        .map(|(_, mail)| mail)
        .collect();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].contains("Hello") && !sent[0].contains("901820"), "{}", sent[0]);
    run.finish().await;
}

#[tokio::test]
async fn only_an_admin_says_who_sees_what() {
    let Seen { run, lead, .. } = somebody().await;
    let marketer = run.new_token("marketer", None).await;
    let open = json!({"kind": "access", "name": "default", "masks": {}});
    let before = run.print();
    for (method, path, body) in [
        ("PUT", "/api/policies/access/default", open.clone()),
        ("POST", "/api/policies/apply", json!({"files": [{"file": "a", "text": open.to_string()}]})),
        ("POST", "/api/policies/apply?prune=true", json!({"files": [{"file": "a", "text": POLICIES}]})),
    ] {
        let (status, problem) = run.api_as(Some(&marketer), method, path, Some(body)).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (403, Some("urn:sluice:problem:not-allowed")),
            "{problem:#}"
        );
    }
    run.settle().await;
    assert!(run.print() == before, "a refused publication left something");
    run.apply(&open.to_string()).await;
    let (_, view) = run.api_as(Some(&marketer), "GET", &format!("/api/leads/{lead}"), None).await;
    assert_eq!(view["email"], SAID[0].1);
    run.finish().await;
}

#[tokio::test]
async fn without_a_document_marketers_do_not_see_how_somebody_is_reached() {
    let run = Setup::default().start().await;
    let lead = run.lead(&SAID).await;
    let token = run.new_token("marketer", None).await;
    let (_, view) = run.api_as(Some(&token), "GET", &format!("/api/leads/{lead}"), None).await;
    assert_eq!((&view["email"], &view["phone"]), (&json!("•••"), &json!("•••")));
    assert!(view.to_string().contains("Kanarienvogel"));
    for wrong in ["{marketer: email}", "{admin: [email]}", "{rep: [E-Mail]}"] {
        let text = format!("kind: access\nname: default\nmasks: {wrong}\n");
        let body = json!({"files": [{"file": "a.yaml", "text": text}]});
        assert_eq!(run.api("POST", "/api/policies/validate", Some(body)).await.0, 422, "{wrong}");
    }
    run.finish().await;
}
