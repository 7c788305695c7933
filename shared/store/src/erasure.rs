//! Erasing: what takes the place of records, and forgetting what lies beside them. Everything here may be done again.

use crate::commit::{unbuilt, versioned_put};
use crate::item::{CONFLICTS, Item, document, get_text, key, number, optional_text, text};
use crate::lead::progress_values;
use crate::people::read_erasure;
use crate::proof::proof_item;
use crate::{Commit, DueEntry, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, TransactWriteItem, Update};
use sluice_domain::customer::AddressHash;
use sluice_domain::erasure::{Address, Erasure, remains};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::{Lead, LeadState};
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{EraseMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// How often a gate is read again because somebody changed it.
const ATTEMPTS: u32 = 12;
/// If nothing else drives an erasure on, a due entry does after this many milliseconds.
const DRIVEN_AGAIN_MS: i64 = 60_000;
/// Items of one page that is deleted.
const PAGE: i32 = 100;

/// What has to be there, and not erased, for something to be put beside it.
#[derive(Clone, Debug)]
pub(crate) enum StandingItem {
    Lead(LeadId),
    Customer(CustomerId),
}

impl Commit {
    /// A lead that has to be in the ledger and not erased.
    pub fn standing_lead(mut self, id: &LeadId) -> Self {
        self.standing.push(StandingItem::Lead(id.clone()));
        self
    }

    /// A customer whose record has to be there and not erased.
    pub fn standing_customer(mut self, id: &CustomerId) -> Self {
        self.standing.push(StandingItem::Customer(id.clone()));
        self
    }

    /// The customer's record has to be there, in whatever state, and is one version further: whoever erases the person by what
    /// they read before this looks again, and goes by a later time than what is committed here.
    pub fn touched_customer(mut self, id: &CustomerId) -> Self {
        self.touched.push(id.clone());
        self
    }

    /// A lead as read that is erased: what stays says where and when it was accepted.
    pub fn erased_lead(mut self, read: &Lead) -> Self {
        self.erased_leads.push(read.clone());
        self
    }

    /// What stands in place of a customer's record from now on; its version is the one read, of the record or of what stood there.
    pub fn erasure(mut self, erasure: Erasure) -> Self {
        self.erasures.push(erasure);
        self
    }

    /// The owner of a company as read, which goes.
    pub fn gone_company(mut self, domain: &str, version: u64) -> Self {
        self.gone_companies.push((domain.to_owned(), version));
        self
    }

    /// Something to wake later, whatever becomes of the caller.
    pub fn due(mut self, entry: DueEntry) -> Self {
        self.due.push(entry);
        self
    }
}

impl Store {
    /// The writes of a commit that have to do with erasing.
    pub(crate) fn erasures(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut items = Vec::new();
        for standing in &commit.standing {
            let check = ConditionCheck::builder().table_name(&self.table);
            let check = match standing {
                StandingItem::Lead(id) => check
                    .set_key(Some(key(id.as_str(), keys::LEAD)))
                    .condition_expression("attribute_exists(pk) AND st <> :erased")
                    .expression_attribute_values(":erased", text(LeadState::Erased.name())),
                StandingItem::Customer(id) => check
                    .set_key(Some(key(keys::customer(id), keys::CUSTOMER)))
                    .condition_expression("attribute_exists(pk) AND attribute_not_exists(x)"),
            };
            let check = check.build().map_err(unbuilt)?;
            items.push(TransactWriteItem::builder().condition_check(check).build());
        }
        for id in &commit.touched {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(keys::customer(id), keys::CUSTOMER)))
                .update_expression("SET v = v + :one")
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(x)")
                .expression_attribute_values(":one", number(1));
            items.push(TransactWriteItem::builder().update(update.build().map_err(unbuilt)?).build());
        }
        for lead in &commit.erased_leads {
            let (state, progress) = progress_values(&remains(&lead.progress))?;
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(lead.id.as_str(), keys::LEAD)))
                .update_expression("SET v = :n, st = :st, d = :d REMOVE e, f, x, n, ix, ia")
                .condition_expression("v = :v")
                .expression_attribute_values(":v", number(lead.version))
                .expression_attribute_values(":n", number(lead.version + 1))
                .expression_attribute_values(":st", state)
                .expression_attribute_values(":d", progress);
            items.push(TransactWriteItem::builder().update(update.build().map_err(unbuilt)?).build());
        }
        for erasure in &commit.erasures {
            let put = versioned_put(&self.table, erasure_item(erasure)?, erasure.version)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        for (domain, version) in &commit.gone_companies {
            let delete = Delete::builder()
                .table_name(&self.table)
                .set_key(Some(key(keys::company(domain), keys::COMPANY)))
                .condition_expression("v = :v")
                .expression_attribute_values(":v", number(*version));
            items.push(TransactWriteItem::builder().delete(delete.build().map_err(unbuilt)?).build());
        }
        for entry in &commit.due {
            // The rest of the commit is its condition: the same entry again says the same.
            let put = aws_sdk_dynamodb::types::Put::builder().table_name(&self.table);
            let put = put.set_item(Some(entry.item()?)).build().map_err(unbuilt)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        Ok(items)
    }

    /// What stands in place of a customer's record, if its person was erased.
    pub async fn erasure(&self, id: &CustomerId) -> Result<Option<Erasure>, StoreError> {
        let item = self.get(keys::customer(id), keys::CUSTOMER).await?;
        item.as_ref().map(read_erasure).transpose().map(Option::flatten)
    }

    /// Those of these customers whose person was erased.
    pub async fn erased_of(&self, ids: &BTreeSet<CustomerId>) -> Result<BTreeSet<CustomerId>, StoreError> {
        Ok(self.records(ids).await?.erased.into_keys().collect())
    }

    /// Begins to erase a person. The erasures take the place of the records, that of the whole person first, and a due entry
    /// drives them on whatever becomes of the caller: nobody loses their wishes who is not erased. Then the gates are closed,
    /// so that once this is done nothing is sent to them any more. A conflict means that a record was changed since it was
    /// read, and that nothing was done.
    pub async fn begin_erasure(
        &self,
        mut erasures: Vec<Erasure>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let Some(whole) = erasures.first_mut() else { return Ok(Written::Done) };
        whole.gates = self.not_of_others(&whole.addresses, &whole.holders()).await?;
        whole.gates.retain(Address::is_reachable);
        let (gates, at) = (whole.gates.clone(), whole.at);
        let begun = Commit::default().due(driven_again(whole, now));
        let written = self.commit(erasures.into_iter().fold(begun, Commit::erasure)).await?;
        if written == Written::Done {
            self.close_gates(&gates, at).await?;
        }
        Ok(written)
    }

    /// Stores how far an erasure is, if nobody changed it since it was read.
    pub async fn update_erasure(&self, erasure: &Erasure) -> Result<Written, StoreError> {
        self.replace(erasure_item(erasure)?, erasure.version).await
    }

    /// Those of the addresses that are nobody else's: a person who lives has them, or is coming with them.
    pub async fn not_of_others(
        &self,
        addresses: &[Address],
        holders: &BTreeSet<CustomerId>,
    ) -> Result<Vec<Address>, StoreError> {
        let hashes: Vec<AddressHash> = addresses.iter().flat_map(|one| one.hashes.clone()).collect();
        let items = self.address_items(&hashes).await?;
        let strangers: BTreeSet<CustomerId> = items
            .values()
            .filter_map(|item| item.customer.clone())
            .filter(|customer| !holders.contains(customer))
            .collect();
        let erased =
            if strangers.is_empty() { BTreeMap::new() } else { self.records(&strangers).await?.erased };
        let is_theirs = |hash: &AddressHash| {
            let holder = items.get(hash).and_then(|item| item.customer.as_ref());
            holder.is_some_and(|holder| !holders.contains(holder) && !erased.contains_key(holder))
        };
        Ok(addresses.iter().filter(|one| !one.hashes.iter().any(is_theirs)).cloned().collect())
    }

    /// Closes the gates of addresses on every channel: from here on no message to them can be claimed.
    pub async fn close_gates(&self, addresses: &[Address], at: Timestamp) -> Result<(), StoreError> {
        let reachable = addresses.iter().filter(|address| address.is_reachable());
        let wanted: Vec<(Channel, Vec<AddressHash>)> = reachable
            .flat_map(|address| Channel::ALL.map(|channel| (channel, address.hashes.clone())))
            .collect();
        let read = self.gates(&wanted).await?;
        for (wanted, read) in wanted.iter().zip(read) {
            let mut read = Some(read);
            for _ in 0..ATTEMPTS {
                let now = match read.take() {
                    Some(read) => read,
                    None => match self.gates(std::slice::from_ref(wanted)).await?.into_iter().next() {
                        Some(read) => read,
                        None => break,
                    },
                };
                let mut gate = now.gate.clone();
                gate.erase(at);
                if gate == now.gate || self.update_gate(&now, &gate).await? == Written::Done {
                    read = Some(now);
                    break;
                }
            }
            if read.is_none() {
                return Err(StoreError::Unavailable("too much contention on a gate".to_owned()));
            }
        }
        Ok(())
    }

    /// Forgets addresses of a person: closes their gates, takes what is personal out of what was said about them, and lets go of
    /// them, those too that nobody has claimed yet: whoever is about to is too late. Of one that is somebody else's only the
    /// link to this person goes.
    pub async fn forget_addresses(
        &self,
        addresses: &[Address],
        holders: &BTreeSet<CustomerId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            if self.forget_once(addresses, holders, at).await? {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable("too much contention on an address".to_owned()))
    }

    /// Of those that are nobody else's, which it answers with: closes their gates and takes what is personal out of what was
    /// said about them until `at`.
    pub async fn forget_said(
        &self,
        addresses: &[Address],
        holders: &BTreeSet<CustomerId>,
        at: Timestamp,
    ) -> Result<Vec<Address>, StoreError> {
        let own = self.not_of_others(addresses, holders).await?;
        self.close_gates(&own, at).await?;
        for hash in own.iter().filter(|address| address.is_reachable()).flat_map(|address| &address.hashes) {
            for channel in Channel::ALL {
                self.strip_proofs(channel, hash, at).await?;
            }
        }
        Ok(own)
    }

    /// The same, unless an address was claimed meanwhile.
    async fn forget_once(
        &self,
        addresses: &[Address],
        holders: &BTreeSet<CustomerId>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let own = self.forget_said(addresses, holders, at).await?;
        let is_own = |hash: &AddressHash| own.iter().any(|address| address.hashes.contains(hash));
        let hashes: Vec<AddressHash> = addresses.iter().flat_map(|one| one.hashes.clone()).collect();
        let items = self.address_items(&hashes).await?;
        for (hash, item) in &items {
            let ours: Vec<String> =
                item.others.iter().filter(|id| holders.contains(*id)).map(ToString::to_string).collect();
            match &item.customer {
                Some(holder) if is_own(hash) => self.let_go(hash, holder, at).await?,
                _ => {}
            }
            if let Some(to) = item.to.as_ref().filter(|to| holders.contains(&to.customer)) {
                self.point_nowhere(hash, &to.customer, at).await?;
            }
            if !ours.is_empty() {
                self.update_if(
                    key(keys::address(hash), keys::ADDRESS),
                    "DELETE w :w",
                    "attribute_exists(pk)",
                    [(":w", AttributeValue::Ss(ours))],
                )
                .await?;
            }
        }
        for address in &own {
            let there: Vec<_> =
                address.hashes.iter().filter_map(|hash| Some((hash, items.get(hash)?))).collect();
            let is_settled = there.iter().any(|(_, item)| item.customer.is_some() || item.erased.is_some());
            // Somebody let go of it.
            if let Some((hash, _)) = there.first().filter(|_| !is_settled)
                && !self.note_erased(hash, at).await?
            {
                return Ok(false);
            }
        }
        let unclaimed = own.iter().filter(|one| !one.hashes.iter().any(|hash| items.contains_key(hash)));
        for hash in unclaimed.filter_map(|address| address.hashes.first()) {
            let mut item = key(keys::address(hash), keys::ADDRESS);
            item.insert("x".to_owned(), number(at.millis()));
            if self.put_once(item).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Of an address that nobody holds: what was accepted until `at` finds that out. Whether it was nobody's still.
    async fn note_erased(&self, hash: &AddressHash, at: Timestamp) -> Result<bool, StoreError> {
        let key = key(keys::address(hash), keys::ADDRESS);
        let is_nobodys = "attribute_not_exists(c) AND attribute_not_exists(x)";
        self.updated_if(key, "SET x = :x", is_nobodys, [(":x", number(at.millis()))]).await
    }

    /// Nobody holds the address any more; what was accepted until `at` finds that out.
    async fn let_go(&self, hash: &AddressHash, holder: &CustomerId, at: Timestamp) -> Result<(), StoreError> {
        let values = [(":c", text(holder.as_str())), (":x", number(at.millis()))];
        let key = key(keys::address(hash), keys::ADDRESS);
        self.update_if(key, "SET x = :x REMOVE c, t, ta", "c = :c", values).await
    }

    /// An anonymous id of somebody else no longer points on to this person; what happened until `at` finds that out.
    async fn point_nowhere(
        &self,
        hash: &AddressHash,
        to: &CustomerId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let values = [(":t", text(to.as_str())), (":x", number(at.millis()))];
        let key = key(keys::address(hash), keys::ADDRESS);
        self.update_if(key, "SET x = :x REMOVE t, ta", "t = :t", values).await
    }

    /// An address no longer names somebody who was erased: it was claimed for them at that very moment.
    pub async fn free_address(
        &self,
        hash: &AddressHash,
        erased: &CustomerId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.let_go(hash, erased, at).await?;
        self.point_nowhere(hash, erased, at).await?;
        let ours = [(":w", AttributeValue::Ss(vec![erased.to_string()]))];
        let key = key(keys::address(hash), keys::ADDRESS);
        self.update_if(key, "DELETE w :w", "attribute_exists(pk)", ours).await
    }

    /// Changes an item if a condition holds. If it does not, there is nothing to change.
    pub(crate) async fn update_if<const N: usize>(
        &self,
        key: Item,
        change: &str,
        condition: &str,
        values: [(&str, AttributeValue); N],
    ) -> Result<(), StoreError> {
        let _: bool = self.updated_if(key, change, condition, values).await?;
        Ok(())
    }

    /// The same. Whether it held.
    async fn updated_if<const N: usize>(
        &self,
        key: Item,
        change: &str,
        condition: &str,
        values: [(&str, AttributeValue); N],
    ) -> Result<bool, StoreError> {
        let mut conflicts = 0;
        loop {
            let mut update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key.clone()))
                .update_expression(change)
                .condition_expression(condition);
            for (name, value) in &values {
                update = update.expression_attribute_values(*name, value.clone());
            }
            let Err(error) = update.send().await else { return Ok(true) };
            match error.as_service_error() {
                Some(failed) if failed.is_conditional_check_failed_exception() => return Ok(false),
                // A transaction holds the item at this moment.
                Some(busy) if busy.is_transaction_conflict_exception() && conflicts < CONFLICTS => {
                    conflicts += 1
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// Takes what is personal out of what was said until `at`.
    async fn strip_proofs(
        &self,
        channel: Channel,
        hash: &AddressHash,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut cursor = None;
        loop {
            let page = self.proofs(channel, hash, cursor.as_deref(), PAGE).await?;
            for proof in page.items.iter().filter(|proof| proof.at <= at) {
                let kept = proof.impersonal();
                if kept != *proof {
                    self.put_again(proof_item(channel, hash, &kept)?).await?;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Puts an item in place of one that is there.
    async fn put_again(&self, item: Item) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.condition_expression("attribute_exists(pk)").send().await?;
        Ok(())
    }

    /// Takes customers off the lists by which those who are described alike are found.
    pub async fn forget_lookalikes(
        &self,
        blocks: &[AddressHash],
        holders: &BTreeSet<CustomerId>,
    ) -> Result<(), StoreError> {
        let distinct: BTreeSet<&AddressHash> = blocks.iter().collect();
        if distinct.is_empty() {
            return Ok(());
        }
        let wanted = distinct.into_iter().map(|hash| key(keys::block(hash), keys::BLOCK)).collect();
        for item in self.get_many(wanted).await? {
            let listed = item.get("w").and_then(|value| value.as_ss().ok()).cloned().unwrap_or_default();
            let ours: Vec<String> =
                listed.into_iter().filter(|id| holders.iter().any(|holder| holder.as_str() == id)).collect();
            if ours.is_empty() {
                continue;
            }
            let key = key(get_text(&item, "pk")?, keys::BLOCK);
            let values = [(":w", AttributeValue::Ss(ours))];
            self.update_if(key.clone(), "DELETE w :w", "attribute_exists(pk)", values).await?;
            // An empty list is none.
            let deleted = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key))
                .condition_expression("attribute_not_exists(w)")
                .send()
                .await;
            if let Err(error) = deleted
                && !error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception())
            {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Deletes what lies beside the items `keep` under `pk`, at most `pages` pages of it. Whether nothing is left.
    pub async fn sweep_beside(&self, pk: &str, keep: &[&str], pages: u32) -> Result<bool, StoreError> {
        for _ in 0..pages {
            let beside = self.beside(pk, keep).await?;
            if beside.is_empty() {
                return Ok(true);
            }
            // What the store did not get to is found again by the next query.
            self.delete_many(beside.iter().map(|sk| key(pk, sk)).collect()).await?;
        }
        Ok(self.beside(pk, keep).await?.is_empty())
    }

    /// Sort keys beside `keep` under `pk`: a page of them, none if there are none.
    async fn beside(&self, pk: &str, keep: &[&str]) -> Result<Vec<String>, StoreError> {
        let mut from = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(pk))
                .projection_expression("pk, sk")
                .consistent_read(true)
                .limit(PAGE)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            let items = answer.items.unwrap_or_default();
            let found: Vec<String> =
                items.iter().filter_map(|item| optional_text(item, "sk")).map(str::to_owned).collect();
            let found: Vec<String> = found.into_iter().filter(|sk| !keep.contains(&sk.as_str())).collect();
            from = answer.last_evaluated_key;
            if !found.is_empty() || from.is_none() {
                return Ok(found);
            }
        }
    }
}

/// What drives an erasure on, if nothing else does.
pub fn driven_again(erasure: &Erasure, now: Timestamp) -> DueEntry {
    DueEntry {
        at: now.plus_millis(DRIVEN_AGAIN_MS),
        id: format!("erase-{}", erasure.id),
        queue: "erase".to_owned(),
        body: encode(&EraseMessage::Customer(erasure.id.clone())),
    }
}

fn erasure_item(erasure: &Erasure) -> Result<Item, StoreError> {
    let mut item = key(keys::customer(&erasure.id), keys::CUSTOMER);
    item.insert("v".to_owned(), number(erasure.version + 1));
    item.insert("x".to_owned(), document(erasure)?);
    Ok(item)
}
