//! The template's stack in this process, with every call of its functions written down.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::{Value, json};
use sluice::cli::{embedded_functions, local_template};
use sluice::host::clock::StackClock;
use sluice::host::spec::{StackSpec, named};
use sluice::host::stack::{Options, Stack};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::fetch::fetch;
use sluice_tests::stack::POLICIES_SEEN;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One outgoing call: the function, its method and URL, `X-Amz-Target` and the body.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: String,
    pub(crate) url: String,
    pub(crate) target: Option<String>,
    pub(crate) body: Value,
}

/// The calls of all functions, in order.
pub(crate) type Log = Arc<Mutex<Vec<Call>>>;

#[derive(Debug)]
struct Recording {
    inner: SharedHttpClient,
    function: String,
    log: Log,
}

impl HttpClient for Recording {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.inner.http_connector(settings, components),
            function: self.function.clone(),
            log: self.log.clone(),
        })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    function: String,
    log: Log,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.log.lock().unwrap().push(Call {
            function: self.function.clone(),
            url: request.uri().to_owned(),
            target: request.headers().get("x-amz-target").map(str::to_owned),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        });
        self.inner.call(request)
    }
}

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A running stack with its log of calls and an operator's token.
pub(crate) struct Recorded {
    pub(crate) stack: Stack,
    pub(crate) calls: Log,
    pub(crate) token: String,
    env: Environment,
}

impl Recorded {
    /// Everything in memory, under a clock that is moved by hand.
    pub(crate) async fn start(vars: BTreeMap<String, String>) -> Self {
        let calls = Log::default();
        let log = calls.clone();
        let mut options = Options::in_memory(embedded_functions());
        options.clock = StackClock::frozen(Timestamp::parse("2026-11-23T09:30:00Z").unwrap());
        options.vars = vars;
        // As on AWS: what is recorded is what is called there.
        options.keeps_calls = false;
        options.wrap_client = Some(Arc::new(move |function, inner| {
            SharedHttpClient::new(Recording { inner, function: function.to_owned(), log: log.clone() })
        }));
        let template = local_template().unwrap();
        let stack =
            Stack::start(options, |addresses| StackSpec::from_template(&template, addresses)).await.unwrap();
        let token = stack.secrets.value(&named("AdminTokenSecret")).unwrap();
        Self { stack, calls, token, env: Environment::of_process() }
    }

    /// One request to the front door, with the operator's token.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send(method, path, &self.token, &[], body).await
    }

    /// One request to the front door with another token and more headers.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        more: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let mut headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if !more.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let url = format!("{}{path}", self.stack.addresses.url);
        let answer = fetch(&self.env, method, &url, &headers, body, Duration::from_secs(20)).await.unwrap();
        Answer { status: answer.status, body: serde_json::from_slice(&answer.body).unwrap_or(Value::Null) }
    }

    /// Publishes documents and waits until every function trusts them.
    pub(crate) async fn publish(&self, files: &[(String, String)]) {
        let files: Vec<Value> =
            files.iter().map(|(file, text)| json!({ "file": file, "text": text })).collect();
        let answer = self.call("POST", "/api/policies/apply", &json!({ "files": files })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.stack.advance(POLICIES_SEEN);
    }

    /// Waits until nothing goes on and no function has called anything for a while: what is to be tried again waits for the clock,
    /// and so does what stands behind it in its group, for which nothing is waited longer than some seconds.
    pub(crate) async fn rest(&self) {
        let count = || self.calls.lock().unwrap().len();
        let mut before = usize::MAX;
        let mut patience = 30;
        while before != count() || !(self.stack.is_idle() || patience == 0) {
            patience -= usize::from(before == count());
            before = count();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The functions that called anything.
    pub(crate) fn callers(&self) -> BTreeSet<String> {
        self.calls.lock().unwrap().iter().map(|call| call.function.clone()).collect()
    }
}
