//! The Lambda shell: configuration, telemetry, HTTP / SQS / schedule adapters. One record's failure stays that
//! record's.

pub mod aws;
pub mod dead;
pub mod environment;
pub mod fetch;
pub mod function;
pub mod http;
pub mod lambda;
pub mod log;
pub mod metrics;
pub mod outbox;
pub mod queue;
pub mod schedule;
pub mod secrets;
pub mod web;
