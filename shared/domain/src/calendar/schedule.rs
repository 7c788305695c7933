//! Hours, holidays and absences put together.
//!
//! Rules, where more than one answer is possible. A span over midnight belongs to the day it begins on: a holiday
//! takes it away whole, and the holiday after it leaves it alone. A local time that the clock skips stands for the
//! instant of the change, so a span inside the gap is empty; one that comes twice is the first of the two. Spans that
//! touch or overlap are one.

use super::absence::Leave;
use super::holidays::{Calendar, Opening};
use super::hours::{DAY, Hours, Spans, Zone};
use crate::time::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How far is looked ahead, in days: who is not back within ten years has no next time.
const HORIZON_DAYS: u32 = 3_653;

/// When somebody works.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// `None` is always.
    week: Option<Arc<Week>>,
    zone: Zone,
    /// Absences: ordered, apart, ends not included.
    away: Vec<(Timestamp, Timestamp)>,
}

#[derive(Debug)]
struct Week {
    days: [Spans; 7],
    named: BTreeMap<Date, (String, Opening)>,
}

/// Why somebody does not work at an instant, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why.
    pub reason: Reason,
    /// When they work again; `None` is not within ten years.
    pub back: Option<Timestamp>,
}

/// Why somebody does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An absence of their own.
    Leave,
    /// A day of the calendar, by its name.
    Holiday(String),
    /// Outside the hours of a usual day.
    OffHours,
}

impl Schedule {
    /// Day and night.
    pub fn always() -> Self {
        Self::always_in(Zone::utc())
    }

    /// Day and night, where days are those of `zone`.
    pub const fn always_in(zone: Zone) -> Self {
        Self { week: None, zone, away: Vec::new() }
    }

    /// These hours, without those days of the calendar. The later of two entries for one date holds.
    pub fn new(hours: &Hours, calendar: Option<&Calendar>) -> Self {
        let mut named = BTreeMap::new();
        for day in calendar.into_iter().flat_map(|calendar| &calendar.days) {
            named.extend(day.dates().map(|date| (date, (day.name.clone(), day.open))));
        }
        let week = Some(Arc::new(Week { days: hours.days.clone(), named }));
        Self { week, zone: hours.zone.clone(), away: Vec::new() }
    }

    /// The same, and absent as `leave` says; what was there before stays.
    #[must_use]
    pub fn with_leave(&self, leave: &Leave) -> Self {
        let new = leave.0.iter().map(|absence| absence.interval(&self.zone));
        let mut all: Vec<_> = self.away.iter().copied().chain(new).filter(|(from, to)| from < to).collect();
        all.sort_unstable();
        let mut away: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match away.last_mut() {
                Some((_, end)) if from <= *end => *end = to.max(*end),
                _ => away.push((from, to)),
            }
        }
        Self { away, ..self.clone() }
    }

    /// The same hours, and never absent.
    #[must_use]
    pub fn without_leave(&self) -> Self {
        Self { week: self.week.clone(), zone: self.zone.clone(), away: Vec::new() }
    }

    /// Where the clock is read.
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Whether it is open: from the first millisecond of a span up to its end, which is not in it.
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.is_always() || self.next_open(at) == Some(at)
    }

    const fn is_always(&self) -> bool {
        self.week.is_none() && self.away.is_empty()
    }

    /// The first open instant from `at` on; `None` if there is none within ten years.
    pub fn next_open(&self, at: Timestamp) -> Option<Timestamp> {
        self.open_from(at).next().map(|(from, _)| from.max(at))
    }

    /// The first open instant of a later day than that of `at`, as the clock is read here; `None` if there is none within ten
    /// years.
    pub fn next_day(&self, at: Timestamp) -> Option<Timestamp> {
        let tomorrow = local(at, &self.zone)?.date().tomorrow().ok()?;
        self.next_open(instant(tomorrow, 0, &self.zone)?)
    }

    /// Why it is closed at `at`, and until when; `None` is open.
    pub fn closed(&self, at: Timestamp) -> Option<Closed> {
        if self.is_always() {
            return None;
        }
        let back = self.next_open(at);
        if back == Some(at) {
            return None;
        }
        let away = self.away.iter().any(|(from, to)| (*from..*to).contains(&at));
        let name = || {
            let (name, open) = self.week.as_ref()?.named.get(&local(at, &self.zone)?.date())?;
            // On an extra working day nobody is off because of the day.
            (!matches!(open, Opening::Like(_))).then(|| name.clone())
        };
        let reason = match (away, name()) {
            (true, _) => Reason::Leave,
            (false, Some(name)) => Reason::Holiday(name),
            (false, None) => Reason::OffHours,
        };
        Some(Closed { reason, back })
    }

    /// Open time in milliseconds between two instants; 0 if `to` is not later. Only the first ten years count.
    pub fn open_time_between(&self, from: Timestamp, to: Timestamp) -> i64 {
        self.open_from(from)
            .take_while(|(begin, _)| *begin < to)
            .map(|(begin, end)| end.min(to).since(begin.max(from)).max(0))
            .fold(0, i64::saturating_add)
    }

    /// The first instant at which `millis` of open time will have passed since `at`; `at` itself for none. `None` if
    /// that does not come within ten years.
    pub fn add_open_time(&self, at: Timestamp, millis: i64) -> Option<Timestamp> {
        let mut left = millis;
        if left <= 0 {
            return Some(at);
        }
        for (begin, end) in self.open_from(at) {
            let begin = begin.max(at);
            let length = end.since(begin);
            if left <= length {
                return Some(begin.plus_millis(left));
            }
            left -= length;
        }
        None
    }

    /// Open spans that end after `at`, in order and apart; the first may begin before it.
    fn open_from(&self, at: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let away = self.away.iter().copied().filter(move |(_, to)| *to > at).collect();
        let spans = Spliced { days: self.days(at), next: None };
        Without { spans, away, rest: None }.filter(move |(_, end)| *end > at)
    }

    fn days(&self, at: Timestamp) -> Days<'_> {
        // A span of the day before may reach over midnight.
        let first = local(at, &self.zone).and_then(|local| local.date().yesterday().ok());
        Days {
            schedule: self,
            date: first.filter(|_| self.week.is_some()),
            left: HORIZON_DAYS,
            ready: match self.week {
                Some(_) => VecDeque::new(),
                None => VecDeque::from([(Timestamp(i64::MIN), Timestamp(i64::MAX))]),
            },
        }
    }
}

/// Spans as the days give them, by their begin.
struct Days<'a> {
    schedule: &'a Schedule,
    date: Option<Date>,
    left: u32,
    ready: VecDeque<(Timestamp, Timestamp)>,
}

impl Iterator for Days<'_> {
    type Item = (Timestamp, Timestamp);

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let (date, week) = (self.date?, self.schedule.week.as_ref()?);
            self.left = self.left.checked_sub(1)?;
            self.date = date.tomorrow().ok();
            let usual = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
            let other = week.named.get(&date).map(|(_, opening)| opening.spans(&week.days, usual));
            let zone = &self.schedule.zone;
            let spans = other.as_ref().unwrap_or(&week.days[usual]).iter().filter_map(|(from, to)| {
                let span = (instant(date, from, zone)?, instant(date, to, zone)?);
                (span.0 < span.1).then_some(span)
            });
            self.ready.extend(spans);
        }
        self.ready.pop_front()
    }
}

/// Spans that touch or overlap made one.
struct Spliced<I> {
    days: I,
    next: Option<(Timestamp, Timestamp)>,
}

impl<I: Iterator<Item = (Timestamp, Timestamp)>> Iterator for Spliced<I> {
    type Item = (Timestamp, Timestamp);

    fn next(&mut self) -> Option<Self::Item> {
        let mut current = self.next.take().or_else(|| self.days.next())?;
        // Open day and night, one span would go on for ever: a piece of it is as good.
        let piece = current.0.plus_millis(40 * 86_400_000);
        for (from, to) in self.days.by_ref() {
            if from > current.1 || current.1 > piece {
                self.next = Some((from.max(current.1), to)).filter(|(from, to)| from < to);
                break;
            }
            current.1 = current.1.max(to);
        }
        Some(current)
    }
}

/// Spans without the absences.
struct Without<I> {
    spans: I,
    away: VecDeque<(Timestamp, Timestamp)>,
    rest: Option<(Timestamp, Timestamp)>,
}

impl<I: Iterator<Item = (Timestamp, Timestamp)>> Iterator for Without<I> {
    type Item = (Timestamp, Timestamp);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (from, to) = self.rest.take().or_else(|| self.spans.next())?;
            while self.away.front().is_some_and(|(_, end)| *end <= from) {
                self.away.pop_front();
            }
            match self.away.front() {
                Some((begin, end)) if *begin <= from && *end == Timestamp(i64::MAX) => return None,
                Some((begin, end)) if *begin < to => {
                    self.rest = Some((*end, to)).filter(|(from, to)| from < to);
                    if from < *begin {
                        return Some((from, *begin));
                    }
                }
                _ => return Some((from, to)),
            }
        }
    }
}

fn local(at: Timestamp, zone: &Zone) -> Option<DateTime> {
    let at = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
    Some(zone.rules().to_datetime(at))
}

/// The instant of a minute since the midnight of a date, which may be on the next day.
pub(super) fn instant(date: Date, minute: u16, zone: &Zone) -> Option<Timestamp> {
    let date = if minute >= DAY { date.tomorrow().ok()? } else { date };
    let (hour, minute) = (i8::try_from(minute % DAY / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let at = date.at(hour, minute, 0, 0);
    let rules: &TimeZone = zone.rules();
    let ambiguous = rules.to_ambiguous_timestamp(at);
    let at = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok()?,
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            rules.following(before).next()?.timestamp()
        }
    };
    Some(Timestamp(at.as_millisecond()))
}
