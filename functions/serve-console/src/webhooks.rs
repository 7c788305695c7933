//! The receivers of webhooks that documents name: whether they are sent to, what was delivered, and delivering it again.

use crate::acts::ATTEMPTS;
use crate::{Call, Console, no_such_cursor, unavailable};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_domain::id::EndpointId;
use sluice_domain::message::MessageState;
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Endpoint, NoticeRecord, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use sluice_wire::queue::{TellMessage, encode};
use std::collections::BTreeMap;

/// Newest notices of a rep among which the last webhook is looked for.
const LOOKED_AT: i32 = 20;
/// Receivers whose notices are read at the same time.
const AT_ONCE: usize = 8;
/// Deliveries of one page, unless the caller wants another number of them.
const PAGE: usize = 50;
/// The most deliveries of one page.
const MOST: usize = 200;

/// The longest place within a log, in bytes.
const LONGEST: usize = 512;

/// A receiver as the documents have it.
#[derive(Default)]
struct Named {
    url: String,
    reps: Vec<String>,
    webhooks: Vec<String>,
    journeys: Vec<String>,
}

impl Named {
    /// Under which names its deliveries are kept. A journey with several receivers has one log.
    fn logs(&self) -> impl Iterator<Item = String> {
        let of = |kind: &'static str| move |name: &String| format!("{kind}/{name}");
        let told = self.webhooks.iter().map(of("webhook")).chain(self.journeys.iter().map(of("journey")));
        self.reps.iter().cloned().chain(told)
    }
}

/// The receivers within reach: those of reps, and for whoever sees everybody those of `kind: webhook` and of journeys.
fn named(call: &Call, policies: &PolicySet) -> BTreeMap<EndpointId, Named> {
    let mut all: BTreeMap<EndpointId, Named> = BTreeMap::new();
    let fresh = |url: &str| Named { url: url.to_owned(), ..Named::default() };
    for (name, rep) in policies.reps.iter().filter(|(name, _)| call.sight.reach.has_rep(name)) {
        if let Some(webhook) = &rep.webhook {
            let receiver = all.entry(webhook.endpoint()).or_insert_with(|| fresh(&webhook.url));
            receiver.reps.push(name.clone());
        }
    }
    for (name, webhook) in policies.webhooks.iter().filter(|_| call.sight.reach.is_everybody()) {
        let receiver = all.entry(webhook.webhook().endpoint()).or_insert_with(|| fresh(&webhook.url));
        receiver.webhooks.push(name.clone());
    }
    for (name, flow) in policies.journeys.iter().filter(|_| call.sight.reach.is_everybody()) {
        let steps = flow.journey().steps.iter();
        for webhook in steps.filter_map(|step| step.act.webhook()) {
            let receiver = all.entry(webhook.endpoint()).or_insert_with(|| fresh(&webhook.url));
            if receiver.journeys.last() != Some(name) {
                receiver.journeys.push(name.clone());
            }
        }
    }
    all
}

/// What is to be delivered again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    delivery: String,
}

impl Console {
    /// Every receiver, with its state and what came of the last webhook.
    pub(crate) async fn list_webhooks(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let named = named(call, &policies);
        let ids: Vec<EndpointId> = named.keys().cloned().collect();
        let known = self.store.endpoints(&ids).await.map_err(unavailable)?;
        let known: BTreeMap<EndpointId, Endpoint> =
            known.into_iter().map(|endpoint| (endpoint.id.clone(), endpoint)).collect();
        let known = &known;
        let views = stream::iter(named)
            .map(|(id, named)| async move { self.view_webhook(&id, &named, known.get(&id)).await })
            .buffered(AT_ONCE);
        let views: Vec<Value> = views.try_collect().await?;
        Ok(HttpResponse::json(200, &json!({ "webhooks": views })))
    }

    /// Sends to it again: whoever runs it has said that it is back.
    pub(crate) async fn enable_webhook(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (id, named) = self.find_webhook(call).await?;
        for _ in 0..ATTEMPTS {
            let mut endpoint = self.store.endpoint(&id).await.map_err(unavailable)?;
            if endpoint.gone.is_some() {
                if self.store.enable_endpoint(&endpoint).await.map_err(unavailable)? == Written::Conflict {
                    continue;
                }
                endpoint.gone = None;
            }
            let view = self.view_webhook(&id, &named, Some(&endpoint)).await?;
            return Ok(HttpResponse::json(200, &view));
        }
        Err(busy())
    }

    /// What was delivered to a receiver, newest first. `state` narrows it; a page may then be shorter than asked for.
    pub(crate) async fn list_deliveries(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (id, named) = self.find_webhook(call).await?;
        let state = match call.query("state").as_deref().map(MessageState::parse) {
            Some(None) => {
                return Err(Problem::new(422, "state-unknown", "There is no such state.").about("state"));
            }
            state => state.flatten(),
        };
        let before = match call.query("cursor").map(|cursor| read_place(&cursor)) {
            Some(None) => return Err(no_such_cursor()),
            place => place.flatten().map(|(_, sort_key)| sort_key),
        };
        let limit = call.limit(PAGE, MOST);
        let most = i32::try_from(limit).unwrap_or(i32::MAX);
        let logs: Vec<String> = named.logs().collect();
        let read = logs.iter().map(|log| self.store.notices_before(log, before.as_deref(), most));
        let read: Vec<Vec<NoticeRecord>> = try_join_all(read).await.map_err(unavailable)?;
        // A log that may go on was read down to its last; older ones of the others come with the next page.
        let down_to = read.iter().filter(|log| log.len() >= limit).filter_map(|log| log.last());
        let mut down_to: Option<String> = down_to.map(|last| last.sort_key.clone()).max();
        let mut found: Vec<NoticeRecord> = read.into_iter().flatten().collect();
        found.sort_by(|a, b| b.sort_key.cmp(&a.sort_key));
        found.retain(|one| down_to.as_ref().is_none_or(|last| one.sort_key >= *last));
        if found.len() > limit {
            // Of one name in several logs all come with one page: the next one begins behind the name.
            down_to = found.get(limit - 1).map(|last| last.sort_key.clone());
            found.retain(|one| down_to.as_ref().is_none_or(|last| one.sort_key >= *last));
        }
        let is_meant = |one: &&NoticeRecord| is_to(one, &id) && state.is_none_or(|state| one.state == state);
        let shown: Vec<Value> = found.iter().filter(is_meant).map(delivery).collect();
        let cursor = down_to.map(|sort_key| place_of("", &sort_key));
        Ok(HttpResponse::json(200, &json!({ "deliveries": shown, "cursor": cursor })))
    }

    /// `{"delivery": …}`: the same event once more, under the same `webhook-id`, whatever came of it before.
    pub(crate) async fn redeliver(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let (id, named) = self.find_webhook(call).await?;
        let again: Again = call.read()?;
        let missing = || {
            Problem::new(404, "no-such-delivery", "This receiver was sent nothing of this id.")
                .about("delivery")
        };
        let (log, sort_key) = read_place(&again.delivery).ok_or_else(missing)?;
        if !named.logs().any(|own| own == log) {
            return Err(missing());
        }
        for _ in 0..ATTEMPTS {
            let found = self.store.notice(&log, &sort_key).await.map_err(unavailable)?;
            let mut record = found.filter(|one| is_to(one, &id)).ok_or_else(missing)?;
            let (what, message) = match (record.heard.clone(), record.call.clone()) {
                (Some(heard), _) => (heard.id(), TellMessage::Heard(heard)),
                (None, Some(call)) => (call.id(), TellMessage::Call(call)),
                (None, None) => {
                    let said = "Only events and what journeys tell are delivered again; a rep is told of a lead once.";
                    return Err(Problem::new(409, "not-an-event", said).about("delivery"));
                }
            };
            let now = self.env.clock.now();
            // Also one that waits for its next attempt; what somebody is delivering just now is left to them.
            let is_held = record.state == MessageState::Claimed && record.claimed_until > now;
            let is_due = record.state == MessageState::Ready && record.claimed_until <= now;
            if !is_held && !is_due {
                record.state = MessageState::Ready;
                record.attempts = 0;
                record.claimed_until = now;
                record.note = Some(format!("asked for again by {}", call.who.name()));
                if self.store.update_notice(&record).await.map_err(unavailable)? == Written::Conflict {
                    continue;
                }
                record.version += 1;
            }
            // Also if it is on its way: whoever asked for it before may have died before it was put on the queue.
            let message = Outgoing {
                queue: QueueName::Notice,
                id: format!("{what}-again-{}", record.version),
                body: encode(&message),
                not_before: now,
            };
            self.outbox.hand_over(vec![message], now).await.map_err(unavailable)?;
            return Ok(HttpResponse::json(202, &delivery(&record)));
        }
        Err(busy())
    }

    async fn find_webhook(&self, call: &Call) -> Result<(EndpointId, Named), Problem> {
        let none = || Problem::new(404, "no-such-webhook", "No document names a receiver with this id.");
        let id = EndpointId::parse(call.part(0)).ok_or_else(none)?;
        let policies = self.current().await?;
        let named = named(call, &policies).remove(&id).ok_or_else(none)?;
        Ok((id, named))
    }

    async fn view_webhook(
        &self,
        id: &EndpointId,
        named: &Named,
        endpoint: Option<&Endpoint>,
    ) -> Result<Value, Problem> {
        let mut last: Option<NoticeRecord> = None;
        for log in named.logs() {
            let page = self.store.notices_to(&log, None, LOOKED_AT).await.map_err(unavailable)?;
            let newest = page.items.into_iter().find(|notice| is_to(notice, id));
            // Sort keys begin with the time.
            if newest.as_ref().map(|notice| &notice.sort_key) > last.as_ref().map(|last| &last.sort_key) {
                last = newest;
            }
        }
        let gone = endpoint.and_then(|endpoint| endpoint.gone);
        Ok(json!({
            "id": id.as_str(),
            "url": named.url,
            "reps": named.reps,
            "webhooks": named.webhooks,
            "journeys": named.journeys,
            "state": if gone.is_some() { "gone" } else { "enabled" },
            "gone": gone.map(|at| at.rfc3339()),
            "last": last.as_ref().map(delivery),
        }))
    }
}

/// Whether it went to this receiver: of one log all did, unless it is a journey's, which may tell several.
fn is_to(record: &NoticeRecord, id: &EndpointId) -> bool {
    record.channel == "webhook" && record.call.as_ref().is_none_or(|call| call.to.endpoint() == *id)
}

/// A delivery as people see it.
fn delivery(record: &NoticeRecord) -> Value {
    let (heard, call) = (record.heard.as_ref(), record.call.as_ref());
    let rep = (heard.is_none() && call.is_none()).then_some(&record.rep);
    let at = heard.map(|heard| heard.at).or(call.map(|call| call.at));
    json!({
        "id": place_of(&record.rep, &record.sort_key),
        "webhook": heard.map(|heard| &heard.webhook), "journey": call.map(|call| &call.journey), "rep": rep, "lead": record.lead, "customer": record.customer,
        "kind": record.kind, "at": at.map(Timestamp::rfc3339), "state": record.state,
        "attempts": record.attempts, "unknown": record.unknown, "note": record.note,
    })
}

/// A delivery's place: the log that it is in and its key there.
fn place_of(log: &str, sort_key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{log}\n{sort_key}"))
}

fn read_place(text: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (log, sort_key) =
        text.split_once('\n').filter(|(_, sort_key)| (1..=LONGEST).contains(&sort_key.len()))?;
    Some((log.to_owned(), sort_key.to_owned()))
}

fn busy() -> Problem {
    Problem::new(409, "busy", "Others are changing it. Try again.").retry_after(1)
}
