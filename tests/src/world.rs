//! A whole stack in one process for one plan: the embedded services, the functions, and the player of the queues.

use crate::connector::Wire;
use crate::events::{failed, queue_event, record_id};
use crate::ground::Ground;
use crate::invocation::{Invocation, Process, Ran, Role};
use crate::mutants::Mutant;
use crate::observe::Observed;
use crate::outside::{Graph, Mailbox, NoMetrics, Receiver, SeededRandom, ShownClock, VirtualClock};
use crate::records::newer_item;
use crate::settle::Settling;
use crate::sns::Sns;
use crate::table::{Changes, Items, TABLE, Table};
use crate::wire::{Host, text};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::customer::{HashKey, HashKeys};
use sluice_domain::link::LinkKeys;
use sluice_host::environment::Environment;
use sluice_host::function::{Build, Function, InvokeError};
use sluice_services::secrets::Secrets;
use sluice_services::sqs::{Held, OutgoingMessage, QueueSpec, ReceivedMessage, Sqs};
use sluice_services::{Now, Service};
use sluice_store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

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
pub const VISIBILITY: i64 = 2;
/// Receives after which a message goes to the dead letters, as in the template.
const MAX_RECEIVES: u32 = 5;
/// Deliveries within which everything must settle once faults have stopped.
pub const MAX_DELIVERIES: u32 = 120;

/// The keys that addresses are hashed with, before any rotation.
pub fn hash_keys() -> HashKeys {
    HashKeys::new(HashKey::new("1", HASH_KEY.repeat(64).as_bytes()))
}

/// The keys of links in messages.
pub fn link_keys() -> LinkKeys {
    LinkKeys::new("1", LINK_KEY.repeat(64).as_bytes()).unwrap()
}

/// Requests of the event under test: how many were made, and how many of them were answered as asked.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Visits {
    /// Made, whatever came of them.
    pub made: u32,
    /// Answered with what they asked for.
    pub answered: u32,
}

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// run-campaign.
    Campaign,
    /// track-event.
    Track,
}

impl Name {
    /// Who answers what people ask for: the API, or the links in messages. Who sends what comes to a queue of messages.
    pub fn asked(event: &str) -> Self {
        match event {
            api if api.contains(r#""rawPath":"/api/"#) => Self::Console,
            messages if messages.starts_with(r#"{"Records""#) => Self::Send,
            _ => Self::Engage,
        }
    }

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
            Self::Campaign => run_campaign::build,
            Self::Track => track_event::build,
        }
    }
}

/// The queues with the functions that read them and the sizes of their batches, as in the template.
pub const QUEUES: [(&str, Name, usize); 9] = [
    ("lead", Name::Route, 10),
    ("enrich", Name::Enrich, 5),
    ("notice", Name::Send, 5),
    ("message", Name::Send, 10),
    ("bulk", Name::Send, 10),
    ("erase", Name::Erase, 5),
    ("feedback", Name::Record, 10),
    ("event", Name::Advance, 10),
    ("campaign", Name::Campaign, 5),
];

/// A world as it was left, to begin plans from.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The table.
    pub items: Arc<Items>,
    /// Open leads that members may hold, see [`Observed`].
    pub capacity: BTreeMap<(String, String), u32>,
    /// Whether the hash key was rotated.
    pub is_rotated: bool,
    /// When, in milliseconds since the epoch.
    pub millis: i64,
    /// What was seen so far.
    pub observed: Observed,
    /// What was delivered so far.
    pub delivered: BTreeSet<(&'static str, String)>,
    /// Whether other functions are newer, see `records`.
    pub is_newer: bool,
}

impl Snapshot {
    /// The same as newer code would have left it, among functions of which others are newer.
    #[must_use]
    pub fn by_newer(&self) -> Self {
        let items = self.items.iter().map(|(key, item)| (key.clone(), Arc::new(newer_item(item))));
        Self { items: Arc::new(items.collect()), is_newer: true, ..self.clone() }
    }
}

/// A running instance of a function.
#[derive(Clone)]
pub struct Instance {
    /// The function.
    pub function: Arc<dyn Function>,
    /// Its process.
    pub process: Arc<Process>,
}

/// How long instances live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lives {
    /// Until they die.
    On,
    /// For one event: each meets one that has just begun.
    Once,
}

/// How a world stands while no function runs and none remembers anything.
#[derive(Clone)]
pub struct Still {
    millis: i64,
    random: u64,
    changes: Changes,
    queues: Vec<Vec<Held>>,
    observed: Observed,
    delivered: BTreeSet<(&'static str, String)>,
    deliveries: u32,
    visits: Visits,
}

/// A stack in one process.
pub struct World {
    /// What the functions stand on.
    pub ground: Arc<Ground>,
    /// The clock of everything in it.
    pub clock: Arc<VirtualClock>,
    /// The queues.
    pub queues: Sqs,
    /// What every call goes over.
    pub wire: Wire,
    /// Every message that was ever delivered: the queue and the body.
    pub delivered: BTreeSet<(&'static str, String)>,
    /// Deliveries while settling.
    pub deliveries: u32,
    lives: Lives,
    /// Requests of the event under test.
    pub visits: Visits,
    mailbox: Arc<Mailbox>,
    secrets: Secrets,
    is_rotated: bool,
    env: Environment,
    mutant: Option<Mutant>,
    instances: BTreeMap<(Name, usize), Instance>,
}

impl World {
    /// An empty stack: table, queues and secrets are there, policies are not.
    pub fn empty() -> Self {
        Self::on(Arc::new(Table::new()), START, false, None)
    }

    fn on(table: Arc<Table>, millis: i64, is_newer: bool, mutant: Option<Mutant>) -> Self {
        let clock = Arc::new(VirtualClock::at(millis));
        let shown = clock.clone();
        let now: Now = Arc::new(move || shown.millis());
        let queues = Sqs::open(None, now.clone(), format!("http://{}", Host::Queues.name())).unwrap();
        let mut names = Vec::new();
        for (queue, _, _) in QUEUES {
            queues.create_queue(&QueueSpec::new(format!("{queue}-dead"))).unwrap();
            let spec = QueueSpec::new(queue).with_redrive(&format!("{queue}-dead"), MAX_RECEIVES);
            queues.create_queue(&spec).unwrap();
            names.extend([queue.to_owned(), format!("{queue}-dead")]);
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
        secrets.put("sluice/sources/app-key", "key of the app".to_owned()).unwrap();
        secrets.put("sluice/sources/hook", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()).unwrap();
        let mailbox = Arc::new(Mailbox::new(now));
        let services: BTreeMap<Host, Arc<dyn Service>> = BTreeMap::from([
            (Host::Table, Arc::new(table.store().clone()) as Arc<dyn Service>),
            (Host::Queues, Arc::new(queues.clone())),
            (Host::Ses, mailbox.clone()),
            (Host::Secrets, Arc::new(secrets.clone())),
            (Host::Graph, Arc::new(Graph)),
            (Host::Hook, Arc::new(Receiver)),
            (Host::Sns, Arc::new(Sns::default())),
        ]);
        let ground = Ground::new(clock.clone(), SeededRandom::new(7), table, queues.clone(), names);
        let wire = Wire::new(ground.clone(), services, is_newer, mutant);
        let env = Environment {
            vars: variables(&queues),
            clock: clock.clone(),
            random: ground.random.clone(),
            http: SharedHttpClient::new(wire.clone()),
            web: SharedHttpClient::new(wire.clone()),
            metrics: Arc::new(NoMetrics),
        };
        Self {
            ground,
            clock,
            queues,
            wire,
            delivered: BTreeSet::new(),
            deliveries: 0,
            lives: Lives::On,
            visits: Visits::default(),
            mailbox,
            secrets,
            is_rotated: false,
            env,
            mutant,
            instances: BTreeMap::new(),
        }
    }

    /// A stack that stands where `snapshot` was taken.
    pub fn restore(snapshot: &Snapshot, mutant: Option<Mutant>) -> Self {
        let table = Arc::new(Table::of(&snapshot.items));
        let mut world = Self::on(table, snapshot.millis, snapshot.is_newer, mutant);
        if snapshot.is_rotated {
            world.rotate();
        }
        world.delivered.clone_from(&snapshot.delivered);
        *world.ground.observed() =
            Observed { capacity: snapshot.capacity.clone(), ..snapshot.observed.clone() };
        world
    }

    /// How it stands.
    pub fn still(&self) -> Still {
        let ground = &self.ground;
        Still {
            millis: ground.clock.millis(),
            random: ground.random.state(),
            changes: ground.table.changes(),
            queues: ground.names.iter().map(|name| self.queues.contents(name).unwrap()).collect(),
            observed: ground.observed().clone(),
            delivered: self.delivered.clone(),
            deliveries: self.deliveries,
            visits: self.visits,
        }
    }

    /// Puts it to where it stood once; no fault is aimed.
    pub fn go_to(&mut self, still: &Still) {
        let ground = &self.ground;
        ground.clock.set(still.millis);
        ground.random.set(still.random);
        ground.table.go_to(&still.changes);
        for (name, messages) in ground.names.iter().zip(&still.queues) {
            self.queues.put_back(name, messages).unwrap();
        }
        ground.observed().clone_from(&still.observed);
        self.delivered.clone_from(&still.delivered);
        self.deliveries = still.deliveries;
        self.visits = still.visits;
        self.mailbox.empty();
        self.instances.clear();
        self.lives = Lives::On;
        self.wire.cease();
        self.wire.poison(None);
    }

    /// What was told of what the functions did is taken, as it is within a second in a stack that runs.
    pub async fn take_events(&mut self) {
        loop {
            let messages = self.receive("event", 10);
            if messages.is_empty() {
                break;
            }
            if let Some(answer) = self.invoke(Name::Advance, queue_event(&messages)).await {
                self.acknowledge("event", &messages, &answer);
            }
        }
    }

    /// Where it stands. Queues are not part of it: they must be empty.
    pub fn snapshot(&self, capacity: BTreeMap<(String, String), u32>) -> Snapshot {
        assert!(self.queues_are_empty(), "a snapshot holds no queues");
        Snapshot {
            items: Arc::new(self.items()),
            capacity,
            is_rotated: self.is_rotated,
            millis: self.clock.millis(),
            observed: self.ground.observed().clone(),
            delivered: self.delivered.clone(),
            is_newer: false,
        }
    }

    /// Hashes how it stands; what instances remember is no part of it.
    pub fn print_into(&self, mut state: &mut dyn Hasher) {
        let state = &mut state;
        self.ground.print_into(state);
        self.delivered.hash(state);
        self.visits.hash(state);
    }

    /// Whether addresses are hashed with another key than at first.
    pub const fn is_rotated(&self) -> bool {
        self.is_rotated
    }

    /// From now on instances live that long; those that live are gone.
    pub fn live(&mut self, lives: Lives) {
        self.lives = lives;
        self.instances.clear();
    }

    /// Addresses are hashed with another key from now on; the one before is still known.
    pub fn rotate(&mut self) {
        let keys = json!({ "version": "2", "current": "r".repeat(64), "old": { "1": HASH_KEY.repeat(64) } });
        self.secrets.put("sluice/hash-key", keys.to_string()).unwrap();
        self.is_rotated = true;
    }

    /// The store, past every fault.
    pub fn store(&self) -> Store {
        sluice_host::aws::store(&self.env).unwrap()
    }

    /// All items, by key.
    pub fn items(&self) -> Items {
        self.ground.table.items()
    }

    /// All items, in the order of their keys.
    pub fn rows(&self) -> Vec<Value> {
        self.items().values().map(|item| Value::clone(item)).collect()
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

    /// Messages in the dead letters, by body; also while somebody looks at them.
    pub fn dead(&self) -> Vec<String> {
        let held = |queue: &str| self.queues.contents(&format!("{queue}-dead")).unwrap();
        QUEUES.iter().flat_map(|(queue, _, _)| held(queue)).map(|message| message.body).collect()
    }

    /// Puts dead letters that are meant back on their queues.
    pub fn redrive(&self, is_meant: impl Fn(&str) -> bool) {
        for (queue, _, _) in QUEUES {
            let dead = format!("{queue}-dead");
            let held = self.queues.contents(&dead).unwrap().into_iter();
            let (meant, stays): (Vec<Held>, Vec<Held>) = held.partition(|message| is_meant(&message.body));
            if !meant.is_empty() {
                self.queues.put_back(&dead, &stays).unwrap();
                meant.iter().for_each(|message| self.send(queue, &message.body));
            }
        }
    }

    /// One instance of a function; instances share nothing in memory. Where they live only once, a new one.
    pub async fn instance(&mut self, name: Name, number: usize) -> Instance {
        if let Some(instance) = self.instances.get(&(name, number)) {
            return instance.clone();
        }
        let clock = Arc::new(ShownClock::new(self.clock.clone()));
        let process = Process::new(clock.clone());
        let starting = Invocation::new(process.clone(), Role::Start, u32::MAX);
        let mut build = name.build()(Environment { clock, ..self.env.clone() });
        let Ran::Done(Ok(function)) = starting.run(&mut build).await else {
            panic!("{name:?} does not start")
        };
        let function = self.mutant.map_or_else(|| function.clone(), |mutant| mutant.around(function.clone()));
        let instance = Instance { function, process };
        if self.lives == Lives::On {
            self.instances.insert((name, number), instance.clone());
        }
        instance
    }

    /// The instance's process is gone; the next use of its number starts another.
    pub fn forget(&mut self, name: Name, number: usize) {
        self.instances.remove(&(name, number));
    }

    /// Acknowledges what an invocation did not report as failed.
    pub fn acknowledge(
        &self,
        queue: &str,
        messages: &[ReceivedMessage],
        answer: &Result<Bytes, InvokeError>,
    ) {
        let Some(failed) = failed(answer) else { return };
        let done = messages.iter().enumerate().filter(|(at, _)| !failed.contains(&record_id(*at)));
        let handles: Vec<&str> = done.map(|(_, message)| message.receipt_handle.as_str()).collect();
        if !handles.is_empty() {
            self.queues.delete_batch(queue, &handles).unwrap();
        }
    }

    /// Invokes a function once, by itself; a second fault of the plan may strike it.
    pub async fn invoke(&mut self, name: Name, payload: Bytes) -> Option<Result<Bytes, InvokeError>> {
        let instance = self.instance(name, 0).await;
        let invocation = self.begin(&instance, &payload, Role::Other, u32::MAX);
        let mut work = instance.function.invoke(payload);
        let ran = invocation.run(&mut work).await;
        match ran {
            Ran::Done(answer) => Some(answer),
            Ran::Crashed | Ran::Paused => {
                self.forget(name, 0);
                None
            }
        }
    }

    /// An instance is about to be given an event.
    pub fn begin(
        &self,
        instance: &Instance,
        payload: &Bytes,
        role: Role,
        stop_after: u32,
    ) -> Arc<Invocation> {
        instance.process.hear((self.ground.random.state(), payload));
        let invocation = Invocation::new(instance.process.clone(), role, stop_after);
        self.wire.begin(&invocation);
        invocation
    }

    /// Plays the queues and timers until nothing is left to do or `limit` milliseconds have passed. An error says what
    /// does not come to rest.
    pub async fn settle(&mut self, limit: i64) -> Result<(), String> {
        let mut settling = Settling::new(self, limit);
        while settling.step(self).await? {}
        Ok(())
    }

    /// Messages that were received and not deleted.
    pub fn hidden(&self) -> u64 {
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
        let table = &self.ground.table;
        self.queues_are_empty()
            && !table.has("due#", |_| true)
            && !table.has("ld_", |item| text(item, "st") == "waiting")
    }
}

/// The variables of every function.
fn variables(queues: &Sqs) -> BTreeMap<String, String> {
    let url = |host: Host| format!("http://{}", host.name());
    let vars = [
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
        ("SLUICE_MAIL_SET", "mail".to_owned()),
        ("SLUICE_ADMIN_TOKEN_SECRET", "sluice/admin-token".to_owned()),
        ("SLUICE_TEMPLATE", "000000000000".to_owned()),
        ("SLUICE_SECRET_PREFIX", "sluice/sources".to_owned()),
        ("SLUICE_MAIL_FROM", "sales@example.org".to_owned()),
        ("SLUICE_PUBLIC_URL", "https://sluice.example.org".to_owned()),
        ("META_APP_SECRET", APP_SECRET.to_owned()),
    ];
    let mut vars = BTreeMap::from(vars.map(|(name, value)| (name.to_owned(), value)));
    for (queue, _, _) in QUEUES {
        let name = queue.to_uppercase();
        vars.insert(format!("SLUICE_{name}_QUEUE_URL"), queues.queue_url(queue));
        vars.insert(format!("SLUICE_{name}_DEAD_LETTERS_URL"), queues.queue_url(&format!("{queue}-dead")));
    }
    vars
}
