//! A look at a person: what differs from what was known is a change, which may change more.

use super::view::grade;
use super::{Axis, Happening, Instant, Live, LivePolicy, Person, View};
use crate::policy::PolicySet;
use crate::segment::{Changed, Input, Target};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of one look: a change in one thing may change another, which may change the first. Each stage is come to once at
/// most and a segment changes a few times at most, so this is never reached unless documents chase one another.
const ROUNDS: usize = 100;
/// How often one segment may change in one look.
const FLIPS: u8 = 3;

/// What a look found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What changed, in order.
    pub happenings: Vec<Happening>,
    /// What is another than before: what was looked at for, and all that changed because of it.
    pub changed: Changed,
    /// When to look again because time alone may change something of what was looked at; see [`Live::arm`].
    pub next: Option<Timestamp>,
}

/// Whether the state is not stored yet, or some segment is newer than the last look at all of them.
pub fn first_look_is_due(live: &Live, policy: &LivePolicy) -> bool {
    live.version == 0 || live.looked < policy.newest_segment
}

/// Looks at everything that reads what changed, until nothing changes any more. Scores, tier, churn risk and stage are
/// settled first; then segments, those that others ask for before those that ask. The segments that are new to the record
/// are entered without a word, unless their documents say `trigger: true`.
pub fn look(
    person: &Person<'_>,
    live: &mut Live,
    policies: &PolicySet,
    changed: Changed,
    now: Timestamp,
) -> Look {
    let policy = &policies.live;
    let mut rounds = Rounds { looked: live.looked, ..Rounds::default() };
    let mut changed = changed;
    changed.everything |= first_look_is_due(live, policy);
    if changed.everything {
        live.looked = policy.version.max(1);
    }
    for tag in if changed.time || changed.everything { live.tags.expire(now) } else { Vec::new() } {
        changed.inputs.insert(Input::Tag(tag.clone()));
        rounds.look.happenings.push(Happening::TagExpired { tag });
    }
    if changed.everything {
        let gone = live.segments.keys().filter(|name| !policy.segments.contains_key(*name));
        let gone = gone.map(|name| (name.clone(), false)).collect();
        let found = Found { segments: gone, ..Found::default() };
        changed.and(rounds.take(live, policy, found, now));
    }
    rounds.look.changed.and(changed.clone());
    for _ in 0..ROUNDS {
        if changed.is_empty() && rounds.pending.is_empty() {
            break;
        }
        let found = rounds.round(person, live, policies, &changed, now);
        changed = rounds.take(live, policy, found, now);
        rounds.look.changed.and(changed.clone());
    }
    rounds.look
}

#[derive(Default)]
struct Rounds {
    look: Look,
    looked: u64,
    /// Segments to look at when nothing else moves, by rank.
    pending: BTreeSet<(usize, String)>,
    flips: BTreeMap<String, u8>,
    stages: BTreeSet<String>,
}

/// What one round found to differ.
#[derive(Default)]
struct Found {
    fit: Option<i32>,
    interest_grade: Option<String>,
    tier: Option<String>,
    churn: Option<super::ChurnRisk>,
    stage: Option<(String, String)>,
    segments: Vec<(String, bool)>,
}

impl Found {
    fn is_nothing(&self) -> bool {
        let scores = self.fit.is_none() && self.interest_grade.is_none();
        scores && self.tier.is_none() && self.churn.is_none() && self.stage.is_none()
    }
}

impl Rounds {
    fn round(
        &mut self,
        person: &Person<'_>,
        live: &Live,
        policies: &PolicySet,
        changed: &Changed,
        now: Timestamp,
    ) -> Found {
        let policy = &policies.live;
        let view = View::of(person, live, policies, now);
        let mut found = Found::default();
        let touched = policy.index.touched(changed);
        let moved = changed.time || changed.everything;
        if touched.contains(&Target::Fit) || changed.everything && live.known.fit.is_some() {
            let fit = view.fit_lines().iter().map(|(_, points)| *points).sum();
            found.fit = (live.known.fit.unwrap_or_default() != fit).then_some(fit);
        }
        if moved || changed.inputs.contains(&Input::Interest) {
            let grade = view.interest_grade();
            found.interest_grade = (live.known.interest_grade != grade).then(|| grade.to_owned());
            self.again(view.grade_edge());
        }
        if moved || changed.inputs.contains(&Input::Rfm) {
            let tier = view.tier();
            found.tier = (live.known.tier != tier).then(|| tier.to_owned());
            self.again(view.tier_edge());
        }
        if policy.watches_churn && (moved || changed.inputs.contains(&Input::Churn)) {
            let churn = view.churn();
            found.churn = (live.known.churn != churn).then_some(churn);
            // Each event moves this edge to later; the look that is outstanding is early enough.
            self.again(view.churn_edge());
        }
        if moved || changed.inputs.iter().any(|input| matches!(input, Input::Tag(_))) {
            self.again(live.tags.edge(now));
        }
        if touched.contains(&Target::Stage) || changed.inputs.contains(&Input::Stage) {
            found.stage = self.stage(&view, policy);
        }
        self.pending.extend(touched.into_iter().filter_map(|target| match target {
            Target::Segment(name) => Some((policy.segments.get(&name)?.rank, name)),
            Target::Stage | Target::Fit => None,
        }));
        if found.is_nothing() {
            found.segments = self.segments(&view, live, policy);
        }
        found
    }

    /// The segments that differ, of those that ask for none that is still to be looked at.
    fn segments(&mut self, view: &View<'_>, live: &Live, policy: &LivePolicy) -> Vec<(String, bool)> {
        let mut differ = Vec::new();
        let rank = self.pending.first().map_or(0, |(rank, _)| *rank);
        while let Some((_, name)) = self.pending.pop_first() {
            if let Some(segment) = policy.segments.get(&name) {
                self.again(view.edge(&segment.condition));
                let holds = view.holds(&segment.condition, None).unwrap_or(false);
                let flips = self.flips.entry(name.clone()).or_default();
                if holds != live.segments.contains_key(&name) && *flips < FLIPS {
                    *flips += 1;
                    differ.push((name, holds));
                }
            }
            if self.pending.first().is_none_or(|(next, _)| *next != rank) {
                break;
            }
        }
        differ
    }

    fn again(&mut self, at: Option<Timestamp>) {
        self.look.next = match (self.look.next, at) {
            (Some(next), Some(at)) => Some(next.min(at)),
            (next, at) => next.or(at),
        };
    }

    /// The first move that starts at the stage and whose condition holds.
    fn stage(&mut self, view: &View<'_>, policy: &LivePolicy) -> Option<(String, String)> {
        let stage = view.stage().to_owned();
        self.stages.insert(stage.clone());
        for step in policy.stages.moves().iter().filter(|step| step.starts_at(&stage)) {
            let Some(when) = &step.when else { continue };
            self.again(view.edge(when));
            if view.holds(when, None).unwrap_or(false) && !self.stages.contains(&step.to) {
                return Some((stage, step.to.clone()));
            }
        }
        None
    }

    /// Writes down what was found, and says what that changes.
    fn take(&mut self, live: &mut Live, policy: &LivePolicy, found: Found, now: Timestamp) -> Changed {
        let mut changed = Changed::default();
        let happenings = &mut self.look.happenings;
        if let Some(fit) = found.fit {
            live.known.fit = Some(fit);
            changed.inputs.insert(Input::Fit);
            let to = grade(&policy.fit_document.grades, f64::from(fit)).to_owned();
            let from = std::mem::replace(&mut live.known.fit_grade, to.clone());
            if from != to {
                happenings.push(Happening::GradeChanged { axis: Axis::Fit, from, to });
            }
        }
        if let Some(to) = found.interest_grade {
            changed.inputs.insert(Input::Interest);
            let from = std::mem::replace(&mut live.known.interest_grade, to.clone());
            happenings.push(Happening::GradeChanged { axis: Axis::Interest, from, to });
        }
        if let Some(to) = found.tier {
            changed.inputs.insert(Input::Rfm);
            let from = std::mem::replace(&mut live.known.tier, to.clone());
            happenings.push(Happening::TierChanged { from, to });
        }
        if let Some(to) = found.churn {
            changed.inputs.insert(Input::Churn);
            let from = std::mem::replace(&mut live.known.churn, to);
            happenings.push(Happening::ChurnChanged { from, to });
        }
        if let Some((from, to)) = found.stage {
            changed.inputs.insert(Input::Stage);
            live.stage.set(&to, Instant::look(now), &policy.stages);
            if live.stage.stage() == Some(&to) {
                happenings.push(Happening::StageChanged { from, to });
            }
        }
        for (segment, is_in) in found.segments {
            changed.inputs.insert(Input::Segment(segment.clone()));
            let since = policy.segments.get(&segment).map_or(0, |segment| segment.since);
            let is_new = since > self.looked;
            let tells = policy.segments.get(&segment).is_none_or(|segment| segment.document.trigger);
            if is_in {
                live.segments.insert(segment.clone(), now.seconds());
            } else {
                live.segments.remove(&segment);
            }
            if !is_new || tells {
                happenings.push(match is_in {
                    true => Happening::Entered { segment },
                    false => Happening::Left { segment },
                });
            }
        }
        changed
    }
}
