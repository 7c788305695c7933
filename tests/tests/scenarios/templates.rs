//! What a customer would read: previews through the API and the command, with documents that are refused.

use crate::command::{Command, Sluice, binaries};
use serde_json::{Value, json};
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::{POLICIES, POLICIES_SEEN, Running, Setup};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const COMPANY: &str = "company: { name: Shop, address: Street 1 }\n";

const TEMPLATES: &str = r#"
kind: layout
name: letter
html: |
  <html><body>{{ content }}<p>{{ company.name }} <a href="{{ link.unsubscribe }}">Stop</a></p></body></html>
text: |
  {{ content }}
  {{ company.name }}: {{ link.unsubscribe }}
---
kind: template
name: welcome
language: en
layout: letter
reply_to: "{{ owner.email }}"
subject: Hello {{ customer.first_name }}
html: |
  <h1>Hello {{ customer.first_name }}</h1>
  <p>{{ data.offer }} <a href="https://shop.example/tour">Tour</a></p>
defaults: { customer.first_name: there, owner.email: sales@shop.example }
translations:
  zh: { subject: "您好，{{ customer.first_name }}", html: "<p>您好 {{ data.offer }}</p>", defaults: { customer.first_name: 客户 } }
---
kind: template
name: strict
subject: s
html: |
  <ul>
    {% for item in data.items %}<li>{{ item.name }}</li>{% endfor %}
  </ul>
---
kind: template
name: call
channel: sms
text: "Hi {{ customer.first_name }}"
defaults: { customer.first_name: there }
"#;

/// The usual documents and these.
fn documents() -> String {
    let usual = POLICIES.replace("kind: settings\n", &format!("kind: settings\n{COMPANY}"));
    assert_ne!(usual, POLICIES);
    format!("{usual}---\n{}\n", TEMPLATES.trim())
}

async fn shown(run: &Running, template: &str, body: Value) -> (u16, Value) {
    run.api("POST", &format!("/api/templates/{template}/preview"), Some(body)).await
}

async fn page(run: &Running, template: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str()), ("accept", "text/html,*/*;q=0.8")];
    run.send("POST", &format!("/api/templates/{template}/preview"), &headers, body.to_string().as_bytes())
        .await
}

fn used(preview: &Value, field: &str) -> (String, Value) {
    let row = preview["used"].as_array().unwrap().iter().find(|row| row["field"] == field);
    let row = row.unwrap_or_else(|| panic!("{field}: {preview:#}"));
    (row["from"].as_str().unwrap().to_owned(), row["value"].clone())
}

#[tokio::test]
async fn a_preview_is_what_the_customer_would_read_and_says_where_each_value_comes_from() {
    let run = Setup::policies(documents()).start().await;
    let before = run.table();
    let (status, preview) = shown(&run, "welcome", json!({})).await;
    assert_eq!(status, 200, "{preview:#}");
    assert_eq!((&preview["subject"], &preview["language"]), (&json!("Hello Ada"), &json!("en")));
    assert_eq!(used(&preview, "customer.first_name"), ("sample".to_owned(), json!("Ada")));
    assert_eq!(
        preview["problems"],
        json!(["`data.offer` was not given, so [data.offer] stands in its place"])
    );
    assert_eq!(run.table(), before, "a preview left something");

    let facts = [("email", "mei@person.example"), ("first_name", "<b>Mei</b>"), ("language", "zh-CN")];
    let lead = run.show(&run.lead(&facts).await).await;
    let (customer, owner) = (lead["customer"].as_str().unwrap(), lead["owner"].as_str().unwrap());
    let data = json!({"offer": "10 % & more"});
    let (_, preview) = shown(&run, "welcome", json!({"customer": customer, "data": data})).await;
    assert_eq!((&preview["subject"], &preview["language"]), (&json!("您好，<b>Mei</b>"), &json!("zh")));
    assert!(preview["html"].as_str().unwrap().contains("<p>您好 10 % &amp; more</p>"), "{preview:#}");
    assert_eq!(preview["text"], "您好 10 % & more\nShop: https://example.com/u/sample");
    assert_eq!(used(&preview, "customer.first_name"), ("fact".to_owned(), json!("<b>Mei</b>")));
    assert_eq!(used(&preview, "company.name"), ("settings".to_owned(), json!("Shop")));
    assert_eq!(used(&preview, "data.offer"), ("given".to_owned(), json!("10 % & more")));
    let (from, email) = used(&preview, "owner.email");
    assert_eq!((from.as_str(), email == preview["reply_to"]), ("owner", true), "{owner}: {preview:#}");
    assert_eq!(preview["problems"], json!([]));

    let (_, english) = shown(&run, "welcome", json!({"customer": customer, "language": "en-GB"})).await;
    assert_eq!(
        (&english["language"], &english["links"]),
        (&json!("en"), &json!(["https://shop.example/tour"]))
    );
    assert!(english["html"].as_str().unwrap().contains("Hello &lt;b&gt;Mei&lt;/b&gt;"), "{english:#}");
    let (_, french) =
        shown(&run, "welcome", json!({"customer": customer, "language": "fr", "data": data})).await;
    assert_eq!(french["problems"], json!(["there is no wording for fr, so the template's own is used"]));
    let (_, sms) = shown(&run, "call", json!({"customer": customer})).await;
    assert_eq!(
        (&sms["channel"], &sms["html"], &sms["sms"]["segments"]),
        (&json!("sms"), &Value::Null, &json!(1))
    );
    run.finish().await;
}

#[tokio::test]
async fn a_document_that_is_longer_than_a_page_of_the_table_is_read_whole() {
    let run = Setup::policies(documents()).start().await;
    let long = |language: &str| format!("<p>{language}</p><!--{}-->", "x".repeat(190_000));
    let translations = ["de", "fr", "es", "it", "nl", "zh"].map(|language| {
        let words = json!({"subject": language, "html": long(language)});
        (language.to_owned(), words)
    });
    let translations = Value::Object(translations.into_iter().collect());
    let document = json!({"kind": "template", "name": "long", "language": "en", "subject": "en", "html": long("en"),
        "translations": translations});
    let (status, answer) = run.api("PUT", "/api/policies/template/long", Some(document)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.pass(POLICIES_SEEN).await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    assert_eq!(run.show(&lead).await["state"], "assigned");
    let (status, preview) = shown(&run, "long", json!({"language": "zh"})).await;
    assert_eq!((status, &preview["subject"]), (200, &json!("zh")), "{}", preview["detail"]);
    run.finish().await;
}

#[tokio::test]
async fn a_browser_gets_the_mail_as_a_page_in_which_nothing_runs() {
    let run = Setup::policies(documents()).start().await;
    let answer = page(&run, "welcome", json!({"data": {"offer": "<script>alert(1)</script>"}})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        answer
            .header("content-security-policy")
            .is_some_and(|it| it.starts_with("sandbox; default-src 'none'"))
    );
    assert!(answer.text().starts_with("<html>") && !answer.text().contains("<script"), "{}", answer.text());
    let text = page(&run, "call", json!({})).await;
    assert_eq!(
        (text.header("content-type"), text.text().as_str()),
        (Some("text/plain; charset=utf-8"), "Hi Ada")
    );
    run.finish().await;
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_with_line_and_column() {
    let run = Setup::policies(documents()).start().await;
    for (template, body, status, name, said) in [
        ("none", json!({}), 404, "no-such-template", "There is no template `none`."),
        (
            "welcome",
            json!({"customer": "cu_00000000000000000000000000"}),
            404,
            "no-such-customer",
            "no customer",
        ),
        ("welcome", json!({"language": "klingon"}), 422, "no-such-language", "`zh-Hant`"),
        ("welcome", json!({"costumer": "x"}), 422, "body-unfit", "costumer"),
        ("welcome", json!({"data": 7}), 422, "body-unfit", "map"),
        (
            "strict",
            json!({"data": {"items": [{"name": "secret"}, {}]}}),
            422,
            "template-fails",
            "template/strict, html line 2 column 38: `item.name` is not known and has no default",
        ),
    ] {
        let (found, problem) = shown(&run, template, body).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert_eq!(
            (found, &problem["type"]),
            (status, &json!(format!("urn:sluice:problem:{name}"))),
            "{problem:#}"
        );
        assert!(detail.contains(said) && !detail.contains("secret"), "{problem:#}");
    }
    // A document that would not work for somebody is not published, alone or with others.
    let bad = "kind: template\nname: welcome\nsubject: Hi\ntext: |\n  Hello\n  dear {{ customer.city }}\n";
    let (status, problem) = run.api("PUT", "/api/policies/template/welcome", Some(json!(bad))).await;
    assert_eq!(status, 422, "{problem:#}");
    let bearer = format!("Bearer {}", run.token);
    let headers = [("authorization", bearer.as_str())];
    let answer = run.send("PUT", "/api/policies/template/welcome", &headers, bad.as_bytes()).await;
    answer.is_problem(422, "policy-invalid");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("document:6:11: `customer.city` may be missing"), "{detail}");
    let answer = run.send("POST", "/api/policies/validate", &headers, bad.as_bytes()).await;
    assert!(answer.text().contains("document:6:11: `customer.city` may be missing"), "{}", answer.text());
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_a_template_of_a_stack_and_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let settings = format!("kind: settings\nname: default\n{COMPANY}");
    std::fs::write(folder.path().join("settings.yaml"), &settings).unwrap();
    std::fs::write(folder.path().join("templates.yaml"), TEMPLATES).unwrap();
    let dir = folder.path().to_str().unwrap();
    let alone = |arguments: &[&str]| {
        let mut process = std::process::Command::new(binaries().join("sluice"));
        let output =
            process.args(["template", "preview"]).args(arguments).args(["--dir", dir]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (good, shown, _) = alone(&["welcome"]);
    assert!(good && shown.contains("Subject: Hello Ada") && shown.contains("customer.first_name"), "{shown}");
    let (_, text, _) = alone(&["welcome", "--language", "zh", "--text", "--data", r#"{"offer": "x"}"#]);
    assert_eq!(text.trim(), "您好 x\nShop: https://example.com/u/sample");
    let (_, html, _) = alone(&["welcome", "--html"]);
    assert!(html.starts_with("<html>"), "{html}");
    for wrong in
        [&["none"][..], &["welcome", "--data", "[1]"], &["call", "--html"], &["call", "--language", "?"]]
    {
        let (good, _, said) = alone(wrong);
        assert!(!good && !said.is_empty(), "{wrong:?}");
    }

    // What is shown is for its owner only; here there is no browser that could be started.
    let place = tempfile::tempdir().unwrap();
    let mut process = std::process::Command::new(binaries().join("sluice"));
    process.args(["template", "preview", "welcome", "--open", "--dir", dir]);
    let said = process.env("TMPDIR", place.path()).env("PATH", "").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let mut files = std::fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().path());
    let file = files.next().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains(file.to_str().unwrap()), "{said:?}");
    assert!(std::fs::read_to_string(&file).unwrap().contains("Hello Ada"));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let data = tempfile::tempdir().unwrap();
    let sluice = Sluice::start(&Command::new(data.path())).await;
    let files =
        json!({"files": [{"file": "t.yaml", "text": TEMPLATES}, {"file": "s.yaml", "text": settings}]});
    sluice.api("POST", "/api/policies/apply", Some(files)).await;
    let mut output = sluice.tool(&["template", "preview", "welcome", "--json"]);
    // It is seen within two seconds.
    for _ in 0..100 {
        if output.status.success() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        output = sluice.tool(&["template", "preview", "welcome", "--json"]);
    }
    let preview: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(preview["subject"], "Hello Ada");
    assert!(!sluice.tool(&["template", "preview", "none"]).status.success());
}
