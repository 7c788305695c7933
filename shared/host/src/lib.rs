//! The Lambda shell: configuration, telemetry, HTTP / SQS / schedule adapters. One record's failure stays that
//! record's.

pub mod environment;
pub mod function;
