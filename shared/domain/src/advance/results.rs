//! What brought somebody, and whose their orders are: taken down with the event, for what is counted of it.

use super::mind::Mind;
use crate::customer::Place;
use crate::event::Event;
use crate::id::CustomerId;
use crate::insight::{Credited, Exposure, Touch, Touches};
use crate::live::{Bought, order_of};

impl Mind<'_> {
    /// What the person has bought so far, if an event is about an order.
    pub(super) fn bought(&mut self, place: &Place, event: &Event) -> Option<Bought> {
        if !self.with.policies.live.is_order(&event.key()) || !self.ensure(&place.home) {
            return None;
        }
        self.with_view(&place.root, |view| view.bought())
    }

    /// What an event about an order has changed since `before`, and who had a part in it; nothing if it changed nothing.
    pub(super) fn credit(&mut self, place: &Place, event: &Event, before: Bought) -> Option<Credited> {
        let seen = self.with_view(&place.root, |view| (view.bought(), view.live().orders().made_at(event)));
        let (after, made) = seen?;
        let has_bought = |bought: Bought| i64::from(bought.orders > 0);
        let (orders, money) =
            (i64::from(after.orders) - i64::from(before.orders), after.money - before.money);
        let buyers = has_bought(after) - has_bought(before);
        if (orders, buyers, money) == (0, 0, 0) {
            return None;
        }
        let order = order_of(event);
        let credited = match self.first_credited(&place.root, &order)? {
            // Whatever brought the person since, whoever owns them and however orders are shared by now.
            Some(first) => Credited { orders, buyers, money, ..first },
            None => {
                if self.ensure(&place.home)
                    && let Some(state) = self.states.get_mut(&place.home)
                {
                    state.credits.add(order, event.id.clone());
                }
                let at = made.unwrap_or(event.at);
                let attribution = self.with.policies.settings.attribution;
                let touches = self.touches(&place.root).before(at, attribution.window.millis());
                let half_life = attribution.half_life.millis();
                let whole = self.stitch.whole(&place.root);
                let owner = whole.as_ref().and_then(|whole| whole.owner());
                let rep = owner.map(|owner| owner.rep.clone());
                let team = owner.and_then(|owner| owner.team.clone());
                Credited { at, touches, orders, buyers, money, half_life, rep, team }
            }
        };
        self.credited.insert(event.id.clone(), credited.clone());
        Some(credited)
    }

    /// What was credited of an order when it was first; none if that is not known. Nothing if its entry is to be read first.
    fn first_credited(&mut self, root: &CustomerId, order: &str) -> Option<Option<Credited>> {
        let by = self.ids(root).iter().find_map(|id| self.state(id)?.credits.of(order).cloned());
        by.map_or(Some(None), |by| self.credited_by(&by))
    }

    /// Takes down what brought somebody.
    pub(super) fn touch(&mut self, place: &Place, event: &Event) {
        let Some(touch) = Touch::of(event) else { return };
        if self.ensure(&place.home)
            && let Some(state) = self.states.get_mut(&place.home)
        {
            state.touches.add(touch);
        }
    }

    /// Takes down that a campaign with a goal reached the person, or left them out.
    pub(super) fn expose(&mut self, place: &Place, event: &Event) {
        let Some(exposure) = Exposure::of(event, self.with.policies) else { return };
        if self.ensure(&place.home)
            && let Some(state) = self.states.get_mut(&place.home)
        {
            state.exposures.add(exposure);
        }
    }

    /// What campaigns are for of which this event is it, whichever record they reached. Each is ended by that.
    pub(super) fn reached(&mut self, root: &CustomerId, event: &Event) -> Vec<Exposure> {
        let key = event.key();
        let mut reached = Vec::new();
        for id in self.ids(root) {
            let is_for = self.state(&id).is_some_and(|state| state.exposures.are_for(&key, event.at));
            if is_for
                && self.ensure(&id)
                && let Some(state) = self.states.get_mut(&id)
            {
                reached.extend(state.exposures.take(&key, event.at));
            }
        }
        reached
    }

    /// What brought a person, whichever record came by it.
    fn touches(&self, root: &CustomerId) -> Touches {
        let mut all = Touches::default();
        self.ids(root).iter().filter_map(|id| self.state(id)).for_each(|state| all.merge(&state.touches));
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::advance::{Incoming, Loaded, State, Taken, With, advance};
    use crate::customer::{Customer, HashKey, HashKeys, Ownership};
    use crate::event::{Entry, Event, EventKind, Happened, Who};
    use crate::id::{CustomerId, EventId};
    use crate::insight::{Cell, Counter, Credited, Key, Touches, day};
    use crate::pii::Pii;
    use crate::policy::{Document, PolicySet};
    use crate::time::Timestamp;
    use serde_json::{Value, json};
    use std::collections::{BTreeMap, BTreeSet};

    const DAY: i64 = 86_400_000;

    fn id(name: &str) -> CustomerId {
        CustomerId::derived(&[name])
    }

    fn happened(who: &str, kind: EventKind, name: &str, day: i64, properties: Value) -> Happened {
        let properties = properties.as_object().cloned().unwrap_or_default();
        let event = Event {
            id: EventId::derived(&[who, name, &day.to_string()]),
            kind,
            name: name.to_owned(),
            source: "test".to_owned(),
            at: Timestamp(day * DAY),
            received: Timestamp(day * DAY),
            properties: Pii::new(properties),
            traits: Pii::default(),
            context: Pii::default(),
        };
        Happened { who: Who::Customer(id(who)), event }
    }

    fn lead(who: &str, day: i64) -> Happened {
        happened(who, EventKind::Own, "lead_captured", day, json!({ "form": format!("form-{day}") }))
    }

    fn order(name: &str, day: i64, total: f64) -> Happened {
        happened("ada", EventKind::Track, name, day, json!({ "order_id": "7", "total": total }))
    }

    /// Ada's record, to which another of hers gave way.
    fn ada(states: BTreeMap<CustomerId, State>) -> Loaded {
        let mut live = Customer::new(id("ada"), Timestamp(0));
        let mut half = Customer::new(id("half"), Timestamp(0));
        live.version = 1;
        half.version = 1;
        live.halves.insert(id("half"));
        half.into = Some(id("ada"));
        live.owner =
            Some(Ownership { rep: "ann".to_owned(), team: Some("sales".to_owned()), since: Timestamp(0) });
        Loaded {
            customers: BTreeMap::from([(id("ada"), live), (id("half"), half)]),
            states,
            ..Loaded::default()
        }
    }

    fn take(happened: &[Happened], states: BTreeMap<CustomerId, State>) -> Taken {
        take_by(&PolicySet::default(), happened, states)
    }

    fn take_by(policies: &PolicySet, happened: &[Happened], states: BTreeMap<CustomerId, State>) -> Taken {
        let taken = decide(policies, happened, ada(states));
        assert!(taken.missing.is_empty());
        taken
    }

    fn decide(policies: &PolicySet, happened: &[Happened], loaded: Loaded) -> Taken {
        let keys = HashKeys::new(HashKey::new("1", b"test"));
        let older = BTreeMap::new();
        let incoming: Vec<Incoming> = happened.iter().cloned().map(Incoming::Happened).collect();
        let now = Timestamp(400 * DAY);
        advance(&incoming, loaded, With { keys: &keys, policies, older: &older, now })
    }

    /// Decided again with what it asks for of earlier entries.
    fn take_after(
        entries: &[(CustomerId, Entry)],
        policies: &PolicySet,
        happened: &[Happened],
        loaded: Loaded,
    ) -> Taken {
        let asked = decide(policies, happened, loaded.clone()).missing.events;
        let found = entries.iter().filter(|(_, entry)| asked.contains(&entry.event.id));
        let entries = found.map(|(home, entry)| (entry.event.id.clone(), (home.clone(), entry.clone())));
        let entries = entries.collect();
        let taken = decide(policies, happened, Loaded { asked, entries, ..loaded });
        assert!(taken.missing.is_empty());
        taken
    }

    fn credited(taken: &Taken) -> Credited {
        taken.entries[0].1.led.credited.clone().unwrap()
    }

    fn settings(more: Value) -> PolicySet {
        let mut settings = json!({ "kind": "settings", "name": "default" });
        settings.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        PolicySet::build(2, [Document::from_json(settings).unwrap()]).unwrap()
    }

    /// What is kept after it was stored.
    fn kept(before: &BTreeMap<CustomerId, State>, taken: &Taken) -> BTreeMap<CustomerId, State> {
        let mut states = before.clone();
        states.extend(taken.states.iter().cloned());
        states
    }

    #[test]
    fn an_order_is_credited_to_what_brought_either_record_of_its_buyer() {
        let none = BTreeMap::new();
        let states = kept(&none, &take(&[lead("half", 10), lead("ada", 20), lead("ada", 200)], none.clone()));
        assert!(states.values().all(|state| state.touches != Touches::default()));
        let bought = take(&[order("Order Completed", 50, 99.0)], states.clone());
        let states = kept(&states, &bought);
        let credited = bought.entries[0].1.led.credited.clone().unwrap();
        let days: Vec<i64> = credited.touches.iter().map(|touch| touch.at * 1000 / DAY).collect();
        assert_eq!(days, [10, 20], "what came later has no part in it");
        assert_eq!((credited.orders, credited.buyers, credited.money), (1, 1, 9_900));
        assert_eq!((credited.rep.as_deref(), credited.team.as_deref()), (Some("ann"), Some("sales")));
        assert!(!bought.tallies.is_empty());

        // What changes later is that order's: of its day, by its touches.
        let refund = [order("Order Refunded", 220, 9.0)];
        let refunded = take_after(&bought.entries, &PolicySet::default(), &refund, ada(states.clone()));
        let states = kept(&states, &refunded);
        let back = refunded.entries[0].1.led.credited.clone().unwrap();
        assert_eq!((back.at, &back.touches), (credited.at, &credited.touches));
        assert_eq!((back.orders, back.buyers, back.money), (0, 0, -900));
        let same = take(&[order("Order Updated", 230, 99.0)], states);
        assert_eq!(same.entries[0].1.led.credited, None, "nothing is another");
    }

    #[test]
    fn what_was_bought_is_counted_anew_where_the_policies_count_nothing_else() {
        let none = BTreeMap::new();
        let states = kept(&none, &take(&[order("Order Completed", 50, 99.0)], none.clone()));
        let before = states[&id("ada")].live.clone();
        let policies = settings(json!({ "rfm": { "currency": "EUR" } }));
        assert!(!policies.live.counts_anything() && !before.is_counted_by(&policies.live));
        let more = json!({ "order_id": "8", "total": 10 });
        let more = [happened("ada", EventKind::Track, "Order Completed", 60, more)];
        let asks = decide(&policies, &more, ada(states.clone()));
        assert_eq!(asks.missing.history, BTreeSet::from([id("ada")]));
        let history = BTreeMap::from([(id("ada"), before)]);
        let taken = decide(&policies, &more, Loaded { history, ..ada(states.clone()) });
        let bought = kept(&states, &taken)[&id("ada")].live.orders().bought();
        assert_eq!((bought.orders, bought.money), (2, 10_900));
    }

    #[test]
    fn a_state_that_knows_fewer_orders_than_it_could_is_counted_anew() {
        let live = json!({ "o": { "r": [20, 200_000, 4_000_000] } });
        let state = State { live: serde_json::from_value(live).unwrap(), ..State::default() };
        let loaded = ada(BTreeMap::from([(id("ada"), state)]));
        let asks = decide(&PolicySet::default(), &[order("Order Updated", 60, 99.0)], loaded);
        assert_eq!(asks.missing.history, BTreeSet::from([id("ada")]), "one of the twenty, or one more");
    }

    #[test]
    fn what_changes_of_an_order_goes_where_the_order_went() {
        let none = BTreeMap::new();
        let policies = settings(json!({}));
        let came = take_by(&policies, &[lead("ada", 10), lead("half", 20)], none.clone());
        let states = kept(&none, &came);
        let bought = take_by(&policies, &[order("Order Completed", 50, 99.0)], states.clone());
        let states = kept(&states, &bought);
        assert!(!bought.tallies.is_empty());

        // Leads are told late, the settings are others, and so is the owner.
        let late: Vec<Happened> = (21..40).map(|day| lead("ada", day)).collect();
        let states = kept(&states, &take_by(&policies, &late, states.clone()));
        let policies = settings(json!({ "attribution": { "window": "20d", "half_life": "1d" } }));
        let mut loaded = ada(states);
        let owner = Ownership { rep: "bob".to_owned(), team: None, since: Timestamp(0) };
        loaded.customers.get_mut(&id("ada")).unwrap().owner = Some(owner);
        let cancel = [order("Order Cancelled", 50, 0.0)];
        let cancelled = take_after(&bought.entries, &policies, &cancel, loaded.clone());
        let back = Credited { orders: -1, buyers: -1, money: -9_900, ..credited(&bought) };
        assert_eq!(credited(&cancelled), back);
        let mut tallies = bought.tallies.clone();
        tallies.merge(cancelled.tallies);
        assert!(tallies.is_empty(), "nothing of it is left anywhere: {tallies:?}");

        let anew = credited(&take_after(&[], &policies, &cancel, loaded));
        assert_eq!((anew.money, anew.rep.as_deref()), (-9_900, Some("bob")), "its entry is not there");
        assert_ne!(anew.touches, back.touches);
    }

    #[test]
    fn what_changes_of_an_order_in_one_decision_with_it_asks_for_nothing() {
        let both = [order("Order Completed", 50, 99.0), order("Order Updated", 51, 90.0)];
        let taken = take(&both, BTreeMap::new());
        let updated = taken.entries[1].1.led.credited.clone();
        assert_eq!(updated, Some(Credited { orders: 0, buyers: 0, money: -900, ..credited(&taken) }));
    }

    fn news(name: &str, day: i64, more: Value) -> Happened {
        let mut said =
            json!({ "campaign": "spring", "broadcast": 1, "broadcast_at": Timestamp(day * DAY).rfc3339() });
        said.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        happened("half", EventKind::Own, name, day, said)
    }

    #[test]
    fn whoever_does_what_a_campaign_is_for_is_counted_once_on_the_day_of_its_broadcast() {
        let document = json!({
            "kind": "campaign", "name": "spring", "audience": { "segment": "vip" },
            "send": { "template": "spring", "topic": "product" },
            "goal": { "event": "order_completed", "within": "7d" },
        });
        let policies = PolicySet::build(1, [Document::from_json(document).unwrap()]).unwrap();
        let none = BTreeMap::new();
        for (name, more, counter) in [
            ("message_sent", json!({ "variant": 1 }), Counter::Reached),
            ("campaign_held_out", json!({}), Counter::HeldOutReached),
        ] {
            let sent = take_by(&policies, &[news(name, 10, more.clone())], none.clone());
            assert!(sent.tallies.is_empty(), "the campaign's own tallies count what went out");
            let states = kept(&none, &sent);
            let late = take_by(&policies, &[order("Order Completed", 18, 9.0)], states.clone());
            assert!(late.entries[0].1.led.happened.is_empty(), "its time is over");
            let bought = take_by(&policies, &[order("Order Completed", 12, 9.0)], states.clone());
            let own = &bought.entries[0].1.led.happened;
            assert_eq!(
                own.iter().map(|own| own.name.as_str()).collect::<Vec<_>>(),
                ["campaign_goal_reached"]
            );
            let key = Key::Campaign("spring".to_owned(), more["variant"].as_u64().map(|_| 1));
            let counted = bought.tallies.iter().find(|(_, cell, _)| **cell == Cell::of(key.clone()));
            let (on, _, counts) = counted.expect("it is counted");
            assert_eq!((on, counts.get(&counter)), (day(Timestamp(10 * DAY)), Some(&1)));
            let later = [order("Order Completed", 13, 5.0)];
            let again = take_after(&bought.entries, &policies, &later, ada(kept(&states, &bought)));
            assert!(again.entries[0].1.led.happened.is_empty(), "once");
        }
        let taken = take(&[news("message_sent", 10, json!({}))], none);
        assert!(taken.is_idle(), "without a goal nothing is kept");
    }

    #[test]
    fn what_nobody_counts_is_an_entry_and_nothing_else() {
        let seen = happened("ada", EventKind::Track, "Page Liked", 1, json!({}));
        let taken = take(&[seen], BTreeMap::new());
        assert!(taken.is_idle() && taken.tallies.is_empty());
        let sent = json!({ "message": "ms_1", "journey": "welcome", "step": "send.hello" });
        let taken = take(&[happened("ada", EventKind::Own, "message_sent", 1, sent)], BTreeMap::new());
        assert!(
            taken.is_idle() && taken.tallies.len() == 1,
            "and what counts is no more than that and its counter"
        );
    }
}
