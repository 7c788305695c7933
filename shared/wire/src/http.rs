//! An HTTP request and answer as our functions see them, whatever carried them (API Gateway, a function URL, the
//! local front door).

use bytes::Bytes;
use sluice_domain::time::Timestamp;

/// One request. Header names are lower case; several values of one name are joined with a comma, as payload 2.0 does.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    /// Upper case, `POST`.
    pub method: String,
    /// Path as sent, percent-encoding kept.
    pub path: String,
    /// The raw query string, without `?`; repeats and order kept.
    pub query: String,
    /// Lower-case name and value.
    pub headers: Vec<(String, String)>,
    /// The body's own bytes (base64 of the envelope undone, `Content-Encoding` not).
    pub body: Bytes,
    /// The address of the caller as the front door saw it.
    pub source_ip: Option<String>,
    /// When the front door took it, by its own clock.
    pub arrived: Option<Timestamp>,
}

impl HttpRequest {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first value of a query parameter, decoded.
    pub fn query_value(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v.into_owned())
    }

    /// Whether a page is asked for, as browsers do.
    pub fn takes_html(&self) -> bool {
        self.header("accept").is_some_and(takes_html)
    }
}

/// Whether an `Accept` header names HTML, and not as what is not wanted (RFC 9110, section 12.5.1). Programs that take anything
/// name none.
pub fn takes_html(accept: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        is_html && !parts.any(is_nothing)
    })
}

/// Whether a parameter of a media range gives it no weight at all, as `q=0` and `q=0.000` do.
fn is_nothing(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or_default();
    name.eq_ignore_ascii_case("q") && value.parse::<f32>().is_ok_and(|weight| weight <= 0.0)
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Lower-case name and value.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl HttpResponse {
    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::empty(status).with_body("application/json", value.to_string())
    }

    /// A plain-text answer.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::empty(status).with_body("text/plain; charset=utf-8", text.into())
    }

    /// The same answer with a body of the given type.
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.with_header("content-type", content_type)
    }

    /// The same answer with one more header; `name` in lower case.
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_for_whoever_names_html() {
        for accept in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json , text/html ; q=0.1",
            "text/html;q=0, text/html;level=1",
        ] {
            assert!(takes_html(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/json",
            "text/html;q=0",
            "text/html; Q=0.000",
            "text/htmlx",
            "x/text/html",
        ] {
            assert!(!takes_html(accept), "{accept}");
        }
    }

    #[test]
    fn a_request_without_the_header_asks_for_no_page() {
        let asks = |headers| HttpRequest { headers, ..HttpRequest::default() }.takes_html();
        assert!(!asks(Vec::new()));
        assert!(asks(vec![("accept".to_owned(), "TEXT/HTML".to_owned())]));
    }
}
