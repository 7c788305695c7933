//! A person as journeys see them: at whatever instant they ask for.

use super::{Live, Person, View};
use crate::calendar::Zone;
use crate::condition::{Condition, EvalError};
use crate::event::Event;
use crate::gate::zone_of;
use crate::identity::Country;
use crate::journey::Sees;
use crate::policy::PolicySet;
use crate::time::Timestamp;
use std::cell::RefCell;

/// The records and the state of a person.
pub struct Eyes<'a> {
    person: &'a Person<'a>,
    live: &'a Live,
    policies: &'a PolicySet,
    /// The view of the last instant that was asked for: mostly it is asked for again.
    view: RefCell<Option<View<'a>>>,
}

impl<'a> Eyes<'a> {
    /// On a person with the state of the live record.
    pub const fn on(person: &'a Person<'a>, live: &'a Live, policies: &'a PolicySet) -> Self {
        Self { person, live, policies, view: RefCell::new(None) }
    }

    fn at<T>(&self, at: Timestamp, see: impl FnOnce(&View<'a>) -> T) -> T {
        let mut view = self.view.borrow_mut();
        if view.as_ref().is_some_and(|view| view.now() != at) {
            *view = None;
        }
        see(view.get_or_insert_with(|| View::of(self.person, self.live, self.policies, at)))
    }
}

impl Sees for Eyes<'_> {
    fn holds(&self, condition: &Condition, event: Option<&Event>, at: Timestamp) -> Result<bool, EvalError> {
        self.at(at, |view| view.holds(condition, event))
    }

    fn edge(&self, condition: &Condition, at: Timestamp) -> Option<Timestamp> {
        self.at(at, |view| view.edge(condition))
    }

    fn zone(&self) -> Zone {
        let country = self.fact("country").as_deref().and_then(Country::parse);
        zone_of(self.fact("time_zone").as_deref(), country, self.policies.settings.messaging.zone.as_ref())
    }

    fn fact(&self, name: &str) -> Option<String> {
        let facts = self.person.whole.facts(&self.policies.settings.survivorship);
        facts.get(name).map(|fact| fact.value.reveal().clone())
    }
}
