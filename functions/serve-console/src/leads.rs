//! One lead: where it stands, what was said and why it went where it went.

use crate::contacts::{contact_view, past_view};
use crate::sight::{Sight, people_of};
use crate::{Call, Console, person, unavailable};
use serde_json::{Value, json};
use sluice_domain::access::Hidden;
use sluice_domain::clock;
use sluice_domain::customer::Known;
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::identity::{Email, Phone};
use sluice_domain::lead::{self, Act, Lead, LeadState, MarkKind, Work};
use sluice_domain::policy::Reading;
use sluice_domain::routing::{Receipt, explain, reproduced};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

impl Console {
    pub(crate) async fn show_lead(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let lead = self.find_lead(call.part(0)).await?;
        let person = self.person_of(&lead).await?;
        // Whoever reaches a person sees all that came of them, also what was never given to anybody.
        let record = person.as_ref().and_then(|(root, known)| Some((known, known.customers.get(root)?)));
        let has_person = record.is_some_and(|(known, record)| call.sight.has_person(known, record));
        if !has_person && !call.sight.has_lead(&lead, owner_of(&lead, person.as_ref()).as_deref()) {
            return Err(no_such_lead());
        }
        Ok(HttpResponse::json(200, &self.view(call, &lead, person.as_ref()).await?))
    }

    pub(crate) async fn find_lead(&self, id: &str) -> Result<Lead, Problem> {
        let id = LeadId::parse(id).ok_or_else(no_such_lead)?;
        self.store.lead(&id).await.map_err(unavailable)?.ok_or_else(no_such_lead)
    }

    /// All records of the person a lead belongs to.
    pub(crate) async fn person_of(&self, lead: &Lead) -> Result<Option<(CustomerId, Known)>, Problem> {
        let Some(id) = &lead.progress.customer else { return Ok(None) };
        let known = self.store.people(BTreeSet::from([id.clone()])).await.map_err(unavailable)?;
        Ok(Some((known.root(id), known)))
    }

    /// What was decided, without people out of reach.
    async fn shown_receipt(&self, call: &Call, lead: &Lead) -> Result<Option<Receipt>, Problem> {
        let Some(receipt) = &lead.progress.receipt else { return Ok(None) };
        if call.sight.reach.is_everybody() {
            return Ok(Some(receipt.clone()));
        }
        let from = lead.progress.customer.as_ref();
        let named = people_of(receipt).chain(from).cloned().collect();
        let known = self.store.people(named).await.map_err(unavailable)?;
        Ok(Some(call.sight.receipt(receipt, &known, from)))
    }

    /// Whether the records that its identities led to had given way to the customers that its receipt names.
    async fn led_there(&self, lead: &Lead, known: &Known) -> Result<bool, Problem> {
        for found in lead.progress.receipt.iter().flat_map(|receipt| &receipt.found) {
            let Some(half) = found.half.as_ref().filter(|half| !known.gave_way(half, &found.customer)) else {
                continue;
            };
            // Of whom was erased since, and told apart before, nothing says so any more. Another person's record says it itself.
            let is_here = known.customers.contains_key(half);
            if is_here && self.store.erasure(&found.customer).await.map_err(unavailable)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everything about one lead, and why it went where it went.
    pub(crate) async fn view(
        &self,
        call: &Call,
        lead: &Lead,
        person: Option<&(CustomerId, Known)>,
    ) -> Result<Value, Problem> {
        let sight = &call.sight;
        if let Some((_, known)) = person {
            sight.people(known);
        }
        let version = lead.progress.receipt.as_ref().map_or(lead.manifest, |receipt| receipt.manifest);
        let policies = self.policies.at(version).await.map_err(unavailable)?;
        let reading = policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
        sight.lead(&lead.envelope, &facts, &reading);
        let mut view = row(lead, person.map(|(root, known)| (root.clone(), known)));
        let receipt = self.shown_receipt(call, lead).await?;
        let explanation = receipt.as_ref().map(|receipt| explain(receipt, &facts, &policies));
        let consent = match &lead.envelope.consent {
            Some(proof) => {
                let captured = self.policies.at(lead.manifest).await.map_err(unavailable)?;
                let form = captured.forms.get(&lead.origin.name).and_then(|form| form.consent.as_ref());
                json!({
                    "topic": proof.topic, "given": proof.given, "version": proof.version,
                    "wording": form.map(|consent| consent.wording.clone()),
                })
            }
            None => Value::Null,
        };
        let import = lead.progress.import.as_ref();
        let mut why: Vec<String> = import
            .map(|import| format!("Imported by batch {}, row {} of its file.", import.batch, import.row))
            .into_iter()
            .collect();
        why.extend(lead.progress.waits.iter().map(ToString::to_string));
        why.extend(explanation.as_ref().map(|explanation| explanation.why.clone()).unwrap_or_default());
        why.extend(lead.progress.acts.iter().flat_map(|act| {
            let reason = act.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            let line = format!("{} by {} at {}{reason}", act.what, act.by, act.at);
            std::iter::once(line).chain(act.words())
        }));
        let mut decided_by = BTreeMap::new();
        for version in clock::manifests(&lead.progress) {
            decided_by.insert(version, self.policies.at(version).await.map_err(unavailable)?);
        }
        let forgotten = lead.progress.receipt.as_ref().is_some_and(|receipt| receipt.saw.forgotten);
        if forgotten {
            why.push("Part of what was seen then was erased together with somebody else.".to_owned());
        }
        let mut reproduced = reproduced(lead, &facts, &policies)
            .filter(|_| !forgotten)
            .map(|is_same| is_same && clock::reproduced(&lead.progress, &decided_by));
        if let (Some(true), Some((_, known))) = (reproduced, person) {
            reproduced = Some(self.led_there(lead, known).await?);
        }
        let marks = match lead.origin.kind.as_str() {
            "form" => Vec::new(),
            _ => self.store.marks(&lead.id).await.map_err(unavailable)?,
        };
        why.extend(marks.iter().map(|mark| {
            format!("{} says that it was {} at {}", lead.origin.kind, mark.kind.name(), mark.at.rfc3339())
        }));
        let is_withdrawn = marks.iter().any(|mark| mark.kind == MarkKind::Withdrawn);
        let marks: Vec<Value> =
            marks.iter().map(|mark| json!({"mark": mark.kind.name(), "at": mark.at.rfc3339()})).collect();
        why.extend(clock::explain(&lead.progress));
        if lead.progress.queue().is_some() && lead.progress.is_stranded(self.current().await?.as_ref()) {
            why.push("There is no such team any more: it is decided anew within the hour.".to_owned());
        }
        if let Some(clock) = lead.progress.clock.as_ref().filter(|_| lead.progress.is_awaited()) {
            why.extend(self.current().await?.why_no_clock(&clock.team));
        }
        if lead.progress.receipt.is_none() {
            let state = lead.progress.state;
            why.push(match lead.needs_enrichment {
                _ if state == LeadState::Erased && is_withdrawn => "What it said was erased.".to_owned(),
                _ if state == LeadState::Erased => "Its person was erased.".to_owned(),
                _ if state == LeadState::Spam => {
                    "The field was filled in that people cannot see (`honeypot` of its form): nobody is told, and it is \
                     kept for 30 days."
                        .to_owned()
                }
                true => "Accepted; its fields are still to be fetched from the sender.".to_owned(),
                false => "Accepted; routing is still to come.".to_owned(),
            });
        }
        let more = json!({
            "missing": self.missing_of(person).await?,
            "fields": fields(lead, sight, &reading),
            "files": sight.whole(Some(&lead.envelope.files)),
            "email": sight.shown("email", facts.email.as_ref().map(Email::as_sent)),
            "phone": sight.shown("phone", facts.phone.as_ref().map(Phone::e164)),
            "country": facts.country.map(|country| country.to_string()),
            "language": facts.language,
            "company_domain": facts.company_domain,
            "identities": person::carried(&facts.identities, sight),
            "flags": facts.flags.iter().map(|flag| flag.name()).collect::<Vec<_>>(),
            "unreadable": lead.envelope.unreadable,
            "raw": sight.whole(lead.envelope.raw.as_ref()),
            "attribution": lead::attribution(&lead.envelope),
            "consent": consent,
            "external_id": lead.external_id,
            "import": import.map(|import| json!({"batch": import.batch, "row": import.row})),
            "previous": lead.progress.previous,
            "suggestions": receipt.as_ref().map(|receipt| {
                receipt.suggestions.iter().map(person::suggestion).collect::<Vec<_>>()
            }),
            "acts": lead.progress.acts.iter().map(act_view).collect::<Vec<_>>(),
            "marks": marks,
            "clock": self.clock_view(lead).await?,
            "past": past_view(lead),
            "contact": lead.progress.contact.as_ref().map(contact_view),
            "contacts": self.contacts_of(lead).await?,
            "why": why,
            "policy_version": explanation.as_ref().map(|explanation| explanation.policy_version),
            "reproduced": reproduced,
        });
        if let (Some(view), Value::Object(more)) = (view.as_object_mut(), more) {
            view.extend(more);
        }
        Ok(view)
    }
}

/// What somebody did with a lead. Keys of repeats are nobody's business.
fn act_view(act: &Act) -> Value {
    json!({"what": act.what, "by": act.by, "at": act.at.rfc3339(), "reason": act.reason})
}

/// What was submitted, by the names it came under.
fn fields(lead: &Lead, sight: &Sight, reading: &Reading) -> Vec<(String, String)> {
    let shown = |(name, value): &(String, String)| {
        let value = if sight.mask.hides_field(name, &reading.fields) { Hidden::SHOWN } else { value };
        (name.clone(), value.to_owned())
    };
    lead.envelope.fields.iter().map(shown).collect()
}

/// Whose the lead is: its customer's owner, else who got it. A lead that ended without one never had any.
fn owner_of(lead: &Lead, person: Option<&(CustomerId, Known)>) -> Option<String> {
    let row = row(lead, person.map(|(root, known)| (root.clone(), known)));
    row["owner"].as_str().map(str::to_owned)
}

/// A lead as lists show it, with the record its person lives under.
pub(crate) fn row(lead: &Lead, person: Option<(CustomerId, &Known)>) -> Value {
    let assignment = lead.progress.assignment.as_ref();
    let root =
        person.as_ref().and_then(|(root, known)| known.customers.get(root).map(|record| (known, record)));
    let owner = root.and_then(|(known, record)| known.whole(record).owner().map(|owner| owner.rep.clone()));
    // The customer's owner is the owner. A lead that ended without one never had any.
    let owner = assignment.and_then(|assignment| owner.or_else(|| Some(assignment.rep.clone())));
    let work = assignment.map(|_| match lead.progress.work {
        Work::Open => "open",
        other => other.name(),
    });
    json!({
        "id": lead.id,
        "state": lead.progress.state.name(),
        "source": lead.origin.name,
        "kind": lead.origin.kind,
        "received": lead.received.rfc3339(),
        "customer": person.as_ref().map(|(root, _)| root),
        "owner": owner,
        "assignment": assignment.map(|a| json!({
            "rep": a.rep, "team": a.team, "at": a.at.rfc3339(), "n": a.n,
        })),
        "work": work,
        "queue": lead.progress.queue(),
    })
}

pub(crate) fn no_such_lead() -> Problem {
    Problem::new(404, "no-such-lead", "There is no lead with this id.")
}
