//! The documents about behaviour, compiled: what to count, what an event does, and who has to look when something changes.

use super::Deed;
use super::counts::Need;
use super::orders::ORDER_EVENTS;
use crate::condition::{Ask, Condition, ConditionError, Levels};
use crate::event::{Event, key_of};
use crate::id::short_hash;
use crate::policy::{Churn, Fit, Interest, Lifecycle, Rfm, Scoring, Segment};
use crate::segment::{Index, Input, Target};
use std::collections::BTreeMap;

/// The stages with their moves.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    names: Vec<String>,
    id: String,
    moves: Vec<CompiledMove>,
}

/// A move with its condition.
#[derive(Clone, Debug)]
pub(crate) struct CompiledMove {
    pub(crate) to: String,
    from: Vec<String>,
    pub(crate) on: Option<String>,
    pub(crate) filter: Option<Condition>,
    pub(crate) when: Option<Condition>,
}

impl CompiledMove {
    /// Whether it leads somewhere from a stage.
    pub(crate) fn starts_at(&self, stage: &str) -> bool {
        self.to != stage && (self.from.is_empty() || self.from.iter().any(|from| from == stage))
    }
}

impl Stages {
    /// Compiles a lifecycle.
    ///
    /// # Errors
    /// A condition is none.
    pub fn compile(document: &Lifecycle) -> Result<Self, ConditionError> {
        let compile = |source: &Option<String>| source.as_deref().map(Condition::compile).transpose();
        let moves = document.moves.iter().map(|step| {
            Ok(CompiledMove {
                to: step.to.clone(),
                from: step.from.clone(),
                on: step.on.as_deref().map(key_of),
                filter: compile(&step.filter)?,
                when: compile(&step.when)?,
            })
        });
        let text = serde_json::to_string(document).unwrap_or_default();
        Ok(Self {
            names: document.stages.clone(),
            id: short_hash(&["lifecycle", &text])[..6].to_owned(),
            moves: moves.collect::<Result<_, _>>()?,
        })
    }

    /// Where everybody starts; empty if there is no lifecycle.
    pub fn first(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// The stages in the order of the document.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What tells versions of the document apart.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn moves(&self) -> &[CompiledMove] {
        &self.moves
    }

    /// Where the first of these moves that starts at a stage leads.
    pub(super) fn step(&self, moves: u32, stage: &str) -> Option<&str> {
        let mut asked = self.moves.iter().enumerate().filter(|(i, _)| *i < 32 && moves >> i & 1 == 1);
        asked.find(|(_, step)| step.starts_at(stage)).map(|(_, step)| step.to.as_str())
    }
}

/// A rule of interest with its condition.
#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    pub(crate) name: String,
    pub(crate) filter: Option<Condition>,
    pub(crate) points: i32,
}

/// A segment with its condition.
#[derive(Clone, Debug)]
pub struct CompiledSegment {
    /// The document.
    pub document: Segment,
    /// Its condition.
    pub condition: Condition,
    /// After how many others it comes, one asking for the next; 0 asks for none.
    pub(crate) rank: usize,
    /// The manifest version since which it is as it is; 0 is not known, and then it is nobody's first look.
    pub since: u64,
}

/// All documents about behaviour of one version.
#[derive(Clone, Debug, Default)]
pub struct LivePolicy {
    /// The manifest version.
    pub version: u64,
    /// What is counted: one that a record was not counted by is to be counted anew, see [`super::recount`].
    pub spec: String,
    /// What has to be kept of each event that some condition asks for.
    pub counted: BTreeMap<String, Need>,
    /// The lifecycle.
    pub stages: Stages,
    /// Fit.
    pub(crate) fit: Vec<(Condition, i32, String)>,
    /// The documents of the scores, for grades and half-life.
    pub(crate) fit_document: Fit,
    pub(crate) interest_document: Interest,
    /// Rules of interest by event.
    pub(crate) interest: BTreeMap<String, Vec<CompiledRule>>,
    /// Moves by event.
    pub(crate) moves_on: BTreeMap<String, Vec<usize>>,
    /// What buyers are worth.
    pub rfm: Rfm,
    /// When silence is a warning.
    pub churn: Churn,
    /// Whether anybody wants to know of it as soon as it is one.
    pub(crate) watches_churn: bool,
    /// Whether anybody asks for silence of any kind, so that everything that people do counts.
    pub(crate) follows_activity: bool,
    /// By name.
    pub segments: BTreeMap<String, CompiledSegment>,
    /// The newest [`CompiledSegment::since`].
    pub(crate) newest_segment: u64,
    /// Who has to look when something changes.
    pub index: Index<Target>,
}

/// What a [`LivePolicy`] is made of.
#[derive(Clone, Debug, Default)]
pub struct LiveDocuments {
    /// The `default` lifecycle.
    pub lifecycle: Lifecycle,
    /// The `default` scores.
    pub scoring: Scoring,
    /// Of the settings.
    pub rfm: Rfm,
    /// Of the settings; without it, nobody is told.
    pub churn: Option<Churn>,
    /// All segments.
    pub segments: Vec<Segment>,
}

impl LivePolicy {
    /// Compiles the documents. `others` are conditions of other documents (journeys) that ask about behaviour too.
    ///
    /// # Errors
    /// A condition is none.
    pub fn compile<'a>(
        version: u64,
        documents: LiveDocuments,
        others: impl IntoIterator<Item = &'a Condition>,
    ) -> Result<Self, ConditionError> {
        let LiveDocuments { lifecycle, scoring, rfm, churn, segments } = documents;
        let mut policy = Self { version, stages: Stages::compile(&lifecycle)?, ..Self::default() };
        for (i, step) in policy.stages.moves.iter().enumerate() {
            if let Some(on) = &step.on {
                policy.moves_on.entry(on.clone()).or_default().push(i);
            }
            if let Some(when) = &step.when {
                policy.index.add(when, &Target::Stage);
            }
        }
        for rule in &scoring.fit.rules {
            let condition = Condition::compile(&rule.when)?;
            policy.index.add(&condition, &Target::Fit);
            policy.fit.push((condition, rule.points, rule.name.clone()));
        }
        for rule in &scoring.interest.rules {
            let filter = rule.filter.as_deref().map(Condition::compile).transpose()?;
            let compiled = CompiledRule { name: rule.name.clone(), filter, points: rule.points };
            policy.interest.entry(key_of(&rule.on)).or_default().push(compiled);
        }
        for document in segments {
            let condition = Condition::compile(&document.when)?;
            policy.index.add(&condition, &Target::Segment(document.name.clone()));
            policy
                .segments
                .insert(document.name.clone(), CompiledSegment { document, condition, rank: 0, since: 0 });
        }
        policy.rank_segments();
        let mut counted = BTreeMap::new();
        let mut follows = false;
        let mut asks = |condition: &Condition| {
            count(&mut counted, condition);
            follows |= follows_activity(condition);
        };
        policy.stages.moves.iter().filter_map(|step| step.when.as_ref()).for_each(&mut asks);
        policy.segments.values().map(|segment| &segment.condition).for_each(&mut asks);
        others.into_iter().for_each(&mut asks);
        (policy.counted, policy.follows_activity) = (counted, follows);
        policy.watches_churn = churn.is_some() || policy.index.is_read(&Input::Churn);
        policy.follows_activity |= policy.watches_churn;
        (policy.rfm, policy.churn) = (rfm, churn.unwrap_or_default());
        (policy.fit_document, policy.interest_document) = (scoring.fit, scoring.interest);
        policy.spec = policy.spec_of();
        Ok(policy)
    }

    /// Each segment comes after those that it asks for; documents with a circle are not published.
    fn rank_segments(&mut self) {
        for _ in 0..self.segments.len() {
            let after = |segment: &CompiledSegment| {
                let asked = segment.condition.looks().members.iter().filter(|(list, _)| *list == "segments");
                let ranks = asked.filter_map(|(_, name)| Some(self.segments.get(name)?.rank + 1));
                ranks.max().unwrap_or(0)
            };
            let ranks: Vec<(String, usize)> = self
                .segments
                .iter()
                .map(|(name, segment)| (name.clone(), after(segment)))
                .filter(|(name, rank)| self.segments.get(name).is_some_and(|segment| segment.rank != *rank))
                .collect();
            if ranks.is_empty() {
                break;
            }
            for (name, rank) in ranks {
                if let Some(segment) = self.segments.get_mut(&name) {
                    segment.rank = rank;
                }
            }
        }
    }

    /// Says since which manifest version each segment is as it is; see [`CompiledSegment::since`].
    pub fn segments_since(&mut self, since: impl Fn(&str) -> u64) {
        for (name, segment) in &mut self.segments {
            segment.since = since(name);
            self.newest_segment = self.newest_segment.max(segment.since);
        }
    }

    /// Whether what is counted is enough to answer a condition, such as one that is not published yet. If it is not,
    /// the person is to be counted anew by policies that have it, see [`super::recount`].
    pub fn answers(&self, condition: &Condition) -> bool {
        let mut needed = self.counted.clone();
        count(&mut needed, condition);
        needed == self.counted && (self.follows_activity || !follows_activity(condition))
    }

    /// Whether anything is counted that is not counted anyway.
    pub fn counts_anything(&self) -> bool {
        !self.counted.is_empty()
            || !self.interest.is_empty()
            || !self.moves_on.is_empty()
            || self.follows_activity
    }

    /// Whether an event changes anything that somebody asks for. What nobody asks for is not counted, and costs nothing but
    /// its entry: it is counted anew from the entries when somebody asks.
    pub fn reads(&self, event: &Event) -> bool {
        self.asks_for(event) || super::is_doing(event, &event.key()) && self.follows_activity
    }

    /// Whether somebody asks for an event of this name, and not for whatever people do.
    pub(crate) fn asks_for(&self, event: &Event) -> bool {
        let key = event.key();
        self.counted.contains_key(&key)
            || self.interest.contains_key(&key)
            || self.moves_on.contains_key(&key)
            || self.is_order(&key)
            || Deed::of(event).is_some()
    }

    /// Whether orders are kept.
    pub(crate) fn is_order(&self, key: &str) -> bool {
        ORDER_EVENTS.contains(&key)
    }

    pub(crate) fn half_life(&self) -> i64 {
        (self.interest_document.half_life.0.millis() / 1000).max(1)
    }

    /// Everything that decides what is kept of an event.
    fn spec_of(&self) -> String {
        let counted: Vec<String> =
            self.counted.iter().map(|(name, need)| format!("{name} {} {}", need.keep, need.days)).collect();
        let interest = serde_json::to_string(&self.interest_document).unwrap_or_default();
        let rest = format!("{:?} {:?} {}", self.rfm.currency, self.churn.events, self.follows_activity);
        short_hash(&["live", &counted.join(","), &interest, &rest])[..8].to_owned()
    }
}

/// Whether a condition asks for silence of any kind.
fn follows_activity(condition: &Condition) -> bool {
    let looks = condition.looks();
    looks.asks.keys().any(|ask| ask.event().is_none())
        || condition.reads().iter().any(|path| path.split('.').next() == Some("churn"))
}

/// Takes down what a condition needs of each event it asks for.
fn count(counted: &mut BTreeMap<String, Need>, condition: &Condition) {
    for (ask, levels) in &condition.looks().asks {
        let Some(event) = ask.event() else { continue };
        let need = counted.entry(event.to_owned()).or_default();
        *need = need.both(need_of(ask, levels));
    }
}

/// As many as are asked for tell all that can be told; where it may be any number, or too many, the days do.
fn need_of(ask: &Ask, levels: &Levels) -> Need {
    let Ask::CountIn { window, .. } = ask else { return Need { keep: 1, days: 0 } };
    let most = levels.cuts.iter().copied().fold(1.0, f64::max);
    if levels.loose || most > Need::MOST as f64 {
        let days = window.millis() / 86_400_000 + 1;
        return Need { keep: Need::MOST, days: days.min(Need::MAX_DAYS) };
    }
    Need { keep: most as usize, days: 0 }
}
