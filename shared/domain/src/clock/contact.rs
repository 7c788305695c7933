//! The first contact: whom it counts for, and how long it took.

use super::FirstContact;
use crate::calendar::Schedule;
use crate::lead::{Assignment, Lead};
use crate::policy::PolicySet;
use crate::time::Timestamp;

/// A contact as it was made.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Who made it: a rep, or the role of a token.
    pub by: &'a str,
    /// When.
    pub at: Timestamp,
    /// When it was written down.
    pub noted: Timestamp,
    /// Over what.
    pub channel: &'a str,
}

/// Whom a contact counts for, with the team it counts in: whoever made it, if they have or had the lead, else its owner,
/// else the last one. `None` for a lead that nobody ever had.
pub fn counts_for<'a>(lead: &'a Lead, by: &str) -> Option<(&'a str, Option<&'a str>)> {
    let progress = &lead.progress;
    let now = progress.assignment.as_ref().map(|assignment| (assignment, progress.clock.as_ref()));
    let past = progress.past.iter().rev().map(|past| (&past.assignment, past.clock.as_ref()));
    let mut all = now.into_iter().chain(past);
    let found = all.clone().find(|(assignment, _)| assignment.rep == by).or_else(|| all.next());
    found.map(|(Assignment { rep, team, .. }, clock)| {
        (rep.as_str(), clock.map(|clock| clock.team.as_str()).or(team.as_deref()))
    })
}

/// Measures the first contact in the working time of whom it counts for; it is in time if that is within the window of
/// the team it counts in, from when the lead was received.
pub fn first_contact(
    lead: &Lead,
    made: Made<'_>,
    rep: &str,
    team: Option<&str>,
    policies: &PolicySet,
    schedule: &Schedule,
) -> FirstContact {
    let working = schedule.open_time_between(lead.received, made.at);
    let response = team.and_then(|team| policies.teams.get(team)?.response.as_ref());
    FirstContact {
        by: made.by.to_owned(),
        at: made.at,
        channel: made.channel.to_owned(),
        rep: rep.to_owned(),
        team: team.map(str::to_owned),
        elapsed: made.at.since(lead.received),
        working,
        within: response.map(|response| working <= response.within.millis()),
        noted: made.noted,
    }
}
