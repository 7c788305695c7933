//! The actions of the SQS API: each reads its parameters, does its work on the store and gives its answer.

use super::attributes::{self, Given, MAX_VISIBILITY};
use super::error::{Code, SqsError};
use super::message::{MAX_BYTES, MessageAttribute, OutgoingMessage, ReceivedMessage, Sent};
use super::protocol::parse;
use super::{Sqs, md5};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Performs one action on a JSON body.
pub(super) async fn perform(sqs: &Sqs, action: &str, body: &[u8]) -> Result<Value, SqsError> {
    match action {
        "CreateQueue" => create_queue(sqs, parse(body)?),
        "GetQueueUrl" => get_queue_url(sqs, parse(body)?),
        "ListQueues" => list_queues(sqs, parse(body)?),
        "DeleteQueue" => delete_queue(sqs, parse(body)?),
        "PurgeQueue" => purge_queue(sqs, parse(body)?),
        "GetQueueAttributes" => get_queue_attributes(sqs, parse(body)?),
        "SetQueueAttributes" => set_queue_attributes(sqs, parse(body)?),
        "SendMessage" => send_message(sqs, parse(body)?),
        "SendMessageBatch" => send_message_batch(sqs, parse(body)?),
        "ReceiveMessage" => receive_message(sqs, parse(body)?).await,
        "DeleteMessage" => delete_message(sqs, parse(body)?),
        "DeleteMessageBatch" => delete_message_batch(sqs, parse(body)?),
        "ChangeMessageVisibility" => change_message_visibility(sqs, parse(body)?),
        "ChangeMessageVisibilityBatch" => change_message_visibility_batch(sqs, parse(body)?),
        "StartMessageMoveTask" => start_message_move_task(sqs, parse(body)?),
        "ListMessageMoveTasks" => list_message_move_tasks(sqs, parse(body)?),
        "CancelMessageMoveTask" => cancel_message_move_task(sqs, parse(body)?),
        _ => {
            Err(SqsError::refused(Code::UnknownOperation, format!("The action {action} is not known here.")))
        }
    }
}

/// Parameters of every action that acts on queues; each action reads those it has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct QueueRequest {
    queue_name: Option<String>,
    queue_url: Option<String>,
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
    attributes: Given,
    attribute_names: Vec<String>,
}

impl QueueRequest {
    fn queue(&self) -> Result<&str, SqsError> {
        queue_of(self.queue_url.as_deref())
    }
}

fn create_queue(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    let name = required(request.queue_name, "QueueName")?;
    sqs.store().create(&name, request.attributes, sqs.now())?;
    Ok(json!({ "QueueUrl": sqs.queue_url(&name) }))
}

fn get_queue_url(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    let name = required(request.queue_name, "QueueName")?;
    sqs.store().queue(&name)?;
    Ok(json!({ "QueueUrl": sqs.queue_url(&name) }))
}

fn list_queues(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    let prefix = request.queue_name_prefix.unwrap_or_default();
    let most = ranged("MaxResults", request.max_results, 1..=1000)?;
    let mut names: Vec<String> = sqs
        .store()
        .queues()
        .map(|queue| queue.name.clone())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    names.sort_unstable();
    // The token is the last name of the page before.
    if let Some(token) = request.next_token {
        names.retain(|name| *name > token);
    }
    let page = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(1000);
    let more = names.len() > page && most.is_some();
    names.truncate(page);
    let mut answer = Map::new();
    if let (true, Some(last)) = (more, names.last()) {
        answer.insert("NextToken".to_owned(), json!(last));
    }
    if !names.is_empty() {
        let urls: Vec<String> = names.iter().map(|name| sqs.queue_url(name)).collect();
        answer.insert("QueueUrls".to_owned(), json!(urls));
    }
    Ok(Value::Object(answer))
}

fn delete_queue(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    sqs.store().delete_queue(request.queue()?, sqs.now())?;
    Ok(json!({}))
}

fn purge_queue(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    sqs.store().purge(request.queue()?, sqs.now())?;
    Ok(json!({}))
}

fn get_queue_attributes(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    let asked = &request.attribute_names;
    if let Some(unknown) = asked.iter().find(|name| !attributes::exists(name)) {
        return Err(SqsError::refused(Code::InvalidAttributeName, format!("Unknown Attribute {unknown}.")));
    }
    let (mut store, now) = (sqs.store(), sqs.now());
    store.continue_moves(now)?;
    let queue = store.queue(request.queue()?)?;
    // Without names the answer is empty (GetQueueAttributes, AttributeNames).
    if asked.is_empty() {
        return Ok(json!({}));
    }
    let depth = store.depth(&queue, now)?;
    let mut all = attributes::with_defaults(&queue.given, &queue.settings);
    let computed = [
        depth.visible.to_string(),
        depth.in_flight.to_string(),
        depth.delayed.to_string(),
        queue.arn(),
        (queue.created_at / 1000).to_string(),
        (queue.modified_at / 1000).to_string(),
    ];
    all.extend(attributes::COMPUTED.iter().map(|name| (*name).to_owned()).zip(computed));
    if !asked.iter().any(|name| name == "All") {
        all.retain(|name, _| asked.contains(name));
    }
    Ok(json!({ "Attributes": all }))
}

fn set_queue_attributes(sqs: &Sqs, request: QueueRequest) -> Result<Value, SqsError> {
    sqs.store().change(request.queue()?, &request.attributes, sqs.now())?;
    Ok(json!({}))
}

/// A message of SendMessage, or an entry of SendMessageBatch.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SendRequest {
    queue_url: Option<String>,
    id: Option<String>,
    message_body: String,
    delay_seconds: Option<i64>,
    message_attributes: BTreeMap<String, MessageAttribute>,
    message_system_attributes: BTreeMap<String, MessageAttribute>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

impl SendRequest {
    fn into_message(mut self) -> OutgoingMessage {
        let trace = self.message_system_attributes.remove("AWSTraceHeader").and_then(|a| a.string_value);
        OutgoingMessage {
            body: self.message_body,
            delay_seconds: self.delay_seconds,
            attributes: self.message_attributes,
            group_id: self.message_group_id,
            deduplication_id: self.message_deduplication_id,
            trace_header: trace,
        }
    }
}

fn send_message(sqs: &Sqs, request: SendRequest) -> Result<Value, SqsError> {
    let url = request.queue_url.clone();
    let sent = sqs.send(queue_of(url.as_deref())?, request.into_message())?;
    Ok(Value::Object(shown(sent)))
}

fn shown(sent: Sent) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("MessageId".to_owned(), sent.message_id.into());
    answer.insert("MD5OfMessageBody".to_owned(), sent.md5_of_body.into());
    let optional = [
        ("MD5OfMessageAttributes", sent.md5_of_attributes),
        ("MD5OfMessageSystemAttributes", sent.md5_of_system_attributes),
        ("SequenceNumber", sent.sequence_number),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            answer.insert(name.to_owned(), value.into());
        }
    }
    answer
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<T> {
    queue_url: Option<String>,
    #[serde(default = "Vec::new")]
    entries: Vec<T>,
}

fn send_message_batch(sqs: &Sqs, request: Batch<SendRequest>) -> Result<Value, SqsError> {
    let queue = queue_of(request.queue_url.as_deref())?;
    let ids = checked_ids(&request.entries, |entry| entry.id.as_deref())?;
    let messages: Vec<OutgoingMessage> = request.entries.into_iter().map(SendRequest::into_message).collect();
    let bytes: usize = messages.iter().map(OutgoingMessage::size).sum();
    if bytes > MAX_BYTES {
        return Err(SqsError::refused(
            Code::BatchRequestTooLong,
            format!("Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {bytes} bytes."),
        ));
    }
    let results = sqs.store().send(queue, &messages, sqs.now())?;
    Ok(split(ids, results, shown))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ReceiveRequest {
    queue_url: Option<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    attribute_names: Vec<String>,
    message_system_attribute_names: Vec<String>,
    message_attribute_names: Vec<String>,
    receive_request_attempt_id: Option<String>,
}

/// Names of message system attributes a receive may ask for (ReceiveMessage).
const SYSTEM_ATTRIBUTES: [&str; 11] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
    "SqsManagedSseEnabled",
];

async fn receive_message(sqs: &Sqs, request: ReceiveRequest) -> Result<Value, SqsError> {
    let queue = queue_of(request.queue_url.as_deref())?;
    if request.receive_request_attempt_id.is_some() {
        let rule = "ReceiveRequestAttemptId is not supported here.";
        return Err(SqsError::refused(Code::UnsupportedOperation, rule));
    }
    let most = ranged("MaxNumberOfMessages", request.max_number_of_messages, 1..=10)?.unwrap_or(1);
    let most = usize::try_from(most).unwrap_or(1);
    let visibility = ranged("VisibilityTimeout", request.visibility_timeout, 0..=MAX_VISIBILITY)?;
    let wait = ranged("WaitTimeSeconds", request.wait_time_seconds, 0..=20)?;
    let system: BTreeSet<String> =
        request.attribute_names.into_iter().chain(request.message_system_attribute_names).collect();
    if let Some(unknown) = system.iter().find(|name| !SYSTEM_ATTRIBUTES.contains(&name.as_str())) {
        return Err(SqsError::refused(Code::InvalidAttributeName, format!("Unknown Attribute {unknown}.")));
    }
    let wait = match wait {
        Some(seconds) => seconds,
        None => sqs.store().queue(queue)?.settings.wait,
    };
    let deadline = sqs.now() + wait * 1000;
    let messages = loop {
        let messages = sqs.receive(queue, most, visibility)?;
        if !messages.is_empty() || wait == 0 || !sqs.wait_until(queue, deadline).await? {
            break messages;
        }
    };
    if messages.is_empty() {
        return Ok(json!({}));
    }
    let messages: Vec<Value> = messages
        .into_iter()
        .map(|message| asked_for(message, &system, &request.message_attribute_names))
        .collect();
    Ok(json!({ "Messages": messages }))
}

/// A received message with the attributes that were asked for.
fn asked_for(mut message: ReceivedMessage, system: &BTreeSet<String>, own: &[String]) -> Value {
    message.attributes.retain(|name, _| system.contains("All") || system.contains(name));
    message.message_attributes.retain(|name, _| {
        own.iter().any(|pattern| match pattern.strip_suffix(".*") {
            Some(prefix) => {
                prefix.is_empty() || name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
            }
            None => pattern == "All" || pattern == name,
        })
    });
    let mut answer = Map::new();
    // The digest covers what is returned, so that the receiver can check it.
    if let Some(digest) = md5::of_attributes(&message.message_attributes) {
        answer.insert("MD5OfMessageAttributes".to_owned(), digest.into());
        answer.insert("MessageAttributes".to_owned(), json!(message.message_attributes));
    }
    if !message.attributes.is_empty() {
        answer.insert("Attributes".to_owned(), json!(message.attributes));
    }
    for (name, value) in [
        ("MessageId", message.message_id),
        ("ReceiptHandle", message.receipt_handle),
        ("MD5OfBody", message.md5_of_body),
        ("Body", message.body),
    ] {
        answer.insert(name.to_owned(), value.into());
    }
    Value::Object(answer)
}

/// A message named by its receipt handle, alone or as a batch entry.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HandleRequest {
    queue_url: Option<String>,
    id: Option<String>,
    receipt_handle: String,
    visibility_timeout: Option<i64>,
}

impl HandleRequest {
    fn hiding(self) -> Result<(String, i64), SqsError> {
        Ok((self.receipt_handle, required(self.visibility_timeout, "VisibilityTimeout")?))
    }
}

fn delete_message(sqs: &Sqs, request: HandleRequest) -> Result<Value, SqsError> {
    let queue = queue_of(request.queue_url.as_deref())?;
    let results = sqs.store().delete(queue, &[&request.receipt_handle], sqs.now())?;
    results.into_iter().collect::<Result<(), _>>()?;
    Ok(json!({}))
}

fn delete_message_batch(sqs: &Sqs, request: Batch<HandleRequest>) -> Result<Value, SqsError> {
    let queue = queue_of(request.queue_url.as_deref())?;
    let ids = checked_ids(&request.entries, |entry| entry.id.as_deref())?;
    let handles: Vec<String> = request.entries.into_iter().map(|entry| entry.receipt_handle).collect();
    let results = sqs.store().delete(queue, &handles, sqs.now())?;
    Ok(split(ids, results, |()| Map::new()))
}

fn change_message_visibility(sqs: &Sqs, request: HandleRequest) -> Result<Value, SqsError> {
    let url = request.queue_url.clone();
    let results = sqs.store().hide(queue_of(url.as_deref())?, &[request.hiding()?], sqs.now())?;
    results.into_iter().collect::<Result<(), _>>()?;
    Ok(json!({}))
}

fn change_message_visibility_batch(sqs: &Sqs, request: Batch<HandleRequest>) -> Result<Value, SqsError> {
    let queue = queue_of(request.queue_url.as_deref())?;
    let ids = checked_ids(&request.entries, |entry| entry.id.as_deref())?;
    let entries = request.entries.into_iter().map(HandleRequest::hiding).collect::<Result<Vec<_>, _>>()?;
    let results = sqs.store().hide(queue, &entries, sqs.now())?;
    Ok(split(ids, results, |()| Map::new()))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct MoveRequest {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
    max_results: Option<i64>,
    task_handle: Option<String>,
}

fn start_message_move_task(sqs: &Sqs, request: MoveRequest) -> Result<Value, SqsError> {
    let source = required(request.source_arn, "SourceArn")?;
    let rate = request.max_number_of_messages_per_second;
    let handle = sqs.store().start_move(&source, request.destination_arn.as_deref(), rate, sqs.now())?;
    Ok(json!({ "TaskHandle": handle }))
}

fn list_message_move_tasks(sqs: &Sqs, request: MoveRequest) -> Result<Value, SqsError> {
    let source = required(request.source_arn, "SourceArn")?;
    let most = ranged("MaxResults", request.max_results, 1..=10)?.unwrap_or(1);
    let tasks = sqs.store().list_moves(&source, most, sqs.now())?;
    let results = tasks.into_iter().map(|task| {
        let mut entry = json!({
            "Status": task.status,
            "SourceArn": source,
            "ApproximateNumberOfMessagesMoved": task.moved,
            "ApproximateNumberOfMessagesToMove": task.to_move,
            "StartedTimestamp": task.started_at,
        });
        // The handle is for cancelling, so only a running task shows it (ListMessageMoveTasksResultEntry).
        let handle = (task.status == "RUNNING").then_some(task.handle);
        let optional = [
            ("TaskHandle", handle.map(Value::from)),
            ("DestinationArn", task.destination.map(Value::from)),
            ("MaxNumberOfMessagesPerSecond", task.rate.map(Value::from)),
            ("FailureReason", task.failure.map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                entry[name] = value;
            }
        }
        entry
    });
    Ok(json!({ "Results": results.collect::<Vec<_>>() }))
}

fn cancel_message_move_task(sqs: &Sqs, request: MoveRequest) -> Result<Value, SqsError> {
    let handle = required(request.task_handle, "TaskHandle")?;
    let moved = sqs.store().cancel_move(&handle, sqs.now())?;
    Ok(json!({ "ApproximateNumberOfMessagesMoved": moved }))
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, SqsError> {
    value.ok_or_else(|| SqsError::missing(name))
}

fn ranged(name: &str, value: Option<i64>, range: RangeInclusive<i64>) -> Result<Option<i64>, SqsError> {
    match value {
        Some(number) if !range.contains(&number) => {
            let reason = format!("Must be between {} and {}, if provided", range.start(), range.end());
            Err(SqsError::parameter(name, number, reason))
        }
        in_range => Ok(in_range),
    }
}

/// The queue a URL names: its last path segment, whatever host and account come before.
fn queue_of(url: Option<&str>) -> Result<&str, SqsError> {
    let url = url.ok_or_else(|| SqsError::missing("QueueUrl"))?;
    let path = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match path.and_then(|path| path.rsplit_once('/')) {
        Some((_, name)) if !name.is_empty() => Ok(name),
        _ => Err(SqsError::refused(
            Code::InvalidAddress,
            format!("The address {url} is not valid for this endpoint."),
        )),
    }
}

/// What makes a whole batch invalid; gives the entries' ids.
fn checked_ids<T>(entries: &[T], id: impl Fn(&T) -> Option<&str>) -> Result<Vec<String>, SqsError> {
    match entries.len() {
        0 => {
            let rule = "There should be at least one entry in the request.";
            return Err(SqsError::refused(Code::EmptyBatchRequest, rule));
        }
        1..=10 => {}
        count => {
            let rule = format!("Maximum number of entries per request are 10. You have sent {count}.");
            return Err(SqsError::refused(Code::TooManyEntriesInBatchRequest, rule));
        }
    }
    let mut ids: Vec<String> = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = id(entry).ok_or_else(|| SqsError::missing("Id"))?;
        if !(1..=80).contains(&id.len())
            || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            let rule = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at \
                        most 80 letters long.";
            return Err(SqsError::refused(Code::InvalidBatchEntryId, rule));
        }
        if ids.iter().any(|seen| seen == id) {
            return Err(SqsError::refused(Code::BatchEntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}

/// The answer to a batch: what succeeded, and what did not with its reason.
fn split<T>(
    ids: Vec<String>,
    results: Vec<Result<T, SqsError>>,
    show: impl Fn(T) -> Map<String, Value>,
) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (id, result) in ids.into_iter().zip(results) {
        match result {
            Ok(value) => {
                let mut entry = show(value);
                entry.insert("Id".to_owned(), id.into());
                successful.push(Value::Object(entry));
            }
            Err(error) => {
                let (code, message) = match error {
                    SqsError::Refused { code, message } => (code.names().1, message),
                    _ => ("InternalError", "The queue server failed.".to_owned()),
                };
                let fault = code != "InternalError";
                failed.push(json!({ "Id": id, "Code": code, "Message": message, "SenderFault": fault }));
            }
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}
