//! What a mail provider says of mails, taken down on the gate of the address and on the message, in one transaction.
//!
//! Events come more than once, late and in any order, by way of EventBridge and of SNS at the same time. None of that
//! counts twice or undoes anything: a gate keeps what suppressed it and knows its soft bounces by their ids, a message
//! keeps the earliest time of each thing that came back. So no record of the events themselves is needed.

mod books;
mod bounce;
mod complaint;
mod delivery;
mod failure;
mod sent;
mod subscription;

use books::Books;
use futures::future::BoxFuture;
use sluice_domain::customer::{AddressHash, Identity, IdentityKind};
use sluice_domain::feedback::{Feedback, Kind};
use sluice_domain::message::Channel;
use sluice_domain::policy::Cap;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::metrics::Metrics;
use sluice_host::queue::{Each, Queue, Record, RecordHandler};
use sluice_host::secrets::SecretStore;
use sluice_store::{Commit, Policies, Store, Written};
use sluice_wire::feedback::{Read, read};
use std::sync::Arc;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 2] = ["SLUICE_TABLE", "SLUICE_HASH_KEY_SECRET"];

/// Events worked on at the same time.
const AT_ONCE: usize = 10;
/// How often an event is decided again because somebody was faster, before the queue brings it again.
const ATTEMPTS: u32 = 5;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let recorder =
            Recorder { policies: Policies::new(store.clone()), secrets: SecretStore::new(&env)?, store, env };
        // The connection before the first record.
        let _ = recorder.policies.current(recorder.env.clock.now()).await;
        Ok(Arc::new(Queue(Each(recorder))) as Arc<dyn Function>)
    })
}

struct Recorder {
    policies: Policies,
    secrets: SecretStore,
    store: Store,
    env: Environment,
}

impl RecordHandler for Recorder {
    const AT_ONCE: usize = AT_ONCE;

    async fn handle(&self, record: &Record) -> Result<(), String> {
        match read(&record.body).map_err(|error| error.to_string())? {
            Read::Event(event) => self.record(&event).await,
            Read::Nothing(what) => {
                tracing::info!(what, "nothing to take down");
                Ok(())
            }
        }
    }
}

impl Recorder {
    async fn record(&self, event: &Feedback) -> Result<(), String> {
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await.map_err(|error| error.to_string())?;
        // A clock that is ahead at the provider's must not reach into what is still to come.
        let at = event.at.map_or(now, |at| at.min(now));
        let told = Told { event, at, limit: policies.settings.messaging.soft_bounces };
        let mut changed = false;
        if event.recipients.is_empty() {
            changed |= self.take_down(&told, None, true).await?;
        }
        for (n, email) in event.recipients.iter().enumerate() {
            let keys = self.secrets.hash_keys().await.map_err(|error| error.to_string())?;
            let identity = Identity::new(IdentityKind::Email, email.match_key());
            changed |= self.take_down(&told, Some(keys.hashes(&identity)), n == 0).await?;
        }
        if changed {
            Metrics::new().count("Feedback", 1).by("Kind", event.kind.name()).emit(&self.env, now);
        }
        Ok(())
    }

    /// Takes an event down for one of its recipients, and with the first on the message. Whether it changed anything.
    async fn take_down(
        &self,
        told: &Told<'_>,
        address: Option<Vec<AddressHash>>,
        with_message: bool,
    ) -> Result<bool, String> {
        let text = |error: sluice_store::StoreError| error.to_string();
        for _ in 0..ATTEMPTS {
            let message = match &told.event.message {
                Some(id) if with_message => self.store.message(id).await.map_err(text)?,
                _ => None,
            };
            // Who is not named is whoever the message was for.
            let of_message = || Some(vec![message.as_ref()?.address.clone()?]);
            let gate = match address.clone().or_else(of_message) {
                Some(hashes) if told.is_about_the_address() => {
                    self.store.gates(&[(Channel::Email, hashes)]).await.map_err(text)?.pop()
                }
                _ => None,
            };
            let read = Books { gate: gate.as_ref().map(|record| record.gate.clone()), message };
            let after = told.decide(read.clone());
            let mut commit = None;
            if let (Some(record), Some(after)) = (gate, &after.gate)
                && read.gate.as_ref() != Some(after)
            {
                commit = Some(Commit::default().gate(record, after.clone()));
            }
            if let Some(message) = after.message.filter(|message| read.message.as_ref() != Some(message)) {
                commit = Some(commit.unwrap_or_default().message(message));
            }
            let Some(commit) = commit else { return Ok(false) };
            match self.store.commit(commit).await.map_err(text)? {
                Written::Done => return Ok(true),
                Written::Conflict => {}
            }
        }
        Err("others were faster, too many times".to_owned())
    }
}

/// An event and what it is judged by.
struct Told<'a> {
    event: &'a Feedback,
    /// When it happened; never later than now.
    at: Timestamp,
    /// Soft bounces that are too many.
    limit: Cap,
}

impl Told<'_> {
    /// Whether the gate of the address has to be read: the other kinds say nothing about it.
    fn is_about_the_address(&self) -> bool {
        matches!(
            self.event.kind,
            Kind::Bounce(_) | Kind::Complaint(_) | Kind::Delivery | Kind::Subscription(_)
        )
    }

    /// What the event makes of the books. Pure, and the same however often it is done.
    fn decide(&self, mut books: Books) -> Books {
        match &self.event.kind {
            Kind::Bounce(bounce) => bounce::apply(self, *bounce, &mut books),
            Kind::Complaint(complaint) => complaint::apply(self, *complaint, &mut books),
            Kind::Delivery => delivery::apply(self, &mut books),
            Kind::Reject | Kind::RenderingFailure => failure::apply(self, &mut books),
            Kind::Subscription(subscription) => subscription::apply(self, subscription, &mut books),
            // Nothing but that the provider had taken it. Openings and clicks are counted by our own links, which tell
            // people from machines; a delivery that is late is not worth a note before it fails.
            Kind::Send | Kind::DeliveryDelay | Kind::Open | Kind::Click => sent::apply(self, &mut books),
            Kind::Other(_) => {}
        }
        books
    }
}
