//! `GET /api/ledger`: accepted = ended + in flight, counted, not remembered.

use crate::{Console, unavailable};
use futures::future::try_join_all;
use serde_json::{Value, json};
use sluice_domain::lead::LeadState;
use sluice_store::{LeadLine, Store, StoreError};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;

/// Segments of the parallel scan.
const SEGMENTS: i32 = 4;
/// Counts of a ledger that moves while it is read, before it is reported as it is.
const ATTEMPTS: usize = 4;

impl Console {
    pub(crate) async fn ledger(&self) -> Result<HttpResponse, Problem> {
        let mut report = self.count().await?;
        for _ in 1..ATTEMPTS {
            if report["adds_up"] == Value::Bool(true) {
                break;
            }
            report = self.count().await?;
        }
        Ok(HttpResponse::json(200, &report))
    }

    /// Two independent counts: the leads by state, and the sparse index of those that have not ended.
    async fn count(&self) -> Result<Value, Problem> {
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        let mut sources: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        let segments = (0..SEGMENTS).map(|segment| segment_lines(&self.store, segment));
        for line in try_join_all(segments).await.map_err(unavailable)?.concat() {
            *states.entry(line.state.name()).or_default() += 1;
            let source = sources.entry(line.source).or_default();
            *source.entry("accepted").or_default() += 1;
            *source.entry(line.state.name()).or_default() += 1;
        }
        let mut in_flight = BTreeMap::new();
        for state in LeadState::IN_FLIGHT {
            in_flight.insert(state.name(), self.store.count_open(state).await.map_err(unavailable)?);
        }
        let accepted: u64 = states.values().sum();
        let ended: BTreeMap<&str, u64> = LeadState::ALL
            .into_iter()
            .filter(|state| state.is_end())
            .map(|state| (state.name(), states.get(state.name()).copied().unwrap_or(0)))
            .collect();
        let adds_up = accepted == ended.values().sum::<u64>() + in_flight.values().sum::<u64>()
            && in_flight.iter().all(|(state, n)| states.get(state).copied().unwrap_or(0) == *n);
        Ok(json!({
            "accepted": accepted, "ended": ended, "in_flight": in_flight, "sources": sources, "adds_up": adds_up,
        }))
    }
}

async fn segment_lines(store: &Store, segment: i32) -> Result<Vec<LeadLine>, StoreError> {
    let mut lines = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.scan_ledger(segment, SEGMENTS, cursor.as_deref()).await?;
        lines.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(lines);
        }
    }
}
