//! How far it is: a bar on a terminal, now and then a line elsewhere, nothing for programs.

use super::super::output::note;
use indicatif::{ProgressBar, ProgressStyle};
use sluice_domain::time::Timestamp;
use sluice_host::environment::Clock;
use sluice_host::lambda::SystemClock;
use std::io::IsTerminal;

/// How often a line is printed where there is no terminal, in milliseconds.
const EVERY: i64 = 5_000;

pub(super) enum Progress {
    Bar(ProgressBar),
    Lines(Lines),
    Silent,
}

/// What is said where there is no terminal.
pub(super) struct Lines {
    last: Timestamp,
    total: u64,
}

impl Progress {
    /// For a file of `total` bytes; 0 is unknown.
    pub(super) fn new(total: u64, silent: bool) -> Self {
        if silent {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines(Lines { last: SystemClock.now(), total });
        }
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let style = "{wide_bar} {bytes}/{total_bytes}  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// So many rows and bytes are done.
    pub(super) fn at(&mut self, rows: u64, bytes: u64) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(bytes);
                bar.set_message(format!("{rows} rows"));
            }
            Self::Lines(lines) => {
                if let Some(line) = lines.at(SystemClock.now(), rows, bytes) {
                    note(&line);
                }
            }
            Self::Silent => {}
        }
    }

    pub(super) fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Lines {
    /// The line that is due, if one is.
    fn at(&mut self, now: Timestamp, rows: u64, bytes: u64) -> Option<String> {
        if now.since(self.last) < EVERY {
            return None;
        }
        self.last = now;
        Some(match self.total {
            0 => format!("{rows} rows"),
            total => format!("{rows} rows, {} %", bytes.saturating_mul(100) / total),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{EVERY, Lines};
    use sluice_domain::time::Timestamp;

    #[test]
    fn a_log_gets_a_line_every_five_seconds_with_what_is_done_so_far() {
        let at = |millis: i64| Timestamp(1_790_000_000_000 + millis);
        let mut lines = Lines { last: at(0), total: 8_000 };
        assert_eq!(lines.at(at(EVERY - 1), 100, 1_000), None);
        assert_eq!(lines.at(at(EVERY), 200, 2_000).as_deref(), Some("200 rows, 25 %"));
        assert_eq!(lines.at(at(EVERY + 1), 300, 3_000), None);
        assert_eq!(lines.at(at(2 * EVERY + 5), 800, 8_000).as_deref(), Some("800 rows, 100 %"));
        // What has no size has no share.
        let mut lines = Lines { last: at(0), total: 0 };
        assert_eq!(lines.at(at(EVERY), 200, 2_000).as_deref(), Some("200 rows"));
    }
}
