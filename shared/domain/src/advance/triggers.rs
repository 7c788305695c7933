//! From something that happens to the journeys it may concern, so that an event costs the same however many journeys there
//! are that do not ask for it.

use crate::journey::Flow;
use crate::policy::journey::Change;
use crate::segment::{Changed, Index};
use std::collections::{BTreeMap, BTreeSet};

/// What journeys wait for, by what it is. Names of journeys.
#[derive(Debug, Default)]
pub struct Triggers {
    by_event: BTreeMap<String, BTreeSet<String>>,
    by_segment: BTreeMap<(String, Change), BTreeSet<String>>,
    by_stage: BTreeMap<String, BTreeSet<String>>,
    watching: Index<String>,
    /// Those whose goal is a condition.
    hoping: Index<String>,
    /// Those that a date of the customer's begins.
    pub dated: BTreeSet<String>,
    /// The facts that are those dates.
    pub date_facts: BTreeSet<String>,
    /// What tells sets of dated journeys apart.
    pub dated_spec: String,
}

impl Triggers {
    /// Of all journeys of one version.
    pub fn of<'a>(flows: impl Iterator<Item = &'a Flow>) -> Self {
        let mut all = Self::default();
        let mut spec = Vec::new();
        for flow in flows {
            let journey = flow.journey();
            let name = || journey.name.clone();
            for event in flow.enters_on().chain(flow.goal_event()) {
                all.by_event.entry(event.to_owned()).or_default().insert(name());
            }
            for trigger in &journey.trigger {
                if let Some(segment) = &trigger.segment {
                    let key = (segment.clone(), trigger.change.unwrap_or_default());
                    all.by_segment.entry(key).or_default().insert(name());
                }
                if let Some(stage) = &trigger.stage {
                    all.by_stage.entry(stage.clone()).or_default().insert(name());
                }
                if let Some(date) = &trigger.date {
                    all.dated.insert(name());
                    all.date_facts.insert(date.fact.clone());
                    spec.push(flow.version());
                }
            }
            for condition in flow.watched() {
                all.watching.add(condition, &journey.name);
            }
            if let Some(condition) = flow.goal_condition() {
                all.hoping.add(condition, &journey.name);
            }
        }
        all.dated_spec = spec.join(".");
        all
    }

    /// Journeys that an event may begin, or whose goal it may be after somebody left.
    pub fn on_event(&self, key: &str) -> impl Iterator<Item = &str> {
        self.by_event.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Journeys that a change of a segment begins.
    pub fn on_segment(&self, segment: &str, change: Change) -> impl Iterator<Item = &str> {
        self.by_segment.get(&(segment.to_owned(), change)).into_iter().flatten().map(String::as_str)
    }

    /// Journeys that a stage begins.
    pub fn on_stage(&self, stage: &str) -> impl Iterator<Item = &str> {
        self.by_stage.get(stage).into_iter().flatten().map(String::as_str)
    }

    /// Whether any journey goes by what a person is like, and not by events alone.
    pub fn watch_people(&self) -> bool {
        !self.watching.is_empty() || !self.dated.is_empty()
    }

    /// Journeys that may end because of what changed.
    pub fn watching(&self, changed: &Changed) -> BTreeSet<String> {
        self.watching.touched(changed)
    }

    /// Journeys whose goal may be reached by what changed, after somebody left or was held out, too.
    pub fn hoping(&self, changed: &Changed) -> BTreeSet<String> {
        self.hoping.touched(changed)
    }
}
