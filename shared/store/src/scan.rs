//! Going through the whole table, by parallel scan: each reader goes through one segment of it, page by page.

use crate::item::{Item, text};
use crate::lead::{read_start, write_cursor};
use crate::{Page, Store, StoreError};
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;

/// Items that one call goes through at most, whatever it is looking for.
const ITEMS: i32 = 1_000;
/// Calls of one page at most.
const CALLS: usize = 4;
/// So many found are enough for a page.
const ENOUGH: usize = 250;

impl Store {
    /// A scan of one segment of so many, counted from 0, from `cursor` on: for items of this sort key in partitions whose keys begin with `prefix`.
    pub(crate) fn scan(
        &self,
        prefix: &str,
        sort_key: &str,
        (segment, segments): (i32, i32),
        cursor: Option<&str>,
    ) -> Result<ScanFluentBuilder, StoreError> {
        let scan = self.client.scan().table_name(&self.table);
        Ok(scan
            .limit(ITEMS)
            .segment(segment)
            .total_segments(segments)
            .filter_expression("sk = :sk AND begins_with(pk, :pk)")
            .expression_attribute_values(":sk", text(sort_key))
            .expression_attribute_values(":pk", text(prefix))
            .set_exclusive_start_key(read_start(cursor, None)?))
    }
}

/// A page of a scan: of a table that holds little of what is looked for, as many calls as it takes to find enough, since
/// whoever asks does more for each page than to read it.
pub(crate) async fn page<T>(
    scan: ScanFluentBuilder,
    read: impl Fn(&Item) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let mut items = Vec::new();
    let mut from = scan.get_exclusive_start_key().clone();
    for _ in 0..CALLS {
        let answer = scan.clone().set_exclusive_start_key(from).send().await?;
        for item in answer.items.unwrap_or_default() {
            items.push(read(&item)?);
        }
        from = answer.last_evaluated_key;
        if from.is_none() || items.len() >= ENOUGH {
            break;
        }
    }
    Ok(Page { items, next: from.as_ref().map(write_cursor).transpose()? })
}
