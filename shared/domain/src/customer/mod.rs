//! A customer: the person behind one or more leads.

mod address;
mod again;
mod decided;
mod likeness;
mod recognise;
mod stitch;
mod survivorship;
#[cfg(test)]
mod tests;
mod traits;

pub use address::{AddressHash, HashKey, HashKeys, Identity, IdentityKind};
pub use again::Recognised;
pub(crate) use decided::note_suggestions;
pub use decided::{Change, Decided, MAX_RECORDS, Refused, join, keep_apart, open_suggestions, take_apart};
pub use likeness::{Likeness, blocking_keys, consider, profile_of};
pub use recognise::{
    Found, Known, KnownAddress, Merge, Recognition, Stood, Suggestion, SuggestionReason, recognise,
};
pub use stitch::{Claim, Named, Place, Pointed, Pointer, Stitch, Tie};
pub use survivorship::{Candidate, Chosen, DEFAULT_RULE, Survivor, Survivorship};
pub use traits::Traits;

use crate::id::{CustomerId, EventId, LeadId};
use crate::identity::Email;
use crate::lead::{Facts, wechat_number};
use crate::pii::Pii;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A value about the person with the time it was said. A late arrival never replaces a newer one (I13), and nothing that
/// anybody may have said replaces what a source says that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The value.
    #[serde(rename = "v")]
    pub value: Pii<String>,
    /// When it was said.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Who said it, as an index into [`Customer::said`].
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub said: Option<u8>,
    /// Said by who is believed: what tells it from the rest of what they say at the same instant, [`EventId::tie`].
    #[serde(rename = "y", default, skip_serializing_if = "Option::is_none")]
    pub tie: Option<String>,
}

/// An event, or a step of a journey, as it says something of a person.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The name of its source.
    pub source: &'a str,
    /// When it happened.
    pub at: Timestamp,
    /// Its [`EventId::tie`], if it is believed.
    pub tie: Option<&'a str>,
}

/// Who said something of a record's: a lead, or the events of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The lead; none where it was an event.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadId>,
    /// The form or source it came through.
    #[serde(rename = "o")]
    pub source: String,
}

/// Who owns the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The rep.
    pub rep: String,
    /// The team it came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A submission of the last minutes, to recognise a repeat by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    /// Form and fields, as [`crate::lead::Envelope::fingerprint`] over both.
    #[serde(rename = "f")]
    pub fingerprint: String,
    /// When it was accepted.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The lead.
    #[serde(rename = "l")]
    pub lead: LeadId,
}

/// A customer record: one half, if customers were merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Id, derived from the first lead; never from personal data.
    #[serde(skip, default = "no_id")]
    pub id: CustomerId,
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// First seen.
    pub created: Timestamp,
    /// The owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Ownership>,
    /// Strong addresses held, by kind.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keys: BTreeSet<(IdentityKind, AddressHash)>,
    /// What is known about the person.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Fact>,
    /// The leads that said it. Facts share them, so that a record stays small.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// Leads counted, repeats included.
    pub leads: u32,
    /// The newest lead: head of the chain that is the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_lead: Option<LeadId>,
    /// Submissions of the last minutes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Recent>,
    /// The customer this one gave way to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<CustomerId>,
    /// Why it gave way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Joined>,
    /// The customers that gave way to this one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub halves: BTreeSet<CustomerId>,
    /// Customers a person has said are somebody else, with who said so where that is known.
    #[serde(default, deserialize_with = "decided::read_apart", skip_serializing_if = "BTreeMap::is_empty")]
    pub apart: BTreeMap<CustomerId, Option<Decided>>,
    /// Customers who may be the same person, with what raised it. It stands on both records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub maybe: BTreeMap<CustomerId, Raised>,
}

/// What says that two customers may be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Raised {
    /// A lead; its receipt says why.
    Lead(LeadId),
    /// An event that names them by what is not enough to join them.
    Event {
        /// The event.
        #[serde(rename = "e")]
        id: EventId,
        /// When it happened.
        #[serde(rename = "t")]
        at: Timestamp,
        /// The identity that speaks for it.
        #[serde(rename = "k")]
        kind: IdentityKind,
        /// What speaks against it.
        #[serde(rename = "r")]
        reason: SuggestionReason,
    },
}

impl Raised {
    /// The lead, if it was one.
    pub const fn lead(&self) -> Option<&LeadId> {
        match self {
            Self::Lead(lead) => Some(lead),
            Self::Event { .. } => None,
        }
    }
}

/// Why two records are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joined {
    /// By what a lead brought; its receipt says what.
    By(LeadId),
    /// By an event that said who somebody is.
    Event(EventId),
    /// A person said so.
    ByHand(Decided),
}

fn no_id() -> CustomerId {
    CustomerId::derived(&[])
}

/// The most halves one customer is merged from by itself; more is a job for a person.
pub const MAX_HALVES: usize = 16;

const MAX_RECENT: usize = 4;

/// Facts that a record has room for: an update is charged on the whole of it.
const MAX_FACTS: usize = 64;

impl Customer {
    /// A customer first seen at `at`.
    pub fn new(id: CustomerId, at: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            created: at,
            owner: None,
            keys: BTreeSet::new(),
            facts: BTreeMap::new(),
            said: Vec::new(),
            leads: 0,
            last_lead: None,
            recent: Vec::new(),
            into: None,
            joined: None,
            halves: BTreeSet::new(),
            apart: BTreeMap::new(),
            maybe: BTreeMap::new(),
        }
    }

    /// Takes in a lead: counts it, heads the chain with it, fills blanks. An unverified post never overwrites.
    pub fn absorb(
        &mut self,
        lead: &LeadId,
        source: &str,
        fingerprint: &str,
        received: Timestamp,
        facts: &Facts,
        window_ms: i64,
    ) {
        self.leads = self.leads.saturating_add(1);
        self.last_lead = Some(lead.clone());
        self.remember(
            Recent { fingerprint: fingerprint.to_owned(), at: received, lead: lead.clone() },
            window_ms,
        );
        let said = u8::try_from(self.said.len()).ok();
        let mut filled = false;
        let mut fill = |name: &str, value: String| {
            self.facts.entry(name.to_owned()).or_insert_with(|| {
                filled = true;
                Fact { value: Pii::new(value), at: received, said, tie: None }
            });
        };
        for (name, value) in &facts.standard {
            if !matches!(
                *name,
                "email" | "phone" | "country" | "language" | "external_id" | "wechat_openid" | "ad_user_id"
            ) && value.reveal().len() <= 120
            {
                fill(name, value.reveal().clone());
            }
        }
        if let Some(email) = &facts.email {
            fill("email", email.as_sent().to_owned());
        }
        if let Some(phone) = &facts.phone {
            fill("phone", phone.e164().to_owned());
        }
        if let Some(country) = facts.country {
            fill("country", country.to_string());
        }
        if let Some(language) = facts.language {
            fill("language", language.to_string());
        }
        if let Some(domain) = &facts.company_domain {
            fill("company_domain", domain.to_string());
        }
        for identity in facts.identities.iter().filter(|identity| identity.kind.has_namespace()) {
            fill(&format!("{}.{}", identity.kind.name(), identity.namespace), identity.value().to_owned());
        }
        if filled {
            self.said.push(Said { lead: Some(lead.clone()), source: source.to_owned() });
        }
    }

    /// Remembers what was said, for [`Self::repeats`]: the latest leads in the order they were received, whatever the order they
    /// are worked on in. One that comes late takes nothing from those after it.
    fn remember(&mut self, said: Recent, window_ms: i64) {
        match self.recent.iter_mut().find(|recent| recent.fingerprint == said.fingerprint) {
            Some(same) if same.at > said.at => {}
            Some(same) => *same = said,
            None => self.recent.push(said),
        }
        self.recent.sort_by_key(|recent| recent.at);
        let newest = self.recent.last().map_or(Timestamp(0), |recent| recent.at);
        self.recent.retain(|recent| newest.since(recent.at) <= window_ms);
        let too_many = self.recent.len().saturating_sub(MAX_RECENT);
        self.recent.drain(..too_many);
    }

    /// Takes down what somebody says. What is known stands, unless who says it is believed, and what is known was said by
    /// anybody, or earlier (I13). Whether anything changed.
    pub fn note(&mut self, name: &str, value: String, by: By<'_>) -> bool {
        let stands = match self.facts.get(name) {
            None => self.facts.len() >= MAX_FACTS,
            Some(fact) => match (&fact.tie, by.tie) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(known), Some(tie)) => (fact.at, known.as_str()) >= (by.at, tie),
            },
        };
        if stands {
            return false;
        }
        let place = self.said.iter().position(|said| said.lead.is_none() && said.source == by.source);
        let place = place.unwrap_or_else(|| {
            self.said.push(Said { lead: None, source: by.source.to_owned() });
            self.said.len() - 1
        });
        let said = u8::try_from(place).ok();
        let fact = Fact { value: Pii::new(value), at: by.at, said, tie: by.tie.map(str::to_owned) };
        self.facts.insert(name.to_owned(), fact);
        true
    }

    /// The facts that events said, each with its source.
    pub(crate) fn said_by_events(&self) -> Vec<(String, Fact, String)> {
        let by_event = |(name, fact): (&String, &Fact)| {
            let said = self.source_of(fact).filter(|said| said.lead.is_none())?;
            Some((name.clone(), fact.clone(), said.source.clone()))
        };
        self.facts.iter().filter_map(by_event).collect()
    }

    /// The identities that this record's own facts spell out.
    pub fn identities(&self) -> Vec<Identity> {
        let one = |name: &str, fact: &Fact| {
            let value = fact.value.reveal().clone();
            let (plain, namespace) = name.split_once('.').unwrap_or((name, ""));
            let kind = IdentityKind::ALL.into_iter().find(|kind| kind.name() == plain)?;
            let value = match kind {
                IdentityKind::Email => Email::of_any_domain(&value).ok()?.match_key(),
                IdentityKind::WechatId => wechat_number(&value)?,
                _ => value,
            };
            Some(Identity::within(kind, namespace, value))
        };
        self.facts.iter().filter_map(|(name, fact)| one(name, fact)).collect()
    }

    /// Who said a fact of this record.
    pub fn source_of(&self, fact: &Fact) -> Option<&Said> {
        self.said.get(usize::from(fact.said?))
    }

    /// The facts that a lead said and nobody before it.
    pub(crate) fn said_by(&self, lead: &LeadId) -> impl Iterator<Item = &str> {
        self.facts.iter().filter(move |(_, fact)| self.is_said_by(fact, lead)).map(|(name, _)| name.as_str())
    }

    /// Lets go of these facts.
    pub(crate) fn unsay(&mut self, lead: &LeadId) {
        let facts = std::mem::take(&mut self.facts);
        let by_others = facts.into_iter().filter(|(_, fact)| !self.is_said_by(fact, lead));
        self.facts = by_others.collect();
    }

    fn is_said_by(&self, fact: &Fact, lead: &LeadId) -> bool {
        self.source_of(fact).is_some_and(|said| said.lead.as_ref() == Some(lead))
    }

    /// The lead of the last minutes that said the same through the same form.
    pub fn repeats(&self, fingerprint: &str, received: Timestamp, window_ms: i64) -> Option<&LeadId> {
        self.recent
            .iter()
            .find(|recent| recent.fingerprint == fingerprint && received.since(recent.at).abs() <= window_ms)
            .map(|recent| &recent.lead)
    }
}

/// The whole person: a live customer and the halves that gave way to it, read together.
#[derive(Clone, Debug)]
pub struct Whole<'a> {
    /// The live record.
    pub root: &'a Customer,
    /// The others, in the order of their ids.
    pub halves: Vec<&'a Customer>,
}

impl<'a> Whole<'a> {
    /// The owner: the live record's, else the first a half has.
    pub fn owner(&self) -> Option<&'a Ownership> {
        self.parts().find_map(|part| part.owner.as_ref())
    }

    /// Leads counted over all parts.
    pub fn leads(&self) -> u32 {
        self.parts().map(|part| part.leads).sum()
    }

    /// Customers a person has said are somebody else, whichever record it was said of. What was said of two that are one by now
    /// counts no more.
    pub fn apart(&self) -> BTreeSet<&'a CustomerId> {
        let own: BTreeSet<&CustomerId> = self.parts().map(|part| &part.id).collect();
        self.parts().flat_map(|part| part.apart.keys()).filter(|id| !own.contains(id)).collect()
    }

    /// Every record of the person, the live one first.
    pub fn parts(&self) -> impl Iterator<Item = &'a Customer> {
        std::iter::once(self.root).chain(self.halves.iter().copied())
    }
}
