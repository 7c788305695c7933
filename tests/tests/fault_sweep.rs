//! I1 to I14 hold whatever outgoing call fails, however it fails, and whatever else runs at that moment.
//!
//! A debug build runs a sample of the plans, the same one every time. All of them:
//! `SLUICE_SWEEP=all cargo test --profile sweep -p sluice-tests --test fault_sweep -- --nocapture`. One of them, as a
//! failure names it: `SLUICE_PLAN=route-new/crash-after@7 cargo test -p sluice-tests --test fault_sweep one_plan`.

use sluice_tests::mutants::Mutant;
use sluice_tests::plans::{Duplicate, Plan};
use sluice_tests::scenarios::{ALL, Prepared};
use sluice_tests::sweep::{Failure, Swept, one, pairs, prepared, sample, singles, sweep};

/// Plans with one fault, of each scenario, in a sample.
const SINGLES: usize = 100;
/// Plans with two faults, of each scenario, in a sample.
const PAIRS: usize = 40;
/// First faults of each scenario that a sample of pairs begins with.
const FIRSTS: usize = 6;
/// Plans of one scenario, at most, when all are asked for: the timers read sixteen shards alike.
const MOST: usize = 6_000;

#[expect(clippy::disallowed_methods, reason = "how much to run is asked of whoever runs it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn all_are_asked_for() -> bool {
    variable("SLUICE_SWEEP").is_some_and(|value| value == "all")
}

fn told(what: &str, name: &str, swept: &Swept, of: usize) -> String {
    format!("{name}: {} of {of} plans with {what}, {} broke something", swept.run, swept.failures.len())
}

fn listed(failures: &[Failure]) -> String {
    let lines = failures.iter().take(20).map(|failure| format!("{}\n    {}", failure.plan, failure.broken.join("\n    ")));
    lines.collect::<Vec<_>>().join("\n")
}

fn sweep_all(what: &str, plans_of: impl Fn(&Prepared) -> Vec<Plan>, sampled: usize) {
    let only = variable("SLUICE_ONLY");
    let most = if all_are_asked_for() { MOST } else { sampled };
    let (mut total, mut failures) = (0, Vec::new());
    for scenario in ALL.iter().filter(|scenario| only.as_ref().is_none_or(|only| scenario.name == only)) {
        let prepared = prepared(scenario.name);
        let plans = plans_of(&prepared);
        let of = plans.len();
        let swept = sweep(&prepared, &sample(plans, most, 1), None, usize::MAX);
        println!("{}", told(what, scenario.name, &swept, of));
        total += swept.run;
        failures.extend(swept.failures);
    }
    println!("{total} plans with {what}, {} broke something", failures.len());
    assert!(failures.is_empty(), "{} plans; the shortest:\n{}", failures.len(), listed(&failures));
}

#[test]
fn one_fault_anywhere_and_a_duplicate_stopped_anywhere_break_nothing() {
    sweep_all("one fault", |prepared| singles(prepared, None), SINGLES);
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
        Mutant::CommitsBlindly => ("route-new", "I"),
        Mutant::SendsUnclaimed => ("send-email", "I3"),
        Mutant::GrantsBlindly => ("route-full", "I6"),
        Mutant::LosesMessages => ("capture-form", "I1"),
        Mutant::DeletesBeforeSending => ("fire-timers", "I"),
        Mutant::RepeatsMail => ("send-email", "I3"),
        Mutant::ChecksThenWrites => ("send-email", "I3"),
    }
}

#[test]
fn handlers_known_to_be_bad_are_caught() {
    for mutant in Mutant::ALL {
        let (name, invariant) = caught_by(mutant);
        let prepared = prepared(name);
        let plans = sample(singles(&prepared, Some(mutant)), usize::MAX, 2);
        let swept = sweep(&prepared, &plans, Some(mutant), 1);
        let caught = swept.failures.iter().find(|failure| failure.broken.iter().any(|why| why.starts_with(invariant)));
        println!("{mutant:?}: {} plans of {name}: {}", swept.run, listed(&swept.failures));
        assert!(caught.is_some(), "{mutant:?} is not caught by {name}: {}", listed(&swept.failures));
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
    for plan in singles(&prepared, None) {
        assert_eq!(Plan::parse(&plan.to_string()), Some(plan.clone()), "{plan}");
    }
    let late = Plan { duplicate: Some(Duplicate { after: 3, late: true }), ..Plan::default() };
    assert_eq!(late.to_string(), "duplicate@3-late");
}
