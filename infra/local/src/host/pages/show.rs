//! The pages of one mail, or of one message of another channel.

use super::layout::{Page, escape, json, respond};
use super::letter::Letter;
use super::unsubscribe::{self, verdicts};
use super::{list, shown, time};
use crate::host::local::PageRequest;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use std::fmt::Write;

/// What a mail's own HTML may do: show itself, in a sandbox without scripts, forms or anything of ours.
const SANDBOX: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; \
                       base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox";
/// The same, and fetch images, which tells whoever serves them that the mail was opened.
const SANDBOX_WITH_IMAGES: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; \
                                   font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'; \
                                   sandbox allow-popups allow-popups-to-escape-sandbox";
/// Nothing at all.
const NOTHING: &str = "default-src 'none'; sandbox";

/// The views of a mail, each with its name in the address.
const VIEWS: [(&str, &str); 5] =
    [("html", "HTML"), ("text", "Text"), ("links", "Links"), ("headers", "Headers"), ("source", "Source")];

/// The views of another channel's message: what its reader and its provider would get.
const VIEWS_OF_CALL: [(&str, &str); 3] = [("text", "Text"), ("links", "Links"), ("request", "Request")];

fn views(letter: &Letter) -> &'static [(&'static str, &'static str)] {
    if letter.mail.channel.is_some() { &VIEWS_OF_CALL } else { &VIEWS }
}

/// The page of a mail, or all of it as JSON. `view` is one of the views, `width=phone` shows the HTML as a phone does,
/// `images=1` fetches its remote images.
pub(super) fn page(letter: &Letter, request: &PageRequest<'_>, url: &str) -> Response<Bytes> {
    if request.wants_json() {
        return json(200, &letter.to_json());
    }
    let asked = request.parameter("view").unwrap_or_default();
    let usual = if letter.html.is_some() { "html" } else { "text" };
    let view = views(letter).iter().map(|(name, _)| *name).find(|name| *name == asked).unwrap_or(usual);
    let content = match view {
        "html" => framed(letter, request),
        "text" => text(letter),
        "links" => links(letter, url),
        "headers" => headers(letter),
        "request" => request_of(letter),
        _ => source(letter),
    };
    let content = format!("{}{}<section>{content}</section>", envelope(letter), tabs(letter, view));
    let title = if letter.mail.subject.is_empty() { "(no subject)" } else { &letter.mail.subject };
    Page::new(title).show(&content)
}

/// The HTML part alone, for the frame of the page.
pub(super) fn html(letter: &Letter, request: &PageRequest<'_>) -> Response<Bytes> {
    let policy = match request.parameter("images").as_deref() {
        Some("1") => SANDBOX_WITH_IMAGES,
        _ => SANDBOX,
    };
    let html = letter.html.as_deref().unwrap_or_default();
    respond(StatusCode::OK, "text/html; charset=utf-8", opening_links_outside(html), policy)
}

/// The bytes, as a file to keep.
pub(super) fn raw(letter: &Letter) -> Response<Bytes> {
    let kind = if letter.mail.channel.is_some() { "application/json" } else { "message/rfc822" };
    let mut response = respond(StatusCode::OK, kind, letter.content.clone(), NOTHING);
    let name = format!("attachment; filename=\"{}\"", letter.mail.file_name());
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    response
}

/// A frame's links would open inside it.
fn opening_links_outside(html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    let lower = html.to_ascii_lowercase();
    let end_of_head = lower.find("<head").and_then(|at| Some(at + lower.get(at..)?.find('>')? + 1));
    match end_of_head.and_then(|at| Some((html.get(..at)?, html.get(at..)?))) {
        Some((before, after)) => format!("{before}{BASE}{after}"),
        None => format!("{BASE}{html}"),
    }
}

fn envelope(letter: &Letter) -> String {
    let mail = &letter.mail;
    let rows = [
        ("Channel", mail.channel.clone().unwrap_or_default()),
        ("From", letter.header("from").unwrap_or(&mail.from).to_owned()),
        ("To", mail.to.join(", ")),
        ("Reply to", letter.header("reply-to").unwrap_or_default().to_owned()),
        ("Time", format!("{} UTC", time(mail.at))),
        ("Message id", letter.header("message-id").unwrap_or_default().to_owned()),
        ("Events to", mail.configuration_set.clone().unwrap_or_default()),
    ];
    let mut list = String::from("<dl class=\"envelope\">");
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(list, "<dt>{name}</dt><dd>{}</dd>", escape(value));
    }
    if !mail.tags.is_empty() {
        let _ = write!(list, "<dt>Tags</dt><dd>{}</dd>", list::tags(mail));
    }
    for part in &letter.attachments {
        let _ = write!(
            list,
            "<dt>Attached</dt><dd>{} <small>{}, {} bytes</small></dd>",
            escape(&part.name),
            escape(&part.kind),
            part.size
        );
    }
    list.push_str("</dl>");
    list
}

fn tabs(letter: &Letter, view: &str) -> String {
    let mut tabs = String::from("<nav class=\"tabs\">");
    for (name, label) in views(letter) {
        let here = if *name == view { " aria-current=\"page\"" } else { "" };
        let count =
            if *name == "links" { format!(" <small>{}</small>", letter.links.len()) } else { String::new() };
        let _ = write!(tabs, "<a href=\"?view={name}\"{here}>{label}{count}</a>");
    }
    tabs.push_str("</nav>");
    tabs
}

fn framed(letter: &Letter, request: &PageRequest<'_>) -> String {
    if letter.html.is_none() {
        return "<p class=\"empty\">This mail has no HTML part.</p>".to_owned();
    }
    let is_phone = request.parameter("width").as_deref() == Some("phone");
    let has_images = request.parameter("images").as_deref() == Some("1");
    let width = if is_phone { "phone" } else { "wide" };
    let images = u8::from(has_images);
    let choice = |label: &str, is_here: bool, query: String| {
        let here = if is_here { " aria-current=\"true\"" } else { "" };
        format!("<a href=\"?view=html&amp;{query}\"{here}>{label}</a>")
    };
    format!(
        "<div class=\"bar\"><span class=\"switch\">{}{}</span><span class=\"switch\" title=\"Fetching images tells \
         their server that the mail was opened\">{}{}</span></div>\
         <iframe class=\"{width}\" title=\"The mail\" sandbox=\"allow-popups allow-popups-to-escape-sandbox\" \
         referrerpolicy=\"no-referrer\" src=\"/_local/mail/{}/html?images={images}\"></iframe>",
        choice("Desktop", !is_phone, format!("width=wide&amp;images={images}")),
        choice("Phone", is_phone, format!("width=phone&amp;images={images}")),
        choice("Images off", !has_images, format!("width={width}&amp;images=0")),
        choice("on", has_images, format!("width={width}&amp;images=1")),
        escape(&letter.mail.id),
    )
}

fn text(letter: &Letter) -> String {
    match &letter.text {
        Some(text) => format!("<pre class=\"letter\">{}</pre>", escape(text)),
        None => "<p class=\"empty\">There is no text.</p>".to_owned(),
    }
}

fn links(letter: &Letter, url: &str) -> String {
    let unsubscribing =
        if letter.mail.channel.is_none() { unsubscribing(letter, url) } else { String::new() };
    format!("{unsubscribing}{}", table_of_links(letter))
}

fn unsubscribing(letter: &Letter, url: &str) -> String {
    let mut content = format!("<h2>Unsubscribing</h2>{}", verdicts(&letter.unsubscribe.explained()));
    for address in &letter.unsubscribe.addresses {
        let _ = write!(content, "<p class=\"url\">{}</p>", escape(address));
    }
    if letter.unsubscribe.one_click().is_some() {
        content.push_str(&match unsubscribe::request(&letter.unsubscribe, url) {
            Ok(_) => format!(
                "<form method=\"post\" action=\"/_local/mail/{}/unsubscribe\">\
                 <button>Unsubscribe, as a mail program does</button></form>",
                escape(&letter.mail.id)
            ),
            Err(why) => format!("<p class=\"note\">{}</p>", escape(why)),
        });
    }
    content
}

fn table_of_links(letter: &Letter) -> String {
    let mut content = String::from("<h2>Links in the message</h2>");
    if letter.links.is_empty() {
        content.push_str("<p class=\"empty\">None.</p>");
        return content;
    }
    content.push_str("<table class=\"links\"><thead><tr><th>Text</th><th>Leads to</th></tr></thead><tbody>");
    for link in &letter.links {
        // Only what a browser opens as a page becomes a link here.
        let is_page = link.url.starts_with("https://") || link.url.starts_with("http://");
        let target = escape(&link.url);
        let target = match is_page {
            true => {
                format!("<a href=\"{target}\" rel=\"noopener noreferrer\" target=\"_blank\">{target}</a>")
            }
            false => target,
        };
        let _ = write!(content, "<tr><td>{}</td><td class=\"url\">{target}</td></tr>", shown(&link.text));
    }
    content.push_str("</tbody></table>");
    content
}

fn headers(letter: &Letter) -> String {
    let mut content = String::from("<table class=\"headers\"><tbody>");
    for (name, value) in &letter.headers {
        let _ = write!(content, "<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value));
    }
    content.push_str("</tbody></table>");
    content
}

/// The call that its provider would get.
fn request_of(letter: &Letter) -> String {
    let Some(call) = &letter.call else { return source(letter) };
    format!(
        "{}<p class=\"note\">Its provider is not called from here. Called, it would also get the headers of the channel's \
         document, and what proves who calls.</p><table class=\"headers\"><tbody><tr><th>POST</th><td>{}</td></tr>\
         <tr><th>Content-Type</th><td>{}</td></tr></tbody></table><pre>{}</pre>",
        bar(letter),
        escape(&call.url),
        escape(&call.content_type),
        escape(call.body.reveal()),
    )
}

fn source(letter: &Letter) -> String {
    format!("{}<pre>{}</pre>", bar(letter), escape(&String::from_utf8_lossy(&letter.content)))
}

/// What can be done with the whole of it.
fn bar(letter: &Letter) -> String {
    let id = escape(&letter.mail.id);
    format!(
        "<div class=\"bar\"><a href=\"/_local/mail/{id}/raw\" download>Save as a file</a><span>{} bytes</span>\
         <form method=\"post\" action=\"/_local/mail/{id}/delete\"><button class=\"quiet\">Delete</button></form></div>",
        letter.content.len(),
    )
}
