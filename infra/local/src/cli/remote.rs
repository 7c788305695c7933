//! Calls to a running stack's API.

use super::StackArgs;
use serde_json::Value;
use sluice_host::environment::Environment;
use sluice_host::fetch::{FetchError, fetch};
use std::time::Duration;

/// Long enough for a ledger of millions.
const LIMIT: Duration = Duration::from_secs(120);

/// How long is waited before a call is repeated; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often a call is repeated: about 13 seconds in all.
const PAUSES: u32 = 7;

/// Where the local stack leaves its address and token for the other commands; only its owner may read it.
pub(crate) const SESSION_FILE: &str = "dev.json";

impl StackArgs {
    /// Calls the API; a refusal is an error in the API's own words.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.ask(method, path, body).await.map_err(Refusal::into_words)
    }

    /// Calls the API again and again while the answer may be another later. Only for what may be repeated.
    pub(crate) async fn insist(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let body = body.to_string().into_bytes();
        let mut pause = FIRST_PAUSE;
        for _ in 0..PAUSES {
            match self.ask(method, path, body.clone()).await {
                Err(Refusal::NotNow { after, .. }) => {
                    tokio::time::sleep(after.unwrap_or_default().max(pause)).await;
                    pause *= 2;
                }
                Err(refusal) => return Err(refusal.into_words()),
                Ok(answer) => return Ok(answer),
            }
        }
        self.ask(method, path, body).await.map_err(Refusal::into_words)
    }

    async fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Result<Value, Refusal> {
        let token = self.token.clone().or_else(local_token).ok_or_else(|| {
            let words = "no token: give --token or SLUICE_TOKEN, or run this where `sluice dev` keeps its data (./.sluice)";
            Refusal::Never(words.to_owned())
        })?;
        let env = Environment::of_process();
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let headers = [
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        let answer = fetch(&env, method, &url, &headers, body, LIMIT).await.map_err(|error| match error {
            FetchError::Unknown | FetchError::Unreachable => {
                let why =
                    format!("no answer from {}: is the stack running? `sluice dev` starts one", self.url);
                Refusal::NotNow { why, after: None }
            }
            FetchError::NotSent(_) | FetchError::Forbidden(_) => Refusal::Never(format!("{url}: {error}")),
        })?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if (200..300).contains(&answer.status) {
            return Ok(value);
        }
        let detail =
            value["detail"].as_str().or_else(|| value["message"].as_str()).unwrap_or("no reason given");
        let why = format!("{detail} ({method} {path}: {})", answer.status);
        let after = answer.retry_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Err(match answer.status {
            429 | 500 | 502..=504 => Refusal::NotNow { why, after },
            _ => Refusal::Never(why),
        })
    }
}

/// Why a call was not done.
enum Refusal {
    /// It may be done later.
    NotNow { why: String, after: Option<Duration> },
    /// It will not be done.
    Never(String),
}

impl Refusal {
    fn into_words(self) -> String {
        match self {
            Self::NotNow { why, .. } | Self::Never(why) => why,
        }
    }
}

pub(crate) fn local_token() -> Option<String> {
    let text = std::fs::read_to_string(std::path::Path::new(".sluice").join(SESSION_FILE)).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    value["token"].as_str().map(str::to_owned)
}
