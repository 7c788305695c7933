//! Text encodings: UTF-8 unless the sender says otherwise.

use super::{BodyFlag, Submission};
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;

/// The `charset` parameter of a content type.
pub(super) fn parameter(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}

/// The field in which a browser says what it encoded a form in (HTML standard, "Naming form controls: the name attribute").
pub(super) const FIELD: &str = "_charset_";

/// `bytes` as text; what is not in its encoding becomes U+FFFD and is flagged. A byte order mark is a character like any
/// other: a single value that happens to start with one is not in UTF-16.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    charset: Option<&str>,
    submission: &mut Submission,
) -> Cow<'a, str> {
    let encoding = match charset.filter(|label| !label.is_empty()) {
        None => UTF_8,
        Some(label) => Encoding::for_label(label.as_bytes()).unwrap_or_else(|| {
            submission.flag(BodyFlag::UnknownCharset);
            UTF_8
        }),
    };
    let (text, replaced) = encoding.decode_without_bom_handling(bytes);
    if replaced {
        submission.flag(BodyFlag::BadEncoding);
    }
    text
}
