//! States and runs, each an item of its own beside the record: what changes with each event stays small.

use crate::commit::versioned_put;
use crate::item::{Item, document, get_document, get_number, get_text, key, number, text};
use crate::scan::page;
use crate::{Commit, Page, Store, StoreError, keys};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use sluice_domain::advance::State;
use sluice_domain::id::CustomerId;
use sluice_domain::journey::Run;
use std::collections::{BTreeMap, BTreeSet};

impl Commit {
    /// The state of a record as it shall be; its version is the one read, 0 for a new one.
    pub fn state(mut self, customer: &CustomerId, state: State) -> Self {
        self.states.push((customer.clone(), state));
        self
    }

    /// A run as it shall be; its version is the one read, 0 for a new one.
    pub fn run(mut self, customer: &CustomerId, journey: &str, run: Run) -> Self {
        self.runs.push((customer.clone(), journey.to_owned(), run));
        self
    }
}

impl Store {
    /// States of records; what is not there is not in the answer.
    pub async fn states(
        &self,
        ids: &BTreeSet<CustomerId>,
    ) -> Result<BTreeMap<CustomerId, State>, StoreError> {
        let wanted = ids.iter().map(|id| key(keys::customer(id), keys::STATE)).collect();
        let mut states = BTreeMap::new();
        for item in &self.get_many(wanted).await? {
            let id = CustomerId::parse(get_text(item, "pk")?);
            let id = id.ok_or_else(|| StoreError::Corrupt("not a customer id".to_owned()))?;
            states.insert(id, read_state(item)?);
        }
        Ok(states)
    }

    /// Every run of a record, by journey.
    pub async fn runs(&self, customer: &CustomerId) -> Result<Vec<(String, Run)>, StoreError> {
        let mut runs = Vec::new();
        let mut from = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                .expression_attribute_values(":pk", text(keys::customer(customer)))
                .expression_attribute_values(":sk", text(keys::RUNS))
                .consistent_read(true)
                .set_exclusive_start_key(from)
                .send()
                .await?;
            for item in answer.items.unwrap_or_default() {
                let journey = keys::parse_run(get_text(&item, "sk")?).unwrap_or_default().to_owned();
                runs.push((journey, read_run(&item)?));
            }
            from = answer.last_evaluated_key;
            if from.is_none() {
                return Ok(runs);
            }
        }
    }

    /// Runs of one journey in one segment of `segments` of the table, from `cursor` on.
    pub async fn scan_runs(
        &self,
        journey: &str,
        segment: i32,
        segments: i32,
        cursor: Option<&str>,
    ) -> Result<Page<(CustomerId, Run)>, StoreError> {
        let scan = self.scan(CustomerId::PREFIX, &keys::run(journey), (segment, segments), cursor)?;
        let read = |item: &Item| {
            let id = CustomerId::parse(get_text(item, "pk")?);
            let id = id.ok_or_else(|| StoreError::Corrupt("not a customer id".to_owned()))?;
            Ok((id, read_run(item)?))
        };
        page(scan, read).await
    }

    /// The writes of a commit that have to do with states and runs.
    pub(crate) fn standings_of(&self, commit: &Commit) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut items = Vec::new();
        for (customer, state) in &commit.states {
            let put = versioned_put(&self.table, state_item(customer, state)?, state.live.version)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        for (customer, journey, run) in &commit.runs {
            let mut item = key(keys::customer(customer), keys::run(journey));
            item.insert("v".to_owned(), number(run.version + 1));
            item.insert("d".to_owned(), document(run)?);
            let put = versioned_put(&self.table, item, run.version)?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        Ok(items)
    }
}

fn state_item(customer: &CustomerId, state: &State) -> Result<Item, StoreError> {
    let mut item = key(keys::customer(customer), keys::STATE);
    item.insert("v".to_owned(), number(state.live.version + 1));
    item.insert("d".to_owned(), document(&state.live)?);
    if !state.runs.is_empty() {
        item.insert("r".to_owned(), AttributeValue::Ss(state.runs.iter().cloned().collect()));
    }
    if !state.parts.is_empty() {
        item.insert("pt".to_owned(), text(&state.parts));
    }
    if !state.dated.is_empty() {
        item.insert("dt".to_owned(), text(&state.dated));
    }
    if !state.touches.is_empty() {
        item.insert("tc".to_owned(), document(&state.touches)?);
    }
    if !state.credits.is_empty() {
        item.insert("cr".to_owned(), document(&state.credits)?);
    }
    if !state.exposures.is_empty() {
        item.insert("xp".to_owned(), document(&state.exposures)?);
    }
    Ok(item)
}

pub(crate) fn read_state(item: &Item) -> Result<State, StoreError> {
    let mut live: sluice_domain::live::Live = get_document(item, "d")?;
    live.version = get_number(item, "v")?;
    let runs = item.get("r").and_then(|value| value.as_ss().ok()).cloned().unwrap_or_default();
    let dated = crate::item::optional_text(item, "dt").unwrap_or_default().to_owned();
    let parts = crate::item::optional_text(item, "pt").unwrap_or_default().to_owned();
    let touches = item.contains_key("tc").then(|| get_document(item, "tc")).transpose()?.unwrap_or_default();
    let credits = item.contains_key("cr").then(|| get_document(item, "cr")).transpose()?.unwrap_or_default();
    let exposures =
        item.contains_key("xp").then(|| get_document(item, "xp")).transpose()?.unwrap_or_default();
    Ok(State { live, runs: runs.into_iter().collect(), parts, dated, touches, credits, exposures })
}

pub(crate) fn read_run(item: &Item) -> Result<Run, StoreError> {
    let mut run: Run = get_document(item, "d")?;
    run.version = get_number(item, "v")?;
    Ok(run)
}
