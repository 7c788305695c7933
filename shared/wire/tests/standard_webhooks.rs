//! Our signatures are what a receiver that goes by the specification believes: on the requests of the repository's
//! fixtures and of a larger collection where that is at hand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy knows the test functions, not their helpers"
)]

use serde_json::Value;
use sluice_domain::time::Timestamp;
use sluice_wire::standard_webhooks::{SigningKey, headers};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How far a receiver lets the time be off, in seconds; the reference libraries have five minutes.
const TOLERANCE: i64 = 300;

/// A request as its receiver has it.
struct Received {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

fn read(bytes: &[u8]) -> Received {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
    Received {
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect(),
        body: bytes[end + 4..].to_vec(),
    }
}

/// What a receiver does: signs what came with its own secret, and looks for that among the signatures.
fn believes(received: &Received, secret: &str, now: i64) -> bool {
    let header = |name: &str| received.headers.get(name).map(String::as_str);
    let (Some(id), Some(time), Some(signatures)) =
        (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
    else {
        return false;
    };
    let Ok(time) = time.parse::<i64>() else { return false };
    let key = [SigningKey::read(secret).unwrap()];
    let [_, _, (_, own)] = headers(&key, id, Timestamp::from_seconds(time), &received.body);
    (now - time).abs() <= TOLERANCE && signatures.split(' ').any(|signature| signature == own)
}

#[test]
fn what_we_sign_is_what_the_fixtures_say() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/standard_webhooks");
    let more = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/payloads/standard_webhooks");
    let mut believed = 0;
    for folder in [own, more] {
        let Ok(index) = fs::read(folder.join("index.json")) else {
            println!("skipped: nothing at {}", folder.display());
            continue;
        };
        let index: Value = serde_json::from_slice(&index).unwrap();
        for case in index["cases"].as_array().unwrap() {
            let (id, file) = (case["id"].as_str().unwrap(), folder.join(case["file"].as_str().unwrap()));
            if file.extension().is_some_and(|extension| extension == "json") {
                believed += usize::from(vector(&fs::read(file).unwrap()));
                continue;
            }
            let received = read(&fs::read(file).unwrap());
            let now = case["now"].as_i64().unwrap();
            let expected = case["facts"]["signature"].as_str().unwrap().starts_with("valid");
            assert_eq!(believes(&received, case["secret"].as_str().unwrap(), now), expected, "{id}");
            believed += usize::from(expected);
        }
    }
    assert!(believed >= 3, "{believed}");
}

/// What the libraries of the specification's authors (MIT) are tested with, in each of their languages.
const PUBLISHED: &str = r#"{
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "timestamp": 1614265330,
    "payload": "{\"test\": 2432232314}",
    "signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
}"#;

#[test]
fn the_published_vector_is_signed_as_the_reference_libraries_sign_it_and_nothing_else_is_believed() {
    assert!(vector(PUBLISHED.as_bytes()));
    let vector: Value = serde_json::from_str(PUBLISHED).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    let at = vector["timestamp"].as_i64().unwrap();
    let received = |body: &str, id: &str, time: i64| Received {
        headers: [("id", id.to_owned()), ("timestamp", time.to_string()), ("signature", text("signature"))]
            .map(|(name, value)| (format!("webhook-{name}"), value))
            .into(),
        body: body.as_bytes().to_vec(),
    };
    let (body, id, secret) = (text("payload"), text("msg_id"), text("secret"));
    assert!(believes(&received(&body, &id, at), &secret, at + 10));
    let other_body = body.replace(": ", ":");
    for (wrong, why) in [
        (received(&other_body, &id, at), "another body"),
        (received(&body, "msg_other", at), "another id"),
        (received(&body, &id, at + 1), "another time"),
    ] {
        assert!(!believes(&wrong, &secret, at + 10), "{why}");
    }
}

/// A vector as it is published: secret, id, time, body and the signature that comes of them.
fn vector(bytes: &[u8]) -> bool {
    let vector: Value = serde_json::from_slice(bytes).unwrap();
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    let key = [SigningKey::read(&text("secret")).unwrap()];
    let at = Timestamp::from_seconds(vector["timestamp"].as_i64().unwrap());
    let [_, _, (_, signature)] = headers(&key, &text("msg_id"), at, text("payload").as_bytes());
    assert_eq!(signature, text("signature"));
    true
}
