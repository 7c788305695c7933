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
mod happened;
mod sent;
mod subscription;

use books::Books;
use futures::future::BoxFuture;
use sluice_domain::customer::{AddressHash, Identity, IdentityKind};
use sluice_domain::event::Happened;
use sluice_domain::feedback::{Feedback, Kind};
use sluice_domain::gate::{How, Proof, Said};
use sluice_domain::message::{Channel, MessageState};
use sluice_domain::policy::Cap;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Environment;
use sluice_host::function::{Function, StartError};
use sluice_host::metrics::Metrics;
use sluice_host::outbox::{self, Outbox, QueueName};
use sluice_host::queue::{Each, Queue, Record, RecordHandler};
use sluice_host::secrets::SecretStore;
use sluice_store::{Commit, GateRecord, Policies, Store, Written};
use sluice_wire::feedback::{Read, read};
use std::sync::Arc;

/// Variables read besides those every function has.
pub const VARIABLES: [&str; 3] = ["SLUICE_TABLE", "SLUICE_HASH_KEY_SECRET", "SLUICE_EVENT_QUEUE_URL"];

/// Events worked on at the same time.
const AT_ONCE: usize = 10;
/// How far two clocks may be apart, in milliseconds.
const APART_MS: i64 = 900_000;
/// How often an event is decided again because somebody was faster, before the queue brings it again.
const ATTEMPTS: u32 = 12;

/// Builds the function.
pub fn build(env: Environment) -> BoxFuture<'static, Result<Arc<dyn Function>, StartError>> {
    Box::pin(async move {
        let store = sluice_host::aws::store(&env)?;
        let recorder = Recorder {
            policies: Policies::new(store.clone()),
            secrets: SecretStore::new(&env)?,
            outbox: Outbox::new(&env, store.clone(), &[QueueName::Event])?,
            store,
            env,
        };
        // The connection before the first record.
        let _ = recorder.policies.current(recorder.env.clock.now()).await;
        Ok(Arc::new(Queue(Each(recorder))) as Arc<dyn Function>)
    })
}

struct Recorder {
    policies: Policies,
    secrets: SecretStore,
    outbox: Outbox,
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
        // A clock that is far ahead at the provider's must not reach into what is still to come. Ours may be behind by a
        // little, and the same event is of the same time whoever hears it.
        let at = event.at.filter(|at| at.since(now) <= APART_MS);
        let told = Told { event, at, now, limit: policies.settings.messaging.soft_bounces };
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
            let record = match address.clone().or_else(of_message) {
                Some(hashes) if told.is_about_the_address() => {
                    self.store.gates(&[(Channel::Email, hashes)]).await.map_err(text)?.pop()
                }
                _ => None,
            };
            let gate = record.as_ref().map(|record| record.gate.clone());
            let read = Books { gate, message, ..Books::default() };
            let after = told.decide(read.clone());
            let happened =
                after.message.as_ref().map(|message| happened::of(told, message)).unwrap_or_default();
            let Some(commit) = changes(&read, &after, record) else {
                // Whoever took it down may have died before anybody was told.
                self.tell(happened, told.now).await?;
                return Ok(false);
            };
            if self.store.commit(commit).await.map_err(text)? == Written::Done {
                self.count(&read, &after, told.now);
                self.tell(happened, told.now).await?;
                return Ok(true);
            }
        }
        Err("others were faster, too many times".to_owned())
    }

    async fn tell(&self, happened: Vec<Happened>, now: Timestamp) -> Result<(), String> {
        self.outbox.hand_over(outbox::events(happened, now), now).await.map_err(|error| error.to_string())
    }

    /// A message that is known to have gone out only now is counted now.
    fn count(&self, read: &Books, after: &Books, now: Timestamp) {
        let state = |books: &Books| books.message.as_ref().map(|message| message.state);
        if state(after) == Some(MessageState::Sent) && state(read) != Some(MessageState::Sent) {
            Metrics::new().by("Channel", Channel::Email.name()).count("Sent", 1).emit(&self.env, now);
        }
    }
}

/// What has to be written to get from one to the other, if anything has.
fn changes(read: &Books, after: &Books, record: Option<GateRecord>) -> Option<Commit> {
    let mut commit = None;
    if let (Some(record), Some(gate)) = (record, &after.gate)
        && record.gate != *gate
    {
        let own = record.address().cloned();
        let kept = after.proofs.iter().filter_map(|proof| Some((own.clone()?, proof.beside(&record.gate)?)));
        let kept: Vec<_> = kept.collect();
        let with_gate = Commit::default().gate(record, gate.clone());
        let all = kept
            .into_iter()
            .fold(with_gate, |commit, (own, proof)| commit.proof(Channel::Email, &own, proof));
        commit = Some(all);
    }
    match after.message.as_ref().filter(|message| read.message.as_ref() != Some(message)) {
        Some(message) => Some(commit.unwrap_or_default().message(message.clone())),
        None => commit,
    }
}

/// An event and what it is judged by.
struct Told<'a> {
    event: &'a Feedback,
    /// When it happened, if the provider says so and it is not still to come by more than clocks are apart.
    at: Option<Timestamp>,
    now: Timestamp,
    /// Soft bounces that are too many.
    limit: Cap,
}

impl Told<'_> {
    /// Whether the gate of the address has to be read: the other kinds change nothing in it.
    fn is_about_the_address(&self) -> bool {
        matches!(
            self.event.kind,
            Kind::Bounce(_)
                | Kind::Complaint(_)
                | Kind::Delivery
                | Kind::Subscription(_)
                | Kind::Reject
                | Kind::RenderingFailure
        )
    }

    /// When it happened. Without a word of it: when it was `held` to have happened, so that telling it again moves nothing;
    /// else now.
    fn time(&self, held: Option<Timestamp>) -> Timestamp {
        self.at.or(held).unwrap_or(self.now)
    }

    /// The proof of what it says about the address.
    fn proof(&self, said: Said, how: How, at: Timestamp) -> Proof {
        let topic = match &said {
            Said::Wish { topic, .. } => topic.clone(),
            _ => String::new(),
        };
        let proof = Proof::new(said, how, at, &["feedback", &self.event.key(), &topic]);
        Proof { message: self.event.message.clone(), ..proof }
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
