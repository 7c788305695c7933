//! Journeys as people are in them: who enters, what happens next, and why.
//!
//! [`advance`] is the one decision: a run (or none), what came in, and the documents give the run as it is afterwards, what
//! is to be done ([`Effect`]) and why ([`Reason`]). It is pure, so the same inputs replay to the same run. Whoever calls it
//! commits run, changes and effects at once, at the version of the run that was read, together with the receipt of the
//! input: then no step is left out and none is done twice.
//!
//! **Time.** A run has a time of its own: that of whatever moved it (when an event happened, when a wait was over), so what
//! counts as "after the step began" does not depend on how busy the functions were. Waits count from now, so that nothing
//! piles up behind an outage or a pause.

mod advance;
mod date;
mod draw;
mod entry;
mod flow;
mod play;
mod reason;
mod seen;
mod walk;
mod words;

#[cfg(test)]
mod tests;

pub use advance::advance;
pub use date::{next_date, occurs};
pub use draw::draw;
pub(crate) use entry::{chance, is_held_out};
pub(crate) use flow::names;
pub use flow::{Flow, FlowError};

pub use play::{Line, Script, Somebody, play, unread};
pub use reason::Reason;

use crate::calendar::Zone;
use crate::condition::{Condition, EvalError};
use crate::event::Event;
use crate::id::{CustomerId, EventId};
use crate::message::Order;
use crate::policy::Webhook;
use crate::policy::journey::{Addressee, Change as SegmentChange};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Steps between two waits at most. What is published has no loop without a wait, so this is never reached.
pub const MAX_BETWEEN_WAITS: u32 = 200;
/// Steps of one run at most: a loop ends here.
pub const MAX_STEPS: u32 = 1_000;

/// Somebody's way through a journey: one item for each customer and journey, which also remembers earlier ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Counted up by each write; 0 is "not stored yet".
    #[serde(skip)]
    pub version: u64,
    /// Which time it is that they are in it, from 1.
    #[serde(rename = "n")]
    pub n: u32,
    /// The version of the journey's document, see [`Flow::version`].
    #[serde(rename = "f")]
    pub flow: String,
    /// A manifest that has this version.
    #[serde(rename = "m")]
    pub manifest: u64,
    /// When they entered, by the time of what made them enter.
    #[serde(rename = "e")]
    pub entered: Timestamp,
    /// The event that made them enter, if it was one.
    #[serde(rename = "by", default, skip_serializing_if = "Option::is_none")]
    pub by: Option<EventId>,
    /// The event that moved them last, if it was one.
    #[serde(rename = "mv", default, skip_serializing_if = "Option::is_none")]
    pub moved_by: Option<EventId>,
    /// Steps begun in this run.
    #[serde(rename = "i", default, skip_serializing_if = "is_zero")]
    pub visits: u32,
    /// Where they are.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What it waits for with a due entry.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// Due entries of this run so far.
    #[serde(rename = "k", default, skip_serializing_if = "is_zero")]
    pub dues: u32,
    /// When the goal was reached: during the run, or within its window afterwards.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Timestamp>,
    /// How it ended; none is that they are in it.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When they entered before, oldest first: as many as a limit can ask for.
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Timestamp>,
    /// The last day of a date that made them enter, or was looked at.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Timestamp>,
}

const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Where somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The step's name.
    #[serde(rename = "s")]
    pub step: String,
    /// Since when, by the run's time: only what happened from then on counts for the step.
    #[serde(rename = "a")]
    pub since: Timestamp,
    /// When it was really reached: waits count from here.
    #[serde(rename = "r")]
    pub reached: Timestamp,
    /// What for.
    #[serde(rename = "w")]
    pub waits: Waits,
}

/// What somebody waits for at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// Its time: until this instant.
    Until(Timestamp),
    /// The step is to be begun: the journey is paused, or what came before has to be seen first.
    ToBegin {
        /// How often the pause was found to go on.
        #[serde(rename = "p", default, skip_serializing_if = "is_zero")]
        looks: u32,
    },
}

/// What has to come for a run to go on. The token names the run, the step and the version of the journey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// What a due entry must match.
    #[serde(rename = "k")]
    pub token: String,
    /// When.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    #[serde(rename = "o")]
    pub outcome: Outcome,
    /// When, by the run's time.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// After its last step.
    Completed,
    /// By its goal.
    Goal,
    /// Before its last step.
    Exited(Exited),
    /// The person runs it with another of their records.
    Merged,
    /// It never began: they are of the part that gets nothing.
    HeldOut,
    /// It cannot go on.
    Failed(Failed),
}

impl Outcome {
    /// The word used on the wire.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Goal => "goal",
            Self::Exited(_) => "exited",
            Self::Merged => "merged",
            Self::HeldOut => "held_out",
            Self::Failed(_) => "failed",
        }
    }
}

/// Why somebody left before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exited {
    /// An event of `exit`.
    Event,
    /// A condition of `exit`.
    Condition,
    /// They start over.
    Again,
    /// Another version was published with `on_publish: exit`.
    Published,
    /// The journey was removed.
    Removed,
    /// A message could not go out, and its step says `exit`.
    Message,
}

/// Why a run cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failed {
    /// It began more steps than a run may.
    TooManySteps,
    /// The hours it waits for do not come within ten years.
    NeverOpen,
    /// Its version of the journey, or the step it is at, is not there.
    NoSuchStep,
}

/// What comes in.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<'a> {
    /// Something happened.
    Event(&'a Event),
    /// Something happened by which nobody enters with this record: it may be the goal of its run that is over.
    After(&'a Event),
    /// A due entry of this token.
    Due(&'a str),
    /// The customer changed in some way that conditions may see, or time passed that they may see.
    Changed,
    /// A segment was entered or left.
    Segment {
        /// Its name.
        name: &'a str,
        /// Which of the two.
        change: SegmentChange,
        /// When.
        at: Timestamp,
    },
    /// A stage was reached.
    Stage {
        /// The stage.
        to: &'a str,
        /// When.
        at: Timestamp,
    },
    /// A date of the customer's has come, see [`next_date`].
    Date {
        /// Its instant.
        at: Timestamp,
    },
    /// Another journey, or somebody, enrols them.
    Enrol {
        /// When.
        at: Timestamp,
    },
    /// Another version was published, or the journey goes on after a pause.
    Publish,
    /// Another record of the same person runs the journey too.
    Merge {
        /// That record.
        with: &'a CustomerId,
        /// When its run began.
        entered: Timestamp,
    },
    /// A message of this run could not go out now, and its step says that the journey ends then.
    Stopped {
        /// The part of its order's cause.
        part: &'a str,
        /// When.
        at: Timestamp,
    },
    /// What the last decision changed can be seen now, see [`Decision::go_on`].
    GoOn,
}

/// What a decision is made with.
pub struct Given<'a> {
    /// Whose run it is.
    pub customer: &'a CustomerId,
    /// The journey as it is published; none is that it was removed.
    pub current: Option<&'a Flow>,
    /// The journey as the run began it, where that is another version: see [`needs`].
    pub pinned: Option<&'a Flow>,
    /// Runs of the same journey by other records of the same person.
    pub others: &'a [&'a Run],
    /// What conditions see.
    pub sees: &'a dyn Sees,
    /// Now.
    pub now: Timestamp,
}

/// What the customer looks like.
pub trait Sees {
    /// Whether a condition holds, with an event where there is one.
    ///
    /// # Errors
    /// Why it gives no answer: it counts as not holding.
    fn holds(&self, condition: &Condition, event: Option<&Event>, at: Timestamp) -> Result<bool, EvalError>;

    /// When a condition may next change by time alone, strictly later; none is that it does not.
    fn edge(&self, condition: &Condition, at: Timestamp) -> Option<Timestamp>;

    /// Where the customer lives.
    fn zone(&self) -> Zone;

    /// A fact of the customer's, as it is written.
    fn fact(&self, name: &str) -> Option<String>;
}

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The run afterwards; none if there was none and nobody entered.
    pub run: Option<Run>,
    /// The run that this one took the place of in this decision, as it ended: what is told of it says so of it.
    pub over: Option<Run>,
    /// Whether the run is another than before: only then it is written.
    pub changed: bool,
    /// What is to be done, in order.
    pub effects: Vec<Effect>,
    /// Why, in order.
    pub why: Vec<Reason>,
    /// How many of these, from the first on, are of the run whose place another took.
    pub of_over: usize,
    /// The run stops before a condition that may depend on what it has just changed. Whoever called applies the changes and
    /// calls again with [`Input::GoOn`] before anything is committed. If that does not happen, a due entry does it.
    pub go_on: bool,
}

impl Decision {
    /// The runs that it tells of.
    pub fn runs(&self) -> Vec<Run> {
        self.over.iter().chain(&self.run).cloned().collect()
    }

    /// Why, each run's by its number: first that of the one whose place another took. 0 is nobody's who did not enter.
    pub fn reasons(&self) -> Vec<(u32, Vec<Reason>)> {
        let (of_over, own) = self.why.split_at(self.of_over.min(self.why.len()));
        let n = |run: Option<&Run>| run.map_or(0, |run| run.n);
        let parts = [(n(self.over.as_ref()), of_over), (n(self.run.as_ref()), own)];
        parts.into_iter().filter(|(_, why)| !why.is_empty()).map(|(n, why)| (n, why.to_vec())).collect()
    }

    /// A due entry that has to be put: what the run waits for, unless it did before.
    pub fn due(&self, before: Option<&Run>) -> Option<&Due> {
        let due = self.run.as_ref()?.due.as_ref()?;
        (before.and_then(|run| run.due.as_ref()) != Some(due)).then_some(due)
    }
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// The step that asks for it, behind the number of its run: `2.5.nudge` is the second run's fifth step, called `nudge`. A step asks for one thing, or
    /// for changes of the customer: so with customer and journey it is the id of what leaves.
    #[serde(rename = "p")]
    pub part: String,
    /// When it was asked for, by the run's time: part of the ids of messages.
    #[serde(rename = "at")]
    pub at: Timestamp,
    /// What.
    #[serde(rename = "w")]
    pub what: What,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A message goes out.
    Send {
        /// What is to go out.
        order: Order,
        /// The event that made the customer enter: what its template reads as `event`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<EventId>,
    },
    /// The customer changes.
    Change(Change),
    /// Somebody of ours is told.
    Notify {
        /// Who.
        to: Addressee,
        /// What.
        text: Option<String>,
    },
    /// Somebody of ours has something to do.
    Task {
        /// Who.
        to: Addressee,
        /// What.
        title: String,
        /// By when.
        due: Option<Timestamp>,
    },
    /// Another system is told.
    Webhook {
        /// Where.
        to: Webhook,
        /// Facts of the customer that go along.
        facts: Vec<String>,
    },
    /// Another journey begins, unless it says no.
    Enrol(String),
    /// Something that policies may go by happened here.
    Told(Told),
}

/// A change of the customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A fact is set.
    Set {
        /// Its name.
        fact: String,
        /// Its value: text, a number, or true or false.
        value: Value,
    },
    /// A tag is put on.
    Tag {
        /// Its name.
        name: String,
        /// Until then; none is for good.
        until: Option<Timestamp>,
    },
    /// A tag is taken off.
    Untag(String),
    /// A stage is reached.
    Stage(String),
    /// Points of interest are added; negative ones are taken away.
    Interest(i32),
}

/// What a run tells of itself: events of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Somebody entered.
    Entered,
    /// Somebody would have entered and gets nothing.
    HeldOut,
    /// The goal was reached, in the run or after it.
    Goal,
    /// A run ended.
    Ended,
}

impl Told {
    /// The event's name.
    pub const fn event(self) -> &'static str {
        match self {
            Self::Entered => "journey_entered",
            Self::HeldOut => "journey_held_out",
            Self::Goal => "journey_goal_reached",
            Self::Ended => "journey_ended",
        }
    }
}

impl Run {
    /// Whether they are in it.
    pub const fn is_active(&self) -> bool {
        self.ended.is_none()
    }

    /// Whether they left, or get nothing, and have not reached the goal. Who goes on with another record reaches it there.
    pub fn is_over_without_goal(&self) -> bool {
        self.goal.is_none() && self.ended.as_ref().is_some_and(|ended| ended.outcome != Outcome::Merged)
    }

    /// Whether this run is the later of two of one person's, and gives way.
    pub fn gives_way(&self, own: &CustomerId, other: &CustomerId, other_entered: Timestamp) -> bool {
        (other_entered, other) < (self.entered, own)
    }
}

/// The manifest whose version of the journey has to be loaded for a run, if the current one is another.
pub fn needs(run: Option<&Run>, current: Option<&Flow>) -> Option<u64> {
    let run = run.filter(|run| run.is_active())?;
    match current {
        Some(flow) if flow.version() != run.flow => Some(run.manifest),
        _ => None,
    }
}
