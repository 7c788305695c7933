//! E-mail addresses: what one delivers to, and the keys under which the same person is found again.

use crate::pii::Pii;
use email_address::{EmailAddress, Error as Syntax, Options};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// An e-mail address that could be delivered to. The local part is as typed (RFC 5321 section 2.4: only its host may
/// interpret it), the domain in lower case as A-label (IDNA).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(Pii<String>);

/// Why a text is no e-mail address. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Nothing but blanks.
    #[error("the e-mail address is empty")]
    Empty,
    /// Longer than an address can be: 64 bytes before the `@` (RFC 5321 section 4.5.3.1), 254 in all.
    #[error("the e-mail address is too long")]
    TooLong,
    /// Not of the form `local@domain.tld`.
    #[error("this is not an e-mail address; expected one address such as name@example.com")]
    Syntax,
    /// The part after the `@` is no domain name, or one of those that no mail goes to.
    #[error("the part after the @ is not a domain that mail goes to")]
    Domain,
}

impl Email {
    /// Reads one address, without display name, comment or quoted local part. Blanks and invisible characters around
    /// it are dropped. One of a domain that nobody on the internet has is nobody's.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let email = Self::of_any_domain(text)?;
        let top = email.domain().rsplit_once('.').map(|(_, top)| top);
        if top.is_some_and(|top| NOBODYS.contains(&top)) {
            return Err(EmailError::Domain);
        }
        Ok(email)
    }

    /// The same of any domain: for addresses of the company's own, whose mail server may know more of them, and for those that
    /// were taken before.
    pub fn of_any_domain(text: &str) -> Result<Self, EmailError> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        if text.len() > MAX_INPUT {
            return Err(EmailError::TooLong);
        }
        let text: String = text.nfc().collect();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError::Syntax)?;
        // Checked before IDNA, which would drop invisible characters without a word.
        let is_stray = |c: char| c.is_control() || c.is_whitespace() || is_invisible(c);
        if local.starts_with('"') || domain.is_empty() || domain.starts_with('[') || text.contains(is_stray) {
            return Err(EmailError::Syntax);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| EmailError::Domain)?;
        if !idna::domain_to_unicode(&domain).0.chars().all(is_of_domain) {
            return Err(EmailError::Domain);
        }
        // RFC 3696, 2: no top-level domain is all digits.
        if domain.rsplit('.').next().is_some_and(|top| top.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(EmailError::Domain);
        }
        // RFC 6531 lets every character beyond ASCII stand where a letter may, which RFC 5322 knows nothing of. What is neither
        // letter nor digit is of the text around an address.
        let is_letter = |c: char| c.is_ascii() || c.is_alphanumeric() || is_combining_mark(c);
        if !local.chars().all(is_letter) {
            return Err(EmailError::Syntax);
        }
        let letters: String = local.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        EmailAddress::parse_with_options(&format!("{letters}@{domain}"), options).map_err(
            |error| match error {
                Syntax::LocalPartTooLong | Syntax::DomainTooLong => EmailError::TooLong,
                _ => EmailError::Syntax,
            },
        )?;
        let address = format!("{local}@{domain}");
        if local.len() > MAX_LOCAL || address.len() > MAX_ADDRESS {
            return Err(EmailError::TooLong);
        }
        Ok(Self(Pii::new(address)))
    }

    /// Every address that a text may spell out, each once: whom something may be about that cannot be read. Where a character
    /// may be of an address or stand before it, both are said.
    pub fn all_in(text: &str) -> Vec<Self> {
        let is_around = |c: char| c.is_whitespace() || c.is_control() || "\"\\<>()[]{},;:".contains(c);
        let mut seen = BTreeSet::new();
        let read = |reading: &str| Self::of_any_domain(reading.trim_matches('.')).ok();
        let all = text.split(is_around).flat_map(readings).filter_map(read);
        all.filter(|email| seen.insert(email.match_key())).collect()
    }

    /// The address to deliver to.
    pub fn as_sent(&self) -> &str {
        self.0.reveal()
    }

    /// The domain: lower case, A-label.
    pub fn domain(&self) -> &str {
        self.parts().1
    }

    /// The key under which the same mailbox is found: the whole address in lower case. No real host keeps two
    /// mailboxes apart by case. For matching, never for sending.
    pub fn match_key(&self) -> String {
        let (local, domain) = self.parts();
        let local: String = local.to_lowercase().nfc().collect();
        format!("{local}@{domain}")
    }

    /// A weaker key for Gmail only, where dots and everything from `+` on do not count and `googlemail.com` is the
    /// same host. `None` elsewhere (Google Workspace domains keep dots), where nothing is left, and where it would
    /// say no more than [`Email::match_key`]. It may suggest a match, never decide one.
    pub fn weak_key(&self) -> Option<String> {
        if !self.is_loose() {
            return None;
        }
        let (local, _) = self.parts();
        let bare = local.split('+').next().unwrap_or_default().replace('.', "").to_lowercase();
        let key = format!("{bare}@gmail.com");
        (!bare.is_empty() && key != self.match_key()).then_some(key)
    }

    /// Whether one mailbox has many spellings here, see [`Email::weak_key`].
    pub fn is_loose(&self) -> bool {
        matches!(self.parts().1, "gmail.com" | "googlemail.com")
    }

    fn parts(&self) -> (&str, &str) {
        self.as_sent().rsplit_once('@').unwrap_or((self.as_sent(), ""))
    }
}

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_sent())
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_any_domain(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Top-level domains that no mail of the internet goes to: RFC 6761 sections 6.4 and 6.3, RFC 6762, RFC 7686, RFC 3172. `example` and
/// `test` go nowhere either; people try things with them.
const NOBODYS: [&str; 5] = ["invalid", "localhost", "local", "onion", "arpa"];

/// Bytes before normalisation; well above any address, so that hostile text costs nothing.
const MAX_INPUT: usize = 1_000;
const MAX_LOCAL: usize = 64;
/// RFC 3696 erratum 1690: what fits into the path of RFC 5321.
const MAX_ADDRESS: usize = 254;

/// What may be an address each in a word without blanks. Before an `@` it is all of the word, and what follows each character that
/// may be of an address and around one; a domain has none of these.
fn readings(word: &str) -> impl Iterator<Item = &str> {
    let is_either = |c: char| matches!(c, '\'' | '=' | '&');
    word.match_indices('@').flat_map(move |(at, _)| {
        let (before, behind) = (word.get(..at).unwrap_or_default(), word.get(at + 1..).unwrap_or_default());
        let end =
            behind.find(|c: char| is_either(c) || c == '@').map_or(word.len(), |length| at + 1 + length);
        let start = before.rfind('@').map_or(0, |other| other + 1);
        let local = before.get(start..).unwrap_or_default();
        let within = local.match_indices(is_either).map(move |(place, of)| start + place + of.len());
        let whole = (start == 0).then_some(0);
        whole.into_iter().chain(within).filter_map(move |from| word.get(from..end))
    })
}

/// What IDNA 2008 lets stand in a domain (RFC 5892): letters, marks and digits, and what some scripts put between them. Symbols
/// are none of it, though browsers go where they lead.
fn is_of_domain(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '-' | '.' | '·' | '͵' | '׳' | '״' | '・')
}

/// Characters that are seen by nobody and come with copy and paste.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_local_part_is_sent_as_typed_and_matched_in_lower_case() {
        for (text, sent, key, weak) in [
            ("Mia.Berg@Example.ORG", "Mia.Berg@example.org", "mia.berg@example.org", None),
            ("  mia@example.org\u{feff}\n", "mia@example.org", "mia@example.org", None),
            ("JOSÉ@Bücher.example", "JOSÉ@xn--bcher-kva.example", "josé@xn--bcher-kva.example", None),
            ("jose\u{301}@example.org", "josé@example.org", "josé@example.org", None),
            ("M.I.A+shop@Gmail.com", "M.I.A+shop@gmail.com", "m.i.a+shop@gmail.com", Some("mia@gmail.com")),
            ("m.ia@googlemail.com", "m.ia@googlemail.com", "m.ia@googlemail.com", Some("mia@gmail.com")),
            ("mia@gmail.com", "mia@gmail.com", "mia@gmail.com", None),
            ("+only@gmail.com", "+only@gmail.com", "+only@gmail.com", None),
            ("li@qq。com", "li@qq.com", "li@qq.com", None),
            ("a@हिन्दी.भारत", "a@xn--j2bd4cyah0f.xn--h2brj9c", "a@xn--j2bd4cyah0f.xn--h2brj9c", None),
            ("हिन्दी@example.org", "हिन्दी@example.org", "हिन्दी@example.org", None),
            ("m.ia+x@workspace.example", "m.ia+x@workspace.example", "m.ia+x@workspace.example", None),
        ] {
            let email = Email::parse(text).unwrap();
            assert_eq!(email.as_sent(), sent);
            assert_eq!(email.match_key(), key);
            assert_eq!(email.weak_key().as_deref(), weak);
            assert_eq!(email.domain(), sent.rsplit_once('@').unwrap().1);
        }
    }

    #[test]
    fn addresses_are_found_in_what_cannot_be_read() {
        let text = "{\"to\":[\"Mia <mia@example.org>\"],\"m\":\"{\\\"r\\\":\\\"MIA@example.org\\\"}\",'b@two.example.', @, a@b, x=c@three.example&y";
        let found: Vec<String> = Email::all_in(text).iter().map(Email::match_key).collect();
        let read =
            ["mia@example.org", "'b@two.example", "b@two.example", "x=c@three.example", "c@three.example"];
        assert_eq!(found, read);
        assert_eq!(Email::all_in("no address"), []);
    }

    #[test]
    fn an_apostrophe_or_another_sign_in_an_address_that_cannot_be_read_hides_nobody() {
        for (text, meant) in [
            (r#"{"to":"O'Hara@example.org"}"#, "o'hara@example.org"),
            ("{'to': 'o'hara@example.org'}", "o'hara@example.org"),
            ("email=o'hara@example.org&name=o'hara", "o'hara@example.org"),
            ("from=a@b.example&to=r&d@example.org&x=1", "r&d@example.org"),
            ("to=a=b@example.org", "a=b@example.org"),
        ] {
            let found: Vec<String> = Email::all_in(text).iter().map(Email::match_key).collect();
            assert!(found.iter().any(|key| key == meant), "{text}: {found:?}");
        }
        assert_eq!(Email::all_in("mia@two@example.org"), []);
        assert_eq!(Email::all_in(&"='@".repeat(50_000)), []);
    }

    #[test]
    fn what_cannot_be_delivered_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", EmailError::Empty),
            (" \u{200b} ", EmailError::Empty),
            ("mia", EmailError::Syntax),
            ("mia@", EmailError::Syntax),
            ("@example.org", EmailError::Syntax),
            ("mia@two@example.org", EmailError::Syntax),
            ("mi..a@example.org", EmailError::Syntax),
            ("mi\u{3000}a@example.org", EmailError::Syntax),
            ("mia@exam\u{200d}ple.org", EmailError::Syntax),
            ("mia@localhost", EmailError::Syntax),
            ("mia@[127.0.0.1]", EmailError::Syntax),
            ("Mia <mia@example.org>", EmailError::Syntax),
            ("\"m ia\"@example.org", EmailError::Syntax),
            ("mi\u{200b}a@example.org", EmailError::Syntax),
            ("mia@example.org\r\nBcc: all@example.org", EmailError::Syntax),
            ("mia@ex_ample.org", EmailError::Domain),
            ("mia@xn--a.org", EmailError::Domain),
            ("mia@☃.net", EmailError::Domain),
            ("mia@nowhere.invalid", EmailError::Domain),
            ("mia@mail.localhost", EmailError::Domain),
            ("mia@Printer.LOCAL", EmailError::Domain),
            ("mia@hidden.onion", EmailError::Domain),
            ("mia@2.0.192.in-addr.arpa", EmailError::Domain),
        ] {
            assert_eq!(Email::parse(text), Err(reason), "{text:?}");
        }
        assert_eq!(Email::parse(&format!("{}@example.org", "m".repeat(65))), Err(EmailError::TooLong));
        assert!(Email::parse(&format!("{}@example.org", "m".repeat(64))).is_ok());
        assert!(
            Email::parse(&format!("mia@{}.рф", "д".repeat(40))).is_ok(),
            "63 bytes are counted as A-label"
        );
        assert_eq!(Email::parse(&"m@".repeat(50_000)), Err(EmailError::TooLong));
        for text in ["mia@local.example", "mia@invalid.test", "mia@onion.org"] {
            assert!(Email::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_address_that_was_taken_before_is_read_whatever_its_domain_is() {
        let stored: Email = serde_json::from_str("\"Mia@Printer.local\"").unwrap();
        assert_eq!(stored, Email::of_any_domain("Mia@printer.local").unwrap());
        assert!(
            Email::all_in("{mia@printer.local}").iter().any(|email| email.match_key() == "mia@printer.local")
        );
    }

    #[test]
    fn an_address_is_stored_as_text_and_never_printed() {
        let email = Email::parse("Mia@Example.org").unwrap();
        let stored = serde_json::to_string(&email).unwrap();
        assert_eq!(stored, "\"Mia@example.org\"");
        assert_eq!(serde_json::from_str::<Email>(&stored).unwrap(), email);
        assert!(!format!("{email:?}").to_lowercase().contains("mia"));
        let refused = serde_json::from_str::<Email>("\"mia at example\"").unwrap_err().to_string();
        assert!(!refused.contains("mia"), "{refused}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_reading_again_changes_nothing(
            text in prop_oneof![
                any::<String>(),
                "[a-zA-Z.+é\u{200b}\"@]{0,6}@[a-zA-Zü。.-]{0,6}\\.(com|ORG|рф|xn--p1ai)",
            ]
        ) {
            if let Ok(email) = Email::parse(&text) {
                prop_assert_eq!(Email::parse(email.as_sent()), Ok(email.clone()));
                let key = email.match_key();
                if let Ok(again) = Email::parse(&key) {
                    prop_assert_eq!(again.match_key(), key);
                }
            }
        }
    }
}
