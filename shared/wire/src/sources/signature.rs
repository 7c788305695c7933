//! Signatures over raw bytes, and secrets that are sent as they are: compared in constant time.

use super::Refusal;
use base64::Engine;
use base64::engine::DecodePaddingMode::Indifferent;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use sluice_domain::policy::Encoding;
use sluice_domain::time::Timestamp;

/// How far a signed time may be from ours, in milliseconds: five minutes, as Webflow and Calendly say of theirs.
pub(super) const WINDOW_MS: i64 = 300_000;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent);
/// Base 64, padded or not.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
/// The same in the alphabet for URLs.
pub(super) const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);

/// Accepts `signature` if it is the HMAC-SHA256 of `message` under any of `secrets`.
pub(super) fn hmac_sha256<'a>(
    secrets: impl Iterator<Item = &'a str>,
    message: &[u8],
    encoding: Encoding,
    signature: Option<&str>,
) -> Result<(), Refusal> {
    any_hmac_sha256(secrets, message, encoding, signature.as_slice())
}

/// The same for a sender that gives several signatures, as some do while their secret is changed: one has to be good.
pub(super) fn any_hmac_sha256<'a>(
    secrets: impl Iterator<Item = &'a str>,
    message: &[u8],
    encoding: Encoding,
    signatures: &[&str],
) -> Result<(), Refusal> {
    let mut secrets = secrets.peekable();
    if secrets.peek().is_none() {
        return Err(Refusal::NoSecret);
    }
    if signatures.is_empty() {
        return Err(Refusal::Missing);
    }
    let tags: Vec<Vec<u8>> = signatures.iter().filter_map(|text| decode(text, encoding)).collect();
    let signed_by = |secret: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        tags.iter().any(|tag| hmac::verify(&key, message, tag).is_ok())
    };
    if secrets.any(signed_by) { Ok(()) } else { Err(Refusal::Wrong) }
}

/// A header of elements `t=<seconds>,<name>=<hex>` in any order, others ignored: the signature is over the time as
/// written, a dot and the body, and the time must be close to `now`.
pub(super) fn timed<'a>(
    secrets: impl Iterator<Item = &'a str>,
    body: &[u8],
    header: Option<&str>,
    name: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let header = header.unwrap_or_default();
    let time = elements(header, "t").next().unwrap_or_default();
    let signatures: Vec<&str> = if time.is_empty() { Vec::new() } else { elements(header, name).collect() };
    let message = [time.as_bytes(), b".", body].concat();
    any_hmac_sha256(secrets, &message, Encoding::Hex, &signatures)?;
    let seconds: i64 = time.parse().map_err(|_| Refusal::Wrong)?;
    fresh(Timestamp::from_seconds(seconds), now)
}

fn elements<'a>(header: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    header
        .split(',')
        .filter_map(|element| element.split_once('='))
        .filter(move |(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
}

/// Whether a signed time is close enough to ours, before or after.
pub(super) fn fresh(signed: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    if now.since(signed).saturating_abs() <= WINDOW_MS { Ok(()) } else { Err(Refusal::Stale) }
}

/// Accepts a key that the sender sends along if it is any of `secrets`.
pub(super) fn key<'a>(secrets: impl Iterator<Item = &'a str>, given: Option<&str>) -> Result<(), Refusal> {
    let mut secrets = secrets.peekable();
    if secrets.peek().is_none() {
        return Err(Refusal::NoSecret);
    }
    let given = given.filter(|given| !given.is_empty()).ok_or(Refusal::KeyMissing)?;
    if secrets.any(|secret| same(secret, given)) { Ok(()) } else { Err(Refusal::KeyWrong) }
}

/// Whether two secrets are equal, in a time that tells nothing about where they differ.
pub(super) fn same(ours: &str, theirs: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, ours.as_bytes());
    let tag = hmac::sign(&key, ours.as_bytes());
    hmac::verify(&key, theirs.as_bytes(), tag.as_ref()).is_ok()
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => from_hex(text),
        Encoding::Base64 => STANDARD.decode(text).ok(),
    }
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
        hmac_sha256(secrets.iter().copied(), MESSAGE, Encoding::Hex, signature)
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
    fn base_64_may_lack_its_padding_and_is_not_hex() {
        let base64 = STANDARD.encode(from_hex(SIGNATURE).unwrap());
        let check = |text: &str| hmac_sha256(["Jefe"].into_iter(), MESSAGE, Encoding::Base64, Some(text));
        assert_eq!(check(&base64), Ok(()));
        assert_eq!(check(base64.trim_end_matches('=')), Ok(()));
        assert_eq!(check(SIGNATURE), Err(Refusal::Wrong));
    }

    /// `t` and the signature of `t.body` under "secret".
    fn header(seconds: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        format!("t={seconds},v1={}", hex(hmac::sign(&key, format!("{seconds}.body").as_bytes()).as_ref()))
    }

    #[test]
    fn a_signed_time_is_good_for_five_minutes_either_way() {
        let now = 1_767_605_400;
        let check = |header: &str| {
            timed(["next", "secret"].into_iter(), b"body", Some(header), "v1", Timestamp::from_seconds(now))
        };
        for good in [now - 300, now, now + 300] {
            assert_eq!(check(&header(good)), Ok(()), "{good}");
        }
        for stale in [now - 301, now + 301, 0, -1] {
            assert_eq!(check(&header(stale)), Err(Refusal::Stale), "{stale}");
        }
        let (time, signature) =
            header(now).split_once(',').map(|(t, v)| (t.to_owned(), v.to_owned())).unwrap();
        assert_eq!(check(&format!("v0=00, {signature} , {time}")), Ok(()), "in any order, others ignored");
        assert_eq!(check(&format!("{time},v1=00,{signature}")), Ok(()), "one of several is enough");
        assert_eq!(check(&time), Err(Refusal::Missing));
        assert_eq!(check(&signature), Err(Refusal::Missing));
        assert_eq!(check(&format!("t=1767605401,{signature}")), Err(Refusal::Wrong), "another time");
        assert_eq!(check(&format!("t=,{signature}")), Err(Refusal::Missing));
        assert_eq!(check(&format!("t= {now},v1=zz")), Err(Refusal::Wrong));
    }

    #[test]
    fn a_key_has_to_be_there_and_to_be_one_of_ours() {
        let check = |secrets: &[&str], given| key(secrets.iter().copied(), given);
        assert_eq!(check(&["old", "new"], Some("new")), Ok(()));
        assert_eq!(check(&["old", "new"], Some("newer")), Err(Refusal::KeyWrong));
        assert_eq!(check(&["old"], None), Err(Refusal::KeyMissing));
        assert_eq!(check(&["old"], Some("")), Err(Refusal::KeyMissing));
        assert_eq!(check(&[], Some("")), Err(Refusal::NoSecret));
    }

    #[test]
    fn secrets_are_the_same_only_if_they_are() {
        assert!(same("token", "token"));
        assert!(!same("token", "token2") && !same("token", "") && !same("token", "Token"));
    }
}
