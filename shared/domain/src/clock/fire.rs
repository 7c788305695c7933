//! What an entry that fires does: remind, take the lead from its owner, or nothing.

use super::{Mark, PastEnd, Tick, To, next};
use crate::calendar::Leave;
use crate::customer::Ownership;
use crate::lead::{Assignment, Lead, LeadState, Progress, Work};
use crate::policy::{CatchAll, Point, PolicySet, Response, Then};
use crate::routing::{Asked, Missing, ask_anyway, lacks, members};
use crate::team::{self, PassedOver, Snapshot, TeamState};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

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

/// What [`fire`] needs to decide: the owner's absences, the teams that the lead may leave or go to, and what has to be
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
    let fits = before.state == LeadState::Assigned && before.work.is_open() && before.contact.is_none();
    if !fits || before.tick(&lead.id).as_ref() != Some(tick) {
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
    let done = clock.reminded.last().map_or(Point::START, |mark| mark.point);
    let points = response.remind.iter().copied().filter(|point| *point > done).chain([Point::END]);
    let reached = points.filter(|point| response.within.until(*point) <= passed).max();
    if reached == Some(Point::END) && response.then != Then::RemindOnly {
        let taking = Taking { lead, floor, response, teams, now };
        return Some(taking.take(assignment));
    }
    let what = match (reached.filter(|point| *point < Point::END), after.clock.as_mut()) {
        (Some(point), Some(clock)) => {
            let mark = Mark { point, at: now };
            clock.reminded.push(mark);
            clock.next = next(clock, response, point, &schedule);
            What::Reminded(mark)
        }
        (None, Some(clock)) if reached.is_none() => {
            clock.next = next(clock, response, done, &schedule);
            if clock.next.is_some() { What::Rearmed } else { What::Stopped }
        }
        _ => {
            after.stop_clock();
            What::Stopped
        }
    };
    if let Some(clock) = &mut after.clock {
        clock.within = response.within;
    }
    Some(Change { after, what })
}

/// A window that ran out.
struct Taking<'a> {
    lead: &'a Lead,
    floor: Floor<'a>,
    response: &'a Response,
    teams: &'a mut BTreeMap<String, TeamState>,
    now: Timestamp,
}

impl Taking<'_> {
    fn take(mut self, from: &Assignment) -> Change {
        let before = &self.lead.progress;
        if let Some(state) = from.team.as_ref().and_then(|team| self.teams.get_mut(team)) {
            team::settle(state, &self.lead.id);
            team::close(state, &from.rep);
        }
        let rule = before.clock.as_ref().map(|clock| clock.team.clone()).unwrap_or_default();
        let silent: BTreeSet<&str> = before.silent().chain([from.rep.as_str()]).collect();
        let mut asked = Vec::new();
        let found = self.find(&rule, from, &silent, &mut asked);
        let (to, rep, team) = found.unwrap_or((To::Nobody, String::new(), None));
        let was_granted = asked.last().is_some_and(|(_, seen): &(String, Snapshot)| seen.chosen.is_some());
        let manifest = self.floor.policies.version;
        let mut after = before.clone();
        after.end_assignment(self.now, PastEnd::Silent { manifest, asked, to });
        after.work = Work::Open;
        if to == To::Nobody {
            after.state = LeadState::Escalated;
        } else {
            let share = was_granted;
            after.assignment = Some(Assignment { rep, team, at: self.now, n: from.n + 1, share });
        }
        if matches!(to, To::Member | To::Owner) {
            let of_owner = after.assignment.as_ref().and_then(|assignment| assignment.team.clone());
            let team = of_owner.filter(|_| to == To::Owner).unwrap_or(rule);
            let rep = after.assignment.as_ref().map_or("", |assignment| assignment.rep.as_str());
            let schedule = self.floor.policies.schedule(rep, Some(&team), self.floor.leave.get(rep));
            after.start_clock(self.floor.policies, Some(&team), &schedule);
        }
        Change { after, what: What::Taken(to) }
    }

    fn find(
        &mut self,
        rule: &str,
        from: &Assignment,
        silent: &BTreeSet<&str>,
        asked: &mut Vec<(String, Snapshot)>,
    ) -> Option<(To, String, Option<String>)> {
        if self.response.then != Then::Reassign {
            return None;
        }
        if self.lead.progress.reassignments() < self.response.limit {
            if let Some((rep, team)) = self.follow(silent) {
                let is_last = self.response.catch_all == Some(CatchAll::Rep(rep.clone()));
                return Some((if is_last { To::CatchAll } else { To::Owner }, rep, team));
            }
            if let Some(rep) = self.grant(rule, silent, asked) {
                return Some((To::Member, rep, Some(rule.to_owned())));
            }
        }
        match self.response.catch_all.as_ref()? {
            CatchAll::Rep(rep) if *rep != from.rep && self.floor.policies.reps.contains_key(rep) => {
                Some((To::CatchAll, rep.clone(), None))
            }
            CatchAll::Rep(_) => None,
            CatchAll::Team(team) => {
                let rep = self.grant(team, silent, asked)?;
                Some((To::CatchAll, rep, Some(team.clone())))
            }
        }
    }

    /// The customer's owner, if that is somebody who has not had this lead in vain.
    fn follow(&mut self, silent: &BTreeSet<&str>) -> Option<(String, Option<String>)> {
        let owner = self.floor.owner.filter(|owner| !silent.contains(owner.rep.as_str()))?;
        if !self.floor.policies.is_available(&owner.rep) {
            return None;
        }
        let Some(name) = owner.team.as_ref().filter(|team| self.teams.contains_key(*team)) else {
            return Some((owner.rep.clone(), None));
        };
        let members = members(self.floor.policies, name, self.floor.leave, self.teams, self.now);
        let Some(member) = members.iter().find(|member| member.rep == owner.rep) else {
            return Some((owner.rep.clone(), None));
        };
        let may_exceed = self.floor.policies.teams.get(name).is_none_or(|team| team.sticky_may_exceed.0);
        let state = self.teams.get_mut(name)?;
        team::take_sticky(state, member, &self.lead.id, self.now, may_exceed).ok()?;
        team::settle(state, &self.lead.id);
        Some((owner.rep.clone(), Some(name.clone())))
    }

    fn grant(
        &mut self,
        name: &str,
        silent: &BTreeSet<&str>,
        asked: &mut Vec<(String, Snapshot)>,
    ) -> Option<String> {
        let Floor { policies, leave, needs, .. } = self.floor;
        let mut members = members(policies, name, leave, self.teams, self.now);
        let none = Asked::default();
        let asked_of = needs.get(name).unwrap_or(&none);
        let passed_over = |rep: &str| {
            let was_silent = silent.contains(rep).then_some(PassedOver::Silent);
            was_silent.or_else(|| lacks(policies.reps.get(rep), asked_of))
        };
        let state = self.teams.get_mut(name)?;
        ask_anyway(policies, name, state, &mut members, &passed_over);
        let (rep, seen) = match team::grant(state, &members, &self.lead.id, self.now, &passed_over) {
            team::Assignment::Granted { rep, seen } => (Some(rep), seen),
            team::Assignment::Nobody { seen } => (None, seen),
        };
        team::settle(state, &self.lead.id);
        asked.push((name.to_owned(), seen));
        rep
    }
}
