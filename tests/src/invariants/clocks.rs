//! What holds of response clocks.

use super::Books;
use crate::observe::Observed;
use std::collections::{BTreeMap, BTreeSet};

impl Books {
    /// I15: a clock takes a lead from nobody twice and at most as often as its limit says, each reminder is told once, and
    /// nothing is taken after a contact. I12: the counters of first contacts are those of the ledger.
    pub(super) fn clocks(&self, observed: &Observed, broken: &mut Vec<String>) {
        let mut contacts: BTreeMap<String, u64> = BTreeMap::new();
        for (id, lead) in &self.leads {
            let progress = &lead.progress;
            // Every team with a clock has this limit.
            if progress.reassignments() > 1 {
                broken.push(format!("I15: {id} was reassigned {} times", progress.reassignments()));
            }
            let mut silent: Vec<&str> = progress.silent().collect();
            silent.extend(progress.assignment.as_ref().map(|assignment| assignment.rep.as_str()));
            let distinct: BTreeSet<&str> = silent.iter().copied().collect();
            if distinct.len() != silent.len() {
                broken.push(format!("I15: {id} came to somebody twice: {silent:?}"));
            }
            let clocks = progress.past.iter().filter_map(|past| past.clock.as_ref()).chain(&progress.clock);
            for clock in clocks {
                let points: BTreeSet<u8> = clock.reminded.iter().map(|one| one.mark.point.value()).collect();
                if points.len() != clock.reminded.len() {
                    broken.push(format!("I15: a clock of {id} reminded twice at one point"));
                }
            }
            if progress.contact.is_some() && progress.running().is_some() {
                broken.push(format!("I15: the clock of {id} runs on after a contact"));
            }
            if let Some(contact) = &progress.contact {
                let team = contact.team.clone().unwrap_or_default();
                *contacts.entry(format!("{}#{team}#{}", lead.source, contact.rep)).or_default() += 1;
            }
        }
        for ((channel, id), n) in observed.handed.iter().filter(|((_, id), _)| id.contains("_reminder")) {
            let unknown = self.messages.iter().filter(|message| message.kind == "reminder");
            if *n > 1 + unknown.map(|message| message.unknown).max().unwrap_or(0) {
                broken.push(format!("I15: {id} was told {n} times by {channel}"));
            }
        }
        if self.counted != contacts {
            broken.push(format!(
                "I12: first contacts are counted as {:?}, the ledger has {contacts:?}",
                self.counted
            ));
        }
    }
}
