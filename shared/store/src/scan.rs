//! Going through the whole table, by parallel scan: each reader goes through one segment of it, page by page.

use crate::item::{Item, text};
use crate::lead::{read_start, write_cursor};
use crate::{Page, Store, StoreError};
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;

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
            .segment(segment)
            .total_segments(segments)
            .filter_expression("sk = :sk AND begins_with(pk, :pk)")
            .expression_attribute_values(":sk", text(sort_key))
            .expression_attribute_values(":pk", text(prefix))
            .set_exclusive_start_key(read_start(cursor, None)?))
    }
}

/// What a page of a scan holds.
pub(crate) async fn page<T>(
    scan: ScanFluentBuilder,
    read: impl Fn(&Item) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let answer = scan.send().await?;
    let items = answer.items.unwrap_or_default().iter().map(read).collect::<Result<_, _>>()?;
    Ok(Page { items, next: answer.last_evaluated_key.as_ref().map(write_cursor).transpose()? })
}
