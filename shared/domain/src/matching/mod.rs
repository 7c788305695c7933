//! The fuzzy tier: how likely two descriptions are of one person, where no identity says so.
//!
//! The model is that of Fellegi and Sunter ("A Theory for Record Linkage", JASA 64, 1969): each field is compared into a
//! level of agreement, each level has a probability among records of one person (m) and of two (u), and the logarithms of
//! their ratios add up to evidence. Exact agreement on a rare value counts more than on a common one (Winkler's
//! adjustment by frequency). A data set gives its own m and u without labels ([`Model::estimate`]), which is what a whole base is
//! looked through by ([`duplicates`]); a single lead is compared with [`Model::standard`].
//!
//! Pure, and the same on every machine: sampling is by a fixed sequence.

mod block;
mod compare;
mod duplicates;
mod group;
mod model;
mod profile;
#[cfg(test)]
mod tests;
mod train;

pub use block::BlockingKey;
pub use duplicates::{Duplicates, Group, Link, duplicates};
pub use model::{Evidence, Model, Score, Verdict};
pub use profile::{Field, Profile};
