//! How the day goes: on a terminal what happens runs past above a clock, elsewhere it is lines; nothing for programs.

use crate::cli::output::note;
use crate::demo::Told;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

const DAY: u64 = 86_400_000;

pub(super) enum Progress {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    pub(super) fn new(is_silent: bool) -> Self {
        if is_silent {
            return Self::Silent;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::new(DAY);
        if let Ok(style) = ProgressStyle::with_template("{msg} UTC  {wide_bar:.cyan/blue}  {percent} %") {
            bar.set_style(style);
        }
        Self::Bar(bar)
    }

    /// The time of the day, in milliseconds.
    pub(super) fn at(&self, millis: i64) {
        if let Self::Bar(bar) = self {
            let minutes = millis / 60_000;
            bar.set_message(format!("{:02}:{:02}", minutes / 60, minutes % 60));
            bar.set_position(u64::try_from(millis).unwrap_or(0));
        }
    }

    /// Something happened.
    pub(super) fn told(&mut self, told: &Told) {
        let line = told.line();
        match self {
            Self::Bar(bar) => bar.println(line),
            Self::Lines => note(&line),
            Self::Silent => {}
        }
    }

    pub(super) fn end(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
