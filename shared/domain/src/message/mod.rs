//! Messages to customers: what is asked for, where it stands, and what came back.
//!
//! READY -> CLAIMED -> SENT / UNKNOWN / FAILED / SKIPPED. A message is handed over at most once (I3): the claim is one
//! transaction with the gate of the address, and an outcome that nobody knows is a state of its own.

mod agents;
mod flow;
mod trail;
mod visit;

pub use flow::{CLAIM_MS, Handed, Next, RESEND_MS, Settled};
pub use trail::{Bounce, Seen, Trail};
pub use visit::{Counted, Deed, SETTLED_MS, Sign, Visit, Visited};

use crate::campaign::{OfCampaign, names};
use crate::customer::AddressHash;
use crate::gate::Reason;
use crate::id::{CustomerId, MessageId};
use crate::identity::Language;
use crate::pii::Pii;
use crate::policy::AddressKind;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A way to reach people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// E-mail.
    #[default]
    Email,
    /// Text messages.
    Sms,
    /// A messenger.
    Chat,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Email, Self::Sms, Self::Chat];

    /// The word used in documents and keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Chat => "chat",
        }
    }

    /// The channel with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

/// What the author of a message wants where it may not go out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It is left out, and whatever sent it goes on.
    Skip,
    /// It goes out as soon as it may.
    Defer,
    /// Another message goes out instead, over another channel.
    Replace,
    /// It is left out, and whatever sent it ends for this person.
    Exit,
}

/// What becomes of a message whose outcome is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// It stays unknown until the provider or a person says what happened.
    #[default]
    Hold,
    /// It is sent again if the provider has not said within a quarter of an hour that it went out: better twice than never.
    Resend,
}

/// What asked for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Of which kind.
    #[serde(rename = "k")]
    pub kind: CauseKind,
    /// Which: the name of a template, journey or campaign.
    #[serde(rename = "n")]
    pub name: String,
    /// Which of its messages to this person: a step, a key.
    #[serde(rename = "p")]
    pub part: String,
}

/// The kinds of cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A call of the API.
    Api,
    /// A trial, to somebody who tests.
    Test,
    /// The question whether somebody really wants what they asked for (double opt-in).
    Confirmation,
    /// A step of a journey.
    Journey,
    /// A campaign, one time that it goes out.
    Campaign,
}

impl CauseKind {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Test => "test",
            Self::Confirmation => "confirmation",
            Self::Journey => "journey",
            Self::Campaign => "campaign",
        }
    }
}

/// What is asked for. Travels on queues, so it names things and holds nothing personal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// To this customer.
    #[serde(rename = "cu")]
    pub customer: CustomerId,
    /// When it was asked for; part of its id.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// By what; part of its id.
    #[serde(rename = "by")]
    pub cause: Cause,
    /// Over this channel.
    #[serde(rename = "ch")]
    pub channel: Channel,
    /// With this template.
    #[serde(rename = "te")]
    pub template: String,
    /// About this.
    #[serde(rename = "to")]
    pub topic: String,
    /// In this language; absent is the customer's.
    #[serde(rename = "la", default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// It is one of many and may wait for those that are not.
    #[serde(rename = "bu", default, skip_serializing_if = "is_false")]
    pub bulk: bool,
    /// Where a cap is reached; absent is to wait.
    #[serde(rename = "ac", default, skip_serializing_if = "Option::is_none")]
    pub at_cap: Option<Otherwise>,
    /// In quiet hours; absent is to wait.
    #[serde(rename = "qh", default, skip_serializing_if = "Option::is_none")]
    pub in_quiet_hours: Option<Otherwise>,
    /// What goes out instead, where that was chosen.
    #[serde(rename = "re", default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
    /// What becomes of an unknown outcome; absent is as the channel says.
    #[serde(rename = "un", default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<OnUnknown>,
    /// Pointless after this.
    #[serde(rename = "na", default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Where a campaign asked for it: what it has to know of that.
    #[serde(rename = "ca", default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<OfCampaign>,
}

/// What goes out instead of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replacement {
    /// Over this channel.
    pub channel: Channel,
    /// With this template.
    pub template: String,
}

const fn is_false(value: &bool) -> bool {
    !*value
}

const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Order {
    /// One to this customer that says no more than it has to: the rest is left to the documents.
    pub fn new(
        customer: CustomerId,
        at: Timestamp,
        cause: Cause,
        channel: Channel,
        template: &str,
        topic: &str,
    ) -> Self {
        Self {
            customer,
            at,
            cause,
            channel,
            template: template.to_owned(),
            topic: topic.to_owned(),
            language: None,
            bulk: false,
            at_cap: None,
            in_quiet_hours: None,
            replacement: None,
            unknown: None,
            not_after: None,
            campaign: None,
        }
    }

    /// The message's id.
    pub fn id(&self) -> MessageId {
        let Cause { kind, name, part } = &self.cause;
        MessageId::of(&self.customer, self.at, &[kind.name(), name, part, self.channel.name()])
    }

    /// The order for the other channel, if there is a replacement: it has none itself, so that two never take turns, and waits
    /// where it is held back too. What names its own channel is none: it would be this message over again.
    pub fn replaced(&self) -> Option<Self> {
        let other = self.replacement.as_ref().filter(|other| other.channel != self.channel)?;
        let unless_replaced =
            |choice: Option<Otherwise>| choice.filter(|choice| *choice != Otherwise::Replace);
        Some(Self {
            channel: other.channel,
            template: other.template.clone(),
            at_cap: unless_replaced(self.at_cap),
            in_quiet_hours: unless_replaced(self.in_quiet_hours),
            replacement: None,
            ..self.clone()
        })
    }
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// To be sent; a claim was given back, or it has to wait.
    Ready,
    /// Somebody is sending it.
    Claimed,
    /// The provider took it.
    Sent,
    /// The provider's answer was lost: it may or may not have gone out.
    Unknown,
    /// The provider refused it for good.
    Failed,
    /// There was a reason not to send it.
    Skipped,
}

impl MessageState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Ready, Self::Claimed, Self::Sent, Self::Unknown, Self::Failed, Self::Skipped];

    /// Whether nothing more will be done.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Failed | Self::Skipped)
    }

    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Claimed => "claimed",
            Self::Sent => "sent",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// The state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A message to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// What was asked for.
    #[serde(rename = "o")]
    pub order: Order,
    /// Values that whoever asked gave the template.
    #[serde(rename = "d", default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// Where it goes instead of to the customer's own address: a trial to whoever tests, a question to the address that was
    /// typed into the form.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Pii<String>>,
    /// Where it stands.
    #[serde(rename = "s")]
    pub state: MessageState,
    /// Hand-overs begun.
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Hand-overs whose outcome is unknown.
    #[serde(rename = "x", default, skip_serializing_if = "is_zero")]
    pub unknown: u32,
    /// While claimed: nobody else may go on with it before this. While it waits: not before this.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why it waits or was left out.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What the provider said: its id of the message, or why not.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The address it was claimed for.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub address: Option<AddressHash>,
    /// When the last claim was made.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Timestamp>,
    /// While claimed: whose claim it is, to tell an own one whose answer was lost from somebody else's.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Version of the policies it was made with.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<u64>,
    /// Where its links lead, by their number: a click goes nowhere else.
    #[serde(rename = "l", default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// What came back.
    #[serde(rename = "b", default, skip_serializing_if = "Trail::is_empty")]
    pub trail: Trail,
    /// What it counts as in its campaign, as it is stored.
    #[serde(rename = "q", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub counted: BTreeSet<String>,
}

impl Message {
    /// A message as it begins.
    pub fn new(order: Order, data: Map<String, Value>) -> Self {
        Self {
            version: 0,
            order,
            data,
            to: None,
            state: MessageState::Ready,
            attempts: 0,
            unknown: 0,
            until: None,
            reason: None,
            note: None,
            address: None,
            claimed: None,
            nonce: None,
            policies: None,
            links: Vec::new(),
            trail: Trail::default(),
            counted: BTreeSet::new(),
        }
    }

    /// Its id.
    pub fn id(&self) -> MessageId {
        self.order.id()
    }

    /// It was stored as it is.
    pub fn is_stored(&mut self) {
        self.version += 1;
        self.counted = names(self);
    }
}

/// An address of a customer that a channel can write to: the value, and the kind of identity it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// What it is.
    pub kind: AddressKind,
    /// The address as it is written to.
    pub value: Pii<String>,
}
