//! Teams while people move leads between them: what leaves, what is given back, who is next.

use sluice_domain::calendar::Leave;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Assignment, Lead};
use sluice_domain::policy::{Need, PolicySet};
use sluice_domain::routing::{Asked, ask_anyway, lacks, members};
use sluice_domain::team::{self, Member, PassedOver, Seen, Snapshot, TeamState};
use sluice_domain::time::Timestamp;
use sluice_store::Desk;
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;

/// Teams as they become.
pub(crate) struct Books<'a> {
    pub(crate) teams: BTreeMap<String, TeamState>,
    leave: BTreeMap<String, Leave>,
    policies: &'a PolicySet,
    now: Timestamp,
}

impl<'a> Books<'a> {
    pub(crate) fn new(policies: &'a PolicySet, desk: &Desk, now: Timestamp) -> Self {
        Self {
            teams: desk.teams.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect(),
            leave: desk.leave.iter().map(|(rep, record)| (rep.clone(), record.leave.clone())).collect(),
            policies,
            now,
        }
    }

    /// An open lead is no longer its owner's.
    pub(crate) fn leaves(&mut self, lead: &LeadId, before: &Assignment) {
        if let Some(state) = before.team.as_ref().and_then(|team| self.teams.get_mut(team)) {
            // The commit of the lead is durable, so a grant that is still outstanding is no longer needed.
            team::settle(state, lead);
            team::close(state, &before.rep);
        }
    }

    /// A share is given back to whoever had it, if they are still in the team.
    pub(crate) fn credit(&mut self, before: &Assignment) {
        let Some(name) = &before.team else { return };
        let member = self.policies.teams.get(name).and_then(|team| team.member(&before.rep));
        if let (Some(member), Some(state)) = (member, self.teams.get_mut(name)) {
            team::credit(state, &member.rep, member.weight);
        }
    }

    /// To this rep; as a lead of the team, if one is named.
    pub(crate) fn give_rep(&mut self, lead: &Lead, rep: &str, name: Option<&str>) -> Result<String, Problem> {
        if !self.policies.reps.contains_key(rep) {
            return Err(Problem::new(422, "rep-unknown", "There is no rep of this name.").about("rep"));
        }
        if let Some(name) = name {
            let members = self.members(name);
            let member = members.iter().find(|member| member.rep == rep).ok_or_else(|| {
                Problem::new(422, "not-a-member", "The lead waits for a member of its team.").about("rep")
            })?;
            let state = self.teams.entry(name.to_owned()).or_default();
            team::take_sticky(state, member, &lead.id, self.now, false).map_err(|full| {
                Problem::new(409, "no-room", format!("{rep} is {full}: close or disqualify a lead first."))
            })?;
            // Granted and committed in one transaction: nothing stays outstanding.
            team::settle(state, &lead.id);
        }
        Ok(rep.to_owned())
    }

    /// To the next of a team who brings what the team and `need` ask, is not `except`, and let no window of the lead run
    /// out.
    pub(crate) fn give_team(
        &mut self,
        lead: &Lead,
        name: &str,
        except: Option<&str>,
        need: Option<&Need>,
    ) -> Snapshot {
        let mut members = self.members(name);
        let reading = self.policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &self.policies.settings);
        let of_team = self.policies.teams.get(name).map(|team| &team.need);
        let asked = Asked::of(need.into_iter().chain(of_team), &facts);
        let passed_over = |rep: &str| {
            let excluded = (Some(rep) == except).then_some(PassedOver::Excluded);
            let was_silent =
                || lead.progress.silent().any(|silent| silent == rep).then_some(PassedOver::Silent);
            excluded.or_else(was_silent).or_else(|| lacks(self.policies.reps.get(rep), &asked))
        };
        let state = self.teams.entry(name.to_owned()).or_default();
        ask_anyway(self.policies, name, state, &mut members, &passed_over);
        match team::grant(state, &members, &lead.id, self.now, &passed_over) {
            team::Assignment::Granted { seen, .. } => {
                team::settle(state, &lead.id);
                seen
            }
            team::Assignment::Nobody { seen } => seen,
        }
    }

    fn members(&self, name: &str) -> Vec<Member> {
        members(self.policies, name, &self.leave, &self.teams, self.now)
    }
}

/// Why nobody of a team got a lead.
pub(crate) fn nobody(seen: &Snapshot) -> Problem {
    let lacks = |seen: &Seen| matches!(seen.passed_over, Some(PassedOver::Language | PassedOver::Skill));
    let detail = match seen.members.iter().any(lacks) {
        true => {
            "Nobody else in this team who brings what the lead's rule and the team ask can take it now. To give it to \
             somebody all the same, name a `rep`."
        }
        false => "Nobody else in this team can take it now.",
    };
    Problem::new(409, "nobody-available", detail).about("team")
}
