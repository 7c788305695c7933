//! Keys of calls that write down what a person wants, beside the record that the call named: the word itself stands with each address.

use crate::{Store, StoreError, keys};
use serde::{Deserialize, Serialize};
use sluice_domain::customer::AddressHash;
use sluice_domain::id::CustomerId;
use sluice_domain::message::Channel;

/// What a call with an idempotency key was to write down, so that the same call again writes down nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Hash of what was asked for.
    #[serde(rename = "f")]
    pub fingerprint: String,
    /// The addresses that it was about: the person may have others the next time.
    #[serde(rename = "p")]
    pub places: Vec<(Channel, AddressHash)>,
}

impl Word {
    /// Whether it is about the address with these hashes on this channel.
    pub fn is_about(&self, channel: Channel, hashes: &[AddressHash]) -> bool {
        self.places.iter().any(|(of, hash)| *of == channel && hashes.contains(hash))
    }
}

impl Store {
    /// What a call with this key was to write down.
    pub async fn word(&self, customer: &CustomerId, hash: &str) -> Result<Option<Word>, StoreError> {
        self.keyed(customer.as_str(), &keys::word(hash)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_about_an_address_by_whichever_of_its_hashes_on_its_own_channel() {
        let hash = |text: &str| AddressHash::from_text(text);
        let word = Word { fingerprint: "f".to_owned(), places: vec![(Channel::Email, hash("1.a"))] };
        assert!(word.is_about(Channel::Email, &[hash("2.a"), hash("1.a")]), "the hash key was rotated");
        assert!(!word.is_about(Channel::Sms, &[hash("1.a")]));
        assert!(!word.is_about(Channel::Email, &[hash("1.b")]));
    }
}
