//! One function as the host calls it: under its time limit, with a panic kept to the call.

use bytes::Bytes;
use futures::FutureExt;
use sluice_host::function::{Function, InvokeError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A function with what the host knows of it. Clones are the same function.
#[derive(Clone)]
pub struct Hosted {
    name: Arc<str>,
    timeout: Duration,
    function: Arc<dyn Function>,
    running: Arc<AtomicUsize>,
}

impl Hosted {
    /// A function under its name and time limit.
    pub fn new(name: &str, timeout: Duration, function: Arc<dyn Function>) -> Self {
        Self { name: name.into(), timeout, function, running: Arc::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls that are running now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// One call. Whatever goes wrong is an error of this call and written to the log once.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let _running = Running::new(&self.running);
        let call = AssertUnwindSafe(self.function.invoke(payload)).catch_unwind();
        let failed =
            |kind: &str, message: &str| InvokeError { kind: kind.to_owned(), message: message.to_owned() };
        let answer = match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(failed("Runtime.Panic", "the function panicked")),
            Err(_) => Err(failed("Sandbox.Timedout", "the function took longer than its time limit")),
        };
        answer.inspect_err(|error| {
            tracing::error!(
                function = self.name(),
                kind = error.kind,
                message = error.message,
                "call failed"
            );
        })
    }
}

/// Counts one call for as long as it lives, however it ends.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
