//! SQS over SQLite: the server behind the AWS protocol, and the same queues for code in this process.

mod actions;
mod attributes;
mod error;
mod fifo;
mod md5;
mod message;
mod moves;
mod protocol;
mod receipt;
mod store;
#[cfg(test)]
mod tests;
mod transfer;
mod waiting;

pub use error::{Code, SqsError};
pub use message::{MAX_BYTES, MessageAttribute, OutgoingMessage, ReceivedMessage, Sent};
pub use store::{Depth, Held};

use crate::{Now, Service};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::Store;

/// A queue to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSpec {
    /// Up to 80 letters, digits, hyphens and underscores; a FIFO queue's ends in `.fifo`.
    pub name: String,
    /// Attributes by their API names and with the API's text values (`VisibilityTimeout`, `"30"`).
    pub attributes: BTreeMap<String, String>,
}

impl QueueSpec {
    /// A queue with every attribute at its default.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), attributes: BTreeMap::new() }
    }

    /// The same with one more attribute.
    pub fn with(mut self, attribute: &str, value: impl Into<String>) -> Self {
        self.attributes.insert(attribute.to_owned(), value.into());
        self
    }

    /// The same with the redrive policy that sends a message to `dead_letters` on the receive after `max_receives`.
    pub fn with_redrive(self, dead_letters: &str, max_receives: u32) -> Self {
        let policy = serde_json::json!({
            "deadLetterTargetArn": Sqs::queue_arn(dead_letters),
            "maxReceiveCount": max_receives,
        });
        self.with("RedrivePolicy", policy.to_string())
    }
}

/// The queues of one machine. Cheap to clone; all clones are the same queues.
///
/// SQLite is called on the caller's thread: an operation takes some tens of microseconds. Handing each to the blocking pool
/// halved the measured rate (3,500 against 6,200 send-receive-delete cycles a second in an unoptimised build).
#[derive(Clone)]
pub struct Sqs {
    shared: Arc<Shared>,
}

struct Shared {
    store: Mutex<Store>,
    now: Now,
    base_url: String,
}

impl Sqs {
    /// Opens the queues in the file at `path`, or new ones in memory. `base_url` (`http://127.0.0.1:9324`) begins every
    /// queue URL given out; requests are matched by the queue's name alone, so it need not be how they arrive.
    ///
    /// Fails if another process has the file open.
    pub fn open(path: Option<&Path>, now: Now, base_url: String) -> Result<Self, SqsError> {
        let store = Mutex::new(Store::open(path)?);
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { shared: Arc::new(Shared { store, now, base_url }) })
    }

    /// The ARN of a queue of that name.
    pub fn queue_arn(name: &str) -> String {
        format!("{}{name}", store::ARN_PREFIX)
    }

    /// The URL of a queue of that name.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.shared.base_url)
    }

    /// Makes the queue, or gives it exactly these attributes if it is there. A redrive target must be made first.
    pub fn create_queue(&self, spec: &QueueSpec) -> Result<(), SqsError> {
        self.store().ensure(&spec.name, spec.attributes.clone(), self.now())
    }

    /// Writes the file of the queues anew, so that nothing is left in it of messages that were deleted. It takes the time of a
    /// copy, in which every call waits.
    pub fn compact(&self) -> Result<(), SqsError> {
        self.store().compact()
    }

    /// Sends one message.
    pub fn send(&self, queue: &str, message: OutgoingMessage) -> Result<Sent, SqsError> {
        let sent = self.store().send(queue, &[message], self.now())?.pop();
        sent.unwrap_or(Err(SqsError::Corrupt("a message without a result")))
    }

    /// Receives at most `max` messages that are there now, hidden for `visibility` seconds or as the queue says.
    pub fn receive(
        &self,
        queue: &str,
        max: usize,
        visibility: Option<i64>,
    ) -> Result<Vec<ReceivedMessage>, SqsError> {
        self.store().receive(queue, max, visibility, self.now())
    }

    /// Deletes by receipt handle; one result for each, in order.
    pub fn delete_batch(
        &self,
        queue: &str,
        handles: &[impl AsRef<str>],
    ) -> Result<Vec<Result<(), SqsError>>, SqsError> {
        self.store().delete(queue, handles, self.now())
    }

    /// How many messages the queue holds.
    pub fn depth(&self, queue: &str) -> Result<Depth, SqsError> {
        let (mut store, now) = (self.store(), self.now());
        store.continue_moves(now)?;
        let queue = store.queue(queue)?;
        store.depth(&queue, now)
    }

    /// When the queue may next have something to receive that it has not now, in milliseconds of our clock.
    pub fn next_change(&self, queue: &str) -> Result<Option<i64>, SqsError> {
        let (mut store, now) = (self.store(), self.now());
        Ok(store.next_due(queue, now)?.filter(|due| *due > now))
    }

    /// What the queue holds, in the order in which it becomes receivable; nothing is received by looking.
    pub fn contents(&self, queue: &str) -> Result<Vec<Held>, SqsError> {
        let (mut store, now) = (self.store(), self.now());
        store.continue_moves(now)?;
        let queue = store.queue(queue)?;
        store.contents(&queue, now)
    }

    /// Puts a standard queue back to where [`Sqs::contents`] showed it. Messages get new ids, so receipts end.
    pub fn put_back(&self, queue: &str, messages: &[Held]) -> Result<(), SqsError> {
        let mut store = self.store();
        let queue = store.queue(queue)?;
        store.put_back(&queue, messages)
    }

    /// Makes everything received and not deleted visible, with its receive count as it is. For the start of a single
    /// machine: nobody can be holding those messages any more.
    pub fn release_in_flight(&self) -> Result<(), SqsError> {
        self.store().release(self.now())
    }

    /// Looks again at what is due, after the clock was moved.
    pub fn poke(&self) {
        self.store().wake_all();
    }

    fn now(&self) -> i64 {
        (self.shared.now)()
    }

    /// Never held across an await. A panic inside leaves no half of a change: SQLite rolls it back.
    fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Sqs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sqs").field("base_url", &self.shared.base_url).finish_non_exhaustive()
    }
}

impl Service for Sqs {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        Box::pin(protocol::answer(self.clone(), request))
    }
}
