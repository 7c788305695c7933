//! The response clock: how soon the owner of a lead has to be in touch, and whose lead it becomes otherwise.
//!
//! A clock belongs to one assignment. Its points are instants at which a part of the team's window has passed in the
//! working time of whoever has the lead. Only the next one is outstanding, as a due entry that is written in the same
//! commit as what it follows from. A [`Tick`] is what comes of that entry; it says which point of which assignment it
//! stands for, and one that no longer fits changes nothing: twice is harmless, and stopping a clock needs no deletion.
//!
//! The documents and absences that count are those of the moment at which an entry fires. If its point is not reached by
//! them yet, it is armed again; a shorter window therefore takes effect from the next point on. Where a rep's absences change, the
//! clocks of what they have are set anew at once ([`set_anew`]): one that slept through a leave that is shorter now wakes sooner. An
//! entry that comes very late stands for the last point reached: reminders that would come together are one, and after the end there is none.
//!
//! - The first contact stops the clock of a lead for good; closing and disqualifying stop it too. Accepting is no
//!   contact and stops nothing.
//! - Whoever goes on leave with no end known is as good as silent: at the next point of their clock, which is still
//!   outstanding at the time it would have without the leave, the lead is taken from them.
//! - Where the owner is only reminded, the lead stays with whoever is away with no end known, and each day at the time at which their work
//!   would begin the clock looks whether they are back. The window goes on from then, and what of it was missed is one reminder.
//! - Whoever lets a window run out is passed over for that lead from then on. Their place is free again; what the lead
//!   cost them in their team's order is not refunded, so that nobody gains by waiting.
//! - If the customer has become somebody else's meanwhile, who is not on leave, the lead follows the customer. Otherwise
//!   another member of the team gets it, whose window starts afresh, at most `limit` times. Then, or when no other member can take it
//!   just now, the catch-all gets it, for whom no clock runs.
//! - Without a catch-all it is escalated and somebody is told. Such a lead waits for a person: routing does not try it
//!   again, since the rules have been through with it.
//! - A lead given to somebody by hand starts a new clock, by the rules of the team it is given to, or else of the team
//!   whose clock it had; reassignments already made count.

mod contact;
mod explain;
mod fire;
mod take;
#[cfg(test)]
mod tests;

pub use contact::{Made, counts_for, first_contact};
pub use explain::{explain, reminding};
pub use fire::{Change, Floor, What, asked_for, fire, receivers, set_anew};
pub use take::{manifests, reproduced};

use crate::calendar::Schedule;
use crate::id::LeadId;
use crate::lead::{Act, Assignment, LeadState, Progress};
use crate::policy::{Point, PolicySet, Response, Then, Window};
use crate::team::{OffDuty, Snapshot};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A point of a window, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u8, Timestamp)", into = "(u8, Timestamp)")]
pub struct Mark {
    /// The point.
    pub point: Point,
    /// When it is, or was acted upon.
    pub at: Timestamp,
}

impl From<(u8, Timestamp)> for Mark {
    fn from((percent, at): (u8, Timestamp)) -> Self {
        Self { point: Point::percent(percent), at }
    }
}

impl From<Mark> for (u8, Timestamp) {
    fn from(mark: Mark) -> Self {
        (mark.point.value(), mark.at)
    }
}

/// A reminder that was decided. JSON: `[point, at, manifest, passed]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Reminder {
    /// The point, and when it was decided.
    pub mark: Mark,
    /// What the decision saw: the manifest version it used, and the working time that had passed, in milliseconds.
    pub saw: Option<(u64, i64)>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Seen(u8, Timestamp, u64, i64),
    Mark(u8, Timestamp),
}

impl From<Written> for Reminder {
    fn from(written: Written) -> Self {
        match written {
            Written::Seen(point, at, manifest, passed) => {
                Self { mark: (point, at).into(), saw: Some((manifest, passed)) }
            }
            Written::Mark(point, at) => Self { mark: (point, at).into(), saw: None },
        }
    }
}

impl From<Reminder> for Written {
    fn from(Reminder { mark, saw }: Reminder) -> Self {
        let (point, at) = mark.into();
        match saw {
            Some((manifest, passed)) => Self::Seen(point, at, manifest, passed),
            None => Self::Mark(point, at),
        }
    }
}

/// What a decision that took a lead saw, besides the lead and the documents: enough to make it again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saw {
    /// Working time that had passed since the clock started, in milliseconds.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<i64>,
    /// The window was not over and never would be: whoever had the lead is away with no end known.
    #[serde(rename = "g", default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
    /// The customer's owner and the team they have them through, where that was asked.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<(String, Option<String>)>,
    /// That owner was on leave.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub owner_away: Option<OffDuty>,
    /// Whether that owner had room, where that was asked.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub has_room: Option<bool>,
    /// Teams that were asked, in order, as they stood.
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<(String, Snapshot)>,
}

/// The clock of one assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Whose rule it is.
    #[serde(rename = "t")]
    pub team: String,
    /// Since when.
    #[serde(rename = "s")]
    pub started: Timestamp,
    /// The window when it was last looked at.
    #[serde(rename = "w")]
    pub within: Window,
    /// The point that is outstanding, and when it is looked at; absent is a clock that has stopped.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Mark>,
    /// Whoever has the lead is away with no end known, so that `next` is only when that is looked at again.
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
    /// Reminders decided.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub reminded: Vec<Reminder>,
}

impl Clock {
    /// The last point its owner was reminded of.
    pub fn reminded(&self) -> Point {
        self.reminded.last().map_or(Point::START, |one| one.mark.point)
    }

    fn stop(&mut self) {
        (self.next, self.away) = (None, false);
    }
}

/// What a due entry of a clock stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tick {
    /// The lead.
    pub lead: LeadId,
    /// Number of the assignment.
    pub n: u32,
    /// The point in per cent.
    pub point: u8,
    /// When it is due.
    pub at: Timestamp,
}

/// An assignment that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Who had the lead, since when.
    #[serde(rename = "a")]
    pub assignment: Assignment,
    /// Its clock, if it had one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// Until when.
    #[serde(rename = "u")]
    pub until: Timestamp,
    /// Why it ended.
    #[serde(rename = "e")]
    pub end: PastEnd,
}

/// Why an assignment ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastEnd {
    /// A person gave the lead to somebody else.
    Given,
    /// Its window ran out, or never would: the receipt of that decision.
    Silent {
        /// The manifest version it used.
        #[serde(rename = "m")]
        manifest: u64,
        /// What it saw.
        #[serde(flatten)]
        saw: Saw,
        /// Whom the lead went to.
        #[serde(rename = "t")]
        to: To,
    },
}

/// Whom a lead goes to whose window ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// Another member of the team.
    Member,
    /// The customer's owner, who is somebody else by now.
    Owner,
    /// The catch-all.
    CatchAll,
    /// Nobody: a person has to look.
    Nobody,
}

/// The first contact with whoever sent a lead, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstContact {
    /// Who made it: a rep, or the role of a token.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Over what: `phone`, `email`, …
    pub channel: String,
    /// The rep it counts for.
    pub rep: String,
    /// The team it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Milliseconds since the lead was received.
    #[serde(rename = "e")]
    pub elapsed: i64,
    /// Of these, working time of that rep.
    #[serde(rename = "w")]
    pub working: i64,
    /// Whether that is within the team's window; absent is a team without one.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub within: Option<bool>,
    /// When it was written down, which is later than `at` for a contact noted afterwards.
    #[serde(rename = "n")]
    pub noted: Timestamp,
}

impl Progress {
    /// The number of the next assignment.
    pub fn next_n(&self) -> u32 {
        let last = self.past.last().map_or(0, |past| past.assignment.n);
        self.assignment.as_ref().map_or(last, |assignment| assignment.n.max(last)) + 1
    }

    /// Who let a window of this lead run out, or went away for good while they had it.
    pub fn silent(&self) -> impl Iterator<Item = &str> {
        let silent = |past: &&Past| matches!(past.end, PastEnd::Silent { .. });
        self.past.iter().filter(silent).map(|past| past.assignment.rep.as_str())
    }

    /// How often a clock gave the lead to another owner, the catch-all left out.
    pub fn reassignments(&self) -> u32 {
        let counts = |past: &&Past| matches!(past.end, PastEnd::Silent { to: To::Member | To::Owner, .. });
        u32::try_from(self.past.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// Whether it was escalated because nobody was in touch: a person decides, routing does not try again.
    pub fn waits_for_a_person(&self) -> bool {
        let silent = |past: &Past| matches!(past.end, PastEnd::Silent { to: To::Nobody, .. });
        self.state == LeadState::Escalated && self.past.last().is_some_and(silent)
    }

    /// Whether its owner is still to be in touch: what a reminder says holds.
    pub fn is_awaited(&self) -> bool {
        self.is_worked_on() && self.contact.is_none()
    }

    /// The clock that runs, and its outstanding point.
    pub fn running(&self) -> Option<(&Clock, Mark)> {
        let clock = self.clock.as_ref()?;
        Some((clock, clock.next?))
    }

    /// What its due entry stands for.
    pub fn tick(&self, lead: &LeadId) -> Option<Tick> {
        let (_, Mark { point, at }) = self.running()?;
        let n = self.assignment.as_ref()?.n;
        Some(Tick { lead: lead.clone(), n, point: point.value(), at })
    }

    /// Stops the clock; what it did stays visible.
    pub fn stop_clock(&mut self) {
        if let Some(clock) = &mut self.clock {
            clock.stop();
        }
    }

    /// Ends the assignment there is, and its clock with it. The team of that clock.
    pub fn end_assignment(&mut self, until: Timestamp, end: PastEnd) -> Option<String> {
        let mut clock = self.clock.take();
        let team = clock.as_ref().map(|clock| clock.team.clone());
        if let Some(clock) = &mut clock {
            clock.stop();
        }
        if let Some(assignment) = self.assignment.take() {
            self.past.push(Past { assignment, clock, until, end });
        }
        team.or_else(|| self.past.iter().rev().find_map(|past| Some(past.clock.as_ref()?.team.clone())))
    }

    /// Whether nobody is told whose the lead is: an import that was to be quiet brought it, and no person has given it to
    /// anybody since.
    pub fn is_quiet(&self) -> bool {
        let is_quiet = self.import.as_ref().is_some_and(|import| import.quiet);
        is_quiet && !self.acts.iter().any(Act::gives)
    }

    /// Starts the clock of the assignment there is by the rule of `team`, unless there was a contact already, the team
    /// has no rule, or its owner is not told: an import that was to be quiet. `schedule` is the owner's.
    pub fn start_clock(&mut self, policies: &PolicySet, team: Option<&str>, schedule: &Schedule) {
        let response = team.and_then(|team| policies.teams.get(team)?.response.as_ref());
        let told = self.assignment.as_ref().filter(|_| !self.is_quiet());
        let (None, Some(assignment), Some(team), Some(response)) = (&self.contact, told, team, response)
        else {
            self.clock = None;
            return;
        };
        let mut clock = Clock {
            team: team.to_owned(),
            started: assignment.at,
            within: response.within,
            next: None,
            away: false,
            reminded: Vec::new(),
        };
        clock.next = next(&clock, response, Point::START, schedule);
        self.clock = Some(clock);
    }
}

/// The point after `point`, and when it is: for somebody who is away with no end known, when it would be if they were
/// not. None after the last, and none for somebody who never works.
fn next(clock: &Clock, response: &Response, point: Point, schedule: &Schedule) -> Option<Mark> {
    let point = response.after(point);
    let is_one = point < Point::END || response.then != Then::RemindOnly;
    let millis = response.within.until(point);
    let in_time = || schedule.add_open_time(clock.started, millis);
    let at =
        is_one.then(|| in_time().or_else(|| schedule.without_leave().add_open_time(clock.started, millis)));
    Some(Mark { point, at: at.flatten()? })
}
