//! Why a run went as it did: codes that are kept, and their words.

use super::{Exited, Failed, Outcome};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One reason. Names steps, fields and types, never values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// They entered, for the nth time.
    Entered(u32),
    /// They would have entered, and are of the part that gets nothing.
    HeldOut,
    /// Nobody enters or moves on during a pause.
    Paused,
    /// They are in it already.
    AlreadyIn,
    /// They are in it with another of their records.
    InElsewhere,
    /// They were in it, and once is all.
    EnteredBefore,
    /// They entered as often as they may: until then.
    TooOften(Timestamp),
    /// It happened before what is known already.
    Late,
    /// The entry's condition does not hold.
    NotMatched,
    /// They would leave at once, or have reached the goal.
    NothingToDo,
    /// The date was changed meanwhile.
    DateChanged,
    /// The day is over.
    DateOver,
    /// They entered on this day already.
    DateBefore,
    /// A condition gave no answer and counts as not holding: of what, and why.
    Unclear {
        /// The place of the condition: `entry`, or a step.
        of: String,
        /// Why.
        why: String,
    },
    /// A step began.
    Begun(String),
    /// A branch or a split chose: where it goes on; none is the next step.
    Chose(Option<String>),
    /// A step waits.
    Waits {
        /// The step.
        step: String,
        /// Until then.
        until: Timestamp,
    },
    /// A wait was over.
    Over(String),
    /// What a step waited for happened.
    Came(String),
    /// It did not happen in time.
    TimedOut(String),
    /// A step is begun when the journey goes on after its pause.
    Held(String),
    /// A step waits until what was changed can be seen.
    LooksFirst(String),
    /// Not what the run waits for: it went on meanwhile.
    Stale,
    /// Before its time.
    Early,
    /// Another version was published; they finish the one they entered by.
    Stays,
    /// They go on by another version.
    Migrated {
        /// From this step.
        from: String,
        /// To this one.
        to: String,
    },
    /// The goal was reached.
    Goal,
    /// It ended.
    Ended(Outcome),
}

impl Reason {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Entered(1) => "Entered.".to_owned(),
            Self::Entered(n) => format!("Entered, for the {} time.", ordinal(*n)),
            Self::HeldOut => "Would have entered: of the part that gets nothing, to compare with.".to_owned(),
            Self::Paused => "The journey is paused: nobody enters.".to_owned(),
            Self::AlreadyIn => "Is in it already.".to_owned(),
            Self::InElsewhere => "Is in it with another record of the same person.".to_owned(),
            Self::EnteredBefore => "Was in it before, and nobody enters twice.".to_owned(),
            Self::TooOften(until) => format!("Entered as often as one may, until {until}."),
            Self::Late => "Happened before what is known already: it changes nothing now.".to_owned(),
            Self::NotMatched => "The condition for entering does not hold.".to_owned(),
            Self::NothingToDo => "What ends the journey holds already: nothing to enter for.".to_owned(),
            Self::DateChanged => "The date is another one now.".to_owned(),
            Self::DateOver => "The day is over.".to_owned(),
            Self::DateBefore => "Entered on this day already.".to_owned(),
            Self::Unclear { of, why } => {
                format!("The condition of {of} gave no answer and counts as not holding: {why}.")
            }
            Self::Begun(step) => format!("Step {step}."),
            Self::Chose(Some(label)) => format!("Goes on at {label}."),
            Self::Chose(None) => "None of its conditions holds: goes on at the next step.".to_owned(),
            Self::Waits { step, until } => format!("{step} waits until {until}."),
            Self::Over(step) => format!("{step} is over."),
            Self::Came(step) => format!("What {step} waited for happened."),
            Self::TimedOut(step) => format!("What {step} waited for did not happen in time."),
            Self::Held(step) => format!("The journey is paused: {step} begins when it goes on."),
            Self::LooksFirst(step) => format!("{step} sees what was changed before."),
            Self::Stale => "Not what the run waits for: it went on meanwhile.".to_owned(),
            Self::Early => "Before its time: it waits on.".to_owned(),
            Self::Stays => "Finishes the version it entered by.".to_owned(),
            Self::Migrated { from, to } => format!("Goes on by the new version, from {from} to {to}."),
            Self::Goal => "Reached the goal.".to_owned(),
            Self::Ended(outcome) => ended(outcome).to_owned(),
        }
    }
}

fn ordinal(n: u32) -> String {
    match n {
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    }
}

const fn ended(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "Completed: that was the last step.",
        Outcome::Goal => "Ends with the goal.",
        Outcome::Merged => "Ends: the same person is in it with another record, since earlier.",
        Outcome::HeldOut => "Gets nothing.",
        Outcome::Exited(why) => match why {
            Exited::Event => "Leaves: an event that ends the journey happened.",
            Exited::Condition => "Leaves: a condition that ends the journey holds.",
            Exited::Again => "Starts over.",
            Exited::Published => "Leaves: another version was published, and says so.",
            Exited::Removed => "Leaves: the journey was removed.",
            Exited::Message => "Leaves: a message could not go out, and its step says so.",
        },
        Outcome::Failed(why) => match why {
            Failed::TooManySteps => "Fails: more steps than a run may have.",
            Failed::NeverOpen => "Fails: the hours it waits for do not come within ten years.",
            Failed::NoSuchStep => "Fails: the step, or the version of the journey, is not there.",
        },
    }
}
