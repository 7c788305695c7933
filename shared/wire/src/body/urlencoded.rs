//! `application/x-www-form-urlencoded` (WHATWG URL, section 5), with an encoding other than UTF-8 where stated.

use super::{Submission, charset};
use sluice_domain::lead::names::dotted;

/// Reads every pair; a piece without `=` is a name without a value. Never fails: what is not percent-encoded is taken
/// as it stands. The encoding is the one stated, else the one that the form says in its field for it.
pub(super) fn read(body: &[u8], charset: Option<&str>, longest: usize, submission: &mut Submission) {
    let pairs = || body.trim_ascii_end().split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    let said = pairs().find_map(|pair| pair.strip_prefix(charset::FIELD.as_bytes())?.strip_prefix(b"="));
    let said = said.map(|label| String::from_utf8_lossy(&percent_decode(label)).into_owned());
    let charset = charset.or(said.as_deref());
    for pair in pairs() {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let name = percent_decode(parts.next().unwrap_or_default());
        let value = percent_decode(parts.next().unwrap_or_default());
        let name = dotted(&charset::decode(&name, charset, submission));
        let value = charset::decode(&value, charset, submission).into_owned();
        submission.push_within(&name, value, longest);
    }
}

pub(super) fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => match after {
                [high, low, after @ ..] => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => {
                        rest = after;
                        high << 4 | low
                    }
                    _ => b'%',
                },
                _ => b'%',
            },
            other => other,
        });
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
