//! Undoing `Content-Encoding`, without letting a small body become a large one.

use super::{MAX_BODY, malformed};
use crate::{http::HttpRequest, problem::Problem};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use std::io::Read;

/// The body as its sender wrote it. 413 above [`MAX_BODY`] on either side, 415 for a coding other than gzip.
pub(crate) fn undo(request: &HttpRequest) -> Result<Bytes, Problem> {
    if request.body.len() > MAX_BODY {
        return Err(too_large());
    }
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
    if body.len() > MAX_BODY { Err(too_large()) } else { Ok(body.into()) }
}

fn too_large() -> Problem {
    Problem::new(413, "body-too-large", "The body is larger than 1 MB. Send less, or leave files out.")
}
