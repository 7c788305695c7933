//! People while a decision is made: what was read of them, and what became of it so far.

use super::{Loaded, Missing, Runs, State, Taken, Wake, With};
use crate::customer::{Stitch, Whole};
use crate::event::{Entry, Event};
use crate::id::{CustomerId, EventId};
use crate::insight::Credited;
use crate::journey::Run;
use crate::live::{Live, Person, View, recount};
use crate::message::Message;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Everybody whom a decision is about.
pub(super) struct Mind<'a> {
    pub(super) with: With<'a>,
    pub(super) stitch: Stitch<'a>,
    /// Records that were there.
    pub(super) before: BTreeSet<CustomerId>,
    erased: BTreeMap<CustomerId, Timestamp>,
    asked: BTreeSet<EventId>,
    entries: BTreeMap<EventId, (CustomerId, Entry)>,
    stored: BTreeMap<CustomerId, State>,
    history: BTreeMap<CustomerId, Live>,
    /// States that were looked at, as they shall be.
    pub(super) states: BTreeMap<CustomerId, State>,
    looked_up: Runs,
    /// Runs that have changed.
    pub(super) runs: BTreeMap<(CustomerId, String), Run>,
    /// Events of this decision.
    pub(super) events: BTreeMap<EventId, Event>,
    /// What was credited in this decision, by event.
    pub(super) credited: BTreeMap<EventId, Credited>,
    pub(super) messages: Vec<Message>,
    pub(super) wakes: BTreeMap<(CustomerId, Option<String>), Wake>,
    pub(super) missing: Missing,
}

impl<'a> Mind<'a> {
    pub(super) fn new(loaded: Loaded, with: With<'a>) -> Self {
        let Loaded { ties, customers, erased, asked, entries, states, runs, history, .. } = loaded;
        let before: BTreeSet<CustomerId> = customers.keys().cloned().collect();
        let shared_after = with.policies.settings.shared_after as usize;
        Self {
            with,
            stitch: Stitch::new(with.keys, shared_after, ties, customers),
            before,
            erased,
            asked,
            entries,
            stored: states,
            history,
            states: BTreeMap::new(),
            looked_up: runs,
            runs: BTreeMap::new(),
            events: BTreeMap::new(),
            credited: BTreeMap::new(),
            messages: Vec::new(),
            wakes: BTreeMap::new(),
            missing: Missing::default(),
        }
    }

    /// Whether a record is there and was not erased.
    pub(super) fn lives(&self, id: &CustomerId) -> bool {
        self.stitch.customers.contains_key(id) && !self.erased.contains_key(id)
    }

    /// The records of a person, the live one first.
    pub(super) fn ids(&self, root: &CustomerId) -> Vec<CustomerId> {
        self.stitch.parts(root).into_iter().map(|part| part.id.clone()).collect()
    }

    /// Sees to it that the state of a record can be used; if not, what lacks is noted.
    pub(super) fn ensure(&mut self, id: &CustomerId) -> bool {
        if self.states.contains_key(id) {
            return true;
        }
        let policy = &self.with.policies.live;
        let stored = self.stored.get(id).cloned();
        // Whoever decides by earlier policies puts what these count beside the record, and counts nothing of it.
        let is_all_there = !policy.counts_anything() || self.with.policies.is_seen(self.with.now);
        let counted_now = |mut live: Live| {
            if !is_all_there {
                live.count_again();
            }
            live
        };
        let state = match stored {
            Some(state) if state.live.is_counted_by(policy) => state,
            None if !self.before.contains(id) => {
                State { live: counted_now(Live::new(policy)), ..State::default() }
            }
            stored => {
                let before = stored.unwrap_or_default();
                let counted = match self.history.get(id) {
                    Some(counted) => counted.clone(),
                    // Orders are kept whoever asks for them: only the entries say what they come to now.
                    None if !policy.counts_anything() && before.live.orders().is_empty() => Live::default(),
                    None => {
                        self.missing.history.insert(id.clone());
                        return false;
                    }
                };
                State { live: counted_now(recount(&before.live, counted, policy)), ..before }
            }
        };
        self.states.insert(id.clone(), state);
        true
    }

    /// The state of a record as it is now, without counting it anew.
    pub(super) fn state(&self, id: &CustomerId) -> Option<&State> {
        self.states.get(id).or_else(|| self.stored.get(id))
    }

    /// The run of a record; noted as lacking if nobody has looked.
    pub(super) fn run(&mut self, id: &CustomerId, journey: &str) -> Option<Option<Run>> {
        let key = (id.clone(), journey.to_owned());
        if let Some(run) = self.runs.get(&key) {
            return Some(Some(run.clone()));
        }
        match self.looked_up.get(&key) {
            Some(run) => Some(run.clone()),
            None if !self.before.contains(id) => Some(None),
            None => {
                self.missing.runs.insert(key);
                None
            }
        }
    }

    /// The journeys that a person is in, each with the record whose run it is.
    pub(super) fn active(&self, root: &CustomerId) -> Vec<(CustomerId, String)> {
        let of = |id: CustomerId| {
            let runs = self.state(&id).map(|state| state.runs.clone()).unwrap_or_default();
            runs.into_iter().map(move |journey| (id.clone(), journey))
        };
        self.ids(root).into_iter().flat_map(of).collect()
    }

    /// The event of an id, if it is of this decision or was read; noted as lacking if nobody has looked.
    pub(super) fn event(&mut self, id: &EventId) -> Option<Event> {
        let known = self.events.get(id).or_else(|| self.entries.get(id).map(|(_, entry)| &entry.event));
        if known.is_none() && !self.asked.contains(id) {
            self.missing.events.insert(id.clone());
        }
        known.cloned()
    }

    /// What was credited by an event, if it is of this decision or its entry was read and is there; noted as lacking if nobody
    /// has looked.
    pub(super) fn credited_by(&mut self, id: &EventId) -> Option<Option<Credited>> {
        if let Some(credited) = self.credited.get(id) {
            return Some(Some(credited.clone()));
        }
        match self.entries.get(id) {
            Some((_, entry)) => Some(entry.led.credited.clone()),
            None if self.asked.contains(id) => Some(None),
            None => {
                self.missing.events.insert(id.clone());
                None
            }
        }
    }

    /// Lets `look` see the whole person; its live record's state is handed in apart. Nothing if that is not possible yet.
    pub(super) fn with_person<T>(
        &mut self,
        root: &CustomerId,
        look: impl FnOnce(&Person<'_>, &mut State) -> T,
    ) -> Option<T> {
        let ids = self.ids(root);
        let mut can = true;
        for id in &ids {
            let is_needed =
                id == root || self.state(id).is_some() || self.with.policies.live.counts_anything();
            can &= !is_needed || self.ensure(id);
        }
        if !can {
            return None;
        }
        let mut state = self.states.remove(root)?;
        let answer = self.stitch.whole(root).map(|whole| {
            let halves = whole.halves.iter().filter_map(|half| self.states.get(&half.id));
            let person = Person { halves: halves.map(|state| &state.live).collect(), whole };
            look(&person, &mut state)
        });
        self.states.insert(root.clone(), state);
        answer
    }

    /// Lets `look` see the person at this instant.
    pub(super) fn with_view<T>(&mut self, root: &CustomerId, look: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        let (policies, now) = (self.with.policies, self.with.now);
        self.with_person(root, |person, state| look(&View::of(person, &state.live, policies, now)))
    }

    /// What is waited for, once more: what another delivery decided may not have been put as due.
    pub(super) fn wake_again(&mut self) {
        for (id, state) in &self.stored {
            if let Some(token) = state.live.waits_for()
                && let Ok(at) = token.parse()
            {
                let wake = Wake { customer: id.clone(), journey: None, token, at: Timestamp(at) };
                self.wakes.insert((id.clone(), None), wake);
            }
        }
        for ((id, journey), run) in &self.looked_up {
            if let Some(due) = run.as_ref().and_then(|run| run.due.as_ref()) {
                self.wakes.insert((id.clone(), Some(journey.clone())), wake_of(id, journey, due));
            }
        }
    }

    /// What is to be stored.
    pub(super) fn done(self, taken: &mut Taken) {
        let policy = &self.with.policies.live;
        taken.missing = self.missing;
        taken.unsettled = self.stitch.unsettled;
        let changed = self.stitch.changed.iter().filter_map(|id| self.stitch.customers.get(id));
        taken.customers = changed.cloned().collect();
        taken.claims = self.stitch.claims;
        taken.released = self.stitch.lost;
        taken.pointed = self.stitch.pointed.into_values().collect();
        taken.seen_with = self.stitch.seen_with;
        let is_new = |id: &CustomerId, state: &State| match self.stored.get(id) {
            Some(stored) => stored != state,
            None => *state != State { live: Live::new(policy), ..State::default() },
        };
        taken.states = self.states.into_iter().filter(|(id, state)| is_new(id, state)).collect();
        taken.runs = self.runs.into_iter().map(|((id, journey), run)| (id, journey, run)).collect();
        taken.messages = self.messages;
        taken.wakes = self.wakes.into_values().collect();
    }
}

/// The due entry of a run.
pub(super) fn wake_of(customer: &CustomerId, journey: &str, due: &crate::journey::Due) -> Wake {
    Wake {
        customer: customer.clone(),
        journey: Some(journey.to_owned()),
        token: due.token.clone(),
        at: due.at,
    }
}

/// Reps who own a person.
pub(super) fn owner(whole: &Whole<'_>) -> Option<String> {
    whole.owner().map(|owner| owner.rep.clone())
}
