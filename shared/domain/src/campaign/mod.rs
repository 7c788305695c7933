//! Campaigns: when they go out, who of the audience gets which message at what instant, what was counted, and when they
//! stop. A *broadcast* is one time that a campaign goes out.

mod broadcast;
mod count;
mod forecast;
mod look;
mod occurrence;
mod plan;
mod rail;
#[cfg(test)]
mod tests;

pub use broadcast::{Broadcast, BroadcastState, Chosen, Refused, Sends, Stopped};
pub use count::{Counts, is_claim, names};
pub use forecast::{Forecast, forecast};
pub use look::{Look, Seen};
pub use occurrence::{LONGEST_DAY_MS, Occurrence, PLAN_AHEAD_MS, TooLate, first, is_missed, next};
pub use plan::{Place, Planner, SECTIONS, Section, Share};
pub use rail::{Rail, tripped, winner};

use crate::id::MessageId;
use serde::{Deserialize, Serialize};

/// What the order of a message says of the campaign it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfCampaign {
    /// Which broadcast of it.
    #[serde(rename = "b")]
    pub broadcast: u32,
    /// In how many parts the broadcast counts.
    #[serde(rename = "s")]
    pub shards: u8,
    /// Which of its variants, by place; none of a campaign without, and of who gets nothing.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<u8>,
    /// This person gets nothing, to compare with.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub held_out: bool,
    /// The audience as it was written when the broadcast began.
    #[serde(rename = "a")]
    pub audience: String,
}

impl OfCampaign {
    /// The part of the broadcast that counts a message, and says whether it may be claimed.
    pub fn shard(&self, message: &MessageId) -> u8 {
        let shards = u64::from(self.shards.max(1));
        u8::try_from(crate::journey::chance(&["shard", message.as_str()]) % shards).unwrap_or(0)
    }
}
