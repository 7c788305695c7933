//! Leads from files: what a batch is called, which lead a row becomes, and how a batch is taken back.

mod columns;
mod takeback;
#[cfg(test)]
mod tests;

pub use columns::{Column, column, submitted_at};
pub use takeback::{Around, Goes, Kept, Takeback, take_back, worked_on};

use crate::id::LeadId;
use serde::{Deserialize, Serialize};

/// Longest name of a batch, in characters.
pub const LONGEST_BATCH: usize = 64;

/// Where an imported lead came from; kept with the lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The batch.
    #[serde(rename = "b")]
    pub batch: String,
    /// The row of the file, the first after the headers is 1.
    #[serde(rename = "r")]
    pub row: u64,
    /// Nobody is told of what comes of it by itself; what people do later is told as ever.
    #[serde(rename = "q", default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
}

/// The lead that a row becomes: the same however often and by however many the row is sent.
pub fn lead_id(form: &str, batch: &str, row: u64) -> LeadId {
    LeadId::derived(&["import", form, batch, &row.to_string()])
}

/// Whether a batch may be called this: 1 to 64 of a-z, 0-9, `.`, `_` and `-`, safe in keys and paths.
pub fn is_batch_name(name: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c);
    (1..=LONGEST_BATCH).contains(&name.len())
        && name.bytes().all(allowed)
        && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}
