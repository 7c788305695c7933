//! Time of a stack that is moved by hand, from one thing that is due to the next, so that everything comes at its time.

use super::clock::StackClock;
use super::hosted::Hosted;
use super::schedule::Due;
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_services::dynamodb::DynamoDb;
use sluice_services::sqs::Sqs;
use sluice_store::keys;
use std::time::Duration;

/// How often the timers look for what is due, in milliseconds. They look two of these ahead.
const MINUTE: i64 = 60_000;
/// How long work may take that a step woke, in the machine's time.
const REST: Duration = Duration::from_secs(60);
/// How often it is looked whether all work is done.
const PAUSE: Duration = Duration::from_millis(2);
/// After so many looks a message that was received and that no call works on has failed: it waits for the clock.
const HELD: u32 = 100;

/// The clock of a stack together with what shows whether everything has come to rest. Clones move the same clock.
#[derive(Clone)]
pub struct Mover {
    pub(super) clock: StackClock,
    pub(super) sqs: Sqs,
    pub(super) dynamodb: DynamoDb,
    /// The table that holds what is due.
    pub(super) table: Option<String>,
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

    /// Moves the clock to `to`, never back. On the way it stops wherever something is due, until all of it is done; whether
    /// everything came to rest.
    pub async fn move_to(&self, to: Timestamp) -> bool {
        let mut is_calm = self.rest().await;
        loop {
            let now = self.now();
            if now >= to {
                return is_calm;
            }
            let by = u64::try_from(self.stop_after(now).min(to).since(now)).unwrap_or(0);
            self.clock.advance(Duration::from_millis(by.max(1)));
            self.sqs.poke();
            is_calm &= self.rest().await;
        }
    }

    /// The next time at which there is something to do: a message becomes visible, or the timers have to run to find what
    /// is due soon.
    fn stop_after(&self, now: Timestamp) -> Timestamp {
        let minute = |at: i64| at.div_euclid(MINUTE) * MINUTE;
        let queued = self.queues.iter().filter_map(|queue| self.sqs.next_change(queue).ok().flatten());
        let looks =
            self.earliest_due().map(|due| minute(due.millis() - MINUTE).max(minute(now.millis()) + MINUTE));
        Timestamp(queued.chain(looks).min().unwrap_or(i64::MAX))
    }

    /// When the first of all due entries is due.
    fn earliest_due(&self) -> Option<Timestamp> {
        let table = self.table.as_ref()?;
        let first = |shard: u8| {
            let request = json!({
                "TableName": table, "Limit": 1, "ConsistentRead": true,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": { ":pk": { "S": keys::due(shard) } },
            });
            let answer = self.dynamodb.run("Query", request.to_string().as_bytes()).ok()?;
            let answer: Value = serde_json::from_slice(&answer).ok()?;
            keys::parse_due_at(answer["Items"][0]["sk"]["S"].as_str()?).map(|(at, _)| at)
        };
        (0..keys::DUE_SHARDS).filter_map(first).min()
    }

    /// Waits until nothing is left to do at this time of the clock, but not for ever; whether that is so.
    pub async fn rest(&self) -> bool {
        let quiet = async {
            let mut held = 0;
            while held < HELD {
                held = match self.work() {
                    Work::None => return,
                    Work::Held => held + 1,
                    Work::Some => 0,
                };
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(REST, quiet).await.is_ok()
    }

    /// What is left to do now; what waits for a later time does not count.
    fn work(&self) -> Work {
        let now = self.now();
        let idle = || self.functions.iter().all(|function| function.running() == 0);
        // A schedule that was done has put on the queues what it found, a call that ended what it had to hand on.
        if !self.schedules.iter().all(|due| due.is_after(now)) || !idle() {
            return Work::Some;
        }
        let mut held = 0;
        for queue in &self.queues {
            match self.sqs.depth(queue) {
                Ok(depth) if depth.visible == 0 => held += depth.in_flight,
                _ => return Work::Some,
            }
        }
        match (idle(), held) {
            (true, 0) => Work::None,
            (true, _) => Work::Held,
            (false, _) => Work::Some,
        }
    }
}

enum Work {
    None,
    /// Messages that nobody works on: about to be, or they failed and come again.
    Held,
    Some,
}
