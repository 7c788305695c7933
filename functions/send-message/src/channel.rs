//! What can become of handing a message over, and mail by SES.

use crate::mime::Mail;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination, EmailContent, MessageTag, RawMessage};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use sluice_domain::id::MessageId;
use sluice_host::environment::{ConfigError, Environment};
use sluice_host::fetch::is_unconnected;
use std::time::Duration;

/// How long SES may take: longer than what may be asked again, since a success that is not waited for is a mail of which
/// nobody knows whether it went out.
pub(crate) const LIMIT: Duration = Duration::from_secs(8);

/// What became of a hand-over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Handover {
    /// Taken; the provider's id.
    Sent(String),
    /// Definitely not taken, and worth another attempt.
    NotNow { why: String, after: Option<u32> },
    /// Definitely not taken, for good.
    Refused(String),
    /// The same, since there is no such mailbox.
    NoMailbox(String),
    /// It may have been taken: what is known of why nobody knows.
    Unknown(String),
}

/// The SES client. Its own retries are off: SES has no idempotency token, so a repeat after a lost answer would be a
/// second mail that nobody decided on.
pub(crate) struct Ses {
    client: aws_sdk_sesv2::Client,
    /// The configuration set under which SES says what becomes of a mail.
    set: String,
}

impl Ses {
    pub(crate) fn new(env: &Environment) -> Result<Self, ConfigError> {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(LIMIT).operation_timeout(LIMIT).build();
        let mut config = aws_sdk_sesv2::config::Builder::from(&sluice_host::aws::sdk_config(env)?)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        config.set_endpoint_url(env.optional("AWS_ENDPOINT_URL_SESV2").map(str::to_owned));
        Ok(Self {
            client: aws_sdk_sesv2::Client::from_conf(config.build()),
            set: env.required("SLUICE_MAIL_SET")?.to_owned(),
        })
    }

    /// Hands a mail over, with the message's id as a tag that comes back with each event about it. What becomes of a notice
    /// is nobody's business: only messages to customers go out under the configuration set.
    pub(crate) async fn send(&self, mail: &Mail<'_>) -> Handover {
        let bytes = match mail.write() {
            Ok(bytes) => bytes,
            Err(unfit) => return Handover::Refused(unfit.to_string()),
        };
        let raw = RawMessage::builder().data(Blob::new(bytes)).build();
        let tag = MessageTag::builder().name("message").value(tag_value(mail.id)).build();
        let (Ok(raw), Ok(tag)) = (raw, tag) else {
            return Handover::Refused("the request cannot be built".to_owned());
        };
        let set = MessageId::parse(mail.id).map(|_| self.set.clone());
        let answer = self
            .client
            .send_email()
            .set_configuration_set_name(set)
            .from_email_address(mail.from.email.as_sent())
            .destination(Destination::builder().to_addresses(mail.to.email.as_sent()).build())
            .content(EmailContent::builder().raw(raw).build())
            .email_tags(tag)
            .send()
            .await;
        match answer {
            Ok(answer) => Handover::Sent(answer.message_id.unwrap_or_default()),
            Err(error) => outcome(&error),
        }
    }
}

/// Errors of status 400 that are about the account and not about the mail. (SES v2, `SendEmail`, and the errors common to all
/// actions.)
const OF_THE_ACCOUNT: [&str; 9] = [
    "AccountSuspendedException",
    "ExpiredTokenException",
    "LimitExceededException",
    "MailFromDomainNotVerifiedException",
    "RequestExpired",
    "SendingPausedException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnrecognizedClientException",
];

/// Whether SES says that it does not know the sender, or nobody but verified recipients yet. (SES developer guide, "Amazon SES email
/// sending errors": "Email address is not verified".)
fn is_unverified(message: &str) -> bool {
    message.contains("is not verified")
}

/// A definite refusal (4xx) gives the claim back, and so does a connection that was never made; anything else may have gone out.
fn outcome<E: ProvideErrorMetadata>(
    error: &SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
) -> Handover {
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let why = service.err().code().unwrap_or("refused").to_owned();
            match status {
                // Who we are, what we may, and a configuration set that is missing: nothing about the message.
                401 | 403 | 404 | 408 | 429 => Handover::NotNow { why, after: None },
                // What ails the account comes as 400 and passes; a bad message does not.
                400 if OF_THE_ACCOUNT.contains(&why.as_str()) => Handover::NotNow { why, after: None },
                // So does a sender that is not verified, or not any more; the text names addresses and is not kept.
                400 if service.err().message().is_some_and(is_unverified) => {
                    Handover::NotNow { why: "not verified".to_owned(), after: None }
                }
                400..=499 => Handover::Refused(why),
                _ => Handover::Unknown(format!("status {status}")),
            }
        }
        SdkError::ConstructionFailure(_) => Handover::Refused("the request cannot be built".to_owned()),
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(|error| is_unconnected(error)) =>
        {
            Handover::NotNow { why: "no connection".to_owned(), after: None }
        }
        _ => Handover::Unknown("no answer".to_owned()),
    }
}

/// Tag values are letters, digits, `_` and `-`. (SES v2, `MessageTag`.)
fn tag_value(id: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    id.chars().map(allowed).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_host::lambda::{StdoutMetrics, SystemClock, SystemRandom, https_client};
    use std::sync::Arc;

    #[test]
    fn ses_is_waited_for_longer_than_what_can_be_asked_again_and_connected_to_as_fast() {
        let vars = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "SLUICE_MAIL_SET"];
        let env = Environment {
            vars: vars.map(|name| (name.to_owned(), "x".to_owned())).into(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            http: https_client(),
            web: https_client(),
            metrics: Arc::new(StdoutMetrics),
        };
        let usual = sluice_host::aws::sdk_config(&env).unwrap();
        let usual = usual.timeout_config().unwrap();
        let ses = Ses::new(&env).unwrap();
        let ses = ses.client.config().timeout_config().unwrap();
        assert_eq!((ses.operation_attempt_timeout(), ses.operation_timeout()), (Some(LIMIT), Some(LIMIT)));
        assert!(usual.operation_attempt_timeout() < Some(LIMIT), "{usual:?}");
        assert_eq!(ses.connect_timeout(), usual.connect_timeout());
    }
}
