//! One pass over a batch: load together, claim and decide each, write the teams, commit each, hand on the notices.

use crate::shares::LiveShares;
use crate::{Router, change};
use futures::stream::{self, StreamExt};
use sluice_domain::customer::{AddressHash, HashKeys, Known, KnownAddress, Recognition, recognise};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::{self, Facts, Flag, Lead, LeadState};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{CustomerView, Outcome, Receipt, Saw, route};
use sluice_domain::team;
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{StoreError, TeamRecord, Written};
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
            } else if lead.needs_enrichment {
                let body = encode(&EnrichMessage::Lead(id.clone()));
                let message = Outgoing { queue: QueueName::Enrich, id: id.to_string(), body, not_before: now };
                notices.push((id.clone(), vec![message]));
            } else {
                let reading = policies.reading(&lead.origin);
                let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
                let hashes: Vec<AddressHash> = facts.identities.iter().flat_map(|id| keys.hashes(id)).collect();
                if hashes.iter().any(|hash| taken.contains(hash)) {
                    pass.again.push(id.clone());
                } else {
                    taken.extend(hashes);
                    works.push(Work { lead, facts, known: Known::default(), who: None });
                }
            }
        }

        self.load_people(&mut works, &keys).await.map_err(text)?;
        let works = self.claim(works, &policies, &mut pass).await;
        let (decided, teams) = self.decide(works, &policies, held, now).await.map_err(text)?;
        let decided = self.write_teams(decided, teams, &mut pass).await.map_err(text)?;
        self.commit(decided, &policies, now, &mut pass, &mut notices).await;
        self.hand_on(notices, now, &mut pass).await;
        Ok(pass)
    }

    /// Addresses of all leads in one read, then customers until every link is followed.
    async fn load_people(&self, works: &mut [Work], keys: &HashKeys) -> Result<(), StoreError> {
        let hashes = |work: &Work| -> Vec<Vec<AddressHash>> {
            work.facts.identities.iter().map(|identity| keys.hashes(identity)).collect()
        };
        let all: Vec<AddressHash> = works.iter().flat_map(|work| hashes(work).concat()).collect();
        if all.is_empty() {
            return Ok(());
        }
        let found: BTreeMap<AddressHash, KnownAddress> = self.store.addresses(&all).await?;
        for work in works.iter_mut() {
            work.known.addresses = hashes(work)
                .into_iter()
                .filter_map(|candidates| {
                    let claim = candidates.iter().find_map(|hash| found.get(hash).cloned());
                    Some((candidates.into_iter().next()?, claim))
                })
                .collect();
        }
        let mut loaded: BTreeSet<CustomerId> = BTreeSet::new();
        // Address, then live customer, then its halves; a longer chain is loaded by further rounds.
        for _ in 0..16 {
            let wanted: BTreeSet<CustomerId> =
                works.iter().flat_map(|work| work.known.missing(&loaded)).collect();
            if wanted.is_empty() {
                return Ok(());
            }
            let customers = self.store.customers(&wanted).await?;
            loaded.extend(wanted);
            for work in works.iter_mut() {
                // Each work holds all records of the batch: they are few, and sharing keeps the rounds together.
                work.known.customers.extend(customers.clone());
            }
        }
        Err(StoreError::Corrupt("customers point at each other in a circle".to_owned()))
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
        works: Vec<Work>,
        policies: &PolicySet,
        held: &mut BTreeMap<LeadId, String>,
        now: Timestamp,
    ) -> Result<(Vec<Decided>, BTreeMap<String, (TeamRecord, TeamRecord)>), StoreError> {
        let mut read: BTreeMap<String, TeamRecord> = BTreeMap::new();
        let mut wanted: BTreeSet<String> = works
            .iter()
            .filter_map(|work| held.get(&work.lead.id).cloned())
            .chain(works.iter().filter_map(|work| owners_team(work, policies)))
            .collect();
        loop {
            let mut fresh = self.store.teams(&wanted).await?;
            for (name, record) in &mut fresh {
                self.settle(name, record, &works, now).await?;
            }
            read.extend(fresh);
            let mut teams = read.clone();
            let mut missing = BTreeSet::new();
            let mut receipts = Vec::with_capacity(works.len());
            for work in &works {
                receipts.push(decide_one(work, policies, &mut teams, &mut missing, now));
            }
            if missing.is_empty() {
                let decided: Vec<Decided> = works
                    .into_iter()
                    .zip(receipts)
                    .map(|(work, receipt)| Decided { work, receipt })
                    .collect();
                for Decided { work, receipt } in &decided {
                    let now_in = team_of(&receipt.outcome);
                    let before = held.get(&work.lead.id).cloned();
                    if let Some(before) = before.filter(|before| Some(before.as_str()) != now_in)
                        && let Some(record) = teams.get_mut(&before)
                    {
                        team::give_back(&mut record.state, &work.lead.id);
                    }
                    match now_in {
                        Some(team) => drop(held.insert(work.lead.id.clone(), team.to_owned())),
                        None => drop(held.remove(&work.lead.id)),
                    }
                }
                let both = teams
                    .into_iter()
                    .filter_map(|(name, after)| read.remove(&name).map(|before| (name, (before, after))))
                    .collect();
                return Ok((decided, both));
            }
            wanted = missing;
        }
    }

    /// Clears a team's record of grants whose leads are through: a lead that went elsewhere gives its grant back.
    async fn settle(
        &self,
        name: &str,
        record: &mut TeamRecord,
        works: &[Work],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ours: BTreeSet<&LeadId> = works.iter().map(|work| &work.lead.id).collect();
        let mut unsure = Vec::new();
        let many = record.state.grants.len() > MANY_GRANTS;
        let outstanding: Vec<(LeadId, Timestamp)> =
            record.state.grants.iter().map(|(lead, grant)| (lead.clone(), grant.at)).collect();
        for (lead, at) in outstanding {
            if ours.contains(&lead) {
                continue;
            }
            let done = self.settled.lock().unwrap_or_else(PoisonError::into_inner).contains(&lead);
            if done {
                team::settle(&mut record.state, &lead);
            } else if many || now.since(at) > OLD_GRANT_MS {
                unsure.push(lead);
            }
        }
        if unsure.is_empty() {
            return Ok(());
        }
        for (id, lead) in self.store.leads(&unsure).await? {
            let Some(grant) = record.state.grants.get(&id) else { continue };
            let assignment = lead.progress.assignment.as_ref();
            let stands = assignment.is_some_and(|a| a.rep == grant.rep && a.team.as_deref() == Some(name));
            if stands {
                team::settle(&mut record.state, &id);
            } else if lead.progress.state.is_end() {
                team::give_back(&mut record.state, &id);
            }
        }
        Ok(())
    }

    /// One conditional write a team. If one fails, no lead is committed in this pass: grants that were written are
    /// found again in the next.
    async fn write_teams(
        &self,
        decided: Vec<Decided>,
        teams: BTreeMap<String, (TeamRecord, TeamRecord)>,
        pass: &mut Pass,
    ) -> Result<Vec<Decided>, StoreError> {
        for (name, (before, after)) in teams {
            if before.state == after.state {
                continue;
            }
            if self.store.put_team(&name, &after).await? == Written::Conflict {
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
                let Work { lead, facts, known, who } = work;
                let outcome = receipt.outcome.clone();
                if outcome == Outcome::Escalated && lead.progress.state == LeadState::Escalated {
                    return (lead, outcome, Ok(Written::Done));
                }
                let commit = change::commit(&lead, &facts, &known, who.as_ref(), receipt, policies, now);
                let written = self.store.commit(commit).await;
                (lead, outcome, written)
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
                        settled.insert(lead.id);
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
        let n = lead.progress.assignment.as_ref().map_or(0, |assignment| assignment.n) + 1;
        match outcome {
            Outcome::Assigned { rep, .. } => vec![notice(&lead.id, rep, NoticeKind::Assigned, n, lead.received)],
            // Told again each time it is tried: the first telling may have been lost, and a message goes out once.
            Outcome::Escalated => policies
                .settings
                .escalate_to
                .iter()
                .map(|rep| notice(&lead.id, rep, NoticeKind::Escalated, 0, lead.received))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// What a lead decided before may not have told yet.
fn notices_of(lead: &Lead) -> Vec<Outgoing> {
    let told = |a: &lead::Assignment| notice(&lead.id, &a.rep, NoticeKind::Assigned, a.n, lead.received);
    lead.progress.assignment.iter().map(told).collect()
}

fn notice(lead: &LeadId, rep: &str, kind: NoticeKind, n: u32, at: Timestamp) -> Outgoing {
    let message = NoticeMessage { lead: lead.clone(), rep: rep.to_owned(), kind, n };
    let id = format!("{lead}-{}-{n}-{rep}", kind.name());
    Outgoing { queue: QueueName::Notice, id, body: encode(&message), not_before: at }
}

fn team_of(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Assigned { team, .. } => team.as_deref(),
        _ => None,
    }
}

/// The team that a returning customer's owner came through: it will be asked for room.
fn owners_team(work: &Work, policies: &PolicySet) -> Option<String> {
    let who = work.who.as_ref()?;
    let root = work.known.customers.get(&who.customer)?;
    let owner = work.known.whole(root).owner()?;
    owner.team.clone().filter(|team| policies.teams.contains_key(team))
}

fn decide_one(
    work: &Work,
    policies: &PolicySet,
    teams: &mut BTreeMap<String, TeamRecord>,
    missing: &mut BTreeSet<String>,
    now: Timestamp,
) -> Receipt {
    let view = work.who.as_ref().map(|who| customer_view(work, who, policies)).unwrap_or_default();
    let mut saw = Saw {
        customer: view.view.clone(),
        owner: view.owner.clone(),
        repeats: view.repeats.clone(),
        ..Saw::default()
    };
    let mut shares = LiveShares { teams, policies, lead: &work.lead.id, at: now, saw: &mut saw, missing };
    let (tried, outcome) = route(policies, &work.facts, &view, &mut shares);
    let who = work.who.as_ref();
    Receipt {
        at: now,
        manifest: policies.version,
        new_customer: who.is_some_and(|who| !work.known.customers.contains_key(&who.customer)),
        found: who.map(|who| who.found.clone()).unwrap_or_default(),
        merges: who.map(|who| who.merges.clone()).unwrap_or_default(),
        suggestions: who.map(|who| who.suggestions.clone()).unwrap_or_default(),
        saw,
        tried,
        outcome,
    }
}

/// The whole person as it will be after joining.
fn customer_view(work: &Work, who: &Recognition, policies: &PolicySet) -> CustomerView {
    let mut root = work.known.customers.get(&who.customer).cloned();
    if let Some(root) = &mut root {
        root.halves.extend(who.merges.iter().map(|merge| merge.from.clone()));
    }
    let whole = root.as_ref().map(|root| work.known.whole(root));
    let fingerprint = change::fingerprint(&work.lead);
    let window = policies.settings.repeat_window_ms();
    let repeats = whole.as_ref().and_then(|whole| {
        whole.parts().find_map(|part| part.repeats(&fingerprint, work.lead.received, window)).cloned()
    });
    // An escalated lead that is tried again is not a repeat of itself.
    let repeats = repeats.filter(|of| *of != work.lead.id);
    CustomerView::of(whole.as_ref(), repeats, policies)
}
