//! SES v2: `SendEmail`, with each mail kept to be looked at instead of sent.

use crate::ses_events::{MailEvents, Taken};
use crate::{Now, Service};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Recipients of one mail, as SES limits them.
const MAX_RECIPIENTS: usize = 50;
/// The file that lists the mails, one JSON object a line, oldest first.
const INDEX: &str = "index.jsonl";

/// One kept mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The message id that SES answered.
    pub id: String,
    /// When it was taken, in milliseconds since the epoch.
    pub at: i64,
    /// Recipients: to, cc and bcc.
    pub to: Vec<String>,
    /// Subject, decoded if it was given as text.
    pub subject: String,
    /// The `.eml` file; none if mails are kept in memory.
    pub path: Option<PathBuf>,
}

/// The mail service. Clones share one mailbox.
#[derive(Clone)]
pub struct Ses {
    now: Now,
    folder: Option<Arc<PathBuf>>,
    kept: Arc<Mutex<Kept>>,
    events: Option<MailEvents>,
}

#[derive(Default)]
struct Kept {
    /// Oldest first, with the content of those that are not in a file.
    mails: Vec<(Mail, Bytes)>,
    index: Option<File>,
}

impl Ses {
    /// A mailbox that lives and dies with the process.
    pub fn memory(now: Now) -> Self {
        Self { now, folder: None, kept: Arc::default(), events: None }
    }

    /// A mailbox in a folder of `.eml` files, made if it is not there.
    pub fn open(folder: &Path, now: Now) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(INDEX);
        let listed = if path.exists() { fs::read_to_string(&path)? } else { String::new() };
        // A line cut off by a crash belongs to a mail whose caller got no answer.
        let read = |line: &str| serde_json::from_str(line).ok().map(|mail| (mail, Bytes::new()));
        let mails = listed.lines().filter_map(read).collect();
        let mut index = OpenOptions::new().create(true).append(true).open(path)?;
        if !listed.is_empty() && !listed.ends_with('\n') {
            index.write_all(b"\n")?;
        }
        let kept = Arc::new(Mutex::new(Kept { mails, index: Some(index) }));
        Ok(Self { now, folder: Some(Arc::new(folder.to_owned())), kept, events: None })
    }

    /// The same mailbox, which also says what becomes of mails sent under a configuration set.
    #[must_use]
    pub fn with_events(self, events: MailEvents) -> Self {
        Self { events: Some(events), ..self }
    }

    /// All mails, newest first.
    pub fn list(&self) -> Vec<Mail> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.mails.iter().rev().map(|(mail, _)| mail.clone()).collect()
    }

    /// The content of one mail, RFC 5322.
    pub fn read(&self, id: &str) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (mail, content) = kept.mails.iter().find(|(mail, _)| mail.id == id)?;
        match &mail.path {
            Some(path) => fs::read(path).ok().map(Bytes::from),
            None => Some(content.clone()),
        }
    }

    fn send(&self, body: &[u8]) -> Result<String, Refusal> {
        let request: SendEmail = serde_json::from_slice(body)
            .map_err(|error| refuse(format!("the body cannot be read: {error}")))?;
        let destination = &request.destination;
        let to: Vec<String> =
            [&destination.to, &destination.cc, &destination.bcc].into_iter().flatten().cloned().collect();
        if to.is_empty() || to.len() > MAX_RECIPIENTS {
            return Err(refuse(format!("{} recipients; from 1 to {MAX_RECIPIENTS} are allowed", to.len())));
        }
        if to.iter().chain(&request.from).any(|address| address.chars().any(char::is_control)) {
            return Err(refuse("an address contains a control character"));
        }
        if let (Some(events), Some(set)) = (&self.events, &request.set)
            && !events.knows(set)
        {
            let message = format!("Configuration set <{set}> does not exist.");
            return Err(Refusal { status: 404, kind: "NotFoundException", message });
        }
        let at = (self.now)();
        let id = message_id(at)?;
        let (subject, content) = match (&request.content.simple, &request.content.raw) {
            (Some(simple), None) => (simple.subject.data.clone(), compose(&request, simple, &id, at)?),
            (None, Some(raw)) => {
                let content =
                    STANDARD.decode(&raw.data).map_err(|_| refuse("Content.Raw.Data is not base64"))?;
                (header(&content, "subject").unwrap_or_default(), content)
            }
            _ => return Err(refuse("Content must be Simple or Raw")),
        };
        let mail = Mail { id: id.clone(), at, to, subject, path: None };
        self.keep(mail.clone(), content).map_err(|error| {
            tracing::error!(%error, "a mail cannot be written");
            Refusal {
                status: 500,
                kind: "InternalServiceErrorException",
                message: "cannot keep the mail".into(),
            }
        })?;
        if let (Some(events), Some(set)) = (&self.events, &request.set) {
            events.taken(&Taken {
                set,
                id: &id,
                at,
                from: request.from.as_deref().unwrap_or_default(),
                to: &mail.to,
                subject: &mail.subject,
                tags: request.tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str())).collect(),
            });
        }
        Ok(id)
    }

    fn keep(&self, mut mail: Mail, content: Vec<u8>) -> io::Result<()> {
        let mut content = Bytes::from(content);
        if let Some(folder) = &self.folder {
            let path = folder.join(format!("{}.eml", mail.id));
            fs::write(&path, &content)?;
            content = Bytes::new();
            mail.path = Some(path);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &mut kept.index {
            let mut line = serde_json::to_vec(&mail)?;
            line.push(b'\n');
            index.write_all(&line)?;
        }
        kept.mails.push((mail, content));
        Ok(())
    }
}

impl Service for Ses {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let sends =
            request.method() == http::Method::POST && request.uri().path() == "/v2/email/outbound-emails";
        let answered = if sends {
            self.send(request.body())
        } else {
            Err(Refusal {
                status: 404,
                kind: "NotFoundException",
                message: "only SendEmail is served here".into(),
            })
        };
        let (status, kind, body) = match answered {
            Ok(id) => (200, None, json!({ "MessageId": id })),
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

struct Refusal {
    status: u16,
    kind: &'static str,
    message: String,
}

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal { status: 400, kind: "BadRequestException", message: message.into() }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    #[serde(rename = "FromEmailAddress")]
    from: Option<String>,
    #[serde(default)]
    destination: Destination,
    #[serde(rename = "ReplyToAddresses", default)]
    reply_to: Vec<String>,
    #[serde(rename = "ConfigurationSetName")]
    set: Option<String>,
    #[serde(rename = "EmailTags", default)]
    tags: Vec<Header>,
    content: Content,
}

#[derive(Default, Deserialize)]
struct Destination {
    #[serde(rename = "ToAddresses", default)]
    to: Vec<String>,
    #[serde(rename = "CcAddresses", default)]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses", default)]
    bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Simple>,
    raw: Option<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Part,
    body: Body,
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Part>,
    html: Option<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Part {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Header {
    name: String,
    value: String,
}

/// A simple message as SES would send it. Blind copies are recipients, never headers.
fn compose(request: &SendEmail, simple: &Simple, id: &str, at: i64) -> Result<Vec<u8>, Refusal> {
    let from = request.from.as_deref().ok_or_else(|| refuse("FromEmailAddress is missing"))?;
    if simple.headers.len() > 15 || !simple.headers.iter().all(Header::is_allowed) {
        return Err(refuse(
            "Headers: at most 15, of printable ASCII, name up to 126 and value up to 995 characters",
        ));
    }
    let mut mail = MessageBuilder::new()
        .from(mailbox(from))
        .message_id(format!("{id}@email.amazonses.com"))
        .date(at.div_euclid(1000))
        .subject(simple.subject.data.replace(['\r', '\n'], " "));
    let lists =
        [("To", &request.destination.to), ("Cc", &request.destination.cc), ("Reply-To", &request.reply_to)];
    for (name, list) in lists {
        if !list.is_empty() {
            mail = mail.header(name, Address::new_list(list.iter().map(|one| mailbox(one)).collect()));
        }
    }
    for header in &simple.headers {
        mail = mail.header(header.name.as_str(), Raw::new(header.value.as_str()));
    }
    // 8bit, so that the file can be read as it is.
    let part = |kind: &str, part: &Part| {
        let kind = ContentType::new(format!("text/{kind}")).attribute("charset", "utf-8");
        MimePart::new(kind, part.data.clone()).transfer_encoding("8bit")
    };
    let text = simple.body.text.as_ref().map(|text| part("plain", text));
    let html = simple.body.html.as_ref().map(|html| part("html", html));
    mail = mail.body(match (text, html) {
        (Some(text), Some(html)) => MimePart::new("multipart/alternative", vec![text, html]),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Err(refuse("Body has neither Text nor Html")),
    });
    mail.write_to_vec().map_err(|error| refuse(format!("the message cannot be written: {error}")))
}

impl Header {
    fn is_allowed(&self) -> bool {
        let printable = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
        let name = |b: u8| (b'!'..=b'~').contains(&b) && b != b':';
        (1..=126).contains(&self.name.len())
            && self.name.bytes().all(name)
            && self.value.len() <= 995
            && printable(&self.value)
    }
}

/// `Name <address>` or a bare address.
fn mailbox(text: &str) -> Address<'_> {
    match text.rsplit_once('<') {
        Some((name, address)) => {
            let name = name.trim().trim_matches('"');
            Address::new_address((!name.is_empty()).then_some(name), address.trim_end().trim_end_matches('>'))
        }
        None => Address::new_address(None::<&str>, text.trim()),
    }
}

/// The value of a header of a raw message, unfolded and still encoded; `name` in lower case.
fn header(content: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let mut value: Option<String> = None;
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match (&mut value, line.split_once(':')) {
            (Some(value), _) if line.starts_with([' ', '\t']) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (Some(_), _) => break,
            (None, Some((key, rest))) if key.eq_ignore_ascii_case(name) => {
                value = Some(rest.trim().to_owned())
            }
            _ => {}
        }
    }
    value
}

/// An id in the manner of SES: a time, something unique, and a counter that is always nought.
fn message_id(at: i64) -> Result<String, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| refuse(format!("no randomness: {error}")))?;
    let unique = uuid::Builder::from_random_bytes(random).into_uuid();
    Ok(format!("{at:016x}-{unique}-000000"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn now() -> Now {
        Arc::new(|| 1_795_283_353_000)
    }

    async fn send(ses: &Ses, body: Value) -> (u16, Value) {
        let request = http::Request::post("/v2/email/outbound-emails").body(Bytes::from(body.to_string()));
        let answer = ses.call(request.unwrap()).await;
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).unwrap())
    }

    fn simple() -> Value {
        json!({
            "FromEmailAddress": "News <news@shop.example>",
            "Destination": { "ToAddresses": ["peter@example.com"], "BccAddresses": ["audit@shop.example"] },
            "ReplyToAddresses": ["help@shop.example"],
            "Content": { "Simple": {
                "Subject": { "Data": "Ihr Angebot – März" },
                "Body": { "Text": { "Data": "Hallo" }, "Html": { "Data": "<p>Hallo</p>" } },
                "Headers": [{ "Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click" }],
            } },
        })
    }

    #[tokio::test]
    async fn a_simple_mail_becomes_a_message_with_both_bodies_and_no_blind_copy() {
        let ses = Ses::memory(now());
        let (status, answer) = send(&ses, simple()).await;
        assert_eq!(status, 200, "{answer}");
        let listed = ses.list();
        assert_eq!(listed[0].id, answer["MessageId"]);
        assert_eq!(listed[0].to, ["peter@example.com", "audit@shop.example"]);
        assert_eq!(listed[0].subject, "Ihr Angebot – März");
        let content = String::from_utf8(ses.read(&listed[0].id).unwrap().to_vec()).unwrap();
        for part in [
            "From: \"News\" <news@shop.example>\r\n",
            "To: <peter@example.com>\r\n",
            "Reply-To: <help@shop.example>\r\n",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            "Date: Sat, 21 Nov 2026 17:49:13 +0000\r\n",
            "multipart/alternative",
            "Subject: =?utf-8?",
            "<p>Hallo</p>",
        ] {
            assert!(content.contains(part), "{part} in {content}");
        }
        assert!(!content.contains("audit@"), "{content}");
    }

    #[tokio::test]
    async fn a_raw_mail_is_kept_byte_for_byte() {
        let raw = b"From: a@example.com\r\nSubject: one\r\n two\r\n\r\nhello";
        let ses = Ses::memory(now());
        let body = json!({ "Destination": { "ToAddresses": ["b@example.com"] },
                           "Content": { "Raw": { "Data": STANDARD.encode(raw) } } });
        let (status, answer) = send(&ses, body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(ses.list()[0].subject, "one two");
        assert_eq!(ses.read(&ses.list()[0].id).unwrap().as_ref(), raw);
    }

    #[tokio::test]
    async fn a_bad_request_is_refused_in_the_services_error_format() {
        let ses = Ses::memory(now());
        let mut nobody = simple();
        nobody["Destination"] = json!({});
        let mut injected = simple();
        injected["Content"]["Simple"]["Headers"][0]["Value"] = json!("x\r\nBcc: all@example.com");
        let mut template = simple();
        template["Content"] = json!({ "Template": { "TemplateName": "t" } });
        for body in [nobody, injected, template, json!([])] {
            let request =
                http::Request::post("/v2/email/outbound-emails").body(Bytes::from(body.to_string()));
            let answer = ses.call(request.unwrap()).await;
            assert_eq!(answer.status().as_u16(), 400, "{body}");
            assert_eq!(answer.headers()["x-amzn-errortype"], "BadRequestException");
        }
        assert!(ses.list().is_empty());
    }

    #[tokio::test]
    async fn mails_in_a_folder_are_there_after_a_restart_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let ses = Ses::open(folder.path(), now()).unwrap();
        let (_, first) = send(&ses, simple()).await;
        let (_, second) = send(&ses, simple()).await;
        drop(ses);
        let again = Ses::open(folder.path(), now()).unwrap();
        let ids: Vec<_> = again.list().into_iter().map(|mail| mail.id).collect();
        assert_eq!(ids, [second["MessageId"].as_str().unwrap(), first["MessageId"].as_str().unwrap()]);
        assert!(again.read(&ids[0]).unwrap().starts_with(b"From: "));
    }
}
