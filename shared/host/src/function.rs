//! A function as whatever hosts it sees it: bytes in, bytes out.

use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;

use crate::environment::Environment;

/// The whole invocation failed; for a queue that means every record of the batch.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct InvokeError {
    /// Kind of error, as the Runtime API's `errorType`.
    pub kind: String,
    /// What happened; no personal data.
    pub message: String,
}

/// One deployed function.
pub trait Function: Send + Sync + 'static {
    /// Handles one event payload, as Lambda would hand it over.
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>>;
}

/// The function could not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl From<crate::environment::ConfigError> for StartError {
    fn from(error: crate::environment::ConfigError) -> Self {
        Self(error.to_string())
    }
}

/// Builds a function from its surroundings; run once per cold start.
pub type Build = fn(Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>>;
