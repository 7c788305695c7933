//! What a caller sees: whose leads and customers, and which of their facts.
//!
//! What is out of reach is answered as what is not there. Hidden facts are replaced where they stand by their names, and their values
//! are taken out of everything else that the answer says.

use crate::auth::Principal;
use crate::{Call, Console};
use serde_json::Value;
use sluice_domain::access::{Hidden, Mask, Reach, Role};
use sluice_domain::customer::{Customer, Known};
use sluice_domain::id::CustomerId;
use sluice_domain::lead::{Envelope, Facts, Lead, LeadState};
use sluice_domain::policy::{FieldMap, Reading};
use sluice_domain::routing::Receipt;
use sluice_domain::template::Context;
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::sync::{Mutex, PoisonError};

/// What one caller sees.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    pub(crate) reach: Reach,
    pub(crate) mask: Mask,
    /// The caller's name, as it stands in `by`.
    me: String,
    /// Values that were loaded and are not to be shown.
    hidden: Mutex<Hidden>,
}

impl Console {
    pub(crate) async fn sight(&self, who: &Principal) -> Result<Sight, Problem> {
        if who.role == Role::Admin {
            return Ok(Sight { reach: Reach::everybody(), me: who.name(), ..Sight::default() });
        }
        let policies = self.current().await?;
        Ok(Sight {
            reach: Reach::of(who.role, who.rep.as_deref(), &who.teams, &policies),
            mask: policies.access.mask(who.role),
            me: who.name(),
            hidden: Mutex::default(),
        })
    }
}

impl Sight {
    /// Whether nothing is out of reach, and nothing hidden.
    pub(crate) fn is_whole(&self) -> bool {
        self.reach.is_everybody() && self.mask.is_empty()
    }

    /// Whether a lead is within reach: its owner is, whoever works on it is, or it may be claimed.
    pub(crate) fn has_lead(&self, lead: &Lead, owner: Option<&str>) -> bool {
        self.reach.has_owner(owner) || self.works_on(lead) || self.may_claim(lead)
    }

    /// Whether somebody within reach has the lead.
    pub(crate) fn works_on(&self, lead: &Lead) -> bool {
        let rep = lead.progress.assignment.as_ref().map(|assignment| assignment.rep.as_str());
        self.reach.has_owner(rep)
    }

    /// Whether the lead is nobody's and may be taken: an escalated one, or one in the queue of a team within reach.
    pub(crate) fn may_claim(&self, lead: &Lead) -> bool {
        lead.progress.state == LeadState::Escalated
            || lead.progress.queue().is_some_and(|team| self.reach.has_queue(team))
    }

    /// Whether a person is within reach, by any of their records.
    pub(crate) fn has_person(&self, known: &Known, record: &Customer) -> bool {
        let root = known.customers.get(&known.root(&record.id)).unwrap_or(record);
        self.reach.has_owner(known.whole(root).owner().map(|owner| owner.rep.as_str()))
    }

    /// People as they are shown; never to be stored.
    pub(crate) fn people(&self, known: &Known) -> Known {
        let mut shown = known.clone();
        if !self.mask.is_empty() {
            let mut hidden = Hidden::default();
            for record in shown.customers.values_mut() {
                *record = self.mask.record(record, &mut hidden);
            }
            self.hide(hidden);
        }
        shown
    }

    /// Takes what a lead says and is hidden out of the answer, wherever it stands.
    pub(crate) fn lead(&self, envelope: &Envelope, facts: &Facts, reading: &Reading) {
        let mut hidden = Hidden::default();
        self.mask.lead(envelope, facts, reading, &mut hidden);
        self.hide(hidden);
    }

    /// A document of the person's with its members hidden by their names.
    pub(crate) fn members(&self, mut value: Value, map: &FieldMap) -> Value {
        if !self.mask.is_empty() {
            let mut hidden = Hidden::default();
            self.mask.members(&mut value, map, &mut hidden);
            self.hide(hidden);
        }
        value
    }

    /// A value of this fact, if it is seen.
    pub(crate) fn shown(&self, fact: &str, value: Option<&str>) -> Option<String> {
        match value {
            Some(value) if self.mask.hides(fact) => {
                let mut hidden = Hidden::default();
                hidden.add(value);
                self.hide(hidden);
                Some(Hidden::SHOWN.to_owned())
            }
            value => value.map(str::to_owned),
        }
    }

    /// What holds everything that was sent is left out as soon as anything is hidden.
    pub(crate) fn whole<T>(&self, value: Option<T>) -> Option<T> {
        value.filter(|_| self.mask.is_empty())
    }

    /// A receipt as it is explained: without people out of reach who only came into question, and those whose part it is are not
    /// named, except whom a lead within reach is from. `known` has everybody whom it names.
    pub(crate) fn receipt(&self, receipt: &Receipt, known: &Known, from: Option<&CustomerId>) -> Receipt {
        let mut shown = receipt.clone();
        if self.reach.is_everybody() {
            return shown;
        }
        let is_seen =
            |id: &CustomerId| known.customers.get(id).is_some_and(|record| self.has_person(known, record));
        shown.found.retain(|found| found.passed_over.is_none() || is_seen(&found.customer));
        shown.suggestions.retain(|one| is_seen(&one.customer));
        let mut hidden = Hidden::default();
        let from = from.map(|id| known.root(id));
        let is_theirs = |id: &&CustomerId| from.as_ref().is_some_and(|from| *from == known.root(id));
        let unnamed = people_of(&shown).filter(|id| !is_seen(id)).filter(|id| !is_theirs(id));
        unnamed.for_each(|id| hidden.add(id.as_str()));
        self.hide(hidden);
        shown
    }

    /// Takes the owner's name out of the answer, if the owner is out of reach.
    pub(crate) fn owner_of(&self, known: &Known, id: &CustomerId) {
        let record = known.customers.get(&known.root(id));
        let owner = record.and_then(|record| known.whole(record).owner());
        if let Some(owner) = owner.filter(|owner| !self.reach.has_rep(&owner.rep)) {
            let mut hidden = Hidden::default();
            hidden.add(&owner.rep);
            self.hide(hidden);
        }
    }

    /// What a template may read, without what is hidden. From here on nothing is taken out of the answer any more.
    pub(crate) fn without_hidden(&self, context: Context) -> Context {
        let hidden = std::mem::take(&mut *self.hidden.lock().unwrap_or_else(PoisonError::into_inner));
        context.without(&hidden)
    }

    fn hide(&self, hidden: Hidden) {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner).extend(hidden);
    }

    /// The answer without hidden values.
    pub(crate) fn clean(&self, answer: HttpResponse) -> HttpResponse {
        let hidden = self.hidden.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if hidden.is_empty() {
            return answer;
        }
        let body = match serde_json::from_slice::<Value>(&answer.body) {
            Ok(mut body) => {
                let own = own_texts(&body, &self.me);
                hidden.scrub(&mut body);
                for (place, text) in own {
                    if let Some(shown) = body.pointer_mut(&place) {
                        *shown = text;
                    }
                }
                body.to_string()
            }
            Err(_) => hidden.scrubbed(&String::from_utf8_lossy(&answer.body)),
        };
        HttpResponse { body: body.into(), ..answer }
    }
}

/// Everybody whom a receipt names.
pub(crate) fn people_of(receipt: &Receipt) -> impl Iterator<Item = &CustomerId> {
    let found = receipt.found.iter().map(|found| &found.customer);
    let merged = receipt.merges.iter().flat_map(|merge| [&merge.from, &merge.into]);
    found.chain(merged).chain(receipt.suggestions.iter().map(|one| &one.customer))
}

/// What the caller wrote, with its place in an answer: notes and reasons. It is read back as it is. If it were not where it says
/// what is hidden, writing would be a way to guess.
fn own_texts(answer: &Value, me: &str) -> Vec<(String, Value)> {
    let mut own = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for (list, member) in [("acts", "reason"), ("contacts", "note"), ("proofs", "note")] {
        for (at, item) in answer[list].as_array().into_iter().flatten().enumerate() {
            if item["by"] == me && item[member].is_string() {
                own.push((format!("/{list}/{at}/{member}"), item[member].clone()));
                lines.extend(act_line(item));
            }
        }
    }
    if answer["contact"]["by"] == me && answer["contact"]["note"].is_string() {
        own.push(("/contact/note".to_owned(), answer["contact"]["note"].clone()));
    }
    for (at, line) in answer["why"].as_array().into_iter().flatten().enumerate() {
        if line.as_str().is_some_and(|line| lines.iter().any(|own| own == line)) {
            own.push((format!("/why/{at}"), line.clone()));
        }
    }
    own
}

/// An act with its reason, as `why` has it.
fn act_line(act: &Value) -> Option<String> {
    Some(format!(
        "{} by {} at {}: {}",
        act["what"].as_str()?,
        act["by"].as_str()?,
        Timestamp::parse(act["at"].as_str()?)?,
        act["reason"].as_str()?
    ))
}

/// A rep who is out of reach is as one who is not there.
pub(crate) fn no_such_rep() -> Problem {
    Problem::new(404, "no-such-rep", "There is no rep of this name.")
}

impl Call {
    /// A rep whom the call names, if within reach.
    pub(crate) fn reach_rep(&self, rep: &str) -> Result<(), Problem> {
        if self.sight.reach.has_rep(rep) { Ok(()) } else { Err(no_such_rep()) }
    }
}
