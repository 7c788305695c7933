//! Not faster than a provider takes messages, all instances of the function together.

use crate::{Sender, Task, text};
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_host::queue::Record;
use sluice_store::Slot;
use sluice_wire::queue::{OrderMessage, Room, encode};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long room may be reserved ahead, in milliseconds. What is one of many stays close to the present, so that what is
/// not never waits behind it for longer than that; and many notices at once leave room for a message to one person.
const AHEAD_MS: i64 = 60_000;
const AHEAD_NOTICE_MS: i64 = 10_000;
const AHEAD_BULK_MS: i64 = 2_000;
/// What is waited for here, in milliseconds; longer waits are the queue's.
pub(crate) const WAIT_MS: i64 = 1_000;

type Of<'a> = (&'a Record, Task);
type Waiting<'a> = (&'a Record, Box<OrderMessage>);

impl Sender {
    /// The tasks that may be done now, once it is time; the others went back to their queues, except those that failed to.
    pub(crate) async fn paced<'a>(&self, tasks: Vec<Of<'a>>) -> (Vec<Of<'a>>, Vec<(&'a Record, String)>) {
        let now = self.env.clock.now();
        let mut groups: BTreeMap<(Channel, bool), Vec<Waiting<'_>>> = BTreeMap::new();
        let (mut ready, mut failed) = (Vec::new(), Vec::new());
        for (record, task) in tasks {
            match task {
                Task::Deliver(message) if message.slot.is_none() => {
                    let group = (message.order.channel, message.order.bulk);
                    groups.entry(group).or_default().push((record, message));
                }
                other => ready.push((record, other)),
            }
        }
        for ((channel, bulk), messages) in groups {
            let ahead = if bulk { AHEAD_BULK_MS } else { AHEAD_MS };
            let slots = match self.reserve(channel, messages.len(), now, ahead).await {
                Ok(slots) => slots,
                Err(why) => {
                    failed.extend(messages.into_iter().map(|(record, _)| (record, why.clone())));
                    continue;
                }
            };
            let mut longest: Option<i64> = None;
            for (at, (record, message)) in messages.into_iter().enumerate() {
                let slot = slots.of(at);
                if slot.is_some_and(|slot| slot.since(now) <= WAIT_MS) {
                    ready.push((record, Task::Deliver(Box::new(OrderMessage { slot, ..*message }))));
                    continue;
                }
                let busy = now.plus_millis(if bulk { AHEAD_BULK_MS } else { AHEAD_MS / 2 });
                // To its queue it is a new message each time, whose age says nothing of this.
                let waits = message.waits.unwrap_or(now);
                longest = longest.max(Some(now.since(waits)));
                let message = OrderMessage { slot, waits: Some(waits), ..*message };
                let again = come_back(&message, slot.unwrap_or(busy));
                if let Err(error) = self.outbox.hand_over(vec![again], now).await {
                    failed.push((record, text(error)));
                }
            }
            if let Some(longest) = longest {
                let metrics = Metrics::new().by("Queue", queue_of(bulk).name());
                metrics.seconds("RoomWaitSeconds", longest.max(0) / 1_000).emit(&self.env, now);
            }
        }
        (ready, failed)
    }

    /// Room for the mail of a notice, which goes before messages that are some of many: none is to be waited for any more, or
    /// the notice comes again at that time and with that room.
    pub(crate) async fn room_for_notice(&self, room: Room, now: Timestamp) -> Result<Option<Later>, String> {
        let slot = match room.slot {
            Some(slot) => Some(slot),
            None => self.reserve(Channel::Email, 1, now, AHEAD_NOTICE_MS).await?.of(0),
        };
        if slot.is_some_and(|slot| slot.since(now) <= WAIT_MS) {
            self.wait_for(slot).await;
            return Ok(None);
        }
        let waits = room.waits.unwrap_or(now);
        let metrics = Metrics::new().by("Queue", QueueName::Notice.name());
        metrics.seconds("RoomWaitSeconds", now.since(waits).max(0) / 1_000).emit(&self.env, now);
        let at = slot.unwrap_or_else(|| now.plus_millis(AHEAD_NOTICE_MS / 2));
        Ok(Some(Later { at, room: Room { slot, waits: Some(waits), ..Room::default() } }))
    }

    /// Waits for room, which is close.
    pub(crate) async fn wait_for(&self, slot: Option<Timestamp>) {
        let wait = slot.map_or(0, |slot| slot.since(self.env.clock.now()));
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait.min(WAIT_MS).unsigned_abs())).await;
        }
    }

    async fn reserve(
        &self,
        channel: Channel,
        messages: usize,
        now: Timestamp,
        ahead: i64,
    ) -> Result<Slots, String> {
        let policies = self.policies.current(now).await.map_err(text)?;
        let Some(rate) = policies.channel(channel).and_then(|policy| policy.rate) else {
            return Ok(Slots { from: Some(now), rate: None });
        };
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let slot = self.store.reserve(channel, messages, rate, now, ahead).await.map_err(text)?;
        let from = match slot {
            Slot::At(from) => Some(from),
            Slot::Busy => None,
        };
        Ok(Slots { from, rate: Some(rate) })
    }
}

/// When a notice comes again, and the room it has then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Later {
    pub(crate) at: Timestamp,
    pub(crate) room: Room,
}

/// Room for a batch: from an instant on, so many messages a second, or all at once. None is no room.
struct Slots {
    from: Option<Timestamp>,
    rate: Option<u32>,
}

impl Slots {
    fn of(&self, at: usize) -> Option<Timestamp> {
        let place = u64::try_from(at).unwrap_or(u64::MAX);
        // Rather late than early: never more than the rate.
        let wait = self.rate.map_or(0, |rate| place.saturating_mul(1_000).div_ceil(u64::from(rate.max(1))));
        Some(self.from?.plus_millis(i64::try_from(wait).unwrap_or(i64::MAX)))
    }
}

/// The message once more, not before `at`.
pub(crate) fn come_back(message: &OrderMessage, at: Timestamp) -> Outgoing {
    let queue = queue_of(message.order.bulk);
    Outgoing { queue, id: message.order.id().to_string(), body: encode(message), not_before: at }
}

const fn queue_of(bulk: bool) -> QueueName {
    if bulk { QueueName::Bulk } else { QueueName::Message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rate_is_exceeded_within_a_batch() {
        let from = Timestamp(1_795_692_000_000);
        for rate in [1, 7, 300, 600, 999, 1_000, 4_000] {
            let slots = Slots { from: Some(from), rate: Some(rate) };
            for at in 0..30u32 {
                let wait = slots.of(at as usize).unwrap().since(from);
                assert!(
                    wait * i64::from(rate) >= i64::from(at) * 1_000,
                    "{at} of {rate} a second after {wait} ms"
                );
            }
        }
        assert_eq!(Slots { from: Some(from), rate: None }.of(9), Some(from));
    }
}
