//! What behaviour made of a customer, as people see it: stage, tags, scores with their reasons, segments, runs. And who would be
//! in a segment.

use crate::customers::no_such_customer;
use crate::{Call, Console, unavailable};
use futures::future::try_join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_domain::condition::Condition;
use sluice_domain::customer::Whole;
use sluice_domain::id::CustomerId;
use sluice_domain::journey::Run;
use sluice_domain::live::{View, see};
use sluice_domain::policy::{FieldMap, PolicySet};
use sluice_domain::segment::Preview;
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Parts of the table that are gone through at the same time.
pub(crate) const SEGMENTS: i32 = 4;
/// After this many milliseconds a preview says what it has found so far.
const LONG_ENOUGH: i64 = 8_000;

/// What is asked of a preview.
#[derive(Deserialize)]
struct Asked {
    /// The condition; without it that of the published segment.
    when: Option<String>,
}

impl Console {
    /// What behaviour made of a person, for their view.
    pub(crate) async fn behaviour(
        &self,
        call: &Call,
        whole: &Whole<'_>,
        policies: &PolicySet,
    ) -> Result<BTreeMap<&'static str, Value>, Problem> {
        let ids: BTreeSet<CustomerId> = whole.parts().map(|part| part.id.clone()).collect();
        let states = self.store.states(&ids).await.map_err(unavailable)?;
        let mut runs = Vec::new();
        for part in whole.parts() {
            for (journey, run) in self.store.runs(&part.id).await.map_err(unavailable)? {
                runs.push(run_view(&part.id, &journey, &run));
            }
        }
        let hidden = call.sight.mask.hidden_segments(policies);
        let now = self.env.clock.now();
        let mut shown =
            see(whole, |id| Some(&states.get(id)?.live), policies, now, |view| shown(view, &hidden));
        shown.insert("runs", runs.into());
        if let Some(settled) = shown.get_mut("qualification") {
            *settled = call.sight.members(settled.take(), &FieldMap::new());
        }
        Ok(shown)
    }

    /// `GET /api/customers/{id}/runs`: every run of a person, with where it stands.
    pub(crate) async fn show_runs(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (root, known) = self.find_person(call, call.part(0)).await?;
        let Some(record) = known.customers.get(&root) else { return Err(no_such_customer()) };
        let mut runs = Vec::new();
        for part in known.whole(record).parts() {
            for (journey, run) in self.store.runs(&part.id).await.map_err(unavailable)? {
                runs.push(run_view(&part.id, &journey, &run));
            }
        }
        Ok(HttpResponse::json(200, &json!({ "customer": root, "runs": runs })))
    }

    /// How many a segment holds, and some of them: of one that is published, or as `{"when": …}` says. Goes through all
    /// customers, and says how far it came.
    pub(crate) async fn preview_segment(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (asked, policies): (Asked, _) = (call.read()?, self.current().await?);
        let condition = match &asked.when {
            Some(source) => {
                let unreadable = |said: String| Problem::new(422, "condition-unreadable", said).about("when");
                let condition = Condition::compile(source).map_err(|error| unreadable(error.to_string()))?;
                if let Some(why) = condition.never_holds() {
                    return Err(unreadable(why));
                }
                condition
            }
            None => match policies.live.segments.get(call.part(0)) {
                Some(segment) => segment.condition.clone(),
                None => {
                    let said = "There is no segment of this name; `when` says what one would be.";
                    return Err(Problem::new(404, "no-such-segment", said));
                }
            },
        };
        // An answer to what is hidden would tell it.
        if call.sight.mask.hides_condition(&condition, &policies) {
            let said = "The condition reads facts that this token's role does not see.";
            return Err(Problem::new(403, "masked-fact", said).about("when"));
        }
        let began = self.env.clock.now();
        let parts =
            (0..SEGMENTS).map(|segment| self.preview_part(call, segment, &condition, &policies, began));
        let mut all = Preview::default();
        let mut is_complete = true;
        for (part, complete) in try_join_all(parts).await? {
            all.of += part.of;
            all.matching += part.matching;
            all.errors += part.errors;
            all.error = all.error.or(part.error);
            all.sample.extend(part.sample);
            is_complete &= complete;
        }
        all.sample.truncate(Preview::SAMPLE);
        Ok(HttpResponse::json(
            200,
            &json!({
                "matching": all.matching, "of": all.of, "complete": is_complete, "sample": all.sample,
                "errors": all.errors, "error": all.error,
            }),
        ))
    }

    async fn preview_part(
        &self,
        call: &Call,
        segment: i32,
        condition: &Condition,
        policies: &PolicySet,
        began: Timestamp,
    ) -> Result<(Preview, bool), Problem> {
        let mut preview = Preview::default();
        let mut cursor: Option<String> = None;
        loop {
            let page = self.store.scan_customers(segment, SEGMENTS, cursor.as_deref()).await;
            let page = page.map_err(unavailable)?;
            let now = self.env.clock.now();
            let people = self.store.people_of(page.items).await.map_err(unavailable)?;
            let ids: BTreeSet<CustomerId> = people.customers.keys().cloned().collect();
            let states = self.store.states(&ids).await.map_err(unavailable)?;
            for root in people.customers.values().filter(|record| record.into.is_none()) {
                if !call.sight.has_person(&people, root) {
                    continue;
                }
                see(
                    &people.whole(root),
                    |id| Some(&states.get(id)?.live),
                    policies,
                    now,
                    |view| {
                        preview.take(condition, view);
                    },
                );
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok((preview, true));
            }
            if now.since(began) > LONG_ENOUGH {
                return Ok((preview, false));
            }
        }
    }
}

/// All of it but for the segments whose members would tell what is hidden.
fn shown(view: &View<'_>, hidden: &BTreeSet<&str>) -> BTreeMap<&'static str, Value> {
    let (live, now, bought) = (view.live(), view.now(), view.bought());
    let tags = live
        .tags()
        .holding(now)
        .map(|(tag, until)| json!({ "tag": tag, "until": until.map(Timestamp::rfc3339) }));
    let fit = view.fit_lines().into_iter().map(|(why, points)| json!({ "why": why, "points": points }));
    let points = live.interest(now);
    let at = |seconds: i64| Timestamp::from_seconds(seconds).rfc3339();
    let interest =
        points.lines().iter().map(|(s, why, points)| json!({ "why": why, "points": points, "at": at(*s) }));
    let history =
        live.stage().history().iter().map(|(at, stage)| json!({ "stage": stage, "at": at.rfc3339() }));
    let segments = live.segments().filter(|(name, _)| !hidden.contains(&name[..]));
    let segments = segments.map(|(name, since)| json!({ "segment": name, "since": since.rfc3339() }));
    BTreeMap::from([
        ("stage", json!(Some(view.stage()).filter(|stage| !stage.is_empty()))),
        ("stages", history.collect()),
        ("tags", tags.collect()),
        (
            "scores",
            json!({
                "fit": { "points": view.fit(), "grade": view.fit_grade(), "why": fit.collect::<Vec<_>>() },
                "interest": {
                    "points": (view.interest() * 10.0).round() / 10.0,
                    "grade": view.interest_grade(),
                    "why": interest.collect::<Vec<_>>(),
                },
            }),
        ),
        (
            "orders",
            json!({
                "last": bought.last.map(Timestamp::rfc3339), "count": bought.orders,
                "money": bought.money as f64 / 100.0, "tier": view.tier(),
            }),
        ),
        ("churn", view.churn().name().into()),
        ("qualification", live.qualification().shown()),
        ("segments", segments.collect()),
        ("last_active", json!(live.last().map(Timestamp::rfc3339))),
    ])
}

/// A run as people see it.
pub(crate) fn run_view(customer: &CustomerId, journey: &str, run: &Run) -> Value {
    let place = run.place.as_ref();
    json!({
        "journey": journey,
        "record": customer,
        "run": run.n,
        "version": run.flow,
        "entered": run.entered.rfc3339(),
        "state": if run.is_active() { "active" } else { "ended" },
        "step": place.map(|place| &place.step),
        "since": place.map(|place| place.reached.rfc3339()),
        "due": run.due.as_ref().map(|due| due.at.rfc3339()),
        "outcome": run.ended.as_ref().map(|ended| ended.outcome.name()),
        "ended": run.ended.as_ref().map(|ended| ended.at.rfc3339()),
        "goal": run.goal.map(Timestamp::rfc3339),
    })
}
