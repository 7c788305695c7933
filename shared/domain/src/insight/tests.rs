//! Results: shares that add up, comparisons that say how sure they are, and counts that are the sum of the entries.

use super::*;
use crate::event::{Entry, Event, EventKind, Led, Own, Who};
use crate::id::{CustomerId, EventId};
use crate::pii::Pii;
use crate::policy::{Amount, Bound, Cost};
use crate::time::Timestamp;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use serde_json::{Value, json};

const DAY: i64 = 86_400;
const WEEK_MS: i64 = 7 * DAY * 1000;

fn touch(at: i64, source: &str) -> Touch {
    Touch { at, key: Key::Source(source.to_owned()), ad: None }
}

fn touches() -> impl Strategy<Value = Vec<Touch>> {
    prop::collection::btree_set(0..200 * DAY, 1..10)
        .prop_map(|times| times.into_iter().map(|at| touch(at, "web")).collect())
}

fn model() -> impl Strategy<Value = Model> {
    prop::sample::select(Model::ALL.to_vec())
}

proptest! {
    /// Nothing is lost and nothing is made up, whatever the amount, the touches and the model.
    #[test]
    fn shares_add_up_to_the_amount(model in model(), touches in touches(), amount in -1_000_000_000i64..1_000_000_000) {
        let shares = credit(model, &touches, Timestamp::from_seconds(200 * DAY), amount, WEEK_MS);
        prop_assert_eq!(shares.len(), touches.len());
        prop_assert_eq!(shares.iter().sum::<i64>(), amount);
        prop_assert!(shares.iter().all(|share| share.signum() * amount.signum() >= 0));
        let back = credit(model, &touches, Timestamp::from_seconds(200 * DAY), -amount, WEEK_MS);
        prop_assert_eq!(back, shares.iter().map(|share| -share).collect::<Vec<_>>(), "a refund goes back as it came");
    }

    #[test]
    fn the_models_agree_on_a_single_touch(model in model(), at in 0..100 * DAY, amount in 0i64..1_000_000) {
        let only = [touch(at, "web")];
        prop_assert_eq!(credit(model, &only, Timestamp::from_seconds(300 * DAY), amount, WEEK_MS), vec![amount]);
    }

    /// A later touch never has a smaller part than an earlier one.
    #[test]
    fn what_was_longer_ago_counts_less(touches in touches(), amount in 0i64..1_000_000, half_life in 3_600_000i64..60 * WEEK_MS) {
        let shares = credit(Model::TimeDecay, &touches, Timestamp::from_seconds(200 * DAY), amount, half_life);
        // By remainders one unit may go either way.
        prop_assert!(shares.windows(2).all(|pair| pair[0] <= pair[1] + 1), "{:?}", shares);
    }

    #[test]
    fn a_share_is_off_by_less_than_a_unit(amount in 0i64..10_000_000, weights in prop::collection::vec(0u64..1_000, 1..20)) {
        let total: u64 = weights.iter().sum();
        for (share, weight) in share_out(amount, &weights).into_iter().zip(&weights) {
            let exact = amount as f64 * *weight as f64 / total.max(1) as f64;
            prop_assert!(total == 0 || (share as f64 - exact).abs() < 1.0 + 1e-6);
        }
    }

    /// The first and the newest stay, however late and often they come.
    #[test]
    fn touches_are_kept_alike_in_whatever_order_they_come(
        times in prop::collection::vec(0i64..1_000, 1..40), turn in 0usize..40, again in any::<bool>(),
    ) {
        let of = |times: &[i64]| {
            let mut all = Touches::default();
            times.iter().for_each(|at| all.add(touch(*at, "web")));
            all
        };
        let mut other = times.clone();
        other.rotate_left(turn % times.len());
        if again {
            other.extend(times.iter().rev());
        }
        let (kept, turned) = (of(&times), of(&other));
        prop_assert_eq!(&kept, &turned);
        let (one, two) = times.split_at(turn % times.len());
        let mut merged = of(one);
        merged.merge(&of(two));
        prop_assert_eq!(&kept, &merged);
        let all = kept.before(Timestamp::from_seconds(2_000), i64::MAX / 2);
        prop_assert!(all.len() <= Touches::MOST);
        prop_assert_eq!(all.first().map(|touch| touch.at), times.iter().min().copied());
        prop_assert_eq!(all.last().map(|touch| touch.at), times.iter().max().copied());
    }

    /// At nobody and at everybody, too: bounds hold what was seen, and stay within what can be.
    #[test]
    fn intervals_hold_what_was_seen(n1 in 0u64..=500, of1 in 1u64..=500, n2 in 0u64..=500, of2 in 1u64..=500) {
        let treated = Part { n: n1.min(of1), of: of1 };
        let held_out = Part { n: n2.min(of2), of: of2 };
        let (from, to) = treated.wilson();
        prop_assert!(0.0 <= from && from <= treated.rate() && treated.rate() <= to && to <= 1.0 && from < to);
        let found = lift(treated, held_out).unwrap();
        let Interval { from, to } = found.difference_interval;
        let to = to.unwrap();
        prop_assert!(-1.0 <= from && from <= found.difference && found.difference <= to && to <= 1.0);
        let Interval { from, to } = found.ratio_interval;
        prop_assert!(from >= 0.0 && from.is_finite());
        if let Some(ratio) = found.ratio {
            prop_assert!(from <= ratio + 1e-9 && to.is_none_or(|to| ratio <= to + 1e-9), "{:?}", found);
        }
        // The other way round it is the same.
        let back = lift(held_out, treated).unwrap();
        prop_assert!((back.difference + found.difference).abs() < 1e-12);
        prop_assert!((back.difference_interval.from + found.difference_interval.to.unwrap()).abs() < 1e-12);
    }
}

#[test]
fn each_model_shares_as_it_says() {
    let at = Timestamp::from_seconds(100 * DAY);
    let days_before = |days: i64| touch((100 - days) * DAY, "web");
    let four = [days_before(21), days_before(14), days_before(7), days_before(0)];
    let shares = |model, touches: &[Touch]| credit(model, touches, at, 1_500, WEEK_MS);
    assert_eq!(shares(Model::First, &four), [1_500, 0, 0, 0]);
    assert_eq!(shares(Model::Last, &four), [0, 0, 0, 1_500]);
    assert_eq!(shares(Model::Linear, &four), [375, 375, 375, 375]);
    assert_eq!(shares(Model::Position, &four), [600, 150, 150, 600]);
    assert_eq!(shares(Model::Position, &four[..3]), [600, 300, 600]);
    assert_eq!(shares(Model::Position, &four[..2]), [750, 750]);
    assert_eq!(shares(Model::TimeDecay, &four), [100, 200, 400, 800], "half as much for each week");
    assert_eq!(
        credit(Model::Linear, &four[..3], at, 100, WEEK_MS),
        [34, 33, 33],
        "the cent goes to the first"
    );
    // Between whole half-lives it is a curve and no line.
    let halfway = [touch(100 * DAY - 7 * DAY / 2, "web"), days_before(0)];
    assert_eq!(credit(Model::TimeDecay, &halfway, at, 1_707_107, WEEK_MS), [707_107, 1_000_000]);
    assert_eq!(credit(Model::Linear, &[], at, 100, WEEK_MS), Vec::<i64>::new());
}

#[test]
fn what_is_too_long_ago_has_no_part() {
    let mut all = Touches::default();
    [1, 50, 99].iter().for_each(|day| all.add(touch(day * DAY, "web")));
    let before = |day: i64| -> Vec<i64> {
        let found = all.before(Timestamp::from_seconds(day * DAY), 60 * DAY * 1000);
        found.iter().map(|touch| touch.at / DAY).collect()
    };
    assert_eq!(before(100), [50, 99]);
    assert_eq!(before(60), [1, 50], "what comes after the order neither");
}

/// Newcombe (1998), Statistics in Medicine 17, table II, method 10: 56/70 and 48/80, 9/10 and 3/10, 10/10 and 0/20.
#[test]
fn the_interval_of_a_difference_is_the_published_one() {
    for (treated, held_out, from, to) in [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ] {
        let part = |(n, of)| Part { n, of };
        let found = lift(part(treated), part(held_out)).unwrap().difference_interval;
        assert!((found.from - from).abs() < 5e-5 && (found.to.unwrap() - to).abs() < 5e-5, "{found:?}");
    }
}

#[test]
fn a_comparison_says_what_it_means_and_how_sure_that_is() {
    let compare = |treated, held_out| lift(treated, held_out).map(|lift| lift.sentence);
    let part = |n, of| Part { n, of };
    assert_eq!(
        compare(part(120, 1_000), part(8, 100)).unwrap(),
        "Of 1000 who took part 12.0 % reached the goal, of 100 held out 8.0 %: 4.0 in a hundred more (-3.2 to 8.5 with a \
         certainty of 95 %), which may be chance."
    );
    assert!(compare(part(400, 1_000), part(20, 100)).unwrap().ends_with("it helps."));
    assert!(compare(part(100, 1_000), part(40, 100)).unwrap().ends_with("it does harm."));
    assert_eq!(compare(part(1, 10), part(0, 0)), None, "nobody was held out");
    assert_eq!(compare(part(3, 2), part(0, 1)), None, "more than there are");
    let none = lift(part(5, 10), part(0, 10)).unwrap();
    assert_eq!((none.ratio, none.ratio_interval.to), (None, None));
    assert!((lift(part(120, 1_000), part(8, 100)).unwrap().more - 40.0).abs() < 1e-9);
}

fn event(name: &str, at: i64, properties: Value) -> Event {
    Event {
        id: EventId::derived(&[name, &at.to_string(), &properties.to_string()]),
        kind: EventKind::Own,
        name: name.to_owned(),
        source: "test".to_owned(),
        at: Timestamp(at),
        received: Timestamp(at),
        properties: Pii::new(properties.as_object().cloned().unwrap_or_default()),
        traits: Pii::default(),
        context: Pii::default(),
    }
}

fn entry(event: &Event, led: Led) -> Entry {
    Entry::of(&Who::Customer(CustomerId::derived(&["x"])), event, 1, led)
}

fn counted(entries: &[Entry]) -> Vec<String> {
    let mut all = Tallies::default();
    entries.iter().for_each(|entry| all.merge(tally(entry)));
    let lines = all.iter().map(|(day, cell, counts)| {
        let counts: Vec<String> =
            counts.iter().map(|(counter, n)| format!("{}={n}", counter.name())).collect();
        format!("{day} {cell} {}", counts.join(" "))
    });
    lines.collect()
}

#[test]
fn events_count_for_what_they_are_about() {
    let of_message = json!({"message": "ms_1", "journey": "welcome", "step": "send.hello"});
    let first = json!({"journey": "welcome", "step": "send.hello", "first": true});
    let captured = json!({"form": "contact", "utm_source": "Google", "utm_campaign": "Spring / 2027"});
    let assigned = json!({"rep": "ann", "team": "dach", "n": 1});
    // Without an advertisement, and by no team.
    let plain = json!({"source": "fair"});
    let kept = json!({"rep": "ann", "team": null, "n": 1});
    let entries = [
        entry(&event("lead_captured", 1, captured), Led::default()),
        entry(&event("lead_assigned", 2, assigned.clone()), Led::default()),
        entry(&event("lead_closed", 2, assigned), Led::default()),
        entry(&event("lead_captured", 2, plain), Led::default()),
        entry(&event("lead_assigned", 3, kept), Led::default()),
        entry(&event("lead_assigned", 4, json!({"rep": null, "team": "dach"})), Led::default()),
        entry(&event("lead_closed", 4, json!({"lead": "ld_1"})), Led::default()),
        entry(&event("message_sent", 3, of_message.clone()), Led::default()),
        entry(&event("message_opened", 4, first.clone()), Led::default()),
        entry(&event("message_opened", 5, of_message.clone()), Led::default()),
        entry(&event("message_clicked", 6, first), Led::default()),
        entry(&event("message_sent", 7, json!({"message": "ms_2"})), Led::default()),
        entry(&event("unsubscribed", 8, of_message), Led::default()),
        entry(&event("page_viewed", 9, json!({"form": "contact"})), Led::default()),
    ];
    assert_eq!(
        counted(&entries),
        [
            "1970-01-01 source/contact#ad/google/spring - 2027 leads=1",
            "1970-01-01 source/fair leads=1",
            "1970-01-01 step/welcome/send.hello sent=1 opened=1 clicked=1 unsubscribed=1",
            "1970-01-01 team/dach assigned=1",
            "1970-01-01 team/dach#rep/ann assigned=1 closed=1",
            "1970-01-01 rep/ann assigned=1",
        ]
    );
}

/// What somebody's website calls by our names says nothing of ours.
#[test]
fn only_our_own_functions_are_believed() {
    let said = json!({"form": "contact", "journey": "welcome", "step": "send.hello", "first": true});
    for name in ["lead_captured", "message_sent", "message_clicked", "journey_entered"] {
        let theirs = Event { kind: EventKind::Track, ..event(name, 1, said.clone()) };
        assert_eq!(counted(&[entry(&theirs, Led::default())]), Vec::<String>::new());
        assert_eq!(Touch::of(&theirs), None);
    }
}

/// So no more reach the goal than there are, whatever days are looked at.
#[test]
fn what_a_run_came_to_counts_on_the_day_on_which_it_began() {
    let own = |name: &str, at: i64, more: Value| {
        let mut properties = json!({"journey": "welcome", "run": 1, "entered": "1970-01-03T10:00:00Z"});
        properties.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        Own { name: name.to_owned(), at: Timestamp(at), properties: properties.as_object().cloned().unwrap() }
    };
    let led = Led {
        happened: vec![
            own("journey_entered", 2 * DAY * 1000, json!({})),
            own("journey_goal_reached", 30 * DAY * 1000, json!({})),
            own("journey_held_out", 30 * DAY * 1000, json!({})),
            own("journey_goal_reached", 40 * DAY * 1000, json!({"held_out": true})),
        ],
        ..Led::default()
    };
    let cause = event("order_completed", 40 * DAY * 1000, json!({}));
    assert_eq!(
        counted(&[entry(&cause, led)]),
        ["1970-01-03 journey/welcome entered=1 held_out=1 reached=1 held_out_reached=1"]
    );
}

#[test]
fn an_order_counts_for_its_owner_and_for_what_brought_it() {
    let credited = |orders, buyers, money, touches: Vec<Touch>| Credited {
        at: Timestamp(10 * DAY * 1000),
        touches,
        orders,
        buyers,
        money,
        half_life: WEEK_MS,
        rep: Some("ann".to_owned()),
        team: None,
    };
    let bought = event("order_completed", 10 * DAY * 1000, json!({}));
    let by = |credited| entry(&bought, Led { credited: Some(credited), ..Led::default() });
    let ad = Touch { ad: Key::ad("google", None), ..touch(DAY, "contact") };
    let step = Touch { key: Key::Step("welcome".into(), "send.hello".into()), ..touch(2 * DAY, "") };
    let lines = counted(&[by(credited(1, 1, 10_001, vec![ad.clone(), step.clone()]))]);
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with(
        "1970-01-11 source/contact#ad/google orders.first=1000 buyers.first=1000 revenue.first=10001 "
    ));
    assert!(lines[0].contains("orders.linear=500 buyers.linear=500 revenue.linear=5001 "), "{}", lines[0]);
    assert!(
        lines[1].contains("revenue.last=10001 ") && lines[1].contains("revenue.linear=5000 "),
        "{}",
        lines[1]
    );
    assert_eq!(lines[2], "1970-01-11 rep/ann orders=1 buyers=1 revenue=10001");
    // Taken back, nothing is left.
    let there = by(credited(1, 1, 10_001, vec![ad.clone(), step.clone()]));
    assert_eq!(counted(&[there, by(credited(-1, -1, -10_001, vec![ad, step]))]), Vec::<String>::new());
    let nothing = counted(&[by(credited(1, 0, 500, Vec::new()))]);
    assert!(nothing[1].starts_with("1970-01-11 nothing orders.first=1000 revenue.first=500 "), "{nothing:?}");
}

#[test]
fn what_a_cell_counts_counts_for_each_of_its_keys_and_cells_add_up() {
    let mut sums = Sums::new();
    for (cell, n) in [
        ("team/dach#rep/ann", 3),
        ("team/uk#rep/ann", 2),
        ("team/dach#rep/bo", 5),
        ("rep/ann", 1),
        ("team/uk", 4),
        ("source/web#ad/google", 7),
        ("source/web", 1),
        ("source/quiet", 0),
    ] {
        roll_up(&Cell::parse(cell).unwrap(), &Counts::from([(Counter::Assigned, n)]), &mut sums);
    }
    let sums: Vec<String> =
        sums.iter().map(|(key, counts)| format!("{key} {}", counts[&Counter::Assigned])).collect();
    assert_eq!(
        sums,
        ["source/web 8", "ad/google 7", "team/dach 8", "team/uk 6", "rep/ann 6", "rep/bo 5"],
        "and nought makes no key"
    );
}

/// Whatever is asked for, each cell that counts for it is read once.
#[test]
fn every_cell_of_a_key_is_read_once() {
    let cells = [
        "source/web",
        "source/web#ad/google/spring",
        "source/web-2#ad/google/spring",
        "journey/welcome",
        "step/welcome/send.hello",
        "campaign/spring",
        "campaign/spring/1",
        "team/dach",
        "team/dach#rep/ann",
        "rep/ann",
        "rep/anna",
        "nothing",
    ]
    .map(|text| {
        let cell = Cell::parse(text).unwrap();
        assert_eq!(cell.to_string(), text);
        cell
    });
    let read = |cell: &Cell, begins: &mut dyn Iterator<Item = String>| {
        begins.filter(|begin| format!("{cell}#28").starts_with(begin)).count()
    };
    for cell in &cells {
        for key in cells.iter().flat_map(Cell::keys) {
            let times = read(cell, &mut Cell::counting_for(key).into_iter());
            let counts_for_it = cell.keys().any(|of| of == key);
            assert!(times == 1 || times == 0 && !counts_for_it, "{cell} for {key}: {times}");
        }
        for dimension in Dimension::ALL {
            for other in Dimension::ALL {
                let asked = [dimension, other];
                let times = read(cell, &mut Cell::counting_for_all(&asked).into_iter());
                let counts_for_it = cell.keys().any(|of| asked.contains(&of.dimension()));
                assert!(times == 1 || times == 0 && !counts_for_it, "{cell} for {asked:?}: {times}");
            }
        }
    }
    for text in
        ["", "ad/google", "source/web#rep/ann", "team/dach#ad/google", "rep/ann#team/dach", "source/web#"]
    {
        assert_eq!(Cell::parse(text), None, "{text}");
    }
}

#[test]
fn keys_and_counters_are_read_as_they_are_written() {
    for text in [
        "source/contact",
        "ad/google",
        "ad/google/spring",
        "journey/welcome",
        "step/welcome/send.hello",
        "campaign/spring",
        "campaign/spring/1",
        "team/dach",
        "rep/li.wei",
        "nothing",
    ] {
        assert_eq!(Key::parse(text).unwrap().to_string(), text);
        assert!(
            Key::parse(text)
                .unwrap()
                .to_string()
                .starts_with(&Key::parse(text).unwrap().dimension().prefix())
        );
    }
    for text in [
        "",
        "source",
        "source/",
        "source/a/b",
        "step/a",
        "step/a/b/c",
        "campaign/a/b",
        "ad//x",
        "nothing/x",
        "page/x",
    ] {
        assert_eq!(Key::parse(text), None, "{text}");
    }
    let names: Vec<String> = Counter::all().map(Counter::name).collect();
    assert!(names.iter().all(|name| Counter::parse(name).is_some_and(|counter| counter.name() == *name)));
    // Whoever writes an address into a link does not find it in a report.
    assert_eq!(
        Key::ad("News", Some("ada@example.com#1/2")).unwrap().to_string(),
        "ad/news/ada-example.com-1-2"
    );
    assert_eq!(Key::ad(" ", None), None);
    assert!(Key::ad(&"长".repeat(100), None).unwrap().to_string().len() < 70);
}

fn cost(of: &str, amount: &str, from: Date, to: Option<Date>) -> Cost {
    let amount: Amount = serde_json::from_str(amount).unwrap();
    Cost { name: "x".to_owned(), of: Key::parse(of).unwrap(), amount, currency: None, from, to }
}

#[test]
fn costs_are_spread_over_their_days_and_add_up() {
    let (first, last) = (date(2027, 2, 27), date(2027, 3, 2));
    let costs = [cost("source/web", "100.01", first, Some(last)), cost("source/web", "5", last, None)];
    let between = |from, to| Costs::between(&costs, from, to).of(&Key::Source("web".to_owned()));
    assert_eq!(between(first, last), Some(10_501));
    assert_eq!(between(date(2027, 2, 1), date(2027, 2, 27)), Some(2_501), "the cent lies on the first day");
    assert_eq!(between(date(2027, 2, 28), date(2027, 3, 1)), Some(5_000));
    assert_eq!(between(date(2027, 3, 3), date(2027, 4, 1)), None);
}

#[test]
fn bounds_and_amounts_are_read_as_people_write_them() {
    let bound = |text: &str| serde_json::from_str::<Bound>(text).ok();
    assert_eq!(bound("\"2.5%\"").map(|bound| (bound.value, bound.is_part)), Some((0.025, true)));
    assert_eq!(bound("12").map(|bound| (bound.value, bound.is_part)), Some((12.0, false)));
    for text in ["\"2.5\"", "\"%\"", "-1", "true", "\"-1%\"", "\"nan%\""] {
        assert!(bound(text).is_none(), "{text}");
    }
    for text in ["\"2.5%\"", "12.0", "\"0.1%\""] {
        assert_eq!(serde_json::to_string(&bound(text).unwrap()).unwrap(), text);
    }
    for (text, hundredths) in [("1200.50", 120_050), ("7", 700), ("\"0.01\"", 1)] {
        let amount: Amount = serde_json::from_str(text).unwrap();
        assert_eq!(amount.hundredths(), hundredths);
        let again: Amount = serde_json::from_str(&serde_json::to_string(&amount).unwrap()).unwrap();
        assert_eq!(again, amount);
    }
}

fn exposure(broadcast: u64, at: i64, until: i64) -> Exposure {
    Exposure {
        campaign: "spring".to_owned(),
        broadcast,
        broadcast_at: Timestamp(0),
        variant: None,
        held_out: false,
        goal: "order_completed".to_owned(),
        at: Timestamp(at),
        until: Timestamp(until),
    }
}

#[test]
fn of_the_newest_orders_it_is_known_by_which_event_each_was_credited_first() {
    let event = |name: &str| EventId::derived(&[name]);
    let mut credits = Credits::default();
    assert!(credits.is_empty());
    for order in 0..=Credits::MOST {
        credits.add(order.to_string(), event(&order.to_string()));
        credits.add(order.to_string(), event("later"));
    }
    assert_eq!(credits.of("0"), None);
    for order in 1..=Credits::MOST {
        let order = order.to_string();
        assert_eq!(credits.of(&order), Some(&event(&order)));
    }
    let text = serde_json::to_string(&credits).unwrap();
    assert_eq!(serde_json::from_str::<Credits>(&text).unwrap(), credits);
}

#[test]
fn what_a_campaign_is_for_ends_what_it_reached_once_and_in_its_time() {
    let mut exposures = Exposures::default();
    exposures.add(exposure(1, 10, 20));
    exposures.add(exposure(1, 15, 25));
    exposures.add(exposure(2, 20, 30));
    for (name, at, those) in [
        ("order_completed", 9, vec![]),
        ("order_cancelled", 12, vec![]),
        ("order_completed", 20, vec![1, 2]),
        ("order_completed", 20, vec![]),
    ] {
        let at = Timestamp(at);
        assert_eq!(exposures.are_for(name, at), !those.is_empty(), "{name} {at:?}");
        let ended: Vec<u64> = exposures.take(name, at).iter().map(|ended| ended.broadcast).collect();
        assert_eq!(ended, those, "{name} {at:?}");
    }
    assert!(exposures.is_empty());
    // Of too many the one goes that ends first.
    (0..=Exposures::MOST as i64).for_each(|n| exposures.add(exposure(n as u64, 0, 100 - n)));
    let kept: Vec<u64> =
        exposures.take("order_completed", Timestamp(0)).iter().map(|kept| kept.broadcast).collect();
    assert_eq!(kept, (0..Exposures::MOST as u64).collect::<Vec<_>>());
}
