//! Whether two customers are one, decided by a person: joined by hand, or kept apart. And what is open for a decision.

use super::recognise::{apart, stays};
use super::{Customer, Joined, Known, Ownership, Raised};
use crate::id::CustomerId;
use crate::lead::{Assignment, Lead};
use crate::routing::own;
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most records that one customer is made of, by hand too: what is loaded of a person is bounded.
pub const MAX_RECORDS: usize = 32;

/// Customers that a record is suggested to be one with at most, as long as nobody has decided; more is a switchboard.
const MAX_MAYBE: usize = 16;

/// Who decided, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// A rep, or the role of a token.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What a decision changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was so before.
    Nothing,
    /// Both records as they shall be.
    Records(Box<(Customer, Customer)>),
    /// It cannot be so.
    Refused(Refused),
}

/// Why a decision is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Together they would be of more than [`MAX_RECORDS`] records.
    TooManyRecords,
    /// They are one customer: taking them apart is another thing.
    AreOne,
}

/// Two customers are one: the one who has no owner, else the younger, gives way. What a person says counts over what
/// speaks against it, and over an earlier word that they are two.
pub fn join(known: &Known, one: &CustomerId, other: &CustomerId, decided: Decided) -> Change {
    let (one, other) = (known.root(one), known.root(other));
    if one == other {
        return Change::Nothing;
    }
    let records = [&one, &other].map(|id| records(known, id));
    let [ours, theirs] = &records;
    if ours.len() + theirs.len() > MAX_RECORDS {
        return Change::Refused(Refused::TooManyRecords);
    }
    let into = stays(known, &[one.clone(), other.clone()]).unwrap_or_else(|| one.clone());
    let from = if into == one { other } else { one };
    let (Some(from), Some(into)) = (known.customers.get(&from), known.customers.get(&into)) else {
        return Change::Nothing;
    };
    let (mut from, mut into) = (from.clone(), into.clone());
    from.apart.remove(&into.id);
    into.apart.remove(&from.id);
    from.into = Some(into.id.clone());
    from.joined = Some(Joined::ByHand(decided));
    into.halves.insert(from.id.clone());
    Change::Records(Box::new((from, into)))
}

/// Two customers are two: neither suggested nor joined again.
pub fn keep_apart(known: &Known, one: &CustomerId, other: &CustomerId, decided: Decided) -> Change {
    let (one, other) = (known.root(one), known.root(other));
    if one == other {
        return Change::Refused(Refused::AreOne);
    }
    if are_apart(known, &one, &other) {
        return Change::Nothing;
    }
    let (Some(one), Some(other)) = (known.customers.get(&one), known.customers.get(&other)) else {
        return Change::Nothing;
    };
    let (mut one, mut other) = (one.clone(), other.clone());
    mark_apart(&mut one, &mut other, decided);
    Change::Records(Box::new((one, other)))
}

/// Takes a record out of the one it gave way to: each is as its own leads have made it, and marked to be kept apart from the
/// other. The records as they shall be, the one taken out first; none if it gave way to nobody. `leads` are those of every
/// record of the person.
///
/// Facts and addresses have stayed with their records. An owner is the whole person's and stands on the live record alone, so
/// whose each side is follows from whom its own leads were given to.
pub fn take_apart(
    known: &Known,
    half: &CustomerId,
    leads: &BTreeMap<CustomerId, Vec<Lead>>,
    decided: Decided,
) -> Vec<Customer> {
    let Some(half) = known.customers.get(half) else { return Vec::new() };
    let Some(into) = half.into.as_ref().and_then(|into| known.customers.get(into)) else { return Vec::new() };
    let root = known.root(&half.id);
    let out: BTreeSet<&CustomerId> = records(known, &half.id).iter().map(|record| &record.id).collect();
    let (theirs, ours): (Vec<&Customer>, Vec<&Customer>) =
        records(known, &root).into_iter().partition(|record| out.contains(&record.id));
    let joined_both = |lead: &Lead| {
        let mut merges = lead.progress.receipt.iter().flat_map(|receipt| &receipt.merges);
        merges.any(|merge| out.contains(&merge.from) != out.contains(&merge.into))
    };
    let owner = known.customers.get(&root).and_then(|live| live.owner.as_ref());
    let made_owner = |one: &Assignment| owner.is_some_and(|owner| made(owner, one));
    let counts = |record: &Customer, one: &Assignment| made_owner(one) || is_since_joined(record, one);
    let theirs = Given::of(&theirs, &half.id, leads, joined_both, counts);
    let ours = Given::of(&ours, &root, leads, joined_both, counts);

    let (mut taken_out, mut stays) = (half.clone(), into.clone());
    taken_out.into = None;
    taken_out.joined = None;
    stays.halves.remove(&taken_out.id);
    mark_apart(&mut taken_out, &mut stays, decided);
    theirs.give(&mut taken_out);
    // The live record changes with them even if it is neither: a lead that is given to somebody meanwhile changes it, too.
    let mut live = known.customers.get(&root).filter(|live| live.id != stays.id).cloned();
    if theirs.all().any(made_owner) && !ours.all().any(made_owner) {
        let owned = live.as_mut().unwrap_or(&mut stays);
        owned.owner = None;
        ours.give(owned);
    }
    [taken_out, stays].into_iter().chain(live).collect()
}

/// Whom the leads of one side of a person were given to since its records are one, in the order of time.
struct Given<'a> {
    own: Vec<&'a Assignment>,
    /// What the rules decided of the lead that joined both sides. It was decided on both: it makes an owner of nobody but for a
    /// side that has none otherwise.
    joining: Vec<&'a Assignment>,
}

impl<'a> Given<'a> {
    fn of(
        side: &[&Customer],
        live: &CustomerId,
        leads: &'a BTreeMap<CustomerId, Vec<Lead>>,
        joined_both: impl Fn(&Lead) -> bool,
        counts: impl Fn(&Customer, &Assignment) -> bool,
    ) -> Self {
        let (mut own, mut joining) = (Vec::new(), Vec::new());
        for record in side {
            for lead in leads.get(&record.id).into_iter().flatten() {
                let receipt = lead.progress.receipt.as_ref().filter(|_| joined_both(lead));
                let past = lead.progress.past.iter().map(|past| &past.assignment);
                let all = past.chain(&lead.progress.assignment);
                for one in all.filter(|one| record.id == *live || counts(record, one)) {
                    match receipt.is_some_and(|receipt| receipt.at == one.at) {
                        true => joining.push(one),
                        false => own.push(one),
                    }
                }
            }
        }
        own.sort_by_key(|one| one.at);
        joining.sort_by_key(|one| one.at);
        Self { own, joining }
    }

    fn all(&self) -> impl Iterator<Item = &'a Assignment> {
        self.own.iter().chain(&self.joining).copied()
    }

    /// Lets a record have the owner that they make, from the one it has on.
    fn give(&self, record: &mut Customer) {
        let since = record.owner.as_ref().map(|owner| owner.since);
        for one in self.own.iter().filter(|one| Some(one.at) > since) {
            own(record, one);
        }
        if record.owner.is_none() {
            self.joining.iter().for_each(|one| own(record, one));
        }
    }
}

/// Whether a lead of a record that gave way was given to somebody afterwards: its own owner has not changed since it did. To
/// that one it may have been given at any time.
fn is_since_joined(record: &Customer, one: &Assignment) -> bool {
    record.owner.as_ref().is_none_or(|owner| one.at > owner.since && !is_of(owner, one))
}

fn is_of(owner: &Ownership, one: &Assignment) -> bool {
    owner.rep == one.rep && owner.team == one.team
}

/// Whether it is how somebody became the owner.
fn made(owner: &Ownership, one: &Assignment) -> bool {
    owner.since == one.at && is_of(owner, one)
}

fn mark_apart(one: &mut Customer, other: &mut Customer, decided: Decided) {
    one.apart.insert(other.id.clone(), Some(decided.clone()));
    other.apart.insert(one.id.clone(), Some(decided));
}

/// Records of before have a list of customers, without who said it.
pub(super) fn read_apart<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<CustomerId, Option<Decided>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        With(BTreeMap<CustomerId, Option<Decided>>),
        Without(BTreeSet<CustomerId>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::With(apart) => apart,
        Written::Without(ids) => ids.into_iter().map(|id| (id, None)).collect(),
    })
}

/// The customers that somebody may decide about, each with what raised it: those a record of `root` is
/// suggested to be one with, neither joined since nor told apart. `known` holds them.
pub fn open_suggestions(known: &Known, root: &CustomerId) -> BTreeMap<CustomerId, Raised> {
    let mut open = BTreeMap::new();
    for (other, raised) in records(known, root).into_iter().flat_map(|record| &record.maybe) {
        let live = known.root(other);
        if known.customers.contains_key(&live) && is_open(known, root, other) {
            open.entry(live).or_insert_with(|| raised.clone());
        }
    }
    open
}

/// What a lead or an event suggests is written on both records, so that whoever opens either sees it: `home` is its own,
/// `raised` whom it may be one with. Nothing that is written already, so that the same again costs nothing; and nothing
/// where one of the two has no room, so that whoever is named knows by whom. What was decided stays on the records and takes
/// none: taking an import back, or two apart, may open it again.
pub(crate) fn note_suggestions<'a>(
    known: &'a Known,
    home: &'a CustomerId,
    raised: impl Iterator<Item = &'a CustomerId>,
) -> Vec<(CustomerId, CustomerId)> {
    let root = known.root(home);
    let mut ours: BTreeSet<&CustomerId> = records(known, &root).iter().map(|record| &record.id).collect();
    ours.insert(home);
    let has_room = |id: &CustomerId| {
        let root = known.root(id);
        let named = known.customers.get(id).into_iter().flat_map(|record| record.maybe.keys());
        named.filter(|other| is_open(known, &root, other)).count() < MAX_MAYBE
    };
    let names =
        |record: &&Customer, those: &BTreeSet<&CustomerId>| record.maybe.keys().any(|id| those.contains(id));
    let mut notes = Vec::new();
    for other in raised {
        let theirs = records(known, &known.root(other));
        let ids: BTreeSet<&CustomerId> = theirs.iter().map(|record| &record.id).collect();
        let is_noted = theirs.iter().any(|record| names(record, &ours))
            && ours.iter().filter_map(|id| known.customers.get(*id)).any(|record| names(&record, &ids));
        // An address may name a customer who does not exist yet: there is nothing to write on.
        if !theirs.is_empty() && !is_noted {
            let pairs = [(home.clone(), other.clone()), (other.clone(), home.clone())];
            if pairs.iter().all(|(on, _)| has_room(on)) {
                notes.extend(pairs);
            }
        }
    }
    notes
}

/// Whether nobody has decided, as far as is known, about a live customer and one that a record of it is suggested to be one with:
/// the two were neither joined nor told apart. The other need not be loaded.
fn is_open(known: &Known, root: &CustomerId, other: &CustomerId) -> bool {
    let live = known.root(other);
    let is_told = |record: &&Customer| record.apart.contains_key(other);
    live != *root && !are_apart(known, root, &live) && !records(known, root).iter().any(is_told)
}

fn are_apart(known: &Known, one: &CustomerId, other: &CustomerId) -> bool {
    let theirs = records(known, other);
    records(known, one).iter().any(|record| theirs.iter().any(|other| apart(record, other)))
}

/// Every record of a person, as far as loaded.
fn records<'a>(known: &'a Known, root: &CustomerId) -> Vec<&'a Customer> {
    let root = known.customers.get(root);
    root.map(|root| known.whole(root).parts().collect()).unwrap_or_default()
}
