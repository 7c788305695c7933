//! What was changed of who decides, who sees and who owns: by whom, when, from what to what. Ids and names of documents, reps
//! and tokens; nothing that a customer said.

use super::Role;
use crate::customer::{Customer, Known};
use crate::id::{AuditId, CustomerId, LeadId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doer {
    /// The rep of the token, else its role; or the function that decided.
    pub name: String,
    /// The token's role; none where a function decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The token; none where a function decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Doer {
    /// A function that decided by itself.
    pub fn function(name: &str) -> Self {
        Self { name: name.to_owned(), role: None, token: None }
    }
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// Documents, as one version.
    Policy {
        /// The version that it made.
        version: u64,
        /// Each that is not as before.
        documents: Vec<PolicyChange>,
    },
    /// A token: what it may do, or that it may nothing more.
    Token {
        /// Its id.
        token: String,
        /// Whom it stands for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rep: Option<String>,
        /// The teams that it names.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        teams: Vec<String>,
        /// Its role before; none for a new one.
        from: Option<Role>,
        /// Its role afterwards; none for one that was revoked.
        to: Option<Role>,
    },
    /// The owner of a customer.
    Owner {
        /// The customer.
        customer: CustomerId,
        /// The lead it came with, if with one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lead: Option<LeadId>,
        /// By what: `reassign`, `claim`, `rebalance`, `merge`, `unmerge`, `revert`, `rules`, `clock`.
        by: String,
        /// The rep who had the customer.
        from: Option<String>,
        /// The rep who has them now.
        to: Option<String>,
    },
}

impl Change {
    /// The kinds, as the audit is asked for them.
    pub const KINDS: [&'static str; 3] = ["policy", "token", "owner"];

    /// The word used on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Policy { .. } => "policy",
            Self::Token { .. } => "token",
            Self::Owner { .. } => "owner",
        }
    }
}

/// A document that is not as before. The texts are kept for ever, by their hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// `kind/name`.
    pub document: String,
    /// SHA-256 (hex) of its text before; none for a new one.
    pub from: Option<String>,
    /// Of its text afterwards; none for one that was removed.
    pub to: Option<String>,
}

/// One entry of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Doer,
    /// What.
    pub change: Change,
}

impl Note {
    /// Its id: of one change at one instant there is one entry.
    pub fn id(&self) -> AuditId {
        let said = serde_json::to_string(&self.change).unwrap_or_default();
        AuditId::derived(&[&self.at.millis().to_string(), &said])
    }
}

/// A customer whose owner is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The customer: the record that was live before.
    pub customer: CustomerId,
    /// The rep before.
    pub from: Option<String>,
    /// The rep afterwards.
    pub to: Option<String>,
}

impl Changed {
    /// The entry for it.
    pub fn note(self, who: &Doer, at: Timestamp, by: &str, lead: Option<&LeadId>) -> Note {
        let Self { customer, from, to } = self;
        let change = Change::Owner { customer, lead: lead.cloned(), by: by.to_owned(), from, to };
        Note { at, who: who.clone(), change }
    }
}

/// What the audit says of owners that a function took from somebody. That somebody new has an owner is in the receipt of
/// the lead, and that two turned out to be one on their records.
pub fn taken_from(
    known: &Known,
    changed: &[Customer],
    function: &str,
    at: Timestamp,
    by: &str,
    lead: &LeadId,
) -> Vec<Note> {
    let is_live = |record: &&Customer| record.into.is_none() && known.root(&record.id) == record.id;
    let live: Vec<Customer> = changed.iter().filter(is_live).cloned().collect();
    let moved = owner_changes(known, &live).into_iter().filter(|moved| moved.from.is_some());
    moved.map(|moved| moved.note(&Doer::function(function), at, by, Some(lead))).collect()
}

/// Whose owner differs once `changed` are stored over `known`, joined and parted people included. Records that nobody owned and nobody
/// owns are left out.
pub fn owner_changes(known: &Known, changed: &[Customer]) -> Vec<Changed> {
    let mut after: BTreeMap<CustomerId, Customer> = known.customers.clone();
    after.extend(changed.iter().map(|record| (record.id.clone(), record.clone())));
    let after = Known { customers: after, ..Known::default() };
    let owner = |known: &Known, id: &CustomerId| {
        let root = known.customers.get(&known.root(id))?;
        Some(known.whole(root).owner()?.rep.clone())
    };
    let moved = changed.iter().map(|record| Changed {
        customer: record.id.clone(),
        from: owner(known, &record.id),
        to: owner(&after, &record.id),
    });
    moved.filter(|moved| moved.from != moved.to).collect()
}
