//! Calls to a running stack's API.

use super::StackArgs;
use super::output::Failure;
use serde_json::Value;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_host::environment::Environment;
use sluice_host::fetch::{FetchError, Unconnected, fetch};
use sluice_host::lambda::SystemClock;
use std::time::Duration;

/// Longer than any call of the API may take: 30 seconds on AWS.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a local stack listens if nothing else is said.
const USUAL: &str = "http://127.0.0.1:8787";

/// How long is waited before a call is repeated; each time twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often a call is repeated: about 13 seconds in all.
const PAUSES: u32 = 7;

/// Where the local stack leaves its address and token for the other commands; only its owner may read it.
pub(crate) const SESSION_FILE: &str = "dev.json";

impl StackArgs {
    /// Where the stack is, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        let local = || session().and_then(|session| session["url"].as_str().map(str::to_owned));
        let url = self.url.clone().or_else(local).unwrap_or_else(|| USUAL.to_owned());
        url.trim_end_matches('/').to_owned()
    }

    /// Calls the API; a refusal is an error in the API's own words.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        self.ask(method, path, body, None).await.map_err(Refusal::into_failure)
    }

    /// Calls the API again and again while the answer may be another later. Only for what may be repeated.
    pub(crate) async fn insist(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        self.insist_or_hear(method, path, body).await.map_err(Refusal::into_failure)
    }

    /// The same, for who wants to know whether another call might do it.
    pub(crate) async fn insist_or_hear(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, Refusal> {
        self.again_and_again(method, path, body.to_string().into_bytes(), None).await
    }

    /// The same of a call without a body that is done once however often it comes, by this key.
    pub(crate) async fn insist_once(&self, method: &str, path: &str, key: &str) -> Result<Value, Failure> {
        self.again_and_again(method, path, Vec::new(), Some(key)).await.map_err(Refusal::into_failure)
    }

    /// What the stack's clock shows; the machine's, where no stack can be asked.
    pub(crate) async fn now(&self) -> Timestamp {
        let health = self.call("GET", "/api/health", None).await.unwrap_or_default();
        health["time"].as_str().and_then(Timestamp::parse).unwrap_or_else(|| SystemClock.now())
    }

    async fn again_and_again(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
        key: Option<&str>,
    ) -> Result<Value, Refusal> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..PAUSES {
            match self.ask(method, path, body.clone(), key).await {
                Err(Refusal::NotNow { after, .. }) => {
                    tokio::time::sleep(after.unwrap_or_default().max(pause)).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        self.ask(method, path, body, key).await
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
        key: Option<&str>,
    ) -> Result<Value, Refusal> {
        let stack = self.url();
        let token = self.token.clone().filter(|token| !token.is_empty()).or_else(|| local_token(self.url.as_deref())).ok_or_else(|| {
            let words = "no token: give --token or SLUICE_TOKEN, or run this where `sluice dev` keeps its data (./.sluice)";
            Refusal::never(words)
        })?;
        let env = Environment::of_process();
        let url = format!("{stack}{path}");
        let mut headers = vec![
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
        ];
        headers.extend(key.map(|key| ("idempotency-key".to_owned(), key.to_owned())));
        let answer = fetch(&env, method, &url, &headers, body, LIMIT).await;
        let answer = answer.map_err(|error| unheard(&stack, &url, &error))?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        if (200..300).contains(&answer.status) {
            // Whatever else listens there may say yes to everything.
            let is_ours = value.is_object() || (answer.status == 204 && answer.body.is_empty());
            return is_ours.then_some(value).ok_or_else(|| {
                Refusal::never(format!(
                    "{stack} does not answer as Sluice does ({method} {path}: {} without an object): \
                                        is this the stack's URL?",
                    answer.status
                ))
            });
        }
        let detail =
            value["detail"].as_str().or_else(|| value["message"].as_str()).unwrap_or("no reason given");
        let words = format!("{detail} ({method} {path}: {})", answer.status);
        let why = Failure::refused(words, value["detail"].is_string().then_some(value));
        let after = answer.retry_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let is_passing = match answer.status {
            429 | 500 | 502..=504 => true,
            // Others were on it just then. Whatever else is in the way of a call stays there.
            409 => after.is_some(),
            _ => false,
        };
        Err(if is_passing { Refusal::NotNow { why, after } } else { Refusal::Never(why) })
    }
}

/// Why a call was not done.
pub(crate) enum Refusal {
    /// It may be done later.
    NotNow { why: Failure, after: Option<Duration> },
    /// It will not be done.
    Never(Failure),
}

impl Refusal {
    fn never(why: impl Into<Failure>) -> Self {
        Self::Never(why.into())
    }

    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::NotNow { why, .. } | Self::Never(why) => why,
        }
    }

    /// Whether the same call may be done later.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::NotNow { .. })
    }
}

/// What is said where no answer came.
fn unheard(stack: &str, url: &str, error: &FetchError) -> Refusal {
    let why = match error {
        FetchError::NotSent(_) | FetchError::Forbidden(_) => {
            return Refusal::never(format!("{url}: {error}"));
        }
        FetchError::Unknown => "the connection broke, or nothing came in time",
        FetchError::Unreachable(Unconnected::NoSuchName) => "no address is known by that name",
        FetchError::Unreachable(Unconnected::Refused) => "the connection is refused, nobody listens there",
        FetchError::Unreachable(Unconnected::Tls) => {
            "TLS was not agreed on; its certificate is none that this machine believes, or it speaks no https"
        }
        FetchError::Unreachable(Unconnected::TimedOut) => "no connection was made in time",
        FetchError::Unreachable(Unconnected::Other) => "no connection can be made",
    };
    let hint = if is_here(stack) { "; is the stack running? `sluice dev` starts one" } else { "" };
    let why = format!("no answer from {stack}: {why}{hint}");
    match error {
        FetchError::Unreachable(Unconnected::Tls) => Refusal::never(why),
        _ => Refusal::NotNow { why: why.into(), after: None },
    }
}

/// Whether the URL is of this machine.
fn is_here(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split([':', '/']).next().unwrap_or_default();
    rest.starts_with("[::1]") || host == "localhost" || host.starts_with("127.")
}

/// The token of the local stack, for that stack only: `url` is the one that was asked for, if any was.
pub(crate) fn local_token(url: Option<&str>) -> Option<String> {
    let session = session()?;
    let is_meant = url.is_none_or(|url| Some(url.trim_end_matches('/')) == session["url"].as_str());
    session["token"].as_str().filter(|_| is_meant).map(str::to_owned)
}

/// What the local stack left about itself.
fn session() -> Option<Value> {
    let text = std::fs::read_to_string(std::path::Path::new(".sluice").join(SESSION_FILE)).ok()?;
    serde_json::from_str(&text).ok()
}
