//! Addresses and customers.

use crate::item::{Item, get_document, get_number, get_text, key, optional_text, text};
use crate::{Store, StoreError, keys};
use sluice_domain::customer::{
    AddressHash, Customer, HashKeys, Identity, Known, KnownAddress, MAX_RECORDS, Recognition,
};
use sluice_domain::id::CustomerId;
use std::collections::{BTreeMap, BTreeSet};

impl Store {
    /// What is known of addresses; unclaimed ones are not in the answer.
    pub async fn addresses(
        &self,
        hashes: &[AddressHash],
    ) -> Result<BTreeMap<AddressHash, KnownAddress>, StoreError> {
        let distinct: BTreeSet<&AddressHash> = hashes.iter().collect();
        let wanted = distinct.into_iter().map(|hash| key(keys::address(hash), keys::ADDRESS)).collect();
        self.get_many(wanted).await?.iter().map(read_address).collect()
    }

    /// Claims an address for a customer, once and for ever. Answers whose it is: ours, or whoever was first.
    pub async fn claim_address(
        &self,
        hash: &AddressHash,
        customer: &CustomerId,
    ) -> Result<CustomerId, StoreError> {
        let mut item = key(keys::address(hash), keys::ADDRESS);
        item.insert("c".to_owned(), text(customer.as_str()));
        match self.put_once(item).await? {
            None => Ok(customer.clone()),
            Some(old) => read_customer_id(get_text(&old, "c")?),
        }
    }

    /// Claims what a recognition says, best evidence first. Whether all is the customer's now; if not, somebody else was
    /// faster and the person is to be recognised again.
    pub async fn claim_all(&self, who: &Recognition) -> Result<bool, StoreError> {
        for (_, address) in &who.claims {
            if self.claim_address(address, &who.claimant).await? != who.claimant {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Customer records by id; what is not there is not in the answer.
    pub async fn customers(
        &self,
        ids: &BTreeSet<CustomerId>,
    ) -> Result<BTreeMap<CustomerId, Customer>, StoreError> {
        let wanted = ids.iter().map(|id| key(keys::customer(id), keys::CUSTOMER)).collect();
        let items = self.get_many(wanted).await?;
        items.iter().map(|item| read_customer(item).map(|customer| (customer.id.clone(), customer))).collect()
    }
}

/// Rounds of following links between customers: a person is of so many records at most.
const ROUNDS: usize = MAX_RECORDS + 1;

impl Store {
    /// All that is known of several leads' identities: addresses in one read, then customers until every link is
    /// followed. One [`Known`] a lead, in order.
    pub async fn known(&self, leads: &[&[Identity]], keys: &HashKeys) -> Result<Vec<Known>, StoreError> {
        let hashes: Vec<Vec<Vec<AddressHash>>> = leads
            .iter()
            .map(|identities| identities.iter().map(|identity| keys.hashes(identity)).collect())
            .collect();
        let all: Vec<AddressHash> = hashes.concat().concat();
        let found = if all.is_empty() { BTreeMap::new() } else { self.addresses(&all).await? };
        let mut known: Vec<Known> = hashes
            .into_iter()
            .map(|of_lead| {
                let addresses = of_lead.into_iter().filter_map(|candidates| {
                    // A claim keeps the hash it was made under: after a rotation it is still that address.
                    let claimed = candidates
                        .iter()
                        .find_map(|hash| Some((hash.clone(), Some(found.get(hash)?.clone()))));
                    claimed.or_else(|| Some((candidates.into_iter().next()?, None)))
                });
                Known { addresses: addresses.collect(), customers: BTreeMap::new() }
            })
            .collect();
        let mut loaded: BTreeSet<CustomerId> = BTreeSet::new();
        for _ in 0..ROUNDS {
            let wanted: BTreeSet<CustomerId> =
                known.iter().flat_map(|known| known.missing(&loaded)).collect();
            if wanted.is_empty() {
                return Ok(known);
            }
            let customers = self.customers(&wanted).await?;
            loaded.extend(wanted);
            // Each lead gets all records of the batch: they are few, and the rounds stay together.
            for known in &mut known {
                known.customers.extend(customers.clone());
            }
        }
        Err(StoreError::Corrupt("customers point at each other in a circle".to_owned()))
    }

    /// Customers with all records of each person: the live one and its halves.
    pub async fn people(&self, ids: BTreeSet<CustomerId>) -> Result<Known, StoreError> {
        let mut known = Known::default();
        let mut wanted = ids;
        if wanted.is_empty() {
            return Ok(known);
        }
        let mut loaded = BTreeSet::new();
        for _ in 0..ROUNDS {
            known.customers.extend(self.customers(&wanted).await?);
            loaded.extend(wanted);
            wanted = known.missing(&loaded);
            if wanted.is_empty() {
                return Ok(known);
            }
        }
        Err(StoreError::Corrupt("customers point at each other in a circle".to_owned()))
    }
}

pub(crate) fn read_customer(item: &Item) -> Result<Customer, StoreError> {
    let mut customer: Customer = get_document(item, "d")?;
    customer.id = read_customer_id(get_text(item, "pk")?)?;
    customer.version = get_number(item, "v")?;
    Ok(customer)
}

fn read_address(item: &Item) -> Result<(AddressHash, KnownAddress), StoreError> {
    let hash = keys::parse_address(get_text(item, "pk")?)
        .ok_or_else(|| StoreError::Corrupt("not an address".to_owned()))?;
    let others = item.get("w").and_then(|value| value.as_ss().ok());
    let others = others.into_iter().flatten().map(|id| read_customer_id(id)).collect::<Result<_, _>>()?;
    let customer =
        optional_text(item, "c").ok_or_else(|| StoreError::Corrupt("an unclaimed address".to_owned()))?;
    Ok((hash, KnownAddress { customer: read_customer_id(customer)?, others }))
}

fn read_customer_id(text: &str) -> Result<CustomerId, StoreError> {
    CustomerId::parse(text).ok_or_else(|| StoreError::Corrupt("not a customer id".to_owned()))
}
