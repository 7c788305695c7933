//! The body of a form post or webhook, read into named fields whatever it was encoded as.
//!
//! A sender's mistake costs as little as possible: what can be read is read, what could not is flagged and the raw
//! bytes are kept. Only a body that is too large, of a foreign type or broken as a whole is refused.

mod charset;
mod disposition;
pub(crate) mod gzip;
pub(crate) mod json;
mod multipart;
mod plain;
mod urlencoded;

#[cfg(test)]
mod tests;

use crate::{http::HttpRequest, problem::Problem};
use bytes::Bytes;
use futures::FutureExt;
use sluice_domain::lead::names::usual;
use std::{fmt, ops::Deref};

/// Largest body in bytes, before and after `Content-Encoding` is undone.
pub const MAX_BODY: usize = 1024 * 1024;
/// Largest body in bytes that may have files in it, whose content is not kept: what of a multipart form fits into the 6 MB
/// that Lambda takes, in which it is base 64.
pub const MAX_WITH_FILES: usize = 4_400 * 1024;
/// Most fields of one body; the rest is left out and flagged, but for a few whose names say that they are standard fields.
/// HubSpot takes as many (developers.hubspot.com, "Submit data to a form").
pub const MAX_FIELDS: usize = 1_000;
/// Longest field name in characters; more is cut and flagged.
pub const MAX_NAME: usize = 200;
/// Longest field value in bytes; more is cut and flagged.
pub const MAX_VALUE: usize = 32 * 1024;

/// Fields beyond [`MAX_FIELDS`] that are taken by their names: an address at the end is worth more than what is before it.
const MAX_LATE: usize = 20;
/// Bytes of the longest name that is looked up there; none of those known is as long.
const MAX_USUAL: usize = 64;

/// Largest file in bytes that is read as the value of its field, where no file is expected.
const SMALL_FILE: usize = 1024;

/// What a body said.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Submission {
    /// Name and value, in the order sent, repeats kept. `a[b]` and nested JSON objects are `a.b`, `a[]` and JSON
    /// lists repeat `a`.
    pub fields: Vec<(String, String)>,
    /// Files that came with it. Their content is not kept.
    pub files: Vec<FileNote>,
    /// What could not be read as sent, each once.
    pub flags: Vec<BodyFlag>,
    /// The body as sent (`Content-Encoding` undone; a multipart form without the content of its files, under a boundary of ours),
    /// where `flags` says that `fields` is not all of it. The same for the same form, however often it is sent.
    pub raw: Option<Bytes>,
}

/// A file that was sent in a form.
#[derive(Clone, PartialEq, Eq)]
pub struct FileNote {
    /// The name of its form field.
    pub field: String,
    /// The file's name on the sender's machine. Personal more often than not.
    pub file_name: String,
    /// The type the sender stated.
    pub content_type: Option<String>,
    /// Size in bytes.
    pub size: u64,
}

/// Something about a body that a person should know; the lead is taken all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BodyFlag {
    /// Text was not in the encoding stated (UTF-8 without one); unreadable bytes became U+FFFD.
    BadEncoding,
    /// The encoding stated is unknown; read as UTF-8.
    UnknownCharset,
    /// No names and values were found, such as in plain prose: a person may still read it.
    NotFields,
    /// JSON nested too deep to be read.
    NestedTooDeep,
    /// JSON with `NaN`, `Infinity` or half a surrogate pair, which is not JSON.
    RepairedJson,
    /// A value was longer than [`MAX_VALUE`].
    ValueCut,
    /// A name was longer than [`MAX_NAME`].
    NameCut,
    /// There were more than [`MAX_FIELDS`] fields.
    TooManyFields,
}

impl BodyFlag {
    /// The flag's stable name, for records and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadEncoding => "body_bad_encoding",
            Self::UnknownCharset => "body_unknown_charset",
            Self::NotFields => "body_not_fields",
            Self::NestedTooDeep => "body_nested_too_deep",
            Self::RepairedJson => "body_repaired_json",
            Self::ValueCut => "body_value_cut",
            Self::NameCut => "body_name_cut",
            Self::TooManyFields => "body_too_many_fields",
        }
    }
}

/// Reads the body of `request`. An empty body has no fields, whatever its type. Fails with 413 `body-too-large`, 415
/// `unsupported-media-type`, 400 `malformed-body`, or 422 `body-not-fields` for JSON that is no object.
pub async fn parse(request: &HttpRequest) -> Result<Submission, Problem> {
    read(request, How { files: Files::Noted, longest: MAX_VALUE }).await
}

/// The same for forms that have no file in them: a small one is the value of its field. Programs that write a part for each
/// field with a file name exist, and nothing but the field can be meant.
pub async fn parse_without_files(request: &HttpRequest) -> Result<Submission, Problem> {
    within(request, MAX_BODY)?;
    read(request, How { files: Files::AreValues, longest: MAX_VALUE }).await
}

/// How a form is read.
#[derive(Clone, Copy)]
struct How {
    files: Files,
    /// The longest value in bytes that is kept whole.
    longest: usize,
}

/// What becomes of the files of a form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Noted,
    /// Those of at most [`SMALL_FILE`] bytes.
    AreValues,
}

/// Whether the body of `request` has at most so many bytes; else 413 `body-too-large`.
pub fn within(request: &HttpRequest, most: usize) -> Result<(), Problem> {
    if request.body.len() > most { Err(gzip::too_large(most)) } else { Ok(()) }
}

/// The largest body of `request` in bytes that is read, by what it says it is.
pub fn most_bytes(request: &HttpRequest) -> usize {
    match ContentType::of_request(request).essence.as_str() {
        "multipart/form-data" => MAX_WITH_FILES,
        _ => MAX_BODY,
    }
}

async fn read(request: &HttpRequest, how: How) -> Result<Submission, Problem> {
    let body = gzip::undo(request, most_bytes(request))?;
    let mut submission = Submission::default();
    if body.is_empty() {
        return Ok(submission);
    }
    let declared = ContentType::of_request(request);
    match declared.kind(&body)? {
        Kind::Multipart(boundary) => {
            multipart::read(&body, &boundary, declared.charset(), how, &mut submission).await?;
        }
        Kind::Json => {
            let text = charset::decode(&body, declared.charset(), &mut submission);
            json::fields(text.trim_start_matches('\u{feff}'), &mut submission)?;
        }
        Kind::Urlencoded => urlencoded::read(&body, declared.charset(), how.longest, &mut submission),
        Kind::Plain => plain::read(&body, declared.charset(), how.longest, &mut submission),
        Kind::Unknown => submission.flag(BodyFlag::NotFields),
    }
    if !submission.flags.is_empty() && submission.raw.is_none() {
        submission.raw = Some(body);
    }
    Ok(submission)
}

/// As [`parse`], for callers that cannot wait: the whole body is at hand, so nothing has to be waited for.
pub(crate) fn parse_now(request: &HttpRequest) -> Result<Submission, Problem> {
    now(parse(request))
}

/// The same with every value as long as it is, for senders who put a document into a field.
pub(crate) fn parse_uncut(request: &HttpRequest) -> Result<Submission, Problem> {
    now(read(request, How { files: Files::Noted, longest: usize::MAX }))
}

fn now(reading: impl Future<Output = Result<Submission, Problem>>) -> Result<Submission, Problem> {
    reading.now_or_never().unwrap_or_else(|| Err(malformed("The body is not all there.")))
}

/// A body that is JSON, with what could not be read as sent.
pub(crate) struct Json {
    node: json::Node,
    flags: Vec<BodyFlag>,
    raw: Bytes,
}

impl Deref for Json {
    type Target = json::Node;

    fn deref(&self) -> &json::Node {
        &self.node
    }
}

impl Json {
    /// A submission without fields yet: what is to be known of the body, and the body where that is anything.
    pub(crate) fn submission(&self) -> Submission {
        let raw = (!self.flags.is_empty()).then(|| self.raw.clone());
        Submission { flags: self.flags.clone(), raw, ..Submission::default() }
    }

    /// The same for one of several items. The body says of others what is none of its business, so it is not kept; and
    /// only an item that shows traces of a mend was mended.
    pub(crate) fn submission_of(&self, item: &json::Node, of: usize) -> Submission {
        if of == 1 {
            return self.submission();
        }
        let is_its_own = |flag: &BodyFlag| match flag {
            BodyFlag::BadEncoding => item.any(&|text| text.is_some_and(|text| text.contains('\u{fffd}'))),
            BodyFlag::RepairedJson => item.any(&|text| text.is_none_or(|text| text.contains('\u{fffd}'))),
            _ => true,
        };
        let flags = self.flags.iter().copied().filter(is_its_own).collect();
        Submission { flags, ..Submission::default() }
    }

    /// The body as it came.
    pub(crate) fn raw(&self) -> &Bytes {
        &self.raw
    }
}

/// The body as JSON, whatever type it was declared as, in the encoding that is stated. Fails with 413 `body-too-large`
/// or 400 `malformed-body`.
pub(crate) fn parse_json(request: &HttpRequest) -> Result<Json, Problem> {
    parse_json_within(request, MAX_BODY)
}

/// The same for a body of at most so many bytes.
pub(crate) fn parse_json_within(request: &HttpRequest, most: usize) -> Result<Json, Problem> {
    let raw = gzip::undo(request, most)?;
    let declared = ContentType::of_request(request);
    let mut submission = Submission::default();
    let text = charset::decode(&raw, declared.charset(), &mut submission);
    let (node, repaired) = json::read(text.trim_start_matches('\u{feff}'))
        .map_err(|_| malformed("The webhook's body is not JSON."))?;
    drop(text);
    if repaired {
        submission.flag(BodyFlag::RepairedJson);
    }
    Ok(Json { node, flags: submission.flags, raw })
}

/// The fields of a query string.
pub(crate) fn parse_query(query: &str) -> Submission {
    let mut submission = Submission::default();
    urlencoded::read(query.as_bytes(), None, MAX_VALUE, &mut submission);
    submission
}

/// Reads one JSON object as a form's post of it is read. Fails with 400 `malformed-body` or 422 `body-not-fields`.
pub fn of_json(text: &str) -> Result<Submission, Problem> {
    let mut submission = Submission::default();
    json::fields(text, &mut submission)?;
    Ok(submission)
}

impl Submission {
    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn flag(&mut self, flag: BodyFlag) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// Adds a field, within the limits.
    pub(crate) fn push(&mut self, name: &str, value: String) {
        self.push_within(name, value, MAX_VALUE);
    }

    /// The same with a limit of its own for the value, in bytes.
    fn push_within(&mut self, name: &str, mut value: String, longest: usize) {
        let is_late = self.fields.len() >= MAX_FIELDS;
        if is_late && (self.fields.len() >= MAX_FIELDS + MAX_LATE || !is_usual(name)) {
            return self.flag(BodyFlag::TooManyFields);
        }
        if value.len() > longest {
            value.truncate(value.floor_char_boundary(longest));
            self.flag(BodyFlag::ValueCut);
        }
        let name = self.cut_name(name);
        self.fields.push((name, value));
    }

    pub(crate) fn cut_name(&mut self, name: &str) -> String {
        match name.char_indices().nth(MAX_NAME) {
            Some((end, _)) => {
                self.flag(BodyFlag::NameCut);
                name[..end].to_owned()
            }
            None => name.to_owned(),
        }
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("fields", &self.fields.len())
            .field("files", &self.files.len())
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FileNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileNote")
            .field("field", &self.field)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Whether a field of this name is usually a standard one.
fn is_usual(name: &str) -> bool {
    name.len() <= MAX_USUAL && usual(name).is_some()
}

/// A `Content-Type` header, taken apart: type and subtype in lower case, and the whole for its parameters.
struct ContentType<'a> {
    essence: String,
    header: &'a str,
}

enum Kind {
    Urlencoded,
    Multipart(String),
    Json,
    Plain,
    Unknown,
}

impl<'a> ContentType<'a> {
    fn of(header: &'a str) -> Self {
        let essence = header.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase();
        Self { essence, header }
    }

    fn of_request(request: &'a HttpRequest) -> Self {
        Self::of(request.header("content-type").unwrap_or_default())
    }

    fn charset(&self) -> Option<&'a str> {
        charset::parameter(self.header)
    }

    fn kind(&self, body: &[u8]) -> Result<Kind, Problem> {
        let is_json = |essence: &str| {
            matches!(essence, "application/json" | "text/json")
                || essence.starts_with("application/") && essence.ends_with("+json")
        };
        match self.essence.as_str() {
            // Some clients put JSON in a form post without changing the type that their library sets. A bare word is a name.
            "application/x-www-form-urlencoded" if is_bracketed(body) && is_whole_json(body) => {
                Ok(Kind::Json)
            }
            "application/x-www-form-urlencoded" => Ok(Kind::Urlencoded),
            "multipart/form-data" => {
                match multer::parse_boundary(self.header).ok().or_else(|| first_line(body)) {
                    Some(boundary) => Ok(Kind::Multipart(boundary)),
                    None => Err(malformed(
                        "The multipart form has no boundary. Let your HTTP client set Content-Type itself.",
                    )),
                }
            }
            essence if is_json(essence) => Ok(Kind::Json),
            // navigator.sendBeacon sends text/plain; its content is whatever the page made. So do forms with that enctype.
            "text/plain" => Ok(match sniff(body) {
                Kind::Unknown if !is_bracketed(body) && plain::is_form(body) => Kind::Plain,
                kind => kind,
            }),
            "" | "application/octet-stream" => Ok(sniff(body)),
            _ => Err(Problem::new(
                415,
                "unsupported-media-type",
                "Send the form as application/x-www-form-urlencoded, multipart/form-data or application/json.",
            )),
        }
    }
}

fn sniff(body: &[u8]) -> Kind {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    if is_whole_json(text) {
        return Kind::Json;
    }
    // A text that begins with a brace, such as a template of somebody's own. Slips that can be mended make JSON of it.
    if is_bracketed(text) {
        let is_nearly_json = json::is_mendable(&String::from_utf8_lossy(text));
        return if is_nearly_json { Kind::Json } else { Kind::Unknown };
    }
    match first_line(body) {
        Some(boundary) => Kind::Multipart(boundary),
        None if text.contains(&b'=') && !text.contains(&b'\n') => Kind::Urlencoded,
        None => Kind::Unknown,
    }
}

/// JSON from end to end, as opposed to a form field whose name starts with a brace or a quote.
fn is_whole_json(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    let is_pair = || body.contains(&b'=') && !is_bracketed(body);
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() && !is_pair()
}

/// Whether it begins as an object or a list does.
fn is_bracketed(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// The boundary of a multipart body, read off its first line.
fn first_line(body: &[u8]) -> Option<String> {
    let line = body.split(|b| *b == b'\r').next()?.strip_prefix(b"--")?;
    let is_boundary = (1..=70).contains(&line.len())
        && line.iter().all(|b| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(b));
    let is_part = body.get(line.len() + 2..)?.get(..10)?.eq_ignore_ascii_case(b"\r\ncontent-");
    (is_boundary && is_part).then(|| String::from_utf8_lossy(line).into_owned())
}

pub(crate) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(400, "malformed-body", detail)
}

/// What is well written and has no names: no fields of a lead.
pub(crate) fn not_fields(what: &str) -> Problem {
    let detail =
        format!("{what} names no fields. Send an object, such as {{\"email\": \"ada@example.com\"}}.");
    Problem::new(422, "body-not-fields", detail)
}
