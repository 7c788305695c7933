//! Waiting for a message: until one arrives, or a delay or visibility timeout ends.

use super::Sqs;
use super::error::SqsError;
use std::pin::pin;
use std::time::Duration;

impl Sqs {
    /// Returns when the queue may have something to receive: a message arrived, its delay passed, or its visibility
    /// timeout ended. What is due may also be on its way to the dead-letter queue, so the receive that follows can be
    /// empty. Fails when the queue does not exist or is deleted.
    ///
    /// Dropping the future is safe. Under a clock that stands still between jumps, call [`Sqs::poke`] after each.
    pub async fn wait(&self, queue: &str) -> Result<(), SqsError> {
        self.wait_until(queue, i64::MAX).await.map(|_| ())
    }

    /// The same, but no longer than until `deadline` (milliseconds of our clock); whether something may be there.
    pub(super) async fn wait_until(&self, queue: &str, deadline: i64) -> Result<bool, SqsError> {
        loop {
            let changed = self.store().queue(queue)?.changed.clone();
            // Made before the look at the queue: it also hears what happens between the two.
            let mut changed = pin!(changed.notified());
            let now = self.now();
            let due = self.store().next_due(queue, now)?;
            if due.is_some_and(|due| due <= now) {
                return Ok(true);
            }
            if now >= deadline {
                return Ok(false);
            }
            let until = due.unwrap_or(i64::MAX).min(deadline);
            let pause = Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or(0));
            let slept = tokio::select! {
                () = changed.as_mut() => false,
                () = tokio::time::sleep(pause) => true,
            };
            // A clock that did not move during a sleep moves only by hand, and then we are poked.
            if slept && self.now() == now {
                changed.await;
            }
        }
    }
}
