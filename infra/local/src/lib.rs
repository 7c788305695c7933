//! Placeholder.
pub mod template;
