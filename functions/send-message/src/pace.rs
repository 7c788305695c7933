//! Not faster than a provider takes messages, all instances of the function together.

use crate::{Sender, Task, text};
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_host::queue::Record;
use sluice_store::Slot;
use sluice_wire::queue::{OrderMessage, encode};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long room may be reserved ahead, in milliseconds. What is one of many stays close to the present, so that what is
/// not never waits behind it for longer than that.
const AHEAD_MS: i64 = 60_000;
const AHEAD_BULK_MS: i64 = 2_000;
/// What is waited for here, in milliseconds; longer waits are the queue's.
const WAIT_MS: i64 = 1_000;

type Of<'a> = (&'a Record, Task);

impl Sender {
    /// The tasks that may be done now, once it is time; the others went back to their queues, except those that failed to.
    pub(crate) async fn paced<'a>(&self, tasks: Vec<Of<'a>>) -> (Vec<Of<'a>>, Vec<(&'a Record, String)>) {
        let now = self.env.clock.now();
        let mut groups: BTreeMap<(Channel, bool), Vec<(&Record, Box<OrderMessage>)>> = BTreeMap::new();
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
        let mut wait = 0;
        for ((channel, bulk), messages) in groups {
            let slot = self.reserve(channel, bulk, messages.len(), now).await;
            let (at, reserved) = match slot {
                Ok(Slot::At(at)) if at.since(now) <= WAIT_MS => {
                    wait = wait.max(at.since(now));
                    ready.extend(
                        messages.into_iter().map(|(record, message)| (record, Task::Deliver(message))),
                    );
                    continue;
                }
                Ok(Slot::At(at)) => (at, Some(at)),
                Ok(Slot::Busy) => (now.plus_millis(if bulk { AHEAD_BULK_MS } else { AHEAD_MS / 2 }), None),
                Err(why) => {
                    failed.extend(messages.into_iter().map(|(record, _)| (record, why.clone())));
                    continue;
                }
            };
            for (record, message) in messages {
                let again = come_back(&OrderMessage { slot: reserved, ..*message }, at);
                if let Err(error) = self.outbox.hand_over(vec![again], now).await {
                    failed.push((record, text(error)));
                }
            }
        }
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
        }
        (ready, failed)
    }

    async fn reserve(
        &self,
        channel: Channel,
        bulk: bool,
        messages: usize,
        now: Timestamp,
    ) -> Result<Slot, String> {
        let policies = self.policies.current(now).await.map_err(text)?;
        let Some(rate) = policies.channel(channel).and_then(|policy| policy.rate) else {
            return Ok(Slot::At(now));
        };
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let ahead = if bulk { AHEAD_BULK_MS } else { AHEAD_MS };
        self.store.reserve(channel, messages, rate, now, ahead).await.map_err(text)
    }
}

/// The message once more, not before `at`.
pub(crate) fn come_back(message: &OrderMessage, at: Timestamp) -> Outgoing {
    let queue = if message.order.bulk { QueueName::Bulk } else { QueueName::Message };
    Outgoing { queue, id: message.order.id().to_string(), body: encode(message), not_before: at }
}
