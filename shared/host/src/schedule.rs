//! Scheduled functions: the payload says nothing we rely on, the clock does.

use crate::function::{Function, InvokeError};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;

/// A function that runs on a schedule. Twice, late or not at all for a while: harmless.
pub trait ScheduleHandler: Send + Sync + 'static {
    /// Does what is due. An error is reported and made up for by the next run.
    fn fire(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Adapts a handler to Lambda events.
pub struct Schedule<H>(pub H);

impl<H: ScheduleHandler> Function for Schedule<H> {
    fn invoke(&self, _: Bytes) -> BoxFuture<'_, Result<Bytes, InvokeError>> {
        Box::pin(async move {
            let failed = |kind: &str, message: String| InvokeError { kind: kind.to_owned(), message };
            match AssertUnwindSafe(self.0.fire()).catch_unwind().await {
                Ok(Ok(())) => Ok(Bytes::from_static(b"null")),
                Ok(Err(message)) => Err(failed("NotDone", message)),
                Err(_) => Err(failed("Panic", "the run panicked".to_owned())),
            }
        })
    }
}
