//! A world comes to rest: queues and timers are played until nothing is left to do.

use crate::events::queue_event;
use crate::faults::OUTAGE;
use crate::world::{MAX_DELIVERIES, Name, QUEUES, VISIBILITY, World};
use bytes::Bytes;

/// In milliseconds: a webhook is tried for twenty-five hours, and what has waited for days is driven again a few times a day.
pub const A_DAY: i64 = 26 * 3_600_000;

/// The world comes to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settling {
    /// It has until then, in milliseconds since the epoch.
    end: i64,
    /// When the timers last ran.
    fired: i64,
}

impl Settling {
    /// Within `limit` milliseconds from now.
    pub fn new(world: &World, limit: i64) -> Self {
        Self { end: world.clock.millis() + limit, fired: world.clock.millis() }
    }

    /// Goes on until one function has run; false if there is nothing left to do. An error says what does not come to rest.
    pub async fn step(&mut self, world: &mut World) -> Result<bool, String> {
        let before = world.clock.millis();
        let goes_on = self.until_one_has_run(world).await;
        // What stands still meanwhile has its time once it runs again.
        if world.clock.millis() - before >= OUTAGE {
            self.end += OUTAGE + A_DAY;
        }
        goes_on
    }

    async fn until_one_has_run(&mut self, world: &mut World) -> Result<bool, String> {
        loop {
            for (queue, name, most) in QUEUES {
                let messages = world.receive(queue, most);
                if messages.is_empty() {
                    continue;
                }
                world.deliveries += 1;
                if world.deliveries > MAX_DELIVERIES {
                    return Err(no_rest(&format!("{queue} brings {}", messages[0].body)));
                }
                if let Some(answer) = world.invoke(name, queue_event(&messages)).await {
                    world.acknowledge(queue, &messages, &answer);
                }
                return Ok(true);
            }
            let now = world.clock.millis();
            if world.is_quiet() || now >= self.end {
                return Ok(false);
            }
            let step = if world.hidden() > 0 { VISIBILITY * 1000 } else { 30_000 };
            world.clock.advance(step.min(self.end - now).max(1));
            if world.clock.millis() - self.fired >= 60_000 {
                self.fired = world.clock.millis();
                world.invoke(Name::Fire, Bytes::from_static(b"{}")).await;
                return Ok(true);
            }
        }
    }
}

/// What is said of a world that does not come to rest.
pub fn no_rest(example: &str) -> String {
    format!("I11: {MAX_DELIVERIES} deliveries and no rest; {example}")
}
