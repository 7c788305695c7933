//! Who enters: triggers, the entry's condition, how often, and the part that gets nothing.

use super::date::{LATE_MS, occurs};
use super::{Flow, Given, Input, Reason, Run};
use crate::condition::Condition;
use crate::event::Event;
use crate::id::CustomerId;
use crate::policy::journey::{Again, Share, Trigger};
use crate::time::Timestamp;
use ring::digest;

/// The event that tells of a lead; its `form` says by which form or source.
pub(super) const LEAD_CAPTURED: &str = "lead_captured";

/// Whether what came in makes people enter.
pub(super) fn is_triggered(flow: &Flow, input: &Input<'_>, given: &Given<'_>, why: &mut Vec<Reason>) -> bool {
    let triggers = &flow.journey().trigger;
    match input {
        Input::Event(event) => {
            let key = event.key();
            triggers.iter().zip(&flow.triggers).any(|(trigger, when)| {
                is_by(trigger, event, &key) && holds(when.as_ref(), Some(event), given, "trigger", why)
            })
        }
        Input::Segment { name, change, .. } => triggers.iter().any(|trigger| {
            trigger.segment.as_deref() == Some(*name) && trigger.change.unwrap_or_default() == *change
        }),
        Input::Stage { to, .. } => triggers.iter().any(|trigger| trigger.stage.as_deref() == Some(*to)),
        Input::Date { .. } => triggers.iter().any(|trigger| trigger.date.is_some()),
        Input::Enrol { .. } => true,
        _ => false,
    }
}

fn is_by(trigger: &Trigger, event: &Event, key: &str) -> bool {
    if let Some(form) = &trigger.form {
        let by = |name: &str| event.properties.reveal().get(name).and_then(|value| value.as_str());
        return key == LEAD_CAPTURED && by("form").or(by("source")) == Some(form);
    }
    trigger.event.as_deref() == Some(key)
}

/// Whether a condition holds; none holds always, and one without an answer never.
pub(super) fn holds(
    condition: Option<&Condition>,
    event: Option<&Event>,
    given: &Given<'_>,
    of: &str,
    why: &mut Vec<Reason>,
) -> bool {
    let Some(condition) = condition else { return true };
    match given.sees.holds(condition, event, given.now) {
        Ok(holds) => holds,
        Err(error) => {
            why.push(Reason::Unclear { of: of.to_owned(), why: error.reason });
            false
        }
    }
}

/// Why somebody whom a trigger names does not enter; none is that they do.
pub(super) fn refusal(
    flow: &Flow,
    run: Option<&Run>,
    input: &Input<'_>,
    at: Timestamp,
    given: &Given<'_>,
    why: &mut Vec<Reason>,
) -> Option<Reason> {
    let again = flow.journey().entry.again;
    if flow.journey().paused {
        return Some(Reason::Paused);
    }
    if let Input::Date { at } = input {
        if run.and_then(|run| run.date).is_some_and(|last| *at <= last) {
            return Some(Reason::DateBefore);
        }
        if given.now.since(*at) > LATE_MS {
            return Some(Reason::DateOver);
        }
        if !occurs(flow, given.sees, *at) {
            return Some(Reason::DateChanged);
        }
    }
    if let Some(run) = run {
        if run.is_active() && again != Again::Always {
            return Some(Reason::AlreadyIn);
        }
        let is_same = matches!(input, Input::Event(event) if run.by.as_ref() == Some(&event.id));
        let known = run.ended.as_ref().map_or(run.entered, |ended| ended.at);
        if is_same || at < known {
            return Some(Reason::Late);
        }
    }
    if given.others.iter().any(|other| other.is_active()) {
        return Some(Reason::InElsewhere);
    }
    let entries = || run.into_iter().chain(given.others.iter().copied());
    match again {
        Again::Never if entries().next().is_some() => return Some(Reason::EnteredBefore),
        Again::Limited(limit) => {
            let times = entries().flat_map(|run| run.past.iter().copied().chain([run.entered]));
            let mut recent: Vec<_> = times.filter(|time| at.since(*time) < limit.per.millis()).collect();
            recent.sort_unstable();
            let most = limit.at_most as usize;
            if let Some(first) = recent.len().checked_sub(most).and_then(|first| recent.get(first)) {
                return Some(Reason::TooOften(first.plus_millis(limit.per.millis())));
            }
        }
        _ => {}
    }
    let event = if let Input::Event(event) = input { Some(*event) } else { None };
    if !holds(flow.entry.as_ref(), event, given, "entry", why) {
        return Some(Reason::NotMatched);
    }
    if flow.watched().any(|condition| given.sees.holds(condition, None, given.now) == Ok(true)) {
        return Some(Reason::NothingToDo);
    }
    None
}

/// When somebody entered before, as far as a limit can ask for it.
pub(super) fn past(flow: &Flow, run: Option<&Run>) -> Vec<Timestamp> {
    let Again::Limited(limit) = flow.journey().entry.again else { return Vec::new() };
    let mut times: Vec<_> =
        run.iter().flat_map(|run| run.past.iter().copied().chain([run.entered])).collect();
    let most = limit.at_most.saturating_sub(1) as usize;
    times.drain(..times.len().saturating_sub(most));
    times
}

/// Whether somebody is of the part that gets nothing: for one journey always the same.
pub(crate) fn is_held_out(share: Share, journey: &str, customer: &CustomerId) -> bool {
    chance(&["hold_out", journey, customer.as_str()]) % 10_000 < u64::from(share.hundredths())
}

/// A number that the same parts always give, and otherwise any (64 bits of SHA-256 over the length-prefixed parts).
pub(crate) fn chance(parts: &[&str]) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let hash = context.finish();
    hash.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
