//! Queues that call functions: Lambda's event source mappings for SQS, with failures reported by record.

use super::hosted::Hosted;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// A queue that calls a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSourceSpec {
    /// The queue's name.
    pub queue: String,
    /// The function's name.
    pub function: String,
    /// Most messages of one call.
    pub batch_size: usize,
    /// Most calls at one time.
    pub max_concurrency: usize,
    /// How long to wait for a full batch.
    pub window: Duration,
}

/// One received message.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its id.
    pub id: String,
    /// What it is deleted with.
    pub receipt_handle: String,
    /// Its body.
    pub body: String,
    /// MD5 of the body, hexadecimal.
    pub md5_of_body: String,
    /// System attributes: `ApproximateReceiveCount`, `SentTimestamp`, ...
    pub attributes: Map<String, Value>,
    /// Message attributes in the event's spelling (`stringValue`, `dataType`, ...).
    pub message_attributes: Map<String, Value>,
}

/// One queue, as its poller sees it.
pub trait QueueReader: Send + Sync + 'static {
    /// The queue's ARN.
    fn arn(&self) -> String;
    /// Up to `max` messages that are visible now, at most 10 at a time.
    fn receive(&self, max: usize) -> BoxFuture<'_, Vec<Received>>;
    /// Deletes messages by receipt handle.
    fn delete(&self, receipt_handles: Vec<String>) -> BoxFuture<'_, ()>;
    /// Returns when there may be a message to receive.
    fn wait(&self) -> BoxFuture<'_, ()>;
}

/// Polls until `stop` turns true and the calls that had begun are over.
pub async fn run(
    spec: EventSourceSpec,
    queue: Arc<dyn QueueReader>,
    function: Hosted,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(spec.max_concurrency));
    loop {
        let slot = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            slot = slots.clone().acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
        let batch = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            batch = collect(&spec, queue.as_ref()) => batch,
        };
        let (queue, function) = (queue.clone(), function.clone());
        tokio::spawn(async move {
            handle(batch, queue.as_ref(), &function).await;
            drop(slot);
        });
    }
    // All slots back means that no call is running.
    let all = u32::try_from(spec.max_concurrency).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

/// A batch of at least one message. It is received in one step wherever one step is enough, so that a poller that is
/// stopped meanwhile holds nothing.
async fn collect(spec: &EventSourceSpec, queue: &dyn QueueReader) -> Vec<Received> {
    let mut batch = loop {
        let batch = queue.receive(spec.batch_size).await;
        if !batch.is_empty() {
            break batch;
        }
        queue.wait().await;
    };
    if !spec.window.is_zero() {
        let fill = async {
            while batch.len() < spec.batch_size {
                let more = queue.receive(spec.batch_size - batch.len()).await;
                if more.is_empty() {
                    queue.wait().await;
                }
                batch.extend(more);
            }
        };
        let _ = tokio::time::timeout(spec.window, fill).await;
    }
    batch
}

async fn handle(batch: Vec<Received>, queue: &dyn QueueReader, function: &Hosted) {
    let failed = match function.invoke(event(&batch, &queue.arn())).await {
        Ok(answer) => failures(&answer, &batch),
        Err(_) => None,
    };
    // What failed stays invisible until its time is over, then comes again or moves to the dead letters.
    let Some(failed) = failed else {
        tracing::warn!(function = function.name(), records = batch.len(), "a whole batch failed");
        return;
    };
    if !failed.is_empty() {
        tracing::warn!(function = function.name(), failed = failed.len(), records = batch.len(), "records failed");
    }
    let done = batch.into_iter().filter(|message| !failed.contains(&message.id));
    let handles: Vec<String> = done.map(|message| message.receipt_handle).collect();
    if !handles.is_empty() {
        queue.delete(handles).await;
    }
}

/// The event of one batch, as Lambda builds it.
fn event(batch: &[Received], arn: &str) -> Bytes {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let records: Vec<Value> = batch
        .iter()
        .map(|message| {
            json!({
                "messageId": message.id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": message.attributes,
                "messageAttributes": message.message_attributes,
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": region,
            })
        })
        .collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

/// The ids that failed; `None` if the whole batch did. As the Lambda guide has it: nothing, `null` and an empty list are
/// full success; what cannot be read, and an identifier that is missing, empty or not of this batch, is full failure.
fn failures(answer: &[u8], batch: &[Received]) -> Option<BTreeSet<String>> {
    if answer.is_empty() {
        return Some(BTreeSet::new());
    }
    let listed = match serde_json::from_slice(answer).ok()? {
        Value::Null => return Some(BTreeSet::new()),
        Value::Object(mut object) => object.remove("batchItemFailures").unwrap_or(Value::Null),
        _ => return None,
    };
    let items = match listed {
        Value::Null => return Some(BTreeSet::new()),
        Value::Array(items) => items,
        _ => return None,
    };
    let known = |id: &str| batch.iter().any(|message| message.id == id);
    items
        .iter()
        .map(|item| item.get("itemIdentifier")?.as_str().filter(|id| known(id)).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str) -> Received {
        Received {
            id: id.into(),
            receipt_handle: format!("handle-{id}"),
            body: "{}".into(),
            md5_of_body: "99914b932bd37a50b983c5e7c90ae93b".into(),
            attributes: Map::new(),
            message_attributes: Map::new(),
        }
    }

    #[test]
    fn a_batch_response_is_read_as_lambda_reads_it() {
        let batch = [message("a"), message("b")];
        for success in ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(failures(success.as_bytes(), &batch), Some(BTreeSet::new()), "{success}");
        }
        let one = br#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
        assert_eq!(failures(one, &batch), Some(BTreeSet::from(["b".to_owned()])));
        for failure in [
            "oops",
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}"#,
        ] {
            assert_eq!(failures(failure.as_bytes(), &batch), None, "{failure}");
        }
    }

    #[test]
    fn the_event_has_the_fields_of_lambdas() {
        let event: Value = serde_json::from_slice(&event(&[message("a")], "arn:aws:sqs:us-east-1:1:q")).unwrap();
        let record = event["Records"][0].as_object().unwrap();
        let names: Vec<&str> = record.keys().map(String::as_str).collect();
        let expected = [
            "attributes", "awsRegion", "body", "eventSource", "eventSourceARN", "md5OfBody", "messageAttributes",
            "messageId", "receiptHandle",
        ];
        assert_eq!(names, expected);
        assert_eq!(record["awsRegion"], "us-east-1");
    }
}
