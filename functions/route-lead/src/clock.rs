//! Response clocks: what a due entry does when it fires. One transaction of the lead, its teams and its customer; a tick
//! that no longer fits changes nothing, and what it decided before is told again, since that may have been lost.

use crate::batch::{escalated, notice};
use crate::{ATTEMPTS, FUNCTION, Router, each_failed, teller};
use futures::stream::{self, StreamExt};
use sluice_domain::access::taken_from;
use sluice_domain::clock::{
    Change, Floor, Past, PastEnd, Tick, To, What, asked_for, fire, receivers, set_anew,
};
use sluice_domain::customer::Whole;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Lead, Progress};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{Asked, Missing, goes_along, own, watched};
use sluice_domain::team::TeamState;
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{self, Outgoing, QueueName};
use sluice_host::queue::Failed;
use sluice_store::{Commit, StoreError, TeamRecord, Wanted, Written, keys};
use sluice_wire::queue::{LeadMessage, NoticeKind, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Ticks of one batch worked on at the same time.
const AT_ONCE: usize = 4;
/// Notices of a rep looked at in one read, for the leads whose clocks are set anew.
const TOLD_AT_ONCE: i32 = 100;

impl Router {
    /// Works off ticks with the records that brought them; answers with the failed records.
    pub(crate) async fn tick_all(&self, ticks: BTreeMap<Tick, Vec<&str>>) -> Vec<Failed> {
        let each: Vec<_> = ticks.into_iter().map(|(tick, records)| self.tick_of(tick, records)).collect();
        stream::iter(each).buffered(AT_ONCE).collect::<Vec<_>>().await.concat()
    }

    async fn tick_of(&self, tick: Tick, records: Vec<&str>) -> Vec<Failed> {
        let Err(why) = self.tick(&tick).await else { return Vec::new() };
        each_failed(&records, &why)
    }

    async fn tick(&self, tick: &Tick) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        for attempt in 1..=ATTEMPTS {
            let now = self.env.clock.now();
            let policies = self.policies.current(now).await.map_err(text)?;
            let lead = self.store.lead(&tick.lead).await.map_err(text)?;
            // Taken back since.
            let Some(lead) = lead else { return Ok(()) };
            let changed = self.prepare(&lead, tick, &policies, now).await.map_err(text)?;
            let Some((change, commit)) = changed else {
                Metrics::new().count("ClockStale", 1).emit(&self.env, now);
                let told = told_by(tick, &lead, &lead.progress, &policies, now);
                return self.outbox.hand_over(told, now).await.map_err(text);
            };
            if self.store.commit(commit).await.map_err(text)? == Written::Conflict {
                self.pause(attempt).await;
                continue;
            }
            self.measure_tick(tick, &change, now);
            let told = told_by(tick, &lead, &change.after, &policies, now);
            return self.outbox.hand_over(told, now).await.map_err(text);
        }
        Err("too much contention".to_owned())
    }

    /// Sets the clocks of what a rep has by the absences of now, which may be shorter than those that a clock sleeps through. What
    /// is left when the time is up goes on as a message of its own.
    pub(crate) async fn set_clocks_anew(
        &self,
        rep: &str,
        mut place: Option<String>,
        until: Timestamp,
    ) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        let kinds = [NoticeKind::Assigned.name()];
        loop {
            let told = self.store.told_of(rep, &kinds, place.as_deref(), TOLD_AT_ONCE).await.map_err(text)?;
            let ids: Vec<LeadId> = told.items.into_iter().map(|told| told.lead).collect();
            let standings = self.store.standings(&ids).await.map_err(text)?;
            let runs = |progress: &Progress| {
                let owner = progress.assignment.as_ref().map(|assignment| assignment.rep.as_str());
                owner == Some(rep) && progress.running().is_some() && progress.is_awaited()
            };
            for (lead, standing) in standings {
                if standing.is_some_and(|standing| runs(&standing.progress)) {
                    self.set_clock_anew(&lead, rep).await?;
                }
            }
            place = told.next;
            let Some(after) = &place else { return Ok(()) };
            let now = self.env.clock.now();
            if now > until {
                let id = format!("leave-{rep}-{}", keys::told_as(after));
                let body = encode(&LeadMessage::LeaveAfter { rep: rep.to_owned(), after: after.clone() });
                let rest = Outgoing { queue: QueueName::Lead, id, body, not_before: now };
                return self.outbox.hand_over(vec![rest], now).await.map_err(text);
            }
        }
    }

    /// One of them. Of a lead that is somebody else's by now the clock is set by their absences already.
    async fn set_clock_anew(&self, id: &LeadId, rep: &str) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        for attempt in 1..=ATTEMPTS {
            let Some(lead) = self.store.lead(id).await.map_err(text)? else { return Ok(()) };
            let now = self.env.clock.now();
            let policies = self.policies.current(now).await.map_err(text)?;
            let wanted = Wanted { reps: BTreeSet::from([rep.to_owned()]), ..Wanted::default() };
            let desk = self.store.desk(&wanted).await.map_err(text)?;
            let is_theirs = lead.progress.assignment.as_ref().is_some_and(|assignment| assignment.rep == rep);
            let Some(clock) = lead.progress.clock.as_ref().filter(|_| is_theirs) else { return Ok(()) };
            let leave = desk.leave.get(rep).map(|record| &record.leave);
            let schedule = policies.schedule(rep, Some(&clock.team), leave);
            let Some(after) = set_anew(&lead, &policies, &schedule) else { return Ok(()) };
            if self.store.commit(Commit::default().lead(&lead, after)).await.map_err(text)? == Written::Done {
                Metrics::new().count("ClockSetAnew", 1).emit(&self.env, now);
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err("too much contention".to_owned())
    }

    /// What the tick changes; `None` if it no longer fits.
    async fn prepare(
        &self,
        lead: &Lead,
        tick: &Tick,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<Option<(Change, Commit)>, StoreError> {
        if lead.progress.tick(&lead.id).as_ref() != Some(tick) {
            return Ok(None);
        }
        let customer = lead.progress.customer.iter().cloned().collect::<BTreeSet<_>>();
        let known = self.store.people(customer).await?;
        let root = lead.progress.customer.as_ref().and_then(|id| known.customers.get(&known.root(id)));
        let whole = root.map(|root| known.whole(root));
        let owner = whole.as_ref().and_then(Whole::owner);
        let Missing { teams, reps } = asked_for(lead, owner, policies, now);
        let desk = self.store.desk(&Wanted { teams, reps, ..Wanted::default() }).await?;
        let leave = desk.leave.iter().map(|(rep, record)| (rep.clone(), record.leave.clone())).collect();
        let needs = self.needs(lead, policies).await?;
        let before: BTreeMap<String, TeamState> =
            desk.teams.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect();
        let mut teams = before.clone();
        let floor = Floor { policies, leave: &leave, owner, needs: &needs };
        let Some(change) = fire(lead, tick, floor, &mut teams, now) else { return Ok(None) };
        let mut commit = Commit::default().lead(lead, change.after.clone());
        let watched = watched(policies, &before, &teams);
        for (name, TeamRecord { state: was, version }) in desk.teams {
            let state = teams.remove(&name).unwrap_or_default();
            if state != was {
                commit = commit.team(&name, TeamRecord { state, version });
            } else if watched.len() > 1 && watched.contains(&name) {
                commit = commit.unchanged_team(&name, version);
            }
        }
        let from = lead.progress.assignment.as_ref().map(|from| from.rep.as_str()).unwrap_or_default();
        if let (What::Taken(_), Some(root), Some(assignment)) = (change.what, root, &change.after.assignment)
            && goes_along(owner, from, policies)
        {
            let mut root = root.clone();
            own(&mut root, assignment);
            let changed = std::slice::from_ref(&root);
            commit =
                commit.notes(taken_from(&known, changed, FUNCTION, now, "clock", &lead.id)).customer(root);
        }
        Ok(Some((change, commit)))
    }

    /// What is asked of whoever gets the lead: by its own team and the rule that decided, by the catch-all's team alone.
    async fn needs(&self, lead: &Lead, policies: &PolicySet) -> Result<BTreeMap<String, Asked>, StoreError> {
        let facts =
            lead::read(&lead.origin, &lead.envelope, &policies.reading(&lead.origin), &policies.settings);
        let own = lead.progress.clock.as_ref().map(|clock| clock.team.as_str());
        let decided = match &lead.progress.receipt {
            Some(receipt) => Some((self.policies.at(receipt.manifest).await?, receipt)),
            None => None,
        };
        let by_rule = decided.as_ref().and_then(|(policies, receipt)| receipt.need(policies));
        let of = |team: &str| {
            let by_team = policies.teams.get(team).map(|team| &team.need);
            let needs = by_team.into_iter().chain(by_rule.filter(|_| own == Some(team)));
            (team.to_owned(), Asked::of(needs, &facts))
        };
        Ok(receivers(lead, policies).map(of).collect())
    }

    fn measure_tick(&self, tick: &Tick, change: &Change, now: Timestamp) {
        let name = match change.what {
            What::Rearmed | What::Away => "ClockRearmed",
            What::Stopped => "ClockStopped",
            What::Reminded(_) => "Reminders",
            What::Taken(To::Member | To::Owner) => "Reassigned",
            What::Taken(To::CatchAll) => "CaughtAll",
            What::Taken(To::Nobody) => "Escalated",
        };
        Metrics::new().count(name, 1).millis("ClockLateness", now.since(tick.at).max(0)).emit(&self.env, now);
    }
}

/// What a tick that was decided has to tell, as far as it still stands.
fn told_by(
    tick: &Tick,
    lead: &Lead,
    after: &Progress,
    policies: &PolicySet,
    now: Timestamp,
) -> Vec<Outgoing> {
    if let Some(assignment) = after.assignment.as_ref().filter(|assignment| assignment.n == tick.n) {
        let clock = after.clock.as_ref().filter(|_| after.is_awaited());
        let reminded = clock.map(|clock| clock.reminded.as_slice()).unwrap_or_default();
        let found = reminded.iter().map(|one| one.mark).find(|mark| mark.point.value() >= tick.point);
        let told =
            |mark| notice(&lead.id, &assignment.rep, NoticeKind::Reminder(mark), tick.n, lead.received);
        return found.map(told).into_iter().collect();
    }
    let silent = |past: &&Past| past.assignment.n == tick.n && matches!(past.end, PastEnd::Silent { .. });
    if after.past.last().filter(silent).is_none() {
        return Vec::new();
    }
    match &after.assignment {
        Some(a) => {
            let customer = after.customer.as_ref();
            let happened = customer.map(|customer| teller(now).assigned(lead, customer, a));
            let mut told = outbox::events(happened.into_iter().collect(), now);
            told.push(notice(&lead.id, &a.rep, NoticeKind::Assigned, a.n, lead.received));
            told
        }
        None => escalated(&lead.id, tick.n, lead.received, policies),
    }
}
