//! What a mail provider says of a mail after it took it: bounced, complained about, delivered, and the like.

use crate::id::{MessageId, short_hash};
use crate::identity::Email;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One event about one mail. It travels on our queue as it is: of what the provider sent only what we act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The message of ours, where the provider gives back the tag that we put on it.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The provider's id of the mail; empty if it names none.
    #[serde(rename = "p")]
    pub mail: String,
    /// The provider's id of the event, for kinds that have one (bounces and complaints); else empty.
    #[serde(rename = "f", default, skip_serializing_if = "String::is_empty")]
    pub event: String,
    /// What happened.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// When it happened, as the provider says.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whom it happened to: each once. An address that is none is left out.
    #[serde(rename = "r")]
    pub recipients: Vec<Email>,
}

impl Feedback {
    /// What tells the event from others about an address: the same by whichever way it came. Two of one kind about one
    /// mail are one where the provider does not give them ids of their own.
    pub fn key(&self) -> String {
        match (self.mail.as_str(), self.event.as_str()) {
            ("", "") => short_hash(&[self.kind.name(), &self.at.unwrap_or_default().millis().to_string()]),
            (mail, event) => short_hash(&[self.kind.name(), mail, event]),
        }
    }
}

/// What happened to a mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The provider took it and will try to deliver it.
    Send,
    /// The recipient's server took it.
    Delivery,
    /// It could not be delivered yet; the provider goes on trying.
    DeliveryDelay,
    /// It came back.
    Bounce(Bounce),
    /// Its recipient said something of it, as a rule that it is spam.
    Complaint(Complaint),
    /// The provider took it and then would not send it.
    Reject,
    /// The provider could not fill in its template.
    RenderingFailure,
    /// It was opened, by the provider's own count.
    Open,
    /// A link in it was followed, by the provider's own count.
    Click,
    /// The recipient changed what they want in a list that the provider keeps.
    Subscription(Subscription),
    /// Something that this version knows nothing of, by the provider's word.
    Other(String),
}

impl Kind {
    /// The word in logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Delivery => "delivery",
            Self::DeliveryDelay => "delivery_delay",
            Self::Bounce(_) => "bounce",
            Self::Complaint(_) => "complaint",
            Self::Reject => "reject",
            Self::RenderingFailure => "rendering_failure",
            Self::Open => "open",
            Self::Click => "click",
            Self::Subscription(_) => "subscription",
            Self::Other(_) => "other",
        }
    }
}

/// Why a mail came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounce {
    /// The address does not exist, or the provider will not write to it any more.
    Permanent,
    /// The mailbox is full, the server busy, the person away: another mail may arrive.
    Transient,
    /// The provider cannot tell.
    Undetermined,
}

impl Bounce {
    /// Whether it says for certain that nothing will ever arrive at the address. One bounce that nobody can tell the
    /// reason of does not: the address may be sound, and leaving a person out for good is not undone by itself. If it
    /// goes on it is suppressed all the same, as any address is that keeps failing.
    pub const fn is_hard(self) -> bool {
        matches!(self, Self::Permanent)
    }
}

/// What a recipient wants no more, by a list that the provider keeps. That somebody wants something is no consent of
/// ours and not taken down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Anything at all.
    pub everything: bool,
    /// Topics, by their names in that list.
    pub topics: Vec<String>,
}

/// What a recipient said of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complaint {
    /// That it is not wanted: spam, fraud, or anything that is not said more exactly.
    Unwanted,
    /// That it is no spam, though something took it for spam.
    NotSpam,
}
