//! I1 to I14 hold whatever outgoing call fails, however it fails, and whatever else runs at that moment.
//!
//! A debug build runs a sample of the plans, the same one every time unless `SLUICE_SEED` names another. All of them:
//! `SLUICE_SWEEP=all cargo test --profile sweep -p sluice-tests --test fault_sweep -- --nocapture`. One of them, as a
//! failure names it: `SLUICE_PLAN=route-new/crash-after@7 cargo test -p sluice-tests --test fault_sweep one_plan`.

use sluice_tests::mutants::Mutant;
use sluice_tests::plans::{Duplicate, Plan};
use sluice_tests::scenarios::{ALL, Prepared};
use sluice_tests::sweep::{Failure, catch, one, pairs, prepared, sample, singles, sweep};
use std::io::Write;

/// Plans with one fault, of each scenario, in a sample.
const SINGLES: usize = 40;
/// Plans with two faults, of each scenario, in a sample.
const PAIRS: usize = 20;
/// First faults of each scenario that a sample of pairs begins with.
const FIRSTS: usize = 4;
/// Duplicates of each scenario that a sample looks at.
const DUPLICATES: usize = 8;
/// Plans of one scenario, at most, when all are asked for: the timers read sixteen shards alike.
const MOST: usize = 6_000;

#[expect(clippy::disallowed_methods, reason = "how much to run is asked of whoever runs it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn all_are_asked_for() -> bool {
    variable("SLUICE_SWEEP").is_some_and(|value| value == "all")
}

fn listed(failures: &[Failure]) -> String {
    let lines = failures
        .iter()
        .take(20)
        .map(|failure| format!("{}\n    {}", failure.plan, failure.broken.join("\n    ")));
    lines.collect::<Vec<_>>().join("\n")
}

/// How many plans ran is said even when all is well, which the test harness would keep to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn sweep_all(what: &str, plans_of: impl Fn(&Prepared) -> Vec<Plan>, sampled: usize) {
    let only = variable("SLUICE_ONLY");
    let most = if all_are_asked_for() { MOST } else { sampled };
    let seed = variable("SLUICE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (mut total, mut failures) = (0, Vec::new());
    for scenario in ALL.iter().filter(|scenario| only.as_ref().is_none_or(|only| scenario.name == only)) {
        let prepared = prepared(scenario.name);
        let plans = plans_of(&prepared);
        let of = plans.len();
        let swept = sweep(&prepared, &sample(plans, most, seed));
        let broke = swept.failures.len();
        say(&format!("{}: {} of {of} plans with {what}, {broke} broke something", scenario.name, swept.run));
        total += swept.run;
        failures.extend(swept.failures);
    }
    say(&format!("{total} plans with {what}, {} broke something", failures.len()));
    assert!(failures.is_empty(), "{} plans; the shortest:\n{}", failures.len(), listed(&failures));
}

#[test]
fn one_fault_anywhere_and_a_duplicate_stopped_anywhere_break_nothing() {
    let duplicates = if all_are_asked_for() { usize::MAX } else { DUPLICATES };
    sweep_all("one fault", |prepared| singles(prepared, None, duplicates), SINGLES);
}

#[test]
fn two_faults_anywhere_break_nothing() {
    let firsts = if all_are_asked_for() { usize::MAX } else { FIRSTS };
    sweep_all("two faults", |prepared| pairs(prepared, firsts), PAIRS);
}

/// What catches a handler known to be bad: a scenario, and the invariant that it breaks.
fn caught_by(mutant: Mutant) -> (&'static str, &'static str) {
    match mutant {
        Mutant::AcceptsTwice => ("capture-form-key", "I9"),
        Mutant::ClaimsOver => ("route-repeat", "I1"),
        Mutant::CommitsBlindly => ("route-new", "I3"),
        Mutant::GrantsBlindly => ("route-new", "I6"),
        Mutant::LosesMessages => ("capture-form", "I1"),
        Mutant::DeletesBeforeSending => ("fire-timers", "I3"),
        Mutant::CountsBlindly => ("engage-click", "I12"),
        Mutant::SendsUnclaimed | Mutant::RepeatsMail | Mutant::ChecksThenWrites => ("send-email", "I3"),
    }
}

#[test]
fn handlers_known_to_be_bad_are_caught() {
    let only = variable("SLUICE_ONLY");
    for mutant in Mutant::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{mutant:?}")) {
            continue;
        }
        let (name, invariant) = caught_by(mutant);
        let prepared = prepared(name);
        // These need no duplicate to be caught, and each of their plans takes long.
        let is_slow = matches!(mutant, Mutant::DeletesBeforeSending | Mutant::LosesMessages);
        let duplicates = if is_slow { 0 } else { usize::MAX };
        let mut plans = sample(singles(&prepared, Some(mutant), duplicates), MOST, 2);
        // What is written in the wrong order shows in a crash.
        plans.sort_by_key(|plan| is_slow && !plan.to_string().starts_with("crash"));
        let swept = catch(&prepared, &plans, mutant, invariant);
        assert!(
            !swept.failures.is_empty(),
            "{mutant:?} breaks nothing of {invariant} in {} plans of {name}",
            swept.run
        );
        println!(
            "{mutant:?} is caught by plan {} of {}:\n{}",
            swept.run,
            plans.len(),
            listed(&swept.failures)
        );
    }
}

#[test]
fn one_plan_by_its_name() {
    let Some(text) = variable("SLUICE_PLAN") else { return };
    let (name, plan) = text.split_once('/').unwrap();
    let report = one(&prepared(name), &Plan::parse(plan).unwrap(), None);
    println!("{report:#?}");
    assert!(report.broken.is_empty());
}

#[test]
fn a_plan_is_found_again_by_its_name() {
    let prepared = prepared("route-new");
    for plan in singles(&prepared, None, 3) {
        assert_eq!(Plan::parse(&plan.to_string()), Some(plan.clone()), "{plan}");
    }
    let late = Plan { duplicate: Some(Duplicate { after: 3, late: true }), ..Plan::default() };
    assert_eq!(late.to_string(), "duplicate@3-late");
}
