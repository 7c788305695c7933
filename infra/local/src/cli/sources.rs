//! `sluice sources`: what each source needs, and the address to paste into its sender's settings.

use super::StackArgs;
use super::output::{Failure, note, pretty, say};
use super::policies::documents_in;
use serde_json::{Value, json};
use sluice_domain::policy::{Auth, Document, Source as SourceDocument};
use sluice_wire::sources::{KEY_PARAMETER, Need, Source, find, hubspot, needs, registry};
use std::path::Path;

pub(crate) async fn list(dir: Option<&Path>, all: bool, stack: &StackArgs) -> Result<(), Failure> {
    let base = &stack.url();
    let key = if all { "types" } else { "sources" };
    let listed: Vec<Value> = match (all, dir) {
        (true, _) => registry().iter().map(|source| of_type(*source, base)).collect(),
        (false, Some(dir)) => configured(&in_folder(dir)?, base),
        (false, None) => configured(&published(stack).await?, base),
    };
    if stack.json {
        say(&pretty(&json!({key: listed})));
        return Ok(());
    }
    listed.iter().for_each(print);
    if listed.is_empty() {
        note("No sources yet. `sluice sources --all` lists the types there are.");
    }
    Ok(())
}

fn in_folder(dir: &Path) -> Result<Vec<SourceDocument>, String> {
    Ok(documents_in(dir)?.into_iter().filter_map(source).collect())
}

async fn published(stack: &StackArgs) -> Result<Vec<SourceDocument>, Failure> {
    let listed = stack.call("GET", "/api/policies", None).await?;
    let mut sources = Vec::new();
    for entry in
        listed["documents"].as_array().into_iter().flatten().filter(|entry| entry["kind"] == "source")
    {
        let name = entry["name"].as_str().unwrap_or_default();
        let document = stack.call("GET", &format!("/api/policies/source/{name}"), None).await?;
        let document = Document::from_json(document).map_err(|error| format!("source/{name}: {error}"))?;
        sources.extend(source(document));
    }
    Ok(sources)
}

fn source(document: Document) -> Option<SourceDocument> {
    match document {
        Document::Source(source) => Some(source),
        _ => None,
    }
}

fn configured(documents: &[SourceDocument], base: &str) -> Vec<Value> {
    let known = documents.iter().filter_map(|document| Some((document, find(&document.sender)?)));
    let of = |(document, source): (&SourceDocument, &'static dyn Source)| {
        let secrets: Vec<Value> = needs(source, document.auth)
            .iter()
            .map(|need| {
                json!({"name": need.name, "what": need.what, "references": document.secrets.get(need.name)})
            })
            .collect();
        json!({
            "name": document.name, "type": document.sender, "auth": document.auth.name(),
            "url": address(document, base), "setup": source.setup(), "secrets": secrets,
            "topics": document.topics,
        })
    };
    known.map(of).collect()
}

/// The whole address; where a key belongs, the secret that holds it stands in its place.
fn address(document: &SourceDocument, base: &str) -> String {
    let path = match document.sender.as_str() {
        "hubspot" => format!("{}{}", hubspot::PATH, document.form.as_deref().unwrap_or("PORTAL/FORM")),
        kind if find(kind).is_some_and(|source| source.is_tracker()) => String::new(),
        _ => format!("/hooks/{}", document.name),
    };
    let key = document.secrets.get("url_key").and_then(|references| references.first());
    match (document.auth, key) {
        (Auth::UrlKey, Some(reference)) => format!("{base}{path}?{KEY_PARAMETER}={{{}}}", reference.0),
        _ => format!("{base}{path}"),
    }
}

fn of_type(source: &dyn Source, base: &str) -> Value {
    let name = |need: &Need| json!({"name": need.name, "what": need.what});
    let proofs: Vec<Value> = source
        .proofs()
        .iter()
        .map(|auth| json!({"auth": auth.name(), "secrets": needs(source, *auth).iter().map(name).collect::<Vec<_>>()}))
        .collect();
    let path = match source.kind() {
        "hubspot" => format!("{}PORTAL/FORM", hubspot::PATH),
        _ if source.is_tracker() => String::new(),
        _ => "/hooks/NAME".to_owned(),
    };
    json!({
        "type": source.kind(), "url": format!("{base}{path}"), "setup": source.setup(), "proofs": proofs,
        "settings": source.settings(),
    })
}

fn print(entry: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&entry["type"]);
    match entry["name"].as_str() {
        Some(name) => say(&format!("{name} (type {kind}, auth: {})", text(&entry["auth"]))),
        None => say(&kind),
    }
    say(&format!("  address  {}", text(&entry["url"])));
    say(&format!("  paste    {}", text(&entry["setup"])));
    for topic in entry["topics"].as_array().into_iter().flatten() {
        say(&format!("  topic    {}", text(topic)));
    }
    for secret in entry["secrets"].as_array().into_iter().flatten() {
        let references: Vec<String> =
            secret["references"].as_array().into_iter().flatten().map(text).collect();
        say(&format!(
            "  secret   {} ({}): {}",
            text(&secret["name"]),
            references.join(", "),
            text(&secret["what"])
        ));
    }
    for proof in entry["proofs"].as_array().into_iter().flatten() {
        say(&format!("  auth     {}", text(&proof["auth"])));
        for secret in proof["secrets"].as_array().into_iter().flatten() {
            say(&format!("    secret {}: {}", text(&secret["name"]), text(&secret["what"])));
        }
    }
}
