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
    Lines { last: Timestamp, total: u64 },
    Silent,
}

impl Progress {
    /// For a file of `total` bytes; 0 is unknown.
    pub(super) fn new(total: u64, silent: bool) -> Self {
        if silent {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: SystemClock.now(), total };
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
            Self::Lines { last, total } if SystemClock.now().since(*last) >= EVERY => {
                *last = SystemClock.now();
                note(&match total {
                    0 => format!("{rows} rows"),
                    total => format!("{rows} rows, {} %", bytes.saturating_mul(100) / *total),
                });
            }
            Self::Lines { .. } | Self::Silent => {}
        }
    }

    pub(super) fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
