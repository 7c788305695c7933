//! How orders are stored: the newest as they are, older ones in some 25 bytes each, since a state is charged by the kilobyte.

use super::{Order, Orders, Sum};
use crate::id::{read_eight, write_eight};
use crate::live::Instant;
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders that are stored as they are.
const NEWEST: usize = 12;

/// The orders of a person as they are stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    /// The newest, by a hash of their ids.
    #[serde(rename = "o", default, skip_serializing_if = "BTreeMap::is_empty")]
    newest: BTreeMap<String, Order>,
    /// What all others come to: enough for whoever does not read what is packed.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    others: Option<Sum>,
    /// Those of the others that are kept one by one, see [`Packed`].
    #[serde(rename = "p", default, skip_serializing_if = "String::is_empty")]
    packed: String,
    /// What those come to that are not, where some are packed.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    rest: Option<Sum>,
}

impl From<Orders> for Stored {
    fn from(orders: Orders) -> Self {
        let mut sorted: Vec<(String, Order)> = orders.by_id.into_iter().collect();
        sorted.sort_by_cached_key(|(id, order)| (order.at(), id.clone()));
        let mut newest: BTreeMap<_, _> =
            sorted.split_off(sorted.len().saturating_sub(NEWEST)).into_iter().collect();
        let mut others = orders.rest;
        let mut packed = Packed::default();
        for (id, order) in sorted {
            match packed.put(&id, &order) {
                Some(()) => others = Some(order.added_to(others)),
                None => drop(newest.insert(id, order)),
            }
        }
        let rest = orders.rest.filter(|_| !packed.bytes.is_empty());
        Self { newest, others, packed: URL_SAFE_NO_PAD.encode(packed.bytes), rest }
    }
}

impl From<Stored> for Orders {
    /// What is packed and cannot be read is counted with the others, as if it had not been kept.
    fn from(stored: Stored) -> Self {
        let Stored { newest: mut by_id, others, packed, rest } = stored;
        match unpack(&packed).filter(|older| !older.is_empty()) {
            Some(older) => {
                by_id.extend(older);
                Self { by_id, rest }
            }
            None => Self { by_id, rest: others },
        }
    }
}

/// What is said of an order, one bit each; one with another bit is of a version that says more, and not read.
const VALUE: u8 = 1;
const SAID: u8 = 2;
const REFUNDED: u8 = 4;
const VOID: u8 = 8;
const OTHER_CURRENCY: u8 = 16;
const ALL: u8 = VALUE | SAID | REFUNDED | VOID | OTHER_CURRENCY;

/// Orders one after the other, each with all that is known of it: bits, id, seconds since the one before, and what the bits
/// say. Numbers are as long as they have to be.
#[derive(Default)]
struct Packed {
    bytes: Vec<u8>,
    /// When the last of them was made.
    at: i64,
}

impl Packed {
    /// One more; nothing if it has an id that is none of ours, or no time.
    fn put(&mut self, id: &str, order: &Order) -> Option<()> {
        let (id, at) = (read_eight(id)?, order.at()?);
        let said = match &order.by {
            Some(by) => Some((by.at.millis(), read_eight(&by.tie)?)),
            None => None,
        };
        let bits = [
            (VALUE, order.value.is_some()),
            (SAID, said.is_some()),
            (REFUNDED, order.refunded != 0),
            (VOID, order.void),
            (OTHER_CURRENCY, order.other_currency),
        ];
        self.bytes.push(bits.into_iter().filter(|(_, is)| *is).fold(0u8, |all, (bit, _)| all | bit));
        self.id(id);
        self.number(at.wrapping_sub(self.at));
        self.at = at;
        if let Some((millis, tie)) = said {
            self.number(millis.wrapping_sub(at.wrapping_mul(1000)));
            self.id(tie);
        }
        if let Some(value) = order.value {
            self.number(value);
        }
        if order.refunded != 0 {
            self.number(order.refunded);
        }
        Some(())
    }

    fn id(&mut self, bits: u64) {
        self.bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
    }

    /// Seven bits a byte, the lowest first, so that numbers near nought are short, negative ones too.
    fn number(&mut self, n: i64) {
        let mut left = ((n << 1) ^ (n >> 63)) as u64;
        while left > 0x7f {
            self.bytes.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        self.bytes.push(left as u8);
    }
}

/// Reads what was packed.
fn unpack(text: &str) -> Option<Vec<(String, Order)>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut left = Left(&bytes);
    let (mut orders, mut at) = (Vec::new(), 0i64);
    while !left.0.is_empty() {
        let [bits] = left.take::<1>()?;
        if bits & !ALL != 0 {
            return None;
        }
        let is = |bit: u8| bits & bit != 0;
        let mut order = Order { void: is(VOID), other_currency: is(OTHER_CURRENCY), ..Order::default() };
        let id = left.id()?;
        at = at.wrapping_add(left.number()?);
        if is(SAID) {
            let millis = at.wrapping_mul(1000).wrapping_add(left.number()?);
            order.by = Some(Instant { at: Timestamp(millis), tie: left.id()? });
        }
        if is(VALUE) {
            order.value = Some(left.number()?);
        }
        if is(REFUNDED) {
            order.refunded = left.number()?;
        }
        order.made(at);
        orders.push((id, order));
    }
    Some(orders)
}

/// What is still to be read.
struct Left<'a>(&'a [u8]);

impl Left<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn id(&mut self) -> Option<String> {
        let [a, b, c, d, e] = self.take::<5>()?;
        Some(write_eight(u64::from_be_bytes([0, 0, 0, a, b, c, d, e])))
    }

    fn number(&mut self) -> Option<i64> {
        let (mut n, mut shift) = (0u64, 0u32);
        loop {
            let [byte] = self.take::<1>()?;
            n |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte <= 0x7f {
                return Some((n >> 1) as i64 ^ -((n & 1) as i64));
            }
            shift += 7;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_order() -> impl Strategy<Value = (u64, Order)> {
        let said = proptest::option::of((any::<i64>(), 0..1u64 << 40));
        let word = (any::<Option<i64>>(), any::<i64>(), any::<bool>(), any::<bool>());
        (0..1u64 << 40, any::<i64>(), said, word).prop_map(|(id, at, said, word)| {
            let (value, refunded, void, other_currency) = word;
            let by = said.map(|(at, tie)| Instant { at: Timestamp(at), tie: write_eight(tie) });
            let mut order = Order { first: None, value, by, other_currency, refunded, void };
            order.made(at);
            (id, order)
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_as_it_was(
            orders in proptest::collection::vec(any_order(), 0..20), cut in any::<proptest::sample::Index>(),
        ) {
            let orders: Vec<_> = orders.into_iter().map(|(id, order)| (write_eight(id), order)).collect();
            let mut packed = Packed::default();
            for (id, order) in &orders {
                prop_assert_eq!(packed.put(id, order), Some(()));
            }
            prop_assert_eq!(unpack(&URL_SAFE_NO_PAD.encode(&packed.bytes)), Some(orders.clone()));
            // Of what is cut off no more is read than there is.
            let cut = cut.index(packed.bytes.len() + 1);
            let read = unpack(&URL_SAFE_NO_PAD.encode(&packed.bytes[..cut]));
            prop_assert!(read.is_none_or(|read| orders.starts_with(&read)));
        }
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        for text in ["A", "!", "AA", "_wAAAAAAAA", "AAAAAAAAgICAgICAgICAgIA"] {
            assert_eq!(unpack(text), None, "{text}");
        }
        assert_eq!(unpack(""), Some(Vec::new()));
    }
}
