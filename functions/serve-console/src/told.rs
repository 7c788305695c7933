//! Whom an event had told, reps and other systems, and what became of it. The event's entry says what was asked for, and so where the
//! notices are: nobody's list is gone through.

use crate::{Console, unavailable};
use serde_json::{Value, json};
use sluice_domain::event::{Entry, Outgo};
use sluice_domain::time::Timestamp;
use sluice_store::{NoticeRecord, keys};
use sluice_wire::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};

/// Ways by which a rep may have been told.
const WAYS: [&str; 3] = ["email", "webhook", "none"];

/// Notices by the list that they are in and their place there.
pub(crate) type Notices = BTreeMap<(String, String), NoticeRecord>;

/// Where the notices of one thing are: one for each way.
struct Place {
    list: String,
    at: Timestamp,
    sort_keys: Vec<String>,
}

/// None of what goes to the customer: that is a message of theirs.
fn place(sent: &Outgo) -> Option<Place> {
    let (list, at, customer, id) = match sent {
        Outgo::Message(_) => return None,
        Outgo::Tell(tell) => (tell.rep.clone(), tell.at, &tell.customer, tell.id()),
        Outgo::Webhook(call) => (format!("journey/{}", call.journey), call.at, &call.customer, call.id()),
        Outgo::Heard(heard) => (format!("webhook/{}", heard.webhook), heard.at, &heard.customer, heard.id()),
    };
    let ways: &[&str] = if matches!(sent, Outgo::Tell(_)) { &WAYS } else { &["webhook"] };
    let sort_keys = ways.iter().map(|way| keys::told(at, customer, &id, way)).collect();
    Some(Place { list, at, sort_keys })
}

impl Console {
    /// The notices of what these events had told, as far as they went out.
    pub(crate) async fn notices_of(&self, entries: &[Entry]) -> Result<Notices, Problem> {
        let places = entries.iter().flat_map(|entry| &entry.led.sent).filter_map(place);
        let wanted: BTreeSet<(String, String)> = places
            .flat_map(|Place { list, sort_keys, .. }| {
                sort_keys.into_iter().map(move |sort_key| (list.clone(), sort_key))
            })
            .collect();
        let found = self.store.notices(&wanted).await.map_err(unavailable)?;
        Ok(found.into_iter().map(|one| ((one.rep.clone(), one.sort_key.clone()), one)).collect())
    }
}

/// Whom an event had told of what, and what became of that.
pub(crate) fn told_view(entry: &Entry, notices: &Notices) -> Vec<Value> {
    entry.led.sent.iter().filter_map(|sent| one(entry, sent, notices)).collect()
}

fn one(entry: &Entry, sent: &Outgo, notices: &Notices) -> Option<Value> {
    let Place { list, at, sort_keys } = place(sent)?;
    let (tell, call, heard) = match sent {
        Outgo::Message(_) => return None,
        Outgo::Tell(tell) => (Some(tell), None, None),
        Outgo::Webhook(call) => (None, Some(call), None),
        Outgo::Heard(heard) => (None, None, Some(heard)),
    };
    let what = match tell {
        Some(tell) if tell.task.is_some() => "task",
        Some(_) => "notify",
        None => "webhook",
    };
    let task = tell.and_then(|tell| tell.task.as_ref());
    let event = heard.and_then(|heard| entry.events().nth(heard.n));
    let deliveries = sort_keys.into_iter().filter_map(|sort_key| {
        let notice = notices.get(&(list.clone(), sort_key))?;
        Some(json!({
            "channel": notice.channel, "state": notice.state, "attempts": notice.attempts, "unknown": notice.unknown,
            "note": notice.note,
        }))
    });
    let deliveries: Vec<Value> = deliveries.collect();
    Some(json!({
        "what": what,
        "to": list,
        "at": at.rfc3339(),
        "journey": tell.map(|tell| &tell.journey).or(call.map(|call| &call.journey)),
        "step": tell.map(|tell| &tell.part).or(call.map(|call| &call.part)),
        "event": event.map(|event| event.id),
        "text": tell.and_then(|tell| tell.text.as_ref()),
        "due": task.and_then(|task| task.due).map(Timestamp::rfc3339),
        "facts": call.map(|call| call.facts.clone()).unwrap_or_default(),
        "deliveries": deliveries,
    }))
}
