//! Everything that leaves the system: notices to reps, and messages to customers.
//!
//! Both are claimed before they are handed over and end in a state that says what became of them. They differ in what
//! they do without an answer: a notice is sent again, a message to a customer is not (I3).

mod campaign;
mod carrier;
mod channel;
mod content;
mod deliver;
mod kept;
pub mod mime;
mod notice;
mod pace;
mod provider;
mod smtp;
mod tell;
mod told;
mod webhook;

use carrier::Carrier;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
pub use kept::KEPT_AT;
use sluice_domain::event::Happened;
use sluice_domain::identity::Email;
use sluice_domain::template::Library;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::outbox::{self, Outbox, QueueName};
use sluice_host::queue::{Failed, Queue, QueueHandler, Record, caught};
use sluice_host::secrets::SecretStore;
use sluice_store::{Policies, Store};
use sluice_wire::queue::{NoticeMessage, OrderMessage, Roomed, TellMessage};
use std::sync::Arc;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 11] = [
    "SLUICE_TABLE",
    "SLUICE_NOTICE_QUEUE_URL",
    "SLUICE_MESSAGE_QUEUE_URL",
    "SLUICE_BULK_QUEUE_URL",
    "SLUICE_EVENT_QUEUE_URL",
    "SLUICE_MAIL_FROM",
    "SLUICE_MAIL_SET",
    "SLUICE_PUBLIC_URL",
    "SLUICE_SECRET_PREFIX",
    "SLUICE_HASH_KEY_SECRET",
    "SLUICE_LINK_KEY_SECRET",
];

/// Records worked on at the same time.
const AT_ONCE: usize = 10;

/// Milliseconds that the slowest receiver may take of an invocation: a message waits for its room and is handed over, a notice
/// goes over all of its channels side by side, and so do the records of a batch. What is left of the function's timeout is for
/// reading, claiming and writing down what became of it.
pub const SLOWEST_MS: u128 = {
    const fn longer(a: u128, b: u128) -> u128 {
        if a > b { a } else { b }
    }
    let mail = longer(smtp::BEFORE.as_millis() + smtp::CONTENT.as_millis(), channel::LIMIT.as_millis());
    let call = longer(provider::LIMIT.as_millis(), webhook::LIMIT.as_millis());
    pace::WAIT_MS.unsigned_abs() as u128 + longer(mail, call)
};

/// Milliseconds that a claim of a notice stands.
pub const CLAIM_MS: i64 = tell::CLAIM_MS;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let queues = [QueueName::Notice, QueueName::Message, QueueName::Bulk, QueueName::Event];
        let sender = Sender {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(&env, store.clone(), &queues)?,
            mail: Carrier::new(&env)?,
            kept_at: env.optional(KEPT_AT).map(str::to_owned),
            library: Library::default(),
            from: Email::of_any_domain(env.required("SLUICE_MAIL_FROM")?)
                .map_err(|error| StartError(format!("configuration: SLUICE_MAIL_FROM: {error}")))?,
            public_url: env.required("SLUICE_PUBLIC_URL")?.trim_end_matches('/').to_owned(),
            store,
            env,
        };
        // The connection before the first record.
        let _ = sender.policies.current(sender.env.clock.now()).await;
        Ok(Arc::new(Queue(sender)) as Arc<dyn Function>)
    })
}

struct Sender {
    policies: Policies,
    secrets: SecretStore,
    outbox: Outbox,
    mail: Carrier,
    /// Where calls of providers are kept instead of made.
    kept_at: Option<String>,
    /// Templates, compiled.
    library: Library,
    from: Email,
    public_url: String,
    store: Store,
    env: Environment,
}

/// What a record asks for.
enum Task {
    Tell(Roomed<NoticeMessage>),
    Told(Box<Roomed<TellMessage>>),
    Deliver(Box<OrderMessage>),
}

fn task(record: &Record) -> Result<Task, String> {
    let order = || serde_json::from_str(&record.body).map(Task::Deliver);
    let told = || serde_json::from_str(&record.body).map(Task::Told);
    let notice = serde_json::from_str(&record.body).map(Task::Tell);
    notice.or_else(|_| order()).or_else(|_| told()).map_err(|_| "neither a notice nor a message".to_owned())
}
impl QueueHandler for Sender {
    async fn handle(&self, records: &[Record]) -> Vec<Failed> {
        let failed = |record: &Record, why: String| Failed { id: record.id.clone(), why };
        let mut failures = Vec::new();
        let mut tasks = Vec::new();
        for record in records {
            match task(record) {
                Ok(task) => tasks.push((record, task)),
                Err(why) => failures.push(failed(record, why)),
            }
        }
        let (now, later) = self.paced(tasks).await;
        failures.extend(later.into_iter().map(|(record, why)| failed(record, why)));
        let each = now.iter().map(|(record, task)| async move {
            let done = async {
                match task {
                    Task::Tell(notice) => self.tell(notice).await.map(|()| None),
                    Task::Told(told) => self.told(told).await.map(|()| None),
                    Task::Deliver(message) => {
                        self.wait_for(message.slot).await;
                        self.deliver(&message.order).await
                    }
                }
            };
            // Mails of others are on their way meanwhile: a panic of one must not leave theirs without an outcome.
            (*record, caught(Box::pin(done)).await)
        });
        let done: Vec<(&Record, Result<Option<Happened>, String>)> =
            stream::iter(each.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        let mut sent = Vec::new();
        for (record, done) in done {
            match done {
                Ok(happened) => sent.extend(happened.map(|happened| (record, happened))),
                Err(why) => failures.push(failed(record, why)),
            }
        }
        failures.extend(self.tell_of(sent).await.into_iter().map(|(record, why)| failed(record, why)));
        failures
    }
}

impl Sender {
    /// Policies are told of what went out, all of a batch in one call. Redelivery finds it sent, and tells it again.
    async fn tell_of<'a>(&self, sent: Vec<(&'a Record, Happened)>) -> Vec<(&'a Record, String)> {
        let now = self.env.clock.now();
        let (records, happened): (Vec<&Record>, Vec<Happened>) = sent.into_iter().unzip();
        match self.outbox.hand_over(outbox::events(happened, now), now).await {
            Ok(()) => Vec::new(),
            Err(error) => records.into_iter().map(|record| (record, text(&error))).collect(),
        }
    }
}

/// What the store says, for a record's failure.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
