//! From what changed to those who have to look.

use crate::condition::{Ask, Condition};
use std::collections::{BTreeMap, BTreeSet};

/// Something that conditions read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// How often or when an event happened, by its name.
    Event(String),
    /// What is known of the customer, by the name of the fact.
    Fact(String),
    /// Whether a tag holds.
    Tag(String),
    /// The lifecycle stage.
    Stage,
    /// Points and grade of fit.
    Fit,
    /// Points and grade of interest.
    Interest,
    /// Recency, frequency, money, tier.
    Rfm,
    /// The churn risk.
    Churn,
    /// 三定.
    Qualification,
    /// Whether the customer is in a segment.
    Segment(String),
}

/// What is looked at when something changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The moves of the lifecycle that have a condition.
    Stage,
    /// The score of fit.
    Fit,
    /// A segment.
    Segment(String),
}

/// What changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Inputs.
    pub inputs: BTreeSet<Input>,
    /// The silence that an event ended, in milliseconds: who asks for a longer one sees no difference.
    pub silence: Option<i64>,
    /// Time has gone by.
    pub time: bool,
    /// Everything may have: a first look, or policies that are new to the record.
    pub everything: bool,
}

impl Changed {
    /// Time has gone by.
    pub fn time() -> Self {
        Self { time: true, ..Self::default() }
    }

    /// Everything may have changed.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// These facts of the customer changed.
    pub fn facts<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let inputs = names.into_iter().map(|name| Input::Fact(name.to_owned())).collect();
        Self { inputs, ..Self::default() }
    }

    /// This and that.
    pub fn and(&mut self, other: Self) {
        self.inputs.extend(other.inputs);
        self.silence = self.silence.max(other.silence);
        self.time |= other.time;
        self.everything |= other.everything;
    }

    /// Whether nothing did.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who reads what.
#[derive(Clone, Debug)]
pub struct Index<T> {
    by_input: BTreeMap<Input, BTreeSet<T>>,
    /// Who reads the customer, the tags or the segments as a whole.
    facts: BTreeSet<T>,
    tags: BTreeSet<T>,
    segments: BTreeSet<T>,
    /// Who asks for silence of any event, by how long.
    silence: BTreeMap<i64, BTreeSet<T>>,
    /// Whose answer may change with time alone.
    timed: BTreeSet<T>,
    all: BTreeSet<T>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            by_input: BTreeMap::new(),
            facts: BTreeSet::new(),
            tags: BTreeSet::new(),
            segments: BTreeSet::new(),
            silence: BTreeMap::new(),
            timed: BTreeSet::new(),
            all: BTreeSet::new(),
        }
    }
}

impl<T: Clone + Ord> Index<T> {
    /// Takes down that `target` looks at what `condition` reads.
    pub fn add(&mut self, condition: &Condition, target: &T) {
        self.all.insert(target.clone());
        let looks = condition.looks();
        if !looks.asks.is_empty() || !looks.moving.is_empty() {
            self.timed.insert(target.clone());
        }
        for ask in looks.asks.keys() {
            match (ask, ask.event()) {
                (_, Some(event)) => self.reads(Input::Event(event.to_owned()), target),
                (Ask::SilentFor { window, .. }, None) => {
                    self.silence.entry(window.millis()).or_default().insert(target.clone());
                }
                _ => {}
            }
        }
        for (list, name) in &looks.members {
            match *list {
                "tags" => self.reads(Input::Tag(name.clone()), target),
                _ => self.reads(Input::Segment(name.clone()), target),
            }
        }
        for list in &looks.lists {
            let readers = if *list == "tags" { &mut self.tags } else { &mut self.segments };
            readers.insert(target.clone());
        }
        for path in condition.reads() {
            let mut parts = path.split('.');
            match (parts.next().unwrap_or_default(), parts.next()) {
                ("customer", Some(name)) => self.reads(Input::Fact(name.to_owned()), target),
                ("customer", None) => drop(self.facts.insert(target.clone())),
                ("stage", _) => self.reads(Input::Stage, target),
                ("score", Some("fit" | "fit_grade")) => self.reads(Input::Fit, target),
                ("score", Some(_)) => self.reads(Input::Interest, target),
                ("score", None) => {
                    self.reads(Input::Fit, target);
                    self.reads(Input::Interest, target);
                }
                ("rfm", _) => self.reads(Input::Rfm, target),
                ("churn", _) => self.reads(Input::Churn, target),
                ("qualification", _) => self.reads(Input::Qualification, target),
                _ => {}
            }
        }
    }

    fn reads(&mut self, input: Input, target: &T) {
        self.by_input.entry(input).or_default().insert(target.clone());
    }

    /// Whether anybody reads this.
    pub fn is_read(&self, input: &Input) -> bool {
        self.by_input.contains_key(input)
    }

    /// Whether nobody looks at anything.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether somebody asks for silence of any event.
    pub fn reads_silence(&self) -> bool {
        !self.silence.is_empty()
    }

    /// Who has to look.
    pub fn touched(&self, changed: &Changed) -> BTreeSet<T> {
        if changed.everything {
            return self.all.clone();
        }
        let mut touched = BTreeSet::new();
        for input in &changed.inputs {
            touched.extend(self.by_input.get(input).into_iter().flatten().cloned());
            let whole = match input {
                Input::Fact(_) => &self.facts,
                Input::Tag(_) => &self.tags,
                Input::Segment(_) => &self.segments,
                _ => continue,
            };
            touched.extend(whole.iter().cloned());
        }
        if let Some(ended) = changed.silence {
            touched.extend(self.silence.range(..=ended).flat_map(|(_, targets)| targets).cloned());
        }
        if changed.time {
            touched.extend(self.timed.iter().cloned());
        }
        touched
    }
}
