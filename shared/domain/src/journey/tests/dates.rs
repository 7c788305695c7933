//! Days that make people enter.

use super::super::{Input, next_date};
use super::{Seen, World};
use crate::time::Timestamp;
use serde_json::json;

fn t(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn world(date: serde_json::Value) -> World {
    World::new(json!({
        "trigger": {"date": date}, "entry": {"again": "after_exit"},
        "steps": [{"send": {"template": "a", "topic": "product"}}]
    }))
}

fn of(fact: &str, zone: &'static str) -> Seen {
    Seen { facts: [("day".to_owned(), fact.to_owned())].into(), zone: Some(zone), ..Seen::default() }
}

#[test]
fn a_day_comes_in_the_customers_zone_and_so_many_days_before_or_after() {
    let next = |date: serde_json::Value, fact: &str, zone: &'static str, after: &str| {
        let world = world(date);
        next_date(world.flow(), &of(fact, zone), t(after)).map(Timestamp::rfc3339)
    };
    let once = json!({"fact": "day", "days": "3 days before"});
    let shown = next(once.clone(), "2027-03-10", "Asia/Shanghai", "2026-12-01T00:00:00Z");
    assert_eq!(shown.as_deref(), Some("2027-03-07T01:00:00.000Z"));
    assert_eq!(next(once.clone(), "2027-03-10", "Asia/Shanghai", "2027-03-07T01:00:00Z"), None);
    assert_eq!(next(once, "soon", "UTC", "2026-12-01T00:00:00Z"), None);

    let yearly = json!({"fact": "day", "yearly": true, "at": "08:00"});
    let shown = next(yearly.clone(), "1990-02-29T00:00:00Z", "UTC", "2026-12-01T00:00:00Z");
    assert_eq!(shown, None, "there was no such day");
    let shown = next(yearly.clone(), "1992-02-29", "Europe/Berlin", "2026-12-01T00:00:00Z");
    assert_eq!(shown.as_deref(), Some("2027-02-28T07:00:00.000Z"));
    let shown = next(yearly, "1992-02-29", "Europe/Berlin", "2027-03-01T00:00:00Z");
    assert_eq!(shown.as_deref(), Some("2028-02-29T07:00:00.000Z"));

    // In the year before, for somebody born on the first of January.
    let before = json!({"fact": "day", "yearly": true, "days": "3 days before"});
    let shown = next(before, "1990-01-01", "UTC", "2026-12-01T00:00:00Z");
    assert_eq!(shown.as_deref(), Some("2026-12-29T09:00:00.000Z"));

    // 02:30 is skipped on this day: the instant of the change.
    let gap = json!({"fact": "day", "at": "02:30"});
    let shown = next(gap, "2027-03-28", "Europe/Berlin", "2026-12-01T00:00:00Z");
    assert_eq!(shown.as_deref(), Some("2027-03-28T01:30:00.000Z"));
}

#[test]
fn a_day_makes_people_enter_once_and_only_if_it_is_still_that_day() {
    let mut world = world(json!({"fact": "day", "yearly": true}));
    world.seen = of("1990-12-01", "UTC");
    let birthday = t("2026-12-01T09:00:00Z");
    world.now = 9 * 60;
    world.input(&Input::Date { at: birthday });
    world.input(&Input::Date { at: birthday });
    assert_eq!(world.run().n, 1);
    assert_eq!(world.last(), "Entered on this day already.");
    // The check came late, or the fact changed meanwhile.
    let next = t("2027-12-01T09:00:00Z");
    world.now = (next.since(super::at(0))) / super::M + 2 * 1_440;
    world.input(&Input::Date { at: next });
    assert_eq!(world.last(), "The day is over.");
    world.now -= 2 * 1_440;
    world.seen = of("1990-12-02", "UTC");
    world.input(&Input::Date { at: next });
    assert_eq!(world.last(), "The date is another one now.");
    assert_eq!(world.run().n, 1);
}
