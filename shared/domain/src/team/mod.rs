//! Fair assignment: who of a team gets the next lead.
//!
//! Weighted stride scheduling. Each member has a *pass*, the virtual time at which its next lead is due; the eligible
//! member with the lowest pass gets the lead, and its pass grows by `SCALE / weight`. What the store keeps is one
//! [`TeamState`] per team, changed by the functions of this module and written with one conditional write, however
//! many leads were granted in between. A lead's grant stays in the state until the lead's own commit is durable
//! ([`settle`]), so a redelivered lead finds its grant and is never granted twice.
//!
//! What holds, for any interleaving of batches, redeliveries, crashes, refunds and absences (`tests.rs`):
//!
//! - Between two members that were eligible for every lead since the team began, `received / weight` differs by at
//!   most one lead of the member that is ahead. If one of them came (back) later, by at most one lead of each.
//! - A lead given back does not count as received. It lets its member lag by one own lead more, until the member has
//!   been granted another; it never lets anyone else run ahead.
//! - Whoever returns is due no earlier than the others: nothing is caught up, and of the next `n` leads among the same
//!   members they get at most their share, plus one, plus their share of the one lead that each other member may be
//!   ahead.
//! - A member is never granted a lead beyond its capacity.

mod stride;
#[cfg(test)]
mod tests;

pub use stride::{choose, close, credit, give_back, grant, peek, settle, take_sticky};

use crate::id::LeadId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// One lead of a member of weight 1, in units of pass: the least common multiple of 1 to 20, so that every weight up
/// to 20 divides it. Above 20 the stride is rounded down, which is worth less than one lead in two million.
pub const SCALE: u64 = 232_792_560;

/// A member as the team's and the rep's documents describe it now. Names are unique within a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The rep's name.
    pub rep: String,
    /// Share relative to the other members, 1 to 100; 0 counts as 1.
    pub weight: u32,
    /// How many open leads this membership may hold; `None` is unlimited.
    pub capacity: Option<u32>,
    /// Whether the rep takes leads at all now.
    pub available: bool,
    /// Not at work now.
    pub off_duty: Option<OffDuty>,
    /// Takes leads although off duty, because nobody is on and the team says so.
    pub anyway: bool,
    /// What the rep may hold over all teams; `None` is unlimited.
    pub load: Option<Load>,
}

impl Member {
    /// Whether the member takes leads at this hour.
    pub const fn is_on_duty(&self) -> bool {
        self.off_duty.is_none() || self.anyway
    }
}

/// Why somebody is not at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// An absence of their own.
    Leave,
    /// A day of their calendar.
    Holiday,
    /// Outside their hours.
    OffHours,
}

/// Not at work, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffDuty {
    /// Why.
    #[serde(rename = "w")]
    pub why: Why,
    /// When they are back, where that is known.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Timestamp>,
}

impl fmt::Display for OffDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::Leave => "on leave",
            Why::Holiday => "on holiday",
            Why::OffHours => "outside working hours",
        })?;
        match self.back {
            Some(back) => write!(f, " until {back}"),
            None => Ok(()),
        }
    }
}

/// What a rep holds outside this team, and may hold in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Open leads through other teams.
    pub elsewhere: u32,
    /// Open leads allowed over all teams.
    pub capacity: u32,
}

/// What is kept of a team between decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamState {
    /// By rep. Somebody who left the team stays only while they hold open leads or grants.
    #[serde(rename = "m", default)]
    pub members: BTreeMap<String, MemberState>,
    /// Leads that were granted and whose own commit is not known to be durable.
    #[serde(rename = "g", default)]
    pub grants: BTreeMap<LeadId, Grant>,
}

impl TeamState {
    /// Whether somebody has open leads of the team.
    pub fn is_held_by(&self, rep: &str) -> bool {
        self.members.get(rep).is_some_and(|place| place.open > 0)
    }
}

impl Grant {
    /// Whether nobody was compared: the customer was the member's already.
    pub fn is_sticky(&self) -> bool {
        self.paid == 0 && self.seen.members.is_empty()
    }
}

/// One member's place in the order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberState {
    /// When the next lead is due, in units of [`SCALE`], counted from the least of the eligible members.
    #[serde(rename = "p", default)]
    pub pass: u64,
    /// Open leads, granted and sticky ones.
    #[serde(rename = "o", default)]
    pub open: u32,
    /// Rank by how long ago the member was last served, 0 the longest; it decides between equal passes.
    #[serde(rename = "t", default)]
    pub turn: u32,
    /// Leads given back that could not lower the pass any further, in units of [`SCALE`]: the next strides are paid
    /// from it. Apart from the pass, so that whoever returns is not put next to somebody who is owed leads.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    pub credit: u64,
    /// Leads that were none, in units of [`SCALE`], while nothing has come in their place: what is owed for them outlasts an
    /// absence.
    #[serde(rename = "w", default, skip_serializing_if = "is_zero")]
    pub owed: u64,
    /// Passed over at the latest decision (or never seen yet): the pass is raised when the member is eligible again.
    #[serde(rename = "a", default, skip_serializing_if = "is_false")]
    pub away: bool,
}

/// An outstanding grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who has the lead.
    #[serde(rename = "r")]
    pub rep: String,
    /// What it cost, in units of [`SCALE`]: the stride of that moment, 0 for a sticky assignment.
    #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
    pub paid: u64,
    /// When it was granted.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// What the decision saw, so that a lead redelivered after a crash is explained by the decision that was made.
    #[serde(rename = "s", default, skip_serializing_if = "Snapshot::is_empty")]
    pub seen: Snapshot,
}

/// Why a member did not come into question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// The rep takes no leads now.
    Away,
    /// Not at work.
    OffDuty(OffDuty),
    /// At capacity.
    Full {
        /// Open leads held.
        open: u32,
        /// Open leads allowed.
        capacity: u32,
    },
    /// At the rep's own capacity.
    Loaded {
        /// Open leads held over all teams.
        open: u32,
        /// Open leads allowed over all teams.
        capacity: u32,
    },
    /// Not for this lead.
    Excluded,
    /// Let this lead's time run out.
    Silent,
    /// Does not speak the language asked for.
    Language,
    /// Lacks a skill asked for.
    Skill,
}

impl PassedOver {
    /// Whether it is about the lead, so that the member keeps its place for the next one.
    pub const fn is_about_the_lead(self) -> bool {
        matches!(self, Self::Excluded | Self::Silent | Self::Language | Self::Skill)
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => f.write_str("away"),
            Self::OffDuty(off_duty) => off_duty.fmt(f),
            Self::Full { open, capacity } => write!(f, "full ({open} of {capacity} open)"),
            Self::Loaded { open, capacity } => write!(f, "full ({open} of {capacity} open over all teams)"),
            Self::Excluded => f.write_str("excluded for this lead"),
            Self::Silent => f.write_str("let this lead's time run out"),
            Self::Language => f.write_str("does not speak the language"),
            Self::Skill => f.write_str("lacks a skill that is asked for"),
        }
    }
}

/// What came of asking for a lead's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// The lead goes to `rep`.
    Granted {
        /// Who has the lead.
        rep: String,
        /// What the decision saw; empty if the lead was taken sticky.
        seen: Snapshot,
    },
    /// Every member was passed over.
    Nobody {
        /// What the decision saw.
        seen: Snapshot,
    },
}

/// What one decision saw, in the order of the team's document: enough to make it again with [`choose`], and to say
/// why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Each member as the decision saw it.
    #[serde(rename = "m", default)]
    pub members: Vec<Seen>,
    /// Whose turn it was, as an index into `members`.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<usize>,
}

impl Snapshot {
    /// Whether no decision was taken.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whose turn it was, decided again.
    pub fn chosen_rep(&self) -> Option<String> {
        Some(self.members.get(choose(self)?)?.rep.clone())
    }

    /// The decision in words, one line for each member in the document's order. "Due in" counts the team's leads per
    /// unit of weight: a member of weight 2 comes up every 0.50.
    pub fn words(&self) -> Vec<String> {
        let chosen = choose(self);
        let line = |(index, seen): (usize, &Seen)| {
            let open = match (seen.open, seen.capacity) {
                (open, Some(capacity)) => format!("{open} of {capacity} open"),
                (open, None) => format!("{open} open"),
            };
            let verdict = match seen.passed_over {
                Some(reason @ (PassedOver::Full { .. } | PassedOver::Loaded { .. })) => {
                    format!("passed over, {reason}")
                }
                Some(reason) => format!("passed over, {reason}; {open}"),
                None => {
                    let hundredths = seen.pass.saturating_mul(100) / SCALE;
                    let due = format!("due in {}.{:02}", hundredths / 100, hundredths % 100);
                    let outcome = if chosen == Some(index) { "whose turn it is" } else { "later" };
                    let off_duty = match seen.off_duty {
                        Some(off_duty) => format!("; {off_duty}, but nobody on duty can take it"),
                        None => String::new(),
                    };
                    format!("{outcome}: {due}, weight {}, {open}{off_duty}", seen.weight)
                }
            };
            format!("{}: {verdict}", seen.rep)
        };
        self.members.iter().enumerate().map(line).collect()
    }

    /// Whether nobody is on duty who brings what is asked, and somebody who does will be.
    pub fn is_off_duty(&self) -> bool {
        let has_no_room = |seen: &Seen| {
            matches!(seen.passed_over, Some(PassedOver::Full { .. } | PassedOver::Loaded { .. }))
        };
        self.chosen_rep().is_none() && self.first_back().is_some() && !self.members.iter().any(has_no_room)
    }

    /// The first time at which somebody who was passed over for not being at work is back.
    pub fn first_back(&self) -> Option<Timestamp> {
        let back = |seen: &Seen| match seen.passed_over {
            Some(PassedOver::OffDuty(off_duty)) => off_duty.back,
            _ => None,
        };
        self.members.iter().filter_map(back).min()
    }
}

/// One member as a decision saw it. JSON: `[rep, pass, open, turn, weight, verdict, capacity, a, b]`, ending early
/// where the verdict is 0 (eligible) and there is no capacity. The last two are the reason and the end of being off
/// duty (also of somebody who is eligible all the same), or open leads and capacity over all teams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Value>", try_from = "Vec<Value>")]
pub struct Seen {
    /// Who it is.
    pub rep: String,
    /// The pass compared, after raising it for somebody who returned.
    pub pass: u64,
    /// Open leads before the decision.
    pub open: u32,
    /// Rank by how long ago the member was served.
    pub turn: u32,
    /// The weight.
    pub weight: u32,
    /// The capacity.
    pub capacity: Option<u32>,
    /// Why the member did not come into question; `None` is eligible.
    pub passed_over: Option<PassedOver>,
    /// Eligible although not at work, since nobody is.
    pub off_duty: Option<OffDuty>,
}

impl From<Seen> for Vec<Value> {
    fn from(seen: Seen) -> Self {
        let off_duty = |off: OffDuty| {
            let why = match off.why {
                Why::Leave => 0,
                Why::Holiday => 1,
                Why::OffHours => 2,
            };
            vec![Value::from(why), off.back.map_or(Value::Null, |back| back.millis().into())]
        };
        let (verdict, more) = match seen.passed_over {
            None => (0, seen.off_duty.map(off_duty).unwrap_or_default()),
            Some(PassedOver::Away) => (1, Vec::new()),
            Some(PassedOver::OffDuty(off)) => (2, off_duty(off)),
            Some(PassedOver::Full { .. }) => (3, Vec::new()),
            Some(PassedOver::Excluded) => (4, Vec::new()),
            Some(PassedOver::Loaded { open, capacity }) => (5, vec![open.into(), capacity.into()]),
            Some(PassedOver::Language) => (6, Vec::new()),
            Some(PassedOver::Skill) => (7, Vec::new()),
            Some(PassedOver::Silent) => (20, Vec::new()),
        };
        let numbers = [seen.open, seen.turn, seen.weight];
        let mut row = vec![Value::from(seen.rep), Value::from(seen.pass)];
        row.extend(numbers.map(Value::from));
        if verdict != 0 || seen.capacity.is_some() || !more.is_empty() {
            row.push(Value::from(verdict));
        }
        if seen.capacity.is_some() || !more.is_empty() {
            row.push(seen.capacity.map_or(Value::Null, Value::from));
        }
        row.extend(more);
        row
    }
}

impl TryFrom<Vec<Value>> for Seen {
    type Error = &'static str;

    fn try_from(row: Vec<Value>) -> Result<Self, Self::Error> {
        let small =
            |at: usize| row.get(at).and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
        let rep = row.first().and_then(Value::as_str).ok_or("a member seen begins with the rep's name")?;
        let pass = row.get(1).and_then(Value::as_u64);
        let (Some(pass), Some(open), Some(turn), Some(weight)) = (pass, small(2), small(3), small(4)) else {
            return Err("a member seen has a pass, open leads, a turn and a weight");
        };
        let (verdict, capacity) = (if row.len() > 5 { small(5) } else { Some(0) }, small(6));
        let off_duty = || {
            let why = match small(7)? {
                0 => Why::Leave,
                1 => Why::Holiday,
                2 => Why::OffHours,
                _ => return None,
            };
            Some(OffDuty { why, back: row.get(8).and_then(Value::as_i64).map(Timestamp) })
        };
        let passed_over = match (verdict, capacity) {
            (Some(0), _) => None,
            (Some(1), _) => Some(PassedOver::Away),
            (Some(2), _) => Some(PassedOver::OffDuty(off_duty().ok_or("why is somebody off duty?")?)),
            (Some(3), Some(capacity)) => Some(PassedOver::Full { open, capacity }),
            (Some(4), _) => Some(PassedOver::Excluded),
            (Some(20), _) => Some(PassedOver::Silent),
            (Some(5), _) => match (small(7), small(8)) {
                (Some(open), Some(capacity)) => Some(PassedOver::Loaded { open, capacity }),
                _ => return Err("how full is somebody?"),
            },
            (Some(6), _) => Some(PassedOver::Language),
            (Some(7), _) => Some(PassedOver::Skill),
            _ => return Err("an unknown verdict"),
        };
        let off_duty = off_duty().filter(|_| passed_over.is_none());
        Ok(Self { rep: rep.to_owned(), pass, open, turn, weight, capacity, passed_over, off_duty })
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !value
}
