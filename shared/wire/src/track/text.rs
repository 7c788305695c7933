//! The text of a call's body: gzip and the forms undone in which PostHog's libraries send from a page.

use super::Route;
use crate::body::{MAX_BODY, gzip, malformed};
use crate::http::HttpRequest;
use crate::problem::Problem;
use base64::Engine;
use base64::engine::DecodePaddingMode::Indifferent;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

/// Base 64, padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent),
);
/// What gzip begins with. (RFC 1952.)
const GZIP: &[u8] = &[0x1f, 0x8b];

/// What is left of that where it was read as UTF-8: the second byte is none.
const GARBLED_GZIP: &str = "\u{1f}\u{fffd}";
/// The problem with gzip that API Gateway passed on as text: it takes a body of `text/*` or JSON without `Content-Encoding` for
/// UTF-8 and replaces what is none. So posthog-js sends it, unless it is told not to compress.
pub const GARBLED: &str = "gzip-garbled";

/// The body as text, whatever type it was declared as: libraries declare JSON as `text/plain`, so that a browser need not
/// ask first, or as a form.
pub(super) fn of(route: Route, request: &HttpRequest) -> Result<String, Problem> {
    let body = unpacked(gzip::undo(request, MAX_BODY)?)?;
    let text = String::from_utf8_lossy(&body);
    if text.starts_with(GARBLED_GZIP) {
        let detail = "The body is gzip that was passed on as text, which it does not survive. In a page, initialise posthog-js with \
                      `disable_compression: true`; elsewhere send `Content-Encoding: gzip`.";
        return Err(Problem::new(400, GARBLED, detail));
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    match (route, text.strip_prefix("data=")) {
        (Route::Posthog | Route::Flags, Some(_)) => of_form(text),
        (Route::Posthog | Route::Flags, None) if !text.is_empty() && !text.starts_with(['{', '[']) => {
            of_base64(text)
        }
        _ => Ok(text.to_owned()),
    }
}

/// From a page gzip comes without a header that says so.
fn unpacked(body: Bytes) -> Result<Bytes, Problem> {
    if body.starts_with(GZIP) { gzip::inflate(&body) } else { Ok(body) }
}

/// `data=`: JSON, or the base 64 of it.
fn of_form(text: &str) -> Result<String, Problem> {
    let data = form_urlencoded::parse(text.as_bytes()).find(|(name, _)| name == "data");
    let data = data.map(|(_, value)| value.into_owned()).unwrap_or_default();
    if data.starts_with(['{', '[']) { Ok(data) } else { of_base64(&data) }
}

fn of_base64(text: &str) -> Result<String, Problem> {
    // A `+` that was not escaped in a form came out as a space.
    let text: String = text.chars().map(|c| if c == ' ' { '+' } else { c }).collect();
    let unreadable = || {
        malformed(
            "The body is neither JSON nor the base 64 of it. Send JSON, with gzip if you like, and no other coding.",
        )
    };
    let body = unpacked(BASE64.decode(text.trim()).map_err(|_| unreadable())?.into())?;
    String::from_utf8(body.to_vec()).map_err(|_| unreadable())
}
