//! One pass over a batch: load together, claim and decide each, write the teams, commit each, hand on the notices.

use crate::Router;
use futures::stream::{self, StreamExt};
use sluice_domain::customer::{AddressHash, Known, Recognition, recognise};
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Facts, Flag, Lead, LeadState};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{Case, LiveTeams, Outcome, Receipt, change, decide, owners_team};
use sluice_domain::team::{self, TeamState};
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Commit, StoreError, TeamRecord, Written};
use sluice_wire::queue::{EnrichMessage, NoticeKind, NoticeMessage, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// Leads of one batch claimed or committed at the same time.
const AT_ONCE: usize = 10;
/// Age in milliseconds from which another instance's outstanding grant is looked up in the ledger.
const OLD_GRANT_MS: i64 = 10_000;
/// Outstanding grants from which all are looked up, so that the team's item stays small.
const MANY_GRANTS: usize = 20;
/// Leads remembered as settled.
const REMEMBERED: usize = 2_000;

/// What became of one pass.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Leads finished.
    pub done: usize,
    /// Leads to go over again: somebody was faster, or another lead of the same person had to come first.
    pub again: Vec<LeadId>,
    /// Leads that failed, with the reason.
    pub failed: BTreeMap<LeadId, String>,
}

/// A lead on its way through a pass.
struct Work {
    lead: Lead,
    facts: Facts,
    known: Known,
    who: Option<Recognition>,
}

impl Work {
    const fn case(&self) -> Case<'_> {
        Case { lead: &self.lead, facts: &self.facts, known: &self.known, who: self.who.as_ref() }
    }
}

/// A decided lead.
struct Decided {
    work: Work,
    receipt: Receipt,
}

impl Router {
    /// Goes over the batch once. `held` remembers, over passes, the team that granted a lead.
    pub(crate) async fn pass(
        &self,
        ids: &[LeadId],
        held: &mut BTreeMap<LeadId, String>,
    ) -> Result<Pass, String> {
        let text = |error: StoreError| error.to_string();
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await.map_err(text)?;
        let keys = self.secrets.hash_keys().await.map_err(|error| error.to_string())?;
        let mut leads = self.store.leads(ids).await.map_err(text)?;

        let mut pass = Pass::default();
        let mut notices = Vec::new();
        let mut works = Vec::new();
        let mut taken: BTreeSet<AddressHash> = BTreeSet::new();
        for id in ids {
            let Some(lead) = leads.remove(id) else {
                pass.failed.insert(id.clone(), "no such lead in the ledger".to_owned());
                continue;
            };
            if lead.progress.state.is_end() {
                notices.push((id.clone(), notices_of(&lead)));
            } else if lead.progress.waits_for_a_person() {
                let n = lead.progress.next_n() - 1;
                notices.push((id.clone(), escalated(id, n, lead.received, &policies)));
            } else if lead.needs_enrichment {
                let body = encode(&EnrichMessage::Lead(id.clone()));
                let message =
                    Outgoing { queue: QueueName::Enrich, id: id.to_string(), body, not_before: now };
                notices.push((id.clone(), vec![message]));
            } else {
                let reading = policies.reading(&lead.origin);
                let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
                let hashes: Vec<AddressHash> =
                    facts.identities.iter().flat_map(|id| keys.hashes(id)).collect();
                if hashes.iter().any(|hash| taken.contains(hash)) {
                    pass.again.push(id.clone());
                } else {
                    taken.extend(hashes);
                    works.push(Work { lead, facts, known: Known::default(), who: None });
                }
            }
        }

        let identities: Vec<_> = works.iter().map(|work: &Work| work.facts.identities.as_slice()).collect();
        let known = self.store.known(&identities, &keys).await.map_err(text)?;
        for (work, known) in works.iter_mut().zip(known) {
            work.known = known;
        }
        let works = self.claim(works, &policies, &mut pass).await;
        let (decided, teams) = self.decide(works, &policies, held, now, &mut pass).await.map_err(text)?;
        let decided = self.write_teams(decided, teams, &mut pass).await.map_err(text)?;
        self.commit(decided, &policies, now, &mut pass, &mut notices).await;
        self.hand_on(notices, now, &mut pass).await;
        Ok(pass)
    }

    /// Recognises each lead and claims its new addresses, best evidence first. A lead whose claim somebody else won
    /// comes again.
    async fn claim(&self, works: Vec<Work>, policies: &PolicySet, pass: &mut Pass) -> Vec<Work> {
        let shared_after = policies.settings.shared_after as usize;
        let results: Vec<(Work, Result<bool, StoreError>)> = stream::iter(works)
            .map(|mut work| async move {
                if work.facts.flags.contains(&Flag::Empty) {
                    return (work, Ok(true));
                }
                let who = recognise(&work.lead.id, &work.facts.identities, &work.known, shared_after);
                let won = self.claim_one(&who).await;
                work.who = Some(who);
                (work, won)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut claimed = Vec::new();
        for (work, won) in results {
            match won {
                Ok(true) => claimed.push(work),
                Ok(false) => pass.again.push(work.lead.id),
                Err(error) => drop(pass.failed.insert(work.lead.id, error.to_string())),
            }
        }
        claimed
    }

    async fn claim_one(&self, who: &Recognition) -> Result<bool, StoreError> {
        for (_, address) in &who.claims {
            if self.store.claim_address(address, &who.customer).await? != who.customer {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Decides all leads on one state of the teams. A team that turns out to be needed is loaded, and all is decided
    /// again from the start, so that every decision has seen what it says it saw.
    async fn decide(
        &self,
        mut works: Vec<Work>,
        policies: &PolicySet,
        held: &mut BTreeMap<LeadId, String>,
        now: Timestamp,
        pass: &mut Pass,
    ) -> Result<(Vec<Decided>, Vec<(String, TeamRecord)>), StoreError> {
        let mut read: BTreeMap<String, TeamRecord> = BTreeMap::new();
        let held_in = works.iter().filter_map(|work| held.get(&work.lead.id).cloned());
        let mut wanted: BTreeSet<String> =
            held_in.chain(works.iter().filter_map(|work| owners_team(work.case(), policies))).collect();
        loop {
            read.extend(self.store.teams(&wanted).await?);
            if !wanted.is_empty() {
                works = self.still_open(works, pass).await?;
            }
            let mut teams: BTreeMap<String, TeamState> =
                read.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect();
            for (name, state) in &mut teams {
                self.settle(name, state, &works, now).await?;
            }
            let mut missing = BTreeSet::new();
            let receipts: Vec<Receipt> = works
                .iter()
                .map(|work| {
                    let live = LiveTeams { teams: &mut teams, missing: &mut missing };
                    decide(work.case(), policies, live, now)
                })
                .collect();
            if !missing.is_empty() {
                wanted = missing;
                continue;
            }
            for (work, receipt) in works.iter().zip(&receipts) {
                give_back_elsewhere(&work.lead.id, &receipt.outcome, &mut teams, held);
            }
            let changed = teams.into_iter().filter_map(|(name, state)| {
                let before = read.remove(&name)?;
                is_worth_writing(&before.state, &state)
                    .then_some((name, TeamRecord { state, version: before.version }))
            });
            let changed = changed.collect();
            let decided =
                works.into_iter().zip(receipts).map(|(work, receipt)| Decided { work, receipt }).collect();
            return Ok((decided, changed));
        }
    }

    /// Leaves out leads that were committed by another delivery before the teams were read: their grants may be cleared
    /// already, and a second one for a lead that has its owner would count for ever. A lead that is committed later
    /// still has its grant in what was read, or the team's version has changed.
    async fn still_open(&self, works: Vec<Work>, pass: &mut Pass) -> Result<Vec<Work>, StoreError> {
        let ids: Vec<LeadId> = works.iter().map(|work| work.lead.id.clone()).collect();
        let standings = self.store.standings(&ids).await?;
        let (open, moved): (Vec<Work>, Vec<Work>) = works.into_iter().partition(|work| {
            standings.get(&work.lead.id).is_some_and(|now| now.version == work.lead.version)
        });
        pass.again.extend(moved.into_iter().map(|work| work.lead.id));
        Ok(open)
    }

    /// Clears a team's record of grants whose leads are through: a lead that went elsewhere gives its grant back.
    async fn settle(
        &self,
        name: &str,
        state: &mut TeamState,
        works: &[Work],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ours: BTreeSet<&LeadId> = works.iter().map(|work| &work.lead.id).collect();
        let mut unsure = Vec::new();
        let many = state.grants.len() > MANY_GRANTS;
        let outstanding: Vec<(LeadId, Timestamp, String)> =
            state.grants.iter().map(|(lead, grant)| (lead.clone(), grant.at, grant.rep.clone())).collect();
        for (lead, at, rep) in outstanding {
            if ours.contains(&lead) {
                continue;
            }
            let went_to = self.settled.lock().unwrap_or_else(PoisonError::into_inner).get(&lead).cloned();
            if went_to.is_some_and(|to| to == Outcome::Assigned { rep, team: Some(name.to_owned()) }) {
                team::settle(state, &lead);
            } else if many || now.since(at) > OLD_GRANT_MS {
                unsure.push(lead);
            }
        }
        if unsure.is_empty() {
            return Ok(());
        }
        for (id, lead) in self.store.standings(&unsure).await? {
            let Some(grant) = state.grants.get(&id) else { continue };
            let assignment = lead.progress.assignment.as_ref();
            let stands = assignment.is_some_and(|a| a.rep == grant.rep && a.team.as_deref() == Some(name));
            if stands {
                team::settle(state, &id);
            } else if lead.progress.state.is_end() {
                team::give_back(state, &id);
            }
        }
        Ok(())
    }

    /// One conditional write a team. If one fails, no lead is committed in this pass: grants that were written are
    /// found again in the next.
    async fn write_teams(
        &self,
        decided: Vec<Decided>,
        teams: Vec<(String, TeamRecord)>,
        pass: &mut Pass,
    ) -> Result<Vec<Decided>, StoreError> {
        for (name, team) in teams {
            if self.store.put_team(&name, &team).await? == Written::Conflict {
                pass.again.extend(decided.into_iter().map(|decided| decided.work.lead.id));
                return Ok(Vec::new());
            }
        }
        Ok(decided)
    }

    async fn commit(
        &self,
        decided: Vec<Decided>,
        policies: &PolicySet,
        now: Timestamp,
        pass: &mut Pass,
        notices: &mut Vec<(LeadId, Vec<Outgoing>)>,
    ) {
        let results: Vec<(Lead, Outcome, Result<Written, StoreError>)> = stream::iter(decided)
            .map(|Decided { work, receipt }| async move {
                let outcome = receipt.outcome.clone();
                if outcome == Outcome::Escalated && work.lead.progress.state == LeadState::Escalated {
                    return (work.lead, outcome, Ok(Written::Done));
                }
                let (after, customers) = change(work.case(), receipt, policies);
                let mut commit = Commit::default().lead(&work.lead, after);
                for customer in customers {
                    commit = commit.customer(customer);
                }
                if let Some(who) = &work.who {
                    for address in &who.seen_with {
                        commit = commit.seen_with(address.clone(), who.customer.clone());
                    }
                }
                let written = self.store.commit(commit).await;
                (work.lead, outcome, written)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (lead, outcome, written) in results {
            match written {
                Ok(Written::Done) => {
                    let was = lead.progress.state;
                    notices.push((lead.id.clone(), self.notices_for(&lead, &outcome, policies)));
                    if outcome.state() != was {
                        self.measure(&lead, &outcome, now);
                    }
                    let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
                    if outcome.state() == LeadState::Assigned {
                        settled.insert(lead.id, outcome);
                    }
                    if settled.len() > REMEMBERED {
                        settled.pop_first();
                    }
                }
                Ok(Written::Conflict) => pass.again.push(lead.id),
                Err(error) => drop(pass.failed.insert(lead.id, error.to_string())),
            }
        }
    }

    fn measure(&self, lead: &Lead, outcome: &Outcome, now: Timestamp) {
        let state = outcome.state();
        let metrics = Metrics::new().by("State", state.name());
        let metrics = match state {
            LeadState::Escalated => metrics.count("Escalated", 1),
            LeadState::Assigned => metrics.count("Ended", 1).millis("PostToOwner", now.since(lead.received)),
            _ => metrics.count("Ended", 1),
        };
        metrics.emit(&self.env, now);
    }

    async fn hand_on(&self, notices: Vec<(LeadId, Vec<Outgoing>)>, now: Timestamp, pass: &mut Pass) {
        let (leads, messages): (Vec<LeadId>, Vec<Vec<Outgoing>>) = notices.into_iter().unzip();
        match self.outbox.hand_over(messages.concat(), now).await {
            Ok(()) => pass.done += leads.len(),
            Err(error) => pass.failed.extend(leads.into_iter().map(|lead| (lead, error.to_string()))),
        }
    }

    /// What is to be told about a lead decided now.
    fn notices_for(&self, lead: &Lead, outcome: &Outcome, policies: &PolicySet) -> Vec<Outgoing> {
        let n = lead.progress.next_n();
        match outcome {
            Outcome::Assigned { rep, .. } => {
                vec![notice(&lead.id, rep, NoticeKind::Assigned, n, lead.received)]
            }
            // Told again each time it is tried: the first telling may have been lost, and a message goes out once.
            Outcome::Escalated => escalated(&lead.id, 0, lead.received, policies),
            _ => Vec::new(),
        }
    }
}

/// What a lead decided before may not have told yet.
fn notices_of(lead: &Lead) -> Vec<Outgoing> {
    let told = |a: &lead::Assignment| notice(&lead.id, &a.rep, NoticeKind::Assigned, a.n, lead.received);
    lead.progress.assignment.iter().map(told).collect()
}

/// Who is told that nobody can take a lead, after its assignment `n`.
pub(crate) fn escalated(lead: &LeadId, n: u32, at: Timestamp, policies: &PolicySet) -> Vec<Outgoing> {
    let told = |rep: &String| notice(lead, rep, NoticeKind::Escalated, n, at);
    policies.settings.escalate_to.iter().map(told).collect()
}

pub(crate) fn notice(lead: &LeadId, rep: &str, kind: NoticeKind, n: u32, at: Timestamp) -> Outgoing {
    let message = NoticeMessage { lead: lead.clone(), rep: rep.to_owned(), kind, n };
    let id = format!("{lead}-{}-{n}-{rep}", kind.label());
    Outgoing { queue: QueueName::Notice, id, body: encode(&message), not_before: at }
}

/// Whether a team has to be written. Grants that are only cleared away are left to the next write, which comes with the
/// team's next lead: a repeat would otherwise pay for what it does not change.
fn is_worth_writing(before: &TeamState, after: &TeamState) -> bool {
    let only_cleared = after.members == before.members
        && after.grants.iter().all(|(lead, grant)| before.grants.get(lead) == Some(grant));
    !only_cleared || before.grants.len() > MANY_GRANTS && after.grants.len() < before.grants.len()
}

/// Remembers where a lead is granted now. A grant that an earlier pass took elsewhere goes back.
fn give_back_elsewhere(
    lead: &LeadId,
    outcome: &Outcome,
    teams: &mut BTreeMap<String, TeamState>,
    held: &mut BTreeMap<LeadId, String>,
) {
    let now_in = team_of(outcome);
    if let Some(before) = held.get(lead).filter(|before| Some(before.as_str()) != now_in)
        && let Some(state) = teams.get_mut(before)
    {
        team::give_back(state, lead);
    }
    match now_in {
        Some(team) => drop(held.insert(lead.clone(), team.to_owned())),
        None => drop(held.remove(lead)),
    }
}

fn team_of(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Assigned { team, .. } => team.as_deref(),
        _ => None,
    }
}
