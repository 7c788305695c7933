//! What an entry counts.

use super::touch::{ad, campaign, is_first, origin, said, sender, text};
use super::{Counter, Credited, Key, Model, Worth, credit};
use crate::event::{Entry, Event, EventKind};
use crate::time::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Counters of one key.
pub type Counts = BTreeMap<Counter, i64>;
/// Counters by key.
pub type Sums = BTreeMap<Key, Counts>;

/// Counters by day, in UTC, and key. A sum: the same entries give the same in whatever order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<(Date, Key), Counts>);

impl Tallies {
    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys of a day something is counted of.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Counts `n` more.
    pub fn add(&mut self, day: Date, key: Key, counter: Counter, n: i64) {
        if n == 0 {
            return;
        }
        let at = (day, key);
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
        for ((day, key), counts) in other.0 {
            counts.into_iter().for_each(|(counter, n)| self.add(day, key.clone(), counter, n));
        }
    }

    /// What was counted, by day and key.
    pub fn iter(&self) -> impl Iterator<Item = (Date, &Key, &Counts)> {
        self.0.iter().map(|((day, key), counts)| (*day, key, counts))
    }

    /// What was counted between two days, both counted, by key.
    pub fn between(&self, from: Date, to: Date) -> Sums {
        let mut sums = Sums::new();
        for (_, key, counts) in self.iter().filter(|(day, _, _)| (from..=to).contains(day)) {
            let held = sums.entry(key.clone()).or_default();
            counts.iter().for_each(|(counter, n)| *held.entry(*counter).or_default() += n);
        }
        sums
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
    let on = day(event.at);
    let mut add = |day: Date, key: Option<Key>, counter: Counter| {
        if let Some(key) = key {
            tallies.add(day, key, counter, 1);
        }
    };
    let mut worked = |counter: Counter| {
        add(on, text(said, "rep").map(|rep| Key::Rep(rep.to_owned())), counter);
        add(on, text(said, "team").map(|team| Key::Team(team.to_owned())), counter);
    };
    match event.name.as_str() {
        "lead_captured" => {
            add(on, origin(said), Counter::Leads);
            add(on, ad(said), Counter::Leads);
        }
        "lead_assigned" => worked(Counter::Assigned),
        "lead_accepted" => worked(Counter::Accepted),
        "lead_closed" => worked(Counter::Closed),
        "lead_disqualified" => worked(Counter::Disqualified),
        "journey_entered" => add(began(said, event), journey(said), Counter::Entered),
        "journey_held_out" => add(began(said, event), journey(said), Counter::HeldOut),
        "journey_goal_reached" => {
            add(began(said, event), journey(said), reached(said));
        }
        "campaign_goal_reached" => {
            let broadcast = text(said, "broadcast_at").and_then(Timestamp::parse).unwrap_or(event.at);
            add(day(broadcast), campaign(said), reached(said));
        }
        "message_sent" => add(on, sender(said), Counter::Sent),
        "message_delivered" => add(on, sender(said), Counter::Delivered),
        "message_bounced" => add(on, sender(said), Counter::Bounced),
        "message_complained" => add(on, sender(said), Counter::Complained),
        "message_opened" if is_first(said) => add(on, sender(said), Counter::Opened),
        "message_clicked" if is_first(said) => add(on, sender(said), Counter::Clicked),
        "unsubscribed" => add(on, sender(said), Counter::Unsubscribed),
        _ => {}
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
    let owners =
        rep.iter().map(|rep| Key::Rep(rep.clone())).chain(team.iter().map(|team| Key::Team(team.clone())));
    for owner in owners {
        Worth::ALL
            .into_iter()
            .for_each(|kind| tallies.add(on, owner.clone(), Counter::Whole(kind), worth(kind)));
    }
    for kind in Worth::ALL {
        let amount = if kind == Worth::Revenue { worth(kind) } else { worth(kind) * THOUSAND };
        for model in Model::ALL {
            let counter = Counter::Credited(model, kind);
            if touches.is_empty() {
                tallies.add(on, Key::Nothing, counter, amount);
            }
            let shares = credit(model, touches, *at, amount, *half_life);
            for (touch, share) in touches.iter().zip(shares) {
                touch.keys().for_each(|key| tallies.add(on, key.clone(), counter, share));
            }
        }
    }
}

/// Orders and buyers are credited in thousandths.
pub(super) const THOUSAND: i64 = 1_000;
