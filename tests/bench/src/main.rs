//! What a lead costs on this machine: throughput, latency, processor time, table units, money, start-up. Prints one table.
//!
//! The stack runs in this process over files, as `sluice dev` runs it; the load generator is this binary again, in a
//! process of its own. `--seconds N` sets how long a phase lasts, `--no-startup` leaves the start-ups out.

mod bulk;
mod client;
mod load;
mod machine;
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

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
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
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds =
        seconds.and_then(|at| arguments.get(at + 1)).and_then(|text| text.parse().ok()).unwrap_or(20);
    let startup = !arguments.iter().any(|argument| argument == "--no-startup");
    match runtime.block_on(phases::all(seconds, startup)) {
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
