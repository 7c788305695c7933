//! What is counted.

use serde::{Deserialize, Serialize};

/// How an order is credited to what brought its buyer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// All to the first touch.
    First,
    /// All to the last touch.
    #[default]
    Last,
    /// To all alike.
    Linear,
    /// 40 % to the first, 40 % to the last, the rest to those between.
    Position,
    /// The more the later: half as much for each half-life before the order.
    TimeDecay,
}

impl Model {
    /// Every model.
    pub const ALL: [Self; 5] = [Self::First, Self::Last, Self::Linear, Self::Position, Self::TimeDecay];

    /// The word used on the wire and in counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Linear => "linear",
            Self::Position => "position",
            Self::TimeDecay => "time_decay",
        }
    }

    /// The model with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }
}

/// What an order is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worth {
    /// One order; credited in thousandths.
    Orders,
    /// One person who had bought nothing before; credited in thousandths.
    Buyers,
    /// Money, in hundredths of the currency.
    Revenue,
}

impl Worth {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Orders, Self::Buyers, Self::Revenue];

    /// The word used in counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Buyers => "buyers",
            Self::Revenue => "revenue",
        }
    }
}

/// One counter of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Leads that were routed, by where they came from.
    Leads,
    /// Leads that were given to somebody; one that is given twice counts twice.
    Assigned,
    /// Leads that whoever has them took on.
    Accepted,
    /// Leads worked to their end.
    Closed,
    /// Leads that were none after all.
    Disqualified,
    /// Runs that began. This and the next three count on the day on which the run began.
    Entered,
    /// Runs that would have begun and get nothing, to compare with.
    HeldOut,
    /// Runs that reached the goal, of those that began; people who did, of those whom a campaign reached. The latter count on the day
    /// of the broadcast.
    Reached,
    /// The same, of those that get nothing.
    HeldOutReached,
    /// Messages that went out.
    Sent,
    /// Messages that arrived.
    Delivered,
    /// Messages that came back, for good or not.
    Bounced,
    /// Messages that were called spam.
    Complained,
    /// Messages that a person opened, each once.
    Opened,
    /// Messages a link of which a person followed, each once.
    Clicked,
    /// Messages by which somebody said that they want no more.
    Unsubscribed,
    /// What orders came to, all of it: for whoever owned the buyer.
    Whole(Worth),
    /// What was credited of orders.
    Credited(Model, Worth),
}

impl Counter {
    const PLAIN: [Self; 16] = [
        Self::Leads,
        Self::Assigned,
        Self::Accepted,
        Self::Closed,
        Self::Disqualified,
        Self::Entered,
        Self::HeldOut,
        Self::Reached,
        Self::HeldOutReached,
        Self::Sent,
        Self::Delivered,
        Self::Bounced,
        Self::Complained,
        Self::Opened,
        Self::Clicked,
        Self::Unsubscribed,
    ];

    /// Every counter.
    pub fn all() -> impl Iterator<Item = Self> {
        let whole = Worth::ALL.into_iter().map(Self::Whole);
        let credited = Model::ALL
            .into_iter()
            .flat_map(|model| Worth::ALL.into_iter().map(move |worth| Self::Credited(model, worth)));
        Self::PLAIN.into_iter().chain(whole).chain(credited)
    }

    /// Its name: `sent`, `revenue`, `revenue.linear`.
    pub fn name(self) -> String {
        let name = match self {
            Self::Leads => "leads",
            Self::Assigned => "assigned",
            Self::Accepted => "accepted",
            Self::Closed => "closed",
            Self::Disqualified => "disqualified",
            Self::Entered => "entered",
            Self::HeldOut => "held_out",
            Self::Reached => "reached",
            Self::HeldOutReached => "held_out_reached",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Opened => "opened",
            Self::Clicked => "clicked",
            Self::Unsubscribed => "unsubscribed",
            Self::Whole(worth) => worth.name(),
            Self::Credited(model, worth) => return format!("{}.{}", worth.name(), model.name()),
        };
        name.to_owned()
    }

    /// The counter with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|counter| counter.name() == name)
    }
}
