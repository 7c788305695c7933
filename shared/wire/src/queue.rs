//! Queue messages between our functions: ids only, never personal data.

use serde::{Deserialize, Serialize};
use sluice_domain::id::LeadId;

/// On the lead queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadMessage {
    /// Recognise and route this lead.
    Lead(LeadId),
    /// Somebody may have become available: try the escalated leads again, oldest first.
    Wake(String),
}

/// On the enrich queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrichMessage {
    /// Fetch what the sender left out of this lead.
    Lead(LeadId),
}

/// Why a rep is told about a lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It is theirs now.
    Assigned,
    /// Nobody could take it.
    Escalated,
}

impl NoticeKind {
    /// The word used in keys and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Escalated => "escalated",
        }
    }
}

/// On the notice queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeMessage {
    /// About this lead.
    pub lead: LeadId,
    /// To this rep.
    pub rep: String,
    /// Why.
    pub kind: NoticeKind,
    /// Number of the assignment it is about; 0 for an escalation. One that was overtaken is not sent.
    pub n: u32,
}

/// The body of a message.
pub fn encode(message: &impl Serialize) -> String {
    serde_json::to_string(message).unwrap_or_default()
}
