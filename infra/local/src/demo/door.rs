//! A stack as anybody meets it: over HTTP.

use serde_json::{Value, json};
use sluice_host::environment::Environment;
use sluice_host::fetch::{Fetched, fetch};
use std::time::Duration;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a stack answers, and the token of an admin.
#[derive(Clone, Debug)]
pub struct Door {
    env: Environment,
    url: String,
    token: String,
}

impl Door {
    /// The stack at `url`.
    pub fn new(url: &str, token: String) -> Self {
        Self { env: Environment::of_process(), url: url.trim_end_matches('/').to_owned(), token }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The admin's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// One request, as anybody may send it.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> Result<Fetched, String> {
        let url = format!("{}{path}", self.url);
        fetch(&self.env, method, &url, headers, body, LIMIT)
            .await
            .map_err(|error| format!("{method} {path}: {error}"))
    }

    /// A call of the API as admin; a refusal is an error in the API's own words.
    pub async fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.api_as(&self.token, method, path, body, None).await
    }

    /// The same with another token, and the key that makes a repeat harmless.
    pub(super) async fn api_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Value, String> {
        let mut headers = vec![
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        headers.extend(key.map(|key| ("idempotency-key".to_owned(), key.to_owned())));
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = self.send(method, path, &headers, body).await?;
        read(method, path, &answer)
    }

    /// What the pages of this machine say, if the stack has them.
    pub(super) async fn local(&self, method: &str, path: &str) -> Result<Value, String> {
        let headers = [("accept".to_owned(), "application/json".to_owned())];
        let answer = self.send(method, path, &headers, Vec::new()).await?;
        read(method, path, &answer)
    }

    /// A customer by an e-mail address, or by a phone number, which begins with a plus.
    pub(super) async fn find(&self, person: &str) -> Result<Value, String> {
        let kind = if person.starts_with('+') { "phone" } else { "email" };
        self.api("POST", "/api/customers/lookup", Some(&json!({ kind: person }))).await
    }
}

fn read(method: &str, path: &str, answer: &Fetched) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if (200..300).contains(&answer.status) {
        return Ok(value);
    }
    let detail = value["detail"].as_str().or_else(|| value["message"].as_str()).unwrap_or("no reason given");
    Err(format!("{detail} ({method} {path}: {})", answer.status))
}
