//! What people do, and what is due for them: whose it is, what it makes of them, the next steps.

mod batch;
mod clicks;
mod group;
mod pass;
mod send;

use futures::future::BoxFuture;
use sluice_domain::advance::Incoming;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::outbox::{Outbox, QueueName};
use sluice_host::queue::{Failed, Queue, QueueHandler, Record};
use sluice_host::secrets::SecretStore;
use sluice_store::{Policies, Store};
use sluice_wire::queue::EventMessage;
use std::sync::Arc;
use std::time::Duration;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 5] = [
    "SLUICE_TABLE",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_MESSAGE_QUEUE_URL",
    "SLUICE_NOTICE_QUEUE_URL",
    "SLUICE_HASH_KEY_SECRET",
];

/// How often a person is decided again because somebody else was faster, before the queue brings it again.
const ATTEMPTS: u32 = 12;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let queues = [QueueName::Event, QueueName::Message, QueueName::Notice];
        let advancer = Advancer {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(&env, store.clone(), &queues)?,
            store,
            env,
        };
        // The connection and the hash key before the first record. A failure here is that record's to report.
        let _ = advancer.policies.current(advancer.env.clock.now()).await;
        let _ = advancer.secrets.hash_keys().await;
        Ok(Arc::new(Queue(advancer)) as Arc<dyn Function>)
    })
}

pub(crate) struct Advancer {
    pub(crate) policies: Policies,
    pub(crate) secrets: SecretStore,
    pub(crate) outbox: Outbox,
    pub(crate) store: Store,
    pub(crate) env: Environment,
}

impl QueueHandler for Advancer {
    async fn handle(&self, records: &[Record]) -> Vec<Failed> {
        let mut failed = Vec::new();
        let (mut work, mut clicks, mut passes) = (Vec::new(), Vec::new(), Vec::new());
        for (at, record) in records.iter().enumerate() {
            match serde_json::from_str::<EventMessage>(&record.body) {
                Ok(EventMessage::Events(events)) => {
                    work.extend(events.into_iter().map(|event| (at, Incoming::Happened(event))));
                }
                Ok(EventMessage::Click(click)) => clicks.push((at, click)),
                Ok(EventMessage::Due(wake)) => work.push((at, Incoming::Due(wake))),
                Ok(EventMessage::Pass(pass)) => passes.push((at, pass)),
                Err(_) => {
                    failed.push(Failed { id: record.id.clone(), why: "not an event message".to_owned() })
                }
            }
        }
        for (at, told) in self.told_by(clicks).await {
            match told {
                Ok(happened) => work.extend(happened.map(|event| (at, Incoming::Happened(event)))),
                Err(why) => failed.push(Failed { id: records[at].id.clone(), why }),
            }
        }
        for (at, why) in self.take_all(work).await {
            failed.push(Failed { id: records[at].id.clone(), why });
        }
        for (at, pass) in passes {
            if let Err(why) = self.pass(&pass).await {
                failed.push(Failed { id: records[at].id.clone(), why });
            }
        }
        failed
    }
}

impl Advancer {
    /// Lets whoever was faster finish; random, so that two do not meet again.
    pub(crate) async fn pause(&self, attempt: u32) {
        let mut byte = [0];
        self.env.random.fill(&mut byte);
        let ms = u64::from(attempt) * 2 + u64::from(byte[0]) * u64::from(attempt) / 32;
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}
