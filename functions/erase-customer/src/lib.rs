//! Erases people: whoever asks puts an [`Erasure`](sluice_domain::erasure::Erasure) in place of their records and closes the
//! gates of their addresses; here everything else about them goes, step by step, and each step can be done again. Leads
//! that their senders have withdrawn go as well.

mod dead;
mod late;
mod person;
mod withdrawn;

use futures::future::BoxFuture;
use sluice_domain::customer::HashKeys;
use sluice_domain::id::LeadId;
use sluice_domain::lead::{self, Facts, Lead, MarkKind};
use sluice_domain::policy::PolicySet;
use sluice_host::dead::DeadLetters;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::outbox::{Outbox, Outgoing, QueueName};
use sluice_host::queue::{Each, Queue, Record, RecordHandler};
use sluice_host::secrets::SecretStore;
use sluice_store::{Policies, Store, StoreError, keys};
use sluice_wire::queue::EraseMessage;
use std::sync::Arc;
use std::time::Duration;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 8] = [
    "SLUICE_TABLE",
    "SLUICE_LEAD_QUEUE_URL",
    "SLUICE_ERASE_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_FEEDBACK_QUEUE_URL",
    DEAD[0],
    DEAD[1],
    "SLUICE_HASH_KEY_SECRET",
];

/// Where the dead letters lie that may be personal: those of the queues on which senders' own words travel.
const DEAD: [&str; 2] = ["SLUICE_EVENT_DEAD_LETTERS_URL", "SLUICE_FEEDBACK_DEAD_LETTERS_URL"];

/// People worked on at the same time.
const AT_ONCE: usize = 5;
/// How often a step is done again because somebody else was faster, before the queue brings it again.
const ATTEMPTS: u32 = 12;
/// Pages of items beside a record deleted at once.
const PAGES: u32 = 20;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let queues = [QueueName::Lead, QueueName::Erase, QueueName::Event, QueueName::Feedback];
        let eraser = Eraser {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(&env, store.clone(), &queues)?,
            dead: DEAD.iter().map(|variable| DeadLetters::new(&env, variable)).collect::<Result<_, _>>()?,
            store,
            env,
        };
        // The connection before the first record.
        let _ = eraser.policies.current(eraser.env.clock.now()).await;
        Ok(Arc::new(Queue(Each(eraser))) as Arc<dyn Function>)
    })
}

struct Eraser {
    policies: Policies,
    secrets: SecretStore,
    outbox: Outbox,
    dead: Vec<DeadLetters>,
    store: Store,
    env: Environment,
}

impl RecordHandler for Eraser {
    const AT_ONCE: usize = AT_ONCE;

    async fn handle(&self, record: &Record) -> Result<(), String> {
        match serde_json::from_str(&record.body).map_err(|_| "not an erase message".to_owned())? {
            EraseMessage::Customer(id) => self.person(id).await,
            EraseMessage::Lead(id) => self.late(&id).await,
            EraseMessage::Withdrawn(id) => self.withdrawn(&id).await,
            EraseMessage::DeadLetters => self.dead_letters().await,
        }
    }
}

impl Eraser {
    /// A lead as it was read when it was decided, or as it would be now.
    async fn read(&self, lead: &Lead) -> Result<(Arc<PolicySet>, Facts), String> {
        let policies = match &lead.progress.receipt {
            Some(receipt) => self.policies.at(receipt.manifest).await.map_err(text)?,
            None => self.policies.current(self.env.clock.now()).await.map_err(text)?,
        };
        let reading = policies.reading(&lead.origin);
        let facts = lead::read(&lead.origin, &lead.envelope, &reading, &policies.settings);
        Ok((policies, facts))
    }

    /// Beside a lead that is erased nothing may lie, but that its sender has withdrawn it: what says so comes before the lead is
    /// erased, and is all that says why.
    async fn clear_beside(&self, lead: &LeadId) -> Result<bool, String> {
        let keep = [keys::LEAD, &keys::mark(MarkKind::Withdrawn)];
        self.store.sweep_beside(lead.as_str(), &keep, PAGES).await.map_err(text)
    }

    /// A lead that is erased, come by once more.
    async fn erased(&self, lead: &LeadId) -> Result<(), String> {
        match self.clear_beside(lead).await? {
            true => Ok(()),
            false => Err("more lies beside the lead".to_owned()),
        }
    }

    async fn hash_keys(&self) -> Result<HashKeys, String> {
        self.secrets.hash_keys().await.map_err(|error| error.to_string())
    }

    async fn send(&self, queue: QueueName, id: String, body: String) -> Result<(), String> {
        let now = self.env.clock.now();
        let message = Outgoing { queue, id, body, not_before: now };
        self.outbox.hand_over(vec![message], now).await.map_err(text)
    }

    /// Lets whoever was faster finish; random, so that two do not meet again.
    async fn pause(&self, attempt: u32) {
        let mut byte = [0];
        self.env.random.fill(&mut byte);
        let ms = u64::from(attempt) * 2 + u64::from(byte[0]) * u64::from(attempt) / 32;
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

fn text(error: StoreError) -> String {
    error.to_string()
}
