//! The `sluice` command.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    sluice::cli::Cli::parse().run()
}
