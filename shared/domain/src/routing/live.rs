//! Live teams while deciding: loaded ones answer and change; what turns out to be needed is noted, to be loaded.

use super::{Asked, Asks, Saw, Shares, Turn, owner_name};
use crate::calendar::{Leave, Reason, Schedule};
use crate::id::LeadId;
use crate::policy::{OffHours, PolicySet, Rep};
use crate::team::{self, Load, Member, OffDuty, PassedOver, Snapshot, TeamState, Why};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What was loaded besides the teams.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    /// Absences that reps have set themselves, of every rep that was looked up.
    pub leave: BTreeMap<String, Leave>,
    /// Owners of companies, with the team each came through, by domain.
    pub companies: BTreeMap<String, (String, Option<String>)>,
}

/// What a decision asked for and was not loaded. If there is any, the decision does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Teams, and rounds over teams by their name.
    pub teams: BTreeSet<String>,
    /// Reps whose absences matter.
    pub reps: BTreeSet<String>,
}

impl Missing {
    /// Whether everything was there.
    pub fn is_empty(&self) -> bool {
        self.teams.is_empty() && self.reps.is_empty()
    }

    /// A team and what will be asked with it: the absences of members who would be on duty, or of all if nobody would be,
    /// since then it is asked who is back first (or they are asked all the same); and other teams of those who have a capacity over all, also those that they left with open leads.
    pub fn team(&mut self, team: &str, policies: &PolicySet, now: Timestamp) {
        self.teams.insert(team.to_owned());
        let Some(document) = policies.teams.get(team) else { return };
        let is_open = |rep: &str| policies.schedule(rep, Some(team), None).is_open(now);
        let is_closed = !document.members.iter().any(|member| is_open(&member.rep));
        let are_all_asked = is_closed || document.off_hours == OffHours::Anyway;
        for member in &document.members {
            let Some(rep) = policies.reps.get(&member.rep).filter(|rep| rep.available.0) else { continue };
            if are_all_asked || is_open(&rep.name) {
                self.reps.insert(rep.name.clone());
            }
            if rep.capacity.is_some() {
                self.teams.extend(policies.held_through(&rep.name).map(str::to_owned));
            }
        }
    }
}

/// Teams while deciding.
#[derive(Debug)]
pub struct LiveTeams<'a> {
    /// Loaded teams and rounds.
    pub teams: &'a mut BTreeMap<String, TeamState>,
    /// What else was loaded.
    pub desk: &'a Desk,
    /// What was asked for and is not loaded.
    pub missing: &'a mut Missing,
    /// Whether a decision goes on where something is missing, so that all that later rules may ask for is found out at
    /// once. Otherwise it ends there: what comes first is mostly all that is needed.
    pub looks_ahead: bool,
}

/// The name that the state of a round over these teams is kept under. No team can be called so.
pub fn round_name(teams: &[String]) -> String {
    let teams: BTreeSet<&str> = teams.iter().map(String::as_str).collect();
    format!("round#{}", teams.into_iter().collect::<Vec<_>>().join("+"))
}

/// Whether a state is kept for a round, not for a team.
pub fn is_round(name: &str) -> bool {
    name.starts_with("round#")
}

/// A team's members as the documents say, at work or not, with what they hold elsewhere. Somebody whose absences are
/// not in `leave` has none.
pub fn members(
    policies: &PolicySet,
    team: &str,
    leave: &BTreeMap<String, Leave>,
    teams: &BTreeMap<String, TeamState>,
    now: Timestamp,
) -> Vec<Member> {
    let members = policies.teams.get(team).map(|team| team.members.as_slice()).unwrap_or_default();
    let open = |team: &str, rep: &str| {
        teams.get(team).and_then(|state| state.members.get(rep)).map_or(0, |place| place.open)
    };
    members
        .iter()
        .map(|member| {
            let rep = member.rep.as_str();
            let capacity = policies.reps.get(rep).and_then(|rep| rep.capacity);
            let elsewhere = || {
                let others = policies.held_through(rep).filter(|other| *other != team);
                others.fold(0u32, |sum, other| sum.saturating_add(open(other, rep)))
            };
            Member {
                rep: rep.to_owned(),
                weight: member.weight,
                capacity: member.capacity,
                available: policies.is_available(rep),
                off_duty: off_duty(&policies.schedule(rep, Some(team), leave.get(rep)), now),
                anyway: false,
                load: capacity.map(|capacity| Load { elsewhere: elsewhere(), capacity }),
            }
        })
        .collect()
}

/// If nobody of a team can take a lead and the team says so, those off duty are asked as well, but not those on leave.
pub fn ask_anyway(
    policies: &PolicySet,
    team: &str,
    state: &TeamState,
    members: &mut [Member],
    passed_over: &dyn Fn(&str) -> Option<PassedOver>,
) {
    let anyway = policies.teams.get(team).is_some_and(|team| team.off_hours == OffHours::Anyway);
    if anyway && team::peek(state, members, passed_over).chosen.is_none() {
        for member in members {
            member.anyway = member.off_duty.is_some_and(|off_duty| off_duty.why != Why::Leave);
        }
    }
}

/// Why somebody does not bring what is asked.
pub fn lacks(rep: Option<&Rep>, asked: &Asked) -> Option<PassedOver> {
    let speaks = |language| rep.is_some_and(|rep| rep.languages.contains(language));
    let can = |skill| rep.is_some_and(|rep| rep.skills.contains(skill));
    if !asked.languages.iter().all(speaks) {
        return Some(PassedOver::Language);
    }
    (!asked.skills.iter().all(can)).then_some(PassedOver::Skill)
}

/// All teams of those who get more and have a capacity over all of them. If there are several, what changes is stored in
/// one go, and only if the others are as they were read: through them the same rep might get more at the same time. So they might
/// through one that they just left, by whoever goes by the documents before.
pub fn watched(
    policies: &PolicySet,
    before: &BTreeMap<String, TeamState>,
    after: &BTreeMap<String, TeamState>,
) -> BTreeSet<String> {
    let mut watched = BTreeSet::new();
    for (name, state) in after {
        for (rep, place) in &state.members {
            let was = before.get(name).and_then(|state| state.members.get(rep)).map_or(0, |place| place.open);
            if place.open > was && policies.reps.get(rep).is_some_and(|rep| rep.capacity.is_some()) {
                watched.extend(policies.held_through(rep).map(str::to_owned));
            }
        }
    }
    watched
}

/// Whether a rep who is asked for as somebody's owner is on leave: their customers wait overnight. `team` is whose time
/// zone they live by if they have no hours of their own.
pub fn on_leave(
    policies: &PolicySet,
    rep: &str,
    team: Option<&str>,
    leave: Option<&Leave>,
    now: Timestamp,
) -> Option<OffDuty> {
    off_duty(&policies.presence(rep, team, leave), now).filter(|off_duty| off_duty.why == Why::Leave)
}

fn off_duty(schedule: &Schedule, now: Timestamp) -> Option<OffDuty> {
    let closed = schedule.closed(now)?;
    let why = match closed.reason {
        Reason::Leave => Why::Leave,
        Reason::Holiday(_) => Why::Holiday,
        Reason::OffHours => Why::OffHours,
    };
    Some(OffDuty { why, back: closed.back })
}

/// The shares of one lead on live teams.
pub(super) struct Live<'a> {
    pub(super) teams: LiveTeams<'a>,
    pub(super) policies: &'a PolicySet,
    pub(super) lead: &'a LeadId,
    pub(super) now: Timestamp,
    pub(super) saw: &'a mut Saw,
    pub(super) asks: Asks,
    /// Something that this lead asked for is missing.
    pub(super) lacks: bool,
}

impl Live<'_> {
    /// A team's members, unless something has to be loaded first.
    fn members(&mut self, team: &str) -> Option<Vec<Member>> {
        let mut wanted = Missing::default();
        wanted.team(team, self.policies, self.now);
        wanted.teams.retain(|team| !self.teams.teams.contains_key(team));
        wanted.reps.retain(|rep| !self.teams.desk.leave.contains_key(rep));
        if !wanted.is_empty() {
            self.lacks = true;
            self.teams.missing.teams.extend(wanted.teams);
            self.teams.missing.reps.extend(wanted.reps);
            return None;
        }
        Some(members(self.policies, team, &self.teams.desk.leave, self.teams.teams, self.now))
    }

    /// What the team would answer; if nobody is on duty and the team says so, those off duty are asked as well.
    fn look(&mut self, team: &str, asked: &Asked) -> Option<(Vec<Member>, Snapshot)> {
        let mut members = self.members(team)?;
        let state = self.teams.teams.get(team)?;
        let lacks = |rep: &str| lacks(self.policies.reps.get(rep), asked);
        ask_anyway(self.policies, team, state, &mut members, &lacks);
        let seen = team::peek(state, &members, &lacks);
        Some((members, seen))
    }
}

impl<'a> Live<'a> {
    /// The absences that a rep has set, unless they have to be loaded first.
    fn leave(&mut self, rep: &str) -> Option<&'a Leave> {
        let leave = self.teams.desk.leave.get(rep);
        if leave.is_none() {
            self.lacks = true;
            self.teams.missing.reps.insert(rep.to_owned());
        }
        leave
    }

    /// The next of a team, written down as the answer to `ask`.
    fn take(&mut self, team: &str, asked: &Asked, ask: &str) -> Turn {
        let nobody = Turn::Nobody { off_duty: false };
        let lacks = |rep: &str| lacks(self.policies.reps.get(rep), asked);
        if let Some(state) = self.teams.teams.get_mut(team)
            && state
                .grants
                .get(self.lead)
                .is_some_and(|grant| grant.is_sticky() || lacks(&grant.rep).is_some())
        {
            // Granted by another rule before a crash, which asked for less, or for the owner alone.
            team::give_back(state, self.lead);
        }
        let Some((members, _)) = self.look(team, asked) else { return nobody };
        let Some(state) = self.teams.teams.get_mut(team) else { return nobody };
        let (turn, seen) = match team::grant(state, &members, self.lead, self.now, &lacks) {
            team::Assignment::Granted { rep, seen } => (Turn::Of(rep), seen),
            team::Assignment::Nobody { seen } => (Turn::seen(&seen), seen),
        };
        self.saw.teams.insert(ask.to_owned(), seen);
        turn
    }
}

impl Shares for Live<'_> {
    fn next(&mut self, team: &str, asked: &Asked) -> Turn {
        let ask = self.asks.next(team);
        self.take(team, asked, &ask)
    }

    fn round(
        &mut self,
        teams: &[String],
        needs: &BTreeMap<&str, Asked>,
    ) -> Result<(String, String), Vec<Turn>> {
        let name = round_name(teams);
        if !self.teams.teams.contains_key(&name) {
            self.lacks = true;
            self.teams.missing.teams.insert(name.clone());
        }
        let none = Asked::default();
        let asked = |team: &str| needs.get(team).unwrap_or(&none);
        let asks: BTreeMap<&String, String> = teams.iter().map(|team| (team, self.asks.next(team))).collect();
        // A grant that a team did not keep is given back, and the others are asked: at most once each.
        for _ in 0..=teams.len() {
            let (mut turns, mut answers) = (Vec::new(), Vec::new());
            for team in teams {
                let seen = self.look(team, asked(team)).map(|(_, seen)| seen).unwrap_or_default();
                let holds =
                    self.teams.teams.get(team).is_some_and(|state| state.grants.contains_key(self.lead));
                turns.push(Member {
                    rep: team.clone(),
                    weight: 1,
                    capacity: None,
                    available: holds || seen.chosen.is_some(),
                    off_duty: None,
                    anyway: false,
                    load: None,
                });
                answers.push(Turn::seen(&seen));
                self.saw.teams.extend(asks.get(team).map(|ask| (ask.clone(), seen)));
            }
            if self.lacks {
                return Err(Vec::new());
            }
            let Some(state) = self.teams.teams.get_mut(&name) else { return Err(answers) };
            let turn = team::grant(state, &turns, self.lead, self.now, &|_| None);
            let (team, seen) = match turn {
                team::Assignment::Granted { rep, seen } => (rep, seen),
                team::Assignment::Nobody { seen } => {
                    self.saw.rounds.insert(name, seen);
                    return Err(answers);
                }
            };
            // A team is never full of leads: only the order counts.
            team::close(state, &team);
            self.saw.rounds.insert(name.clone(), seen);
            if let Some(ask) = asks.get(&team)
                && let Turn::Of(rep) = self.take(&team, asked(&team), ask)
            {
                return Ok((team, rep));
            }
            if let Some(state) = self.teams.teams.get_mut(&name) {
                team::give_back(state, self.lead);
            }
        }
        Err(Vec::new())
    }

    fn keep(&mut self, team: &str, rep: &str) -> bool {
        let Some(members) = self.members(team) else { return true };
        let Some(state) = self.teams.teams.get_mut(team) else { return true };
        let may_exceed = self.policies.teams.get(team).is_none_or(|team| team.sticky_may_exceed.0);
        let Some(member) = members.iter().find(|member| member.rep == rep) else { return true };
        let has_room = team::take_sticky(state, member, self.lead, self.now, may_exceed).is_ok();
        self.saw.owner_has_room.insert(format!("{team}/{rep}"), has_room);
        has_room
    }

    fn off_duty(&mut self, rep: &str) -> Option<OffDuty> {
        let leave = self.leave(rep)?;
        let off_duty = off_duty(&self.policies.presence(rep, None, Some(leave)), self.now)?;
        self.saw.off_duty.insert(rep.to_owned(), off_duty);
        Some(off_duty)
    }

    fn on_leave(&mut self, rep: &str, team: Option<&str>) -> Option<OffDuty> {
        let leave = self.leave(rep)?;
        let off_duty = on_leave(self.policies, rep, team, Some(leave), self.now)?;
        self.saw.off_duty.insert(owner_name(rep, team), off_duty);
        Some(off_duty)
    }

    fn is_waiting(&self) -> bool {
        self.lacks && !self.teams.looks_ahead
    }
}
