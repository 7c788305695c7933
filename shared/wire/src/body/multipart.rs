//! `multipart/form-data` (RFC 7578).

use super::{
    BodyFlag, FileNote, Files, How, MAX_FIELDS, SMALL_FILE, Submission, charset, malformed,
    urlencoded::percent_decode,
};
use crate::problem::Problem;
use bytes::Bytes;
use futures::stream;
use multer::{Field, Multipart};
use sluice_domain::lead::names::dotted;
use std::{borrow::Cow, convert::Infallible};

/// A text, before its encoding is known: another part may say it.
struct Text {
    name: String,
    charset: Option<String>,
    content: Bytes,
}

/// Reads every part: text into fields, files into notes, or small ones into fields too. A text is in the encoding its part
/// states, else in the one of the form (`charset`, or a part `_charset_`). A body that ends in the middle is malformed as a
/// whole, since nobody can tell what is missing.
pub(super) async fn read(
    body: &Bytes,
    boundary: &str,
    charset: Option<&str>,
    how: How,
    submission: &mut Submission,
) -> Result<(), Problem> {
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = Multipart::new(whole, boundary);
    let mut texts: Vec<Text> = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(refuse)? {
        let is_beyond = texts.len() + submission.files.len() >= MAX_FIELDS;
        if is_beyond {
            submission.flag(BodyFlag::TooManyFields);
        }
        let name = dotted(part.name().unwrap_or_default());
        let file_name = file_name(&part);
        let content_type = part.content_type().map(ToString::to_string);
        let content = part.bytes().await.map_err(refuse)?;
        let is_value = how.files == Files::AreValues && content.len() <= SMALL_FILE;
        match file_name {
            // A file field nobody chose a file for is sent as an empty file without a name.
            Some(file_name) if file_name.is_empty() && content.is_empty() => {}
            Some(_) if !is_value && is_beyond => {}
            Some(file_name) if !is_value => {
                let (field, file_name) = (submission.cut_name(&name), submission.cut_name(&file_name));
                let size = content.len() as u64;
                submission.files.push(FileNote { field, file_name, content_type, size });
            }
            _ => {
                let charset = content_type.as_deref().and_then(charset::parameter).map(str::to_owned);
                texts.push(Text { name, charset, content });
            }
        }
    }
    let said = texts.iter().find(|text| text.name == charset::FIELD);
    let said = said.map(|text| String::from_utf8_lossy(&text.content).trim().to_owned());
    let default = charset.or(said.as_deref());
    // What is beyond the limit is no field, and in what is kept of the body.
    for text in texts.iter().take(MAX_FIELDS.saturating_sub(submission.files.len())) {
        let charset = text.charset.as_deref().or(default);
        let value = charset::decode(&text.content, charset, submission).into_owned();
        submission.push_within(&text.name, value, how.longest);
    }
    if !submission.flags.is_empty() {
        submission.raw = Some(without_files(&texts));
    }
    Ok(())
}

/// The file's name; `None` for a part that is none. Some name it only as RFC 5987 does, `filename*=UTF-8''caf%C3%A9.pdf`, which
/// RFC 7578 forbids and which is a file all the same.
fn file_name(part: &Field<'_>) -> Option<String> {
    if let Some(name) = part.file_name() {
        return Some(name.to_owned());
    }
    let disposition =
        String::from_utf8_lossy(part.headers().get("content-disposition")?.as_bytes()).into_owned();
    let parameters = || disposition.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let named = |wanted: &str| {
        let mut all = parameters().filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        all.next().map(|(_, value)| value.trim().trim_matches('"'))
    };
    let extended = named("filename*")?;
    let mut pieces = extended.splitn(3, '\'');
    let name = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(label), Some(_language), Some(name)) => {
            let encoding = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap_or(encoding_rs::UTF_8);
            encoding
                .decode_without_bom_handling(&percent_decode(name.replace('+', "%2B").as_bytes()))
                .0
                .into_owned()
        }
        _ => extended.to_owned(),
    };
    Some(named("filename").map_or(name, str::to_owned))
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
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n{charset}\r\n");
        kept.extend_from_slice(head.as_bytes());
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
