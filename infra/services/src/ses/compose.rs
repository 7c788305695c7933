//! A simple message as SES would send it.

use super::request::{Header, Part, SendEmail, Simple};
use super::{Refusal, refuse};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;

/// The message. Blind copies are recipients, never headers.
pub(super) fn simple(request: &SendEmail, simple: &Simple, id: &str, at: i64) -> Result<Vec<u8>, Refusal> {
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
