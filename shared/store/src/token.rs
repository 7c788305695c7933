//! API tokens, stored by their hash.

use crate::audit::audit_put;
use crate::commit::versioned_put;
use crate::item::{Item, document, get_document, get_number, get_text, key, number, text};
use crate::lead::{read_start, write_cursor};
use crate::{Page, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};
use sluice_domain::access::{Note, Role};
use sluice_domain::time::Timestamp;

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SHA-256 (hex) of its text; the key.
    #[serde(skip)]
    pub sha: String,
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// What it may do.
    pub role: Role,
    /// The rep it is for; a manager's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rep: Option<String>,
    /// The teams that a manager has, besides those that documents say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// What it is for, in the words of whoever made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Created when.
    pub at: Timestamp,
    /// From when on it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Taken back when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl Token {
    /// What it is called: the beginning of its hash, which tells nobody what it is.
    pub fn id(&self) -> String {
        format!("tk_{}", self.sha.get(..ID).unwrap_or_default())
    }
}

/// What a call with an idempotency key made, so that the same call again makes no other. The text of the token is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// The token's id.
    #[serde(rename = "t")]
    pub token: String,
    /// Hash of what was asked for.
    #[serde(rename = "f")]
    pub fingerprint: String,
}

/// Digits of the hash in a token's id.
const ID: usize = 16;

impl Store {
    /// Stores a token as it shall be, if it is still at the version read, together with what the audit says of it.
    pub async fn put_token(&self, token: &Token, note: &Note) -> Result<Written, StoreError> {
        self.transact(self.token_writes(token, note)?).await
    }

    /// The same of a token that is new, with the key of the call that asks for it, if nobody made one under that key.
    pub async fn make_token(
        &self,
        token: &Token,
        note: &Note,
        hash: &str,
        made: &TokenMade,
    ) -> Result<Written, StoreError> {
        let mut writes = self.token_writes(token, note)?;
        writes.push(self.keyed_write(keys::TOKEN_KEYS, hash, made)?);
        self.transact(writes).await
    }

    /// What a call with this key made.
    pub async fn token_made(&self, hash: &str) -> Result<Option<TokenMade>, StoreError> {
        self.keyed(keys::TOKEN_KEYS, hash).await
    }

    fn token_writes(&self, token: &Token, note: &Note) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut item = key(keys::TOKENS, token.sha.as_str());
        item.insert("v".to_owned(), number(token.version + 1));
        item.insert("d".to_owned(), document(token)?);
        let put = versioned_put(&self.table, item, token.version)?;
        let put = TransactWriteItem::builder().put(put).build();
        Ok(vec![put, audit_put(&self.table, note)?])
    }

    /// The token with this SHA-256 (hex).
    pub async fn token(&self, sha: &str) -> Result<Option<Token>, StoreError> {
        self.get(keys::TOKENS, sha).await?.as_ref().map(read_token).transpose()
    }

    /// The token with this id.
    pub async fn token_by_id(&self, id: &str) -> Result<Option<Token>, StoreError> {
        let Some(begins) = id.strip_prefix("tk_").filter(|begins| begins.len() == ID) else {
            return Ok(None);
        };
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(keys::TOKENS))
            .expression_attribute_values(":sk", text(begins))
            .consistent_read(true)
            .send()
            .await?;
        answer.items.unwrap_or_default().first().map(read_token).transpose()
    }

    /// Tokens, by their hashes, page by page.
    pub async fn tokens(&self, cursor: Option<&str>, limit: i32) -> Result<Page<Token>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(keys::TOKENS))
            .limit(limit)
            .set_exclusive_start_key(read_start(cursor, Some(keys::TOKENS))?)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().iter().map(read_token).collect::<Result<_, _>>()?;
        Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
    }
}

fn read_token(item: &Item) -> Result<Token, StoreError> {
    let mut token: Token = get_document(item, "d")?;
    token.sha = get_text(item, "sk")?.to_owned();
    token.version = get_number(item, "v")?;
    Ok(token)
}
