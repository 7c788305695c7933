//! Signatures over raw bytes, compared in constant time.

use super::Refusal;
use ring::hmac;

/// Accepts `signature` (lower- or upper-case hex) if it is the HMAC-SHA256 of `message` under any of `secrets`.
pub(super) fn hmac_sha256_hex<'a>(
    secrets: impl Iterator<Item = &'a str>,
    message: &[u8],
    signature: Option<&str>,
) -> Result<(), Refusal> {
    let mut secrets = secrets.peekable();
    if secrets.peek().is_none() {
        return Err(Refusal::NoSecret);
    }
    let tag = from_hex(signature.ok_or(Refusal::Missing)?).ok_or(Refusal::Wrong)?;
    let signed_by = |secret: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hmac::verify(&key, message, &tag).is_ok()
    };
    if secrets.any(signed_by) { Ok(()) } else { Err(Refusal::Wrong) }
}

/// Whether two secrets are equal, in a time that tells nothing about where they differ.
pub(super) fn same(ours: &str, theirs: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, ours.as_bytes());
    let tag = hmac::sign(&key, ours.as_bytes());
    hmac::verify(&key, theirs.as_bytes(), tag.as_ref()).is_ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const SIGNATURE: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const MESSAGE: &[u8] = b"what do ya want for nothing?";

    fn check(secrets: &[&str], signature: Option<&str>) -> Result<(), Refusal> {
        hmac_sha256_hex(secrets.iter().copied(), MESSAGE, signature)
    }

    #[test]
    fn a_signature_under_any_of_the_secrets_is_believed_and_no_other() {
        assert_eq!(check(&["Jefe"], Some(SIGNATURE)), Ok(()));
        assert_eq!(check(&["new", "Jefe"], Some(&SIGNATURE.to_uppercase())), Ok(()));
        assert_eq!(check(&["new"], Some(SIGNATURE)), Err(Refusal::Wrong));
        assert_eq!(check(&["Jefe"], None), Err(Refusal::Missing));
        assert_eq!(check(&[], Some(SIGNATURE)), Err(Refusal::NoSecret));
        for broken in
            ["", "5", "5b", &SIGNATURE[2..], &SIGNATURE[1..], "zz", "+1", "é", &format!("{SIGNATURE}00")]
        {
            assert_eq!(check(&["Jefe"], Some(broken)), Err(Refusal::Wrong), "{broken}");
        }
    }

    #[test]
    fn secrets_are_the_same_only_if_they_are() {
        assert!(same("token", "token"));
        assert!(!same("token", "token2") && !same("token", "") && !same("token", "Token"));
    }
}
