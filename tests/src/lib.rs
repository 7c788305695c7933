//! A stack in one process whose every outgoing call can be made to fail, and what must hold whatever fails.
//!
//! A [`scenarios::Scenario`] is a handler, the world it runs in and the event it gets. A [`plans::Plan`] puts faults at
//! its outgoing calls and a duplicate beside it. After the plan faults stop, the world plays its queues and timers to
//! rest, and [`invariants`] looks at what is left. [`mutants`] are handlers known to be bad: a sweep that does not
//! catch them proves nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test library: what cannot be set up stops the test"
)]

mod acts;
mod audited;
mod broadcasts;
pub mod canaries;
mod checks;
pub mod connector;
mod decided;
pub mod erased;
pub mod events;
pub mod faults;
pub mod ground;
pub mod heard;
pub mod invariants;
pub mod invocation;
pub mod links;
pub mod mutants;
pub mod needs;
pub mod node;
pub mod observe;
pub mod outside;
pub mod plans;
pub mod play;
pub mod poison;
pub mod python;
pub mod records;
pub mod runs;
pub mod scenarios;
pub mod sends;
pub mod settle;
pub mod sns;
pub mod stack;
pub mod sweep;
pub mod table;
pub mod ways;
pub mod wire;
pub mod world;
