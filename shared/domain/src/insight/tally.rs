//! What an entry counts.

use super::touch::{ad, campaign, is_first, origin, said, sender, text};
use super::{Cell, Counter, Credited, Key, Model, Touch, Worth, credit};
use crate::event::{Entry, Event, EventKind};
use crate::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Counters of one cell or key.
pub type Counts = BTreeMap<Counter, i64>;
/// Counters by key.
pub type Sums = BTreeMap<Key, Counts>;

/// Counters by day, in UTC, and cell. A sum: the same entries give the same in whatever order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<(Date, Cell), Counts>);

impl Tallies {
    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many cells of a day something is counted of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Counts `n` more.
    pub fn add(&mut self, day: Date, cell: Cell, counter: Counter, n: i64) {
        if n == 0 {
            return;
        }
        let at = (day, cell);
        let counts = self.0.entry(at.clone()).or_default();
        let held = counts.entry(counter).or_default();
        *held += n;
        if *held == 0 {
            counts.remove(&counter);
        }
        if counts.is_empty() {
            self.0.remove(&at);
        }
    }

    /// Counts what others counted.
    pub fn merge(&mut self, other: Self) {
        for ((day, cell), counts) in other.0 {
            counts.into_iter().for_each(|(counter, n)| self.add(day, cell.clone(), counter, n));
        }
    }

    /// What was counted, by day and cell.
    pub fn iter(&self) -> impl Iterator<Item = (Date, &Cell, &Counts)> {
        self.0.iter().map(|((day, cell), counts)| (*day, cell, counts))
    }
}

/// Adds what was counted of a cell to everything that it counts for.
pub fn roll_up(cell: &Cell, counts: &Counts, sums: &mut Sums) {
    cell.keys().for_each(|key| sum_up(key, counts, sums));
}

/// Adds what was counted of a key; nought, as when an order was cancelled on its day, makes no key of its own.
pub fn sum_up(key: &Key, counts: &Counts, sums: &mut Sums) {
    for (counter, n) in counts.iter().filter(|(_, n)| **n != 0) {
        *sums.entry(key.clone()).or_default().entry(*counter).or_default() += n;
    }
}

/// The day of an instant, in UTC.
pub fn day(at: Timestamp) -> Date {
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date()
}

/// What an entry counts: the event itself, what it led to, and what was credited of an order. Of most entries that is nothing.
pub fn tally(entry: &Entry) -> Tallies {
    let mut tallies = Tallies::default();
    if entry.event.kind == EventKind::Own {
        count(&entry.event, &mut tallies);
    }
    if !entry.led.happened.is_empty() {
        entry.events().skip(1).for_each(|event| count(&event, &mut tallies));
    }
    if let Some(credited) = &entry.led.credited {
        order(credited, day(entry.event.at), &mut tallies);
    }
    tallies
}

/// One event of our own. What a message did counts on its own day, what a run came to on the day on which the run began, what a
/// campaign came to on the day of its broadcast. What became of a campaign's messages its tallies count (`campaign::names`).
fn count(event: &Event, tallies: &mut Tallies) {
    let Some(said) = said(event) else { return };
    let today = day(event.at);
    let work = || Cell::work(text(said, "team"), text(said, "rep"));
    let of_sender = || sender(said).map(Cell::of);
    let of_run = || journey(said).map(Cell::of);
    let (on, cell, counter) = match event.name.as_str() {
        "lead_captured" => (today, origin(said).map(|key| Cell::origin(key, ad(said))), Counter::Leads),
        "lead_assigned" => (today, work(), Counter::Assigned),
        "lead_accepted" => (today, work(), Counter::Accepted),
        "lead_closed" => (today, work(), Counter::Closed),
        "lead_disqualified" => (today, work(), Counter::Disqualified),
        "journey_entered" => (began(said, event), of_run(), Counter::Entered),
        "journey_held_out" => (began(said, event), of_run(), Counter::HeldOut),
        "journey_goal_reached" => (began(said, event), of_run(), reached(said)),
        "campaign_goal_reached" => {
            let broadcast = text(said, "broadcast_at").and_then(Timestamp::parse).unwrap_or(event.at);
            (day(broadcast), campaign(said).map(Cell::of), reached(said))
        }
        "message_sent" => (today, of_sender(), Counter::Sent),
        "message_delivered" => (today, of_sender(), Counter::Delivered),
        "message_bounced" => (today, of_sender(), Counter::Bounced),
        "message_complained" => (today, of_sender(), Counter::Complained),
        "message_opened" if is_first(said) => (today, of_sender(), Counter::Opened),
        "message_clicked" if is_first(said) => (today, of_sender(), Counter::Clicked),
        "unsubscribed" => (today, of_sender(), Counter::Unsubscribed),
        _ => return,
    };
    if let Some(cell) = cell {
        tallies.add(on, cell, counter, 1);
    }
}

/// As what somebody counts who reached a goal.
fn reached(said: &Map<String, Value>) -> Counter {
    let is_held_out = said.get("held_out").and_then(Value::as_bool).unwrap_or_default();
    if is_held_out { Counter::HeldOutReached } else { Counter::Reached }
}

fn journey(said: &Map<String, Value>) -> Option<Key> {
    text(said, "journey").map(|journey| Key::Journey(journey.to_owned()))
}

/// The day on which the run began that tells of itself.
fn began(said: &Map<String, Value>, event: &Event) -> Date {
    day(text(said, "entered").and_then(Timestamp::parse).unwrap_or(event.at))
}

/// What an event about orders changed: to whoever owns the buyer as a whole, to what brought the buyer by each model.
fn order(credited: &Credited, on: Date, tallies: &mut Tallies) {
    let Credited { at, touches, orders, buyers, money, half_life, rep, team } = credited;
    let worth = |worth: Worth| match worth {
        Worth::Orders => *orders,
        Worth::Buyers => *buyers,
        Worth::Revenue => *money,
    };
    if let Some(owner) = Cell::work(team.as_deref(), rep.as_deref()) {
        Worth::ALL
            .into_iter()
            .for_each(|kind| tallies.add(on, owner.clone(), Counter::Whole(kind), worth(kind)));
    }
    for kind in Worth::ALL {
        let amount = if kind == Worth::Revenue { worth(kind) } else { worth(kind) * THOUSAND };
        for model in Model::ALL {
            let counter = Counter::Credited(model, kind);
            if touches.is_empty() {
                tallies.add(on, Cell::of(Key::Nothing), counter, amount);
            }
            let shares = credit(model, touches, *at, amount, *half_life);
            touches
                .iter()
                .map(Touch::cell)
                .zip(shares)
                .for_each(|(cell, share)| tallies.add(on, cell, counter, share));
        }
    }
}

/// Orders and buyers are credited in thousandths.
pub(super) const THOUSAND: i64 = 1_000;
