//! Entries of timelines: events, each the receipt of its own decision, in the partition of the record it came by.

use crate::commit::unbuilt;
use crate::item::{Item, document, get_document, get_text, key, text};
use crate::lead::{read_start, write_cursor};
use crate::{Commit, Page, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use sluice_domain::customer::Pointed;
use sluice_domain::event::{Entry, EventKind};
use sluice_domain::id::{CustomerId, EventId};
use sluice_domain::time::Timestamp;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// What is kept beside a record.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Somebody did something themselves, or was written to: there is more than what follows from leads.
    pub has_lived: bool,
    /// Others told of it what happened: there are events that follow from nothing here.
    pub has_events: bool,
    /// All of it.
    pub sort_keys: Vec<String>,
}

impl Commit {
    /// An entry that is not there yet, of a record that is there and not erased.
    pub fn entry(mut self, home: &CustomerId, entry: Entry) -> Self {
        self.entries.push((home.clone(), entry));
        self
    }

    /// An anonymous id that points on, if it still points where it did.
    pub fn pointed(mut self, pointed: Pointed) -> Self {
        self.pointed.push(pointed);
        self
    }
}

impl Store {
    /// Puts an entry that is all there is to store of an event: one write, and a conflict if it is there.
    pub async fn put_entry(&self, home: &CustomerId, entry: &Entry) -> Result<Written, StoreError> {
        let there = self.put_once(entry_item(home, entry)?).await?;
        Ok(if there.is_none() { Written::Done } else { Written::Conflict })
    }

    /// After entries were put by themselves: those of records that were erased or taken back meanwhile go again. What began before
    /// they were put has seen them or is seen here.
    pub async fn keep_standing(&self, put: &[(CustomerId, EventId)]) -> Result<(), StoreError> {
        let homes: BTreeSet<CustomerId> = put.iter().map(|(home, _)| home.clone()).collect();
        let records = self.records(&homes).await?;
        let stray: Vec<_> =
            put.iter().filter(|(home, _)| !records.live.contains_key(home)).cloned().collect();
        self.remove_entries(&stray).await
    }

    /// Removes entries of records that are not there any more.
    pub async fn remove_entries(&self, entries: &[(CustomerId, EventId)]) -> Result<(), StoreError> {
        for (home, event) in entries {
            let key = key(keys::customer(home), keys::entry(event));
            self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().await?;
        }
        Ok(())
    }

    /// One entry of a record.
    pub async fn entry(&self, home: &CustomerId, id: &EventId) -> Result<Option<Entry>, StoreError> {
        let item = self.get(keys::customer(home), &keys::entry(id)).await?;
        item.as_ref().map(read_entry).transpose()
    }

    /// The newest entries of a record that happened before `before`, newest first, at most `limit`; besides them all of that very
    /// instant, since what they led to may come before it. Reads all entries of the record: their keys name no time.
    pub async fn newest_entries(
        &self,
        customer: &CustomerId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (mut newest, mut same): (Vec<Entry>, Vec<Entry>) = (Vec::new(), Vec::new());
        let mut cursor: Option<String> = None;
        loop {
            let page = self.entries(customer, cursor.as_deref()).await?;
            for entry in page.items {
                match before.map(|at| entry.event.at.cmp(&at)) {
                    Some(Ordering::Greater) => {}
                    Some(Ordering::Equal) => same.push(entry),
                    _ => newest.push(entry),
                }
            }
            newest.sort_by(|a, b| b.event.order().cmp(&a.event.order()));
            newest.truncate(limit);
            cursor = page.next;
            if cursor.is_none() {
                same.append(&mut newest);
                return Ok(same);
            }
        }
    }

    /// What is kept of a record beside it.
    pub async fn history(&self, customer: &CustomerId) -> Result<History, StoreError> {
        let mut history = History::default();
        let mut from = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(keys::customer(customer)))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in answer.items.unwrap_or_default() {
                let sort_key = get_text(&item, "sk")?;
                if sort_key == keys::CUSTOMER {
                    continue;
                }
                let is_told =
                    sort_key.starts_with(keys::ENTRIES) && read_entry(&item)?.event.kind != EventKind::Own;
                history.has_events |= is_told;
                // What staff wrote down stands with the address.
                let is_beside = keys::is_of_behaviour(sort_key) || keys::parse_word(sort_key).is_some();
                history.has_lived |= is_told || !is_beside;
                history.sort_keys.push(sort_key.to_owned());
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(history);
            }
        }
    }

    /// Once a record was taken back: what was put beside it while it went. Nothing if somebody has brought it in again.
    pub async fn forget_history(&self, customer: &CustomerId) -> Result<(), StoreError> {
        let left = self.history(customer).await?.sort_keys;
        if left.is_empty() || !self.records(&BTreeSet::from([customer.clone()])).await?.live.is_empty() {
            return Ok(());
        }
        for sort_key in left {
            let key = key(keys::customer(customer), sort_key);
            self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().await?;
        }
        Ok(())
    }

    /// Entries of a record, a page at a time, in no order of time.
    pub async fn entries(
        &self,
        customer: &CustomerId,
        cursor: Option<&str>,
    ) -> Result<Page<Entry>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(keys::customer(customer)))
            .expression_attribute_values(":sk", text(keys::ENTRIES))
            .consistent_read(true)
            .set_exclusive_start_key(read_start(cursor, Some(keys::customer(customer)))?)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().iter().map(read_entry).collect::<Result<_, _>>()?;
        Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
    }

    /// The writes of a commit that have to do with events.
    pub(crate) fn behaviour(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut items = Vec::new();
        for (home, entry) in &commit.entries {
            items.push(entry_put(&self.table, home, entry)?);
        }
        for Pointed { address, to, was } in &commit.pointed {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(keys::address(address), keys::ADDRESS)))
                .update_expression("SET t = :t, ta = :ta ADD w :w")
                .expression_attribute_values(":t", text(to.customer.as_str()))
                .expression_attribute_values(":ta", crate::item::number(to.at.millis()))
                .expression_attribute_values(
                    ":w",
                    aws_sdk_dynamodb::types::AttributeValue::Ss(vec![to.customer.to_string()]),
                );
            let update = match was {
                None => update.condition_expression("attribute_exists(pk) AND attribute_not_exists(t)"),
                Some(was) => update
                    .condition_expression("t = :was AND ta = :wasa")
                    .expression_attribute_values(":was", text(was.customer.as_str()))
                    .expression_attribute_values(":wasa", crate::item::number(was.at.millis())),
            };
            items.push(TransactWriteItem::builder().update(update.build().map_err(unbuilt)?).build());
        }
        Ok(items)
    }
}

/// An entry that is not there yet.
pub(crate) fn entry_put(
    table: &str,
    home: &CustomerId,
    entry: &Entry,
) -> Result<TransactWriteItem, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(entry_item(home, entry)?));
    let put = put.condition_expression("attribute_not_exists(pk)").build().map_err(unbuilt)?;
    Ok(TransactWriteItem::builder().put(put).build())
}

fn entry_item(home: &CustomerId, entry: &Entry) -> Result<Item, StoreError> {
    let mut item = key(keys::customer(home), keys::entry(&entry.event.id));
    item.insert("d".to_owned(), document(entry)?);
    Ok(item)
}

pub(crate) fn read_entry(item: &Item) -> Result<Entry, StoreError> {
    get_document(item, "d")
}
