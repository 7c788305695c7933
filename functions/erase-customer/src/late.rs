//! A lead that was on its way when its person was erased: it would have been theirs, so it goes as well.

use crate::{ATTEMPTS, Eraser, text};
use sluice_domain::erasure::{is_too_late, traces};
use sluice_domain::id::{CustomerId, LeadId};
use sluice_domain::lead::{Lead, LeadState};
use sluice_host::metrics::Metrics;
use sluice_host::outbox::QueueName;
use sluice_store::{Commit, Written};
use sluice_wire::queue::{LeadMessage, encode};
use std::collections::BTreeSet;

/// What became of a lead.
enum Went {
    /// It is erased.
    Away,
    /// It is not too late for it.
    On,
    /// Somebody else was faster.
    Nowhere,
}

impl Eraser {
    /// Erases the lead, if it is too late for it. Beside one that is erased nothing may lie.
    pub(crate) async fn late(&self, id: &LeadId) -> Result<(), String> {
        for attempt in 1..=ATTEMPTS {
            let Some(lead) = self.store.lead(id).await.map_err(text)? else { return Ok(()) };
            if lead.progress.state == LeadState::Erased {
                return self.erased(id).await;
            }
            if let Some(customer) = &lead.progress.customer {
                // One that was decided belongs to somebody, with whom it stays or goes.
                return self.person(customer.clone()).await;
            }
            match self.forget(&lead).await? {
                // What lies beside it goes with the next look.
                Went::Away => {}
                Went::On => {
                    let body = encode(&LeadMessage::Lead(id.clone()));
                    return self.send(QueueName::Lead, id.to_string(), body).await;
                }
                Went::Nowhere => self.pause(attempt).await,
            }
        }
        Err("too much contention".to_owned())
    }

    async fn forget(&self, lead: &Lead) -> Result<Went, String> {
        let (policies, facts) = self.read(lead).await?;
        let keys = self.hash_keys().await?;
        let known = self.store.known(&[facts.identities.as_slice()], &keys).await.map_err(text)?;
        let known = known.into_iter().next().unwrap_or_default();
        let shared_after = policies.settings.shared_after as usize;
        let asked = known.erased.iter().flatten().max().copied();
        let is_too_late = is_too_late(lead.received, &facts.identities, &known, shared_after);
        let Some(at) = asked.filter(|_| is_too_late) else { return Ok(Went::On) };
        // What it has claimed for a customer of its own, who never came to be.
        let own = CustomerId::derived(&[lead.id.as_str()]);
        let holders: BTreeSet<CustomerId> =
            Some(own).filter(|own| !known.customers.contains_key(own)).into_iter().collect();
        let traces = traces(lead, &facts, &keys);
        self.store.forget_addresses(&traces.addresses, &holders, at).await.map_err(text)?;
        self.store.forget_lookalikes(&traces.blocks, &holders).await.map_err(text)?;
        if self.store.commit(Commit::default().erased_lead(lead)).await.map_err(text)? == Written::Conflict {
            return Ok(Went::Nowhere);
        }
        let now = self.env.clock.now();
        Metrics::new().count("Ended", 1).by("State", LeadState::Erased.name()).emit(&self.env, now);
        Ok(Went::Away)
    }
}
