//! The frame of every page, and what its headers forbid.

use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::Value;
use sluice_wire::problem::Problem;

/// Our own pages: our own script, and nothing of anybody else's.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; \
                      img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// One page.
pub(super) struct Page<'a> {
    title: &'a str,
    etag: Option<&'a str>,
}

impl<'a> Page<'a> {
    pub(super) const fn new(title: &'a str) -> Self {
        Self { title, etag: None }
    }

    /// With what tells two states of it apart.
    pub(super) const fn tagged(self, etag: &'a str) -> Self {
        Self { etag: Some(etag), ..self }
    }

    /// The page with `content`, which is HTML.
    pub(super) fn show(&self, content: &str) -> Response<Bytes> {
        let title = escape(self.title);
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title} · Sluice</title>\
             <link rel=\"stylesheet\" href=\"/_local/look.css\">\
             <script src=\"/_local/live.js\" defer></script></head>\
             <body><header class=\"top\"><a href=\"/_local\">Sluice</a> <a href=\"/_local/mail\">Mail</a></header>\
             <main><h1>{title}</h1>{content}</main></body></html>"
        );
        let mut response = respond(StatusCode::OK, "text/html; charset=utf-8", html, POLICY);
        if let Some(etag) = self.etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        response
    }
}

/// An answer under a policy, never kept by a cache, never taken for another type, and without a word to others of
/// where it was read.
pub(super) fn respond(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
    policy: &'static str,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-type", kind),
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn static_file(kind: &'static str, content: &'static str) -> Response<Bytes> {
    respond(StatusCode::OK, kind, content, POLICY)
}

pub(super) fn json(status: u16, body: &Value) -> Response<Bytes> {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    respond(status, "application/json", body.to_string(), POLICY)
}

/// A refusal, as those of the stack are said.
pub(super) fn problem(status: u16, name: &'static str, detail: &str) -> Response<Bytes> {
    let answer = Problem::new(status, name, detail).response();
    let status = StatusCode::from_u16(answer.status).unwrap_or_default();
    respond(status, "application/problem+json", answer.body, POLICY)
}

/// To another page, after a button did something.
pub(super) fn see(path: &'static str) -> Response<Bytes> {
    let mut response = respond(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", "", POLICY);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(path));
    response
}

pub(super) fn escape(text: &str) -> String {
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
