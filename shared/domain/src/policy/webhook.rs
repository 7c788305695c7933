//! Other systems that are told of what happens.

use super::{SecretRef, Webhook};
use serde::{Deserialize, Serialize};

/// A receiver of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// `https://…`
    pub url: String,
    /// Signing secret, `whsec_…`; several during a rotation.
    pub secrets: Vec<SecretRef>,
    /// Names of events as policies write them; `*` is all of them.
    pub events: Vec<String>,
}

impl Subscription {
    /// The word for every event.
    pub const ALL: &'static str = "*";

    /// Whether it is told of events of this name.
    pub fn hears(&self, event: &str) -> bool {
        self.events.iter().any(|name| name == Self::ALL || name == event)
    }

    /// Where its calls go, and what they are signed with.
    pub fn webhook(&self) -> Webhook {
        Webhook { url: self.url.clone(), secrets: self.secrets.clone() }
    }
}
