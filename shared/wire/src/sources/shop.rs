//! What shops say of orders, as events: the same order and the same change of it are one event for ever.

use super::Delivery;
use crate::body::json::Node;
use crate::track::happened_at;
use serde_json::{Map, Value};
use sluice_domain::event::{Event, EventKind, Happened, Ids, Who};
use sluice_domain::id::EventId;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;

/// Who ordered.
#[derive(Default)]
pub(super) struct Buyer<'a> {
    /// The shop's own id of the person; guests have none.
    pub(super) id: Option<&'a str>,
    /// Facts by the names that tracking libraries use.
    pub(super) facts: Vec<(&'static str, Option<&'a str>)>,
}

/// An order as one delivery has it.
pub(super) struct Order<'a> {
    pub(super) id: &'a str,
    pub(super) number: Option<&'a str>,
    pub(super) total: Option<&'a str>,
    pub(super) currency: Option<&'a str>,
    pub(super) items: usize,
    pub(super) buyer: Buyer<'a>,
}

/// One thing that became of it.
pub(super) struct Change<'a> {
    /// As Segment's specification calls it.
    pub(super) name: &'static str,
    /// What tells it from other changes of the order by the same name; empty if there can be only one.
    pub(super) which: &'a str,
    pub(super) at: Option<&'a str>,
    /// What was paid back; the order's total unless told.
    pub(super) amount: Option<&'a str>,
}

impl Order<'_> {
    /// The events of its changes; none if nobody can be told to have ordered.
    pub(super) fn events(&self, changes: &[Change<'_>], delivery: &Delivery<'_>) -> Vec<Happened> {
        let source = delivery.document.name.as_str();
        let fact = |name: &str| {
            self.buyer.facts.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value)
        };
        // An id of the shop's names somebody only there, as a browser's does: it is tied to whoever the address is of.
        let guest = || {
            fact("email")
                .or_else(|| fact("phone"))
                .map(|address| format!("{source}/guest/{}", address.trim().to_lowercase()))
        };
        let Some(anonymous) = self.buyer.id.map(|id| format!("{source}/customer/{id}")).or_else(guest) else {
            return Vec::new();
        };
        let ids = Ids { anonymous: Some(Pii::new(anonymous)), ..Ids::default() };
        let event = |change: &Change<'_>| Happened {
            who: Who::Ids(ids.clone()),
            event: Event {
                id: EventId::derived(&["shop", source, self.id, change.name, change.which]),
                kind: EventKind::Track,
                name: change.name.to_owned(),
                source: source.to_owned(),
                at: happened_at(change.at.and_then(Timestamp::parse), None, delivery.now),
                received: delivery.now,
                properties: self.properties(change).into(),
                traits: self.traits().into(),
                context: Pii::default(),
            },
        };
        changes.iter().map(event).collect()
    }

    fn properties(&self, change: &Change<'_>) -> Map<String, Value> {
        let total = change.amount.or(self.total).filter(|_| change.name != "Order Cancelled");
        let texts = [
            ("order_id", Some(self.id)),
            ("order_number", self.number),
            ("total", total),
            ("currency", self.currency),
        ];
        let mut properties: Map<String, Value> =
            texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        properties.insert("items".to_owned(), self.items.into());
        properties
    }

    fn traits(&self) -> Map<String, Value> {
        let said = self.buyer.facts.iter().filter_map(|(name, value)| Some((*name, value.map(str::trim)?)));
        said.filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect()
    }
}

/// A text below a node, unless it is empty.
pub(super) fn text<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
    node.at(path).text().map(str::trim).filter(|text| !text.is_empty())
}
