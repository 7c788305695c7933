//! Addresses: a normalised identity, known to the store only by its keyed hash.

use crate::pii::Pii;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of strong identity, best evidence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// An id the sender's own system gives the person.
    #[serde(rename = "x")]
    External,
    /// E-mail, by its match key.
    #[serde(rename = "e")]
    Email,
    /// Phone, in E.164.
    #[serde(rename = "p")]
    Phone,
}

impl IdentityKind {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => "external_id",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// One normalised identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its kind.
    pub kind: IdentityKind,
    value: Pii<String>,
}

impl Identity {
    /// An identity from its normalised value.
    pub fn new(kind: IdentityKind, value: String) -> Self {
        Self { kind, value: Pii::new(value) }
    }
}

/// A secret for hashing addresses, with the version that hashes carry.
#[derive(Clone)]
pub struct HashKey {
    version: String,
    key: hmac::Key,
}

impl HashKey {
    /// A key from its secret.
    pub fn new(version: impl Into<String>, secret: &[u8]) -> Self {
        Self { version: version.into(), key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashKey(version {})", self.version)
    }
}

/// The current key and, while a rotation lasts, the one before: claims use the current, look-ups try both.
#[derive(Clone, Debug)]
pub struct HashKeys {
    /// The key new claims use.
    pub current: HashKey,
    /// The key before, during a rotation.
    pub previous: Option<HashKey>,
}

impl HashKeys {
    /// The hashes to look an identity up by, the one to claim first.
    pub fn hashes(&self, identity: &Identity) -> Vec<AddressHash> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|key| AddressHash::of(key, identity))
            .collect()
    }
}

/// The keyed hash of an identity: key version, then HMAC-SHA256 cut to 144 bits, URL-safe base 64.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressHash(String);

impl AddressHash {
    fn of(key: &HashKey, identity: &Identity) -> Self {
        let input = format!("{}\u{0}{}", identity.kind.name(), identity.value.reveal());
        let tag = hmac::sign(&key.key, input.as_bytes());
        Self(format!("{}.{}", key.version, URL_SAFE_NO_PAD.encode(&tag.as_ref()[..18])))
    }

    /// The hash as text, safe in a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a hash back from a key.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_under_another_kind_or_key_is_another_address() {
        let keys =
            HashKeys { current: HashKey::new("2", b"now"), previous: Some(HashKey::new("1", b"before")) };
        let email = keys.hashes(&Identity::new(IdentityKind::Email, "1".into()));
        let phone = keys.hashes(&Identity::new(IdentityKind::Phone, "1".into()));
        assert_eq!(email.len(), 2);
        assert!(email[0].as_str().starts_with("2.") && email[1].as_str().starts_with("1."));
        assert_ne!(email[0], phone[0]);
    }
}
