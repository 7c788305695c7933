//! A broadcast begins: by the document as it is now, and with the next time it goes out if it does so again.

use crate::watch::watch;
use crate::{ATTEMPTS, Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, BroadcastState, Look, PLAN_AHEAD_MS, is_missed, next};
use sluice_host::outbox::Outgoing;
use sluice_store::{Commit, DueEntry, Written};
use sluice_wire::queue::{CampaignMessage, CampaignTask};

/// How soon policies that are not seen yet are looked for again, in milliseconds.
const UNSEEN_MS: i64 = 3_000;

impl Runner {
    pub(crate) async fn begin(&self, message: &CampaignMessage) -> Result<(), String> {
        for _ in 0..ATTEMPTS {
            let Some(mut broadcast) = self.read(message).await? else { return Ok(()) };
            match broadcast.state {
                BroadcastState::Scheduled => {}
                // Whoever let it begin may have died before anybody was told.
                BroadcastState::Running => return self.go_through(&broadcast).await,
                _ => return Ok(()),
            }
            let now = self.env.clock.now();
            let policies = self.current().await?;
            let not_before = broadcast.at.plus_millis(-PLAN_AHEAD_MS);
            if not_before > now {
                return self.hand_over(vec![outgoing(&broadcast, CampaignTask::Begin, not_before)]).await;
            }
            if broadcast.policies.is_some_and(|seen| policies.version < seen) {
                let soon = now.plus_millis(UNSEEN_MS);
                return self.hand_over(vec![outgoing(&broadcast, CampaignTask::Begin, soon)]).await;
            }
            let mut commit = Commit::default();
            match policies.campaigns.get(&broadcast.campaign) {
                // Its document is gone: it was taken back.
                None => drop(broadcast.cancel(now)),
                Some((document, _)) => {
                    if let Some(when) = next(&document.at, broadcast.occurrence(), now) {
                        commit = self.again(commit, &broadcast, when).await?;
                    }
                    if is_missed(&document.at, broadcast.occurrence(), now) {
                        broadcast.miss(now);
                    } else if broadcast
                        .begin(document, policies.version, policies.rate_of(document), now)
                        .is_ok()
                    {
                        commit = commit.due(due(watch(&broadcast, Look::soon(now))));
                    } else {
                        return Ok(());
                    }
                }
            }
            let began = broadcast.state == BroadcastState::Running;
            if self.store.commit(commit.broadcast(broadcast.clone())).await.map_err(text)? == Written::Done {
                return if began { self.go_through(&broadcast).await } else { Ok(()) };
            }
        }
        Err("others changed the broadcast each time".to_owned())
    }

    /// With the next time it goes out, unless that is there already.
    async fn again(
        &self,
        commit: Commit,
        last: &Broadcast,
        when: sluice_domain::campaign::Occurrence,
    ) -> Result<Commit, String> {
        let n = last.n + 1;
        if self.store.broadcast(&last.campaign, n).await.map_err(text)?.is_some() {
            return Ok(commit);
        }
        let next = Broadcast::new(&last.campaign, n, when, &last.by, self.env.clock.now());
        let begin = when.at.plus_millis(-PLAN_AHEAD_MS);
        Ok(commit.due(due(outgoing(&next, CampaignTask::Begin, begin))).broadcast(next))
    }
}

/// A task as a due entry, for a commit.
pub(crate) fn due(task: Outgoing) -> DueEntry {
    DueEntry { at: task.not_before, id: task.id, queue: task.queue.name().to_owned(), body: task.body }
}
