//! What events make of their people: from a person as read and what happened to everything that is to be stored and sent.
//!
//! Pure, and one decision for all that came in together: it is taken in the order in which it happened. What follows from an
//! event (a segment that is entered, a journey that goes on) is part of its decision and of its entry.

mod brought;
mod mind;
mod results;
mod step;
#[cfg(test)]
mod tests;
mod triggers;
mod wake;

pub use triggers::Triggers;
pub use wake::Wake;

use crate::customer::{
    AddressHash, By, Claim, Customer, HashKeys, Identity, Named, Place, Pointed, Stitch, Tie, Traits,
};
use crate::event::{Entry, Event, EventKind, Happened, Ids, Outgo, Who};
use crate::id::{CustomerId, EventId};
use crate::insight::{Credits, Exposures, Tallies, Touches, tally};
use crate::journey::Run;
use crate::live::Live;
use crate::message::Message;
use crate::policy::PolicySet;
use crate::segment::Changed;
use crate::time::Timestamp;
use mind::Mind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is kept of a record beside its facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What behaviour made of it.
    pub live: Live,
    /// The journeys that it is in.
    pub runs: BTreeSet<String>,
    /// The records that gave way to it when it was last looked at, as a hash; empty is none.
    pub parts: String,
    /// The dates it waits for, see [`Triggers::dated_spec`].
    pub dated: String,
    /// What brought the person.
    pub touches: Touches,
    /// How the newest orders were credited.
    pub credits: Credits,
    /// Campaigns that reached them, or left them out, and have a goal.
    pub exposures: Exposures,
}

/// Something that comes in.
#[derive(Clone, Debug, PartialEq)]
pub enum Incoming {
    /// Something happened.
    Happened(Happened),
    /// Something is due.
    Due(Wake),
}

impl Incoming {
    /// The id of its entry.
    pub fn id(&self) -> EventId {
        match self {
            Self::Happened(happened) => happened.event.id.clone(),
            Self::Due(wake) => wake.event_id(),
        }
    }

    /// When it happened or was due; of one instant who somebody is first ([`Event::turn`]), then by id.
    pub fn order(&self) -> (Timestamp, bool, EventId) {
        match self {
            Self::Happened(happened) => {
                let (at, later, id) = happened.event.turn();
                (at, later, id.clone())
            }
            Self::Due(wake) => (wake.at, true, self.id()),
        }
    }
}

/// A run, or that there is none, of a record and a journey.
pub type Runs = BTreeMap<(CustomerId, String), Option<Run>>;

/// Everything read for what may be one person's.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What is known of their ids, each under its hash of now.
    pub ties: BTreeMap<AddressHash, Tie>,
    /// Records of everybody whom the ids lead to.
    pub customers: BTreeMap<CustomerId, Customer>,
    /// Records that were erased, and when.
    pub erased: BTreeMap<CustomerId, Timestamp>,
    /// Addresses that still name somebody who was erased, and when that was.
    pub freed: BTreeMap<(AddressHash, CustomerId), Timestamp>,
    /// Events that were asked for.
    pub asked: BTreeSet<EventId>,
    /// Of these, those that were decided on before, with the record that each is kept with.
    pub entries: BTreeMap<EventId, (CustomerId, Entry)>,
    /// What is kept of records.
    pub states: BTreeMap<CustomerId, State>,
    /// Runs that were asked for.
    pub runs: Runs,
    /// What all events of records come to that are to be counted anew.
    pub history: BTreeMap<CustomerId, Live>,
}

/// What a decision needs besides and was not read: it is read, and all is decided again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Runs.
    pub runs: BTreeSet<(CustomerId, String)>,
    /// Earlier versions of the policies.
    pub manifests: BTreeSet<u64>,
    /// Records, counted anew from all their events.
    pub history: BTreeSet<CustomerId>,
    /// Events.
    pub events: BTreeSet<EventId>,
}

impl Missing {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is to be stored, all of it or nothing, and what is to be sent then.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// What has to be read first; then nothing else counts.
    pub missing: Missing,
    /// Addresses that still name somebody who was erased: that is mended first.
    pub freed: BTreeMap<(AddressHash, CustomerId), Timestamp>,
    /// What the entries count.
    pub tallies: Tallies,
    /// Addresses to claim before, best evidence first. If somebody else was faster, all is decided again.
    pub claims: Vec<Claim>,
    /// Addresses that were claimed in vain, with whom for: they are let go of.
    pub released: BTreeMap<AddressHash, CustomerId>,
    /// Records as they shall be.
    pub customers: Vec<Customer>,
    /// Anonymous ids that point on.
    pub pointed: Vec<Pointed>,
    /// Addresses that came with a customer who does not hold them.
    pub seen_with: BTreeSet<(AddressHash, CustomerId)>,
    /// Entries, each under the record it belongs to.
    pub entries: Vec<(CustomerId, Entry)>,
    /// What is kept of records, as it shall be.
    pub states: Vec<(CustomerId, State)>,
    /// Runs as they shall be.
    pub runs: Vec<(CustomerId, String, Run)>,
    /// Messages that are stored before they are asked for, because of what their templates read.
    pub messages: Vec<Message>,
    /// What is to be sent.
    pub sends: Vec<Outgo>,
    /// What is to be put as due.
    pub wakes: Vec<Wake>,
    /// Entries that were put beside records just before those were erased: they go.
    pub stray: Vec<(CustomerId, EventId)>,
    /// Somebody else is writing down a person at this moment who may be this one: better to look again.
    pub unsettled: bool,
    /// What was decided on before.
    pub absorbed: usize,
    /// Events that came too late: their person was erased.
    pub dropped: usize,
}

impl Taken {
    /// How many items it stores.
    pub fn items(&self) -> usize {
        let beside = self.customers.len() + self.pointed.len() + self.seen_with.len() + self.messages.len();
        self.entries.len() + self.states.len() + self.runs.len() + self.tallies.len() + beside
    }

    /// Whether nothing but entries is to be stored.
    pub fn is_idle(&self) -> bool {
        self.claims.is_empty()
            && self.customers.is_empty()
            && self.pointed.is_empty()
            && self.seen_with.is_empty()
            && self.states.is_empty()
            && self.runs.is_empty()
            && self.messages.is_empty()
    }
}

/// What decisions are made with.
#[derive(Clone, Copy, Debug)]
pub struct With<'a> {
    /// For addresses.
    pub keys: &'a HashKeys,
    /// The policies of now.
    pub policies: &'a PolicySet,
    /// Those that runs are pinned to, by version.
    pub older: &'a BTreeMap<u64, Arc<PolicySet>>,
    /// Now.
    pub now: Timestamp,
}

/// Everything by which the person of an event is looked for.
pub fn identities(happened: &Happened, policies: &PolicySet) -> Vec<Identity> {
    match &happened.who {
        Who::Ids(ids) => {
            let traits = Traits::of(&happened.event, policies);
            Named::of(ids, &happened.event, &traits.identities).identities().cloned().collect()
        }
        Who::Customer(_) => Vec::new(),
    }
}

/// Decides what came in, in the order of time.
pub fn advance(incoming: &[Incoming], loaded: Loaded, with: With<'_>) -> Taken {
    let mut taken = Taken { freed: loaded.freed.clone(), ..Taken::default() };
    let mut fresh: Vec<&Incoming> = Vec::new();
    let mut seen = BTreeSet::new();
    for one in incoming {
        let id = one.id();
        match loaded.entries.get(&id) {
            Some((home, _)) if loaded.erased.contains_key(home) => {
                taken.stray.push((home.clone(), id));
                taken.dropped += 1;
            }
            Some((_, entry)) => {
                taken.sends.extend(entry.led.sent.iter().cloned());
                taken.absorbed += 1;
            }
            None if seen.insert(id) => fresh.push(one),
            None => taken.absorbed += 1,
        }
    }
    fresh.sort_by_cached_key(|one| one.order());
    let mut mind = Mind::new(loaded, with);
    if taken.absorbed > 0 {
        mind.wake_again();
    }
    let mut last: Option<(&Ids, Place)> = None;
    for one in fresh {
        let Happened { who, event } = match one {
            Incoming::Happened(happened) => happened,
            Incoming::Due(wake) => {
                if let Some((home, mut entry)) = mind.due(wake) {
                    // That something was due is no event that anybody else hears of.
                    entry.tell_others(&home, with.policies, 1);
                    taken.sends.extend(entry.led.sent.iter().cloned());
                    taken.entries.push((home, entry));
                }
                continue;
            }
        };
        let mut changed = Changed::default();
        let place = match who {
            Who::Customer(id) => {
                mind.lives(id).then(|| Place { home: id.clone(), root: mind.stitch.root(id) })
            }
            Who::Ids(ids) => {
                let says_nothing_new = !matches!(event.kind, EventKind::Identify | EventKind::Alias)
                    && event.traits.reveal().is_empty();
                match &last {
                    Some((before, place)) if says_nothing_new && *before == ids => Some(place.clone()),
                    _ => place_of(ids, event, with.policies, &mut mind.stitch, &mut changed),
                }
            }
        };
        let Some(place) = place else {
            taken.dropped += 1;
            last = None;
            continue;
        };
        let led = mind.happen(&place, event, changed);
        let mut entry = Entry::of(who, event, with.policies.version, led);
        entry.tell_others(&place.home, with.policies, 0);
        taken.sends.extend(entry.led.sent.iter().cloned());
        taken.entries.push((place.home.clone(), entry));
        last = match who {
            Who::Ids(ids) => Some((ids, place)),
            Who::Customer(_) => None,
        };
    }
    mind.done(&mut taken);
    taken.entries.iter().for_each(|(_, entry)| taken.tallies.merge(tally(entry)));
    taken
}

/// Whose an event is, with what it says about them taken down.
fn place_of(
    ids: &Ids,
    event: &Event,
    policies: &PolicySet,
    stitch: &mut Stitch<'_>,
    changed: &mut Changed,
) -> Option<Place> {
    let traits = Traits::of(event, policies);
    let named = Named::of(ids, event, &traits.identities);
    let place = stitch.place(&named, event)?;
    // The record that holds a user id says which, so that it is found again under every hash key.
    if let (Some(user), Some(identity)) = (&ids.user, named.strong.first())
        && let Some(holder) = stitch.holder(identity)
        && stitch.customers.get(&holder).is_some_and(|record| !record.facts.contains_key("external_id"))
    {
        let user = user.reveal().clone();
        let by = By { source: &event.source, at: event.at, tie: None };
        stitch.change(&holder, event.at).note("external_id", user, by);
        changed.and(Changed::facts(["external_id"]));
    }
    if stitch.customers.get(&place.home).is_some_and(|record| traits.change(record)) {
        stitch.restate(&place.home, event.at, |record| traits.apply(record));
        changed.and(Changed::facts(traits.names()));
    }
    Some(place)
}
