//! Recognition made again from what a receipt says of it: what each identity led to, what spoke against joining, and how those
//! stood of whom one was to stay. It has to come to the same person, joins and suggestions.

use super::{Found, Identity, IdentityKind, Likeness, Merge, Suggestion, SuggestionReason};
use crate::id::{CustomerId, LeadId};
use crate::matching::Verdict;
use std::collections::BTreeSet;

/// Ids of its own that a lead may have come to, if records of those before have become somebody else's.
const OWN_IDS: usize = 16;

/// What a receipt says of who a lead is from.
#[derive(Clone, Copy, Debug)]
pub struct Recognised<'a> {
    /// What the identities led to.
    pub found: &'a [Found],
    /// Customers joined.
    pub merges: &'a [Merge],
    /// Customers not joined.
    pub suggestions: &'a [Suggestion],
    /// Whether the customer was first seen with the lead.
    pub new_customer: bool,
    /// The record that the lead was taken in by.
    pub home: &'a CustomerId,
}

/// A suggestion without what a comparison came to.
type Against = (CustomerId, IdentityKind, SuggestionReason);

impl Recognised<'_> {
    /// Whether recognising a lead with these identities comes to this; `join` is whether likeness alone joins.
    pub fn is_of(&self, lead: &LeadId, identities: &[Identity], join: bool) -> bool {
        let mut kinds = identities.iter().map(|identity| identity.kind);
        let (joined, against) = self.joined();
        let said: Vec<Against> = self
            .suggestions
            .iter()
            .filter_map(|one| Some((one.customer.clone(), one.kind?, one.reason)))
            .collect();
        self.found.iter().all(|one| kinds.any(|kind| kind == one.kind))
            && against == said
            && self.suggestions.iter().all(|one| is_sound(one, join))
            && self.comes_home(lead, &joined)
            && self.joins(&joined)
            && self.who_stays_is_right(&joined)
            && self.likenesses().all(|likeness| join && likeness.verdict == Verdict::Same)
            && (!joined.is_empty() || self.new_customer == self.merges.is_empty())
    }

    /// Whether joins of several decisions on one lead can be of one person: nobody gives way twice, or to who gave way before,
    /// and who stays is one.
    pub fn is_one_person(&self) -> bool {
        let mut gone: BTreeSet<&CustomerId> = BTreeSet::new();
        let in_turn = self
            .merges
            .iter()
            .all(|merge| merge.from != merge.into && !gone.contains(&merge.into) && gone.insert(&merge.from));
        let stays: BTreeSet<&CustomerId> =
            self.merges.iter().map(|merge| &merge.into).filter(|id| !gone.contains(id)).collect();
        in_turn && stays.len() <= 1
    }

    fn likenesses(&self) -> impl Iterator<Item = &Likeness> {
        self.merges.iter().filter_map(|merge| merge.likeness.as_ref())
    }

    /// The customers whom identities make one, and those whom something speaks against, in the order of the evidence. Whom
    /// something was said against is not joined.
    fn joined(&self) -> (Vec<CustomerId>, Vec<Against>) {
        let mut against: Vec<Against> = Vec::new();
        let mut roots: Vec<(IdentityKind, &CustomerId)> = Vec::new();
        for one in self.found {
            match one.passed_over {
                Some(reason) => against.push((one.customer.clone(), one.kind, reason)),
                None if !roots.iter().any(|(_, known)| **known == one.customer) => {
                    roots.push((one.kind, &one.customer));
                }
                None => {}
            }
        }
        let mut joined: Vec<CustomerId> = Vec::new();
        for (kind, root) in roots {
            let mut said =
                self.suggestions.iter().rev().filter(|one| one.kind == Some(kind) && one.customer == *root);
            match said.next().map(|one| one.reason) {
                _ if joined.is_empty() => joined.push(root.clone()),
                _ if !kind.is_strong() => against.push((root.clone(), kind, SuggestionReason::Weak)),
                Some(reason) => against.push((root.clone(), kind, reason)),
                None => joined.push(root.clone()),
            }
        }
        against.retain(|(customer, ..)| !joined.contains(customer));
        (joined, against)
    }

    /// Whether the lead was taken in by the record that its best evidence led to, or by one of its own.
    fn comes_home(&self, lead: &LeadId, joined: &[CustomerId]) -> bool {
        if !joined.is_empty() {
            let best = self.found.iter().find(|one| one.passed_over.is_none());
            return best.is_some_and(|best| best.record() == self.home);
        }
        let first = CustomerId::derived(&[lead.as_str()]);
        let own = std::iter::successors(Some(first), |id| Some(CustomerId::derived(&[id.as_str()])));
        own.take(OWN_IDS).any(|id| id == *self.home)
    }

    /// Whether these give way to one of them, and with them only whom likeness joined.
    fn joins(&self, joined: &[CustomerId]) -> bool {
        let own = [self.home.clone()];
        let known = if joined.is_empty() { &own[..] } else { joined };
        let Some(first) = self.merges.first() else { return joined.len() <= 1 };
        let from: BTreeSet<&CustomerId> = self.merges.iter().map(|merge| &merge.from).collect();
        let all: BTreeSet<&CustomerId> = from.iter().copied().chain([&first.into]).collect();
        let by_identity = self.merges.iter().filter(|merge| merge.likeness.is_none());
        // A record of the lead's own gives way to whoever is there.
        let own_gives_way = !joined.is_empty() || first.into != *self.home;
        self.merges.iter().all(|merge| merge.into == first.into)
            && from.len() == self.merges.len()
            && all.len() == from.len() + 1
            && known.iter().all(|id| all.contains(id))
            && by_identity.clone().all(|merge| known.contains(&merge.from))
            && by_identity.count() + 1 == known.len()
            && own_gives_way
    }

    /// Whether none of those who gave way had an owner, or was older, where the one who stays had not and was not.
    fn who_stays_is_right(&self, joined: &[CustomerId]) -> bool {
        let rank = |id: &CustomerId| {
            let stood = self.found.iter().filter(|one| one.customer == *id).find_map(|one| one.stood);
            stood.map(|stood| stood.rank(id))
        };
        let Some(stays) = self.merges.first().map(|merge| &merge.into).filter(|id| joined.contains(id))
        else {
            return true;
        };
        if joined.len() == 1 {
            return true;
        }
        let (Some(of_stays), ranks) = (rank(stays), joined.iter().map(rank)) else { return false };
        let is_new = of_stays.1 == i64::MAX;
        ranks.into_iter().all(|one| one.is_some_and(|one| of_stays <= one)) && self.new_customer == is_new
    }
}

/// Whether a suggestion says what it rests on, and is none that would have joined.
fn is_sound(one: &Suggestion, join: bool) -> bool {
    match (&one.likeness, one.reason) {
        (None, _) => one.kind.is_some(),
        (Some(_), _) if one.kind.is_some() => false,
        (Some(likeness), SuggestionReason::JoinOff) => !join && likeness.verdict == Verdict::Same,
        (Some(likeness), SuggestionReason::Alike) => likeness.verdict == Verdict::Review,
        (Some(likeness), SuggestionReason::HoldsAnother | SuggestionReason::TooManyHalves) => {
            likeness.verdict != Verdict::Different
        }
        (Some(_), _) => false,
    }
}
