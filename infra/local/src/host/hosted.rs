//! One function as the host calls it: under its time limit, with a panic kept to the call.

use bytes::Bytes;
use futures::FutureExt;
use sluice_host::function::{Function, InvokeError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A function with what the host knows of it. Clones are the same function.
#[derive(Clone)]
pub struct Hosted {
    name: Arc<str>,
    timeout: Duration,
    function: Arc<dyn Function>,
    running: Arc<AtomicUsize>,
    places: Option<Arc<Semaphore>>,
}

impl Hosted {
    /// A function under its name and time limit. Of calls beyond so many `places` at one time each waits for its turn, where
    /// AWS refuses it: a laptop is slower, and a post that would be taken there is not to be lost here.
    pub fn new(name: &str, timeout: Duration, places: Option<usize>, function: Arc<dyn Function>) -> Self {
        let places = places.map(|places| Arc::new(Semaphore::new(places)));
        Self { name: name.into(), timeout, function, running: Arc::default(), places }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls that are running now or wait for their turn.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// One call. Whatever goes wrong is an error of this call and written to the log once.
    pub async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let _running = Running::new(&self.running);
        // Nobody closes the semaphore; waiting takes nothing of the call's own time.
        let _place = match &self.places {
            Some(places) => places.acquire().await.ok(),
            None => None,
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::{BoxFuture, join_all};

    /// Notes how many calls of it ran at one time.
    #[derive(Default)]
    struct Crowd {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Function for Crowd {
        fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
            Box::pin(async move {
                let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                self.now.fetch_sub(1, Ordering::SeqCst);
                Ok(payload)
            })
        }
    }

    async fn most(reserved: Option<usize>) -> usize {
        let crowd = Arc::<Crowd>::default();
        let hosted = Hosted::new("crowd", Duration::from_secs(30), reserved, crowd.clone());
        let answers = join_all((0..20).map(|_| hosted.invoke(Bytes::from_static(b"{}")))).await;
        assert!(answers.iter().all(Result::is_ok), "who waits is served in the end");
        assert_eq!(hosted.running(), 0);
        crowd.most.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn no_more_calls_run_at_one_time_than_are_reserved() {
        assert_eq!(most(Some(3)).await, 3);
        assert_eq!(most(None).await, 20);
    }
}
