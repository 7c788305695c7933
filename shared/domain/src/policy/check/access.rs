//! Who sees what: names of facts, and who reports to whom.

use super::Checker;
use crate::event::key_of;
use crate::policy::{Access, Document};
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
