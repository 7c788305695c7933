//! A call of a channel's provider as one machine keeps it instead of making it: what somebody looks at who wants to know
//! what would go out. Who calls is not in it: no `Authorization`, no signature and no other header.

use serde::{Deserialize, Serialize};
use sluice_domain::id::MessageId;
use sluice_domain::message::Channel;
use sluice_domain::pii::Pii;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptCall {
    /// The channel whose provider it is.
    pub channel: Channel,
    /// The message that it hands over.
    pub message: MessageId,
    /// The sender, as the channel's document writes it; empty if it does not.
    pub from: String,
    /// To whom: an address of the channel's kind.
    pub to: Pii<String>,
    /// What its reader would read.
    pub text: Pii<String>,
    /// Where it would be posted to, as the channel's document says.
    pub url: String,
    /// What the body is written as.
    pub content_type: String,
    /// The body, byte for byte.
    pub body: Pii<String>,
}
