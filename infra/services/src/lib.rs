//! The AWS services Sluice uses, small and whole, over SQLite: what the laptop and the tests run on.

use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;

pub mod connector;
pub mod dynamodb;
mod failure;
pub mod listen;
pub mod secrets;
pub mod ses;
pub mod ses_events;
pub mod sqs;

/// One emulated service: a request in its wire protocol gives an answer in its wire protocol.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. Never fails: a refusal is an answer in the service's own error format.
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>>;
}

/// The current time in milliseconds since the Unix epoch, as the stack's clock shows it.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;
