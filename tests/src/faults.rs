//! The fault model: what can happen to an outgoing call, and the connector that makes it happen.
//!
//! Every outgoing call of an invocation is numbered from 1. A fault is put at a number: a *first* one counts the calls
//! of the invocation under test, a *second* one counts every call of whatever runs after the first has struck.

use crate::mutants::{Mutant, Rewritten};
use crate::observe::Observed;
use crate::wire::{Call, Host};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use sluice_services::Service;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The process dies before the request leaves.
    CrashBefore,
    /// The request is carried out; the process dies before the answer arrives.
    CrashAfter,
    /// Carried out, the answer is lost, and the client may repeat it.
    LostReply,
    /// As before, and so are the answers to the client's own repeats.
    LostReplies,
    /// Refused once because there is too much to do.
    Throttle,
    /// As before, and so are the client's own repeats.
    Throttles,
    /// Not carried out, answered with 5xx, and so are the client's own repeats.
    Down,
    /// Carried out, answered with 5xx.
    ErrorAfter,
    /// Another transaction is on the item just now.
    Conflict,
    /// Only part of a batch is done.
    Partial,
    /// An index does not show what was written just now.
    StaleIndex,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::CrashBefore,
        Self::CrashAfter,
        Self::LostReply,
        Self::LostReplies,
        Self::Throttle,
        Self::Throttles,
        Self::Down,
        Self::ErrorAfter,
        Self::Conflict,
        Self::Partial,
        Self::StaleIndex,
    ];

    /// The word in a plan's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::LostReply => "lost-reply",
            Self::LostReplies => "lost-replies",
            Self::Throttle => "throttle",
            Self::Throttles => "throttles",
            Self::Down => "down",
            Self::ErrorAfter => "error-after",
            Self::Conflict => "conflict",
            Self::Partial => "partial",
            Self::StaleIndex => "stale-index",
        }
    }

    /// How many times in a row the same request meets it: the SDK makes three attempts.
    const fn times(self) -> u32 {
        match self {
            Self::LostReplies | Self::Throttles | Self::Down => 3,
            _ => 1,
        }
    }

    /// Whether it can happen to such a call.
    pub fn can_strike(self, host: Host, operation: &str, reads_index: bool) -> bool {
        match self {
            Self::Conflict => matches!(operation, "PutItem" | "UpdateItem" | "TransactWriteItems"),
            Self::Partial => matches!(operation, "BatchGetItem" | "BatchWriteItem" | "SendMessageBatch"),
            Self::StaleIndex => reads_index,
            // One refusal of a reader is repeated by the client and never seen; the long form is.
            Self::Throttle => {
                matches!(host, Host::Ses | Host::Graph | Host::Hook | Host::Sns) || is_write(operation)
            }
            _ => true,
        }
    }
}

fn is_write(operation: &str) -> bool {
    operation.contains("Put")
        || operation.contains("Write")
        || operation.contains("Update")
        || operation.contains("Send")
}

/// A fault at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shot {
    /// What happens.
    pub kind: Kind,
    /// To which call, counted from 1.
    pub at: u32,
}

/// A call that was made: what a fault may strike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// To whom.
    pub host: Host,
    /// What for.
    pub operation: String,
    /// Whether it reads an index.
    pub reads_index: bool,
}

impl Made {
    /// The kinds of fault that may strike it.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        Kind::ALL.into_iter().filter(|kind| kind.can_strike(self.host, &self.operation, self.reads_index))
    }
}

/// What came of the faults of a plan.
#[derive(Debug, Default)]
pub struct Struck {
    /// Calls of the invocation under test.
    pub own: Vec<Made>,
    /// Calls made after the first fault.
    pub made: Vec<Made>,
    /// Faults that struck.
    pub faults: u32,
}

/// One running invocation.
#[derive(Debug)]
pub struct Invocation {
    under_test: bool,
    calls: AtomicU32,
    stop_after: AtomicU32,
    crashed: AtomicBool,
    paused: Notify,
    resumed: Notify,
    died: Notify,
}

tokio::task_local! {
    static INVOCATION: Arc<Invocation>;
}

/// How far an invocation got.
#[derive(Debug)]
pub enum Ran<T> {
    /// To its end.
    Done(T),
    /// Its process died.
    Crashed,
    /// It stopped where it was told to.
    Paused,
}

impl Invocation {
    /// An invocation that stops before call `stop_after + 1`. First faults strike only one that is under test.
    pub fn new(under_test: bool, stop_after: u32) -> Arc<Self> {
        Arc::new(Self {
            under_test,
            calls: AtomicU32::new(0),
            stop_after: AtomicU32::new(stop_after),
            crashed: AtomicBool::new(false),
            paused: Notify::new(),
            resumed: Notify::new(),
            died: Notify::new(),
        })
    }

    /// Runs `work` as this invocation until it ends, dies or stops. To go on after a stop, [`Invocation::resume`] and
    /// call this again with the same future.
    pub async fn run<F: Future + Unpin>(self: &Arc<Self>, work: &mut F) -> Ran<F::Output> {
        tokio::select! {
            biased;
            answer = INVOCATION.scope(self.clone(), work) => Ran::Done(answer),
            () = self.died.notified() => Ran::Crashed,
            () = self.paused.notified() => Ran::Paused,
        }
    }

    /// Lets a stopped invocation go on.
    pub fn resume(&self) {
        self.stop_after.store(u32::MAX, Ordering::SeqCst);
        self.resumed.notify_waiters();
    }

    async fn point(&self) -> u32 {
        if self.crashed.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let number = self.calls.load(Ordering::SeqCst) + 1;
        while number > self.stop_after.load(Ordering::SeqCst) {
            self.paused.notify_one();
            self.resumed.notified().await;
        }
        self.calls.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn die(&self) -> ! {
        self.crashed.store(true, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending().await
    }
}

#[derive(Default)]
struct Aim {
    first: Option<Shot>,
    second: Option<Shot>,
    struck: u32,
    own: Vec<Made>,
    made: Vec<Made>,
    repeating: Vec<(u64, Kind, u32)>,
}

/// Carries every outgoing call of a world to its services, and strikes where the plan says.
#[derive(Clone)]
pub struct Wire {
    services: Arc<BTreeMap<Host, Arc<dyn Service>>>,
    aim: Arc<Mutex<Aim>>,
    observed: Arc<Mutex<Observed>>,
    mutant: Option<Mutant>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("mutant", &self.mutant).finish_non_exhaustive()
    }
}

impl Wire {
    /// A wire to these services; a mutant makes every handler behave badly in one way.
    pub fn new(
        services: BTreeMap<Host, Arc<dyn Service>>,
        observed: Observed,
        mutant: Option<Mutant>,
    ) -> Self {
        Self {
            services: Arc::new(services),
            aim: Arc::default(),
            observed: Arc::new(Mutex::new(observed)),
            mutant,
        }
    }

    /// Puts the faults of a plan in place.
    pub fn aim(&self, first: Option<Shot>, second: Option<Shot>) {
        *self.lock() = Aim { first, second, ..Aim::default() };
    }

    /// No more faults. Answers with what there was to strike, and how many struck.
    pub fn cease(&self) -> Struck {
        let aim = std::mem::take(&mut *self.lock());
        Struck { own: aim.own, made: aim.made, faults: aim.struck }
    }

    /// What was seen so far.
    pub fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Aim> {
        self.aim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that strikes this call, if one does.
    fn strike(&self, invocation: Option<&Invocation>, number: u32, call: &Call) -> Option<Kind> {
        let invocation = invocation?;
        let mut aim = self.lock();
        let mut struck = None;
        let made =
            Made { host: call.host, operation: call.operation.clone(), reads_index: call.reads_index() };
        let can_be_struck = |shot: &Shot| shot.kind.can_strike(made.host, &made.operation, made.reads_index);
        if invocation.under_test {
            aim.own.push(made.clone());
        }
        if aim.struck > 0 {
            aim.made.push(made.clone());
        }
        let request = call.fingerprint();
        if let Some(at) =
            aim.repeating.iter().position(|(repeated, _, left)| *repeated == request && *left > 0)
        {
            aim.repeating[at].2 -= 1;
            return Some(aim.repeating[at].1);
        }
        if aim.struck == 0 {
            struck = aim.first.filter(|shot| invocation.under_test && shot.at == number);
        } else if aim.struck == 1 {
            let at = u32::try_from(aim.made.len()).unwrap_or(u32::MAX);
            struck = aim.second.filter(|shot| shot.at == at);
        }
        let kind = struck.filter(can_be_struck)?.kind;
        aim.struck += 1;
        if kind.times() > 1 {
            aim.repeating.push((request, kind, kind.times() - 1));
        }
        Some(kind)
    }

    async fn execute(&self, call: &Call) -> http::Response<bytes::Bytes> {
        let Some(service) = self.services.get(&call.host) else { return Call::answer(404, "{}") };
        let answer = service.call(call.request()).await;
        self.observed().see(call, &answer);
        answer
    }

    async fn carry(self, call: Call) -> Result<HttpResponse, ConnectorError> {
        let invocation = INVOCATION.try_with(Arc::clone).ok();
        let number = match &invocation {
            Some(invocation) => invocation.point().await,
            None => 0,
        };
        let mut call = call;
        if let Some(mutant) = self.mutant.filter(|_| invocation.is_some()) {
            match mutant.rewrite(&call) {
                Rewritten::Call(rewritten) => call = *rewritten,
                Rewritten::Answer(answer) => return Call::hand_back(answer),
                Rewritten::CheckFirst { check, write, held } => {
                    let found = self.execute(&check).await;
                    if let Some(answer) = held(&found) {
                        return Call::hand_back(answer);
                    }
                    if let Some(invocation) = &invocation {
                        invocation.point().await;
                    }
                    call = *write;
                }
            }
        }
        let Some(kind) = self.strike(invocation.as_deref(), number, &call) else {
            let answer = self.execute(&call).await;
            if let Some(after) = self.mutant.and_then(|mutant| mutant.afterwards(&call, &answer)) {
                self.execute(&after).await;
            }
            return Call::hand_back(answer);
        };
        let lost = || ConnectorError::timeout("the answer was lost".into());
        match kind {
            Kind::CrashBefore | Kind::CrashAfter => {
                if kind == Kind::CrashAfter {
                    self.execute(&call).await;
                }
                match invocation {
                    Some(invocation) => invocation.die().await,
                    None => Err(lost()),
                }
            }
            Kind::LostReply | Kind::LostReplies => {
                self.execute(&call).await;
                if self.mutant.is_some_and(|mutant| mutant.repeats(&call)) {
                    return Call::hand_back(self.execute(&call).await);
                }
                Err(lost())
            }
            Kind::Throttle | Kind::Throttles => Call::hand_back(call.throttled()),
            Kind::Down => Call::hand_back(call.failed()),
            Kind::ErrorAfter => {
                self.execute(&call).await;
                Call::hand_back(call.failed())
            }
            Kind::Conflict => Call::hand_back(call.conflicted()),
            Kind::StaleIndex => {
                Call::hand_back(Call::answer(200, r#"{"Items":[],"Count":0,"ScannedCount":0}"#))
            }
            Kind::Partial => match call.first_half() {
                Some(half) => {
                    let answer = self.execute(&half).await;
                    Call::hand_back(call.without_rest(&answer))
                }
                None => Call::hand_back(call.unprocessed()),
            },
        }
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match Call::read(request) {
            Ok(call) => HttpConnectorFuture::new(self.clone().carry(call)),
            Err(error) => HttpConnectorFuture::ready(Err(error)),
        }
    }
}
