//! What somebody has bought, order by order, for recency, frequency and money.

mod stored;
#[cfg(test)]
mod tests;

use super::Instant;
use crate::event::Event;
use crate::id::short_hash;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use stored::Stored;

/// Orders that are kept one by one; older ones are counted together.
const MOST: usize = 512;

/// The events about orders, as Segment's specification calls them.
pub const ORDER_EVENTS: [&str; 4] = ["order_completed", "order_updated", "order_refunded", "order_cancelled"];

/// One order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Order {
    /// The earliest that was said of it, in seconds; absent if that is what the newest event said.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    first: Option<i64>,
    /// What it comes to, in hundredths, as the newest event says; nothing if only a refund is known so far.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    value: Option<i64>,
    /// The event that said so.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    by: Option<Instant>,
    /// In another currency than money is counted in.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    other_currency: bool,
    /// What was paid back, in hundredths.
    #[serde(rename = "r", default, skip_serializing_if = "is_zero")]
    refunded: i64,
    /// Cancelled, or paid back as a whole.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    void: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
const fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// How many orders counted, what they came to in hundredths, and when the last of them was, in seconds.
type Sum = (u32, i64, i64);

/// The orders of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Orders {
    /// The newest, by a hash of their ids.
    by_id: BTreeMap<String, Order>,
    /// Older ones: which they were is not known any more.
    rest: Option<Sum>,
}

/// Recency, frequency and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bought {
    /// The last order that stands.
    pub last: Option<Timestamp>,
    /// How many orders stand.
    pub orders: u32,
    /// What they come to, in hundredths.
    pub money: i64,
}

impl Orders {
    /// Whether nothing was ever bought.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty() && self.rest.is_none()
    }

    /// Whether fewer are kept one by one than could be: what changes of the others would count as bought again. The entries
    /// know them all.
    pub(super) fn lacks_some(&self) -> bool {
        self.rest.is_some() && self.by_id.len() < MOST
    }

    /// Takes an event about an order in: the newest says what it comes to, refunds are taken off.
    pub(super) fn take(&mut self, key: &str, event: &Event, currency: Option<&str>) {
        let properties = event.properties.reveal();
        let id = order_of(event);
        let amount =
            ["total", "revenue", "value"].into_iter().find_map(|name| hundredths(properties.get(name)?));
        let at = Instant::of(event);
        let is_unknown = self.by_id.get(&id).is_none_or(|order| order.value.is_none());
        if key == "order_updated" && is_unknown && self.rest.is_some() {
            // One of the older orders, whose value is in their sum: counted here it would count twice.
            return;
        }
        let order = self.by_id.entry(id).or_default();
        let first = order.at().map_or(event.at.seconds(), |first| first.min(event.at.seconds()));
        match key {
            "order_refunded" => match amount {
                Some(amount) => order.refunded = order.refunded.saturating_add(amount.abs()),
                None => order.void = true,
            },
            "order_cancelled" => order.void = true,
            _ => {
                if order.by.as_ref().is_none_or(|by| *by < at) {
                    order.value = Some(amount.unwrap_or_default());
                    let said = properties.get("currency").and_then(Value::as_str);
                    order.other_currency = matches!((said, currency), (Some(said), Some(currency))
                        if !said.eq_ignore_ascii_case(currency));
                    order.by = Some(at);
                }
            }
        }
        order.made(first);
        self.fit();
    }

    fn fit(&mut self) {
        while self.by_id.len() > MOST {
            let oldest =
                self.by_id.iter().min_by_key(|(id, order)| (order.at(), *id)).map(|(id, _)| id.clone());
            let Some(order) = oldest.and_then(|id| self.by_id.remove(&id)) else { return };
            self.rest = Some(order.added_to(self.rest));
        }
    }

    /// Takes in the orders of another record of the person.
    pub(super) fn merge(&mut self, other: &Self) {
        for (id, theirs) in &other.by_id {
            let Some(order) = self.by_id.get_mut(id) else {
                self.by_id.insert(id.clone(), theirs.clone());
                continue;
            };
            let first = [order.at(), theirs.at()].into_iter().flatten().min();
            order.refunded = order.refunded.saturating_add(theirs.refunded);
            order.void |= theirs.void;
            if theirs.by > order.by {
                (order.value, order.by) = (theirs.value, theirs.by.clone());
                order.other_currency = theirs.other_currency;
            }
            order.made(first.unwrap_or_default());
        }
        if let Some((n, money, last)) = other.rest {
            let own = self.rest.unwrap_or_default();
            self.rest = Some((own.0.saturating_add(n), own.1.saturating_add(money), own.2.max(last)));
        }
        self.fit();
    }

    /// When the order was made that an event is about, as far as it is kept by itself.
    pub fn made_at(&self, event: &Event) -> Option<Timestamp> {
        self.by_id.get(&order_of(event))?.at().map(Timestamp::from_seconds)
    }

    /// What it all comes to.
    pub fn bought(&self) -> Bought {
        let (orders, money, last) = self.rest.unwrap_or_default();
        let mut sum = Bought { last: (orders > 0).then(|| Timestamp::from_seconds(last)), orders, money };
        for order in self.by_id.values() {
            // A refund whose order is not known is one of an older order, if there are any.
            if order.value.is_some() || self.rest.is_some() {
                sum.money = sum.money.saturating_add(order.worth());
            }
            if order.stands() {
                sum.orders = sum.orders.saturating_add(1);
                sum.last = sum.last.max(order.at().map(Timestamp::from_seconds));
            }
        }
        sum.money = sum.money.max(0);
        sum
    }
}

impl Order {
    /// When it was made, in seconds.
    fn at(&self) -> Option<i64> {
        self.first.or(self.by.as_ref().map(|by| by.at.seconds()))
    }

    fn made(&mut self, first: i64) {
        let said = self.by.as_ref().map(|by| by.at.seconds());
        self.first = (said != Some(first)).then_some(first);
    }

    fn stands(&self) -> bool {
        let whole = self.value.is_some_and(|value| value > 0 && self.refunded >= value);
        self.value.is_some() && !self.void && !whole
    }

    fn worth(&self) -> i64 {
        match self.value {
            _ if self.other_currency => 0,
            None => -self.refunded,
            Some(_) if self.void => 0,
            Some(value) => (value - self.refunded).max(0),
        }
    }

    /// What others come to together with it.
    fn added_to(&self, others: Option<Sum>) -> Sum {
        let (n, money, last) = others.unwrap_or_default();
        let last = if self.stands() { last.max(self.at().unwrap_or_default()) } else { last };
        (n.saturating_add(u32::from(self.stands())), money.saturating_add(self.worth()), last)
    }
}

/// A hash of the id of the order that an event is about; one without an id is an order of its own.
pub(crate) fn order_of(event: &Event) -> String {
    let properties = event.properties.reveal();
    let id = properties.get("order_id").or_else(|| properties.get("orderId")).and_then(text);
    short_hash(&["order", id.as_deref().unwrap_or(event.id.as_str())])[..8].to_owned()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// An amount as hundredths: a number, or text that is one.
pub(crate) fn hundredths(value: &Value) -> Option<i64> {
    let amount = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let hundredths = (amount * 100.0).round();
    (hundredths.abs() < 1e15).then_some(hundredths as i64)
}
