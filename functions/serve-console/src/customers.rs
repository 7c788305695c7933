//! Customers: show one, join two, undo a merge.

use crate::acts::ATTEMPTS;
use crate::consents::seen_places;
use crate::{Call, Console, person, unavailable};
use serde_json::{Value, json};
use sluice_domain::access::owner_changes;
use sluice_domain::customer::{
    Change, Customer, Decided, HashKeys, Identity, Joined, Known, MAX_RECORDS, Raised, Refused, Suggestion,
    Whole, join, keep_apart, open_suggestions, take_apart,
};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::Lead;
use sluice_store::{Commit, DueEntry, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Leads of a customer listed with it.
const LEADS: usize = 20;
/// What the audit calls it that two are one.
const MERGE: &str = "merge";
/// Leads of a record that are looked at for who owns it once it is taken out.
const MOST_LEADS: usize = 300;

impl Console {
    /// What is known of these identities.
    pub(crate) async fn known(&self, identities: &[Identity]) -> Result<Known, Problem> {
        let keys = self.hash_keys().await?;
        let known = self.store.known(&[identities], &keys).await.map_err(unavailable)?;
        Ok(known.into_iter().next().unwrap_or_default())
    }

    pub(crate) async fn hash_keys(&self) -> Result<HashKeys, Problem> {
        self.secrets.hash_keys().await.map_err(|error| {
            tracing::warn!(%error, "hash key not read");
            Problem::new(503, "unavailable", "Identities cannot be looked up just now. Try again.")
                .retry_after(2)
        })
    }

    pub(crate) async fn show_customer(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (root, known) = self.find_person(call, call.part(0)).await?;
        Ok(HttpResponse::json(200, &self.customer_view(call, &root, &known).await?))
    }

    /// Takes a customer out of the one it gave way to and keeps the two apart from then on. Named by the half, or by
    /// the live customer when it has just one half.
    pub(crate) async fn unmerge(&self, call: &Call) -> Result<HttpResponse, Problem> {
        for _ in 0..ATTEMPTS {
            let (root, known) = self.find_person(call, call.part(0)).await?;
            let asked = CustomerId::parse(call.part(0)).ok_or_else(no_such_customer)?;
            let nothing = || Problem::new(409, "not-merged", "This customer was not merged with another.");
            let half = match known.customers.get(&asked) {
                Some(record) if record.into.is_some() => record,
                Some(record) if record.halves.len() == 1 => {
                    record.halves.first().and_then(|id| known.customers.get(id)).ok_or_else(nothing)?
                }
                Some(record) if record.halves.len() > 1 => {
                    let ids: Vec<String> = record.halves.iter().map(ToString::to_string).collect();
                    let detail = format!("Say which part to take out: {}.", ids.join(", "));
                    return Err(Problem::new(409, "several-halves", detail));
                }
                _ => return Err(nothing()),
            };
            let id = half.id.clone();
            let mut leads = BTreeMap::new();
            for record in known.customers.values() {
                leads.insert(record.id.clone(), self.chain(record, MOST_LEADS).await?);
            }
            let records = take_apart(&known, &id, &leads, self.decided(call));
            if records.is_empty() {
                return Err(nothing());
            }
            let looks = self.looks(&records).await?;
            let commit = self.joined(call, "unmerge", &known, records, &looks);
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Conflict {
                continue;
            }
            self.look(looks).await;
            let known = self.store.people(BTreeSet::from([id.clone()])).await.map_err(unavailable)?;
            let taken_out = self.customer_view(call, &id, &known).await?;
            let known = self.store.people(BTreeSet::from([root.clone()])).await.map_err(unavailable)?;
            let stays = self.customer_view(call, &known.root(&root), &known).await?;
            return Ok(HttpResponse::json(200, &json!({"taken_out": taken_out, "stays": stays})));
        }
        Err(Problem::new(409, "busy", "Others are changing this customer. Try again.").retry_after(1))
    }

    /// `{"with": "cu_…"}`: this customer and that one are one person. Done before is fine.
    pub(crate) async fn merge(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.decide(call, MERGE, join).await
    }

    /// `{"from": "cu_…"}`: this customer and that one are two people, neither suggested nor joined again.
    pub(crate) async fn keep_apart(&self, call: &Call) -> Result<HttpResponse, Problem> {
        self.decide(call, "keep_apart", keep_apart).await
    }

    /// What a person says of two customers, in one transaction; the answer is the first of them as it is now.
    async fn decide(
        &self,
        call: &Call,
        what: &str,
        decision: fn(&Known, &CustomerId, &CustomerId, Decided) -> Change,
    ) -> Result<HttpResponse, Problem> {
        let body = call.json()?;
        let one = CustomerId::parse(call.part(0)).ok_or_else(no_such_customer)?;
        let named = ["with", "from"].into_iter().find_map(|name| Some((name, body[name].as_str()?)));
        let (name, other) = named.ok_or_else(|| {
            let detail = "Name the other customer: `with` to merge, `from` to keep apart.";
            Problem::new(422, "other-missing", detail).about("with")
        })?;
        let no_other =
            || Problem::new(404, "no-such-customer", "There is no other customer with this id.").about(name);
        let other = CustomerId::parse(other).ok_or_else(no_other)?;
        if other == one {
            let detail = "Both are the same customer. Name another for the second.";
            return Err(Problem::new(422, "same-customer", detail).about(name));
        }
        for _ in 0..ATTEMPTS {
            let both = BTreeSet::from([one.clone(), other.clone()]);
            let known = self.store.people(both).await.map_err(unavailable)?;
            check_person(call, &known, &known.root(&one))?;
            check_person(call, &known, &known.root(&other)).map_err(|_| no_other())?;
            let records = match decision(&known, &one, &other, self.decided(call)) {
                Change::Records(records) => vec![records.0, records.1],
                Change::Nothing => {
                    return Ok(HttpResponse::json(
                        200,
                        &self.customer_view(call, &known.root(&one), &known).await?,
                    ));
                }
                Change::Refused(why) => return Err(refused(why)),
            };
            // Who is kept apart is of the records as before.
            let looks = if what == MERGE { self.looks(&records).await? } else { Vec::new() };
            let commit = self.joined(call, what, &known, records, &looks);
            if self.store.commit(commit).await.map_err(unavailable)? == Written::Done {
                self.look(looks).await;
                let (root, known) = self.find_person(call, call.part(0)).await?;
                return Ok(HttpResponse::json(200, &self.customer_view(call, &root, &known).await?));
            }
        }
        Err(Problem::new(409, "busy", "Others are changing these customers. Try again.").retry_after(1))
    }

    /// Records as they shall be, with what the audit says where that gives somebody another owner, and looks that are due then.
    fn joined(
        &self,
        call: &Call,
        what: &str,
        known: &Known,
        records: Vec<Customer>,
        looks: &[DueEntry],
    ) -> Commit {
        let moved = owner_changes(known, &records).into_iter();
        let notes = moved.map(|moved| moved.note(&call.who.doer(), self.env.clock.now(), what, None));
        let commit = looks.iter().cloned().fold(Commit::default().notes(notes), Commit::due);
        records.into_iter().fold(commit, Commit::customer)
    }

    fn decided(&self, call: &Call) -> Decided {
        Decided { by: call.who.name(), at: self.env.clock.now() }
    }

    /// Customers who may be the same person, each with the lead or event that raised it and what that says.
    pub(crate) async fn suggestions_for(
        &self,
        call: &Call,
        root: &CustomerId,
        known: &Known,
    ) -> Result<Vec<Value>, Problem> {
        let named = known.customers.values().flat_map(|record| record.maybe.keys().cloned());
        let mut all = self.store.people(named.collect()).await.map_err(unavailable)?;
        all.customers.extend(known.customers.clone());
        let mut open = open_suggestions(&all, root);
        open.retain(|other, _| {
            all.customers.get(other).is_some_and(|record| call.sight.has_person(&all, record))
        });
        let by_lead: BTreeSet<&LeadId> = open.values().filter_map(Raised::lead).collect();
        let ids: Vec<LeadId> = by_lead.into_iter().cloned().collect();
        let leads = self.store.leads(&ids).await.map_err(unavailable)?;
        let shown = open.into_iter().filter_map(|(other, raised)| match raised {
            Raised::Lead(id) => {
                let receipt = leads.get(&id)?.progress.receipt.as_ref()?;
                let is_pair = |named: &CustomerId| [root, &other].contains(&&all.root(named));
                let said = receipt.suggestions.iter().find(|one| is_pair(&one.customer))?;
                let one = Suggestion { customer: other, ..said.clone() };
                Some(person::raised(&one, "lead", json!(id), receipt.at))
            }
            Raised::Event { id, at, kind, reason } => {
                let one = Suggestion { customer: other, kind: Some(kind), reason, likeness: None };
                Some(person::raised(&one, "event", json!(id), at))
            }
        });
        Ok(shown.collect())
    }

    /// All records of a person within reach, by the id of any of them; the live one's id.
    pub(crate) async fn find_person(&self, call: &Call, id: &str) -> Result<(CustomerId, Known), Problem> {
        let id = CustomerId::parse(id).ok_or_else(no_such_customer)?;
        let known = self.store.people(BTreeSet::from([id.clone()])).await.map_err(unavailable)?;
        let root = known.root(&id);
        check_person(call, &known, &root)?;
        Ok((root, known))
    }

    /// A customer as people see them.
    pub(crate) async fn customer_view(
        &self,
        call: &Call,
        root: &CustomerId,
        known: &Known,
    ) -> Result<Value, Problem> {
        // On the heap: many calls answer with it, and each would hold a place for it on the stack of all of them.
        Box::pin(self.whole_view(call, root, known)).await
    }

    async fn whole_view(&self, call: &Call, root: &CustomerId, known: &Known) -> Result<Value, Problem> {
        let (policies, keys) = (self.current().await?, self.hash_keys().await?);
        let Some(record) = known.customers.get(root) else { return Err(no_such_customer()) };
        let places = seen_places(call, &known.whole(record), &policies, &keys);
        let known = &call.sight.people(known);
        let Some(record) = known.customers.get(root) else { return Err(no_such_customer()) };
        let whole = known.whole(record);
        let mut leads: Vec<Value> = Vec::new();
        for part in whole.parts() {
            leads.extend(self.chain(part, LEADS).await?.iter().map(row));
        }
        let suggestions = self.suggestions_for(call, root, known).await?;
        let consents = self.standing(&places).await?;
        leads.sort_by(|a, b| b["received"].as_str().cmp(&a["received"].as_str()));
        leads.truncate(LEADS);
        let mut shown = json!({
            "id": root,
            "created": record.created.rfc3339(),
            "owner": whole.owner().map(person::owner),
            "identities": person::identities(&whole, &keys),
            "profile": person::profile(&whole, &policies.settings.survivorship),
            "consents": consents,
            "suggestions": suggestions,
            "lead_count": whole.leads(),
            "leads": leads,
            "merged_from": whole.halves.iter().map(|half| &half.id).collect::<Vec<_>>(),
            "kept_apart_from": whole.apart(),
            "decisions": decisions(&whole),
        });
        if let Some(shown) = shown.as_object_mut() {
            let behaviour = self.behaviour(call, &whole, &policies).await?;
            shown.extend(behaviour.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        Ok(shown)
    }

    /// The newest leads of a record, at most so many, along the chain that each lead continues.
    async fn chain(&self, part: &Customer, most: usize) -> Result<Vec<Lead>, Problem> {
        let mut leads = Vec::new();
        let mut next = part.last_lead.clone();
        while let Some(id) = next.take().filter(|_| leads.len() < most) {
            let Some(lead) = self.store.lead(&id).await.map_err(unavailable)? else { break };
            next.clone_from(&lead.progress.previous);
            leads.push(lead);
        }
        Ok(leads)
    }
}

/// A lead as it is listed with its customer.
fn row(lead: &Lead) -> Value {
    json!({
        "id": lead.id, "state": lead.progress.state.name(), "source": lead.origin.name,
        "received": lead.received.rfc3339(),
    })
}

/// What was decided about the records of a person: why each half gave way, and who is kept apart.
pub(crate) fn decisions(whole: &Whole<'_>) -> Vec<Value> {
    let said = |decided: Option<&Decided>| {
        (decided.map(|decided| decided.by.clone()), decided.map(|decided| decided.at.rfc3339()))
    };
    let joined = whole.parts().filter_map(|record| {
        let (lead, event, decided) = match record.joined.as_ref()? {
            Joined::By(lead) => (Some(lead), None, None),
            Joined::Event(event) => (None, Some(event), None),
            Joined::ByHand(decided) => (None, None, Some(decided)),
        };
        let (by, at) = said(decided);
        Some(json!({
            "what": "joined", "customer": record.id, "with": record.into, "lead": lead, "event": event, "by": by,
            "at": at,
        }))
    });
    let apart =
        whole.parts().flat_map(|record| record.apart.iter().map(move |(other, by)| (record, other, by)));
    let apart = apart.map(|(record, other, decided)| {
        let (by, at) = said(decided.as_ref());
        json!({"what": "kept_apart", "customer": record.id, "from": other, "by": by, "at": at})
    });
    joined.chain(apart).collect()
}

fn refused(why: Refused) -> Problem {
    match why {
        Refused::TooManyRecords => Problem::new(
            409,
            "too-many-records",
            format!(
                "Together they would be of more than {MAX_RECORDS} records: hardly one person. Take some apart first."
            ),
        ),
        Refused::AreOne => Problem::new(
            409,
            "are-one",
            "They are one customer. `unmerge` takes a record out and keeps it apart.",
        ),
    }
}

/// A person who is out of reach is not there.
pub(crate) fn check_person(call: &Call, known: &Known, root: &CustomerId) -> Result<(), Problem> {
    let record = known.customers.get(root).ok_or_else(no_such_customer)?;
    if call.sight.has_person(known, record) { Ok(()) } else { Err(no_such_customer()) }
}

pub(crate) fn no_such_customer() -> Problem {
    Problem::new(404, "no-such-customer", "There is no customer with this id or identity.")
}
