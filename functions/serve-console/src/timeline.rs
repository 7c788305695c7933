//! `GET /api/customers/{id}/timeline`: what a person did and what happened to them, newest first: events, leads, messages.

use crate::messages::view;
use crate::sight::Sight;
use crate::{Call, Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::customer::{Customer, Known};
use sluice_domain::event::{Entry, Event};
use sluice_domain::id::{CustomerId, EventId, MessageId};
use sluice_domain::lead::Lead;
use sluice_domain::message::Message;
use sluice_domain::policy::{FieldMap, PolicySet};
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

/// Things of one page, unless the caller wants another number of them.
const PAGE: usize = 50;
/// The most things of one page.
const MOST: usize = 200;

/// The most messages to one record that are asked for in one millisecond.
const SAME_INSTANT: usize = 16;

/// Where a thing stands in a timeline: things of one instant are told apart by their ids.
type Place = (Timestamp, String);

impl Console {
    pub(crate) async fn show_timeline(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (root, known) = self.find_person(call, call.part(0)).await?;
        let limit = call.limit(PAGE, MOST);
        let before = match call.query("cursor").map(|cursor| read_cursor(&cursor)) {
            Some(None) => {
                let said = "This cursor is none of ours: take `cursor` of the page before as it is.";
                return Err(Problem::new(422, "cursor-unreadable", said).about("cursor"));
            }
            cursor => cursor.flatten(),
        };
        let mut things: Vec<(Place, Value)> = Vec::new();
        call.sight.people(&known);
        for part in parts(&root, &known) {
            // One more than fits says that there is another page.
            self.things_of(call, part, before.as_ref(), limit + 1, &mut things).await?;
        }
        things.sort_by(|(a, _), (b, _)| b.cmp(a));
        let has_more = things.len() > limit;
        things.truncate(limit);
        let last = things.last().filter(|_| has_more).map(|((at, id), _)| format!("{}.{id}", at.millis()));
        let things: Vec<Value> = things.into_iter().map(|(_, thing)| thing).collect();
        Ok(HttpResponse::json(200, &json!({ "customer": root, "timeline": things, "cursor": last })))
    }

    /// The newest things of one record before a place.
    async fn things_of(
        &self,
        call: &Call,
        part: &Customer,
        before: Option<&Place>,
        limit: usize,
        things: &mut Vec<(Place, Value)>,
    ) -> Result<(), Problem> {
        let is_before = |place: &Place| before.is_none_or(|before| place < before);
        let entries = self.store.newest_entries(&part.id, before.map(|(at, _)| *at), limit);
        let entries = entries.await.map_err(unavailable)?;
        let policies = self.current().await?;
        for entry in &entries {
            let shown = entry.events().enumerate().map(|(n, event)| {
                let of = (n > 0).then_some(&entry.event.id);
                ((event.at, event.id.to_string()), event_view(entry, &event, of, &policies, &call.sight))
            });
            things.extend(shown.filter(|(place, _)| is_before(place)));
        }

        let end = before.map(|(at, _)| MessageId::of(&part.id, at.plus_millis(1), &[]));
        let end = end.as_ref().map(MessageId::own_part);
        // Ids of all kinds are compared as texts: messages of the very instant may be behind the place.
        let most = i32::try_from(limit + SAME_INSTANT).unwrap_or(i32::MAX);
        let messages = self.store.messages_of(&part.id, end, most).await.map_err(unavailable)?;
        let messages =
            messages.into_iter().map(|message| (place_of_message(&message), message_view(&message)));
        things.extend(messages.filter(|(place, _)| is_before(place)).take(limit));

        let mut found = 0;
        let mut next = part.last_lead.clone();
        while let Some(id) = next.take().filter(|_| found < limit) {
            let Some(lead) = self.store.lead(&id).await.map_err(unavailable)? else { break };
            let place = (lead.received, lead.id.to_string());
            if is_before(&place) {
                found += 1;
                things.push((place, lead_view(&lead)));
            }
            next = lead.progress.previous;
        }
        Ok(())
    }
}

fn parts<'a>(root: &CustomerId, known: &'a Known) -> Vec<&'a Customer> {
    let root = known.customers.get(root);
    root.map(|root| known.whole(root).parts().collect()).unwrap_or_default()
}

fn read_cursor(cursor: &str) -> Option<Place> {
    let (at, id) = cursor.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), id.to_owned()))
}

fn place_of_message(message: &Message) -> Place {
    (message.order.at, message.id().to_string())
}

/// An event as people see it: the name that policies use, what was said, and what journeys made of it.
pub(crate) fn entry_view(entry: &Entry, policies: &PolicySet, sight: &Sight) -> Value {
    event_view(entry, &entry.event, None, policies, sight)
}

/// The same for one that another led to.
fn event_view(
    entry: &Entry,
    event: &Event,
    of: Option<&EventId>,
    policies: &PolicySet,
    sight: &Sight,
) -> Value {
    let usual = FieldMap::new();
    let map = policies.sources.get(&event.source).map_or(&usual, |source| &source.fields);
    let moved = entry.led.moved.iter().filter(|_| of.is_none()).map(|moved| {
        let why: Vec<String> = moved.why.iter().map(|reason| reason.words()).collect();
        json!({ "journey": moved.journey, "record": moved.customer, "run": moved.run, "why": why })
    });
    json!({
        "because_of": of,
        "journeys": moved.collect::<Vec<_>>(),
        "what": "event",
        "id": event.id,
        "at": event.at.rfc3339(),
        "received": event.received.rfc3339(),
        "kind": event.kind.name(),
        "event": event.key(),
        "name": event.name,
        "source": event.source,
        "properties": sight.members(json!(event.properties.reveal()), map),
        "traits": sight.members(json!(event.traits.reveal()), map),
        "context": sight.members(json!(event.context.reveal()), map),
        "policies": entry.manifest,
    })
}

fn message_view(message: &Message) -> Value {
    let mut shown = view(message);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("what".to_owned(), "message".into());
        shown.insert("at".to_owned(), message.order.at.rfc3339().into());
    }
    shown
}

fn lead_view(lead: &Lead) -> Value {
    json!({
        "what": "lead",
        "id": lead.id,
        "at": lead.received.rfc3339(),
        "state": lead.progress.state.name(),
        "source": lead.origin.name,
        "owner": lead.progress.assignment.as_ref().map(|assignment| &assignment.rep),
    })
}
