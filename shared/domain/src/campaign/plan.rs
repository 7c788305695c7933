//! Going through an audience: what each person gets, and at what instant. The same person gets the same each time a page
//! is gone through.

use super::{Broadcast, OfCampaign};
use crate::calendar::Zone;
use crate::id::CustomerId;
use crate::journey::{chance, is_held_out};
use crate::message::{Cause, CauseKind, Channel, Order};
use crate::policy::Campaign;
use crate::policy::campaign::minute;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parts of the table that an audience is read in at the same time.
pub const SECTIONS: u8 = 8;

/// How far one part of the table has been gone through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// Pages that are done.
    #[serde(rename = "p")]
    pub page: u32,
    /// Behind this place; none is from the start.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// All of it is done.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// People who were found to be in the audience.
    #[serde(rename = "n", default)]
    pub planned: u64,
    /// Places given at the provider, by when they begin.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<i64, u64>,
    /// When the last of its messages goes out.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// When the last of those who decide about its winner goes out.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<Timestamp>,
}

impl Section {
    /// From when until when its messages go out, at so many a second from all parts together: of each beginning, such as the
    /// same time in another zone.
    pub fn spans(&self, rate: u32) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let rate = u64::from(rate.max(1));
        self.slots.iter().map(move |(begin, given)| {
            let takes = given.saturating_mul(u64::from(SECTIONS) * 1000) / rate;
            let begin = Timestamp(*begin);
            (begin, begin.plus_millis(i64::try_from(takes).unwrap_or(i64::MAX)))
        })
    }
}

/// What a person gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// This variant; none is the one message that there is.
    Message(Option<u8>),
    /// The variant that wins.
    Winner,
    /// Nothing, to compare with.
    Nothing,
}

/// What a person gets, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What.
    pub share: Share,
    /// When.
    pub at: Timestamp,
}

/// Gives people their places in a broadcast.
#[derive(Clone, Copy, Debug)]
pub struct Planner<'a> {
    broadcast: &'a Broadcast,
    document: &'a Campaign,
    /// Messages a second.
    rate: Option<u32>,
    section: u8,
}

impl<'a> Planner<'a> {
    /// For one section of a broadcast that has begun; `rate` is what its channel takes a second. None before it began.
    pub fn new(broadcast: &'a Broadcast, rate: Option<u32>, section: u8) -> Option<Self> {
        let document = broadcast.document.as_ref()?;
        Some(Self { broadcast, document, rate: document.rate.or(rate), section })
    }

    /// The place of somebody who lives in this zone; taken down in the section.
    pub fn place(&self, section: &mut Section, customer: &CustomerId, zone: &Zone) -> Place {
        let (document, id) = (self.document, customer.as_str());
        let name = &document.name;
        let begin = self.begin(zone);
        let is_tested = document
            .winner
            .is_none_or(|winner| chance(&["test", name, id]) % 10_000 < u64::from(winner.test.hundredths()));
        let held_out = document.hold_out.is_some_and(|part| {
            // No journey is called so.
            is_held_out(part, &format!("campaign/{name}"), customer)
        });
        section.planned += 1;
        let place = match (held_out, is_tested) {
            (true, _) => Place { share: Share::Nothing, at: begin },
            (false, true) => {
                let at = self.slot(section, begin, customer);
                if document.winner.is_some() {
                    section.tested = section.tested.max(Some(at));
                }
                Place { share: Share::Message(self.variant(customer)), at }
            }
            (false, false) => {
                let after = document.winner.map_or(0, |winner| winner.after.millis());
                Place { share: Share::Winner, at: self.slot(section, begin.plus_millis(after), customer) }
            }
        };
        section.last = section.last.max(Some(place.at));
        place
    }

    /// When the first of those in this zone get it. Not before it began: what is late keeps its pace.
    fn begin(&self, zone: &Zone) -> Timestamp {
        let own = self.broadcast.local.and_then(|local| zone.minute_of(local.date(), minute(local)));
        own.unwrap_or(self.broadcast.at).max(self.broadcast.at).max(self.broadcast.began.unwrap_or_default())
    }

    /// Evenly within the time to spread over; else the next place at the provider's rate.
    fn slot(&self, section: &mut Section, begin: Timestamp, customer: &CustomerId) -> Timestamp {
        if let Some(spread) = self.document.spread {
            let within = chance(&["spread", &self.document.name, customer.as_str()])
                % spread.millis().max(1).unsigned_abs();
            return begin.plus_millis(i64::try_from(within).unwrap_or_default());
        }
        let Some(rate) = self.rate.map(|rate| u64::from(rate.max(1))) else { return begin };
        let given = section.slots.entry(begin.millis()).or_default();
        let place = *given * u64::from(SECTIONS) + u64::from(self.section);
        *given += 1;
        begin.plus_millis(i64::try_from(place * 1000 / rate).unwrap_or(i64::MAX))
    }

    /// The variant of a person: for one campaign always the same.
    fn variant(&self, customer: &CustomerId) -> Option<u8> {
        let variants = &self.document.variants;
        let total: u64 = variants.iter().map(|variant| u64::from(variant.weight)).sum();
        let mut ball = chance(&["variant", &self.document.name, customer.as_str()]) % total.max(1);
        for (at, variant) in variants.iter().enumerate() {
            match ball.checked_sub(u64::from(variant.weight)) {
                Some(rest) => ball = rest,
                None => return u8::try_from(at).ok(),
            }
        }
        None
    }
}

impl Broadcast {
    /// The order of what a person gets; none before it began, or of the winner before there is one. The same person's is the
    /// same message, whatever they get.
    pub fn order(&self, customer: &CustomerId, place: Place, channel: Channel) -> Option<Order> {
        let document = self.document.as_ref()?;
        let variant = match place.share {
            Share::Message(variant) => variant,
            Share::Winner => Some(self.winner?.variant),
            Share::Nothing => None,
        };
        let send = &document.send;
        Some(Order {
            customer: customer.clone(),
            at: self.at,
            cause: Cause { kind: CauseKind::Campaign, name: self.campaign.clone(), part: self.n.to_string() },
            channel,
            template: document.template(variant).to_owned(),
            topic: send.topic.clone(),
            language: None,
            bulk: true,
            at_cap: send.at_cap,
            in_quiet_hours: send.in_quiet_hours,
            replacement: send.replacement.clone(),
            unknown: send.unknown,
            not_after: send.within.map(|within| place.at.plus_millis(within.millis())),
            campaign: Some(OfCampaign {
                broadcast: self.n,
                shards: self.shards,
                variant,
                held_out: place.share == Share::Nothing,
                audience: document.audience.print(),
            }),
        })
    }
}
