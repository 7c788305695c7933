//! What people look at: rows with their counts, parts, costs and returns.

use super::measure::of;
use super::tally::THOUSAND;
use super::{Costs, Counter, Counts, Dimension, Key, Lift, Model, Part, Sums, Worth, lift};
use crate::speed::Tally;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What rows are made of besides counters.
#[derive(Clone, Copy, Debug)]
pub struct ReportWith<'a> {
    /// How orders are credited.
    pub model: Model,
    /// What was paid.
    pub costs: &'a Costs,
    /// First contacts, by source, team or rep: whatever the rows are of.
    pub speed: &'a BTreeMap<String, Tally>,
}

/// Rows, and what they have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report<R> {
    /// By name.
    pub rows: Vec<R>,
    /// Money that nothing known brought: it is in no row.
    pub unattributed: f64,
}

/// What orders came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Earned {
    /// Orders; parts of one where several had a part in it.
    pub orders: f64,
    /// People who had bought nothing before, likewise.
    pub buyers: f64,
    /// Money, in whole units of the currency.
    pub revenue: f64,
}

/// What became of messages. Parts are of those that went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Went out.
    pub sent: i64,
    /// Arrived.
    pub delivered: i64,
    /// Came back.
    pub bounced: i64,
    /// Were called spam.
    pub complained: i64,
    /// Were opened.
    pub opened: i64,
    /// Had a link that was followed.
    pub clicked: i64,
    /// Made somebody want no more.
    pub unsubscribed: i64,
    /// Part that arrived.
    pub delivery_rate: Option<f64>,
    /// Part that was opened.
    pub open_rate: Option<f64>,
    /// Part a link of which was followed.
    pub click_rate: Option<f64>,
    /// Part that made somebody want no more.
    pub unsubscribe_rate: Option<f64>,
}

/// A journey.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JourneyRow {
    /// Its name.
    pub journey: String,
    /// Runs that began.
    pub entered: i64,
    /// Runs that would have, and get nothing.
    pub held_out: i64,
    /// Of those that began: reached the goal.
    pub converted: i64,
    /// The part of these.
    pub conversion: Option<f64>,
    /// Compared with the hold-out.
    pub lift: Option<Lift>,
    /// Messages of all steps.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Orders that its messages brought.
    #[serde(flatten)]
    pub earned: Earned,
    /// Those of its steps that send.
    pub steps: Vec<StepRow>,
}

/// A step of a journey that sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// Its name.
    pub step: String,
    /// Its messages.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// Orders that they brought.
    #[serde(flatten)]
    pub earned: Earned,
}

/// A form, a source or an advertisement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRow {
    /// `source/contact`, `ad/google/spring`.
    pub source: String,
    /// Leads that were routed.
    pub leads: i64,
    /// First contacts, and how long they took: half of them at most so many seconds.
    pub contacted: u64,
    /// See [`Self::contacted`].
    pub seconds_to_contact: Option<f64>,
    /// Orders that it brought.
    #[serde(flatten)]
    pub earned: Earned,
    /// New buyers for each lead.
    pub conversion: Option<f64>,
    /// What was paid, if a document says so.
    pub cost: Option<f64>,
    /// For each lead.
    pub cost_per_lead: Option<f64>,
    /// For each new buyer.
    pub cost_per_buyer: Option<f64>,
    /// Revenue for each unit of cost.
    pub return_on_cost: Option<f64>,
}

/// A team or a rep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeopleRow {
    /// Its name.
    pub name: String,
    /// Leads that they were given.
    pub assigned: i64,
    /// Took on.
    pub accepted: i64,
    /// Worked to their end.
    pub closed: i64,
    /// Were none.
    pub disqualified: i64,
    /// First contacts.
    pub contacted: u64,
    /// Half of them took at most so many seconds.
    pub seconds_to_contact: Option<f64>,
    /// Nine of ten of them took at most so many seconds.
    pub seconds_to_contact_p90: Option<f64>,
    /// The part of those with a window that were in time.
    pub within_window: Option<f64>,
    /// Orders of people whom they owned then.
    #[serde(flatten)]
    pub earned: Earned,
    /// New buyers for each lead that they were given.
    pub conversion: Option<f64>,
}

/// Something that brought buyers, by every model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributionRow {
    /// `source/contact`, `step/welcome/send.welcome`.
    pub touch: String,
    /// What it brought, by model.
    pub by: BTreeMap<String, Earned>,
    /// What was paid for it, if a document says so.
    pub cost: Option<f64>,
    /// Revenue for each unit of cost, by model.
    pub return_on_cost: BTreeMap<String, f64>,
}

/// Journeys with their steps, by name.
pub fn journeys(sums: &Sums, with: ReportWith<'_>) -> Report<JourneyRow> {
    let names: BTreeSet<&String> = sums
        .keys()
        .filter_map(|key| match key {
            Key::Journey(journey) | Key::Step(journey, _) => Some(journey),
            _ => None,
        })
        .collect();
    let rows = names.into_iter().map(|name| journey(name, sums, with.model)).collect();
    Report { rows, unattributed: unattributed(sums, with.model) }
}

fn journey(name: &str, sums: &Sums, model: Model) -> JourneyRow {
    let counts = of(&Key::Journey(name.to_owned()), sums);
    let (entered, held_out) = (count(&counts, Counter::Entered), count(&counts, Counter::HeldOut));
    let converted = count(&counts, Counter::Reached);
    let part = |n: i64, of: i64| Part { n: n.max(0).unsigned_abs(), of: of.max(0).unsigned_abs() };
    let steps = sums.iter().filter_map(|(key, counts)| match key {
        Key::Step(journey, step) if journey == name => {
            Some(StepRow { step: step.clone(), delivery: delivery(counts), earned: credited(counts, model) })
        }
        _ => None,
    });
    JourneyRow {
        journey: name.to_owned(),
        entered,
        held_out,
        converted,
        conversion: rate(converted as f64, entered as f64),
        lift: lift(part(converted, entered), part(count(&counts, Counter::HeldOutReached), held_out)),
        delivery: delivery(&counts),
        earned: credited(&counts, model),
        steps: steps.collect(),
    }
}

/// Forms, sources and advertisements, those that cost something and brought nothing among them.
pub fn sources(sums: &Sums, with: ReportWith<'_>) -> Report<SourceRow> {
    let is_one = |key: &&Key| matches!(key.dimension(), Dimension::Source | Dimension::Ad);
    let keys: BTreeSet<&Key> = sums.keys().chain(with.costs.keys()).filter(is_one).collect();
    let row = |key: &Key| {
        let counts = of(key, sums);
        let speed = match key {
            Key::Source(name) => with.speed.get(name),
            _ => None,
        };
        let earned = credited(&counts, with.model);
        let leads = count(&counts, Counter::Leads);
        let cost = with.costs.of(key).map(money);
        SourceRow {
            source: key.to_string(),
            leads,
            contacted: speed.map_or(0, |speed| speed.elapsed.count()),
            seconds_to_contact: seconds(speed, 50),
            earned,
            conversion: rate(earned.buyers, leads as f64),
            cost,
            cost_per_lead: cost.and_then(|cost| cents(cost, leads as f64)),
            cost_per_buyer: cost.and_then(|cost| cents(cost, earned.buyers)),
            return_on_cost: cost.and_then(|cost| rate(earned.revenue, cost)),
        }
    };
    Report { rows: keys.into_iter().map(row).collect(), unattributed: unattributed(sums, with.model) }
}

/// Teams or reps.
pub fn people(dimension: Dimension, sums: &Sums, with: ReportWith<'_>) -> Report<PeopleRow> {
    let named = |key: &Key| match (dimension, key) {
        (Dimension::Team, Key::Team(name)) | (Dimension::Rep, Key::Rep(name)) => Some(name.clone()),
        _ => None,
    };
    let contacted = with.speed.keys().filter(|name| !name.is_empty()).cloned();
    let names: BTreeSet<String> = sums.keys().filter_map(named).chain(contacted).collect();
    let row = |name: String| {
        let key = if dimension == Dimension::Team { Key::Team(name.clone()) } else { Key::Rep(name.clone()) };
        let counts = of(&key, sums);
        let speed = with.speed.get(&name);
        let assigned = count(&counts, Counter::Assigned);
        let earned = Earned {
            orders: count(&counts, Counter::Whole(Worth::Orders)) as f64,
            buyers: count(&counts, Counter::Whole(Worth::Buyers)) as f64,
            revenue: money(count(&counts, Counter::Whole(Worth::Revenue))),
        };
        PeopleRow {
            assigned,
            accepted: count(&counts, Counter::Accepted),
            closed: count(&counts, Counter::Closed),
            disqualified: count(&counts, Counter::Disqualified),
            contacted: speed.map_or(0, |speed| speed.elapsed.count()),
            seconds_to_contact: seconds(speed, 50),
            seconds_to_contact_p90: seconds(speed, 90),
            within_window: speed.and_then(|speed| rate(speed.within as f64, speed.windowed as f64)),
            conversion: rate(earned.buyers, assigned as f64),
            earned,
            name,
        }
    };
    Report { rows: names.into_iter().map(row).collect(), unattributed: 0.0 }
}

/// Everything that brought buyers or cost something, by every model.
pub fn attribution(sums: &Sums, with: ReportWith<'_>) -> Report<AttributionRow> {
    let brings = |key: &&Key| {
        matches!(key.dimension(), Dimension::Source | Dimension::Ad | Dimension::Step | Dimension::Campaign)
    };
    // A campaign as a whole: its variants are places in its document, which may be another one by now.
    let whole = |key: &Key| match key {
        Key::Campaign(name, _) => Key::Campaign(name.clone(), None),
        key => key.clone(),
    };
    let keys: BTreeSet<Key> = sums.keys().chain(with.costs.keys()).filter(brings).map(whole).collect();
    let row = |key: &Key| {
        let counts = of(key, sums);
        let cost = with.costs.of(key).map(money);
        let by = Model::ALL.map(|model| (model.name().to_owned(), credited(&counts, model)));
        let returns =
            by.iter().filter_map(|(name, earned)| Some((name.clone(), rate(earned.revenue, cost?)?)));
        let return_on_cost = returns.collect();
        AttributionRow { touch: key.to_string(), by: by.into_iter().collect(), cost, return_on_cost }
    };
    Report { rows: keys.iter().map(row).collect(), unattributed: unattributed(sums, with.model) }
}

pub(super) fn count(counts: &Counts, counter: Counter) -> i64 {
    counts.get(&counter).copied().unwrap_or_default()
}

fn delivery(counts: &Counts) -> Delivery {
    Delivery::of(|counter| count(counts, counter))
}

impl Delivery {
    /// By what each counter says.
    pub(super) fn of(n: impl Fn(Counter) -> i64) -> Self {
        let sent = n(Counter::Sent);
        let part = |counter: Counter| rate(n(counter) as f64, sent as f64);
        Self {
            sent,
            delivered: n(Counter::Delivered),
            bounced: n(Counter::Bounced),
            complained: n(Counter::Complained),
            opened: n(Counter::Opened),
            clicked: n(Counter::Clicked),
            unsubscribed: n(Counter::Unsubscribed),
            delivery_rate: part(Counter::Delivered),
            open_rate: part(Counter::Opened),
            click_rate: part(Counter::Clicked),
            unsubscribe_rate: part(Counter::Unsubscribed),
        }
    }
}

pub(super) fn credited(counts: &Counts, model: Model) -> Earned {
    let of = |worth: Worth| count(counts, Counter::Credited(model, worth));
    let thousandths = |n: i64| n as f64 / THOUSAND as f64;
    Earned {
        orders: thousandths(of(Worth::Orders)),
        buyers: thousandths(of(Worth::Buyers)),
        revenue: money(of(Worth::Revenue)),
    }
}

pub(super) fn unattributed(sums: &Sums, model: Model) -> f64 {
    let counts = sums.get(&Key::Nothing).cloned().unwrap_or_default();
    money(count(&counts, Counter::Credited(model, Worth::Revenue)))
}

/// Hundredths in whole units.
fn money(hundredths: i64) -> f64 {
    hundredths as f64 / 100.0
}

/// To four digits behind the point.
pub(super) fn rate(part: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| (part / of * 10_000.0).round() / 10_000.0)
}

/// To two digits behind the point.
fn cents(amount: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| (amount / of * 100.0).round() / 100.0)
}

fn seconds(speed: Option<&Tally>, percent: u64) -> Option<f64> {
    let millis = speed?.elapsed.percentile(percent)?;
    Some((millis as f64 / 100.0).round() / 10.0)
}
