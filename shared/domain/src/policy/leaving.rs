//! Who leaves a team, and what a publication leaves behind. A team's state goes on counting open leads of those whom its document names
//! no longer, also where there is no document any more: they are still theirs to work on.

use super::{Document, PolicySet, Target, Team};
use crate::team::TeamState;
use std::collections::{BTreeMap, BTreeSet};

/// Reps by the team that they are in no longer, and may still have open leads of.
pub type Left = BTreeMap<String, BTreeSet<String>>;

/// Who has left which team once `new` documents stand in place of `old` ones. `before` is what the version before says of it, and `states`
/// are the teams of all three, but for those that cannot be read. `is_seen` says that everybody goes by the version before by now:
/// somebody who left with it may be given leads until then. Whoever has no open leads is left out from the next version on.
pub fn left(
    before: &Left,
    old: &[Document],
    new: &[Document],
    states: &BTreeMap<String, TeamState>,
    is_seen: bool,
) -> Left {
    let (was, is) = (members(old), members(new));
    let documents = was.keys().chain(is.keys()).copied();
    let names: BTreeSet<&str> =
        documents.chain(before.keys().chain(states.keys()).map(String::as_str)).collect();
    let mut left = Left::new();
    for team in names {
        let state = states.get(team);
        let holds = |rep: &str| state.is_some_and(|state| state.is_held_by(rep));
        let counts = |rep: &&str| !is_seen || state.is_none() || holds(rep);
        let leave = was.get(team).into_iter().flatten().copied();
        let said = before.get(team).into_iter().flatten().map(String::as_str).filter(counts);
        let holding = state.into_iter().flat_map(|state| state.members.keys()).map(String::as_str);
        let gone = leave.chain(said).chain(holding.filter(|rep| holds(rep)));
        let is_member = |rep: &&str| is.get(team).is_some_and(|members| members.contains(rep));
        let gone: BTreeSet<String> = gone.filter(|rep| !is_member(rep)).map(str::to_owned).collect();
        if !gone.is_empty() {
            left.insert(team.to_owned(), gone);
        }
    }
    left
}

/// What a publication leaves behind and is probably not meant, one sentence each: open leads of teams that there are no longer, or that say
/// no longer how soon somebody has to be in touch, and queues from which nobody may claim.
pub fn left_behind(old: &[Document], new: &[Document], states: &BTreeMap<String, TeamState>) -> Vec<String> {
    let now: BTreeMap<&str, &Team> = teams(new).map(|team| (team.name.as_str(), team)).collect();
    let queues = queues(old);
    let mut lines = Vec::new();
    for team in teams(old) {
        let (name, open) = (&team.name, states.get(&team.name).and_then(open));
        let has_clock = |team: &Team| team.response.is_some();
        match (now.get(name.as_str()), open) {
            (None, Some(open)) => {
                let clocks = match has_clock(team) {
                    true => ", and no response clock of theirs runs any more",
                    false => "",
                };
                lines.push(format!(
                    "team/{name} is removed and has {open}: whoever has them keeps them{clocks}; hand them over with \
                     `sluice rebalance REP`"
                ));
            }
            (Some(now), Some(open)) if has_clock(team) && !has_clock(now) => {
                lines.push(format!(
                    "team/{name} has no `response` any more and has {open}: no response clock of theirs runs any more"
                ));
            }
            _ => {}
        }
        if !now.contains_key(name.as_str()) && queues.contains(name.as_str()) {
            lines.push(format!(
                "team/{name} is removed and has a queue: leads that wait in it are decided anew, by the rules of now"
            ));
        }
    }
    lines
}

impl PolicySet {
    /// Why no response clock of a team's leads runs on; none if they may.
    pub fn why_no_clock(&self, team: &str) -> Option<String> {
        match self.teams.get(team).map(|document| document.response.is_some()) {
            Some(true) => None,
            Some(false) => {
                Some(format!("Team {team} has no `response` any more: no clock of its leads runs on."))
            }
            None => Some(format!("There is no team {team} any more: no clock of its leads runs on.")),
        }
    }
}

/// The open leads of a team and whose they are, if it has any.
fn open(state: &TeamState) -> Option<String> {
    let held: Vec<(&String, u32)> =
        state.members.iter().map(|(rep, place)| (rep, place.open)).filter(|(_, open)| *open > 0).collect();
    let whose: Vec<String> = held.iter().map(|(rep, open)| format!("{rep} {open}")).collect();
    match held.iter().map(|(_, open)| open).sum::<u32>() {
        0 => None,
        1 => Some(format!("1 open lead ({})", whose.join(", "))),
        n => Some(format!("{n} open leads ({})", whose.join(", "))),
    }
}

fn teams(documents: &[Document]) -> impl Iterator<Item = &Team> {
    documents.iter().filter_map(|document| match document {
        Document::Team(team) => Some(team),
        _ => None,
    })
}

fn members(documents: &[Document]) -> BTreeMap<&str, BTreeSet<&str>> {
    teams(documents)
        .map(|team| (team.name.as_str(), team.members.iter().map(|member| member.rep.as_str()).collect()))
        .collect()
}

/// Teams in whose queues rules put leads.
fn queues(documents: &[Document]) -> BTreeSet<&str> {
    let rules = documents.iter().filter_map(|document| match document {
        Document::Routing(routing) => Some(&routing.rules),
        _ => None,
    });
    let targets = rules.flatten().filter_map(|rule| Some(&rule.assign.as_ref()?.target));
    targets
        .filter_map(|target| match target {
            Target::Queue(team) => Some(team.as_str()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::team::MemberState;
    use serde_json::{Value, json};

    fn team(name: &str, reps: &[&str], more: &[(&str, Value)]) -> Document {
        let members: Vec<Value> = reps.iter().map(|rep| json!({"rep": rep})).collect();
        let mut document = json!({"kind": "team", "name": name, "members": members});
        for (field, value) in more {
            document[*field] = value.clone();
        }
        Document::from_json(document).unwrap()
    }

    fn states(teams: &[(&str, &[(&str, u32)])]) -> BTreeMap<String, TeamState> {
        let place = |(rep, open): &(&str, u32)| {
            ((*rep).to_owned(), MemberState { open: *open, ..MemberState::default() })
        };
        let state = |(name, held): &(&str, &[(&str, u32)])| {
            let members = held.iter().map(place).collect();
            ((*name).to_owned(), TeamState { members, ..TeamState::default() })
        };
        teams.iter().map(state).collect()
    }

    fn words(left: &Left) -> String {
        let reps = |reps: &BTreeSet<String>| reps.iter().cloned().collect::<Vec<_>>().join(" ");
        left.iter().map(|(team, left)| format!("{team}: {}", reps(left))).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn who_leaves_a_team_is_known_until_their_last_lead_of_it_is_closed() {
        let (both, one) = ([team("sdr", &["ann", "bo"], &[])], [team("sdr", &["bo"], &[])]);
        let holding = states(&[("sdr", &[("ann", 2), ("bo", 1)])]);
        let nothing = states(&[("sdr", &[("ann", 0), ("bo", 1)])]);
        let first = left(&Left::new(), &both, &one, &holding, true);
        assert_eq!(words(&first), "sdr: ann");
        // The next publications have nothing to do with the team.
        assert_eq!(words(&left(&first, &one, &one, &holding, true)), "sdr: ann");
        assert_eq!(words(&left(&first, &one, &one, &nothing, true)), "");
        // Who goes by the documents before may give her one yet; and of what cannot be read nothing is known.
        assert_eq!(words(&left(&first, &one, &one, &nothing, false)), "sdr: ann");
        assert_eq!(words(&left(&first, &one, &one, &BTreeMap::new(), true)), "sdr: ann");
        assert_eq!(words(&left(&Left::new(), &both, &one, &nothing, true)), "sdr: ann");
        // She comes back.
        assert_eq!(words(&left(&first, &one, &both, &holding, true)), "");
        // The whole team goes, and what nobody wrote down is seen by its state.
        let other = [team("west", &["cy"], &[])];
        assert_eq!(words(&left(&first, &one, &other, &holding, true)), "sdr: ann bo");
        assert_eq!(words(&left(&Left::new(), &other, &other, &holding, true)), "sdr: ann bo");
    }

    #[test]
    fn open_leads_and_queues_of_teams_that_go_are_named() {
        let clock = [("response", json!({"within": "10m"}))];
        let desk = Document::from_json(json!({"kind": "routing", "name": "default", "rules": [
            {"name": "desk", "when": "has(lead.fields.desk)", "assign": {"queue": "desk"}},
            {"name": "all", "assign": {"team": "sdr"}},
        ]}));
        let old = [
            team("sdr", &["ann", "bo"], &clock),
            team("desk", &["bo"], &[]),
            team("west", &["cy"], &clock),
            team("idle", &["cy"], &clock),
            desk.unwrap(),
        ];
        let new = [team("west", &["cy"], &[])];
        let states =
            states(&[("sdr", &[("ann", 2), ("bo", 1)]), ("west", &[("cy", 1)]), ("idle", &[("cy", 0)])]);
        assert_eq!(
            left_behind(&old, &new, &states),
            [
                "team/sdr is removed and has 3 open leads (ann 2, bo 1): whoever has them keeps them, and no response \
                 clock of theirs runs any more; hand them over with `sluice rebalance REP`",
                "team/desk is removed and has a queue: leads that wait in it are decided anew, by the rules of now",
                "team/west has no `response` any more and has 1 open lead (cy 1): no response clock of theirs runs any \
                 more",
            ]
        );
        assert_eq!(left_behind(&old, &old, &states), Vec::<String>::new());
    }

    #[test]
    fn why_a_clock_stands_still_is_known_by_its_team() {
        let clock = [("response", json!({"within": "10m"}))];
        let documents = [team("sdr", &["ann"], &clock), team("west", &["ann"], &[])];
        let policies = PolicySet::build(1, documents).unwrap();
        assert_eq!(policies.why_no_clock("sdr"), None);
        for (team, said) in
            [("west", "Team west has no `response` any more"), ("gone", "There is no team gone any more")]
        {
            assert!(policies.why_no_clock(team).is_some_and(|why| why.starts_with(said)), "{team}");
        }
    }
}
