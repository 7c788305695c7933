//! The pace of a channel: how fast its provider takes messages, kept for all functions together in one item.
//!
//! The item holds the instant from which on the provider is free (a virtual scheduling clock, as in the generic cell rate
//! algorithm, ITU-T I.371). Reserving moves it by the time that so many messages take.

use crate::item::{key, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::ReturnValue;
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;

/// What became of asking for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Ours from this instant on.
    At(Timestamp),
    /// The provider is busy for too long already; nothing is reserved.
    Busy,
}

impl Store {
    /// Reserves room for `messages` of a channel that takes `rate` a second, unless the provider is busy for more than
    /// `ahead` milliseconds. A lost answer costs room that nobody uses, never a message too many.
    pub async fn reserve(
        &self,
        channel: Channel,
        messages: u32,
        rate: u32,
        now: Timestamp,
        ahead: i64,
    ) -> Result<Slot, StoreError> {
        let length = i64::from(messages) * 1000 / i64::from(rate.max(1));
        // Busy: behind the others. A second after that, since clocks differ.
        let behind = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(keys::pace(channel), keys::PACE)))
            .update_expression("SET n = n + :length")
            .condition_expression("n > :now AND n <= :latest")
            .expression_attribute_values(":length", number(length))
            .expression_attribute_values(":now", number(now.millis()))
            .expression_attribute_values(":latest", number(now.millis() + ahead))
            .return_values(ReturnValue::UpdatedOld);
        match behind.send().await {
            Ok(answer) => return Ok(Slot::At(free_from(&answer).unwrap_or(now))),
            Err(error) if is_refused(error.as_service_error()) => {}
            Err(error) => return Err(error.into()),
        }
        let idle = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(keys::pace(channel), keys::PACE)))
            .update_expression("SET n = :free")
            .condition_expression("attribute_not_exists(n) OR n <= :now")
            .expression_attribute_values(":free", number(now.millis() + length))
            .expression_attribute_values(":now", number(now.millis()));
        match idle.send().await {
            Ok(_) => Ok(Slot::At(now)),
            // Too far ahead, or somebody was faster at this moment: whoever asks comes again.
            Err(error) if is_refused(error.as_service_error()) => Ok(Slot::Busy),
            Err(error) => Err(error.into()),
        }
    }
}

fn free_from(answer: &UpdateItemOutput) -> Option<Timestamp> {
    answer.attributes.as_ref()?.get("n")?.as_n().ok()?.parse().ok().map(Timestamp)
}

fn is_refused(error: Option<&UpdateItemError>) -> bool {
    matches!(error, Some(UpdateItemError::ConditionalCheckFailedException(_)))
}
