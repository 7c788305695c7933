//! The stack's clock: the machine's, the machine's moved by an offset, or one that stands still until it is advanced.

use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_host::lambda::SystemClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A clock that all parts of one stack share. Clones show the same time.
#[derive(Clone, Debug)]
pub struct StackClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Milliseconds added to the machine's clock, or the time itself if the clock stands still.
    base: AtomicI64,
    runs: bool,
    moved: watch::Sender<()>,
}

impl StackClock {
    /// The machine's time.
    pub fn real() -> Self {
        Self::with(0, true)
    }

    /// Starts at `now` and runs on as the machine's clock does.
    pub fn starting_at(now: Timestamp) -> Self {
        Self::with(now.since(SystemClock.now()), true)
    }

    /// Shows `now` until it is advanced.
    pub fn frozen(now: Timestamp) -> Self {
        Self::with(now.millis(), false)
    }

    fn with(base: i64, runs: bool) -> Self {
        Self(Arc::new(Inner { base: AtomicI64::new(base), runs, moved: watch::Sender::new(()) }))
    }

    /// Whether it shows another time than the machine's.
    pub fn is_shifted(&self) -> bool {
        !self.0.runs || self.0.base.load(Ordering::SeqCst) != 0
    }

    /// Moves the clock forward and wakes everything that waits for it.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.base.fetch_add(by, Ordering::SeqCst);
        self.0.moved.send_replace(());
    }

    /// Gives notice of every [`StackClock::advance`] from now on.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.0.moved.subscribe()
    }

    /// Returns once the clock shows `at` or later.
    pub async fn sleep_until(&self, at: Timestamp) {
        let mut moved = self.watch();
        loop {
            let left = at.since(self.now());
            let Ok(left @ 1..) = u64::try_from(left) else { return };
            // A clock that stands still waits for a push only.
            let nap = tokio::time::sleep(Duration::from_millis(left));
            tokio::select! {
                () = nap, if self.0.runs => {}
                _ = moved.changed() => {}
            }
        }
    }
}

impl Clock for StackClock {
    fn now(&self) -> Timestamp {
        let base = self.0.base.load(Ordering::SeqCst);
        if self.0.runs { SystemClock.now().plus_millis(base) } else { Timestamp(base) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_is_advanced_past_its_time() {
        let clock = StackClock::frozen(Timestamp::from_seconds(1_000));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Timestamp::from_seconds(1_060)).await }
        });
        clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now().seconds(), 1_060);
    }
}
