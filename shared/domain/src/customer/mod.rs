//! A customer: the person behind one or more leads.

mod address;
mod recognise;
#[cfg(test)]
mod tests;

pub use address::{AddressHash, HashKey, HashKeys, Identity, IdentityKind};
pub use recognise::{
    Found, Known, KnownAddress, Merge, Recognition, Suggestion, SuggestionReason, recognise,
};

use crate::id::{CustomerId, LeadId};
use crate::lead::Facts;
use crate::pii::Pii;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A value about the person with the time it was said. A late arrival never replaces a newer one (I13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The value.
    #[serde(rename = "v")]
    pub value: Pii<String>,
    /// When it was said.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// Who owns the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The rep.
    pub rep: String,
    /// The team it came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A submission of the last minutes, to recognise a repeat by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Form and fields, as [`crate::lead::Envelope::fingerprint`] over both.
    #[serde(rename = "f")]
    pub fingerprint: String,
    /// When it was accepted.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The lead.
    #[serde(rename = "l")]
    pub lead: LeadId,
}

/// A customer record: one half, if customers were merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Id, derived from the first lead; never from personal data.
    #[serde(skip, default = "no_id")]
    pub id: CustomerId,
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// First seen.
    pub created: Timestamp,
    /// The owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Ownership>,
    /// Strong addresses held, by kind.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keys: BTreeSet<(IdentityKind, AddressHash)>,
    /// What is known about the person.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Fact>,
    /// Leads counted, repeats included.
    pub leads: u32,
    /// The newest lead: head of the chain that is the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_lead: Option<LeadId>,
    /// Submissions of the last minutes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Recent>,
    /// The customer this one gave way to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<CustomerId>,
    /// The customers that gave way to this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub halves: BTreeSet<CustomerId>,
    /// Customers a person has said are somebody else.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub apart: BTreeSet<CustomerId>,
}

fn no_id() -> CustomerId {
    CustomerId::derived(&[])
}

/// The most halves one customer is merged from by itself; more is a job for a person.
pub const MAX_HALVES: usize = 16;

const MAX_RECENT: usize = 4;

impl Customer {
    /// A customer first seen at `at`.
    pub fn new(id: CustomerId, at: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            created: at,
            owner: None,
            keys: BTreeSet::new(),
            facts: BTreeMap::new(),
            leads: 0,
            last_lead: None,
            recent: Vec::new(),
            into: None,
            halves: BTreeSet::new(),
            apart: BTreeSet::new(),
        }
    }

    /// Takes in a lead: counts it, heads the chain with it, fills blanks. An unverified post never overwrites.
    pub fn absorb(
        &mut self,
        lead: &LeadId,
        fingerprint: &str,
        received: Timestamp,
        facts: &Facts,
        window_ms: i64,
    ) {
        self.leads = self.leads.saturating_add(1);
        self.last_lead = Some(lead.clone());
        self.recent.retain(|recent| {
            received.since(recent.at).abs() <= window_ms && recent.fingerprint != fingerprint
        });
        self.recent.push(Recent { fingerprint: fingerprint.to_owned(), at: received, lead: lead.clone() });
        if self.recent.len() > MAX_RECENT {
            self.recent.remove(0);
        }
        let mut fill = |name: &str, value: String| {
            self.facts.entry(name.to_owned()).or_insert(Fact { value: Pii::new(value), at: received });
        };
        for (name, value) in &facts.standard {
            if !matches!(*name, "email" | "phone" | "country" | "language" | "external_id")
                && value.reveal().len() <= 120
            {
                fill(name, value.reveal().clone());
            }
        }
        if let Some(email) = &facts.email {
            fill("email", email.as_sent().to_owned());
        }
        if let Some(phone) = &facts.phone {
            fill("phone", phone.e164().to_owned());
        }
        if let Some(country) = facts.country {
            fill("country", country.to_string());
        }
        if let Some(language) = facts.language {
            fill("language", language.to_string());
        }
        if let Some(domain) = &facts.company_domain {
            fill("company_domain", domain.to_string());
        }
    }

    /// The lead of the last minutes that said the same through the same form.
    pub fn repeats(&self, fingerprint: &str, received: Timestamp, window_ms: i64) -> Option<&LeadId> {
        self.recent
            .iter()
            .find(|recent| recent.fingerprint == fingerprint && received.since(recent.at).abs() <= window_ms)
            .map(|recent| &recent.lead)
    }
}

/// The whole person: a live customer and the halves that gave way to it, read together.
#[derive(Clone, Debug)]
pub struct Whole<'a> {
    /// The live record.
    pub root: &'a Customer,
    /// The others, in the order of their ids.
    pub halves: Vec<&'a Customer>,
}

impl<'a> Whole<'a> {
    /// The owner: the live record's, else the first a half has.
    pub fn owner(&self) -> Option<&'a Ownership> {
        self.parts().find_map(|part| part.owner.as_ref())
    }

    /// Facts of all parts; the live record's come first, a blank is filled by the oldest half that has a value.
    pub fn facts(&self) -> BTreeMap<&'a str, &'a Fact> {
        let mut all = BTreeMap::new();
        let mut halves = self.halves.clone();
        halves.sort_by_key(|half| (half.created, &half.id));
        for part in std::iter::once(self.root).chain(halves) {
            for (name, fact) in &part.facts {
                all.entry(name.as_str()).or_insert(fact);
            }
        }
        all
    }

    /// Leads counted over all parts.
    pub fn leads(&self) -> u32 {
        self.parts().map(|part| part.leads).sum()
    }

    /// Every record of the person, the live one first.
    pub fn parts(&self) -> impl Iterator<Item = &'a Customer> {
        std::iter::once(self.root).chain(self.halves.iter().copied())
    }
}
