//! Looks at what was counted: whether a guard rail is reached, and whether all is done.

use crate::begin::due;
use crate::{ATTEMPTS, Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, BroadcastState, Look, Seen, tripped};
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::Written;
use sluice_wire::queue::{CampaignMessage, CampaignTask, Halt, TellMessage, encode};

impl Runner {
    pub(crate) async fn watch(&self, message: &CampaignMessage, look: &Look) -> Result<(), String> {
        for _ in 0..ATTEMPTS {
            let Some(mut broadcast) = self.read(message).await? else { return Ok(()) };
            match broadcast.state {
                BroadcastState::Running => {}
                // Whoever stopped it may have died before anybody heard of it.
                BroadcastState::Stopped => return self.stopped(&broadcast).await,
                _ => return Ok(()),
            }
            let now = self.env.clock.now();
            let counts = self.store.counts(&broadcast).await.map_err(text)?;
            let stop_if = broadcast.document.as_ref().and_then(|document| document.stop_if.as_ref());
            let rail = stop_if.and_then(|rails| tripped(rails, &counts.since(&broadcast.since)));
            if let Some(rail) = rail {
                broadcast.stop(rail, now);
                if self.store.put_broadcast(&broadcast).await.map_err(text)? == Written::Done {
                    return self.stopped(&broadcast).await;
                }
                continue;
            }
            let sections = self.store.sections(&broadcast).await.map_err(text)?;
            let policies = self.current().await?;
            let document = broadcast.document.as_ref();
            let rate = document.and_then(|document| policies.rate_of(document));
            let Seen { is_done, still, next } = look.see(&broadcast, &sections, &counts, rate, now);
            if !is_done {
                self.watch_then(&broadcast, next).await?;
                // Whoever was to go through these parts has not, for long.
                return self.go_through_parts(&broadcast, &sections, still).await;
            }
            // What was parked at the moment when it went on.
            if !self.drain(broadcast.clone(), now).await? {
                return self.watch_then(&broadcast, next).await;
            }
            broadcast.finish(now);
            if self.store.put_broadcast(&broadcast).await.map_err(text)? == Written::Done {
                return Ok(());
            }
        }
        Err("others changed the broadcast each time".to_owned())
    }

    /// Nothing of it is claimed any more, and people are told why.
    async fn stopped(&self, broadcast: &Broadcast) -> Result<(), String> {
        self.store.tell_tallies(broadcast).await.map_err(text)?;
        let policies = self.current().await?;
        let own = broadcast.document.as_ref().map(|document| &document.tell).filter(|tell| !tell.is_empty());
        let Some(stopped) = &broadcast.stopped else { return Ok(()) };
        let halt = |rep: &String| Halt {
            rep: rep.clone(),
            campaign: broadcast.campaign.clone(),
            broadcast: broadcast.n,
            at: stopped.at,
            why: stopped.rail.sentence(),
        };
        let halts = own.unwrap_or(&policies.settings.escalate_to).iter().map(halt);
        let messages = halts.map(|halt| Outgoing {
            queue: QueueName::Notice,
            id: halt.id(),
            not_before: halt.at,
            body: encode(&TellMessage::Halt(halt)),
        });
        self.hand_over(messages.collect()).await
    }

    /// A due entry of one time is one entry, however often it is put: looking twice does not make it two from then on.
    pub(crate) async fn watch_then(&self, broadcast: &Broadcast, look: Look) -> Result<(), String> {
        self.store.put_due(&due(watch(broadcast, look))).await.map_err(text)
    }
}

/// A look, for its time.
pub(crate) fn watch(broadcast: &Broadcast, look: Look) -> Outgoing {
    let at = look.at;
    outgoing(broadcast, CampaignTask::Watch(look), at)
}
