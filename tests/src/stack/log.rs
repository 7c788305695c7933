//! What a process writes to its log, kept so that it can be searched for what must not be in it.

use std::io::{self, Write};
use std::sync::{Mutex, Once, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As a process that is to write all it can.
pub fn targets() -> Targets {
    sluice_host::log::targets(LevelFilter::TRACE)
}

/// From now on this process's log is kept.
pub fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let layer = tracing_subscriber::fmt::layer().json().with_writer(|| Lines).with_filter(targets());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).expect("the first subscriber of this process");
    });
}

/// Every line so far.
pub fn lines() -> Vec<String> {
    lines_since(0)
}

/// How much was logged so far, in bytes.
pub fn mark() -> usize {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Every line since so much was logged.
pub fn lines_since(mark: usize) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let since = lines.get(mark..).unwrap_or_default();
    String::from_utf8_lossy(since).lines().map(str::to_owned).collect()
}
