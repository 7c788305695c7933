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

/// Where a page of due entries ended.
#[derive(Clone, Debug)]
pub struct DueEnd(Item);

/// A page of due entries of one shard.
#[derive(Debug, Default)]
pub struct DuePage {
    /// The entries, oldest first.
    pub entries: Vec<DueEntry>,
    /// Entries that this version cannot read. They stay, for a person to look at.
    pub unreadable: usize,
    /// Where the next page begins. A page ends where the store ends it, at 1 MB if not before: how many it holds says nothing.
    pub end: Option<DueEnd>,
}

impl Store {
    /// Puts an entry. Putting it again changes nothing; firing twice is harmless.
    pub async fn put_due(&self, entry: &DueEntry) -> Result<(), StoreError> {
        self.put_once(entry.item()?).await.map(|_| ())
    }

    /// Entries of one shard due before `before`, oldest first; those behind the end of another page.
    pub async fn due_before(
        &self,
        shard: u8,
        before: Timestamp,
        behind: Option<DueEnd>,
        limit: i32,
    ) -> Result<DuePage, StoreError> {
        use crate::item::text;
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk < :before")
            .expression_attribute_values(":pk", text(keys::due(shard)))
            .expression_attribute_values(":before", text(keys::millis(before)))
            .set_exclusive_start_key(behind.map(|end| end.0))
            .limit(limit)
            .consistent_read(true)
            .send()
            .await?;
        let mut page = DuePage { end: answer.last_evaluated_key.map(DueEnd), ..DuePage::default() };
        for item in answer.items.unwrap_or_default() {
            match read_due(&item) {
                Ok(entry) => page.entries.push(entry),
                Err(_) => page.unreadable += 1,
            }
        }
        Ok(page)
    }

    /// Deletes entries whose messages were sent. One left over fires again, which is harmless.
    pub async fn delete_due(&self, entries: &[DueEntry]) -> Result<(), StoreError> {
        self.delete_many(entries.iter().map(due_key).collect()).await
    }

    /// Deletes one entry whose message was sent: whoever puts one now and then needs no right to write many at once.
    pub async fn drop_due(&self, entry: &DueEntry) -> Result<(), StoreError> {
        let key = due_key(entry);
        self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().await?;
        Ok(())
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
