//! From an HTTP request to what the ledger keeps of a lead.

use crate::body::{self, Submission};
use crate::http::HttpRequest;
use crate::problem::Problem;
use crate::sources::SourceLead;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sluice_domain::lead::{ATTRIBUTION, ConsentProof, Envelope, FileNote};
use sluice_domain::policy::Form;
use std::collections::BTreeMap;

/// Bytes of one envelope at most; DynamoDB takes items of 400 KB.
pub const MAX_STORED: usize = 256 * 1024;

/// Longest header or other note kept as attribution, in bytes.
const MAX_HEADER: usize = 512;
/// Longest wording that somebody agreed to, in bytes: a note whose name ends in [`WORDING`].
pub const MAX_WORDING: usize = 8 * 1024;
/// How the name of such a note ends, as in `consent_text`.
const WORDING: &str = "_text";
/// Of a robot's submission: fields looked at, bytes kept of a name or value, and bytes of the whole, which keep the lead's item
/// within one write unit.
const ROBOT_FIELDS: usize = 32;
const ROBOT_TEXT: usize = 64;
const ROBOT_STORED: usize = 480;

/// Whether the field that people cannot see was filled in.
pub fn is_spam(form: &Form, submission: &Submission) -> bool {
    let honeypot = form.honeypot.as_deref();
    honeypot.is_some_and(|name| submission.fields.iter().any(|(n, v)| n == name && !v.trim().is_empty()))
}

/// What the ledger keeps of a form's submission.
pub fn from_form(form: &Form, request: &HttpRequest, submission: Submission) -> Result<Envelope, Problem> {
    let consent = form.consent.as_ref().map(|consent| ConsentProof {
        topic: consent.topic.clone(),
        given: submission.value(&consent.field).is_some_and(is_ticked),
        version: consent.version.clone(),
    });
    let honeypot = form.honeypot.as_deref();
    let mut envelope = Envelope {
        fields: submission.fields.into_iter().filter(|(name, _)| Some(name.as_str()) != honeypot).collect(),
        files: notes(submission.files),
        attribution: of_request(request),
        unreadable: submission.flags.iter().map(|flag| flag.name().to_owned()).collect(),
        raw: submission.raw.map(|raw| STANDARD.encode(raw)),
        consent,
    };
    bound(&mut envelope)?;
    Ok(envelope)
}

/// What the ledger keeps of a submission in which the field was filled in that people cannot see: that field first, and of the
/// others what there is room for. It is enough to know a person by, and no robot decides what it costs.
pub fn from_robot(form: &Form, request: &HttpRequest, submission: &Submission) -> Envelope {
    let is_trap = |name: &str| form.honeypot.as_deref() == Some(name);
    let attribution = request.source_ip.iter().map(|ip| ("ip".to_owned(), ip.clone())).collect();
    let mut envelope = Envelope { attribution, ..Envelope::default() };
    let (trap, others): (Vec<_>, Vec<_>) = submission.fields.iter().partition(|(name, _)| is_trap(name));
    for (name, value) in trap.into_iter().chain(others).take(ROBOT_FIELDS) {
        envelope.fields.push((cut_to(name, ROBOT_TEXT).to_owned(), cut_to(value, ROBOT_TEXT).to_owned()));
        if serde_json::to_vec(&envelope).map_or(usize::MAX, |bytes| bytes.len()) > ROBOT_STORED {
            envelope.fields.pop();
        }
    }
    envelope
}

/// What the ledger keeps of a lead that a source announced.
pub fn from_source(lead: &SourceLead) -> Result<Envelope, Problem> {
    let mut envelope = Envelope {
        fields: lead.fields.clone(),
        files: notes(lead.files.iter().cloned()),
        attribution: lead
            .attribution
            .iter()
            .map(|(name, value)| {
                let most = if name.ends_with(WORDING) { MAX_WORDING } else { MAX_HEADER };
                (name.clone(), cut_to(value, most).to_owned())
            })
            .collect(),
        unreadable: lead.flags.iter().map(|flag| flag.name().to_owned()).collect(),
        raw: lead.raw.as_ref().map(|raw| STANDARD.encode(raw)),
        consent: lead.consent.clone(),
    };
    if let Some(at) = lead.created_at {
        envelope.attribution.insert("created_at".to_owned(), at.rfc3339());
    }
    if lead.test {
        envelope.attribution.insert("test".to_owned(), "true".to_owned());
    }
    bound(&mut envelope)?;
    Ok(envelope)
}

fn notes(files: impl IntoIterator<Item = body::FileNote>) -> Vec<FileNote> {
    let note = |file: body::FileNote| FileNote { field: file.field, name: file.file_name, size: file.size };
    files.into_iter().map(note).collect()
}

fn is_ticked(value: &str) -> bool {
    !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "off" | "no" | "false")
}

/// Parameters of the form's own address and of the page it was on, and who sent it.
fn of_request(request: &HttpRequest) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let page = request.header("referer").map(cut).unwrap_or_default();
    let page_query = page.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
    for query in [Some(request.query.as_str()), page_query].into_iter().flatten() {
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if ATTRIBUTION.contains(&name.as_ref()) && !value.is_empty() {
                all.entry(name.into_owned()).or_insert_with(|| cut(&value).to_owned());
            }
        }
    }
    let header = |name: &str| request.header(name).map(cut);
    let who = [
        ("referrer", Some(page)),
        ("user_agent", header("user-agent")),
        ("accept_language", header("accept-language")),
    ];
    for (name, value) in who {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(ip) = &request.source_ip {
        all.insert("ip".to_owned(), ip.clone());
    }
    all
}

fn cut(text: &str) -> &str {
    cut_to(text, MAX_HEADER)
}

fn cut_to(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The raw body is the first to go; fields that are too large by themselves are refused before anything is written.
fn bound(envelope: &mut Envelope) -> Result<(), Problem> {
    let size = |envelope: &Envelope| serde_json::to_vec(envelope).map_or(usize::MAX, |bytes| bytes.len());
    if envelope.raw.is_some() && size(envelope) > MAX_STORED {
        envelope.raw = None;
        envelope.unreadable.push("raw body left out: too large".to_owned());
    }
    if size(envelope) > MAX_STORED {
        return Err(Problem::new(
            413,
            "lead-too-large",
            "The fields of one lead may take 256 KB. Send less text.",
        ));
    }
    Ok(())
}
