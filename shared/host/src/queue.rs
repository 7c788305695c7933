//! Queue functions: SQS batches in, the ids of failed records out. A bad record, and even one that panics, never
//! blocks or repeats its neighbours (I10).

use crate::function::{Function, InvokeError};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The queue's message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// How many times it was delivered, this time included.
    pub receives: u32,
}

/// A record that has to come again, or that a person has to look at once it has come too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The record's id.
    pub id: String,
    /// Why; no personal data.
    pub why: String,
}

/// A function that works off a queue. Idempotent: a record may come again, also at the same time.
pub trait QueueHandler: Send + Sync + 'static {
    /// Works off a batch and answers with the records that failed.
    fn handle(&self, records: &[Record]) -> impl Future<Output = Vec<Failed>> + Send;
}

/// A function whose records have nothing to do with one another.
pub trait RecordHandler: Send + Sync + 'static {
    /// Records worked on at the same time.
    const AT_ONCE: usize;

    /// Works off one record; the error says why it has to come again.
    fn handle(&self, record: &Record) -> impl Future<Output = Result<(), String>> + Send;
}

/// Works off a batch record by record.
pub struct Each<H>(pub H);

impl<H: RecordHandler> QueueHandler for Each<H> {
    async fn handle(&self, records: &[Record]) -> Vec<Failed> {
        let each: Vec<_> = records.iter().map(|record| self.one(record)).collect();
        stream::iter(each).buffer_unordered(H::AT_ONCE).filter_map(std::future::ready).collect().await
    }
}

impl<H: RecordHandler> Each<H> {
    async fn one(&self, record: &Record) -> Option<Failed> {
        let done = caught(self.0.handle(record)).await;
        done.err().map(|why| Failed { id: record.id.clone(), why })
    }
}

/// One record's work, whose panic is its own failure: the work on its neighbours goes on where it is.
pub async fn caught<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| Err(PANICKED.to_owned()))
}

/// Why a record failed at which the code panics.
const PANICKED: &str = "panicked";

/// Adapts a handler to Lambda events.
pub struct Queue<H>(pub H);

impl<H: QueueHandler> Function for Queue<H> {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let records = read_event(&payload)?;
            let failed = match self.attempt(&records).await {
                Some(failed) => failed,
                // Something in the batch panics. Each record by itself shows which; the others are done (again).
                None => {
                    let mut failed = Vec::new();
                    for record in &records {
                        let alone = self.attempt(std::slice::from_ref(record)).await;
                        failed.extend(alone.unwrap_or_else(|| {
                            vec![Failed { id: record.id.clone(), why: PANICKED.to_owned() }]
                        }));
                    }
                    failed
                }
            };
            for Failed { id, why } in &failed {
                tracing::warn!(record = %id, why = %why, "record failed");
            }
            let failures: Vec<_> = failed.iter().map(|failed| json!({"itemIdentifier": failed.id})).collect();
            Ok(Bytes::from(json!({"batchItemFailures": failures}).to_string()))
        })
    }
}

impl<H: QueueHandler> Queue<H> {
    async fn attempt(&self, records: &[Record]) -> Option<Vec<Failed>> {
        AssertUnwindSafe(self.0.handle(records)).catch_unwind().await.ok()
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<EventRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord {
    message_id: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// Reads an SQS event. Bodies stay text: one that is not ours is that record's failure, not the batch's.
pub fn read_event(payload: &[u8]) -> Result<Vec<Record>, InvokeError> {
    let event: Event = serde_json::from_slice(payload).map_err(|error| InvokeError {
        kind: "MalformedEvent".to_owned(),
        message: format!("line {} column {}", error.line(), error.column()),
    })?;
    let record = |record: EventRecord| Record {
        id: record.message_id,
        body: record.body.unwrap_or_default(),
        receives: record.attributes.get("ApproximateReceiveCount").and_then(|n| n.parse().ok()).unwrap_or(1),
    };
    Ok(event.records.into_iter().map(record).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::Barrier;

    /// Takes records by their bodies, and goes on with each once all have come so far.
    struct Taken {
        all_are_there: Barrier,
        bodies: Mutex<Vec<String>>,
    }

    impl RecordHandler for Taken {
        const AT_ONCE: usize = 3;

        async fn handle(&self, record: &Record) -> Result<(), String> {
            self.all_are_there.wait().await;
            assert_ne!(record.body, "bad");
            tokio::task::yield_now().await;
            self.bodies.lock().unwrap().push(record.body.clone());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_record_that_panics_leaves_those_beside_it_where_they_are() {
        let taken = Taken { all_are_there: Barrier::new(3), bodies: Mutex::default() };
        let records = ["one", "bad", "two"].map(|body| json!({"messageId": body, "body": body}));
        let queue = Queue(Each(taken));
        let answer = queue.invoke(Bytes::from(json!({"Records": records}).to_string())).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "bad"}]}).to_string());
        let mut bodies = queue.0.0.bodies.lock().unwrap().clone();
        bodies.sort();
        assert_eq!(bodies, ["one", "two"], "each once");
    }
}
