//! Recorded requests of real senders with their recorded facts, where the recordings are at hand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy knows the test functions, not their helpers"
)]

use futures::FutureExt;
use serde_json::Value;
use sluice_domain::{policy::Source as Document, time::Timestamp};
use sluice_wire::{
    body::{self, Submission},
    http::HttpRequest,
    sources::{Delivery, Refusal, Secrets, Source, meta},
};
use std::{fs, path::PathBuf};

/// The cases of one sender: its facts, the file, and the secrets beside them.
fn cases(sender: &str) -> Vec<(Value, Vec<u8>)> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/payloads")).join(sender);
    let Ok(index) = fs::read(folder.join("index.json")) else {
        println!("skipped: no recordings at {}", folder.display());
        return Vec::new();
    };
    let index: Value = serde_json::from_slice(&index).unwrap();
    let cases = index["cases"].as_array().unwrap().clone();
    cases
        .into_iter()
        .map(|case| {
            let bytes = fs::read(folder.join(case["file"].as_str().unwrap())).unwrap();
            (case, bytes)
        })
        .collect()
}

fn request(bytes: &[u8]) -> HttpRequest {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let mut start = lines.next().unwrap().split(' ');
    let method = start.next().unwrap().to_owned();
    let (path, query) = start.next().map(|t| t.split_once('?').unwrap_or((t, ""))).unwrap();
    HttpRequest {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers: lines
            .map(|line| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).unwrap())
            .collect(),
        body: bytes[end + 4..].to_vec().into(),
        source_ip: None,
        arrived: None,
    }
}

#[test]
fn every_html_form_is_read_into_its_recorded_fields() {
    for (case, bytes) in cases("html_form") {
        let form: Submission = body::parse(&request(&bytes)).now_or_never().unwrap().unwrap();
        let facts = &case["facts"];
        if let Some(fields) = facts["fields"].as_array() {
            let expected: Vec<(String, String)> =
                fields.iter().map(|pair| serde_json::from_value(pair.clone()).unwrap()).collect();
            assert_eq!(form.fields, expected, "{}", case["id"]);
        }
        for (note, file) in form.files.iter().zip(facts["files"].as_array().into_iter().flatten()) {
            assert_eq!(
                (note.field.as_str(), note.size),
                (file["name"].as_str().unwrap(), file["size"].as_u64().unwrap())
            );
        }
        assert_eq!(form.files.len(), facts["files"].as_array().map_or(0, Vec::len), "{}", case["id"]);
        if facts.get("email").is_some_and(Value::is_null) {
            assert_eq!(form.value("email"), None);
        }
        if facts["spam"] == true {
            assert_ne!(form.value("website_url2"), Some(""));
        }
        assert_eq!(form.flags, [], "{}", case["id"]);
    }
}

#[test]
fn every_meta_request_gets_its_recorded_answer() {
    for (case, bytes) in cases("meta_lead_ads") {
        let (id, facts) = (&case["id"], &case["facts"]);
        if case["method"].is_null() {
            graph_answer(&bytes, facts);
            continue;
        }
        let request = request(&bytes);
        let secrets = Secrets::default()
            .with("app_secret", case["secret"].as_str().unwrap_or("none recorded"))
            .with("verify_token", "meatyhamhock");
        let now = Timestamp::from_seconds(case["now"].as_i64().unwrap());
        if let Some(answer) = meta::Meta.challenge(&request, &secrets) {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            assert_eq!(facts["must_answer_status"], answer.status, "{id}");
            assert!(facts["must_answer_body"].as_str().is_none_or(|body| body == text), "{id}");
            assert!(facts["must_not_echo"].as_str().is_none_or(|secret| !text.contains(secret)), "{id}");
            continue;
        }
        let document = Document { name: "meta".into(), sender: "meta".into(), ..Document::default() };
        let delivery =
            Delivery { request: &request, document: &document, secrets: &secrets, certificate: None, now };
        let verified = meta::Meta.verify(&delivery);
        let expected = match facts["signature"].as_str() {
            Some("valid") => Ok(()),
            Some("missing") => Err(Refusal::Missing),
            _ => Err(Refusal::Wrong),
        };
        assert_eq!(verified, expected, "{id}");
        if let Some(ids) = facts["leadgen_ids"].as_array() {
            let leads = meta::Meta.leads(&delivery).unwrap();
            let found: Vec<_> = leads.iter().map(|lead| lead.external_id.as_deref().unwrap()).collect();
            assert_eq!(found, ids.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>(), "{id}");
            for name in ["form_id", "page_id"] {
                if let Some(expected) = facts[name].as_str() {
                    assert!(
                        leads[0].attribution.contains(&(name.to_owned(), expected.to_owned())),
                        "{id} {name}"
                    );
                }
            }
        }
    }
}

fn graph_answer(bytes: &[u8], facts: &Value) {
    let lead = meta::read_graph(bytes, &Default::default()).unwrap();
    for name in ["full_name", "email", "phone"] {
        let value = lead.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(value, facts[name].as_str(), "{name}");
    }
    assert_eq!(lead.created_at, Timestamp::parse("2026-01-05T09:29:56Z"));
}
