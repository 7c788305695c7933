//! Amazon SNS over HTTPS: what SES says of mails that it took, for a topic that it publishes its events to.
//!
//! Believed is what SNS signed and what comes from a topic that the document lists: anybody's topic is signed alike. The
//! certificate is fetched from an address of SNS's, or is the one in the document. Without its envelope (raw delivery) a
//! message carries no signature; then a key in the address has to do. An envelope is verified in either case.

use super::{Delivery, Refusal, Source, SourceLead, Subscription};
use crate::feedback::{self, Read};
use crate::problem::Problem;
use crate::sns::{Certificate, Envelope, Forged, Kind, NoEnvelope};
use sluice_domain::feedback::Feedback;
use sluice_domain::policy::Auth;

/// The source `sns`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sns;

/// The header of a message without its envelope.
const RAW: &str = "x-amz-sns-rawdelivery";
/// The header that names the topic.
const TOPIC: &str = "x-amz-sns-topic-arn";

impl Source for Sns {
    fn kind(&self) -> &'static str {
        "sns"
    }

    fn setup(&self) -> &'static str {
        "Amazon SNS: the topic, Create subscription, protocol HTTPS: Endpoint. It is confirmed by itself. Amazon SES: the \
         configuration set, Event destinations, Amazon SNS: the topic."
    }

    fn proofs(&self) -> &'static [Auth] {
        &[Auth::Signature, Auth::UrlKey]
    }

    fn settings(&self) -> &'static [&'static str] {
        &["topics", "certificate"]
    }

    fn certificate(&self, delivery: &Delivery<'_>) -> Result<Option<String>, Refusal> {
        if is_raw(delivery) {
            return Ok(None);
        }
        let envelope = envelope(delivery)?;
        let url = envelope.certificate_url()?;
        Ok(delivery.document.certificate.is_none().then(|| url.to_owned()))
    }

    fn verify(&self, delivery: &Delivery<'_>) -> Result<(), Refusal> {
        if is_raw(delivery) {
            return Err(Refusal::Missing);
        }
        let envelope = envelope(delivery)?;
        envelope.certificate_url()?;
        let given = delivery.document.certificate.as_ref().map(|pem| Certificate::parse(pem.as_bytes()));
        let given = given.transpose().map_err(|_| Refusal::NoSecret)?;
        let certificate = given.as_ref().or(delivery.certificate).ok_or(Refusal::NoSecret)?;
        Ok(envelope.verify(certificate, delivery.now)?)
    }

    fn subscription(&self, delivery: &Delivery<'_>) -> Result<Option<Subscription>, Problem> {
        let Some(envelope) = believed(delivery)? else { return Ok(None) };
        match envelope.kind {
            Kind::Notification => Ok(None),
            Kind::End => Ok(Some(Subscription::Ended)),
            Kind::Subscription => match envelope.confirmation_url() {
                Some(url) => Ok(Some(Subscription::Confirm(url.to_owned()))),
                None => Err(Problem::new(
                    400,
                    "confirmation-foreign",
                    "The SubscribeURL is none of SNS's, so it is not called.",
                )
                .about("SubscribeURL")),
            },
        }
    }

    fn leads(&self, _delivery: &Delivery<'_>) -> Result<Vec<SourceLead>, Problem> {
        Ok(Vec::new())
    }

    fn feedback(&self, delivery: &Delivery<'_>) -> Result<Vec<Feedback>, Problem> {
        let envelope = believed(delivery)?;
        let read = match &envelope {
            Some(envelope) if envelope.kind != Kind::Notification => return Ok(Vec::new()),
            Some(envelope) => feedback::bare(envelope.message()),
            None => feedback::bare(&String::from_utf8_lossy(&delivery.request.body)),
        };
        match read {
            Ok(Read::Nothing(_)) => Ok(Vec::new()),
            Ok(Read::Event(event)) => {
                let at = event.at.or_else(|| envelope.and_then(|envelope| envelope.at()));
                Ok(vec![Feedback { at, ..event }])
            }
            Err(why) => Err(Problem::new(
                400,
                "not-an-event",
                format!("The message cannot be used: {why}. Publish only SES's events to this topic."),
            )),
        }
    }
}

fn is_raw(delivery: &Delivery<'_>) -> bool {
    delivery.request.header(RAW).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The message in its envelope, if it is of one of our topics.
fn envelope(delivery: &Delivery<'_>) -> Result<Envelope, Refusal> {
    let envelope = Envelope::read(&delivery.request.body)?;
    if is_ours(delivery, envelope.topic()) { Ok(envelope) } else { Err(Refusal::Topic) }
}

fn is_ours(delivery: &Delivery<'_>, topic: &str) -> bool {
    delivery.document.topics.iter().any(|ours| ours == topic)
}

/// The envelope of a message whose signature is good, or none if it came without. With `auth: signature` it was believed
/// for that; with `auth: url_key` only its key was looked at.
fn believed(delivery: &Delivery<'_>) -> Result<Option<Envelope>, Problem> {
    if is_raw(delivery) {
        let topic = delivery.request.header(TOPIC);
        return match topic.is_none_or(|topic| is_ours(delivery, topic)) {
            true => Ok(None),
            false => Err(Refusal::Topic.into()),
        };
    }
    if delivery.document.auth != Auth::Signature {
        Sns.verify(delivery)?;
    }
    Ok(Some(envelope(delivery)?))
}

impl From<NoEnvelope> for Refusal {
    fn from(why: NoEnvelope) -> Self {
        match why {
            NoEnvelope::Malformed => Self::Missing,
            NoEnvelope::Kind => Self::Kind,
        }
    }
}

impl From<Forged> for Refusal {
    fn from(why: Forged) -> Self {
        match why {
            Forged::Unsigned => Self::Missing,
            Forged::Signature => Self::Wrong,
            Forged::Address => Self::Address,
            Forged::Expired => Self::Expired,
        }
    }
}
