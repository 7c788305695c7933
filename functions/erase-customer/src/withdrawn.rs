//! A lead that its sender has withdrawn: what it brought goes, and its person with it if nothing else is known of them. It is
//! as if the lead had never been, but for its line in the ledger.

use crate::{ATTEMPTS, Eraser, text};
use sluice_domain::access::taken_from;
use sluice_domain::customer::{AddressHash, Customer, HashKeys, Known};
use sluice_domain::erasure::{Address, Erasure, Traces, books_of, leave, traces, unquoted};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::import::{Around, Goes, Takeback, take_back};
use sluice_domain::lead::{Facts, Lead, LeadState};
use sluice_domain::policy::PolicySet;
use sluice_domain::team::TeamState;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::QueueName;
use sluice_store::{Commit, DueEntry, TeamRecord, Wanted, Written, driven_again, looks};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Leads of one person that are looked at.
const MOST_LEADS: usize = 1_000;
/// Who asked for it, in what is kept of an erasure and in the audit.
const BY: &str = "withdrawn";

/// What became of decisions that quote the lead.
enum Unquoted {
    /// There were none.
    None,
    /// They no longer do.
    Some,
    /// Somebody was faster.
    Nowhere,
}

/// Everything around the lead.
struct Person {
    known: Known,
    chains: BTreeMap<CustomerId, Vec<(Lead, Facts)>>,
    /// Records that events of others tell of.
    lived: BTreeSet<CustomerId>,
}

impl Eraser {
    /// Takes the lead out of everything. One that is not there was not fetched yet, and its mark keeps it from being so.
    pub(crate) async fn withdrawn(&self, id: &LeadId) -> Result<(), String> {
        let mut attempt = 0;
        while attempt <= ATTEMPTS {
            let Some(lead) = self.store.lead(id).await.map_err(text)? else { return Ok(()) };
            if lead.progress.state == LeadState::Erased {
                return self.erased(id).await;
            }
            let is_nearer = match lead.progress.customer.clone() {
                None => self.drop_undecided(&lead).await?,
                Some(customer) => self.take_out(&lead, &customer).await?,
            };
            if !is_nearer {
                attempt += 1;
                self.pause(attempt).await;
            }
        }
        Err("too much contention".to_owned())
    }

    /// Nothing rests on it yet but addresses that it may have claimed for a customer of its own, who never came to be.
    async fn drop_undecided(&self, lead: &Lead) -> Result<bool, String> {
        let (_, facts) = self.read(lead).await?;
        let own = CustomerId::derived(&[lead.id.as_str()]);
        for hash in
            traces(lead, &facts, &self.hash_keys().await?).addresses.iter().flat_map(|one| &one.hashes)
        {
            self.store.free_address(hash, &own, lead.received).await.map_err(text)?;
        }
        let written = self.store.commit(Commit::default().erased_lead(lead)).await.map_err(text)?;
        if written == Written::Done && !lead.progress.state.is_end() {
            let now = self.env.clock.now();
            Metrics::new().count("Ended", 1).by("State", LeadState::Erased.name()).emit(&self.env, now);
        }
        Ok(written == Written::Done)
    }

    /// One step; whether it came nearer. What was said until the lead came is forgotten with it; what came since is on its
    /// own, also if it is still to be decided.
    async fn take_out(&self, lead: &Lead, customer: &CustomerId) -> Result<bool, String> {
        let at = lead.received;
        let (keys, now) = (self.hash_keys().await?, self.env.clock.now());
        let policies = self.policies.current(now).await.map_err(text)?;
        let Some(person) = self.around(customer).await? else {
            // Somebody is erasing the whole person.
            self.person(customer.clone()).await?;
            return Ok(false);
        };
        let plan = self.plan(lead, &person, &keys, &policies).await?;
        if plan.leads.is_empty() {
            // Its customer's timeline lacks it: read between two commits.
            return Ok(false);
        }
        let root = person.known.root(customer);
        let goes = |id: &CustomerId| plan.gone.iter().any(|record| record.id == *id);
        if person.known.customers.keys().all(goes)
            && let Some(record) = person.known.customers.get(&root)
        {
            let erasures = Erasure::begin(record, &person.known, &keys, &policies.settings.junk, BY, at);
            let written = self.store.begin_erasure(erasures, now).await.map_err(text)?;
            if written == Written::Done {
                self.person(root).await?;
            }
            return Ok(written == Written::Done);
        }
        match self.unquote_rest(lead, &person, &plan, &keys).await? {
            Unquoted::Some => return Ok(true),
            Unquoted::Nowhere => return Ok(false),
            Unquoted::None => {}
        }
        let junk = &policies.settings.junk;
        let alone = |record: &Customer| {
            let known = Known { customers: [(record.id.clone(), record.clone())].into(), ..Known::default() };
            Erasure::begin(record, &known, &keys, junk, BY, at)
        };
        let erasures: Vec<Erasure> = plan.gone.iter().flat_map(alone).collect();
        let gone: Vec<CustomerId> = erasures.iter().map(|erasure| erasure.id.clone()).collect();
        let looks = match policies.looks_at_people() {
            true => looks(&plan.customers, now, now),
            false => Vec::new(),
        };
        if !self.commit_without(lead, person, plan, erasures, looks, &keys).await? {
            return Ok(false);
        }
        for record in gone {
            self.person(record).await?;
        }
        Ok(true)
    }

    /// The person with their leads and all that lies beside their records; nothing if they are erased.
    async fn around(&self, customer: &CustomerId) -> Result<Option<Person>, String> {
        let known = self.store.people(BTreeSet::from([customer.clone()])).await.map_err(text)?;
        if !known.customers.contains_key(customer) {
            return Ok(None);
        }
        let (mut chains, mut lived) = (BTreeMap::new(), BTreeSet::new());
        for record in known.customers.values() {
            let mut chain = Vec::new();
            let mut next = record.last_lead.clone();
            while let Some(id) = next.take() {
                let Some(lead) = self.store.lead(&id).await.map_err(text)? else { break };
                let (_, facts) = self.read(&lead).await?;
                next.clone_from(&lead.progress.previous);
                chain.push((lead, facts));
                if chain.len() > MOST_LEADS {
                    return Err("its customer has too many leads".to_owned());
                }
            }
            chains.insert(record.id.clone(), chain);
            if self.store.history(&record.id).await.map_err(text)?.has_events {
                lived.insert(record.id.clone());
            }
        }
        Ok(Some(Person { known, chains, lived }))
    }

    async fn plan(
        &self,
        lead: &Lead,
        person: &Person,
        keys: &HashKeys,
        policies: &PolicySet,
    ) -> Result<Takeback, String> {
        let Person { known, chains, lived, .. } = person;
        let of_leads = chains.values().flatten().flat_map(|(_, facts)| &facts.identities);
        let mut hashes: Vec<AddressHash> = of_leads.flat_map(|identity| keys.hashes(identity)).collect();
        let held = known.customers.values().flat_map(|record| &record.keys);
        hashes.extend(held.map(|(_, hash)| hash.clone()));
        let addresses = self.store.addresses(&hashes).await.map_err(text)?;
        let maybe = known.customers.values().flat_map(|record| record.maybe.keys().cloned()).collect();
        let others = self.store.people(maybe).await.map_err(text)?;
        let (addresses, others) = (&addresses, &others);
        let around = Around { lead, known, chains, addresses, others, lived, keys, goes: Goes::Alone };
        Ok(take_back(around, policies))
    }

    /// Decisions about the person's other leads no longer quote what this one said and nothing else does.
    async fn unquote_rest(
        &self,
        lead: &Lead,
        person: &Person,
        plan: &Takeback,
        keys: &HashKeys,
    ) -> Result<Unquoted, String> {
        let said = |customers: &mut dyn Iterator<Item = &Customer>| -> BTreeSet<String> {
            customers.flat_map(|one| one.facts.values()).map(|fact| fact.value.reveal().clone()).collect()
        };
        let mut after = person.known.clone();
        plan.gone.iter().for_each(|gone| drop(after.customers.remove(&gone.id)));
        after.customers.extend(plan.customers.iter().map(|record| (record.id.clone(), record.clone())));
        let before = said(&mut person.known.customers.values());
        let stays = said(&mut after.customers.values());
        let quoted = before.difference(&stays).flat_map(|value| keys.fact_hashes(value)).collect();
        let mut did = Unquoted::None;
        for (record, chain) in &person.chains {
            let Some(root) = after.customers.get(&after.root(record)) else { continue };
            let whole = after.whole(root);
            for (other, _) in chain.iter().filter(|(other, _)| other.id != lead.id) {
                if let Some(progress) = unquoted(other, &whole, &quoted, keys) {
                    let commit = Commit::default().lead(other, progress);
                    if self.store.commit(commit).await.map_err(text)? == Written::Conflict {
                        return Ok(Unquoted::Nowhere);
                    }
                    did = Unquoted::Some;
                }
            }
        }
        Ok(did)
    }

    async fn commit_without(
        &self,
        lead: &Lead,
        person: Person,
        plan: Takeback,
        erasures: Vec<Erasure>,
        looks: Vec<DueEntry>,
        keys: &HashKeys,
    ) -> Result<bool, String> {
        let Person { known, chains, .. } = person;
        let (mut own, mut of_rest) = (Traces::default(), BTreeSet::new());
        for (one, facts) in chains.values().flatten() {
            let traces = traces(one, facts, keys);
            match one.id == lead.id {
                true => own = traces,
                false => of_rest.extend(traces.blocks),
            }
        }
        let blocks: Vec<AddressHash> =
            own.blocks.into_iter().filter(|block| !of_rest.contains(block)).collect();
        let records: BTreeSet<CustomerId> = known.customers.keys().cloned().collect();
        self.store.forget_lookalikes(&blocks, &records).await.map_err(text)?;

        let now = self.env.clock.now();
        let mut commit = looks.into_iter().fold(Commit::default().erased_lead(lead), Commit::due);
        for (other, after) in &plan.relinked {
            commit = commit.lead(other, after.clone());
        }
        let companies: BTreeSet<String> = own.company.iter().map(|(domain, _)| domain.clone()).collect();
        let wanted = Wanted { teams: books_of(lead), companies, ..Wanted::default() };
        let desk = self.store.desk(&wanted).await.map_err(text)?;
        let mut books: BTreeMap<String, TeamState> =
            desk.teams.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect();
        leave(lead, &mut books);
        let mut is_room_free = false;
        for (name, was) in desk.teams {
            let state = books.remove(&name).unwrap_or_default();
            is_room_free |= state.members != was.state.members;
            if state != was.state {
                commit = commit.team(&name, TeamRecord { state, version: was.version });
            }
        }
        for (domain, owner) in desk.companies {
            if own.company.as_ref().is_some_and(|(_, at)| *at == owner.owner.since) {
                commit = commit.gone_company(&domain, owner.version);
            }
        }
        let moved = taken_from(&known, &plan.customers, "erase-customer", now, BY, &lead.id);
        commit = commit.notes(moved);
        for customer in plan.customers {
            commit = commit.customer(customer);
        }
        let is_going = |id: &CustomerId| erasures.iter().any(|erasure| erasure.id == *id);
        let freed: Vec<_> = plan.freed.into_iter().filter(|(_, holder)| !is_going(holder)).collect();
        for (address, holder) in &freed {
            commit = commit.freed(address.clone(), holder.clone());
        }
        let freed: BTreeSet<AddressHash> = freed.into_iter().map(|(address, _)| address).collect();
        let is_freed = |address: &&Address| address.hashes.iter().any(|hash| freed.contains(hash));
        let alone: Vec<Address> = own.addresses.iter().filter(is_freed).cloned().collect();
        self.store.forget_said(&alone, &records, lead.received).await.map_err(text)?;
        for erasure in erasures {
            commit = commit.due(driven_again(&erasure, now)).erasure(erasure);
        }
        for (address, with) in plan.unseen {
            commit = commit.unseen_with(address, with);
        }
        if self.store.commit(commit).await.map_err(text)? == Written::Conflict {
            return Ok(false);
        }
        if is_room_free {
            let wake = encode(&LeadMessage::Wake("capacity".to_owned()));
            self.send(QueueName::Lead, format!("wake-{}", lead.id), wake).await?;
        }
        tracing::info!(lead = %lead.id, "withdrawn");
        Ok(true)
    }
}
