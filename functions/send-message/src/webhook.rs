//! Signed webhooks (Standard Webhooks 1.0.0): at least once, always under the same `webhook-id`.

use crate::Sender;
use crate::channel::Handover;
use crate::notice::Notice;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::json;
use sluice_domain::policy::Rep;
use sluice_domain::time::Timestamp;
use sluice_host::fetch::{FetchError, fetch};
use std::time::Duration;

/// How long a receiver may take.
const LIMIT: Duration = Duration::from_secs(10);

impl Sender {
    pub(crate) async fn webhook(&self, rep: &Rep, notice: &Notice, now: Timestamp) -> Handover {
        let Some(webhook) = &rep.webhook else { return Handover::Refused("no webhook".to_owned()) };
        let body = json!({
            "type": notice.event,
            "timestamp": notice.at.rfc3339(),
            "data": {
                "lead": notice.lead,
                "rep": rep.name,
                "source": notice.source,
                "link": notice.link,
                "name": notice.name,
                "company": notice.company,
                "email": notice.email,
                "phone": notice.phone,
                "flags": notice.flags,
                "came_back": notice.came_back,
                "window": notice.window,
            },
        })
        .to_string();
        let mut signatures = Vec::new();
        for reference in &webhook.secrets {
            match self.secrets.resolve(reference).await {
                Ok(Some(secret)) => match sign(secret.reveal(), &notice.id, now.seconds(), &body) {
                    Some(signature) => signatures.push(signature),
                    None => return Handover::Refused("the signing secret is not base64".to_owned()),
                },
                Ok(None) => {
                    return Handover::NotNow { why: "the signing secret is missing".to_owned(), after: None };
                }
                Err(error) => return Handover::NotNow { why: error.to_string(), after: None },
            }
        }
        let headers = [
            ("content-type".to_owned(), "application/json".to_owned()),
            ("webhook-id".to_owned(), notice.id.clone()),
            ("webhook-timestamp".to_owned(), now.seconds().to_string()),
            ("webhook-signature".to_owned(), signatures.join(" ")),
        ];
        match fetch(&self.env, "POST", &webhook.url, &headers, body.into_bytes(), LIMIT).await {
            Ok(answer) => match answer.status {
                200..=299 => Handover::Sent(format!("status {}", answer.status)),
                410 => Handover::Refused("the receiver is gone (410)".to_owned()),
                status => Handover::NotNow { why: format!("status {status}"), after: answer.retry_after },
            },
            Err(FetchError::NotSent(why)) => Handover::NotNow { why, after: None },
            Err(FetchError::Unknown) => Handover::Unknown,
        }
    }
}

/// `v1,` and the base 64 of HMAC-SHA256 over `id.timestamp.body`; the secret is base 64 after `whsec_`.
pub(crate) fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> Option<String> {
    let key = STANDARD.decode(secret.trim().strip_prefix("whsec_").unwrap_or(secret.trim())).ok()?;
    let tag =
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), format!("{id}.{timestamp}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(tag.as_ref())))
}

#[cfg(test)]
mod tests {
    /// The vector published with the specification.
    #[test]
    fn the_published_vector_comes_out() {
        let signature = super::sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
