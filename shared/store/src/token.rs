//! API tokens, stored by their hash.

use crate::item::{document, get_document, key};
use crate::{Store, StoreError, keys};
use serde::{Deserialize, Serialize};
use sluice_domain::time::Timestamp;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Policies.
    Marketer,
    /// Leads and customers of everybody.
    Manager,
    /// The rep's own leads.
    Rep,
}

impl Role {
    /// The role with this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "admin" => Some(Self::Admin),
            "marketer" => Some(Self::Marketer),
            "manager" => Some(Self::Manager),
            "rep" => Some(Self::Rep),
            _ => None,
        }
    }
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it may do.
    pub role: Role,
    /// The rep it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep: Option<String>,
    /// Created when.
    pub at: Timestamp,
}

impl Store {
    /// Stores a token under the SHA-256 (hex) of its text.
    pub async fn put_token(&self, sha: &str, token: &Token) -> Result<(), StoreError> {
        let mut item = key(keys::token(sha), keys::TOKEN);
        item.insert("d".to_owned(), document(token)?);
        self.put_once(item).await.map(|_| ())
    }

    /// The token with this SHA-256 (hex).
    pub async fn token(&self, sha: &str) -> Result<Option<Token>, StoreError> {
        match self.get(&keys::token(sha), keys::TOKEN).await? {
            Some(item) => Ok(Some(get_document(&item, "d")?)),
            None => Ok(None),
        }
    }
}
