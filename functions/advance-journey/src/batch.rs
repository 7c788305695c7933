//! Passes over a batch: load people together, decide each, claim, commit, send.

use crate::group::{Group, groups, meet};
use crate::send::outgoing;
use crate::{ATTEMPTS, Advancer};
use futures::stream::{self, StreamExt, TryStreamExt};
use sluice_domain::advance::{Incoming, Loaded, Taken, With, advance};
use sluice_domain::customer::HashKeys;
use sluice_domain::id::{CustomerId, EventId};
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_store::{Commit, Counting, StoreError, Written};
use std::collections::{BTreeMap, BTreeSet};

/// People decided at the same time, and entries of one person put at the same time.
const AT_ONCE: usize = 10;
/// What is taken of one person in one transaction, which holds 100 items: each is an entry, and what it changes is a few more.
pub(crate) const MOST: usize = 40;
/// What one transaction stores of a person at most; the rest of its 100 items are the records that have to be there.
const ROOM: usize = 90;
/// How often a person is looked at again because somebody is being written down who may be the same.
const PATIENCE: u32 = 6;

/// What became of a person in a pass.
enum Went {
    /// The first of what came in is through.
    Through,
    /// Somebody was faster.
    Nowhere,
    /// More has to be read.
    On,
    /// It is more than one transaction holds: fewer of them at once.
    Fewer,
}

impl Advancer {
    /// Takes all that came in, each by the place of its record. Answers with the records that failed, and why.
    pub(crate) async fn take_all(&self, work: Vec<(usize, Incoming)>) -> BTreeMap<usize, String> {
        let mut failed = BTreeMap::new();
        if work.is_empty() {
            return failed;
        }
        let all: Vec<usize> = work.iter().map(|(record, _)| *record).collect();
        let everything = |why: String| all.iter().map(|record| (*record, why.clone())).collect();
        let policies = match self.policies.current(self.env.clock.now()).await {
            Ok(policies) => policies,
            Err(error) => return everything(error.to_string()),
        };
        let keys = match self.secrets.hash_keys().await {
            Ok(keys) => keys,
            Err(error) => return everything(error.to_string()),
        };
        let mut left = groups(work, &keys, &policies);
        let mut attempt = 0;
        while !left.is_empty() {
            let wanted: Vec<_> = left.iter().map(|group| group.wanted(&policies)).collect();
            let loaded = match self.store.load(&wanted).await {
                Ok(loaded) => loaded,
                Err(error) => {
                    left.iter().for_each(|group| fail(group, &error.to_string(), &mut failed));
                    return failed;
                }
            };
            let (now_done, later) = apart(left, loaded);
            let passes = now_done.into_iter().map(|(mut group, loaded)| async {
                let went = self.take(&mut group, loaded, &keys, &policies).await;
                (group, went)
            });
            let results: Vec<(Group, Result<Went, String>)> =
                stream::iter(passes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
            left = later;
            let mut is_nearer = false;
            for (mut group, went) in results {
                match went {
                    Ok(Went::Through) => {
                        is_nearer = true;
                        group.incoming.drain(..group.incoming.len().min(group.most));
                    }
                    Ok(Went::Fewer) => {
                        is_nearer = true;
                        group.most = group.most.min(group.incoming.len()).div_ceil(2);
                    }
                    Ok(Went::On) => is_nearer |= group.loads < ATTEMPTS,
                    Ok(Went::Nowhere) => group.looks += 1,
                    Err(why) => {
                        fail(&group, &why, &mut failed);
                        continue;
                    }
                }
                if !group.incoming.is_empty() {
                    left.push(group);
                }
            }
            if is_nearer {
                attempt = 0;
            } else if !left.is_empty() {
                attempt += 1;
                if attempt >= ATTEMPTS {
                    left.iter().for_each(|group| fail(group, "too much contention", &mut failed));
                    return failed;
                }
                self.pause(attempt).await;
            }
        }
        failed
    }

    /// Decides the first that came in of a person, stores what it makes, and sends what it sends.
    async fn take(
        &self,
        group: &mut Group,
        loaded: Loaded,
        keys: &HashKeys,
        policies: &PolicySet,
    ) -> Result<Went, String> {
        let text = |error: StoreError| error.to_string();
        let now = self.env.clock.now();
        let incoming = &group.incoming[..group.incoming.len().min(group.most)];
        let with = With { keys, policies, older: &group.older, now };
        let taken = advance(incoming, loaded, with);
        if !taken.missing.is_empty() {
            for version in &taken.missing.manifests {
                let set = self.policies.at(*version).await.map_err(text)?;
                group.older.insert(*version, set);
            }
            group.loads += 1;
            group.missing.runs.extend(taken.missing.runs);
            group.missing.history.extend(taken.missing.history);
            group.missing.events.extend(taken.missing.events);
            return Ok(Went::On);
        }
        if taken.items() > ROOM && incoming.len() > 1 {
            return Ok(Went::Fewer);
        }
        if taken.unsettled && group.looks < PATIENCE {
            return Ok(Went::Nowhere);
        }
        self.store.remove_entries(&taken.stray).await.map_err(text)?;
        for ((address, customer), at) in &taken.freed {
            self.store.free_address(address, customer, *at).await.map_err(text)?;
        }
        if !self.store.claim(&taken.claims).await.map_err(text)? {
            return Ok(Went::Nowhere);
        }
        for (address, holder) in &taken.released {
            self.store.release(address, holder).await.map_err(text)?;
        }
        let written = if taken.is_idle() {
            self.put_entries(&taken, now).await
        } else {
            self.commit(&taken, now).await
        };
        if written.map_err(text)? == Written::Conflict {
            return Ok(Went::Nowhere);
        }
        self.measure(&taken, incoming);
        self.outbox.hand_over(outgoing(&taken), now).await.map_err(text)?;
        Ok(Went::Through)
    }

    /// Events that change nothing: each is one write; those that count are written with what they count.
    async fn put_entries(&self, taken: &Taken, now: Timestamp) -> Result<Written, StoreError> {
        if let Some(counting) = counting(taken, now) {
            let written = self.store.count_entries(&taken.entries, &counting).await?;
            self.store.keep_standing(&put(taken)).await?;
            return Ok(written);
        }
        let puts = taken.entries.iter().map(|(home, entry)| self.store.put_entry(home, entry));
        let written: Vec<Written> =
            stream::iter(puts.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
        if !taken.entries.is_empty() {
            self.store.keep_standing(&put(taken)).await?;
        }
        // What is there was put by another delivery: the same event.
        Ok(if written.contains(&Written::Conflict) { Written::Conflict } else { Written::Done })
    }

    async fn commit(&self, taken: &Taken, now: Timestamp) -> Result<Written, StoreError> {
        let mut commit = Commit::default();
        if let Some(counting) = counting(taken, now) {
            commit = commit.counting(counting);
        }
        for customer in &taken.customers {
            commit = commit.customer(customer.clone());
        }
        for pointed in &taken.pointed {
            commit = commit.pointed(pointed.clone());
        }
        // A transaction changes an item once; who else came with an address is noted when they come again.
        let mut noted = BTreeSet::new();
        for (address, customer) in &taken.seen_with {
            if noted.insert(address) {
                commit = commit.seen_with(address.clone(), customer.clone());
            }
        }
        for (home, entry) in &taken.entries {
            commit = commit.entry(home, entry.clone());
        }
        for (customer, state) in &taken.states {
            commit = commit.state(customer, state.clone());
        }
        for (customer, journey, run) in &taken.runs {
            commit = commit.run(customer, journey, run.clone());
        }
        for message in &taken.messages {
            commit = commit.message(message.clone());
        }
        self.store.commit(commit).await
    }

    fn measure(&self, taken: &Taken, incoming: &[Incoming]) {
        let now = self.env.clock.now();
        let cut = taken.entries.iter().filter(|(_, entry)| entry.led.cut).count();
        let counts = [
            ("EventsTaken", taken.entries.len()),
            ("EventsAbsorbed", taken.absorbed),
            ("EventsTooLate", taken.dropped),
            ("ChainsCut", cut),
        ];
        let metrics = counts.into_iter().filter(|(_, n)| *n > 0);
        let metrics = metrics.fold(Metrics::new(), |metrics, (name, n)| metrics.count(name, n));
        let acted_upon = incoming.iter().filter_map(|one| match one {
            Incoming::Due(wake) if !wake.is_pass() => {
                let receipt = wake.event_id();
                taken.entries.iter().any(|(_, entry)| entry.event.id == receipt).then_some(wake.at)
            }
            _ => None,
        });
        let metrics = acted_upon.fold(metrics, |metrics, at| metrics.millis("WakeLateness", now.since(at)));
        metrics.emit(&self.env, now);
    }
}

/// What the entries count, if they count anything.
fn counting(taken: &Taken, now: Timestamp) -> Option<Counting> {
    let (home, _) = taken.entries.first().filter(|_| !taken.tallies.is_empty())?;
    let received = taken.entries.iter().map(|(_, entry)| entry.event.received).min()?;
    Some(Counting { tallies: taken.tallies.clone(), home: home.clone(), at: now, received })
}

/// The entries that are put, by where they lie.
fn put(taken: &Taken) -> Vec<(CustomerId, EventId)> {
    taken.entries.iter().map(|(home, entry)| (home.clone(), entry.event.id.clone())).collect()
}

fn fail(group: &Group, why: &str, failed: &mut BTreeMap<usize, String>) {
    failed.extend(group.records.iter().map(|record| (*record, why.to_owned())));
}

/// Of people who turn out to be one all but the first wait for the next pass.
fn apart(groups: Vec<Group>, loaded: Vec<Loaded>) -> (Vec<(Group, Loaded)>, Vec<Group>) {
    let mut now: Vec<(Group, Loaded)> = Vec::new();
    let mut later = Vec::new();
    for (group, loaded) in groups.into_iter().zip(loaded) {
        if now.iter().any(|(_, other)| meet(other, &loaded)) {
            later.push(group);
        } else {
            now.push((group, loaded));
        }
    }
    (now, later)
}
