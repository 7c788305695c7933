//! Import batches: who brought what in, and which rows came in together.
//!
//! Rows are written down before their leads are, so that whoever takes a batch back finds every lead there is; and
//! whoever brings rows in looks at the batch's state after writing them down. Of the two, one sees the other.

use crate::item::{Item, document, get_document, get_number, get_text, key, number, text};
use crate::lead::{read_start, write_cursor};
use crate::{Page, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use sluice_domain::time::Timestamp;

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// Rows may come.
    Open,
    /// It is being taken back; no row may come.
    Reverting,
    /// It was taken back.
    Reverted,
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name; the key.
    #[serde(skip)]
    pub name: String,
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// The form whose leads the rows are.
    #[serde(rename = "f")]
    pub form: String,
    /// Whether the leads are routed.
    #[serde(rename = "r")]
    pub route: bool,
    /// Whether owners are told.
    #[serde(rename = "n")]
    pub notify: bool,
    /// Where it stands.
    #[serde(rename = "s")]
    pub state: BatchState,
    /// Who began it: the rep of the token, or its role.
    #[serde(rename = "by")]
    pub by: String,
    /// Begun when.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

/// Rows that came in together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The first row; half of the key.
    #[serde(skip)]
    pub first: u64,
    /// The last row; the other half.
    #[serde(skip)]
    pub last: u64,
    /// Counted up by each write.
    #[serde(skip)]
    pub version: u64,
    /// Which rows, as first and last of each run.
    #[serde(rename = "r")]
    pub runs: Vec<(u64, u64)>,
    /// Last begun when.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// Fingerprint of the rows once all of them are in.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
}

impl Chunk {
    /// Rows that somebody begins with now; their numbers ascend.
    pub fn new(rows: &[u64], at: Timestamp) -> Self {
        let mut chunk = Self { first: 0, last: 0, version: 1, runs: Vec::new(), at, done: None };
        chunk.first = rows.first().copied().unwrap_or_default();
        chunk.last = rows.last().copied().unwrap_or_default();
        for row in rows {
            match chunk.runs.last_mut().filter(|(_, last)| last.saturating_add(1) == *row) {
                Some(run) => run.1 = *row,
                None => chunk.runs.push((*row, *row)),
            }
        }
        chunk
    }

    /// The numbers of its rows.
    pub fn rows(&self) -> Vec<u64> {
        self.runs.iter().flat_map(|(first, last)| *first..=*last).collect()
    }
}

impl Store {
    /// Puts a batch that is not there yet. Otherwise answers what is there.
    pub async fn begin_batch(&self, batch: &Batch) -> Result<Option<Batch>, StoreError> {
        self.put_once(batch_item(batch, 1)?).await?.as_ref().map(read_batch).transpose()
    }

    /// Stores a batch as it shall be if nobody changed it since it was read.
    pub async fn update_batch(&self, batch: &Batch) -> Result<Written, StoreError> {
        self.replace(batch_item(batch, batch.version + 1)?, batch.version).await
    }

    /// A batch by its name.
    pub async fn batch(&self, name: &str) -> Result<Option<Batch>, StoreError> {
        self.get(keys::IMPORTS, name).await?.as_ref().map(read_batch).transpose()
    }

    /// Every batch, by name.
    pub async fn batches(&self, cursor: Option<&str>, limit: i32) -> Result<Page<Batch>, StoreError> {
        self.page(keys::IMPORTS, cursor, limit, read_batch).await
    }

    /// Writes down that rows are coming in; somebody may have done so before.
    pub async fn begin_chunk(&self, batch: &str, chunk: &Chunk) -> Result<Option<Chunk>, StoreError> {
        self.put_once(chunk_item(batch, chunk, 1)?).await?.as_ref().map(read_chunk).transpose()
    }

    /// Stores what is known of rows if nobody changed it since it was read.
    pub async fn update_chunk(&self, batch: &str, chunk: &Chunk) -> Result<Written, StoreError> {
        self.replace(chunk_item(batch, chunk, chunk.version + 1)?, chunk.version).await
    }

    /// Rows that came in with a batch, in the file's order.
    pub async fn chunks(
        &self,
        batch: &str,
        cursor: Option<&str>,
        limit: i32,
    ) -> Result<Page<Chunk>, StoreError> {
        self.page(&keys::import(batch), cursor, limit, read_chunk).await
    }

    /// Forgets rows whose leads are gone, if nobody brought them in again.
    pub async fn forget_chunk(&self, batch: &str, chunk: &Chunk) -> Result<Written, StoreError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(keys::import(batch), keys::rows(chunk.first, chunk.last))))
            .condition_expression("attribute_not_exists(pk) OR v = :v")
            .expression_attribute_values(":v", number(chunk.version))
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(Written::Done),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(Written::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn page<T>(
        &self,
        pk: &str,
        cursor: Option<&str>,
        limit: i32,
        read: fn(&Item) -> Result<T, StoreError>,
    ) -> Result<Page<T>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(pk))
            .consistent_read(true)
            .limit(limit)
            .set_exclusive_start_key(read_start(cursor, Some(pk))?)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default().iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
    }
}

fn batch_item(batch: &Batch, version: u64) -> Result<Item, StoreError> {
    Ok(versioned(key(keys::IMPORTS, batch.name.clone()), version, document(batch)?))
}

fn chunk_item(batch: &str, chunk: &Chunk, version: u64) -> Result<Item, StoreError> {
    let key = key(keys::import(batch), keys::rows(chunk.first, chunk.last));
    Ok(versioned(key, version, document(chunk)?))
}

fn versioned(mut item: Item, version: u64, document: AttributeValue) -> Item {
    item.insert("v".to_owned(), number(version));
    item.insert("d".to_owned(), document);
    item
}

fn read_batch(item: &Item) -> Result<Batch, StoreError> {
    let batch: Batch = get_document(item, "d")?;
    Ok(Batch { name: get_text(item, "sk")?.to_owned(), version: get_number(item, "v")?, ..batch })
}

fn read_chunk(item: &Item) -> Result<Chunk, StoreError> {
    let chunk: Chunk = get_document(item, "d")?;
    let rows = keys::parse_rows(get_text(item, "sk")?);
    let (first, last) = rows.ok_or_else(|| StoreError::Corrupt("not rows of a batch".to_owned()))?;
    Ok(Chunk { first, last, version: get_number(item, "v")?, ..chunk })
}
