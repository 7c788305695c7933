//! One time that a campaign goes out: where it stands, and what may be done with it.

use super::{Counts, Occurrence, Rail, Section};
use crate::policy::Campaign;
use crate::time::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// The most parts in which a broadcast counts.
const MAX_SHARDS: u32 = 64;
/// Messages a second that one part takes: each claim holds it for some hundredths of a second.
const PER_SHARD: u32 = 5;
/// So long after a test was to be over nobody waits any more for those of it who are still to be found, in milliseconds.
const FOUND_MS: i64 = 86_400_000;

/// Where a broadcast stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastState {
    /// Its time has not come.
    Scheduled,
    /// Its audience is gone through, its messages go out.
    Running,
    /// Somebody wants it to wait.
    Paused,
    /// A guard rail was reached.
    Stopped,
    /// It does not go out any more.
    Cancelled,
    /// Nothing more is to be done; what a gate defers goes out all the same.
    Done,
}

impl BroadcastState {
    /// Whether it may still go on.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done)
    }

    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }
}

/// What becomes of its messages that nobody has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// They go out.
    Yes,
    /// They wait.
    Later,
    /// They are left out.
    Never,
}

/// What cannot be done as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub BroadcastState);

/// The variant for everybody who was not in the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// By its place.
    #[serde(rename = "v")]
    pub variant: u8,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// What stopped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The guard rail.
    #[serde(rename = "r")]
    pub rail: Rail,
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
}

/// One time that a campaign goes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Of this campaign.
    #[serde(skip)]
    pub campaign: String,
    /// Which time, from 1.
    #[serde(skip)]
    pub n: u32,
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// Where it stands.
    #[serde(rename = "s")]
    pub state: BroadcastState,
    /// Counted up whenever it changes whether its messages may go out.
    #[serde(rename = "e")]
    pub epoch: u32,
    /// When its first messages go out.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// The time that it is where the recipient lives, if it goes by that.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub local: Option<DateTime>,
    /// When it was asked for.
    #[serde(rename = "t")]
    pub asked: Timestamp,
    /// By whom.
    #[serde(rename = "by")]
    pub by: String,
    /// Hash of the key of the call that asked for it.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The document as it was when it began; it goes by that to its end.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Campaign>,
    /// The version of the policies then.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<u64>,
    /// In how many parts it counts.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub shards: u8,
    /// When it began.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// When it was over.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// It did not begin: its time was let pass by for too long.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
    /// The winner among its variants.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<Chosen>,
    /// What stopped it last.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// When somebody let it go on last after it waited.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Timestamp>,
    /// What was counted when somebody let it go on after it was stopped: guard rails look at what came since.
    #[serde(rename = "c", default, skip_serializing_if = "Counts::is_empty")]
    pub since: Counts,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_zero(n: &u8) -> bool {
    *n == 0
}

impl Broadcast {
    /// One that is to go out then.
    pub fn new(campaign: &str, n: u32, when: Occurrence, by: &str, now: Timestamp) -> Self {
        Self {
            campaign: campaign.to_owned(),
            n,
            version: 0,
            state: BroadcastState::Scheduled,
            epoch: 1,
            at: when.at,
            local: when.local,
            asked: now,
            by: by.to_owned(),
            key: None,
            document: None,
            policies: None,
            shards: 0,
            began: None,
            ended: None,
            missed: false,
            winner: None,
            stopped: None,
            resumed: None,
            since: Counts::default(),
        }
    }

    /// When it goes out.
    pub const fn occurrence(&self) -> Occurrence {
        Occurrence { at: self.at, local: self.local }
    }

    /// The same for the same broadcast.
    pub fn id(&self) -> String {
        format!("{}-{}", self.campaign, self.n)
    }

    /// What becomes of its messages.
    pub const fn sends(&self) -> Sends {
        match self.state {
            BroadcastState::Running | BroadcastState::Done => Sends::Yes,
            BroadcastState::Scheduled | BroadcastState::Paused | BroadcastState::Stopped => Sends::Later,
            BroadcastState::Cancelled => Sends::Never,
        }
    }

    /// It begins, by this document; `rate` is what its channel takes a second, if that is known.
    ///
    /// # Errors
    /// It is not waiting to begin.
    pub fn begin(
        &mut self,
        document: &Campaign,
        policies: u64,
        rate: Option<u32>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if self.state != BroadcastState::Scheduled {
            return Err(Refused(self.state));
        }
        let rate = document.rate.or(rate);
        let shards = rate.map_or(MAX_SHARDS, |rate| rate.div_ceil(PER_SHARD).clamp(1, MAX_SHARDS));
        self.shards = u8::try_from(shards).unwrap_or(1);
        (self.document, self.policies) = (Some(document.clone()), Some(policies));
        (self.state, self.began) = (BroadcastState::Running, Some(now));
        Ok(())
    }

    /// It waits. Whether that is new.
    ///
    /// # Errors
    /// It is over, or stopped anyway.
    pub fn pause(&mut self) -> Result<bool, Refused> {
        match self.state {
            BroadcastState::Paused => Ok(false),
            BroadcastState::Scheduled | BroadcastState::Running => Ok(self.change(BroadcastState::Paused)),
            state => Err(Refused(state)),
        }
    }

    /// It goes on. Whether that is new. After a guard rail stopped it, what was `counted` until now counts no more.
    ///
    /// # Errors
    /// It was cancelled.
    pub fn resume(&mut self, counted: &Counts, now: Timestamp) -> Result<bool, Refused> {
        match self.state {
            BroadcastState::Scheduled | BroadcastState::Running | BroadcastState::Done => Ok(false),
            BroadcastState::Paused | BroadcastState::Stopped => {
                if self.state == BroadcastState::Stopped {
                    self.since = counted.clone();
                }
                self.resumed = Some(now);
                let began = self.began.is_some();
                Ok(self.change(if began { BroadcastState::Running } else { BroadcastState::Scheduled }))
            }
            state => Err(Refused(state)),
        }
    }

    /// When its first messages go out, also if it began late.
    fn begins(&self) -> Timestamp {
        self.began.unwrap_or_default().max(self.at)
    }

    /// How much later than their places those come who get the winner, in milliseconds, from what is known at `now` of the parts of
    /// the audience; `rate` is what its channel takes a second. Their places are as if the test took no time. It takes until the
    /// last of it is due: at its pace, and counted anew from where somebody let the broadcast go on before it was decided, since
    /// much of it may not have gone out before.
    pub fn later(&self, sections: &[Section], rate: Option<u32>, now: Timestamp) -> i64 {
        let decided = self.document.as_ref().and_then(|document| Some((document, document.winner?)));
        let Some((document, rule)) = decided else { return 0 };
        let began = self.begins();
        let is_before = |resumed: &Timestamp| self.winner.is_none_or(|chosen| *resumed <= chosen.at);
        let from = self.resumed.filter(is_before).map_or(began, |resumed| resumed.max(began));
        let mut over = match document.spread {
            // Whose time has passed by then gets it at once.
            Some(spread) => began.plus_millis(spread.millis()).max(from),
            None => {
                let rate = document.rate.into_iter().chain(rate).min();
                let spans = rate
                    .into_iter()
                    .flat_map(|rate| sections.iter().flat_map(move |section| section.spans(rate)));
                let takes = spans.filter(|(begin, _)| *begin == began).map(|(_, end)| end.since(began)).max();
                // Their places are at the rate that the channel had when they were given.
                let last = sections.iter().filter_map(|section| section.tested).max();
                from.plus_millis(takes.max(last.map(|last| last.since(began))).unwrap_or(0))
            }
        };
        let is_found = sections.iter().all(|section| section.done);
        let waited = now.since(over);
        if self.winner.is_none() && !is_found && waited < rule.after.millis().saturating_add(FOUND_MS) {
            over = over.max(now);
        }
        over.since(began)
    }

    /// From when until when its messages go out, by all that begin at one time, if there is a limit to their rate; those of the
    /// winner by so many milliseconds `later`.
    pub(super) fn spans(
        &self,
        sections: &[Section],
        rate: Option<u32>,
        later: i64,
    ) -> Vec<(Timestamp, Timestamp)> {
        let rate = self.document.as_ref().and_then(|document| document.rate).or(rate);
        let spans =
            rate.into_iter().flat_map(|rate| sections.iter().flat_map(move |section| section.spans(rate)));
        let first = self.begins();
        let moved = |(begin, end): (Timestamp, Timestamp)| {
            let later = if begin > first { later } else { 0 };
            (begin.plus_millis(later), end.plus_millis(later))
        };
        spans.map(moved).collect()
    }

    /// When those are due who are to get the winner in this minute: so long after the test is over as it says. They keep their
    /// distance from each other, and so their pace.
    pub fn winner_due(
        &self,
        sections: &[Section],
        rate: Option<u32>,
        minute: Timestamp,
        now: Timestamp,
    ) -> Timestamp {
        let later = self.later(sections, rate, now);
        let rule = self.document.as_ref().and_then(|document| document.winner);
        match rule {
            Some(rule) if later > 0 => {
                let decided = self.begins().plus_millis(later).plus_millis(rule.after.millis());
                minute.plus_millis(later).max(decided)
            }
            _ => minute,
        }
    }

    /// When the last of its messages that have a place are due.
    pub fn last_due(&self, sections: &[Section], rate: Option<u32>, now: Timestamp) -> Option<Timestamp> {
        let last = sections.iter().filter_map(|section| section.last).max()?;
        Some(self.winner_due(sections, rate, last, now))
    }

    /// It does not go out any more. Whether that is new.
    ///
    /// # Errors
    /// All of it has gone out.
    pub fn cancel(&mut self, now: Timestamp) -> Result<bool, Refused> {
        match self.state {
            BroadcastState::Cancelled => Ok(false),
            BroadcastState::Done => Err(Refused(self.state)),
            _ => {
                self.ended = Some(now);
                Ok(self.change(BroadcastState::Cancelled))
            }
        }
    }

    /// It does not go out, since its time was let pass by for too long. Whether that is new.
    pub fn miss(&mut self, now: Timestamp) -> bool {
        self.missed = self.state == BroadcastState::Scheduled && self.cancel(now) == Ok(true);
        self.missed
    }

    /// A guard rail was reached. Whether that stops it.
    pub fn stop(&mut self, rail: Rail, now: Timestamp) -> bool {
        if self.state != BroadcastState::Running {
            return false;
        }
        self.stopped = Some(Stopped { rail, at: now });
        self.change(BroadcastState::Stopped)
    }

    /// Nothing more is to be done. Whether that is new.
    pub fn finish(&mut self, now: Timestamp) -> bool {
        if self.state != BroadcastState::Running {
            return false;
        }
        (self.state, self.ended) = (BroadcastState::Done, Some(now));
        true
    }

    fn change(&mut self, state: BroadcastState) -> bool {
        self.state = state;
        self.epoch += 1;
        true
    }
}
