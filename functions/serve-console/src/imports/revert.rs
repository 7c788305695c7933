//! `POST /api/imports/{batch}/revert`: takes back what a batch brought, as much as one call has time for.

use super::rows::ENDED;
use super::{ATTEMPTS, answer};
use crate::{Call, Console, unavailable};
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use sluice_domain::access::owner_changes;
use sluice_domain::customer::{AddressHash, HashKeys};
use sluice_domain::erasure::traces;
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::import::{Around, Goes, Kept, lead_id, take_back, worked_on};
use sluice_domain::lead::{self, Facts, Lead, LeadState, consented, unconsented};
use sluice_domain::policy::PolicySet;
use sluice_domain::team;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Batch, BatchState, Chunk, Commit, CompanyRecord, Desk, StoreError, Wanted, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::imports::{Left, Reverted};
use sluice_wire::problem::Problem;
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Rows may be coming in for this long after they were begun with, in milliseconds: longer than a function runs.
const COMING_IN: i64 = 60_000;
/// Rows that were begun with together, of one page.
const PAGE: i32 = 50;
/// After this many milliseconds the caller is asked to come again.
const LONG_ENOUGH: i64 = 10_000;
/// Leads of one call at most.
const MOST: u64 = 1_000;
/// Leads on their way out at the same time.
const AT_ONCE: usize = 8;
/// What is kept beside the records of one person, entries and runs, and goes with them in one transaction: who has more stays.
const MOST_HISTORY: usize = 40;
/// Leads of one person that are looked at; more is a job for a person.
const MOST_LEADS: usize = 300;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    cursor: Option<String>,
}

/// What became of one lead.
enum Went {
    Back { leads: u64, customers: u64, addresses: u64 },
    Stays(Kept),
    Gone,
}

impl Console {
    pub(crate) async fn revert_batch(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked: Asked = if call.request.body.is_empty() { Asked::default() } else { call.read_unseen()? };
        let batch = self.close_batch(call.part(0)).await?;
        let (policies, began) = (self.current().await?, self.env.clock.now());
        let keys = self.secrets.hash_keys().await.map_err(|error| {
            tracing::warn!(%error, "hash key not read");
            Problem::new(503, "unavailable", "People cannot be looked up just now. Try again.").retry_after(2)
        })?;
        let mut done = Reverted::default();
        let from = asked.cursor.as_deref().and_then(|cursor| cursor.parse::<u64>().ok()).unwrap_or(0);
        let mut cursor = None;
        loop {
            let page = self.store.chunks(&batch.name, cursor.as_deref(), PAGE).await.map_err(unavailable)?;
            for chunk in page.items.into_iter().filter(|chunk| chunk.first >= from) {
                let (first, now) = (chunk.first, self.env.clock.now());
                done.wait = coming_in(&chunk, now);
                let is_late = now.since(began) > LONG_ENOUGH || done.leads >= MOST;
                if is_late || done.wait.is_some() {
                    done.cursor = Some(first.to_string());
                    return answer(&done);
                }
                let all_gone =
                    self.revert_rows(call, &batch, chunk.rows(), &policies, &keys, &mut done).await?;
                if self.end_chunk(&batch, chunk, all_gone).await? == Written::Conflict {
                    // Somebody has ended it, or has begun it again who had found the batch open: it is come by once more. Nobody
                    // finds it open any more, so this comes to an end.
                    done.cursor = Some(first.to_string());
                    return answer(&done);
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                if let Some(chunk) = self.end_batch(batch).await? {
                    done.wait = coming_in(&chunk, self.env.clock.now());
                    done.cursor = Some(chunk.first.to_string());
                }
                return answer(&done);
            }
        }
    }

    /// From here on no row comes in, and rows that are coming in are written down.
    async fn close_batch(&self, name: &str) -> Result<Batch, Problem> {
        for _ in 0..ATTEMPTS {
            let mut batch = self.find_batch(name).await?;
            if batch.state != BatchState::Open {
                return Ok(batch);
            }
            batch.state = BatchState::Reverting;
            if self.store.update_batch(&batch).await.map_err(unavailable)? == Written::Done {
                batch.version += 1;
                return Ok(batch);
            }
        }
        Err(Problem::new(409, "busy", "Others are changing this batch. Try again.").retry_after(1))
    }

    /// With leads that were kept, or are on their way, it has not ended; nor with rows that nobody has come by, the first of which are
    /// answered: they were begun behind where it went on, by somebody who had found the batch open.
    async fn end_batch(&self, mut batch: Batch) -> Result<Option<Chunk>, Problem> {
        let (mut cursor, mut is_empty): (Option<String>, bool) = (None, true);
        loop {
            let page = self.store.chunks(&batch.name, cursor.as_deref(), PAGE).await.map_err(unavailable)?;
            is_empty &= page.items.is_empty();
            if let Some(chunk) = page.items.into_iter().find(|chunk| !is_come_by(chunk)) {
                return Ok(Some(chunk));
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if is_empty && batch.state == BatchState::Reverting {
            batch.state = BatchState::Reverted;
            // If somebody was faster it was the same change, or the batch has been begun again.
            let _: Written = self.store.update_batch(&batch).await.map_err(unavailable)?;
        }
        Ok(None)
    }

    /// Rows that were come by: forgotten, or written down as such. A conflict means that somebody has written them down meanwhile.
    async fn end_chunk(&self, batch: &Batch, chunk: Chunk, all_gone: bool) -> Result<Written, Problem> {
        let ended = if all_gone {
            self.store.forget_chunk(&batch.name, &chunk).await
        } else if is_come_by(&chunk) {
            Ok(Written::Done)
        } else {
            // No longer all in: somebody who imports the file again has to look at each row.
            let open = Chunk { done: None, at: ENDED, ..chunk };
            self.store.update_chunk(&batch.name, &open).await
        };
        ended.map_err(unavailable)
    }

    /// Takes back the leads of some rows. Whether none is left.
    async fn revert_rows(
        &self,
        call: &Call,
        batch: &Batch,
        rows: Vec<u64>,
        policies: &PolicySet,
        keys: &HashKeys,
        done: &mut Reverted,
    ) -> Result<bool, Problem> {
        let ids: Vec<LeadId> = rows.iter().map(|n| lead_id(&batch.form, &batch.name, *n)).collect();
        let there = self.store.standings(&ids).await.map_err(unavailable)?;
        let there = rows.into_iter().zip(ids).filter(|(_, id)| there.contains_key(id));
        let work: Vec<_> = there
            .map(|(row, id)| async move {
                let went = self.revert_row(call, &id, policies, keys).await;
                (row, id, went)
            })
            .collect();
        let went: Vec<_> = stream::iter(work).buffered(AT_ONCE).collect().await;
        let mut all_gone = true;
        for (row, id, went) in went {
            match went? {
                Went::Gone => {}
                Went::Back { leads, customers, addresses } => {
                    done.leads += leads;
                    done.customers += customers;
                    done.addresses += addresses;
                }
                Went::Stays(why) => {
                    all_gone = false;
                    done.left.push(Left::new(row, id, why));
                }
            }
        }
        Ok(all_gone)
    }

    async fn revert_row(
        &self,
        call: &Call,
        id: &LeadId,
        policies: &PolicySet,
        keys: &HashKeys,
    ) -> Result<Went, Problem> {
        for attempt in 0..ATTEMPTS {
            let lead = self.store.lead(id).await.map_err(unavailable)?;
            // What is left of an erased lead stays.
            let Some(lead) = lead.filter(|lead| lead.progress.state != LeadState::Erased) else {
                return Ok(Went::Gone);
            };
            let mut went = self.revert_lead(call, &lead, Goes::Batch, policies, keys).await?;
            if matches!(went, Some(Went::Stays(Kept::TooManyLeads))) {
                // What is too much together may go one by one.
                went = self.revert_lead(call, &lead, Goes::Alone, policies, keys).await?;
            }
            if let Some(went) = went {
                return Ok(went);
            }
            self.pause(attempt).await;
        }
        Err(Problem::new(503, "busy", "Others are changing the same customers. Try again.").retry_after(1))
    }

    /// Takes back one lead, with others of the batch that the same customer has. Nothing if somebody was faster.
    async fn revert_lead(
        &self,
        call: &Call,
        lead: &Lead,
        goes: Goes,
        policies: &PolicySet,
        keys: &HashKeys,
    ) -> Result<Option<Went>, Problem> {
        if let Some(kept) = worked_on(lead) {
            return Ok(Some(Went::Stays(kept)));
        }
        let named: BTreeSet<CustomerId> = lead.progress.customer.iter().cloned().collect();
        let known = self.store.people(named).await.map_err(unavailable)?;
        if let Some(erased) = lead.progress.customer.as_ref().filter(|id| !known.customers.contains_key(id))
            && self.store.erasure(erased).await.map_err(unavailable)?.is_some()
        {
            // It goes with its person, whose other leads are found by way of it.
            return Ok(Some(Went::Gone));
        }
        let mut chains = BTreeMap::new();
        for record in known.customers.values() {
            let Some(chain) = self.chain_of(record.last_lead.clone()).await? else {
                return Ok(Some(Went::Stays(Kept::TooManyLeads)));
            };
            chains.insert(record.id.clone(), chain);
        }
        let of_leads = chains.values().flatten().flat_map(|(_, facts): &(Lead, Facts)| &facts.identities);
        let mut hashes: Vec<AddressHash> = of_leads.flat_map(|identity| keys.hashes(identity)).collect();
        hashes.extend(known.customers.values().flat_map(|record| record.keys.iter().map(|(_, h)| h.clone())));
        let addresses = self.store.addresses(&hashes).await.map_err(unavailable)?;
        let maybe = known.customers.values().flat_map(|record| record.maybe.keys().cloned()).collect();
        let others = self.store.people(maybe).await.map_err(unavailable)?;
        let mut histories = BTreeMap::new();
        for id in known.customers.keys() {
            histories.insert(id.clone(), self.store.history(id).await.map_err(unavailable)?);
        }
        let is_much = histories.values().map(|history| history.sort_keys.len()).sum::<usize>() > MOST_HISTORY;
        let lived = histories.iter().filter(|(_, history)| is_much || history.has_lived);
        let lived: BTreeSet<CustomerId> = lived.map(|(id, _)| id.clone()).collect();
        let around = Around {
            lead,
            known: &known,
            chains: &chains,
            addresses: &addresses,
            others: &others,
            lived: &lived,
            keys,
            goes,
        };
        let plan = take_back(around, policies);
        if plan.leads.is_empty() {
            // Its customer's timeline lacks it: read between two commits.
            return Ok(None);
        }
        let mut commit = self.with_consent_back(Commit::default(), &plan.leads, keys).await?;
        for (lead, after) in &plan.relinked {
            commit = commit.lead(lead, after.clone());
        }
        let went = Went::Back {
            leads: plan.leads.len() as u64,
            customers: plan.gone.len() as u64,
            addresses: plan.freed.len() as u64,
        };
        let names: BTreeSet<String> = plan.places.iter().map(|(team, _)| team.clone()).collect();
        let goes = |(lead, _): &&(Lead, Facts)| plan.leads.iter().any(|going| going.id == lead.id);
        let of_going = chains.values().flatten().filter(goes);
        let owned: BTreeSet<_> =
            of_going.filter_map(|(lead, facts)| traces(lead, facts, keys).company).collect();
        let companies = owned.iter().map(|(domain, _)| domain.clone()).collect();
        let wanted = Wanted { teams: names.clone(), companies, ..Wanted::default() };
        let Desk { mut teams, companies, .. } = self.store.desk(&wanted).await.map_err(unavailable)?;
        for (domain, CompanyRecord { owner, version }) in companies {
            // A company whose owner came with one of these leads is found out about anew.
            if owned.contains(&(domain.clone(), owner.since)) {
                commit = commit.gone_company(&domain, version);
            }
        }
        for (name, rep) in &plan.places {
            if let Some(record) = teams.get_mut(name) {
                team::close(&mut record.state, rep);
            }
        }
        for (name, rep) in &plan.shares {
            let member = policies.teams.get(name).and_then(|team| team.member(rep));
            if let (Some(member), Some(record)) = (member, teams.get_mut(name)) {
                team::credit(&mut record.state, &member.rep, member.weight);
            }
        }
        for lead in &plan.leads {
            for record in teams.values_mut() {
                team::settle(&mut record.state, &lead.id);
            }
            let items = self.store.lead_items(&lead.id).await.map_err(unavailable)?;
            commit = commit.gone(lead, items);
        }
        for (name, record) in teams {
            commit = commit.team(&name, record);
        }
        let moved = owner_changes(&known, &plan.customers).into_iter();
        let now = self.env.clock.now();
        commit = commit.notes(moved.map(|moved| moved.note(&call.who.doer(), now, "revert", Some(&lead.id))));
        let looks = self.looks(&plan.customers).await?;
        commit = looks.iter().cloned().fold(commit, Commit::due);
        for customer in plan.customers {
            commit = commit.customer(customer);
        }
        let gone: Vec<CustomerId> = plan.gone.iter().map(|customer| customer.id.clone()).collect();
        for customer in plan.gone {
            let beside = histories.remove(&customer.id).unwrap_or_default().sort_keys;
            commit = commit.gone_customer(customer, beside);
        }
        for (address, holder) in plan.freed {
            commit = commit.freed(address, holder);
        }
        for (address, with) in plan.unseen {
            commit = commit.unseen_with(address, with);
        }
        let writes = self.store.writes(commit).map_err(unavailable)?;
        if writes.are_too_many() {
            return Ok(Some(Went::Stays(Kept::TooManyLeads)));
        }
        if self.store.write(writes).await.map_err(unavailable)? == Written::Conflict {
            return Ok(None);
        }
        self.look(looks).await;
        for customer in &gone {
            self.store.forget_history(customer).await.map_err(unavailable)?;
        }
        if !names.is_empty() {
            self.wake(lead).await.map_err(unavailable)?;
        }
        Ok(Some(went))
    }

    /// What the file said of wishes counts no more. In one with the leads: afterwards nobody knows what they said, and of
    /// one that stays it still counts.
    async fn with_consent_back(
        &self,
        commit: Commit,
        leads: &[Lead],
        keys: &HashKeys,
    ) -> Result<Commit, Problem> {
        let now = self.env.clock.now();
        let mut back = Vec::new();
        for lead in leads.iter().filter(|lead| lead.envelope.consent.as_ref().is_some_and(|c| c.given)) {
            let policies = self.policies.at(lead.manifest).await.map_err(unavailable)?;
            let reading = policies.reading(&lead.origin);
            let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
            let wishes = consented(lead, lead.progress.state, &facts, &policies, &policies);
            back.extend(unconsented(wishes, now));
        }
        self.store.with_wishes(commit, &back, keys).await.map_err(unavailable)
    }

    /// Room that came free is for leads that wait for it.
    async fn wake(&self, lead: &Lead) -> Result<(), StoreError> {
        let now = self.env.clock.now();
        let body = encode(&LeadMessage::Wake("capacity".to_owned()));
        let id = format!("wake-{}", lead.id);
        self.outbox.hand_over(vec![Outgoing { queue: QueueName::Lead, id, body, not_before: now }], now).await
    }

    /// A record's leads with what they said when they were decided, newest first; nothing if there are too many.
    async fn chain_of(&self, mut next: Option<LeadId>) -> Result<Option<Vec<(Lead, Facts)>>, Problem> {
        let mut chain = Vec::new();
        while let Some(id) = next.take() {
            if chain.len() >= MOST_LEADS {
                return Ok(None);
            }
            let Some(lead) = self.store.lead(&id).await.map_err(unavailable)? else { break };
            let version = lead.progress.receipt.as_ref().map_or(lead.manifest, |receipt| receipt.manifest);
            let policies = self.policies.at(version).await.map_err(unavailable)?;
            let reading = policies.reading(&lead.origin);
            let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
            next.clone_from(&lead.progress.previous);
            chain.push((lead, facts));
        }
        Ok(Some(chain))
    }
}

/// Whether nobody works on rows any more, and who imports them again has to look at each: as they are left if some of their leads stay.
fn is_come_by(chunk: &Chunk) -> bool {
    chunk.done.is_none() && chunk.at == ENDED
}

/// For how many seconds rows may still be coming in, if they may.
fn coming_in(chunk: &Chunk, now: Timestamp) -> Option<u32> {
    let young = COMING_IN - now.since(chunk.at);
    (chunk.done.is_none() && young > 0).then(|| u32::try_from(young / 1000 + 1).unwrap_or(60))
}
