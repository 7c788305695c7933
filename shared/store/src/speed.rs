//! Speed to lead: counters by day, source, team and rep. They are written with the first contact, see `commit.rs`.

use crate::item::{Item, get_text, text};
use crate::{Store, StoreError, keys};
use sluice_domain::speed::{Group, Histogram, Tally};

impl Store {
    /// First contacts of one month (`2026-11`) between two days of it, both counted, by group.
    pub async fn tallies(
        &self,
        month: &str,
        from_day: i8,
        to_day: i8,
    ) -> Result<Vec<(Group, Tally)>, StoreError> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", text(keys::speed(month)))
                .expression_attribute_values(":from", text(format!("{from_day:02}#")))
                // `$` follows `#`: every group of the last day lies before it.
                .expression_attribute_values(":to", text(format!("{to_day:02}$")))
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in answer.items.unwrap_or_default() {
                all.push(read_tally(&item)?);
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(all);
            }
        }
    }
}

fn read_tally(item: &Item) -> Result<(Group, Tally), StoreError> {
    let group = keys::parse_speed(get_text(item, "pk")?, get_text(item, "sk")?)
        .ok_or_else(|| StoreError::Corrupt("not a group of first contacts".to_owned()))?;
    let count = |name: &str| item.get(name).and_then(|value| value.as_n().ok()).and_then(|n| n.parse().ok());
    let buckets = |kind: char| {
        let counted = item.keys().filter_map(|name| {
            let bucket = name.strip_prefix(kind)?.parse().ok()?;
            Some((bucket, count(name)?))
        });
        Histogram(counted.collect())
    };
    let tally = Tally {
        elapsed: buckets('e'),
        working: buckets('w'),
        windowed: count("o").unwrap_or(0),
        within: count("i").unwrap_or(0),
    };
    Ok((group, tally))
}
