//! Whose leads and customers somebody sees. What is out of reach is answered as what is not there.

use super::Role;
use crate::policy::PolicySet;
use std::collections::BTreeSet;

/// The people whose leads and customers a token reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    everybody: bool,
    reps: BTreeSet<String>,
    teams: BTreeSet<String>,
    queues: BTreeSet<String>,
}

impl Reach {
    /// Everybody, and what belongs to nobody.
    pub fn everybody() -> Self {
        Self { everybody: true, ..Self::default() }
    }

    /// What a token of this role reaches: a rep themselves; a manager the rep that the token names, the teams that it
    /// names, and whoever is below either.
    pub fn of(role: Role, rep: Option<&str>, teams: &[String], policies: &PolicySet) -> Self {
        let owned = |name: &str| BTreeSet::from([name.to_owned()]);
        let mut reach = match role {
            Role::Admin | Role::Marketer => return Self::everybody(),
            Role::Rep => Self { reps: rep.map(owned).unwrap_or_default(), ..Self::default() },
            Role::Manager => below(rep, teams, policies),
        };
        reach.queues.extend(reach.teams.iter().cloned());
        reach
            .queues
            .extend(rep.into_iter().flat_map(|rep| policies.teams_of(rep)).map(|team| team.name.clone()));
        reach
    }

    /// Whether nothing is out of reach.
    pub const fn is_everybody(&self) -> bool {
        self.everybody
    }

    /// Whether this rep's leads and customers are within reach.
    pub fn has_rep(&self, rep: &str) -> bool {
        self.everybody || self.reps.contains(rep)
    }

    /// The reps within reach, in the order of their names: of everybody those whom the documents name.
    pub fn reps(&self, policies: &PolicySet) -> BTreeSet<String> {
        if !self.everybody {
            return self.reps.clone();
        }
        let members = policies.teams.values().flat_map(|team| &team.members).map(|member| &member.rep);
        policies.reps.keys().chain(members).cloned().collect()
    }

    /// Whether leads may be given to this team.
    pub fn has_team(&self, team: &str) -> bool {
        self.everybody || self.teams.contains(team)
    }

    /// Whether what this rep owns is within reach; what nobody owns is only for those who reach everybody.
    pub fn has_owner(&self, owner: Option<&str>) -> bool {
        self.everybody || owner.is_some_and(|owner| self.reps.contains(owner))
    }

    /// Whether leads that wait in this team's queue may be taken.
    pub fn has_queue(&self, team: &str) -> bool {
        self.everybody || self.queues.contains(team)
    }
}

/// A manager's team: who is in a team that the manager leads or that is named, who reports to the manager, and the same of
/// each of them. In a circle everybody is below everybody.
fn below(rep: Option<&str>, teams: &[String], policies: &PolicySet) -> Reach {
    let mut reach = Reach {
        reps: rep.map(str::to_owned).into_iter().collect(),
        teams: teams.iter().cloned().collect(),
        ..Reach::default()
    };
    loop {
        let leads = |manager: &Option<String>| manager.as_ref().is_some_and(|name| reach.reps.contains(name));
        let led = policies.teams.values().filter(|team| leads(&team.manager)).map(|team| team.name.clone());
        let reporting =
            policies.reps.values().filter(|rep| leads(&rep.reports_to)).map(|rep| rep.name.clone());
        let within = policies.teams.values().filter(|team| reach.teams.contains(&team.name));
        let members = within.flat_map(|team| team.members.iter().map(|member| member.rep.clone()));
        let (more_teams, more_reps): (Vec<String>, Vec<String>) =
            (led.collect(), reporting.chain(members).collect());
        let before = (reach.reps.len(), reach.teams.len());
        reach.teams.extend(more_teams);
        reach.reps.extend(more_reps);
        if before == (reach.reps.len(), reach.teams.len()) {
            return reach;
        }
    }
}
