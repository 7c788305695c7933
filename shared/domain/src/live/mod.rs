//! What behaviour has made of a customer, up to date with each event: counts, scores, stage, tags, orders, segments.
//!
//! One small item per customer record, because each write is charged by the kilobyte. Everything in it that comes from
//! events carries their times, so events may come late and in any order: the same events make the same state, and what is
//! older never replaces what is newer (I13).

mod counts;
mod deed;
mod happening;
mod look;
mod orders;
mod points;
mod policy;
mod qualification;
mod recount;
mod rhythm;
mod stage;
mod tags;
#[cfg(test)]
mod tests;
mod view;

pub use counts::{Need, Seen};
pub use deed::Deed;
pub use happening::{Axis, Happening};
pub use look::{Look, first_look_is_due, look};
pub use orders::{Bought, ORDER_EVENTS, Orders};
pub(crate) use orders::{hundredths, order_of};
pub use points::{Line, Points};
pub use policy::{CompiledSegment, LiveDocuments, LivePolicy, Stages};
pub use qualification::{Lacking, Qualification, Settled};
pub use recount::recount;
pub use rhythm::{ChurnRisk, Rhythm};
pub use stage::StageLog;
pub use tags::Tags;
pub use view::{Person, View, event_view, see};

use crate::condition::Scope;
use crate::event::{Event, EventKind};
use crate::id::EventId;
use crate::segment::{Changed, Input};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// When something was said: by time, then by the id of the event, so that everybody sees one order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// When.
    pub at: Timestamp,
    /// The beginning of the event's id. What was decided by looking has seen the events of its instant and comes after.
    tie: String,
}

impl Instant {
    /// Of an event.
    pub fn of(event: &Event) -> Self {
        let id = event.id.as_str().strip_prefix(EventId::PREFIX).unwrap_or_default();
        Self { at: event.at, tie: id.get(..8).unwrap_or(id).to_owned() }
    }

    /// Of a look.
    pub fn look(at: Timestamp) -> Self {
        Self { at, tie: LOOK.to_owned() }
    }
}

/// Counted by no policies.
const AGAIN: &str = "?";

/// Sorts after the beginning of every id.
const LOOK: &str = "~";

/// One short text: milliseconds and tie.
impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}.{}", self.at.millis(), self.tie))
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let read = text.split_once('.').and_then(|(at, tie)| Some((at.parse().ok()?, tie)));
        let (at, tie) = read.ok_or_else(|| D::Error::custom("not an instant"))?;
        Ok(Self { at: Timestamp(at), tie: tie.to_owned() })
    }
}

/// What was made known of levels at the last look: what differs at the next has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// Points of fit.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    fit: Option<i32>,
    /// Grade of fit.
    #[serde(rename = "fg", default, skip_serializing_if = "String::is_empty")]
    fit_grade: String,
    /// Grade of interest.
    #[serde(rename = "ig", default, skip_serializing_if = "String::is_empty")]
    interest_grade: String,
    /// Tier.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    tier: String,
    /// Churn risk.
    #[serde(rename = "c", default, skip_serializing_if = "ChurnRisk::is_none")]
    churn: ChurnRisk,
}

impl Known {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What behaviour has made of one customer record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// When the events happened that some condition asks for, by name.
    #[serde(rename = "c", default, skip_serializing_if = "BTreeMap::is_empty")]
    counts: BTreeMap<String, Seen>,
    /// When the person last did anything, in seconds.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    last: Option<i64>,
    #[serde(rename = "b", default, skip_serializing_if = "Rhythm::is_empty")]
    rhythm: Rhythm,
    #[serde(rename = "i", default, skip_serializing_if = "Points::is_empty")]
    interest: Points,
    /// Points that people and journeys gave.
    #[serde(rename = "e", default, skip_serializing_if = "Points::is_empty")]
    given: Points,
    #[serde(rename = "o", default, skip_serializing_if = "Orders::is_empty")]
    orders: Orders,
    #[serde(rename = "q", default, skip_serializing_if = "Qualification::is_empty")]
    qualification: Qualification,
    #[serde(rename = "t", default, skip_serializing_if = "Tags::is_empty")]
    tags: Tags,
    #[serde(rename = "s", default, skip_serializing_if = "StageLog::is_empty")]
    stage: StageLog,
    /// The segments that the person is in, each with since when in seconds.
    #[serde(rename = "g", default, skip_serializing_if = "BTreeMap::is_empty")]
    segments: BTreeMap<String, i64>,
    #[serde(rename = "k", default, skip_serializing_if = "Known::is_empty")]
    known: Known,
    /// What it was counted by, see [`LivePolicy::spec`].
    #[serde(rename = "v", default, skip_serializing_if = "String::is_empty")]
    spec: String,
    /// The manifest version of the last look at all segments; 0 is none.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    looked: u64,
    /// When the next look is due that time alone asks for.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    check: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What an event did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// What is to be made known.
    pub happenings: Vec<Happening>,
    /// What conditions may see differently now.
    pub changed: Changed,
}

impl Live {
    /// The state of a record that is made just now: whatever was published before is not new to it.
    pub fn new(policy: &LivePolicy) -> Self {
        Self { spec: policy.spec.clone(), looked: policy.version, ..Self::default() }
    }

    /// The record is no older than what is published: nothing of that is new to it.
    pub(crate) fn meet(&mut self, policy: &LivePolicy) {
        self.looked = policy.version;
    }

    /// Takes an event in. Each event once: repeats are dropped by whoever keeps the entries.
    pub fn apply(&mut self, event: &Event, policy: &LivePolicy, now: Timestamp) -> Applied {
        let mut applied = Applied::default();
        let key = event.key();
        let at = Instant::of(event);
        if let Some(need) = policy.counted.get(&key) {
            self.counts.entry(key.clone()).or_default().add(event.at, *need, now);
            applied.changed.inputs.insert(Input::Event(key.clone()));
        }
        if is_doing(event, &key) {
            let before = self.last.map(Timestamp::from_seconds);
            if before.is_none_or(|before| event.at > before) {
                applied.changed.silence = Some(before.map_or(i64::MAX, |before| event.at.since(before)));
            }
            self.last = self.last.max(Some(event.at.seconds()));
            if policy.churn.events.is_empty() || policy.churn.events.contains(&key) {
                self.rhythm.add(event.at);
                applied.changed.inputs.insert(Input::Churn);
            }
        }
        if policy.is_order(&key) {
            self.orders.take(&key, event, policy.rfm.currency.as_deref());
            applied.changed.inputs.insert(Input::Rfm);
        }
        self.score(event, &key, policy, now, &mut applied);
        let before = self.stage.stage().map(str::to_owned);
        self.move_by(event, &key, at.clone(), policy);
        if let Some(deed) = Deed::of(event) {
            self.take(&deed, at, policy, now, &mut applied);
        }
        self.stage_changed(before, policy, &mut applied);
        applied
    }

    fn score(
        &mut self,
        event: &Event,
        key: &str,
        policy: &LivePolicy,
        now: Timestamp,
        applied: &mut Applied,
    ) {
        let rules = policy.interest.get(key).map(Vec::as_slice).unwrap_or_default();
        for rule in rules.iter().filter(|rule| holds_of(rule.filter.as_ref(), event)) {
            self.interest.add(&rule.name, rule.points, event.at, policy.half_life(), now);
            applied.changed.inputs.insert(Input::Interest);
        }
    }

    fn move_by(&mut self, event: &Event, key: &str, at: Instant, policy: &LivePolicy) {
        let mut bits = 0u32;
        for place in policy.moves_on.get(key).map(Vec::as_slice).unwrap_or_default() {
            let step = policy.stages.moves().get(*place);
            if *place < 32 && step.is_some_and(|step| holds_of(step.filter.as_ref(), event)) {
                bits |= 1 << place;
            }
        }
        if bits != 0 {
            self.stage.event(bits, at, &policy.stages);
        }
    }

    fn stage_changed(&self, before: Option<String>, policy: &LivePolicy, applied: &mut Applied) {
        let first = policy.stages.first();
        let from = before.as_deref().unwrap_or(first);
        let to = self.stage.stage().unwrap_or(first);
        if from != to {
            applied.changed.inputs.insert(Input::Stage);
            let (from, to) = (from.to_owned(), to.to_owned());
            applied.happenings.push(Happening::StageChanged { from, to });
        }
    }

    /// Does what a person or a journey says, which is not written down as an event of its own.
    pub fn do_now(&mut self, deed: &Deed, at: Instant, policy: &LivePolicy, now: Timestamp) -> Applied {
        let mut applied = Applied::default();
        let before = self.stage.stage().map(str::to_owned);
        self.take(deed, at, policy, now, &mut applied);
        self.stage_changed(before, policy, &mut applied);
        applied
    }

    fn take(&mut self, deed: &Deed, at: Instant, policy: &LivePolicy, now: Timestamp, applied: &mut Applied) {
        match deed {
            Deed::Tag { tag, until } => {
                let had = self.tags.holds(tag, now);
                self.tags.give(tag, *until, at, now);
                if !had && self.tags.holds(tag, now) {
                    applied.changed.inputs.insert(Input::Tag(tag.clone()));
                    applied.happenings.push(Happening::TagAdded { tag: tag.clone() });
                }
                // A tag may end earlier than the next look is due.
                applied.changed.inputs.insert(Input::Tag(tag.clone()));
            }
            Deed::Untag { tag } => {
                let had = self.tags.holds(tag, now);
                self.tags.take(tag, at, now);
                if had && !self.tags.holds(tag, now) {
                    applied.changed.inputs.insert(Input::Tag(tag.clone()));
                    applied.happenings.push(Happening::TagRemoved { tag: tag.clone() });
                }
            }
            Deed::Stage { stage } => {
                if policy.stages.names().contains(stage) {
                    self.stage.set(stage, at, &policy.stages);
                }
            }
            Deed::Points { points, reason } => {
                self.given.add(reason, *points, at.at, policy.half_life(), now);
                applied.changed.inputs.insert(Input::Interest);
            }
            Deed::Qualify { said } => {
                if self.qualification.say(said.reveal(), &at) {
                    applied.changed.inputs.insert(Input::Qualification);
                    let missing = self.qualification.missing();
                    applied.happenings.push(Happening::Qualified { missing });
                }
            }
        }
    }

    /// Whether everything that the policies count is counted, and every order is known that could be; if not, see [`recount`].
    pub fn is_counted_by(&self, policy: &LivePolicy) -> bool {
        self.spec == policy.spec && !self.orders.lacks_some()
    }

    /// Not all that it would count may be in what it was counted from: it is counted anew when it is next needed.
    pub(crate) fn count_again(&mut self) {
        AGAIN.clone_into(&mut self.spec);
    }

    /// What the next look waits for. A wake counts only if it says this.
    pub fn waits_for(&self) -> Option<String> {
        self.check.map(|at| at.millis().to_string())
    }

    /// Sees to it that there is a look at `next`; gives back what is to be put as due: nothing if there will be a look
    /// earlier, which will arm again.
    pub fn arm(&mut self, next: Option<Timestamp>, now: Timestamp) -> Option<(Timestamp, String)> {
        let next = next?;
        if self.check.is_some_and(|check| check <= next && check > now) {
            return None;
        }
        self.check = Some(next);
        Some((next, next.millis().to_string()))
    }

    /// A wake came. Whether it is the one that is waited for; then nothing is waited for any more.
    pub fn woke(&mut self, token: &str) -> bool {
        let is_it = self.waits_for().as_deref() == Some(token);
        if is_it {
            self.check = None;
        }
        is_it
    }

    /// When an event happened that some condition asks for.
    pub fn seen(&self, event: &str) -> Option<&Seen> {
        self.counts.get(event)
    }

    /// When the person last did anything.
    pub fn last(&self) -> Option<Timestamp> {
        self.last.map(Timestamp::from_seconds)
    }

    /// Interest: by what the person does, and what people and journeys gave.
    pub fn interest(&self, now: Timestamp) -> Cow<'_, Points> {
        let mut interest = Cow::Borrowed(&self.interest);
        if !self.given.is_empty() {
            interest.to_mut().merge(&self.given, now);
        }
        interest
    }

    /// Orders.
    pub const fn orders(&self) -> &Orders {
        &self.orders
    }

    /// 三定.
    pub const fn qualification(&self) -> &Qualification {
        &self.qualification
    }

    /// Tags.
    pub const fn tags(&self) -> &Tags {
        &self.tags
    }

    /// The stage with its history.
    pub const fn stage(&self) -> &StageLog {
        &self.stage
    }

    /// How often the person usually comes.
    pub const fn rhythm(&self) -> &Rhythm {
        &self.rhythm
    }

    /// The segments that the person is in, each with since when.
    pub fn segments(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.segments.iter().map(|(name, since)| (name.as_str(), Timestamp::from_seconds(*since)))
    }

    /// Takes in the state of another record of the same person.
    fn merge(&mut self, other: &Self, policy: &LivePolicy, now: Timestamp) {
        for (name, seen) in &other.counts {
            let need = policy.counted.get(name).copied().unwrap_or_default();
            let own = self.counts.entry(name.clone()).or_default();
            own.merge(seen);
            own.fit(need, now);
        }
        self.last = self.last.max(other.last);
        self.rhythm.merge(&other.rhythm);
        self.interest.merge(&other.interest, now);
        self.given.merge(&other.given, now);
        self.orders.merge(&other.orders);
        self.qualification.merge(&other.qualification);
        self.tags.merge(&other.tags, now);
        self.stage.merge(&other.stage, &policy.stages);
    }
}

/// Whether an event is something that the person does, and not something that we do.
fn is_doing(event: &Event, key: &str) -> bool {
    event.kind != EventKind::Own
        || key == "lead_captured"
        || key.ends_with("_opened")
        || key.ends_with("_clicked")
        || ORDER_EVENTS.contains(&key)
}

/// Whether a condition over an event alone holds; none always does.
fn holds_of(condition: Option<&crate::condition::Condition>, event: &Event) -> bool {
    condition.is_none_or(|condition| {
        condition.eval(&Scope::new().with("event", &event_view(event))).unwrap_or(false)
    })
}
