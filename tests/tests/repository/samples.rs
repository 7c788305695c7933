//! Every sample is used: the policies are published as they are, every lead is tried with them.

use crate::stack::Recorded;
use crate::{files, none, relative, root};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Each sample lead with the state, the team and a flag that its README promises.
const LEADS: [(&str, &str, Option<&str>, Option<&str>); 8] = [
    ("bad-fields.json", "assigned", Some("sdr"), Some("email_invalid")),
    ("contact.urlencoded", "assigned", Some("sdr"), None),
    ("everyone-else.json", "assigned", Some("sdr"), None),
    ("german-speaker.json", "assigned", Some("dach"), None),
    ("large-company.json", "assigned", Some("enterprise"), None),
    ("link-seller.json", "spam", None, None),
    ("our-own-test.json", "test", None, None),
    ("with-a-file.multipart", "assigned", Some("enterprise"), None),
];

/// Files of many leads; `tests/tests/scenarios/import.rs` brings them in.
const IMPORTS: [&str; 2] = ["newsletter.ndjson", "trade-fair.csv"];

fn content_type(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("json") => "application/json",
        Some("urlencoded") => "application/x-www-form-urlencoded",
        Some("multipart") => "multipart/form-data; boundary=sluice-sample",
        _ => panic!("{file}: no content type"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sample_policy_can_be_published_and_every_sample_lead_goes_where_its_readme_says() {
    let policies: Vec<(String, String)> = files(&root().join("samples/policies"))
        .iter()
        .map(|path| (relative(path), std::fs::read_to_string(path).unwrap()))
        .collect();
    let stack = Recorded::start(BTreeMap::new()).await;
    stack.publish(&policies).await;
    let readme = std::fs::read_to_string(root().join("samples/leads/README.md")).unwrap();
    let mut wrong = Vec::new();
    for (file, state, team, flag) in LEADS {
        let bytes = std::fs::read(root().join("samples/leads").join(file)).unwrap();
        let asked = json!({
            "form": "contact", "content_type": content_type(file), "encoding": "base64", "body": STANDARD.encode(bytes),
        });
        let answer = stack.call("POST", "/api/leads/try", &asked).await;
        let body = &answer.body;
        let flags: Vec<&str> =
            body["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let as_promised = answer.status == 200
            && body["state"] == state
            && body["owner"]["team"].as_str() == team
            && flag.is_none_or(|flag| flags.contains(&flag));
        if !as_promised {
            wrong.push(format!("{file}: {} {body}", answer.status));
        }
        let line = readme.lines().find(|line| line.starts_with(&format!("| `{file}` |"))).unwrap_or_default();
        if !line.contains(&format!("`{}`", team.unwrap_or(state))) {
            wrong.push(format!("{file}: its README does not say {}", team.unwrap_or(state)));
        }
    }
    none("sample leads", wrong);
    assert_eq!(stack.call("GET", "/api/leads?state=open", &Value::Null).await.body["leads"], json!([]));
    stack.stack.kill().await;
}

#[test]
fn no_sample_is_an_orphan() {
    let used = |name: &str| {
        LEADS.iter().any(|(file, ..)| name == format!("samples/leads/{file}"))
            || IMPORTS.iter().any(|file| name == format!("samples/imports/{file}"))
            // The scenarios of the command's journeys go by all of these.
            || name.starts_with("samples/customers/") && name.ends_with(".json")
            // The company's day is played as it is, by the scenarios of it.
            || name.starts_with("samples/day/") && name.ends_with(".ndjson")
            || name.starts_with("samples/policies/") && name.ends_with(".yaml")
            || name.ends_with("README.md")
    };
    let orphans =
        files(&root().join("samples")).iter().map(|path| relative(path)).filter(|name| !used(name)).collect();
    none("samples that no test uses", orphans);
}
