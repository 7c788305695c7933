//! Leads: one with its why, and lists.

use crate::acts::queue_of;
use crate::contacts::{contact_view, past_view};
use crate::sight::{Sight, people_of};
use crate::{Call, Console, no_such_cursor, person, unavailable};
use serde_json::{Value, json};
use sluice_domain::access::{Hidden, Role};
use sluice_domain::clock;
use sluice_domain::customer::Known;
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::identity::{Email, Phone};
use sluice_domain::lead::{self, Act, Lead, LeadState, Work};
use sluice_domain::live::Lacking;
use sluice_domain::policy::Reading;
use sluice_domain::routing::{Receipt, explain};
use sluice_domain::time::Timestamp;
use sluice_store::OpenLead;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Leads of one page.
pub(crate) const PAGE: usize = 50;
/// Messages read to fill a page of a rep's leads.
const MESSAGES: i32 = 100;

/// After this many milliseconds a list says what it has found so far, and where it goes on.
pub(crate) const LONG_ENOUGH: i64 = 8_000;

/// Which leads a list is to have.
pub(crate) struct Wanted<'a> {
    call: &'a Call,
    owner: Option<&'a str>,
    state: Option<LeadState>,
    only_open: bool,
    /// Only those that somebody works on.
    in_progress: bool,
    since: Option<Timestamp>,
    /// Only those whose people lack some of the three.
    missing: Option<&'a Lacking>,
}

impl Wanted<'_> {
    fn has(&self, lead: &Lead, row: &Value) -> bool {
        self.call.sight.has_lead(lead, row["owner"].as_str())
            && self.owner.is_none_or(|owner| is_of(lead, row, owner))
            && (!self.only_open || !lead.progress.state.is_end() || lead.progress.work.is_open())
            && (!self.in_progress || lead.progress.is_worked_on())
            && self.state.is_none_or(|state| lead.progress.state == state)
            && self
                .call
                .query("team")
                .is_none_or(|team| row["assignment"]["team"] == team || row["queue"] == team)
            && self.call.query("source").is_none_or(|source| source == lead.origin.name)
            && self.since.is_none_or(|since| lead.received >= since)
    }
}

/// Whether a lead belongs in a rep's list: its customer is theirs, or it is theirs to work on, whoever has its customer now.
fn is_of(lead: &Lead, row: &Value, rep: &str) -> bool {
    row["owner"] == rep || lead.progress.is_worked_on() && row["assignment"]["rep"] == rep
}

impl Console {
    pub(crate) async fn show_lead(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let lead = self.find_lead(call.part(0)).await?;
        let person = self.person_of(&lead).await?;
        if !call.sight.has_lead(&lead, owner_of(&lead, person.as_ref()).as_deref()) {
            return Err(no_such_lead());
        }
        Ok(HttpResponse::json(200, &self.view(call, &lead, person.as_ref()).await?))
    }

    /// `state`, `owner`, `team`, `source`, `since`, `missing` narrow the list. A rep's list is what the rep was told, newest
    /// first; open and escalated leads come from the index, oldest first; other states from the ledger, page by page. What
    /// is out of reach is left out, and a rep who is, is not there. With `missing` and without `state` it is of the leads
    /// that somebody works on, rep by rep.
    pub(crate) async fn list_leads(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let query = |name: &str| call.query(name);
        let state = match query("state").as_deref() {
            None => None,
            Some("open") => None,
            Some(name) => Some(LeadState::parse(name).ok_or_else(|| {
                let states = LeadState::ALL.map(LeadState::name).join(", ");
                Problem::new(422, "state-unknown", format!("A state is open or one of {states}."))
                    .about("state")
            })?),
        };
        let since = call.time("since")?;
        let me = || call.who.rep.clone().unwrap_or_default();
        let owner = match query("owner") {
            Some(owner) if owner == "me" => Some(me()),
            Some(owner) => Some(owner),
            // Without a word a rep's list is the rep's own; what nobody has is for all of them.
            None if matches!(state, Some(LeadState::Escalated | LeadState::Queued)) => None,
            None => (call.who.role == Role::Rep).then(me),
        };
        owner.iter().try_for_each(|owner| call.reach_rep(owner))?;
        let only_open = query("state").as_deref() == Some("open");
        let (missing, cursor) = (call.missing()?, query("cursor"));
        let missing = missing.as_ref();
        let wanted = Wanted { call, owner: None, state, only_open, in_progress: false, since, missing };
        if missing.is_some() && query("state").is_none() {
            let reps = match owner {
                Some(owner) => BTreeSet::from([owner]),
                None => call.sight.reach.reps(&*self.current().await?),
            };
            let wanted = Wanted { in_progress: true, ..wanted };
            return self.unsettled(&wanted, reps, cursor.as_deref()).await;
        }
        let (ids, next) = match (&owner, state) {
            (Some(owner), _) => self.told(owner, cursor.as_deref()).await?,
            (None, Some(state)) if state.is_end() => self.ended(state, cursor.as_deref()).await?,
            (None, _) => return self.in_flight(&wanted, cursor.as_deref()).await,
        };
        let wanted = Wanted { owner: owner.as_deref(), ..wanted };
        let rows = self.rows(&wanted, &ids).await?;
        let items: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        Ok(HttpResponse::json(200, &json!({"leads": items, "cursor": next})))
    }

    /// Of these leads those that are wanted, as rows, in their order.
    pub(crate) async fn rows(
        &self,
        wanted: &Wanted<'_>,
        ids: &[LeadId],
    ) -> Result<Vec<(LeadId, Value)>, Problem> {
        let mut leads = self.store.leads(ids).await.map_err(unavailable)?;
        let people = leads.values().filter_map(|lead| lead.progress.customer.clone()).collect();
        let people = self.store.people(people).await.map_err(unavailable)?;
        let mut rows = Vec::new();
        for lead in ids.iter().filter_map(|id| leads.remove(id)) {
            let root = lead.progress.customer.as_ref().map(|id| people.root(id));
            let row = row(&lead, root.clone().map(|root| (root, &people)));
            if wanted.has(&lead, &row) {
                rows.push((lead.id, root, row));
            }
        }
        if let Some(missing) = wanted.missing {
            let settled = self.settled(&people, rows.iter().filter_map(|(_, root, _)| root.clone())).await?;
            rows.retain_mut(|(_, root, row)| {
                let settled = root.as_ref().and_then(|root| settled.get(root));
                let Some(settled) = settled.filter(|settled| missing.has(settled)) else { return false };
                row["missing"] = settled.missing_words().into();
                true
            });
        }
        Ok(rows.into_iter().map(|(id, _, row)| (id, row)).collect())
    }

    pub(crate) async fn told(
        &self,
        rep: &str,
        cursor: Option<&str>,
    ) -> Result<(Vec<LeadId>, Option<String>), Problem> {
        let page = self.store.notices_to(rep, cursor, MESSAGES).await.map_err(unavailable)?;
        let mut seen = BTreeSet::new();
        let ids =
            page.items.into_iter().filter_map(|message| message.lead).filter(|id| seen.insert(id.clone()));
        Ok((ids.collect(), page.next))
    }

    /// Leads that are on their way, oldest first, until a page is full, all were looked at, or it took long enough.
    async fn in_flight(&self, wanted: &Wanted<'_>, cursor: Option<&str>) -> Result<HttpResponse, Problem> {
        let states = match wanted.state {
            Some(state) => vec![state],
            None => LeadState::IN_FLIGHT.to_vec(),
        };
        let mut after = cursor.map(|cursor| read_place(cursor).ok_or_else(no_such_cursor)).transpose()?;
        let began = self.env.clock.now();
        let mut items: Vec<Value> = Vec::new();
        loop {
            let before = self.env.clock.now().plus_millis(1);
            let mut open = Vec::new();
            for state in &states {
                let found = self.store.open_leads(*state, after.as_ref(), before, PAGE).await;
                open.extend(found.map_err(unavailable)?);
            }
            open.sort();
            // Behind the last that fits there may be others of the states that were read to their ends.
            let mut has_more = open.len() >= PAGE;
            open.truncate(PAGE);
            let ids: Vec<LeadId> = open.iter().map(|lead| lead.id.clone()).collect();
            let mut rows = self.rows(wanted, &ids).await?;
            let room = PAGE - items.len();
            if let Some((first, _)) = rows.get(room) {
                let end = open.iter().position(|lead| lead.id == *first).unwrap_or(open.len());
                open.truncate(end);
                rows.truncate(room);
                has_more = true;
            }
            items.extend(rows.into_iter().map(|(_, row)| row));
            after = open.pop().or(after);
            let is_long = self.env.clock.now().since(began) > LONG_ENOUGH;
            if !has_more || items.len() >= PAGE || is_long {
                let next = after.filter(|_| has_more).map(|last| place_of(&last));
                return Ok(HttpResponse::json(200, &json!({"leads": items, "cursor": next})));
            }
        }
    }

    async fn ended(
        &self,
        state: LeadState,
        cursor: Option<&str>,
    ) -> Result<(Vec<LeadId>, Option<String>), Problem> {
        let began = self.env.clock.now();
        let mut ids = Vec::new();
        let mut cursor = cursor.map(str::to_owned);
        loop {
            let page = self.store.scan_ledger(0, 1, cursor.as_deref()).await.map_err(unavailable)?;
            ids.extend(page.items.into_iter().filter(|line| line.state == state).map(|line| line.id));
            cursor = page.next;
            let is_long = self.env.clock.now().since(began) > LONG_ENOUGH;
            if cursor.is_none() || ids.len() >= PAGE || is_long {
                return Ok((ids, cursor));
            }
        }
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
        why.extend(lead.progress.acts.iter().map(|act| {
            let reason = act.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{} by {} at {}{reason}", act.what, act.by, act.at)
        }));
        let mut decided_by = BTreeMap::new();
        for version in clock::manifests(&lead.progress) {
            decided_by.insert(version, self.policies.at(version).await.map_err(unavailable)?);
        }
        let forgotten = lead.progress.receipt.as_ref().is_some_and(|receipt| receipt.saw.forgotten);
        if forgotten {
            why.push("Part of what was seen then was erased together with somebody else.".to_owned());
        }
        let reproduced = explanation
            .as_ref()
            .filter(|_| !forgotten)
            .map(|explanation| explanation.reproduced && clock::reproduced(&lead.progress, &decided_by));
        let marks = match lead.origin.kind.as_str() {
            "form" => Vec::new(),
            _ => self.store.marks(&lead.id).await.map_err(unavailable)?,
        };
        why.extend(marks.iter().map(|mark| {
            format!("{} says that it was {} at {}", lead.origin.kind, mark.kind.name(), mark.at.rfc3339())
        }));
        let marks: Vec<Value> =
            marks.iter().map(|mark| json!({"mark": mark.kind.name(), "at": mark.at.rfc3339()})).collect();
        why.extend(clock::explain(&lead.progress));
        if lead.progress.receipt.is_none() {
            let state = lead.progress.state;
            why.push(match lead.needs_enrichment {
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

fn row(lead: &Lead, person: Option<(CustomerId, &Known)>) -> Value {
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
        "queue": queue_of(lead),
    })
}

/// Where a list of leads that are on their way goes on.
fn place_of(last: &OpenLead) -> String {
    format!("{}.{}", last.since.millis(), last.id)
}

fn read_place(cursor: &str) -> Option<OpenLead> {
    let (since, id) = cursor.split_once('.')?;
    Some(OpenLead { since: Timestamp(since.parse().ok()?), id: LeadId::parse(id)? })
}

pub(crate) fn no_such_lead() -> Problem {
    Problem::new(404, "no-such-lead", "There is no lead with this id.")
}
