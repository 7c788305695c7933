//! SES v2: `SendEmail` and `SendBulkEmail`, with each mail kept to be looked at instead of sent.

mod compose;
mod mailbox;
mod request;

pub use mailbox::Mail;

use crate::ses_events::{MailEvents, Taken};
use crate::{Now, Service};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use mail_parser::{Address, MessageParser};
use mailbox::Mailbox;
use request::{Content, SendBulkEmail, SendEmail};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Recipients of one mail, as SES limits them.
const MAX_RECIPIENTS: usize = 50;

/// The mail service. Clones share one mailbox.
#[derive(Clone)]
pub struct Ses {
    now: Now,
    mailbox: Arc<Mailbox>,
    refusals: Arc<Mutex<VecDeque<Refusal>>>,
    events: Option<MailEvents>,
}

/// An error that SES documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code.
    pub status: u16,
    /// Name of the error, such as `TooManyRequestsException`.
    pub kind: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Ses {
    /// A mailbox that lives and dies with the process.
    pub fn memory(now: Now) -> Self {
        Self { now, mailbox: Arc::new(Mailbox::memory()), refusals: Arc::default(), events: None }
    }

    /// A mailbox in a folder of `.eml` files, made if it is not there.
    pub fn open(folder: &Path, now: Now) -> io::Result<Self> {
        let mailbox = Arc::new(Mailbox::open(folder)?);
        Ok(Self { now, mailbox, refusals: Arc::default(), events: None })
    }

    /// The same mailbox, which also says what becomes of mails sent under a configuration set.
    #[must_use]
    pub fn with_events(self, events: MailEvents) -> Self {
        Self { events: Some(events), ..self }
    }

    /// All mails, newest first.
    pub fn list(&self) -> Vec<Mail> {
        self.mailbox.list()
    }

    /// The content of one mail, RFC 5322.
    pub fn read(&self, id: &str) -> Option<Bytes> {
        Some(self.mailbox.read(id)?.1)
    }

    /// One mail and its content.
    pub fn find(&self, id: &str) -> Option<(Mail, Bytes)> {
        self.mailbox.read(id)
    }

    /// Removes all mails that are meant, files included; how many. A file that cannot be removed is an error, and the
    /// others go when it is tried again.
    pub fn forget(&self, is_meant: impl Fn(&Mail) -> bool) -> io::Result<usize> {
        self.mailbox.remove(is_meant)
    }

    /// Keeps a message of another channel beside the mails, under an id and with the time of this moment; its id.
    pub fn keep(&self, message: Mail, content: Vec<u8>) -> io::Result<String> {
        let at = (self.now)();
        let id = message_id(at).map_err(|refusal| io::Error::other(refusal.message))?;
        self.mailbox.keep(Mail { id: id.clone(), at, ..message }, content)?;
        Ok(id)
    }

    /// Answers the next calls with these errors, one each, and takes nothing.
    pub fn refuse_next(&self, refusals: impl IntoIterator<Item = Refusal>) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).extend(refusals);
    }

    fn send(&self, body: &[u8]) -> Result<Value, Refusal> {
        let request: SendEmail = request::read(body)?;
        request.check()?;
        if let (Some(events), Some(set)) = (&self.events, &request.configuration_set)
            && !events.knows(set)
        {
            let message = format!("Configuration set <{set}> does not exist.");
            return Err(Refusal { status: 404, kind: "NotFoundException", message });
        }
        let at = (self.now)();
        let id = message_id(at)?;
        let destination = &request.destination;
        let mut to: Vec<String> =
            [&destination.to, &destination.cc, &destination.bcc].into_iter().flatten().cloned().collect();
        let mut from = request.from.clone().unwrap_or_default();
        let (subject, content) = match &request.content {
            Content { simple: Some(simple), raw: None, template: None } => {
                (simple.subject.data.clone(), compose::simple(&request, simple, &id, at)?)
            }
            Content { simple: None, raw: Some(raw), template: None } => {
                let content =
                    STANDARD.decode(&raw.data).map_err(|_| refuse("Content.Raw.Data is not base64"))?;
                let parsed = MessageParser::default()
                    .parse(&content)
                    .ok_or_else(|| refuse("Content.Raw.Data is no message"))?;
                // Without a destination the message's own headers say who gets it.
                if to.is_empty() {
                    let named = [parsed.to(), parsed.cc(), parsed.bcc()].into_iter().flatten();
                    to = named.flat_map(addresses).collect();
                }
                if from.is_empty() {
                    from = parsed
                        .from()
                        .map(addresses)
                        .unwrap_or_default()
                        .into_iter()
                        .next()
                        .unwrap_or_default();
                }
                (parsed.subject().unwrap_or_default().to_owned(), content)
            }
            Content { simple: None, raw: None, template: Some(template) } => return Err(template.unknown()),
            _ => return Err(refuse("Content must be one of Simple, Raw or Template")),
        };
        if from.is_empty() {
            return Err(refuse("FromEmailAddress is missing"));
        }
        if to.is_empty() || to.len() > MAX_RECIPIENTS {
            return Err(refuse(format!("{} recipients; from 1 to {MAX_RECIPIENTS} are allowed", to.len())));
        }
        if to.iter().chain([&from]).any(|address| address.chars().any(char::is_control)) {
            return Err(refuse("an address contains a control character"));
        }
        let tags = request.tags.iter().map(|tag| (tag.name.clone(), tag.value.clone())).collect();
        let configuration_set = request.configuration_set.clone();
        let mail = Mail { id: id.clone(), at, from, to, subject, tags, configuration_set, ..Mail::default() };
        self.mailbox.keep(mail.clone(), content).map_err(|error| {
            tracing::error!(%error, "a mail cannot be written");
            Refusal {
                status: 500,
                kind: "InternalServiceErrorException",
                message: "cannot keep the mail".into(),
            }
        })?;
        if let (Some(events), Some(set)) = (&self.events, &mail.configuration_set) {
            events.taken(&Taken {
                set,
                id: &id,
                at,
                from: &mail.from,
                to: &mail.to,
                subject: &mail.subject,
                tags: mail.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            });
        }
        Ok(json!({ "MessageId": id }))
    }

    /// Mails to many are made of templates only, and no templates are kept here: each entry is answered so.
    fn send_bulk(body: &[u8]) -> Result<Value, Refusal> {
        let request: SendBulkEmail = request::read(body)?;
        let template =
            request.default_content.template.ok_or_else(|| refuse("DefaultContent.Template is missing"))?;
        if request.entries.is_empty() || request.entries.len() > MAX_RECIPIENTS {
            let count = request.entries.len();
            return Err(refuse(format!("{count} entries; from 1 to {MAX_RECIPIENTS} are allowed")));
        }
        let unknown = template.unknown().message;
        let results: Vec<Value> = request
            .entries
            .iter()
            .map(|_| json!({ "Status": "TEMPLATE_NOT_FOUND", "Error": unknown }))
            .collect();
        Ok(json!({ "BulkEmailEntryResults": results }))
    }

    fn answer(&self, request: &http::Request<Bytes>) -> Result<Value, Refusal> {
        let refusal = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        match (request.method().as_str(), request.uri().path()) {
            ("POST", "/v2/email/outbound-emails") => self.send(request.body()),
            ("POST", "/v2/email/outbound-bulk-emails") => Self::send_bulk(request.body()),
            _ => Err(Refusal {
                status: 404,
                kind: "NotFoundException",
                message: "only SendEmail and SendBulkEmail are served here".into(),
            }),
        }
    }
}

impl Service for Ses {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let (status, kind, body) = match self.answer(&request) {
            Ok(body) => (200, None, body),
            Err(refusal) => (refusal.status, Some(refusal.kind), json!({ "message": refusal.message })),
        };
        let mut answer = http::Response::new(Bytes::from(body.to_string()));
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_REQUEST);
        let headers = answer.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        if let Some(kind) = kind {
            headers.insert("x-amzn-errortype", http::HeaderValue::from_static(kind));
        }
        std::future::ready(answer).boxed()
    }
}

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal { status: 400, kind: "BadRequestException", message: message.into() }
}

fn addresses(list: &Address<'_>) -> Vec<String> {
    list.iter().filter_map(|one| one.address()).map(str::to_owned).collect()
}

/// An id in the manner of SES: a time, something unique, and a counter that is always nought.
fn message_id(at: i64) -> Result<String, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| refuse(format!("no randomness: {error}")))?;
    let unique = uuid::Builder::from_random_bytes(random).into_uuid();
    Ok(format!("{at:016x}-{unique}-000000"))
}

/// Whether a text has the form of the ids that [`message_id`] makes.
fn is_message_id(text: &str) -> bool {
    let Some((at, rest)) = text.split_once('-') else { return false };
    let is_unique = |text: &str| text.len() == 36 && uuid::Uuid::try_parse(text).is_ok();
    at.len() == 16
        && at.bytes().all(|byte| byte.is_ascii_hexdigit())
        && rest.strip_suffix("-000000").is_some_and(is_unique)
}

#[cfg(test)]
mod tests;
