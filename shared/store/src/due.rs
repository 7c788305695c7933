//! Due entries: what to wake, and when. An entry is deleted only after what it stands for was sent, so the entries
//! that are left are their own cursor: nothing has to be remembered, and a missed minute is caught up by itself.

use crate::item::{Item, document, get_document, get_text, key};
use crate::{Store, StoreError, keys};
use serde::{Deserialize, Serialize};
use sluice_domain::time::Timestamp;

/// One thing to put on a queue at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueEntry {
    /// Not before.
    #[serde(skip)]
    pub at: Timestamp,
    /// Same id, same entry.
    #[serde(skip)]
    pub id: String,
    /// Which queue: `lead`, `enrich` or `notice`.
    #[serde(rename = "q")]
    pub queue: String,
    /// The message body.
    #[serde(rename = "b")]
    pub body: String,
}

impl DueEntry {
    pub(crate) fn item(&self) -> Result<Item, StoreError> {
        let mut item = due_key(self);
        item.insert("d".to_owned(), document(self)?);
        Ok(item)
    }
}

impl Store {
    /// Puts an entry. Putting it again changes nothing; firing twice is harmless.
    pub async fn put_due(&self, entry: &DueEntry) -> Result<(), StoreError> {
        self.put_once(entry.item()?).await.map(|_| ())
    }

    /// Entries of one shard due before `before`, oldest first; those `behind` one.
    pub async fn due_before(
        &self,
        shard: u8,
        before: Timestamp,
        behind: Option<&DueEntry>,
        limit: i32,
    ) -> Result<Vec<DueEntry>, StoreError> {
        use crate::item::text;
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk < :before")
            .expression_attribute_values(":pk", text(keys::due(shard)))
            .expression_attribute_values(":before", text(keys::millis(before)))
            .set_exclusive_start_key(behind.map(due_key))
            .limit(limit)
            .consistent_read(true)
            .send()
            .await?;
        answer.items.unwrap_or_default().iter().map(read_due).collect()
    }

    /// Deletes entries whose messages were sent. One left over fires again, which is harmless.
    pub async fn delete_due(&self, entries: &[DueEntry]) -> Result<(), StoreError> {
        self.delete_many(entries.iter().map(due_key).collect()).await
    }
}

fn due_key(entry: &DueEntry) -> Item {
    key(keys::due(keys::shard_of(&entry.id)), keys::due_at(entry.at, &entry.id))
}

fn read_due(item: &Item) -> Result<DueEntry, StoreError> {
    let mut entry: DueEntry = get_document(item, "d")?;
    let sk = get_text(item, "sk")?;
    let (at, id) = keys::parse_due_at(sk).ok_or_else(|| StoreError::Corrupt("not a due time".to_owned()))?;
    entry.at = at;
    entry.id = id.to_owned();
    Ok(entry)
}
