//! What is wrong with source documents: a source is of a type there is an adapter for, proves itself as that type can,
//! and brings what it needs.

use crate::sns::Certificate;
use crate::sources::{self, Source as Sender};
use sluice_domain::policy::{Auth, Document, Finding, Other, SecretRef, Source, one_of};
use std::collections::BTreeMap;

/// Checks the source documents among these.
pub(super) fn check_sources(documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (document, content) in documents.iter().enumerate() {
        let Document::Source(source) = content else { continue };
        if sources::find(&source.sender).is_none() {
            let (path, message) =
                (vec!["type".to_owned()], format!("there is no source of type `{}`", source.sender));
            let hint = Some(one_of(&source.sender, sources::registry().iter().map(|adapter| adapter.kind())));
            findings.push(Finding { document, path, message, hint, within: None, other: None });
        }
        for (path, message) in mistakes(source) {
            findings.push(Finding { document, path, message, hint: None, within: None, other: None });
        }
    }
    findings
}

/// A tracking library's key says which source a call is of, and how far it is trusted: each has keys of its own.
pub(super) fn check_keys(documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut holders: BTreeMap<&SecretRef, (usize, &Source)> = BTreeMap::new();
    for (document, content) in documents.iter().enumerate() {
        let Document::Source(source) = content else { continue };
        let Some(name) = sources::key_of_tracker(&source.sender) else { continue };
        for (i, reference) in source.secrets.get(name).into_iter().flatten().enumerate() {
            let (first, holder) = *holders.entry(reference).or_insert((document, source));
            if first != document {
                let path = vec!["secrets".to_owned(), name.to_owned(), i.to_string()];
                let message = format!(
                    "`{}` is the key of the source `{}` already: nobody could tell whose a call is, so give each a key of its own",
                    reference.0, holder.name
                );
                let other = Some(Other::Document(first));
                findings.push(Finding { document, path, message, hint: None, within: None, other });
            }
        }
    }
    findings
}

fn mistakes(source: &Source) -> Vec<(Vec<String>, String)> {
    let mut mistakes = Vec::new();
    let mut add = |path: &[&str], message: String| {
        mistakes.push((path.iter().map(|part| (*part).to_owned()).collect(), message));
    };
    let kind = &source.sender;
    // That there is none of its type is said already.
    let Some(adapter) = sources::find(kind) else { return mistakes };
    for name in settings(source).into_iter().filter(|name| !adapter.settings().contains(name)) {
        add(&[name], format!("a source of type {kind} has no `{name}`"));
    }
    if source.signature.is_some() && source.auth != Auth::Signature {
        add(&["signature"], "how it signs is said only with `auth: signature`".to_owned());
    }
    if source.form.as_deref().is_some_and(|form| form.split('/').filter(|part| !part.is_empty()).count() != 2)
    {
        add(&["form"], "a HubSpot form is named as PORTAL/FORM, as at the end of its address".to_owned());
    }
    if source.signature.as_ref().is_some_and(|scheme| !is_header(&scheme.header)) {
        add(&["signature", "header"], "a header's name is letters, digits and dashes".to_owned());
    }
    if source.trusted && !source.origins.is_empty() && adapter.is_tracker() {
        let message = "a key that pages hold is everybody's: leave out `origins`, or `trusted` and use a source of its own \
                       for your servers";
        add(&["trusted"], message.to_owned());
    }
    if kind == "sns" {
        for (path, message) in topics(source) {
            add(&path.iter().map(String::as_str).collect::<Vec<_>>(), message);
        }
    }
    if !adapter.proofs().contains(&source.auth) {
        add(&["auth"], unsuited(adapter));
        return mistakes;
    }
    let needs = sources::needs(adapter, source.auth);
    for name in source.secrets.keys().filter(|name| needs.iter().all(|need| need.name != name.as_str())) {
        let names: Vec<&str> = needs.iter().map(|need| need.name).collect();
        let auth = source.auth.name();
        let message = match names.as_slice() {
            [] => format!("a source with `auth: {auth}` uses no secret"),
            names => format!("{kind} with `auth: {auth}` uses no secret `{name}`, only {}", names.join(", ")),
        };
        add(&["secrets", name], message);
    }
    for need in needs {
        if source.secrets.get(need.name).is_none_or(Vec::is_empty) {
            add(&["secrets"], format!("the secret `{}` is missing. {}", need.name, need.what));
        }
    }
    mistakes
}

/// What is wrong with the topics and the certificate of a source of type `sns`.
fn topics(source: &Source) -> Vec<(Vec<String>, String)> {
    let mut mistakes = Vec::new();
    if source.topics.is_empty() {
        let message =
            "list the ARNs of your topics: SNS signs for everybody's, so without them nothing is believed";
        mistakes.push((vec!["topics".to_owned()], message.to_owned()));
    }
    for (i, topic) in source.topics.iter().enumerate() {
        let parts: Vec<&str> = topic.split(':').collect();
        let is_topic = matches!(parts.as_slice(), ["arn", _, "sns", region, account, name]
            if ![region, account, name].iter().any(|part| part.is_empty()));
        if !is_topic {
            let message =
                "a topic is named by its ARN, such as arn:aws:sns:eu-central-1:123456789012:ses-events";
            mistakes.push((vec!["topics".to_owned(), i.to_string()], message.to_owned()));
        }
    }
    if let Some(Err(error)) = source.certificate.as_ref().map(|pem| Certificate::parse(pem.as_bytes())) {
        mistakes.push((vec!["certificate".to_owned()], error.to_string()));
    }
    mistakes
}

fn unsuited(adapter: &dyn Sender) -> String {
    let kind = adapter.kind();
    match adapter.proofs() {
        [Auth::Signature] => {
            format!("{kind} proves itself in each call, so it has to: write `auth: signature`")
        }
        proofs => {
            let words: Vec<String> = proofs.iter().map(|proof| format!("`auth: {}`", proof.name())).collect();
            match proofs.contains(&Auth::Signature) {
                true => format!("write {}", words.join(" or ")),
                false => format!("{kind} cannot sign; write {}", words.join(" or ")),
            }
        }
    }
}

/// The settings a document has of those that not every type has.
fn settings(source: &Source) -> Vec<&'static str> {
    [
        ("id", source.id.is_some()),
        ("signature", source.signature.is_some()),
        ("events", !source.events.is_empty()),
        ("form", source.form.is_some()),
        ("redirect", source.redirect.is_some()),
        ("topics", !source.topics.is_empty()),
        ("certificate", source.certificate.is_some()),
        ("trusted", source.trusted),
        ("origins", !source.origins.is_empty()),
    ]
    .into_iter()
    .filter_map(|(name, is_there)| is_there.then_some(name))
    .collect()
}

fn is_header(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
