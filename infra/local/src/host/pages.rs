//! Pages for the person at the machine: where things are, and the mails that would have been sent.

use super::front_door::LocalPages;
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use sluice_domain::time::Timestamp;
use sluice_services::ses::Ses;
use std::fmt::Write;
use std::sync::Arc;

/// Mails that one page lists.
const LISTED: usize = 200;

/// The pages of a stack.
pub fn pages(ses: Ses) -> LocalPages {
    Arc::new(move |path| match path.trim_start_matches("/_local").trim_matches('/') {
        "" => Some(page("This stack", INDEX)),
        "mail" => Some(list(&ses)),
        path => {
            let id = path.strip_prefix("mail/")?;
            let content = ses.read(id)?;
            let text = String::from_utf8_lossy(&content);
            Some(page(
                "Mail",
                &format!("<p><a href=\"/_local/mail\">All mails</a></p><pre>{}</pre>", escape(&text)),
            ))
        }
    })
}

const INDEX: &str = "<ul><li><a href=\"/_local/mail\">Mails that would have been sent</a></li>\
    <li><a href=\"/api/health\">Health</a></li></ul>";

fn list(ses: &Ses) -> Response<Bytes> {
    let mails = ses.list();
    let mut rows = format!("<p>{} mails, newest first.</p><table>", mails.len());
    rows.push_str("<tr><th>time</th><th>to</th><th>subject</th></tr>");
    for mail in mails.iter().take(LISTED) {
        // Writing to a string cannot fail.
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td><a href=\"/_local/mail/{}\">{}</a></td></tr>",
            Timestamp(mail.at),
            escape(&mail.to.join(", ")),
            escape(&mail.id),
            if mail.subject.is_empty() { "(none)".to_owned() } else { escape(&mail.subject) },
        );
    }
    rows.push_str("</table>");
    page("Mail", &rows)
}

fn page(title: &str, content: &str) -> Response<Bytes> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:16px sans-serif;margin:2em}}td,th{{text-align:left;padding:.2em 1em .2em 0}}\
         pre{{white-space:pre-wrap}}</style><h1>{title}</h1>{content}</html>"
    );
    let mut response = Response::new(Bytes::from(html));
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/html; charset=utf-8"));
    // A mail's own markup is shown, never run, even if an escape were forgotten.
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    headers.insert("content-security-policy", HeaderValue::from_static(policy));
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
