//! What an entry that fires does: remind, take the lead from its owner, or nothing.

use super::take::{Before, Hands, next_owner, reached};
use super::{Mark, PastEnd, Reminder, Saw, Tick, To, next};
use crate::calendar::{Leave, Schedule};
use crate::customer::Ownership;
use crate::lead::{Assignment, Lead, LeadState, Progress, Work};
use crate::policy::{CatchAll, Point, PolicySet, Response, Then};
use crate::routing::{Asked, Missing, ask_anyway, lacks, members, on_leave};
use crate::team::{self, PassedOver, TeamState};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What is looked at besides the lead.
#[derive(Clone, Copy, Debug)]
pub struct Floor<'a> {
    /// The documents.
    pub policies: &'a PolicySet,
    /// Absences that reps have set, of those in [`asked_for`].
    pub leave: &'a BTreeMap<String, Leave>,
    /// Who owns the customer.
    pub owner: Option<&'a Ownership>,
    /// What the rule that decided about the lead asks of whoever gets it, and what its teams ask.
    pub needs: &'a BTreeMap<String, Asked>,
}

/// What comes of a tick.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The lead afterwards.
    pub after: Progress,
    /// What it is.
    pub what: What,
}

/// What a tick did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its point is not reached by what holds now: armed again.
    Rearmed,
    /// Its point is not reached, and nobody knows when it will be: whether the owner is back is looked at again.
    Away,
    /// Nothing is left to wait for.
    Stopped,
    /// The owner is reminded.
    Reminded(Mark),
    /// The lead was taken from its owner.
    Taken(To),
}

/// Teams that a clock gives a lead to: its own, and the catch-all.
pub fn receivers<'a>(lead: &'a Lead, policies: &'a PolicySet) -> impl Iterator<Item = &'a str> {
    let clock = lead.progress.clock.as_ref();
    let response = clock.and_then(|clock| policies.teams.get(&clock.team)?.response.as_ref());
    let last = match response.and_then(|response| response.catch_all.as_ref()) {
        Some(CatchAll::Team(team)) => Some(team.as_str()),
        _ => None,
    };
    clock.map(|clock| clock.team.as_str()).into_iter().chain(last)
}

/// What [`fire`] needs to decide: the absences of the lead's owner and the customer's, the teams that the lead may leave or go to, and what has to be
/// known of their members.
pub fn asked_for(lead: &Lead, owner: Option<&Ownership>, policies: &PolicySet, now: Timestamp) -> Missing {
    let mut asked = Missing::default();
    let owners = owner.and_then(|owner| owner.team.as_deref());
    for team in receivers(lead, policies).chain(owners).filter(|team| policies.teams.contains_key(*team)) {
        asked.team(team, policies, now);
    }
    if let Some(assignment) = &lead.progress.assignment {
        asked.reps.insert(assignment.rep.clone());
        asked.teams.extend(assignment.team.clone());
    }
    asked.reps.extend(owner.map(|owner| owner.rep.clone()));
    asked
}

/// What a tick does to its lead at `now`; `None` if it no longer fits. `teams` holds those of [`asked_for`], and is
/// changed along with the lead: both are stored together or not at all. The lead's commit being durable, no grant of it
/// stays outstanding.
///
/// A tick that comes before its own time (another machine's clock) counts as punctual.
pub fn fire(
    lead: &Lead,
    tick: &Tick,
    floor: Floor<'_>,
    teams: &mut BTreeMap<String, TeamState>,
    now: Timestamp,
) -> Option<Change> {
    let before = &lead.progress;
    if !before.is_awaited() || before.tick(&lead.id).as_ref() != Some(tick) {
        return None;
    }
    let (Some(clock), Some(assignment)) = (&before.clock, &before.assignment) else { return None };
    let mut after = before.clone();
    let Some(response) = floor.policies.teams.get(&clock.team).and_then(|team| team.response.as_ref()) else {
        after.stop_clock();
        return Some(Change { after, what: What::Stopped });
    };
    let schedule =
        floor.policies.schedule(&assignment.rep, Some(&clock.team), floor.leave.get(&assignment.rep));
    let passed = schedule.open_time_between(clock.started, now.max(tick.at));
    let done = clock.reminded();
    let reached = reached(response, done, passed);
    let is_over = reached == Some(Point::END);
    // Neither the point that is due nor anything after it will come.
    let due = response.within.until(response.after(done));
    let never = || reached.is_none() && schedule.add_open_time(clock.started, due).is_none();
    let gone = !is_over && (never() || schedule.next_open(now.max(tick.at)).is_none());
    if (is_over || gone) && response.then != Then::RemindOnly {
        let saw = Saw { passed: Some(passed), gone, ..Saw::default() };
        return Some(take(lead, floor, response, teams, (now, saw), assignment));
    }
    if let Some(clock) = &mut after.clock {
        (clock.within, clock.away) = (response.within, false);
    }
    let what = match (reached.filter(|point| *point < Point::END), after.clock.as_mut()) {
        (Some(point), Some(clock)) => {
            let mark = Mark { point, at: now };
            clock.reminded.push(Reminder { mark, saw: Some((floor.policies.version, passed)) });
            clock.next = next(clock, response, point, &schedule);
            What::Reminded(mark)
        }
        (None, Some(clock)) if gone && response.after(done) < Point::END => {
            let again = schedule.without_leave().next_day(now.max(tick.at));
            clock.next = again.map(|at| Mark { point: response.after(done), at });
            clock.away = clock.next.is_some();
            if clock.away { What::Away } else { What::Stopped }
        }
        (None, Some(clock)) if !gone => {
            clock.next = next(clock, response, done, &schedule);
            if clock.next.is_some() { What::Rearmed } else { What::Stopped }
        }
        _ => {
            after.stop_clock();
            What::Stopped
        }
    };
    Some(Change { after, what })
}

/// The lead with its clock set by the documents and absences of now, of which `schedule` is its owner's: where an absence that it slept
/// through has become shorter, its point comes sooner, and one of somebody who was away with no end known comes when it is known
/// to. `None` leaves the clock as it is: what comes later than armed is armed again when it fires.
pub fn set_anew(lead: &Lead, policies: &PolicySet, schedule: &Schedule) -> Option<Progress> {
    let before = &lead.progress;
    let (clock, armed) = before.running().filter(|_| before.is_awaited())?;
    let response = policies.teams.get(&clock.team)?.response.as_ref()?;
    let mark = next(clock, response, clock.reminded(), schedule)?;
    let is_known = || schedule.add_open_time(clock.started, response.within.until(mark.point)).is_some();
    let is_set_anew = if clock.away { is_known() } else { mark.at < armed.at };
    let mut after = before.clone();
    let clock = after.clock.as_mut().filter(|_| is_set_anew)?;
    (clock.within, clock.next, clock.away) = (response.within, Some(mark), false);
    Some(after)
}

/// Takes the lead from its owner.
fn take(
    lead: &Lead,
    floor: Floor<'_>,
    response: &Response,
    teams: &mut BTreeMap<String, TeamState>,
    (now, saw): (Timestamp, Saw),
    from: &Assignment,
) -> Change {
    let before = &lead.progress;
    if let Some(state) = from.team.as_ref().and_then(|team| teams.get_mut(team)) {
        team::settle(state, &lead.id);
        team::close(state, &from.rep);
    }
    let rule = before.clock.as_ref().map(|clock| clock.team.clone()).unwrap_or_default();
    let was = Before::of(&before.past, from);
    let mut live = Live { lead, floor, teams, was: &was, now, saw };
    let found = next_owner(&was, floor.policies, response, &rule, &mut live);
    let saw = live.saw;
    let was_granted = saw.asked.last().is_some_and(|(_, seen)| seen.chosen.is_some());
    let (to, next) = match found {
        Some((to, rep, team)) => (to, Some((rep, team))),
        None => (To::Nobody, None),
    };
    let mut after = before.clone();
    after.end_assignment(now, PastEnd::Silent { manifest: floor.policies.version, saw, to });
    after.work = Work::Open;
    match next {
        None => after.state = LeadState::Escalated,
        Some((rep, team)) => {
            // A clock runs for whoever is to be in touch, by the rule of the team they got it through.
            let clocks = team.clone().filter(|_| to == To::Owner).unwrap_or(rule);
            let schedule = floor.policies.schedule(&rep, Some(&clocks), floor.leave.get(&rep));
            after.assignment = Some(Assignment { rep, team, at: now, n: from.n + 1, share: was_granted });
            if matches!(to, To::Member | To::Owner) {
                after.start_clock(floor.policies, Some(&clocks), &schedule);
            }
        }
    }
    Change { after, what: What::Taken(to) }
}

/// The teams of now, from which a lead is given away.
struct Live<'a> {
    lead: &'a Lead,
    floor: Floor<'a>,
    teams: &'a mut BTreeMap<String, TeamState>,
    was: &'a Before<'a>,
    now: Timestamp,
    saw: Saw,
}

impl Hands for Live<'_> {
    fn owner(&mut self) -> Option<(String, Option<String>)> {
        let owner = self.floor.owner.map(|owner| (owner.rep.clone(), owner.team.clone()));
        self.saw.owner.clone_from(&owner);
        owner
    }

    fn on_leave(&mut self, rep: &str, team: Option<&str>) -> bool {
        let Floor { policies, leave, .. } = self.floor;
        self.saw.owner_away = on_leave(policies, rep, team, leave.get(rep), self.now);
        self.saw.owner_away.is_some()
    }

    fn keep(&mut self, team: &str, rep: &str) -> bool {
        let Floor { policies, leave, .. } = self.floor;
        let members = members(policies, team, leave, self.teams, self.now);
        let may_exceed = policies.teams.get(team).is_none_or(|team| team.sticky_may_exceed.0);
        let (Some(member), Some(state)) =
            (members.iter().find(|member| member.rep == rep), self.teams.get_mut(team))
        else {
            return true;
        };
        let has_room = team::take_sticky(state, member, &self.lead.id, self.now, may_exceed).is_ok();
        team::settle(state, &self.lead.id);
        self.saw.has_room = Some(has_room);
        has_room
    }

    fn next(&mut self, team: &str) -> Option<String> {
        let Floor { policies, leave, needs, .. } = self.floor;
        let mut members = members(policies, team, leave, self.teams, self.now);
        let none = Asked::default();
        let asked_of = needs.get(team).unwrap_or(&none);
        let passed_over = |rep: &str| {
            let was_silent = self.was.silent.contains(rep).then_some(PassedOver::Silent);
            was_silent.or_else(|| lacks(policies.reps.get(rep), asked_of))
        };
        let state = self.teams.get_mut(team)?;
        ask_anyway(policies, team, state, &mut members, &passed_over);
        let (rep, seen) = match team::grant(state, &members, &self.lead.id, self.now, &passed_over) {
            team::Assignment::Granted { rep, seen } => (Some(rep), seen),
            team::Assignment::Nobody { seen } => (None, seen),
        };
        team::settle(state, &self.lead.id);
        self.saw.asked.push((team.to_owned(), seen));
        rep
    }
}
