//! The open leads of somebody who leaves: where each would go and why, then done.

use crate::acts::{ATTEMPTS, Step};
use crate::choose::Books;
use crate::{Call, Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::access::Reach;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Act, Lead};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{Missing, company_goes_along};
use sluice_store::{CompanyRecord, Wanted, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Where leads go that are no lead of a team.
struct Others {
    rep: Option<String>,
    team: Option<String>,
}

impl Others {
    /// To whom a lead goes: on in its team, if that is within reach; else where the caller says.
    fn step(&self, lead: &Lead, policies: &PolicySet, reach: &Reach) -> Option<Step> {
        let team = lead.progress.assignment.as_ref().and_then(|assignment| assignment.team.clone());
        let team = team.filter(|team| policies.teams.contains_key(team) && reach.has_team(team));
        let team = team.or_else(|| self.team.clone());
        let rep = self.rep.clone().filter(|_| team.is_none());
        (team.is_some() || rep.is_some()).then_some(Step::Give { rep, team })
    }
}

impl Console {
    /// Without `"do": true` it says what would happen and changes nothing. Leads of a team go to the next of that team, with
    /// their customers unless these are somebody else's by now, and the rep's companies with the first of their leads; others to `"rep"` or `"team"`, if one is named. Page by page, by `cursor`; done again, it goes on where it stopped,
    /// because what has moved is no longer the rep's.
    pub(crate) async fn rebalance(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (leaver, body) = (call.part(0).to_owned(), call.json()?);
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let others = Others { rep: text("rep"), team: text("team") };
        let policies = self.current().await?;
        call.reach_rep(&leaver)?;
        let reach = &call.sight.reach;
        let unknown = |name: &'static str, what: &str| {
            Problem::new(422, name, format!("There is no {what} of this name, or it is the one who leaves."))
                .about(what)
        };
        if others
            .team
            .as_ref()
            .is_some_and(|team| !policies.teams.contains_key(team) || !reach.has_team(team))
        {
            return Err(unknown("team-unknown", "team"));
        }
        let is_other = |rep: &String| *rep != leaver && policies.reps.contains_key(rep) && reach.has_rep(rep);
        if others.rep.as_ref().is_some_and(|rep| !is_other(rep)) {
            return Err(unknown("rep-unknown", "rep"));
        }
        let (ids, cursor) = self.told(&leaver, text("cursor").as_deref()).await?;
        if ids.is_empty() && text("cursor").is_none() && !policies.reps.contains_key(&leaver) {
            return Err(Problem::new(
                404,
                "no-such-rep",
                "There is no rep of this name, and never was one with leads.",
            ));
        }
        let does = body["do"].as_bool() == Some(true);
        let leads = if does {
            self.hand_over_all(call, &leaver, &ids, &others).await?
        } else {
            self.preview(call, &leaver, &ids, &others, &policies).await?
        };
        Ok(HttpResponse::json(200, &json!({"rep": leaver, "done": does, "leads": leads, "cursor": cursor})))
    }

    async fn preview(
        &self,
        call: &Call,
        leaver: &str,
        ids: &[LeadId],
        others: &Others,
        policies: &PolicySet,
    ) -> Result<Vec<Value>, Problem> {
        let (now, reach) = (self.env.clock.now(), &call.sight.reach);
        let mut leads = self.store.leads(ids).await.map_err(unavailable)?;
        leads.retain(|_, lead| is_open(lead, leaver));
        let mut missing = Missing::default();
        for step in leads.values().filter_map(|lead| others.step(lead, policies, reach)) {
            if let Step::Give { team: Some(team), .. } = step {
                missing.team(&team, policies, now);
            }
        }
        let wanted = Wanted { teams: missing.teams, reps: missing.reps, ..Wanted::default() };
        let desk = self.store.desk(&wanted).await.map_err(unavailable)?;
        let mut books = Books::new(policies, &desk, now);
        let all: Vec<&Lead> = leads.values().collect();
        let companies = self.companies(&all, policies).await?;
        let (mut rows, mut gone) = (Vec::new(), BTreeSet::new());
        for lead in ids.iter().filter_map(|id| leads.remove(id)) {
            if let Some(before) = &lead.progress.assignment {
                books.leaves(&lead.id, before);
            }
            let (to, team, mut why) = match others.step(&lead, policies, reach) {
                Some(Step::Give { rep: Some(rep), .. }) => (Some(rep), None, vec![NAMED.to_owned()]),
                Some(Step::Give { team: Some(team), .. }) => {
                    let need = self.need_of(&lead).await?;
                    let seen = books.give_team(&lead, &team, Some(leaver), need.as_ref());
                    (seen.chosen_rep(), Some(team), seen.words())
                }
                _ => (None, None, vec![NO_TEAM.to_owned()]),
            };
            if let (Some(rep), Some((domain, record))) = (&to, companies.get(&lead.id))
                && company_goes_along(&record.owner, leaver, rep, team.as_deref()).is_some()
                && gone.insert(domain)
            {
                why.push(goes_along(leaver));
            }
            rows.push(row(&lead.id, to.as_deref(), team.as_deref(), why));
        }
        Ok(rows)
    }

    /// The companies of leads that have an owner, as they were read: the domain and the record.
    async fn companies(
        &self,
        leads: &[&Lead],
        policies: &PolicySet,
    ) -> Result<BTreeMap<LeadId, (String, CompanyRecord)>, Problem> {
        if !policies.routing.use_company_owners {
            return Ok(BTreeMap::new());
        }
        let mut domains = BTreeMap::new();
        for lead in leads {
            let reading = policies.reading(&lead.origin);
            let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
            if let Some(domain) = facts.company_domain {
                domains.insert(lead.id.clone(), domain.to_string());
            }
        }
        let wanted = Wanted { companies: domains.values().cloned().collect(), ..Wanted::default() };
        let desk = self.store.desk(&wanted).await.map_err(unavailable)?;
        let of = |(lead, domain): (LeadId, String)| {
            let record = desk.companies.get(&domain)?.clone();
            Some((lead, (domain, record)))
        };
        Ok(domains.into_iter().filter_map(of).collect())
    }

    async fn hand_over_all(
        &self,
        call: &Call,
        leaver: &str,
        ids: &[LeadId],
        others: &Others,
    ) -> Result<Vec<Value>, Problem> {
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(self.hand_over_one(call, leaver, id, others).await?);
        }
        Ok(rows)
    }

    /// One lead; nothing if it is not, or no longer, an open one of the rep.
    async fn hand_over_one(
        &self,
        call: &Call,
        leaver: &str,
        id: &LeadId,
        others: &Others,
    ) -> Result<Option<Value>, Problem> {
        for _ in 0..ATTEMPTS {
            let Some(lead) = self.store.lead(id).await.map_err(unavailable)? else { return Ok(None) };
            let now = self.env.clock.now();
            let policies = self.current().await?;
            if !is_open(&lead, leaver) {
                // Moved by a call that may have died before anybody was told. Who was told is not told again.
                let moved = lead.progress.acts.last().is_some_and(|act| {
                    act.what == ACT && act.reason.as_deref() == Some(reason(leaver).as_str())
                });
                if moved && lead.progress.work.is_open() {
                    self.tell(&lead, &lead.progress, &Step::Give { rep: None, team: None }, now).await?;
                }
                return Ok(None);
            }
            let Some(step) = others.step(&lead, &policies, &call.sight.reach) else {
                return Ok(Some(row(id, None, None, vec![NO_TEAM.to_owned()])));
            };
            let person = self.person_of(&lead).await?;
            let company = self.companies(&[&lead], &policies).await?.remove(&lead.id);
            let act = Act {
                what: ACT.to_owned(),
                by: call.who.name(),
                at: now,
                reason: Some(reason(leaver)),
                key: None,
                asked: None,
            };
            let (commit, after) =
                match self.prepare(call, &lead, person.as_ref(), &step, act, &policies).await {
                    Ok(prepared) => prepared,
                    // Nobody of the team can take it now. The others are handed over all the same.
                    Err(problem) if problem.status == 409 => {
                        return Ok(Some(row(id, None, None, vec![problem.detail])));
                    }
                    Err(problem) => return Err(problem),
                };
            let to = after.assignment.as_ref();
            let team = to.and_then(|to| to.team.as_deref());
            let along = company.zip(to).and_then(|((domain, read), to)| {
                let owner = company_goes_along(&read.owner, leaver, &to.rep, team)?;
                Some((domain, CompanyRecord { owner, version: read.version }))
            });
            let said = along.is_some().then(|| goes_along(leaver));
            let commit =
                along.into_iter().fold(commit, |commit, (domain, record)| commit.company(&domain, record));
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Conflict {
                continue;
            }
            self.tell(&lead, &after, &step, now).await?;
            let words = after.acts.last().map(Act::words).unwrap_or_default();
            let why = std::iter::once(reason(leaver)).chain(words).chain(said).collect();
            return Ok(Some(row(id, to.map(|to| to.rep.as_str()), team, why)));
        }
        Ok(Some(row(id, None, None, vec!["Others are changing it. Do it again.".to_owned()])))
    }
}

pub(crate) const ACT: &str = "rebalance";
const NAMED: &str = "No lead of a team of yours: to the rep that was named.";
const NO_TEAM: &str = "No lead of a team of yours: say to whom it goes, `rep` or `team`.";

fn reason(leaver: &str) -> String {
    format!("{leaver} leaves")
}

fn goes_along(leaver: &str) -> String {
    format!("Its company was {leaver}'s and goes along.")
}

fn is_open(lead: &Lead, rep: &str) -> bool {
    lead.progress.is_worked_on()
        && lead.progress.assignment.as_ref().is_some_and(|assignment| assignment.rep == rep)
}

fn row(lead: &LeadId, to: Option<&str>, team: Option<&str>, why: Vec<String>) -> Value {
    json!({"lead": lead, "to": to, "team": team, "why": why})
}
