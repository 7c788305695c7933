//! Tokens: what they say, and what does not verify.

use super::*;
use crate::id::CustomerId;
use crate::time::Timestamp;
use proptest::prelude::*;

fn keys() -> LinkKeys {
    LinkKeys::new("2", b"now").unwrap().with_old("1", b"before")
}

fn message(seed: &str, at: i64) -> MessageId {
    MessageId::of(&CustomerId::derived(&[seed]), Timestamp(at), &["api", seed])
}

fn subject(message: MessageId, channel: Channel, topic: &str) -> Subject {
    let address = AddressHash::from_text("1.MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw~app.one");
    Subject { message, channel, address, topic: topic.to_owned(), is_trial: false }
}

fn every(seed: &str, at: i64, number: u16, topic: &str) -> Vec<Link> {
    let message = message(seed, at);
    let subjects = Channel::ALL.map(|channel| subject(message.clone(), channel, topic));
    let subjects = subjects.into_iter().flat_map(|one| [Subject { is_trial: true, ..one.clone() }, one]);
    let wishes = subjects.flat_map(|one| [Link::Preferences(one.clone()), Link::Confirm(one)]);
    [Link::Open(message.clone()), Link::Click(message.clone(), number)].into_iter().chain(wishes).collect()
}

proptest! {
    #[test]
    fn a_token_says_what_it_was_made_of_and_is_safe_in_a_path(
        seed in "[a-z]{0,8}", at in 0..=(1i64 << 45), number: u16, topic in "[A-Za-z0-9._-]{1,64}",
    ) {
        for link in every(&seed, at, number, &topic) {
            let token = keys().mint(&link);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");
            prop_assert!(token.len() <= LONGEST);
            prop_assert_eq!(keys().read(link.purpose(), &token), Some(link));
        }
    }

    #[test]
    fn a_token_with_any_bit_flipped_is_refused(at in 0..=(1i64 << 45), which: prop::sample::Index, bit in 0..8u32) {
        for link in every("x", at, 3, "product") {
            let mut bytes = keys().mint(&link).into_bytes();
            let place = which.index(bytes.len());
            bytes[place] ^= 1 << bit;
            if let Ok(changed) = String::from_utf8(bytes) {
                for purpose in Purpose::ALL {
                    prop_assert_eq!(keys().read(purpose, &changed), None, "{}", changed);
                }
            }
        }
    }

    #[test]
    fn a_token_is_good_for_its_purpose_only(at in 0..=(1i64 << 45), number: u16) {
        for link in every("x", at, number, "product") {
            let token = keys().mint(&link);
            for other in Purpose::ALL.into_iter().filter(|purpose| *purpose != link.purpose()) {
                prop_assert_eq!(keys().read(other, &token), None);
                let relabelled = format!("{}{}", other.letter(), &token[1..]);
                prop_assert_eq!(keys().read(other, &relabelled), None, "{}", relabelled);
            }
        }
    }

    #[test]
    fn what_is_no_token_is_refused(text in "\\PC{0,80}") {
        for purpose in Purpose::ALL {
            prop_assert_eq!(keys().read(purpose, &text), None);
            prop_assert_eq!(keys().read(purpose, &format!("{}2.{text}.{text}", purpose.letter())), None);
        }
    }
}

#[test]
fn old_keys_are_believed_for_ever_and_never_used() {
    let link = Link::Open(message("x", 1));
    let first = LinkKeys::new("1", b"before").unwrap();
    let token = first.mint(&link);
    assert!(token.starts_with("o1."));
    let mut later = first;
    for version in 2..20 {
        let secret = format!("secret {version}");
        let before = later;
        later = LinkKeys::new(&version.to_string(), secret.as_bytes()).unwrap();
        for (old, key) in [("1", "before".to_owned())]
            .into_iter()
            .map(|(version, secret)| (version.to_owned(), secret))
            .chain((2..version).map(|old| (old.to_string(), format!("secret {old}"))))
        {
            later = later.with_old(&old, key.as_bytes());
        }
        assert_eq!(later.read(Purpose::Open, &token), Some(link.clone()));
        assert_eq!(before.read(Purpose::Open, &later.mint(&link)), None);
    }
}

#[test]
fn a_token_of_a_key_that_is_not_ours_is_refused_whatever_version_it_claims() {
    let link = Link::Click(message("x", 1), 0);
    let forged = LinkKeys::new("2", b"guessed").unwrap().mint(&link);
    assert_eq!(keys().read(Purpose::Click, &forged), None);
    // A key that is listed under the current version's name is not the current one.
    let confused = LinkKeys::new("2", b"now").unwrap().with_old("2", b"guessed");
    assert_eq!(confused.read(Purpose::Click, &forged), None);
}

#[test]
fn a_version_is_letters_and_digits() {
    for version in ["", "1.2", "a b", "12345678901234567", "ä"] {
        assert!(LinkKeys::new(version, b"x").is_none(), "{version}");
    }
}

#[test]
fn tokens_stay_short_and_say_nothing_in_the_clear() {
    let links = Links {
        keys: &keys(),
        url: "https://links.shop.example",
        subject: subject(message("x", 1_795_260_000_000), Channel::Email, "product"),
    };
    let addresses = [links.open(), links.click(11).unwrap(), links.preferences(), links.confirm()];
    for (address, purpose) in addresses.iter().zip(Purpose::ALL) {
        assert!(address.starts_with(&format!(
            "https://links.shop.example/{}/{}2.",
            purpose.letter(),
            purpose.letter()
        )));
        assert!(address.len() < 220, "{} {address}", address.len());
        assert!(!address.contains("product") && !address.contains("email"));
    }
    assert_eq!(links.click(70_000), None);
}

#[test]
fn channels_differ_in_their_letter() {
    let bytes: std::collections::BTreeSet<u8> = Channel::ALL.into_iter().map(channel_byte).collect();
    assert_eq!(bytes.len(), Channel::ALL.len());
    assert!(bytes.iter().all(u8::is_ascii_lowercase), "a trial's are capitals");
}
