//! One pass over the events of a batch: load people together, decide each, claim, commit.

use crate::group::{Group, groups, meet};
use crate::{ATTEMPTS, Advancer};
use futures::stream::{self, StreamExt, TryStreamExt};
use sluice_domain::advance::{Loaded, Taken, advance};
use sluice_domain::customer::HashKeys;
use sluice_domain::event::Happened;
use sluice_domain::policy::PolicySet;
use sluice_host::metrics::Metrics;
use sluice_store::{Commit, StoreError, Written};
use std::collections::BTreeMap;

/// People decided at the same time, and entries of one person put at the same time.
const AT_ONCE: usize = 10;
/// Events of one person in one transaction, which holds 100 items: each is an entry, and what it changes is a few more.
const MOST: usize = 60;
/// How often a person is looked at again because somebody is being written down who may be the same.
const PATIENCE: u32 = 6;

impl Advancer {
    /// Takes all events, each by the place of the record it came in. Answers with the records that failed, and why.
    pub(crate) async fn take_all(&self, work: Vec<(usize, Happened)>) -> BTreeMap<usize, String> {
        let mut failed = BTreeMap::new();
        if work.is_empty() {
            return failed;
        }
        let all: Vec<usize> = work.iter().map(|(record, _)| *record).collect();
        let everything = |why: String| all.iter().map(|record| (*record, why.clone())).collect();
        let now = self.env.clock.now();
        let policies = match self.policies.current(now).await {
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
            let before = left.iter().map(|group| group.events.len()).sum::<usize>();
            let wanted: Vec<_> = left.iter().map(|group| group.wanted(MOST)).collect();
            let loaded = match self.store.load(&wanted).await {
                Ok(loaded) => loaded,
                Err(error) => {
                    for group in &left {
                        failed.extend(group.records.iter().map(|record| (*record, error.to_string())));
                    }
                    return failed;
                }
            };
            let (now_done, later) = apart(left, loaded);
            let passes = now_done.into_iter().map(|(group, loaded)| async {
                let taken = self.take(&group, loaded, &keys, &policies).await;
                (group, taken)
            });
            let results: Vec<(Group, Result<Written, StoreError>)> =
                stream::iter(passes.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
            left = later;
            for (mut group, result) in results {
                match result {
                    Ok(Written::Done) => drop(group.events.drain(..group.events.len().min(MOST))),
                    Ok(Written::Conflict) => group.looks += 1,
                    Err(error) => {
                        failed.extend(group.records.iter().map(|record| (*record, error.to_string())));
                        continue;
                    }
                }
                if !group.events.is_empty() {
                    left.push(group);
                }
            }
            let after = left.iter().map(|group| group.events.len()).sum::<usize>();
            if after < before {
                attempt = 0;
            } else {
                attempt += 1;
                if attempt >= ATTEMPTS {
                    for group in &left {
                        let why = "too much contention".to_owned();
                        failed.extend(group.records.iter().map(|record| (*record, why.clone())));
                    }
                    return failed;
                }
                self.pause(attempt).await;
            }
        }
        failed
    }

    /// Decides the first events of a person and stores what they make.
    async fn take(
        &self,
        group: &Group,
        loaded: Loaded,
        keys: &HashKeys,
        policies: &PolicySet,
    ) -> Result<Written, StoreError> {
        let events = &group.events[..group.events.len().min(MOST)];
        let taken = advance(events, loaded, keys, policies);
        if taken.unsettled && group.looks < PATIENCE {
            return Ok(Written::Conflict);
        }
        self.store.remove_entries(&taken.stray).await?;
        for (address, customer) in &taken.claims {
            if self.store.claim_address(address, customer).await? != *customer {
                return Ok(Written::Conflict);
            }
        }
        let written =
            if taken.is_idle() { self.put_entries(&taken).await? } else { self.commit(&taken).await? };
        if written == Written::Done {
            self.measure(&taken);
        }
        Ok(written)
    }

    /// Events that change nothing: each is one write.
    async fn put_entries(&self, taken: &Taken) -> Result<Written, StoreError> {
        let puts = taken.entries.iter().map(|(home, entry)| self.store.put_entry(home, entry));
        let written: Vec<Written> =
            stream::iter(puts.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
        let put: Vec<_> =
            taken.entries.iter().map(|(home, entry)| (home.clone(), entry.event.id.clone())).collect();
        if !put.is_empty() {
            self.store.keep_standing(&put).await?;
        }
        // What is there was put by another delivery: the same event.
        Ok(if written.contains(&Written::Conflict) { Written::Conflict } else { Written::Done })
    }

    async fn commit(&self, taken: &Taken) -> Result<Written, StoreError> {
        let mut commit = Commit::default();
        for customer in &taken.customers {
            commit = commit.customer(customer.clone());
        }
        for pointed in &taken.pointed {
            commit = commit.pointed(pointed.clone());
        }
        for (address, customer) in &taken.seen_with {
            commit = commit.seen_with(address.clone(), customer.clone());
        }
        for (home, entry) in &taken.entries {
            commit = commit.entry(home, entry.clone());
        }
        self.store.commit(commit).await
    }

    fn measure(&self, taken: &Taken) {
        let now = self.env.clock.now();
        let counts = [
            ("EventsTaken", taken.entries.len()),
            ("EventsAbsorbed", taken.absorbed),
            ("EventsTooLate", taken.dropped),
        ];
        let metrics = counts.into_iter().filter(|(_, n)| *n > 0);
        let metrics = metrics.fold(Metrics::new(), |metrics, (name, n)| metrics.count(name, n));
        metrics.emit(&self.env, now);
    }
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
