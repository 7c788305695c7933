//! `GET /api/insight/speed-to-lead`: how long leads waited for their first contact, from counters that are written with
//! the contacts. No lead is read.

use crate::{Call, Console, unavailable};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use sluice_domain::speed::{Group, Histogram, Tally};
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;

/// Days looked at unless told, and at most.
const USUAL_DAYS: i64 = 30;
const MOST_DAYS: i64 = 400;
const DAY_MS: i64 = 86_400_000;
/// Months read at the same time.
const AT_ONCE: usize = 4;

impl Console {
    /// `by=source|team|rep`, `since` and `until` (days in UTC, both counted; the last 30 unless told). A contact counts
    /// on its day. Percentiles are by nearest rank, off by less than 5 % or half a second.
    pub(crate) async fn speed_to_lead(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let query = |name: &str| call.request.query_value(name).filter(|value| !value.is_empty());
        let by = query("by").unwrap_or_else(|| "team".to_owned());
        let name_of: fn(Group) -> String = match by.as_str() {
            "source" => |group| group.source,
            "team" => |group| group.team,
            "rep" => |group| group.rep,
            _ => return Err(Problem::new(422, "by-unknown", "`by` is source, team or rep.").about("by")),
        };
        let day = |name: &'static str| match query(name) {
            None => Ok(None),
            Some(text) => read_day(&text).map(Some).ok_or_else(|| {
                Problem::new(422, "time-unreadable", "A day is written like 2027-03-01.").about(name)
            }),
        };
        let until = day("until")?.unwrap_or_else(|| midnight(self.env.clock.now()));
        let since = day("since")?.unwrap_or_else(|| until.plus_millis(-(USUAL_DAYS - 1) * DAY_MS));
        let days = until.since(since) / DAY_MS + 1;
        if !(1..=MOST_DAYS).contains(&days) {
            let detail = format!("`since` comes before `until`, by {MOST_DAYS} days at most.");
            return Err(Problem::new(422, "days-out-of-place", detail).about("since"));
        }
        let mut months: BTreeMap<String, (i8, i8)> = BTreeMap::new();
        for day in (0..days).map(|day| Group::day(since.plus_millis(day * DAY_MS))) {
            let month = months.entry(format!("{:04}-{:02}", day.year(), day.month()));
            month.or_insert((day.day(), day.day())).1 = day.day();
        }
        let read = months
            .into_iter()
            .map(|(month, (from, to))| async move { self.store.tallies(&month, from, to).await });
        let read: Vec<Vec<(Group, Tally)>> = stream::iter(read.collect::<Vec<_>>())
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(unavailable)?;
        let mut all = Tally::default();
        let mut groups: BTreeMap<String, Tally> = BTreeMap::new();
        let within = |(group, _): &(Group, Tally)| call.sight.reach.has_rep(&group.rep);
        for (group, tally) in read.into_iter().flatten().filter(within) {
            all.add(&tally);
            groups.entry(name_of(group)).or_default().add(&tally);
        }
        let rows: Vec<Value> = groups
            .iter()
            .map(|(name, tally)| {
                let mut row = figures(tally);
                row[by.as_str()] = if name.is_empty() { Value::Null } else { name.as_str().into() };
                row
            })
            .collect();
        Ok(HttpResponse::json(
            200,
            &json!({
                "by": by, "since": Group::day(since).to_string(), "until": Group::day(until).to_string(),
                "groups": rows, "all": figures(&all),
            }),
        ))
    }
}

fn figures(tally: &Tally) -> Value {
    let percentiles = |histogram: &Histogram| {
        let seconds =
            |percent| histogram.percentile(percent).map(|millis| (millis as f64 / 100.0).round() / 10.0);
        json!({"p50": seconds(50), "p90": seconds(90), "p99": seconds(99)})
    };
    let share = (tally.windowed > 0)
        .then(|| (tally.within as f64 / tally.windowed as f64 * 10_000.0).round() / 10_000.0);
    json!({
        "count": tally.elapsed.count(),
        "elapsed_seconds": percentiles(&tally.elapsed),
        "working_seconds": percentiles(&tally.working),
        "with_window": tally.windowed,
        "within_window": share,
    })
}

/// The beginning of a day, or of the day of an instant.
fn read_day(text: &str) -> Option<Timestamp> {
    let whole = (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
    // A count of seconds is no day.
    Timestamp::parse(whole.as_deref().unwrap_or(text)).filter(|_| text.contains('-')).map(midnight)
}

fn midnight(at: Timestamp) -> Timestamp {
    Timestamp(at.millis().div_euclid(DAY_MS) * DAY_MS)
}
