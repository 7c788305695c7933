//! Who loads an open pixel or follows a link: a person, or a program.
//!
//! Programs are told apart where the signal allows, and never counted as people. What it allows:
//!
//! - What asks in advance says so (`HEAD`, prefetch headers), or is known by its user agent ([`super::agents`]).
//! - Gmail and Yahoo fetch pictures through a proxy when somebody opens the message: that is a person, once per message,
//!   since the proxy keeps the picture. Gmail also fetches in advance, under another user agent.
//! - Apple's Mail fetches every picture in advance if its user wants that, and never again: from then on nothing tells
//!   an opening from none, so it is no person's. Opens are therefore fewer than there were, not more.
//! - Scanners of mail gateways mostly look like browsers. They come within a second or two of the delivery, or follow
//!   several links within a second. The first link of such a burst is taken for a person's until the second comes, so a
//!   click is told only once none can come any more ([`SETTLED_MS`]).
//!
//! A scanner that looks like a browser, waits, and takes one link at a time is taken for a person. The user agent is
//! looked at and not kept.

use super::agents;
use super::{Seen, Trail};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A visit so soon after the hand-over or the delivery is no person's, in milliseconds: the mail has to arrive and be read.
const INSTANT_MS: i64 = 2_000;
/// Nobody follows two links within this, in milliseconds.
const BURST_MS: i64 = 1_000;
/// So long after a click nothing takes it back any more, in milliseconds: a visit may come as much later as a burst lasts, and is
/// written down within the ten seconds that a request may take.
pub const SETTLED_MS: i64 = BURST_MS + 11_000;
/// How long visits are remembered one by one, in milliseconds: longer than a write is repeated.
const REMEMBERED_MS: i64 = 15_000;
/// Visits remembered one by one at most, and clicks that were taken back.
const MOST_REMEMBERED: usize = 12;

/// What somebody did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Loaded its pixel.
    Open,
    /// Followed its link of this number.
    Click(u16),
}

impl Deed {
    const fn link(self) -> Option<u16> {
        match self {
            Self::Open => None,
            Self::Click(link) => Some(link),
        }
    }
}

/// One request for the pixel or a link.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// For what.
    pub deed: Deed,
    /// When.
    pub at: Timestamp,
    /// A number that no other visit has, so that one that is written down twice is counted once.
    pub nonce: u32,
    /// It asks for the head only.
    pub is_head: bool,
    /// It says that it fetches in advance.
    pub is_prefetch: bool,
    /// How the program calls itself.
    pub agent: Option<&'a str>,
}

/// What gives a program away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// It asks for the head only: people's programs want what is there.
    Head,
    /// It says that it fetches in advance.
    Prefetch,
    /// It calls itself something that no browser and no mail program does, or nothing.
    Agent,
    /// It is a mail provider that fetches pictures in advance.
    Proxy,
    /// It comes so soon after the sending that nobody can have read the message.
    Instant,
    /// It follows several links at once.
    Burst,
}

impl Sign {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::Agent => "agent",
            Self::Proxy => "proxy",
            Self::Instant => "instant",
            Self::Burst => "burst",
        }
    }

    /// The sign in a sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Head => "it asked for the head only",
            Self::Prefetch => "it said that it fetches in advance",
            Self::Agent => "it called itself what no browser or mail program does",
            Self::Proxy => "it is a mail provider that fetches pictures in advance",
            Self::Instant => "it came within two seconds of the sending or the delivery",
            Self::Burst => "it followed several links within a second",
        }
    }
}

impl Visit<'_> {
    /// What gives the visitor away as a program, judged by this visit alone; none if it may be a person. `sent` is when
    /// the message was last handed over, or taken by its receiver's server.
    pub fn sign(&self, sent: Option<Timestamp>) -> Option<Sign> {
        if self.is_head {
            return Some(Sign::Head);
        }
        if self.is_prefetch {
            return Some(Sign::Prefetch);
        }
        let by_agent = match self.agent.map(str::trim).filter(|agent| !agent.is_empty()) {
            None => Some(Sign::Agent),
            Some(agent) if agents::fetches_in_advance(agent) => Some(Sign::Proxy),
            Some(agent) if agents::is_program(agent) => Some(Sign::Agent),
            Some(_) => None,
        };
        let is_instant = sent.is_some_and(|sent| self.at.since(sent) < INSTANT_MS);
        by_agent.or_else(|| is_instant.then_some(Sign::Instant))
    }
}

/// A visit of the last seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visited {
    /// When.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Its number.
    #[serde(rename = "n")]
    pub nonce: u32,
    /// The link that was followed; none is the pixel.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub link: Option<u16>,
    /// It is a program's.
    #[serde(rename = "m", default, skip_serializing_if = "std::ops::Not::not")]
    pub machine: bool,
}

/// How a visit was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was counted before.
    Already,
    /// As a person's.
    Person,
    /// As a program's.
    Machine(Sign),
}

impl Trail {
    /// Counts a visit. Where it shows that visits of the last second were a program's too, they are no longer a
    /// person's. `claimed` is when the message was last claimed for its hand-over; its receiver may have taken it later.
    pub fn count(&mut self, visit: &Visit<'_>, claimed: Option<Timestamp>) -> Counted {
        let sent = claimed.max(self.delivered);
        if self.recent.iter().any(|held| held.nonce == visit.nonce) {
            return Counted::Already;
        }
        self.recent.retain(|held| visit.at.since(held.at).abs() <= REMEMBERED_MS);
        let link = visit.deed.link();
        let is_near = |held: &Visited| held.link.is_some() && visit.at.since(held.at).abs() <= BURST_MS;
        let is_burst = link.is_some() && self.recent.iter().any(|held| is_near(held) && held.link != link);
        let sign = visit.sign(sent).or_else(|| is_burst.then_some(Sign::Burst));
        if is_burst {
            let near = self.recent.iter_mut().filter(|held| is_near(held) && !held.machine);
            let taken_back: Vec<(Timestamp, u32)> = near
                .map(|held| {
                    held.machine = true;
                    (held.at, held.nonce)
                })
                .collect();
            taken_back.into_iter().for_each(|(at, nonce)| self.take_back(at, nonce));
        }
        match (sign, visit.deed) {
            (Some(_), _) => self.machine = Some(Seen::again(self.machine, visit.at)),
            (None, Deed::Open) => self.opened = Some(Seen::again(self.opened, visit.at)),
            (None, Deed::Click(_)) => {
                if self.clicked.is_none() {
                    self.first_click = Some(visit.nonce);
                }
                self.clicked = Some(Seen::again(self.clicked, visit.at));
            }
        }
        self.signs.extend(sign);
        self.recent.push(Visited { at: visit.at, nonce: visit.nonce, link, machine: sign.is_some() });
        if self.recent.len() > MOST_REMEMBERED {
            self.recent.remove(0);
        }
        sign.map_or(Counted::Person, Counted::Machine)
    }

    /// Whether the opening that was counted last is the first.
    pub fn is_first_opening(&self) -> bool {
        self.opened.is_some_and(|seen| seen.times == 1)
    }

    /// What a click that was counted as a person's comes to once it is settled: nothing if it was a program's after all, else
    /// whether it is the first of a person that was written down. That is the same however often it is asked.
    pub fn settled(&self, nonce: u32) -> Option<bool> {
        let stands = self.clicked.is_some() && !self.taken_back.contains(&nonce);
        stands.then_some(self.first_click == Some(nonce))
    }

    /// A click that was counted as a person's was a program's.
    fn take_back(&mut self, at: Timestamp, nonce: u32) {
        self.taken_back.push(nonce);
        if self.taken_back.len() > MOST_REMEMBERED {
            self.taken_back.remove(0);
        }
        self.signs.insert(Sign::Burst);
        self.machine = Some(Seen::again(self.machine, at));
        let Some(Seen { first, times }) = self.clicked else { return };
        let clicks = self.recent.iter().filter(|held| held.link.is_some() && !held.machine);
        if self.first_click == Some(nonce) {
            self.first_click = clicks.clone().next().map(|held| held.nonce);
        }
        let first = if first == at { clicks.map(|held| held.at).min().unwrap_or(first) } else { first };
        self.clicked = (times > 1).then(|| Seen { first, times: times - 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Timestamp = Timestamp(1_795_260_000_000);
    const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                           Chrome/146.0.0.0 Safari/537.36";

    /// So many milliseconds after the sending.
    fn visit(deed: Deed, after: i64, nonce: u32) -> Visit<'static> {
        let at = SENT.plus_millis(after);
        Visit { deed, at, nonce, is_head: false, is_prefetch: false, agent: Some(BROWSER) }
    }

    fn seen(seen: Option<Seen>) -> (u32, Option<i64>) {
        (seen.map_or(0, |seen| seen.times), seen.map(|seen| seen.first.since(SENT)))
    }

    #[test]
    fn a_browser_that_comes_later_is_a_person() {
        let mut trail = Trail::default();
        for (n, after) in [60_000, 90_000, 600_000].into_iter().enumerate() {
            let nonce = u32::try_from(n).unwrap();
            assert_eq!(trail.count(&visit(Deed::Open, after, nonce), Some(SENT)), Counted::Person);
            assert_eq!(
                trail.count(&visit(Deed::Click(0), after + 500, nonce + 100), Some(SENT)),
                Counted::Person
            );
        }
        assert_eq!((seen(trail.opened), seen(trail.clicked)), ((3, Some(60_000)), (3, Some(60_500))));
        assert_eq!(trail.machine, None);
    }

    #[test]
    fn what_shows_a_program_is_said_and_counts_for_nobody() {
        let late = visit(Deed::Click(0), 60_000, 1);
        for (visit, sign) in [
            (Visit { is_head: true, ..late }, Sign::Head),
            (Visit { is_prefetch: true, ..late }, Sign::Prefetch),
            (Visit { agent: None, ..late }, Sign::Agent),
            (Visit { agent: Some("  "), ..late }, Sign::Agent),
            (Visit { agent: Some("Mozilla/5.0 (compatible; LinkScanner)"), ..late }, Sign::Agent),
            (Visit { agent: Some("Mozilla/5.0"), ..late }, Sign::Proxy),
            (Visit { at: SENT.plus_millis(1_999), ..late }, Sign::Instant),
            (Visit { at: SENT, ..late }, Sign::Instant),
        ] {
            let mut trail = Trail::default();
            assert_eq!(trail.count(&visit, Some(SENT)), Counted::Machine(sign), "{visit:?}");
            assert_eq!((trail.clicked, seen(trail.machine).0), (None, 1));
            assert_eq!(trail.signs.into_iter().collect::<Vec<_>>(), [sign]);
        }
    }

    #[test]
    fn a_visit_right_after_a_late_delivery_is_a_programs() {
        let mut trail = Trail::default();
        trail.deliver(SENT.plus_millis(30_000));
        for (after, nonce) in [(31_000, 1), (31_999, 2)] {
            let counted = trail.count(&visit(Deed::Click(0), after, nonce), Some(SENT));
            assert_eq!(counted, Counted::Machine(Sign::Instant), "{after}");
        }
        assert_eq!(trail.count(&visit(Deed::Click(0), 32_000, 3), Some(SENT)), Counted::Person);
        // Sent again since then: by its last hand-over, which is later.
        let again = SENT.plus_millis(60_000);
        let counted = trail.count(&visit(Deed::Open, 61_000, 4), Some(again));
        assert_eq!(counted, Counted::Machine(Sign::Instant));
    }

    #[test]
    fn two_links_within_a_second_are_a_programs_and_so_was_the_first() {
        let mut trail = Trail::default();
        assert_eq!(trail.count(&visit(Deed::Click(0), 60_000, 1), Some(SENT)), Counted::Person);
        for (n, link) in [(2, 1), (3, 2), (4, 0)] {
            let again = visit(Deed::Click(link), 60_000 + i64::from(n) * 100, n);
            assert_eq!(trail.count(&again, Some(SENT)), Counted::Machine(Sign::Burst));
        }
        assert_eq!((trail.clicked, seen(trail.machine)), (None, (4, Some(60_000))));
        // A person who comes later is one.
        assert_eq!(trail.count(&visit(Deed::Click(1), 70_000, 5), Some(SENT)), Counted::Person);
        assert_eq!(seen(trail.clicked), (1, Some(70_000)));
    }

    #[test]
    fn a_click_of_a_burst_comes_to_nothing_and_the_first_of_a_person_is_the_first() {
        let mut trail = Trail::default();
        assert_eq!(trail.count(&visit(Deed::Click(0), 60_000, 1), Some(SENT)), Counted::Person);
        assert_eq!(trail.settled(1), Some(true));
        // More links than are remembered one by one.
        for n in 2..40 {
            let _ = trail.count(&visit(Deed::Click(u16::try_from(n).unwrap()), 60_010, n), Some(SENT));
        }
        assert_eq!((trail.settled(1), trail.taken_back.as_slice()), (None, [1].as_slice()));
        // A double click, and one of a minute later that makes both be forgotten.
        for nonce in [52, 51] {
            assert_eq!(trail.count(&visit(Deed::Click(1), 90_000, nonce), Some(SENT)), Counted::Person);
        }
        assert_eq!((trail.settled(52), trail.settled(51)), (Some(true), Some(false)));
        assert_eq!(trail.count(&visit(Deed::Click(0), 150_000, 53), Some(SENT)), Counted::Person);
        assert_eq!((trail.settled(52), trail.settled(53)), (Some(true), Some(false)));
        assert_eq!(trail.settled(1), None);
        // One that was written down late is none, however early it was.
        assert_eq!(trail.count(&visit(Deed::Click(0), 80_000, 54), Some(SENT)), Counted::Person);
        assert_eq!((trail.settled(52), trail.settled(54)), (Some(true), Some(false)));
    }

    #[test]
    fn a_burst_takes_back_no_more_than_itself() {
        let mut trail = Trail::default();
        let _ = trail.count(&visit(Deed::Open, 50_000, 1), Some(SENT));
        let _ = trail.count(&visit(Deed::Click(3), 55_000, 2), Some(SENT));
        let _ = trail.count(&visit(Deed::Click(0), 60_000, 3), Some(SENT));
        let _ = trail.count(&visit(Deed::Click(0), 60_300, 4), Some(SENT));
        let _ = trail.count(&visit(Deed::Click(1), 60_600, 5), Some(SENT));
        assert_eq!((seen(trail.opened), seen(trail.clicked)), ((1, Some(50_000)), (1, Some(55_000))));
        assert_eq!(seen(trail.machine), (3, Some(60_000)));
    }

    #[test]
    fn the_same_link_twice_within_a_second_is_a_double_click() {
        let mut trail = Trail::default();
        assert_eq!(trail.count(&visit(Deed::Click(0), 60_000, 1), Some(SENT)), Counted::Person);
        assert_eq!(trail.count(&visit(Deed::Click(0), 60_200, 2), Some(SENT)), Counted::Person);
        assert_eq!(trail.count(&visit(Deed::Open, 60_300, 3), Some(SENT)), Counted::Person);
    }

    #[test]
    fn a_visit_that_is_written_down_twice_counts_once_and_what_is_remembered_is_bounded() {
        let mut trail = Trail::default();
        let one = visit(Deed::Open, 60_000, 7);
        assert_eq!(trail.count(&one, Some(SENT)), Counted::Person);
        assert_eq!(trail.count(&one, Some(SENT)), Counted::Already);
        for nonce in 100..200 {
            let _ = trail.count(&visit(Deed::Open, 61_000, nonce), Some(SENT));
        }
        assert_eq!((seen(trail.opened).0, trail.recent.len()), (101, MOST_REMEMBERED));
        let _ = trail.count(&visit(Deed::Open, 600_000, 1), Some(SENT));
        assert_eq!(trail.recent.len(), 1);
    }
}
