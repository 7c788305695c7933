//! Who else could this be? Customers that no identity leads to and that are described alike.

use super::recognise::{objection, stays};
use super::{Fact, Known, Merge, Recognition, Suggestion, SuggestionReason};
use crate::id::CustomerId;
use crate::lead::Facts;
use crate::matching::{BlockingKey, Evidence, Model, Profile, Score, Verdict};
use crate::policy::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a comparison came to, as a receipt keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    /// Same, or for a person to look at.
    #[serde(rename = "v")]
    pub verdict: Verdict,
    /// The probability that both are one person, in thousandths.
    #[serde(rename = "p")]
    pub thousandths: u16,
    /// What speaks for and against it, strongest first.
    #[serde(rename = "e")]
    pub evidence: Vec<Evidence>,
}

/// Fields of one comparison kept.
const KEPT: usize = 6;
/// Customers suggested for one lead.
const MOST: usize = 5;

impl Likeness {
    fn of(score: &Score) -> Self {
        let evidence = score.evidence.iter().filter(|one| one.bits.abs() >= 0.5).take(KEPT).cloned();
        Self {
            verdict: score.verdict(),
            thousandths: (score.probability() * 1_000.0).round() as u16,
            evidence: evidence.collect(),
        }
    }

    /// In words: `98 %: same last name, same postal code, similar first name`.
    pub fn words(&self) -> String {
        let fields: Vec<String> = self.evidence.iter().map(Evidence::words).collect();
        format!("{} %: {}", self.thousandths / 10, fields.join(", "))
    }
}

/// A lead as described by itself.
pub fn profile_of(facts: &Facts) -> Profile {
    Profile::read(|name| said(facts, name))
}

/// Under which keys those are found that a lead may be one with.
pub fn blocking_keys(facts: &Facts) -> Vec<BlockingKey> {
    BlockingKey::of(&profile_of(facts))
}

fn said<'a>(facts: &'a Facts, name: &str) -> Option<&'a str> {
    match name {
        "email" => facts.email.as_ref().map(|email| email.as_sent()),
        "phone" => facts.phone.as_ref().map(|phone| phone.e164()),
        _ => facts.standard.get(name).map(|value| value.reveal().as_str()),
    }
}

/// Compares the lead's customer with `candidates`. Who is probably the same is suggested, with what speaks for it; who
/// certainly is, is joined where the settings say so and nothing that holds for joining by identities speaks against
/// it. Whoever a person has told apart is not brought up again.
///
/// A lead that nothing else identifies still gets a record of its own, which gives way: what it said stays there, and
/// taking the two apart again is exact.
pub fn consider(
    who: &mut Recognition,
    facts: &Facts,
    known: &Known,
    candidates: &BTreeSet<CustomerId>,
    settings: &Settings,
) {
    let joined: Vec<CustomerId> =
        std::iter::once(&who.customer).chain(who.merges.iter().map(|merge| &merge.from)).cloned().collect();
    let suggested = |id: &CustomerId| who.suggestions.iter().any(|suggestion| suggestion.customer == *id);
    let roots: BTreeSet<CustomerId> = candidates
        .iter()
        .map(|id| known.root(id))
        .filter(|id| known.customers.contains_key(id) && !joined.contains(id) && !suggested(id))
        .collect();
    if roots.is_empty() {
        return;
    }
    let described = |id: &CustomerId| -> BTreeMap<&str, &Fact> {
        let record = known.customers.get(id);
        record.map(|record| known.whole(record).facts(&settings.survivorship)).unwrap_or_default()
    };
    let own = described(&who.customer);
    let ours =
        Profile::read(|name| said(facts, name).or_else(|| Some(own.get(name)?.value.reveal().as_str())));
    let model = Model::standard();
    let mut alike: Vec<(Score, CustomerId)> = roots
        .into_iter()
        .map(|id| {
            let theirs = described(&id);
            let theirs = Profile::read(|name| Some(theirs.get(name)?.value.reveal().as_str()));
            (model.score(&ours, &theirs), id)
        })
        .filter(|(score, _)| score.verdict() != Verdict::Different)
        .collect();
    alike.sort_by(|(a, one), (b, other)| b.bits.total_cmp(&a.bits).then(one.cmp(other)));

    let mut one = joined;
    for (score, id) in alike.into_iter().take(MOST) {
        let likeness = Likeness::of(&score);
        let against = objection(known, &one, &who.keys, &id);
        let reason = match (likeness.verdict, against) {
            (_, Some(SuggestionReason::KeptApart)) => continue,
            (_, Some(reason)) => reason,
            (Verdict::Same, None) if settings.matching.join => {
                who.keys.extend(known.held(&id));
                who.merges.push(Merge { from: id.clone(), into: id.clone(), likeness: Some(likeness) });
                one.push(id);
                continue;
            }
            (Verdict::Same, None) => SuggestionReason::JoinOff,
            (_, None) => SuggestionReason::Alike,
        };
        who.suggestions.push(Suggestion { customer: id, kind: None, reason, likeness: Some(likeness) });
    }
    retarget(who, known, &one);
}

/// Lets all of `one` give way to the one who stays.
fn retarget(who: &mut Recognition, known: &Known, one: &[CustomerId]) {
    let Some(customer) = stays(known, one) else { return };
    if customer != who.customer {
        // The one who stays was to give way: its place in the list is that of the one before.
        let before = std::mem::replace(&mut who.customer, customer.clone());
        for merge in who.merges.iter_mut().filter(|merge| merge.from == customer) {
            merge.from = before.clone();
        }
    }
    for merge in &mut who.merges {
        merge.into = customer.clone();
    }
}
