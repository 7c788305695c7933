//! Segments: everybody of whom a condition holds, kept up to date by the events that change it.
//!
//! What a condition reads says when it has to be looked at: an index leads from whatever changed to those that read it, so
//! that an event costs the same however many policies there are. What changes with time alone has a next instant at which
//! the answer may be another; a customer has one look outstanding, at the earliest of them.

mod edge;
mod index;
mod preview;
#[cfg(test)]
mod tests;

pub(crate) use edge::edge;
pub use index::{Changed, Index, Input, Target};
pub use preview::{Preview, evaluate, preview};
