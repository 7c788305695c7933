//! The fault model: what can happen to an outgoing call.
//!
//! Every outgoing call of an invocation is numbered from 1. A fault is put at a number: a *first* one counts the calls
//! of the invocation under test, a *second* one counts every call of whatever runs after the first has struck.

use crate::ground::Print;
use crate::wire::Host;
use std::collections::HashSet;

/// How far the clock of a machine is off when it is, in milliseconds.
pub const OFF: i64 = 600_000;
/// How long nothing runs when nothing runs, in milliseconds: a queue keeps a message for four days, and two of them may
/// come one after the other.
pub const OUTAGE: i64 = 36 * 3_600_000;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Everything beside the event goes first, and the event comes a day and a half later. Strikes no call: it is put at 0.
    Late,
    /// The process dies before the request leaves.
    CrashBefore,
    /// The request is carried out; the process dies before the answer arrives.
    CrashAfter,
    /// The process dies before the request leaves, and nothing runs for a day and a half.
    Outage,
    /// The code that makes the request panics.
    Panic,
    /// From here on the clock of this machine is ahead, until the invocation ends.
    Ahead,
    /// From here on the clock of this machine is behind, until the invocation ends.
    Behind,
    /// Carried out, the answer is lost, and the client may repeat it.
    LostReply,
    /// As before, and so are the answers to the client's own repeats.
    LostReplies,
    /// Refused once because there is too much to do.
    Throttle,
    /// As before, and so are the client's own repeats.
    Throttles,
    /// Not carried out, answered with 5xx, and so are the client's own repeats.
    Down,
    /// Carried out, answered with 5xx.
    ErrorAfter,
    /// Another transaction is on the item just now.
    Conflict,
    /// Only part of a batch is done.
    Partial,
    /// An index does not show what was written just now.
    StaleIndex,
}

impl Kind {
    /// Every kind that strikes a call.
    pub const ALL: [Self; 15] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Outage,
        Self::Panic,
        Self::Ahead,
        Self::Behind,
        Self::LostReply,
        Self::LostReplies,
        Self::Throttle,
        Self::Throttles,
        Self::Down,
        Self::ErrorAfter,
        Self::Conflict,
        Self::Partial,
        Self::StaleIndex,
    ];

    /// The word in a plan's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::Outage => "outage",
            Self::Panic => "panic",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::LostReply => "lost-reply",
            Self::LostReplies => "lost-replies",
            Self::Throttle => "throttle",
            Self::Throttles => "throttles",
            Self::Down => "down",
            Self::ErrorAfter => "error-after",
            Self::Conflict => "conflict",
            Self::Partial => "partial",
            Self::StaleIndex => "stale-index",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        std::iter::once(Self::Late).chain(Self::ALL).find(|kind| kind.name() == name)
    }

    /// How many times in a row the same request meets it: the SDK makes three attempts.
    pub const fn times(self) -> u32 {
        match self {
            Self::LostReplies | Self::Throttles | Self::Down => 3,
            _ => 1,
        }
    }

    /// Whether it can happen to such a call.
    pub fn can_strike(self, call: &Made) -> bool {
        let operation = call.operation.as_str();
        match self {
            _ if call.is_met => false,
            Self::Late => false,
            Self::Conflict => matches!(operation, "PutItem" | "UpdateItem" | "TransactWriteItems"),
            Self::Partial => matches!(operation, "BatchGetItem" | "BatchWriteItem" | "SendMessageBatch"),
            Self::StaleIndex => call.reads_index,
            // One refusal of a reader is repeated by the client and never seen; the long form is.
            Self::Throttle => {
                matches!(call.host, Host::Ses | Host::Graph | Host::Hook | Host::Sns) || is_write(operation)
            }
            _ => true,
        }
    }

    /// How far it puts the clock of the machine off, in milliseconds.
    pub const fn off(self) -> i64 {
        match self {
            Self::Ahead => OFF,
            Self::Behind => -OFF,
            _ => 0,
        }
    }
}

fn is_write(operation: &str) -> bool {
    operation.contains("Put")
        || operation.contains("Write")
        || operation.contains("Update")
        || operation.contains("Send")
}

/// A fault at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shot {
    /// What happens.
    pub kind: Kind,
    /// To which call, counted from 1.
    pub at: u32,
}

/// A call that was made: what a fault may strike.
#[derive(Clone, Debug)]
pub struct Made {
    /// To whom.
    pub host: Host,
    /// What for.
    pub operation: String,
    /// Whether it reads an index.
    pub reads_index: bool,
    /// Whether it meets a fault already: the same as the request that it repeats.
    pub is_met: bool,
    /// Which invocation made it, counted from 1.
    pub of: u32,
    /// How everything stood before and after it, if that was asked for.
    pub around: Option<(Print, Print)>,
}

impl Made {
    /// Whether the client makes it again if it fails.
    const fn is_repeated(&self) -> bool {
        matches!(self.host, Host::Table | Host::Queues | Host::Secrets)
    }

    /// The kinds of fault that may strike it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| kind.can_strike(self))
    }
}

/// Shots that stand for every shot at calls that were made and looked around at:
///
/// - What is left of an invocation that dies is how everything stood, so of those that die alike one is enough.
/// - A service that is only read is as it was, and a client repeats what got no answer as it repeats what got 5xx: of a
///   lost reply and an error after the work was done one is enough.
pub fn distinct(made: &[Made], from: u32) -> Vec<Shot> {
    let mut died: HashSet<(u32, bool, Print)> = HashSet::new();
    let mut is_new = |call: &Made, kind| match (kind, call.around) {
        (Kind::CrashBefore, Some((before, _))) => died.insert((call.of, false, before)),
        (Kind::CrashAfter, Some((_, after))) => died.insert((call.of, false, after)),
        (Kind::Outage, Some((before, _))) => died.insert((call.of, true, before)),
        (Kind::ErrorAfter, Some((before, after))) => before != after || !call.is_repeated(),
        _ => true,
    };
    let mut distinct = Vec::new();
    for (call, at) in made.iter().zip(from..) {
        distinct.extend(call.kinds().filter(|kind| is_new(call, *kind)).map(|kind| Shot { kind, at }));
    }
    distinct
}

/// Every shot at calls that were made, the first of which has the number `from`.
pub fn shots(made: &[Made], from: u32) -> impl Iterator<Item = Shot> + '_ {
    made.iter().zip(from..).flat_map(|(call, at)| call.kinds().map(move |kind| Shot { kind, at }))
}
