//! The MD5 digests by which SDKs check that SQS got and gave what was meant.

use super::message::MessageAttribute;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The digest of a body: MD5 over its UTF-8, in lower-case hex.
pub(super) fn of_body(body: &str) -> String {
    hex(Md5::digest(body.as_bytes()).as_slice())
}

/// The digest of message attributes; `None` without any. Developer guide, "Calculating the MD5 message digest for
/// message attributes": by name in order, name, type and value each behind its length in four bytes, big end first,
/// with one byte before the value that says text (1) or bytes (2).
pub(super) fn of_attributes(attributes: &BTreeMap<String, MessageAttribute>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    let mut part = |bytes: &[u8], before: &[u8]| {
        digest.update(before);
        digest.update((bytes.len() as u32).to_be_bytes());
        digest.update(bytes);
    };
    for (name, attribute) in attributes {
        part(name.as_bytes(), &[]);
        part(attribute.data_type.as_bytes(), &[]);
        match (&attribute.string_value, &attribute.binary_value) {
            (_, Some(bytes)) => part(&STANDARD.decode(bytes).unwrap_or_default(), &[2]),
            (text, None) => part(text.as_deref().unwrap_or_default().as_bytes(), &[1]),
        }
    }
    Some(hex(digest.finalize().as_slice()))
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(data_type: &str, text: Option<&str>, bytes: Option<&str>) -> MessageAttribute {
        MessageAttribute {
            data_type: data_type.to_owned(),
            string_value: text.map(str::to_owned),
            binary_value: bytes.map(str::to_owned),
        }
    }

    #[test]
    fn a_body_has_the_digest_of_rfc_1321() {
        assert_eq!(of_body(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(of_body("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    }

    #[test]
    fn attributes_are_digested_in_the_order_of_their_names_whatever_their_kind() {
        let both = BTreeMap::from([
            ("b".to_owned(), attribute("Binary", None, Some("AAE="))),
            ("a".to_owned(), attribute("String", Some("x"), None)),
        ]);
        let mut spelled = Vec::new();
        for (name, kind, mark, value) in
            [("a", "String", 1u8, b"x".as_slice()), ("b", "Binary", 2, b"\x00\x01".as_slice())]
        {
            for bytes in [name.as_bytes(), kind.as_bytes()] {
                spelled.extend((bytes.len() as u32).to_be_bytes());
                spelled.extend(bytes);
            }
            spelled.push(mark);
            spelled.extend((value.len() as u32).to_be_bytes());
            spelled.extend(value);
        }
        assert_eq!(of_attributes(&both), Some(hex(Md5::digest(&spelled).as_slice())));
        assert_eq!(of_attributes(&BTreeMap::new()), None);
    }
}
