//! Addresses: a normalised identity, known to the store only by its keyed hash.

use crate::matching::BlockingKey;
use crate::pii::Pii;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kinds of identity, best evidence first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// An id the sender's own system gives the person.
    #[serde(rename = "x")]
    External,
    /// WeChat's unionid: one person in all apps, accounts and mini programs of one WeChat Open Platform account.
    #[serde(rename = "w")]
    WechatUnion,
    /// WeChat's openid: one person in one app; the app is the namespace.
    #[serde(rename = "o")]
    WechatOpen,
    /// The id an ad platform gives the person who saw the advertisement; the source is the namespace, since platforms
    /// scope such ids to a page or an app.
    #[serde(rename = "u")]
    AdUser,
    /// E-mail, by its match key.
    #[serde(rename = "e")]
    Email,
    /// Phone, in E.164.
    #[serde(rename = "p")]
    Phone,
    /// The WeChat number that people tell each other. Weak: its holder can change it, and it is typed by hand.
    #[serde(rename = "n")]
    WechatId,
    /// What a browser or device calls itself. Weak: several people may use one, and one person several.
    #[serde(rename = "a")]
    Anonymous,
}

impl IdentityKind {
    /// Every kind, best evidence first.
    pub const ALL: [Self; 8] = [
        Self::External,
        Self::WechatUnion,
        Self::WechatOpen,
        Self::AdUser,
        Self::Email,
        Self::Phone,
        Self::WechatId,
        Self::Anonymous,
    ];

    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => "external_id",
            Self::WechatUnion => "wechat_unionid",
            Self::WechatOpen => "wechat_openid",
            Self::AdUser => "ad_user_id",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::WechatId => "wechat_id",
            Self::Anonymous => "anonymous_id",
        }
    }

    /// Whether two customers join over it, and whether two values of it keep them apart. A weak one only leads to its
    /// customer where nothing better does.
    pub const fn is_strong(self) -> bool {
        !matches!(self, Self::WechatId | Self::Anonymous)
    }

    /// Whether values mean something only beside who gave them: one person has one in each namespace.
    pub const fn has_namespace(self) -> bool {
        matches!(self, Self::External | Self::WechatOpen | Self::AdUser)
    }
}

/// One normalised identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its kind.
    pub kind: IdentityKind,
    /// Who gave the id, by the name of a source, form or system; empty for kinds without.
    pub namespace: String,
    value: Pii<String>,
}

impl Identity {
    /// An identity from its normalised value.
    pub fn new(kind: IdentityKind, value: String) -> Self {
        Self { kind, namespace: String::new(), value: Pii::new(value) }
    }

    /// An identity in its namespace; kinds without one have an empty one.
    pub fn within(kind: IdentityKind, namespace: &str, value: String) -> Self {
        Self { kind, namespace: namespace.to_owned(), value: Pii::new(value) }
    }

    /// The normalised value.
    pub fn value(&self) -> &str {
        self.value.reveal()
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

/// The current key and all that were current once: claims and gates are written under the current, look-ups try all. What
/// was written under an old one stays where it is, so no key is ever given up.
#[derive(Clone, Debug)]
pub struct HashKeys {
    current: HashKey,
    old: Vec<HashKey>,
}

impl HashKeys {
    /// With the key that is written under.
    pub const fn new(current: HashKey) -> Self {
        Self { current, old: Vec::new() }
    }

    /// With a key that something may have been written under, or that others may write under already.
    #[must_use]
    pub fn with_old(mut self, key: HashKey) -> Self {
        if key.version != self.current.version && self.old.iter().all(|held| held.version != key.version) {
            self.old.push(key);
        }
        self
    }

    /// The hashes to look an identity up by, the one to claim first.
    pub fn hashes(&self, identity: &Identity) -> Vec<AddressHash> {
        self.all().map(|key| AddressHash::of(key, identity)).collect()
    }

    /// The hash an identity is claimed under now.
    pub fn hash(&self, identity: &Identity) -> AddressHash {
        AddressHash::of(&self.current, identity)
    }

    /// The hashes to look a blocking key up by, the one to write first.
    pub fn block_hashes(&self, block: &BlockingKey) -> Vec<AddressHash> {
        let input = format!("block\u{0}{}", block.as_str());
        self.all().map(|key| AddressHash::sign(key, &input, "")).collect()
    }

    /// The hashes that anything said about a person is found again by, without keeping it.
    pub fn fact_hashes(&self, value: &str) -> Vec<AddressHash> {
        let input = format!("fact\u{0}{value}");
        self.all().map(|key| AddressHash::sign(key, &input, "")).collect()
    }

    fn all(&self) -> impl Iterator<Item = &HashKey> {
        std::iter::once(&self.current).chain(&self.old)
    }
}

/// The keyed hash of an identity: key version, then HMAC-SHA256 cut to 144 bits, URL-safe base 64. Behind `~` stands
/// the namespace, where there is one: it names a system, not a person, and says which values contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AddressHash(String);

impl AddressHash {
    fn of(key: &HashKey, identity: &Identity) -> Self {
        let value = identity.value.reveal();
        let input = match identity.kind.has_namespace() {
            true => format!("{}\u{0}{}\u{0}{value}", identity.kind.name(), identity.namespace),
            false => format!("{}\u{0}{value}", identity.kind.name()),
        };
        Self::sign(key, &input, &identity.namespace)
    }

    fn sign(key: &HashKey, input: &str, namespace: &str) -> Self {
        let tag = hmac::sign(&key.key, input.as_bytes());
        let hash = URL_SAFE_NO_PAD.encode(&tag.as_ref()[..18]);
        let behind = if namespace.is_empty() { "" } else { "~" };
        Self(format!("{}.{hash}{behind}{namespace}", key.version))
    }

    /// The namespace of the identity; empty for kinds without.
    pub fn namespace(&self) -> &str {
        self.0.split_once('~').map(|(_, namespace)| namespace).unwrap_or_default()
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
        let keys = HashKeys::new(HashKey::new("2", b"now")).with_old(HashKey::new("1", b"before"));
        let email = keys.hashes(&Identity::new(IdentityKind::Email, "1".into()));
        let phone = keys.hashes(&Identity::new(IdentityKind::Phone, "1".into()));
        assert_eq!(email.len(), 2);
        assert!(email[0].as_str().starts_with("2.") && email[1].as_str().starts_with("1."));
        assert_ne!(email[0], phone[0]);
    }

    #[test]
    fn however_often_the_key_was_rotated_an_address_is_found_under_each_key_once() {
        let identity = Identity::new(IdentityKind::Email, "ada@example.org".into());
        let first = HashKeys::new(HashKey::new("1", b"first"));
        let third = HashKeys::new(HashKey::new("3", b"third"))
            .with_old(HashKey::new("1", b"first"))
            .with_old(HashKey::new("2", b"second"))
            .with_old(HashKey::new("3", b"third"))
            .with_old(HashKey::new("1", b"first"));
        let hashes = third.hashes(&identity);
        let versions: Vec<&str> =
            hashes.iter().map(|hash| hash.as_str().split('.').next().unwrap_or_default()).collect();
        assert_eq!(versions, ["3", "1", "2"], "the one to write first, and no key twice");
        assert!(hashes.contains(&first.hash(&identity)));
        assert_eq!(hashes[0], third.hash(&identity));
    }
}
