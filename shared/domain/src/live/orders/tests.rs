//! Orders, however many they are and in whatever order they are told of.

use super::*;
use crate::live::tests::event;
use proptest::prelude::*;
use serde_json::json;

/// 2026-11-21T11:20:00Z.
const NOW: i64 = 1_795_260_000_000;
const DAY: i64 = 86_400_000;

/// What a shop says of somebody's orders.
#[derive(Default)]
struct Shop {
    orders: Orders,
    n: u32,
}

impl Shop {
    /// One more word about an order, and what all orders that stand come to after it. They are stored and read in between.
    fn says(&mut self, name: &str, order: i64, day: i64, total: Option<i64>) -> (u32, i64) {
        self.n += 1;
        let mut said = json!({ "order_id": order });
        if let Some(total) = total {
            said["total"] = total.into();
        }
        self.orders = again(&self.orders);
        self.orders.take(name, &event(self.n, name, Timestamp(NOW + day * DAY), said), Some("EUR"));
        come_to(&self.orders)
    }

    /// So many orders of 100, one a day.
    fn with(orders: i64) -> Self {
        let mut shop = Self::default();
        for n in 0..orders {
            shop.says("order_completed", n, n, Some(100));
        }
        shop
    }
}

fn come_to(orders: &Orders) -> (u32, i64) {
    let bought = orders.bought();
    (bought.orders, bought.money)
}

/// Stored and read.
fn again(orders: &Orders) -> Orders {
    serde_json::from_value(serde_json::to_value(orders).unwrap()).unwrap()
}

#[test]
fn what_changes_of_an_old_order_takes_the_place_of_what_was_known() {
    let mut shop = Shop::with(20);
    assert_eq!(come_to(&shop.orders), (20, 200_000));
    assert_eq!(shop.says("order_updated", 0, 100, Some(100)), (20, 200_000), "a tag, or that it was sent");
    assert_eq!(shop.orders.bought().last, Some(Timestamp(NOW + 19 * DAY)), "nothing was bought since");
    assert_eq!(shop.says("order_updated", 0, 101, Some(80)), (20, 198_000));
    assert_eq!(shop.says("order_updated", 0, 99, Some(70)), (20, 198_000), "it is older");
    assert_eq!(shop.says("order_refunded", 1, 102, Some(30)), (20, 195_000));
    assert_eq!(shop.says("order_cancelled", 2, 103, None), (19, 185_000));
    assert_eq!(shop.says("order_cancelled", 2, 104, None), (19, 185_000), "once");
    assert_eq!(shop.says("order_refunded", 3, 105, None), (18, 175_000), "as a whole");
    assert_eq!(shop.says("order_completed", 20, 106, Some(100)), (19, 185_000), "and a new one counts");
    let old = event(900, "order_updated", Timestamp(NOW + 107 * DAY), json!({ "order_id": 4 }));
    assert_eq!(shop.orders.made_at(&old), Some(Timestamp(NOW + 4 * DAY)));
}

#[test]
fn of_more_orders_than_are_kept_none_counts_twice() {
    let all = MOST as i64 + 40;
    let mut shop = Shop::with(all);
    let sum = (all as u32, all * 10_000);
    assert_eq!(come_to(&shop.orders), sum);
    assert!(!shop.orders.lacks_some(), "it keeps as many as it can");
    assert_eq!(again(&shop.orders), shop.orders);
    assert_eq!(shop.says("order_updated", 0, all, Some(500)), sum, "which it was is not known any more");
    assert_eq!(shop.says("order_cancelled", 1, all, None), sum);
    assert_eq!(shop.says("order_updated", all - 1, all, Some(90)), (sum.0, sum.1 - 1_000));
    assert_eq!(shop.says("order_updated", 100, all, Some(90)), (sum.0, sum.1 - 2_000));
    assert_eq!(shop.says("order_completed", all, all, Some(100)), (sum.0 + 1, sum.1 + 8_000));
    let text = serde_json::to_string(&shop.orders).unwrap();
    assert!(text.len() < 13_000, "{} bytes", text.len());
}

#[test]
fn what_was_stored_before_older_orders_were_kept_is_read_and_counted_anew() {
    let before = json!({
        "o": { "abcdefgh": { "v": 1_000, "u": "1795260000000.abcdefgh" } }, "r": [3, 30_000, 1_795_000_000],
    });
    let read: Orders = serde_json::from_value(before.clone()).unwrap();
    assert_eq!(come_to(&read), (4, 31_000));
    assert_eq!(serde_json::to_value(&read).unwrap(), before);
    assert!(read.lacks_some());

    let kept = Shop::with(20).orders;
    assert!(!kept.lacks_some() && !Shop::with(3).orders.lacks_some());
    for packed in [None, Some(json!("AA"))] {
        let mut stored = serde_json::to_value(&kept).unwrap();
        match packed {
            None => drop(stored.as_object_mut().unwrap().remove("p")),
            Some(packed) => stored["p"] = packed,
        }
        let read: Orders = serde_json::from_value(stored).unwrap();
        assert_eq!(read.bought(), kept.bought(), "whoever does not read the older ones has their sum");
        assert!(read.lacks_some());
    }
}

/// A word about one of forty orders: its event, when, and what it says.
fn any_word() -> impl Strategy<Value = (&'static str, i64, Value)> {
    let name = prop_oneof![
        5 => Just("order_completed"),
        2 => Just("order_updated"),
        1 => Just("order_refunded"),
        1 => Just("order_cancelled"),
    ];
    let total = proptest::option::weighted(0.8, 0..500i64);
    let currency = prop_oneof![4 => Just("EUR"), 1 => Just("USD")];
    (name, 0..40u8, 0..100i64, total, currency).prop_map(|(name, order, at, total, currency)| {
        let mut said = json!({ "order_id": order, "currency": currency });
        if let Some(total) = total {
            said["total"] = total.into();
        }
        (name, at * 1_234_567, said)
    })
}

fn taken(events: &[Event]) -> Orders {
    let mut orders = Orders::default();
    for event in events {
        orders.take(&event.key(), event, Some("EUR"));
    }
    orders
}

proptest! {
    #[test]
    fn many_orders_are_the_same_in_whatever_order_they_are_told_of(
        (events, shuffled) in proptest::collection::vec(any_word(), 0..90).prop_flat_map(|words| {
            let events: Vec<Event> = words.into_iter().enumerate()
                .map(|(n, (name, at, said))| event(n as u32, name, Timestamp(NOW + at), said)).collect();
            (Just(events.clone()), Just(events).prop_shuffle())
        }),
    ) {
        let orders = taken(&events);
        // Stored and read between any two of them.
        let mut stored = Orders::default();
        for event in &shuffled {
            stored.take(&event.key(), event, Some("EUR"));
            stored = again(&stored);
        }
        prop_assert_eq!(&stored, &orders);
        // Two records of one person are as one that has it all, whichever takes the other in.
        let (left, right) = shuffled.split_at(shuffled.len() / 2);
        let (mut one, mut other) = (taken(left), taken(right));
        let (left, right) = (one.clone(), other.clone());
        one.merge(&right);
        other.merge(&left);
        prop_assert_eq!(&one, &orders);
        prop_assert_eq!(&other, &orders);
    }
}
