//! What a lead, a message and an event cost on this machine: throughput, latency, processor time, table units, money, start-up.
//! Prints one table.
//!
//! The stack runs in this process over files, as `sluice dev` runs it; the load generator is this binary again, in a
//! process of its own.

mod bulk;
mod campaigns;
mod client;
mod clock;
mod events;
mod load;
mod machine;
mod messages;
mod money;
mod people;
mod phases;
mod probe;
mod profile;
mod raw;
mod report;
mod rig;
mod startup;
mod units;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use std::process::ExitCode;

/// What can be measured, in order.
const PARTS: [&str; 10] =
    ["units", "load", "import", "mixes", "rules", "clocks", "messages", "events", "campaigns", "startup"];

/// What a lead, a message and an event cost on this machine. Leave the machine alone meanwhile.
#[derive(Parser)]
#[command(name = "sluice-bench")]
struct Options {
    /// How long a phase lasts, in seconds.
    #[arg(long, value_name = "N", default_value_t = 20)]
    seconds: u64,
    /// What to measure; all of it if nothing is named.
    #[arg(long, value_name = "PARTS", value_delimiter = ',', value_parser = PossibleValuesParser::new(PARTS))]
    only: Vec<String>,
    /// Leaves out `startup`, which builds each function by itself.
    #[arg(long)]
    no_startup: bool,
}

impl Options {
    fn parts(&self) -> Vec<&'static str> {
        let is_asked_for = |part: &str| self.only.is_empty() || self.only.iter().any(|only| only == part);
        PARTS
            .into_iter()
            .filter(|part| is_asked_for(part) && !(self.no_startup && *part == "startup"))
            .collect()
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == bulk::COMMAND) {
        return sluice::cli::Cli::parse_from(arguments).run();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    if let [first, plan] = arguments.as_slice()
        && first == "load"
    {
        let Ok(plan) = serde_json::from_str(plan) else { return fail("not a plan") };
        let sent = runtime.block_on(load::carry_out(plan));
        report::hand_back(&serde_json::to_string(&sent).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    match runtime.block_on(phases::all(options.seconds, &options.parts())) {
        Ok(sections) => {
            report::print(&sections);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

fn fail(message: &str) -> ExitCode {
    report::progress(&format!("error: {message}"));
    ExitCode::FAILURE
}
