//! The commit: what belongs together, in one transaction.

use crate::audit::audit_put;
use crate::contact::contact_item;
use crate::erasure::StandingItem;
use crate::item::{Item, document, key, number, text};
use crate::lead::{ended_lead, progress_values};
use crate::message::message_writes;
use crate::proof::proof_item;
use crate::{
    Asked, CompanyRecord, Contact, Counting, DueEntry, GateRecord, LeaveRecord, Store, StoreError,
    TeamRecord, Word, Written, keys,
};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use sluice_domain::access::Note;
use sluice_domain::advance::State;
use sluice_domain::campaign::Broadcast;
use sluice_domain::customer::{AddressHash, Customer, Pointed};
use sluice_domain::erasure::Erasure;
use sluice_domain::event::Entry;
use sluice_domain::gate::{Gate, Proof};
use sluice_domain::id::CustomerId;
use sluice_domain::journey::Run;
use sluice_domain::lead::{Lead, LeadState, Progress};
use sluice_domain::message::{Channel, Message};
use sluice_domain::speed::{Group, bucket};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// The writes that a commit comes to.
#[derive(Clone, Debug)]
pub struct Writes(Vec<TransactWriteItem>);

impl Writes {
    /// What one transaction holds at most. (DynamoDB, "TransactWriteItems".)
    pub const MOST: usize = 100;

    /// Whether they are too many for one transaction.
    pub const fn are_too_many(&self) -> bool {
        self.0.len() > Self::MOST
    }
}

/// Everything one decision changes. Each part is stored only at the version it was read at, and all or none.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    new_leads: Vec<(Lead, Progress)>,
    leads: Vec<(Lead, Progress)>,
    customers: Vec<Customer>,
    teams: Vec<(String, TeamRecord)>,
    unchanged: Vec<(String, u64)>,
    companies: Vec<(String, CompanyRecord)>,
    leave: Vec<(String, LeaveRecord)>,
    seen_with: Vec<(AddressHash, CustomerId)>,
    contacts: Vec<Contact>,
    gone_leads: Vec<(Lead, Vec<String>)>,
    gone_customers: Vec<(Customer, Vec<String>)>,
    freed: Vec<(AddressHash, CustomerId)>,
    unseen_with: Vec<(AddressHash, CustomerId)>,
    messages: Vec<Message>,
    asked: Vec<(CustomerId, String, Asked)>,
    words: Vec<(CustomerId, String, Word)>,
    gates: Vec<(GateRecord, Gate)>,
    unchanged_gates: Vec<GateRecord>,
    proofs: Vec<(Channel, AddressHash, Proof)>,
    pub(crate) standing: Vec<StandingItem>,
    pub(crate) touched: Vec<CustomerId>,
    pub(crate) erased_leads: Vec<Lead>,
    pub(crate) erasures: Vec<Erasure>,
    pub(crate) gone_companies: Vec<(String, u64)>,
    pub(crate) due: Vec<DueEntry>,
    pub(crate) entries: Vec<(CustomerId, Entry)>,
    pub(crate) pointed: Vec<Pointed>,
    pub(crate) states: Vec<(CustomerId, State)>,
    pub(crate) runs: Vec<(CustomerId, String, Run)>,
    pub(crate) counting: Option<Counting>,
    notes: Vec<Note>,
    pub(crate) broadcasts: Vec<Broadcast>,
}

impl Commit {
    /// What the audit says of this commit.
    pub fn notes(mut self, notes: impl IntoIterator<Item = Note>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// A lead that is not in the ledger and has ended with this decision.
    pub fn ended(mut self, lead: &Lead, after: Progress) -> Self {
        self.new_leads.push((lead.clone(), after));
        self
    }

    /// The lead as read, and what becomes of it. A point of its response clock that is outstanding afterwards and was
    /// not before becomes a due entry of the same commit, and a first contact is counted in it.
    pub fn lead(mut self, read: &Lead, after: Progress) -> Self {
        self.leads.push((read.clone(), after));
        self
    }

    /// A customer as it shall be; its version is the one read, 0 for a new one.
    pub fn customer(mut self, customer: Customer) -> Self {
        self.customers.push(customer);
        self
    }

    /// A team as it shall be; its version is the one read.
    pub fn team(mut self, name: &str, team: TeamRecord) -> Self {
        self.teams.push((name.to_owned(), team));
        self
    }

    /// A team that must be as it was read.
    pub fn unchanged_team(mut self, name: &str, version: u64) -> Self {
        self.unchanged.push((name.to_owned(), version));
        self
    }

    /// The owner of a company as it shall be; its version is the one read, 0 for one that has none yet.
    pub fn company(mut self, domain: &str, record: CompanyRecord) -> Self {
        self.companies.push((domain.to_owned(), record));
        self
    }

    /// A rep's absences as they shall be; the version is the one read. The count of such changes goes up with them.
    pub fn leave(mut self, rep: &str, record: LeaveRecord) -> Self {
        self.leave.push((rep.to_owned(), record));
        self
    }

    /// An address that came with a customer that does not hold it.
    pub fn seen_with(mut self, address: AddressHash, customer: CustomerId) -> Self {
        self.seen_with.push((address, customer));
        self
    }

    /// A contact that is not there yet.
    pub fn contact(mut self, contact: Contact) -> Self {
        self.contacts.push(contact);
        self
    }

    /// A lead as read that goes, with every sort key under its id.
    pub fn gone(mut self, read: &Lead, items: Vec<String>) -> Self {
        self.gone_leads.push((read.clone(), items));
        self
    }

    /// A customer as read that goes, with the sort keys of what is kept beside it.
    pub fn gone_customer(mut self, read: Customer, beside: Vec<String>) -> Self {
        self.gone_customers.push((read, beside));
        self
    }

    /// An address that nobody holds any more, with the customer that held it. Whom else it came with, and when a person was erased
    /// whose it was, stays with it.
    pub fn freed(mut self, address: AddressHash, held_by: CustomerId) -> Self {
        self.freed.push((address, held_by));
        self
    }

    /// An address as if it had not come with this customer; the address is there.
    pub fn unseen_with(mut self, address: AddressHash, customer: CustomerId) -> Self {
        self.unseen_with.push((address, customer));
        self
    }

    /// A message to a customer as it shall be; its version is the one read, 0 for a new one.
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }

    /// What a call with a key asked for, which is not there yet; the key by its hash.
    pub fn asked(mut self, customer: &CustomerId, hash: &str, asked: Asked) -> Self {
        self.asked.push((customer.clone(), hash.to_owned(), asked));
        self
    }

    /// What a call with a key is to write down, which is not there yet; the key by its hash.
    pub fn word(mut self, customer: &CustomerId, hash: &str, word: Word) -> Self {
        self.words.push((customer.clone(), hash.to_owned(), word));
        self
    }

    /// A gate as read, and as it shall be.
    pub fn gate(mut self, read: GateRecord, gate: Gate) -> Self {
        self.gates.push((read, gate));
        self
    }

    /// What was said about an address on a channel, which is not written down yet.
    pub fn proof(mut self, channel: Channel, address: &AddressHash, proof: Proof) -> Self {
        self.proofs.push((channel, address.clone(), proof));
        self
    }

    /// A gate that must be as it was read.
    pub fn unchanged_gate(mut self, read: GateRecord) -> Self {
        self.unchanged_gates.push(read);
        self
    }
}

impl Commit {
    /// What has to do with events is put beside records that are there and not erased. A record that is written says so
    /// itself, and so does what is beside one already: an erasure deletes it.
    fn with_standing(mut self) -> Self {
        let states = self.states.iter().map(|(id, state)| (id, state.live.version));
        let runs = self.runs.iter().map(|(id, _, run)| (id, run.version));
        let beside: Vec<(&CustomerId, u64)> = states.chain(runs).collect();
        let mut sure: BTreeSet<&CustomerId> = self.customers.iter().map(|customer| &customer.id).collect();
        sure.extend(beside.iter().filter(|(_, version)| *version > 0).map(|(id, _)| *id));
        let homes = self.entries.iter().map(|(home, _)| home).chain(beside.iter().map(|(id, _)| *id));
        let homes: BTreeSet<CustomerId> = homes.filter(|home| !sure.contains(home)).cloned().collect();
        self.standing.extend(homes.into_iter().map(StandingItem::Customer));
        self
    }
}

impl Store {
    /// Stores all of it or nothing. A lost answer is repaired by redelivery: the receipt in the lead is found.
    pub async fn commit(&self, commit: Commit) -> Result<Written, StoreError> {
        self.write(self.writes(commit)?).await
    }

    /// Stores all of these writes or none.
    pub async fn write(&self, writes: Writes) -> Result<Written, StoreError> {
        self.transact(writes.0).await
    }

    /// The writes that a commit comes to.
    pub fn writes(&self, commit: Commit) -> Result<Writes, StoreError> {
        let commit = commit.with_standing();
        let mut items = Vec::new();
        for (lead, after) in &commit.new_leads {
            let put = versioned_put(&self.table, ended_lead(lead, after)?, 0)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        for (lead, after) in &commit.leads {
            items.push(TransactWriteItem::builder().update(self.lead_update(lead, after)?).build());
            if let Some(entry) = clock_entry(lead, after) {
                // Guarded by the lead's version: the same entry again says the same.
                let put = Put::builder().table_name(&self.table).set_item(Some(entry.item()?));
                items.push(TransactWriteItem::builder().put(put.build().map_err(unbuilt)?).build());
            }
            if let (None, Some(_)) = (&lead.progress.contact, &after.contact) {
                items.push(TransactWriteItem::builder().update(self.tally(lead, after)?).build());
            }
        }
        for contact in &commit.contacts {
            let put = versioned_put(&self.table, contact_item(contact)?, 0)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        for customer in &commit.customers {
            let mut item = key(keys::customer(&customer.id), keys::CUSTOMER);
            item.insert("v".to_owned(), number(customer.version + 1));
            item.insert("d".to_owned(), document(customer)?);
            items.push(
                TransactWriteItem::builder().put(versioned_put(&self.table, item, customer.version)?).build(),
            );
        }
        for (name, team) in &commit.teams {
            let mut item = key(keys::team(name), keys::TEAM);
            item.insert("v".to_owned(), number(team.version + 1));
            item.insert("d".to_owned(), document(&team.state)?);
            items.push(
                TransactWriteItem::builder().put(versioned_put(&self.table, item, team.version)?).build(),
            );
        }
        for (name, version) in &commit.unchanged {
            items.push(check_version(&self.table, key(keys::team(name), keys::TEAM), *version)?);
        }
        for (domain, company) in &commit.companies {
            let mut item = key(keys::company(domain), keys::COMPANY);
            item.insert("v".to_owned(), number(company.version + 1));
            item.insert("d".to_owned(), document(&company.owner)?);
            items.push(
                TransactWriteItem::builder().put(versioned_put(&self.table, item, company.version)?).build(),
            );
        }
        for (rep, record) in &commit.leave {
            let mut item = key(keys::leave(rep), keys::LEAVE);
            item.insert("v".to_owned(), number(record.version + 1));
            item.insert("d".to_owned(), document(&record.leave)?);
            items.push(
                TransactWriteItem::builder().put(versioned_put(&self.table, item, record.version)?).build(),
            );
        }
        if !commit.leave.is_empty() {
            items.push(TransactWriteItem::builder().update(self.count_leave()?).build());
        }
        for (address, customer) in &commit.seen_with {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(keys::address(address), keys::ADDRESS)))
                .update_expression("ADD w :w")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":w", AttributeValue::Ss(vec![customer.to_string()]))
                .build()
                .map_err(unbuilt)?;
            items.push(TransactWriteItem::builder().update(update).build());
        }
        items.extend(self.lettings_go(&commit)?);
        items.extend(self.deletes(&commit)?);
        for message in &commit.messages {
            items.extend(message_writes(message, &self.table)?);
        }
        for (customer, hash, asked) in &commit.asked {
            items.push(self.keyed_write(customer.as_str(), &keys::asked(hash), asked)?);
        }
        for (customer, hash, word) in &commit.words {
            items.push(self.keyed_write(customer.as_str(), &keys::word(hash), word)?);
        }
        for (read, gate) in &commit.gates {
            items.extend(read.writes(gate, &self.table)?);
        }
        for read in &commit.unchanged_gates {
            items.extend(read.checks(&self.table)?);
        }
        for (channel, address, proof) in &commit.proofs {
            let put = versioned_put(&self.table, proof_item(*channel, address, proof)?, 0)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        for note in &commit.notes {
            items.push(audit_put(&self.table, note)?);
        }
        items.extend(self.behaviour(&commit)?);
        items.extend(self.standings_of(&commit)?);
        if let Some(counting) = &commit.counting {
            items.extend(self.counting_writes(counting)?);
        }
        items.extend(self.erasures(&commit)?);
        items.extend(self.broadcast_writes(&commit)?);
        Ok(Writes(items))
    }

    /// Writes all or nothing.
    pub(crate) async fn transact(&self, items: Vec<TransactWriteItem>) -> Result<Written, StoreError> {
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) if is_conflict(&error) => Ok(Written::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    fn deletes(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
        let delete =
            |pk: &str, sk: &str| Delete::builder().table_name(&self.table).set_key(Some(key(pk, sk)));
        let at = |version| number(version);
        let mut deletes = Vec::new();
        for (lead, sort_keys) in &commit.gone_leads {
            let of_lead = delete(lead.id.as_str(), keys::LEAD).condition_expression("v = :v");
            deletes.push(of_lead.expression_attribute_values(":v", at(lead.version)));
            // Written once and named by their content: they go with the lead, whose version is the condition.
            let apart = sort_keys.iter().filter(|sk| *sk != keys::LEAD);
            deletes.extend(apart.map(|sk| delete(lead.id.as_str(), sk)));
        }
        for (customer, beside) in &commit.gone_customers {
            deletes.extend(beside.iter().map(|sk| delete(keys::customer(&customer.id), sk)));
            let of_customer =
                delete(keys::customer(&customer.id), keys::CUSTOMER).condition_expression("v = :v");
            deletes.push(of_customer.expression_attribute_values(":v", at(customer.version)));
        }
        deletes
            .into_iter()
            .map(|delete| Ok(TransactWriteItem::builder().delete(delete.build().map_err(unbuilt)?).build()))
            .collect()
    }

    /// What addresses forget: who held them, and who came with them. A transaction writes each item once.
    fn lettings_go(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut changes: BTreeMap<&AddressHash, (Option<&CustomerId>, BTreeSet<String>)> = BTreeMap::new();
        for (address, holder) in &commit.freed {
            changes.entry(address).or_default().0 = Some(holder);
        }
        for (address, customer) in &commit.unseen_with {
            changes.entry(address).or_default().1.insert(customer.to_string());
        }
        let mut updates = Vec::new();
        for (address, (holder, unseen)) in changes {
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(keys::address(address), keys::ADDRESS)));
            let mut update = match holder {
                None => update.condition_expression("attribute_exists(pk)"),
                Some(holder) => update
                    .condition_expression("c = :c")
                    .expression_attribute_values(":c", text(holder.as_str())),
            };
            let mut change = Vec::from_iter(holder.map(|_| "REMOVE c"));
            if !unseen.is_empty() {
                change.push("DELETE w :w");
                let unseen = AttributeValue::Ss(unseen.into_iter().collect());
                update = update.expression_attribute_values(":w", unseen);
            }
            let update = update.update_expression(change.join(" ")).build().map_err(unbuilt)?;
            updates.push(TransactWriteItem::builder().update(update).build());
        }
        Ok(updates)
    }

    fn lead_update(&self, lead: &Lead, after: &Progress) -> Result<Update, StoreError> {
        let (state, progress) = progress_values(after)?;
        let mut update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(lead.id.as_str(), keys::LEAD)))
            .condition_expression("v = :v")
            .expression_attribute_values(":v", number(lead.version))
            .expression_attribute_values(":n", number(lead.version + 1))
            .expression_attribute_values(":st", state)
            .expression_attribute_values(":d", progress);
        // The index is touched only when the lead moves in it: an index write is a unit of its own.
        update = if after.state == lead.progress.state {
            update.update_expression("SET v = :n, d = :d, st = :st")
        } else if after.state.is_end() {
            update.update_expression("SET v = :n, d = :d, st = :st REMOVE ix, ia")
        } else {
            update
                .update_expression("SET v = :n, d = :d, st = :st, ix = :ix, ia = :ia")
                .expression_attribute_values(":ix", text(keys::open(after.state, &lead.id)))
                .expression_attribute_values(":ia", text(keys::millis(lead.received)))
        };
        debug_assert!(after.state != LeadState::Waiting || lead.progress.state == LeadState::Waiting);
        update.build().map_err(unbuilt)
    }

    /// Guarded by the versions of the absences it counts.
    fn count_leave(&self) -> Result<Update, StoreError> {
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(keys::LEAVES, keys::COUNT)))
            .update_expression("ADD v :one")
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(unbuilt)
    }

    /// Counts the first contact; guarded by the lead's version, so that counters equal the ledger.
    fn tally(&self, lead: &Lead, after: &Progress) -> Result<Update, StoreError> {
        let missing = || StoreError::Unavailable("request cannot be built".to_owned());
        let contact = after.contact.as_ref().ok_or_else(missing)?;
        let group = Group {
            day: Group::day(contact.at),
            source: lead.origin.name.clone(),
            team: contact.team.clone().unwrap_or_default(),
            rep: contact.rep.clone(),
        };
        let (pk, sk) = keys::speed_of(&group);
        let (elapsed, working) = (bucket(contact.elapsed), bucket(contact.working));
        let mut add = format!("ADD e{elapsed} :one, w{working} :one");
        if contact.within.is_some() {
            add.push_str(", o :one");
        }
        if contact.within == Some(true) {
            add.push_str(", i :one");
        }
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(pk, sk)))
            .update_expression(add)
            .expression_attribute_values(":one", number(1))
            .build()
            .map_err(unbuilt)
    }
}

/// A put that holds only if the item is at the version read; 0 is "not stored yet".
pub(crate) fn versioned_put(table: &str, item: Item, read: u64) -> Result<Put, StoreError> {
    let put = Put::builder().table_name(table).set_item(Some(item));
    let put = match read {
        0 => put.condition_expression("attribute_not_exists(pk)"),
        version => put.condition_expression("v = :v").expression_attribute_values(":v", number(version)),
    };
    put.build().map_err(unbuilt)
}

/// The condition that an item is at the version read; 0 is "not stored yet".
pub(crate) fn check_version(table: &str, key: Item, read: u64) -> Result<TransactWriteItem, StoreError> {
    let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
    let check = match read {
        0 => check.condition_expression("attribute_not_exists(pk)"),
        version => check.condition_expression("v = :v").expression_attribute_values(":v", number(version)),
    };
    Ok(TransactWriteItem::builder().condition_check(check.build().map_err(unbuilt)?).build())
}

/// The entry of a clock's point that this commit makes outstanding.
fn clock_entry(lead: &Lead, after: &Progress) -> Option<DueEntry> {
    let tick = after.tick(&lead.id).filter(|tick| lead.progress.tick(&lead.id).as_ref() != Some(tick))?;
    let id = format!("clock-{}-{}-{}", tick.lead, tick.n, tick.point);
    Some(DueEntry { at: tick.at, id, queue: "lead".to_owned(), body: encode(&LeadMessage::Clock(tick)) })
}

pub(crate) fn unbuilt(_: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Unavailable("request cannot be built".to_owned())
}

fn is_conflict<R>(error: &SdkError<TransactWriteItemsError, R>) -> bool {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error()
    else {
        return matches!(
            error.as_service_error(),
            Some(TransactWriteItemsError::TransactionInProgressException(_))
        );
    };
    let codes = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
    let mut codes = codes.filter(|code| *code != "None").peekable();
    codes.peek().is_some()
        && codes.all(|code| matches!(code, "ConditionalCheckFailed" | "TransactionConflict"))
}
