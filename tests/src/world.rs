//! A whole stack in one process for one plan: the embedded services, the functions, and the player of the queues.

use crate::faults::{Invocation, Ran, Wire};
use crate::mutants::Mutant;
use crate::observe::Observed;
use crate::outside::{Graph, NoMetrics, Receiver, SeededRandom, VirtualClock};
use crate::sns::Sns;
use crate::wire::{Headers, Host, text};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::customer::{HashKey, HashKeys};
use sluice_domain::link::LinkKeys;
use sluice_host::environment::Environment;
use sluice_host::function::{Build, Function, InvokeError};
use sluice_services::dynamodb::DynamoDb;
use sluice_services::secrets::Secrets;
use sluice_services::ses::Ses;
use sluice_services::sqs::{OutgoingMessage, QueueSpec, ReceivedMessage, Sqs};
use sluice_services::{Now, Service};
use sluice_store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The table's name.
pub const TABLE: &str = "sluice";
/// When every world begins, in milliseconds since the epoch.
pub const START: i64 = 1_795_260_000_000;
/// The webhook secret of the Meta app.
pub const APP_SECRET: &str = "app-secret";
/// The first token of the people's API.
pub const ADMIN_TOKEN: &str = "admin-token";
/// What the hash key is made of, 64 times.
const HASH_KEY: &str = "k";
/// What the key of links is made of, 64 times.
const LINK_KEY: &str = "l";
/// How long a message that failed stays hidden, in seconds: short, so that redelivery comes at a bad time.
const VISIBILITY: i64 = 2;
/// Receives after which a message goes to the dead letters, as in the template.
const MAX_RECEIVES: u32 = 5;
/// Deliveries within which everything must settle once faults have stopped.
const MAX_DELIVERIES: u32 = 120;

/// The keys that addresses are hashed with, before any rotation.
pub fn hash_keys() -> HashKeys {
    HashKeys { current: HashKey::new("1", HASH_KEY.repeat(64).as_bytes()), previous: None }
}

/// The keys of links in messages.
pub fn link_keys() -> LinkKeys {
    LinkKeys::new("1", LINK_KEY.repeat(64).as_bytes()).unwrap()
}

/// Requests of the event under test: how many were made, and how many of them were answered as asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visits {
    /// Made, whatever came of them.
    pub made: u32,
    /// Answered with what they asked for.
    pub answered: u32,
}

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// capture-lead.
    Capture,
    /// enrich-lead.
    Enrich,
    /// route-lead.
    Route,
    /// send-message.
    Send,
    /// record-feedback.
    Record,
    /// fire-timers.
    Fire,
    /// record-engagement.
    Engage,
    /// serve-console.
    Console,
    /// erase-customer.
    Erase,
    /// advance-journey.
    Advance,
    /// track-event.
    Track,
}

impl Name {
    fn build(self) -> Build {
        match self {
            Self::Capture => capture_lead::build,
            Self::Enrich => enrich_lead::build,
            Self::Route => route_lead::build,
            Self::Send => send_message::build,
            Self::Record => record_feedback::build,
            Self::Fire => fire_timers::build,
            Self::Engage => record_engagement::build,
            Self::Console => serve_console::build,
            Self::Erase => erase_customer::build,
            Self::Advance => advance_journey::build,
            Self::Track => track_event::build,
        }
    }
}

/// The queues with the functions that read them and the sizes of their batches, as in the template.
pub const QUEUES: [(&str, Name, usize); 8] = [
    ("lead", Name::Route, 10),
    ("enrich", Name::Enrich, 5),
    ("notice", Name::Send, 5),
    ("message", Name::Send, 10),
    ("bulk", Name::Send, 10),
    ("erase", Name::Erase, 5),
    ("feedback", Name::Record, 10),
    ("event", Name::Advance, 10),
];

/// A world as it was left, to begin plans from.
#[derive(Clone, Debug)]
pub struct Snapshot {
    items: Vec<Value>,
    capacity: BTreeMap<(String, String), u32>,
    is_rotated: bool,
    millis: i64,
    observed: Observed,
    delivered: BTreeSet<(&'static str, String)>,
}

/// A stack in one process.
pub struct World {
    /// The clock of everything in it.
    pub clock: Arc<VirtualClock>,
    /// The table's store.
    pub table: DynamoDb,
    /// The queues.
    pub queues: Sqs,
    /// What every call goes over.
    pub wire: Wire,
    /// Every message that was ever delivered: the queue and the body.
    pub delivered: BTreeSet<(&'static str, String)>,
    /// Deliveries while settling.
    pub deliveries: u32,
    /// Requests of the event under test.
    pub visits: Visits,
    secrets: Secrets,
    is_rotated: bool,
    env: Environment,
    functions: BTreeMap<(Name, usize), Arc<dyn Function>>,
}

impl World {
    /// An empty stack: table, queues and secrets are there, policies are not.
    pub fn new(mutant: Option<Mutant>) -> Self {
        let clock = Arc::new(VirtualClock::at(START));
        let shown = clock.clone();
        let now: Now = Arc::new(move || shown.millis());
        let table = DynamoDb::memory().unwrap();
        table.run("CreateTable", create_table().to_string().as_bytes()).unwrap();
        let queues = Sqs::open(None, now.clone(), format!("http://{}", Host::Queues.name())).unwrap();
        for (queue, _, _) in QUEUES {
            queues.create_queue(&QueueSpec::new(format!("{queue}-dead"))).unwrap();
            let spec = QueueSpec::new(queue).with_redrive(&format!("{queue}-dead"), MAX_RECEIVES);
            queues.create_queue(&spec).unwrap();
        }
        let secrets = Secrets::memory(now.clone());
        secrets
            .put("sluice/hash-key", json!({ "version": "1", "current": HASH_KEY.repeat(64) }).to_string())
            .unwrap();
        secrets
            .put("sluice/link-key", json!({ "version": "1", "current": LINK_KEY.repeat(64) }).to_string())
            .unwrap();
        secrets.put("sluice/admin-token", ADMIN_TOKEN.to_owned()).unwrap();
        secrets.put("sluice/sources/page-token", "token".to_owned()).unwrap();
        secrets.put("sluice/sources/hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()).unwrap();
        let services: BTreeMap<Host, Arc<dyn Service>> = BTreeMap::from([
            (Host::Table, Arc::new(table.clone()) as Arc<dyn Service>),
            (Host::Queues, Arc::new(queues.clone())),
            (Host::Ses, Arc::new(Ses::memory(now))),
            (Host::Secrets, Arc::new(secrets.clone())),
            (Host::Graph, Arc::new(Graph)),
            (Host::Hook, Arc::new(Receiver)),
            (Host::Sns, Arc::new(Sns::default())),
        ]);
        let wire = Wire::new(services, Observed::default(), mutant);
        let url = |host: Host| format!("http://{}", host.name());
        let mut vars = BTreeMap::from(
            [
                ("AWS_ACCESS_KEY_ID", "local".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
                ("AWS_REGION", "us-east-1".to_owned()),
                ("AWS_ENDPOINT_URL_DYNAMODB", url(Host::Table)),
                ("AWS_ENDPOINT_URL_SQS", url(Host::Queues)),
                ("AWS_ENDPOINT_URL_SESV2", url(Host::Ses)),
                ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url(Host::Secrets)),
                ("SLUICE_TABLE", TABLE.to_owned()),
                ("SLUICE_GRAPH_URL", url(Host::Graph)),
                ("SLUICE_LINKEDIN_URL", url(Host::Graph)),
                ("SLUICE_LINKEDIN_VERSION", "202606".to_owned()),
                ("SLUICE_HASH_KEY_SECRET", "sluice/hash-key".to_owned()),
                ("SLUICE_LINK_KEY_SECRET", "sluice/link-key".to_owned()),
                ("SLUICE_ADMIN_TOKEN_SECRET", "sluice/admin-token".to_owned()),
                ("SLUICE_SECRET_PREFIX", "sluice/sources".to_owned()),
                ("SLUICE_MAIL_SET", "mail".to_owned()),
                ("SLUICE_MAIL_FROM", "sales@example.org".to_owned()),
                ("SLUICE_PUBLIC_URL", "https://sluice.example.org".to_owned()),
                ("META_APP_SECRET", APP_SECRET.to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        for (queue, _, _) in QUEUES {
            vars.insert(format!("SLUICE_{}_QUEUE_URL", queue.to_uppercase()), queues.queue_url(queue));
        }
        let env = Environment {
            vars,
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(7)),
            http: SharedHttpClient::new(wire.clone()),
            web: SharedHttpClient::new(wire.clone()),
            metrics: Arc::new(NoMetrics),
        };
        Self {
            clock,
            table,
            queues,
            wire,
            delivered: BTreeSet::new(),
            deliveries: 0,
            visits: Visits::default(),
            secrets,
            is_rotated: false,
            env,
            functions: BTreeMap::new(),
        }
    }

    /// A stack that stands where `snapshot` was taken.
    pub fn restore(snapshot: &Snapshot, mutant: Option<Mutant>) -> Self {
        let mut world = Self::new(mutant);
        world.clock.advance(snapshot.millis - START);
        for items in snapshot.items.chunks(25) {
            let puts: Vec<Value> =
                items.iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect();
            world.run("BatchWriteItem", &json!({ "RequestItems": { TABLE: puts } }));
        }
        if snapshot.is_rotated {
            world.rotate();
        }
        world.delivered.clone_from(&snapshot.delivered);
        *world.wire.observed() =
            Observed { capacity: snapshot.capacity.clone(), ..snapshot.observed.clone() };
        world
    }

    /// Where it stands. Queues are not part of it: they must be empty.
    pub fn snapshot(&self, capacity: BTreeMap<(String, String), u32>) -> Snapshot {
        assert!(self.queues_are_empty(), "a snapshot holds no queues");
        Snapshot {
            items: self.items(),
            capacity,
            is_rotated: self.is_rotated,
            millis: self.clock.millis(),
            observed: self.wire.observed().clone(),
            delivered: self.delivered.clone(),
        }
    }

    /// Whether addresses are hashed with another key than at first.
    pub const fn is_rotated(&self) -> bool {
        self.is_rotated
    }

    /// Addresses are hashed with another key from now on; the one before is still known.
    pub fn rotate(&mut self) {
        let (current, previous) = ("r".repeat(64), HASH_KEY.repeat(64));
        let keys =
            json!({ "version": "2", "current": current, "previous_version": "1", "previous": previous });
        self.secrets.put("sluice/hash-key", keys.to_string()).unwrap();
        self.is_rotated = true;
    }

    /// The store, past every fault.
    pub fn store(&self) -> Store {
        sluice_host::aws::store(&self.env).unwrap()
    }

    /// Runs an operation on the table, past the wire.
    pub fn run(&self, operation: &str, body: &Value) -> Value {
        let answer = self.table.run(operation, body.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// All items, by key.
    pub fn items(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut from = Value::Null;
        loop {
            let mut request = json!({ "TableName": TABLE, "ConsistentRead": true });
            if !from.is_null() {
                request["ExclusiveStartKey"] = from;
            }
            let mut answer = self.run("Scan", &request);
            items.extend(answer["Items"].as_array_mut().map(std::mem::take).unwrap_or_default());
            from = answer["LastEvaluatedKey"].take();
            if from.is_null() {
                break;
            }
        }
        items.sort_by_key(|item| (text(item, "pk").to_owned(), text(item, "sk").to_owned()));
        items
    }

    /// Puts a message on a queue.
    pub fn send(&self, queue: &str, body: &str) {
        self.queues.send(queue, OutgoingMessage::new(body)).unwrap();
    }

    /// Receives what is visible now.
    pub fn receive(&mut self, queue: &'static str, most: usize) -> Vec<ReceivedMessage> {
        let messages = self.queues.receive(queue, most, Some(VISIBILITY)).unwrap();
        self.delivered.extend(messages.iter().map(|message| (queue, message.body.clone())));
        messages
    }

    /// Messages in the dead letters, by body.
    pub fn dead(&self) -> Vec<String> {
        let mut dead = Vec::new();
        for (queue, _, _) in QUEUES {
            let messages = self.queues.receive(&format!("{queue}-dead"), 10, Some(0)).unwrap();
            dead.extend(messages.into_iter().map(|message| message.body));
        }
        dead
    }

    /// One instance of a function; instances share nothing in memory.
    pub async fn instance(&mut self, name: Name, number: usize) -> Arc<dyn Function> {
        if let Some(function) = self.functions.get(&(name, number)) {
            return function.clone();
        }
        let function = name.build()(self.env.clone()).await.unwrap();
        self.functions.insert((name, number), function.clone());
        function
    }

    /// The instance's process is gone; the next use of its number starts another.
    pub fn forget(&mut self, name: Name, number: usize) {
        self.functions.remove(&(name, number));
    }

    /// Acknowledges what an invocation did not report as failed.
    pub fn acknowledge(
        &self,
        queue: &str,
        messages: &[ReceivedMessage],
        answer: &Result<Bytes, InvokeError>,
    ) {
        let Ok(answer) = answer else { return };
        let answer: Value = serde_json::from_slice(answer).unwrap();
        let failures = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
        let failed = |message: &ReceivedMessage| {
            failures.iter().any(|failure| failure["itemIdentifier"] == message.message_id.as_str())
        };
        let handles: Vec<&str> =
            messages.iter().filter(|message| !failed(message)).map(|m| m.receipt_handle.as_str()).collect();
        if !handles.is_empty() {
            self.queues.delete_batch(queue, &handles).unwrap();
        }
    }

    /// Invokes a function once, by itself; a second fault of the plan may strike it.
    pub async fn invoke(&mut self, name: Name, payload: Bytes) -> Option<Result<Bytes, InvokeError>> {
        let function = self.instance(name, 0).await;
        let invocation = Invocation::new(false, u32::MAX);
        let mut work = function.invoke(payload);
        match invocation.run(&mut work).await {
            Ran::Done(answer) => Some(answer),
            Ran::Crashed | Ran::Paused => {
                self.forget(name, 0);
                None
            }
        }
    }

    /// Plays the queues and timers until nothing is left to do or `limit` milliseconds have passed. An error says what
    /// does not come to rest.
    pub async fn settle(&mut self, limit: i64) -> Result<(), String> {
        let end = self.clock.millis() + limit;
        let mut fired = self.clock.millis();
        loop {
            let mut idle = true;
            for (queue, name, most) in QUEUES {
                let messages = self.receive(queue, most);
                if messages.is_empty() {
                    continue;
                }
                idle = false;
                self.deliveries += 1;
                if self.deliveries > MAX_DELIVERIES {
                    let example = &messages[0].body;
                    return Err(format!(
                        "I11: {MAX_DELIVERIES} deliveries and no rest; {queue} brings {example}"
                    ));
                }
                if let Some(answer) = self.invoke(name, queue_event(&messages)).await {
                    self.acknowledge(queue, &messages, &answer);
                }
            }
            if !idle {
                continue;
            }
            if self.is_quiet() {
                return Ok(());
            }
            if self.clock.millis() >= end {
                return Ok(());
            }
            let step = if self.hidden() > 0 { VISIBILITY * 1000 } else { 30_000 };
            self.clock.advance(step.min(end - self.clock.millis()).max(1));
            if self.clock.millis() - fired >= 60_000 {
                fired = self.clock.millis();
                self.invoke(Name::Fire, Bytes::from_static(b"{}")).await;
            }
        }
    }

    fn hidden(&self) -> u64 {
        QUEUES.iter().map(|(queue, _, _)| self.queues.depth(queue).unwrap().in_flight).sum()
    }

    fn queues_are_empty(&self) -> bool {
        QUEUES.iter().all(|(queue, _, _)| {
            let depth = self.queues.depth(queue).unwrap();
            depth.visible + depth.in_flight + depth.delayed == 0
        })
    }

    /// Whether nothing is on a queue, due, or waiting in the ledger.
    pub fn is_quiet(&self) -> bool {
        self.queues_are_empty()
            && self
                .items()
                .iter()
                .all(|item| !text(item, "pk").starts_with("due#") && text(item, "st") != "waiting")
    }
}

/// Messages as Lambda hands them to a function.
pub fn queue_event(messages: &[ReceivedMessage]) -> Bytes {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
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

fn create_table() -> Value {
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let attributes = ["pk", "sk", "ix", "ia"].map(attribute);
    let keys = |hash: &str, range: &str| {
        json!([
            { "AttributeName": hash, "KeyType": "HASH" },
            { "AttributeName": range, "KeyType": "RANGE" },
        ])
    };
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": keys("pk", "sk"),
        "GlobalSecondaryIndexes": [{
            "IndexName": "open", "Projection": { "ProjectionType": "KEYS_ONLY" }, "KeySchema": keys("ix", "ia"),
        }],
    })
}
