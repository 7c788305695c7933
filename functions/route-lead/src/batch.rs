//! One pass over a batch: load together, claim and decide each, write the teams, commit each, hand on the notices.

use crate::{FUNCTION, Router, Stopped, teller};
use futures::stream::{self, StreamExt};
use sluice_domain::access::taken_from;
use sluice_domain::customer::{AddressHash, Known, Recognition, blocking_keys, recognise};
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Facts, Lead, LeadState};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{
    Case, Desk, LiveTeams, Missing, Outcome, Receipt, change, company_owned, decide, is_round, owner, watched,
};
use sluice_domain::team::{self, TeamState};
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{self, Outgoing, QueueName};
use sluice_store::{Commit, CompanyRecord, Lookalikes, StoreError, TeamRecord, Wanted, Written};
use sluice_wire::queue::{EnrichMessage, LeadMessage, NoticeKind, NoticeMessage, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

/// Leads of one batch claimed or committed at the same time.
const AT_ONCE: usize = 10;
/// Age in milliseconds from which another instance's outstanding grant is looked up in the ledger; also of one that is of the future, by a
/// clock that is off.
const OLD_GRANT_MS: i64 = 10_000;
/// Outstanding grants from which all are looked up, so that the team's item stays small.
const MANY_GRANTS: usize = 20;
/// The same for the members that they saw, of some 60 bytes each: a large team's grants are settled sooner.
const MANY_SEEN: usize = 60;
/// Leads remembered as settled.
const REMEMBERED: usize = 2_000;

/// Over passes, the teams and rounds in which a lead has a grant.
pub(crate) type Held = BTreeMap<LeadId, BTreeSet<String>>;

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
pub(crate) struct Work {
    pub(crate) lead: Lead,
    pub(crate) facts: Facts,
    pub(crate) known: Known,
    pub(crate) alike: Lookalikes,
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
    /// Its company, where that gets its owner with this lead.
    company: Option<(String, CompanyRecord)>,
}

/// A lead with what was decided, what is to be told, and whether all of it is stored.
type Committed = (Lead, Receipt, Vec<Outgoing>, Result<Written, String>);

/// What a batch changes in teams.
#[derive(Default)]
struct TeamWrites {
    changed: Vec<(String, TeamRecord)>,
    /// Teams that must be as they were read.
    watched: Vec<(String, u64)>,
    /// Whether all is stored or nothing.
    together: bool,
}

impl Router {
    /// Goes over the batch once. `held` remembers, over passes, the team that granted a lead.
    pub(crate) async fn pass(&self, ids: &[LeadId], held: &mut Held) -> Result<Pass, Stopped> {
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await?;
        let keys = self.secrets.hash_keys().await.map_err(|error| Stopped::Unavailable(error.to_string()))?;
        let mut leads = self.store.leads(ids).await?;

        let mut pass = Pass::default();
        let mut notices = Vec::new();
        let mut works = Vec::new();
        let mut taken: BTreeSet<AddressHash> = BTreeSet::new();
        for id in ids {
            let Some(lead) = leads.remove(id) else {
                // A lead is in the ledger before its message is: it was taken back since.
                notices.push((id.clone(), Vec::new()));
                continue;
            };
            // Who is queued waits for a person, for as long as there is a team whose members may claim it.
            let is_queued = lead.progress.state == LeadState::Queued && !lead.progress.is_stranded(&policies);
            if lead.progress.state.is_end() || is_queued {
                match self.note_consent_again(&lead, &policies).await {
                    Ok(asked) => {
                        let map = policies.reading(&lead.origin).fields;
                        let happened = outbox::events(teller(now).of_lead(&lead, &lead.progress, &map), now);
                        notices.push((id.clone(), [notices_of(&lead), asked, happened].concat()));
                    }
                    Err(why) => drop(pass.failed.insert(id.clone(), why)),
                }
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
                let mut hashes: Vec<AddressHash> =
                    facts.identities.iter().flat_map(|id| keys.hashes(id)).collect();
                if policies.settings.matching.is_on() {
                    hashes.extend(blocking_keys(&facts).iter().flat_map(|block| keys.block_hashes(block)));
                }
                if hashes.iter().any(|hash| taken.contains(hash)) {
                    pass.again.push(id.clone());
                } else {
                    taken.extend(hashes);
                    let (known, alike) = (Known::default(), Lookalikes::default());
                    works.push(Work { lead, facts, known, alike, who: None });
                }
            }
        }

        let identities: Vec<_> = works.iter().map(|work: &Work| work.facts.identities.as_slice()).collect();
        let taken_in: Vec<_> = works.iter().map(|work| work.lead.progress.customer.clone()).collect();
        let known = self.store.known_and_taken_in(&identities, &taken_in, &keys).await?;
        for (work, known) in works.iter_mut().zip(known) {
            work.known = known;
        }
        let mut works = Self::in_time(works, &policies, now, &mut notices);
        self.find_lookalikes(&mut works, &policies, &keys).await?;
        let works = self.claim(works, &policies, &mut pass).await;
        let (decided, teams) = self.decide(works, &policies, held, now, &mut pass).await?;
        let decided = self.write_teams(decided, teams, &mut pass).await?;
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
                if work.facts.is_nobody() {
                    return (work, Ok(true));
                }
                let mut who = recognise(&work.lead.id, &work.facts.identities, &work.known, shared_after);
                let won = match self.resemble(&work, &mut who, policies).await {
                    Ok(()) => self.store.claim_all(&who, &work.known).await,
                    Err(error) => Err(error),
                };
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

    /// Decides all leads on one state of the teams. A team that turns out to be needed is loaded, and all is decided
    /// again from the start, so that every decision has seen what it says it saw. If the team of a lead's first rule is
    /// not enough, all that later rules may need is loaded at once.
    async fn decide(
        &self,
        mut works: Vec<Work>,
        policies: &PolicySet,
        held: &mut Held,
        now: Timestamp,
        pass: &mut Pass,
    ) -> Result<(Vec<Decided>, TeamWrites), StoreError> {
        let mut read = sluice_store::Desk::default();
        let mut wanted = first_wanted(&works, policies, held, now);
        let mut looks_ahead = false;
        loop {
            let loads = !wanted.teams.is_empty();
            let fresh = self.store.desk(&wanted).await?;
            read.teams.extend(fresh.teams);
            read.leave.extend(fresh.leave);
            read.companies.extend(fresh.companies);
            if loads {
                works = self.still_open(works, pass).await?;
            }
            let before: BTreeMap<String, TeamState> =
                read.teams.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect();
            let mut teams = before.clone();
            for (name, state) in &mut teams {
                self.settle(name, state, &works, now).await?;
            }
            let desk = Desk {
                leave: read.leave.iter().map(|(rep, record)| (rep.clone(), record.leave.clone())).collect(),
                companies: read
                    .companies
                    .iter()
                    .map(|(domain, record)| {
                        (domain.clone(), (record.owner.rep.clone(), record.owner.team.clone()))
                    })
                    .collect(),
            };
            let mut missing = Missing::default();
            let receipts: Vec<Receipt> = works
                .iter()
                .map(|work| {
                    let live =
                        LiveTeams { teams: &mut teams, desk: &desk, missing: &mut missing, looks_ahead };
                    decide(work.case(), policies, live, now)
                })
                .collect();
            if !missing.is_empty() {
                wanted = Wanted { teams: missing.teams, reps: missing.reps, ..Wanted::default() };
                looks_ahead = true;
                continue;
            }
            for (work, receipt) in works.iter().zip(&receipts) {
                give_back_elsewhere(&work.lead.id, receipt, &mut teams, held);
            }
            let watched = watched(policies, &before, &teams);
            let mut writes = TeamWrites { together: watched.len() > 1, ..TeamWrites::default() };
            for (name, state) in teams {
                let Some(record) = read.teams.get(&name) else { continue };
                if is_worth_writing(&record.state, &state) {
                    writes.changed.push((name, TeamRecord { state, version: record.version }));
                } else if writes.together && watched.contains(&name) {
                    writes.watched.push((name, record.version));
                }
            }
            let decided = works
                .into_iter()
                .zip(receipts)
                .map(|(work, receipt)| {
                    let company = company_of(&work, &receipt, policies, &read);
                    Decided { work, receipt, company }
                })
                .collect();
            return Ok((decided, writes));
        }
    }

    /// Leaves out leads that were committed by another delivery before the teams were read: their grants may be cleared
    /// already, and a second one for a lead that has its owner would count for ever. A lead that is committed later
    /// still has its grant in what was read, or the team's version has changed.
    async fn still_open(&self, works: Vec<Work>, pass: &mut Pass) -> Result<Vec<Work>, StoreError> {
        let ids: Vec<LeadId> = works.iter().map(|work| work.lead.id.clone()).collect();
        let standings = self.store.standings(&ids).await?;
        let (open, moved): (Vec<Work>, Vec<Work>) = works.into_iter().partition(|work| {
            let now = standings.get(&work.lead.id).and_then(Option::as_ref);
            now.is_some_and(|now| now.version == work.lead.version)
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
        let many = are_many(state);
        let outstanding: Vec<(LeadId, Timestamp, String)> =
            state.grants.iter().map(|(lead, grant)| (lead.clone(), grant.at, grant.rep.clone())).collect();
        for (lead, at, rep) in outstanding {
            if ours.contains(&lead) {
                continue;
            }
            let went_to = self.settled.lock().unwrap_or_else(PoisonError::into_inner).get(&lead).cloned();
            let stands = matches!(&went_to, Some(Outcome::Assigned { rep: to, team })
                if stands(name, &rep, to, team.as_deref()));
            if stands {
                team::settle(state, &lead);
            } else if many || now.since(at).abs() > OLD_GRANT_MS {
                unsure.push(lead);
            }
        }
        if unsure.is_empty() {
            return Ok(());
        }
        let standings = self.store.standings(&unsure).await?;
        for id in unsure.iter().filter(|id| !standings.contains_key(*id)) {
            team::give_back(state, id);
        }
        for (id, lead) in standings {
            // One that cannot be read keeps its grant: what became of it is for a person to see.
            let (Some(grant), Some(lead)) = (state.grants.get(&id), lead) else { continue };
            let assignment = lead.progress.assignment.as_ref().map(|a| (&a.rep, a.team.as_deref()));
            // A team had its turn, wherever the lead has gone since.
            let decided = lead.progress.receipt.as_ref().and_then(|receipt| match &receipt.outcome {
                Outcome::Assigned { rep, team } if is_round(name) => Some((rep, team.as_deref())),
                _ => None,
            });
            if assignment.into_iter().chain(decided).any(|(rep, team)| stands(name, &grant.rep, rep, team)) {
                team::settle(state, &id);
            } else if lead.progress.state.is_end() {
                team::give_back(state, &id);
            }
        }
        Ok(())
    }

    /// One conditional write a team, or one transaction where somebody with a capacity over all teams gets more. If one
    /// fails, no lead is committed in this pass: grants that were written are found again in the next.
    async fn write_teams(
        &self,
        decided: Vec<Decided>,
        writes: TeamWrites,
        pass: &mut Pass,
    ) -> Result<Vec<Decided>, StoreError> {
        let TeamWrites { changed, watched, together } = writes;
        let written = if !together {
            let mut written = Written::Done;
            for (name, team) in &changed {
                if written == Written::Done {
                    written = self.store.put_team(name, team).await?;
                }
            }
            written
        } else {
            let commit = changed
                .iter()
                .fold(Commit::default(), |commit, (name, team)| commit.team(name, team.clone()));
            let commit =
                watched.iter().fold(commit, |commit, (name, version)| commit.unchanged_team(name, *version));
            self.store.commit(commit).await?
        };
        if written == Written::Conflict {
            pass.again.extend(decided.into_iter().map(|decided| decided.work.lead.id));
            return Ok(Vec::new());
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
        let results: Vec<Committed> = stream::iter(decided)
            .map(|Decided { work, receipt, company }| async move {
                let mut told = self.notices_for(&work.lead, &receipt, policies);
                let map = policies.reading(&work.lead.origin).fields;
                let (state, before) = (receipt.outcome.state(), &work.lead.progress);
                let is_again = state == LeadState::Escalated && before.state == state;
                if is_again && before.receipt.as_ref().is_some_and(|before| receipt.says_the_same(before)) {
                    let happened = teller(now).of_lead(&work.lead, &work.lead.progress, &map);
                    told.extend(outbox::events(happened, now));
                    let known = (&work.facts, work.lead.progress.customer.as_ref());
                    let asked = self.note_consent(&work.lead, state, known, policies, true).await;
                    let noted = asked.map(|asked| told.extend(asked));
                    return (work.lead, receipt, told, noted.map(|()| Written::Done));
                }
                let (after, customers) = change(work.case(), receipt.clone(), policies);
                let customer = after.customer.clone();
                told.extend(outbox::events(teller(now).of_lead(&work.lead, &after, &map), now));
                let moved = taken_from(&work.known, &customers, FUNCTION, now, "rules", &work.lead.id);
                let mut commit = Commit::default().lead(&work.lead, after).notes(moved);
                for customer in customers {
                    commit = commit.customer(customer);
                }
                if let Some(who) = &work.who {
                    for address in &who.seen_with {
                        commit = commit.seen_with(address.clone(), who.customer.clone());
                    }
                }
                if let Some((domain, record)) = company {
                    commit = commit.company(&domain, record);
                }
                let mut written = self.store.commit(commit).await.map_err(|error| error.to_string());
                if written == Ok(Written::Done) {
                    let known = (&work.facts, customer.as_ref());
                    let asked = self.note_consent(&work.lead, state, known, policies, is_again).await;
                    let noted = asked.map(|asked| told.extend(asked));
                    written = noted.map(|()| Written::Done);
                }
                (work.lead, receipt, told, written)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (lead, receipt, told, written) in results {
            match written {
                Ok(Written::Done) => {
                    notices.push((lead.id.clone(), told));
                    self.measure(&lead, &receipt, now);
                    let outcome = receipt.outcome;
                    let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
                    if outcome.state() == LeadState::Assigned {
                        settled.insert(lead.id, outcome);
                    }
                    if settled.len() > REMEMBERED {
                        settled.pop_first();
                    }
                }
                Ok(Written::Conflict) => pass.again.push(lead.id),
                Err(why) => drop(pass.failed.insert(lead.id, why)),
            }
        }
    }

    /// Counts a lead that came to another state, and one that waited for hours when somebody is told that nobody can take it.
    fn measure(&self, lead: &Lead, receipt: &Receipt, now: Timestamp) {
        let (state, waits) = (receipt.outcome.state(), receipt.waits_for_hours());
        let metrics = Metrics::new().by("State", state.name());
        let metrics = match state {
            LeadState::Escalated if waits && lead.progress.state != state => {
                metrics.count("WaitingForHours", 1)
            }
            LeadState::Escalated if waits || lead.progress.was_escalated() => return,
            LeadState::Escalated => metrics.count("Escalated", 1),
            LeadState::Queued => metrics.count("Queued", 1),
            _ => Metrics::ended(lead, state, now),
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
    fn notices_for(&self, lead: &Lead, receipt: &Receipt, policies: &PolicySet) -> Vec<Outgoing> {
        let n = lead.progress.next_n();
        match &receipt.outcome {
            Outcome::Assigned { rep, .. } => {
                vec![notice(&lead.id, rep, NoticeKind::Assigned, n, lead.received)]
            }
            // Told again each time it is tried: the first telling may have been lost, and a message goes out once.
            Outcome::Escalated => {
                let mut told = match receipt.waits_for_hours() {
                    true => Vec::new(),
                    false => escalated(&lead.id, 0, lead.received, policies),
                };
                // Tried again the moment somebody is back. Of those who are known to be.
                told.extend(receipt.saw.first_back().map(|back| Outgoing {
                    queue: QueueName::Lead,
                    id: format!("{}-back", lead.id),
                    body: encode(&LeadMessage::Lead(lead.id.clone())),
                    not_before: back,
                }));
                told
            }
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
    !only_cleared || are_many(before) && after.grants.len() < before.grants.len()
}

/// Whether a team's outstanding grants make its item large.
fn are_many(state: &TeamState) -> bool {
    let seen: usize = state.grants.values().map(|grant| grant.seen.members.len()).sum();
    state.grants.len() > MANY_GRANTS || seen > MANY_SEEN
}

/// Remembers where a lead is granted now. A grant that an earlier pass took elsewhere goes back.
fn give_back_elsewhere(
    lead: &LeadId,
    receipt: &Receipt,
    teams: &mut BTreeMap<String, TeamState>,
    held: &mut Held,
) {
    let team = team_of(&receipt.outcome);
    let rounds = receipt.saw.rounds.keys().filter(|name| {
        teams
            .get(*name)
            .and_then(|state| state.grants.get(lead))
            .is_some_and(|grant| Some(grant.rep.as_str()) == team)
    });
    let now_in: BTreeSet<String> = rounds.cloned().chain(team.map(str::to_owned)).collect();
    for elsewhere in held.remove(lead).unwrap_or_default().difference(&now_in) {
        if let Some(state) = teams.get_mut(elsewhere) {
            team::give_back(state, lead);
        }
    }
    if !now_in.is_empty() {
        held.insert(lead.clone(), now_in);
    }
}

/// What is asked in any case: where leads are granted already, owners of customers and of companies.
fn first_wanted(works: &[Work], policies: &PolicySet, held: &Held, now: Timestamp) -> Wanted {
    let mut missing = Missing::default();
    let mut want = |name: &str| {
        if is_round(name) {
            missing.teams.insert(name.to_owned());
        } else {
            missing.team(name, policies, now);
        }
    };
    let mut owners = BTreeSet::new();
    for work in works {
        held.get(&work.lead.id).into_iter().flatten().for_each(|name| want(name));
        if let Some((rep, team)) = owner(work.case(), policies) {
            team.iter().for_each(|team| want(team));
            owners.insert(rep);
        }
    }
    missing.reps.extend(owners);
    let domains = works.iter().filter_map(|work| work.facts.company_domain.as_ref());
    let companies = domains.filter(|_| policies.routing.use_company_owners);
    Wanted {
        teams: missing.teams,
        reps: missing.reps,
        companies: companies.map(|domain| domain.as_str().to_owned()).collect(),
    }
}

/// The company that gets its owner with this lead.
fn company_of(
    work: &Work,
    receipt: &Receipt,
    policies: &PolicySet,
    read: &sluice_store::Desk,
) -> Option<(String, CompanyRecord)> {
    let domain = work.facts.company_domain.as_ref().filter(|_| policies.routing.use_company_owners)?;
    let record = read.companies.get(domain.as_str());
    let owner = company_owned(record.map(|record| &record.owner), receipt, policies)?;
    let version = record.map_or(0, |record| record.version);
    Some((domain.as_str().to_owned(), CompanyRecord { owner, version }))
}

/// Whether a grant is where its lead went. A round grants to a team.
fn stands(name: &str, granted: &str, rep: &str, team: Option<&str>) -> bool {
    if is_round(name) { team == Some(granted) } else { rep == granted && team == Some(name) }
}

fn team_of(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Assigned { team, .. } => team.as_deref(),
        _ => None,
    }
}
