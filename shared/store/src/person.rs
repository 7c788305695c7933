//! Everything that events need of their people, in as few reads as possible: their addresses, then records and entries.

use crate::entry::read_entry;
use crate::item::{Item, get_text, key};
use crate::people::{ROUNDS, read_customer, read_erasure};
use crate::state::{read_run, read_state};
use crate::{Store, StoreError, keys};
use sluice_domain::advance::Loaded;
use sluice_domain::customer::{AddressHash, Tie};
use sluice_domain::id::{CustomerId, EventId};
use sluice_domain::live::{Live, LivePolicy};
use sluice_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is read for events that may be one person's.
#[derive(Clone, Debug, Default)]
pub struct WantedPerson {
    /// Their ids, each with its hashes, that of now first.
    pub addresses: Vec<Vec<AddressHash>>,
    /// Records that they name.
    pub customers: BTreeSet<CustomerId>,
    /// Events to find the entries of.
    pub events: BTreeSet<EventId>,
    /// Journeys whose runs are wanted of every record.
    pub journeys: BTreeSet<String>,
    /// Runs that are wanted besides.
    pub runs: BTreeSet<(CustomerId, String)>,
    /// Records all of whose events are to be counted.
    pub history: BTreeSet<CustomerId>,
}

impl Store {
    /// Reads several people together; one answer each, in order.
    ///
    /// What is to be counted anew is counted by this policy, at `now`.
    pub async fn load(
        &self,
        wanted: &[WantedPerson],
        policy: &LivePolicy,
        now: Timestamp,
    ) -> Result<Vec<Loaded>, StoreError> {
        let hashes: Vec<AddressHash> =
            wanted.iter().flat_map(|one| one.addresses.iter().flatten().cloned()).collect();
        let items = self.address_items(&hashes).await?;
        let mut all: Vec<(Loaded, BTreeSet<CustomerId>)> = Vec::new();
        for one in wanted {
            let mut loaded = Loaded { asked: one.events.clone(), ..Loaded::default() };
            let mut open = one.customers.clone();
            for candidates in &one.addresses {
                let Some(first) = candidates.first() else { continue };
                // A claim keeps the hash it was made under: after a rotation it is still that address.
                let found = candidates.iter().find_map(|hash| {
                    let item = items.get(hash)?;
                    (item.claim().is_some() || item.to.is_some()).then_some((hash, item))
                });
                let erased = candidates.iter().filter_map(|hash| items.get(hash)?.erased).max();
                let (hash, claim, to) = match found {
                    Some((hash, item)) => (hash, item.claim(), item.to.clone()),
                    None => (first, None, None),
                };
                let named = claim.iter().map(|claim| &claim.customer).chain(to.iter().map(|to| &to.customer));
                open.extend(named.cloned());
                // Who else came with an anonymous id may have its earlier events.
                if to.is_some() {
                    open.extend(claim.iter().flat_map(|claim| claim.others.iter().cloned()));
                }
                loaded.ties.insert(first.clone(), Tie { hash: hash.clone(), claim, to, erased });
            }
            all.push((loaded, open));
        }
        let mut read: Vec<BTreeSet<CustomerId>> = vec![BTreeSet::new(); wanted.len()];
        let mut runs: Vec<BTreeSet<(CustomerId, String)>> =
            wanted.iter().map(|one| one.runs.clone()).collect();
        for _ in 0..ROUNDS {
            let mut asked: BTreeSet<(String, String)> = BTreeSet::new();
            for (((_, open), one), runs) in all.iter().zip(wanted).zip(&mut runs) {
                for id in open {
                    asked.insert((id.to_string(), keys::CUSTOMER.to_owned()));
                    asked.insert((id.to_string(), keys::STATE.to_owned()));
                    asked.extend(one.events.iter().map(|event| (id.to_string(), keys::entry(event))));
                    runs.extend(one.journeys.iter().map(|journey| (id.clone(), journey.clone())));
                }
                asked.extend(runs.iter().map(|(id, journey)| (id.to_string(), keys::run(journey))));
            }
            if asked.is_empty() {
                let mut loaded: Vec<Loaded> = all.into_iter().map(|(loaded, _)| loaded).collect();
                for (loaded, one) in loaded.iter_mut().zip(wanted) {
                    let_go(loaded);
                    for id in &one.history {
                        loaded.history.insert(id.clone(), self.counted_anew(id, policy, now).await?);
                    }
                }
                return Ok(loaded);
            }
            let asked = asked.into_iter().map(|(pk, sk)| key(pk, sk)).collect();
            let mut found: BTreeMap<String, Vec<Item>> = BTreeMap::new();
            for item in self.get_many(asked).await? {
                found.entry(get_text(&item, "pk")?.to_owned()).or_default().push(item);
            }
            for (((loaded, open), read), runs) in all.iter_mut().zip(&mut read).zip(&mut runs) {
                for (id, journey) in std::mem::take(runs) {
                    let sk = keys::run(&journey);
                    let items = found.get(id.as_str()).into_iter().flatten();
                    let item = items.into_iter().find(|item| get_text(item, "sk").is_ok_and(|it| it == sk));
                    let run = item.map(read_run).transpose()?;
                    loaded.runs.insert((id, journey), run);
                }
                for id in std::mem::take(open) {
                    for item in found.get(id.as_str()).into_iter().flatten() {
                        take(loaded, item)?;
                    }
                    read.insert(id);
                }
                let linked = loaded.customers.values().flat_map(|one| one.into.iter().chain(&one.halves));
                open.extend(linked.filter(|id| !read.contains(*id)).cloned());
                let in_them = loaded.states.iter().flat_map(|(id, state)| {
                    state.runs.iter().map(move |journey| (id.clone(), journey.clone()))
                });
                runs.extend(in_them.filter(|key| !loaded.runs.contains_key(key)));
            }
        }
        Err(StoreError::Corrupt("customers point at each other in a circle".to_owned()))
    }
}

impl Store {
    /// What all events of a record come to, those of our own that others led to among them. However many they are, a page
    /// of them is held at a time.
    async fn counted_anew(
        &self,
        id: &CustomerId,
        policy: &LivePolicy,
        now: Timestamp,
    ) -> Result<Live, StoreError> {
        let mut counted = Live::default();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.entries(id, cursor.as_deref()).await?;
            for event in page.items.iter().flat_map(|entry| entry.events()) {
                counted.apply(&event, policy, now);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(counted);
            }
        }
    }
}

fn take(loaded: &mut Loaded, item: &Item) -> Result<(), StoreError> {
    let sk = get_text(item, "sk")?;
    if let Some(event) = keys::parse_entry(sk) {
        let home = CustomerId::parse(get_text(item, "pk")?);
        let home = home.ok_or_else(|| StoreError::Corrupt("not a customer id".to_owned()))?;
        loaded.entries.insert(event, (home, read_entry(item)?));
    } else if sk == keys::STATE {
        let id = CustomerId::parse(get_text(item, "pk")?);
        let id = id.ok_or_else(|| StoreError::Corrupt("not a customer id".to_owned()))?;
        loaded.states.insert(id, read_state(item)?);
    } else if sk == keys::CUSTOMER {
        match read_erasure(item)? {
            Some(erasure) => drop(loaded.erased.insert(erasure.id, erasure.at)),
            None => {
                let customer = read_customer(item)?;
                loaded.customers.insert(customer.id.clone(), customer);
            }
        }
    }
    Ok(())
}

/// Lets go of claims for people who were erased: the ids are anybody's again, and when that was is known of them.
fn let_go(loaded: &mut Loaded) {
    for (first, tie) in &mut loaded.ties {
        let gone = |id: &CustomerId| Some((id.clone(), *loaded.erased.get(id)?));
        let holder = tie.claim.as_ref().and_then(|claim| gone(&claim.customer));
        let pointed = tie.to.as_ref().and_then(|to| gone(&to.customer));
        for (customer, at) in holder.iter().chain(&pointed) {
            tie.erased = tie.erased.max(Some(*at));
            loaded.freed.insert((tie.hash.clone(), customer.clone()), *at);
        }
        if holder.is_some() {
            tie.claim = None;
            tie.hash.clone_from(first);
        }
        if holder.is_some() || pointed.is_some() {
            tie.to = None;
        }
    }
}
