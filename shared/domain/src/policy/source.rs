//! What a source document may say besides its name, type and secrets.

use serde::{Deserialize, Serialize};

/// How a sender of type `json` signs: HMAC-SHA256 over the raw body, in a header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignatureScheme {
    /// The header it is in; names are the same in any case.
    pub header: String,
    /// How the 32 bytes are written.
    pub encoding: Encoding,
    /// What stands before them in the header, such as `sha256=`. A header without it is refused.
    pub prefix: String,
}

impl Default for SignatureScheme {
    fn default() -> Self {
        Self { header: "x-signature".to_owned(), encoding: Encoding::Hex, prefix: String::new() }
    }
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Two digits a byte, in either case.
    #[default]
    Hex,
    /// RFC 4648 section 4, padded or not.
    Base64,
}
