//! The fault model: what can happen to an outgoing call.
//!
//! Every outgoing call of an invocation is numbered from 1. A fault is put at a number: a *first* one counts the calls
//! of the invocation under test, a *second* one counts every call of whatever runs after the first has struck.

use crate::ground::Print;
use crate::wire::Host;
use std::collections::HashMap;

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
    /// The same for every request that asks the same.
    pub request: u64,
    /// The same for requests that differ only in the shard they are about.
    pub shape: u64,
    /// What was seen around it, if that was asked for.
    pub around: Option<Around>,
}

/// What is seen around a call that nothing strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// How everything stood before it.
    pub before: Print,
    /// How everything stood after it.
    pub after: Print,
    /// A hash of its answer.
    pub answer: u64,
}

impl Made {
    /// Whether the client makes it again if it fails.
    const fn is_repeated(&self) -> bool {
        matches!(self.host, Host::Table | Host::Queues | Host::Secrets)
    }

    /// Whether it asked what the call before it asked, of another shard, and heard the same, while nothing changed.
    fn is_like(&self, before: &Self) -> bool {
        let (Some(then), Some(now)) = (before.around, self.around) else { return false };
        let asks_alike = (self.of, self.shape, self.is_met) == (before.of, before.shape, before.is_met);
        asks_alike && then == now && now.before == now.after
    }

    /// The kinds of fault that may strike it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| kind.can_strike(self))
    }
}

/// Every shot at calls that were made and looked around at, each with the one that stands for it; itself where none does:
///
/// - What is left of an invocation that dies is how everything stood, so of those that die alike one is enough.
/// - A service that is only read is as it was, and a client repeats what got no answer as it repeats what got 5xx: of a
///   lost reply and an error after the work was done one is enough.
/// - Whoever asks several shards one after the other, and hears the same of each, goes on alike whichever of these answers
///   does not come: of such a row of calls one is enough. The timers ask sixteen shards for what is due.
pub fn stood_for(made: &[Made], from: u32) -> Vec<(Shot, Shot)> {
    let mut died: HashMap<(bool, u32, Print), Shot> = HashMap::new();
    let mut all = Vec::new();
    let mut first = from;
    for (n, (call, at)) in made.iter().zip(from..).enumerate() {
        if !n.checked_sub(1).and_then(|before| made.get(before)).is_some_and(|before| call.is_like(before)) {
            first = at;
        }
        for kind in call.kinds() {
            let shot = Shot { kind, at };
            let mut dies =
                |is_outage: bool, left: Print| *died.entry((is_outage, call.of, left)).or_insert(shot);
            let by = match (kind, call.around) {
                // Strikes all calls from there on, and at the first of an invocation before it has begun.
                (Kind::Ahead | Kind::Behind, _) => shot,
                (Kind::CrashBefore, Some(around)) => dies(false, around.before),
                (Kind::CrashAfter, Some(around)) => dies(false, around.after),
                (Kind::Outage, Some(around)) => dies(true, around.before),
                (Kind::ErrorAfter, Some(around)) if around.before == around.after && call.is_repeated() => {
                    Shot { kind: Kind::LostReply, at: first }
                }
                _ => Shot { kind, at: first },
            };
            all.push((shot, by));
        }
    }
    all
}

/// Those of these shots that stand for all.
pub fn distinct(made: &[Made], from: u32) -> Vec<Shot> {
    let own = stood_for(made, from).into_iter().filter(|(shot, by)| shot == by);
    own.map(|(shot, _)| shot).collect()
}

/// Every shot at calls that were made, the first of which has the number `from`.
pub fn shots(made: &[Made], from: u32) -> impl Iterator<Item = Shot> + '_ {
    made.iter().zip(from..).flat_map(|(call, at)| call.kinds().map(move |kind| Shot { kind, at }))
}
