//! A mail, or a message of another channel, read: what its pages and its JSON show.

use super::links::{self, Link};
use super::list;
use super::unsubscribe::Unsubscribe;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mail_parser::parsers::MessageStream;
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};
use serde_json::{Value, json};
use sluice_services::ses::Mail;
use sluice_wire::kept::KeptCall;

/// One mail.
pub(super) struct Letter {
    pub(super) mail: Mail,
    /// The bytes as they were handed over.
    pub(super) content: Bytes,
    /// Name and value of each header, unfolded and decoded, in order.
    pub(super) headers: Vec<(String, String)>,
    /// The text part as it reads, if there is one.
    pub(super) text: Option<String>,
    /// The HTML part, with the images that came along in place.
    pub(super) html: Option<String>,
    pub(super) links: Vec<Link>,
    pub(super) unsubscribe: Unsubscribe,
    pub(super) attachments: Vec<Attachment>,
    /// What the provider of another channel would get.
    pub(super) call: Option<KeptCall>,
}

/// A part that is neither text nor an image inside the HTML.
pub(super) struct Attachment {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) size: usize,
}

impl Letter {
    /// Reads what was taken. Nothing is too broken: what cannot be read is left out.
    pub(super) fn read(mail: Mail, content: Bytes) -> Self {
        match mail.channel {
            None => Self::of_mail(mail, content),
            Some(_) => Self::of_call(mail, content),
        }
    }

    fn of_call(mail: Mail, content: Bytes) -> Self {
        let call: Option<KeptCall> = serde_json::from_slice(&content).ok();
        let text = call.as_ref().map(|call| call.text.reveal().clone());
        let links = text.as_deref().map(links::of_text).unwrap_or_default();
        Self {
            mail,
            content,
            headers: Vec::new(),
            text,
            html: None,
            links,
            unsubscribe: Unsubscribe::read(&[]),
            attachments: Vec::new(),
            call,
        }
    }

    fn of_mail(mail: Mail, content: Bytes) -> Self {
        let parsed = MessageParser::default().parse(&content).unwrap_or_default();
        let headers = match parsed.parts.is_empty() {
            true => Vec::new(),
            false => parsed.headers_raw().map(|(name, value)| (name.to_owned(), decoded(value))).collect(),
        };
        let text = parsed.text_bodies().find_map(|part| match &part.body {
            PartType::Text(text) => Some(text.clone().into_owned()),
            _ => None,
        });
        let html = parsed.html_bodies().find_map(|part| match &part.body {
            PartType::Html(html) => Some(html.clone().into_owned()),
            _ => None,
        });
        let links = match (&html, &text) {
            (Some(html), _) => links::of_html(html),
            (None, Some(text)) => links::of_text(text),
            (None, None) => Vec::new(),
        };
        let unsubscribe = Unsubscribe::read(&headers);
        let html = html.map(|html| with_images(html, &parsed));
        let attachments =
            parsed.attachments().filter(|part| part.content_id().is_none()).map(attachment).collect();
        drop(parsed);
        Self { mail, content, headers, text, html, links, unsubscribe, attachments, call: None }
    }

    /// The first header of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Everything but the bytes, which are at `/_local/mail/{id}/raw`.
    pub(super) fn to_json(&self) -> Value {
        let mut value = list::entry(&self.mail);
        let links = self.links.iter().map(|link| json!({ "text": link.text, "url": link.url }));
        let attachments = self
            .attachments
            .iter()
            .map(|part| json!({ "name": part.name, "type": part.kind, "size": part.size }));
        let more = json!({
            "message_id": self.header("message-id"),
            "reply_to": self.header("reply-to"),
            "headers": self.headers,
            "text": self.text,
            "html": self.html,
            "links": links.collect::<Vec<_>>(),
            "unsubscribe": self.unsubscribe.to_json(),
            "attachments": attachments.collect::<Vec<_>>(),
            "size": self.content.len(),
            "request": self.call.as_ref().map(|call| {
                json!({ "url": call.url, "content_type": call.content_type, "body": call.body.reveal() })
            }),
        });
        if let (Some(into), Value::Object(more)) = (value.as_object_mut(), more) {
            into.extend(more);
        }
        value
    }
}

/// A header's value without folds and encoded words (RFC 2047).
fn decoded(value: &str) -> String {
    let line = format!("{}\r\n", value.trim());
    match MessageStream::new(line.as_bytes()).parse_unstructured().into_text() {
        Some(text) => text.trim().to_owned(),
        None => String::new(),
    }
}

fn attachment(part: &MessagePart<'_>) -> Attachment {
    Attachment {
        name: part.attachment_name().unwrap_or("without a name").to_owned(),
        kind: kind(part).unwrap_or_else(|| "application/octet-stream".to_owned()),
        size: part.contents().len(),
    }
}

fn kind(part: &MessagePart<'_>) -> Option<String> {
    let kind = part.content_type()?;
    Some(format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream")).to_lowercase())
}

/// Images that came with the mail are put where the HTML names them: nothing has to be fetched for them.
fn with_images(mut html: String, parsed: &Message<'_>) -> String {
    for part in &parsed.parts {
        let (Some(id), Some(kind)) = (part.content_id(), kind(part)) else { continue };
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b));
        if kind.starts_with("image/") && plain(&kind) && !id.is_empty() {
            let data = format!("data:{kind};base64,{}", STANDARD.encode(part.contents()));
            html = html.replace(&format!("cid:{id}"), &data);
        }
    }
    html
}
