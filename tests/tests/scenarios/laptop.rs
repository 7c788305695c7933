//! What a laptop keeps to itself: SMS and chat are shown there, as their providers would get them, and written to nobody.

use crate::command::{Command, Sluice};
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::http::{self, Answer};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const PHONE: &str = "+12125550199";
/// The header that a document writes a key into, though it should not.
const KEY: &str = "key-in-a-header";

/// An SMS provider in the manner of Twilio and a chat provider in that of WhatsApp, with every way to say who calls.
fn channels(url: &str) -> String {
    format!(
        "
kind: channel
name: sms
via: webhook
from: \"+15005550006\"
webhook:
  url: {url}/Messages.json
  encoding: form
  basic: env:SMS_TOKEN
  headers: {{ x-key: {KEY} }}
  body: {{ To: \"{{{{ to }}}}\", From: \"{{{{ from }}}}\", Body: \"{{{{ text }}}}\" }}
  answer_id: sid
---
kind: channel
name: chat
via: webhook
webhook:
  url: {url}/chat
  bearer: secret:chat
  secrets: [env:CHAT_SIGNING]
  body: {{ to: \"{{{{ to }}}}\", text.body: \"{{{{ text }}}}\" }}
---
kind: template
name: code
channel: sms
text: \"Your code is {{{{ data.code }}}}: https://shop.example/c\"
---
kind: template
name: code-chat
channel: chat
text: \"<b>{{{{ data.code }}}}</b>\"
"
    )
}

async fn provider() -> Fake {
    Fake::start(|_| (201, json!({"sid": "SM17"}))).await
}

async fn customer(run: &Running) -> String {
    let lead = run.lead(&[("email", "ada@person.example"), ("phone", "+1 212 555 0199")]).await;
    run.show(&lead).await["customer"].as_str().unwrap().to_owned()
}

async fn sent(run: &Running, customer: &str, channel: &str, template: &str) -> Value {
    let body = json!({
        "customer": customer, "channel": channel, "template": template, "topic": "service", "data": {"code": "4711 & more"},
    });
    let (status, asked) = run.api("POST", "/api/messages", Some(body)).await;
    assert_eq!(status, 202, "{asked:#}");
    run.settle().await;
    let (_, message) =
        run.api("GET", &format!("/api/messages/{}", asked["message_id"].as_str().unwrap()), None).await;
    assert_eq!(message["state"], "sent", "{message:#}");
    message
}

/// A page of the stack at `url`, as a program or a browser asks for it.
async fn page(url: &str, path: &str) -> Answer {
    let answer = http::request(url, "GET", path, &[], b"").await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer
}

#[tokio::test]
async fn an_sms_is_kept_as_its_provider_would_get_it_and_the_provider_gets_nothing() {
    let provider = provider().await;
    let setup = Setup::policies(format!("{POLICIES}---{}", channels(&provider.url))).keeping_calls();
    let run = setup.var("SMS_TOKEN", "AC1:geheim").start().await;
    let ada = customer(&run).await;
    let message = sent(&run, &ada, "sms", "code").await;
    assert!(provider.seen().is_empty());

    let list = page(&run.stack.addresses.url, "/_local/mail?format=json&q=sms").await.json();
    let [kept] = list["mails"].as_array().unwrap().as_slice() else { panic!("{list:#}") };
    assert_eq!(
        (&kept["channel"], &kept["from"], &kept["to"]),
        (&json!("sms"), &json!("+15005550006"), &json!([PHONE]))
    );
    assert_eq!((&kept["id"], &kept["tags"]["message"]), (&message["note"], &message["id"]), "{message:#}");
    let path = format!("/_local/mail/{}", kept["id"].as_str().unwrap());
    let whole = page(&run.stack.addresses.url, &format!("{path}?format=json")).await;
    let shown = whole.json();
    assert_eq!(shown["text"], "Your code is 4711 & more: https://shop.example/c");
    assert_eq!(shown["links"][0]["url"], "https://shop.example/c");
    let body = "Body=Your+code+is+4711+%26+more%3A+https%3A%2F%2Fshop.example%2Fc&From=%2B15005550006&To=%2B12125550199";
    let request = json!({
        "url": format!("{}/Messages.json", provider.url), "content_type": "application/x-www-form-urlencoded", "body": body,
    });
    assert_eq!(shown["request"], request, "what a provider gets by an_sms_is_one_call_of_the_provider");

    let views = ["", "?view=text", "?view=links", "?view=request"].map(|view| format!("{path}{view}"));
    let mut seen = whole.text();
    for address in views.into_iter().chain([format!("{path}/raw"), "/_local/mail".to_owned()]) {
        seen.push_str(&page(&run.stack.addresses.url, &address).await.text());
    }
    assert!(seen.contains("Messages.json") && seen.contains("4711 &amp; more"), "{seen}");
    for secret in ["geheim", "QUMxOmdlaGVpbQ", KEY, "Basic "] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    run.finish().await;
}

#[tokio::test]
async fn a_secret_that_is_not_on_the_laptop_holds_nothing_back_and_who_is_erased_is_kept_no_longer() {
    let provider = provider().await;
    let run =
        Setup::policies(format!("{POLICIES}---{}", channels(&provider.url))).keeping_calls().start().await;
    let ada = customer(&run).await;
    sent(&run, &ada, "sms", "code").await;
    sent(&run, &ada, "chat", "code-chat").await;
    let list = page(&run.stack.addresses.url, "/_local/mail?format=json&q=chat").await.json();
    assert_eq!((&list["total"], &list["mails"][0]["to"]), (&json!(1), &json!([PHONE])), "{list:#}");
    let path = format!("/_local/mail/{}", list["mails"][0]["id"].as_str().unwrap());
    let shown = page(&run.stack.addresses.url, &format!("{path}?format=json")).await.json();
    let body: Value = serde_json::from_str(shown["request"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({"to": PHONE, "text": {"body": "<b>4711 & more</b>"}}));
    let html = page(&run.stack.addresses.url, &path).await.text();
    assert!(html.contains("&lt;b&gt;4711") && !html.contains("<b>4711"), "{html}");
    assert!(provider.seen().is_empty());

    let kept = || run.stack.ses.list().into_iter().filter(|mail| mail.channel.is_some()).count();
    assert_eq!(kept(), 2);
    assert_eq!(run.api("DELETE", &format!("/api/customers/{ada}"), None).await.0, 202);
    run.settle().await;
    assert_eq!(kept(), 0);
    run.pass(Duration::from_secs(61)).await;
    run.fire_timers().await;
    run.finish().await;
}

/// What became of an SMS that a running `sluice dev` was asked for.
async fn asked_of(sluice: &Sluice, documents: &str) -> Value {
    let files = json!({"files": [{"file": "channels.yaml", "text": documents}]});
    assert!(sluice.api("POST", "/api/policies/apply", Some(files)).await["version"].is_number());
    let lead = sluice.post("email=ada%40person.example&phone=%2B12125550199").await.unwrap().lead_id();
    let customer = sluice.ended(&lead).await["customer"].clone();
    let body = json!({"customer": customer, "channel": "sms", "template": "code", "topic": "service", "data": {"code": "1"}});
    let id = loop {
        // Functions go by the documents of before for up to two seconds.
        let asked = sluice.api("POST", "/api/messages", Some(body.clone())).await;
        match asked["message_id"].as_str() {
            Some(id) => break id.to_owned(),
            None => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    loop {
        let message = sluice.api("GET", &format!("/api/messages/{id}"), None).await;
        if message["attempts"] == 1 && message["state"] != "claimed" {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_command_calls_providers_only_if_it_is_told_to() {
    let provider = provider().await;
    // Nothing is missing that a provider would ask for: what keeps the command from calling is that nobody said so.
    let documents = channels(&provider.url).replace("  basic: env:SMS_TOKEN\n", "");
    for (is_told, calls) in [(false, 0), (true, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let command = Command::new(folder.path());
        let sluice = Sluice::start(&if is_told { command.calling_providers() } else { command }).await;
        let message = asked_of(&sluice, &documents).await;
        assert_eq!(message["state"], "sent", "{message:#}");
        let kept = page(&sluice.url, "/_local/mail?format=json&q=sms").await.json();
        assert_eq!((provider.seen().len(), &kept["total"]), (calls, &json!(1 - calls)));
        sluice.kill();
    }
}
