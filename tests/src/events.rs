//! Events as Lambda hands them to a function, and what it answers.

use crate::wire::Headers;
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_host::function::InvokeError;
use sluice_services::sqs::ReceivedMessage;
use std::collections::BTreeSet;

/// The ids of the records that an invocation reports as failed; none if it failed as a whole.
pub fn failed(answer: &Result<Bytes, InvokeError>) -> Option<BTreeSet<String>> {
    let answer: Value = serde_json::from_slice(answer.as_ref().ok()?).unwrap();
    let failures = answer["batchItemFailures"].as_array().into_iter().flatten();
    Some(failures.filter_map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned)).collect())
}

/// The id of the record at a place of its batch.
pub fn record_id(at: usize) -> String {
    format!("record-{at}")
}

/// Messages as Lambda hands them to a function.
pub fn queue_event(messages: &[ReceivedMessage]) -> Bytes {
    let records: Vec<Value> = messages
        .iter()
        .enumerate()
        .map(|(at, message)| {
            json!({
                "messageId": record_id(at),
                "receiptHandle": record_id(at),
                "body": message.body,
                "attributes": message.attributes,
            })
        })
        .collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

/// A request as API Gateway hands it to a function (payload 2.0).
pub fn http_event(method: &str, path: &str, headers: &Headers, body: &str) -> Bytes {
    let event = json!({
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "body": body,
        "isBase64Encoded": false,
        "requestContext": { "http": { "method": method, "sourceIp": "192.0.2.1" }, "stage": "$default" },
    });
    Bytes::from(event.to_string())
}
