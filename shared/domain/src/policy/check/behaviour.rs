//! What is wrong with stages, scores, tiers and segments, and with what conditions say about them.

use super::Checker;
use crate::condition::Condition;
use crate::event::key_of;
use crate::live::Need;
use crate::policy::{Document, Grade, Lifecycle, Move, Scoring, Segment, Settings, one_of};
use std::collections::{BTreeMap, BTreeSet};

/// What conditions over a person see.
const PERSON: [&str; 8] = ["customer", "tags", "stage", "score", "rfm", "churn", "segments", "qualification"];

/// The parts of what has fixed ones.
const MEMBERS: [(&str, &[&str]); 4] = [
    ("score", &["fit", "fit_grade", "interest", "interest_grade"]),
    ("rfm", &["recency", "frequency", "money", "tier"]),
    ("qualification", &["need", "grade", "amount", "date", "missing"]),
    ("event", &["name", "kind", "source", "properties", "traits"]),
];

/// The words that documents give to stages, grades, tiers and segments.
pub(crate) struct Names<'a> {
    stages: Option<BTreeSet<&'a str>>,
    tiers: BTreeSet<&'a str>,
    fit: BTreeSet<&'a str>,
    interest: BTreeSet<&'a str>,
    segments: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    pub(crate) fn of(documents: &'a [Document]) -> Self {
        let mut names = Self {
            stages: None,
            tiers: BTreeSet::new(),
            fit: BTreeSet::new(),
            interest: BTreeSet::new(),
            segments: BTreeSet::new(),
        };
        let grades = |grades: &'a [Grade]| grades.iter().map(|grade| grade.name.as_str()).collect();
        for document in documents {
            match document {
                Document::Lifecycle(lifecycle) => {
                    names.stages = Some(lifecycle.stages.iter().map(String::as_str).collect());
                }
                Document::Scoring(scoring) => {
                    names.fit = grades(&scoring.fit.grades);
                    names.interest = grades(&scoring.interest.grades);
                }
                Document::Settings(settings) => {
                    names.tiers = settings.rfm.tiers.iter().map(|tier| tier.name.as_str()).collect();
                }
                Document::Segment(segment) => drop(names.segments.insert(&segment.name)),
                _ => {}
            }
        }
        names
    }

    /// The stages, if there is a document of them.
    pub(crate) const fn stages(&self) -> Option<&BTreeSet<&'a str>> {
        self.stages.as_ref()
    }

    fn words(&self, path: &str) -> Option<BTreeSet<&'a str>> {
        let mut words = match path {
            "stage" => return self.stages.clone(),
            "churn" => return Some(BTreeSet::from(["none", "warning", "high"])),
            "rfm.tier" => self.tiers.clone(),
            "score.fit_grade" => self.fit.clone(),
            _ => self.interest.clone(),
        };
        // Whoever has none of them.
        words.insert("");
        Some(words)
    }
}

impl Checker {
    /// A condition over a person, and an event too where there is one.
    pub(super) fn person(&mut self, at: &[&str], source: &str, with_event: bool, names: &Names<'_>) {
        let mut roots = PERSON.to_vec();
        roots.extend(with_event.then_some("event"));
        let Some(condition) = self.compiled(at, source, &roots) else { return };
        self.members(at, &condition);
        let looks = condition.looks();
        for (path, word) in &looks.words {
            match names.words(path) {
                Some(known) if !known.contains(word.as_str()) => {
                    self.known(
                        at,
                        &in_words(path),
                        word,
                        &known.into_iter().filter(|word| !word.is_empty()).collect(),
                    );
                }
                _ => {}
            }
        }
        for (_, segment) in looks.members.iter().filter(|(list, _)| *list == "segments") {
            self.known(at, "segment", segment, &names.segments);
        }
        for (ask, levels) in &looks.asks {
            let crate::condition::Ask::CountIn { window, .. } = ask else { continue };
            let many = levels.cuts.iter().any(|cut| *cut > Need::MOST as f64);
            if (levels.loose || many) && window.millis() > Need::MAX_DAYS * 86_400_000 {
                let message = format!(
                    "{ask} looks back {} days at most unless it is compared with a number below {}",
                    Need::MAX_DAYS,
                    Need::MOST
                );
                self.add(at, message);
            }
        }
    }

    fn members(&mut self, at: &[&str], condition: &Condition) {
        for path in condition.reads() {
            let mut parts = path.split('.');
            let root = parts.next().unwrap_or_default();
            let Some((_, known)) = MEMBERS.into_iter().find(|(name, _)| *name == root) else { continue };
            let message = match parts.next() {
                Some(member) if known.contains(&member) => continue,
                Some(member) => {
                    let hint = one_of(member, known.iter().copied());
                    return self.add_hinted(at, format!("there is no `{root}.{member}`"), hint);
                }
                // How it changes with time has to be known.
                None if root == "event" => continue,
                None => format!("write one of `{root}.{}`", known.join(&format!("`, `{root}."))),
            };
            return self.add(at, message);
        }
    }

    /// A condition over an event alone.
    fn filter(&mut self, at: &[&str], source: &str) {
        let Some(condition) = self.compiled(at, source, &["event"]) else { return };
        if let Some(ask) = condition.looks().asks.keys().next() {
            return self.add(at, format!("`where` sees the event alone, and no `{ask}`"));
        }
        self.members(at, &condition);
    }

    fn event_name(&mut self, at: &[&str], name: &str) {
        let key = key_of(name);
        if key.is_empty() || key.len() > 64 {
            self.add(at, "this is no event's name, such as `order_completed`");
        }
    }

    pub(super) fn lifecycle(&mut self, lifecycle: &Lifecycle, names: &Names<'_>) {
        if lifecycle.name != "default" {
            self.add(&["name"], "the lifecycle document is called `default`");
        }
        if lifecycle.stages.is_empty() {
            self.add(&["stages"], "a lifecycle needs at least one stage");
        }
        if lifecycle.stages.len() > Lifecycle::MAX_STAGES {
            self.add(&["stages"], format!("at most {} stages", Lifecycle::MAX_STAGES));
        }
        if lifecycle.moves.len() > Lifecycle::MAX_MOVES {
            self.add(&["moves"], format!("at most {} moves", Lifecycle::MAX_MOVES));
        }
        self.distinct("stages", &lifecycle.stages.iter().map(String::as_str).collect::<Vec<_>>(), None);
        let known: BTreeSet<&str> = lifecycle.stages.iter().map(String::as_str).collect();
        for (i, step) in lifecycle.moves.iter().enumerate() {
            let i = i.to_string();
            self.known(&["moves", &i, "to"], "stage", &step.to, &known);
            for (n, from) in step.from.iter().enumerate() {
                let at = ["moves", &i, "from", &n.to_string()];
                self.known(&at, "stage", from, &known);
                if *from == step.to {
                    self.add(&at, format!("a move from {from} to {from} moves nobody"));
                }
            }
            self.stage_move(&i, step, names);
        }
    }

    fn stage_move(&mut self, i: &str, step: &Move, names: &Names<'_>) {
        match (&step.on, &step.when) {
            (Some(event), None) => self.event_name(&["moves", i, "on"], event),
            (None, Some(when)) => self.person(&["moves", i, "when"], when, false, names),
            _ => self.add(
                &["moves", i],
                "a move has either `on`, an event, or `when`, a condition over the person",
            ),
        }
        if let Some(filter) = &step.filter {
            match step.on {
                Some(_) => self.filter(&["moves", i, "where"], filter),
                None => self.add(&["moves", i, "where"], "`where` is only read with `on`"),
            }
        }
    }

    pub(super) fn scoring(&mut self, scoring: &Scoring) {
        if scoring.name != "default" {
            self.add(&["name"], "the scoring document is called `default`");
        }
        let half_life = scoring.interest.half_life.0.millis();
        if half_life < 3_600_000 {
            self.add(&["interest", "half_life"], "a half-life is at least an hour");
        }
        for (axis, grades) in [("fit", &scoring.fit.grades), ("interest", &scoring.interest.grades)] {
            let names: Vec<&str> = grades.iter().map(|grade| grade.name.as_str()).collect();
            self.distinct(axis, &names, Some("grades"));
        }
        if scoring.fit.rules.len() > Scoring::MAX_RULES {
            self.add(&["fit", "rules"], format!("at most {} rules", Scoring::MAX_RULES));
        }
        if scoring.interest.rules.len() > Scoring::MAX_RULES {
            self.add(&["interest", "rules"], format!("at most {} rules", Scoring::MAX_RULES));
        }
        for (i, rule) in scoring.fit.rules.iter().enumerate() {
            let i = i.to_string();
            self.rule("fit", &i, &rule.name, rule.points);
            let at = ["fit", "rules", &i, "when"];
            if let Some(condition) = self.compiled(&at, &rule.when, &["customer", "qualification"]) {
                self.members(&at, &condition);
                if let Some(ask) = condition.looks().asks.keys().next() {
                    self.add(&at, format!("fit goes by what is known of somebody, and no `{ask}`"));
                }
            }
        }
        for (i, rule) in scoring.interest.rules.iter().enumerate() {
            let i = i.to_string();
            self.rule("interest", &i, &rule.name, rule.points);
            self.event_name(&["interest", "rules", &i, "on"], &rule.on);
            if let Some(filter) = &rule.filter {
                self.filter(&["interest", "rules", &i, "where"], filter);
            }
        }
    }

    fn rule(&mut self, axis: &str, i: &str, name: &str, points: i32) {
        if name.is_empty() || name.len() > 64 {
            self.add(&[axis, "rules", i, "name"], "a rule's name has 1 to 64 bytes");
        }
        if points == 0 || points.abs() > Scoring::MAX_POINTS {
            let message = format!("points are 1 to {} or -1 to -{0}", Scoring::MAX_POINTS);
            self.add(&[axis, "rules", i, "points"], message);
        }
    }

    /// Names that conditions compare with: none twice, none empty.
    fn distinct(&mut self, field: &str, names: &[&str], list: Option<&str>) {
        let mut seen = BTreeSet::new();
        for (i, name) in names.iter().enumerate() {
            let i = i.to_string();
            let path: Vec<&str> = match list {
                Some(list) => vec![field, list, &i, "name"],
                None => vec![field, &i],
            };
            if name.is_empty() || name.len() > 64 {
                self.add(&path, "a name has 1 to 64 bytes");
            } else if !seen.insert(*name) {
                self.add(&path, format!("{name} is here twice"));
            }
        }
    }

    pub(super) fn worth(&mut self, settings: &Settings) {
        let names: Vec<&str> = settings.rfm.tiers.iter().map(|tier| tier.name.as_str()).collect();
        self.distinct("rfm", &names, Some("tiers"));
        for (i, tier) in settings.rfm.tiers.iter().enumerate() {
            if tier.recency.is_none() && tier.frequency.is_none() && tier.money.is_none() {
                let message = "a tier asks for at least one of `recency`, `frequency` and `money`";
                self.add(&["rfm", "tiers", &i.to_string()], message);
            }
        }
        if settings
            .rfm
            .currency
            .as_ref()
            .is_some_and(|code| code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()))
        {
            self.add(&["rfm", "currency"], "a currency is three letters, `EUR`");
        }
        let Some(churn) = &settings.churn else { return };
        if churn.warning == 0 || churn.high <= churn.warning {
            self.add(&["churn", "high"], "`warning` is at least 1, and `high` is more");
        }
        if !(2..=12).contains(&churn.least) {
            self.add(&["churn", "least"], "this is 2 to 12 active days");
        }
        for (i, name) in churn.events.iter().enumerate() {
            self.event_name(&["churn", "events", &i.to_string()], name);
        }
    }

    /// A segment that depends on itself, by way of others or not, has no meaning.
    pub(super) fn circles(&mut self, documents: &[Document]) {
        let segments: Vec<(usize, &Segment)> = documents
            .iter()
            .enumerate()
            .filter_map(|(at, document)| match document {
                Document::Segment(segment) => Some((at, segment)),
                _ => None,
            })
            .collect();
        let mut reads: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (at, segment) in &segments {
            let Ok(condition) = Condition::compile(&segment.when) else { continue };
            self.at = *at;
            if condition.looks().lists.contains("segments") {
                self.add(&["when"], "a segment names those it asks for, as in `\"vip\" in segments`");
            }
            let members = condition.looks().members.iter().filter(|(list, _)| *list == "segments");
            reads.insert(&segment.name, members.map(|(_, name)| name.clone()).collect());
        }
        for (at, segment) in &segments {
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let mut next: Vec<&str> = vec![&segment.name];
            while let Some(name) = next.pop() {
                for read in reads.get(name).into_iter().flatten() {
                    if seen.insert(read) {
                        next.push(read);
                    }
                }
            }
            if seen.contains(segment.name.as_str()) {
                self.at = *at;
                let message = format!("{} depends on itself", segment.name);
                self.add(&["when"], message);
            }
        }
    }
}

fn in_words(path: &str) -> String {
    match path {
        "rfm.tier" => "tier".to_owned(),
        "score.fit_grade" => "grade of fit".to_owned(),
        "score.interest_grade" => "grade of interest".to_owned(),
        other => other.to_owned(),
    }
}
