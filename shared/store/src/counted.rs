//! Counters of results: by month, part, cell and day. They are added in the transaction that stores the entries they are counted
//! from, so they equal these for ever (I12).

use crate::commit::unbuilt;
use crate::entry::entry_put;
use crate::item::{Item, get_text, key, number, text};
use crate::{Commit, Store, StoreError, Written, keys};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use futures::future::try_join_all;
use sluice_domain::event::Entry;
use sluice_domain::id::CustomerId;
use sluice_domain::insight::{Counter, Counts, Sums, Tallies, roll_up, sum_up};
use sluice_domain::time::Timestamp;

/// What is counted of entries, and when.
#[derive(Clone, Debug)]
pub struct Counting {
    /// What.
    pub tallies: Tallies,
    /// Whose entries they are, which says in which part.
    pub home: CustomerId,
    /// When it is counted.
    pub at: Timestamp,
    /// When the first of them was received.
    pub received: Timestamp,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// By key: the cells and their days are rolled up as they are read, so that no more is held than keys are named.
    pub sums: Sums,
    /// When anything of it was counted last, and when that had been received.
    pub last: Option<(Timestamp, Timestamp)>,
}

impl Counted {
    /// What else was counted.
    pub fn and(&mut self, other: Self) {
        other.sums.iter().for_each(|(key, counts)| sum_up(key, counts, &mut self.sums));
        self.last = self.last.max(other.last);
    }
}

impl Commit {
    /// What the entries count.
    pub fn counting(mut self, counting: Counting) -> Self {
        self.counting = Some(counting);
        self
    }
}

impl Store {
    /// Puts entries that are all there is to store, with what they count: a conflict if one of them is there. Whoever calls keeps
    /// them standing, see [`Self::keep_standing`]: that costs less than a look at their records within the transaction.
    pub async fn count_entries(
        &self,
        entries: &[(CustomerId, Entry)],
        counting: &Counting,
    ) -> Result<Written, StoreError> {
        let puts = entries.iter().map(|(home, entry)| entry_put(&self.table, home, entry));
        let mut items = puts.collect::<Result<Vec<_>, _>>()?;
        items.extend(self.counting_writes(counting)?);
        self.transact(items).await
    }

    /// The writes that count.
    pub(crate) fn counting_writes(&self, counting: &Counting) -> Result<Vec<TransactWriteItem>, StoreError> {
        let part = keys::counter_part(&counting.home);
        let writes = counting.tallies.iter().map(|(day, cell, counts)| {
            let (pk, sk) = keys::counter(day, cell, part);
            let mut update = Update::builder()
                .table_name(&self.table)
                .set_key(Some(key(pk, sk)))
                .expression_attribute_values(":at", number(counting.at.millis()))
                .expression_attribute_values(":re", number(counting.received.millis()));
            let mut adds = Vec::new();
            for (n, (counter, more)) in counts.iter().enumerate() {
                adds.push(format!("#{n} :{n}"));
                update = update
                    .expression_attribute_names(format!("#{n}"), counter.name())
                    .expression_attribute_values(format!(":{n}"), number(more));
            }
            let expression = format!("SET ca = :at, re = :re ADD {}", adds.join(", "));
            let update = update.update_expression(expression).build().map_err(unbuilt)?;
            Ok(TransactWriteItem::builder().update(update).build())
        });
        writes.collect()
    }

    /// What was counted in a month (`2026-11`) between two days of it, both counted, of all cells that begin like this.
    pub async fn counted(
        &self,
        month: &str,
        (from_day, to_day): (i8, i8),
        begins: &str,
    ) -> Result<Counted, StoreError> {
        let parts =
            (0..keys::COUNTER_PARTS).map(|part| self.counted_in(month, part, (from_day, to_day), begins));
        let mut all = Counted::default();
        try_join_all(parts).await?.into_iter().for_each(|counted| all.and(counted));
        Ok(all)
    }

    async fn counted_in(
        &self,
        month: &str,
        part: u8,
        (from_day, to_day): (i8, i8),
        begins: &str,
    ) -> Result<Counted, StoreError> {
        let mut all = Counted::default();
        let mut from = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":pk", text(keys::counters(month, part)))
                .expression_attribute_values(":sk", text(begins))
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in answer.items.unwrap_or_default() {
                let (day, cell) = keys::parse_counter(get_text(&item, "pk")?, get_text(&item, "sk")?)
                    .ok_or_else(|| StoreError::Corrupt("not a counter".to_owned()))?;
                if !(from_day..=to_day).contains(&day.day()) {
                    continue;
                }
                roll_up(&cell, &read_counts(&item), &mut all.sums);
                let at = |name: &str| item.get(name).and_then(as_number).map(Timestamp);
                all.last = all.last.max(at("ca").zip(at("re")));
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(all);
            }
        }
    }
}

/// Counters of an item. What a newer version counts besides is left out.
fn read_counts(item: &Item) -> Counts {
    item.iter().filter_map(|(name, value)| Some((Counter::parse(name)?, as_number(value)?))).collect()
}

fn as_number(value: &AttributeValue) -> Option<i64> {
    value.as_n().ok().and_then(|n| n.parse().ok())
}
