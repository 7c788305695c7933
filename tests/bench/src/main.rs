//! What a lead, a message and an event cost on this machine: throughput, latency, processor time, table units, money, start-up.
//! Prints one table.
//!
//! The stack runs in this process over files, as `sluice dev` runs it; the load generator is this binary again, in a
//! process of its own. `--seconds N` sets how long a phase lasts, `--no-startup` leaves the start-ups out, and
//! `--only PARTS` (of `units,load,import,mixes,rules,clocks,messages,events,campaigns,startup`) everything else.

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

use std::process::ExitCode;

/// What can be measured, in order.
const PARTS: [&str; 10] =
    ["units", "load", "import", "mixes", "rules", "clocks", "messages", "events", "campaigns", "startup"];

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
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let seconds = option("--seconds").and_then(|text| text.parse().ok()).unwrap_or(20);
    let parts = option("--only").map_or(PARTS.to_vec(), |only| only.split(',').collect());
    let without = |part: &str| part == "startup" && arguments.iter().any(|it| it == "--no-startup");
    let parts: Vec<&str> = parts.into_iter().filter(|part| !without(part)).collect();
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(part)) {
        return fail(&format!("{unknown} is no part; there are {}", PARTS.join(", ")));
    }
    match runtime.block_on(phases::all(seconds, &parts)) {
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
