//! Schedules: days by hand, days on which the clocks change, and laws over generated ones.

use super::*;
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn hours(value: serde_json::Value) -> Hours {
    serde_json::from_value(value).unwrap()
}

fn schedule(value: serde_json::Value) -> Schedule {
    Schedule::new(&hours(value), None)
}

fn leave(value: serde_json::Value) -> Leave {
    serde_json::from_value(value).unwrap()
}

#[test]
fn hours_are_read_in_their_zone_and_shown_as_they_hold() {
    let written = hours(json!({
        "zone": "Asia/Shanghai", "mon-fri": "09:00-12:00,13:30-18:30", "sun-sun": "22:00-06:00", "calendar": "cn",
    }));
    let shown = serde_json::to_value(&written).unwrap();
    assert_eq!(shown["tue"], "09:00-12:00, 13:30-18:30");
    assert_eq!(shown["sun"], "22:00-06:00");
    assert_eq!(shown.get("sat"), None);
    assert_eq!(hours(shown), written);

    let schedule = Schedule::new(&written, None);
    assert!(!schedule.is_open(at("2026-11-23T00:59:59.999Z")), "Monday, a moment before nine");
    assert!(schedule.is_open(at("2026-11-23T01:00:00Z")), "Monday, nine o'clock in Shanghai");
    assert!(!schedule.is_open(at("2026-11-23T04:00:00Z")), "noon");
    assert!(schedule.is_open(at("2026-11-22T21:59:00Z")), "the night shift of Sunday ends on Monday at six");
    assert_eq!(schedule.next_open(at("2026-11-27T10:30:00Z")), Some(at("2026-11-29T14:00:00Z")));
}

#[test]
fn mistakes_in_hours_are_named() {
    for (value, said) in [
        (json!({"mon": "09:00-18:00"}), "zone"),
        (json!({"zone": "Europe/Berln", "mon": "09:00-18:00"}), "no time zone `Europe/Berln`"),
        (json!({"zone": "UTC"}), "no day has hours"),
        (json!({"zone": "UTC", "mon": "9-18"}), "no span of time"),
        (json!({"zone": "UTC", "mon": "09:60-18:00"}), "no span of time"),
        (json!({"zone": "UTC", "mon": "09:00-24:01"}), "no span of time"),
        (json!({"zone": "UTC", "mon": "09:00-09:00"}), "all day is"),
        (json!({"zone": "UTC", "mon": "09:00-12:00, 11:00-14:00"}), "overlap"),
        (json!({"zone": "UTC", "mon": "02:00-04:00, 22:00-03:00"}), "overlap"),
        (json!({"zone": "UTC", "mon-fri": "09:00-18:00", "fri": "09:00-12:00"}), "fri is here twice"),
        (json!({"zone": "UTC", "monday": "09:00-18:00"}), "unknown field `monday`"),
    ] {
        let error = serde_json::from_value::<Hours>(value.clone()).unwrap_err().to_string();
        assert!(error.contains(said), "{value}: {error}");
    }
}

#[test]
fn a_holiday_closes_a_half_day_shortens_and_an_extra_working_day_opens() {
    let calendar: Calendar = serde_json::from_value(json!({"name": "cn", "days": [
        {"date": "2026-02-15", "to": "2026-02-23", "name": "Spring Festival"},
        {"date": "2026-02-14", "name": "Spring Festival, make-up day", "open": "like fri"},
        {"date": "2026-12-24", "name": "Christmas Eve", "open": "until 12:00"},
    ]}))
    .unwrap();
    assert_eq!(
        serde_json::from_value::<Calendar>(serde_json::to_value(&calendar).unwrap()).unwrap(),
        calendar
    );
    let hours = hours(json!({"zone": "Asia/Shanghai", "mon-fri": "09:00-18:00", "calendar": "cn"}));
    let schedule = Schedule::new(&hours, Some(&calendar));
    assert!(schedule.is_open(at("2026-02-14T09:59:00Z")), "a Saturday that is worked");
    let closed = schedule.closed(at("2026-02-16T02:00:00Z")).unwrap();
    assert_eq!(closed.reason, Reason::Holiday("Spring Festival".to_owned()));
    assert_eq!(closed.back, Some(at("2026-02-24T01:00:00Z")));
    assert!(schedule.is_open(at("2026-12-24T03:59:00Z")));
    assert_eq!(schedule.open_time_between(at("2026-12-23T16:00:00Z"), at("2026-12-24T16:00:00Z")), 3 * HOUR);
}

#[test]
fn a_day_on_which_the_clocks_change_has_the_hours_that_pass() {
    let berlin = schedule(json!({"zone": "Europe/Berlin", "daily": "00:00-24:00"}));
    let day = |from: &str, to: &str| berlin.open_time_between(at(from), at(to));
    assert_eq!(day("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"), 23 * HOUR);
    assert_eq!(day("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"), 25 * HOUR);

    // Two o'clock becomes three: the shift that spans the change is an hour shorter, the one inside does not happen.
    let night = schedule(json!({"zone": "Europe/Berlin", "sun": "01:00-04:00"}));
    assert_eq!(night.open_time_between(at("2026-03-28T12:00:00Z"), at("2026-03-29T12:00:00Z")), 2 * HOUR);
    assert_eq!(night.open_time_between(at("2026-10-24T12:00:00Z"), at("2026-10-25T12:00:00Z")), 4 * HOUR);
    let skipped = schedule(json!({"zone": "Europe/Berlin", "sun": "02:10-02:50"}));
    assert_eq!(skipped.next_open(at("2026-03-28T12:00:00Z")), Some(at("2026-04-05T02:10:00+02:00")));
    let half_skipped = schedule(json!({"zone": "Europe/Berlin", "sun": "02:30-03:15"}));
    assert_eq!(half_skipped.next_open(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T01:00:00Z")));

    // A deadline of two hours from 17:30 on Friday is 10:30 on Monday, whatever the clocks did on Sunday.
    let office = schedule(json!({"zone": "America/New_York", "mon-fri": "09:00-18:00"}));
    assert_eq!(
        office.add_open_time(at("2026-03-06T17:30:00-05:00"), 2 * HOUR),
        Some(at("2026-03-09T10:30:00-04:00"))
    );
}

#[test]
fn an_absence_of_days_counts_whole_days_of_the_persons_own_zone() {
    let office = schedule(json!({"zone": "Asia/Shanghai", "daily": "00:00-24:00"}));
    let away = office.with_leave(&leave(json!([{"from": "2026-12-24", "to": "2026-12-25"}])));
    assert!(away.is_open(at("2026-12-23T15:59:59Z")));
    let closed = away.closed(at("2026-12-23T16:00:00Z")).unwrap();
    assert_eq!((closed.reason, closed.back), (Reason::Leave, Some(at("2026-12-25T16:00:00Z"))));

    let for_good = office.with_leave(&leave(json!([{"from": "2026-12-24T12:00:00Z"}])));
    assert_eq!(
        for_good.closed(at("2027-12-24T12:00:00Z")),
        Some(Closed { reason: Reason::Leave, back: None })
    );
    assert_eq!(for_good.add_open_time(at("2026-12-24T11:00:00Z"), HOUR), Some(at("2026-12-24T12:00:00Z")));
    assert_eq!(for_good.add_open_time(at("2026-12-24T11:00:00Z"), HOUR + 1), None);
}

#[test]
fn without_hours_it_is_always_open_but_for_absences() {
    let always = Schedule::always();
    let now = at("2026-11-21T12:00:00Z");
    assert_eq!(always.next_open(now), Some(now));
    assert_eq!(always.add_open_time(now, 5 * MINUTE), Some(now.plus_millis(5 * MINUTE)));
    let away = always.with_leave(&leave(json!([
        {"from": "2026-11-21T11:00:00Z", "to": "2026-11-21T13:00:00Z"},
        {"from": "2026-11-21T12:30:00Z", "to": "2026-11-21T14:00:00Z"},
        {"from": "2026-11-21T15:00:00Z", "to": "2026-11-21T14:00:00Z"},
    ])));
    assert_eq!(away.next_open(now), Some(at("2026-11-21T14:00:00Z")));
    assert!(away.is_open(at("2026-11-21T15:30:00Z")), "an absence that ends before it begins is none");
    let odd = [Timestamp(i64::MIN), Timestamp(i64::MAX), Timestamp(-1)];
    for (a, b) in odd.iter().flat_map(|a| odd.iter().map(move |b| (*a, *b))) {
        let office = schedule(json!({"zone": "Europe/Berlin", "mon": "00:00-24:00"}));
        assert!(office.open_time_between(a, b) >= 0);
        assert!(office.closed(a).is_some() || office.is_open(a));
        assert!(office.add_open_time(a, b.millis()).is_none_or(|then| then >= a));
    }
}

const ZONES: [&str; 9] = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Shanghai",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Pacific/Chatham",
    "UTC",
];

prop_compose! {
    fn spans()(cuts in prop::collection::btree_set(0u16..=96, 0..5), over in any::<bool>()) -> String {
        let cuts: Vec<u16> = cuts.into_iter().map(|quarter| quarter * 15).collect();
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let mut spans: Vec<String> =
            cuts.chunks_exact(2).map(|pair| format!("{}-{}", time(pair[0]), time(pair[1]))).collect();
        if let (true, [first, .., last]) = (over && cuts.len() % 2 == 1, cuts.as_slice())
            && *last < 1440 && *first > 0
        {
            spans.push(format!("{}-{}", time(*last), time(*first)));
        }
        if spans.is_empty() { "closed".to_owned() } else { spans.join(", ") }
    }
}

prop_compose! {
    fn schedules()(
        zone in prop::sample::select(ZONES.to_vec()),
        days in prop::collection::vec(spans(), 7),
        named in prop::collection::vec((0i64..900, 0i64..4, 0u8..3, 0u16..1440, 0usize..7), 0..8),
        away in prop::collection::vec((0i64..900 * DAY, 0i64..20 * DAY), 0..4),
    ) -> (Hours, Schedule) {
        let mut hours: serde_json::Map<String, serde_json::Value> =
            DAY_NAMES.iter().zip(days).map(|(name, spans)| ((*name).to_owned(), json!(spans))).collect();
        hours.insert("zone".to_owned(), json!(zone));
        let hours: Hours = serde_json::from_value(hours.into()).unwrap();
        let first = jiff::civil::date(2026, 1, 1);
        let date = |days: i64| first.checked_add(jiff::Span::new().days(days)).unwrap();
        let named = named.into_iter().map(|(from, more, kind, minute, like)| Day {
            date: date(from),
            to: Some(date(from + more)),
            name: "day".to_owned(),
            open: [Opening::Closed, Opening::Until(minute), Opening::Like(like)][usize::from(kind)],
        });
        let calendar = Calendar { name: "x".to_owned(), days: named.collect() };
        let begin = at("2026-01-01T00:00:00Z");
        let moment = |millis| Moment::At(begin.plus_millis(millis));
        let absences = away.into_iter().map(|(from, long)| Absence { from: moment(from), to: Some(moment(from + long)) });
        let schedule = Schedule::new(&hours, Some(&calendar)).with_leave(&Leave(absences.collect()));
        (hours, schedule)
    }
}

fn instants() -> impl Strategy<Value = Timestamp> {
    (0i64..900 * 24 * 12).prop_map(|steps| at("2026-01-01T00:00:00Z").plus_millis(steps * 5 * MINUTE))
}

/// The rules of a usual week, read off the local clock. It knows nothing of days on which that clock is changed.
fn is_open_by_the_clock(hours: &Hours, at: Timestamp) -> bool {
    let zone = jiff::tz::TimeZone::get(hours.zone.name()).unwrap();
    let local = zone.to_datetime(jiff::Timestamp::from_millisecond(at.millis()).unwrap());
    let minute = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
    let today = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap();
    let holds =
        |day: usize, minute: u16| hours.days[day].iter().any(|(from, to)| from <= minute && minute < to);
    holds(today, minute) || holds((today + 6) % 7, minute + 1440)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_usual_week_is_what_the_local_clock_says((hours, _) in schedules(), at in instants()) {
        let zone = jiff::tz::TimeZone::get(hours.zone.name()).unwrap();
        let offset = |millis| zone.to_offset(jiff::Timestamp::from_millisecond(at.millis() + millis).unwrap());
        prop_assume!(offset(-2 * DAY) == offset(0) && offset(0) == offset(2 * DAY));
        prop_assert_eq!(Schedule::new(&hours, None).is_open(at), is_open_by_the_clock(&hours, at));
    }

    #[test]
    fn open_time_adds_up((_, schedule) in schedules(), times in prop::collection::vec(instants(), 3)) {
        let mut times = times;
        times.sort();
        let between = |a: usize, b: usize| schedule.open_time_between(times[a], times[b]);
        prop_assert_eq!(between(0, 2), between(0, 1) + between(1, 2));
        prop_assert_eq!(schedule.open_time_between(times[2], times[0]), 0);
        prop_assert!(between(0, 2) <= times[2].since(times[0]));
    }

    #[test]
    fn what_is_added_has_passed(
        (_, schedule) in schedules(), from in instants(), millis in 0i64..200 * HOUR, more in 0i64..20 * HOUR,
        later in 0i64..5 * DAY,
    ) {
        let Some(then) = schedule.add_open_time(from, millis) else {
            prop_assert!(schedule.open_time_between(from, Timestamp(i64::MAX)) < millis);
            return Ok(());
        };
        prop_assert_eq!(schedule.open_time_between(from, then), millis);
        prop_assert!(millis == 0 || schedule.is_open(then.plus_millis(-1)), "the first such instant ends open time");
        if let Some(after) = schedule.add_open_time(from, millis + more) {
            prop_assert!(after >= then);
        }
        if let Some(after) = schedule.add_open_time(from.plus_millis(later), millis) {
            prop_assert!(after >= then);
        }
    }

    #[test]
    fn adding_the_time_between_comes_back(
        (_, schedule) in schedules(), from in instants(), long in 0i64..30 * DAY,
    ) {
        let to = from.plus_millis(long);
        let then = schedule.add_open_time(from, schedule.open_time_between(from, to)).unwrap();
        prop_assert!(then <= to);
        prop_assert_eq!(schedule.open_time_between(then, to), 0);
        if long > 0 && schedule.is_open(to.plus_millis(-1)) {
            prop_assert_eq!(then, to);
        }
    }

    #[test]
    fn it_opens_next_when_open_time_goes_on((_, schedule) in schedules(), at in instants()) {
        let next = schedule.next_open(at);
        let is_open = schedule.is_open(at);
        prop_assert_eq!(is_open, schedule.open_time_between(at, at.plus_millis(1)) == 1);
        prop_assert_eq!(schedule.closed(at).map(|closed| closed.back), (!is_open).then_some(next));
        if let Some(next) = next {
            prop_assert!(next >= at && schedule.is_open(next));
            prop_assert_eq!(schedule.open_time_between(at, next), 0);
        }
    }
}
