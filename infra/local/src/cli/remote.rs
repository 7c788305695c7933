//! Calls to a running stack's API.

use super::StackArgs;
use serde_json::Value;
use sluice_host::environment::Environment;
use sluice_host::fetch::{FetchError, fetch};
use std::time::Duration;

/// Long enough for a ledger of millions.
const LIMIT: Duration = Duration::from_secs(120);

/// Where the local stack leaves its address and token for the other commands; only its owner may read it.
pub(crate) const SESSION_FILE: &str = "dev.json";

impl StackArgs {
    /// Calls the API; a refusal is an error in the API's own words.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let token = self.token.clone().or_else(local_token).ok_or(
            "no token: give --token or SLUICE_TOKEN, or run this where `sluice dev` keeps its data (./.sluice)",
        )?;
        let env = Environment::of_process();
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let headers = [
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = fetch(&env, method, &url, &headers, body, LIMIT).await.map_err(|error| match error {
            FetchError::Unknown => {
                format!("no answer from {}: is the stack running? `sluice dev` starts one", self.url)
            }
            FetchError::NotSent(why) => format!("{url}: {why}"),
        })?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if (200..300).contains(&answer.status) {
            return Ok(value);
        }
        let detail =
            value["detail"].as_str().or_else(|| value["message"].as_str()).unwrap_or("no reason given");
        Err(format!("{detail} ({method} {path}: {})", answer.status))
    }
}

fn local_token() -> Option<String> {
    let text = std::fs::read_to_string(std::path::Path::new(".sluice").join(SESSION_FILE)).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    value["token"].as_str().map(str::to_owned)
}
