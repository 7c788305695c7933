//! A mail as the bytes that go over the wire (RFC 5322 and MIME), the same for every way it can be sent.
//!
//! Nothing a person typed becomes a header: addresses are parsed ones, names and subjects lose their control characters
//! before they are encoded, and what has to stand in a header as it is must be of printable ASCII.

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use ring::digest::{Context, SHA256};
use sluice_domain::identity::Email;
use sluice_domain::time::Timestamp;

/// Characters of a subject or a display name that are kept.
const LONGEST_PHRASE: usize = 255;
/// The longest line, in bytes. (RFC 5322 section 2.1.1.)
const LONGEST_LINE: usize = 998;

/// One mail to one person.
#[derive(Clone, Debug)]
pub struct Mail<'a> {
    /// The message's id, the same for every attempt: `Message-ID` is made of it.
    pub id: &'a str,
    /// Who it is from.
    pub from: Mailbox<'a>,
    /// Whom it is for.
    pub to: Mailbox<'a>,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<Mailbox<'a>>,
    /// The subject as people read it.
    pub subject: &'a str,
    /// The text part.
    pub text: &'a str,
    /// The HTML part; without one the mail is plain text.
    pub html: Option<&'a str>,
    /// Where one POST ends the subscription (RFC 8058).
    pub unsubscribe: Option<&'a str>,
    /// When it is sent.
    pub at: Timestamp,
}

/// An address with the name shown beside it.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox<'a> {
    /// The name.
    pub name: Option<&'a str>,
    /// The address.
    pub email: &'a Email,
}

/// Why there can be no such mail; another attempt would find the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Mail servers deliver to such an address only by an extension that SES does not have (RFC 6531).
    #[error("the part before the @ is not of ASCII letters: there is no way to deliver to it")]
    Address,
    /// It would break out of its header, or be cut.
    #[error("the unsubscribe address is not an http(s) URL of at most 978 printable ASCII characters")]
    Unsubscribe,
}

impl Mail<'_> {
    /// The whole mail. The same mail gives the same bytes.
    pub fn write(&self) -> Result<Vec<u8>, Unfit> {
        let from = self.from.header()?;
        let mut bytes = self.unsubscribe.map(unsubscribe).transpose()?.unwrap_or_default().into_bytes();
        let mut mail = MessageBuilder::new()
            .from(from)
            .to(self.to.header()?)
            .subject(phrase(self.subject))
            .message_id(self.message_id())
            .date(self.at.seconds());
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(reply_to.header()?);
        }
        let text = MimePart::new("text/plain", lines(self.text));
        let body = match self.html {
            None => text,
            Some(html) => {
                let kind = ContentType::new("multipart/alternative").attribute("boundary", self.boundary());
                MimePart::new(kind, vec![text, MimePart::new("text/html", lines(html))])
            }
        };
        mail.body(body).serialize(&mut bytes);
        Ok(bytes)
    }

    /// What stands in `Message-ID`, without the brackets: bounces and answers name the mail by it.
    pub fn message_id(&self) -> String {
        format!("{}@{}", local_part(self.id), self.from.email.domain())
    }

    /// No content can hold the hash of itself, so no content ends a part.
    fn boundary(&self) -> String {
        let mut hash = Context::new(&SHA256);
        for part in [self.id, self.text, self.html.unwrap_or_default()] {
            hash.update(&part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digits = |byte: &u8| format!("{byte:02x}");
        hash.finish().as_ref().iter().take(16).map(digits).collect()
    }
}

impl Mailbox<'_> {
    fn header(&self) -> Result<Address<'static>, Unfit> {
        let address = self.email.as_sent();
        if !address.is_ascii() {
            return Err(Unfit::Address);
        }
        let name = self.name.map(phrase).filter(|name| !name.is_empty());
        Ok(Address::new_address(name, address.to_owned()))
    }
}

/// Both headers of RFC 8058, each on a line of its own: mail programs read them more surely than folded ones.
fn unsubscribe(url: &str) -> Result<String, Unfit> {
    let printable = |byte: u8| (b'!'..=b'~').contains(&byte) && !matches!(byte, b'<' | b'>' | b',');
    let is_http = url.starts_with("https://") || url.starts_with("http://");
    if !is_http || "List-Unsubscribe: <>".len() + url.len() > LONGEST_LINE || !url.bytes().all(printable) {
        return Err(Unfit::Unsubscribe);
    }
    Ok(format!("List-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"))
}

/// One line of text for a header: runs of blanks and control characters are one blank. What begins an encoded word (RFC
/// 2047) is taken apart: it stands for any characters there are, line ends among them, wherever a program decodes it.
pub(crate) fn phrase(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ").replace("=?", "= ?");
    line.chars().take(LONGEST_PHRASE).collect()
}

/// What may stand before the `@` of a `Message-ID`; two ids stay two.
fn local_part(id: &str) -> String {
    id.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => text.push(byte.into()),
            _ => text.push_str(&format!("={byte:02x}")),
        }
        text
    })
}

/// Line ends of one kind, and no NUL, which SMTP does not carry.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

#[cfg(test)]
mod tests;
