//! `multipart/form-data` (RFC 7578).

use super::disposition::{Disposition, FileName, unescaped};
use super::{
    BodyFlag, FileNote, Files, How, MAX_FIELDS, MAX_LATE, SMALL_FILE, Submission, charset, is_usual,
    malformed,
};
use crate::problem::Problem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use multer::Multipart;
use sluice_domain::lead::names::dotted;
use std::{borrow::Cow, convert::Infallible};

/// A text, before its encoding is known: another part may say it.
struct Text {
    /// As it is written.
    name: Vec<u8>,
    charset: Option<String>,
    content: Bytes,
}

/// A file, likewise.
struct File {
    name: Vec<u8>,
    file_name: FileName,
    content_type: Option<String>,
    size: u64,
}

/// Reads every part: text into fields, files into notes, or small ones into fields too. A text is in the encoding its part
/// states, else in the one of the form (`charset`, or a part `_charset_`), as names are. A body that ends in the middle is
/// malformed as a whole, since nobody can tell what is missing.
pub(super) async fn read(
    body: &Bytes,
    boundary: &str,
    charset: Option<&str>,
    how: How,
    submission: &mut Submission,
) -> Result<(), Problem> {
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = Multipart::new(whole, boundary);
    let (mut texts, mut files): (Vec<Text>, Vec<File>) = (Vec::new(), Vec::new());
    while let Some(part) = parts.next_field().await.map_err(refuse)? {
        let is_beyond = texts.len() + files.len() >= MAX_FIELDS;
        if is_beyond {
            submission.flag(BodyFlag::TooManyFields);
        }
        let disposition = part.headers().get("content-disposition").map(|header| header.as_bytes());
        let disposition = Disposition::of(disposition.unwrap_or_default());
        let name = disposition.name().to_vec();
        let content_type = part.content_type().map(ToString::to_string);
        let coding = part.headers().get(CODING).and_then(|coding| coding.to_str().ok()).map(str::to_owned);
        let content = decoded(part.bytes().await.map_err(refuse)?, coding.as_deref());
        let is_value = how.files == Files::AreValues && content.len() <= SMALL_FILE;
        match disposition.file_name() {
            // A file field nobody chose a file for is sent as an empty file without a name.
            Some(file_name) if file_name.bytes.is_empty() && content.is_empty() => {}
            Some(_) if !is_value && is_beyond => {}
            Some(file_name) if !is_value => {
                files.push(File { name, file_name, content_type, size: content.len() as u64 });
            }
            _ => {
                let charset = content_type.as_deref().and_then(charset::parameter).map(str::to_owned);
                texts.push(Text { name, charset, content });
            }
        }
    }
    let said = texts.iter().find(|text| text.name == charset::FIELD.as_bytes());
    let said = said.map(|text| String::from_utf8_lossy(&text.content).trim().to_owned());
    let default = charset.or(said.as_deref());
    for File { name, file_name: FileName { bytes, charset }, content_type, size } in files {
        let field = called(&name, default, submission);
        let file_name = charset::decode(&bytes, charset.as_deref().or(default), submission);
        let (field, file_name) = (submission.cut_name(&field), submission.cut_name(&file_name));
        submission.files.push(FileNote { field, file_name, content_type, size });
    }
    // What is beyond the limit is in what is kept of the body, and no field, unless its name says that it is a standard one.
    let room = MAX_FIELDS.saturating_sub(submission.files.len());
    let is_late = |text: &&Text| is_usual(&String::from_utf8_lossy(&text.name));
    let late = texts.iter().skip(room).filter(is_late).take(MAX_LATE);
    for text in texts.iter().take(room).chain(late) {
        let name = called(&text.name, default, submission);
        let charset = text.charset.as_deref().or(default);
        let value = charset::decode(&text.content, charset, submission).into_owned();
        submission.push_within(&name, value, how.longest);
    }
    if !submission.flags.is_empty() {
        submission.raw = Some(without_files(&texts));
    }
    Ok(())
}

/// How the content of a part is written. RFC 7578, section 4.7, deprecates it for forms; programs that write them as mails still
/// say it.
const CODING: &str = "content-transfer-encoding";

/// The content of a part, whose base 64 is undone. What says that it is base 64 and is none is taken as it stands.
fn decoded(content: Bytes, coding: Option<&str>) -> Bytes {
    let is_coded = coding.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("base64"));
    if !is_coded {
        return content;
    }
    let written: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(written).map_or(content, Bytes::from)
}

/// The name of a field, in the encoding of the form.
fn called(written: &[u8], charset: Option<&str>, submission: &mut Submission) -> String {
    dotted(&charset::decode(&unescaped(written), charset, submission))
}

/// The boundary of what is kept of a form. Browsers make up another one each time, and by its bytes a form that is sent again would
/// be another.
const BOUNDARY: &str = "sluice-5d41c09ab7e2f386";

/// What a person may want to read of a form whose files are not kept: its texts, as they came, and the same of the same form.
fn without_files(texts: &[Text]) -> Bytes {
    let mut kept = Vec::new();
    for Text { name, charset, content } in texts {
        let charset = charset.as_ref().map_or(Cow::Borrowed(""), |charset| {
            format!("Content-Type: text/plain; charset={charset}\r\n").into()
        });
        kept.extend_from_slice(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"").as_bytes());
        kept.extend_from_slice(name);
        kept.extend_from_slice(format!("\"\r\n{charset}\r\n").as_bytes());
        kept.extend_from_slice(content);
        kept.extend_from_slice(b"\r\n");
    }
    kept.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    kept.into()
}

fn refuse(error: multer::Error) -> Problem {
    malformed(match error {
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            "The multipart form ends before its last boundary. Send it again in full."
        }
        _ => "The multipart form cannot be read: its boundary or its part headers are not as in RFC 7578.",
    })
}
