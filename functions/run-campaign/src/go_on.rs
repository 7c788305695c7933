//! A broadcast goes on after it waited, or is over: what was parked meanwhile is handed on again.

use crate::{Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, BroadcastState, Look, PLAN_AHEAD_MS, Sends};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::Parked;
use sluice_wire::queue::{CampaignMessage, CampaignTask};

/// Read at a time.
const PAGE: i32 = 200;
/// Pages handed on by one message; the next one goes on.
const PAGES: u32 = 10;
/// How soon it does, in milliseconds.
const NEXT_MS: i64 = 1_000;

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
                // First of all: nothing goes out that nobody looks at.
                self.watch_then(&broadcast, Look::soon(now)).await?;
                self.go_through(&broadcast).await?;
                self.drain(broadcast, now).await.map(drop)
            }
            // What waits is left out, and says so.
            BroadcastState::Cancelled => self.drain(broadcast, now).await.map(drop),
            BroadcastState::Paused | BroadcastState::Stopped | BroadcastState::Done => Ok(()),
        }
    }

    /// More of what waits, unless it is to wait again.
    pub(crate) async fn drain_on(&self, message: &CampaignMessage, from: Timestamp) -> Result<(), String> {
        let Some(broadcast) = self.read(message).await? else { return Ok(()) };
        self.drain(broadcast, from).await.map(drop)
    }

    /// Hands on what waits, at the campaign's own rate from then on, each before it is taken from what waits. Whether that was
    /// all: of much, the rest is handed on by a message of its own.
    pub(crate) async fn drain(&self, mut broadcast: Broadcast, from: Timestamp) -> Result<bool, String> {
        let rate = broadcast.document.as_ref().and_then(|document| document.rate).map(i64::from);
        let (mut pages, mut shard) = (0, 0);
        let mut at = from.max(self.env.clock.now());
        while shard < broadcast.shards {
            // What is held back meanwhile is handed on by whoever lets it go on then.
            if broadcast.sends() == Sends::Later {
                return Ok(true);
            }
            let parked = self.store.parked(&broadcast, shard, PAGE).await.map_err(text)?;
            if parked.is_empty() {
                shard += 1;
                continue;
            }
            if pages == PAGES {
                let next = self.env.clock.now().plus_millis(NEXT_MS);
                self.hand_over(vec![outgoing(&broadcast, CampaignTask::Drain(at), next)]).await?;
                return Ok(false);
            }
            pages += 1;
            let mut messages = Vec::new();
            for (_, parked) in &parked {
                messages.extend(outgoing_of(parked, at));
                at = at.plus_millis(rate.map_or(0, |rate| people(parked) * 1000 / rate.max(1)));
            }
            self.hand_over(messages).await?;
            self.store.unpark(&broadcast, shard, &parked).await.map_err(text)?;
            let again = self.store.broadcast(&broadcast.campaign, broadcast.n).await.map_err(text)?;
            broadcast = again.ok_or("it is gone")?;
        }
        Ok(true)
    }
}

/// How many people get a message by what waits.
fn people(parked: &Parked) -> i64 {
    let people = match serde_json::from_str(&parked.body) {
        Ok(CampaignMessage { task: CampaignTask::Bundle(bundle), .. }) => bundle.people.len(),
        _ => 1,
    };
    i64::try_from(people).unwrap_or(i64::MAX)
}

fn outgoing_of(parked: &Parked, not_before: Timestamp) -> Option<Outgoing> {
    let Parked { id, queue, body } = parked.clone();
    Some(Outgoing { queue: QueueName::parse(&queue)?, id, body, not_before })
}
