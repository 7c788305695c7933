//! Problem documents (RFC 9457): how every refusal is said.

use crate::http::HttpResponse;
use serde_json::{Map, Value};

/// A refusal: status, a stable type, a sentence a person can act on, and the field it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// Stable name; `type` is `urn:sluice:problem:<name>`.
    pub name: &'static str,
    /// What happened and what to do about it. Never holds personal data.
    pub detail: String,
    /// The field it is about, as the caller named it.
    pub field: Option<String>,
    /// Each mistake by itself, where there are several, as the call describes them.
    pub errors: Vec<Value>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A refusal without a field.
    pub fn new(status: u16, name: &'static str, detail: impl Into<String>) -> Self {
        Self { status, name, detail: detail.into(), field: None, errors: Vec::new(), retry_after: None }
    }

    /// The same refusal about one field.
    pub fn about(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same refusal with each of its mistakes.
    pub fn with_errors(mut self, errors: Vec<Value>) -> Self {
        self.errors = errors;
        self
    }

    /// The same refusal with the seconds after which to try again.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The answer on the wire: `application/problem+json`.
    pub fn response(&self) -> HttpResponse {
        let mut body = Map::new();
        body.insert("type".into(), Value::String(format!("urn:sluice:problem:{}", self.name)));
        body.insert("title".into(), Value::String(self.name.replace('-', " ")));
        body.insert("status".into(), Value::from(self.status));
        body.insert("detail".into(), Value::String(self.detail.clone()));
        if let Some(field) = &self.field {
            body.insert("field".into(), Value::String(field.clone()));
        }
        if !self.errors.is_empty() {
            body.insert("errors".into(), Value::Array(self.errors.clone()));
        }
        let answer = HttpResponse::empty(self.status)
            .with_body("application/problem+json", Value::Object(body).to_string());
        match self.retry_after {
            Some(seconds) => answer.with_header("retry-after", seconds.to_string()),
            None => answer,
        }
    }
}

impl From<Problem> for HttpResponse {
    fn from(problem: Problem) -> Self {
        problem.response()
    }
}
