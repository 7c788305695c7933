//! A plan: the faults that strike one scenario, and a duplicate that gets in between.

use crate::faults::{Kind, Shot};
use std::fmt;

/// A second invocation of the same event, in another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duplicate {
    /// It begins first and stops after this many calls.
    pub after: u32,
    /// It goes on when everything else has settled as far as it can while a function may run; otherwise as soon as the
    /// first invocation has ended.
    pub late: bool,
}

/// What happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// To the invocation under test.
    pub first: Option<Shot>,
    /// To whatever runs afterwards.
    pub second: Option<Shot>,
    /// Beside it.
    pub duplicate: Option<Duplicate>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for shot in [self.first, self.second].into_iter().flatten() {
            parts.push(format!("{}@{}", shot.kind.name(), shot.at));
        }
        if let Some(Duplicate { after, late }) = self.duplicate {
            parts.push(format!("duplicate@{after}{}", if late { "-late" } else { "" }));
        }
        write!(f, "{}", parts.join("+"))
    }
}

impl Plan {
    /// A plan with one fault.
    pub fn with(first: Shot) -> Self {
        Self { first: Some(first), ..Self::default() }
    }

    /// The same with a second fault.
    pub fn and(&self, second: Shot) -> Self {
        Self { second: Some(second), ..self.clone() }
    }

    /// Whether the event comes late.
    pub fn is_late(&self) -> bool {
        self.first.is_some_and(|shot| shot.kind == Kind::Late)
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut plan = Self::default();
        for part in text.split('+').filter(|part| !part.is_empty()) {
            let (word, at) = part.split_once('@')?;
            if word == "duplicate" {
                let (after, late) = at.strip_suffix("-late").map_or((at, false), |after| (after, true));
                plan.duplicate = Some(Duplicate { after: after.parse().ok()?, late });
                continue;
            }
            let shot = Shot { kind: Kind::parse(word)?, at: at.parse().ok()? };
            match plan.first {
                None => plan.first = Some(shot),
                Some(_) => plan.second = Some(shot),
            }
        }
        Some(plan)
    }
}

impl AsRef<Self> for Plan {
    fn as_ref(&self) -> &Self {
        self
    }
}
