//! A plan: the faults that strike one scenario, a duplicate that gets in between, and what people do meanwhile.

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

/// What people of the scenario ask for in the midst of the invocation under test. In other plans they ask once it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Meanwhile {
    /// It stops after this many calls, and they are answered.
    pub after: u32,
    /// It goes on when everything that follows from that has settled as far as it can while a function may run;
    /// otherwise as soon as they are answered.
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
    /// In the midst of it.
    pub meanwhile: Option<Meanwhile>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for shot in [self.first, self.second].into_iter().flatten() {
            parts.push(format!("{}@{}", shot.kind.name(), shot.at));
        }
        let late = |late: bool| if late { "-late" } else { "" };
        parts.extend(self.duplicate.map(|one| format!("duplicate@{}{}", one.after, late(one.late))));
        parts.extend(self.meanwhile.map(|one| format!("meanwhile@{}{}", one.after, late(one.late))));
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

    /// Whether nothing gets in between.
    pub const fn is_alone(&self) -> bool {
        self.duplicate.is_none() && self.meanwhile.is_none()
    }

    /// Whether the clock of a machine is off.
    pub fn puts_clocks_off(&self) -> bool {
        [self.first, self.second].into_iter().flatten().any(|shot| shot.kind.off() != 0)
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
            let (number, late) = at.strip_suffix("-late").map_or((at, false), |number| (number, true));
            let number = number.parse().ok()?;
            match word {
                "duplicate" => plan.duplicate = Some(Duplicate { after: number, late }),
                "meanwhile" => plan.meanwhile = Some(Meanwhile { after: number, late }),
                _ => {
                    let shot = Some(Shot { kind: Kind::parse(word)?, at: number });
                    let place = if plan.first.is_none() { &mut plan.first } else { &mut plan.second };
                    *place = shot;
                }
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
