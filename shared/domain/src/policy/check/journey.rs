//! Checks of journeys: what they name, what they measure, and the way through them.

use super::{Checker, Names, is_private};
use crate::calendar::Hours;
use crate::customer::IdentityKind;
use crate::event::key_of;
use crate::journey::names as step_names;
use crate::message::{Channel, Otherwise};
use crate::policy::journey::{
    Act, Addressee, Again, Case, DateTrigger, Journey, Limit, OnPublish, STEP_KINDS, Send, Step, Trigger,
    Until, WebhookStep,
};
use crate::policy::{Document, Period, Scoring, Topic, one_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The shortest wait: timers fire once a minute.
const SHORTEST: Period = Period::minutes(1);

/// The names that journeys may use.
pub(super) struct Known<'d> {
    pub(super) templates: BTreeMap<&'d str, Channel>,
    channels: BTreeSet<Channel>,
    topics: BTreeSet<&'d str>,
    pub(super) segments: BTreeSet<&'d str>,
    pub(super) names: &'d Names<'d>,
    pub(super) reps: BTreeSet<&'d str>,
    teams: BTreeMap<&'d str, Option<&'d Hours>>,
    calendars: BTreeSet<&'d str>,
    origins: BTreeSet<&'d str>,
    journeys: BTreeMap<&'d str, &'d Journey>,
}

impl<'d> Known<'d> {
    pub(super) fn of(documents: &'d [Document], words: &'d Names<'d>) -> Self {
        let names = |kinds: &[&str]| -> BTreeSet<&'d str> {
            documents.iter().filter(|d| kinds.contains(&d.kind())).map(Document::name).collect()
        };
        let mut known = Self {
            templates: BTreeMap::new(),
            channels: BTreeSet::from([Channel::Email]),
            topics: names(&["topic"]),
            segments: names(&["segment"]),
            names: words,
            reps: names(&["rep"]),
            teams: BTreeMap::new(),
            calendars: names(&["calendar"]),
            origins: names(&["form", "source"]),
            journeys: BTreeMap::new(),
        };
        known.topics.insert(Topic::SERVICE);
        for document in documents {
            match document {
                Document::Template(template) => {
                    known.templates.insert(&template.name, template.channel);
                }
                Document::Channel(channel) => {
                    known.channels.insert(channel.name);
                }
                Document::Team(team) => {
                    known.teams.insert(&team.name, team.hours.as_ref());
                }
                Document::Journey(journey) => {
                    known.journeys.insert(&journey.name, journey);
                }
                _ => {}
            }
        }
        known
    }
}

/// Where a step stands in its document.
pub(super) fn place<'a>(number: &'a str, step: &'a Step, inside: &[&'a str]) -> Vec<&'a str> {
    let head = ["steps", number].into_iter().chain(step.label.as_deref());
    head.chain([step.act.kind()]).chain(inside.iter().copied()).collect()
}

impl Checker {
    pub(super) fn journeys(&mut self, documents: &[Document], names: &Names<'_>) {
        let known = Known::of(documents, names);
        for (at, document) in documents.iter().enumerate() {
            if let Document::Journey(journey) = document {
                self.at = at;
                self.journey(journey, &known);
            }
        }
    }

    fn journey(&mut self, journey: &Journey, known: &Known<'_>) {
        for (many, count) in [("trigger", journey.trigger.len()), ("exit", journey.exit.len())] {
            if count > Journey::MAX_TRIGGERS {
                self.add(&[many], format!("at most {}", Journey::MAX_TRIGGERS));
            }
        }
        for (i, trigger) in journey.trigger.iter().enumerate() {
            self.trigger(&i.to_string(), trigger, known);
        }
        let by_event = journey.trigger.iter().any(|on| on.event.is_some() || on.form.is_some());
        self.when(&["entry", "when"], journey.entry.when.as_deref(), by_event, known);
        if let Again::Limited(limit) = journey.entry.again
            && !(1..=Limit::MOST).contains(&limit.at_most)
        {
            self.add(&["entry", "again", "at_most"], format!("1 to {}", Limit::MOST));
        }
        for (i, exit) in journey.exit.iter().enumerate() {
            let i = i.to_string();
            self.sign(&["exit", &i], exit.event.as_deref(), exit.when.as_deref(), known);
        }
        if let Some(goal) = &journey.goal {
            self.sign(&["goal"], goal.event.as_deref(), goal.when.as_deref(), known);
        }
        let labels = self.labels(journey);
        let names = step_names(&journey.steps);
        if let OnPublish::Migrate(steps) = &journey.on_publish {
            for (old, new) in steps {
                if !names.contains(new) {
                    let hint = one_of(new, names.iter().map(String::as_str));
                    let at = ["on_publish", "migrate", old.as_str()];
                    self.add_hinted(&at, format!("there is no step `{new}`"), hint);
                }
            }
        }
        for (i, step) in journey.steps.iter().enumerate() {
            self.journey_step(&i.to_string(), step, journey, known);
        }
        self.way(journey, &labels, known);
    }

    fn trigger(&mut self, i: &str, trigger: &Trigger, known: &Known<'_>) {
        let Trigger { event, form, segment, change, stage, date, when } = trigger;
        let given = [event.is_some(), form.is_some(), segment.is_some(), stage.is_some(), date.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            let message = "a trigger has exactly one of `event`, `form`, `segment`, `stage` and `date`";
            return self.add(&["trigger", i], message);
        }
        let at = |field: &'static str| ["trigger", i, field];
        if let Some(name) = event {
            self.event(&at("event"), name);
        }
        if let Some(name) = form {
            self.known(&at("form"), "form or source", name, &known.origins);
        }
        if let Some(name) = segment {
            self.known(&at("segment"), "segment", name, &known.segments);
        }
        if change.is_some() && segment.is_none() {
            self.add(&at("change"), "this is only read with `segment`");
        }
        if let Some(name) = stage {
            self.stage(&at("stage"), name, known);
        }
        if let Some(DateTrigger { fact, .. }) = date {
            self.fact(&["trigger", i, "date", "fact"], fact);
        }
        if when.is_some() && event.is_none() && form.is_none() {
            self.add(
                &at("when"),
                "only an event is looked at here; who enters is said by `entry: { when: … }`",
            );
        }
        self.when(&at("when"), when.as_deref(), true, known);
    }

    fn sign(&mut self, at: &[&str], event: Option<&str>, when: Option<&str>, known: &Known<'_>) {
        let field = |name| [at, &[name]].concat();
        match event {
            Some(name) => self.event(&field("event"), name),
            None if when.is_none() => self.add(at, "name an `event`, or a condition with `when`, or both"),
            None => {}
        }
        self.when(&field("when"), when, event.is_some(), known);
    }

    /// An event's name as events are looked up by it.
    pub(super) fn event(&mut self, at: &[&str], name: &str) {
        let key = key_of(name);
        if key.is_empty() || key != name {
            let key = if key.is_empty() { "order_completed" } else { &key };
            self.add(at, format!("events are written in lower case with `_`: `{key}`"));
        }
    }

    fn when(&mut self, at: &[&str], source: Option<&str>, sees_event: bool, known: &Known<'_>) {
        if let Some(source) = source {
            self.person(at, source, sees_event, known.names);
        }
    }

    fn stage(&mut self, at: &[&str], name: &str, known: &Known<'_>) {
        match known.names.stages() {
            Some(stages) => self.known(at, "stage", name, stages),
            None => self.add(at, "there is no `lifecycle` document, so there are no stages"),
        }
    }

    fn fact(&mut self, at: &[&str], name: &str) {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(good) {
            self.add(at, "a fact's name is 1 to 64 letters in lower case, digits or underscores");
        }
    }

    /// The labels of a journey and their places.
    fn labels<'j>(&mut self, journey: &'j Journey) -> BTreeMap<&'j str, usize> {
        let mut labels = BTreeMap::new();
        if journey.steps.is_empty() {
            self.add(&["steps"], "a journey needs at least one step");
        }
        if journey.steps.len() > Journey::MAX_STEPS {
            self.add(&["steps"], format!("at most {} steps", Journey::MAX_STEPS));
        }
        for (i, step) in journey.steps.iter().enumerate() {
            let Some(label) = step.label.as_deref() else { continue };
            let place = ["steps", &i.to_string()];
            let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
            if label.is_empty() || label.chars().count() > 40 || !label.chars().all(good) {
                self.add(&place, "a step's name is 1 to 40 letters, digits, dashes or underscores");
            }
            debug_assert!(!STEP_KINDS.contains(&label));
            if labels.insert(label, i).is_some() {
                self.add(&place, format!("there are two steps called `{label}`"));
            }
        }
        labels
    }

    fn journey_step(&mut self, number: &str, step: &Step, journey: &Journey, known: &Known<'_>) {
        let at = |inside: &[&'static str]| -> Vec<&str> { place(number, step, inside) };
        match &step.act {
            Act::Send(send) => self.send(&at(&[]), send, known),
            Act::Wait(length) => self.length(&at(&[]), *length),
            Act::WaitFor(wait) => {
                self.event(&at(&["event"]), &wait.event);
                self.when(&at(&["when"]), wait.when.as_deref(), true, known);
                self.length(&at(&["within"]), wait.within);
            }
            Act::UntilHours(until) => self.until(&at(&[]), until, known),
            Act::Branch(cases) => self.branch(&at(&[]), cases, known),
            Act::Split(arms) => {
                if arms.len() < 2 {
                    self.add(&at(&[]), "a split has at least two ways: `split: { a: 50, b: 50 }`");
                }
                for (label, weight) in arms {
                    if !(1..=1_000).contains(weight) {
                        let at = place(number, step, &[label]);
                        self.add(&at, "a weight is a whole number from 1 to 1000");
                    }
                }
            }
            Act::Set(facts) => {
                if facts.is_empty() {
                    self.add(&at(&[]), "name at least one fact");
                }
                for (fact, value) in facts {
                    let at = place(number, step, &[fact]);
                    self.fact(&at, fact);
                    if IdentityKind::ALL.iter().any(|kind| kind.name() == fact) {
                        self.add(&at, "this says who somebody is, which no journey can know");
                    }
                    if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                        self.add(&at, "a fact is text, a number, or true or false");
                    }
                }
            }
            Act::Tag(tag) => {
                self.tag(&at(&[]), &tag.name);
                if let Some(length) = tag.length {
                    self.length(&at(&["for"]), length);
                }
            }
            Act::Untag(tag) => self.tag(&at(&[]), tag),
            Act::Stage(stage) => self.stage(&at(&[]), stage, known),
            Act::Score(points) => {
                if points.interest == 0 || points.interest.abs() > Scoring::MAX_POINTS {
                    self.add(
                        &at(&["interest"]),
                        format!("points are -{0} to {0}, and not 0", Scoring::MAX_POINTS),
                    );
                }
            }
            Act::Notify(notify) => {
                self.addressee(&at(&[]), &notify.to, known);
                self.text(&at(&["text"]), notify.text.as_deref());
            }
            Act::Task(task) => {
                self.addressee(&at(&[]), &task.to, known);
                self.text(&at(&["title"]), Some(&task.title));
            }
            Act::Webhook(webhook) => self.webhook_step(&at(&[]), webhook),
            Act::Enrol(name) if *name == journey.name => {
                self.add(&at(&[]), "nobody enrols where they are; `goto` leads back to an earlier step");
            }
            Act::Enrol(name) => {
                let journeys = known.journeys.keys().copied().collect();
                self.known(&at(&[]), "journey", name, &journeys);
            }
            Act::Goto(_) | Act::End(_) => {}
        }
    }

    pub(super) fn send(&mut self, at: &[&str], send: &Send, known: &Known<'_>) {
        let field = |name| [at, &[name]].concat();
        let templates = known.templates.keys().copied().collect();
        self.known(&field("template"), "template", &send.template, &templates);
        self.known(&field("topic"), "topic", &send.topic, &known.topics);
        let of_template = known.templates.get(send.template.as_str()).copied();
        if let (Some(channel), Some(own)) = (send.channel, of_template)
            && channel != own
        {
            let message = format!("the template `{}` is for {}", send.template, own.name());
            self.add(&field("channel"), message);
        }
        if let Some(channel) =
            send.channel.or(of_template).filter(|channel| !known.channels.contains(channel))
        {
            self.add(at, format!("there is no document of the channel {}", channel.name()));
        }
        let replaces = [send.at_cap, send.in_quiet_hours].contains(&Some(Otherwise::Replace));
        match &send.replacement {
            None if replaces => {
                self.add(at, "`replace` needs `replacement: { channel: …, template: … }`");
            }
            Some(_) if !replaces => {
                self.add(
                    &field("replacement"),
                    "this is only read with `at_cap: replace` or `in_quiet_hours: replace`",
                );
            }
            Some(other) => {
                let place = [at, &["replacement", "template"]].concat();
                self.known(&place, "template", &other.template, &templates);
                let own = known.templates.get(other.template.as_str());
                if own.is_some_and(|own| *own != other.channel) {
                    let message =
                        format!("the template `{}` is not for {}", other.template, other.channel.name());
                    self.add(&place, message);
                }
                if send.channel.or(of_template) == Some(other.channel) {
                    let message = "what goes out instead has to go over another channel";
                    self.add(&[at, &["replacement", "channel"]].concat(), message);
                }
                if !known.channels.contains(&other.channel) {
                    let message = format!("there is no document of the channel {}", other.channel.name());
                    self.add(&[at, &["replacement", "channel"]].concat(), message);
                }
            }
            None => {}
        }
        if let Some(length) = send.within {
            self.length(&field("within"), length);
        }
    }

    fn until(&mut self, at: &[&str], until: &Until, known: &Known<'_>) {
        match until {
            Until::Team(name) => {
                let teams = known.teams.keys().copied().collect();
                self.known(at, "team", name, &teams);
                if known.teams.get(name.as_str()).is_some_and(Option::is_none) {
                    self.add(at, format!("the team `{name}` has no hours"));
                }
            }
            Until::Hours(hours) => {
                if hours.days.iter().all(|spans| spans.iter().next().is_none()) {
                    self.add(at, "these hours never come");
                }
                if let Some(name) = &hours.calendar {
                    self.known(&[at, &["calendar"]].concat(), "calendar", name, &known.calendars);
                }
            }
        }
    }

    fn branch(&mut self, at: &[&str], cases: &[Case], known: &Known<'_>) {
        if !cases.iter().any(|case| case.when.is_some()) {
            self.add(at, "a branch has at least one `{ when: …, then: … }`");
        }
        for (i, case) in cases.iter().enumerate() {
            let i_text = i.to_string();
            let place = [at, &[&i_text]].concat();
            match (&case.when, &case.then, &case.otherwise) {
                (Some(when), Some(_), None) => {
                    self.when(&[at, &[&i_text, "when"]].concat(), Some(when), false, known);
                }
                (None, None, Some(_)) if i + 1 == cases.len() => {}
                (None, None, Some(_)) => {
                    self.add(&place, "`else` is the last way: nothing after it is tried")
                }
                _ => self.add(&place, "a way is `{ when: …, then: … }`, the last may be `{ else: … }`"),
            }
        }
    }

    fn webhook_step(&mut self, at: &[&str], webhook: &WebhookStep) {
        if !is_private(&webhook.url) {
            self.add(&[at, &["url"]].concat(), "a webhook URL starts with https://");
        }
        self.secrets(&[at, &["secrets"]].concat(), &webhook.secrets);
        if webhook.secrets.is_empty() {
            self.add(&[at, &["secrets"]].concat(), "a webhook needs a secret to sign with");
        }
        for (i, fact) in webhook.facts.iter().enumerate() {
            self.fact(&[at, &["facts", &i.to_string()]].concat(), fact);
        }
    }

    pub(super) fn length(&mut self, at: &[&str], length: Period) {
        if length < SHORTEST {
            self.add(at, format!("at least {SHORTEST}: timers fire once a minute"));
        }
    }

    pub(super) fn tag(&mut self, at: &[&str], name: &str) {
        let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.chars().count() > 64 || !name.chars().all(good) {
            self.add(at, "a name is 1 to 64 letters, digits, dots, dashes or underscores");
        }
    }

    fn text(&mut self, at: &[&str], text: Option<&str>) {
        if text.is_some_and(|text| text.trim().is_empty() || text.chars().count() > 500) {
            self.add(at, "a text has 1 to 500 characters");
        }
    }

    fn addressee(&mut self, at: &[&str], to: &Addressee, known: &Known<'_>) {
        match to {
            Addressee::Owner => {}
            Addressee::Rep(name) => self.known(&[at, &["rep"]].concat(), "rep", name, &known.reps),
            Addressee::Team(name) => {
                let teams = known.teams.keys().copied().collect();
                self.known(&[at, &["team"]].concat(), "team", name, &teams);
            }
        }
    }

    /// Every label leads somewhere, every step can be reached, and nobody goes round in a circle within one instant.
    fn way(&mut self, journey: &Journey, labels: &BTreeMap<&str, usize>, known: &Known<'_>) {
        let steps = &journey.steps;
        let mut is_whole = true;
        for (i, step) in steps.iter().enumerate() {
            let number = i.to_string();
            for label in step.act.labels() {
                if !labels.contains_key(label) {
                    is_whole = false;
                    let hint = one_of(label, labels.keys().copied());
                    let at = label_place(&number, step, label);
                    let at: Vec<&str> = at.iter().map(String::as_str).collect();
                    self.add_hinted(&at, format!("there is no step called `{label}`"), hint);
                }
            }
        }
        // What cannot be reached may only follow from a label that is mistyped.
        if !is_whole {
            return;
        }
        let ways = Ways { steps, labels };
        let reached = ways.reached(0, &|_| true);
        for (i, step) in steps.iter().enumerate().filter(|(i, _)| !reached.contains(i)) {
            let number = i.to_string();
            self.add(&["steps", &number], format!("nothing leads to this step ({})", step.act.kind()));
        }
        for i in ways.circles() {
            let number = i.to_string();
            let message = "this leads round in a circle without a `wait` or `wait_for` on the way";
            self.add(&["steps", &number], message);
        }
        for (number, step) in ways.at_once() {
            if let Act::Enrol(other) = &step.act
                && leads_back(other, &journey.name, known)
            {
                let message = format!("`{other}` enrols people here again, without a wait on the way");
                self.add(&place(&number.to_string(), step, &[]), message);
            }
        }
    }
}

/// Where a step names a label.
fn label_place(number: &str, step: &Step, label: &str) -> Vec<String> {
    let inside = match &step.act {
        Act::WaitFor(_) => vec!["else".to_owned()],
        Act::Split(_) => vec![label.to_owned()],
        Act::Branch(cases) => {
            let at = cases.iter().position(|case| case.label() == Some(label)).unwrap_or_default();
            let field = if cases.get(at).is_some_and(|case| case.then.is_some()) { "then" } else { "else" };
            vec![at.to_string(), field.to_owned()]
        }
        _ => Vec::new(),
    };
    place(number, step, &[]).into_iter().map(str::to_owned).chain(inside).collect()
}

/// The ways from step to step.
pub(super) struct Ways<'j> {
    pub(super) steps: &'j [Step],
    pub(super) labels: &'j BTreeMap<&'j str, usize>,
}

impl<'j> Ways<'j> {
    pub(super) fn from(&self, at: usize) -> Vec<usize> {
        let Some(step) = self.steps.get(at) else { return Vec::new() };
        let jumps = step.act.labels().into_iter().filter_map(|label| self.labels.get(label).copied());
        let next = (step.act.falls_through() && at + 1 < self.steps.len()).then_some(at + 1);
        jumps.chain(next).collect()
    }

    /// Steps that are reached from one on, going on only from steps of which `passes` says so.
    pub(super) fn reached(&self, from: usize, passes: &dyn Fn(usize) -> bool) -> BTreeSet<usize> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            if at < self.steps.len() && reached.insert(at) && passes(at) {
                open.extend(self.from(at));
            }
        }
        reached
    }

    fn takes_no_time(&self, at: usize) -> bool {
        self.steps.get(at).is_some_and(|step| !step.act.takes_time())
    }

    /// The first step of each circle that takes no time.
    fn circles(&self) -> Vec<usize> {
        let mut told = BTreeSet::new();
        let mut circles = Vec::new();
        for at in (0..self.steps.len()).filter(|at| self.takes_no_time(*at)) {
            let after =
                self.from(at).into_iter().map(|next| self.reached(next, &|at| self.takes_no_time(at)));
            let round: BTreeSet<usize> = after.flatten().collect();
            if round.contains(&at) && !told.contains(&at) {
                circles.push(at);
                told.extend(round);
            }
        }
        circles
    }

    /// The steps that are begun the moment somebody enters.
    fn at_once(&self) -> impl Iterator<Item = (usize, &'j Step)> {
        let reached = self.reached(0, &|at| self.takes_no_time(at));
        reached.into_iter().filter_map(|at| Some((at, self.steps.get(at)?)))
    }
}

/// Whether entering `from` enrols people in `to` within one instant, by whatever detours.
fn leads_back(from: &str, to: &str, known: &Known<'_>) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        let Some(journey) = known.journeys.get(name.as_str()).filter(|_| seen.insert(name.clone())) else {
            continue;
        };
        let labelled = journey.steps.iter().enumerate();
        let labels = labelled.filter_map(|(i, step)| Some((step.label.as_deref()?, i))).collect();
        let ways = Ways { steps: &journey.steps, labels: &labels };
        open.extend(ways.at_once().filter_map(|(_, step)| match &step.act {
            Act::Enrol(other) => Some(other.clone()),
            _ => None,
        }));
    }
    false
}
