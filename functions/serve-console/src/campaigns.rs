//! Campaigns as people handle them: scheduled, paused, resumed, cancelled, tried.

use crate::acts::ATTEMPTS;
use crate::{Call, Console, auth, campaign_view, unavailable};
use serde::Deserialize;
use sluice_domain::campaign::{
    Broadcast, BroadcastState, Counts, Occurrence, PLAN_AHEAD_MS, Refused, Sends, first,
};
use sluice_domain::policy::Campaign;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Commit, DueEntry, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{CampaignMessage, CampaignTask, encode};
use std::collections::BTreeSet;

/// Broadcasts of one campaign that are looked at: more of them are never under way.
pub(crate) const NEWEST: i32 = 20;

/// What a call about a campaign says besides: nothing. Its document says when it goes out, and to whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

/// Whoever says more than that hears where it is said.
fn check_says_nothing(call: &Call) -> Result<(), Problem> {
    match call.read::<NoFields>() {
        Err(unfit) if unfit.status == 422 => {
            let detail = "The campaign's document says when it goes out, and to whom: leave the body empty.";
            Err(Problem { field: unfit.field, ..Problem::new(422, "body-unfit", detail) })
        }
        read => read.map(drop),
    }
}

/// What somebody wants of everything of a campaign that is not over.
#[derive(Clone, Copy)]
enum Wish {
    Pause,
    Resume,
    Cancel,
}

impl Wish {
    const fn word(self) -> &'static str {
        match self {
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Cancel => "cancelled",
        }
    }
}

impl Console {
    /// It goes out as its document says. With an `Idempotency-Key` the same call is one broadcast for ever.
    pub(crate) async fn schedule_campaign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let name = call.part(0);
        let key = idempotency::key(&call.request)?.map(auth::hash);
        for _ in 0..ATTEMPTS {
            let policies = self.current().await?;
            let (document, _) = policies.campaigns.get(name).ok_or_else(no_such_campaign)?;
            check_says_nothing(call)?;
            let newest = self.store.broadcasts(name, NEWEST).await.map_err(unavailable)?;
            if let Some(same) = self.of_key(name, key.as_ref(), &newest).await? {
                return self.scheduled(&same, document).await;
            }
            if let Some(live) = newest.iter().find(|known| !known.state.is_over()) {
                return Err(under_way(live));
            }
            let now = self.env.clock.now();
            let when = first(&document.at, now).map_err(|_| {
                let said = "The time that the document says has passed. Publish it with another one.";
                Problem::new(409, "time-passed", said).about("at")
            })?;
            let n = newest.first().map_or(1, |last| last.n + 1);
            let mut broadcast = Broadcast::new(name, n, when, &call.who.name(), now);
            broadcast.key.clone_from(&key);
            broadcast.policies = Some(policies.version);
            let commit = Commit::default().broadcast(broadcast.clone()).due(begin(&broadcast, when));
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Done {
                return self.scheduled(&broadcast, document).await;
            }
        }
        Err(busy())
    }

    /// The broadcast that a key asked for, however long ago.
    async fn of_key(
        &self,
        campaign: &str,
        key: Option<&String>,
        newest: &[Broadcast],
    ) -> Result<Option<Broadcast>, Problem> {
        let Some(key) = key else { return Ok(None) };
        let is_of = |known: &&Broadcast| known.key.as_ref() == Some(key);
        let found = newest.iter().find(is_of).cloned();
        if found.is_some() || newest.len() < usize::try_from(NEWEST).unwrap_or_default() {
            return Ok(found);
        }
        let all = self.store.all_broadcasts(campaign).await.map_err(unavailable)?;
        Ok(all.iter().find(is_of).cloned())
    }

    /// Its time is on its way already; what is to go out now need not wait for the timers.
    async fn scheduled(&self, broadcast: &Broadcast, document: &Campaign) -> Result<HttpResponse, Problem> {
        let now = self.env.clock.now();
        if broadcast.state == BroadcastState::Scheduled {
            let entry = begin(broadcast, broadcast.occurrence());
            self.hand(Outgoing {
                queue: QueueName::Campaign,
                id: entry.id,
                body: entry.body,
                not_before: entry.at.max(now),
            })
            .await?;
        }
        Ok(HttpResponse::json(202, &campaign_view::broadcast(broadcast, document, None)))
    }

    pub(crate) async fn pause_campaign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.change(call, Wish::Pause).await
    }

    /// After a guard rail stopped it, rates are counted anew from here on.
    pub(crate) async fn resume_campaign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.change(call, Wish::Resume).await
    }

    pub(crate) async fn cancel_campaign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.change(call, Wish::Cancel).await
    }

    /// Answered once it holds: after a pause or a cancellation no message of it is claimed any more.
    async fn change(&self, call: &Call, wish: Wish) -> Result<HttpResponse, Problem> {
        let name = call.part(0);
        let newest = self.store.broadcasts(name, NEWEST).await.map_err(unavailable)?;
        if newest.is_empty() && !self.current().await?.campaigns.contains_key(name) {
            return Err(no_such_campaign());
        }
        check_says_nothing(call)?;
        if newest.is_empty() {
            let said = "The campaign is not scheduled.";
            return Err(Problem::new(409, "not-scheduled", said));
        }
        let mut live: Vec<Broadcast> = newest.iter().filter(|one| !one.state.is_over()).cloned().collect();
        // Asked again after all of it was cancelled: that is so.
        if live.is_empty() {
            live.extend(newest.into_iter().next());
        }
        let (mut changed, mut refused, mut seen) = (Vec::new(), None, BTreeSet::new());
        while !live.is_empty() {
            // The oldest first: what goes out now before what is still to come.
            for broadcast in live.into_iter().rev() {
                seen.insert(broadcast.n);
                match self.change_one(broadcast, wish).await? {
                    Ok(broadcast) => changed.push(broadcast),
                    Err(why) => refused = refused.or(Some(why)),
                }
            }
            // One that began before it was changed has made the next one. No other comes of one that is changed.
            live = self.store.broadcasts(name, NEWEST).await.map_err(unavailable)?;
            live.retain(|one| !one.state.is_over() && !seen.contains(&one.n));
        }
        match (changed.as_slice(), refused) {
            ([], Some(Refused(state))) => Err(wrong_state(state, wish)),
            _ => self.show_campaign(call).await,
        }
    }

    async fn change_one(
        &self,
        mut broadcast: Broadcast,
        wish: Wish,
    ) -> Result<Result<Broadcast, Refused>, Problem> {
        for _ in 0..ATTEMPTS {
            let now = self.env.clock.now();
            let changed = match wish {
                Wish::Pause => broadcast.pause(),
                Wish::Cancel => broadcast.cancel(now),
                Wish::Resume => {
                    let counts = match broadcast.state {
                        BroadcastState::Stopped => {
                            self.store.counts(&broadcast).await.map_err(unavailable)?
                        }
                        _ => Counts::default(),
                    };
                    broadcast.resume(&counts, now)
                }
            };
            match changed {
                Err(refused) => return Ok(Err(refused)),
                Ok(true) => {
                    if self.store.put_broadcast(&broadcast).await.map_err(unavailable)? == Written::Conflict {
                        let again = self.store.broadcast(&broadcast.campaign, broadcast.n).await;
                        broadcast = again.map_err(unavailable)?.ok_or_else(no_such_campaign)?;
                        continue;
                    }
                }
                // Whoever did it may have died before all knew.
                Ok(false) => {}
            }
            if broadcast.sends() != Sends::Yes {
                self.store.tell_tallies(&broadcast).await.map_err(unavailable)?;
            }
            if !matches!(wish, Wish::Pause) {
                let message = task(&broadcast, CampaignTask::GoOn);
                self.hand(Outgoing {
                    queue: QueueName::Campaign,
                    id: message.id(),
                    body: encode(&message),
                    not_before: now,
                })
                .await?;
            }
            return Ok(Ok(broadcast));
        }
        Err(busy())
    }

    async fn hand(&self, message: Outgoing) -> Result<(), Problem> {
        self.outbox.hand_over(vec![message], self.env.clock.now()).await.map_err(unavailable)
    }
}

/// What lets a broadcast begin.
fn begin(broadcast: &Broadcast, when: Occurrence) -> DueEntry {
    let message = task(broadcast, CampaignTask::Begin);
    let at = when.at.plus_millis(-PLAN_AHEAD_MS).max(broadcast.asked);
    DueEntry { at, id: message.id(), queue: QueueName::Campaign.name().to_owned(), body: encode(&message) }
}

fn task(broadcast: &Broadcast, task: CampaignTask) -> CampaignMessage {
    CampaignMessage { campaign: broadcast.campaign.clone(), broadcast: broadcast.n, task }
}

pub(crate) fn no_such_campaign() -> Problem {
    Problem::new(404, "no-such-campaign", "There is no campaign of this name.")
}

fn under_way(live: &Broadcast) -> Problem {
    let said = match live.state {
        BroadcastState::Scheduled => format!("It is scheduled for {} already. Cancel that first.", live.at),
        BroadcastState::Running => {
            format!("It has been going out since {}. Wait until it is done, or cancel it.", live.at)
        }
        _ => "It was held back and is not over. Resume or cancel it.".to_owned(),
    };
    Problem::new(409, "under-way", said)
}

fn wrong_state(state: BroadcastState, wish: Wish) -> Problem {
    let said = match state {
        BroadcastState::Stopped => "It was stopped by a guard rail. Resume or cancel it.".to_owned(),
        state => format!("It is {} and cannot be {} any more.", state.name(), wish.word()),
    };
    Problem::new(409, "wrong-state", said)
}

fn busy() -> Problem {
    Problem::new(409, "busy", "Others are changing this campaign. Try again.").retry_after(1)
}
