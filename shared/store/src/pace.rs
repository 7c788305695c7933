//! The pace of a channel: how fast its provider takes messages, kept for all functions together in one item.
//!
//! The item holds the instant, in microseconds, from which on the provider is free (a virtual scheduling clock, as in the generic cell rate
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
        let length = length_us(messages, rate);
        let now_us = now.millis() * 1_000;
        // Busy: behind the others. A second after that, since clocks differ.
        let behind = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(keys::pace(channel), keys::PACE)))
            .update_expression("SET us = us + :length")
            .condition_expression("us > :now AND us <= :latest")
            .expression_attribute_values(":length", number(length))
            .expression_attribute_values(":now", number(now_us))
            .expression_attribute_values(":latest", number(now_us + ahead * 1_000))
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
            .update_expression("SET us = :free")
            .condition_expression("attribute_not_exists(us) OR us <= :now")
            .expression_attribute_values(":free", number(now_us + length))
            .expression_attribute_values(":now", number(now_us));
        match idle.send().await {
            Ok(_) => Ok(Slot::At(now)),
            // Too far ahead, or somebody was faster at this moment: whoever asks comes again.
            Err(error) if is_refused(error.as_service_error()) => Ok(Slot::Busy),
            Err(error) => Err(error.into()),
        }
    }
}

/// How long so many messages take, in microseconds: rather too long than too short, since a provider that is asked more
/// often than it allows refuses.
fn length_us(messages: u32, rate: u32) -> i64 {
    let length = (u64::from(messages) * 1_000_000).div_ceil(u64::from(rate.max(1)));
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// The first whole millisecond from which on the provider is free.
fn free_from(answer: &UpdateItemOutput) -> Option<Timestamp> {
    let us: u64 = answer.attributes.as_ref()?.get("us")?.as_n().ok()?.parse().ok()?;
    i64::try_from(us.div_ceil(1_000)).ok().map(Timestamp)
}

fn is_refused(error: Option<&UpdateItemError>) -> bool {
    matches!(error, Some(UpdateItemError::ConditionalCheckFailedException(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_gets_no_more_a_second_than_it_takes() {
        for rate in [1, 3, 300, 600, 1_500, 7_000] {
            let one = length_us(1, rate);
            assert!(one * i64::from(rate) >= 1_000_000, "{rate} a second, {one} apart");
            assert!(one * i64::from(rate) < 1_000_000 + i64::from(rate), "and hardly fewer");
            assert!(length_us(10, rate) * i64::from(rate) >= 10_000_000);
        }
    }
}
