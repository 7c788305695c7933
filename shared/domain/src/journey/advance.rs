//! The decision: what came in, what becomes of the run, and who enters.

use super::entry::{holds, is_held_out, is_triggered, past, refusal};
use super::walk::{Tale, Walk};
use super::{Decision, Exited, Failed, Flow, Given, Input, Outcome, Place, Reason, Run, Told, Waits};
use crate::condition::Condition;
use crate::event::Event;
use crate::policy::journey::{Act, Again, OnPublish};
use crate::time::Timestamp;

/// Decides what `input` does to a run of the journey, or to somebody who is not in it.
pub fn advance(run: Option<&Run>, input: &Input<'_>, given: &Given<'_>) -> Decision {
    let mut tale = Tale::default();
    let mut after = run.cloned();
    if let Some(before) = run {
        after = Some(if before.is_active() {
            in_it(before, input, given, &mut tale)
        } else {
            afterwards(before, input, given, &mut tale)
        });
    }
    let (over, of_over) =
        given.current.and_then(|flow| enter(flow, &mut after, input, given, &mut tale)).unzip();
    let changed = after.as_ref() != run;
    let of_over = of_over.unwrap_or(0);
    Decision { run: after, over, changed, effects: tale.effects, why: tale.why, of_over, go_on: tale.go_on }
}

/// When something happened, never later than now, and when it came to us.
fn times(input: &Input<'_>, run: Option<&Run>, now: Timestamp) -> (Timestamp, Timestamp) {
    let place = run.and_then(|run| run.place.as_ref());
    let (at, asked) = match input {
        Input::Event(event) | Input::After(event) => (event.at.min(event.received), event.received),
        Input::Segment { at, .. }
        | Input::Stage { at, .. }
        | Input::Date { at }
        | Input::Enrol { at }
        | Input::Stopped { at, .. } => (*at, *at),
        Input::Due(_) => {
            let due = run.and_then(|run| run.due.as_ref()).map_or(now, |due| due.at);
            (due, due)
        }
        Input::GoOn => place.map_or((now, now), |place| (place.since, place.reached)),
        Input::Changed | Input::Publish | Input::Merge { .. } => (now, now),
    };
    (at.min(now), asked.min(now))
}

/// What becomes of somebody who is in it.
fn in_it(run: &Run, input: &Input<'_>, given: &Given<'_>, tale: &mut Tale) -> Run {
    let (clock, asked) = times(input, Some(run), given.now);
    let by = if let Input::Event(event) = input { Some(event.id.clone()) } else { None };
    let same = given.current.filter(|flow| flow.version() == run.flow);
    let (Some(current), Some(flow)) = (given.current, same.or(given.pinned).or(given.current)) else {
        return removed(run, given.now, asked, tale);
    };
    let mut walk = Walk { given, flow, run: run.clone(), told: tale, clock, asked, by };
    if same.is_none() {
        published(&mut walk, current, matches!(input, Input::Publish));
    }
    if walk.run.is_active() && walk.flow.version() != walk.run.flow {
        walk.end(Outcome::Failed(Failed::NoSuchStep));
    }
    if walk.run.is_active() {
        meet(&mut walk, input);
    }
    walk.arm();
    walk.run
}

/// The journey is not there any more: so that it can end, any flow would do, and there is none.
fn removed(run: &Run, now: Timestamp, asked: Timestamp, tale: &mut Tale) -> Run {
    let outcome = Outcome::Exited(Exited::Removed);
    tale.why.push(Reason::Ended(outcome.clone()));
    tale.tell(run.n, asked, Told::Ended);
    let ended = Some(super::Ended { outcome, at: now });
    Run { ended, place: None, due: None, ..run.clone() }
}

/// Another version is published than the one they entered by.
fn published<'a>(walk: &mut Walk<'a>, current: &'a Flow, is_news: bool) {
    match &current.journey().on_publish {
        OnPublish::Finish => walk.told.why.extend(is_news.then_some(Reason::Stays)),
        OnPublish::Exit => walk.end(Outcome::Exited(Exited::Published)),
        OnPublish::Migrate(steps) => {
            let Some(place) = walk.run.place.clone() else { return };
            let name = steps.get(&place.step).unwrap_or(&place.step).clone();
            let Some(to) = current.position(&name) else {
                return walk.told.why.extend(is_news.then_some(Reason::Stays));
            };
            walk.told.why.push(Reason::Migrated { from: place.step.clone(), to: name.clone() });
            let old = walk.flow.position(&place.step).and_then(|at| walk.flow.step(at));
            let is_at = old.map(|(step, _)| step.act.kind());
            walk.flow = current;
            walk.run.flow = current.version().to_owned();
            walk.run.manifest = current.manifest();
            walk.run.due = None;
            let length = match current.step(to).map(|(step, _)| &step.act) {
                Some(Act::Wait(length)) if is_at == Some("wait") => Some(*length),
                Some(Act::WaitFor(wait)) if is_at == Some("wait_for") => Some(wait.within),
                _ => None,
            };
            match (length, place.waits) {
                // They go on waiting, as long as the new version says, from when they began.
                (Some(length), Waits::Until(_)) if name == place.step => {
                    let until = place.reached.plus_millis(length.millis());
                    walk.run.place = Some(Place { waits: Waits::Until(until), ..place });
                }
                _ => {
                    let (clock, by) = (walk.clock, walk.by.take());
                    walk.clock = walk.given.now;
                    walk.run.place = Some(Place { step: name, waits: Waits::ToBegin { looks: 0 }, ..place });
                    walk.go(to);
                    (walk.clock, walk.by) = (clock, by);
                }
            }
        }
    }
}

/// What came in meets a run.
fn meet(walk: &mut Walk<'_>, input: &Input<'_>) {
    match input {
        Input::Merge { with, entered } => {
            if walk.run.gives_way(walk.given.customer, with, *entered) {
                walk.end(Outcome::Merged);
            }
            return;
        }
        Input::Stopped { part, .. } => {
            let n = part.split('.').next().and_then(|n| n.parse().ok());
            match n == Some(walk.run.n) {
                true => walk.end(Outcome::Exited(Exited::Message)),
                false => walk.told.why.push(Reason::Stale),
            }
            return;
        }
        Input::Due(token) => {
            let due = walk.run.due.as_ref().filter(|due| due.token == *token).map(|due| due.at);
            let Some(at) = due else { return walk.told.why.push(Reason::Stale) };
            walk.run.due = None;
            if walk.given.now < at {
                return walk.told.why.push(Reason::Early);
            }
        }
        Input::GoOn if !matches!(walk.run.place, Some(Place { waits: Waits::ToBegin { .. }, .. })) => return,
        _ => {}
    }
    let event = if let Input::Event(event) = input { Some(*event) } else { None };
    if ends(walk, event) {
        return;
    }
    catch_up(walk, event);
    if let Some(event) = event.filter(|_| walk.run.is_active()) {
        waited_for(walk, event);
    }
}

/// Ends the run if the goal is reached or a sign to leave is there.
fn ends(walk: &mut Walk<'_>, event: Option<&Event>) -> bool {
    if reaches(walk, event) {
        walk.run.goal = Some(walk.clock);
        walk.told.why.push(Reason::Goal);
        walk.tell(Told::Goal);
        walk.end(Outcome::Goal);
        return true;
    }
    let flow = walk.flow;
    for (exit, when) in flow.journey().exit.iter().zip(&flow.exits) {
        let is_there = match &exit.event {
            Some(name) => is_sign(walk, name, when.as_ref(), event, "exit"),
            None => when.is_some() && holds(when.as_ref(), None, walk.given, "exit", &mut walk.told.why),
        };
        if is_there {
            let why = if exit.event.is_some() { Exited::Event } else { Exited::Condition };
            walk.end(Outcome::Exited(why));
            return true;
        }
    }
    false
}

fn reaches(walk: &mut Walk<'_>, event: Option<&Event>) -> bool {
    let flow = walk.flow;
    let Some(goal) = &flow.journey().goal else { return false };
    if walk.clock.since(walk.run.entered) > goal.within.millis() {
        return false;
    }
    match &goal.event {
        Some(name) => is_sign(walk, name, flow.goal.as_ref(), event, "goal"),
        None => {
            flow.goal.is_some() && holds(flow.goal.as_ref(), None, walk.given, "goal", &mut walk.told.why)
        }
    }
}

/// Whether the event is of this name, happened since they entered, is not what made them enter, and meets the condition.
fn is_sign(
    walk: &mut Walk<'_>,
    name: &str,
    when: Option<&Condition>,
    event: Option<&Event>,
    of: &str,
) -> bool {
    let Some(event) = event.filter(|event| event.key() == name) else { return false };
    let is_later = walk.clock >= walk.run.entered && walk.run.by.as_ref() != Some(&event.id);
    is_later && holds(when, Some(event), walk.given, of, &mut walk.told.why)
}

/// Does what should have been done by now, so that it does not matter whether an event or a due entry comes first: of an
/// event, by when it happened.
fn catch_up(walk: &mut Walk<'_>, event: Option<&Event>) {
    let Some(place) = walk.run.place.clone() else {
        return walk.end(Outcome::Failed(Failed::NoSuchStep));
    };
    let (clock, asked, by) = (walk.clock, walk.asked, walk.by.take());
    match place.waits {
        Waits::Until(until) if walk.given.now >= until && event.is_none_or(|_| clock > until) => {
            (walk.clock, walk.asked) = (until.max(place.since), until);
            walk.over();
        }
        Waits::ToBegin { .. } => {
            walk.clock = walk.clock.max(place.since);
            match walk.flow.position(&place.step) {
                Some(at) => walk.go(at),
                None => walk.end(Outcome::Failed(Failed::NoSuchStep)),
            }
        }
        Waits::Until(_) => {}
    }
    (walk.clock, walk.asked, walk.by) = (clock, asked, by);
}

/// Goes on if the event is what the step waits for: one that happened after it began.
fn waited_for(walk: &mut Walk<'_>, event: &Event) {
    let Some((at, place)) = walk.here() else { return };
    let Some((step, name)) = walk.flow.step(at) else { return };
    let Act::WaitFor(wait) = &step.act else { return };
    if wait.event != event.key() || !matches!(place.waits, Waits::Until(_)) {
        return;
    }
    let was_used = walk.run.moved_by.as_ref() == Some(&event.id);
    if walk.clock < place.since || was_used {
        return walk.told.why.push(Reason::Late);
    }
    let when = walk.flow.conditions.get(at).and_then(|conditions| conditions.first());
    if holds(when.and_then(Option::as_ref), Some(event), walk.given, name, &mut walk.told.why) {
        walk.told.why.push(Reason::Came(name.to_owned()));
        walk.go(at + 1);
    }
}

/// Who is not in it any more may still reach the goal within its window: the goal as it is published, so that no version of
/// long ago has to be read for it.
fn afterwards(run: &Run, input: &Input<'_>, given: &Given<'_>, tale: &mut Tale) -> Run {
    let event = match input {
        Input::Event(event) | Input::After(event) => Some(*event),
        Input::Changed => None,
        _ => return run.clone(),
    };
    let Some(flow) = given.current.filter(|_| run.is_over_without_goal()) else { return run.clone() };
    let (clock, asked) = times(input, Some(run), given.now);
    let mut walk = Walk { given, flow, run: run.clone(), told: tale, clock, asked, by: None };
    if reaches(&mut walk, event) {
        walk.run.goal = Some(clock);
        walk.told.why.push(Reason::Goal);
        walk.tell(Told::Goal);
    }
    walk.run
}

/// Whoever is named by a trigger enters, unless something speaks against it. Then the run that they had is over; it is given back, with
/// how many of the reasons are of it.
fn enter(
    flow: &Flow,
    run: &mut Option<Run>,
    input: &Input<'_>,
    given: &Given<'_>,
    tale: &mut Tale,
) -> Option<(Run, usize)> {
    let first = tale.why.len();
    if !is_triggered(flow, input, given, &mut tale.why) {
        return None;
    }
    let (at, asked) = times(input, None, given.now);
    if let Some(reason) = refusal(flow, run.as_ref(), input, at, given, &mut tale.why) {
        tale.why.push(reason);
        return None;
    }
    let mut over = run.take();
    // What was looked at for entering is of the run that begins.
    let of_entry = tale.why.split_off(first);
    let by = if let Input::Event(event) = input { Some(event.id.clone()) } else { None };
    if let Some(active) = over.take_if(|run| run.is_active()) {
        debug_assert_eq!(flow.journey().entry.again, Again::Always);
        let mut walk = Walk { given, flow, run: active, told: tale, clock: at, asked, by: None };
        walk.end(Outcome::Exited(Exited::Again));
        over = Some(walk.run);
    }
    let of_over = tale.why.len();
    tale.why.extend(of_entry);
    let before = over.as_ref();
    let new = Run {
        version: before.map_or(0, |run| run.version),
        n: before.map_or(0, |run| run.n).saturating_add(1),
        flow: flow.version().to_owned(),
        manifest: flow.manifest(),
        entered: at,
        by: by.clone(),
        moved_by: by.clone(),
        visits: 0,
        place: None,
        due: None,
        dues: 0,
        goal: None,
        ended: None,
        past: past(flow, before),
        date: match input {
            Input::Date { at } => Some(*at),
            _ => before.and_then(|run| run.date),
        },
    };
    let mut walk = Walk { given, flow, run: new, told: tale, clock: at, asked, by };
    let journey = flow.journey();
    if journey.hold_out.is_some_and(|share| is_held_out(share, &journey.name, given.customer)) {
        walk.told.why.push(Reason::HeldOut);
        walk.tell(Told::HeldOut);
        walk.end(Outcome::HeldOut);
    } else {
        walk.told.why.push(Reason::Entered(walk.run.n));
        walk.tell(Told::Entered);
        walk.go(0);
        walk.arm();
    }
    *run = Some(walk.run);
    over.map(|over| (over, of_over))
}
