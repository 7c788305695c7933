//! The audit: one item for each change, written in the transaction of what it is about.

use crate::commit::versioned_put;
use crate::item::{document, get_document, get_text, key, text};
use crate::lead::{read_start, write_cursor};
use crate::{Page, Store, StoreError, keys};
use aws_sdk_dynamodb::types::TransactWriteItem;
use sluice_domain::access::Note;
use sluice_domain::time::Timestamp;

/// An entry that is not there yet.
pub(crate) fn audit_put(table: &str, note: &Note) -> Result<TransactWriteItem, StoreError> {
    let mut item = key(keys::AUDIT, keys::audit(note.at, &note.id()));
    item.insert("d".to_owned(), document(note)?);
    Ok(TransactWriteItem::builder().put(versioned_put(table, item, 0)?).build())
}

impl Store {
    /// The audit, newest first: entries before `until` and not before `since`, where either is given.
    pub async fn audit(
        &self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<Page<Note>, StoreError> {
        let from = keys::millis(since.unwrap_or(Timestamp(0)));
        let to = keys::millis(until.unwrap_or(Timestamp(i64::MAX)));
        let start = read_start(cursor, Some(keys::AUDIT))?;
        // Of a page between other times.
        let stands = start.as_ref().map(|start| get_text(start, "sk")).transpose()?;
        if stands.is_some_and(|at| at < from.as_str() || at > to.as_str()) {
            return Err(StoreError::Cursor);
        }
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
            .expression_attribute_values(":pk", text(keys::AUDIT))
            .expression_attribute_values(":from", text(from))
            .expression_attribute_values(":to", text(to))
            .scan_index_forward(false)
            .limit(limit)
            .set_exclusive_start_key(start)
            .send()
            .await?;
        let items = answer
            .items
            .unwrap_or_default()
            .iter()
            .map(|item| get_document(item, "d"))
            .collect::<Result<_, _>>()?;
        Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
    }
}
