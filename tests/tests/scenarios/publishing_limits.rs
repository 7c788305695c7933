//! How much may be published, and that of more nothing is written.

use crate::command::sluice_in;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES_SEEN, Running, Setup};
use std::fmt::Write;

/// A topic with so many bytes to say.
fn topic(name: &str, bytes: usize) -> Value {
    json!({"kind": "topic", "name": name, "description": {"en": "x".repeat(bytes)}})
}

/// A call that is refused for its size; the problem names these.
async fn refused(run: &Running, (method, path): (&str, &str), body: Value, words: &[&str]) {
    let before = run.print();
    let (status, problem) = run.api(method, path, Some(body)).await;
    assert_eq!(
        (status, problem["type"].as_str()),
        (413, Some("urn:sluice:problem:policies-too-large")),
        "{path}: {problem:#}"
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(words.iter().all(|word| detail.contains(word)), "{path}: {problem:#}");
    assert!(run.print() == before, "{path}: a refused publication left something");
}

#[tokio::test]
async fn documents_that_are_too_large_are_refused_before_anything_is_written() {
    let run = Setup::default().start().await;
    run.pass(POLICIES_SEEN).await;
    let put = |name: &str| format!("/api/policies/topic/{name}");
    let words = ["topic/big", "2000053 bytes", "2000000"];
    refused(&run, ("PUT", put("big").as_str()), topic("big", 2_000_000), &words).await;
    let files = |documents: &[Value]| {
        let file = |document: &Value| json!({"file": "a", "text": document.to_string()});
        json!({"files": documents.iter().map(file).collect::<Vec<_>>()})
    };
    let three = files(&["a", "b", "c"].map(|name| topic(name, 1_400_000)));
    for path in ["/api/policies/apply", "/api/policies/validate"] {
        refused(&run, ("POST", path), three.clone(), &["together", "4000000"]).await;
    }
    let four = files(&["a", "b", "c", "d"].map(|name| topic(name, 1_400_000)));
    refused(&run, ("POST", "/api/policies/apply"), four, &["The call has", "4500000"]).await;
    let mut many = String::new();
    for n in 0..2_400 {
        writeln!(many, "---\nkind: topic\nname: t{n:060}").unwrap();
    }
    let many = json!({"files": [{"file": "many", "text": many}]});
    refused(&run, ("POST", "/api/policies/apply"), many, &["documents", "390000"]).await;

    // What fits is published, and counts for what comes beside it.
    for name in ["one", "two"] {
        let (status, answer) = run.api("PUT", &put(name), Some(topic(name, 1_900_000))).await;
        assert_eq!(status, 200, "{answer:#}");
    }
    run.pass(POLICIES_SEEN).await;
    refused(&run, ("PUT", put("more").as_str()), topic("more", 300_000), &["together", "4000000"]).await;
    run.finish().await;
}

#[tokio::test]
async fn a_folder_with_a_document_that_is_too_large_is_not_published() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("big.json"), topic("big", 2_000_000).to_string()).unwrap();
    let output = sluice_in(folder.path(), &["validate", ".", "--json"]).await;
    assert!(!output.status.success());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message = told["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("2000053 bytes") && message.contains("at most 2000000 "), "{told:#}");
    // Of a folder that names what may be published already, too; no stack is asked.
    let team = "kind: team\nname: sales\nmembers: [{ rep: ann }]\n";
    std::fs::write(folder.path().join("team.yaml"), team).unwrap();
    let apply = ["apply", ".", "--url", "http://127.0.0.1:9", "--token", "slt_any"];
    let output = sluice_in(folder.path(), &apply).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("at most 2000000 "), "{output:?}");
}
