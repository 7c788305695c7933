//! Broadcasts of campaigns: where each stands, how far its audience is gone through, what was counted, what waits.
//!
//! A broadcast counts in several parts, the tallies, since one item would be too hot. A tally also says whether messages
//! that it counts may be claimed: the claim holds it to that, in the transaction that counts the message. So once all
//! tallies are closed nothing starts any more, and a pause may be acknowledged.

use crate::commit::{unbuilt, versioned_put};
use crate::item::{
    CONFLICTS, Item, document, get_document, get_number, get_text, key, number, optional_text, text,
};
use crate::{Commit, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use sluice_domain::campaign::{Broadcast, Counts, SECTIONS, Section, Sends, is_claim, names};
use sluice_domain::message::{Message, MessageState};

/// Of a tally: messages may be claimed.
const OPEN: &str = "y";
/// Of a tally: messages may not be claimed.
const CLOSED: &str = "n";
/// Tallies changed at the same time.
const AT_ONCE: usize = 16;

/// A message for a queue that waits until its broadcast goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// Same id, same message.
    #[serde(skip)]
    pub id: String,
    /// For this queue.
    #[serde(rename = "q")]
    pub queue: String,
    /// Its body.
    #[serde(rename = "b")]
    pub body: String,
}

impl Commit {
    /// A broadcast as it shall be; its version is the one read, 0 for a new one.
    pub fn broadcast(mut self, broadcast: Broadcast) -> Self {
        self.broadcasts.push(broadcast);
        self
    }
}

impl Store {
    /// A broadcast of a campaign.
    pub async fn broadcast(&self, campaign: &str, n: u32) -> Result<Option<Broadcast>, StoreError> {
        let item = self.get(&keys::campaign(campaign), &keys::broadcast(n)).await?;
        item.as_ref().map(read_broadcast).transpose()
    }

    /// A campaign's broadcasts, newest first; so many at most.
    pub async fn broadcasts(&self, campaign: &str, limit: i32) -> Result<Vec<Broadcast>, StoreError> {
        let answer = self.broadcasts_of(campaign).limit(limit).send().await?;
        answer.items.unwrap_or_default().iter().map(read_broadcast).collect()
    }

    /// All of a campaign's broadcasts, newest first.
    pub async fn all_broadcasts(&self, campaign: &str) -> Result<Vec<Broadcast>, StoreError> {
        let mut broadcasts = Vec::new();
        let mut from = None;
        loop {
            let answer = self.broadcasts_of(campaign).set_exclusive_start_key(from).send().await?;
            for item in answer.items.unwrap_or_default() {
                broadcasts.push(read_broadcast(&item)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(broadcasts);
            }
        }
    }

    fn broadcasts_of(&self, campaign: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
            .expression_attribute_values(":pk", text(keys::campaign(campaign)))
            .expression_attribute_values(":sk", text(keys::BROADCASTS))
            .scan_index_forward(false)
            .consistent_read(true)
    }

    /// How far each part of a broadcast's audience is gone through, in the order of the parts.
    pub async fn sections(&self, broadcast: &Broadcast) -> Result<Vec<Section>, StoreError> {
        let wanted = (0..SECTIONS).map(|part| section_key(broadcast, part)).collect();
        let mut sections = vec![Section::default(); usize::from(SECTIONS)];
        for item in &self.get_many(wanted).await? {
            let part = keys::parse_section(get_text(item, "sk")?).map(|(_, part)| usize::from(part));
            if let Some(section) = part.and_then(|part| sections.get_mut(part)) {
                *section = read_section(item)?;
            }
        }
        Ok(sections)
    }

    /// How far one part is gone through.
    pub async fn section(&self, broadcast: &Broadcast, part: u8) -> Result<Section, StoreError> {
        let item = self.get(&keys::campaign(&broadcast.campaign), &keys::section(broadcast.n, part)).await?;
        Ok(item.as_ref().map(read_section).transpose()?.unwrap_or_default())
    }

    /// Stores how far a part is gone through, unless somebody was faster.
    pub async fn put_section(
        &self,
        broadcast: &Broadcast,
        part: u8,
        section: &Section,
    ) -> Result<Written, StoreError> {
        let mut item = section_key(broadcast, part);
        item.insert("v".to_owned(), number(section.version + 1));
        item.insert("d".to_owned(), document(section)?);
        match section.version {
            0 => Ok(if self.put_once(item).await?.is_none() { Written::Done } else { Written::Conflict }),
            version => self.replace(item, version).await,
        }
    }

    /// Whether messages that this tally counts may be claimed, as far as the tally knows.
    pub async fn is_open(&self, campaign: &str, n: u32, shard: u8) -> Result<bool, StoreError> {
        let tally = self.get(&keys::tally(campaign, n, shard), keys::TALLY).await?;
        Ok(tally.is_some_and(|tally| optional_text(&tally, "s") == Some(OPEN)))
    }

    /// Tells every tally of a broadcast whether its messages may be claimed. Once this answers, all of them know.
    pub async fn tell_tallies(&self, broadcast: &Broadcast) -> Result<(), StoreError> {
        let tell = (0..broadcast.shards).map(|shard| self.tell_tally(broadcast, shard)).collect::<Vec<_>>();
        let told: Vec<Result<(), StoreError>> = stream::iter(tell).buffer_unordered(AT_ONCE).collect().await;
        told.into_iter().collect()
    }

    /// Tells one tally, unless it knows something later.
    pub async fn tell_tally(&self, broadcast: &Broadcast, shard: u8) -> Result<(), StoreError> {
        let word = if broadcast.sends() == Sends::Yes { OPEN } else { CLOSED };
        let mut conflicts = 0;
        loop {
            let answer = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(tally_key(&broadcast.campaign, broadcast.n, shard)))
                .update_expression("SET s = :s, e = :e")
                .condition_expression("attribute_not_exists(e) OR e <= :e")
                .expression_attribute_values(":s", text(word))
                .expression_attribute_values(":e", number(broadcast.epoch))
                .send()
                .await;
            let Err(error) = answer else { return Ok(()) };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => return Ok(()),
                // A claim holds it at this moment.
                Some(UpdateItemError::TransactionConflictException(_)) if conflicts < 4 * CONFLICTS => {
                    conflicts += 1;
                }
                _ => return Err(error.into()),
            }
        }
    }

    /// What was counted of a broadcast.
    pub async fn counts(&self, broadcast: &Broadcast) -> Result<Counts, StoreError> {
        let tallies = (0..broadcast.shards).map(|shard| tally_key(&broadcast.campaign, broadcast.n, shard));
        let mut counts = Counts::default();
        for item in &self.get_many(tallies.collect()).await? {
            for name in item.keys().filter_map(|attribute| attribute.strip_prefix(COUNTED)) {
                counts.add(name, get_number(item, &format!("{COUNTED}{name}"))?);
            }
        }
        Ok(counts)
    }

    /// Something waits until a broadcast goes on that is held back as it was read. Putting it again changes nothing.
    pub async fn park(&self, broadcast: &Broadcast, shard: u8, parked: &Parked) -> Result<(), StoreError> {
        let pk = keys::parked(&broadcast.campaign, broadcast.n, shard);
        let mut item = key(pk, keys::parked_at(broadcast.epoch, &parked.id));
        item.insert("d".to_owned(), document(parked)?);
        self.put_once(item).await.map(|_| ())
    }

    /// What waits in one part of a broadcast from before it went on as it was read, each with its epoch. What is parked when
    /// it is held back again is another entry.
    pub async fn parked(
        &self,
        broadcast: &Broadcast,
        shard: u8,
        limit: i32,
    ) -> Result<Vec<(u32, Parked)>, StoreError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk < :epoch")
            .expression_attribute_values(":pk", text(keys::parked(&broadcast.campaign, broadcast.n, shard)))
            .expression_attribute_values(":epoch", text(keys::parked_at(broadcast.epoch, "")))
            .consistent_read(true)
            .limit(limit)
            .send()
            .await?;
        let read = |item: &Item| {
            let parked: Parked = get_document(item, "d")?;
            let (epoch, id) = keys::parse_parked_at(get_text(item, "sk")?)
                .ok_or_else(|| StoreError::Corrupt("not what waits".to_owned()))?;
            Ok((epoch, Parked { id: id.to_owned(), ..parked }))
        };
        answer.items.unwrap_or_default().iter().map(read).collect()
    }

    /// What was handed on does not wait any more.
    pub async fn unpark(
        &self,
        broadcast: &Broadcast,
        shard: u8,
        parked: &[(u32, Parked)],
    ) -> Result<(), StoreError> {
        let pk = keys::parked(&broadcast.campaign, broadcast.n, shard);
        let keys = parked.iter().map(|(epoch, parked)| key(&pk, keys::parked_at(*epoch, &parked.id)));
        self.delete_many(keys.collect()).await
    }

    /// Stores a broadcast by itself.
    pub async fn put_broadcast(&self, broadcast: &Broadcast) -> Result<Written, StoreError> {
        let item = broadcast_item(broadcast)?;
        match broadcast.version {
            0 => Ok(if self.put_once(item).await?.is_none() { Written::Done } else { Written::Conflict }),
            version => self.replace(item, version).await,
        }
    }

    /// The writes of a commit that have to do with campaigns.
    pub(crate) fn broadcast_writes(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
        let write = |broadcast: &Broadcast| {
            let put: Put = versioned_put(&self.table, broadcast_item(broadcast)?, broadcast.version)?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        commit.broadcasts.iter().map(write).collect()
    }
}

/// What the names of counters begin with, beside the other attributes.
const COUNTED: &str = "#";

/// What changes in a tally by a message as it shall be; nothing unless it counts as something else than it is stored as.
/// A claim is counted only where claims are allowed.
pub(crate) fn tally_write(message: &Message, table: &str) -> Result<Option<Update>, StoreError> {
    let Some(of) = &message.order.campaign else { return Ok(None) };
    let (now, before) = (names(message), &message.counted);
    let more = now.difference(before).map(|name| (name, 1));
    // What comes back of a message that is claimed already is counted whatever became of its broadcast.
    let claims = message.state == MessageState::Claimed && more.clone().any(|(name, _)| is_claim(name));
    let less = before.difference(&now).map(|name| (name, -1));
    let changes: Vec<(&String, i64)> = more.chain(less).collect();
    if changes.is_empty() {
        return Ok(None);
    }
    let id = message.id();
    let mut update = Update::builder().table_name(table).set_key(Some(tally_key(
        &message.order.cause.name,
        of.broadcast,
        of.shard(&id),
    )));
    let mut terms = Vec::new();
    for (at, (name, n)) in changes.into_iter().enumerate() {
        terms.push(format!("#n{at} :n{at}"));
        update = update
            .expression_attribute_names(format!("#n{at}"), format!("{COUNTED}{name}"))
            .expression_attribute_values(format!(":n{at}"), number(n));
    }
    update = update.update_expression(format!("ADD {}", terms.join(", ")));
    if claims {
        update = update.condition_expression("s = :open").expression_attribute_values(":open", text(OPEN));
    }
    update.build().map(Some).map_err(unbuilt)
}

fn tally_key(campaign: &str, n: u32, shard: u8) -> Item {
    key(keys::tally(campaign, n, shard), keys::TALLY)
}

fn section_key(broadcast: &Broadcast, part: u8) -> Item {
    key(keys::campaign(&broadcast.campaign), keys::section(broadcast.n, part))
}

fn broadcast_item(broadcast: &Broadcast) -> Result<Item, StoreError> {
    let mut item = key(keys::campaign(&broadcast.campaign), keys::broadcast(broadcast.n));
    item.insert("v".to_owned(), number(broadcast.version + 1));
    item.insert("d".to_owned(), document(broadcast)?);
    Ok(item)
}

fn read_broadcast(item: &Item) -> Result<Broadcast, StoreError> {
    let corrupt = || StoreError::Corrupt("not a broadcast".to_owned());
    let campaign = keys::parse_campaign(get_text(item, "pk")?).ok_or_else(corrupt)?.to_owned();
    let n = keys::parse_broadcast(get_text(item, "sk")?).ok_or_else(corrupt)?;
    let broadcast: Broadcast = get_document(item, "d")?;
    Ok(Broadcast { campaign, n, version: get_number(item, "v")?, ..broadcast })
}

fn read_section(item: &Item) -> Result<Section, StoreError> {
    let section: Section = get_document(item, "d")?;
    Ok(Section { version: get_number(item, "v")?, ..section })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_domain::campaign::OfCampaign;
    use sluice_domain::id::CustomerId;
    use sluice_domain::message::{Cause, CauseKind, Channel, Order};
    use sluice_domain::time::Timestamp;

    #[test]
    fn what_comes_back_of_a_message_is_counted_though_its_broadcast_is_paused_and_a_claim_is_not() {
        let now = Timestamp(1_795_692_000_000);
        let cause = Cause { kind: CauseKind::Campaign, name: "spring".to_owned(), part: "1".to_owned() };
        let customer = CustomerId::derived(&["ada"]);
        let mut order = Order::new(customer, now, cause, Channel::Email, "spring", "news");
        order.campaign = Some(OfCampaign {
            broadcast: 1,
            shards: 1,
            variant: None,
            held_out: false,
            audience: String::new(),
        });
        let mut message = Message::new(order, serde_json::Map::new());
        message.state = MessageState::Claimed;
        let claimed = tally_write(&message, "table").unwrap().unwrap();
        assert_eq!(claimed.condition_expression(), Some("s = :open"));
        message.counted = names(&message);
        message.trail.unsubscribed = Some(now);
        let left = tally_write(&message, "table").unwrap().unwrap();
        assert_eq!(left.condition_expression(), None);
    }
}
