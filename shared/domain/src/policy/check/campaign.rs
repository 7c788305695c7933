//! Checks of campaigns: whom they name, what they send, and what fits together.

use super::journey::Known;
use super::{Checker, Names};
use crate::policy::campaign::{At, Campaign, Recurring};
use crate::policy::{Document, Period};
use std::collections::BTreeSet;

/// The shortest test: people have to have opened something.
const SHORTEST_TEST: Period = Period::minutes(10);

impl Checker {
    pub(super) fn campaigns(&mut self, documents: &[Document], names: &Names<'_>) {
        let known = Known::of(documents, names);
        for (at, document) in documents.iter().enumerate() {
            if let Document::Campaign(campaign) = document {
                self.at = at;
                self.campaign(campaign, &known);
            }
        }
    }

    fn campaign(&mut self, campaign: &Campaign, known: &Known<'_>) {
        self.audience(campaign, known);
        self.send(&["send"], &campaign.send, known);
        self.variants(campaign, known);
        if campaign.rate.is_some_and(|rate| !(1..=Campaign::MAX_RATE).contains(&rate)) {
            self.add(&["rate"], format!("1 to {} messages a second", Campaign::MAX_RATE));
        }
        if let Some(spread) = campaign.spread {
            self.length(&["spread"], spread);
            if spread > Campaign::MAX_SPREAD {
                self.add(&["spread"], format!("at most {}", Campaign::MAX_SPREAD));
            }
        }
        if let Some(goal) = &campaign.goal {
            self.event(&["goal", "event"], &goal.event);
            self.length(&["goal", "within"], goal.within);
        }
        if let Some(stop_if) = &campaign.stop_if {
            let rails = [&stop_if.bounce_rate, &stop_if.complaint_rate, &stop_if.unsubscribe_rate];
            if rails.iter().all(|rail| rail.is_none()) {
                let message = "write at least one of `bounce_rate`, `complaint_rate` and `unsubscribe_rate`";
                self.add(&["stop_if"], message);
            }
            if stop_if.after == Some(0) {
                self.add(&["stop_if", "after"], "at least 1 message");
            }
        }
        for (i, rep) in campaign.tell.iter().enumerate() {
            self.known(&["tell", &i.to_string()], "rep", rep, &known.reps);
        }
    }

    fn audience(&mut self, campaign: &Campaign, known: &Known<'_>) {
        let audience = &campaign.audience;
        match (&audience.segment, &audience.list, &audience.query) {
            (Some(segment), None, None) => {
                self.known(&["audience", "segment"], "segment", segment, &known.segments);
            }
            (None, Some(list), None) => self.tag(&["audience", "list"], list),
            (None, None, Some(query)) => self.person(&["audience", "query"], query, false, known.names),
            _ => self.add(&["audience"], "an audience is exactly one of `segment`, `list` and `query`"),
        }
    }

    fn variants(&mut self, campaign: &Campaign, known: &Known<'_>) {
        let Campaign { variants, winner, .. } = campaign;
        if !variants.is_empty() && !(2..=Campaign::MAX_VARIANTS).contains(&variants.len()) {
            self.add(&["variants"], format!("2 to {} variants", Campaign::MAX_VARIANTS));
        }
        let mut names = BTreeSet::new();
        for (i, variant) in variants.iter().enumerate() {
            let i = i.to_string();
            self.tag(&["variants", &i, "name"], &variant.name);
            if !names.insert(&variant.name) {
                self.add(&["variants", &i, "name"], format!("{} is here twice", variant.name));
            }
            if !(1..=100).contains(&variant.weight) {
                self.add(&["variants", &i, "weight"], "a weight is a whole number from 1 to 100");
            }
            let Some(template) = &variant.template else { continue };
            let templates = known.templates.keys().copied().collect();
            self.known(&["variants", &i, "template"], "template", template, &templates);
            let channel = |name: &str| known.templates.get(name).copied();
            if let (Some(own), Some(all)) = (channel(template), channel(&campaign.send.template))
                && own != all
            {
                let message =
                    format!("the template `{template}` is for {}, `send` is for {}", own.name(), all.name());
                self.add(&["variants", &i, "template"], message);
            }
        }
        let Some(winner) = winner else { return };
        if variants.is_empty() {
            self.add(&["winner"], "a winner needs `variants`");
        }
        if winner.after < SHORTEST_TEST {
            self.add(&["winner", "after"], format!("a test takes at least {SHORTEST_TEST}"));
        }
        let is_local = matches!(campaign.at, At::Local(_) | At::Every(Recurring { zone: None, .. }));
        if is_local {
            let message =
                "a winner needs one time for all: in each recipient's zone the test would end at another";
            self.add(&["winner"], message);
        }
    }
}
