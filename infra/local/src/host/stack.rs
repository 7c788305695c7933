//! A whole stack in this process: services, functions, and what calls them.

use super::calls::Calls;
use super::clock::StackClock;
use super::erased::Kept;
use super::front_door::FrontDoor;
use super::hosted::Hosted;
use super::mover::Mover;
use super::pages::{Leaves, Pages};
use super::runtime_api::{BinaryFunction, BinarySpec};
use super::schedule::Due;
use super::spec::{FunctionSpec, StackSpec, TableSpec};
use super::{data, events, pollers, schedule};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use send_message::KEPT_AT;
use serde_json::{Value, json};
use sluice_host::environment::{Clock, Environment, MetricSink};
use sluice_host::function::{Build, Function, StartError};
use sluice_host::lambda::{SystemRandom, https_client};
use sluice_host::web;
use sluice_services::connector::connector;
use sluice_services::dynamodb::{DynamoDb, DynoxideError};
use sluice_services::secrets::Secrets;
use sluice_services::ses::Ses;
use sluice_services::sqs::{Depth, Sqs};
use sluice_services::{Now, Service, listen};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a stop waits for calls that had begun.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// The variable that says which way all mail goes: `ses` is what is shown here, else it is a mail server.
pub const MAIL_VIA: &str = "SLUICE_MAIL_VIA";
/// How often the table is searched for items past their time to live.
const SWEEP: Duration = Duration::from_secs(3600);

/// Where a stack answers; all on the loopback interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The HTTP API, without a slash at the end.
    pub url: String,
    /// DynamoDB.
    pub dynamodb: String,
    /// SQS.
    pub sqs: String,
    /// SES v2.
    pub ses: String,
    /// Secrets Manager.
    pub secrets_manager: String,
    /// Where calls of providers are kept.
    pub calls: String,
}

impl Addresses {
    /// The URL of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/000000000000/{name}", self.sqs)
    }
}

/// How the functions run.
pub enum Functions {
    /// In this process, by name.
    InProcess(BTreeMap<String, Build>),
    /// As the binaries in this folder, named as the functions are.
    Binaries(PathBuf),
}

/// Puts something around a function's HTTP client; gets the function's name. Tests inject faults here.
pub type WrapClient = Arc<dyn Fn(&str, SharedHttpClient) -> SharedHttpClient + Send + Sync>;

/// How a stack is started.
pub struct Options {
    /// Where data is kept; none keeps everything in memory.
    pub data: Option<PathBuf>,
    /// The front door's port; 0 takes a free one.
    pub port: u16,
    /// How the functions run.
    pub functions: Functions,
    /// The stack's clock.
    pub clock: StackClock,
    /// Where the functions' metrics go.
    pub metrics: Arc<dyn MetricSink>,
    /// Whether what providers of SMS and chat would be called with is kept beside the mails, and they are not called.
    pub keeps_calls: bool,
    /// More variables for every function, over those of the template.
    pub vars: BTreeMap<String, String>,
    /// Put around the HTTP client of each function in this process.
    pub wrap_client: Option<WrapClient>,
}

impl Options {
    /// Everything in memory and in this process, on a free port, with the machine's clock; metrics are dropped, and no provider
    /// is called.
    pub fn in_memory(functions: BTreeMap<String, Build>) -> Self {
        Self {
            data: None,
            port: 0,
            functions: Functions::InProcess(functions),
            clock: StackClock::real(),
            metrics: Arc::new(NoMetrics),
            keeps_calls: true,
            vars: BTreeMap::new(),
            wrap_client: None,
        }
    }
}

/// Drops all metrics.
#[derive(Clone, Copy, Debug)]
pub struct NoMetrics;

impl MetricSink for NoMetrics {
    fn emit(&self, _: &str) {}
}

/// A running stack. Dropping it ends it at once, as a crash would: what was answered is kept where there is a data
/// folder. [`Stack::kill`] does so too and can be waited for; [`Stack::stop`] lets calls that had begun end first.
pub struct Stack {
    /// Where it answers.
    pub addresses: Addresses,
    /// The table store.
    pub dynamodb: DynamoDb,
    /// The queues.
    pub sqs: Sqs,
    /// The mails.
    pub ses: Ses,
    /// The secrets.
    pub secrets: Secrets,
    /// The stack's clock. To move it, [`Stack::advance`].
    pub clock: StackClock,
    spec: StackSpec,
    functions: BTreeMap<String, Hosted>,
    mover: Mover,
    stop: watch::Sender<bool>,
    /// Front door and pollers: they end by themselves when told to.
    callers: JoinSet<()>,
    /// Service listeners, schedules, the sweep: they are cut off.
    background: JoinSet<()>,
}

impl Stack {
    /// Starts a stack. `plan` says what it consists of once its addresses are known; what is there already is kept.
    ///
    /// Fails if the data folder is in use, the port is taken, or a function cannot start.
    pub async fn start(
        options: Options,
        plan: impl FnOnce(&Addresses) -> Result<StackSpec, StartError>,
    ) -> Result<Self, StartError> {
        if matches!(options.functions, Functions::Binaries(_)) && options.clock.is_shifted() {
            return Err(StartError(
                "binaries go by the machine's clock: start them without another time".to_owned(),
            ));
        }
        let (door, url) = bind(options.port).await?;
        let (for_dynamodb, dynamodb_url) = bind(0).await?;
        let (for_sqs, sqs_url) = bind(0).await?;
        let (for_ses, ses_url) = bind(0).await?;
        let (for_secrets, secrets_url) = bind(0).await?;
        let (for_calls, calls_url) = bind(0).await?;
        let addresses = Addresses {
            url,
            dynamodb: dynamodb_url,
            sqs: sqs_url,
            ses: ses_url,
            secrets_manager: secrets_url,
            calls: calls_url,
        };
        let spec = plan(&addresses)?;
        let clock = options.clock.clone();
        let mut services = open(options.data.as_deref(), &clock, &addresses)?;
        let mails = events::to_queues(spec.mail_sets.clone(), spec.rules.clone(), services.sqs.clone());
        services.ses = services.ses.with_events(mails);
        prepare(&spec, &services, options.data.as_deref())?;

        let mut background = JoinSet::new();
        let listeners: [(TcpListener, Arc<dyn Service>); 5] = [
            (for_dynamodb, Arc::new(services.dynamodb.clone())),
            (for_sqs, Arc::new(services.sqs.clone())),
            (for_ses, Arc::new(services.ses.clone())),
            (for_secrets, Arc::new(services.secrets.clone())),
            (for_calls, Arc::new(Calls::beside(services.ses.clone()))),
        ];
        for (listener, service) in listeners {
            background.spawn(listen::serve(listener, service));
        }
        background.spawn(sweep(services.dynamodb.clone(), clock.is_shifted()));

        let functions = build(&spec, &options, &addresses, &services).await?;
        let find = |name: &str| {
            functions
                .get(name)
                .cloned()
                .ok_or_else(|| StartError(format!("no function {name} in this stack")))
        };
        let (stop, stopped) = watch::channel(false);
        let mut callers = JoinSet::new();
        for source in &spec.event_sources {
            let (sqs, function) = (services.sqs.clone(), find(&source.function)?);
            callers.spawn(pollers::run(source.clone(), sqs, function, stopped.clone()));
        }
        let mut schedules = Vec::new();
        for schedule in &spec.schedules {
            // Reckoned here and not at its first turn: the clock may be moved before that.
            let due = Due::of(schedule, &clock);
            schedules.push(due.clone());
            background.spawn(schedule::run(schedule.clone(), find(&schedule.function)?, clock.clone(), due));
        }
        let mover = Mover {
            clock: clock.clone(),
            sqs: services.sqs.clone(),
            dynamodb: services.dynamodb.clone(),
            table: spec.tables.first().map(|table| table.name.clone()),
            queues: spec.event_sources.iter().map(|source| source.queue.clone()).collect(),
            functions: functions.values().cloned().collect(),
            schedules,
        };
        let routes = spec.routes.iter().map(|route| Ok((route.clone(), find(&route.function)?)));
        let routes = routes.collect::<Result<Vec<_>, StartError>>()?;
        let smtp = options.vars.get(MAIL_VIA).filter(|via| !matches!(via.as_str(), "" | "ses"));
        let leaves = Leaves { mail_by: smtp.cloned(), calls: !options.keeps_calls };
        let pages = Pages::new(services.ses.clone(), addresses.url.clone(), leaves, Some(mover.clone()));
        let front = FrontDoor::new(routes, Arc::new(pages), clock.clone());
        let mut closing = stopped;
        callers.spawn(front.serve(door, async move {
            let _ = closing.wait_for(|stop| *stop).await;
        }));
        let Services { dynamodb, sqs, ses, secrets } = services;
        Ok(Self {
            addresses,
            dynamodb,
            sqs,
            ses,
            secrets,
            clock,
            spec,
            functions,
            mover,
            stop,
            callers,
            background,
        })
    }

    /// A function, to call it directly.
    pub fn function(&self, name: &str) -> Option<&Hosted> {
        self.functions.get(name)
    }

    /// Moves the stack's clock forward, with everything that waits for it.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.sqs.poke();
    }

    /// Moves the stack's clock by hand, from one thing that is due to the next.
    pub const fn mover(&self) -> &Mover {
        &self.mover
    }

    /// Whether nothing is going on: no call runs, and the queues that call functions are empty.
    pub fn is_settled(&self) -> bool {
        self.is_idle_with(|depth| depth.visible + depth.in_flight + depth.delayed == 0)
    }

    /// Whether nothing goes on before the clock moves: no call runs, and no message that calls a function can be received.
    /// Behind one of its group that failed a message is visible and has to wait as well: that is not idle.
    pub fn is_idle(&self) -> bool {
        self.is_idle_with(|depth| depth.visible == 0)
    }

    fn is_idle_with(&self, is_at_rest: impl Fn(&Depth) -> bool) -> bool {
        let rests = |queue: &str| self.sqs.depth(queue).is_ok_and(|depth| is_at_rest(&depth));
        self.spec.event_sources.iter().all(|source| rests(&source.queue))
            && self.functions.values().all(|function| function.running() == 0)
    }

    /// Waits until the stack is settled, at most `limit` of the machine's time; whether it is.
    pub async fn settle(&self, limit: Duration) -> bool {
        let quiet = async {
            while !self.is_settled() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(limit, quiet).await.is_ok()
    }

    /// Ends at once, calls cut off wherever they stand, and returns when the files are closed.
    pub async fn kill(mut self) {
        self.callers.shutdown().await;
        self.background.shutdown().await;
    }

    /// Takes no more requests and messages, waits for the calls that had begun (at most ten seconds) and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.callers.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_LIMIT, ended).await.is_err() {
            tracing::warn!("some calls did not end in time; their messages will come again");
        }
        self.kill().await;
    }
}

struct Services {
    dynamodb: DynamoDb,
    sqs: Sqs,
    ses: Ses,
    secrets: Secrets,
}

async fn bind(port: u16) -> Result<(TcpListener, String), StartError> {
    let failed = |error: std::io::Error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "; `sluice dev` may run already, --port 0 takes a port that is free"
            }
            _ => "",
        };
        StartError(format!("port {port} of 127.0.0.1: {error}{advice}"))
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

fn open(folder: Option<&Path>, clock: &StackClock, addresses: &Addresses) -> Result<Services, StartError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| StartError(format!("{what}: {error}"));
    let clock = clock.clone();
    let now: Now = Arc::new(move || clock.now().millis());
    let Some(folder) = folder else {
        return Ok(Services {
            dynamodb: DynamoDb::memory().map_err(|error| failed("table", &error))?,
            sqs: Sqs::open(None, now.clone(), addresses.sqs.clone())
                .map_err(|error| failed("queues", &error))?,
            ses: Ses::memory(now.clone()),
            secrets: Secrets::memory(now),
        });
    };
    data::make_private(folder).map_err(|error| failed("data folder", &error))?;
    let unopened = |file: &str, error: &dyn std::fmt::Display| {
        data::damaged(Some(folder), file, error)
            .unwrap_or_else(|| failed(&folder.join(file).display().to_string(), error))
    };
    // The queues first: they refuse a folder that another stack has open.
    let sqs = Sqs::open(Some(&folder.join(data::QUEUES)), now.clone(), addresses.sqs.clone());
    let sqs = sqs.map_err(|error| unopened(data::QUEUES, &error))?;
    let dynamodb = DynamoDb::open(&folder.join(data::TABLE));
    Ok(Services {
        sqs,
        dynamodb: dynamodb.map_err(|error| unopened(data::TABLE, &error))?,
        ses: Ses::open(&folder.join("mail"), now.clone()).map_err(|error| failed("mail", &error))?,
        secrets: Secrets::open(&folder.join(data::SECRETS), now)
            .map_err(|error| failed("secrets", &error))?,
    })
}

/// Makes what is not there yet.
fn prepare(spec: &StackSpec, services: &Services, folder: Option<&Path>) -> Result<(), StartError> {
    let failed = |file: &str, what: &str, error: &dyn std::fmt::Display| {
        data::damaged(folder, file, error).unwrap_or_else(|| StartError(format!("{what}: {error}")))
    };
    let of_table = |name: &str, error: DynoxideError| failed(data::TABLE, &format!("table {name}"), &error);
    for table in &spec.tables {
        make_table(table, &services.dynamodb).map_err(|error| of_table(&table.name, error))?;
    }
    for queue in &spec.queues {
        let made = services.sqs.create_queue(queue);
        made.map_err(|error| failed(data::QUEUES, &format!("queue {}", queue.name), &error))?;
    }
    services.sqs.release_in_flight().map_err(|error| failed(data::QUEUES, "queues", &error))?;
    if let Some(folder) = folder.filter(|folder| !folder.join(data::SECRETS).exists()) {
        for table in &spec.tables {
            if has_items(table, &services.dynamodb).map_err(|error| of_table(&table.name, error))? {
                return Err(data::without_secrets(folder));
            }
        }
    }
    for (name, how) in &spec.secrets {
        services.secrets.ensure(name, how).map_err(|error| StartError(format!("secret {name}: {error}")))?;
    }
    Ok(())
}

fn has_items(table: &TableSpec, store: &DynamoDb) -> Result<bool, DynoxideError> {
    let request = json!({"TableName": table.name, "Limit": 1});
    let answer = store.run("Scan", request.to_string().as_bytes())?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    Ok(answer["Items"][0].is_object())
}

fn make_table(table: &TableSpec, store: &DynamoDb) -> Result<(), DynoxideError> {
    match store.run("CreateTable", table.create.to_string().as_bytes()) {
        Err(DynoxideError::ResourceInUseException(_)) => return Ok(()),
        made => made?,
    };
    if let Some(attribute) = &table.ttl {
        let request = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        });
        store.run("UpdateTimeToLive", request.to_string().as_bytes())?;
    }
    Ok(())
}

/// The store tells the age of an item by the machine's clock, so under another time nothing is swept.
async fn sweep(store: DynamoDb, shifted: bool) {
    if shifted {
        return;
    }
    loop {
        let store = store.clone();
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || store.sweep_ttl()).await {
            tracing::warn!(%error, "items past their time to live cannot be deleted");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

async fn build(
    spec: &StackSpec,
    options: &Options,
    addresses: &Addresses,
    services: &Services,
) -> Result<BTreeMap<String, Hosted>, StartError> {
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let routes: Vec<(String, Arc<dyn Service>)> = vec![
        (host(&addresses.dynamodb), Arc::new(services.dynamodb.clone())),
        (host(&addresses.sqs), Arc::new(services.sqs.clone())),
        (host(&addresses.ses), Arc::new(services.ses.clone())),
        (host(&addresses.secrets_manager), Arc::new(services.secrets.clone())),
        (host(&addresses.calls), Arc::new(Calls::beside(services.ses.clone()))),
    ];
    let client = connector(routes, Some(https_client()));
    let table = spec.tables.first();
    let kept = table.map(|table| Kept::new(&table.name, &services.dynamodb, &services.sqs, &services.ses));
    let kept = kept.as_ref();
    let starts = spec.functions.iter().map(|function| {
        let vars = vars(function, addresses, options);
        let client = client.clone();
        async move {
            let built: Arc<dyn Function> = match &options.functions {
                Functions::InProcess(builds) => {
                    let build = builds.get(&function.name);
                    let build =
                        build.ok_or_else(|| StartError(format!("{}: no such function", function.name)))?;
                    let wrapped = |client| match &options.wrap_client {
                        Some(wrap) => wrap(&function.name, client),
                        None => client,
                    };
                    let (http, web) =
                        (wrapped(client), wrapped(web::client(vars.get(web::ALLOW).map(String::as_str))));
                    let environment = Environment {
                        vars,
                        clock: Arc::new(options.clock.clone()),
                        random: Arc::new(SystemRandom),
                        http,
                        web,
                        metrics: options.metrics.clone(),
                    };
                    build(environment)
                        .await
                        .map_err(|error| StartError(format!("{}: {error}", function.name)))?
                }
                Functions::Binaries(folder) => Arc::new(
                    BinaryFunction::start(BinarySpec {
                        name: function.name.clone(),
                        path: folder.join(&function.name),
                        vars,
                        timeout: function.timeout,
                        memory_mb: function.memory_mb,
                        max_instances: function.max_instances,
                        metrics: options.metrics.clone(),
                        clock: Arc::new(options.clock.clone()),
                    })
                    .await?,
                ),
            };
            let built = match kept {
                Some(kept) => kept.watch(&function.name, built),
                None => built,
            };
            let places = match &options.functions {
                Functions::InProcess(_) => function.reserved,
                // Who waits for an instance waits before the call's own time begins.
                Functions::Binaries(_) => Some(function.max_instances),
            };
            let hosted = Hosted::new(&function.name, function.timeout, places, built);
            Ok::<_, StartError>((function.name.clone(), hosted))
        }
    });
    let started = futures::future::try_join_all(starts).await?;
    Ok(started.into_iter().collect())
}

/// The function's variables with what Lambda and the SDK's configuration would add.
fn vars(function: &FunctionSpec, addresses: &Addresses, options: &Options) -> BTreeMap<String, String> {
    let given = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", addresses.dynamodb.as_str()),
        ("AWS_ENDPOINT_URL_SQS", addresses.sqs.as_str()),
        ("AWS_ENDPOINT_URL_SESV2", addresses.ses.as_str()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", addresses.secrets_manager.as_str()),
    ];
    let mut vars: BTreeMap<String, String> =
        given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    vars.extend(function.vars.clone());
    vars.extend(options.vars.clone());
    if options.keeps_calls {
        vars.insert(KEPT_AT.to_owned(), addresses.calls.clone());
    }
    vars
}
