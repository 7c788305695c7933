//! The list of mails and of messages of other channels, newest first, which keeps itself up to date.

use super::layout::{Page, escape, json, respond};
use super::{Leaves, shown, time};
use crate::host::local::PageRequest;
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;
use sluice_services::ses::Mail;
use std::fmt::Write;

/// Mails that one page lists.
const LISTED: usize = 100;

/// The page, or the same as JSON. `q` is looked for in addresses, subjects, channels and tags; `before` is the id of the last
/// mail of the page before.
pub(super) fn page(mails: &[Mail], request: &PageRequest<'_>, leaves: &Leaves) -> Response<Bytes> {
    let wanted = request.parameter("q").unwrap_or_default().trim().to_lowercase();
    let found: Vec<&Mail> = mails.iter().filter(|mail| wanted.is_empty() || holds(mail, &wanted)).collect();
    let before = request.parameter("before").unwrap_or_default();
    let from = found.iter().position(|mail| mail.id == before).map_or(0, |at| at + 1);
    let rest = found.get(from..).unwrap_or_default();
    let shown = rest.get(..LISTED).unwrap_or(rest);
    let next = (rest.len() > shown.len()).then(|| shown.last().map(|mail| mail.id.as_str())).flatten();
    let etag = format!("\"{}-{}\"", found.len(), found.first().map_or("none", |mail| mail.id.as_str()));
    if request.wants_json() {
        let mails: Vec<Value> = shown.iter().map(|mail| entry(mail)).collect();
        return json(200, &json!({ "mails": mails, "total": found.len(), "next": next }));
    }
    if request.header("if-none-match") == Some(etag.as_str()) {
        return respond(StatusCode::NOT_MODIFIED, "text/html; charset=utf-8", "", "default-src 'none'");
    }
    let content = format!(
        "<form class=\"bar\" method=\"get\" action=\"/_local/mail\">\
         <input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"Recipient, subject, channel, tag\" aria-label=\"Search\">\
         <button>Search</button></form>{}<div data-live=\"{}\">{}</div>",
        escape(&wanted),
        going_out(leaves),
        escape(&etag),
        rows(shown, found.len(), next, &wanted),
    );
    Page::new("Mail").tagged(&etag).show(&content)
}

fn going_out(leaves: &Leaves) -> String {
    let mut notes = String::new();
    // Writing to a string cannot fail.
    if let Some(server) = &leaves.mail_by {
        let _ = write!(
            notes,
            "<p class=\"note\">Mail goes out by {}: no new one is taken here.</p>",
            escape(server)
        );
    }
    if leaves.calls {
        notes.push_str("<p class=\"note\">SMS and chat go out by their providers: nothing new of them is taken here.</p>");
    }
    notes
}

/// The channel in a word.
pub(super) fn channel(mail: &Mail) -> &str {
    mail.channel.as_deref().unwrap_or(Channel::Email.name())
}

fn holds(mail: &Mail, wanted: &str) -> bool {
    let texts = [&mail.from, &mail.subject, &mail.id].into_iter().chain(&mail.to).chain(&mail.channel);
    let tags = mail.tags.iter().flat_map(|(name, value)| [name, value]);
    texts.chain(tags).any(|text| text.to_lowercase().contains(wanted))
}

/// A mail as the JSON list shows it.
pub(super) fn entry(mail: &Mail) -> Value {
    json!({
        "id": mail.id,
        "channel": channel(mail),
        "at": Timestamp(mail.at).rfc3339(),
        "from": mail.from,
        "to": mail.to,
        "subject": mail.subject,
        "tags": mail.tags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect::<serde_json::Map<_, _>>(),
        "configuration_set": mail.configuration_set,
    })
}

fn rows(mails: &[&Mail], total: usize, next: Option<&str>, wanted: &str) -> String {
    if total == 0 {
        let none = if wanted.is_empty() {
            "No message yet. It appears here by itself as soon as a function sends one."
        } else {
            "No message holds that."
        };
        return format!("<p class=\"empty\">{none}</p>");
    }
    let mut rows = String::from(
        "<table class=\"mails\"><thead><tr><th>Time, UTC</th><th>Channel</th><th>To</th><th>Subject or text</th><th>From</th><th>Tags</th></tr>\
         </thead><tbody>",
    );
    for mail in mails {
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td class=\"time\"><time>{}</time></td><td>{}</td><td class=\"to\">{}</td>\
             <td class=\"subject\"><a href=\"/_local/mail/{}\">{}</a></td><td class=\"from\">{}</td>\
             <td class=\"tags\">{}</td></tr>",
            time(mail.at),
            escape(channel(mail)),
            escape(&mail.to.join(", ")),
            escape(&mail.id),
            shown(&mail.subject),
            escape(&mail.from),
            tags(mail),
        );
    }
    rows.push_str("</tbody></table><div class=\"bar end\">");
    let _ = write!(rows, "<span>{total} in all</span>");
    if let Some(next) = next {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", wanted)
            .append_pair("before", next)
            .finish();
        let _ = write!(rows, "<a href=\"/_local/mail?{}\">Older</a>", escape(&query));
    }
    rows.push_str("<form method=\"post\" action=\"/_local/mail/delete\"><button class=\"quiet\">Delete all</button></form></div>");
    rows
}

/// The tags of a mail, as they are shown everywhere.
pub(super) fn tags(mail: &Mail) -> String {
    mail.tags.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "<code>{}={}</code> ", escape(name), escape(value));
        text
    })
}
