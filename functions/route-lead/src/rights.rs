//! What a person has a right to while their leads are routed: that their consent is written down, and that a lead which was on
//! its way when they were erased goes with them.

use crate::Router;
use crate::batch::Work;
use sluice_domain::erasure::is_too_late;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Facts, Lead, LeadState, consented};
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_wire::queue::{EraseMessage, encode};

impl Router {
    /// Leads that it is not too late for; the others are handed on to be erased.
    pub(crate) fn in_time(
        works: Vec<Work>,
        policies: &PolicySet,
        now: Timestamp,
        handed: &mut Vec<(LeadId, Vec<Outgoing>)>,
    ) -> Vec<Work> {
        let shared_after = policies.settings.shared_after as usize;
        let (late, in_time): (Vec<Work>, Vec<Work>) = works.into_iter().partition(|work| {
            let has_customer = work.lead.progress.customer.as_ref();
            let lives = has_customer.is_some_and(|customer| work.known.customers.contains_key(customer));
            !lives && is_too_late(work.lead.received, &work.facts.identities, &work.known, shared_after)
        });
        handed.extend(late.into_iter().map(|work| {
            let id = work.lead.id;
            let body = encode(&EraseMessage::Lead(id.clone()));
            let message = Outgoing { queue: QueueName::Erase, id: id.to_string(), body, not_before: now };
            (id, vec![message])
        }));
        in_time
    }

    /// Writes down what the consent box of a lead says that came to `state`. `before` says that another delivery may have done
    /// so already.
    pub(crate) async fn note_consent(
        &self,
        lead: &Lead,
        state: LeadState,
        facts: &Facts,
        policies: &PolicySet,
        before: bool,
    ) -> Result<(), String> {
        if !lead.envelope.consent.as_ref().is_some_and(|consent| consent.given) {
            return Ok(());
        }
        let captured = match lead.manifest == policies.version {
            true => None,
            false => Some(self.policies.at(lead.manifest).await.map_err(|error| error.to_string())?),
        };
        let wishes = consented(lead, state, facts, captured.as_deref().unwrap_or(policies), policies);
        let keys = self.secrets.hash_keys().await.map_err(|error| error.to_string())?;
        self.store.record_consent(&wishes, &keys, before).await.map_err(|error| error.to_string())
    }

    /// The same for a lead that an earlier delivery decided, which may have ended before this.
    pub(crate) async fn note_consent_again(&self, lead: &Lead, policies: &PolicySet) -> Result<(), String> {
        let reading = policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
        self.note_consent(lead, lead.progress.state, &facts, policies, true).await
    }
}
