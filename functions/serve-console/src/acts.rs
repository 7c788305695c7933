//! What a rep or manager does with a lead. Each act is one transaction of the lead, its team and its customer.

use crate::auth;
use crate::choose::{self, Books};
use crate::leads::no_such_lead;
use crate::{Call, Console, rebalance, teller, unavailable};
use serde::Deserialize;
use sluice_domain::access::{Role, owner_changes};
use sluice_domain::clock::PastEnd;
use sluice_domain::customer::{Known, Ownership};
use sluice_domain::id::CustomerId;
use sluice_domain::lead::{Act, Assignment, Lead, LeadState, Progress, Work};
use sluice_domain::policy::{Need, PolicySet};
use sluice_domain::routing::{Missing, goes_along, own, watched};
use sluice_domain::team::TeamState;
use sluice_domain::time::Timestamp;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{self, Outgoing, QueueName};
use sluice_store::{Commit, Desk, TeamRecord, Wanted, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::idempotency;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{LeadMessage, NoticeKind, NoticeMessage, encode};
use std::collections::BTreeMap;

/// How often an act is tried again because somebody else was faster.
pub(crate) const ATTEMPTS: usize = 8;

/// What every act may say. What else a caller says of it is heard by none.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    /// Why, in the person's words.
    reason: Option<String>,
    /// The number of the assignment that it is about.
    from: Option<u64>,
}

/// A claim as it is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Claim {
    rep: Option<String>,
    reason: Option<String>,
    from: Option<u64>,
}

/// A reassignment as it is asked for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reassignment {
    rep: Option<String>,
    team: Option<String>,
    reason: Option<String>,
    from: Option<u64>,
}

/// An act that takes a lead off its owner's hands or gives it to another.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Taken on.
    Accept,
    /// Worked to its end, or not a lead after all.
    Finish(Work),
    /// To a rep, to the next of a team, or to a rep as a lead of the team.
    Give { rep: Option<String>, team: Option<String> },
    /// It was no lead: disqualified, and its owner's share of the team's leads is given back.
    Credit,
}

impl Console {
    pub(crate) async fn accept(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.act(call, "accept", call.read().map(|said| (said, Step::Accept))).await
    }

    pub(crate) async fn close(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.act(call, "close", call.read().map(|said| (said, Step::Finish(Work::Closed)))).await
    }

    pub(crate) async fn disqualify(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let step = Step::Finish(Work::Disqualified);
        self.act(call, "disqualify", call.read().map(|said| (said, step))).await
    }

    /// `{"rep": …}` or `{"team": …}`, and a `reason`. With an `Idempotency-Key`, or with `"from"`, the number of the
    /// assignment it is about, a repeat whose first answer was lost moves the lead no further.
    pub(crate) async fn reassign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked = call.read().and_then(|asked: Reassignment| {
            let Reassignment { rep, team, reason, from } = asked;
            if rep.is_some() == team.is_some() {
                let detail = "Say to whom: either `rep` or `team`.";
                return Err(Problem::new(422, "target-missing", detail).about("rep"));
            }
            Ok((Said { reason, from }, Step::Give { rep, team }))
        });
        self.act(call, "reassign", asked).await
    }

    /// `{"reason": …}`: the lead was none, and whoever got it is due another.
    pub(crate) async fn credit(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked = call.read().and_then(|said: Said| {
            if said.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
                let detail = "Say why it was no lead: `reason`.";
                return Err(Problem::new(422, "reason-missing", detail).about("reason"));
            }
            Ok((said, Step::Credit))
        });
        self.act(call, "credit", asked).await
    }

    /// An escalated lead is for whoever takes it first, one in a queue for the first of that team. A manager names the
    /// rep; a rep claims for nobody else.
    pub(crate) async fn claim(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let asked = call.read().and_then(|asked: Claim| {
            let Claim { rep, reason, from } = asked;
            let own = &call.who.rep;
            if call.who.role == Role::Rep && rep.is_some() && rep != *own {
                let detail = "A rep's token claims for its own rep only. Leave `rep` out, or have a manager claim for somebody else.";
                return Err(Problem::new(403, "not-allowed", detail).about("rep"));
            }
            let rep = rep.or_else(|| own.clone());
            let rep =
                rep.ok_or_else(|| Problem::new(422, "rep-missing", "Say for whom: `rep`.").about("rep"))?;
            Ok((Said { reason, from }, Step::Give { rep: Some(rep), team: None }))
        });
        self.act(call, "claim", asked).await
    }

    /// Takes the step that is asked for, or says what is wrong with the call: of a lead that there is.
    async fn act(
        &self,
        call: &Call,
        what: &'static str,
        asked: Result<(Said, Step), Problem>,
    ) -> Result<HttpResponse, Problem> {
        let key = key_of(call, &format!("{what} {}", call.json()?))?;
        let (Said { reason, from }, step) = match asked {
            Ok(asked) => asked,
            Err(unfit) => {
                check_lead(call, what, &self.find_lead(call.part(0)).await?)?;
                return Err(unfit);
            }
        };
        let reason: Option<String> = reason.map(|reason| reason.chars().take(500).collect());
        for _ in 0..ATTEMPTS {
            let lead = self.find_lead(call.part(0)).await?;
            let person = self.person_of(&lead).await?;
            let policies = self.current().await?;
            check_reach(call, what, &lead, &step)?;
            let step = in_queue(&step, what, &lead);
            let now = self.env.clock.now();
            let act = Act {
                what: what.to_owned(),
                by: call.who.name(),
                at: now,
                reason: clone(&reason),
                key: clone(&key),
                asked: None,
            };
            let n = u64::from(lead.progress.next_n() - 1);
            let is_known = is_done(&lead, key.as_ref())?;
            if is_known || from.is_some_and(|from| from < n) || !is_possible(what, &step, &lead)? {
                // The next time there might be something to do.
                if let Some(key) = key.clone().filter(|_| !is_known)
                    && self.keep_key(&lead, key).await? == Written::Conflict
                {
                    continue;
                }
                // Whoever did it may have died before anybody was told. Who was told is not told again.
                self.tell(&lead, &lead.progress, &step, now).await?;
                return Ok(HttpResponse::json(200, &self.view(call, &lead, person.as_ref()).await?));
            }
            let (commit, after) = self.prepare(call, &lead, person.as_ref(), &step, act, &policies).await?;
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Conflict {
                continue;
            }
            // Nobody had it before: its first owner is the end that it waited for.
            if after.assignment.as_ref().is_some_and(|first| first.n == 1 && first.at == now) {
                Metrics::ended(&lead, after.state, now).emit(&self.env, now);
            }
            self.tell(&lead, &after, &step, now).await?;
            let lead = self.find_lead(call.part(0)).await?;
            let person = self.person_of(&lead).await?;
            return Ok(HttpResponse::json(200, &self.view(call, &lead, person.as_ref()).await?));
        }
        Err(Problem::new(409, "busy", "Others are changing this lead or its team. Try again.").retry_after(1))
    }

    /// Keeps the key of a call that changes nothing of the lead, if the lead is still the one that was read.
    pub(crate) async fn keep_key(&self, lead: &Lead, key: (String, String)) -> Result<Written, Problem> {
        let mut after = lead.progress.clone();
        after.keep_key(key);
        self.store.commit(Commit::default().lead(lead, after)).await.map_err(unavailable)
    }

    pub(crate) async fn prepare(
        &self,
        call: &Call,
        lead: &Lead,
        person: Option<&(CustomerId, Known)>,
        step: &Step,
        act: Act,
        policies: &PolicySet,
    ) -> Result<(Commit, Progress), Problem> {
        let (now, what) = (act.at, act.what.clone());
        let mut after = lead.progress.clone();
        after.acts.push(act);
        let before = lead.progress.assignment.clone();
        let desk = self.desk_of(before.as_ref(), step, policies, now).await?;
        let read: BTreeMap<String, TeamState> =
            desk.teams.iter().map(|(name, record)| (name.clone(), record.state.clone())).collect();
        let mut books = Books::new(policies, &desk, now);
        let leaves = !matches!(step, Step::Accept) && lead.progress.work.is_open();
        if let Some(before) = before.as_ref().filter(|_| leaves) {
            books.leaves(&lead.id, before);
        }
        match step {
            Step::Accept => after.work = Work::Accepted,
            Step::Finish(work) => {
                after.work = *work;
                after.stop_clock();
            }
            Step::Credit => {
                after.stop_clock();
                if after.work.is_open() {
                    after.work = Work::Disqualified;
                }
                if let Some(before) = &before {
                    books.credit(before);
                }
            }
            Step::Give { rep, team } => {
                let except = before.as_ref().map(|before| before.rep.as_str());
                let (rep, share) = match (rep, team) {
                    (Some(rep), team) => (books.give_rep(lead, rep, team.as_deref())?, false),
                    (None, team) => {
                        let need = self.need_of(lead).await?;
                        let team = team.as_deref().unwrap_or_default();
                        let seen = books.give_team(lead, team, except, need.as_ref());
                        let rep = seen.chosen_rep().ok_or_else(|| choose::nobody(&seen))?;
                        if let Some(act) = after.acts.last_mut() {
                            act.asked = Some((team.to_owned(), seen));
                        }
                        (rep, true)
                    }
                };
                let n = after.next_n();
                let clocks = after.end_assignment(now, PastEnd::Given);
                let rule = team.clone().or(clocks);
                let leave = desk.leave.get(&rep).map(|record| &record.leave);
                let schedule = policies.schedule(&rep, rule.as_deref(), leave);
                after.assignment = Some(Assignment { rep, team: clone(team), at: now, n, share });
                after.start_clock(policies, rule.as_deref(), &schedule);
                after.state = LeadState::Assigned;
                after.work = Work::Open;
            }
        }
        let mut commit = Commit::default().lead(lead, after.clone());
        let watched = watched(policies, &read, &books.teams);
        for (name, record) in &desk.teams {
            let state = books.teams.get(name).cloned().unwrap_or_default();
            if state != record.state {
                commit = commit.team(name, TeamRecord { state, version: record.version });
            } else if watched.len() > 1 && watched.contains(name) {
                commit = commit.unchanged_team(name, record.version);
            }
        }
        let root = person.and_then(|(root, known)| Some((known.customers.get(root)?, known)));
        if let (Step::Give { .. }, Some((root, known)), Some(assignment)) = (step, root, &after.assignment) {
            let whole = known.whole(root);
            let owner = whole.owner();
            let leaver = before.as_ref().filter(|_| what == rebalance::ACT);
            if leaver.is_none_or(|leaver| goes_along(owner, &leaver.rep, policies)) {
                let is_out_of_reach = |owner: &Ownership| !call.sight.reach.has_rep(&owner.rep);
                if !call.sight.may_claim(lead) && owner.is_some_and(is_out_of_reach) {
                    let detail = "Its customer is somebody else's now.";
                    return Err(Problem::new(409, "out-of-place", detail));
                }
                let mut root = root.clone();
                own(&mut root, assignment);
                let moved = owner_changes(known, std::slice::from_ref(&root)).into_iter();
                let notes = moved.map(|moved| moved.note(&call.who.doer(), now, &what, Some(&lead.id)));
                commit = commit.notes(notes).customer(root);
            }
        }
        Ok((commit, after))
    }

    /// What the rule that decided about a lead asks of whoever gets it.
    pub(crate) async fn need_of(&self, lead: &Lead) -> Result<Option<Need>, Problem> {
        let Some(receipt) = &lead.progress.receipt else { return Ok(None) };
        let policies = self.policies.at(receipt.manifest).await.map_err(unavailable)?;
        Ok(receipt.need(&policies).cloned())
    }

    /// The team a lead leaves, the one it goes to, and what has to be known of those it might go to there.
    async fn desk_of(
        &self,
        before: Option<&Assignment>,
        step: &Step,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<Desk, Problem> {
        let mut missing = Missing::default();
        if !matches!(step, Step::Accept) {
            missing.teams.extend(before.and_then(|before| before.team.clone()));
        }
        if let Step::Give { team: Some(team), .. } = step {
            if !policies.teams.contains_key(team) {
                return Err(Problem::new(422, "team-unknown", "There is no team of this name.").about("team"));
            }
            missing.team(team, policies, now);
        }
        let wanted = Wanted { teams: missing.teams, reps: missing.reps, ..Wanted::default() };
        self.store.desk(&wanted).await.map_err(unavailable)
    }

    /// A new owner is told, and policies of what was done; room that came free wakes leads that wait for it.
    pub(crate) async fn tell(
        &self,
        lead: &Lead,
        after: &Progress,
        step: &Step,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let happened = match (step, &after.assignment, &after.customer) {
            (Step::Give { .. }, Some(assignment), Some(customer)) => {
                Some(teller(now).assigned(lead, customer, assignment))
            }
            (Step::Give { .. }, ..) => None,
            _ => teller(now).worked(lead, after),
        };
        let mut messages = outbox::events(happened.into_iter().collect(), now);
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

/// What a call about a lead is known by: hashes of its key, and of what is asked.
pub(crate) fn key_of(call: &Call, asked: &str) -> Result<Option<(String, String)>, Problem> {
    let Some(key) = idempotency::key(&call.request)? else { return Ok(None) };
    let short = |text: &str| auth::hash(text).chars().take(16).collect();
    Ok(Some((short(key), short(asked))))
}

/// Whether the call of this key was carried out, or found nothing to do. The same key for something else is a mistake.
pub(crate) fn is_done(lead: &Lead, key: Option<&(String, String)>) -> Result<bool, Problem> {
    let Some((key, asked)) = key else { return Ok(false) };
    match lead.progress.asked_under(key) {
        None => Ok(false),
        Some(before) if before == asked => Ok(true),
        Some(_) => Err(idempotency::reused("something else on this lead")),
    }
}

fn clone<T: Clone>(value: &Option<T>) -> Option<T> {
    value.clone()
}

/// A lead that is out of reach is not there.
fn check_lead(call: &Call, what: &str, lead: &Lead) -> Result<(), Problem> {
    let is_nobodys = matches!(what, "claim" | "reassign") && call.sight.may_claim(lead);
    if !call.sight.reach.is_everybody() && !call.sight.works_on(lead) && !is_nobodys {
        return Err(no_such_lead());
    }
    Ok(())
}

/// The same, and of a rep or a team that it is to go to.
fn check_reach(call: &Call, what: &str, lead: &Lead, step: &Step) -> Result<(), Problem> {
    check_lead(call, what, lead)?;
    let Step::Give { rep, team } = step else { return Ok(()) };
    if rep.as_ref().is_some_and(|rep| !call.sight.reach.has_rep(rep)) {
        return Err(Problem::new(422, "rep-unknown", "There is no rep of this name.").about("rep"));
    }
    if team.as_ref().is_some_and(|team| !call.sight.reach.has_team(team)) {
        return Err(Problem::new(422, "team-unknown", "There is no team of this name.").about("team"));
    }
    Ok(())
}

/// What is claimed out of a queue counts as a lead of the team.
fn in_queue(step: &Step, what: &str, lead: &Lead) -> Step {
    match (step, lead.progress.queue()) {
        (Step::Give { rep, team: None }, Some(queue)) if what == "claim" => {
            Step::Give { rep: rep.clone(), team: Some(queue.to_owned()) }
        }
        _ => step.clone(),
    }
}

/// Whether the act changes anything; done before is fine, out of place is a conflict.
fn is_possible(what: &str, step: &Step, lead: &Lead) -> Result<bool, Problem> {
    let Progress { state, work, assignment, .. } = &lead.progress;
    let conflict = |detail: &str| Err(Problem::new(409, "out-of-place", detail));
    match step {
        Step::Accept | Step::Finish(_) | Step::Credit if *state != LeadState::Assigned => {
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
        Step::Credit if lead.progress.acts.iter().any(|act| act.what == "credit") => Ok(false),
        Step::Credit if assignment.as_ref().is_some_and(|assignment| assignment.share) => Ok(true),
        Step::Credit => {
            conflict("The lead was no share of a team's leads, so there is nothing to give back.")
        }
        Step::Give { rep, .. } if what == "claim" => {
            let by_me = assignment.as_ref().is_some_and(|a| Some(&a.rep) == rep.as_ref());
            match state {
                LeadState::Escalated | LeadState::Queued => Ok(true),
                LeadState::Assigned if by_me => Ok(false),
                _ => conflict("Only a lead that nobody has is for claiming; somebody was faster."),
            }
        }
        Step::Give { rep, .. } => match state {
            LeadState::Assigned | LeadState::Escalated | LeadState::Queued if work.is_open() => {
                Ok(assignment.as_ref().is_none_or(|a| Some(&a.rep) != rep.as_ref()))
            }
            _ => conflict("Only an open lead can be given to somebody else."),
        },
    }
}
