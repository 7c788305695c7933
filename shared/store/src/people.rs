//! Addresses and customers.

use crate::item::{Item, get_document, get_number, get_text, key, number, optional_text, text};
use crate::scan::page;
use crate::{Page, Store, StoreError, keys};
use sluice_domain::customer::{
    AddressHash, Claim, Customer, HashKeys, Identity, Known, KnownAddress, MAX_RECORDS, Pointer, Recognition,
};
use sluice_domain::erasure::Erasure;
use sluice_domain::id::CustomerId;
use sluice_domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// An address as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressItem {
    /// Whose it is.
    pub(crate) customer: Option<CustomerId>,
    /// Other customers that came with it.
    pub(crate) others: BTreeSet<CustomerId>,
    /// When a person whose it was was erased.
    pub(crate) erased: Option<Timestamp>,
    /// Of an anonymous id: who was known last, if that is not who has it.
    pub(crate) to: Option<Pointer>,
}

/// Records by id: those that are there, and when those were erased that are not any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    pub(crate) live: BTreeMap<CustomerId, Customer>,
    pub(crate) erased: BTreeMap<CustomerId, Timestamp>,
}

impl Store {
    /// What is known of addresses; unclaimed ones are not in the answer.
    pub async fn addresses(
        &self,
        hashes: &[AddressHash],
    ) -> Result<BTreeMap<AddressHash, KnownAddress>, StoreError> {
        let found = self.address_items(hashes).await?;
        Ok(found.into_iter().filter_map(|(hash, item)| Some((hash, item.claim()?))).collect())
    }

    /// Addresses as they are stored.
    pub(crate) async fn address_items(
        &self,
        hashes: &[AddressHash],
    ) -> Result<BTreeMap<AddressHash, AddressItem>, StoreError> {
        let distinct: BTreeSet<&AddressHash> = hashes.iter().collect();
        if distinct.is_empty() {
            return Ok(BTreeMap::new());
        }
        let wanted = distinct.into_iter().map(|hash| key(keys::address(hash), keys::ADDRESS)).collect();
        self.get_many(wanted).await?.iter().map(read_address).collect()
    }

    /// Claims an address for a customer, once and for ever. Answers whether it is theirs. An address whose person was erased is
    /// free again, and when that was stays with it: only who knows of the last time, `seen`, may claim it. Who loaded before may
    /// be about to do so for the one who was erased. One that was claimed in vain for `lost` is taken over.
    async fn claim_address(
        &self,
        hash: &AddressHash,
        customer: &CustomerId,
        seen: Option<Timestamp>,
        lost: Option<&CustomerId>,
    ) -> Result<bool, StoreError> {
        let mut item = key(keys::address(hash), keys::ADDRESS);
        item.insert("c".to_owned(), text(customer.as_str()));
        let Some(old) = self.put_once(item).await? else { return Ok(true) };
        let (_, held) = read_address(&old)?;
        match &held.customer {
            Some(holder) if holder == customer => Ok(true),
            Some(holder) if Some(holder) == lost => {
                self.take_address(hash, customer, Some(holder), None).await
            }
            Some(holder) => match self.records(&BTreeSet::from([holder.clone()])).await?.erased.get(holder) {
                Some(erased) if Some(*erased) <= seen => {
                    self.take_address(hash, customer, Some(holder), Some(*erased)).await
                }
                _ => Ok(false),
            },
            None if held.erased <= seen => self.take_address(hash, customer, None, held.erased).await,
            None => Ok(false),
        }
    }

    /// Claims an address that is there and that nobody holds any more: nobody at all, one who was erased, or one for whom it was
    /// claimed in vain.
    async fn take_address(
        &self,
        hash: &AddressHash,
        customer: &CustomerId,
        holder: Option<&CustomerId>,
        erased: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(keys::address(hash), keys::ADDRESS)))
            .expression_attribute_values(":c", text(customer.as_str()));
        if let Some(erased) = erased {
            update = update.expression_attribute_values(":x", number(erased.millis()));
        }
        let update = match (holder, erased) {
            (Some(holder), erased) => update
                .update_expression(if erased.is_some() { "SET c = :c, x = :x" } else { "SET c = :c" })
                .condition_expression("c = :holder OR c = :c")
                .expression_attribute_values(":holder", text(holder.as_str())),
            (None, Some(_)) => update
                .update_expression("SET c = :c")
                .condition_expression("(attribute_not_exists(c) AND x = :x) OR c = :c"),
            (None, None) => update
                .update_expression("SET c = :c")
                .condition_expression("(attribute_not_exists(c) AND attribute_not_exists(x)) OR c = :c"),
        };
        match update.send().await {
            Ok(_) => Ok(true),
            // A transaction is on it just then: whoever it is for, the person is to be recognised again.
            Err(error)
                if error.as_service_error().is_some_and(|error| {
                    error.is_conditional_check_failed_exception() || error.is_transaction_conflict_exception()
                }) =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Claims what a recognition says of what was `known`, best evidence first. Whether all is the customer's now; if not,
    /// somebody else was faster and the person is to be recognised again.
    pub async fn claim_all(&self, who: &Recognition, known: &Known) -> Result<bool, StoreError> {
        for (_, address) in &who.claims {
            let lost = who.lost.iter().find_map(|(hash, holder)| (hash == address).then_some(holder));
            if !self.claim_address(address, &who.home, known.erased_at(address), lost).await? {
                return Ok(false);
            }
        }
        for (address, holder) in &who.lost {
            if who.claims.iter().all(|(_, claimed)| claimed != address) {
                self.release(address, holder).await?;
            }
        }
        Ok(true)
    }

    /// Claims addresses, in order. Whether all are theirs now.
    pub async fn claim(&self, claims: &[Claim]) -> Result<bool, StoreError> {
        for Claim { address, customer, erased, lost } in claims {
            if !self.claim_address(address, customer, *erased, lost.as_ref()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets go of an address that was claimed in vain.
    pub async fn release(&self, address: &AddressHash, holder: &CustomerId) -> Result<(), StoreError> {
        let key = key(keys::address(address), keys::ADDRESS);
        self.update_if(key, "REMOVE c", "c = :c", [(":c", text(holder.as_str()))]).await
    }

    /// Customer records by id; what is not there is not in the answer.
    pub async fn customers(
        &self,
        ids: &BTreeSet<CustomerId>,
    ) -> Result<BTreeMap<CustomerId, Customer>, StoreError> {
        Ok(self.records(ids).await?.live)
    }

    pub(crate) async fn records(&self, ids: &BTreeSet<CustomerId>) -> Result<Records, StoreError> {
        let wanted = ids.iter().map(|id| key(keys::customer(id), keys::CUSTOMER)).collect();
        let mut records = Records::default();
        for item in &self.get_many(wanted).await? {
            match read_erasure(item)? {
                Some(erasure) => drop(records.erased.insert(erasure.id, erasure.at)),
                None => {
                    let customer = read_customer(item)?;
                    records.live.insert(customer.id.clone(), customer);
                }
            }
        }
        Ok(records)
    }
}

/// Rounds of following links between customers: a person is of so many records at most.
pub(crate) const ROUNDS: usize = MAX_RECORDS + 1;

impl Store {
    /// All that is known of several leads' identities: addresses in one read, then customers until every link is
    /// followed. One [`Known`] a lead, in order.
    pub async fn known(&self, leads: &[&[Identity]], keys: &HashKeys) -> Result<Vec<Known>, StoreError> {
        self.known_and_taken_in(leads, &[], keys).await
    }

    /// The same with the records that have taken leads in, in their order; none stands for leads that are behind the last.
    pub async fn known_and_taken_in(
        &self,
        leads: &[&[Identity]],
        taken_in: &[Option<CustomerId>],
        keys: &HashKeys,
    ) -> Result<Vec<Known>, StoreError> {
        let hashes: Vec<Vec<Vec<AddressHash>>> = leads
            .iter()
            .map(|identities| identities.iter().map(|identity| keys.hashes(identity)).collect())
            .collect();
        let found = self.address_items(&hashes.concat().concat()).await?;
        let mut known: Vec<Known> = hashes
            .iter()
            .enumerate()
            .map(|(n, of_lead)| {
                let addresses = of_lead.iter().filter_map(|candidates| {
                    // A claim keeps the hash it was made under: after a rotation it is still that address.
                    let claimed = candidates
                        .iter()
                        .find_map(|hash| Some((hash.clone(), Some(found.get(hash)?.claim()?))));
                    claimed.or_else(|| Some((candidates.first()?.clone(), None)))
                });
                let erased = |candidates: &Vec<AddressHash>| {
                    candidates.iter().filter_map(|hash| found.get(hash)?.erased).max()
                };
                Known {
                    addresses: addresses.collect(),
                    erased: of_lead.iter().map(erased).collect(),
                    customers: BTreeMap::new(),
                    taken_in: taken_in.get(n).cloned().flatten(),
                }
            })
            .collect();
        let mut loaded: BTreeSet<CustomerId> = BTreeSet::new();
        let mut erased: BTreeMap<CustomerId, Timestamp> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let wanted: BTreeSet<CustomerId> =
                known.iter().flat_map(|known| known.missing(&loaded)).collect();
            if wanted.is_empty() {
                for (known, of_lead) in known.iter_mut().zip(&hashes) {
                    let_go(known, of_lead, &erased);
                }
                return Ok(known);
            }
            let records = self.records(&wanted).await?;
            loaded.extend(wanted);
            erased.extend(records.erased);
            // Each lead gets all records of the batch: they are few, and the rounds stay together.
            for known in &mut known {
                known.customers.extend(records.live.clone());
            }
        }
        Err(StoreError::Corrupt("customers point at each other in a circle".to_owned()))
    }

    /// Customers with all records of each person: the live one and its halves, as they stood together at some moment.
    pub async fn people(&self, ids: BTreeSet<CustomerId>) -> Result<Known, StoreError> {
        self.completed(Known::default(), ids).await
    }

    /// Reads on until everybody is there whom these records name, and reads anew what was taken apart or joined meanwhile.
    async fn completed(
        &self,
        mut known: Known,
        mut wanted: BTreeSet<CustomerId>,
    ) -> Result<Known, StoreError> {
        let mut loaded: BTreeSet<CustomerId> = known.customers.keys().cloned().collect();
        // One more, to see that nothing is left.
        for _ in 0..=ROUNDS {
            if wanted.is_empty() {
                return Ok(known);
            }
            let found = self.customers(&wanted).await?;
            known.customers.retain(|id, _| !wanted.contains(id));
            known.customers.extend(found);
            loaded.extend(wanted);
            wanted = known.missing(&loaded);
            if wanted.is_empty() {
                wanted = known.torn();
            }
        }
        Err(StoreError::Corrupt("customers point at each other in a circle".to_owned()))
    }
}

impl Store {
    /// Customer records of one segment of `segments` of the table, from `cursor` on. Erased ones are left out.
    pub async fn scan_customers(
        &self,
        segment: i32,
        segments: i32,
        cursor: Option<&str>,
    ) -> Result<Page<Customer>, StoreError> {
        let scan = self.scan(CustomerId::PREFIX, keys::CUSTOMER, (segment, segments), cursor)?;
        let is_there = "sk = :sk AND begins_with(pk, :pk) AND attribute_not_exists(x)";
        page(scan.filter_expression(is_there), read_customer).await
    }

    /// The people whose live records these are, with the records that gave way to them; of others nothing.
    pub async fn people_of(&self, records: Vec<Customer>) -> Result<Known, StoreError> {
        let mut known = Known::default();
        let live = records.into_iter().filter(|record| record.into.is_none());
        known.customers = live.map(|record| (record.id.clone(), record)).collect();
        let listed: BTreeSet<CustomerId> = known.customers.keys().cloned().collect();
        let wanted = known.missing(&listed);
        let wanted = if wanted.is_empty() { known.torn() } else { wanted };
        let mut known = self.completed(known, wanted).await?;
        // Whoever was somebody else's half a moment ago, or is now, has a page of their own.
        let others: Vec<CustomerId> =
            known.customers.keys().filter(|id| !listed.contains(&known.root(id))).cloned().collect();
        for other in others {
            known.customers.remove(&other);
        }
        Ok(known)
    }
}

pub(crate) fn read_customer(item: &Item) -> Result<Customer, StoreError> {
    let mut customer: Customer = get_document(item, "d")?;
    customer.id = read_customer_id(get_text(item, "pk")?)?;
    customer.version = get_number(item, "v")?;
    Ok(customer)
}

/// Lets go of claims for people who were erased: the addresses are anybody's again, and when that was is known of them.
fn let_go(known: &mut Known, of_lead: &[Vec<AddressHash>], gone: &BTreeMap<CustomerId, Timestamp>) {
    let claims = known.addresses.iter_mut().zip(&mut known.erased).zip(of_lead);
    for (((hash, claim), erased), candidates) in claims {
        let holder = claim.as_ref().map(|claim| &claim.customer);
        let Some(at) = holder.and_then(|holder| gone.get(holder)).copied() else { continue };
        *erased = (*erased).max(Some(at));
        *claim = None;
        if let Some(first) = candidates.first() {
            hash.clone_from(first);
        }
    }
}

impl AddressItem {
    pub(crate) fn claim(&self) -> Option<KnownAddress> {
        Some(KnownAddress { customer: self.customer.clone()?, others: self.others.clone() })
    }
}

fn read_address(item: &Item) -> Result<(AddressHash, AddressItem), StoreError> {
    let hash = keys::parse_address(get_text(item, "pk")?)
        .ok_or_else(|| StoreError::Corrupt("not an address".to_owned()))?;
    let others = item.get("w").and_then(|value| value.as_ss().ok());
    let others = others.into_iter().flatten().map(|id| read_customer_id(id)).collect::<Result<_, _>>()?;
    let customer = optional_text(item, "c").map(read_customer_id).transpose()?;
    let erased = item.contains_key("x").then(|| get_number(item, "x").map(Timestamp)).transpose()?;
    let to = match optional_text(item, "t").map(read_customer_id).transpose()? {
        Some(customer) => Some(Pointer { customer, at: Timestamp(get_number(item, "ta")?) }),
        None => None,
    };
    Ok((hash, AddressItem { customer, others, erased, to }))
}

/// What stands in place of a record whose person was erased.
pub(crate) fn read_erasure(item: &Item) -> Result<Option<Erasure>, StoreError> {
    if !item.contains_key("x") {
        return Ok(None);
    }
    let mut erasure: Erasure = get_document(item, "x")?;
    erasure.id = read_customer_id(get_text(item, "pk")?)?;
    erasure.version = get_number(item, "v")?;
    Ok(Some(erasure))
}

fn read_customer_id(text: &str) -> Result<CustomerId, StoreError> {
    CustomerId::parse(text).ok_or_else(|| StoreError::Corrupt("not a customer id".to_owned()))
}
