//! Every business decision of Sluice.
//!
//! Pure: no clock, no environment, no randomness, no async, no AWS. Time and random bytes come in as arguments,
//! decisions go out as values, so that each can be replayed, explained and simulated with the same code.

pub mod access;
pub mod advance;
pub mod calendar;
pub mod campaign;
pub mod clock;
pub mod condition;
pub mod customer;
pub mod erasure;
pub mod event;
pub mod feedback;
pub mod gate;
pub mod id;
pub mod identity;
pub mod import;
pub mod insight;
pub mod journey;
pub mod lead;
pub mod link;
pub mod live;
pub mod matching;
pub mod message;
pub mod pii;
pub mod policy;
pub mod routing;
pub mod segment;
pub mod speed;
pub mod team;
pub mod template;
pub mod time;
