//! What the front door and the pages under `/_local/` know of each other.

use axum::http::{HeaderMap, Method, Request, Response};
use bytes::Bytes;
use futures::future::BoxFuture;
use sluice_wire::http::takes_html;
use std::borrow::Cow;

/// The pages of this machine.
pub trait Local: Send + Sync + 'static {
    /// Answers a request for a page.
    fn page(&self, request: &PageRequest<'_>) -> LocalAnswer;
}

/// What a page answers.
pub enum LocalAnswer {
    /// This.
    Page(Response<Bytes>),
    /// What this comes to.
    Later(BoxFuture<'static, Response<Bytes>>),
    /// What it makes of the stack's answer to another request.
    Ask {
        /// The request, as if it had come from outside.
        request: Request<Bytes>,
        /// Makes the page of the answer.
        show: Box<dyn FnOnce(Response<Bytes>) -> Response<Bytes> + Send>,
    },
}

impl From<Response<Bytes>> for LocalAnswer {
    fn from(page: Response<Bytes>) -> Self {
        Self::Page(page)
    }
}

/// A request for a page. Pages have no bodies to read: buttons say all in their address.
pub struct PageRequest<'a> {
    /// Method.
    pub method: &'a Method,
    /// The whole path.
    pub path: &'a str,
    /// What comes after the question mark.
    pub query: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
}

impl PageRequest<'_> {
    /// A header, if it is there once and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(found, _)| found == name).map(|(_, value)| value).map(Cow::into_owned)
    }

    /// Whether a program asks: `?format=json`, or it accepts JSON and no page.
    pub fn wants_json(&self) -> bool {
        let accept = self.header("accept").unwrap_or_default();
        self.parameter("format").as_deref() == Some("json")
            || accept.contains("application/json") && !takes_html(accept)
    }

    /// Whether it was meant for this machine by name: a page of the internet that has its own name resolve to
    /// 127.0.0.1 would otherwise read what is here.
    pub fn is_of_this_machine(&self) -> bool {
        let host = self.header("host").unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    }

    /// Whether no other site had a browser send it.
    pub fn is_of_these_pages(&self) -> bool {
        let site = self.header("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
        let own = format!("http://{}", self.header("host").unwrap_or_default());
        site && self.header("origin").is_none_or(|origin| origin == own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        query: &str,
        headers: &[(&'static str, &'static str)],
        check: impl Fn(&PageRequest<'_>) -> bool,
    ) -> bool {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check(&PageRequest { method: &Method::POST, path: "/_local/mail", query, headers: &headers })
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let own = |host| asked("", &[("host", host)], |page| page.is_of_this_machine());
        for host in ["127.0.0.1:8787", "localhost:8787", "localhost", "[::1]:8787"] {
            assert!(own(host), "{host}");
        }
        for host in
            ["evil.example:8787", "localhost.evil.example", "127.0.0.1.nip.example:8787", "", "[::2]:1"]
        {
            assert!(!own(host), "{host}");
        }
    }

    #[test]
    fn other_sites_change_nothing() {
        let host = ("host", "127.0.0.1:8787");
        let own = |headers: &[_]| asked("", headers, |page| page.is_of_these_pages());
        assert!(own(&[host]), "a program");
        assert!(own(&[host, ("origin", "http://127.0.0.1:8787"), ("sec-fetch-site", "same-origin")]));
        assert!(!own(&[host, ("origin", "https://evil.example")]));
        assert!(!own(&[host, ("origin", "null")]));
        assert!(!own(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!own(&[host, ("sec-fetch-site", "same-site")]), "another port of this machine");
    }

    #[test]
    fn a_program_is_given_json_and_a_browser_a_page() {
        let json = |query, accept| asked(query, &[("accept", accept)], |page| page.wants_json());
        assert!(json("", "application/json") && json("q=a&format=json", "text/html"));
        assert!(!json("", "text/html,application/xhtml+xml,application/json;q=0.9") && !json("", "*/*"));
    }
}
