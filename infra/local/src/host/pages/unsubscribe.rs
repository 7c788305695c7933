//! What a mail's unsubscribe headers say, and what comes of using them (RFC 8058).

use super::layout::{Page, escape};
use super::letter::Letter;
use axum::http::{Request, Response, header};
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt::Write;

/// The body of a one-click request.
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";
/// Characters of an answer that are shown.
const SHOWN: usize = 600;

/// The unsubscribe headers of a mail.
pub(super) struct Unsubscribe {
    /// Every address of `List-Unsubscribe`.
    pub(super) addresses: Vec<String>,
    /// `List-Unsubscribe-Post` as it stands.
    pub(super) post: Option<String>,
}

impl Unsubscribe {
    pub(super) fn read(headers: &[(String, String)]) -> Self {
        let value = |name: &str| {
            let found = headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let list = value("list-unsubscribe").unwrap_or_default();
        let addresses = list.split('<').skip(1).filter_map(|part| part.split_once('>'));
        Self {
            addresses: addresses.map(|(address, _)| address.trim().to_owned()).collect(),
            post: value("list-unsubscribe-post").map(str::to_owned),
        }
    }

    /// The address that one POST ends the subscription at.
    pub(super) fn one_click(&self) -> Option<&str> {
        let is_web = |address: &&String| address.starts_with("https://") || address.starts_with("http://");
        let address = self.addresses.iter().find(is_web)?;
        (self.post.as_deref() == Some(ONE_CLICK)).then_some(address)
    }

    pub(super) fn to_json(&self) -> Value {
        json!({ "addresses": self.addresses, "post": self.post, "one_click": self.one_click() })
    }

    /// What is there, and what it means.
    pub(super) fn explained(&self) -> Vec<(bool, String)> {
        if self.addresses.is_empty() && self.post.is_none() {
            let why = "No unsubscribe headers. Right for a notice to your own people or what a person asked for; mail \
                       to many needs them.";
            return vec![(true, why.to_owned())];
        }
        let web = self.addresses.iter().find(|address| address.starts_with("http"));
        let first = match web {
            Some(address) if address.starts_with("https://") => (true, "The address is HTTPS.".to_owned()),
            Some(_) => {
                (true, "The address is HTTP: right on this machine only; on AWS it is HTTPS.".to_owned())
            }
            None => (false, "No web address: mail programs can only offer to write a mail.".to_owned()),
        };
        let post = match self.post.as_deref() {
            Some(ONE_CLICK) => {
                (true, "One click: mail programs unsubscribe with one POST, and show a button.".to_owned())
            }
            Some(_) => (false, format!("List-Unsubscribe-Post has to be exactly {ONE_CLICK}.")),
            None => (false, "No List-Unsubscribe-Post: mail programs do not show their button.".to_owned()),
        };
        vec![first, post]
    }
}

/// The request that a mail program would make, if it goes to the stack at `url`: a page of this machine asks nobody
/// else.
pub(super) fn request(unsubscribe: &Unsubscribe, url: &str) -> Result<Request<Bytes>, &'static str> {
    let address = unsubscribe.one_click().ok_or("This mail cannot be unsubscribed from with one click.")?;
    let path = address.strip_prefix(url).filter(|path| path.starts_with('/'));
    let path = path.ok_or("The address is another host's, and is not asked from here.")?;
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from_static(ONE_CLICK.as_bytes()))
        .map_err(|_| "The address cannot be asked.")
}

/// What came back, held against RFC 8058.
pub(super) fn result(letter: &Letter, answer: &Response<Bytes>) -> Response<Bytes> {
    let status = answer.status();
    let checks = [
        (status.is_success(), format!("Answered {status}.")),
        (!status.is_redirection(), "No redirect: mail programs do not follow one.".to_owned()),
        (!answer.headers().contains_key(header::SET_COOKIE), "No cookie.".to_owned()),
    ];
    let text: String = String::from_utf8_lossy(answer.body()).chars().take(SHOWN).collect();
    Page::new("Unsubscribed with one click").show(&format!(
        "<p><a href=\"/_local/mail/{}\">Back to the mail</a></p>{}<h2>The answer</h2><pre>{}</pre>",
        escape(&letter.mail.id),
        verdicts(&checks),
        escape(&text),
    ))
}

/// A list of what is well and what is not.
pub(super) fn verdicts(checks: &[(bool, String)]) -> String {
    let items = checks.iter().fold(String::new(), |mut items, (good, text)| {
        let (class, mark) = if *good { ("good", "✓") } else { ("bad", "✗") };
        let _ = write!(items, "<li class=\"{class}\"><span>{mark}</span> {}</li>", escape(text));
        items
    });
    format!("<ul class=\"verdicts\">{items}</ul>")
}
