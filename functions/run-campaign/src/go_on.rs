//! A broadcast goes on after it waited, or is over: what was parked meanwhile is handed on again.

use crate::{Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, BroadcastState, PLAN_AHEAD_MS};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::Parked;
use sluice_wire::queue::{CampaignMessage, CampaignTask};

/// Read at a time.
const PAGE: i32 = 200;

impl Runner {
    pub(crate) async fn go_on(&self, message: &CampaignMessage) -> Result<(), String> {
        let Some(broadcast) = self.read(message).await? else { return Ok(()) };
        let now = self.env.clock.now();
        match broadcast.state {
            BroadcastState::Scheduled => {
                let begin = broadcast.at.plus_millis(-PLAN_AHEAD_MS);
                self.hand_over(vec![outgoing(&broadcast, CampaignTask::Begin, begin)]).await
            }
            BroadcastState::Running => {
                self.go_through(&broadcast).await?;
                self.drain(&broadcast, now).await?;
                self.watch_again(&broadcast, now).await
            }
            // What waits is left out, and says so.
            BroadcastState::Cancelled => self.drain(&broadcast, now).await,
            BroadcastState::Paused | BroadcastState::Stopped | BroadcastState::Done => Ok(()),
        }
    }

    /// Hands on everything that waits, at the campaign's own rate, each before it is taken from what waits.
    pub(crate) async fn drain(&self, broadcast: &Broadcast, now: Timestamp) -> Result<(), String> {
        let rate = broadcast.document.as_ref().and_then(|document| document.rate).map(i64::from);
        let mut handed = 0;
        for shard in 0..broadcast.shards {
            loop {
                let parked = self.store.parked(broadcast, shard, PAGE).await.map_err(text)?;
                if parked.is_empty() {
                    break;
                }
                let messages = parked.iter().filter_map(|parked| {
                    let after = rate.map_or(0, |rate| handed * 1000 / rate.max(1));
                    handed += 1;
                    outgoing_of(parked, now.plus_millis(after))
                });
                self.hand_over(messages.collect()).await?;
                self.store.unpark(broadcast, shard, &parked).await.map_err(text)?;
            }
        }
        Ok(())
    }
}

fn outgoing_of(parked: &Parked, not_before: Timestamp) -> Option<Outgoing> {
    let Parked { id, queue, body } = parked.clone();
    Some(Outgoing { queue: QueueName::parse(&queue)?, id, body, not_before })
}
