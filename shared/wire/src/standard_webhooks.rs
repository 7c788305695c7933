//! Signatures of Standard Webhooks 1.0.0: the same bytes under the same id and time, for every secret that is in use.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use sluice_domain::time::Timestamp;

/// What the base 64 of a secret begins with.
const PREFIX: &str = "whsec_";

/// A secret to sign with.
pub struct SigningKey(hmac::Key);

/// Why a text is no secret to sign with. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Its letters are others.
    #[error("the signing secret is not base 64 after `whsec_`")]
    Encoding,
    /// Too short to be safe, or too long for receivers.
    #[error("the signing secret is not of 24 to 64 bytes")]
    Length,
}

impl SigningKey {
    /// Reads `whsec_` and the base 64 of 24 to 64 bytes.
    pub fn read(secret: &str) -> Result<Self, SecretError> {
        let secret = secret.trim();
        let bytes = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret));
        let bytes = bytes.map_err(|_| SecretError::Encoding)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(SecretError::Length);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signed = [format!("{id}.{seconds}.").as_bytes(), body].concat();
        format!("v1,{}", STANDARD.encode(hmac::sign(&self.0, &signed).as_ref()))
    }
}

/// The headers of a webhook: `webhook-id` is the same for every attempt, the time and so the signature are not. While a
/// secret is being changed there is a signature for each, and a receiver needs to know one of them.
pub fn headers(keys: &[SigningKey], id: &str, now: Timestamp, body: &[u8]) -> [(String, String); 3] {
    let signatures: Vec<String> = keys.iter().map(|key| key.sign(id, now.seconds(), body)).collect();
    [
        ("webhook-id".to_owned(), id.to_owned()),
        ("webhook-timestamp".to_owned(), now.seconds().to_string()),
        ("webhook-signature".to_owned(), signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_base_64_of_24_to_64_bytes_with_or_without_its_prefix() {
        let secret = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        for bytes in [24, 32, 64] {
            assert!(SigningKey::read(&secret(bytes)).is_ok(), "{bytes}");
        }
        assert!(SigningKey::read(&format!(" {}\n", &secret(24)[PREFIX.len()..])).is_ok());
        for bytes in [0, 23, 65] {
            assert_eq!(SigningKey::read(&secret(bytes)).err(), Some(SecretError::Length), "{bytes}");
        }
        for text in ["whsec_not base 64", "whsec_äöü", "secret!"] {
            assert_eq!(SigningKey::read(text).err(), Some(SecretError::Encoding), "{text}");
        }
    }

    #[test]
    fn each_secret_in_use_signs() {
        let keys = [[1u8; 24], [2u8; 24]].map(|bytes| SigningKey::read(&STANDARD.encode(bytes)).unwrap());
        let both = headers(&keys, "msg_1", Timestamp(1_999), b"{}");
        let first = headers(&keys[..1], "msg_1", Timestamp(1_999), b"{}");
        let second = headers(&keys[1..], "msg_1", Timestamp(1_999), b"{}");
        assert_eq!(both[1].1, "1");
        assert_eq!(both[2].1, format!("{} {}", first[2].1, second[2].1));
    }
}
