//! What the store can do: the calls of the loaded run, made again by SDK clients alone, with nothing decided between
//! them. Same store, same connector, same bodies under fresh keys.

use crate::machine;
use crate::probe::Call;
use crate::rig::Rig;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, RawMessage};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use aws_smithy_types::base64;
use serde_json::Value;
use sluice::host::spec::{StackSpec, named};
use sluice_host::environment::Environment;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Included, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Calls at the same time: about what the functions have under load.
const AT_ONCE: usize = 32;
/// A queue nobody else reads.
const QUEUE: &str = "bench-raw";

/// What came out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bound {
    /// Calls a second.
    pub(crate) per_second: f64,
    /// Calls that failed: should be none.
    pub(crate) failed: u64,
    /// Processor time of one call, in microseconds, SDK and store together.
    pub(crate) cpu_micros: f64,
}

struct Clients {
    table: aws_sdk_dynamodb::Client,
    queues: aws_sdk_sqs::Client,
    mail: aws_sdk_sesv2::Client,
    queue_url: String,
}

/// Makes the recorded calls again for so many seconds.
pub(crate) async fn replay(rig: &Rig, calls: Vec<Call>, seconds: u64) -> Result<Bound, String> {
    let calls: Vec<Call> = calls.into_iter().filter(is_known).collect();
    if calls.is_empty() {
        return Err("nothing was recorded".to_owned());
    }
    let spec = sluice_services::sqs::QueueSpec::new(QUEUE);
    rig.stack.sqs.create_queue(&spec).map_err(|error| error.to_string())?;
    let clients = Arc::new(clients(rig)?);
    let ids = Arc::new(ids(&calls));
    let texts: Arc<Vec<(String, String)>> =
        Arc::new(calls.iter().map(|call| (call.operation.clone(), call.body.to_string())).collect());
    let (next, done, failed) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let drain = tokio::spawn(drain(rig.stack.sqs.clone()));
    let (started, cpu) = (machine::now(), machine::cpu());
    let until = started + Duration::from_secs(seconds);
    let workers = (0..AT_ONCE).map(|_| {
        let (clients, ids, texts) = (clients.clone(), ids.clone(), texts.clone());
        let (next, done, failed) = (next.clone(), done.clone(), failed.clone());
        tokio::spawn(async move {
            while machine::now() < until {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let (operation, text) = &texts[at % texts.len()];
                let text = freshen(text, &ids, at / texts.len());
                if clients.call(operation, &text).await.is_none() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    futures::future::join_all(workers.collect::<Vec<_>>()).await;
    let (elapsed, cpu) = (started.elapsed(), machine::cpu() - cpu);
    drain.abort();
    let done = done.load(Ordering::Relaxed) as f64;
    Ok(Bound {
        per_second: done / elapsed.as_secs_f64(),
        failed: failed.load(Ordering::Relaxed),
        cpu_micros: cpu.as_secs_f64() * 1e6 / done.max(1.0),
    })
}

/// Whether a call is one of those that [`Clients::call`] makes.
pub(crate) fn is_known(call: &Call) -> bool {
    matches!(
        call.operation.as_str(),
        "PutItem"
            | "UpdateItem"
            | "BatchGetItem"
            | "GetItem"
            | "Query"
            | "TransactWriteItems"
            | "SendMessage"
            | "SendMessageBatch"
    ) || call.operation.ends_with("outbound-emails")
}

/// Takes messages off the queue as the pollers do.
async fn drain(sqs: sluice_services::sqs::Sqs) {
    loop {
        let messages = sqs.receive(QUEUE, 10, None).unwrap_or_default();
        if messages.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let handles: Vec<&str> = messages.iter().map(|message| message.receipt_handle.as_str()).collect();
        let _ = sqs.delete_batch(QUEUE, &handles);
        tokio::task::yield_now().await;
    }
}

fn clients(rig: &Rig) -> Result<Clients, String> {
    let template = sluice::cli::local_template()?;
    let spec =
        StackSpec::from_template(&template, &rig.stack.addresses).map_err(|error| error.to_string())?;
    let mut env = Environment::of_process();
    env.http = rig.stack_client();
    env.vars = spec
        .functions
        .iter()
        .find(|it| it.name == "route-lead")
        .map(|it| it.vars.clone())
        .unwrap_or_default();
    env.vars.extend(crate::rig::sdk_variables(&rig.stack.addresses));
    let config = sluice_host::aws::sdk_config(&env).map_err(|error| error.to_string())?;
    let addresses = &rig.stack.addresses;
    let table = aws_sdk_dynamodb::config::Builder::from(&config).endpoint_url(&addresses.dynamodb).build();
    let queues = aws_sdk_sqs::config::Builder::from(&config).endpoint_url(&addresses.sqs).build();
    let mail = aws_sdk_sesv2::config::Builder::from(&config).endpoint_url(&addresses.ses).build();
    Ok(Clients {
        table: aws_sdk_dynamodb::Client::from_conf(table),
        queues: aws_sdk_sqs::Client::from_conf(queues),
        mail: aws_sdk_sesv2::Client::from_conf(mail),
        queue_url: addresses.queue_url(QUEUE),
    })
}

/// Ids in the recorded keys, each with the place of the part that is replaced: its last six characters.
fn ids(calls: &[Call]) -> BTreeSet<String> {
    fn walk(value: &Value, ids: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                if let Some(pk) = object.get("pk").and_then(|pk| pk["S"].as_str())
                    && ["ld_", "cu_", "ad#"].iter().any(|prefix| pk.starts_with(prefix))
                {
                    ids.insert(pk.trim_start_matches("ad#").to_owned());
                }
                object.values().for_each(|value| walk(value, ids));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, ids)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    calls.iter().for_each(|call| walk(&call.body, &mut found));
    found
}

/// The request with the ids of another round: ids keep their length, so requests and items keep their sizes.
fn freshen(text: &str, ids: &BTreeSet<String>, round: usize) -> String {
    let mut fresh = String::with_capacity(text.len());
    let mut rest = text;
    let marker = |rest: &str| {
        ["ld_", "cu_", "ad#"].iter().filter_map(|mark| rest.find(mark).map(|at| (at, *mark))).min()
    };
    while let Some((at, mark)) = marker(rest) {
        let from = if mark == "ad#" { at + 3 } else { at };
        let mut candidates = ids.range::<str, _>((Unbounded, Included(&rest[from..])));
        match candidates.next_back().filter(|id| rest[from..].starts_with(id.as_str())) {
            Some(id) => {
                let end = from + id.len();
                fresh.push_str(&rest[..end - 6]);
                fresh.push_str(&format!("{:06}", round % 1_000_000));
                rest = &rest[end..];
            }
            None => {
                fresh.push_str(&rest[..from + 1]);
                rest = &rest[from + 1..];
            }
        }
    }
    fresh.push_str(rest);
    fresh
}

/// A condition that always holds and costs what the recorded one costs: versions are not those of the recording.
fn condition(of: &Value) -> Option<String> {
    of["ConditionExpression"].as_str().map(|text| format!("attribute_not_exists(zz) OR {text}"))
}

impl Clients {
    /// Makes one call; `None` if it failed.
    async fn call(&self, operation: &str, text: &str) -> Option<()> {
        let body: Value = serde_json::from_str(text).ok()?;
        match operation {
            "PutItem" => {
                let call = self.table.put_item().table_name(named("Table")).set_item(map(&body["Item"]));
                let call = call.set_condition_expression(condition(&body));
                let values = call.set_expression_attribute_values(map(&body["ExpressionAttributeValues"]));
                let old = ReturnValuesOnConditionCheckFailure::AllOld;
                values.return_values_on_condition_check_failure(old).send().await.ok().map(drop)
            }
            "UpdateItem" => {
                let call = self.table.update_item().table_name(named("Table")).set_key(map(&body["Key"]));
                let call = call.set_update_expression(body["UpdateExpression"].as_str().map(str::to_owned));
                let call = call.set_condition_expression(condition(&body));
                let call = call.set_expression_attribute_values(map(&body["ExpressionAttributeValues"]));
                call.send().await.ok().map(drop)
            }
            "GetItem" => {
                let call = self.table.get_item().table_name(named("Table")).set_key(map(&body["Key"]));
                call.consistent_read(true).send().await.ok().map(drop)
            }
            "Query" => {
                let call = self.table.query().table_name(named("Table")).consistent_read(true);
                let call = call
                    .set_key_condition_expression(body["KeyConditionExpression"].as_str().map(str::to_owned));
                let call = call.set_expression_attribute_values(map(&body["ExpressionAttributeValues"]));
                call.limit(1).scan_index_forward(false).send().await.ok().map(drop)
            }
            "BatchGetItem" => {
                let keys = body["RequestItems"][named("Table")]["Keys"].as_array()?.iter().map(map);
                let keys = KeysAndAttributes::builder()
                    .set_keys(keys.collect())
                    .consistent_read(true)
                    .build()
                    .ok()?;
                self.table.batch_get_item().request_items(named("Table"), keys).send().await.ok().map(drop)
            }
            "TransactWriteItems" => {
                let items = body["TransactItems"].as_array()?.iter().map(action);
                let items: Option<Vec<_>> = items.collect();
                self.table.transact_write_items().set_transact_items(items).send().await.ok().map(drop)
            }
            "SendMessage" => {
                let text = body["MessageBody"].as_str()?;
                self.queues
                    .send_message()
                    .queue_url(&self.queue_url)
                    .message_body(text)
                    .send()
                    .await
                    .ok()
                    .map(drop)
            }
            "SendMessageBatch" => {
                let entries = body["Entries"].as_array()?.iter().map(|entry| {
                    let built = SendMessageBatchRequestEntry::builder().id(entry["Id"].as_str()?);
                    built.message_body(entry["MessageBody"].as_str()?).build().ok()
                });
                let entries: Option<Vec<_>> = entries.collect();
                let call = self.queues.send_message_batch().queue_url(&self.queue_url).set_entries(entries);
                call.send().await.ok().map(drop)
            }
            _ => self.send_mail(&body).await,
        }
    }

    async fn send_mail(&self, body: &Value) -> Option<()> {
        let simple = &body["Content"]["Simple"];
        let text =
            |value: &Value| Content::builder().data(value["Data"].as_str().unwrap_or_default()).build().ok();
        let content = match body["Content"]["Raw"]["Data"].as_str() {
            // As long as it was, encoded as it was: what it says is not looked at.
            Some(raw) => {
                let raw = RawMessage::builder().data(Blob::new(base64::decode(raw).ok()?)).build().ok()?;
                EmailContent::builder().raw(raw).build()
            }
            None => {
                let content = Body::builder().set_text(text(&simple["Body"]["Text"])).build();
                let message = Message::builder().set_subject(text(&simple["Subject"])).body(content).build();
                EmailContent::builder().simple(message).build()
            }
        };
        let to = body["Destination"]["ToAddresses"][0].as_str()?;
        self.mail
            .send_email()
            .from_email_address(body["FromEmailAddress"].as_str()?)
            .destination(Destination::builder().to_addresses(to).build())
            .content(content)
            .send()
            .await
            .ok()
            .map(drop)
    }
}

fn action(action: &Value) -> Option<TransactWriteItem> {
    let built = TransactWriteItem::builder();
    if let Some(put) = action.get("Put") {
        let values = map(&put["ExpressionAttributeValues"]);
        let item = Put::builder().table_name(named("Table")).set_item(map(&put["Item"]));
        let item = item.set_condition_expression(condition(put)).set_expression_attribute_values(values);
        return Some(built.put(item.build().ok()?).build());
    }
    let update = action.get("Update")?;
    let item = Update::builder().table_name(named("Table")).set_key(map(&update["Key"]));
    let item = item.set_update_expression(update["UpdateExpression"].as_str().map(str::to_owned));
    let item = item.set_condition_expression(condition(update));
    let item = item.set_expression_attribute_values(map(&update["ExpressionAttributeValues"]));
    Some(built.update(item.build().ok()?).build())
}

fn map(value: &Value) -> Option<HashMap<String, AttributeValue>> {
    let object = value.as_object()?;
    object.iter().map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}

fn attribute(value: &Value) -> Option<AttributeValue> {
    let (kind, value) = value.as_object()?.iter().next()?;
    Some(match kind.as_str() {
        "S" => AttributeValue::S(value.as_str()?.to_owned()),
        "N" => AttributeValue::N(value.as_str()?.to_owned()),
        "BOOL" => AttributeValue::Bool(value.as_bool()?),
        "B" => AttributeValue::B(Blob::new(value.as_str()?)),
        "SS" => AttributeValue::Ss(
            value.as_array()?.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect(),
        ),
        "NULL" => AttributeValue::Null(true),
        _ => return None,
    })
}

/// How often each operation was called.
pub(crate) fn by_operation(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for call in calls {
        *counts.entry(call.operation.clone()).or_default() += 1;
    }
    counts
}
