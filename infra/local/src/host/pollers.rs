//! Queues that call functions: Lambda's event source mappings for SQS, with failures reported by record.

use super::hosted::Hosted;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sluice_services::sqs::{MessageAttribute, ReceivedMessage, Sqs, SqsError};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A queue that calls a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSourceSpec {
    /// The queue's name.
    pub queue: String,
    /// The function's name.
    pub function: String,
    /// Most messages of one call.
    pub batch_size: usize,
    /// Most calls at one time, at least 1.
    pub max_concurrency: usize,
    /// How long to wait for a full batch.
    pub window: Duration,
}

/// How long a poller rests after the queues refused it, which only a broken disk or a deleted queue does.
const REST: Duration = Duration::from_secs(1);

/// Polls until `stop` turns true and the calls that had begun are over. Dropping it ends the calls too; their messages
/// come again.
pub async fn run(spec: EventSourceSpec, sqs: Sqs, function: Hosted, mut stop: watch::Receiver<bool>) {
    let mut calls = JoinSet::new();
    loop {
        while calls.try_join_next().is_some() {}
        let batch = tokio::select! {
            biased;
            () = told(&mut stop) => break,
            _ = calls.join_next(), if calls.len() >= spec.max_concurrency => continue,
            batch = collect(&spec, &sqs), if calls.len() < spec.max_concurrency => batch,
        };
        match batch {
            Ok(batch) => {
                let (spec, sqs, function) = (spec.clone(), sqs.clone(), function.clone());
                calls.spawn(async move { handle(batch, &spec.queue, &sqs, &function).await });
            }
            Err(error) => {
                tracing::error!(queue = spec.queue, %error, "a queue cannot be read");
                tokio::time::sleep(REST).await;
            }
        }
    }
    calls.join_all().await;
}

async fn told(stop: &mut watch::Receiver<bool>) {
    // An error means that the stack is gone, which is a stop too.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// A batch of at least one message. Without a window it is received in the step that ends the future, so that a poller
/// which is stopped meanwhile holds nothing.
async fn collect(spec: &EventSourceSpec, sqs: &Sqs) -> Result<Vec<ReceivedMessage>, SqsError> {
    // A receive gives at most ten; a larger batch is several of them.
    let receive = |room: usize| sqs.receive(&spec.queue, room.min(10), None);
    let mut batch = loop {
        let batch = receive(spec.batch_size)?;
        if !batch.is_empty() {
            break batch;
        }
        sqs.wait(&spec.queue).await?;
    };
    if spec.window.is_zero() {
        while batch.len() < spec.batch_size {
            let more = receive(spec.batch_size - batch.len())?;
            if more.is_empty() {
                break;
            }
            batch.extend(more);
        }
        return Ok(batch);
    }
    let fill = async {
        while batch.len() < spec.batch_size {
            let more = receive(spec.batch_size - batch.len())?;
            if more.is_empty() {
                sqs.wait(&spec.queue).await?;
            }
            batch.extend(more);
        }
        Ok::<(), SqsError>(())
    };
    // The window is over, or the batch is full.
    tokio::time::timeout(spec.window, fill).await.unwrap_or(Ok(()))?;
    Ok(batch)
}

async fn handle(batch: Vec<ReceivedMessage>, queue: &str, sqs: &Sqs, function: &Hosted) {
    let failed = match function.invoke(event(&batch, &Sqs::queue_arn(queue))).await {
        Ok(answer) => failures(&answer, &batch),
        Err(_) => None,
    };
    // What failed stays invisible until its time is over, then comes again or moves to the dead letters.
    let Some(failed) = failed else {
        tracing::warn!(function = function.name(), records = batch.len(), "a whole batch failed");
        return;
    };
    if !failed.is_empty() {
        tracing::warn!(
            function = function.name(),
            failed = failed.len(),
            records = batch.len(),
            "records failed"
        );
    }
    let done = batch.iter().filter(|message| !failed.contains(&message.message_id));
    let handles: Vec<&str> = done.map(|message| message.receipt_handle.as_str()).collect();
    if handles.is_empty() {
        return;
    }
    for chunk in handles.chunks(10) {
        let deleted = sqs.delete_batch(queue, chunk);
        if let Err(error) = deleted.and_then(|results| results.into_iter().collect::<Result<Vec<()>, _>>()) {
            tracing::error!(queue, %error, "handled messages cannot be deleted and will come again");
        }
    }
}

/// The event of one batch, as Lambda builds it.
fn event(batch: &[ReceivedMessage], arn: &str) -> Bytes {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let records: Vec<Value> = batch
        .iter()
        .map(|message| {
            let attributes =
                message.message_attributes.iter().map(|(name, it)| (name.clone(), attribute(it)));
            let mut record = json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": message.attributes,
                "messageAttributes": attributes.collect::<Map<_, _>>(),
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": region,
            });
            if let Some(md5) = message.md5_of_message_attributes() {
                record["md5OfMessageAttributes"] = md5.into();
            }
            record
        })
        .collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

fn attribute(attribute: &MessageAttribute) -> Value {
    let mut written =
        json!({ "stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type });
    if let Some(text) = &attribute.string_value {
        written["stringValue"] = text.as_str().into();
    }
    if let Some(bytes) = &attribute.binary_value {
        written["binaryValue"] = bytes.as_str().into();
    }
    written
}

/// The ids that failed; `None` if the whole batch did. As the Lambda guide has it: nothing, `null` and an empty list are
/// full success; what cannot be read, and an identifier that is missing, empty or not of this batch, is full failure.
fn failures(answer: &[u8], batch: &[ReceivedMessage]) -> Option<BTreeSet<String>> {
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
    let known = |id: &str| batch.iter().any(|message| message.message_id == id);
    items
        .iter()
        .map(|item| item.get("itemIdentifier")?.as_str().filter(|id| known(id)).map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn message(id: &str) -> ReceivedMessage {
        ReceivedMessage {
            message_id: id.into(),
            receipt_handle: format!("handle-{id}"),
            body: "{}".into(),
            md5_of_body: "99914b932bd37a50b983c5e7c90ae93b".into(),
            attributes: BTreeMap::new(),
            message_attributes: BTreeMap::new(),
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
        let event: Value =
            serde_json::from_slice(&event(&[message("a")], "arn:aws:sqs:us-east-1:1:q")).unwrap();
        let record = event["Records"][0].as_object().unwrap();
        let names: Vec<&str> = record.keys().map(String::as_str).collect();
        let expected = [
            "attributes",
            "awsRegion",
            "body",
            "eventSource",
            "eventSourceARN",
            "md5OfBody",
            "messageAttributes",
            "messageId",
            "receiptHandle",
        ];
        assert_eq!(names, expected);
        assert_eq!(record["awsRegion"], "us-east-1");
    }
}
