//! The way from step to step, up to the next wait.

use super::entry::{chance, holds};
use super::{
    Change, Due, Effect, Ended, Failed, Flow, Given, MAX_BETWEEN_WAITS, MAX_STEPS, Outcome, Place, Reason,
    Run, Told, Waits, What,
};
use crate::id::EventId;
use crate::message::{Cause, CauseKind, Order};
use crate::policy::journey::{Act, Case, Send, Step};
use crate::time::Timestamp;

/// During a pause a held run looks after 5 minutes whether it goes on, then ever less often, at last every 6 hours.
const LOOK_MS: i64 = 5 * 60_000;
const MAX_LOOK_MS: i64 = 6 * 3_600_000;

/// A run on its way.
pub(super) struct Walk<'a> {
    pub(super) given: &'a Given<'a>,
    /// The version of the journey that it goes by.
    pub(super) flow: &'a Flow,
    pub(super) run: Run,
    pub(super) told: &'a mut Tale,
    /// The run's time: of what moves it now.
    pub(super) clock: Timestamp,
    /// When that came to us.
    pub(super) asked: Timestamp,
    /// The event that moves it, if it is one.
    pub(super) by: Option<EventId>,
}

/// What a decision tells, whatever becomes of the run.
#[derive(Default)]
pub(super) struct Tale {
    pub(super) effects: Vec<Effect>,
    pub(super) why: Vec<Reason>,
    pub(super) go_on: bool,
    /// The customer is no longer what conditions see.
    changes: bool,
}

impl Tale {
    /// Something of a run itself happened.
    pub(super) fn tell(&mut self, n: u32, at: Timestamp, told: Told) {
        self.effects.push(Effect { part: format!("{n}.{}", told.event()), at, what: What::Told(told) });
    }
}

/// Where it goes after a step.
enum Next {
    /// To this step.
    At(usize),
    /// Nowhere for now.
    Stay,
}

impl Walk<'_> {
    fn paused(&self) -> bool {
        self.given.current.is_some_and(|flow| flow.journey().paused)
    }

    /// The step they are at.
    pub(super) fn here(&self) -> Option<(usize, Place)> {
        let place = self.run.place.clone()?;
        Some((self.flow.position(&place.step)?, place))
    }

    /// Begins steps from this one on, until one takes time.
    pub(super) fn go(&mut self, mut at: usize) {
        let looks = match &self.run.place {
            Some(Place { waits: Waits::ToBegin { looks }, .. }) => looks + 1,
            _ => 0,
        };
        self.run.due = None;
        if self.by.is_some() {
            self.run.moved_by = self.by.clone();
        }
        for _ in 0..MAX_BETWEEN_WAITS {
            let Some((step, name)) = self.flow.step(at) else { return self.end(Outcome::Completed) };
            if self.paused() {
                self.told.why.push(Reason::Held(name.to_owned()));
                return self.stay(name, Waits::ToBegin { looks });
            }
            if matches!(step.act, Act::Branch(_)) && self.told.changes {
                self.told.go_on = true;
                self.told.why.push(Reason::LooksFirst(name.to_owned()));
                return self.stay(name, Waits::ToBegin { looks: 0 });
            }
            if self.run.visits >= MAX_STEPS {
                return self.end(Outcome::Failed(Failed::TooManySteps));
            }
            self.run.visits += 1;
            self.told.why.push(Reason::Begun(name.to_owned()));
            match self.begin(at, step, name) {
                Next::At(next) => at = next,
                Next::Stay => return,
            }
        }
        self.end(Outcome::Failed(Failed::TooManySteps));
    }

    fn begin(&mut self, at: usize, step: &Step, name: &str) -> Next {
        let what = match &step.act {
            Act::Wait(length) => return self.wait(name, self.given.now.plus_millis(length.millis())),
            Act::WaitFor(wait) => return self.wait(name, self.given.now.plus_millis(wait.within.millis())),
            Act::UntilHours(_) => return self.until_open(at, name),
            Act::Branch(cases) => {
                let to = self.choose(at, cases, name);
                self.told.why.push(Reason::Chose(to.map(str::to_owned)));
                return match to {
                    Some(label) => self.jump(label),
                    None => Next::At(at + 1),
                };
            }
            Act::Split(arms) => {
                let total: u64 = arms.values().map(|weight| u64::from(*weight)).sum();
                let journey = &self.flow.journey().name;
                let mut ball = chance(&["split", journey, name, self.given.customer.as_str()]) % total.max(1);
                let arm = arms.iter().find(|(_, weight)| match ball.checked_sub(u64::from(**weight)) {
                    Some(rest) => {
                        ball = rest;
                        false
                    }
                    None => true,
                });
                let Some((label, _)) = arm else { return self.fail(Failed::NoSuchStep) };
                self.told.why.push(Reason::Chose(Some(label.clone())));
                return self.jump(label);
            }
            Act::Goto(label) => return self.jump(label),
            Act::End(_) => {
                self.end(Outcome::Completed);
                return Next::Stay;
            }
            Act::Set(facts) => {
                for (fact, value) in facts {
                    self.change(name, Change::Set { fact: fact.clone(), value: value.clone() });
                }
                return Next::At(at + 1);
            }
            Act::Send(send) => self.message(at, name, send),
            Act::Tag(tag) => What::Change(Change::Tag {
                name: tag.name.clone(),
                until: tag.length.map(|length| self.asked.plus_millis(length.millis())),
            }),
            Act::Untag(tag) => What::Change(Change::Untag(tag.clone())),
            Act::Stage(stage) => What::Change(Change::Stage(stage.clone())),
            Act::Score(points) => What::Change(Change::Interest(points.interest)),
            Act::Notify(notify) => What::Notify { to: notify.to.clone(), text: notify.text.clone() },
            Act::Task(task) => What::Task {
                to: task.to.clone(),
                title: task.title.clone(),
                due: task.within.map(|length| self.asked.plus_millis(length.millis())),
            },
            Act::Webhook(webhook) => What::Webhook { to: webhook.receiver(), facts: webhook.facts.clone() },
            Act::Enrol(journey) => What::Enrol(journey.clone()),
        };
        match what {
            What::Change(change) => self.change(name, change),
            what => {
                let part = self.part(name);
                self.effect(part, what);
            }
        }
        Next::At(at + 1)
    }

    fn jump(&mut self, label: &str) -> Next {
        match self.flow.position(label) {
            Some(at) => Next::At(at),
            None => self.fail(Failed::NoSuchStep),
        }
    }

    fn fail(&mut self, why: Failed) -> Next {
        self.end(Outcome::Failed(why));
        Next::Stay
    }

    fn choose<'c>(&mut self, at: usize, cases: &'c [Case], name: &str) -> Option<&'c str> {
        let flow = self.flow;
        let conditions = flow.conditions.get(at).map(Vec::as_slice).unwrap_or_default();
        let case = cases.iter().zip(conditions).find(|(case, condition)| {
            case.otherwise.is_some() || holds(condition.as_ref(), None, self.given, name, &mut self.told.why)
        });
        case.and_then(|(case, _)| case.label())
    }

    fn message(&self, at: usize, name: &str, send: &Send) -> What {
        let order = Order {
            customer: self.given.customer.clone(),
            at: self.asked,
            cause: Cause {
                kind: CauseKind::Journey,
                name: self.flow.journey().name.clone(),
                part: self.part(name),
            },
            channel: self.flow.channel(at),
            template: send.template.clone(),
            topic: send.topic.clone(),
            language: None,
            bulk: false,
            at_cap: send.at_cap,
            in_quiet_hours: send.in_quiet_hours,
            replacement: send.replacement.clone(),
            unknown: send.unknown,
            not_after: send.within.map(|length| self.given.now.plus_millis(length.millis())),
            campaign: None,
        };
        What::Send { order, event: self.run.by.clone() }
    }

    fn part(&self, name: &str) -> String {
        format!("{}.{}.{name}", self.run.n, self.run.visits)
    }

    fn effect(&mut self, part: String, what: What) {
        self.told.effects.push(Effect { part, at: self.asked, what });
    }

    fn change(&mut self, name: &str, change: Change) {
        self.told.changes = true;
        let part = self.part(name);
        self.effect(part, What::Change(change));
    }

    /// Something of the run itself happened.
    pub(super) fn tell(&mut self, told: Told) {
        self.told.tell(self.run.n, self.asked, told);
    }

    fn stay(&mut self, name: &str, waits: Waits) {
        self.run.place =
            Some(Place { step: name.to_owned(), since: self.clock, reached: self.given.now, waits });
    }

    fn wait(&mut self, name: &str, until: Timestamp) -> Next {
        self.told.why.push(Reason::Waits { step: name.to_owned(), until });
        self.stay(name, Waits::Until(until));
        Next::Stay
    }

    /// Goes on if it is open now, which is what counts here: not when it should have been asked.
    fn until_open(&mut self, at: usize, name: &str) -> Next {
        let open = self.flow.hours(at, || self.given.sees.zone());
        match open.map(|schedule| schedule.next_open(self.given.now)) {
            Some(Some(open)) if open <= self.given.now => Next::At(at + 1),
            Some(Some(open)) => self.wait(name, open),
            Some(None) => self.fail(Failed::NeverOpen),
            None => self.fail(Failed::NoSuchStep),
        }
    }

    /// The time of the step they are at is over.
    pub(super) fn over(&mut self) {
        let Some((at, place)) = self.here() else { return self.end(Outcome::Failed(Failed::NoSuchStep)) };
        let Some((step, name)) = self.flow.step(at) else { return };
        match &step.act {
            Act::WaitFor(wait) => {
                self.told.why.push(Reason::TimedOut(place.step));
                match &wait.otherwise {
                    None => self.go(at + 1),
                    Some(label) => match self.flow.position(label) {
                        Some(to) => self.go(to),
                        None => self.end(Outcome::Failed(Failed::NoSuchStep)),
                    },
                }
            }
            Act::UntilHours(_) => {
                self.run.due = None;
                if let Next::At(next) = self.until_open(at, name) {
                    self.told.why.push(Reason::Over(place.step));
                    self.go(next);
                }
            }
            _ => {
                self.told.why.push(Reason::Over(place.step));
                self.go(at + 1);
            }
        }
    }

    /// It is over for this person.
    pub(super) fn end(&mut self, outcome: Outcome) {
        self.told.why.push(Reason::Ended(outcome.clone()));
        if outcome != Outcome::HeldOut {
            self.tell(Told::Ended);
        }
        self.run.ended = Some(Ended { outcome, at: self.clock });
        self.run.place = None;
        self.run.due = None;
        self.told.go_on = false;
    }

    /// Sees to it that something wakes the run when its time comes, or when a condition that ends it may begin to hold.
    pub(super) fn arm(&mut self) {
        if !self.run.is_active() {
            return;
        }
        let now = self.given.now;
        let own = match self.run.place.as_ref().map(|place| place.waits) {
            Some(Waits::Until(until)) => until,
            Some(Waits::ToBegin { looks }) if self.paused() => {
                now.plus_millis((LOOK_MS << looks.min(10)).min(MAX_LOOK_MS))
            }
            _ => now,
        };
        let edges = self.flow.watched().filter_map(|condition| self.given.sees.edge(condition, now));
        let at = edges.chain([own]).min().unwrap_or(own);
        // One that comes too early looks again; that costs less than one for each event that moves the edge.
        if self.run.due.as_ref().is_some_and(|due| due.at <= at) {
            return;
        }
        self.run.dues += 1;
        let version = self.run.flow.get(..8).unwrap_or(&self.run.flow);
        let token = format!("{}.{}.{}.{version}", self.run.n, self.run.visits, self.run.dues);
        self.run.due = Some(Due { token, at });
    }
}
