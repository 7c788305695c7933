//! The ids of things we make: a prefix that names the kind and 26 characters of Crockford base 32 (128 bits).

use crate::time::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What every id of this kind starts with.
            pub const PREFIX: &'static str = $prefix;

            /// An id that the same `parts` always give (SHA-256 over the length-prefixed parts, cut to 128 bits).
            pub fn derived(parts: &[&str]) -> Self {
                Self::from_bits(hash_parts($prefix, parts))
            }

            /// A new id that sorts by `at` (48 bits of milliseconds) and is otherwise `random`.
            pub fn fresh(at: Timestamp, random: [u8; 10]) -> Self {
                let mut bytes = [0u8; 16];
                bytes[..6].copy_from_slice(&(at.millis().max(0) as u64).to_be_bytes()[2..]);
                bytes[6..].copy_from_slice(&random);
                Self::from_bits(u128::from_be_bytes(bytes))
            }

            /// Reads an id of this kind; `None` for anything else.
            pub fn parse(text: &str) -> Option<Self> {
                let body = text.strip_prefix($prefix)?;
                (body.len() == 26 && body.bytes().all(|b| ALPHABET.contains(&b)))
                    .then(|| Self(text.to_owned()))
            }

            /// The id as text, prefix included.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn from_bits(bits: u128) -> Self {
                Self(format!("{}{}", $prefix, encode(bits)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(LeadId, "ld_", "A lead: one submission.");
id!(CustomerId, "cu_", "A customer: one person.");
id!(EventId, "ev_", "An event.");

impl EventId {
    /// What orders events of one instant: enough of the id to tell a few apart, short enough to be kept with each fact.
    pub fn tie(&self) -> &str {
        let begin = Self::PREFIX.len();
        self.as_str().get(begin..begin + 6).unwrap_or_default()
    }
}
id!(EndpointId, "ep_", "A receiver of webhooks, by its URL.");
id!(AuditId, "au_", "An entry of the audit.");
id!(ProofId, "pr_", "A proof of what was said about an address.");

/// A message to a customer: one thing to tell one person over one channel. The id says where the message is stored
/// (customer and time), so that whatever carries it back (a tag of the provider's, a link) needs no index; then follows
/// what tells the customer's messages of one instant apart. It holds nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    /// What every id of this kind starts with.
    pub const PREFIX: &'static str = "ms_";

    /// The id of what `parts` name, asked for at `at` for this customer; the same of all three give the same id.
    pub fn of(customer: &CustomerId, at: Timestamp, parts: &[&str]) -> Self {
        let customer = &customer.as_str()[CustomerId::PREFIX.len()..];
        let millis = at.millis().max(0) as u128;
        let time: String =
            (0..10).rev().map(|i| char::from(ALPHABET[((millis >> (5 * i)) & 31) as usize])).collect();
        let cause = encode(hash_parts(Self::PREFIX, parts));
        Self(format!("{}{customer}{time}{}", Self::PREFIX, &cause[26 - 16..]))
    }

    /// Reads an id of this kind; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_prefix(Self::PREFIX)?;
        (body.len() == 26 + 10 + 16 && body.bytes().all(|b| ALPHABET.contains(&b)))
            .then(|| Self(text.to_owned()))
    }

    /// The id as text, prefix included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The customer whose message it is, as asked for: the person's record may have given way to another since.
    pub fn customer(&self) -> CustomerId {
        CustomerId(format!("{}{}", CustomerId::PREFIX, &self.0[3..29]))
    }

    /// When it was asked for.
    pub fn at(&self) -> Timestamp {
        let digits = self.0.as_bytes()[29..39].iter();
        Timestamp(digits.fold(0, |sum, digit| (sum << 5) | i64::from(value(*digit))))
    }

    /// The id in as few bytes as hold it: five bits a digit, the last four are nought.
    pub fn to_bytes(&self) -> [u8; 33] {
        let mut bytes = [0u8; 33];
        for (at, digit) in self.0.as_bytes()[Self::PREFIX.len()..].iter().enumerate() {
            for bit in 0..5 {
                let place = at * 5 + bit;
                bytes[place / 8] |= (value(*digit) >> (4 - bit) & 1) << (7 - place % 8);
            }
        }
        bytes
    }

    /// The id in these bytes; `None` if they are none of an id.
    pub fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        let bit = |place: usize| bytes[place / 8] >> (7 - place % 8) & 1;
        let digit = |at: usize| (0..5).fold(0, |value, n| value << 1 | bit(at * 5 + n));
        let body: String = (0..52).map(|at| char::from(ALPHABET[usize::from(digit(at))])).collect();
        let id = Self::parse(&format!("{}{body}", Self::PREFIX))?;
        (id.to_bytes() == *bytes).then_some(id)
    }

    /// What tells the messages of a customer apart: time and cause, in the order of time.
    pub fn own_part(&self) -> &str {
        &self.0[29..]
    }

    /// The message of a customer by [`Self::own_part`].
    pub fn from_parts(customer: &CustomerId, own: &str) -> Option<Self> {
        Self::parse(&format!("{}{}{own}", Self::PREFIX, customer.as_str().strip_prefix(CustomerId::PREFIX)?))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What a digit stands for.
fn value(digit: u8) -> u8 {
    ALPHABET.iter().zip(0..).find_map(|(known, value)| (*known == digit).then_some(value)).unwrap_or(0)
}

fn encode(bits: u128) -> String {
    (0..26).rev().map(|i| char::from(ALPHABET[((bits >> (5 * i)) & 31) as usize])).collect()
}

/// What eight digits stand for, 40 bits; nothing if it is not eight digits.
pub(crate) fn read_eight(digits: &str) -> Option<u64> {
    let value = |digit: u8| ALPHABET.iter().zip(0u64..).find(|(known, _)| **known == digit);
    let digits = Some(digits).filter(|digits| digits.len() == 8)?;
    digits.bytes().try_fold(0u64, |bits, digit| value(digit).map(|(_, value)| (bits << 5) | value))
}

/// The eight digits of 40 bits.
pub(crate) fn write_eight(bits: u64) -> String {
    encode(bits.into())[26 - 8..].to_owned()
}

/// A short text that the same `parts` always give (80 bits of their SHA-256), for telling things apart that have no id of
/// ours.
pub(crate) fn short_hash(parts: &[&str]) -> String {
    encode(hash_parts("", parts))[26 - 16..].to_owned()
}

fn hash_parts(kind: &str, parts: &[&str]) -> u128 {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in std::iter::once(&kind).chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut first = [0u8; 16];
    first.copy_from_slice(&context.finish().as_ref()[..16]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_give_the_same_id_and_other_cuts_do_not() {
        assert_eq!(LeadId::derived(&["meta", "1"]), LeadId::derived(&["meta", "1"]));
        assert_ne!(LeadId::derived(&["meta", "1"]), LeadId::derived(&["meta1", ""]));
        assert_ne!(LeadId::derived(&["x"]).as_str()[3..], CustomerId::derived(&["x"]).as_str()[3..]);
    }

    #[test]
    fn a_message_id_says_whose_and_when_and_sorts_by_time() {
        let customer = CustomerId::derived(&["x"]);
        let at = Timestamp(1_795_260_000_123);
        let id = MessageId::of(&customer, at, &["api", "welcome"]);
        assert_eq!((id.customer(), id.at()), (customer.clone(), at));
        assert_eq!(MessageId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(MessageId::from_parts(&customer, id.own_part()), Some(id.clone()));
        assert_eq!(MessageId::from_bytes(&id.to_bytes()), Some(id.clone()));
        let mut other = id.to_bytes();
        other[32] |= 1;
        assert_eq!(MessageId::from_bytes(&other), None, "bits that no digit has");
        assert_ne!(id, MessageId::of(&customer, at, &["api", "nudge"]));
        assert!(id < MessageId::of(&customer, Timestamp(at.millis() + 1), &["a"]));
        assert_eq!(MessageId::parse("ms_00000000000000000000000000"), None);
    }

    #[test]
    fn eight_digits_are_forty_bits() {
        let digits = &short_hash(&["order", "7"])[..8];
        assert_eq!(read_eight(digits).map(write_eight).as_deref(), Some(digits));
        assert_eq!(read_eight("zzzzzzzz"), Some((1 << 40) - 1));
        for none in ["", "~", "0000000", "000000000", "0000000u", "0000000A"] {
            assert_eq!(read_eight(none), None, "{none}");
        }
    }

    #[test]
    fn fresh_ids_sort_by_time_and_parse_back() {
        let early = LeadId::fresh(Timestamp(1), [255; 10]);
        let late = LeadId::fresh(Timestamp(2), [0; 10]);
        assert!(early < late);
        assert_eq!(LeadId::parse(late.as_str()), Some(late));
        assert_eq!(LeadId::parse("cu_00000000000000000000000000"), None);
    }
}
