//! Campaigns as people see them: where each stands, what was counted, when it goes out next.

use crate::campaigns::{NEWEST, no_such_campaign};
use crate::{Call, Console, unavailable};
use serde_json::{Map, Value, json};
use sluice_domain::campaign::{Broadcast, BroadcastState, Counts, Section};
use sluice_domain::policy::Campaign;
use sluice_domain::time::Timestamp;
use sluice_wire::http::HttpResponse;
use sluice_wire::problem::Problem;

/// Broadcasts shown with what was counted.
const SHOWN: usize = 5;

impl Console {
    /// All campaigns that have a document, each with its newest broadcast.
    pub(crate) async fn list_campaigns(&self) -> Result<HttpResponse, Problem> {
        let policies = self.current().await?;
        let mut shown = Vec::new();
        for (document, _) in policies.campaigns.values() {
            let newest = self.store.broadcasts(&document.name, NEWEST).await.map_err(unavailable)?;
            shown.push(head(&document.name, Some(document), &newest));
        }
        Ok(HttpResponse::json(200, &json!({ "campaigns": shown })))
    }

    /// One campaign: its document, its newest broadcasts and what was counted of them. Also one whose document is gone.
    pub(crate) async fn show_campaign(&self, call: &Call) -> Result<HttpResponse, Problem> {
        let name = call.part(0);
        let policies = self.current().await?;
        let document = policies.campaigns.get(name).map(|(document, _)| document);
        let newest = self.store.broadcasts(name, NEWEST).await.map_err(unavailable)?;
        if document.is_none() && newest.is_empty() {
            return Err(no_such_campaign());
        }
        let mut broadcasts = Vec::new();
        for one in newest.iter().take(SHOWN) {
            let Some(document) = one.document.as_ref().or(document) else { continue };
            let counts = self.store.counts(one).await.map_err(unavailable)?;
            let sections = self.store.sections(one).await.map_err(unavailable)?;
            let last = one.last_due(&sections, policies.rate_of(document), self.env.clock.now());
            broadcasts.push(broadcast(one, document, Some((&counts, &sections, last))));
        }
        let mut view = head(name, document, &newest);
        view["document"] = serde_json::to_value(document).unwrap_or_default();
        view["broadcasts"] = broadcasts.into();
        Ok(HttpResponse::json(200, &view))
    }
}

/// What a list says of a campaign.
fn head(name: &str, document: Option<&Campaign>, newest: &[Broadcast]) -> Value {
    // What goes out now before what is still to come.
    let live = newest.iter().rev().find(|one| !one.state.is_over());
    let next = newest.iter().rev().find(|one| one.state == BroadcastState::Scheduled);
    json!({
        "name": name,
        "description": document.and_then(|document| document.description.as_deref()),
        "state": live.or(newest.first()).map_or("draft", |one| one.state.name()),
        "broadcast": live.or(newest.first()).map(|one| one.n),
        "next": next.map(|one| one.at.rfc3339()),
    })
}

/// One broadcast; with what was counted, its parts and when the last of it is due where that was read.
pub(crate) fn broadcast(
    one: &Broadcast,
    document: &Campaign,
    counted: Option<(&Counts, &[Section], Option<Timestamp>)>,
) -> Value {
    let at = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    let mut view = json!({
        "campaign": one.campaign,
        "broadcast": one.n,
        "state": one.state.name(),
        "at": one.at.rfc3339(),
        "local_time": one.local.map(|local| local.strftime("%Y-%m-%dT%H:%M").to_string()),
        "asked": one.asked.rfc3339(),
        "by": one.by,
        "began": at(one.began),
        "ended": at(one.ended),
        "missed": one.missed,
        "policy_version": one.policies,
        "winner": one.winner.and_then(|chosen| {
            let name = document.variant_name(Some(chosen.variant))?;
            Some(json!({ "variant": name, "at": chosen.at.rfc3339() }))
        }),
        "stopped": one.stopped.as_ref().map(|stopped| {
            json!({ "at": stopped.at.rfc3339(), "by": stopped.rail.what, "why": stopped.rail.sentence() })
        }),
    });
    let Some((counts, sections, last)) = counted else { return view };
    let planned: u64 = sections.iter().map(|section| section.planned).sum();
    let is_planned = one.began.is_some() && sections.iter().all(|section| section.done);
    if one.state == BroadcastState::Running {
        view["state"] = if is_planned { "sending" } else { "planning" }.into();
    }
    view["last_slot"] = json!(at(last));
    let mut all = numbers(counts, None);
    let planned = i64::try_from(planned).unwrap_or(i64::MAX);
    all.insert("planned".to_owned(), planned.into());
    all.insert("waiting".to_owned(), (planned - counts.ended()).max(0).into());
    view["counts"] = all.into();
    view["skipped"] = json!(counts.skipped());
    let variants = document.variants.iter().zip(0u8..).map(|(variant, place)| {
        let mut numbers = numbers(counts, Some(place));
        numbers.insert("variant".to_owned(), variant.name.as_str().into());
        Value::Object(numbers)
    });
    view["variants"] = variants.collect();
    view
}

/// What is counted by itself, of one variant or of all.
fn numbers(counts: &Counts, variant: Option<u8>) -> Map<String, Value> {
    const NAMES: [&str; 9] = [
        "sent",
        "failed",
        "unknown",
        "delivered",
        "bounced",
        "complained",
        "opened",
        "clicked",
        "unsubscribed",
    ];
    let n = |name| variant.map_or_else(|| counts.total(name), |variant| counts.of(name, variant));
    let mut numbers: Map<String, Value> =
        NAMES.into_iter().map(|name| (name.to_owned(), n(name).into())).collect();
    if variant.is_none() {
        let skipped = counts.skipped();
        let held_out = skipped.get("held_out").copied().unwrap_or_default();
        numbers.insert("held_out".to_owned(), held_out.into());
        numbers.insert("skipped".to_owned(), (skipped.values().sum::<i64>() - held_out).into());
    }
    numbers
}
