//! Whether two customers are one, decided by a person: joined by hand, or kept apart. And what is open for a decision.

use super::recognise::{apart, stays};
use super::{Customer, Joined, Known, Raised};
use crate::id::CustomerId;
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most records that one customer is made of, by hand too: what is loaded of a person is bounded.
pub const MAX_RECORDS: usize = 32;

/// Customers that a record is suggested to be one with at most; more is a switchboard.
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

/// Takes a record out of the one it gave way to: both as they were, each marked to be kept apart from the other.
pub fn take_apart(half: &Customer, into: &Customer, decided: Decided) -> (Customer, Customer) {
    let (mut half, mut into) = (half.clone(), into.clone());
    half.into = None;
    half.joined = None;
    into.halves.remove(&half.id);
    mark_apart(&mut half, &mut into, decided);
    (half, into)
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
        let other = known.root(other);
        if other != *root && known.customers.contains_key(&other) && !are_apart(known, root, &other) {
            open.entry(other).or_insert_with(|| raised.clone());
        }
    }
    open
}

/// What a lead or an event suggests is written on both records, so that whoever opens either sees it: `home` is its own,
/// `raised` whom it may be one with. Nothing that is written already, so that the same again costs nothing; and nothing
/// where one of the two has no room, so that whoever is named knows by whom.
pub(crate) fn note_suggestions<'a>(
    known: &'a Known,
    home: &'a CustomerId,
    raised: impl Iterator<Item = &'a CustomerId>,
) -> Vec<(CustomerId, CustomerId)> {
    let root = known.root(home);
    let mut ours: BTreeSet<&CustomerId> = records(known, &root).iter().map(|record| &record.id).collect();
    ours.insert(home);
    let has_room = |id: &CustomerId| known.customers.get(id).is_none_or(|one| one.maybe.len() < MAX_MAYBE);
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

fn are_apart(known: &Known, one: &CustomerId, other: &CustomerId) -> bool {
    let theirs = records(known, other);
    records(known, one).iter().any(|record| theirs.iter().any(|other| apart(record, other)))
}

/// Every record of a person, as far as loaded.
fn records<'a>(known: &'a Known, root: &CustomerId) -> Vec<&'a Customer> {
    let root = known.customers.get(root);
    root.map(|root| known.whole(root).parts().collect()).unwrap_or_default()
}
