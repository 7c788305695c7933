//! What brought somebody, and whose their orders are: taken down with the event, for what is counted of it.

use super::mind::Mind;
use crate::customer::Place;
use crate::event::Event;
use crate::id::CustomerId;
use crate::insight::{Credited, Touch, Touches};
use crate::live::Bought;

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
        let (orders, money) = (i64::from(after.orders) - i64::from(before.orders), after.money - before.money);
        let buyers = has_bought(after) - has_bought(before);
        if (orders, buyers, money) == (0, 0, 0) {
            return None;
        }
        let at = made.unwrap_or(event.at);
        let attribution = self.with.policies.settings.attribution;
        let touches = self.touches(&place.root).before(at, attribution.window.millis());
        let whole = self.stitch.whole(&place.root);
        let owner = whole.as_ref().and_then(|whole| whole.owner());
        Some(Credited {
            at,
            touches,
            orders,
            buyers,
            money,
            half_life: attribution.half_life.millis(),
            rep: owner.map(|owner| owner.rep.clone()),
            team: owner.and_then(|owner| owner.team.clone()),
        })
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

    /// What brought a person, whichever record came by it.
    fn touches(&self, root: &CustomerId) -> Touches {
        let mut all = Touches::default();
        self.ids(root).iter().filter_map(|id| self.state(id)).for_each(|state| all.merge(&state.touches));
        all
    }
}
