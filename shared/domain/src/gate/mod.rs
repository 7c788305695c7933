//! The gate: what an address wants, and whether a message may go to it now.
//!
//! There is one gate for each address and channel. It belongs to the address and not to a person, so merging, un-merging
//! and erasing a person never loosen it. Whoever sends reads it and claims the message in one transaction with it, so an
//! opt-out that was acknowledged stops every send that has not been claimed (I4).

mod choice;
mod decide;
mod proof;
#[cfg(test)]
mod tests;

pub use choice::{Change, Choice};
pub use decide::{Ask, Gates, Verdict, decide, zone_of};
pub use proof::{How, Proof, Said};

use crate::policy::Cap;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The word for "every topic" in what an address says.
pub const EVERY_TOPIC: &str = "*";

/// What an address and its provider have said, and what was sent to it of late. What was said is kept as the latest
/// time of each kind, so that it comes to the same in whatever order it arrives (I13).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// What the person said, by topic; [`EVERY_TOPIC`] is about all.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub says: BTreeMap<String, Says>,
    /// What happened after which nothing may be sent, and when last.
    #[serde(rename = "x", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub suppressed: BTreeMap<SuppressedBy, Timestamp>,
    /// When somebody of the company said that messages may be sent again: what suppressed it before counts no more.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Timestamp>,
    /// Its person was erased.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Timestamp>,
    /// Messages that could not be delivered for the time being, oldest first.
    #[serde(rename = "b", default, skip_serializing_if = "Vec::is_empty")]
    pub soft_bounces: Vec<SoftBounce>,
    /// Soft bounces up to here count no more.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub forgiven: Option<Timestamp>,
    /// When messages that count for caps were claimed, oldest first.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Timestamp>,
    /// When those of them were that ask whether messages are wanted, oldest first.
    #[serde(rename = "q", default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Timestamp>,
}

/// A message that could not be delivered for the time being.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SoftBounce {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Which: told again, it is the same one.
    #[serde(rename = "i")]
    pub event: String,
}

/// When somebody last said what about a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Says {
    /// No messages.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub no: Option<Timestamp>,
    /// Messages; perhaps not confirmed.
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub yes: Option<Timestamp>,
    /// Messages, by the link in one.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Timestamp>,
    /// Messages, as a file says that somebody brought in. It counts only while the person has never said no.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Timestamp>,
}

impl Says {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            no: self.no.max(other.no),
            yes: self.yes.max(other.yes),
            confirmed: self.confirmed.max(other.confirmed),
            imported: self.imported.max(other.imported),
        }
    }

    /// What is left of it once the person was erased at `at`: what was refused, and what was said since.
    #[must_use]
    pub fn after_erasure(self, at: Timestamp) -> Self {
        let since = |said: Option<Timestamp>| said.filter(|said| *said > at);
        Self { no: self.no, yes: since(self.yes), confirmed: since(self.confirmed), imported: None }
    }

    /// What stands of it, and since when; none if nothing was said. Of two of one time the more cautious.
    pub fn stands(self) -> Option<(Wish, Timestamp)> {
        let after_no = |at: Option<Timestamp>| at.filter(|at| self.no.is_none_or(|no| *at > no));
        let confirmed = after_no(self.confirmed).map(|at| (Wish::Confirmed, at));
        let yes = || after_no(self.yes).map(|at| (Wish::Yes, at));
        let no = || self.no.map(|at| (Wish::No, at));
        confirmed.or_else(yes).or_else(no).or_else(|| Some((Wish::Yes, self.imported?)))
    }
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// No messages.
    No,
    /// Messages; said, and not confirmed.
    Yes,
    /// Messages; confirmed by the link in one.
    Confirmed,
}

impl Wish {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Yes => "yes",
            Self::Confirmed => "confirmed",
        }
    }
}

/// What suppressed an address; the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressedBy {
    /// Its owner called a message spam.
    Complaint,
    /// The address does not exist.
    HardBounce,
    /// Messages could not be delivered too many times.
    SoftBounces,
    /// Somebody of the company.
    Person,
}

impl SuppressedBy {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complaint => "complaint",
            Self::HardBounce => "hard_bounce",
            Self::SoftBounces => "soft_bounces",
            Self::Person => "person",
        }
    }
}

/// Why a message does not go out, or not now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The customer has no address on this channel.
    NoAddress,
    /// The channel has no document.
    NoChannel,
    /// What it is about has no document, or none any more: what somebody has to have said for it is not known.
    NoTopic,
    /// The template is gone, or cannot be rendered for this customer: what is wrong.
    Template(String),
    /// The address is suppressed.
    Suppressed(SuppressedBy),
    /// Its person was erased.
    Erased,
    /// The person wants nothing about this topic, or about any.
    OptedOut(Timestamp),
    /// The person has not said yes.
    NoConsent,
    /// The person has said yes and not confirmed it.
    NotConfirmed,
    /// The person has confirmed what the message asks.
    Confirmed,
    /// As many as may be within a time went out.
    Cap(Cap),
    /// It is night where the customer lives.
    QuietHours,
    /// It would be too late.
    TooLate,
    /// The provider takes no more just now.
    Pace,
    /// The person is of the part that gets nothing, to compare with.
    HeldOut,
    /// The person is not in the campaign's audience any more.
    LeftAudience,
    /// The campaign was cancelled.
    Cancelled,
    /// The person gets the campaign's message by another record of theirs.
    Merged,
}

impl Reason {
    /// The word used on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoAddress => "no_address",
            Self::NoChannel => "no_channel",
            Self::NoTopic => "no_topic",
            Self::Template(_) => "template",
            Self::Suppressed(_) => "suppressed",
            Self::Erased => "erased",
            Self::OptedOut(_) => "opted_out",
            Self::NoConsent => "no_consent",
            Self::NotConfirmed => "not_confirmed",
            Self::Confirmed => "confirmed",
            Self::Cap(_) => "cap",
            Self::QuietHours => "quiet_hours",
            Self::TooLate => "too_late",
            Self::Pace => "pace",
            Self::HeldOut => "held_out",
            Self::LeftAudience => "left_audience",
            Self::Cancelled => "cancelled",
            Self::Merged => "merged",
        }
    }

    /// The reason in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::NoAddress => "the customer has no address for this channel".to_owned(),
            Self::NoChannel => "the channel has no document".to_owned(),
            Self::NoTopic => "no document describes its topic".to_owned(),
            Self::Template(what) => format!("the template cannot be used: {what}"),
            Self::Suppressed(SuppressedBy::HardBounce) => "the address does not exist".to_owned(),
            Self::Suppressed(SuppressedBy::Complaint) => "its owner called a message spam".to_owned(),
            Self::Suppressed(SuppressedBy::SoftBounces) => "too many messages came back".to_owned(),
            Self::Suppressed(SuppressedBy::Person) => "somebody has put the address on the list".to_owned(),
            Self::Erased => "the person was erased".to_owned(),
            Self::OptedOut(at) => format!("the person said no at {at}"),
            Self::NoConsent => "the person has not said yes to this topic".to_owned(),
            Self::NotConfirmed => "the person has not confirmed that they want this".to_owned(),
            Self::Confirmed => "the person has confirmed it already".to_owned(),
            Self::Cap(cap) => format!("{} messages within {} is as many as may be", cap.at_most, cap.within),
            Self::QuietHours => "it is outside the hours in which the customer may be written to".to_owned(),
            Self::TooLate => "it would come too late".to_owned(),
            Self::Pace => "the provider takes no more just now".to_owned(),
            Self::HeldOut => "the person gets nothing, to compare with".to_owned(),
            Self::LeftAudience => "the person is not in the audience any more".to_owned(),
            Self::Cancelled => "the campaign was cancelled".to_owned(),
            Self::Merged => "another record of the person gets the campaign's message".to_owned(),
        }
    }
}

/// How many times a gate remembers: as many as a cap can ask for, and as many again for caps that overlap.
const MAX_RECENT: usize = Cap::MOST as usize;

impl Gate {
    /// Takes down what somebody said about a topic.
    pub fn say(&mut self, topic: &str, wish: Wish, at: Timestamp) {
        let mut says = Says::default();
        match wish {
            Wish::No => says.no = Some(at),
            Wish::Yes => says.yes = Some(at),
            Wish::Confirmed => says.confirmed = Some(at),
        }
        self.hear(topic, says);
    }

    /// Takes down that a file which was brought in says yes to a topic.
    pub fn import(&mut self, topic: &str, at: Timestamp) {
        self.hear(topic, Says { imported: Some(at), ..Says::default() });
    }

    /// Of what files said about a topic the `newest` yes is left that was not taken back.
    pub fn leave_of_imports(&mut self, topic: &str, newest: Option<Timestamp>) {
        let says = self.says.entry(topic.to_owned()).or_default();
        says.imported = newest;
        if *says == Says::default() {
            self.says.remove(topic);
        }
    }

    fn hear(&mut self, topic: &str, says: Says) {
        let held = self.says.entry(topic.to_owned()).or_default();
        *held = held.and(says);
    }

    /// What holds for a topic: what was said of it and of all. Of a person who was erased no file says what they want.
    pub fn wish(&self, topic: &str) -> Option<(Wish, Timestamp)> {
        self.said_of(topic).stands()
    }

    /// The same by the person's own words alone: what no file says.
    pub fn word(&self, topic: &str) -> Option<(Wish, Timestamp)> {
        Says { imported: None, ..self.said_of(topic) }.stands()
    }

    /// Whether anything was confirmed after `at`.
    fn is_confirmed_since(&self, at: Timestamp) -> bool {
        self.says.values().any(|says| says.confirmed > Some(at))
    }

    fn said_of(&self, topic: &str) -> Says {
        let about = |name: &str| self.says.get(name).copied().unwrap_or_default();
        let says = about(topic).and(about(EVERY_TOPIC));
        self.erased.map_or(says, |at| says.after_erasure(at))
    }

    /// Nothing goes to this address from now on.
    pub fn suppress(&mut self, why: SuppressedBy, at: Timestamp) {
        let held = self.suppressed.entry(why).or_insert(at);
        *held = at.max(*held);
    }

    /// Somebody of the company says that messages may be sent again.
    pub fn lift(&mut self, at: Timestamp) {
        self.lifted = self.lifted.max(Some(at));
        self.forgive(at);
    }

    /// Why nothing may be sent to the address, and since when; the gravest if there are several.
    pub fn suppression(&self) -> Option<(SuppressedBy, Timestamp)> {
        let stands = |at: Timestamp| self.lifted.is_none_or(|lifted| at > lifted);
        self.suppressed.iter().map(|(why, at)| (*why, *at)).find(|(_, at)| stands(*at))
    }

    /// A message could not be delivered for the time being. Too many within a time suppress the address, and are done
    /// with. It counts once however often it is told; not at all if a message got through since that forgave another, or if
    /// it is so old that it does not matter beside the newest. A delivery that had nothing to forgive is not remembered, which
    /// spares a write for each: a bounce from before it that is told after it counts.
    pub fn soft_bounce(&mut self, at: Timestamp, event: &str, limit: Cap) {
        let is_known = self.soft_bounces.iter().any(|known| known.event == event);
        if is_known || self.forgiven.max(self.lifted).is_some_and(|until| at <= until) {
            return;
        }
        self.soft_bounces.push(SoftBounce { at, event: event.to_owned() });
        self.soft_bounces.sort();
        let newest = self.soft_bounces.last().map_or(at, |last| last.at);
        self.forgive(newest.plus_millis(-limit.within.millis() - 1));
        if self.soft_bounces.len() >= limit.at_most as usize {
            self.suppress(SuppressedBy::SoftBounces, newest);
            self.forgive(newest);
        }
    }

    /// A message got through: what failed before it for the time being counts no more.
    pub fn delivered(&mut self, at: Timestamp) {
        self.forgive(at);
    }

    /// Soft bounces up to then count no more. Without any there is nothing to remember.
    fn forgive(&mut self, until: Timestamp) {
        if self.soft_bounces.first().is_some_and(|oldest| oldest.at <= until) {
            self.soft_bounces.retain(|bounce| bounce.at > until);
            self.forgiven = self.forgiven.max(Some(until));
        }
    }

    /// A message that counts for caps was claimed.
    pub fn claimed(&mut self, at: Timestamp) {
        insert(&mut self.recent, at);
    }

    /// The message that was claimed asks whether messages are wanted.
    pub fn asks(&mut self, at: Timestamp) {
        insert(&mut self.asked, at);
    }

    /// The claim made at `at` was given back: the message did not go out.
    pub fn given_back(&mut self, at: Timestamp) {
        for times in [&mut self.recent, &mut self.asked] {
            if let Some(index) = times.iter().position(|claimed| *claimed == at) {
                times.remove(index);
            }
        }
    }

    /// The person was erased: what they wanted until then is forgotten, that they said no is not.
    pub fn erase(&mut self, at: Timestamp) {
        self.says.retain(|_, says| {
            *says = says.after_erasure(at);
            *says != Says::default()
        });
        self.erased = self.erased.max(Some(at));
        self.recent.retain(|sent| *sent > at);
        self.asked.retain(|asked| *asked > at);
        self.forgive(at);
    }

    /// What two records of one address say together: the same under two keys of a rotation.
    #[must_use]
    pub fn together(mut self, other: &Self) -> Self {
        for (topic, says) in &other.says {
            self.hear(topic, *says);
        }
        for (why, at) in &other.suppressed {
            self.suppress(*why, *at);
        }
        self.lifted = self.lifted.max(other.lifted);
        self.erased = self.erased.max(other.erased);
        for (ours, theirs) in [(&mut self.recent, &other.recent), (&mut self.asked, &other.asked)] {
            // Two messages may have been claimed in one instant; one that is in both records is one.
            let times = |of: &[Timestamp], at: Timestamp| of.iter().filter(|held| **held == at).count();
            for at in theirs {
                if times(ours, *at) < times(theirs, *at) {
                    insert(ours, *at);
                }
            }
        }
        self.soft_bounces.extend(other.soft_bounces.iter().cloned());
        self.soft_bounces.sort();
        self.soft_bounces.dedup();
        self.forgiven = self.forgiven.max(other.forgiven);
        if let Some(forgiven) = self.forgiven {
            self.soft_bounces.retain(|bounce| bounce.at > forgiven);
        }
        self
    }
}

/// Keeps times in order and no more than can matter.
fn insert(times: &mut Vec<Timestamp>, at: Timestamp) {
    let place = times.partition_point(|held| *held <= at);
    times.insert(place, at);
    if times.len() > MAX_RECENT {
        times.remove(0);
    }
}
