//! Messages to customers, in the customer's partition.

use crate::campaign::tally_write;
use crate::commit::versioned_put;
use crate::item::{Item, document, get_document, get_number, get_text, key, number, text};
use crate::{Commit, Page, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sluice_domain::campaign::names;
use sluice_domain::id::{CustomerId, MessageId};
use sluice_domain::message::{Message, MessageState};
use std::collections::{BTreeMap, BTreeSet};

/// What a call with an idempotency key asked for, so that the same call again is answered alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The message.
    #[serde(rename = "m")]
    pub message: MessageId,
    /// Hash of what was asked for.
    #[serde(rename = "f")]
    pub fingerprint: String,
}

impl Store {
    /// Whether a message is stored; read as documents are, so that whoever asks needs no other right.
    pub async fn has_message(&self, id: &MessageId) -> Result<bool, StoreError> {
        Ok(!self.get_many(vec![key(id.customer().as_str(), keys::message(id))]).await?.is_empty())
    }

    /// These messages, as far as they are there; what cannot be read of one is said of that one alone. Read as documents are, so
    /// that whoever asks needs no other right.
    pub async fn messages(
        &self,
        ids: &BTreeSet<MessageId>,
    ) -> Result<BTreeMap<MessageId, Result<Message, StoreError>>, StoreError> {
        let wanted = ids.iter().map(|id| key(id.customer().as_str(), keys::message(id))).collect();
        let mut messages = BTreeMap::new();
        for item in &self.get_many(wanted).await? {
            messages.insert(named(item)?, read_message(item));
        }
        Ok(messages)
    }

    /// One message.
    pub async fn message(&self, id: &MessageId) -> Result<Option<Message>, StoreError> {
        let item = self.get(id.customer().as_str(), &keys::message(id)).await?;
        item.as_ref().map(read_message).transpose()
    }

    /// Stores a message as it shall be: a new one if none is there and its customer is not erased, else at the version read.
    pub async fn put_message(&self, message: &Message) -> Result<Written, StoreError> {
        match message.version {
            0 => {
                let commit = Commit::default().message(message.clone());
                self.commit(commit.standing_customer(&message.order.customer)).await
            }
            _ if names(message) != message.counted => {
                self.commit(Commit::default().message(message.clone())).await
            }
            version => self.replace(message_item(message)?, version).await,
        }
    }

    /// A customer's messages, newest first, asked for before the message whose [`MessageId::own_part`] `before` is; of
    /// this record alone, not of others of the person.
    pub async fn messages_of(
        &self,
        customer: &CustomerId,
        before: Option<&str>,
        limit: i32,
    ) -> Result<Vec<Message>, StoreError> {
        // Behind every digit that an own part may begin with.
        let end = format!("{}{}", keys::MESSAGES, before.unwrap_or("~"));
        let wanted = limit.max(0) as usize;
        let (mut found, mut from): (Vec<Item>, _) = (Vec::new(), None);
        // A page ends after a megabyte as well.
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", text(customer.as_str()))
                .expression_attribute_values(":from", text(keys::MESSAGES))
                .expression_attribute_values(":to", text(&end))
                .scan_index_forward(false)
                .consistent_read(true)
                // One more, since the end itself is in the range.
                .limit(limit + 1)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            let is_before = |item: &Item| get_text(item, "sk").is_ok_and(|sk| sk != end);
            found.extend(answer.items.unwrap_or_default().into_iter().filter(is_before));
            from = answer.last_evaluated_key.filter(|_| found.len() < wanted);
            if from.is_none() {
                break;
            }
        }
        found.iter().take(wanted).map(read_message).collect()
    }

    /// Messages whose outcome is unknown, from `cursor` on, shard by shard and oldest first in each: at most `limit`, and fewer
    /// where a shard ends. The index may be a moment behind.
    pub async fn unknown_messages(
        &self,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<Page<MessageId>, StoreError> {
        let place = match cursor {
            None => UnknownPlace(0, None),
            Some(cursor) => UnknownPlace::parse(cursor).ok_or(StoreError::Cursor)?,
        };
        let UnknownPlace(shard, behind) = place;
        let partition = keys::unknown_shard(shard);
        let start = behind.map(|(pk, sk, since)| {
            let mut start = key(pk, sk);
            start.insert("ix".to_owned(), text(&partition));
            start.insert("ia".to_owned(), text(since));
            start
        });
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(keys::OPEN_INDEX)
            .key_condition_expression("ix = :ix")
            .expression_attribute_values(":ix", text(&partition))
            .limit(limit)
            .set_exclusive_start_key(start)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().iter().map(named).collect::<Result<_, _>>()?;
        let next = match &answer.last_evaluated_key {
            Some(last) => {
                let part = |name| get_text(last, name).map(str::to_owned);
                Some(UnknownPlace(shard, Some((part("pk")?, part("sk")?, part("ia")?))))
            }
            None => Some(UnknownPlace(shard + 1, None)).filter(|place| place.0 < keys::OPEN_SHARDS),
        };
        Ok(Page { items, next: next.map(|place| place.write()).transpose()? })
    }

    /// What a call with this key asked for.
    pub async fn asked(&self, customer: &CustomerId, hash: &str) -> Result<Option<Asked>, StoreError> {
        self.keyed(customer.as_str(), &keys::asked(hash)).await
    }
}

/// How far a list of messages whose outcome is unknown is: in this shard, behind the message with these keys, unknown since then.
#[derive(Serialize, Deserialize)]
struct UnknownPlace(u8, Option<(String, String, String)>);

impl UnknownPlace {
    fn parse(cursor: &str) -> Option<Self> {
        let place: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let is_key = place.1.as_ref().is_none_or(|(pk, sk, since)| {
            keys::parse_message(pk, sk).is_some() && !since.is_empty() && since.len() <= keys::MAX_SK
        });
        (place.0 < keys::OPEN_SHARDS && is_key).then_some(place)
    }

    fn write(&self) -> Result<String, StoreError> {
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_string(self)?))
    }
}

/// The message, and what changes by it in what its campaign counted.
pub(crate) fn message_writes(message: &Message, table: &str) -> Result<Vec<TransactWriteItem>, StoreError> {
    let put = versioned_put(table, message_item(message)?, message.version)?;
    let put = TransactWriteItem::builder().put(put).build();
    let count = tally_write(message, table)?;
    let count = count.map(|update| TransactWriteItem::builder().update(update).build());
    Ok(std::iter::once(put).chain(count).collect())
}

/// The message with the version after the one read. One whose outcome is unknown is in the index.
fn message_item(message: &Message) -> Result<Item, StoreError> {
    let id = message.id();
    let mut item = key(message.order.customer.as_str(), keys::message(&id));
    item.insert("v".to_owned(), number(message.version + 1));
    item.insert("d".to_owned(), document(&Message { counted: names(message), ..message.clone() })?);
    if message.state == MessageState::Unknown {
        item.insert("ix".to_owned(), text(keys::unknown(&id)));
        item.insert("ia".to_owned(), text(keys::millis(message.order.at)));
    }
    Ok(item)
}

/// The message that an item is, by its keys.
fn named(item: &Item) -> Result<MessageId, StoreError> {
    let id = keys::parse_message(get_text(item, "pk")?, get_text(item, "sk")?);
    id.ok_or_else(|| StoreError::Corrupt("not a message".to_owned()))
}

fn read_message(item: &Item) -> Result<Message, StoreError> {
    let mut message: Message = get_document(item, "d")?;
    message.version = get_number(item, "v")?;
    Ok(message)
}
