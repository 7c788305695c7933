//! Customers as journeys see them: the whole person at one instant.

use super::Sees;
use crate::calendar::Zone;
use crate::condition::{Condition, EvalError};
use crate::event::Event;
use crate::gate::zone_of;
use crate::identity::Country;
use crate::live::View;
use crate::time::Timestamp;

/// A view is of one instant, which is the one that it is asked for.
impl Sees for View<'_> {
    fn holds(&self, condition: &Condition, event: Option<&Event>, _: Timestamp) -> Result<bool, EvalError> {
        View::holds(self, condition, event)
    }

    fn edge(&self, condition: &Condition, _: Timestamp) -> Option<Timestamp> {
        View::edge(self, condition)
    }

    fn zone(&self) -> Zone {
        let country = self.fact("country");
        let country = country.as_deref().and_then(Country::parse);
        zone_of(self.fact("time_zone").as_deref(), country, self.policies().settings.messaging.zone.as_ref())
    }

    fn fact(&self, name: &str) -> Option<String> {
        let facts = self.whole().facts(&self.policies().settings.survivorship);
        facts.get(name).map(|fact| fact.value.reveal().clone())
    }
}
