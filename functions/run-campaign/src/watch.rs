//! Looks at what was counted: whether a guard rail is reached, and whether all is done.

use crate::begin::due;
use crate::{ATTEMPTS, Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, BroadcastState, Counts, Section, tripped};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::Written;
use sluice_wire::queue::{CampaignMessage, CampaignTask, Halt, TellMessage, encode};

/// How often it is looked, in milliseconds: at first, and at last.
const OFTEN_MS: i64 = 60_000;
const RARELY_MS: i64 = 3_600_000;
/// This long after the last message's time nobody waits for those that are still deferred, in milliseconds.
const LATEST_MS: i64 = 86_400_000;

impl Runner {
    pub(crate) async fn watch(&self, message: &CampaignMessage, at: Timestamp) -> Result<(), String> {
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
            if !is_done(&sections, &counts, now) {
                return self.watch_then(&broadcast, next(&sections, at.max(now), now)).await;
            }
            // What was parked at the moment when it went on.
            self.drain(&broadcast, now).await?;
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

    /// It is looked at again, soon.
    pub(crate) async fn watch_again(&self, broadcast: &Broadcast, now: Timestamp) -> Result<(), String> {
        self.watch_then(broadcast, now.plus_millis(OFTEN_MS)).await
    }

    /// A due entry of one time is one entry, however often it is put: looking twice does not make it two from then on.
    async fn watch_then(&self, broadcast: &Broadcast, at: Timestamp) -> Result<(), String> {
        let task = outgoing(broadcast, CampaignTask::Watch(at), at);
        self.store.put_due(&due(task)).await.map_err(text)
    }
}

/// Whether everybody was found and every message has come to its end; or should have, long ago.
fn is_done(sections: &[Section], counts: &Counts, now: Timestamp) -> bool {
    let planned: u64 = sections.iter().map(|section| section.planned).sum();
    let last = sections.iter().filter_map(|section| section.last).max();
    let is_late = last.is_none_or(|last| now.since(last) > LATEST_MS);
    let have_ended = counts.ended() >= i64::try_from(planned).unwrap_or(i64::MAX);
    sections.iter().all(|section| section.done) && (have_ended || is_late)
}

/// When it is looked at next: each minute while messages go out, then ever less often. On whole minutes, so that two who
/// look at the same time look once from then on.
fn next(sections: &[Section], looked: Timestamp, now: Timestamp) -> Timestamp {
    let last = sections.iter().filter_map(|section| section.last).max();
    let idle = last.map_or(0, |last| now.since(last).max(0));
    let pause = (idle / 8).clamp(OFTEN_MS, RARELY_MS);
    Timestamp((looked.millis() + pause).div_euclid(OFTEN_MS) * OFTEN_MS)
}
