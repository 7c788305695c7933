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
id!(MessageId, "ms_", "A message: one thing to tell one recipient over one channel.");

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(bits: u128) -> String {
    (0..26).rev().map(|i| char::from(ALPHABET[((bits >> (5 * i)) & 31) as usize])).collect()
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
    fn fresh_ids_sort_by_time_and_parse_back() {
        let early = LeadId::fresh(Timestamp(1), [255; 10]);
        let late = LeadId::fresh(Timestamp(2), [0; 10]);
        assert!(early < late);
        assert_eq!(LeadId::parse(late.as_str()), Some(late));
        assert_eq!(LeadId::parse("cu_00000000000000000000000000"), None);
    }
}
