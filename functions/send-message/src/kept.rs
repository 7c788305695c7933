//! On one machine a channel's provider is not called: what it would get is kept there, to be looked at.

use crate::Sender;
use crate::provider::LIMIT;
use serde::Deserialize;
use sluice_domain::message::Handed;
use sluice_host::fetch::fetch;
use sluice_wire::kept::KeptCall;

/// The variable that has calls of providers kept at this base URL instead of made. On one machine it is set unless somebody
/// asks for the calls, so that policies that were copied there write to nobody; the template never sets it.
pub const KEPT_AT: &str = "SLUICE_CALLS_KEPT_AT";

/// What says that a call is kept.
#[derive(Deserialize)]
struct Kept {
    id: String,
}

impl Sender {
    /// Hands a call to where it is kept. Whatever fails on that way, nobody was written to: it is tried again.
    pub(crate) async fn keep_call(&self, url: &str, call: &KeptCall) -> Handed {
        let not_now = |why: String| Handed::NotNow(why, None);
        let body = match serde_json::to_vec(call) {
            Ok(body) => body,
            Err(error) => return not_now(error.to_string()),
        };
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        match fetch(&self.env, "POST", url, &headers, body, LIMIT).await {
            Ok(answer) if answer.status == 200 => {
                let kept = serde_json::from_slice(&answer.body).map(|Kept { id }| id);
                kept.map_or_else(
                    |_| not_now("what keeps calls cannot be understood".to_owned()),
                    Handed::Sent,
                )
            }
            Ok(answer) => not_now(format!("status {}", answer.status)),
            Err(error) => not_now(error.to_string()),
        }
    }
}
