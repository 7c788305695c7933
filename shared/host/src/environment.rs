//! What a function is given from outside: variables, clock, randomness, the HTTP client, where metrics go.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The only source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The only source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// Where an invocation's metrics go: CloudWatch's embedded format on AWS, counters on one machine.
pub trait MetricSink: Send + Sync + 'static {
    /// Takes one line of embedded metric format (one JSON object, no newline).
    fn emit(&self, line: &str);
}

/// Everything a function may know about its surroundings. Functions that share a process each get their own.
#[derive(Clone)]
pub struct Environment {
    /// Configuration, as a Lambda's environment variables.
    pub vars: BTreeMap<String, String>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The client that carries every outgoing call to AWS and to others whose address we know.
    pub http: SharedHttpClient,
    /// The client for addresses that people wrote into documents, see [`crate::web`].
    pub web: SharedHttpClient,
    /// Metrics.
    pub metrics: Arc<dyn MetricSink>,
}

/// A variable is missing or cannot be read; names the variable, never its value.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {variable} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Environment {
    /// A variable that must be there.
    pub fn required(&self, variable: &str) -> Result<&str, ConfigError> {
        self.optional(variable)
            .ok_or_else(|| ConfigError { variable: variable.to_owned(), problem: "is not set".to_owned() })
    }

    /// A variable that may be absent; empty counts as absent.
    pub fn optional(&self, variable: &str) -> Option<&str> {
        self.vars.get(variable).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("vars", &self.vars.keys()).finish_non_exhaustive()
    }
}
