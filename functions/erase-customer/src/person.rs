//! A whole person, from the addresses of their records to the last message. What is still to do is in the [`Erasure`] that
//! stands in place of the live record: a crash anywhere repeats a step and skips none.

use crate::{ATTEMPTS, Eraser, PAGES, text};
use sluice_domain::advance::identities;
use sluice_domain::customer::Identity;
use sluice_domain::erasure::{Address, Erasure, addresses_of, books_of, leave, traces, unquoted};
use sluice_domain::event::Happened;
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::Lead;
use sluice_domain::team::TeamState;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::QueueName;
use sluice_store::{Commit, Desk, TeamRecord, Wanted, Written, keys};
use sluice_wire::queue::{EraseMessage, LeadMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Leads erased in one transaction.
const LEADS: usize = 8;
/// After this many milliseconds the rest is left to the next delivery.
const LONG_ENOUGH: i64 = 20_000;
/// Steps of one delivery.
const STEPS: u32 = 250;

/// What a step came to.
enum Step {
    /// Something is done, there is more.
    More,
    /// Somebody else was faster.
    Conflict,
    /// Everything is gone.
    Done,
}

impl Eraser {
    /// Goes on with an erasure until everything is gone or it takes too long.
    pub(crate) async fn person(&self, mut id: CustomerId) -> Result<(), String> {
        let began = self.env.clock.now();
        let mut attempt = 0;
        for _ in 0..STEPS {
            // A record that is there belongs to somebody whom nobody has asked to erase.
            let Some(erasure) = self.store.erasure(&id).await.map_err(text)? else { return Ok(()) };
            if let Some(root) = erasure.root {
                id = root;
                continue;
            }
            if erasure.done.is_some() {
                return self.look_again(&erasure).await;
            }
            if self.env.clock.now().since(began) > LONG_ENOUGH {
                break;
            }
            match self.step(&erasure).await? {
                Step::Done => return Ok(()),
                Step::More => attempt = 0,
                Step::Conflict if attempt >= ATTEMPTS => return Err("too much contention".to_owned()),
                Step::Conflict => {
                    attempt += 1;
                    self.pause(attempt).await;
                }
            }
        }
        self.send(QueueName::Erase, id.to_string(), encode(&EraseMessage::Customer(id.clone()))).await
    }

    /// Once everything is gone, what a function put beside a record that had read it before goes as well, and what died meanwhile:
    /// no function runs as long as it takes until somebody is driven again.
    async fn look_again(&self, erasure: &Erasure) -> Result<(), String> {
        for record in &erasure.took {
            if !self
                .store
                .sweep_beside(keys::customer(record), &[keys::CUSTOMER], PAGES)
                .await
                .map_err(text)?
            {
                return Err("more lies beside a record".to_owned());
            }
        }
        self.dead_letters().await
    }

    async fn step(&self, erasure: &Erasure) -> Result<Step, String> {
        let holders = erasure.holders();
        if !erasure.addresses.is_empty() {
            // Whoever began it may have died before they were closed.
            self.store.close_gates(&erasure.gates, erasure.at).await.map_err(text)?;
            self.store.forget_addresses(&erasure.addresses, &holders, erasure.at).await.map_err(text)?;
            let after = Erasure { addresses: Vec::new(), gates: Vec::new(), ..erasure.clone() };
            return self.note(after, Step::More).await;
        }
        for lead in &erasure.beside {
            if !self.clear_beside(lead).await? {
                return Ok(Step::More);
            }
        }
        if let Some((record, head)) =
            erasure.records.iter().find_map(|(record, head)| Some((record, head.as_ref()?)))
        {
            return self.leads(erasure, record, head).await;
        }
        for record in &holders {
            self.forget_ids(record, erasure, &holders).await?;
            let record = keys::customer(record);
            if !self.store.sweep_beside(record, &[keys::CUSTOMER], PAGES).await.map_err(text)? {
                return Ok(Step::More);
            }
        }
        for other in &erasure.linked {
            self.unquote(other, erasure).await?;
            self.unlink(other, &holders).await?;
        }
        // By now all addresses say that their person was erased: letters are judged by that.
        self.dead_letters().await?;
        let now = self.env.clock.now();
        let step = self.note(erasure.ended(now), Step::Done).await?;
        if matches!(step, Step::Done) {
            tracing::info!(customer = %erasure.id, leads = erasure.leads, "erased");
            Metrics::new().count("Erased", 1).emit(&self.env, now);
        }
        Ok(step)
    }

    /// The ids that the events of a record came by. A record names only some of its browsers, and those of others it was
    /// known to use not at all.
    async fn forget_ids(
        &self,
        record: &CustomerId,
        erasure: &Erasure,
        holders: &BTreeSet<CustomerId>,
    ) -> Result<(), String> {
        let keys = self.hash_keys().await?;
        let policies = self.policies.current(self.env.clock.now()).await.map_err(text)?;
        let mut cursor: Option<String> = None;
        loop {
            let page = self.store.entries(record, cursor.as_deref()).await.map_err(text)?;
            let said = page.items.into_iter().map(|entry| Happened { who: entry.who, event: entry.event });
            let named: Vec<Identity> = said.flat_map(|said| identities(&said, &policies)).collect();
            let left = addresses_of(&named, &keys);
            if !left.is_empty() {
                self.store.forget_addresses(&left, holders, erasure.at).await.map_err(text)?;
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn note(&self, erasure: Erasure, done: Step) -> Result<Step, String> {
        Ok(match self.store.update_erasure(&erasure).await.map_err(text)? {
            Written::Done => done,
            Written::Conflict => Step::Conflict,
        })
    }

    /// The newest leads of a record: first what they have left elsewhere, then in one transaction they, their places in
    /// teams and the note of how far this is. What lies beside them goes with the next step.
    async fn leads(&self, erasure: &Erasure, record: &CustomerId, head: &LeadId) -> Result<Step, String> {
        let (leads, next) = self.newest(head).await?;
        let holders = erasure.holders();
        let keys = self.hash_keys().await?;
        let mut left: Vec<Address> = Vec::new();
        let mut blocks = Vec::new();
        let mut companies = BTreeMap::new();
        for lead in &leads {
            let (_, facts) = self.read(lead).await?;
            let traces = traces(lead, &facts, &keys);
            for address in traces.addresses {
                if !left.contains(&address) {
                    left.push(address);
                }
            }
            blocks.extend(traces.blocks);
            if let Some((domain, at)) = traces.company {
                companies.entry(domain).or_insert_with(BTreeSet::new).insert(at);
            }
        }
        self.store.forget_addresses(&left, &holders, erasure.at).await.map_err(text)?;
        self.store.forget_lookalikes(&blocks, &holders).await.map_err(text)?;

        let wanted = Wanted {
            teams: leads.iter().flat_map(books_of).collect(),
            companies: companies.keys().cloned().collect(),
            ..Wanted::default()
        };
        let Desk { teams, companies: owners, .. } = self.store.desk(&wanted).await.map_err(text)?;
        let mut books: BTreeMap<String, TeamState> =
            teams.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect();
        for lead in &leads {
            leave(lead, &mut books);
        }
        let mut after = erasure.clone();
        after.records.insert(record.clone(), next);
        after.beside = leads.iter().map(|lead| lead.id.clone()).collect();
        after.leads = erasure.leads.saturating_add(u32::try_from(leads.len()).unwrap_or(u32::MAX));
        let mut commit = Commit::default().erasure(after);
        for lead in &leads {
            commit = commit.erased_lead(lead);
        }
        let mut is_room_free = false;
        for (name, was) in teams {
            let state = books.remove(&name).unwrap_or_default();
            is_room_free |= state.members != was.state.members;
            if state != was.state {
                commit = commit.team(&name, TeamRecord { state, version: was.version });
            }
        }
        for (domain, owner) in owners {
            // A company whose owner came with one of these leads is found out about anew.
            let came_with = companies.get(&domain);
            if came_with.is_some_and(|came| came.contains(&owner.owner.since)) {
                commit = commit.gone_company(&domain, owner.version);
            }
        }
        if self.store.commit(commit).await.map_err(text)? == Written::Conflict {
            return Ok(Step::Conflict);
        }
        if is_room_free {
            let wake = encode(&LeadMessage::Wake("capacity".to_owned()));
            self.send(QueueName::Lead, format!("wake-{head}"), wake).await?;
        }
        Ok(Step::More)
    }

    /// Leads from `head` on along the chain that each continues, and the one after them.
    async fn newest(&self, head: &LeadId) -> Result<(Vec<Lead>, Option<LeadId>), String> {
        let mut leads = Vec::new();
        let mut next = Some(head.clone());
        while let Some(id) = next.take_if(|_| leads.len() < LEADS) {
            let Some(lead) = self.store.lead(&id).await.map_err(text)? else { break };
            next.clone_from(&lead.progress.previous);
            leads.push(lead);
        }
        Ok((leads, next))
    }

    /// Decisions about another customer no longer quote what this person said while the two were taken for one.
    async fn unquote(&self, other: &CustomerId, erasure: &Erasure) -> Result<(), String> {
        if erasure.quoted.is_empty() {
            return Ok(());
        }
        let keys = self.hash_keys().await?;
        let known = self.store.people(BTreeSet::from([other.clone()])).await.map_err(text)?;
        let Some(root) = known.customers.get(&known.root(other)) else { return Ok(()) };
        let whole = known.whole(root);
        for part in whole.parts() {
            let mut next = part.last_lead.clone();
            let mut attempts = 0;
            while let Some(id) = next.take() {
                let Some(lead) = self.store.lead(&id).await.map_err(text)? else { break };
                if let Some(after) = unquoted(&lead, &whole, &erasure.quoted, &keys)
                    && self.store.commit(Commit::default().lead(&lead, after)).await.map_err(text)?
                        == Written::Conflict
                {
                    attempts += 1;
                    if attempts > ATTEMPTS {
                        return Err("too much contention".to_owned());
                    }
                    self.pause(attempts).await;
                    next = Some(id);
                    continue;
                }
                next = lead.progress.previous;
            }
        }
        Ok(())
    }

    /// Another customer no longer names this person as somebody it was told apart from, or may be.
    async fn unlink(&self, other: &CustomerId, holders: &BTreeSet<CustomerId>) -> Result<(), String> {
        for attempt in 1..=ATTEMPTS {
            let found = self.store.customers(&BTreeSet::from([other.clone()])).await.map_err(text)?;
            let Some(mut customer) = found.into_values().next() else { return Ok(()) };
            let before = customer.apart.len() + customer.maybe.len();
            customer.apart.retain(|id, _| !holders.contains(id));
            customer.maybe.retain(|id, _| !holders.contains(id));
            if customer.apart.len() + customer.maybe.len() == before {
                return Ok(());
            }
            if self.store.commit(Commit::default().customer(customer)).await.map_err(text)? == Written::Done {
                return Ok(());
            }
            self.pause(attempt).await;
        }
        Err("too much contention".to_owned())
    }
}
