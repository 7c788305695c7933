//! Recipients' own time, on all days: also those on which clocks change, by an hour or half of one.

use super::super::{Broadcast, Occurrence, Place, Planner, Section, first, next};
use super::{at, began, campaign, customer};
use crate::calendar::Zone;
use crate::time::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use proptest::prelude::*;
use serde_json::json;

/// From one end of the day to the other, with all kinds of changes: an hour, half of one, backwards in the south, none.
const ZONES: [&str; 14] = [
    "Pacific/Kiritimati",
    "Pacific/Chatham",
    "Australia/Lord_Howe",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Africa/Cairo",
    "Europe/Berlin",
    "UTC",
    "America/St_Johns",
    "America/Santiago",
    "America/New_York",
    "America/Los_Angeles",
    "Pacific/Pago_Pago",
];

fn local_of(zone: &str, at: Timestamp) -> DateTime {
    let zone = TimeZone::get(zone).unwrap();
    jiff::Timestamp::from_millisecond(at.millis()).unwrap().to_zoned(zone).datetime()
}

fn place(broadcast: &Broadcast, zone: &str, who: usize) -> Place {
    let planner = Planner::new(broadcast, None, 0).unwrap();
    planner.place(&mut Section::default(), &customer(who), &Zone::named(zone).unwrap())
}

/// Whether it is that time there at this instant for the first time; if the clock skips it, as much later as it skips.
fn is_that_time(zone: &str, wanted: DateTime, at: Timestamp) -> bool {
    let there = local_of(zone, at);
    let earlier = |minutes: i64| local_of(zone, at.plus_millis(-minutes * 60_000));
    if there == wanted {
        return [30, 60, 120].into_iter().all(|minutes| earlier(minutes) != wanted);
    }
    let skipped = there - wanted;
    let gap = TimeZone::get(zone).unwrap().to_ambiguous_zoned(wanted);
    // Before the clock changed it was so much earlier than the instant shows, and that time did not come.
    gap.is_ambiguous() && [30, 60].into_iter().any(|minutes: i64| is_so_long(skipped, minutes))
}

fn is_so_long(span: Span, minutes: i64) -> bool {
    span.total(jiff::Unit::Minute).is_ok_and(|total| (total - minutes as f64).abs() < f64::EPSILON)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Each recipient has one place: when it is that time where they live, on that day.
    #[test]
    fn everybody_gets_it_once_when_it_is_that_time_there(
        day in 0i64..900,
        minute in 0i64..1_440,
        zones in prop::collection::vec(0usize..ZONES.len(), 1..20),
    ) {
        let wanted = at("2026-01-03T00:00:00Z");
        let wanted = local_of("UTC", wanted).checked_add(day.days().minutes(minute)).unwrap();
        let text = wanted.strftime("%Y-%m-%dT%H:%M").to_string();
        let document = campaign(json!({ "at": { "local_time": text } }));
        let broadcast = began(&document, at("2026-01-01T00:00:00Z"));
        for (who, zone) in zones.into_iter().map(|zone| ZONES[zone]).enumerate() {
            let place = place(&broadcast, zone, who);
            prop_assert!(is_that_time(zone, wanted, place.at), "{text} in {zone}: {}", place.at);
            prop_assert!(place.at >= broadcast.at, "{zone} has it first");
            prop_assert_eq!(place, self::place(&broadcast, zone, who));
        }
    }

    /// What recurs comes on each of its days once, everywhere, in the order of the days.
    #[test]
    fn what_comes_each_day_comes_on_each_day_once(
        start in 0i64..400,
        minute in 0i64..1_440,
        zone in 0usize..ZONES.len(),
    ) {
        let time = format!("{:02}:{:02}", minute / 60, minute % 60);
        let document = campaign(json!({ "at": { "every": "day", "time": time, "zone": "recipient" } }));
        let start = at("2026-01-01T00:00:00Z").plus_millis(start * 86_400_000);
        let (zone, mut when): (_, Occurrence) = (ZONES[zone], first(&document.at, start).unwrap());
        let mut last: Option<(Timestamp, DateTime)> = None;
        for n in 1..40 {
            let mut broadcast = Broadcast::new(&document.name, n, when, "admin", start);
            broadcast.begin(&document, 1, None, when.at.plus_millis(-600_000)).unwrap();
            let (wanted, own) = (when.local.unwrap(), place(&broadcast, zone, 1).at);
            prop_assert!(is_that_time(zone, wanted, own), "{wanted} in {zone}: {own}");
            if let Some((before, day)) = last {
                prop_assert!(before < own && wanted.date() == day.date().tomorrow().unwrap(), "{day} {wanted}");
            }
            last = Some((own, wanted));
            when = next(&document.at, when, when.at).unwrap();
        }
    }

    /// Whoever's time has passed when it begins gets it at once, and nobody before it began.
    #[test]
    fn who_is_late_gets_it_at_once(hours in 0i64..26, zone in 0usize..ZONES.len()) {
        let document = campaign(json!({ "at": { "local_time": "2027-03-28T02:30" } }));
        let now = first(&document.at, at("2027-01-01T00:00:00Z")).unwrap().at.plus_millis(hours * 3_600_000);
        let broadcast = began(&document, now);
        let own = place(&broadcast, ZONES[zone], 1).at;
        let wanted: DateTime = "2027-03-28T02:30".parse().unwrap();
        prop_assert!(own == now || (own > now && is_that_time(ZONES[zone], wanted, own)), "{own}");
    }
}
