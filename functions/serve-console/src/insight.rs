//! `GET /api/insight/…`: what things came to. Speed to lead is read from counters that are written with the contacts, all else
//! from counters that are written with the entries of events; no lead and no customer is read.

use crate::{Call, Console, unavailable};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use sluice_domain::access::Reach;
use sluice_domain::insight::{
    Broadcasts, Cell, Costs, Day, Dimension, Key, Model, ReportWith, attribution, campaigns, day, journeys,
    people, sources,
};
use sluice_domain::policy::PolicySet;
use sluice_domain::speed::{Group, Histogram, Tally};
use sluice_domain::time::Timestamp;
use sluice_store::Counted;
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
        let by = call.query("by").unwrap_or_else(|| "team".to_owned());
        let name_of: fn(Group) -> String = match by.as_str() {
            "source" => |group| group.source,
            "team" => |group| group.team,
            "rep" => |group| group.rep,
            _ => return Err(Problem::new(422, "by-unknown", "`by` is source, team or rep.").about("by")),
        };
        let days = self.days(call, "since", "until")?;
        let groups = self.speed(days, name_of, &call.sight.reach).await?;
        let mut all = Tally::default();
        groups.values().for_each(|tally| all.add(tally));
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
                "by": by, "since": days.from.to_string(), "until": days.to.to_string(),
                "groups": rows, "all": figures(&all),
            }),
        ))
    }

    /// First contacts that reps within reach made on some days, by what `name_of` says.
    async fn speed(
        &self,
        days: Days,
        name_of: fn(Group) -> String,
        reach: &Reach,
    ) -> Result<BTreeMap<String, Tally>, Problem> {
        let read = days
            .months()
            .map(|(month, (from, to))| async move { self.store.tallies(&month, from, to).await });
        let read: Vec<Vec<(Group, Tally)>> = stream::iter(read.collect::<Vec<_>>())
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(unavailable)?;
        let mut groups: BTreeMap<String, Tally> = BTreeMap::new();
        let within = |(group, _): &(Group, Tally)| reach.has_rep(&group.rep);
        for (group, tally) in read.into_iter().flatten().filter(within) {
            groups.entry(name_of(group)).or_default().add(&tally);
        }
        Ok(groups)
    }

    /// The days that are asked for by two words of the query, both counted; the last 30 unless told.
    fn days(&self, call: &Call, since: &'static str, until: &'static str) -> Result<Days, Problem> {
        let read = |name: &'static str| match call.query(name) {
            None => Ok(None),
            Some(text) => read_day(&text).map(Some).ok_or_else(|| {
                Problem::new(422, "time-unreadable", "A day is written like 2027-03-01.").about(name)
            }),
        };
        let last = read(until)?.unwrap_or_else(|| self.env.clock.now());
        let first = read(since)?.unwrap_or_else(|| last.plus_millis(-(USUAL_DAYS - 1) * DAY_MS));
        let days = Days { from: day(first), to: day(last) };
        if !(1..=MOST_DAYS).contains(&days.count()) {
            let detail = format!("`{since}` comes before `{until}`, by {MOST_DAYS} days at most.");
            return Err(Problem::new(422, "days-out-of-place", detail).about(since));
        }
        Ok(days)
    }

    /// A report, with `from` and `to` (days in UTC, both counted; the last 30 unless told) and `model` (how orders are credited;
    /// `last` unless told). Of teams and reps those are shown that are within reach; the other reports are of the company as a whole
    /// and name nobody.
    pub(crate) async fn results(&self, call: &Call, of: Of) -> Result<HttpResponse, Problem> {
        let model = match call.query("model") {
            None => Model::default(),
            Some(name) => Model::parse(&name).ok_or_else(|| {
                let names = Model::ALL.map(Model::name).join(", ");
                Problem::new(422, "model-unknown", format!("`model` is one of {names}.")).about("model")
            })?,
        };
        let days = self.days(call, "from", "to")?;
        let Counted { mut sums, last } = self.counted(days, of.dimensions()).await?;
        let everybody = Reach::everybody();
        let reach = if of.is_of_people() { &call.sight.reach } else { &everybody };
        let is_within = |key: &Key| match key {
            Key::Team(name) => reach.has_team(name),
            Key::Rep(name) => reach.has_rep(name),
            _ => true,
        };
        sums.retain(|key, _| is_within(key));
        let speed = match of.speed() {
            Some(name_of) => self.speed(days, name_of, reach).await?,
            None => BTreeMap::new(),
        };
        let policies = self.current().await?;
        let costs = Costs::between(policies.costs.values(), days.from, days.to);
        let with = ReportWith { model, costs: &costs, speed: &speed };
        let report = match of {
            Of::Journeys => serde_json::to_value(journeys(&sums, with)),
            Of::Campaigns => {
                serde_json::to_value(campaigns(&sums, &self.went_out(days, &policies).await?, with))
            }
            Of::Sources => serde_json::to_value(sources(&sums, with)),
            Of::Teams => serde_json::to_value(people(Dimension::Team, &sums, with)),
            Of::Reps => serde_json::to_value(people(Dimension::Rep, &sums, with)),
            Of::Attribution => serde_json::to_value(attribution(&sums, with)),
        };
        let mut answer = report.map_err(|error| unavailable(error.into()))?;
        answer["report"] = of.name().into();
        answer["from"] = days.from.to_string().into();
        answer["to"] = days.to.to_string().into();
        answer["model"] = model.name().into();
        answer["currency"] = policies.settings.rfm.currency.clone().into();
        answer["counted"] = json!({
            "until": last.map(|(at, _)| at.rfc3339()),
            "late_seconds": last.map(|(at, received)| at.since(received).max(0) as f64 / 1000.0),
            "note": LATE,
        });
        Ok(HttpResponse::json(200, &answer))
    }

    /// Broadcasts of campaigns that began to go out on these days, with what their tallies say now.
    async fn went_out(
        &self,
        days: Days,
        policies: &PolicySet,
    ) -> Result<BTreeMap<String, Broadcasts>, Problem> {
        let mut went_out = BTreeMap::new();
        for (name, (document, _)) in &policies.campaigns {
            let all = self.store.all_broadcasts(name).await.map_err(unavailable)?;
            let meant = all
                .into_iter()
                .filter(|one| one.began.is_some() && (days.from..=days.to).contains(&day(one.at)));
            let meant: Vec<_> = meant.collect();
            let counts = meant.iter().map(|one| async move { self.store.counts(one).await });
            let counts: Vec<_> = stream::iter(counts.collect::<Vec<_>>())
                .buffered(AT_ONCE)
                .try_collect()
                .await
                .map_err(unavailable)?;
            let mut broadcasts = Broadcasts::default();
            for counts in &counts {
                broadcasts.n += 1;
                broadcasts.counts.merge(counts);
            }
            let newest = meant.into_iter().next().and_then(|one| one.document);
            broadcasts.document = newest.or_else(|| Some(document.clone()));
            went_out.insert(name.clone(), broadcasts);
        }
        Ok(went_out)
    }

    /// What was counted of some kinds of key.
    async fn counted(&self, days: Days, dimensions: &[Dimension]) -> Result<Counted, Problem> {
        let begin = Cell::counting_for_all(dimensions);
        let wanted = days
            .months()
            .flat_map(|(month, bounds)| begin.iter().map(move |begins| (month.clone(), bounds, begins)));
        let read = wanted
            .map(|(month, bounds, begins)| async move { self.store.counted(&month, bounds, begins).await });
        let read: Vec<Counted> = stream::iter(read.collect::<Vec<_>>())
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(unavailable)?;
        let mut all = Counted::default();
        read.into_iter().for_each(|counted| all.and(counted));
        Ok(all)
    }
}

/// How late counters are.
const LATE: &str = "Counters are exact: each event counts once, when it is taken from its queue. They are behind by the events \
                    that wait there; of the last one that counted, `late_seconds` is how long it had waited. What became of \
                    the messages of campaigns is of this instant.";

/// What a report is of.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Journeys,
    Campaigns,
    Sources,
    Teams,
    Reps,
    Attribution,
}

impl Of {
    const fn name(self) -> &'static str {
        match self {
            Self::Journeys => "journeys",
            Self::Campaigns => "campaigns",
            Self::Sources => "sources",
            Self::Teams => "teams",
            Self::Reps => "reps",
            Self::Attribution => "attribution",
        }
    }

    /// Whether its rows are people, who are seen by those who reach them.
    const fn is_of_people(self) -> bool {
        matches!(self, Self::Teams | Self::Reps)
    }

    /// The kinds of key that are read for it.
    const fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Journeys => &[Dimension::Journey, Dimension::Step, Dimension::Nothing],
            Self::Campaigns => &[Dimension::Campaign, Dimension::Nothing],
            Self::Sources => &[Dimension::Source, Dimension::Ad, Dimension::Nothing],
            Self::Teams => &[Dimension::Team],
            Self::Reps => &[Dimension::Rep],
            Self::Attribution => {
                &[Dimension::Source, Dimension::Ad, Dimension::Step, Dimension::Campaign, Dimension::Nothing]
            }
        }
    }

    /// Which name of a first contact its rows are of.
    fn speed(self) -> Option<fn(Group) -> String> {
        match self {
            Self::Sources => Some(|group| group.source),
            Self::Teams => Some(|group| group.team),
            Self::Reps => Some(|group| group.rep),
            Self::Journeys | Self::Campaigns | Self::Attribution => None,
        }
    }
}

/// Days in UTC, both counted.
#[derive(Clone, Copy)]
struct Days {
    from: Day,
    to: Day,
}

impl Days {
    fn count(self) -> i64 {
        i64::from((self.to - self.from).get_days()) + 1
    }

    /// The months, each with its first and its last day that are meant.
    fn months(self) -> impl Iterator<Item = (String, (i8, i8))> {
        let mut months: BTreeMap<String, (i8, i8)> = BTreeMap::new();
        let mut day = Some(self.from);
        while let Some(at) = day.filter(|at| *at <= self.to) {
            let month = months.entry(format!("{:04}-{:02}", at.year(), at.month()));
            month.or_insert((at.day(), at.day())).1 = at.day();
            day = at.tomorrow().ok();
        }
        months.into_iter()
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

/// A day, or an instant of it.
pub(crate) fn read_day(text: &str) -> Option<Timestamp> {
    let whole = (text.len() == 10).then(|| format!("{text}T00:00:00Z"));
    // A count of seconds is no day.
    Timestamp::parse(whole.as_deref().unwrap_or(text)).filter(|_| text.contains('-'))
}
