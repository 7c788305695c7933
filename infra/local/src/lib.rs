//! Sluice on one machine: the template as a running stack, and the operator's tools.

pub mod cli;
pub mod demo;
pub mod host;
pub mod template;
