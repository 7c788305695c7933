//! What is kept of an event: the entry of a customer's timeline, which is its receipt as well.

use super::{Event, EventKind, OWN_EVENTS, Who};
use crate::id::{CustomerId, EventId};
use crate::insight::Credited;
use crate::journey;
use crate::message::Order;
use crate::pii::Pii;
use crate::policy::{PolicySet, Webhook};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An event as it is kept, with what it led to. That it is there says that the event was decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose it said it was.
    #[serde(rename = "w")]
    pub who: Who,
    /// The event.
    #[serde(rename = "e")]
    pub event: Event,
    /// Version of the policies it was decided with.
    #[serde(rename = "m")]
    pub manifest: u64,
    /// What it led to, in the same decision.
    #[serde(rename = "o", default, skip_serializing_if = "Led::is_empty")]
    pub led: Led,
}

/// What an event led to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Led {
    /// Events of our own, in order: they share the entry, since they cannot be without it.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub happened: Vec<Own>,
    /// What journeys made of it.
    #[serde(rename = "j", default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Moved>,
    /// What was to be sent: a delivery that comes again sends it again.
    #[serde(rename = "x", default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<Outgo>,
    /// What it changed about orders, and who had a part in that.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub credited: Option<Credited>,
    /// One thing led to another for too long; the rest was left out.
    #[serde(rename = "c", default, skip_serializing_if = "is_false")]
    pub cut: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_false(word: &bool) -> bool {
    !*word
}

/// An event of our own that another led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// Its name: `segment_entered`.
    #[serde(rename = "n")]
    pub name: String,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// What it says.
    #[serde(rename = "p")]
    pub properties: Map<String, Value>,
}

/// What a journey made of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The journey.
    #[serde(rename = "j")]
    pub journey: String,
    /// The record whose run it is.
    #[serde(rename = "cu")]
    pub customer: CustomerId,
    /// Which run of it.
    #[serde(rename = "n")]
    pub run: u32,
    /// Why, in order.
    #[serde(rename = "w")]
    pub why: Vec<journey::Reason>,
}

/// Something that leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outgo {
    /// A message to the customer.
    Message(Box<Order>),
    /// Somebody of ours is told, or has something to do.
    Tell(Tell),
    /// Another system is told by a journey.
    Webhook(Box<Call>),
    /// Another system is told of an event.
    Heard(Heard),
}

/// An event that another system is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The document of the receiver.
    #[serde(rename = "to")]
    pub webhook: String,
    /// The record that the entry is kept with.
    #[serde(rename = "cu")]
    pub customer: CustomerId,
    /// The entry.
    #[serde(rename = "e")]
    pub entry: EventId,
    /// Which event of the entry: 0 is what came, then what it led to.
    #[serde(rename = "n", default, skip_serializing_if = "is_first")]
    pub n: usize,
    /// When it happened.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_first(n: &usize) -> bool {
    *n == 0
}

impl Heard {
    /// The same for the same receiver and event.
    pub fn id(&self) -> String {
        let Self { webhook, customer, entry, n, .. } = self;
        format!("{customer}-{entry}-{n}-{webhook}")
    }
}

/// A rep is told something about a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    /// To this rep.
    #[serde(rename = "to")]
    pub rep: String,
    /// About this customer.
    #[serde(rename = "cu")]
    pub customer: CustomerId,
    /// By this journey.
    #[serde(rename = "j")]
    pub journey: String,
    /// The step: with customer, journey and rep the id of it.
    #[serde(rename = "p")]
    pub part: String,
    /// When it was asked for.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What, as the document says.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// It is something to do, by this time if there is one.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// By when.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
}

/// Another system is told of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Where.
    #[serde(rename = "to")]
    pub to: Webhook,
    /// Of this customer.
    #[serde(rename = "cu")]
    pub customer: CustomerId,
    /// By this journey.
    #[serde(rename = "j")]
    pub journey: String,
    /// The step: with customer and journey the id of it.
    #[serde(rename = "p")]
    pub part: String,
    /// When it was asked for.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// Facts that go along, by name.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
}

/// What is kept of where an event happened: what people look at and conditions may read. What else libraries send of the
/// machine and its network is neither.
const KEPT: [&str; 7] = ["page", "screen", "campaign", "referrer", "locale", "timezone", "groupId"];

impl Entry {
    /// An event as it is kept.
    pub fn of(who: &Who, event: &Event, manifest: u64, led: Led) -> Self {
        let context: Map<String, Value> = event
            .context
            .reveal()
            .iter()
            .filter(|(name, _)| KEPT.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self { who: who.clone(), event: Event { context: Pii::new(context), ..event.clone() }, manifest, led }
    }

    /// The event and those it led to.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        let own = self.led.happened.iter().enumerate().map(|(n, own)| own.event(&self.event.id, n));
        std::iter::once(self.event.clone()).chain(own)
    }
}

impl Entry {
    /// Notes who is to be told of the events from the `first` on.
    pub fn tell_others(&mut self, home: &CustomerId, policies: &PolicySet, first: usize) {
        if policies.webhooks.is_empty() {
            return;
        }
        let events: Vec<Event> = self.events().collect();
        for (n, event) in events.iter().enumerate().skip(first) {
            let key = event.key();
            let listening = policies.webhooks.values().filter(|webhook| webhook.hears(&key));
            self.led.sent.extend(listening.map(|webhook| {
                Outgo::Heard(Heard {
                    webhook: webhook.name.clone(),
                    customer: home.clone(),
                    entry: self.event.id.clone(),
                    n,
                    at: event.at,
                })
            }));
        }
    }
}

impl Tell {
    /// The same for the same step, customer and rep.
    pub fn id(&self) -> String {
        let Self { customer, journey, part, rep, .. } = self;
        format!("{customer}-{journey}-{part}-{rep}")
    }
}

impl Call {
    /// The same for the same step and customer.
    pub fn id(&self) -> String {
        let Self { customer, journey, part, .. } = self;
        format!("{customer}-{journey}-{part}")
    }
}

impl Led {
    /// Whether it led to nothing.
    pub const fn is_empty(&self) -> bool {
        self.happened.is_empty()
            && self.moved.is_empty()
            && self.sent.is_empty()
            && self.credited.is_none()
            && !self.cut
    }
}

impl Own {
    /// The function that tells of what follows from events.
    pub const SOURCE: &'static str = "advance-journey";

    /// As an event: the nth that `cause` led to.
    pub fn event(&self, cause: &EventId, n: usize) -> Event {
        debug_assert!(OWN_EVENTS.contains(&self.name.as_str()), "{} is told and not listed", self.name);
        Event {
            id: EventId::derived(&[Self::SOURCE, cause.as_str(), &n.to_string()]),
            kind: EventKind::Own,
            name: self.name.clone(),
            source: Self::SOURCE.to_owned(),
            at: self.at,
            received: self.at,
            properties: Pii::new(self.properties.clone()),
            traits: Pii::default(),
            context: Pii::default(),
        }
    }
}
