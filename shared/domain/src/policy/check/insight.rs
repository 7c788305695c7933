//! What is wrong with costs, alerts and how orders are credited.

use super::Checker;
use crate::insight::{Dimension, Key};
use crate::journey::names as step_names;
use crate::policy::{Alert, Attribution, Cost, Document, Settings};
use std::collections::BTreeSet;

impl Checker {
    pub(super) fn attribution(&mut self, attribution: &Attribution) {
        if attribution.half_life.millis() < 3_600_000 {
            self.add(&["attribution", "half_life"], "a half-life is at least an hour");
        }
        if attribution.window.millis() < 86_400_000 {
            self.add(&["attribution", "window"], "people are given at least a day, `1d`");
        }
    }

    pub(super) fn cost(&mut self, cost: &Cost, documents: &[Document]) {
        match cost.of.dimension() {
            Dimension::Source | Dimension::Ad => self.counted(&cost.of, documents),
            _ => {
                self.add(&["of"], "costs are those of a `source/NAME` or of an `ad/UTM_SOURCE/UTM_CAMPAIGN`")
            }
        }
        if cost.amount.hundredths() <= 0 {
            self.add(&["amount"], "an amount is more than 0");
        }
        if cost.last() < cost.from {
            self.add(&["to"], format!("{} is before {}", cost.last(), cost.from));
        } else if (cost.last() - cost.from).get_days() >= Cost::MAX_DAYS {
            self.add(&["to"], "more than ten years: is the year right?");
        }
        let settings = documents.iter().find_map(|document| match document {
            Document::Settings(settings) => Some(settings),
            _ => None,
        });
        let counted = settings.and_then(|settings: &Settings| settings.rfm.currency.as_deref());
        if let (Some(paid), Some(counted)) = (&cost.currency, counted)
            && !paid.eq_ignore_ascii_case(counted)
        {
            let message = format!("orders are counted in {counted}; write what it comes to in {counted}");
            self.add(&["currency"], message);
        }
    }

    pub(super) fn alert(&mut self, alert: &Alert, documents: &[Document]) {
        let kind = alert.of.dimension();
        let kinds = alert.measure.is_of();
        if kinds.contains(&kind) {
            self.counted(&alert.of, documents);
        } else {
            let known: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
            let measure = alert.measure.name();
            self.add(&["measure"], format!("`{measure}` is measured of: {}", known.join(", ")));
        }
        match (alert.above, alert.below) {
            (None, None) => self.add(&[], "an alert has a bound: `above`, `below` or both"),
            (Some(above), Some(below)) if above.value < below.value => {
                self.add(&["above"], "no number is right: `above` is less than `below`");
            }
            _ => {}
        }
        for (name, bound) in [("above", alert.above), ("below", alert.below)] {
            let Some(bound) = bound else { continue };
            match (alert.measure.is_part(), bound.is_part) {
                (true, false) => self.add(&[name], "this is a part of a hundred; write it like `2.5%`"),
                (false, true) => self.add(&[name], "this is a number, and no part of a hundred"),
                (true, true) if bound.value > 1.0 => self.add(&[name], "no part is more than 100%"),
                _ => {}
            }
        }
        if alert.least.is_some() && !alert.measure.is_part() {
            self.add(&["least"], "`least` is only read where the measure is a part of a hundred");
        }
        if alert.within.millis() % 86_400_000 != 0 || alert.days() > Alert::MAX_DAYS {
            self.add(&["within"], format!("whole days, `1d` to `{}d`", Alert::MAX_DAYS));
        }
        let reps = names("rep", documents);
        for (i, rep) in alert.tell.iter().enumerate() {
            self.known(&["tell", &i.to_string()], "rep", rep, &reps);
        }
    }

    /// More alerts than are looked at.
    pub(super) fn alerts(&mut self, documents: &[Document]) {
        let alerts =
            documents.iter().enumerate().filter(|(_, document)| matches!(document, Document::Alert(_)));
        if let Some((at, _)) = alerts.skip(Alert::MOST).last() {
            self.at = at;
            self.add(&["name"], format!("at most {} alerts", Alert::MOST));
        }
    }

    /// There is such a document, or step.
    fn counted(&mut self, key: &Key, documents: &[Document]) {
        let named = |kinds: &[&str]| -> BTreeSet<&str> {
            kinds.iter().flat_map(|kind| names(kind, documents)).collect()
        };
        match key {
            Key::Source(name) => self.known(&["of"], "form or source", name, &named(&["form", "source"])),
            Key::Team(name) => self.known(&["of"], "team", name, &named(&["team"])),
            Key::Rep(name) => self.known(&["of"], "rep", name, &named(&["rep"])),
            Key::Campaign(name, None) => self.known(&["of"], "campaign", name, &named(&["campaign"])),
            Key::Campaign(..) => self.add(&["of"], "a campaign as a whole, `campaign/NAME`"),
            Key::Journey(name) => self.known(&["of"], "journey", name, &named(&["journey"])),
            Key::Step(journey, step) => {
                self.known(&["of"], "journey", journey, &named(&["journey"]));
                let steps = documents.iter().find_map(|document| match document {
                    Document::Journey(one) if one.name == *journey => Some(step_names(&one.steps)),
                    _ => None,
                });
                if let Some(steps) = steps {
                    self.known(&["of"], "step", step, &steps.iter().map(String::as_str).collect());
                }
            }
            Key::Ad(..) | Key::Nothing => {}
        }
    }
}

fn names<'d>(kind: &str, documents: &'d [Document]) -> BTreeSet<&'d str> {
    documents.iter().filter(|document| document.kind() == kind).map(Document::name).collect()
}
