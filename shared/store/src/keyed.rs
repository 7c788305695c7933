//! What a call with an idempotency key did, as one document under the key's hash, which is written once and never changed.

use crate::commit::versioned_put;
use crate::item::{document, get_document, key};
use crate::{Store, StoreError};
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Store {
    /// What is kept there.
    pub(crate) async fn keyed<T: DeserializeOwned>(
        &self,
        pk: &str,
        sk: &str,
    ) -> Result<Option<T>, StoreError> {
        let item = self.get(pk, sk).await?;
        item.as_ref().map(|item| get_document(item, "d")).transpose()
    }

    /// Keeps it there, if nothing is.
    pub(crate) fn keyed_write(
        &self,
        pk: &str,
        sk: &str,
        kept: &impl Serialize,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item = key(pk, sk);
        item.insert("d".to_owned(), document(kept)?);
        Ok(TransactWriteItem::builder().put(versioned_put(&self.table, item, 0)?).build())
    }
}
