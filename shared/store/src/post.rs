//! Posts that name nobody, for as long as the same one may come again because a button was pressed twice.

use crate::item::{get_text, key, number, text};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use sluice_domain::id::LeadId;
use sluice_domain::time::Timestamp;

impl Store {
    /// The id under which a post becomes a lead, of posts that are alike within `window_ms` the same: `id`, or that of the first.
    ///
    /// One conditional put, so of two at once one hears of the other. Whoever gets an id stores the lead under it, the first and
    /// every later one: if the first died before it did, nothing is lost.
    pub async fn id_of_post(
        &self,
        post: &str,
        id: &LeadId,
        now: Timestamp,
        window_ms: i64,
    ) -> Result<LeadId, StoreError> {
        let mut item = key(keys::post(post), keys::POST);
        item.insert("v".to_owned(), number(1));
        item.insert("l".to_owned(), text(id.as_str()));
        item.insert("a".to_owned(), number(now.millis()));
        item.insert("ttl".to_owned(), number(now.plus_millis(window_ms).seconds()));
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR a < :since")
            .expression_attribute_values(":since", number(now.plus_millis(-window_ms).millis()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = answer else { return Ok(id.clone()) };
        let unavailable = StoreError::Unavailable(error.code().unwrap_or("no answer").to_owned());
        let PutItemError::ConditionalCheckFailedException(failed) = error.into_service_error() else {
            return Err(unavailable);
        };
        let first = failed.item.ok_or(unavailable)?;
        LeadId::parse(get_text(&first, "l")?).ok_or_else(|| StoreError::Corrupt("not a lead id".to_owned()))
    }
}
