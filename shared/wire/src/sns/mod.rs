//! Messages of Amazon SNS over HTTPS: what they say, and whether they are its own.
//!
//! Rules from the SNS developer guide, "Parsing message formats" and "Verifying the signatures of Amazon SNS messages":
//! the signature is over names and values, a line each, the values as they are before JSON escapes them; version 1 is SHA-1
//! and the default, version 2 SHA-256. Anybody can make a topic and have SNS sign for it, so a good signature says only
//! that SNS sent it: of which topics we want to hear is the receiver's to say.

mod certificate;
mod url;

pub use certificate::{Certificate, CertificateError};
pub use url::is_of_sns;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sluice_domain::time::Timestamp;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something was published.
    Notification,
    /// Somebody subscribed this address, and is to show that it is theirs.
    Subscription,
    /// Somebody took the subscription back.
    End,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// What it is for.
    pub kind: Kind,
    parts: Parts,
}

/// Why a body is no message of SNS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEnvelope {
    /// It is not JSON, or lacks what each message has.
    Malformed,
    /// A kind that we do not know, and so do not know what of it is signed.
    Kind,
}

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    /// It carries no signature.
    Unsigned,
    /// The signature is not that of the message under the certificate.
    Signature,
    /// It names a certificate that is not SNS's.
    Address,
    /// The certificate is not valid now.
    Expired,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parts {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(rename = "SubscribeURL", default)]
    subscribe_url: Option<String>,
    #[serde(default)]
    signature_version: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(rename = "SigningCertURL", default)]
    signing_cert_url: Option<String>,
}

impl Envelope {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Result<Self, NoEnvelope> {
        let parts: Parts = serde_json::from_slice(body).map_err(|_| NoEnvelope::Malformed)?;
        let kind = match parts.kind.as_str() {
            "Notification" => Kind::Notification,
            "SubscriptionConfirmation" => Kind::Subscription,
            "UnsubscribeConfirmation" => Kind::End,
            _ => return Err(NoEnvelope::Kind),
        };
        Ok(Self { kind, parts })
    }

    /// The message's id: the same each time it is delivered.
    pub fn id(&self) -> &str {
        &self.parts.message_id
    }

    /// The topic it was published to.
    pub fn topic(&self) -> &str {
        &self.parts.topic_arn
    }

    /// What was published.
    pub fn message(&self) -> &str {
        &self.parts.message
    }

    /// When it was published.
    pub fn at(&self) -> Option<Timestamp> {
        Timestamp::parse(&self.parts.timestamp)
    }

    /// Where the certificate is that it is signed with; only an address of SNS's.
    pub fn certificate_url(&self) -> Result<&str, Forged> {
        let url = self.parts.signing_cert_url.as_deref().ok_or(Forged::Unsigned)?;
        if url::is_certificate(url) { Ok(url) } else { Err(Forged::Address) }
    }

    /// The address whose call confirms the subscription; only an address of SNS's.
    pub fn confirmation_url(&self) -> Option<&str> {
        let url = self.parts.subscribe_url.as_deref().filter(|_| self.kind == Kind::Subscription)?;
        is_of_sns(url).then_some(url)
    }

    /// Whether the signature is that of this message.
    pub fn verify(&self, certificate: &Certificate, now: Timestamp) -> Result<(), Forged> {
        let signature = self.parts.signature.as_deref().ok_or(Forged::Unsigned)?;
        let signature = STANDARD.decode(signature).map_err(|_| Forged::Signature)?;
        if !certificate.is_valid_at(now) {
            return Err(Forged::Expired);
        }
        let text = self.signed_text();
        let is_good = match self.parts.signature_version.as_deref() {
            Some("1") => certificate.has_signed_sha1(text.as_bytes(), &signature),
            Some("2") => certificate.has_signed_sha256(text.as_bytes(), &signature),
            _ => false,
        };
        if is_good { Ok(()) } else { Err(Forged::Signature) }
    }

    /// What is signed: names in the order of their bytes, what is absent left out.
    fn signed_text(&self) -> String {
        let Parts { message, message_id, subject, subscribe_url, timestamp, token, topic_arn, kind, .. } =
            &self.parts;
        let is_notification = self.kind == Kind::Notification;
        let lines = [
            ("Message", Some(message)),
            ("MessageId", Some(message_id)),
            ("Subject", subject.as_ref().filter(|_| is_notification)),
            ("SubscribeURL", subscribe_url.as_ref().filter(|_| !is_notification)),
            ("Timestamp", Some(timestamp)),
            ("Token", token.as_ref().filter(|_| !is_notification)),
            ("TopicArn", Some(topic_arn)),
            ("Type", Some(kind)),
        ];
        let mut text = String::new();
        for (name, value) in lines {
            if let Some(value) = value {
                text.push_str(name);
                text.push('\n');
                text.push_str(value);
                text.push('\n');
            }
        }
        text
    }
}
