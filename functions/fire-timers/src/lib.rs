//! Every minute: what is due soon goes to its queue, what stayed open too long or in a queue that is gone is driven again, and
//! alerts are looked at. Once a day dead letters are.

mod alerts;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use sluice_domain::erasure::is_time_for_dead_letters;
use sluice_domain::id::LeadId;
use sluice_domain::lead::LeadState;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outbox, Outgoing, QueueName};
use sluice_host::schedule::{Schedule, ScheduleHandler};
use sluice_store::{DueEntry, DuePage, OpenLead, Policies, Standing, Store, StoreError, keys};
use sluice_wire::queue::{EraseMessage, LeadMessage, encode};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

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
/// How long ago the run before is taken to have been where that is not known, in milliseconds: one was left out, and this one is
/// some seconds late.
const UNSEEN_MS: i64 = 130_000;
/// Waiting leads driven again in one run. Where more have their turn, they take turns by the minute.
const STUCK_LIMIT: usize = 5_000;
/// Open leads of one state that are looked at in one run. Counting them reads as much of the index.
const LOOKED_AT: usize = 100_000;
/// Escalated leads tried again in one run: the oldest, and as many of the others in turn at least, so that none waits behind
/// those that nobody can take. A change that may help wakes the oldest sooner.
const ESCALATED_TRIED: usize = 10;
/// Within how many minutes every escalated lead has its turn.
const ESCALATED_ROUND: usize = 60;
/// Others in turn in one run, at most: above that the round takes longer.
const ESCALATED_MOST: usize = 100;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let outbox = Outbox::new(&env, store.clone(), &QueueName::ALL)?;
        let (policies, driven) = (Policies::new(store.clone()), AtomicI64::new(0));
        Ok(Arc::new(Schedule(Timers { policies, store, outbox, env, driven })) as Arc<dyn Function>)
    })
}

struct Timers {
    policies: Policies,
    store: Store,
    outbox: Outbox,
    env: Environment,
    /// When this instance drove waiting leads last, in milliseconds since the epoch; 0 if it has not yet.
    driven: AtomicI64,
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
        problems.extend(self.queues(now).await.err().map(|error| error.to_string()));
        problems.extend(self.alerts(now).await.err().map(|error| error.to_string()));
        if is_time_for_dead_letters(now) {
            problems.extend(self.dead_letters(now).await.err().map(|error| error.to_string()));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

impl Timers {
    /// Sends what is due, then deletes what was sent. A crash between the two sends twice, which is harmless.
    async fn shard(&self, shard: u8, now: Timestamp) -> Result<(), StoreError> {
        let (mut behind, mut stays) = (None, false);
        while self.env.clock.now().since(now) < BUDGET_MS {
            let before = now.plus_millis(AHEAD_MS);
            let DuePage { entries, unreadable, end } =
                self.store.due_before(shard, before, behind, PAGE).await?;
            let count = entries.len() + unreadable;
            let messages = entries.iter().filter_map(outgoing).collect();
            // What is left to wait is counted from now, not from when the run began: reading may have taken a while.
            let refused = self.outbox.enqueue(messages, self.env.clock.now()).await;
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
            stays |= sent.len() < count;
            behind = end;
            if behind.is_none() {
                break;
            }
        }
        match stays {
            true => Err(StoreError::Unavailable(
                "a queue refuses or is not known, or an entry is unreadable".to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// The reconciler: reads the sparse index, drives again what stayed open, and measures it.
    async fn reconcile(&self, now: Timestamp) -> Result<(), StoreError> {
        let stuck_before = now.plus_millis(-STUCK_MS);
        let stuck = self.store.open_leads(LeadState::Waiting, None, stuck_before, LOOKED_AT).await?;
        let escalated = self.store.open_leads(LeadState::Escalated, None, now, LOOKED_AT).await?;
        let oldest = stuck.first().map_or(0, |lead| now.since(lead.since) / 1000);
        let before = run_before(self.driven.load(Ordering::SeqCst), now);
        let is_turn = |lead: &OpenLead| is_turn(now.since(lead.since), before.since(lead.since));
        let stuck = stuck.into_iter().filter(is_turn).collect();
        let stuck = window(stuck, STUCK_LIMIT, scattered(minute(now))).into_iter();
        // One that is still to be completed is sent on by route-lead.
        let again = stuck.chain(in_turn(escalated, now)).map(|lead| lead.id);
        let driven = self.drive(again.collect(), now).await;
        if driven.is_ok() {
            self.driven.store(now.millis(), Ordering::SeqCst);
        }
        Metrics::new().seconds("OldestOpenLeadSeconds", oldest).emit(&self.env, now);
        for state in LeadState::IN_FLIGHT {
            let open = self.store.count_open(state).await?;
            Metrics::new()
                .count("InFlight", usize::try_from(open).unwrap_or(usize::MAX))
                .by("State", state.name())
                .emit(&self.env, now);
        }
        driven
    }

    /// Drives leads that wait in the queue of a team that there no longer is, where nobody may claim them. Those in queues are looked
    /// at in turn, as escalated ones are tried: documents are published seldom, and each look is a read.
    async fn queues(&self, now: Timestamp) -> Result<(), StoreError> {
        let queued = self.store.open_leads(LeadState::Queued, None, now, LOOKED_AT).await?;
        if queued.is_empty() {
            return Ok(());
        }
        let policies = self.policies.current(now).await?;
        let ids: Vec<LeadId> = in_turn(queued, now).into_iter().map(|lead| lead.id).collect();
        let standings = self.store.standings(&ids).await?;
        let is_stranded = |standing: &Standing| standing.progress.is_stranded(&policies);
        let stranded =
            standings.into_iter().filter(|(_, standing)| standing.as_ref().is_some_and(is_stranded));
        self.drive(stranded.map(|(id, _)| id).collect(), now).await
    }

    /// Has dead letters looked through for people who were erased before these died.
    async fn dead_letters(&self, now: Timestamp) -> Result<(), StoreError> {
        let id = format!("dead-letters-{}", minute(now));
        let body = encode(&EraseMessage::DeadLetters);
        self.outbox
            .hand_over(vec![Outgoing { queue: QueueName::Erase, id, body, not_before: now }], now)
            .await
    }

    /// Puts leads on their queue once more.
    async fn drive(&self, leads: Vec<LeadId>, now: Timestamp) -> Result<(), StoreError> {
        let message = |id: LeadId| Outgoing {
            queue: QueueName::Lead,
            id: id.to_string(),
            body: encode(&LeadMessage::Lead(id)),
            not_before: now,
        };
        let refused = self.outbox.enqueue(leads.into_iter().map(message).collect(), now).await;
        match refused.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Unavailable("the lead queue refuses".to_owned())),
        }
    }
}

/// When the run before was, of an instance that drove leads then; 0 if it has not yet. A clock that was ahead then is not believed:
/// until it is that late again no lead would have its turn.
const fn run_before(driven: i64, now: Timestamp) -> Timestamp {
    if driven == 0 || driven > now.millis() { now.plus_millis(-UNSEEN_MS) } else { Timestamp(driven) }
}

/// The oldest of these leads and, minute by minute, a window over the rest.
fn in_turn(mut leads: Vec<OpenLead>, now: Timestamp) -> Vec<OpenLead> {
    let rest = leads.split_off(leads.len().min(ESCALATED_TRIED));
    let size = rest.len().div_ceil(ESCALATED_ROUND).clamp(ESCALATED_TRIED, ESCALATED_MOST);
    leads.extend(window(rest, size, minute(now)));
    leads
}

/// The `n`th window over these leads, after the last the first again.
fn window(mut leads: Vec<OpenLead>, size: usize, n: usize) -> Vec<OpenLead> {
    let windows = leads.len().div_ceil(size).max(1);
    let from = n % windows * size;
    leads.drain(from..leads.len().min(from + size)).collect()
}

fn minute(now: Timestamp) -> usize {
    usize::try_from(now.seconds() / 60).unwrap_or(0)
}

/// A number that looks drawn: whoever has a turn every so many minutes would meet the windows in step, and always the same one.
const fn scattered(n: usize) -> usize {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// Whether a lead that has been open for this long, and at the run before for so long, in milliseconds, is driven again: at first
/// in each run, then ever less often, about hourly until the third day, and at least about daily after it. What keeps it open
/// may last, and repeats must not pile up. A turn is due at a minute and taken by the first run from then on: runs come late, early
/// or not at all, and a turn that is missed would be hours.
const fn is_turn(open_ms: i64, before_ms: i64) -> bool {
    let minutes = open_ms / 60_000;
    let rarest = if minutes < 3 * 24 * 60 { 64 } else { 1024 };
    let mut step = 1;
    while step < rarest && step * 16 <= minutes {
        step *= 2;
    }
    step == 1 || minutes / step > before_ms.div_euclid(step * 60_000)
}

fn outgoing(entry: &DueEntry) -> Option<Outgoing> {
    let queue = QueueName::parse(&entry.queue)?;
    Some(Outgoing { queue, id: entry.id.clone(), body: entry.body.clone(), not_before: entry.at })
}

#[cfg(test)]
mod tests {
    use super::{
        ESCALATED_MOST, ESCALATED_TRIED, Timestamp, UNSEEN_MS, in_turn, is_turn, run_before, scattered,
        window,
    };
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
        // Many are gone over in larger windows, and none is left out.
        let many: BTreeSet<LeadId> = (0..60)
            .flat_map(|minute| in_turn((0..4_000).map(lead).collect(), Timestamp(minute * 60_000)))
            .map(|lead| lead.id)
            .collect();
        assert_eq!(many.len(), 4_000);
        assert!(
            in_turn((0..90_000).map(lead).collect(), Timestamp(0)).len() <= ESCALATED_TRIED + ESCALATED_MOST
        );
    }

    #[test]
    fn of_more_stuck_leads_than_one_run_drives_each_has_its_minute() {
        let lead = |n: usize| OpenLead { id: LeadId::derived(&[&n.to_string()]), since: Timestamp(n as i64) };
        let driven = |minute: usize| window((0..23).map(lead).collect(), 10, scattered(minute));
        // Whether every minute, or every 64th.
        for step in [1, 64] {
            let all: BTreeSet<LeadId> =
                (0..20).flat_map(|turn| driven(turn * step)).map(|lead| lead.id).collect();
            assert_eq!(all.len(), 23, "every {step} minutes");
        }
        assert!((0..9).all(|minute| driven(minute).len() <= 10));
        assert_eq!(window((0..10).map(lead).collect(), 10, 7).len(), 10);
    }

    #[test]
    fn an_open_lead_is_driven_again_ever_less_often_and_never_forgotten() {
        let is_turn = |minute: &i64| is_turn(minute * 60_000, (minute - 1) * 60_000);
        let turns = |from: i64, to: i64| (from..to).filter(is_turn).count();
        assert_eq!(turns(4, 16), 12);
        assert_eq!(turns(16, 32), 8);
        assert!((20..=24).contains(&turns(24 * 60, 48 * 60)), "about hourly on the second day");
        assert!(
            (4..=9).contains(&turns(4 * 24 * 60, 7 * 24 * 60)),
            "two or three times a day on the days after"
        );
        assert!((8..=15).contains(&turns(20 * 24 * 60, 30 * 24 * 60)), "about daily in the end");
    }

    #[test]
    fn a_turn_is_taken_by_the_first_run_after_it_however_late_that_comes() {
        // A turn of a lead that is a day old, and one of a lead that is a week old.
        for due in [23 * 64, 10 * 1024].map(|minute: i64| minute * 60_000) {
            let turn = |before: i64, at: i64| is_turn(due + at * 1_000, due + before * 1_000);
            assert!(turn(-60, 0) && !turn(0, 60) && !turn(-120, -60));
            for (before, after) in [(-3, 58), (-58, 3), (-1, 110), (-65, 57)] {
                assert!(!turn(before - 60, before), "it is not due yet");
                assert!(turn(before, after), "from {before} to {after} seconds");
                assert!(!turn(after, after + 60), "it has been taken");
            }
            let first = |at: i64| is_turn(due + at * 1_000, due + at * 1_000 - UNSEEN_MS);
            assert!(first(0) && first(125) && !first(-1) && !first(130));
        }
        let now = Timestamp(90_000_000);
        let before = |driven: i64| now.since(run_before(driven, now));
        assert_eq!(before(now.millis() - 61_000), 61_000);
        assert_eq!(before(0), UNSEEN_MS);
        assert_eq!(before(now.millis() + 3_600_000), UNSEEN_MS, "the clock was ahead");
    }
}
