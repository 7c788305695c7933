//! `GET /api/ledger`: accepted = ended + in flight, counted, not remembered.

use crate::{Call, Console, no_such_cursor, unavailable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;
use serde_json::json;
use sluice_domain::id::LeadId;
use sluice_domain::lead::LeadState;
use sluice_domain::time::Timestamp;
use sluice_store::{LeadLine, StoreError};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;

/// Segments of the parallel scan.
const SEGMENTS: usize = 4;
/// After this many milliseconds an answer says what was counted so far, and where to go on.
const LONG_ENOUGH: i64 = 8_000;
/// Leads that disagree with the index, of which an answer tells at most.
const TOLD: usize = 20;

/// How far each segment is: nothing if it is done, the empty text if it has not begun.
type Places = [Option<String>; SEGMENTS];

/// What was counted.
#[derive(Default)]
struct Sheet {
    states: BTreeMap<LeadState, u64>,
    sources: BTreeMap<String, BTreeMap<&'static str, u64>>,
    batches: BTreeMap<String, BTreeMap<&'static str, u64>>,
    disagree: u64,
    told: Vec<LeadId>,
}

impl Sheet {
    fn add(&mut self, line: LeadLine) {
        *self.states.entry(line.state).or_default() += 1;
        let source = self.sources.entry(line.source).or_default();
        let batch = line.batch.map(|batch| self.batches.entry(batch).or_default());
        for counts in batch.into_iter().chain([source]) {
            *counts.entry("accepted").or_default() += 1;
            *counts.entry(line.state.name()).or_default() += 1;
        }
        if !line.is_in_its_place {
            self.disagree += 1;
            if self.told.len() < TOLD {
                self.told.push(line.id);
            }
        }
    }

    fn and(&mut self, other: Self) {
        other.states.into_iter().for_each(|(state, n)| *self.states.entry(state).or_default() += n);
        for (mine, others) in [(&mut self.sources, other.sources), (&mut self.batches, other.batches)] {
            for (name, counts) in others {
                let held = mine.entry(name).or_default();
                counts.into_iter().for_each(|(what, n)| *held.entry(what).or_default() += n);
            }
        }
        self.disagree += other.disagree;
        self.told.extend(other.told);
        self.told.truncate(TOLD);
    }

    /// Of these states how many there are of each.
    fn of(&self, is_meant: fn(LeadState) -> bool) -> BTreeMap<&'static str, u64> {
        let states = LeadState::ALL.into_iter().filter(|state| is_meant(*state));
        states.map(|state| (state.name(), self.states.get(&state).copied().unwrap_or(0))).collect()
    }
}

impl Console {
    /// Every lead's line says by itself whether it stands where its state belongs, so that a count is right of a ledger that
    /// moves meanwhile. What takes long is counted in parts: their sum is the ledger.
    pub(crate) async fn ledger(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let places = match call.query("cursor") {
            None => [const { Some(String::new()) }; SEGMENTS],
            Some(cursor) => read_places(&cursor).ok_or_else(no_such_cursor)?,
        };
        let began = self.env.clock.now();
        let segments = (0..).zip(places).map(|(segment, place)| self.segment(segment, place, began));
        let (mut sheet, mut places) = (Sheet::default(), Vec::new());
        for (counted, place) in try_join_all(segments).await.map_err(unavailable)? {
            sheet.and(counted);
            places.push(place);
        }
        let is_done = places.iter().all(Option::is_none);
        let cursor = (!is_done).then(|| URL_SAFE_NO_PAD.encode(json!(places).to_string()));
        let accepted: u64 = sheet.states.values().sum();
        Ok(HttpResponse::json(
            200,
            &json!({
                "accepted": accepted, "ended": sheet.of(LeadState::is_end), "in_flight": sheet.of(|state| !state.is_end()),
                "sources": sheet.sources, "imports": sheet.batches, "disagree": sheet.disagree, "leads": sheet.told,
                "adds_up": sheet.disagree == 0, "cursor": cursor,
            }),
        ))
    }

    /// What one segment holds from a place on, and where to go on.
    async fn segment(
        &self,
        segment: i32,
        mut place: Option<String>,
        began: Timestamp,
    ) -> Result<(Sheet, Option<String>), StoreError> {
        let mut sheet = Sheet::default();
        while let Some(at) = &place {
            let at = Some(at.as_str()).filter(|at| !at.is_empty());
            let page = self.store.scan_ledger(segment, SEGMENTS as i32, at).await?;
            page.items.into_iter().for_each(|line| sheet.add(line));
            place = page.next;
            if self.env.clock.now().since(began) > LONG_ENOUGH {
                break;
            }
        }
        Ok((sheet, place))
    }
}

fn read_places(cursor: &str) -> Option<Places> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}
