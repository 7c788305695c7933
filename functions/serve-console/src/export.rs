//! `GET /api/customers/{id}/export`: everything that is kept about a person, over all their records. What does not fit one
//! answer comes with the next: `next` is the cursor to ask for it with, and what each part lists is put together.

use crate::consents::{Place, proof_view, seen_places};
use crate::customers::{decisions, no_such_customer};
use crate::messages::view;
use crate::timeline::entry_view;
use crate::told::{Notices, told_view};
use crate::{Call, Console, person, unavailable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sluice_domain::customer::{Customer, Known, Whole};
use sluice_domain::event::Entry;
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::Lead;
use sluice_domain::message::Message;
use sluice_domain::policy::{FieldMap, PolicySet};
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

/// The shape of the document; counted up when something is taken out or means something else.
const VERSION: u32 = 1;
/// Bytes after which a part ends; the function may answer with six megabytes.
const FULL: usize = 2_000_000;
/// Milliseconds after which a part ends.
const LONG_ENOUGH: i64 = 10_000;
/// Messages of one read.
const PAGE: i32 = 50;

/// Where the next part goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    /// With what was said about the address at this place of the list.
    Consents(usize),
    /// With this lead of this record, or with its newest.
    Leads(CustomerId, Option<LeadId>),
    /// With the events of this record, from the page that this cursor names.
    Events(CustomerId, Option<String>),
    /// With the messages to this record, before the one whose own part of the id this is.
    Messages(CustomerId, Option<String>),
}

impl Next {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// A part that is being filled.
struct Part {
    lists: [(&'static str, Vec<Value>); 4],
    bytes: usize,
}

impl Part {
    fn add(&mut self, list: &str, value: Value) {
        self.bytes += value.to_string().len();
        if let Some((_, rows)) = self.lists.iter_mut().find(|(name, _)| *name == list) {
            rows.push(value);
        }
    }
}

impl Console {
    pub(crate) async fn export_customer(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (root, known) = self.find_person(call, call.part(0)).await?;
        let began = self.env.clock.now();
        let (policies, keys) = (self.current().await?, self.hash_keys().await?);
        let Some(record) = known.customers.get(&root) else { return Err(no_such_customer()) };
        let places = seen_places(call, &known.whole(record), &policies, &keys);
        let known = call.sight.people(&known);
        let Some(record) = known.customers.get(&root) else { return Err(no_such_customer()) };
        let whole = known.whole(record);
        let mut document = Map::new();
        document.insert("format".to_owned(), "sluice-export".into());
        document.insert("version".to_owned(), VERSION.into());
        document.insert("customer".to_owned(), root.to_string().into());
        if !call.sight.mask.is_empty() {
            // It is not everything, and says so.
            document.insert("hidden".to_owned(), call.sight.mask.names().collect());
        }
        document.insert("exported".to_owned(), began.rfc3339().into());
        let mut next = match call.query("cursor") {
            None => {
                let gates = self.standing(&places).await?;
                let suggestions = Box::pin(self.suggestions_for(call, &root, &known)).await?;
                let head = json!({
                    "profile": person::profile(&whole, &policies.settings.survivorship),
                    "identities": person::identities(&whole, &keys),
                    "owner": whole.owner().map(person::owner),
                    "records": whole.parts().map(record_view).collect::<Vec<_>>(),
                    "decisions": decisions(&whole),
                    "suggestions": suggestions,
                    "gates": gates,
                    "behaviour": self.behaviour_export(call, &whole, &policies).await?,
                });
                document.extend(head.as_object().cloned().unwrap_or_default());
                Some(Next::Consents(0))
            }
            Some(cursor) => Some(Next::decode(&cursor).ok_or_else(|| {
                Problem::new(422, "cursor-unreadable", "A cursor is what `next` of the last part said.")
                    .about("cursor")
            })?),
        };
        let mut part = Part {
            lists: ["consents", "leads", "messages", "events"].map(|name| (name, Vec::new())),
            bytes: 0,
        };
        while let Some(at) = next.clone() {
            if part.bytes > FULL || self.env.clock.now().since(began) > LONG_ENOUGH {
                break;
            }
            next = self.export_more(call, at, &known, &whole, &places, &mut part).await?;
        }
        for (name, rows) in part.lists {
            document.insert(name.to_owned(), rows.into());
        }
        document.insert("next".to_owned(), next.map(|next| next.encode()).into());
        let file = format!("attachment; filename=\"{root}.json\"");
        Ok(HttpResponse::json(200, &Value::Object(document)).with_header("content-disposition", &file))
    }

    /// One more address, lead or page of messages; answers with what comes after it.
    async fn export_more(
        &self,
        call: &Call,
        at: Next,
        known: &Known,
        whole: &Whole<'_>,
        places: &[Place],
        part: &mut Part,
    ) -> Result<Option<Next>, Problem> {
        let root = &whole.root.id;
        // Of records in their order the one after; the whole person may have changed since the part before.
        let after = |id: &CustomerId| {
            let mut ids = whole.parts().map(|record| &record.id).skip_while(|record| *record != id).skip(1);
            ids.next().cloned()
        };
        match at {
            Next::Consents(place) => {
                let Some(place_there) = places.get(place) else {
                    return Ok(Some(Next::Leads(root.clone(), newest_of(root, known))));
                };
                for proof in self.proofs_of(place_there).await? {
                    part.add("consents", proof_view(place_there, &proof));
                }
                Ok(Some(Next::Consents(place + 1)))
            }
            Next::Leads(record, None) => Ok(Some(match after(&record) {
                Some(other) => Next::Leads(other.clone(), newest_of(&other, known)),
                None => Next::Messages(root.clone(), None),
            })),
            Next::Leads(record, Some(id)) => {
                let Some(lead) = self.store.lead(&id).await.map_err(unavailable)? else {
                    return Ok(Some(Next::Leads(record, None)));
                };
                let previous = lead.progress.previous.clone();
                if known.customers.contains_key(&record) && lead.progress.customer.as_ref() == Some(&record) {
                    part.add("leads", self.lead_export(call, &lead, root, known).await?);
                }
                Ok(Some(Next::Leads(record, previous)))
            }
            Next::Messages(record, _) if !known.customers.contains_key(&record) => {
                Ok(Some(Next::Events(root.clone(), None)))
            }
            Next::Messages(record, cursor) => {
                let found = self.store.messages_of(&record, cursor.as_deref(), PAGE);
                let found = found.await.map_err(unavailable)?;
                for message in &found {
                    part.add("messages", message_export(message, call));
                }
                Ok(match found.last() {
                    Some(last) => Some(Next::Messages(record, Some(last.id().own_part().to_owned()))),
                    None => Some(match after(&record) {
                        Some(other) => Next::Messages(other, None),
                        None => Next::Events(root.clone(), None),
                    }),
                })
            }
            Next::Events(record, _) if !known.customers.contains_key(&record) => Ok(None),
            Next::Events(record, cursor) => {
                let policies = self.current().await?;
                let page = self.store.entries(&record, cursor.as_deref()).await.map_err(unavailable)?;
                let notices = self.notices_of(&page.items).await?;
                for entry in &page.items {
                    part.add("events", event_export(entry, &policies, call, &notices));
                }
                Ok(match page.next {
                    Some(next) => Some(Next::Events(record, Some(next))),
                    None => after(&record).map(|other| Next::Events(other, None)),
                })
            }
        }
    }

    /// What behaviour made of the person, with what is only counted by: what brought them, and campaigns that have a goal.
    async fn behaviour_export(
        &self,
        call: &Call,
        whole: &Whole<'_>,
        policies: &PolicySet,
    ) -> Result<Value, Problem> {
        let mut behaviour = self.behaviour(call, whole, policies).await?;
        let ids = whole.parts().map(|part| part.id.clone()).collect();
        let states = self.store.states(&ids).await.map_err(unavailable)?;
        let touches = states.values().flat_map(|state| state.touches.iter()).map(|touch| {
            json!({
                "at": Timestamp::from_seconds(touch.at).rfc3339(), "by": touch.key.to_string(),
                "advertisement": touch.ad.as_ref().map(ToString::to_string),
            })
        });
        behaviour.insert("touches", touches.collect());
        let exposures = states.values().flat_map(|state| state.exposures.iter()).map(|exposure| {
            json!({
                "campaign": exposure.campaign, "broadcast": exposure.broadcast, "variant": exposure.variant,
                "held_out": exposure.held_out, "goal": exposure.goal, "at": exposure.at.rfc3339(),
                "until": exposure.until.rfc3339(),
            })
        });
        behaviour.insert("campaigns", exposures.collect());
        Ok(json!(behaviour))
    }

    /// A lead as people see it, and what arrived as it arrived.
    async fn lead_export(
        &self,
        call: &Call,
        lead: &Lead,
        root: &CustomerId,
        known: &Known,
    ) -> Result<Value, Problem> {
        let mut view = self.view(call, lead, Some(&(root.clone(), known.clone()))).await?;
        let contacts = self.contacts_up_to(lead, usize::MAX).await?;
        if let Some(view) = view.as_object_mut() {
            view.insert("record".to_owned(), json!(lead.progress.customer));
            view.insert("contacts".to_owned(), contacts.into());
            view.insert("envelope".to_owned(), json!(call.sight.whole(Some(&lead.envelope))));
        }
        Ok(view)
    }
}

fn newest_of(id: &CustomerId, known: &Known) -> Option<LeadId> {
    known.customers.get(id).and_then(|record| record.last_lead.clone())
}

/// One record of the person: what it was told, by which lead through which source.
fn record_view(record: &Customer) -> Value {
    let facts: Map<String, Value> = record
        .facts
        .iter()
        .map(|(name, fact)| {
            let said = record.source_of(fact);
            let view = json!({
                "value": fact.value.reveal(), "at": fact.at.rfc3339(),
                "lead": said.and_then(|said| said.lead.as_ref()), "source": said.map(|said| &said.source),
            });
            (name.clone(), view)
        })
        .collect();
    let apart: Map<String, Value> = record
        .apart
        .iter()
        .map(|(id, said)| {
            let said = said.as_ref().map(|said| json!({"by": said.by, "at": said.at.rfc3339()}));
            (id.to_string(), said.unwrap_or(Value::Null))
        })
        .collect();
    json!({
        "id": record.id, "created": record.created.rfc3339(), "owner": record.owner.as_ref().map(person::owner),
        "leads": record.leads, "joined_to": record.into, "kept_apart_from": apart, "facts": facts,
    })
}

/// An event as it is shown, with the ids it came by and whom it had told.
fn event_export(entry: &Entry, policies: &PolicySet, call: &Call, notices: &Notices) -> Value {
    let mut view = entry_view(entry, policies, &call.sight);
    if let Some(view) = view.as_object_mut() {
        view.insert("ids".to_owned(), json!(call.sight.whole(Some(&entry.who))));
        view.insert("told".to_owned(), told_view(entry, notices).into());
    }
    view
}

/// A message to the person as it is shown, with what its template was given.
fn message_export(message: &Message, call: &Call) -> Value {
    let mut view = view(message);
    let sight = &call.sight;
    if let Some(view) = view.as_object_mut() {
        view.insert("data".to_owned(), sight.members(json!(message.data), &FieldMap::new()));
        view.insert("to".to_owned(), json!(sight.whole(message.to.as_ref())));
        view.insert("language".to_owned(), json!(message.order.language));
    }
    view
}
