//! EventBridge Scheduler: calls functions at a fixed rate on the stack's clock.

use super::clock::StackClock;
use super::hosted::Hosted;
use bytes::Bytes;
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// One recurring call.
#[derive(Clone, Debug)]
pub struct ScheduleSpec {
    /// Its name.
    pub name: String,
    /// The function it calls.
    pub function: String,
    /// Time between two calls.
    pub every: Duration,
    /// The payload, with `<aws.scheduler.scheduled-time>` and the like still in it; none for the service's own.
    pub input: Option<String>,
}

/// When a schedule calls next, for others to see. Clones show the same.
#[derive(Clone, Debug)]
pub struct Due(Arc<AtomicI64>);

impl Due {
    /// Of a schedule that begins now.
    pub fn of(spec: &ScheduleSpec, clock: &StackClock) -> Self {
        Self(Arc::new(AtomicI64::new(next(clock.now(), spec.millis()).millis())))
    }

    /// Whether every call up to `now` is over.
    pub fn is_after(&self, now: Timestamp) -> bool {
        self.at() > now
    }

    fn at(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn put(&self, at: Timestamp) {
        self.0.store(at.millis(), Ordering::SeqCst);
    }
}

impl ScheduleSpec {
    fn millis(&self) -> i64 {
        i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1)
    }
}

/// Calls `function` at every whole multiple of the interval from `due` on, until the future is dropped. Times that pass while
/// a call runs, or in one push of the clock, give one call: what it finds due makes up for them.
pub async fn run(spec: ScheduleSpec, function: Hosted, clock: StackClock, due: Due) {
    let every = spec.millis();
    loop {
        clock.sleep_until(due.at()).await;
        // The newest time that has come, so that a push of an hour is one call and not sixty.
        let newest = Timestamp(clock.now().millis().div_euclid(every).saturating_mul(every));
        let scheduled = newest.max(due.at());
        // The failure is in the log; the next time makes up for it.
        let _ = function.invoke(payload(&spec, scheduled)).await;
        due.put(next(scheduled, every));
    }
}

fn next(after: Timestamp, every: i64) -> Timestamp {
    Timestamp((after.millis().div_euclid(every) + 1).saturating_mul(every))
}

/// The payload with the scheduler's context attributes filled in. The execution id is one per attempt, as on AWS, so it
/// is no key for anything.
fn payload(spec: &ScheduleSpec, scheduled: Timestamp) -> Bytes {
    let time = scheduled.rfc3339();
    // The scheduler writes whole seconds.
    let time = time.split_once('.').map_or_else(|| time.clone(), |(seconds, _)| format!("{seconds}Z"));
    let arn = format!("arn:aws:scheduler:us-east-1:000000000000:schedule/default/{}", spec.name);
    let input = spec.input.as_deref().unwrap_or(
        r#"{"scheduleArn":"<aws.scheduler.schedule-arn>","scheduledTime":"<aws.scheduler.scheduled-time>"}"#,
    );
    let filled = input
        .replace("<aws.scheduler.schedule-arn>", &arn)
        .replace("<aws.scheduler.scheduled-time>", &time)
        .replace("<aws.scheduler.execution-id>", &format!("{:016x}", scheduled.millis()))
        .replace("<aws.scheduler.attempt-number>", "1");
    Bytes::from(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_carries_the_time_it_stands_for() {
        let mut spec = ScheduleSpec {
            name: "EveryMinute".into(),
            function: "fire-timers".into(),
            every: Duration::from_secs(60),
            input: Some(
                r#"{"at":"<aws.scheduler.scheduled-time>","try":<aws.scheduler.attempt-number>}"#.into(),
            ),
        };
        let at = Timestamp::parse("2026-01-05T09:30:00Z").unwrap();
        assert_eq!(payload(&spec, at), r#"{"at":"2026-01-05T09:30:00Z","try":1}"#);
        spec.input = None;
        let own: serde_json::Value = serde_json::from_slice(&payload(&spec, at)).unwrap();
        assert_eq!(own["scheduledTime"], "2026-01-05T09:30:00Z");
    }

    #[test]
    fn the_next_time_is_the_next_whole_minute() {
        assert_eq!(next(Timestamp(0), 60_000), Timestamp(60_000));
        assert_eq!(next(Timestamp(59_999), 60_000), Timestamp(60_000));
        assert_eq!(next(Timestamp(60_000), 60_000), Timestamp(120_000));
    }
}
