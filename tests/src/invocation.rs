//! Processes of functions, and their invocations: each runs to its end, dies, or stops where it is told to.

use crate::outside::ShownClock;
use crate::table::hash_of;
use bytes::Bytes;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The process of an instance of a function.
pub struct Process {
    /// The clock of its machine.
    pub clock: Arc<ShownClock>,
    /// Whatever came into it since it began, but for the time.
    heard: Mutex<Vec<Heard>>,
}

/// Something that came into a process: an event, or the answer to a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Heard {
    /// Which request; none if it answers none.
    request: Option<u64>,
    what: u64,
}

impl Process {
    /// One that begins now.
    pub fn new(clock: Arc<ShownClock>) -> Arc<Self> {
        Arc::new(Self { clock, heard: Mutex::default() })
    }

    /// An event comes in, or something happens that answers no request.
    pub fn hear(&self, what: impl Hash) {
        self.add(Heard { request: None, what: hash(what) });
    }

    /// An answer comes in. The client hides from the function the answers to attempts before the last: what counts is
    /// the last one, and when it came.
    pub fn hear_answer(&self, request: u64, answer: Option<&http::Response<Bytes>>) {
        let what = answer.map(|answer| {
            let body = serde_json::from_slice::<Value>(answer.body());
            (answer.status().as_u16(), body.map_or_else(|_| hash(answer.body()), |body| hash_of(&body)))
        });
        self.add(Heard { request: Some(request), what: hash(what) });
    }

    fn add(&self, heard: Heard) {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|before| before.request.is_none() || before.request != heard.request);
        all.push(heard);
    }

    /// Hashes what it may remember. It knows nothing but what came in, so two that heard the same do the same.
    pub fn print_into(&self, mut state: &mut dyn Hasher) {
        let state = &mut state;
        let all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Requests carry tokens that are drawn anew, so which one it was does not count.
        all.iter().for_each(|heard| (heard.request.is_some(), heard.what).hash(state));
        self.clock.off().hash(state);
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What an invocation is in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that first faults strike.
    UnderTest,
    /// Another one.
    Other,
    /// A function starts; nothing strikes it.
    Start,
}

/// One running invocation.
pub struct Invocation {
    /// What it is in its plan.
    pub role: Role,
    /// Where it runs.
    pub process: Arc<Process>,
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
    /// An invocation that stops before call `stop_after + 1`.
    pub fn new(process: Arc<Process>, role: Role, stop_after: u32) -> Arc<Self> {
        Arc::new(Self {
            role,
            process,
            calls: AtomicU32::new(0),
            stop_after: AtomicU32::new(stop_after),
            crashed: AtomicBool::new(false),
            paused: Notify::new(),
            resumed: Notify::new(),
            died: Notify::new(),
        })
    }

    /// The one that makes a call just now; none outside of all.
    pub fn current() -> Option<Arc<Self>> {
        INVOCATION.try_with(Arc::clone).ok()
    }

    /// Runs `work` as this invocation until it ends, dies or stops. To go on after a stop, [`Invocation::resume`] and
    /// call this again with the same future.
    pub async fn run<F: Future + Unpin>(self: &Arc<Self>, work: &mut F) -> Ran<F::Output> {
        let ran = tokio::select! {
            biased;
            answer = INVOCATION.scope(self.clone(), work) => Ran::Done(answer),
            () = self.died.notified() => Ran::Crashed,
            () = self.paused.notified() => Ran::Paused,
        };
        if !matches!(ran, Ran::Paused) {
            self.process.clock.put_right();
        }
        ran
    }

    /// Lets a stopped invocation go on.
    pub fn resume(&self) {
        self.stop_after.store(u32::MAX, Ordering::SeqCst);
        self.resumed.notify_waiters();
    }

    /// Before a call: its number, once the invocation may make it.
    pub async fn point(&self) -> u32 {
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

    /// Its process dies.
    pub async fn die(&self) -> ! {
        self.crashed.store(true, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending().await
    }
}
