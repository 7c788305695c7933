//! What journeys see of a person.

use crate::calendar::Zone;
use crate::condition::{Condition, EvalError};
use crate::event::Event;
use crate::gate::zone_of;
use crate::identity::Country;
use crate::journey::Sees;
use crate::live::View;
use crate::policy::PolicySet;
use crate::time::Timestamp;

/// A person at the instant of the decision.
pub(super) struct Sight<'a> {
    pub(super) view: &'a View<'a>,
    pub(super) policies: &'a PolicySet,
}

impl Sees for Sight<'_> {
    fn holds(&self, condition: &Condition, event: Option<&Event>, _: Timestamp) -> Result<bool, EvalError> {
        self.view.holds(condition, event)
    }

    fn edge(&self, condition: &Condition, _: Timestamp) -> Option<Timestamp> {
        self.view.edge(condition)
    }

    fn zone(&self) -> Zone {
        let own = self.fact("time_zone");
        let country = self.fact("country").as_deref().and_then(Country::parse);
        zone_of(own.as_deref(), country, self.policies.settings.messaging.zone.as_ref())
    }

    fn fact(&self, name: &str) -> Option<String> {
        let facts = self.view.whole().facts(&self.policies.settings.survivorship);
        facts.get(name).map(|fact| fact.value.reveal().clone())
    }
}
