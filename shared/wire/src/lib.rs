//! What crosses a boundary: HTTP bodies, source adapters, queue messages, policy documents.

pub mod body;
pub mod capture;
pub mod feedback;
pub mod http;
pub mod idempotency;
pub mod imports;
pub mod kept;
#[cfg(feature = "yaml")]
pub mod policy;
pub mod problem;
pub mod queue;
pub mod sns;
pub mod sources;
pub mod standard_webhooks;
mod ticked;
pub mod track;
