//! Campaigns: when, who, what, and how much is too much.

mod zones;

use super::*;
use crate::calendar::Zone;
use crate::id::CustomerId;
use crate::message::{Channel, Message, MessageState};
use crate::policy::Campaign;
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn campaign(more: Value) -> Campaign {
    let mut document = json!({
        "name": "spring", "audience": { "segment": "vip" }, "send": { "template": "spring", "topic": "product" },
    });
    document.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    serde_json::from_value(document).unwrap()
}

/// A broadcast of it that was asked for at an instant and began then.
fn began(document: &Campaign, now: Timestamp) -> Broadcast {
    let when = first(&document.at, now).unwrap();
    let mut broadcast = Broadcast::new(&document.name, 1, when, "admin", now);
    broadcast.begin(document, 1, None, now).unwrap();
    broadcast
}

fn customer(n: usize) -> CustomerId {
    CustomerId::derived(&[&n.to_string()])
}

const NOON: &str = "2027-03-01T12:00:00Z";

/// Where everybody of a broadcast has their place, gone through part by part and page by page.
fn places(broadcast: &Broadcast, rate: Option<u32>, people: usize, zone: &Zone) -> Vec<(CustomerId, Place)> {
    let mut all = Vec::new();
    for part in 0..SECTIONS {
        let planner = Planner::new(broadcast, rate, part).unwrap();
        let mut section = Section::default();
        let mine = (0..people).filter(|n| n % usize::from(SECTIONS) == usize::from(part));
        all.extend(mine.map(|n| (customer(n), planner.place(&mut section, &customer(n), zone))));
    }
    all
}

#[test]
fn it_goes_out_now_then_or_when_it_is_that_time_somewhere() {
    let now = at(NOON);
    let of = |when: Value| first(&campaign(json!({ "at": when })).at, now);
    assert_eq!(of(json!("now")), Ok(Occurrence { at: now, local: None }));
    assert_eq!(of(json!({ "time": "2027-03-01T12:00:01Z" })).unwrap().at, at("2027-03-01T12:00:01Z"));
    assert_eq!(of(json!({ "time": "2027-03-01T11:59:59Z" })), Err(TooLate));
    // Nine o'clock begins on Kiritimati, 14 hours before it is nine in Greenwich, and ends 12 hours after that.
    let local = of(json!({ "local_time": "2027-03-02T09:00" })).unwrap();
    assert_eq!(local.at, at("2027-03-01T19:00:00Z"));
    assert!(of(json!({ "local_time": "2027-03-01T00:30" })).is_ok(), "somewhere it is still to come");
    assert_eq!(of(json!({ "local_time": "2027-02-28T23:00" })), Err(TooLate));
}

#[test]
fn it_goes_out_again_on_its_days_and_months_have_a_last_one() {
    let all = |when: Value, n: usize| {
        let document = campaign(json!({ "at": when }));
        let mut last = first(&document.at, at(NOON)).unwrap();
        let mut times = vec![last.at.rfc3339()];
        for _ in 1..n {
            last = next(&document.at, last, last.at.plus_millis(-PLAN_AHEAD_MS)).unwrap();
            times.push(last.at.rfc3339());
        }
        times
    };
    // A Monday; Berlin goes to summer time on the 28th, so its nine o'clock comes an hour earlier by ours.
    assert_eq!(
        all(json!({ "every": ["thu", "sun"], "time": "09:00", "zone": "Europe/Berlin" }), 9)[6..],
        ["2027-03-25T08:00:00.000Z", "2027-03-28T07:00:00.000Z", "2027-04-01T07:00:00.000Z"]
    );
    assert_eq!(
        all(json!({ "every": "month", "day": 31, "time": "00:00", "zone": "UTC" }), 3),
        ["2027-03-31T00:00:00.000Z", "2027-04-30T00:00:00.000Z", "2027-05-31T00:00:00.000Z"]
    );
    // At 02:30 on the 28th there is no such time in Berlin: it comes as much later as the clock skips.
    let daily = all(json!({ "every": "day", "time": "02:30", "zone": "Europe/Berlin" }), 28);
    assert_eq!(
        daily[25..28],
        ["2027-03-27T01:30:00.000Z", "2027-03-28T01:30:00.000Z", "2027-03-29T00:30:00.000Z"]
    );
    let own = all(json!({ "every": "day", "time": "09:00", "zone": "recipient" }), 2);
    assert_eq!(own, ["2027-03-01T19:00:00.000Z", "2027-03-02T19:00:00.000Z"]);
    assert_eq!(next(&campaign(json!({})).at, Occurrence { at: at(NOON), local: None }, at(NOON)), None);
}

#[test]
fn what_was_missed_of_a_recurring_campaign_is_not_made_up_for() {
    let daily = campaign(json!({ "at": { "every": "day", "time": "09:00", "zone": "UTC" } })).at;
    let monday = first(&daily, at("2027-03-01T08:00:00Z")).unwrap();
    let thursday = at("2027-03-04T10:00:00Z");
    assert_eq!(next(&daily, monday, thursday).unwrap().at, at("2027-03-05T09:00:00Z"));
    assert!(is_missed(&daily, monday, thursday));
    let same_day = at("2027-03-02T08:59:00Z");
    assert!(!is_missed(&daily, monday, same_day), "late, and still that day's");
    assert_eq!(next(&daily, monday, same_day).unwrap().at, at("2027-03-02T09:00:00Z"));
    assert!(!is_missed(&campaign(json!({})).at, monday, thursday), "one that goes out once is not missed");
    let mut broadcast = Broadcast::new("spring", 1, monday, "ann", at(NOON));
    assert!(broadcast.miss(thursday) && broadcast.state == BroadcastState::Cancelled && broadcast.missed);
    let mut running = began(&campaign(json!({})), at(NOON));
    assert!(!running.miss(thursday) && running.state == BroadcastState::Running && !running.missed);
}

/// So many parts that are gone through but the first, with a message planned in each.
fn sections(done: bool) -> Vec<Section> {
    let section = Section { page: 1, done: true, planned: 1, last: Some(at(NOON)), ..Section::default() };
    let mut sections = vec![section; usize::from(SECTIONS)];
    sections[0].done = done;
    sections
}

fn sent(n: i64) -> Counts {
    let mut counts = Counts::default();
    counts.add("sent", n);
    counts
}

#[test]
fn it_is_done_late_only_once_nothing_has_come_to_its_end_for_a_day() {
    let after = |hours: i64| at(NOON).plus_millis(hours * 3_600_000);
    let plain = began(&campaign(json!({})), at(NOON));
    let seen = Look::first(at(NOON)).see(&plain, &sections(true), &sent(3), None, at(NOON));
    assert!(!seen.is_done);
    assert!(Look::first(at(NOON)).see(&plain, &sections(true), &sent(8), None, at(NOON)).is_done);
    assert!(
        !Look::first(after(30)).see(&plain, &sections(true), &sent(3), None, after(30)).is_done,
        "nobody looked before"
    );
    // A day after the last place messages still go out, slowly.
    let seen = seen.next.see(&plain, &sections(true), &sent(4), None, after(20));
    let seen = seen.next.see(&plain, &sections(true), &sent(5), None, after(30));
    assert!(!seen.is_done);
    let seen = seen.next.see(&plain, &sections(true), &sent(5), None, after(53));
    assert!(!seen.is_done);
    assert!(seen.next.see(&plain, &sections(true), &sent(5), None, after(55)).is_done);
    assert!(
        !seen.next.see(&plain, &sections(false), &sent(5), None, after(55)).is_done,
        "a part is still to be gone through"
    );
}

#[test]
fn a_part_of_the_audience_that_stands_still_is_gone_on_with_once_in_a_while() {
    let after = |minutes: i64| at(NOON).plus_millis(minutes * 60_000);
    let plain = began(&campaign(json!({})), at(NOON));
    let mut look = Look::first(at(NOON));
    let mut still = Vec::new();
    for minute in 0..30 {
        let mut sections = sections(false);
        // It moved in the third minute.
        sections[0].page = if minute < 3 { 1 } else { 2 };
        let seen = look.see(&plain, &sections, &sent(0), None, after(minute));
        still.extend(seen.still.iter().map(|part| (minute, *part)));
        look = seen.next;
    }
    assert_eq!(still, [(11, 0), (19, 0), (27, 0)]);
}

#[test]
fn a_local_time_is_the_recipients_also_on_the_days_on_which_clocks_change() {
    let place = |local: &str, zone: &str| {
        let document = campaign(json!({ "at": { "local_time": local } }));
        let broadcast = began(&document, at("2026-01-01T00:00:00Z"));
        let planner = Planner::new(&broadcast, None, 0).unwrap();
        planner.place(&mut Section::default(), &customer(1), &Zone::named(zone).unwrap()).at.rfc3339()
    };
    for (local, zone, expected) in [
        ("2027-03-01T09:00", "Asia/Shanghai", "2027-03-01T01:00:00.000Z"),
        ("2027-03-01T09:00", "America/New_York", "2027-03-01T14:00:00.000Z"),
        ("2027-03-01T09:00", "Pacific/Kiritimati", "2027-02-28T19:00:00.000Z"),
        // The gap of a spring night, and the hour that an autumn night has twice: its first.
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:30:00.000Z"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z"),
        ("2027-03-14T02:30", "America/New_York", "2027-03-14T07:30:00.000Z"),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30:00.000Z"),
    ] {
        assert_eq!(place(local, zone), expected, "{local} in {zone}");
    }
    // Whoever's time has passed gets it at once, and not before it began.
    let document = campaign(json!({ "at": { "local_time": "2027-03-01T09:00" } }));
    let broadcast = began(&document, at(NOON));
    let planner = Planner::new(&broadcast, None, 0).unwrap();
    let shanghai = Zone::named("Asia/Shanghai").unwrap();
    assert_eq!(planner.place(&mut Section::default(), &customer(1), &shanghai).at, at(NOON));
}

#[test]
fn the_split_is_by_weight_and_stays_whoever_is_asked_for_in_whatever_order() {
    let document = campaign(json!({
        "variants": [{ "name": "a", "weight": 3 }, { "name": "b", "template": "spring-b" }],
        "hold_out": "10%",
    }));
    let broadcast = began(&document, at(NOON));
    let zone = Zone::utc();
    let all = places(&broadcast, None, 10_000, &zone);
    let count = |share: Share| all.iter().filter(|(_, place)| place.share == share).count();
    let (none, a, b) =
        (count(Share::Nothing), count(Share::Message(Some(0))), count(Share::Message(Some(1))));
    assert!((900..=1_100).contains(&none) && none + a + b == 10_000, "{none} {a} {b}");
    assert!((6_500..=7_000).contains(&a) && (2_050..=2_450).contains(&b), "{a} {b}");
    let again: BTreeMap<_, _> =
        places(&began(&document, at(NOON)), None, 10_000, &zone).into_iter().collect();
    assert!(all.iter().all(|(customer, place)| again[customer].share == place.share));
    let other = Campaign { name: "autumn".to_owned(), ..document };
    let others = places(&began(&other, at(NOON)), None, 10_000, &zone);
    assert_ne!(others, all, "another campaign holds others out");
}

#[test]
fn only_the_test_gets_its_variant_at_once_and_the_others_the_winner_after_it() {
    let document = campaign(json!({
        "variants": [{ "name": "a" }, { "name": "b", "template": "spring-b" }],
        "winner": { "by": "clicked", "test": "20%", "after": "4h" },
    }));
    let mut broadcast = began(&document, at(NOON));
    let all = places(&broadcast, None, 5_000, &Zone::utc());
    let tested = all.iter().filter(|(_, place)| place.share != Share::Winner).count();
    assert!((900..=1_100).contains(&tested), "{tested}");
    let decided = at(NOON).plus_millis(4 * 3_600_000);
    for (who, place) in &all {
        let is_waiting = place.share == Share::Winner;
        assert_eq!(place.at, if is_waiting { decided } else { at(NOON) });
        assert_eq!(
            broadcast.order(who, *place, Channel::Email).is_none(),
            is_waiting,
            "there is no winner yet"
        );
    }
    let mut counts = Counts::default();
    for (name, n) in [("sent#0", 100), ("clicked#0", 10), ("sent#1", 50), ("clicked#1", 6)] {
        counts.add(name, n);
    }
    let rule = document.winner.unwrap();
    assert_eq!(winner(rule, 2, &counts), 1, "12% beat 10%");
    assert_eq!(winner(rule, 2, &Counts::default()), 0, "nobody clicked: the first");
    broadcast.winner = Some(Chosen { variant: 1, at: decided });
    let (who, place) = all.iter().find(|(_, place)| place.share == Share::Winner).unwrap();
    assert_eq!(broadcast.order(who, *place, Channel::Email).unwrap().template, "spring-b");
}

/// Until when those wait at `now` whose minute was to be this one.
fn waits(
    broadcast: &Broadcast,
    sections: &[Section],
    rate: Option<u32>,
    minute: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let due = broadcast.winner_due(sections, rate, minute, now);
    (due > minute && now < due).then_some(due)
}

#[test]
fn a_test_that_somebody_let_go_on_is_as_long_from_there_as_it_was_to_be() {
    let document = campaign(json!({
        "variants": [{ "name": "a" }, { "name": "b", "template": "spring-b" }],
        "winner": { "by": "clicked", "test": "20%", "after": "4h" },
    }));
    let after = |hours: i64| at(NOON).plus_millis(hours * 3_600_000);
    let mut broadcast = began(&document, at(NOON));
    let until = |broadcast: &Broadcast, minute: i64, now: i64| {
        waits(broadcast, &sections(true), None, after(minute), after(now))
    };
    assert_eq!(until(&broadcast, 4, 4), None, "it never waited");
    broadcast.pause().unwrap();
    broadcast.resume(&Counts::default(), after(5)).unwrap();
    assert_eq!(until(&broadcast, 4, 5), Some(after(9)));
    assert_eq!(until(&broadcast, 6, 6), Some(after(11)), "who was later stays later");
    assert_eq!(until(&broadcast, 4, 9), None);
    broadcast.winner = Some(Chosen { variant: 1, at: after(9) });
    assert_eq!(until(&broadcast, 6, 9), Some(after(11)), "also once it is chosen");
    broadcast.pause().unwrap();
    broadcast.resume(&Counts::default(), after(12)).unwrap();
    assert_eq!(until(&broadcast, 6, 12), None, "there is no test any more");
}

/// A test of half of the people that is decided ten minutes after it, of a campaign that says this besides.
fn contest(more: Value) -> Broadcast {
    let mut document = json!({
        "variants": [{ "name": "a" }, { "name": "b", "template": "spring-b" }],
        "winner": { "by": "clicked", "test": "50%", "after": "10m" },
    });
    document.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    began(&campaign(document), at(NOON))
}

#[test]
fn a_test_is_over_once_the_last_of_it_is_due_at_its_pace() {
    let after = |seconds: i64| at(NOON).plus_millis(seconds * 1_000);
    // So many of each part are in the test, and more of them come after it.
    let parts = |tested: u64, done: bool| {
        let slots = BTreeMap::from([(at(NOON).millis(), tested), (after(600).millis(), 9 * tested)]);
        vec![Section { done, slots, ..Section::default() }; usize::from(SECTIONS)]
    };
    let (all, slow) = (parts(150, true), contest(json!({ "rate": 1 })));
    let until = |minute: i64, now: i64| waits(&slow, &all, None, after(minute), after(now));
    assert_eq!(until(600, 600), Some(after(1_800)), "1200 messages, one a second");
    assert_eq!(until(660, 660), Some(after(1_860)), "who was later stays later");
    assert_eq!(until(600, 1_800), None);
    let due = |now: i64| slow.winner_due(&all, None, after(660), after(now));
    assert_eq!((due(1_860), due(90_000)), (after(1_860), after(1_860)), "however late they come");
    let quick = contest(json!({ "rate": 10 }));
    let until = |channel| waits(&quick, &all, channel, after(600), after(600));
    assert_eq!(
        (until(Some(20)), until(Some(1))),
        (Some(after(720)), Some(after(1_800))),
        "no faster than the channel"
    );
    let plain = contest(json!({}));
    assert_eq!(waits(&plain, &all, None, after(600), after(600)), None, "as fast as it goes");
    let spread = contest(json!({ "spread": "1h" }));
    assert_eq!(waits(&spread, &all, None, after(600), after(600)), Some(after(4_200)));
    // Whoever is still to be found may be of the test; but nobody waits for them for good.
    let some = parts(0, false);
    let until = |now: i64| waits(&slow, &some, None, after(600), after(now));
    assert_eq!((until(700), until(87_000)), (Some(after(1_300)), None));
}

#[test]
fn a_broadcast_is_not_over_before_its_winner_went_out_and_is_looked_at_while_it_does() {
    let after = |seconds: i64| at(NOON).plus_millis(seconds * 1_000);
    // A test that takes two days at its pace, decided two days after it; for the winner there are 80 seconds.
    let rule = json!({ "by": "clicked", "test": "99%", "after": "2d" });
    let broadcast = contest(json!({ "rate": 1, "winner": rule }));
    let tested = 172_800;
    let slots = BTreeMap::from([(at(NOON).millis(), 21_600), (after(172_800).millis(), 10)]);
    let last = Some(after(172_880));
    let section = Section { done: true, planned: 21_610, slots, last, ..Section::default() };
    let all = vec![section; usize::from(SECTIONS)];
    let see = |look: &Look, ended: i64, now: i64| look.see(&broadcast, &all, &sent(ended), None, after(now));
    let seen = see(&Look::first(after(172_800)), tested, 172_800);
    let seen = see(&seen.next, tested, 262_800);
    assert!(!seen.is_done, "a day after the test, and after its winner's places");
    assert_eq!(seen.next.at, after(266_400), "nothing goes out meanwhile");
    let seen = see(&seen.next, tested, 345_000);
    assert_eq!(seen.next.at, after(345_660), "the first minute of the winner");
    // They go out, long after all were to have gone out.
    let seen = see(&seen.next, tested + 40, 400_000);
    assert!(!seen.is_done && seen.next.at <= after(400_060), "{seen:?}");
    let seen = see(&seen.next, tested + 40, 450_000);
    assert!(!seen.is_done && seen.next.at > after(450_060), "{seen:?}");
    assert!(see(&seen.next, tested + 40, 490_000).is_done, "a day after the last of them");
}

#[test]
fn nobody_of_a_test_is_due_after_it_is_over() {
    // Also if the channel takes more a second once they have their places, or has no limit any more.
    for (own, then, now) in [(true, None, None), (false, Some(2), Some(50)), (false, Some(2), None)] {
        let broadcast = contest(if own { json!({ "rate": 2 }) } else { json!({}) });
        let (mut sections, mut last) = (vec![Section::default(); usize::from(SECTIONS)], at(NOON));
        for n in 0..400 {
            let part = n % usize::from(SECTIONS);
            let planner = Planner::new(&broadcast, then, u8::try_from(part).unwrap()).unwrap();
            let place = planner.place(&mut sections[part], &customer(n), &Zone::utc());
            if place.share != Share::Winner {
                last = last.max(place.at);
            }
        }
        sections.iter_mut().for_each(|section| section.done = true);
        let ten = at(NOON).plus_millis(600_000);
        let until = broadcast.winner_due(&sections, now, ten, ten);
        assert!(last > at(NOON).plus_millis(60_000) && until.since(last) >= 600_000, "{last} {until}");
    }
}

#[test]
fn what_it_would_come_to_is_known_before() {
    let of = |more: Value, people| forecast(&campaign(more), Some(10), people, at(NOON)).unwrap();
    let plain = of(json!({ "hold_out": "10%" }), 1_000);
    assert_eq!((plain.held_out, plain.messages, plain.tested), (100, 900, None));
    assert_eq!((plain.takes, plain.last), (90_000, at(NOON).plus_millis(90_000)), "at the channel's rate");
    assert_eq!(of(json!({ "rate": 100 }), 1_000).takes, 10_000, "at its own");
    assert_eq!(of(json!({ "spread": "1h" }), 1_000).takes, 3_600_000);
    assert_eq!(of(json!({ "spread": "1m" }), 1_000).takes, 100_000, "no faster than the channel");
    let test = json!({
        "variants": [{ "name": "a" }, { "name": "b" }],
        "winner": { "by": "clicked", "test": "20%", "after": "1h" },
    });
    let test = of(test, 1_000);
    assert_eq!(
        (test.tested, test.takes),
        (Some(200), 20_000 + 3_600_000 + 80_000),
        "the others come after the test"
    );
    let local = of(json!({ "at": { "local_time": "2027-03-02T09:00" } }), 10);
    assert_eq!(local.when.at, at("2027-03-01T19:00:00Z"));
    assert_eq!(local.last, at("2027-03-02T21:00:00Z").plus_millis(1_000), "where the day ends last");
    let passed = campaign(json!({ "at": { "time": "2027-03-01T11:00:00Z" } }));
    assert_eq!(forecast(&passed, None, 10, at(NOON)), Err(TooLate));
    assert_eq!(of(json!({ "hold_out": "99%" }), 1).messages, 0, "rounded up, and never more than there are");
}

#[test]
fn it_is_known_from_when_until_when_messages_go_out() {
    let broadcast = began(&campaign(json!({ "at": { "local_time": "2027-03-02T09:00" } })), at(NOON));
    let planner = Planner::new(&broadcast, Some(8), 0).unwrap();
    let mut section = Section::default();
    for (n, zone) in ["Asia/Shanghai", "Europe/Berlin", "Europe/Berlin"].into_iter().enumerate() {
        planner.place(&mut section, &customer(n), &Zone::named(zone).unwrap());
    }
    let spans: Vec<_> = section.spans(8).map(|(from, to)| (from.rfc3339(), to.since(from))).collect();
    let expected = [("2027-03-02T01:00:00.000Z", 1_000), ("2027-03-02T08:00:00.000Z", 2_000)];
    assert_eq!(spans, expected.map(|(from, takes)| (from.to_owned(), takes)));
}

#[test]
fn a_guard_rail_looks_once_enough_went_out_and_names_what_was_too_much() {
    let document = campaign(json!({ "stop_if": { "bounce_rate": "5%", "complaint_rate": "0.1%" } }));
    let rails = document.stop_if.unwrap();
    let counts = |numbers: &[(&str, i64)]| {
        let mut counts = Counts::default();
        numbers.iter().for_each(|(name, n)| counts.add(name, *n));
        counts
    };
    assert_eq!(tripped(&rails, &counts(&[("sent", 99), ("bounced", 99)])), None, "too few to say");
    assert_eq!(tripped(&rails, &counts(&[("sent", 101), ("bounced", 5)])), None);
    let rail = tripped(&rails, &counts(&[("sent#0", 60), ("sent#1", 40), ("bounced#1", 5)])).unwrap();
    assert_eq!(rail.sentence(), "5 of 100 messages came back; 5% is where it stops");
    assert_eq!(tripped(&rails, &counts(&[("sent", 1_000), ("complained", 1)])).unwrap().what, "complained");
    // Once somebody let it go on, what came since counts.
    let mut broadcast = began(&campaign(json!({})), at(NOON));
    let until = counts(&[("sent", 100), ("bounced", 6)]);
    assert!(broadcast.stop(tripped(&rails, &until).unwrap(), at(NOON)));
    assert_eq!(broadcast.resume(&until, at(NOON)), Ok(true));
    let after = counts(&[("sent", 300), ("bounced", 7)]);
    assert_eq!(tripped(&rails, &after.since(&broadcast.since)), None);
}

#[test]
fn what_is_over_stays_over_and_what_waits_goes_on_where_it_was() {
    let counts = Counts::default();
    let document = campaign(json!({}));
    let mut broadcast = Broadcast::new("spring", 1, first(&document.at, at(NOON)).unwrap(), "ann", at(NOON));
    assert_eq!((broadcast.pause(), broadcast.pause()), (Ok(true), Ok(false)));
    assert_eq!(broadcast.begin(&document, 1, None, at(NOON)), Err(Refused(BroadcastState::Paused)));
    assert_eq!(broadcast.resume(&counts, at(NOON)), Ok(true));
    assert_eq!(broadcast.state, BroadcastState::Scheduled);
    broadcast.begin(&document, 1, Some(14), at(NOON)).unwrap();
    assert_eq!((broadcast.shards, broadcast.sends()), (3, Sends::Yes));
    let epoch = broadcast.epoch;
    assert_eq!((broadcast.pause(), broadcast.sends()), (Ok(true), Sends::Later));
    assert_eq!((broadcast.resume(&counts, at(NOON)), broadcast.state), (Ok(true), BroadcastState::Running));
    assert_eq!((broadcast.cancel(at(NOON)), broadcast.sends()), (Ok(true), Sends::Never));
    assert_eq!(broadcast.epoch, epoch + 3);
    assert_eq!(broadcast.cancel(at(NOON)), Ok(false));
    assert_eq!(broadcast.resume(&counts, at(NOON)), Err(Refused(BroadcastState::Cancelled)));
    assert!(!broadcast.finish(at(NOON)));
}

#[test]
fn a_message_counts_as_what_became_of_it_and_only_of_a_campaign() {
    let broadcast = began(&campaign(json!({ "variants": [{ "name": "a" }, { "name": "b" }] })), at(NOON));
    let place = Place { share: Share::Message(Some(1)), at: at(NOON) };
    let order = broadcast.order(&customer(1), place, Channel::Email).unwrap();
    let mut message = Message::new(order.clone(), Map::new());
    assert!(names(&message).is_empty());
    message.claim(at(NOON), "n".to_owned(), crate::customer::AddressHash::from_text("1.x"));
    assert_eq!(names(&message), BTreeSet::from(["sent#1".to_owned()]));
    message.state = MessageState::Sent;
    message.trail.deliver(at(NOON));
    assert_eq!(names(&message), BTreeSet::from(["sent#1".to_owned(), "delivered#1".to_owned()]));
    let mut other = Message::new(order, Map::new());
    other.refuse(crate::gate::Verdict::Skip(crate::gate::Reason::NoConsent));
    assert_eq!(names(&other), BTreeSet::from(["skipped.no_consent#1".to_owned()]));
    other.order.campaign = None;
    assert!(names(&other).is_empty());
}

proptest! {
    /// Whatever pages come again, and wherever each part was when it did: everybody has one message, and the same one.
    #[test]
    fn everybody_gets_one_message_whatever_pages_repeat(
        people in 1usize..60,
        page in 1usize..7,
        repeats in prop::collection::vec(0usize..40, 0..6),
    ) {
        let broadcast = began(&campaign(json!({ "rate": 3 })), at(NOON));
        let planner = Planner::new(&broadcast, None, 2).unwrap();
        let (mut section, mut ids, mut n) = (Section::default(), BTreeMap::new(), 0);
        let pages: Vec<Vec<usize>> =
            (0..people).collect::<Vec<_>>().chunks(page).map(<[usize]>::to_vec).collect();
        for (at, page) in pages.iter().enumerate() {
            // A page that died before its cursor moved is gone through again from where the section stood.
            let times = 1 + repeats.iter().filter(|repeat| **repeat == at).count();
            let before = section.clone();
            for _ in 0..times {
                section = before.clone();
                for who in page {
                    let place = planner.place(&mut section, &customer(*who), &Zone::utc());
                    let order = broadcast.order(&customer(*who), place, Channel::Email).unwrap();
                    ids.entry(order.id()).or_insert_with(|| { n += 1; place });
                }
            }
        }
        prop_assert_eq!((ids.len(), n, section.planned), (people, people, people as u64));
    }

    /// No second has more places than the rate, over all parts together.
    #[test]
    fn the_rate_is_kept(rate in 1u32..50, people in 1usize..400) {
        let broadcast = began(&campaign(json!({})), at(NOON));
        let mut seconds: BTreeMap<i64, u32> = BTreeMap::new();
        for (_, place) in places(&broadcast, Some(rate), people, &Zone::utc()) {
            prop_assert!(place.at >= at(NOON));
            *seconds.entry(place.at.seconds()).or_default() += 1;
        }
        prop_assert!(seconds.values().all(|n| *n <= rate), "{:?}", seconds);
    }

    /// Spread over a window, nobody is outside of it, and no tenth of it is empty or crowded.
    #[test]
    fn a_spread_is_even_and_ends_in_time(hours in 1i64..48) {
        let broadcast = began(&campaign(json!({ "spread": format!("{hours}h") })), at(NOON));
        let length = hours * 3_600_000;
        let mut tenths = [0u32; 10];
        for (_, place) in places(&broadcast, None, 2_000, &Zone::utc()) {
            let after = place.at.since(at(NOON));
            prop_assert!((0..length).contains(&after));
            tenths[usize::try_from(after * 10 / length).unwrap()] += 1;
        }
        prop_assert!(tenths.iter().all(|n| (130..=270).contains(n)), "{:?}", tenths);
    }
}
