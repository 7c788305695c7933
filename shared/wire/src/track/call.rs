//! One call: whose key it carries, and the events in it.

use super::item::{About, Dropped, Why, text_of};
use super::{MAX_BATCH, MAX_EVENT, MAX_EVENTS, Route, posthog, segment, text};
use crate::body::{json, malformed};
use crate::http::HttpRequest;
use crate::problem::Problem;
use crate::queue::id_of;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sluice_domain::event::Happened;
use sluice_domain::id::EventId;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;
use std::collections::{BTreeSet, HashMap};

/// A call that could be read as a whole.
#[derive(Debug)]
pub struct Call {
    /// What it calls.
    pub route: Route,
    /// The key it gives.
    pub key: Option<Pii<String>>,
    items: Vec<Box<RawValue>>,
    /// What a batch says of all its events.
    context: Map<String, Value>,
    /// How long that is as it was sent: it is part of each.
    context_bytes: usize,
    sent_at: Option<Timestamp>,
}

/// The events of a call.
#[derive(Debug, Default)]
pub struct Taken {
    /// Good ones, in the order sent, each id once.
    pub happened: Vec<Happened>,
    /// The others.
    pub dropped: Vec<Dropped>,
}

/// The members of an object, each as it is written.
type Members = HashMap<String, Box<RawValue>>;

/// Reads a call. Fails with 413 `body-too-large`, 415 `unsupported-media-type`, or 400 where the body as a whole is no call.
pub fn read(route: Route, request: &HttpRequest) -> Result<Call, Problem> {
    let text = text::of(route, request)?;
    let limit = match route {
        Route::One(_) => MAX_EVENT,
        Route::Batch => MAX_BATCH,
        Route::Posthog | Route::Flags => usize::MAX,
    };
    if text.len() > limit {
        let detail = format!("The body is larger than {} KB. Send fewer or smaller events.", limit / 1024);
        return Err(Problem::new(413, "body-too-large", detail));
    }
    let body = raw(&text)?;
    let mut members: Members = serde_json::from_str(body.get()).unwrap_or_default();
    let items = items(route, body, &mut members)?;
    let key = basic(request)
        .or_else(|| ["writeKey", "api_key", "token"].iter().find_map(|name| member(&members, name)))
        .or_else(|| items.first().and_then(|item| posthog::token(item)))
        .or_else(|| ["writeKey", "api_key", "token"].iter().find_map(|name| request.query_value(name)))
        .filter(|key| !key.is_empty());
    let context = match route {
        Route::Batch => members.get("context").map_or("", |context| context.get()),
        _ => "",
    };
    if context.len() > MAX_EVENT {
        let detail = format!(
            "The batch's `context` is larger than {} KB. It is part of each event.",
            MAX_EVENT / 1024
        );
        return Err(Problem::new(400, "context-too-large", detail).about("context"));
    }
    let context_bytes = context.len();
    let sent_at = ["sentAt", "sent_at"].iter().find_map(|name| member(&members, name));
    Ok(Call {
        route,
        key: key.map(Pii::new),
        items,
        context: match route {
            Route::Batch => value(&members, "context").unwrap_or_default(),
            _ => Map::new(),
        },
        context_bytes,
        sent_at: sent_at.and_then(|at| Timestamp::parse(&at)),
    })
}

/// The body's JSON, repaired if it has to be.
fn raw(text: &str) -> Result<Box<RawValue>, Problem> {
    if let Ok(raw) = serde_json::from_str(text) {
        return Ok(raw);
    }
    let (mended, _) = json::mend(text);
    serde_json::from_str(&mended).map_err(|_| {
        // The sender knows its own text, so line and column are taken from there.
        let error = serde_json::from_str::<&RawValue>(text).err();
        let (line, column) = error.map_or((0, 0), |error| (error.line(), error.column()));
        malformed(format!(
            "The JSON cannot be read at line {line} column {column}. Check quotes, commas and brackets there."
        ))
    })
}

fn items(route: Route, body: Box<RawValue>, members: &mut Members) -> Result<Vec<Box<RawValue>>, Problem> {
    let list = |raw: &RawValue| serde_json::from_str::<Vec<Box<RawValue>>>(raw.get()).ok();
    let batch = members.remove("batch").and_then(|batch| list(&batch));
    let items = match route {
        Route::One(_) | Route::Flags => vec![body],
        Route::Batch => batch
            .ok_or_else(|| malformed("A batch is an object with the list `batch` in it.").about("batch"))?,
        Route::Posthog => match batch {
            Some(items) => items,
            None => list(&body).unwrap_or_else(|| vec![body]),
        },
    };
    if items.len() > MAX_EVENTS {
        let detail = format!("There are more than {MAX_EVENTS} events in one batch. Send fewer.");
        // PostHog's libraries halve a batch that is answered 413; Segment answers 400.
        let status = if route == Route::Posthog { 413 } else { 400 };
        return Err(Problem::new(status, "batch-too-long", detail).about("batch"));
    }
    Ok(items)
}

fn member(members: &Members, name: &str) -> Option<String> {
    text_of(value::<Value>(members, name).as_ref())
}

fn value<T: serde::de::DeserializeOwned>(members: &Members, name: &str) -> Option<T> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

/// The key of a call that gives it in its headers: whose call it is can be told before its body is read.
pub fn key_of_headers(request: &HttpRequest) -> Option<Pii<String>> {
    basic(request).map(Pii::new)
}

/// The key as the user of Basic authentication. (RFC 7617.)
fn basic(request: &HttpRequest) -> Option<String> {
    let (scheme, given) = request.header("authorization")?.trim().split_once(' ')?;
    let given = STANDARD.decode(given.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let given = String::from_utf8(given).ok()?;
    Some(given.split_once(':').map_or(given.as_str(), |(user, _)| user).to_owned())
        .filter(|key| !key.is_empty())
}

impl Call {
    /// Whether it brings one event by itself, so that its sender is told what is wrong with it.
    pub fn is_single(&self) -> bool {
        matches!(self.route, Route::One(_))
    }

    /// The events, as of this source, with their times by our clock. `fresh` gives random bytes for the id of an event that
    /// comes without anything to know it again by.
    pub fn events(&self, source: &str, received: Timestamp, mut fresh: impl FnMut() -> [u8; 10]) -> Taken {
        let mut taken = Taken::default();
        if self.route == Route::Flags {
            return taken;
        }
        let mut seen = BTreeSet::new();
        for (index, item) in self.items.iter().enumerate() {
            let about = About { source, received, sent_at: self.sent_at, context: &self.context };
            let id = |message_id: Option<&str>, has_time: bool| match message_id {
                Some(message_id) => EventId::derived(&[source, message_id]),
                // Said twice of one instant it is one event; without a time nothing tells a repeat from doing it again.
                None if has_time => EventId::derived(&[source, "", &id_of(item.get())]),
                None => EventId::fresh(received, fresh()),
            };
            match self.event(item, &about, id) {
                Ok(event) if seen.insert(event.event.id.clone()) => taken.happened.push(event),
                Ok(_) => {}
                Err(why) => taken.dropped.push(Dropped { index, why }),
            }
        }
        taken
    }

    fn event(
        &self,
        item: &RawValue,
        about: &About<'_>,
        id: impl FnOnce(Option<&str>, bool) -> EventId,
    ) -> Result<Happened, Why> {
        if item.get().len() + self.context_bytes > MAX_EVENT {
            return Err(Why::TooLarge);
        }
        let value =
            serde_json::from_str(item.get()).or_else(|_| serde_json::from_str(&json::mend(item.get()).0));
        let Ok(Value::Object(item)) = value else { return Err(Why::NotAnEvent) };
        match self.route {
            Route::One(kind) => segment::event(Some(kind), item, about, id),
            Route::Batch => segment::event(None, item, about, id),
            Route::Posthog | Route::Flags => posthog::event(item, about, id),
        }
    }
}
