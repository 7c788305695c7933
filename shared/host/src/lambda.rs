//! Running a function on Lambda: `main` of every function is one call of [`run`].

use crate::environment::{Clock, Environment, MetricSink, Random};
use crate::function::{Build, StartError};
use crate::{log, web};
use aws_smithy_http_client::tls;
use bytes::Bytes;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The machine's randomness.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness ids would collide: better to stop than to go on.
        if getrandom::fill(bytes).is_err() {
            tracing::error!("the machine gives no randomness");
            std::process::abort();
        }
    }
}

/// Metrics as lines on standard output, where CloudWatch finds them.
#[derive(Clone, Copy, Debug)]
pub struct StdoutMetrics;

impl MetricSink for StdoutMetrics {
    fn emit(&self, line: &str) {
        // A metric that cannot be written is not worth an invocation.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

impl Environment {
    /// The process's own: its variables, clock and randomness, and a client with its own TLS.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process() -> Self {
        let vars: BTreeMap<String, String> = std::env::vars().collect();
        Self {
            web: web::client(vars.get(web::ALLOW).map(String::as_str)),
            vars,
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            http: https_client(),
            metrics: Arc::new(StdoutMetrics),
        }
    }
}

/// A client for real connections: rustls with ring.
pub fn https_client() -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// Builds the function and serves Lambda's invocations until the process is stopped.
pub fn run(build: Build) -> Result<(), StartError> {
    let env = Environment::of_process();
    let level = env.optional("SLUICE_LOG").and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(log::targets(level))).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StartError(format!("no runtime: {error}")))?;
    runtime.block_on(async move {
        let function = build(env).await?;
        lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
            let function = function.clone();
            async move {
                let failed =
                    |kind: String, message: String| Diagnostic { error_type: kind, error_message: message };
                let answer = function.invoke(Bytes::from(event.payload.get().to_owned())).await;
                let answer = answer.map_err(|error| failed(error.kind, error.message))?;
                let text = String::from_utf8(answer.to_vec()).unwrap_or_default();
                RawValue::from_string(text)
                    .map_err(|_| failed("MalformedAnswer".to_owned(), "the answer is not JSON".to_owned()))
            }
        }))
        .await
        .map_err(|error| StartError(error.to_string()))
    })
}
