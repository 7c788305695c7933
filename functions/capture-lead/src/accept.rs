//! Into the ledger and onto the queue.

use crate::unavailable;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{Lead, MarkKind, TWICE_MS};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{Outbox, Outgoing, QueueName};
use sluice_store::{Accepted, Mark, Store, StoreError};
use sluice_wire::problem::Problem;
use sluice_wire::queue::{EnrichMessage, EraseMessage, LeadMessage, encode};

pub(crate) struct Ledger {
    pub(crate) store: Store,
    pub(crate) outbox: Outbox,
    pub(crate) env: Environment,
}

impl Ledger {
    /// The id of a post that names nobody: of one whose button was pressed twice that of the first.
    pub(crate) async fn id_of_post(
        &self,
        post: &str,
        fresh: &LeadId,
        now: Timestamp,
    ) -> Result<LeadId, Problem> {
        self.store.id_of_post(post, fresh, now, TWICE_MS).await.map_err(|error| {
            tracing::error!(%error, "post not claimed");
            unavailable()
        })
    }

    /// Puts one lead into the ledger; it still has to be handed on. Whether its sender `named` it, or it is a post that may come
    /// twice, says if its id can have been there.
    pub(crate) async fn put(&self, lead: &Lead, named: bool) -> Result<Accepted, Problem> {
        let accepted = match named {
            true => self.store.accept_named_lead(lead).await,
            false => self.store.accept_lead(lead).await,
        };
        accepted.map_err(|error| {
            tracing::error!(lead = %lead.id, %error, "lead not stored");
            unavailable()
        })
    }

    /// Puts a lead into the ledger that a robot sent: it has ended.
    pub(crate) async fn put_spam(&self, lead: &Lead) -> Result<Accepted, Problem> {
        let accepted = self.store.accept_ended_lead(lead).await.map_err(|error| {
            tracing::error!(lead = %lead.id, %error, "lead not stored");
            unavailable()
        })?;
        if accepted == Accepted::New {
            let (now, source) = (self.env.clock.now(), &lead.origin.name);
            let counted = Metrics::new().count("Accepted", 1).count("Spam", 1);
            counted.by("Source", source).emit(&self.env, now);
            Metrics::new().count("Ended", 1).by("State", lead.progress.state.name()).emit(&self.env, now);
        }
        Ok(accepted)
    }

    /// Writes down what a sender says of a lead. One that is withdrawn is handed on to be erased.
    pub(crate) async fn mark(&self, lead: &LeadId, mark: Mark) -> Result<(), Problem> {
        let failed = |error: StoreError| {
            tracing::error!(%lead, %error, "mark not stored");
            unavailable()
        };
        self.store.put_mark(lead, mark).await.map_err(failed)?;
        if mark.kind != MarkKind::Withdrawn {
            return Ok(());
        }
        let body = encode(&EraseMessage::Withdrawn(lead.clone()));
        let id = format!("withdrawn-{lead}");
        let message = Outgoing { queue: QueueName::Erase, id, body, not_before: mark.at };
        self.outbox.hand_over(vec![message], mark.at).await.map_err(failed)
    }

    /// Counts leads that are new. As soon as they are in the ledger: whatever fails then, they are known when they come again.
    pub(crate) fn count(&self, source: &str, new: usize) {
        if new > 0 {
            Metrics::new().count("Accepted", new).by("Source", source).emit(&self.env, self.env.clock.now());
        }
    }

    /// Hands leads on to their queues. Leads that were known are handed on again: the call that stored them may have
    /// died before, and consumers drop what they have done.
    pub(crate) async fn hand_on(&self, leads: &[Lead]) -> Result<(), Problem> {
        let now = self.env.clock.now();
        let messages = leads.iter().map(|lead| outgoing(&lead.id, lead.needs_enrichment, lead)).collect();
        self.outbox.hand_over(messages, now).await.map_err(|error| {
            tracing::error!(%error, "leads stored but not handed on");
            unavailable()
        })
    }
}

fn outgoing(id: &LeadId, needs_enrichment: bool, lead: &Lead) -> Outgoing {
    let (queue, body) = if needs_enrichment {
        (QueueName::Enrich, encode(&EnrichMessage::Lead(id.clone())))
    } else {
        (QueueName::Lead, encode(&LeadMessage::Lead(id.clone())))
    };
    Outgoing { queue, id: id.to_string(), body, not_before: lead.received }
}
