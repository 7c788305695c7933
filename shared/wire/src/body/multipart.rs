//! `multipart/form-data` (RFC 7578).

use super::{
    BodyFlag, FileNote, Files, MAX_FIELDS, SMALL_FILE, Submission, charset, malformed, urlencoded::dotted,
};
use crate::problem::Problem;
use bytes::Bytes;
use futures::stream;
use multer::Multipart;
use std::convert::Infallible;

/// Reads every part: text into fields, files into notes, or small ones into fields too. A body that ends in the middle is malformed as a whole,
/// since nobody can tell what is missing.
pub(super) async fn read(
    body: &Bytes,
    boundary: &str,
    files: Files,
    submission: &mut Submission,
) -> Result<(), Problem> {
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = Multipart::new(whole, boundary);
    while let Some(part) = parts.next_field().await.map_err(refuse)? {
        if submission.fields.len() + submission.files.len() >= MAX_FIELDS {
            submission.flag(BodyFlag::TooManyFields);
            break;
        }
        let name = dotted(part.name().unwrap_or_default());
        let file_name = part.file_name().map(str::to_owned);
        let content_type = part.content_type().map(ToString::to_string);
        let content = part.bytes().await.map_err(refuse)?;
        let is_value = files == Files::AreValues && content.len() <= SMALL_FILE;
        match file_name {
            // A file field nobody chose a file for is sent as an empty file without a name.
            Some(file_name) if file_name.is_empty() && content.is_empty() => {}
            Some(file_name) if !is_value => {
                let (field, file_name) = (submission.cut_name(&name), submission.cut_name(&file_name));
                let size = content.len() as u64;
                submission.files.push(FileNote { field, file_name, content_type, size });
            }
            _ => {
                let charset = content_type.as_deref().and_then(charset::parameter);
                let value = charset::decode(&content, charset, submission).into_owned();
                submission.push(&name, value);
            }
        }
    }
    Ok(())
}

fn refuse(error: multer::Error) -> Problem {
    malformed(match error {
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => {
            "The multipart form ends before its last boundary. Send it again in full."
        }
        _ => "The multipart form cannot be read: its boundary or its part headers are not as in RFC 7578.",
    })
}
