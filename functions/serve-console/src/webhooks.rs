//! The receivers of webhooks that documents name: whether they are sent to, and what came of the last time.

use crate::acts::ATTEMPTS;
use crate::{Call, Console, unavailable};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use sluice_domain::id::EndpointId;
use sluice_domain::policy::PolicySet;
use sluice_store::{Endpoint, NoticeRecord, Written};
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;
use std::collections::BTreeMap;

/// Newest notices of a rep among which the last webhook is looked for.
const LOOKED_AT: i32 = 20;
/// Reps whose notices are read at the same time.
const AT_ONCE: usize = 8;

/// A receiver as the documents have it.
struct Named {
    url: String,
    reps: Vec<String>,
}

/// The receivers of the reps within reach.
fn named(call: &Call, policies: &PolicySet) -> BTreeMap<EndpointId, Named> {
    let mut all: BTreeMap<EndpointId, Named> = BTreeMap::new();
    for (name, rep) in policies.reps.iter().filter(|(name, _)| call.sight.reach.has_rep(name)) {
        if let Some(webhook) = &rep.webhook {
            let receiver = all.entry(webhook.endpoint());
            let receiver = receiver.or_insert_with(|| Named { url: webhook.url.clone(), reps: Vec::new() });
            receiver.reps.push(name.clone());
        }
    }
    all
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
        let none = || Problem::new(404, "no-such-webhook", "No document names a receiver with this id.");
        let id = EndpointId::parse(call.part(0)).ok_or_else(none)?;
        let policies = self.current().await?;
        let named = named(call, &policies).remove(&id).ok_or_else(none)?;
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
        Err(Problem::new(409, "busy", "Others are changing it. Try again.").retry_after(1))
    }

    async fn view_webhook(
        &self,
        id: &EndpointId,
        named: &Named,
        endpoint: Option<&Endpoint>,
    ) -> Result<Value, Problem> {
        let mut last: Option<NoticeRecord> = None;
        for rep in &named.reps {
            let page = self.store.notices_to(rep, None, LOOKED_AT).await.map_err(unavailable)?;
            let newest = page.items.into_iter().find(|notice| notice.channel == "webhook");
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
            "state": if gone.is_some() { "gone" } else { "enabled" },
            "gone": gone.map(|at| at.rfc3339()),
            "last": last.map(|last| json!({
                "rep": last.rep, "lead": last.lead, "kind": last.kind, "state": last.state,
                "attempts": last.attempts, "note": last.note,
            })),
        }))
    }
}
