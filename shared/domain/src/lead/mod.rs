//! A lead: one submission, from the moment it is accepted to the end it reaches.

mod consent;
mod facts;
mod ids;
mod mark;
pub mod names;
#[cfg(test)]
mod tests;
mod twice;

pub use consent::{Consented, consented, depends_on_erasure, question, question_of_staff, unconsented};
pub use facts::{ATTRIBUTION, Facts, Flag, attribution, is_nearly, read, settled, standard_field};
pub use ids::{names_somebody, namespace_of, wechat_number};
pub use mark::MarkKind;
pub(crate) use names::plain;
pub use twice::{TWICE_MS, pressed};

use crate::clock::{Clock, FirstContact, Past};
use crate::id::{CustomerId, LeadId};
use crate::import::Imported;
use crate::policy::PolicySet;
use crate::routing::{Outcome, Receipt};
use crate::team::Snapshot;
use crate::time::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Where a lead stands in the ledger. `Waiting` and `Escalated` are in flight, all others are ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadState {
    /// Accepted; recognition, enrichment or routing is still to come.
    Waiting,
    /// Nobody could take it: a person has to look, or somebody has to become available.
    Escalated,
    /// It is for whoever of a team claims it.
    Queued,
    /// It has an owner.
    Assigned,
    /// The same form with the same fields within minutes: counted, nobody told again.
    Repeat,
    /// The person may not be approached.
    Suppressed,
    /// Not from a person.
    Spam,
    /// A trial submission of the sender.
    Test,
    /// Nothing in it that one could work with.
    Invalid,
    /// Brought in from a file and not routed: the customer is known, nobody owns it through this lead.
    Imported,
    /// Its person was erased. What is left says that it was accepted, and keeps it from being accepted again.
    Erased,
}

impl LeadState {
    /// Every state, in the order a report lists them.
    pub const ALL: [LeadState; 11] = [
        Self::Waiting,
        Self::Escalated,
        Self::Queued,
        Self::Assigned,
        Self::Repeat,
        Self::Suppressed,
        Self::Spam,
        Self::Test,
        Self::Invalid,
        Self::Imported,
        Self::Erased,
    ];

    /// The word used on the wire, in the ledger and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Escalated => "escalated",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Repeat => "repeat",
            Self::Suppressed => "suppressed",
            Self::Spam => "spam",
            Self::Test => "test",
            Self::Invalid => "invalid",
            Self::Imported => "imported",
            Self::Erased => "erased",
        }
    }

    /// The state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the lead has reached an end.
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Waiting | Self::Escalated | Self::Queued)
    }

    /// The states that are no end.
    pub const IN_FLIGHT: [LeadState; 3] = [Self::Waiting, Self::Escalated, Self::Queued];
}

/// What brought the lead here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// `form`, or the type of the source: `meta`.
    pub kind: String,
    /// The name of the form or source document.
    pub name: String,
}

/// A file that came with a form; only its description is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNote {
    /// Form field.
    pub field: String,
    /// Name the sender gave it.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

/// Proof of what the person was shown and did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentProof {
    /// What it allows: `marketing`.
    pub topic: String,
    /// Whether the box was ticked.
    pub given: bool,
    /// Version of the wording. The wording itself is in the form's document, which is kept as of the lead's manifest.
    pub version: String,
}

/// What arrived, as it arrived: written once, never changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Submitted names and values, order and repeats kept, unnormalised.
    pub fields: Vec<(String, String)>,
    /// Files, described.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileNote>,
    /// UTM parameters, click ids, campaign ids, referrer, user agent, IP.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attribution: BTreeMap<String, String>,
    /// What could not be read, in the parser's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    /// The raw body in base64, kept when part of it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// What the person agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<ConsentProof>,
}

impl Envelope {
    /// A fingerprint of what was submitted: the same parsed fields give the same 128 bits (hex), whatever the
    /// encoding, headers or time, and in whatever order they came; only values of one name keep theirs.
    pub fn fingerprint(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut parts: Vec<[&[u8]; 3]> = Vec::new();
        parts.extend(
            self.fields.iter().map(|(name, value)| [name.as_bytes(), value.as_bytes(), b"".as_slice()]),
        );
        let sizes: Vec<[u8; 8]> = self.files.iter().map(|file| file.size.to_be_bytes()).collect();
        let files = self.files.iter().zip(&sizes);
        parts
            .extend(files.map(|(file, size)| [file.field.as_bytes(), file.name.as_bytes(), size.as_slice()]));
        parts.sort_by_key(|[name, ..]| *name);
        // What could not be read is known by its bytes.
        parts.extend(self.raw.iter().map(|raw| [b"".as_slice(), b"".as_slice(), raw.as_bytes()]));
        for part in parts.iter().flatten() {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Who has the lead now and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The rep.
    pub rep: String,
    /// The team whose share it is, if it came through one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
    /// 1 for the first, counted up by each reassignment.
    pub n: u32,
    /// Whether it was a share of the team's leads, which is given back if the lead turns out to be none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub share: bool,
}

/// What the rep has done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Not touched.
    Open,
    /// The rep has taken it on.
    Accepted,
    /// Worked to its end.
    Closed,
    /// Not a lead after all.
    Disqualified,
}

impl Work {
    /// Whether it still counts against the rep's capacity.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Accepted)
    }

    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Closed => "closed",
            Self::Disqualified => "disqualified",
        }
    }
}

/// One thing a person did to the lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// `accept`, `close`, `disqualify`, `reassign`, `claim`, `credit`, `rebalance`.
    pub what: String,
    /// Who: the rep of the token, or its role.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Hashes of its `Idempotency-Key` and of what was asked: a repeat is known by the one, another act by the other.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<(String, String)>,
    /// The team that was asked for its next, and what that decision saw.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<(String, Snapshot)>,
}

impl Act {
    /// Whether a person gave the lead to somebody by it.
    pub fn gives(&self) -> bool {
        matches!(self.what.as_str(), "reassign" | "claim" | "rebalance")
    }

    /// Whom its decision passed over and why, one sentence a line; nothing where a rep was named.
    pub fn words(&self) -> Vec<String> {
        let Some((team, seen)) = &self.asked else { return Vec::new() };
        std::iter::once(format!("The next of team {team}:")).chain(seen.words()).collect()
    }
}

/// How long a lead waited because nobody could take it, or for somebody to claim it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// Since when.
    #[serde(rename = "f")]
    pub from: Timestamp,
    /// Until when.
    #[serde(rename = "u")]
    pub until: Timestamp,
    /// Whether its rule's team was off duty and said that its leads wait; else nobody could take it, and somebody was told.
    #[serde(rename = "h", default, skip_serializing_if = "std::ops::Not::not")]
    pub for_hours: bool,
    /// The team in whose queue it waited, until there was no such team any more.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

impl Waited {
    /// Whether nobody could take it, and somebody was told of that.
    const fn is_escalated(&self) -> bool {
        !self.for_hours && self.queue.is_none()
    }

    /// Waits of one kind that follow each other are one.
    fn is_like(&self, other: &Self) -> bool {
        (self.for_hours, &self.queue) == (other.for_hours, &other.queue)
    }
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(team) = &self.queue {
            return write!(
                f,
                "Waited from {} to {} in the queue of team {team}, until there was no such team any more: decided anew.",
                self.from, self.until
            );
        }
        let why = match self.for_hours {
            true => "nobody of the team was on duty, and its leads wait",
            false => "nobody could take it",
        };
        write!(f, "Waited from {} to {}, because {why}.", self.from, self.until)
    }
}

/// Waits that are remembered of a lead.
const MAX_WAITED: usize = 6;
/// Keys of calls that changed nothing that are remembered of a lead: there is no other end to them, and the lead is written with them.
const MAX_KEYS: usize = 64;

/// The changing half of the ledger's line, small because an update is charged on the whole item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands.
    pub state: LeadState,
    /// Whom it belongs to, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerId>,
    /// The same customer's lead before this one: the chain is the customer's timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<LeadId>,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Assignment>,
    /// What the rep did with it.
    pub work: Work,
    /// What was decided and what the decision saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// How long it waited before what the receipt says, oldest first.
    #[serde(rename = "waited", default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Waited>,
    /// What people did, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Act>,
    /// The file it came in with, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Imported>,
    /// The response clock of the assignment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// Who had it before, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Past>,
    /// The first contact with the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<FirstContact>,
    /// Keys of calls that changed nothing here, each with what it asked for, as hashes; oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<(String, String)>,
}

impl Progress {
    /// What was asked for under this key, by an act or by a call that changed nothing. Both are hashes.
    pub fn asked_under(&self, key: &str) -> Option<&str> {
        let acts = self.acts.iter().filter_map(|act| act.key.as_ref());
        acts.chain(&self.keys).find(|(of, _)| of == key).map(|(_, asked)| asked.as_str())
    }

    /// Remembers the key of a call that changes nothing, with what it asked for: once the lead is another one, a repeat of it
    /// might change something. The newest are remembered.
    pub fn keep_key(&mut self, key: (String, String)) {
        self.keys.push(key);
        if self.keys.len() > MAX_KEYS {
            self.keys.remove(0);
        }
    }

    /// Whether somebody has the lead and has not finished with it.
    pub fn is_worked_on(&self) -> bool {
        self.state == LeadState::Assigned && self.work.is_open()
    }

    /// Whether it was ever a lead that nobody could take, of which somebody was told; not one that only waited for hours.
    pub fn was_escalated(&self) -> bool {
        let told = |receipt: &Receipt| receipt.outcome == Outcome::Escalated && !receipt.waits_for_hours();
        self.receipt.as_ref().is_some_and(told) || self.waits.iter().any(Waited::is_escalated)
    }

    /// The team in whose queue it waits.
    pub fn queue(&self) -> Option<&str> {
        match &self.receipt.as_ref().filter(|_| self.state == LeadState::Queued)?.outcome {
            Outcome::Queued { team } => Some(team),
            _ => None,
        }
    }

    /// Whether it waits in the queue of a team that there no longer is, so that nobody may claim it: it is to be decided anew. Documents
    /// older than those that it was decided by may lack a team that is new.
    pub fn is_stranded(&self, policies: &PolicySet) -> bool {
        let is_newer = self.receipt.as_ref().is_some_and(|receipt| policies.version > receipt.manifest);
        is_newer && self.queue().is_some_and(|team| !policies.teams.contains_key(team))
    }

    /// Takes down how long it waited, now that `next` takes the place of its receipt.
    pub(crate) fn waited(&mut self, next: &Receipt) {
        let Some(before) = &self.receipt else { return };
        let queue = match &before.outcome {
            Outcome::Escalated => None,
            Outcome::Queued { team } => Some(team.clone()),
            _ => return,
        };
        let one = Waited { from: before.at, until: next.at, for_hours: before.waits_for_hours(), queue };
        match self.waits.last_mut() {
            Some(last) if last.until == one.from && last.is_like(&one) => last.until = one.until,
            _ => self.waits.push(one),
        }
        // The first of each kind stays: it says that there was one.
        if self.waits.len() > MAX_WAITED {
            let mut kinds = BTreeSet::new();
            let is_further = |one: &Waited| !kinds.insert((one.for_hours, one.queue.is_some()));
            if let Some(at) = self.waits.iter().position(is_further) {
                self.waits.remove(at);
            }
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            state: LeadState::Waiting,
            customer: None,
            previous: None,
            assignment: None,
            work: Work::Open,
            receipt: None,
            waits: Vec::new(),
            acts: Vec::new(),
            import: None,
            clock: None,
            past: Vec::new(),
            contact: None,
            keys: Vec::new(),
        }
    }
}

/// The ledger's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// Form or source.
    pub origin: Origin,
    /// The source's own id, where it has one.
    pub external_id: Option<String>,
    /// When it was accepted.
    pub received: Timestamp,
    /// What arrived. For a lead still to be enriched, what the notification said.
    pub envelope: Envelope,
    /// Whether the sender left the fields out and they must be fetched first.
    pub needs_enrichment: bool,
    /// The manifest version whose form or source document read it.
    pub manifest: u64,
    /// What has happened to it.
    pub progress: Progress,
    /// Counted up by each write.
    pub version: u64,
}
