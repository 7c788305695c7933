//! One person's way through a journey, on a clock that is turned by hand: the same decision as for real, of documents and a
//! person as they are given. Nothing goes out; every message is taken as sent.

use super::words::{details, title};
use super::{Change, Decision, Due, Flow, Given, Input, Reason, Run, Waits, What, advance, next_date};
use crate::customer::{Customer, Fact, Ownership, Whole};
use crate::event::{Event, EventKind};
use crate::id::{CustomerId, EventId};
use crate::live::{Deed, Happening, Instant, Live, Person, View, look};
use crate::policy::journey::Change as SegmentChange;
use crate::policy::{Period, PolicySet};
use crate::segment::Changed;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A play ends after so many inputs: somebody wrote a journey that goes round and round.
const MOST: usize = 5_000;

/// Somebody to play with: as a file says, or as the API shows a customer. What is not named here is not looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Somebody {
    /// `cu_…`; splits and hold-outs go by it. Absent is the same made-up one each time.
    pub id: Option<String>,
    /// What is known: values, or as the API shows them `{"value": …}`.
    pub profile: BTreeMap<String, Value>,
    /// The rep they belong to, or as the API shows it `{"rep": …}`.
    pub owner: Value,
    /// Tags: names, or as the API shows them.
    pub tags: Vec<Value>,
    /// The stage, or as the API shows it.
    pub stage: Value,
    /// What they do.
    pub events: Vec<Told>,
}

impl Somebody {
    /// What may be said of somebody.
    pub const FIELDS: [&'static str; 6] = ["id", "profile", "owner", "tags", "stage", "events"];
}

/// One thing somebody does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The event's name.
    pub event: String,
    /// When: a time, or how long after the beginning, `2d`; absent is at the beginning.
    #[serde(default)]
    pub at: Option<String>,
    /// What is said about it.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

/// What is played.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// The journey.
    pub journey: &'a str,
    /// With whom.
    pub person: &'a Somebody,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What happens at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    #[serde(serialize_with = "rfc3339")]
    pub at: Timestamp,
    /// The step, if one begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// In words.
    pub words: String,
}

fn rfc3339<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.rfc3339())
}

/// Plays a journey. Who does nothing that makes them enter, and has no day that does, is enrolled at the beginning.
///
/// # Errors
/// In words: there is no such journey, or the person cannot be read.
pub fn play(policies: &PolicySet, script: Script<'_>) -> Result<Vec<Line>, String> {
    let flow = policies.journeys.get(script.journey).ok_or_else(|| {
        let known: Vec<&str> = policies.journeys.keys().map(String::as_str).collect();
        format!("there is no journey `{}`; known: {}", script.journey, known.join(", "))
    })?;
    let events = events(script.person, script.from)?;
    let mut player = Player::new(policies, flow, script)?;
    player.play(&events, script);
    Ok(player.lines)
}

/// What this person does that nothing asks for by its name: not the journey, and no stage, score, segment or condition.
///
/// # Errors
/// In words: the time of an event cannot be read.
pub fn unread(policies: &PolicySet, script: Script<'_>) -> Result<BTreeSet<String>, String> {
    let flow = policies.journeys.get(script.journey);
    let hears_of = |key: &str| flow.is_some_and(|flow| flow.events().any(|name| name == key));
    let events = events(script.person, script.from)?;
    let others = events.iter().filter(|event| !policies.live.asks_for(event));
    Ok(others.map(Event::key).filter(|key| !hears_of(key)).collect())
}

/// Events in order, with their times.
fn events(person: &Somebody, from: Timestamp) -> Result<Vec<Event>, String> {
    let mut events = Vec::new();
    for (n, told) in person.events.iter().enumerate() {
        let at = match told.at.as_deref() {
            None => from,
            Some(text) => match (Period::parse(text), Timestamp::parse(text)) {
                (Ok(after), _) => from.plus_millis(after.millis()),
                (_, Some(at)) => at,
                _ => {
                    return Err(format!("`{text}` is no time: write it like `2d` or `2027-03-01T09:00:00Z`"));
                }
            },
        };
        let n = n.to_string();
        events.push(Event {
            id: EventId::derived(&["play", &n]),
            kind: EventKind::Track,
            name: told.event.clone(),
            source: "play".to_owned(),
            at,
            received: at,
            properties: told.properties.clone().into(),
            traits: Map::new().into(),
            context: Map::new().into(),
        });
    }
    events.sort_by(|a, b| a.order().cmp(&b.order()));
    Ok(events)
}

/// The word itself, or what stands in one of these places of what the API shows.
fn word(value: &Value, places: &[&str]) -> Option<String> {
    let inner = || places.iter().find_map(|place| value.get(place));
    match value.as_object().map_or(Some(value), |_| inner())? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(word) => Some(word.to_string()),
        _ => None,
    }
}

struct Player<'a> {
    policies: &'a PolicySet,
    flow: &'a Flow,
    customer: Customer,
    live: Live,
    run: Option<Run>,
    now: Timestamp,
    /// When time alone may change something.
    look: Option<Timestamp>,
    /// What is another than when the journey last heard of it.
    changed: Changed,
    lines: Vec<Line>,
}

impl<'a> Player<'a> {
    fn new(policies: &'a PolicySet, flow: &'a Flow, script: Script<'_>) -> Result<Self, String> {
        let Script { person, from, .. } = script;
        let id = match &person.id {
            None => CustomerId::derived(&["somebody"]),
            Some(id) => CustomerId::parse(id).ok_or_else(|| format!("`{id}` is no customer's id"))?,
        };
        let mut customer = Customer::new(id, from);
        for (name, value) in &person.profile {
            if let Some(value) = word(value, &["value"]) {
                customer
                    .facts
                    .insert(name.clone(), Fact { value: value.into(), at: from, said: None, tie: None });
            }
        }
        customer.owner = word(&person.owner, &["rep"]).map(|rep| Ownership { rep, team: None, since: from });
        let live = Live::new(&policies.live);
        let (run, look, changed, lines) = (None, None, Changed::default(), Vec::new());
        let mut player = Self { policies, flow, customer, live, run, now: from, look, changed, lines };
        for tag in person.tags.iter().filter_map(|tag| word(tag, &["tag", "name"])) {
            drop(player.does(&Deed::Tag { tag, until: None }));
        }
        if let Some(stage) = word(&person.stage, &["stage", "name"]) {
            drop(player.does(&Deed::Stage { stage }));
        }
        // What is so at the beginning did not happen now.
        drop(player.looks(Changed::everything()));
        player.changed = Changed::default();
        Ok(player)
    }

    fn play(&mut self, events: &[Event], script: Script<'_>) {
        let begins = self.flow.events().any(|name| events.iter().any(|event| event.key() == name));
        let mut date = self.next_date(script.from.plus_millis(-1));
        if !begins && date.is_none_or(|date| date > script.until) {
            self.input(&Input::Enrol { at: self.now });
        }
        let mut events = events.iter().peekable();
        for _ in 0..MOST {
            let due = self.run.as_ref().and_then(|run| run.due.clone());
            let event = events.peek().map(|event| event.at);
            let times = [event, date, self.look, due.as_ref().map(|due| due.at)];
            let Some(next) = times.into_iter().flatten().min().filter(|next| *next <= script.until) else {
                break;
            };
            self.now = self.now.max(next);
            if event == Some(next) {
                if let Some(event) = events.next() {
                    self.happens(event);
                }
            } else if date == Some(next) {
                self.input(&Input::Date { at: next });
                date = self.next_date(next);
            } else if self.look == Some(next) {
                self.look = None;
                let happenings = self.looks(Changed::time());
                self.follow(happenings);
            } else if let Some(Due { token, .. }) = due {
                self.input(&Input::Due(&token));
            }
        }
        self.now = script.until;
        self.stands();
    }

    fn stands(&mut self) {
        let place = self.run.as_ref().and_then(|run| run.place.clone());
        let words = match (place, &self.run) {
            (Some(place), _) => match place.waits {
                Waits::Until(until) => format!("Is at {}, until {until}.", place.step),
                Waits::ToBegin { .. } => format!("Is at {}.", place.step),
            },
            (None, Some(_)) => return,
            (None, None) => "Never entered.".to_owned(),
        };
        self.say(None, words);
    }

    fn say(&mut self, step: Option<String>, words: String) {
        self.lines.push(Line { at: self.now, step, words });
    }

    fn next_date(&self, after: Timestamp) -> Option<Timestamp> {
        self.seen(|view| next_date(self.flow, view, after))
    }

    fn seen<T>(&self, ask: impl FnOnce(&View<'_>) -> T) -> T {
        let person = Person { whole: Whole { root: &self.customer, halves: Vec::new() }, halves: Vec::new() };
        ask(&View::of(&person, &self.live, self.policies, self.now))
    }

    fn happens(&mut self, event: &Event) {
        self.say(None, format!("{} happens.", event.key()));
        let mut applied = self.live.apply(event, &self.policies.live, self.now);
        applied.happenings.extend(self.looks(applied.changed));
        let changed = std::mem::take(&mut self.changed);
        self.input(&Input::Event(event));
        self.changed.and(changed);
        self.follow(applied.happenings);
    }

    /// A look at what changed, which may change more.
    fn looks(&mut self, changed: Changed) -> Vec<Happening> {
        let person = Person { whole: Whole { root: &self.customer, halves: Vec::new() }, halves: Vec::new() };
        let found = look(&person, &mut self.live, self.policies, changed, self.now);
        self.look = self.look.into_iter().chain(found.next).min();
        self.changed.and(found.changed);
        found.happenings
    }

    fn does(&mut self, deed: &Deed) -> Vec<Happening> {
        let mut applied = self.live.do_now(deed, Instant::look(self.now), &self.policies.live, self.now);
        applied.happenings.extend(self.looks(applied.changed));
        applied.happenings
    }

    /// What a step changes.
    fn change(&mut self, change: &Change) -> Vec<Happening> {
        match change {
            Change::Set { fact, value } => {
                let value = word(value, &[]).unwrap_or_default();
                let fact_now = Fact { value: value.into(), at: self.now, said: None, tie: None };
                self.customer.facts.insert(fact.clone(), fact_now);
                self.looks(Changed::facts([fact.as_str()]))
            }
            Change::Tag { name, until } => self.does(&Deed::Tag { tag: name.clone(), until: *until }),
            Change::Untag(tag) => self.does(&Deed::Untag { tag: tag.clone() }),
            Change::Stage(stage) => self.does(&Deed::Stage { stage: stage.clone() }),
            Change::Interest(points) => {
                let reason = self.flow.journey().name.clone();
                self.does(&Deed::Points { points: *points, reason })
            }
        }
    }

    /// What came in is decided, what it changes is applied, and so on until nothing more is to be seen first.
    fn input(&mut self, input: &Input<'_>) {
        let mut decision = self.decide(input);
        loop {
            self.tell(&decision.why);
            self.run = decision.run;
            let mut happenings = Vec::new();
            for effect in &decision.effects {
                if let What::Change(change) = &effect.what {
                    happenings.extend(self.change(change));
                }
            }
            if decision.go_on {
                decision = self.decide(&Input::GoOn);
                self.told(&happenings);
            } else {
                return self.follow(happenings);
            }
        }
    }

    fn decide(&self, input: &Input<'_>) -> Decision {
        self.seen(|view| {
            let given = Given {
                customer: &self.customer.id,
                current: Some(self.flow),
                pinned: None,
                others: &[],
                sees: view,
                now: self.now,
            };
            advance(self.run.as_ref(), input, &given)
        })
    }

    fn tell(&mut self, why: &[Reason]) {
        for reason in why {
            match reason {
                Reason::Begun(step) => {
                    let at = self.flow.position(step);
                    let act = at.and_then(|at| self.flow.journey().steps.get(at)).map(|step| &step.act);
                    let mut words = act.map(title).unwrap_or_default();
                    let more = act.map(details).unwrap_or_default().join(", ");
                    if !more.is_empty() {
                        words = format!("{words} ({more})");
                    }
                    self.say(Some(step.clone()), words);
                }
                Reason::LooksFirst(_) => {}
                other => self.say(None, other.words()),
            }
        }
    }

    fn told(&mut self, happenings: &[Happening]) {
        for happening in happenings {
            let said = happening.properties();
            let said: Vec<String> = said
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, value)| {
                    let value = word(value, &[]).filter(|value| !value.is_empty())?;
                    Some(format!("{name} {value}"))
                })
                .collect();
            self.say(None, format!("{} ({}).", happening.name(), said.join(", ")));
        }
    }

    /// What happened meanwhile comes in too.
    fn follow(&mut self, happenings: Vec<Happening>) {
        self.told(&happenings);
        let changed = std::mem::take(&mut self.changed);
        let at = self.now;
        for happening in &happenings {
            match happening {
                Happening::Entered { segment } => {
                    self.input(&Input::Segment { name: segment, change: SegmentChange::Entered, at });
                }
                Happening::Left { segment } => {
                    self.input(&Input::Segment { name: segment, change: SegmentChange::Left, at });
                }
                Happening::StageChanged { to, .. } => self.input(&Input::Stage { to, at }),
                _ => {}
            }
        }
        // As for real: it looks if something is another that may end it.
        if self.policies.triggers.watching(&changed).contains(&self.flow.journey().name) {
            self.input(&Input::Changed);
        }
    }
}
