//! Undoing `Content-Encoding`, without letting a small body become a large one.

use super::{MAX_BODY, malformed, within};
use crate::{http::HttpRequest, problem::Problem};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The body as its sender wrote it. 413 above so many bytes, or [`MAX_BODY`] once it is inflated, 415 for a coding other than
/// gzip.
pub(crate) fn undo(request: &HttpRequest, most: usize) -> Result<Bytes, Problem> {
    within(request, most)?;
    match request.header("content-encoding").unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(request.body.clone()),
        "gzip" | "x-gzip" if request.body.is_empty() => Ok(Bytes::new()),
        "gzip" | "x-gzip" => inflate(&request.body),
        _ => Err(Problem::new(
            415,
            "unsupported-media-type",
            "Send the body without Content-Encoding, or with gzip.",
        )),
    }
}

/// What these bytes hold if they are gzip. 413 above [`MAX_BODY`].
pub(crate) fn inflate(bytes: &[u8]) -> Result<Bytes, Problem> {
    let mut body = Vec::new();
    // One byte more than allowed: `take` alone would cut a body that is too large without a word.
    MultiGzDecoder::new(bytes)
        .take(MAX_BODY as u64 + 1)
        .read_to_end(&mut body)
        .map_err(|_| malformed("The body is not gzip although it says so."))?;
    if body.len() > MAX_BODY { Err(too_large(MAX_BODY)) } else { Ok(body.into()) }
}

/// That a body has more than `most` bytes.
pub(super) fn too_large(most: usize) -> Problem {
    let detail = match most {
        MAX_BODY => "The body is larger than 1 MB. Send less, or leave files out.",
        _ => "The body is larger than 4.4 MB. Send less, or leave files out.",
    };
    Problem::new(413, "body-too-large", detail)
}
