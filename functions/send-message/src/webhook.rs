//! Signed webhooks to reps and other systems (Standard Webhooks 1.0.0): at least once, always under the same `webhook-id`, until the
//! receiver says that it is gone.

use crate::Sender;
use crate::channel::Handover;
use crate::notice::Notice;
use serde_json::json;
use sluice_domain::pii::Pii;
use sluice_domain::policy::{SecretRef, Webhook};
use sluice_domain::time::Timestamp;
use sluice_host::fetch::{FetchError, fetch_public};
use sluice_store::Endpoint;
use sluice_wire::standard_webhooks::{SigningKey, headers};
use std::time::Duration;

/// How long a receiver may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(12);

impl Sender {
    pub(crate) async fn webhook(
        &self,
        webhook: &Webhook,
        rep: Option<&str>,
        notice: &Notice,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Handover {
        let data = match (&notice.heard, &notice.halt, &notice.alarm, &notice.told) {
            (Some(heard), ..) => heard.clone(),
            (None, Some((campaign, why)), ..) => {
                json!({ "campaign": campaign, "why": why, "rep": rep, "link": notice.link })
            }
            (None, None, Some((alert, text)), _) => {
                json!({ "alert": alert, "text": text, "rep": rep, "link": notice.link })
            }
            (None, None, None, None) => json!({
                "lead": notice.lead,
                "rep": rep,
                "source": notice.source,
                "link": notice.link,
                "name": notice.name,
                "company": notice.company,
                "email": notice.email,
                "phone": notice.phone,
                "flags": notice.flags,
                "came_back": notice.came_back,
                "window": notice.window,
            }),
            (None, None, None, Some(told)) => json!({
                "customer": told.customer,
                "journey": told.journey,
                "step": told.step,
                "rep": rep,
                "link": notice.link,
                "text": told.text,
                "due": told.due,
                "facts": told.facts,
            }),
        };
        let body = json!({ "type": notice.event, "timestamp": notice.at.rfc3339(), "data": data });
        let body = body.to_string().into_bytes();
        let keys = match self.signing_keys(&webhook.secrets).await {
            Ok(keys) => keys,
            Err(handover) => return handover,
        };
        let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
        all.extend(headers(&keys, &webhook_id(&notice.id), now, &body));
        match fetch_public(&self.env, "POST", &webhook.url, &all, body, LIMIT).await {
            Ok(answer) => match answer.status {
                200..=299 => Handover::Sent(format!("status {}", answer.status)),
                410 => {
                    // If this is not written down the next message is answered so too.
                    if self.store.disable_endpoint(endpoint, now).await.is_err() {
                        tracing::warn!("a webhook's receiver is gone, and that could not be kept");
                    }
                    Handover::Refused("the receiver is gone (410)".to_owned())
                }
                status => Handover::NotNow { why: format!("status {status}"), after: answer.retry_after },
            },
            Err(error @ FetchError::Forbidden(_)) => Handover::Refused(error.to_string()),
            Err(error @ FetchError::Unknown) => Handover::Unknown(error.to_string()),
            Err(error) => Handover::NotNow { why: error.to_string(), after: None },
        }
    }

    /// Every secret that is in use, ready to sign with.
    pub(crate) async fn signing_keys(&self, references: &[SecretRef]) -> Result<Vec<SigningKey>, Handover> {
        let mut keys = Vec::with_capacity(references.len());
        for reference in references {
            let not_now = |why: String| Handover::NotNow { why, after: None };
            let secret: Pii<String> = match self.secrets.resolve(reference).await {
                Ok(Some(secret)) => secret,
                Ok(None) => return Err(not_now("the signing secret is missing".to_owned())),
                Err(error) => return Err(not_now(error.to_string())),
            };
            let key = SigningKey::read(secret.reveal());
            // Like one that is missing: somebody mends it, and then the message goes out.
            keys.push(key.map_err(|error| not_now(error.to_string()))?);
        }
        Ok(keys)
    }
}

/// The id that a receiver knows the message by. It holds no `.`, which separates it from the time where it is signed
/// (Standard Webhooks 1.0.0), and which is in names of reps; two ids stay two.
fn webhook_id(id: &str) -> String {
    id.replace('=', "=3d").replace('.', "=2e")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhooks_id_has_no_dot_and_two_ids_stay_two() {
        assert_eq!(webhook_id("ld_1_assigned_1_li.wei"), "ld_1_assigned_1_li=2ewei");
        assert_eq!(webhook_id("ev_17-a"), "ev_17-a");
        assert_ne!(webhook_id("li.wei"), webhook_id("li=2ewei"));
    }
}
