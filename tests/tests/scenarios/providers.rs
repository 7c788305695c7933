//! The samples' channels as they are written: what their providers get, and which of their answers names the message.

use crate::command::ROOT;
use crate::messages::{ask, show, with, with_ada};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use std::path::Path;

/// Of Twilio's Messages API: the account is part of the path.
const TWILIO: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000000/Messages.json";
/// Of the WhatsApp Cloud API: so is the number that sends.
const WHATSAPP: &str = "/v24.0/000000000000000/messages";

const CHAT: &str = "
kind: template
name: hello-chat
channel: chat
text: \"Hello {{ customer.first_name }}: {{ data.code }}\"
defaults: { customer.first_name: there, data.code: none }
";

/// The sample's documents, with this address in the place of both providers' hosts.
fn channels(url: &str) -> String {
    let mut text = std::fs::read_to_string(Path::new(ROOT).join("samples/policies/channels.yaml")).unwrap();
    for host in ["https://api.twilio.com", "https://graph.facebook.com"] {
        assert_eq!(text.matches(host).count(), 1, "{host} in {text}");
        text = text.replace(host, url);
    }
    text
}

#[tokio::test]
async fn the_samples_providers_get_what_they_document_and_are_believed_by_the_id_they_answer() {
    let provider = Fake::start(|request| match request.uri().path() {
        TWILIO => (201, json!({"sid": "SM17", "status": "queued", "error_code": null})),
        WHATSAPP => {
            let contacts = json!([{"input": "+12125550199", "wa_id": "12125550199"}]);
            let messages = json!([{"id": "wamid.17"}]);
            (200, json!({"messaging_product": "whatsapp", "contacts": contacts, "messages": messages}))
        }
        _ => (404, json!({})),
    })
    .await;
    let (run, ada) = with_ada(with(&format!("{}\n---\n{}", CHAT.trim(), channels(&provider.url)))).await;
    let account = "AC00000000000000000000000000000000:token-of-the-account";
    for (name, secret) in [("twilio", account), ("whatsapp", "token-of-the-number")] {
        run.stack.secrets.put(&format!("sluice/sources/{name}"), secret.to_owned()).unwrap();
    }
    let sent = async |channel: &str, note: &str| {
        let template = format!("hello-{channel}");
        let wanted = json!({"channel": channel, "template": template, "data": {"code": "4711 & more"}});
        let id = ask(&run, &ada, wanted).await;
        run.settle().await;
        let message = show(&run, &id).await;
        assert_eq!((&message["state"], &message["note"]), (&json!("sent"), &json!(note)), "{message:#}");
        let call = provider.seen().pop().unwrap();
        assert_eq!(call.method(), "POST");
        call
    };

    let sms = sent("sms", "SM17").await;
    assert_eq!(sms.uri().path(), TWILIO);
    assert_eq!(sms.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(sms.headers()["authorization"], format!("Basic {}", STANDARD.encode(account)));
    let body = "Body=Hello+Ada%3A+4711+%26+more&From=%2B15005550006&To=%2B12125550199";
    assert_eq!(String::from_utf8_lossy(sms.body()), body);

    let chat = sent("chat", "wamid.17").await;
    assert_eq!(chat.uri().path(), WHATSAPP);
    assert_eq!(chat.headers()["content-type"], "application/json");
    assert_eq!(chat.headers()["authorization"], "Bearer token-of-the-number");
    let body = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+12125550199", "type": "text",
        "text": {"body": "Hello Ada: 4711 & more"},
    });
    assert_eq!(serde_json::from_slice::<Value>(chat.body()).unwrap(), body);
    assert_eq!(provider.seen().len(), 2, "each is called once");
    run.finish().await;
}
