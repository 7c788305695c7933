//! The pace of a channel: how fast its provider takes messages, kept for all functions together in one item.
//!
//! The item holds the instant, in microseconds, from which on the provider is free (a virtual scheduling clock, as in the generic cell rate
//! algorithm, ITU-T I.371). Reserving moves it by the time that so many messages take.

use crate::item::{key, number};
use crate::{Store, StoreError, keys};
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::error::ConditionalCheckFailedException;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;
use std::collections::HashMap;

/// How often room is asked for because somebody else was faster.
const ROUNDS: u32 = 3;

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
        let latest_us = now_us + ahead * 1_000;
        for _ in 0..ROUNDS {
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
                .expression_attribute_values(":latest", number(latest_us))
                .return_values(ReturnValue::UpdatedOld);
            match behind.send().await {
                Ok(answer) => {
                    let free = answer.attributes.as_ref().and_then(free_from);
                    return Ok(Slot::At(free.map_or(now, whole_millis)));
                }
                Err(error) if refused(error.as_service_error()).is_some() => {}
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
                .expression_attribute_values(":now", number(now_us))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let free = match idle.send().await {
                Ok(_) => return Ok(Slot::At(now)),
                Err(error) => match refused(error.as_service_error()) {
                    Some(failed) => failed.item.as_ref().and_then(free_from),
                    None => return Err(error.into()),
                },
            };
            // Somebody else was faster at this moment: there is room behind them, unless it was taken for too long before.
            if free.is_some_and(|free| i64::try_from(free).unwrap_or(i64::MAX) > latest_us) {
                break;
            }
        }
        Ok(Slot::Busy)
    }
}

/// How long so many messages take, in microseconds: rather too long than too short, since a provider that is asked more
/// often than it allows refuses.
fn length_us(messages: u32, rate: u32) -> i64 {
    let length = (u64::from(messages) * 1_000_000).div_ceil(u64::from(rate.max(1)));
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// When the provider is free, in microseconds.
fn free_from(item: &HashMap<String, AttributeValue>) -> Option<u64> {
    item.get("us")?.as_n().ok()?.parse().ok()
}

/// The first whole millisecond from there on.
fn whole_millis(us: u64) -> Timestamp {
    Timestamp(i64::try_from(us.div_ceil(1_000)).unwrap_or(i64::MAX))
}

const fn refused(error: Option<&UpdateItemError>) -> Option<&ConditionalCheckFailedException> {
    match error {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Some(failed),
        _ => None,
    }
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
