//! Leads: the ledger.

use crate::commit::{unbuilt, versioned_put};
use crate::item::{
    CONFLICTS, Item, document, get_document, get_number, get_text, key, number, optional_text, text,
};
use crate::scan::page;
use crate::{Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::{AttributeValue, Put, Select, TransactWriteItem, Update};
use futures::stream::{self, StreamExt, TryStreamExt};
use sluice_domain::id::LeadId;
use sluice_domain::lead::{Envelope, Lead, LeadState, Origin, Progress};
use sluice_domain::time::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Up to this many bytes of envelope stay in the lead: with what is decided later the item keeps below 1 KB, and an
/// update is charged on the whole item.
const INLINE_ENVELOPE: usize = 480;

/// For how many days a lead is kept that came from a robot.
const ROBOT_DAYS: i64 = 30;

/// What became of accepting a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is in the ledger now.
    New,
    /// A lead with this id was there: the first wins. Carries its fingerprint.
    Known {
        /// Of the fields the first one had.
        fingerprint: String,
    },
    /// A lead with this id was there, and its person was erased: nothing of this one is kept.
    Erased,
}

/// An entry of the sparse index, in the order of its lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenLead {
    /// Accepted when.
    pub since: Timestamp,
    /// The lead.
    pub id: LeadId,
}

/// A line of the ledger as a report needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadLine {
    /// The lead.
    pub id: LeadId,
    /// Where it stands.
    pub state: LeadState,
    /// Name of the form or source.
    pub source: String,
    /// Accepted when.
    pub received: Timestamp,
    /// The batch it was imported with.
    pub batch: Option<String>,
    /// Whether the index of open leads has it where its state belongs, and not at all once it has ended.
    pub is_in_its_place: bool,
}

/// How far a lead is.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What has happened to it.
    pub progress: Progress,
    /// The version read.
    pub version: u64,
}

/// A page of something.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; absent on the last.
    pub next: Option<String>,
}

impl Store {
    /// Puts a lead with a fresh id into the ledger. An envelope too large for the item goes first, so that a lead never
    /// lacks it.
    pub async fn accept_lead(&self, lead: &Lead) -> Result<Accepted, StoreError> {
        let envelope = serde_json::to_string(&lead.envelope)?;
        let mut item = new_lead(lead)?;
        if envelope.len() > INLINE_ENVELOPE {
            self.put_envelope(&lead.id, &lead.envelope.fingerprint(), envelope).await?;
        } else {
            item.insert("e".to_owned(), text(envelope));
        }
        match self.put_once(item).await? {
            None => Ok(Accepted::New),
            Some(old) => accepted_before(&old),
        }
    }

    /// Puts a lead whose id is derived from what its sender calls it, unless it is there already. A large envelope and the
    /// lead are one write: beside a lead that is there nothing is put, least of all beside one that was erased.
    pub async fn accept_named_lead(&self, lead: &Lead) -> Result<Accepted, StoreError> {
        let envelope = serde_json::to_string(&lead.envelope)?;
        if envelope.len() <= INLINE_ENVELOPE {
            return self.accept_lead(lead).await;
        }
        let apart = self.envelope_put(&lead.id, &lead.envelope.fingerprint(), envelope)?;
        for _ in 0..CONFLICTS {
            let put = versioned_put(&self.table, new_lead(lead)?, 0)?;
            let put = TransactWriteItem::builder().put(put).build();
            if self.transact(vec![apart.clone(), put]).await? == Written::Done {
                return Ok(Accepted::New);
            }
            if let Some(there) = self.get_many(vec![key(lead.id.as_str(), keys::LEAD)]).await?.first() {
                return accepted_before(there);
            }
        }
        Err(StoreError::Unavailable("too much contention on a lead".to_owned()))
    }

    /// Puts a lead that has ended as it is accepted, and that is nobody's: in no index, and gone by itself after
    /// `ROBOT_DAYS` days, since no erasure finds what belongs to no customer.
    pub async fn accept_ended_lead(&self, lead: &Lead) -> Result<Accepted, StoreError> {
        let mut item = ended_lead(lead, &lead.progress)?;
        let gone = lead.received.plus_millis(ROBOT_DAYS * 86_400_000);
        item.insert("ttl".to_owned(), number(gone.seconds()));
        match self.put_once(item).await? {
            None => Ok(Accepted::New),
            Some(old) => accepted_before(&old),
        }
    }

    /// Sort keys of everything kept under a lead's id: the lead, and envelopes stored apart.
    pub async fn lead_items(&self, id: &LeadId) -> Result<Vec<String>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", text(id.as_str()))
            .projection_expression("sk")
            .consistent_read(true)
            .send()
            .await?;
        let items = answer.items.unwrap_or_default();
        items.iter().map(|item| get_text(item, "sk").map(str::to_owned)).collect()
    }

    /// Envelopes are written once, under their content's fingerprint: which one is the lead's, the lead says.
    async fn put_envelope(&self, id: &LeadId, fingerprint: &str, envelope: String) -> Result<(), StoreError> {
        self.put_once(envelope_item(id, fingerprint, envelope)).await.map(|_| ())
    }

    /// An envelope as part of a transaction whose condition is the lead's.
    fn envelope_put(
        &self,
        id: &LeadId,
        fingerprint: &str,
        envelope: String,
    ) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder().table_name(&self.table);
        let put = put.set_item(Some(envelope_item(id, fingerprint, envelope))).build().map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Leads by id; what is not there is not in the answer.
    pub async fn leads(&self, ids: &[LeadId]) -> Result<BTreeMap<LeadId, Lead>, StoreError> {
        let wanted = ids.iter().map(|id| key(id.as_str(), keys::LEAD)).collect();
        let items = self.get_many(wanted).await?;
        let apart: Vec<Item> = items
            .iter()
            .filter(|item| !item.contains_key("e"))
            .filter_map(|item| Some((optional_text(item, "pk")?, optional_text(item, "f")?)))
            .map(|(pk, fingerprint)| key(pk, keys::envelope(fingerprint)))
            .collect();
        let envelopes: BTreeMap<String, Item> = if apart.is_empty() {
            BTreeMap::new()
        } else {
            let found = self.get_many(apart).await?;
            found
                .into_iter()
                .filter_map(|item| Some((optional_text(&item, "pk")?.to_owned(), item)))
                .collect()
        };
        items
            .iter()
            .map(|item| {
                let envelope = match optional_text(item, "e") {
                    Some(inline) => serde_json::from_str(inline)?,
                    None if is_erased(item) => Envelope::default(),
                    None => match envelopes.get(get_text(item, "pk")?) {
                        Some(apart) => get_document(apart, "e")?,
                        None => return Err(StoreError::Corrupt("a lead lacks its envelope".to_owned())),
                    },
                };
                let lead = read_lead(item, envelope)?;
                Ok((lead.id.clone(), lead))
            })
            .collect()
    }

    /// How far leads are, without what was submitted; what is not there is not in the answer, and what cannot be read is
    /// `None`, so that one such lead hides no other.
    pub async fn standings(&self, ids: &[LeadId]) -> Result<BTreeMap<LeadId, Option<Standing>>, StoreError> {
        let wanted = ids.iter().map(|id| key(id.as_str(), keys::LEAD)).collect();
        let items = self.get_many(wanted).await?;
        let standing = |item: &Item| -> Result<Standing, StoreError> {
            Ok(Standing { progress: read_progress(item)?, version: get_number(item, "v")? })
        };
        items.iter().map(|item| Ok((read_id(item)?, standing(item).ok()))).collect()
    }

    /// One lead.
    pub async fn lead(&self, id: &LeadId) -> Result<Option<Lead>, StoreError> {
        Ok(self.leads(std::slice::from_ref(id)).await?.remove(id))
    }

    /// Puts the fetched fields into a lead that is still to be enriched, and marks it complete.
    pub async fn enrich_lead(&self, lead: &Lead, envelope: &Envelope) -> Result<Written, StoreError> {
        let encoded = serde_json::to_string(envelope)?;
        let apart = encoded.len() > INLINE_ENVELOPE;
        let change =
            if apart { "REMOVE e, n SET v = :n, f = :f" } else { "SET e = :e, v = :n, f = :f REMOVE n" };
        let values = HashMap::from([
            (":v".to_owned(), number(lead.version)),
            (":n".to_owned(), number(lead.version + 1)),
            (":f".to_owned(), text(envelope.fingerprint())),
        ]);
        if apart {
            // Together with the lead: beside one that was decided, or erased, meanwhile nothing is put.
            let put = self.envelope_put(&lead.id, &envelope.fingerprint(), encoded)?;
            let update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(lead.id.as_str(), keys::LEAD)))
                .update_expression(change)
                .condition_expression("v = :v")
                .set_expression_attribute_values(Some(values));
            let update = update.build().map_err(unbuilt)?;
            return self.transact(vec![put, TransactWriteItem::builder().update(update).build()]).await;
        }
        let request = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(lead.id.as_str(), keys::LEAD)))
            .update_expression(change)
            .condition_expression("v = :v")
            .set_expression_attribute_values(Some(values))
            .expression_attribute_values(":e", text(encoded));
        match request.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) =>
            {
                Ok(Written::Conflict)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Open leads in one state accepted before `before` and behind `after`, oldest first over all partitions, at most `limit`.
    pub async fn open_leads(
        &self,
        state: LeadState,
        after: Option<&OpenLead>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenLead>, StoreError> {
        let partitions = (0..keys::OPEN_SHARDS).map(|shard| self.open_in(state, shard, after, before, limit));
        let mut all: Vec<OpenLead> =
            stream::iter(partitions).buffer_unordered(4).try_collect::<Vec<_>>().await?.concat();
        all.sort();
        all.truncate(limit);
        Ok(all)
    }

    /// Those of one partition, with all that are as old as the last.
    async fn open_in(
        &self,
        state: LeadState,
        shard: u8,
        after: Option<&OpenLead>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<OpenLead>, StoreError> {
        let from = after.map_or(Timestamp(0), |after| after.since);
        if before <= from {
            return Ok(Vec::new());
        }
        let (mut found, mut start) = (Vec::<OpenLead>::new(), None);
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(keys::OPEN_INDEX)
                .key_condition_expression("ix = :ix AND ia BETWEEN :from AND :to")
                .expression_attribute_values(":ix", text(keys::open_shard(state, shard)))
                .expression_attribute_values(":from", text(keys::millis(from)))
                .expression_attribute_values(":to", text(keys::millis(before.plus_millis(-1))))
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in answer.items.unwrap_or_default() {
                let lead = read_open(&item)?;
                if after.is_none_or(|after| lead > *after) {
                    found.push(lead);
                }
            }
            start = answer.last_evaluated_key;
            let last = found.last().map(|last| last.since);
            let is_enough = limit
                .checked_sub(1)
                .and_then(|at| found.get(at))
                .is_some_and(|nth| last.is_some_and(|last| last > nth.since));
            if start.is_none() || is_enough || limit == 0 {
                return Ok(found);
            }
        }
    }

    /// How many leads are open in a state.
    pub async fn count_open(&self, state: LeadState) -> Result<u64, StoreError> {
        let mut total = 0;
        for shard in 0..keys::OPEN_SHARDS {
            let mut from = None;
            loop {
                let answer = self
                    .client
                    .query()
                    .table_name(&self.table)
                    .index_name(keys::OPEN_INDEX)
                    .key_condition_expression("ix = :ix")
                    .expression_attribute_values(":ix", text(keys::open_shard(state, shard)))
                    .select(Select::Count)
                    .set_exclusive_start_key(from)
                    .send()
                    .await?;
                total += u64::try_from(answer.count).unwrap_or(0);
                from = answer.last_evaluated_key;
                if from.is_none() {
                    break;
                }
            }
        }
        Ok(total)
    }

    /// Lines of one segment of `segments` of the ledger, from `cursor` on.
    pub async fn scan_ledger(
        &self,
        segment: i32,
        segments: i32,
        cursor: Option<&str>,
    ) -> Result<Page<LeadLine>, StoreError> {
        let scan = self.scan(LeadId::PREFIX, keys::LEAD, (segment, segments), cursor)?;
        page(scan.projection_expression("pk, st, o, r, b, ix"), read_line).await
    }
}

fn envelope_item(id: &LeadId, fingerprint: &str, envelope: String) -> Item {
    let mut item = key(id.as_str(), keys::envelope(fingerprint));
    item.insert("e".to_owned(), text(envelope));
    item
}

fn is_erased(item: &Item) -> bool {
    optional_text(item, "st") == Some(LeadState::Erased.name())
}

/// What is said of a lead whose id was there.
fn accepted_before(there: &Item) -> Result<Accepted, StoreError> {
    if is_erased(there) {
        return Ok(Accepted::Erased);
    }
    Ok(Accepted::Known { fingerprint: get_text(there, "f")?.to_owned() })
}

/// The item of a lead that is not stored yet, all but its envelope.
fn new_lead(lead: &Lead) -> Result<Item, StoreError> {
    let mut item = key(lead.id.as_str(), keys::LEAD);
    item.insert("v".to_owned(), number(1));
    item.insert("st".to_owned(), text(lead.progress.state.name()));
    if !lead.progress.state.is_end() {
        item.insert("ix".to_owned(), text(keys::open(lead.progress.state, &lead.id)));
        item.insert("ia".to_owned(), text(keys::millis(lead.received)));
    }
    item.insert("o".to_owned(), text(format!("{}/{}", lead.origin.kind, lead.origin.name)));
    item.insert("r".to_owned(), number(lead.received.millis()));
    item.insert("f".to_owned(), text(lead.envelope.fingerprint()));
    item.insert("m".to_owned(), number(lead.manifest));
    if let Some(id) = &lead.external_id {
        item.insert("x".to_owned(), text(id));
    }
    if lead.needs_enrichment {
        item.insert("n".to_owned(), AttributeValue::Bool(true));
    }
    if let Some(import) = &lead.progress.import {
        item.insert("b".to_owned(), text(&import.batch));
        item.insert("d".to_owned(), document(&lead.progress)?);
    }
    Ok(item)
}

/// The item of a lead that has ended before it is stored. It is not updated again, so its envelope stays in it.
pub(crate) fn ended_lead(lead: &Lead, after: &Progress) -> Result<Item, StoreError> {
    let mut item = new_lead(&Lead { progress: after.clone(), ..lead.clone() })?;
    item.insert("e".to_owned(), document(&lead.envelope)?);
    item.insert("d".to_owned(), document(after)?);
    Ok(item)
}

/// The changing attributes of a lead after a decision.
pub(crate) fn progress_values(progress: &Progress) -> Result<(AttributeValue, AttributeValue), StoreError> {
    Ok((text(progress.state.name()), document(progress)?))
}

fn read_lead(item: &Item, envelope: Envelope) -> Result<Lead, StoreError> {
    let (kind, name) = read_origin(item)?;
    Ok(Lead {
        id: read_id(item)?,
        origin: Origin { kind: kind.to_owned(), name: name.to_owned() },
        external_id: optional_text(item, "x").map(str::to_owned),
        received: Timestamp(get_number(item, "r")?),
        envelope,
        needs_enrichment: item.contains_key("n"),
        manifest: get_number(item, "m")?,
        progress: read_progress(item)?,
        version: get_number(item, "v")?,
    })
}

fn read_progress(item: &Item) -> Result<Progress, StoreError> {
    match optional_text(item, "d") {
        Some(progress) => Ok(serde_json::from_str(progress)?),
        None => Ok(Progress::default()),
    }
}

fn read_id(item: &Item) -> Result<LeadId, StoreError> {
    LeadId::parse(get_text(item, "pk")?).ok_or_else(|| StoreError::Corrupt("not a lead id".to_owned()))
}

fn read_origin(item: &Item) -> Result<(&str, &str), StoreError> {
    get_text(item, "o")?.split_once('/').ok_or_else(|| StoreError::Corrupt("not an origin".to_owned()))
}

fn read_open(item: &Item) -> Result<OpenLead, StoreError> {
    let since = get_text(item, "ia")?.parse().map_err(|_| StoreError::Corrupt("not a time".to_owned()))?;
    Ok(OpenLead { id: read_id(item)?, since: Timestamp(since) })
}

fn read_line(item: &Item) -> Result<LeadLine, StoreError> {
    let state = LeadState::parse(get_text(item, "st")?);
    let state = state.ok_or_else(|| StoreError::Corrupt("not a state".to_owned()))?;
    let id = read_id(item)?;
    let place = (!state.is_end()).then(|| keys::open(state, &id));
    Ok(LeadLine {
        is_in_its_place: optional_text(item, "ix") == place.as_deref(),
        id,
        state,
        source: read_origin(item)?.1.to_owned(),
        received: Timestamp(get_number(item, "r")?),
        batch: optional_text(item, "b").map(str::to_owned),
    })
}

pub(crate) fn write_cursor(last: &Item) -> Result<String, StoreError> {
    use base64::Engine;
    let pair = (get_text(last, "pk")?, get_text(last, "sk")?);
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(serde_json::to_string(&pair)?))
}

/// Where a page of this partition goes on; of any partition for a scan, which has none.
pub(crate) fn read_start(cursor: Option<&str>, partition: Option<&str>) -> Result<Option<Item>, StoreError> {
    cursor.map(|cursor| read_cursor(cursor, partition)).transpose()
}

fn read_cursor(cursor: &str, partition: Option<&str>) -> Result<Item, StoreError> {
    use base64::Engine;
    let bytes =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).map_err(|_| StoreError::Cursor)?;
    let (pk, sk): (String, String) = serde_json::from_slice(&bytes).map_err(|_| StoreError::Cursor)?;
    let is_key = !pk.is_empty() && pk.len() <= keys::MAX_PK && !sk.is_empty() && sk.len() <= keys::MAX_SK;
    if !is_key || partition.is_some_and(|partition| partition != pk) {
        return Err(StoreError::Cursor);
    }
    Ok(key(pk, sk))
}
