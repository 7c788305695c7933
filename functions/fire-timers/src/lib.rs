//! Every minute: what is due soon goes to its queue, what stayed open too long is driven again, and
//! alerts are looked at.

mod alerts;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use sluice_domain::lead::LeadState;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outbox, Outgoing, QueueName};
use sluice_host::schedule::{Schedule, ScheduleHandler};
use sluice_store::{DueEntry, OpenLead, Policies, Store, StoreError, keys};
use sluice_wire::queue::{LeadMessage, encode};
use std::sync::Arc;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 10] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_ENRICH_QUEUE_URL",
    "SLUICE_NOTICE_QUEUE_URL",
    "SLUICE_MESSAGE_QUEUE_URL",
    "SLUICE_BULK_QUEUE_URL",
    "SLUICE_ERASE_QUEUE_URL",
    "SLUICE_FEEDBACK_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_CAMPAIGN_QUEUE_URL",
];

/// How far ahead entries are handed to their queue, which waits the rest, in milliseconds.
const AHEAD_MS: i64 = 120_000;
/// Entries of one read.
const PAGE: i32 = 200;
/// How long entries are read in one run, in milliseconds: what is left comes with the next. The function may run for 50 s.
const BUDGET_MS: i64 = 30_000;
/// How old a waiting lead must be to be driven again, in milliseconds: older than a queue needs to bring it again.
const STUCK_MS: i64 = 240_000;
/// Waiting leads driven again in one run.
const STUCK_LIMIT: usize = 5_000;
/// Escalated leads looked at in one run.
const ESCALATED_LIMIT: usize = 2_000;
/// Of these, tried again: the oldest, and as many of the others in turn, so that none waits behind those that nobody
/// can take. A change that may help wakes the oldest sooner.
const ESCALATED_TRIED: usize = 10;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let outbox = Outbox::new(&env, store.clone(), &QueueName::ALL)?;
        Ok(Arc::new(Schedule(Timers { policies: Policies::new(store.clone()), store, outbox, env }))
            as Arc<dyn Function>)
    })
}

struct Timers {
    policies: Policies,
    store: Store,
    outbox: Outbox,
    env: Environment,
}

impl ScheduleHandler for Timers {
    async fn fire(&self) -> Result<(), String> {
        let now = self.env.clock.now();
        let shards: Vec<_> = (0..keys::DUE_SHARDS).map(|shard| self.shard(shard, now)).collect();
        let mut problems: Vec<String> = stream::iter(shards)
            .buffer_unordered(usize::from(keys::DUE_SHARDS))
            .filter_map(|result| async move { result.err().map(|error| error.to_string()) })
            .collect()
            .await;
        problems.extend(self.reconcile(now).await.err().map(|error| error.to_string()));
        problems.extend(self.alerts(now).await.err().map(|error| error.to_string()));
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

impl Timers {
    /// Sends what is due, then deletes what was sent. A crash between the two sends twice, which is harmless.
    async fn shard(&self, shard: u8, now: Timestamp) -> Result<(), StoreError> {
        let (mut behind, mut is_refused): (Option<DueEntry>, bool) = (None, false);
        while self.env.clock.now().since(now) < BUDGET_MS {
            let before = now.plus_millis(AHEAD_MS);
            let entries = self.store.due_before(shard, before, behind.as_ref(), PAGE).await?;
            let count = entries.len();
            behind = entries.last().cloned();
            let messages = entries.iter().filter_map(outgoing).collect();
            let refused = self.outbox.enqueue(messages, now).await;
            // An entry for a queue that this version does not know stays for one that does.
            let sent: Vec<DueEntry> = entries
                .into_iter()
                .filter(|entry| QueueName::parse(&entry.queue).is_some())
                .filter(|entry| {
                    !refused.iter().any(|left| left.id == entry.id && left.not_before == entry.at)
                })
                .collect();
            self.store.delete_due(&sent).await?;
            // What stays keeps nobody behind it waiting.
            is_refused |= sent.len() < count;
            if count < PAGE as usize {
                break;
            }
        }
        match is_refused {
            true => Err(StoreError::Unavailable("a queue refuses, or is not known".to_owned())),
            false => Ok(()),
        }
    }

    /// The reconciler: reads the sparse index, drives again what stayed open, and measures it.
    async fn reconcile(&self, now: Timestamp) -> Result<(), StoreError> {
        let stuck_before = now.plus_millis(-STUCK_MS);
        let stuck = self.store.open_leads(LeadState::Waiting, None, stuck_before, STUCK_LIMIT).await?;
        let escalated = self.store.open_leads(LeadState::Escalated, None, now, ESCALATED_LIMIT).await?;
        let oldest = stuck.first().map_or(0, |lead| now.since(lead.since) / 1000);
        let stuck = stuck.into_iter().filter(|lead| is_turn(now.since(lead.since)));
        let again = stuck.chain(in_turn(escalated, now)).map(|lead| lead.id);
        // One that is still to be completed is sent on by route-lead.
        let messages: Vec<Outgoing> = again
            .map(|id| Outgoing {
                queue: QueueName::Lead,
                id: id.to_string(),
                body: encode(&LeadMessage::Lead(id)),
                not_before: now,
            })
            .collect();
        let refused = self.outbox.enqueue(messages, now).await;
        Metrics::new().seconds("OldestOpenLeadSeconds", oldest).emit(&self.env, now);
        for state in LeadState::IN_FLIGHT {
            let open = self.store.count_open(state).await?;
            Metrics::new()
                .count("InFlight", usize::try_from(open).unwrap_or(usize::MAX))
                .by("State", state.name())
                .emit(&self.env, now);
        }
        if refused.is_empty() {
            Ok(())
        } else {
            Err(StoreError::Unavailable("the lead queue refuses".to_owned()))
        }
    }
}

/// The oldest of the escalated leads and, minute by minute, a window over the rest.
fn in_turn(mut leads: Vec<OpenLead>, now: Timestamp) -> Vec<OpenLead> {
    let mut rest = leads.split_off(leads.len().min(ESCALATED_TRIED));
    let windows = rest.len().div_ceil(ESCALATED_TRIED);
    if let Ok(minute) = usize::try_from(now.seconds() / 60)
        && windows > 0
    {
        let from = minute % windows * ESCALATED_TRIED;
        leads.extend(rest.drain(from..rest.len().min(from + ESCALATED_TRIED)));
    }
    leads
}

/// Whether a lead that has been open for this long, in milliseconds, is driven again in this minute: at first every
/// minute, then ever less often, at least about hourly. What keeps it open may last, and repeats must not pile up.
const fn is_turn(open_ms: i64) -> bool {
    let minutes = open_ms / 60_000;
    let mut step = 1;
    while step < 64 && step * 16 <= minutes {
        step *= 2;
    }
    minutes % step == 0
}

fn outgoing(entry: &DueEntry) -> Option<Outgoing> {
    let queue = QueueName::parse(&entry.queue)?;
    Some(Outgoing { queue, id: entry.id.clone(), body: entry.body.clone(), not_before: entry.at })
}

#[cfg(test)]
mod tests {
    use super::{ESCALATED_TRIED, Timestamp, in_turn, is_turn};
    use sluice_domain::id::LeadId;
    use sluice_store::OpenLead;
    use std::collections::BTreeSet;

    #[test]
    fn every_escalated_lead_has_its_turn() {
        let lead = |n: usize| OpenLead { id: LeadId::derived(&[&n.to_string()]), since: Timestamp(n as i64) };
        let tried: BTreeSet<LeadId> = (0..5)
            .flat_map(|minute| in_turn((0..47).map(lead).collect(), Timestamp(minute * 60_000)))
            .map(|lead| lead.id)
            .collect();
        assert_eq!(tried.len(), 47);
        assert!(in_turn((0..47).map(lead).collect(), Timestamp(0)).len() <= 2 * ESCALATED_TRIED);
        assert!(in_turn(Vec::new(), Timestamp(0)).is_empty());
    }

    #[test]
    fn an_open_lead_is_driven_again_ever_less_often_and_never_forgotten() {
        let turns = |from: i64, to: i64| (from..to).filter(|minute| is_turn(minute * 60_000)).count();
        assert_eq!(turns(4, 16), 12);
        assert_eq!(turns(16, 32), 8);
        assert!((20..=24).contains(&turns(24 * 60, 48 * 60)), "about hourly on the second day");
    }
}
