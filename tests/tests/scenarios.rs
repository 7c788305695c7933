//! What Sluice does, in the words of those who use it: whole stacks, real HTTP, the real SDKs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests: what is not there stops the test"
)]

#[path = "scenarios/smoke.rs"]
mod smoke;
