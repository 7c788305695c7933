//! What is told of leads, journeys and campaigns, and how often.

use super::{Books, LeadItem};
use crate::observe::Observed;
use crate::scenarios::company::{GONE, channels};
use sluice_domain::clock::{Past, PastEnd};
use sluice_domain::lead::LeadState;
use sluice_domain::message::MessageState;
use sluice_store::{NoticeRecord, keys};
use std::collections::BTreeSet;

impl Books {
    /// What a journey tells somebody is in their list, and was handed over as often as that says.
    fn was_told_by_a_journey(&self, observed: &Observed, channel: &str, id: &str) -> bool {
        let handed = observed.handed.iter().filter(|((by, name), _)| *by == channel && name == id);
        let handed = handed.map(|(_, n)| *n).max().unwrap_or(0);
        // As the sender of webhooks writes an id that has a dot.
        let plain = id.replace("=2e", ".").replace("=3d", "=");
        self.messages.iter().any(|record| {
            let is_theirs =
                record.customer.as_ref().is_some_and(|customer| id.starts_with(customer.as_str()));
            let is_it = id.ends_with(&record.rep) || record.sort_key.contains(&keys::told_as(&plain));
            let place = (record.rep.clone(), record.sort_key.clone());
            let again = observed.again.get(&place).copied().unwrap_or(0);
            let is_over = record.state == MessageState::Sent && handed <= 1 + again + record.unknown;
            is_theirs && is_it && record.channel == channel && is_over
        })
    }

    /// Whether a message tells of an assignment that stood until somebody gave the lead to another.
    fn was_given_away(&self, observed: &Observed, id: &str) -> bool {
        let given = |lead: &String| self.leads.get(lead).is_some_and(|lead| reassigned(lead) > 0);
        observed.assigned.iter().filter(|(lead, _)| given(lead)).any(|(lead, reps)| {
            let mut reps = reps.iter().filter_map(|rep| rep.split_once('#'));
            reps.any(|(rep, n)| *id == format!("{lead}_assigned_{n}_{rep}"))
        })
    }

    /// Whether a message tells of a lead that was erased since.
    fn is_erased(&self, id: &str) -> bool {
        let erased = |lead: &LeadItem| lead.progress.state == LeadState::Erased;
        self.leads.iter().any(|(lead, item)| erased(item) && id.starts_with(lead.as_str()))
    }

    /// I3: everybody is told once.
    pub(super) fn told(&self, observed: &Observed, broken: &mut Vec<String>) {
        let mut expected: BTreeSet<(String, String, &str)> = BTreeSet::new();
        for (id, lead) in &self.leads {
            // Imported without telling anybody: what people did with it since is told.
            let is_quiet = lead.progress.import.as_ref().is_some_and(|import| import.quiet);
            if is_quiet && lead.progress.assignment.as_ref().is_none_or(|assignment| assignment.n == 1) {
                continue;
            }
            if let Some(assignment) = self.assignment(id) {
                for channel in channels(&assignment.rep) {
                    expected.insert((
                        format!("{id}_assigned_{}_{}", assignment.n, assignment.rep),
                        id.clone(),
                        channel,
                    ));
                }
            }
            if lead.progress.state == LeadState::Escalated {
                let n = lead.progress.next_n() - 1;
                expected.insert((format!("{id}_escalated_{n}_boss"), id.clone(), "email"));
            }
        }
        for (name, lead, channel) in &expected {
            let rep = name.rsplit('_').next().unwrap_or_default();
            let kind = if name.contains("_escalated_") { "escalated" } else { "assigned" };
            let records: Vec<&NoticeRecord> = self
                .messages
                .iter()
                .filter(|m| {
                    m.rep == rep
                        && m.lead.as_ref().is_some_and(|of| of.as_str() == lead)
                        && m.kind == kind
                        && m.channel == *channel
                })
                .collect();
            if rep == GONE {
                // Refused by the receiver, or not asked any more once that is known.
                let over = [MessageState::Failed, MessageState::Skipped];
                let is_over = matches!(records.as_slice(), [record] if over.contains(&record.state));
                if !is_over {
                    broken.push(format!("I3: {name}, whose receiver is gone, is {records:?}"));
                }
                continue;
            }
            let sent: Vec<&&NoticeRecord> =
                records.iter().filter(|m| m.state == MessageState::Sent).collect();
            let handed = observed.handed.get(&(*channel, name.clone())).copied().unwrap_or(0);
            let [record] = sent.as_slice() else {
                broken.push(format!(
                    "I3: {name} by {channel} has {} sent messages of {}",
                    sent.len(),
                    records.len()
                ));
                continue;
            };
            if handed == 0 {
                broken.push(format!("I3: {name} by {channel} is called sent and was not handed over"));
            }
            if handed > record.attempts || (*channel == "email" && handed > 1 + record.unknown) {
                broken.push(format!(
                    "I3: {name} by {channel} was handed over {handed} times in {} attempts, {} of them unknown",
                    record.attempts, record.unknown
                ));
            }
        }
        for message in &self.messages {
            if !message.state.is_final() {
                broken.push(format!("I3: {} {} stays {:?}", message.rep, message.sort_key, message.state));
            }
        }
        for (channel, id) in observed.handed.keys().filter(|(_, id)| !id.starts_with("ms_")) {
            let of_past = id.contains("_escalated_")
                || id.contains("_reminder")
                || self.was_given_away(observed, id)
                || self.was_told_by_a_journey(observed, channel, id)
                || self.is_halt(id)
                || self.is_erased(id);
            if !of_past && !expected.iter().any(|(name, _, by)| name == id && by == channel) {
                broken.push(format!("I3: {id} was told by {channel} and is not so"));
            }
        }
    }

    /// Whether it tells that a campaign was stopped, and is written down.
    fn is_halt(&self, id: &str) -> bool {
        let is_sent = |notice: &NoticeRecord| notice.kind == "halt" && notice.state == MessageState::Sent;
        id.starts_with("halt-") && self.messages.iter().any(is_sent)
    }
}

/// How often people or a clock gave a lead to somebody else.
pub(super) fn reassigned(lead: &LeadItem) -> usize {
    let taken = |past: &&Past| matches!(past.end, PastEnd::Silent { .. });
    let by_hand =
        lead.progress.acts.iter().filter(|act| matches!(act.what.as_str(), "reassign" | "rebalance"));
    by_hand.count() + lead.progress.past.iter().filter(taken).count()
}
