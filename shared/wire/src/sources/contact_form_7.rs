//! Contact Form 7 through its webhook plugin: JSON with every field, or the same as the query of a GET. Nothing is
//! signed or numbered. A body made from a template of one's own comes as `text/plain`, or as whatever its author says,
//! and may be anything. Nothing is ever sent again, so what cannot be read is kept for a person to read.

use super::draft::Draft;
use super::{Delivery, KEY_PARAMETER, Source, SourceLead};
use crate::body::json::{Node, push};
use crate::body::{
    BodyFlag, FileNote, Json, MAX_FIELDS, MAX_WITH_FILES, Submission, parse_json_within, parse_now,
    parse_query,
};
use crate::http::HttpRequest;
use crate::problem::Problem;
use bytes::Bytes;
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

    fn takes_files(&self) -> bool {
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
    match parse_json_within(request, MAX_WITH_FILES) {
        Ok(body) if matches!(*body, Node::Object(_)) => Ok(of_object(&body)),
        Err(problem) if problem.status == 413 => Err(problem),
        _ => Ok(parse_now(request).unwrap_or_else(|_| Submission {
            flags: vec![BodyFlag::NotFields],
            raw: Some(without_files(&request.body)),
            ..Submission::default()
        })),
    }
}

fn of_object(body: &Json) -> Submission {
    let mut submission = body.submission();
    for (name, value) in body.members() {
        let one = std::slice::from_ref(value);
        let values = if value.items().is_empty() { one } else { value.items() };
        let files: Option<Vec<FileNote>> = values.iter().map(|value| file(name, value)).collect();
        match files {
            Some(files) => files.into_iter().for_each(|file| note(file, &mut submission)),
            None => push(name, value, &mut submission),
        }
    }
    if !submission.flags.is_empty() {
        submission.raw = Some(without_files(body.raw()));
    }
    submission
}

/// Adds what is said of a file, within the limits.
fn note(mut file: FileNote, submission: &mut Submission) {
    if submission.files.len() >= MAX_FIELDS {
        return submission.flag(BodyFlag::TooManyFields);
    }
    file.field = submission.cut_name(&file.field);
    file.file_name = submission.cut_name(&file.file_name);
    submission.files.push(file);
}

/// The body without what can only be the content of a file: base 64 on and on, as nobody writes it.
fn without_files(body: &Bytes) -> Bytes {
    let is_content = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\\".contains(byte);
    let runs = body.chunk_by(|one, next| is_content(one) == is_content(next));
    runs.filter(|run| run.len() <= LONGEST_WORD || !run.iter().all(is_content)).flatten().copied().collect()
}

/// Longest run of letters, digits, slashes and the like that may be a text, in bytes: addresses of pages are such.
const LONGEST_WORD: usize = 4 * 1024;

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
