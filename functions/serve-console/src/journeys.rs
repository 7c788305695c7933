//! Who is in a journey, and where: counts over everybody.

use crate::behaviour::{SEGMENTS, run_view};
use crate::{Call, Console, unavailable};
use futures::future::try_join_all;
use serde_json::{Value, json};
use sluice_domain::journey::Run;
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;

/// Runs that are shown besides the counts.
const SAMPLE: usize = 20;
/// After this many milliseconds the answer says what was found so far.
const LONG_ENOUGH: i64 = 8_000;

/// Runs of one journey, counted.
#[derive(Default)]
struct Count {
    /// Who is in it, by step.
    steps: BTreeMap<String, u64>,
    /// Who is not any more, by how it ended.
    outcomes: BTreeMap<&'static str, u64>,
    goals: u64,
    sample: Vec<Value>,
    is_complete: bool,
}

impl Count {
    fn take(&mut self, run: &Run, shown: impl FnOnce() -> Value) {
        match (&run.ended, &run.place) {
            (Some(ended), _) => *self.outcomes.entry(ended.outcome.name()).or_default() += 1,
            (None, place) => {
                let step = place.as_ref().map(|place| place.step.clone()).unwrap_or_default();
                *self.steps.entry(step).or_default() += 1;
            }
        }
        self.goals += u64::from(run.goal.is_some());
        if self.sample.len() < SAMPLE {
            self.sample.push(shown());
        }
    }

    fn and(mut self, other: Self) -> Self {
        for (step, n) in other.steps {
            *self.steps.entry(step).or_default() += n;
        }
        for (outcome, n) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += n;
        }
        self.goals += other.goals;
        self.sample.extend(other.sample);
        self.sample.truncate(SAMPLE);
        self.is_complete &= other.is_complete;
        self
    }
}

impl Console {
    /// `GET /api/journeys/{name}`: how many are at each step, how many ended and how, and some of the runs, of those within
    /// reach; `?state=active` and `?state=ended` choose. Of everybody the newest run counts. Goes through the whole table, and
    /// says how far it came.
    pub(crate) async fn show_journey(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (name, policies) = (call.part(0), self.current().await?);
        let wants = match call.request.query_value("state").as_deref() {
            None => None,
            Some("active") => Some(true),
            Some("ended") => Some(false),
            Some(_) => {
                let detail = "`state` is `active` or `ended`; without it both are counted.";
                return Err(Problem::new(422, "state-unknown", detail).about("state"));
            }
        };
        let began = self.env.clock.now();
        let parts = (0..SEGMENTS).map(|segment| self.count_runs(call, segment, wants, began));
        let all = try_join_all(parts).await?.into_iter().reduce(Count::and).unwrap_or_default();
        let is_published = policies.journeys.contains_key(name);
        if !is_published && all.sample.is_empty() && all.is_complete {
            return Err(Problem::new(404, "no-such-journey", "There is no journey of this name."));
        }
        Ok(HttpResponse::json(
            200,
            &json!({
                "journey": name, "published": is_published, "active": all.steps.values().sum::<u64>(), "steps": all.steps,
                "ended": all.outcomes.values().sum::<u64>(), "outcomes": all.outcomes, "goals": all.goals,
                "complete": all.is_complete, "sample": all.sample,
            }),
        ))
    }

    async fn count_runs(
        &self,
        call: &Call,
        segment: i32,
        wants: Option<bool>,
        began: Timestamp,
    ) -> Result<Count, Problem> {
        let journey = call.part(0);
        let mut count = Count { is_complete: true, ..Count::default() };
        let mut cursor: Option<String> = None;
        loop {
            let page = self.store.scan_runs(journey, segment, SEGMENTS, cursor.as_deref()).await;
            let page = page.map_err(unavailable)?;
            let mut runs = page.items;
            runs.retain(|(_, run)| wants.is_none_or(|active| active == run.is_active()));
            let people = match call.sight.reach.is_everybody() {
                true => None,
                false => {
                    let ids = runs.iter().map(|(customer, _)| customer.clone()).collect();
                    Some(self.store.people(ids).await.map_err(unavailable)?)
                }
            };
            let in_reach = |id| {
                people.as_ref().is_none_or(|known| {
                    known.customers.get(id).is_some_and(|record| call.sight.has_person(known, record))
                })
            };
            for (customer, run) in &runs {
                if in_reach(customer) {
                    count.take(run, || run_view(customer, journey, run));
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(count);
            }
            if self.env.clock.now().since(began) > LONG_ENOUGH {
                return Ok(Count { is_complete: false, ..count });
            }
        }
    }
}
