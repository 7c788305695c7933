//! The whole person at one instant: what conditions of segments, stages, scores and journeys are evaluated over.

use super::{Bought, ChurnRisk, Live, LivePolicy};
use crate::condition::{Ask, Condition, EvalError, Scope};
use crate::customer::Whole;
use crate::event::Event;
use crate::id::CustomerId;
use crate::policy::{Grade, PolicySet};
use crate::segment::edge;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A person's records: the customers, and the states of the records that gave way to the live one.
#[derive(Clone, Debug)]
pub struct Person<'a> {
    /// The customer records.
    pub whole: Whole<'a>,
    /// The states of the halves.
    pub halves: Vec<&'a Live>,
}

/// Lets `look` see a person as they are kept; `state` is what behaviour made of each record.
pub fn see<'s, T>(
    whole: &Whole<'_>,
    state: impl Fn(&CustomerId) -> Option<&'s Live>,
    policies: &PolicySet,
    now: Timestamp,
    look: impl FnOnce(&View<'_>) -> T,
) -> T {
    let live = state(&whole.root.id).cloned().unwrap_or_else(|| Live::new(&policies.live));
    let halves = whole.halves.iter().filter_map(|half| state(&half.id)).collect();
    let person = Person { whole: whole.clone(), halves };
    look(&View::of(&person, &live, policies, now))
}

/// A person at an instant.
pub struct View<'a> {
    whole: &'a Whole<'a>,
    live: Cow<'a, Live>,
    policies: &'a PolicySet,
    now: Timestamp,
    scope: RefCell<Option<Scope>>,
    answered: RefCell<BTreeSet<Ask>>,
}

impl<'a> View<'a> {
    /// The person with the state of the live record.
    pub fn of(person: &'a Person<'a>, live: &'a Live, policies: &'a PolicySet, now: Timestamp) -> Self {
        let mut live = Cow::Borrowed(live);
        for half in &person.halves {
            live.to_mut().merge(half, &policies.live, now);
        }
        let (scope, answered) = (RefCell::new(None), RefCell::default());
        Self { whole: &person.whole, live, policies, now, scope, answered }
    }

    /// The live record.
    pub fn id(&self) -> &CustomerId {
        &self.whole.root.id
    }

    /// The instant.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The state of all records together.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The customer records.
    pub const fn whole(&self) -> &Whole<'a> {
        self.whole
    }

    /// The documents that it is seen by.
    pub(crate) const fn policies(&self) -> &PolicySet {
        self.policies
    }

    fn policy(&self) -> &LivePolicy {
        &self.policies.live
    }

    /// The stage.
    pub fn stage(&self) -> &str {
        self.live.stage.stage().unwrap_or_else(|| self.policy().stages.first())
    }

    /// Orders.
    pub fn bought(&self) -> Bought {
        self.live.orders.bought()
    }

    /// Points of interest.
    pub fn interest(&self) -> f64 {
        self.live.interest(self.now).value(self.now)
    }

    /// The grade of interest; empty is none.
    pub fn interest_grade(&self) -> &str {
        grade(&self.policy().interest_document.grades, self.interest())
    }

    /// Points of fit, as they stood at the last look.
    pub fn fit(&self) -> i32 {
        self.live.known.fit.unwrap_or_default()
    }

    /// The grade of fit; empty is none.
    pub fn fit_grade(&self) -> &str {
        grade(&self.policy().fit_document.grades, f64::from(self.fit()))
    }

    /// The rules of fit that hold, with their points. Counted anew.
    pub fn fit_lines(&self) -> Vec<(&str, i32)> {
        let holds = |condition: &Condition| self.holds(condition, None).unwrap_or(false);
        let rules = self.policies.live.fit.iter().filter(|(condition, _, _)| holds(condition));
        rules.map(|(_, points, name)| (name.as_str(), *points)).collect()
    }

    /// The tier; empty is none.
    pub fn tier(&self) -> &str {
        let bought = self.bought();
        let tiers = self.policy().rfm.tiers.iter();
        let reached = |tier: &&crate::policy::Tier| {
            let recent = tier
                .recency
                .is_none_or(|within| bought.last.is_some_and(|last| self.now.since(last) <= within.millis()));
            let often = tier.frequency.is_none_or(|orders| bought.orders >= orders);
            let much = tier.money.is_none_or(|money| bought.money >= i64::from(money) * 100);
            bought.orders > 0 && recent && often && much
        };
        let mut reached = tiers.filter(reached);
        reached.next().map_or("", |tier| tier.name.as_str())
    }

    /// The churn risk.
    pub fn churn(&self) -> ChurnRisk {
        self.live.rhythm.risk(&self.policy().churn, self.now)
    }

    /// When the churn risk rises if nothing happens.
    pub(crate) fn churn_edge(&self) -> Option<Timestamp> {
        self.live.rhythm.edge(&self.policy().churn, self.now)
    }

    /// When a tier may be lost if nothing happens.
    pub(crate) fn tier_edge(&self) -> Option<Timestamp> {
        let last = self.bought().last?;
        let tiers = self.policy().rfm.tiers.iter().filter_map(|tier| tier.recency);
        tiers.map(|within| last.plus_millis(within.millis() + 1)).filter(|at| *at > self.now).min()
    }

    /// When a grade of interest is lost if nothing happens.
    pub(crate) fn grade_edge(&self) -> Option<Timestamp> {
        let grades = self.policy().interest_document.grades.iter().map(|grade| f64::from(grade.from));
        let interest = self.live.interest(self.now);
        grades.filter_map(|from| interest.reaches(from, self.now)).min()
    }

    /// Since when an event (any event) has not happened: the last time, else since the person is known.
    pub fn silent_since(&self, event: Option<&str>) -> Timestamp {
        let last = match event {
            Some(event) => self.live.seen(event).and_then(super::Seen::last),
            None => self.live.last(),
        };
        let known = self.whole.parts().map(|part| part.created).min();
        last.or(known).unwrap_or(self.now)
    }

    /// Whether a condition holds, of an event too if there is one. Anything but a clear answer is an error, to be taken as
    /// not matched.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn holds(&self, condition: &Condition, event: Option<&Event>) -> Result<bool, EvalError> {
        let mut scope = self.scope.borrow_mut();
        let scope = scope.get_or_insert_with(|| self.base());
        let mut answered = self.answered.borrow_mut();
        for ask in condition.looks().asks.keys().filter(|ask| !answered.contains(*ask)).collect::<Vec<_>>() {
            if let Some(answer) = self.answer(ask) {
                scope.answer(ask, &answer);
            }
            answered.insert(ask.clone());
        }
        if condition.reads().iter().any(|path| path.split('.').next() == Some("event")) {
            scope.set("event", &event.map_or_else(|| json!({}), event_view));
        }
        condition.eval(scope)
    }

    /// The next instant at which the answer of a condition may be another, if nothing happens until then.
    pub fn edge(&self, condition: &Condition) -> Option<Timestamp> {
        edge(condition, self)
    }

    /// What a question about behaviour is answered with; nothing if there is no answer.
    fn answer(&self, ask: &Ask) -> Option<Value> {
        Some(match ask {
            Ask::CountIn { event, window } => {
                self.live.seen(event).map_or(0, |seen| seen.count(window.millis(), self.now)).into()
            }
            Ask::SilentFor { event, window } => {
                (self.now.since(self.silent_since(event.as_deref())) >= window.millis()).into()
            }
            Ask::Since { event } => days(self.now.since(self.live.seen(event)?.last()?)).into(),
        })
    }

    fn base(&self) -> Scope {
        let bought = self.bought();
        let score = json!({
            "fit": self.fit(),
            "fit_grade": self.fit_grade(),
            "interest": self.interest(),
            "interest_grade": self.interest_grade(),
        });
        let rfm = json!({
            "recency": bought.last.map(|last| days(self.now.since(last))),
            "frequency": bought.orders,
            "money": bought.money as f64 / 100.0,
            "tier": self.tier(),
        });
        let tags: Vec<&str> = self.live.tags.holding(self.now).map(|(tag, _)| tag).collect();
        let segments: Vec<&str> = self.live.segments.keys().map(String::as_str).collect();
        Scope::new()
            .with("customer", &Value::Object(self.customer()))
            .with("stage", &self.stage().into())
            .with("score", &score)
            .with("rfm", &rfm)
            .with("churn", &self.churn().name().into())
            .with("tags", &json!(tags))
            .with("segments", &json!(segments))
            .with("qualification", &self.live.qualification.shown())
    }

    fn customer(&self) -> Map<String, Value> {
        let owner = self.whole.owner();
        let mut shown = Map::new();
        shown.insert("id".into(), self.id().as_str().into());
        shown.insert("created".into(), self.whole.root.created.rfc3339().into());
        shown.insert("leads".into(), self.whole.leads().into());
        shown.insert("owner".into(), owner.map_or("", |owner| owner.rep.as_str()).into());
        let team = owner.and_then(|owner| owner.team.as_deref()).unwrap_or_default();
        shown.insert("team".into(), team.into());
        for (name, fact) in self.whole.facts(&self.policies.settings.survivorship) {
            shown.entry(name).or_insert_with(|| fact.value.reveal().clone().into());
        }
        shown
    }
}

fn days(ms: i64) -> f64 {
    ms as f64 / 86_400_000.0
}

/// The grade of so many points: that with the highest threshold that is reached.
pub(super) fn grade(grades: &[Grade], points: f64) -> &str {
    let reached = grades.iter().filter(|grade| points >= f64::from(grade.from));
    reached.max_by_key(|grade| grade.from).map_or("", |grade| grade.name.as_str())
}

/// An event as conditions see it.
pub fn event_view(event: &Event) -> Value {
    json!({
        "name": event.key(),
        "kind": event.kind.name(),
        "source": event.source,
        "properties": event.properties.reveal(),
        "traits": event.traits.reveal(),
    })
}
