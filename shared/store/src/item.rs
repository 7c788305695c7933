//! Items as the SDK wants them, and the calls that every kind of record shares.

use crate::commit::unbuilt;
use crate::{Store, StoreError, Written};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, ReturnValuesOnConditionCheckFailure, WriteRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeSet, HashMap};

/// How often a write is repeated while a transaction holds the item.
pub(crate) const CONFLICTS: u32 = 4;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn document(value: &impl Serialize) -> Result<AttributeValue, StoreError> {
    Ok(AttributeValue::S(serde_json::to_string(value)?))
}

pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

pub(crate) fn get_text<'a>(item: &'a Item, name: &str) -> Result<&'a str, StoreError> {
    optional_text(item, name).ok_or_else(|| StoreError::Corrupt(format!("attribute {name} is missing")))
}

pub(crate) fn optional_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

pub(crate) fn get_number<T: std::str::FromStr>(item: &Item, name: &str) -> Result<T, StoreError> {
    item.get(name)
        .and_then(|value| value.as_n().ok())
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::Corrupt(format!("attribute {name} is not a number")))
}

pub(crate) fn get_document<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T, StoreError> {
    Ok(serde_json::from_str(get_text(item, name)?)?)
}

impl Store {
    /// Puts an item whose key is free. Otherwise answers what is there, and nothing changes.
    pub(crate) async fn put_once(&self, item: Item) -> Result<Option<Item>, StoreError> {
        let mut conflicts = 0;
        loop {
            let answer = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(pk)")
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let Err(error) = answer else { return Ok(None) };
            let unavailable = StoreError::Unavailable(error.code().unwrap_or("no answer").to_owned());
            match error.into_service_error() {
                PutItemError::ConditionalCheckFailedException(failed) => {
                    return failed.item.map(Some).ok_or(unavailable);
                }
                // A transaction is changing the item at this moment: it is there, or will be.
                PutItemError::TransactionConflictException(_) if conflicts < CONFLICTS => conflicts += 1,
                _ => return Err(unavailable),
            }
        }
    }

    /// Replaces an item that is still at the version it was read at.
    pub(crate) async fn replace(&self, item: Item, read: u64) -> Result<Written, StoreError> {
        let mut conflicts = 0;
        loop {
            let answer = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item.clone()))
                .condition_expression("v = :v")
                .expression_attribute_values(":v", number(read))
                .send()
                .await;
            let Err(error) = answer else { return Ok(Written::Done) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => return Ok(Written::Conflict),
                // A transaction holds the item at this moment. Only the condition says that somebody was faster.
                Some(PutItemError::TransactionConflictException(_)) if conflicts < CONFLICTS => {
                    conflicts += 1
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// One item, strongly consistent.
    pub(crate) async fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(pk, sk)))
            .consistent_read(true)
            .send()
            .await?;
        Ok(answer.item)
    }

    /// Many items, strongly consistent, 100 a call, each once: a call that names a key twice is refused. (DynamoDB API reference,
    /// "BatchGetItem".) What is not there is not in the answer.
    pub(crate) async fn get_many(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let mut asked = BTreeSet::new();
        let named = |key: &Item, part| optional_text(key, part).map(str::to_owned);
        keys.retain(|key| asked.insert((named(key, "pk"), named(key, "sk"))));
        let mut items = Vec::with_capacity(keys.len());
        // The store may hand keys back when it is busy. A bounded number of rounds, then the caller is redelivered.
        let rounds = 8 + keys.len() / 100;
        for _ in 0..rounds {
            let rest = keys.split_off(keys.len().min(100));
            if keys.is_empty() {
                return Ok(items);
            }
            let request = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::replace(&mut keys, rest)))
                .consistent_read(true)
                .build()
                .map_err(unbuilt)?;
            let answer = self.client.batch_get_item().request_items(&self.table, request).send().await?;
            items.extend(answer.responses.unwrap_or_default().remove(&self.table).unwrap_or_default());
            let left = answer.unprocessed_keys.unwrap_or_default().remove(&self.table);
            keys.extend(left.map(|left| left.keys).unwrap_or_default());
        }
        if keys.is_empty() {
            Ok(items)
        } else {
            Err(StoreError::Unavailable("keys left unprocessed".to_owned()))
        }
    }

    /// Deletes many items, 25 a call. What a busy store did not get to is still there: whoever calls finds it again.
    pub(crate) async fn delete_many(&self, keys: Vec<Item>) -> Result<(), StoreError> {
        for chunk in keys.chunks(25) {
            let delete = |key: &Item| {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build().map_err(unbuilt)?;
                Ok(WriteRequest::builder().delete_request(delete).build())
            };
            let requests = chunk.iter().map(delete).collect::<Result<Vec<_>, StoreError>>()?;
            self.client.batch_write_item().request_items(&self.table, requests).send().await?;
        }
        Ok(())
    }
}
