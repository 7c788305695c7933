//! Teams while deciding: loaded ones answer, others are noted so that they can be loaded.

use sluice_domain::id::LeadId;
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{Saw, Shares};
use sluice_domain::team::{self, Assignment, Member};
use sluice_domain::time::Timestamp;
use sluice_store::TeamRecord;
use std::collections::{BTreeMap, BTreeSet};

/// The shares of one lead's decision.
pub(crate) struct LiveShares<'a> {
    /// Loaded teams; changed by granting.
    pub teams: &'a mut BTreeMap<String, TeamRecord>,
    /// Documents.
    pub policies: &'a PolicySet,
    /// The lead that is decided.
    pub lead: &'a LeadId,
    /// When.
    pub at: Timestamp,
    /// What was seen goes here.
    pub saw: &'a mut Saw,
    /// Teams asked for that are not loaded.
    pub missing: &'a mut BTreeSet<String>,
}

impl Shares for LiveShares<'_> {
    fn next(&mut self, team: &str) -> Option<String> {
        let Some(record) = self.teams.get_mut(team) else {
            self.missing.insert(team.to_owned());
            return None;
        };
        let members = members(self.policies, team);
        let (rep, seen) = match team::grant(&mut record.state, &members, self.lead, self.at, &|_| None) {
            Assignment::Granted { rep, seen } => (Some(rep), seen),
            Assignment::Nobody { seen } => (None, seen),
        };
        self.saw.teams.insert(team.to_owned(), seen);
        rep
    }

    fn keep(&mut self, team: &str, rep: &str) -> bool {
        let Some(record) = self.teams.get_mut(team) else {
            self.missing.insert(team.to_owned());
            return true;
        };
        let may_exceed = self.policies.teams.get(team).is_none_or(|team| team.sticky_may_exceed.0);
        let members = members(self.policies, team);
        let Some(member) = members.iter().find(|member| member.rep == rep) else { return true };
        let has_room = team::take_sticky(&mut record.state, member, self.lead, self.at, may_exceed).is_ok();
        self.saw.owner_has_room = Some(has_room);
        has_room
    }
}

/// A team's members as the documents say.
pub(crate) fn members(policies: &PolicySet, team: &str) -> Vec<Member> {
    let members = policies.teams.get(team).map(|team| team.members.as_slice()).unwrap_or_default();
    members
        .iter()
        .map(|member| Member {
            rep: member.rep.clone(),
            weight: member.weight,
            capacity: member.capacity,
            available: policies.is_available(&member.rep),
        })
        .collect()
}
