//! Lambda's Runtime API (2018-06-01): runs the real bootstrap binaries, as many at a time as there are calls.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Deserialize;
use sluice_host::environment::{Clock, MetricSink};
use sluice_host::function::{Function, InvokeError, StartError};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::AbortHandle;

/// The largest answer of a function, in bytes, as Lambda limits it.
const MAX_ANSWER: usize = 6 * 1024 * 1024;
/// How long a binary may take until it asks for its first call.
const START_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a binary that ended is started again; it doubles up to a minute.
const BACK_OFF: Duration = Duration::from_millis(100);

/// What a binary is started with.
#[derive(Clone)]
pub struct BinarySpec {
    /// The function's name.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Its whole environment, apart from what the Runtime API adds.
    pub vars: BTreeMap<String, String>,
    /// How long one call may take.
    pub timeout: Duration,
    /// Memory in MB, told to the function and not enforced.
    pub memory_mb: u32,
    /// Most instances at a time; further calls wait.
    pub max_instances: usize,
    /// Gets what the function writes to its standard output.
    pub metrics: Arc<dyn MetricSink>,
    /// Gives the deadline of a call.
    pub clock: Arc<dyn Clock>,
}

/// A function that is a binary of its own. Its instances end when it is dropped.
pub struct BinaryFunction {
    shared: Arc<Shared>,
}

struct Shared {
    spec: BinarySpec,
    calls: mpsc::UnboundedSender<Call>,
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Call>>,
    /// Calls that no instance has taken yet or that one is working on.
    open: AtomicUsize,
    count: AtomicU64,
    instances: Mutex<Vec<AbortHandle>>,
}

struct Call {
    id: String,
    payload: Bytes,
    answer: oneshot::Sender<Result<Bytes, InvokeError>>,
}

type Answer = oneshot::Sender<Result<Bytes, InvokeError>>;

/// One process: its listener's state.
#[derive(Default)]
struct Instance {
    current: Mutex<Option<(String, Answer)>>,
    /// Told when the binary asked for its first call, or why it will not.
    ready: Mutex<Option<oneshot::Sender<Result<(), String>>>>,
    kill: Notify,
}

impl BinaryFunction {
    /// Starts one instance and waits until it is ready, so that a function that cannot start is known at once.
    pub async fn start(spec: BinarySpec) -> Result<Self, StartError> {
        let (calls, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            spec,
            calls,
            waiting: tokio::sync::Mutex::new(waiting),
            open: AtomicUsize::new(0),
            count: AtomicU64::new(0),
            instances: Mutex::default(),
        });
        let (tell, ready) = oneshot::channel();
        let function = Self { shared };
        function.shared.add_instance(Some(tell));
        let name = &function.shared.spec.name;
        match tokio::time::timeout(START_LIMIT, ready).await {
            Ok(Ok(Ok(()))) => Ok(function),
            Ok(Ok(Err(problem))) => Err(StartError(format!("{name}: {problem}"))),
            Ok(Err(_)) => Err(StartError(format!("{name}: ended before it asked for its first call"))),
            Err(_) => Err(StartError(format!("{name}: did not ask for a call within {START_LIMIT:?}"))),
        }
    }
}

impl Drop for BinaryFunction {
    fn drop(&mut self) {
        // Each task owns its child, which is killed with it.
        let instances = self.shared.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.iter().for_each(AbortHandle::abort);
    }
}

impl Function for BinaryFunction {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let _open = Open::new(&self.shared.open);
            self.shared.grow();
            let (answer, answered) = oneshot::channel();
            let id =
                format!("{}-{}", self.shared.spec.name, self.shared.count.fetch_add(1, Ordering::Relaxed));
            // The receiver lives as long as `shared`.
            let _ = self.shared.calls.send(Call { id, payload, answer });
            answered.await.unwrap_or_else(|_| Err(exited()))
        })
    }
}

struct Open<'a>(&'a AtomicUsize);

impl<'a> Open<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn exited() -> InvokeError {
    InvokeError {
        kind: "Runtime.ExitError".to_owned(),
        message: "the process ended during the call".to_owned(),
    }
}

impl Shared {
    /// One instance for each open call, up to the limit.
    fn grow(self: &Arc<Self>) {
        let count = self.instances.lock().unwrap_or_else(PoisonError::into_inner).len();
        if count < self.open.load(Ordering::SeqCst).min(self.spec.max_instances) {
            self.add_instance(None);
        }
    }

    fn add_instance(self: &Arc<Self>, ready: Option<oneshot::Sender<Result<(), String>>>) {
        let shared = self.clone();
        let task = tokio::spawn(async move { shared.keep_running(ready).await });
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).push(task.abort_handle());
    }

    async fn keep_running(self: Arc<Self>, mut ready: Option<oneshot::Sender<Result<(), String>>>) {
        let mut pause = BACK_OFF;
        loop {
            let served = self.count.load(Ordering::Relaxed);
            if let Err(error) = self.run_once(ready.take()).await {
                tracing::error!(function = self.spec.name, %error, "an instance cannot be started");
            }
            // A binary that served calls and then crashed may come back at once.
            let worked = self.count.load(Ordering::Relaxed) != served;
            pause = if worked { BACK_OFF } else { (pause * 2).min(Duration::from_secs(60)) };
            tokio::time::sleep(pause).await;
        }
    }

    async fn run_once(
        self: &Arc<Self>,
        ready: Option<oneshot::Sender<Result<(), String>>>,
    ) -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let instance = Arc::new(Instance { ready: Mutex::new(ready), ..Instance::default() });
        let mut child = self.spawn(&address.to_string())?;
        let output = child.stdout.take();
        let metrics = self.spec.metrics.clone();
        let copy = async move {
            let Some(output) = output else { return };
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                metrics.emit(&line);
            }
        };
        let (shared, of_route) = (self.clone(), instance.clone());
        let app =
            Router::new().fallback(move |request: Request| answer(shared.clone(), of_route.clone(), request));
        let serve = axum::serve(listener, app);
        let copied = tokio::spawn(copy);
        let ended = tokio::select! {
            status = child.wait() => format!("{status:?}"),
            _ = instance.kill.notified() => "killed".to_owned(),
            _ = serve => "its listener closed".to_owned(),
        };
        let _ = child.kill().await;
        copied.abort();
        tracing::warn!(function = self.spec.name, ended, "an instance ended");
        instance.tell(Err(format!("ended before it asked for its first call ({ended})")));
        if let Some((_, answer)) = instance.current.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = answer.send(Err(exited()));
        }
        Ok(())
    }

    fn spawn(&self, address: &str) -> std::io::Result<Child> {
        let spec = &self.spec;
        Command::new(&spec.path)
            .env_clear()
            .envs(&spec.vars)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", &spec.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", spec.memory_mb.to_string())
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", spec.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .env("_HANDLER", "bootstrap")
            .env("TZ", ":UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

impl Instance {
    fn tell(&self, started: Result<(), String>) {
        if let Some(ready) = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = ready.send(started);
        }
    }

    /// Takes the call with this id, if it is the one that runs.
    fn finish(&self, id: &str) -> Option<Answer> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.take_if(|(running, _)| running == id).map(|(_, answer)| answer)
    }
}

async fn answer(shared: Arc<Shared>, instance: Arc<Instance>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default().to_owned();
    if path == "invocation/next" {
        return next(&shared, instance).await;
    }
    let body = to_bytes(body, MAX_ANSWER).await;
    let error = |body: &[u8]| {
        let read: Option<RuntimeError> = serde_json::from_slice(body).ok();
        let read = read.unwrap_or_default();
        InvokeError { kind: read.error_type, message: read.error_message }
    };
    if path == "init/error" {
        instance.tell(Err(body.map_or_else(|_| "init error".to_owned(), |body| error(&body).to_string())));
        return status(202);
    }
    let Some((id, what)) = path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) else {
        return status(404);
    };
    let Some(waiting) = instance.finish(id) else { return status(400) };
    let (outcome, code) = match (what, body) {
        ("response", Ok(body)) => (Ok(body), 202),
        ("error", Ok(body)) => (Err(error(&body)), 202),
        _ => {
            let message = "the answer is larger than 6 MB or was cut off".to_owned();
            (Err(InvokeError { kind: "Function.ResponseSizeTooLarge".to_owned(), message }), 413)
        }
    };
    // Whoever asked may have stopped waiting.
    let _ = waiting.send(outcome);
    status(code)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RuntimeError {
    error_type: String,
    error_message: String,
}

/// Hands out the next call that somebody still waits for.
async fn next(shared: &Arc<Shared>, instance: Arc<Instance>) -> Response<Body> {
    instance.tell(Ok(()));
    let call = loop {
        match shared.waiting.lock().await.recv().await {
            Some(call) if call.answer.is_closed() => {}
            Some(call) => break call,
            None => return status(500),
        }
    };
    let limit = shared.spec.timeout;
    let millis = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    let deadline = shared.spec.clock.now().plus_millis(millis).millis();
    *instance.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((call.id.clone(), call.answer));
    let watched = (instance.clone(), call.id.clone());
    tokio::spawn(async move {
        tokio::time::sleep(limit).await;
        let (instance, id) = watched;
        // Lambda ends the environment of a call that overruns, so that it cannot go on unseen.
        if let Some(answer) = instance.finish(&id) {
            let message = "the function took longer than its time limit".to_owned();
            let _ = answer.send(Err(InvokeError { kind: "Sandbox.Timedout".to_owned(), message }));
            instance.kill.notify_one();
        }
    });
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{}", shared.spec.name);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &call.id)
        .header("lambda-runtime-deadline-ms", deadline)
        .header("lambda-runtime-invoked-function-arn", arn)
        .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        .body(Body::from(call.payload))
        .unwrap_or_else(|_| status(500))
}

fn status(code: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::from_u16(code).unwrap_or_default();
    response
}
