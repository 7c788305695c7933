//! A look at a broadcast that goes out: whether all is done, whether something stands still, when to look again.

use super::{Broadcast, Counts, SECTIONS, Section};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How often it is looked, in milliseconds: at first, and at last.
const OFTEN_MS: i64 = 60_000;
const RARELY_MS: i64 = 3_600_000;
/// So long after the last message's time, and after anything came to its end, nobody waits for the rest, in milliseconds.
const LATEST_MS: i64 = 86_400_000;
/// A part of the audience that has not moved for so long is gone on with again, in milliseconds: longer than a queue needs
/// to bring a message again.
const STILL_MS: i64 = 480_000;

/// When to look, and what was seen before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Messages that had come to an end.
    #[serde(rename = "e", default)]
    ended: i64,
    /// When that was seen to have changed; none before the first look.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    grew: Option<Timestamp>,
    /// How many pages of each part were done, and since when; empty before the first look.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pages: Vec<(u32, Timestamp)>,
}

/// What a look comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Everybody was found, and every message has come to its end; or nothing has for long.
    pub is_done: bool,
    /// Parts of the audience that stand still, by their places.
    pub still: Vec<u8>,
    /// The next look.
    pub next: Look,
}

impl Look {
    /// The first look.
    pub const fn first(at: Timestamp) -> Self {
        Self { at, ended: 0, grew: None, pages: Vec::new() }
    }

    /// A first look soon.
    pub const fn soon(now: Timestamp) -> Self {
        Self::first(now.plus_millis(OFTEN_MS))
    }

    /// What is to be seen at `now` of the parts of the audience, in their order, and of what was counted; `rate` is what its channel
    /// takes a second.
    pub fn see(
        &self,
        broadcast: &Broadcast,
        sections: &[Section],
        counts: &Counts,
        rate: Option<u32>,
        now: Timestamp,
    ) -> Seen {
        let planned: u64 = sections.iter().map(|section| section.planned).sum();
        let later = broadcast.later(sections, rate, now);
        let last = sections.iter().filter_map(|section| section.last).max();
        let last = last.map(|last| last.plus_millis(later));
        let ended = counts.ended();
        let grew = self.grew.filter(|_| ended == self.ended).unwrap_or(now);
        let is_late = last.is_none_or(|last| now.since(last) > LATEST_MS) && now.since(grew) > LATEST_MS;
        let have_ended = ended >= i64::try_from(planned).unwrap_or(i64::MAX);
        let is_done = sections.iter().all(|section| section.done) && (have_ended || is_late);
        let (mut still, mut pages) = (Vec::new(), Vec::new());
        for (part, section) in (0..SECTIONS).zip(sections) {
            let before = self.pages.get(usize::from(part)).filter(|(page, _)| *page == section.page);
            let mut since = before.map_or(now, |(_, since)| *since);
            if !section.done && now.since(since) >= STILL_MS {
                still.push(part);
                since = now;
            }
            pages.push((section.page, since));
        }
        let spans = broadcast.spans(sections, rate, later);
        let went_out = match spans.as_slice() {
            // Whatever was to be by now.
            _ if ended != self.ended || sections.iter().any(|section| !section.done) => Some(now),
            // Without places at a rate they go out until the last.
            [] => last.or(Some(now)),
            spans => spans.iter().filter(|(begin, _)| *begin <= now).map(|(_, end)| *end).max(),
        };
        let at = self.after(&spans, went_out, now);
        Seen { is_done, still, next: Self { at, ended, grew: Some(grew), pages } }
    }

    /// Each minute while people are found and messages go out, then ever less often until more of them do, as of people in
    /// another zone. On whole minutes, so that two who look at the same time look once from then on.
    fn after(
        &self,
        spans: &[(Timestamp, Timestamp)],
        went_out: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        let looked = self.at.max(now);
        let idle = went_out.map_or(i64::MAX, |at| now.since(at).max(0));
        let pause = looked.plus_millis((idle / 8).clamp(OFTEN_MS, RARELY_MS));
        let more = spans.iter().map(|(begin, _)| begin.plus_millis(OFTEN_MS)).filter(|at| *at > looked).min();
        let at = more.map_or(pause, |more| more.min(pause));
        Timestamp(at.millis().div_euclid(OFTEN_MS) * OFTEN_MS).max(looked.plus_millis(1))
    }
}
