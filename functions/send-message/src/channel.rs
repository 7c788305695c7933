//! E-mail by SES, and what can become of handing a message over.

use crate::notice::Notice;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageTag};
use aws_smithy_types::retry::RetryConfig;
use sluice_domain::policy::Rep;
use sluice_host::environment::{ConfigError, Environment};

/// What became of a hand-over.
#[derive(Debug)]
pub(crate) enum Handover {
    /// Taken; the provider's id.
    Sent(String),
    /// Definitely not taken, and worth another attempt.
    NotNow { why: String, after: Option<u32> },
    /// Definitely not taken, for good.
    Refused(String),
    /// It may have been taken.
    Unknown,
}

/// The SES client. Its own retries are off: SES has no idempotency token, so a repeat after a lost answer would be a
/// second mail that nobody decided on.
pub(crate) struct Mail {
    client: aws_sdk_sesv2::Client,
    from: String,
}

impl Mail {
    pub(crate) fn new(env: &Environment) -> Result<Self, ConfigError> {
        let mut config = aws_sdk_sesv2::config::Builder::from(&sluice_host::aws::sdk_config(env)?)
            .retry_config(RetryConfig::disabled());
        config.set_endpoint_url(env.optional("AWS_ENDPOINT_URL_SESV2").map(str::to_owned));
        Ok(Self {
            client: aws_sdk_sesv2::Client::from_conf(config.build()),
            from: env.required("SLUICE_MAIL_FROM")?.to_owned(),
        })
    }

    pub(crate) async fn send(&self, rep: &Rep, notice: &Notice) -> Handover {
        let utf8 = |text: String| Content::builder().data(text).charset("UTF-8").build();
        let tag = MessageTag::builder().name("message").value(tag_value(&notice.id)).build();
        let (Ok(subject), Ok(text), Ok(tag)) = (utf8(notice.subject()), utf8(notice.text()), tag) else {
            return Handover::Refused("the mail cannot be built".to_owned());
        };
        let message = Message::builder().subject(subject).body(Body::builder().text(text).build()).build();
        let answer = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(
                Destination::builder().set_to_addresses(rep.email.clone().map(|to| vec![to])).build(),
            )
            .content(EmailContent::builder().simple(message).build())
            .email_tags(tag)
            .send()
            .await;
        match answer {
            Ok(answer) => Handover::Sent(answer.message_id.unwrap_or_default()),
            Err(error) => outcome(&error),
        }
    }
}

/// A definite refusal (4xx) gives the claim back, anything else may have gone out.
fn outcome<E: ProvideErrorMetadata>(
    error: &SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>,
) -> Handover {
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let why = service.err().code().unwrap_or("refused").to_owned();
            match status {
                429 => Handover::NotNow { why, after: None },
                // The account's quota and pauses come as 400 and pass; a bad message does not.
                400..=499 if matches!(why.as_str(), "LimitExceededException" | "SendingPausedException") => {
                    Handover::NotNow { why, after: None }
                }
                400..=499 => Handover::Refused(why),
                _ => Handover::Unknown,
            }
        }
        SdkError::ConstructionFailure(_) => Handover::Refused("the request cannot be built".to_owned()),
        _ => Handover::Unknown,
    }
}

/// Tag values are letters, digits, `_` and `-`. (SES v2, `MessageTag`.)
fn tag_value(id: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    id.chars().map(allowed).take(256).collect()
}
