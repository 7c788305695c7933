//! Time of a stack that is moved by hand, minute by minute, so that everything comes at its time and in its order.

use super::clock::StackClock;
use super::hosted::Hosted;
use super::schedule::Due;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_services::sqs::Sqs;
use std::time::Duration;

/// The longest step, in milliseconds: what a schedule does each minute happens in each.
const STEP: i64 = 60_000;
/// How long work may take that a step woke, in the machine's time. What needs longer, such as a message that comes again
/// after it failed, waits for the clock.
const REST: Duration = Duration::from_secs(20);

/// The clock of a stack together with what shows whether everything has come to rest. Clones move the same clock.
#[derive(Clone)]
pub struct Mover {
    pub(super) clock: StackClock,
    pub(super) sqs: Sqs,
    /// The queues that call functions.
    pub(super) queues: Vec<String>,
    pub(super) functions: Vec<Hosted>,
    pub(super) schedules: Vec<Due>,
}

impl Mover {
    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the clock may be moved: one that shows the machine's time may not.
    pub fn is_movable(&self) -> bool {
        self.clock.is_shifted()
    }

    /// Moves the clock to `to`, in steps of a minute at most, each of which ends at rest; never back. Whether
    /// everything came to rest.
    pub async fn move_to(&self, to: Timestamp) -> bool {
        let mut is_calm = self.rest().await;
        loop {
            let now = self.now();
            if now >= to {
                return is_calm;
            }
            let minute = Timestamp((now.millis().div_euclid(STEP) + 1) * STEP);
            let by = u64::try_from(minute.min(to).since(now)).unwrap_or(0);
            self.clock.advance(Duration::from_millis(by));
            self.sqs.poke();
            is_calm &= self.rest().await;
        }
    }

    /// Waits until nothing is left to do at this time of the clock, but not for ever; whether that is so.
    pub async fn rest(&self) -> bool {
        let quiet = async {
            while !self.is_at_rest() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(REST, quiet).await.is_ok()
    }

    /// Whether no call runs or is about to; what waits for a later time is left.
    fn is_at_rest(&self) -> bool {
        let now = self.now();
        let empty = |queue: &String| self.sqs.depth(queue).is_ok_and(|depth| depth.visible + depth.in_flight == 0);
        // Schedules first: one that was done has put on the queues what it found.
        self.schedules.iter().all(|due| due.is_after(now))
            && self.queues.iter().all(empty)
            && self.functions.iter().all(|function| function.running() == 0)
    }
}
