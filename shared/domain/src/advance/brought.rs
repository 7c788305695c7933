//! What others have written down of a person since anybody looked: the lead that an event tells of, who owns them by it, and
//! records that were joined elsewhere.

use super::mind::Mind;
use crate::customer::{Customer, Place, Whole};
use crate::event::{Event, EventKind};
use crate::id::{CustomerId, LeadId, short_hash};
use crate::live::{Look, Person, first_look_is_due, look};
use crate::segment::Changed;

impl Event {
    /// The lead that came in, if this is what tells of it.
    pub(super) fn captured(&self) -> Option<LeadId> {
        let is_it = self.kind == EventKind::Own && self.name == "lead_captured";
        LeadId::parse(self.properties.reveal().get("lead").filter(|_| is_it)?.as_str()?)
    }
}

impl Mind<'_> {
    /// What an event tells of that was written down before it was told.
    pub(super) fn brought(&self, place: &Place, event: &Event) -> Changed {
        if event.kind == EventKind::Own && event.name == "lead_assigned" {
            return Changed::facts(["owner", "team"]);
        }
        let Some(lead) = event.captured() else { return Changed::default() };
        let record = self.stitch.customers.get(&place.home);
        let names = record.into_iter().flat_map(|record| record.said_by(&lead));
        Changed::facts(names.chain(["leads"]))
    }

    /// A look at whom nobody has looked at so far, as they were before the lead: what it brought is news, and what was so before is
    /// not. Of somebody whom the lead made known all is.
    pub(super) fn look_before(&mut self, place: &Place, lead: &LeadId) -> Option<Look> {
        let (policies, now) = (self.with.policies, self.with.now);
        if policies.live.index.is_empty() || !self.ensure(&place.root) {
            return None;
        }
        let state = self.states.get_mut(&place.root)?;
        if !first_look_is_due(&state.live, &policies.live) {
            return None;
        }
        if place.home == place.root && place.home == CustomerId::derived(&[lead.as_str()]) {
            state.live.meet(&policies.live);
            return None;
        }
        self.with_person(&place.root, |person, state| {
            let before = |part: &Customer| {
                let mut part = part.clone();
                if part.id == place.home {
                    part.unsay(lead);
                    part.leads = part.leads.saturating_sub(1);
                }
                part
            };
            let root = before(person.whole.root);
            let halves: Vec<Customer> = person.whole.halves.iter().copied().map(before).collect();
            let whole = Whole { root: &root, halves: halves.iter().collect() };
            let person = Person { whole, halves: person.halves.clone() };
            look(&person, &mut state.live, policies, Changed::everything(), now)
        })
    }

    /// Everything, of somebody who is of other records than at the last look, whoever joined them or took them apart, and of
    /// somebody new.
    pub(super) fn joined(&mut self, root: &CustomerId) -> Changed {
        let policies = self.with.policies;
        if policies.live.index.is_empty() && !policies.triggers.watch_people() {
            return Changed::default();
        }
        let is_new = self.lives(root) && !self.before.contains(root) && !self.states.contains_key(root);
        let halves: Vec<CustomerId> = self.ids(root).into_iter().skip(1).collect();
        let halves: Vec<&str> = halves.iter().map(CustomerId::as_str).collect();
        let parts = if halves.is_empty() { String::new() } else { short_hash(&halves)[..8].to_owned() };
        if !is_new && self.state(root).map_or("", |state| state.parts.as_str()) == parts {
            return Changed::default();
        }
        if self.ensure(root)
            && let Some(state) = self.states.get_mut(root)
        {
            state.parts = parts;
        }
        Changed::everything()
    }
}
