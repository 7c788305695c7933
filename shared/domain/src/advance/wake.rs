//! What is due for a customer.

use crate::customer::Customer;
use crate::event::{Event, EventKind, Own};
use crate::id::{CustomerId, EventId};
use crate::pii::Pii;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that is due for a customer. It is done only if it is still what the customer's record waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wake {
    /// Whose record.
    #[serde(rename = "cu")]
    pub customer: CustomerId,
    /// The journey whose run it is; none is the customer's own check.
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    pub journey: Option<String>,
    /// What it must match.
    #[serde(rename = "k")]
    pub token: String,
    /// When it is due.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

/// What tokens of looks at everybody begin with.
const PASS: &str = "pass.";
/// What tokens of looks at somebody begin with whose records were joined, taken apart, or left with less than they said.
const JOINED: &str = "joined.";

impl Wake {
    /// A look at a customer because policies of this version were published.
    pub fn pass(customer: CustomerId, version: u64) -> Self {
        Self { customer, journey: None, token: format!("{PASS}{version}"), at: Timestamp(0) }
    }

    /// Whether it is such a look.
    pub fn is_pass(&self) -> bool {
        self.journey.is_none() && self.token.starts_with(PASS)
    }

    /// A look at somebody because what is said of them, or of which records they are, was changed in this record by no event: one for
    /// each time.
    pub fn joined(record: &Customer, at: Timestamp) -> Self {
        let token = format!("{JOINED}{}", record.version);
        Self { customer: record.id.clone(), journey: None, token, at }
    }

    /// Whether it is such a look.
    pub fn is_joined(&self) -> bool {
        self.journey.is_none() && self.token.starts_with(JOINED)
    }

    /// The same for the same wake: for due entries.
    pub fn id(&self) -> String {
        let journey = self.journey.as_deref().unwrap_or("-");
        format!("wake-{}-{journey}-{}", self.customer, self.token)
    }

    /// As an event of our own, whose entry is the receipt of what the wake led to.
    pub(super) fn event(&self, now: Timestamp) -> Event {
        let mut properties = Map::new();
        if let Some(journey) = &self.journey {
            properties.insert("journey".to_owned(), Value::String(journey.clone()));
        }
        let name = match self.journey {
            Some(_) => "wait_over",
            None if self.is_pass() => "policies_published",
            None if self.is_joined() => "records_changed",
            None => "time_passed",
        };
        Event {
            id: self.event_id(),
            kind: EventKind::Own,
            name: name.to_owned(),
            source: Own::SOURCE.to_owned(),
            at: now,
            received: now,
            properties: Pii::new(properties),
            traits: Pii::default(),
            context: Pii::default(),
        }
    }

    /// The id of that event.
    pub fn event_id(&self) -> EventId {
        let journey = self.journey.as_deref().unwrap_or("-");
        EventId::derived(&["wake", self.customer.as_str(), journey, &self.token])
    }
}
