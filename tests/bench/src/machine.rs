//! The machine: its clock, and the processor time of this process.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Ticks of `/proc/self/stat` in a second. (proc(5): `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux of today.)
const TICKS: u64 = 100;

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures")]
pub(crate) fn epoch_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Processor time this process has used, all threads, user and system. Children are not in it.
pub(crate) fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name may hold blanks and ends with the last bracket; then field 3 on. (proc(5): 14 is utime, 15 is stime.)
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// What else kept the processors busy: the share of all processors used by others than this process and its children,
/// between two readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    all: u64,
    idle: u64,
    own: Duration,
}

impl Busy {
    /// A reading.
    pub(crate) fn read() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
        let fields: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        let idle = fields.get(3).copied().unwrap_or(0) + fields.get(4).copied().unwrap_or(0);
        Self { all: fields.iter().sum(), idle, own: cpu() }
    }

    /// The share others used since this reading, 0 to 1; `children` is what our own children used.
    pub(crate) fn others(self, children: Duration) -> f64 {
        let now = Self::read();
        let all = (now.all - self.all) as f64;
        let busy = all - (now.idle - self.idle) as f64;
        let own = (now.own - self.own + children).as_secs_f64() * TICKS as f64;
        if all > 0.0 { ((busy - own) / all).max(0.0) } else { 0.0 }
    }
}
