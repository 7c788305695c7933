//! Who sees what, and who is told: names of facts and events, who reports to whom, receivers of webhooks.

use super::{Checker, is_private};
use crate::event::key_of;
use crate::policy::{Access, Document, Subscription, Webhook};
use std::collections::{BTreeMap, BTreeSet};

impl Checker {
    pub(super) fn access(&mut self, access: &Access) {
        if access.name != "default" {
            self.add(&["name"], "the access document is called `default`");
        }
        for (role, facts) in access.masks.by_role() {
            for (i, fact) in facts.iter().enumerate() {
                // A fact with a namespace is named by its kind, and that as it is.
                let kind = fact.split('.').next().unwrap_or_default();
                if kind.is_empty() || key_of(kind) != kind {
                    let message =
                        format!("a fact is named as conditions name it, such as `{}`", key_of(fact));
                    self.add(&["masks", role, &i.to_string()], message);
                }
            }
        }
    }

    /// A receiver and what calls to it are signed with, at this place of the document.
    pub(super) fn receiver(&mut self, at: &[&str], webhook: &Webhook) {
        let place = |last: &'static str| [at, &[last]].concat();
        if !is_private(&webhook.url) {
            self.add(&place("url"), "a webhook URL starts with https://");
        }
        self.secrets(&place("secrets"), &webhook.secrets);
        if webhook.secrets.is_empty() {
            self.add(&place("secrets"), "a webhook needs a secret to sign with");
        }
    }

    pub(super) fn subscription(&mut self, subscription: &Subscription) {
        self.receiver(&[], &subscription.webhook());
        if subscription.events.is_empty() {
            self.add(&["events"], "name the events it is told of, or `*` for all of them");
        }
        for (i, event) in subscription.events.iter().enumerate() {
            if event != Subscription::ALL && (event.is_empty() || key_of(event) != *event) {
                let message = format!("an event is named as policies name it, such as `{}`", key_of(event));
                self.add(&["events", &i.to_string()], message);
            }
        }
    }

    /// Whoever is followed up from a rep is met once.
    pub(super) fn reporting(&mut self, documents: &[Document]) {
        let managers: BTreeMap<&str, &str> = documents
            .iter()
            .filter_map(|document| match document {
                Document::Rep(rep) => Some((rep.name.as_str(), rep.reports_to.as_deref()?)),
                _ => None,
            })
            .collect();
        for (at, document) in documents.iter().enumerate() {
            let Document::Rep(rep) = document else { continue };
            let mut met = BTreeSet::new();
            let mut next = managers.get(rep.name.as_str());
            while let Some(manager) = next.filter(|manager| met.insert(**manager)) {
                next = managers.get(manager);
            }
            if met.contains(rep.name.as_str()) {
                self.at = at;
                self.add(
                    &["reports_to"],
                    format!("{} would be their own manager, by way of others", rep.name),
                );
            }
        }
    }
}
