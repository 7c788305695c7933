//! To whom a lead goes whose window ran out or never would: decided on the teams of now, and again on what that decision saw.

use super::{Past, PastEnd, Reminder, Saw, To};
use crate::lead::{Assignment, Progress};
use crate::policy::{CatchAll, Point, PolicySet, Response, Then};
use crate::team::{self, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where owners come from: the teams of now when deciding, the receipt when deciding again.
pub(super) trait Hands {
    /// Who owns the customer, with the team they have them through.
    fn owner(&mut self) -> Option<(String, Option<String>)>;
    /// Whether that owner is on leave.
    fn on_leave(&mut self, rep: &str, team: Option<&str>) -> bool;
    /// Gives the owner one more lead of the team; `false` if the owner is full there. Counts.
    fn keep(&mut self, team: &str, rep: &str) -> bool;
    /// The next member of a team who has not had this lead in vain. Counts.
    fn next(&mut self, team: &str) -> Option<String>;
}

/// A lead before it is taken.
pub(super) struct Before<'a> {
    /// From whom.
    from: &'a Assignment,
    /// Who had it in vain, this one included.
    pub(super) silent: BTreeSet<&'a str>,
    /// How often a clock gave it to another owner.
    reassignments: u32,
}

impl<'a> Before<'a> {
    /// The lead of `from`, after what it went through.
    pub(super) fn of(past: &'a [Past], from: &'a Assignment) -> Self {
        let ended = |past: &'a Past| match past.end {
            PastEnd::Silent { to, .. } => Some((past.assignment.rep.as_str(), to)),
            PastEnd::Given => None,
        };
        let moved = past.iter().filter_map(ended).filter(|(_, to)| matches!(to, To::Member | To::Owner));
        Self {
            from,
            silent: past.iter().filter_map(ended).map(|(rep, _)| rep).chain([from.rep.as_str()]).collect(),
            reassignments: u32::try_from(moved.count()).unwrap_or(u32::MAX),
        }
    }
}

/// The last point of a window that is reached once so much of it, in milliseconds, has passed. Where the owner is only reminded
/// nothing happens at its end, so it is none.
pub(super) fn reached(response: &Response, done: Point, passed: i64) -> Option<Point> {
    let end = (response.then != Then::RemindOnly).then_some(Point::END);
    let points = response.remind.iter().copied().filter(|point| *point > done).chain(end);
    points.filter(|point| response.within.until(*point) <= passed).max()
}

/// Who gets it, and through which team; `None` is left to a person.
pub(super) fn next_owner(
    before: &Before<'_>,
    policies: &PolicySet,
    response: &Response,
    rule: &str,
    hands: &mut dyn Hands,
) -> Option<(To, String, Option<String>)> {
    if response.then != Then::Reassign {
        return None;
    }
    if before.reassignments < response.limit {
        if let Some((rep, team)) = follow(before, policies, hands) {
            let is_last = response.catch_all == Some(CatchAll::Rep(rep.clone()));
            return Some((if is_last { To::CatchAll } else { To::Owner }, rep, team));
        }
        if let Some(rep) = hands.next(rule) {
            return Some((To::Member, rep, Some(rule.to_owned())));
        }
    }
    match response.catch_all.as_ref()? {
        CatchAll::Rep(rep) if *rep != before.from.rep && policies.reps.contains_key(rep) => {
            Some((To::CatchAll, rep.clone(), None))
        }
        CatchAll::Rep(_) => None,
        CatchAll::Team(team) => Some((To::CatchAll, hands.next(team)?, Some(team.clone()))),
    }
}

/// The customer's owner, if that is somebody who takes leads now and has not had this one in vain.
fn follow(
    before: &Before<'_>,
    policies: &PolicySet,
    hands: &mut dyn Hands,
) -> Option<(String, Option<String>)> {
    let (rep, team) = hands.owner().filter(|(rep, _)| !before.silent.contains(rep.as_str()))?;
    if !policies.is_available(&rep) || hands.on_leave(&rep, team.as_deref()) {
        return None;
    }
    let is_member = |team: &String| policies.teams.get(team).is_some_and(|team| team.member(&rep).is_some());
    match team.filter(is_member) {
        None => Some((rep, None)),
        Some(team) => hands.keep(&team, &rep).then_some((rep, Some(team))),
    }
}

/// The versions of the documents that the clocks of a lead decided by.
pub fn manifests(progress: &Progress) -> BTreeSet<u64> {
    let silent = progress.past.iter().filter_map(|past| match &past.end {
        PastEnd::Silent { manifest, .. } => Some(*manifest),
        PastEnd::Given => None,
    });
    silent.chain(reminders(progress).filter_map(|(_, _, one)| Some(one.saw?.0))).collect()
}

/// Whether every decision of the clocks of a lead, and whom a team gave it to when people asked, made again on what it saw, comes out the same. `policies` holds those
/// of [`manifests`]. What was decided before decisions kept what they saw is left out.
pub fn reproduced(progress: &Progress, policies: &BTreeMap<u64, Arc<PolicySet>>) -> bool {
    let response = |manifest: &u64, team: &str| {
        let policies = policies.get(manifest)?;
        Some((policies.as_ref(), policies.teams.get(team)?.response.as_ref()?))
    };
    let reminded = reminders(progress).all(|(team, done, one)| {
        let Some((manifest, passed)) = one.saw else { return true };
        response(&manifest, team).is_some_and(|(_, response)| {
            one.mark.point < Point::END && reached(response, done, passed) == Some(one.mark.point)
        })
    });
    let taken = progress.past.iter().enumerate().all(|(at, past)| {
        let PastEnd::Silent { manifest, saw, to } = &past.end else { return true };
        let Some(passed) = saw.passed else { return true };
        let Some(clock) = &past.clock else { return false };
        let Some((policies, response)) = response(manifest, &clock.team) else { return false };
        let is_over = (reached(response, clock.reminded(), passed) == Some(Point::END)) != saw.gone;
        let before = Before::of(progress.past.get(..at).unwrap_or_default(), &past.assignment);
        let mut again = AsSeen { saw, asked: saw.asked.iter() };
        let found = next_owner(&before, policies, response, &clock.team, &mut again);
        let next = progress.past.get(at + 1).map(|next| &next.assignment).or(progress.assignment.as_ref());
        let same = match &found {
            None => *to == To::Nobody,
            Some((found, rep, team)) => {
                found == to && next.is_some_and(|next| next.rep == *rep && next.team == *team)
            }
        };
        is_over && response.then != Then::RemindOnly && same
    });
    let asked = progress.acts.iter().filter_map(|act| act.asked.as_ref());
    let given = asked.map(|(_, seen)| (team::choose(seen), seen)).all(|(again, seen)| again == seen.chosen);
    reminded && taken && given
}

/// Every reminder with the team whose clock it is of, and the point reminded of before it.
fn reminders(progress: &Progress) -> impl Iterator<Item = (&str, Point, &Reminder)> {
    let clocks = progress.past.iter().filter_map(|past| past.clock.as_ref()).chain(&progress.clock);
    clocks.flat_map(|clock| {
        let before = [Point::START].into_iter().chain(clock.reminded.iter().map(|one| one.mark.point));
        before.zip(&clock.reminded).map(|(done, one)| (clock.team.as_str(), done, one))
    })
}

struct AsSeen<'a> {
    saw: &'a Saw,
    asked: std::slice::Iter<'a, (String, Snapshot)>,
}

impl Hands for AsSeen<'_> {
    fn owner(&mut self) -> Option<(String, Option<String>)> {
        self.saw.owner.clone()
    }

    fn on_leave(&mut self, _: &str, _: Option<&str>) -> bool {
        self.saw.owner_away.is_some()
    }

    fn keep(&mut self, _: &str, _: &str) -> bool {
        self.saw.has_room.unwrap_or(true)
    }

    fn next(&mut self, team: &str) -> Option<String> {
        self.asked.next().filter(|(asked, _)| asked == team)?.1.chosen_rep()
    }
}
