//! What senders post, byte for byte as they do, with the proof that each of them gives.

use super::script::dated;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Map, Value, json};
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;

/// A browser that a person sits at.
pub(super) const BROWSER: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15";

/// A request to the stack.
pub(super) struct Post {
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What `env:NAME` in a source's document stands for.
#[derive(Clone, Debug, Default)]
pub struct Secrets(pub BTreeMap<String, String>);

impl Secrets {
    /// The value of the first reference of a source's secret, if it is here.
    fn of(&self, source: &Value, name: &str) -> Result<&str, String> {
        let reference = source["secrets"][name][0].as_str().unwrap_or_default();
        let variable = reference.strip_prefix("env:").unwrap_or_default();
        self.0.get(variable).map(String::as_str).ok_or_else(|| {
            format!("the secret {name} of the source {} is not here ({reference})", source["name"])
        })
    }
}

/// A form as a browser posts it.
pub(super) fn form(
    form: &str,
    fields: &Map<String, Value>,
    language: Option<&str>,
    page: Option<&str>,
    key: &str,
) -> Post {
    let mut body = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        body.append_pair(name, value.as_str().unwrap_or(&value.to_string()));
    }
    // Pages put what their address says of the campaign into hidden fields.
    let query = page.and_then(|page| page.split_once('?')).map(|(_, query)| query).unwrap_or_default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        body.append_pair(&name, &value);
    }
    let mut headers = pairs(&[
        ("content-type", "application/x-www-form-urlencoded"),
        ("user-agent", BROWSER),
        ("idempotency-key", key),
    ]);
    headers.extend(language.map(|language| ("accept-language".to_owned(), language.to_owned())));
    headers.extend(page.map(|page| ("referer".to_owned(), page.to_owned())));
    Post { path: format!("/f/{form}"), headers, body: body.finish().into_bytes() }
}

/// A call of an ad platform or form tool, proved as the type of its source asks.
pub(super) fn hook(
    source: &Value,
    secrets: &Secrets,
    body: &Value,
    day: Timestamp,
    now: Timestamp,
) -> Result<Post, String> {
    let mut body = dated(body, day);
    let mut path = format!("/hooks/{}", source["name"].as_str().unwrap_or_default());
    let kind = source["type"].as_str().unwrap_or_default();
    if kind == "google" {
        body["google_key"] = secrets.of(source, "google_key")?.into();
    }
    if source["auth"] == "url_key" {
        let key: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("key", secrets.of(source, "url_key")?)
            .finish();
        path = format!("{path}?{key}");
    }
    let bytes = body.to_string().into_bytes();
    let proof = match kind {
        "meta" => {
            let signed = hex(&sign(secrets.of(source, "app_secret")?, &bytes));
            Some(("x-hub-signature-256", format!("sha256={signed}")))
        }
        "typeform" => {
            let signed = STANDARD.encode(sign(secrets.of(source, "secret")?, &bytes));
            Some(("typeform-signature", format!("sha256={signed}")))
        }
        "calendly" => {
            let seconds = now.seconds().to_string();
            let message = [seconds.as_bytes(), b".", &bytes].concat();
            let signed = hex(&sign(secrets.of(source, "signing_key")?, &message));
            Some(("calendly-webhook-signature", format!("t={seconds},v1={signed}")))
        }
        "google" | "feiyu" => None,
        other => return Err(format!("a day knows no sender of type {other}")),
    };
    let mut headers = pairs(&[("content-type", "application/json")]);
    headers.extend(proof.map(|(name, value)| (name.to_owned(), value)));
    Ok(Post { path, headers, body: bytes })
}

/// A batch as Segment's libraries send it: each call with an id and a time of its own, the key in Basic.
pub(super) fn calls(
    source: &Value,
    secrets: &Secrets,
    batch: &[Value],
    key: &str,
    day: Timestamp,
    now: Timestamp,
) -> Result<Post, String> {
    let write_key = secrets.of(source, "write_key")?;
    let batch: Vec<Value> = batch
        .iter()
        .enumerate()
        .map(|(number, call)| {
            let mut call = dated(call, day);
            call["messageId"] = format!("{key}#{number}").into();
            if call["timestamp"].is_null() {
                call["timestamp"] = now.rfc3339().into();
            }
            call
        })
        .collect();
    let body = json!({ "batch": batch, "sentAt": now.rfc3339(), "writeKey": write_key });
    let basic = STANDARD.encode(format!("{write_key}:"));
    let headers =
        pairs(&[("content-type", "application/json"), ("authorization", &format!("Basic {basic}"))]);
    Ok(Post { path: "/v1/batch".to_owned(), headers, body: body.to_string().into_bytes() })
}

pub(super) fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sign(secret: &str, message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
