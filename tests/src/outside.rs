//! What a function finds around it in a plan: a clock moved by hand, seeded randomness, and the servers of others.

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use serde_json::json;
use sluice_domain::time::Timestamp;
use sluice_host::environment::{Clock, MetricSink, Random};
use sluice_services::ses::Ses;
use sluice_services::{Now, Service};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct VirtualClock(AtomicI64);

impl VirtualClock {
    /// A clock that shows `millis` since the epoch.
    pub const fn at(millis: i64) -> Self {
        Self(AtomicI64::new(millis))
    }

    /// What it shows, in milliseconds since the epoch.
    pub fn millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Puts it to `millis` since the epoch.
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }

    /// Moves it on.
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis())
    }
}

/// The clock of one machine: the world's, unless it is off.
#[derive(Debug)]
pub struct ShownClock {
    world: Arc<VirtualClock>,
    off: AtomicI64,
}

impl ShownClock {
    /// A clock that is right.
    pub const fn new(world: Arc<VirtualClock>) -> Self {
        Self { world, off: AtomicI64::new(0) }
    }

    /// How far it is off, in milliseconds.
    pub fn off(&self) -> i64 {
        self.off.load(Ordering::SeqCst)
    }

    /// From now on it is off by this much, in milliseconds.
    pub fn put_off(&self, millis: i64) {
        self.off.store(millis, Ordering::SeqCst);
    }

    /// It is right again.
    pub fn put_right(&self) {
        self.put_off(0);
    }
}

impl Clock for ShownClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.world.millis() + self.off())
    }
}

/// Bytes that the same seed always gives (SplitMix64).
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);

impl SeededRandom {
    /// A sequence of its own for each seed.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// How far the sequence is.
    pub fn state(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Puts it to where [`SeededRandom::state`] showed it.
    pub fn set(&self, state: u64) {
        self.0.store(state, Ordering::SeqCst);
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Metrics that nobody reads.
#[derive(Clone, Copy, Debug)]
pub struct NoMetrics;

impl MetricSink for NoMetrics {
    fn emit(&self, _: &str) {}
}

/// The APIs of Meta and LinkedIn, which know a person for every lead id; each reads what is its own.
#[derive(Clone, Copy, Debug)]
pub struct Graph;

impl Service for Graph {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let id = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let fields = json!([
            { "name": "full_name", "values": [format!("Person {id}")] },
            { "name": "email", "values": [format!("person{id}@example.org")] },
        ]);
        let answer = format!("person{id}@example.org");
        let body = json!({
            "id": id, "created_time": "2026-11-21T10:00:00+0000", "field_data": fields,
            "form": { "content": { "questions": [{ "questionId": 1, "predefinedField": "EMAIL" }] } },
            "formResponse": { "answers": [
                { "questionId": 1, "answerDetails": { "textQuestionAnswer": { "answer": answer } } },
            ] },
        });
        std::future::ready(http::Response::new(Bytes::from(body.to_string()))).boxed()
    }
}

/// A receiver of webhooks that takes everything, and is gone at `/gone`.
#[derive(Clone, Copy, Debug)]
pub struct Receiver;

impl Service for Receiver {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let mut answer = http::Response::new(Bytes::new());
        if request.uri().path() == "/gone" {
            *answer.status_mut() = http::StatusCode::GONE;
        }
        std::future::ready(answer).boxed()
    }
}

/// A mailbox that can be emptied: what it got was seen on the wire.
pub struct Mailbox {
    now: Now,
    ses: Mutex<Ses>,
}

impl Mailbox {
    /// An empty one.
    pub fn new(now: Now) -> Self {
        Self { ses: Mutex::new(Ses::memory(now.clone())), now }
    }

    /// Empties it.
    pub fn empty(&self) {
        *self.ses.lock().unwrap() = Ses::memory(self.now.clone());
    }
}

impl Service for Mailbox {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        self.ses.lock().unwrap().call(request)
    }
}
