//! What a person has a right to while their leads are routed: that their consent is written down, that they are asked whether
//! they meant it where that is wanted, and that a lead which was on its way when they were erased goes with them.

use crate::batch::Work;
use crate::{ATTEMPTS, Router};
use sluice_domain::customer::HashKeys;
use sluice_domain::erasure::is_too_late;
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::{self, Consented, Facts, Lead, LeadState, consented, depends_on_erasure, question};
use sluice_domain::message::Message;
use sluice_domain::policy::PolicySet;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Commit, Written};
use sluice_wire::queue::{EraseMessage, OrderMessage, encode};
use std::collections::BTreeSet;

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

    /// Writes down what the consent box of a lead says that came to `state`, and answers with the questions whether it was
    /// meant, which are stored and to be handed on. `before` says that another delivery may have done so already.
    pub(crate) async fn note_consent(
        &self,
        lead: &Lead,
        state: LeadState,
        (facts, customer): (&Facts, Option<&CustomerId>),
        policies: &PolicySet,
        before: bool,
    ) -> Result<Vec<Outgoing>, String> {
        if !lead.envelope.consent.as_ref().is_some_and(|consent| consent.given) {
            return Ok(Vec::new());
        }
        let captured = match lead.manifest == policies.version {
            true => None,
            false => Some(self.policies.at(lead.manifest).await.map_err(|error| error.to_string())?),
        };
        let wishes = consented(lead, state, facts, captured.as_deref().unwrap_or(policies), policies);
        let keys = self.secrets.hash_keys().await.map_err(|error| error.to_string())?;
        self.store.record_consent(&wishes, &keys, before).await.map_err(|error| error.to_string())?;
        let mut asked = Vec::new();
        let Some(customer) = customer else { return Ok(asked) };
        for wish in &wishes {
            let was_erased =
                depends_on_erasure(&wish.proof, policies) && self.was_erased(wish, &keys).await?;
            if let Some(message) = question(wish, state, facts, customer, policies, was_erased) {
                asked.extend(self.ask(message).await?);
            }
        }
        Ok(asked)
    }

    /// Whether the person of the address that a wish is about was ever erased.
    async fn was_erased(&self, wish: &Consented, keys: &HashKeys) -> Result<bool, String> {
        let gates = self.store.gates(&[(wish.channel, keys.hashes(&wish.address))]).await;
        let gates = gates.map_err(|error| error.to_string())?;
        Ok(gates.iter().any(|record| record.gate.erased.is_some()))
    }

    /// Stores a question with the address it goes to, unless an earlier delivery did. Nothing is asked of a person who was
    /// erased since.
    async fn ask(&self, message: Message) -> Result<Option<Outgoing>, String> {
        let customer = message.order.customer.clone();
        for attempt in 1..=ATTEMPTS {
            let commit = Commit::default().message(message.clone()).standing_customer(&customer);
            let written = self.store.commit(commit).await.map_err(|error| error.to_string())?;
            let asked_before =
                async || self.store.has_message(&message.id()).await.map_err(|error| error.to_string());
            if written == Written::Done || asked_before().await? {
                let body = encode(&OrderMessage::new(message.order.clone()));
                let id = message.id().to_string();
                let not_before = message.order.at;
                return Ok(Some(Outgoing { queue: QueueName::Message, id, body, not_before }));
            }
            let known = self.store.customers(&BTreeSet::from([customer.clone()])).await;
            if known.map_err(|error| error.to_string())?.is_empty() {
                return Ok(None);
            }
            self.pause(attempt).await;
        }
        Err("too much contention on a customer".to_owned())
    }

    /// The same for a lead that an earlier delivery decided, which may have ended before this.
    pub(crate) async fn note_consent_again(
        &self,
        lead: &Lead,
        policies: &PolicySet,
    ) -> Result<Vec<Outgoing>, String> {
        let reading = policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
        let known = (&facts, lead.progress.customer.as_ref());
        self.note_consent(lead, lead.progress.state, known, policies, true).await
    }
}
