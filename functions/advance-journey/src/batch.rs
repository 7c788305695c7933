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
use sluice_store::{Commit, Counting, StoreError, Writes, Written};
use std::collections::{BTreeMap, BTreeSet};

/// People decided at the same time, and entries of one person put at the same time.
const AT_ONCE: usize = 10;
/// Why one event cannot be taken, by whatever comes with it.
const TOO_MUCH: &str = "one event changes more than a transaction holds";
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
    /// It came to more writes than a transaction holds.
    TooMuch,
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
        let mut policies = match self.policies.current(self.env.clock.now()).await {
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
            let (now_done, later) = apart(self.load(left, &policies, &mut failed).await);
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
                        group.through(group.most());
                    }
                    Ok(Went::TooMuch) if group.most() > 1 => {
                        is_nearer = true;
                        group.halved += 1;
                    }
                    // Nothing makes it less: a person has to look. The others go on without it.
                    Ok(Went::TooMuch) => {
                        is_nearer = true;
                        failed.extend(group.of.first().map(|record| (*record, TOO_MUCH.to_owned())));
                        group.through(1);
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
            if left.is_empty() {
                break;
            }
            // However long others keep it waiting, nothing is decided by policies that were read long ago.
            match self.policies.current(self.env.clock.now()).await {
                Ok(newest) if newest.version != policies.version => {
                    policies = newest;
                    let work = left.into_iter().flat_map(Group::into_work).collect();
                    left = groups(work, &keys, &policies);
                }
                Ok(_) => {}
                Err(why) => {
                    left.iter().for_each(|group| fail(group, &why.to_string(), &mut failed));
                    break;
                }
            }
        }
        failed
    }

    /// Reads all of them together; if that is not possible each by itself, so that one that cannot be read fails alone.
    async fn load(
        &self,
        groups: Vec<Group>,
        policies: &PolicySet,
        failed: &mut BTreeMap<usize, String>,
    ) -> Vec<(Group, Loaded)> {
        let now = self.env.clock.now();
        let wanted: Vec<_> = groups.iter().map(|group| group.wanted(policies)).collect();
        let why = match self.store.load(&wanted, &policies.live, now).await {
            Ok(loaded) => return groups.into_iter().zip(loaded).collect(),
            Err(why) => why.to_string(),
        };
        let mut all = Vec::new();
        let is_alone = groups.len() == 1;
        for (group, wanted) in groups.into_iter().zip(wanted) {
            let loaded = match is_alone {
                true => Err(why.clone()),
                false => {
                    let alone = self.store.load(std::slice::from_ref(&wanted), &policies.live, now).await;
                    alone.map_err(|error| error.to_string())
                }
            };
            match loaded {
                Ok(loaded) => all.extend(loaded.into_iter().next().map(|loaded| (group, loaded))),
                Err(why) => fail(&group, &why, failed),
            }
        }
        all
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
        let incoming = &group.incoming[..group.most()];
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
        if taken.unsettled && group.looks < PATIENCE {
            return Ok(Went::Nowhere);
        }
        let writes = if taken.is_idle() { None } else { Some(self.writes(&taken, now).map_err(text)?) };
        let are_too_many = writes.as_ref().map_or(taken.items() > Writes::MOST, Writes::are_too_many);
        if are_too_many {
            return Ok(Went::TooMuch);
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
        let written = match writes {
            None => self.put_entries(&taken, now).await,
            Some(writes) => self.store.write(writes).await,
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

    fn writes(&self, taken: &Taken, now: Timestamp) -> Result<Writes, StoreError> {
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
        self.store.writes(commit)
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
fn apart(groups: Vec<(Group, Loaded)>) -> (Vec<(Group, Loaded)>, Vec<Group>) {
    let mut now: Vec<(Group, Loaded)> = Vec::new();
    let mut later = Vec::new();
    for (group, loaded) in groups {
        if now.iter().any(|(_, other)| meet(other, &loaded)) {
            later.push(group);
        } else {
            now.push((group, loaded));
        }
    }
    (now, later)
}
