//! A journey's document, ready to decide with.

use crate::calendar::{Calendar, LocalHours, Schedule, Zone};
use crate::condition::{Condition, ConditionError};
use crate::message::Channel;
use crate::policy::journey::{Act, Step, Until};
use crate::policy::{Journey, PolicySet};
use ring::digest;
use std::collections::{BTreeMap, BTreeSet};

/// A journey with its conditions compiled, its steps named and its hours looked up.
#[derive(Debug)]
pub struct Flow {
    journey: Journey,
    manifest: u64,
    version: String,
    names: Vec<String>,
    pub(super) entry: Option<Condition>,
    /// Of each trigger, where it has one.
    pub(super) triggers: Vec<Option<Condition>>,
    /// Of each exit, where it has one.
    pub(super) exits: Vec<Option<Condition>>,
    pub(super) goal: Option<Condition>,
    /// Of each step: of a branch one for each case, of `wait_for` one if it has it.
    pub(super) conditions: Vec<Vec<Option<Condition>>>,
    hours: BTreeMap<usize, Open>,
    channels: BTreeMap<usize, Channel>,
}

/// Hours of an `until_hours`.
#[derive(Debug)]
enum Open {
    /// The same for everybody.
    Fixed(Box<Schedule>),
    /// In everybody's own zone.
    Local(Box<LocalHours>, Option<Calendar>),
}

/// Why a journey cannot be used: a condition, by the path of its place in the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {error}", path.join("."))]
pub struct FlowError {
    /// `["steps", "2", "branch", "0", "when"]`.
    pub path: Vec<String>,
    /// What is wrong with it.
    pub error: ConditionError,
}

impl Flow {
    /// Compiles a journey among the other documents of its manifest.
    ///
    /// # Errors
    /// A condition that is none.
    pub(crate) fn compile(
        journey: &Journey,
        policies: &PolicySet,
        calendars: &BTreeMap<String, Calendar>,
    ) -> Result<Self, FlowError> {
        let one = |source: &Option<String>, path: &[&str]| match source {
            None => Ok(None),
            Some(source) => Condition::compile(source).map(Some).map_err(|error| FlowError {
                path: path.iter().map(|part| (*part).to_owned()).collect(),
                error,
            }),
        };
        let mut conditions = Vec::new();
        let (mut hours, mut channels) = (BTreeMap::new(), BTreeMap::new());
        for (at, step) in journey.steps.iter().enumerate() {
            let place = at.to_string();
            conditions.push(match &step.act {
                Act::Branch(cases) => cases
                    .iter()
                    .enumerate()
                    .map(|(case, of)| one(&of.when, &["steps", &place, "branch", &case.to_string(), "when"]))
                    .collect::<Result<_, _>>()?,
                Act::WaitFor(wait) => vec![one(&wait.when, &["steps", &place, "wait_for", "when"])?],
                _ => Vec::new(),
            });
            match &step.act {
                Act::UntilHours(Until::Team(name)) => {
                    let schedule = policies.team_schedule(name).unwrap_or_else(Schedule::always);
                    hours.insert(at, Open::Fixed(Box::new(schedule)));
                }
                Act::UntilHours(Until::Hours(local)) => {
                    let calendar = local.calendar.as_ref().and_then(|name| calendars.get(name));
                    hours.insert(at, Open::Local(Box::new(local.clone()), calendar.cloned()));
                }
                Act::Send(send) => {
                    let template = policies.templates.templates.get(&send.template);
                    let channel = send.channel.or(template.map(|template| template.channel));
                    channels.insert(at, channel.unwrap_or_default());
                }
                _ => {}
            }
        }
        let listed = |sources: Vec<&Option<String>>, root: &str| {
            let place = |at: usize| at.to_string();
            let mut list = Vec::new();
            for (at, source) in sources.into_iter().enumerate() {
                list.push(one(source, &[root, &place(at), "when"])?);
            }
            Ok(list)
        };
        Ok(Self {
            manifest: policies.version,
            version: version_of(journey),
            names: names(&journey.steps),
            entry: one(&journey.entry.when, &["entry", "when"])?,
            triggers: listed(journey.trigger.iter().map(|trigger| &trigger.when).collect(), "trigger")?,
            exits: listed(journey.exit.iter().map(|exit| &exit.when).collect(), "exit")?,
            goal: match &journey.goal {
                Some(goal) => one(&goal.when, &["goal", "when"])?,
                None => None,
            },
            conditions,
            hours,
            channels,
            journey: journey.clone(),
        })
    }

    /// The document.
    pub const fn journey(&self) -> &Journey {
        &self.journey
    }

    /// The manifest it is from.
    pub const fn manifest(&self) -> u64 {
        self.manifest
    }

    /// What tells versions of the document apart: a hash of all that decides what happens to whoever is in it. Pausing is no
    /// other version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The names of its steps, in order: the label, or else what the step does (`send.welcome`, a second one
    /// `send.welcome.2`).
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The place of the step of this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    pub(super) fn step(&self, at: usize) -> Option<(&Step, &str)> {
        self.journey.steps.get(at).zip(self.names.get(at).map(String::as_str))
    }

    /// Every condition of the journey that is looked at whenever the customer changes: its exits' and its goal's without an
    /// event.
    pub fn watched(&self) -> impl Iterator<Item = &Condition> {
        let exits = self.journey.exit.iter().zip(&self.exits);
        let exits = exits.filter(|(exit, _)| exit.event.is_none()).filter_map(|(_, when)| when.as_ref());
        exits.chain(self.goal_condition())
    }

    /// The condition that is its goal, where no event is.
    pub(crate) fn goal_condition(&self) -> Option<&Condition> {
        self.journey.goal.as_ref().filter(|goal| goal.event.is_none()).and(self.goal.as_ref())
    }

    /// The names of the events that make people enter.
    pub(crate) fn enters_on(&self) -> impl Iterator<Item = &str> {
        self.journey.trigger.iter().filter_map(|trigger| {
            trigger.event.as_deref().or(trigger.form.as_ref().map(|_| super::entry::LEAD_CAPTURED))
        })
    }

    /// The name of the event that is its goal.
    pub(crate) fn goal_event(&self) -> Option<&str> {
        self.journey.goal.as_ref()?.event.as_deref()
    }

    /// Every condition of the journey, wherever it is looked at.
    pub fn every_condition(&self) -> impl Iterator<Item = &Condition> {
        let of_steps = self.conditions.iter().flatten().flatten();
        let signs = self.triggers.iter().chain(&self.exits).flatten();
        self.entry.iter().chain(signs).chain(&self.goal).chain(of_steps)
    }

    /// The names of all events that may do something to somebody, in it or not.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        let journey = &self.journey;
        let triggers = journey.trigger.iter().filter_map(|trigger| {
            trigger.event.as_deref().or(trigger.form.as_ref().map(|_| super::entry::LEAD_CAPTURED))
        });
        let exits = journey.exit.iter().filter_map(|exit| exit.event.as_deref());
        let goal = journey.goal.iter().filter_map(|goal| goal.event.as_deref());
        let waits = journey.steps.iter().filter_map(|step| match &step.act {
            Act::WaitFor(wait) => Some(wait.event.as_str()),
            _ => None,
        });
        triggers.chain(exits).chain(goal).chain(waits)
    }

    /// The channel of a `send`.
    pub(super) fn channel(&self, at: usize) -> Channel {
        self.channels.get(&at).copied().unwrap_or_default()
    }

    /// The hours of an `until_hours`, for somebody who lives in `zone`.
    pub(super) fn hours(&self, at: usize, zone: impl FnOnce() -> Zone) -> Option<Schedule> {
        Some(match self.hours.get(&at)? {
            Open::Fixed(schedule) => (**schedule).clone(),
            Open::Local(hours, calendar) => Schedule::new(&hours.of(zone()), calendar.as_ref()),
        })
    }
}

/// Names for steps: see [`Flow::names`]. Labels have no dots and are no kinds of step, so none is like a name made here.
pub(crate) fn names(steps: &[Step]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let name = |step: &Step| match &step.label {
        Some(label) => label.clone(),
        None => {
            let plain = match (step.act.kind(), step.act.gist()) {
                (kind, gist) if gist.is_empty() => kind.to_owned(),
                (kind, gist) => format!("{kind}.{gist}"),
            };
            let mut name = plain.clone();
            let mut count = 1;
            while !taken.insert(name.clone()) {
                count += 1;
                name = format!("{plain}.{count}");
            }
            name
        }
    };
    steps.iter().map(name).collect()
}

/// SHA-256 over the document as it is stored, cut to 64 bits, in hexadecimal.
fn version_of(journey: &Journey) -> String {
    let text = serde_json::to_string(&journey.flow()).unwrap_or_default();
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
