//! Contact Form 7 through its webhook plugin: JSON with every field, or the same as the query of a GET. Nothing is
//! signed or numbered. A body made from a template of one's own comes as `text/plain`, or as whatever its author says,
//! and may be anything. Nothing is ever sent again, so what cannot be read is kept for a person to read.

use super::draft::Draft;
use super::{Delivery, KEY_PARAMETER, Source, SourceLead};
use crate::body::json::{Node, push};
use crate::body::{BodyFlag, FileNote, Json, Submission, parse_json, parse_now, parse_query};
use crate::http::HttpRequest;
use crate::problem::Problem;
use sluice_domain::policy::Auth;

/// The source `contact_form_7`.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContactForm7;

impl Source for ContactForm7 {
    fn kind(&self) -> &'static str {
        "contact_form_7"
    }

    fn setup(&self) -> &'static str {
        "WordPress: Contact, Contact Forms, the form, Webhook: Webhook URL. Leave the method at POST."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::UrlKey, Auth::Public]
    }

    fn takes_get(&self) -> bool {
        true
    }

    fn leads(&self, delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        let is_get = delivery.request.method == "GET";
        let body = if is_get { parse_query(&delivery.request.query) } else { posted(delivery.request)? };
        let (mut draft, fields) = Draft::of(delivery, body);
        for (name, value) in fields.iter().filter(|(name, _)| !is_get || name != KEY_PARAMETER) {
            let name = if is_get { unnumbered(name) } else { name };
            match tag(name) {
                "email" | "your-email" => draft.known_text("email", name, value),
                "tel" | "your-tel" | "your-phone" => draft.known_text("phone", name, value),
                "your-name" => draft.known_text("full_name", name, value),
                _ => draft.text(name, value),
            }
        }
        draft.note_text("user_agent", delivery.request.header("user-agent").unwrap_or_default());
        Ok(vec![draft.finish_by_look()])
    }
}

/// What was posted. Only what is too large is refused.
fn posted(request: &HttpRequest) -> Result<Submission, Problem> {
    match parse_json(request) {
        Ok(body) if matches!(*body, Node::Object(_)) => Ok(of_object(&body)),
        _ => parse_now(request).or_else(|problem| match problem.status {
            413 => Err(problem),
            _ => Ok(Submission {
                flags: vec![BodyFlag::NotFields],
                raw: Some(request.body.clone()),
                ..Submission::default()
            }),
        }),
    }
}

fn of_object(body: &Json) -> Submission {
    let mut submission = body.submission();
    for (name, value) in body.members() {
        let one = std::slice::from_ref(value);
        let values = if value.items().is_empty() { one } else { value.items() };
        let files: Option<Vec<FileNote>> = values.iter().map(|value| file(name, value)).collect();
        match files {
            Some(files) => submission.files.extend(files),
            None => push(name, value, &mut submission),
        }
    }
    if submission.raw.is_none() && !submission.flags.is_empty() {
        submission.raw = Some(body.raw().clone());
    }
    submission
}

/// A file comes as its name and, in base 64, its content, which is not kept.
fn file(field: &str, value: &Node) -> Option<FileNote> {
    let (name, content) = (value.get("filename").text()?, value.get("content").text()?);
    let digits = content.trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
    let size = u64::try_from(digits * 3 / 4).unwrap_or(u64::MAX);
    (value.members().len() == 2).then(|| FileNote {
        field: field.to_owned(),
        file_name: name.to_owned(),
        content_type: None,
        size,
    })
}

/// PHP numbers the items of a list in a query: `a[0]`, which was read as `a.0`.
fn unnumbered(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((list, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => list,
        _ => name,
    }
}

/// The form editor calls a new field after its type, with a number: `email-123`.
fn tag(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((tag, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => tag,
        _ => name,
    }
}
