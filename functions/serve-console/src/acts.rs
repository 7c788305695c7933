//! What a rep or manager does with a lead. Each act is one transaction of the lead, its team and its customer.

use crate::leads::no_such_lead;
use crate::{Call, Console, unavailable};
use sluice_domain::id::CustomerId;
use sluice_domain::lead::{Act, Assignment, Lead, LeadState, Progress, Work};
use sluice_domain::policy::PolicySet;
use sluice_domain::routing::{members, own};
use sluice_domain::team::{self, TeamState};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Commit, TeamRecord, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{LeadMessage, NoticeKind, NoticeMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// How often an act is tried again because somebody else was faster.
const ATTEMPTS: usize = 8;

/// An act that takes a lead off its owner's hands or gives it to another.
enum Step {
    /// Taken on.
    Accept,
    /// Worked to its end, or not a lead after all.
    Finish(Work),
    /// To a rep, or to the next of a team.
    Give { rep: Option<String>, team: Option<String> },
}

impl Console {
    pub(crate) async fn accept(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.act(call, "accept", Step::Accept).await
    }

    pub(crate) async fn close(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.act(call, "close", Step::Finish(Work::Closed)).await
    }

    pub(crate) async fn disqualify(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.act(call, "disqualify", Step::Finish(Work::Disqualified)).await
    }

    /// `{"rep": …}` or `{"team": …}`, and a `reason`. With `"from"`, the number of the assignment it is about, a repeat
    /// whose first answer was lost moves the lead no further.
    pub(crate) async fn reassign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = call.json()?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let (rep, team) = (text("rep"), text("team"));
        if rep.is_some() == team.is_some() {
            return Err(
                Problem::new(422, "target-missing", "Say to whom: either `rep` or `team`.").about("rep")
            );
        }
        self.act(call, "reassign", Step::Give { rep, team }).await
    }

    /// An escalated lead is for whoever takes it first. A manager names the rep.
    pub(crate) async fn claim(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let body = call.json()?;
        let named = body["rep"].as_str().filter(|_| call.who.only().is_none()).map(str::to_owned);
        let rep = named.or_else(|| call.who.rep.clone());
        let rep = rep.ok_or_else(|| Problem::new(422, "rep-missing", "Say for whom: `rep`.").about("rep"))?;
        self.act(call, "claim", Step::Give { rep: Some(rep), team: None }).await
    }

    async fn act(&self, call: &Call, what: &'static str, step: Step) -> Result<HttpResponse, Problem> {
        let from = call.json()?["from"].as_u64();
        let reason = call.json()?["reason"].as_str().map(|reason| reason.chars().take(500).collect());
        for _ in 0..ATTEMPTS {
            let lead = self.find_lead(call.part(0)).await?;
            let person = self.person_of(&lead).await?;
            self.check_mine(call, what, &lead)?;
            let now = self.env.clock.now();
            let act = Act { what: what.to_owned(), by: call.who.name(), at: now, reason: clone(&reason) };
            let n = lead.progress.assignment.as_ref().map_or(0, |assignment| u64::from(assignment.n));
            if from.is_some_and(|from| from < n) || !is_possible(what, &step, &lead)? {
                // Whoever did it may have died before anybody was told. Who was told is not told again.
                self.tell(&lead, &lead.progress, &step, now).await?;
                return Ok(HttpResponse::json(200, &self.view(&lead, person.as_ref()).await?));
            }
            let policies = self.current().await?;
            let (commit, after) = self.prepare(&lead, person.as_ref(), &step, act, &policies, now).await?;
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Conflict {
                continue;
            }
            self.tell(&lead, &after, &step, now).await?;
            let lead = self.find_lead(call.part(0)).await?;
            let person = self.person_of(&lead).await?;
            return Ok(HttpResponse::json(200, &self.view(&lead, person.as_ref()).await?));
        }
        Err(Problem::new(409, "busy", "Others are changing this lead or its team. Try again.").retry_after(1))
    }

    fn check_mine(&self, call: &Call, what: &str, lead: &Lead) -> Result<(), Problem> {
        let Some(me) = call.who.only() else { return Ok(()) };
        let mine = lead.progress.assignment.as_ref().is_some_and(|assignment| assignment.rep == me);
        if mine || (what == "claim" && lead.progress.state == LeadState::Escalated) {
            return Ok(());
        }
        Err(no_such_lead())
    }

    async fn prepare(
        &self,
        lead: &Lead,
        person: Option<&(CustomerId, sluice_domain::customer::Known)>,
        step: &Step,
        act: Act,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<(Commit, Progress), Problem> {
        let mut after = lead.progress.clone();
        after.acts.push(act);
        let before = lead.progress.assignment.clone();
        let mut teams = self.teams_of(before.as_ref(), step, policies).await?;
        let leaves = !matches!(step, Step::Accept);
        if let Some(team) = before.as_ref().and_then(|before| before.team.as_ref())
            && let Some(record) = teams.get_mut(team).filter(|_| leaves && lead.progress.work.is_open())
            && let Some(before) = &before
        {
            // The commit of the lead is durable, so a grant that is still outstanding is no longer needed.
            team::settle(&mut record.state, &lead.id);
            team::close(&mut record.state, &before.rep);
        }
        match step {
            Step::Accept => after.work = Work::Accepted,
            Step::Finish(work) => after.work = *work,
            Step::Give { rep, team } => {
                let mut none = TeamState::default();
                let state = team
                    .as_ref()
                    .and_then(|team| teams.get_mut(team))
                    .map_or(&mut none, |team| &mut team.state);
                let except = before.as_ref().map(|before| before.rep.clone());
                let rep =
                    choose(lead, rep.as_deref(), team.as_deref(), state, policies, except.as_deref(), now)?;
                let n = before.as_ref().map_or(0, |before| before.n) + 1;
                after.assignment = Some(Assignment { rep, team: clone(team), at: now, n });
                after.state = LeadState::Assigned;
                after.work = Work::Open;
            }
        }
        let mut commit = Commit::default().lead(lead, after.clone());
        for (name, record) in teams {
            commit = commit.team(&name, record);
        }
        let root = person.and_then(|(root, known)| known.customers.get(root));
        if let (Step::Give { .. }, Some(root), Some(assignment)) = (step, root, &after.assignment) {
            let mut root = root.clone();
            own(&mut root, assignment);
            commit = commit.customer(root);
        }
        Ok((commit, after))
    }

    async fn teams_of(
        &self,
        before: Option<&Assignment>,
        step: &Step,
        policies: &PolicySet,
    ) -> Result<BTreeMap<String, TeamRecord>, Problem> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        if !matches!(step, Step::Accept) {
            names.extend(before.and_then(|before| before.team.clone()));
        }
        if let Step::Give { team: Some(team), .. } = step {
            if !policies.teams.contains_key(team) {
                return Err(Problem::new(422, "team-unknown", "There is no team of this name.").about("team"));
            }
            names.insert(team.clone());
        }
        self.store.teams(&names).await.map_err(unavailable)
    }

    /// A new owner is told; room that came free wakes leads that wait for it.
    async fn tell(&self, lead: &Lead, after: &Progress, step: &Step, now: Timestamp) -> Result<(), Problem> {
        let mut messages = Vec::new();
        if let (Step::Give { .. }, Some(assignment)) = (step, &after.assignment) {
            let notice = NoticeMessage {
                lead: lead.id.clone(),
                rep: assignment.rep.clone(),
                kind: NoticeKind::Assigned,
                n: assignment.n,
            };
            let id = format!("{}-assigned-{}-{}", lead.id, assignment.n, assignment.rep);
            messages.push(Outgoing { queue: QueueName::Notice, id, body: encode(&notice), not_before: now });
        }
        if !matches!(step, Step::Accept) {
            let body = encode(&LeadMessage::Wake("capacity".to_owned()));
            messages.push(Outgoing {
                queue: QueueName::Lead,
                id: format!("wake-{}", lead.id),
                body,
                not_before: now,
            });
        }
        self.outbox.hand_over(messages, now).await.map_err(unavailable)
    }
}

fn clone<T: Clone>(value: &Option<T>) -> Option<T> {
    value.clone()
}

/// Whether the act changes anything; done before is fine, out of place is a conflict.
fn is_possible(what: &str, step: &Step, lead: &Lead) -> Result<bool, Problem> {
    let Progress { state, work, assignment, .. } = &lead.progress;
    let conflict = |detail: &str| Err(Problem::new(409, "out-of-place", detail));
    match step {
        Step::Accept | Step::Finish(_) if *state != LeadState::Assigned => {
            conflict("The lead has no owner, so there is nobody to do this.")
        }
        Step::Accept => match work {
            Work::Open => Ok(true),
            Work::Accepted => Ok(false),
            _ => conflict("The lead is closed."),
        },
        Step::Finish(to) if work == to => Ok(false),
        Step::Finish(_) if work.is_open() => Ok(true),
        Step::Finish(_) => conflict("The lead is closed already."),
        Step::Give { rep, .. } if what == "claim" => {
            let by_me = assignment.as_ref().is_some_and(|a| Some(&a.rep) == rep.as_ref());
            match state {
                LeadState::Escalated => Ok(true),
                LeadState::Assigned if by_me => Ok(false),
                _ => conflict("Only a lead that nobody could take is for claiming; somebody was faster."),
            }
        }
        Step::Give { rep, .. } => match state {
            LeadState::Assigned | LeadState::Escalated if work.is_open() => {
                Ok(assignment.as_ref().is_none_or(|a| Some(&a.rep) != rep.as_ref()))
            }
            _ => conflict("Only an open lead can be given to somebody else."),
        },
    }
}

fn choose(
    lead: &Lead,
    rep: Option<&str>,
    team: Option<&str>,
    state: &mut TeamState,
    policies: &PolicySet,
    except: Option<&str>,
    now: Timestamp,
) -> Result<String, Problem> {
    if let Some(rep) = rep {
        return match policies.reps.contains_key(rep) {
            true => Ok(rep.to_owned()),
            false => Err(Problem::new(422, "rep-unknown", "There is no rep of this name.").about("rep")),
        };
    }
    let members = members(policies, team.unwrap_or_default());
    let not_again = |name: &str| (Some(name) == except).then_some(team::PassedOver::Excluded);
    match team::grant(state, &members, &lead.id, now, &not_again) {
        team::Assignment::Granted { rep, .. } => {
            // Granted and committed in one transaction: nothing stays outstanding.
            team::settle(state, &lead.id);
            Ok(rep)
        }
        team::Assignment::Nobody { .. } => {
            Err(Problem::new(409, "nobody-available", "Nobody else in this team can take it now.")
                .about("team"))
        }
    }
}
