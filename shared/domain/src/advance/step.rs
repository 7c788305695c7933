//! What one thing leads to, until nothing more follows: counts, then segments and stages, then journeys, whose changes may
//! begin it all again.

mod effects;

use super::mind::{Mind, wake_of};
use super::{Entry, Wake};
use crate::customer::Place;
use crate::event::{Event, Led, Moved, Own, Who};
use crate::id::{CustomerId, EventId};
use crate::journey::{self, Given, Input};
use crate::live::{Happening, Look, look};
use crate::policy::journey::Change;
use crate::segment::{Changed, Input as Read};
use crate::time::Timestamp;
use serde_json::Value;
use std::collections::VecDeque;

/// How much may follow from one thing: what is published chases itself if it gets so far.
const MOST: usize = 100;
/// How often a run may look at what it has just changed, and go on, in one decision.
const LOOKS: usize = 20;
/// A day that makes people enter is over after this, in milliseconds.
const DAY_MS: i64 = 24 * 3_600_000;

/// Something that follows.
enum Signal {
    /// What came in.
    Event(Event),
    /// An event of our own, with what else it is.
    Own(Own, Option<Kind>),
    /// Something that journeys may watch.
    Changed(Changed),
    /// A journey enrols the person into another.
    Enrol(String, Timestamp),
    /// A date of theirs has come.
    Date(String, Timestamp),
    /// A run's time has come.
    Due(CustomerId, String, String),
}

/// What an event of our own is besides.
enum Kind {
    Segment(String, Change),
    Stage(String),
}

/// One thing and what it has led to so far.
struct Work {
    root: CustomerId,
    cause: EventId,
    /// When what follows happened: what an event leads to, when the event did.
    at: Timestamp,
    led: Led,
    signals: VecDeque<Signal>,
    /// When to look again.
    next: Option<Timestamp>,
    /// Whether dates that are waited for may be others.
    dates: bool,
}

impl Work {
    fn new(root: CustomerId, cause: EventId, at: Timestamp) -> Self {
        let signals = VecDeque::new();
        Self { root, cause, at, led: Led::default(), signals, next: None, dates: false }
    }

    fn own(&mut self, name: &str, properties: Value, kind: Option<Kind>) {
        let properties = properties.as_object().cloned().unwrap_or_default();
        self.signals.push_back(Signal::Own(Own { name: name.to_owned(), at: self.at, properties }, kind));
    }

    fn happened(&mut self, happenings: Vec<Happening>) {
        for happening in happenings {
            let kind = match &happening {
                Happening::Entered { segment } => Some(Kind::Segment(segment.clone(), Change::Entered)),
                Happening::Left { segment } => Some(Kind::Segment(segment.clone(), Change::Left)),
                Happening::StageChanged { to, .. } => Some(Kind::Stage(to.clone())),
                _ => None,
            };
            self.own(happening.name(), happening.properties(), kind);
        }
    }

    /// What a look found; journeys may watch any of it.
    fn found(&mut self, found: Look) {
        self.look_at(found.next);
        self.happened(found.happenings);
        self.signals.push_back(Signal::Changed(found.changed));
    }

    fn look_at(&mut self, next: Option<Timestamp>) {
        self.next = [self.next, next].into_iter().flatten().min();
    }
}

impl Mind<'_> {
    /// An event of a person.
    pub(super) fn happen(&mut self, place: &Place, event: &Event, mut changed: Changed) -> Led {
        let mut work = Work::new(place.root.clone(), event.id.clone(), event.at);
        self.events.insert(event.id.clone(), event.clone());
        work.signals.push_back(Signal::Event(event.clone()));
        changed.and(self.joined(&place.root));
        changed.and(self.brought(place, event));
        if let Some(lead) = event.captured()
            && let Some(found) = self.look_before(place, &lead)
        {
            work.found(found);
        }
        let bought = self.bought(place, event);
        if self.with.policies.live.reads(event) && self.ensure(&place.home) {
            changed.and(self.apply(&place.home, event, &mut work));
        }
        work.led.credited = bought.and_then(|before| self.credit(place, event, before));
        self.touch(place, event);
        self.goals(&mut work, event);
        self.expose(place, event);
        self.one_run_each(&mut work);
        self.look(&mut work, changed);
        self.settle(&mut work);
        self.finish(work)
    }

    /// Something is due. The receipt, if it led to anything.
    pub(super) fn due(&mut self, wake: &Wake) -> Option<(CustomerId, Entry)> {
        let now = self.with.now;
        if !self.lives(&wake.customer) {
            return None;
        }
        // A look that a person's word asked for is due as it comes, however far the clock of whoever asked is ahead: put back, it would
        // lie where the record's own check does.
        if now < wake.at && !wake.is_joined() {
            self.put(wake.clone());
            return None;
        }
        let cause = wake.event(now);
        let mut work = Work::new(self.stitch.root(&wake.customer), cause.id.clone(), now);
        match &wake.journey {
            None if wake.is_pass() => {
                for (id, journey) in self.active(&work.root) {
                    self.drive(&mut work, &id, &journey, Input::Publish);
                }
                self.days(&mut work);
                drop(self.joined(&work.root));
                self.look(&mut work, Changed::everything());
            }
            // Also of who was taken out: their state stands as it was when they gave way.
            None if wake.is_joined() => {
                drop(self.joined(&work.root));
                self.look(&mut work, Changed::everything());
            }
            None => {
                if !self.ensure(&wake.customer) || !self.woke(wake) {
                    return None;
                }
                self.days(&mut work);
                let mut changed = self.joined(&work.root);
                changed.and(Changed::time());
                self.look(&mut work, changed);
            }
            Some(journey) => {
                let run = self.run(&wake.customer, journey)??;
                let due = run.due.as_ref()?;
                if due.token != wake.token {
                    // What is waited for now may not have been put as due.
                    self.put(wake_of(&wake.customer, journey, due));
                    return None;
                }
                let (customer, token) = (wake.customer.clone(), wake.token.clone());
                work.signals.push_back(Signal::Due(customer, journey.clone(), token));
                let changed = self.joined(&work.root);
                self.look(&mut work, changed);
            }
        }
        self.one_run_each(&mut work);
        self.settle(&mut work);
        let led = self.finish(work);
        let who = Who::Customer(wake.customer.clone());
        let entry = Entry::of(&who, &cause, self.with.policies.version, led);
        (!entry.led.is_empty()).then(|| (wake.customer.clone(), entry))
    }

    /// Whether the wake is the one that is waited for.
    fn woke(&mut self, wake: &Wake) -> bool {
        let Some(state) = self.states.get_mut(&wake.customer) else { return false };
        if state.live.woke(&wake.token) {
            return true;
        }
        let waits = state.live.waits_for().and_then(|token| Some((token.parse().ok()?, token)));
        if let Some((at, token)) = waits {
            self.put(Wake { customer: wake.customer.clone(), journey: None, token, at: Timestamp(at) });
        }
        false
    }

    fn put(&mut self, wake: Wake) {
        self.wakes.insert((wake.customer.clone(), wake.journey.clone()), wake);
    }

    /// What an event changes in the state of a record.
    fn apply(&mut self, id: &CustomerId, event: &Event, work: &mut Work) -> Changed {
        let Some(state) = self.states.get_mut(id) else { return Changed::default() };
        let applied = state.live.apply(event, &self.with.policies.live, self.with.now);
        work.happened(applied.happenings);
        applied.changed
    }

    /// Looks at whatever reads what changed.
    fn look(&mut self, work: &mut Work, changed: Changed) {
        if changed.is_empty() {
            return;
        }
        let (policies, now) = (self.with.policies, self.with.now);
        let is_date = |input: &Read| {
            let name = match input {
                Read::Fact(name) => name,
                _ => return false,
            };
            policies.triggers.date_facts.contains(name) || name == "time_zone" || name == "country"
        };
        work.dates |= changed.everything || changed.time || changed.inputs.iter().any(is_date);
        let mut found = Look { changed: changed.clone(), ..Look::default() };
        if !policies.live.index.is_empty() || changed.time {
            let seen = self.with_person(&work.root.clone(), |person, state| {
                look(person, &mut state.live, policies, changed, now)
            });
            found = seen.unwrap_or(found);
        }
        work.found(found);
    }

    /// Takes what follows, one after the other.
    fn settle(&mut self, work: &mut Work) {
        let mut steps = 0;
        while let Some(signal) = work.signals.pop_front() {
            steps += 1;
            if steps > MOST {
                work.led.cut = true;
                return;
            }
            match signal {
                Signal::Event(event) => self.tell(work, &event),
                Signal::Own(own, kind) => self.own(work, own, kind),
                Signal::Changed(changed) => self.changed(work, &changed),
                Signal::Enrol(journey, at) => self.drive_one(work, &journey, Input::Enrol { at }),
                Signal::Date(journey, at) => self.drive_one(work, &journey, Input::Date { at }),
                Signal::Due(id, journey, token) => self.drive(work, &id, &journey, Input::Due(&token)),
            }
        }
    }

    /// Journeys hear of what changed: those that the person is in, and for their goal those that the person was in or gets
    /// nothing of.
    fn changed(&mut self, work: &mut Work, changed: &Changed) {
        let triggers = &self.with.policies.triggers;
        let (watching, hoping) = (triggers.watching(changed), triggers.hoping(changed));
        let active = self.active(&work.root);
        for (id, journey) in active.iter().filter(|(_, journey)| watching.contains(journey)) {
            self.drive(work, id, journey, Input::Changed);
        }
        for journey in hoping.iter().filter(|name| active.iter().all(|(_, journey)| journey != *name)) {
            self.drive_over(work, 0, journey, &Input::Changed);
        }
    }

    /// What may be the goal of runs that are over comes in for them: of the person's records but the first so many.
    fn drive_over(&mut self, work: &mut Work, but: usize, journey: &str, input: &Input<'_>) {
        for id in self.ids(&work.root).into_iter().skip(but) {
            let run = self.run(&id, journey).flatten();
            if run.is_some_and(|run| run.is_over_without_goal()) {
                self.drive(work, &id, journey, input.clone());
            }
        }
    }

    /// An event of our own: it counts like every other, and journeys hear of it.
    fn own(&mut self, work: &mut Work, own: Own, kind: Option<Kind>) {
        let event = own.event(&work.cause, work.led.happened.len());
        work.led.happened.push(own);
        self.events.insert(event.id.clone(), event.clone());
        if self.with.policies.live.reads(&event) && self.ensure(&work.root) {
            let changed = self.apply(&work.root.clone(), &event, work);
            self.look(work, changed);
        }
        self.goals(work, &event);
        self.tell(work, &event);
        let triggers = &self.with.policies.triggers;
        match kind {
            Some(Kind::Segment(name, change)) => {
                for journey in triggers.on_segment(&name, change) {
                    let at = work.at;
                    self.drive_one(work, journey, Input::Segment { name: &name, change, at });
                }
            }
            Some(Kind::Stage(to)) => {
                for journey in triggers.on_stage(&to) {
                    let at = work.at;
                    self.drive_one(work, journey, Input::Stage { to: &to, at });
                }
            }
            None => {}
        }
    }

    /// Campaigns hear of an event, if it is what they are for.
    fn goals(&mut self, work: &mut Work, event: &Event) {
        for exposure in self.reached(&work.root.clone(), event) {
            work.own("campaign_goal_reached", exposure.reached(), None);
        }
    }

    /// Journeys hear of an event: those that it may begin, and those that the person is in.
    fn tell(&mut self, work: &mut Work, event: &Event) {
        let key = event.key();
        let active = self.active(&work.root);
        if let Some((stopped, part)) = event.stops() {
            for (id, journey) in active.iter().filter(|(_, journey)| journey == stopped) {
                self.drive(work, id, journey, Input::Stopped { part, at: event.at });
            }
        }
        for (id, journey) in &active {
            let flow = self.with.policies.journeys.get(journey);
            let hears = flow.is_some_and(|flow| flow.events().any(|name| name == key));
            let run = self.run(id, journey).flatten();
            if hears || journey::needs(run.as_ref(), flow).is_some() || flow.is_none() {
                self.drive(work, id, journey, Input::Event(event));
            }
        }
        for journey in self.with.policies.triggers.on_event(&key) {
            if !active.iter().any(|(_, other)| other == journey) {
                let root = work.root.clone();
                self.drive(work, &root, journey, Input::Event(event));
                self.drive_over(work, 1, journey, &Input::After(event));
            }
        }
    }

    /// The run of a person, whichever record has it; else the live record's.
    fn drive_one(&mut self, work: &mut Work, journey: &str, input: Input<'_>) {
        let active = self.active(&work.root).into_iter().find(|(_, other)| other == journey);
        let id = active.map_or_else(|| work.root.clone(), |(id, _)| id);
        self.drive(work, &id, journey, input);
    }

    /// Of two records of one person that run the same journey the later one stops.
    fn one_run_each(&mut self, work: &mut Work) {
        let active = self.active(&work.root);
        for (id, journey) in &active {
            for (other, _) in active.iter().filter(|(other, same)| other != id && same == journey) {
                let Some(Some(run)) = self.run(other, journey) else { continue };
                if run.is_active() {
                    self.drive(work, id, journey, Input::Merge { with: other, entered: run.entered });
                }
            }
        }
    }

    /// What comes in for one run.
    fn drive(&mut self, work: &mut Work, id: &CustomerId, journey: &str, input: Input<'_>) {
        let mut input = input;
        for _ in 0..LOOKS {
            if !self.drive_once(work, id, journey, &input) {
                return;
            }
            input = Input::GoOn;
        }
    }

    /// Whether the run stops only to see what it has changed.
    fn drive_once(&mut self, work: &mut Work, id: &CustomerId, journey: &str, input: &Input<'_>) -> bool {
        let Some(run) = self.run(id, journey) else { return false };
        let policies = self.with.policies;
        let current = policies.journeys.get(journey);
        let older = self.with.older;
        let pinned = match journey::needs(run.as_ref(), current) {
            None => None,
            Some(version) => match older.get(&version) {
                Some(set) => set.journeys.get(journey),
                None => {
                    self.missing.manifests.insert(version);
                    return false;
                }
            },
        };
        let others: Vec<CustomerId> = self.ids(&work.root).into_iter().filter(|other| other != id).collect();
        let mut elsewhere = Vec::new();
        for other in others {
            match self.run(&other, journey) {
                None => return false,
                Some(run) => elsewhere.extend(run),
            }
        }
        let others: Vec<&journey::Run> = elsewhere.iter().collect();
        let now = self.with.now;
        let decision = self.with_view(&work.root.clone(), |view| {
            let given = Given { customer: id, current, pinned, others: &others, sees: view, now };
            journey::advance(run.as_ref(), input, &given)
        });
        let Some(decision) = decision else { return false };
        if let Some(due) = decision.due(run.as_ref()) {
            let wake = wake_of(id, journey, due);
            self.put(wake);
        }
        let (runs, reasons) = (decision.runs(), decision.reasons());
        if let (true, Some(after)) = (decision.changed, decision.run) {
            if self.ensure(id)
                && let Some(state) = self.states.get_mut(id)
            {
                match after.is_active() {
                    true => drop(state.runs.insert(journey.to_owned())),
                    false => drop(state.runs.remove(journey)),
                }
            }
            if !after.is_active() {
                self.wakes.remove(&(id.clone(), Some(journey.to_owned())));
            }
            self.runs.insert((id.clone(), journey.to_owned()), after);
        }
        work.led.moved.extend(reasons.into_iter().map(|(run, why)| Moved {
            journey: journey.to_owned(),
            customer: id.clone(),
            run,
            why,
        }));
        let mut changed = Changed::default();
        for effect in decision.effects {
            changed.and(self.effect(work, id, journey, &runs, effect));
        }
        self.look(work, changed);
        decision.go_on
    }

    /// Days of the customer's that have come.
    fn days(&mut self, work: &mut Work) {
        let (policies, now) = (self.with.policies, self.with.now);
        if policies.triggers.dated.is_empty() {
            return;
        }
        let come = self.with_view(&work.root.clone(), |view| {
            let flows =
                policies.triggers.dated.iter().filter_map(|name| policies.journeys.get_key_value(name));
            let next = |flow| journey::next_date(flow, view, now.plus_millis(-DAY_MS));
            let come = flows.filter_map(|(name, flow)| Some((name.clone(), next(flow)?)));
            come.filter(|(_, at)| *at <= now).collect::<Vec<_>>()
        });
        let dates = come.into_iter().flatten().map(|(journey, at)| Signal::Date(journey, at));
        work.signals.extend(dates);
    }

    /// Sees to it that there is a look when time alone may change something.
    fn finish(&mut self, mut work: Work) -> Led {
        let (policies, now) = (self.with.policies, self.with.now);
        let root = work.root.clone();
        let spec = &policies.triggers.dated_spec;
        let is_armed = self.state(&root).is_some_and(|state| state.dated == *spec);
        if !spec.is_empty() && (work.dates || !is_armed) {
            let next = self.with_view(&root, |view| {
                let flows = policies.triggers.dated.iter().filter_map(|name| policies.journeys.get(name));
                flows.filter_map(|flow| journey::next_date(flow, view, now)).min()
            });
            work.look_at(next.flatten());
            if let Some(state) = self.states.get_mut(&root) {
                state.dated.clone_from(spec);
            }
        }
        if work.next.is_some()
            && self.ensure(&root)
            && let Some(state) = self.states.get_mut(&root)
            && let Some((at, token)) = state.live.arm(work.next, now)
        {
            self.put(Wake { customer: root, journey: None, token, at });
        }
        work.led
    }
}
