//! What must hold once a world has come to rest, read from the table itself and from what was seen on the wire.

mod clocks;
mod counters;
mod told;

use crate::broadcasts;
use crate::observe::Observed;
use crate::scenarios::company::TEAMS;
use crate::table::Items;
use crate::wire::{document, text};
use crate::world::World;
use crate::{runs, sends};
use serde_json::Value;
use sluice_domain::customer::{Customer, IdentityKind, Joined};
use sluice_domain::lead::{Assignment, Envelope, LeadState, Progress};
use sluice_domain::routing::{Outcome, is_round};
use sluice_domain::team::TeamState;
use sluice_domain::time::Timestamp;
use sluice_store::NoticeRecord;
use std::collections::{BTreeMap, BTreeSet};
use told::reassigned;

/// A lead as the table has it.
#[derive(Clone, Debug)]
pub struct LeadItem {
    /// Form or source.
    pub source: String,
    /// What was submitted.
    pub fields: Vec<(String, String)>,
    /// The state attribute.
    pub state: String,
    /// Whether the index of open leads has it.
    pub is_indexed: bool,
    /// Whether its fields are still to be fetched.
    pub is_incomplete: bool,
    /// What has happened to it.
    pub progress: Progress,
}

/// The table, read.
#[derive(Debug, Default)]
pub struct Books {
    /// The ledger.
    pub leads: BTreeMap<String, LeadItem>,
    customers: BTreeMap<String, Customer>,
    addresses: BTreeMap<String, String>,
    teams: BTreeMap<String, TeamState>,
    messages: Vec<NoticeRecord>,
    due: Vec<String>,
    counted: BTreeMap<String, u64>,
    counters: counters::Counters,
    broken: Vec<String>,
}

/// Whether the lead was decided on several records as one person.
fn came_to_a_whole(lead: &LeadItem) -> bool {
    lead.progress
        .receipt
        .as_ref()
        .is_some_and(|receipt| receipt.found.iter().any(|found| found.half.is_some()))
}

impl Books {
    /// Reads all items of a table.
    pub fn read(items: &Items) -> Self {
        let mut books = Self::default();
        let mut apart: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for ((pk, _), item) in items.iter().filter(|((_, sk), _)| sk.starts_with('e')) {
            apart.entry(pk).or_default().push(item);
        }
        for ((pk, sk), item) in items {
            let (pk, sk) = (pk.as_str(), sk.as_str());
            books.counters.take(pk, sk, item);
            match (pk.split_once('#').map_or(pk, |(prefix, _)| prefix), sk) {
                ("ad", _) if item.get("c").is_some() => {
                    books.addresses.insert(pk.to_owned(), text(item, "c").to_owned());
                }
                ("team", _) => match document(item, "d") {
                    Some(state) => drop(books.teams.insert(pk[5..].to_owned(), state)),
                    None => books.broken.push(format!("{pk} cannot be read")),
                },
                ("due", sk) => books.due.push(sk.to_owned()),
                ("speed", _) => {
                    let group = sk.split_once('#').map_or(sk, |(_, group)| group);
                    let buckets = item.as_object().into_iter().flatten();
                    let buckets =
                        buckets.filter(|(name, _)| name[1..].parse::<u16>().is_ok() && name.starts_with('e'));
                    let n: u64 = buckets.filter_map(|(_, n)| n["N"].as_str()?.parse::<u64>().ok()).sum();
                    *books.counted.entry(group.to_owned()).or_default() += n;
                }
                ("rep", _) => match document::<NoticeRecord>(item, "d") {
                    Some(message) => books.messages.push(NoticeRecord {
                        rep: pk[4..].to_owned(),
                        sort_key: sk.to_owned(),
                        ..message
                    }),
                    None => books.broken.push(format!("{pk} {sk} cannot be read")),
                },
                // What stands in place of an erased one is looked at by itself.
                (_, "c") if pk.starts_with("cu_") && item.get("x").is_some() => {}
                (_, "c") if pk.starts_with("cu_") => match document(item, "d") {
                    Some(customer) => drop(books.customers.insert(pk.to_owned(), customer)),
                    None => books.broken.push(format!("{pk} cannot be read")),
                },
                (_, "l") => {
                    let is_erased = text(item, "st") == LeadState::Erased.name();
                    let envelope = is_erased.then(Envelope::default);
                    let envelope = envelope.or_else(|| document::<Envelope>(item, "e")).or_else(|| {
                        // Of envelopes stored apart the lead's own is the one named by its fingerprint.
                        let apart = apart.get(pk)?;
                        let named = apart.iter().find(|apart| text(apart, "sk").ends_with(text(item, "f")));
                        document(named.or(apart.first())?, "e")
                    });
                    let Some(envelope) = envelope else {
                        books.broken.push(format!("I1: {pk} lacks its envelope"));
                        continue;
                    };
                    let lead = LeadItem {
                        source: text(item, "o")
                            .split_once('/')
                            .map(|(_, name)| name.to_owned())
                            .unwrap_or_default(),
                        fields: envelope.fields,
                        state: text(item, "st").to_owned(),
                        is_indexed: item.get("ix").is_some(),
                        is_incomplete: item.get("n").is_some(),
                        progress: document(item, "d").unwrap_or_default(),
                    };
                    books.leads.insert(pk.to_owned(), lead);
                }
                _ => {}
            }
        }
        let has_record = |pk: &str| items.contains_key(&(pk.to_owned(), "c".to_owned()));
        let stray = items.keys().filter(|(pk, _)| pk.starts_with("cu_") && !has_record(pk));
        books.broken.extend(stray.map(|(pk, sk)| format!("I1: {pk} {sk} is there without its record")));
        books
    }

    fn root(&self, id: &str) -> String {
        let mut at = id.to_owned();
        for _ in 0..=self.customers.len() {
            match self.customers.get(&at).and_then(|customer| customer.into.as_ref()) {
                Some(next) => at = next.to_string(),
                None => break,
            }
        }
        at
    }

    fn assignment(&self, lead: &str) -> Option<&Assignment> {
        let lead = self.leads.get(lead)?;
        lead.progress.assignment.as_ref().filter(|_| lead.progress.state == LeadState::Assigned)
    }

    /// Grants whose leads went elsewhere: the team has not looked at its books since.
    pub fn stray_grants(&self) -> Vec<(String, String)> {
        // What a round granted to a team, the team granted to somebody, or gives back.
        let teams = self.teams.iter().filter(|(team, _)| !is_round(team));
        let grants = teams.flat_map(|(team, state)| {
            state.grants.iter().map(move |(lead, grant)| (team, lead.to_string(), &grant.rep))
        });
        grants
            .filter(|(team, lead, rep)| {
                !self.assignment(lead).is_some_and(|a| a.rep == **rep && a.team.as_ref() == Some(*team))
            })
            .map(|(team, lead, _)| (team.clone(), lead))
            .collect()
    }

    /// Leads that have not come to any end or state of rest.
    pub fn waiting(&self) -> Vec<String> {
        let waits = |lead: &LeadItem| lead.progress.state == LeadState::Waiting;
        self.leads.iter().filter(|(_, lead)| waits(lead)).map(|(id, _)| id.clone()).collect()
    }

    /// Leads that wait for room in a team that has some.
    pub fn kept_waiting(&self) -> Vec<&str> {
        let has_room = |team: &str| {
            let members = TEAMS.iter().find(|(name, ..)| *name == team).map(|(_, reps, most)| (*reps, *most));
            let (Some((reps, Some(most))), Some(state)) = (members, self.teams.get(team)) else {
                return false;
            };
            reps.iter().any(|rep| state.members.get(*rep).is_none_or(|place| place.open < most))
        };
        // What a clock escalated is for a person.
        let waits = |lead: &LeadItem| {
            let is_open = lead.progress.state == LeadState::Escalated && !lead.progress.waits_for_a_person();
            is_open && has_room(&lead.source)
        };
        self.leads.iter().filter(|(_, lead)| waits(lead)).map(|(id, _)| id.as_str()).collect()
    }

    /// Everything that does not hold.
    pub fn check(&self, world: &World) -> Vec<String> {
        let observed = world.ground.observed();
        let mut broken = self.broken.clone();
        broken.extend(observed.broken.iter().cloned());
        if !self.due.is_empty() {
            broken.push(format!("I11: due entries are left: {:?}", self.due));
        }
        self.ledger(&mut broken);
        self.people(&mut broken);
        self.owners(&observed, &mut broken);
        self.shares(&mut broken);
        self.told(&observed, &mut broken);
        self.clocks(&observed, &mut broken);
        self.counters.check(&mut broken);
        let rows = world.rows();
        sends::check(&rows, &observed, &mut broken);
        runs::check(&rows, Timestamp(world.clock.millis()), &mut broken);
        broadcasts::check(&rows, &mut broken);
        broken
    }

    /// I1: ends, and the customer behind each.
    fn ledger(&self, broken: &mut Vec<String>) {
        for (id, lead) in &self.leads {
            let state = lead.progress.state;
            if state == LeadState::Waiting || lead.is_incomplete {
                broken.push(format!("I1: {id} has not reached an end"));
            }
            if state.name() != lead.state || lead.is_indexed == state.is_end() {
                broken.push(format!("I12: {id} is {} but listed as {}", state.name(), lead.state));
            }
            match &lead.progress.customer {
                Some(customer) if !self.customers.contains_key(customer.as_str()) => {
                    broken.push(format!("I1: {id} belongs to {customer}, which is not there"));
                }
                None if matches!(state, LeadState::Assigned | LeadState::Repeat | LeadState::Imported) => {
                    broken.push(format!("I1: {id} is {} and belongs to nobody", state.name()));
                }
                _ => {}
            }
            if state == LeadState::Assigned && lead.progress.assignment.is_none() {
                broken.push(format!("I1: {id} is assigned to nobody"));
            }
        }
    }

    /// I1: one live customer for each person, and books that agree.
    fn people(&self, broken: &mut Vec<String>) {
        // Leads that share an e-mail address or phone number, directly or over others, are one person; so are those of
        // two customers that a lead joined by likeness, or a person by hand.
        let joined: BTreeSet<&str> = self.joined_by_likeness().collect();
        let by_hand: Vec<[&str; 2]> = self.joins_by_hand().collect();
        let mut group: BTreeMap<&str, &str> = BTreeMap::new();
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        for _ in 0..self.leads.len() {
            for (id, lead) in &self.leads {
                let identities = lead.fields.iter().filter(|(name, _)| name == "email" || name == "phone");
                let customer = lead.progress.customer.iter().map(|id| id.as_str());
                let merges = lead.progress.receipt.iter().flat_map(|receipt| &receipt.merges);
                let merges = merges.filter(|merge| merge.likeness.is_some());
                let alike = merges.flat_map(|merge| [merge.from.as_str(), merge.into.as_str()]);
                let values = identities.map(|(_, value)| value.as_str()).chain(alike);
                let is_of = |pair: &&[&str; 2]| customer.clone().any(|id| pair.contains(&id));
                let hand = by_hand.iter().filter(is_of).flatten().copied();
                for value in values.chain(hand).chain(customer.clone().filter(|id| joined.contains(id))) {
                    let mine = group.get(id.as_str()).copied().unwrap_or(id);
                    let least = mine.min(first.get(value).copied().unwrap_or(mine));
                    first.insert(value, least);
                    group.insert(id, least);
                }
            }
        }
        let mut roots: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (id, lead) in &self.leads {
            let person = group.get(id.as_str()).copied().unwrap_or(id);
            if let Some(customer) = &lead.progress.customer {
                roots.entry(person).or_default().insert(self.root(customer.as_str()));
            }
        }
        for (person, roots) in &roots {
            if roots.len() > 1 && !self.are_apart(roots) {
                broken.push(format!("I1: the person of {person} is {} customers: {roots:?}", roots.len()));
            }
        }
        let mut seen: BTreeMap<&String, &str> = BTreeMap::new();
        for (person, roots) in &roots {
            for root in roots {
                if let Some(other) = seen.insert(root, person) {
                    broken.push(format!("I1: {person} and {other} are one customer"));
                }
            }
        }
        for (address, customer) in &self.addresses {
            if !self.customers.contains_key(customer) {
                broken.push(format!("I1: {address} is claimed for {customer}, which is not there"));
            } else if !self.held(&self.root(customer)).contains(&address[3..]) {
                broken.push(format!("I1: {customer} does not hold {address}"));
            }
        }
        for (id, _) in self.customers.iter().filter(|(_, customer)| customer.into.is_none()) {
            if let Some(kind) = self.holds_two(id).filter(|_| self.joined_by_hand(id).is_none()) {
                broken.push(format!("I1: {id} holds two values of {}", kind.name()));
            }
        }
        for (id, customer) in &self.customers {
            if let Some(into) = &customer.into
                && !self
                    .customers
                    .get(into.as_str())
                    .is_some_and(|into| into.halves.iter().any(|h| h.as_str() == id))
            {
                broken.push(format!("I1: {id} gave way to {into}, which does not know"));
            }
            for other in customer.maybe.keys() {
                let theirs = self.customers.get(other.as_str()).map(|other| &other.maybe);
                if !theirs.is_some_and(|maybe| maybe.keys().any(|one| one.as_str() == id)) {
                    broken.push(format!("I1: {id} may be {other}, which does not know"));
                }
            }
            let mine = self.leads.values().filter(|lead| {
                lead.progress.customer.as_ref().is_some_and(|customer| customer.as_str() == id)
            });
            let mine = u32::try_from(mine.count()).unwrap_or(u32::MAX);
            if customer.leads != mine {
                broken.push(format!("I12: {id} counts {} leads, the ledger {mine}", customer.leads));
            }
            let mut chain = 0;
            let mut at = customer.last_lead.as_ref().map(ToString::to_string);
            while let Some(lead) = at.filter(|_| chain <= customer.leads) {
                chain += 1;
                at = self
                    .leads
                    .get(&lead)
                    .and_then(|lead| lead.progress.previous.as_ref())
                    .map(ToString::to_string);
            }
            if chain != customer.leads {
                broken.push(format!("I1: the timeline of {id} has {chain} of {} leads", customer.leads));
            }
        }
    }

    fn joined_by_likeness(&self) -> impl Iterator<Item = &str> {
        let receipts = self.leads.values().filter_map(|lead| lead.progress.receipt.as_ref());
        let merges = receipts.flat_map(|receipt| &receipt.merges).filter(|merge| merge.likeness.is_some());
        merges.flat_map(|merge| [merge.from.as_str(), merge.into.as_str()])
    }

    /// Records that a person joined: which gave way, and to which.
    fn joins_by_hand(&self) -> impl Iterator<Item = [&str; 2]> {
        self.customers.iter().filter_map(|(id, part)| match (&part.joined, &part.into) {
            (Some(Joined::ByHand(_)), Some(into)) => Some([id.as_str(), into.as_str()]),
            _ => None,
        })
    }

    /// Whether somebody has said of all of them that they are different people.
    fn are_apart(&self, roots: &BTreeSet<String>) -> bool {
        let apart = |one: &String, other: &String| {
            self.customers
                .get(one)
                .is_some_and(|customer| customer.apart.keys().any(|id| id.as_str() == other))
        };
        roots.iter().all(|one| {
            roots.iter().filter(|other| *other != one).all(|other| apart(one, other) && apart(other, one))
        })
    }

    /// Whether the person was told apart from another.
    fn is_apart(&self, root: &str) -> bool {
        self.customers.get(root).is_some_and(|root| !root.apart.is_empty())
    }

    /// When a person joined records of this customer, the latest time.
    fn joined_by_hand(&self, root: &str) -> Option<Timestamp> {
        let parts = self.customers.iter().filter(|(id, _)| self.root(id) == root);
        let by_hand = parts.filter_map(|(_, part)| match &part.joined {
            Some(Joined::ByHand(decided)) => Some(decided.at),
            _ => None,
        });
        by_hand.max()
    }

    /// A strong kind of which a person holds two values that contradict each other.
    fn holds_two(&self, root: &str) -> Option<IdentityKind> {
        let parts = self.customers.iter().filter(|(id, _)| self.root(id) == root);
        let keys: BTreeSet<_> = parts.flat_map(|(_, part)| &part.keys).collect();
        let kinds = keys.iter().filter(|(kind, _)| kind.is_strong());
        let mut seen = BTreeSet::new();
        kinds
            .map(|(kind, hash)| (*kind, hash.namespace()))
            .find(|value| !seen.insert(*value))
            .map(|(kind, _)| kind)
    }

    fn held(&self, root: &str) -> BTreeSet<String> {
        let parts = self.customers.iter().filter(|(id, _)| self.root(id) == root);
        parts.flat_map(|(_, part)| part.keys.iter().map(|(_, hash)| hash.as_str().to_owned())).collect()
    }

    /// I2: one owner for a whole person, at any time.
    fn owners(&self, observed: &Observed, broken: &mut Vec<String>) {
        for (customer, owners) in &observed.owners {
            let leads = self.leads.values().filter(|lead| {
                lead.progress
                    .customer
                    .as_ref()
                    .is_some_and(|of| self.root(of.as_str()) == self.root(customer))
            });
            // While it was part of a whole, leads that came by it went to the owner of that.
            let is_apart = self.is_apart(&self.root(customer));
            let changes = |lead: &LeadItem| reassigned(lead) + usize::from(is_apart && came_to_a_whole(lead));
            if owners.len() > 1 + leads.map(changes).sum::<usize>() {
                broken.push(format!("I2: {customer} went from owner to owner: {owners:?}"));
            }
        }
        for (lead, reps) in &observed.assigned {
            let mut reps = reps.clone();
            reps.dedup();
            let most = 1 + self.leads.get(lead).map_or(0, reassigned);
            let in_turn = reps.iter().zip(1..).all(|(rep, n)| rep.ends_with(&format!("#{n}")));
            if reps.len() > most || !in_turn {
                broken.push(format!("I2: {lead} was assigned {reps:?}"));
            }
        }
        let mut owner_of: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for lead in &observed.order {
            let Some(item) = self.leads.get(lead) else { continue };
            let (Some(assignment), Some(customer)) = (&item.progress.assignment, &item.progress.customer)
            else {
                continue;
            };
            let root = self.root(customer.as_str());
            let merged = item.progress.receipt.as_ref().is_some_and(|receipt| !receipt.merges.is_empty());
            // Decided on a whole that was taken apart: each part has the owner it had before.
            if merged && self.is_apart(&root) {
                continue;
            }
            // Decided on it once it was one: the part by which it came has its owner.
            if self.is_apart(&root) && came_to_a_whole(item) {
                owner_of.insert(root, (assignment.rep.clone(), false));
                continue;
            }
            // Joined by hand, each part brought its owner; who comes afterwards goes to that of the whole.
            if let Some(at) = self.joined_by_hand(&root) {
                let came_before = item.progress.receipt.as_ref().is_some_and(|receipt| receipt.at <= at);
                let owner = self.customers.get(&root).and_then(|root| root.owner.as_ref());
                if !came_before && owner.is_none_or(|owner| owner.rep != assignment.rep) {
                    broken
                        .push(format!("I2: {root} is owned by {owner:?}, {lead} went to {}", assignment.rep));
                }
                continue;
            }
            let new_half = item.progress.receipt.as_ref().is_some_and(|receipt| receipt.new_customer);
            if let Some((owner, settled)) = owner_of.get(&root)
                && *owner != assignment.rep
                && (*settled || !(merged || new_half))
            {
                broken.push(format!("I2: {root} belongs to {owner}, {lead} went to {}", assignment.rep));
            }
            owner_of.insert(root, (assignment.rep.clone(), merged));
        }
        for (id, root) in self.customers.iter().filter(|(_, customer)| customer.into.is_none()) {
            let has_assigned = self.leads.iter().any(|(lead, item)| {
                self.assignment(lead).is_some()
                    && item
                        .progress
                        .customer
                        .as_ref()
                        .is_some_and(|customer| self.root(customer.as_str()) == *id)
            });
            match &root.owner {
                None if has_assigned => {
                    broken.push(format!("I2: {id} has leads with an owner and none itself"))
                }
                Some(owner) if owner_of.get(id).is_some_and(|(last, _)| *last != owner.rep) => {
                    broken.push(format!("I2: {id} is owned by {}, its last lead by another", owner.rep));
                }
                _ => {}
            }
        }
    }

    /// I5 and I6: each member's open leads are those of the ledger, and shares are fair.
    fn shares(&self, broken: &mut Vec<String>) {
        for (team, state) in self.teams.iter().filter(|(team, _)| !is_round(team)) {
            let mut received: BTreeMap<&str, i64> = BTreeMap::new();
            for rep in state.members.keys() {
                let assigned = self.leads.keys().filter(|lead| {
                    self.assignment(lead).is_some_and(|a| a.rep == *rep && a.team.as_ref() == Some(team))
                });
                let granted =
                    state.grants.iter().filter(|(_, grant)| grant.rep == *rep).map(|(lead, _)| lead.as_str());
                // What is closed takes no place.
                let is_open =
                    |lead: &&str| self.leads.get(*lead).is_none_or(|lead| lead.progress.work.is_open());
                let held: BTreeSet<&str> =
                    assigned.map(String::as_str).filter(is_open).chain(granted.clone()).collect();
                let open = usize::try_from(state.members[rep].open).unwrap_or(usize::MAX);
                if open != held.len() {
                    broken.push(format!(
                        "I6: {rep} of {team} counts {open} open leads and holds {}",
                        held.len()
                    ));
                }
                // A share is what was decided, whatever people did with it since.
                let to_rep = Outcome::Assigned { rep: rep.clone(), team: Some(team.clone()) };
                let decided = self.leads.iter().filter(|(_, lead)| {
                    lead.progress.receipt.as_ref().is_some_and(|receipt| receipt.outcome == to_rep)
                });
                let given: BTreeSet<&str> = decided.map(|(lead, _)| lead.as_str()).chain(granted).collect();
                let shares = given.iter().filter(|lead| {
                    let receipt = self.leads.get(**lead).and_then(|lead| lead.progress.receipt.as_ref());
                    receipt
                        .is_some_and(|receipt| receipt.saw.owner.is_none() && receipt.saw.company.is_none())
                });
                received.insert(rep, i64::try_from(shares.count()).unwrap_or(i64::MAX));
            }
            let most = received.values().max().copied().unwrap_or(0);
            let least = received.values().min().copied().unwrap_or(0);
            // One lead of the member that is ahead, and one for a grant that was given back.
            if most - least > 2 {
                broken.push(format!("I5: shares of {team} are {received:?}"));
            }
        }
    }
}
