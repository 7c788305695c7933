//! What each library takes for success.

use super::{Call, Route, Taken};
use crate::http::HttpResponse;
use crate::problem::Problem;
use serde_json::{Value, json};

/// The answer to a call whose good events are durable. Libraries drop what is answered 400 and repeat what is answered 500
/// and above, those of Segment and RudderStack also 429 (PostHog's for pages does not), so a batch is answered 200 whatever some of its events are like; RudderStack's for Python takes nothing
/// but 200 for success.
pub fn answer(call: &Call, taken: &Taken) -> Result<HttpResponse, Problem> {
    if call.is_single()
        && let Some(dropped) = taken.dropped.first()
    {
        let problem = Problem::new(400, dropped.why.name(), dropped.why.advice());
        return Err(match dropped.why.field() {
            Some(field) => problem.about(field),
            None => problem,
        });
    }
    let mut body = match call.route {
        Route::Flags => return Ok(HttpResponse::json(200, &content())),
        Route::Posthog => json!({"status": 1}),
        Route::One(_) | Route::Batch => json!({"success": true}),
    };
    if !taken.dropped.is_empty() {
        let dropped = taken.dropped.iter().map(|dropped| {
            json!({"index": dropped.index, "reason": dropped.why.name(), "detail": dropped.why.advice()})
        });
        body["dropped"] = dropped.collect::<Vec<Value>>().into();
    }
    Ok(HttpResponse::json(200, &body))
}

/// PostHog's remote configuration: there are no flags, a page's library is not to send gzip ([`super::GARBLED`]), and nothing is to be recorded or collected by itself.
pub fn content() -> Value {
    json!({
        "config": {},
        "flags": {},
        "featureFlags": {},
        "featureFlagPayloads": {},
        "errorsWhileComputingFlags": false,
        "hasFeatureFlags": false,
        "supportedCompression": ["base64"],
        "sessionRecording": false,
        "autocapture_opt_out": true,
        "capturePerformance": false,
        "heatmaps": false,
        "surveys": false,
        "siteApps": [],
        "toolbarParams": {},
        "isAuthenticated": false,
    })
}
