//! Whom campaigns reached, and whom they left out to compare with: kept with the person until they do what it is for.

use super::touch::{said, text};
use crate::event::Event;
use crate::policy::PolicySet;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One broadcast and one person of its audience, of a campaign that has a goal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// The campaign.
    #[serde(rename = "c")]
    pub campaign: String,
    /// Which broadcast of it.
    #[serde(rename = "b")]
    pub broadcast: u64,
    /// When that was.
    #[serde(rename = "bt")]
    pub broadcast_at: Timestamp,
    /// Which of its variants, by place.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<u8>,
    /// They got nothing.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub held_out: bool,
    /// What it is for: an event of this name.
    #[serde(rename = "g")]
    pub goal: String,
    /// From when on.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Until when.
    #[serde(rename = "u")]
    pub until: Timestamp,
}

impl Exposure {
    /// What an event says of a campaign that has a goal: that its message went out, or that it was to go to nobody.
    pub fn of(event: &Event, policies: &PolicySet) -> Option<Self> {
        let said = said(event)?;
        let held_out = match event.name.as_str() {
            "message_sent" => false,
            "campaign_held_out" => true,
            _ => return None,
        };
        let campaign = text(said, "campaign")?;
        let goal = policies.campaigns.get(campaign)?.0.goal.as_ref()?;
        Some(Self {
            campaign: campaign.to_owned(),
            broadcast: said.get("broadcast")?.as_u64()?,
            broadcast_at: text(said, "broadcast_at").and_then(Timestamp::parse)?,
            variant: variant(said),
            held_out,
            goal: goal.event.clone(),
            at: event.at,
            until: event.at.plus_millis(goal.within.millis()),
        })
    }

    /// What is told once they did what it is for.
    pub fn reached(&self) -> Value {
        let mut said = json!({
            "campaign": self.campaign, "broadcast": self.broadcast, "broadcast_at": self.broadcast_at.rfc3339(),
        });
        if let Some(variant) = self.variant {
            said["variant"] = variant.into();
        }
        if self.held_out {
            said["held_out"] = true.into();
        }
        said
    }
}

/// The variant of a campaign, by place, that an event is about.
pub(super) fn variant(said: &Map<String, Value>) -> Option<u8> {
    said.get("variant").and_then(Value::as_u64).and_then(|place| u8::try_from(place).ok())
}

/// Those of a customer record that may still lead to something, as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exposures(Vec<Exposure>);

impl Exposures {
    /// The most that are kept: they are part of an item that is charged by the kilobyte.
    pub const MOST: usize = 10;

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Exposure> {
        self.0.iter()
    }

    /// One more, once for each broadcast. Of too many the one goes that ends first.
    pub fn add(&mut self, exposure: Exposure) {
        let same =
            |known: &Exposure| (&known.campaign, known.broadcast) == (&exposure.campaign, exposure.broadcast);
        if self.0.iter().any(same) {
            return;
        }
        self.0.push(exposure);
        if self.0.len() > Self::MOST
            && let Some((first, _)) = self.0.iter().enumerate().min_by_key(|(_, known)| known.until)
        {
            self.0.remove(first);
        }
    }

    /// Whether an event of this name, then, is what any of them is for.
    pub fn are_for(&self, name: &str, at: Timestamp) -> bool {
        self.0.iter().any(|exposure| is_for(exposure, name, at))
    }

    /// Those that such an event ends; each ends once.
    pub fn take(&mut self, name: &str, at: Timestamp) -> Vec<Exposure> {
        let (ended, left) = self.0.drain(..).partition(|exposure| is_for(exposure, name, at));
        self.0 = left;
        ended
    }
}

fn is_for(exposure: &Exposure, name: &str, at: Timestamp) -> bool {
    exposure.goal == name && (exposure.at..=exposure.until).contains(&at)
}
