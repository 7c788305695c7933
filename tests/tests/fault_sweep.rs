//! I1 to I15 hold whatever outgoing call fails, however it fails, and whatever else runs at that moment.
//!
//! A debug build runs a sample of the plans, the same one every time unless `SLUICE_SEED` names another. All of them:
//! `SLUICE_SWEEP=all cargo test --profile sweep -p sluice-tests --test fault_sweep -- --nocapture`. One scenario:
//! `SLUICE_ONLY=route-new`. One plan, as a failure names it:
//! `SLUICE_PLAN=route-new/crash-after@7 cargo test -p sluice-tests --test fault_sweep one_plan`. One bad handler, and a plan that
//! may show it: `SLUICE_ONLY=RepeatsMail SLUICE_PLAN=lost-reply@3 cargo test -p sluice-tests --test fault_sweep known_to_be_bad`.

use sluice_tests::faults::{Kind, Shot};
use sluice_tests::mutants::Mutant;
use sluice_tests::plans::{Duplicate, Meanwhile, Plan};
use sluice_tests::poison::subjects;
use sluice_tests::scenarios::{ALL, Prepared};
use sluice_tests::sweep::{
    Failure, Swept, catch, duplicates, left, one, pairs, play, poisoned, prepared, races, sample, singles,
    stood_for, stops_stood_for, sweep, sweep_pairs,
};
use sluice_tests::ways::{Followed, Ways};
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Instant;

/// Plans with one fault, of each scenario, in a sample.
const SINGLES: usize = 6;
/// Plans with two faults, of each scenario, in a sample.
const PAIRS: usize = 3;
/// First faults of each scenario that a sample of pairs begins with.
const FIRSTS: usize = 1;
/// Moments of each scenario at which people ask for something, in a sample.
const RACES: usize = 12;
/// What is said of ways a sample holds against one scenario of so many.
const EACH: usize = 5;
/// Duplicates of each scenario that a sample looks at.
const DUPLICATES: usize = 2;
/// Plans with one fault of which one has to catch a handler known to be bad.
const CAUGHT_WITHIN: usize = 6_000;
/// Faults of each scenario that another one stands for, in a sample.
const STOOD_FOR: usize = 1;
/// Duplicates of a scenario of which it is asked whom they stand for, in a sample.
const STOPS: usize = 4;

#[expect(clippy::disallowed_methods, reason = "how much to run is asked of whoever runs it")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn all_are_asked_for() -> bool {
    variable("SLUICE_SWEEP").is_some_and(|value| value == "all")
}

fn seed() -> u64 {
    variable("SLUICE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1)
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

fn scenarios() -> impl Iterator<Item = &'static str> {
    let only = variable("SLUICE_ONLY");
    let names = ALL.iter().map(|scenario| scenario.name);
    names.filter(move |name| only.as_ref().is_none_or(|only| only.split(',').any(|part| part == *name)))
}

#[expect(clippy::disallowed_methods, reason = "how long a sweep takes is for people to read")]
fn clock() -> Instant {
    Instant::now()
}

#[test]
fn one_fault_anywhere_and_a_duplicate_stopped_anywhere_break_nothing() {
    let (duplicates, most) =
        if all_are_asked_for() { (usize::MAX, usize::MAX) } else { (DUPLICATES, SINGLES) };
    let (mut total, mut failures) = (0, Vec::new());
    for name in scenarios() {
        let began = clock();
        let prepared = prepared(name);
        let plans = singles(&prepared, None, duplicates);
        let of = plans.len();
        let swept = sweep(&Ways::of(&prepared), &prepared, &sample(plans, most, seed()));
        say(&format!(
            "{name}: {} of {of} plans with one fault, {} of them to the end, {} others stood for, in {:.0} s; {} broke something",
            swept.run,
            swept.run - swept.known,
            swept.stood_for,
            began.elapsed().as_secs_f64(),
            swept.failures.len()
        ));
        total += swept.run;
        failures.extend(swept.failures);
    }
    say(&format!("{total} plans with one fault, {} broke something", failures.len()));
    assert!(failures.is_empty(), "{} plans; the shortest:\n{}", failures.len(), listed(&failures));
}

#[test]
fn two_faults_anywhere_break_nothing() {
    let (firsts, most) = if all_are_asked_for() { (usize::MAX, usize::MAX) } else { (FIRSTS, PAIRS) };
    let (mut total, mut played, mut failures) = (0, 0, Vec::new());
    for name in scenarios() {
        let began = clock();
        let prepared = prepared(name);
        let ways = Ways::of(&prepared);
        let Followed { jobs, pairs, states } = pairs(&ways, &prepared, firsts);
        let of = jobs.len();
        let swept = sweep_pairs(&ways, &prepared, &sample(jobs, most, seed()));
        say(&format!(
            "{name}: {pairs} pairs of faults are {of} second faults in {states} states; {} tried, {} to the end, in {:.0} s; \
             {} broke something",
            swept.run,
            swept.run - swept.known,
            began.elapsed().as_secs_f64(),
            swept.failures.len()
        ));
        total += pairs;
        played += swept.run;
        failures.extend(swept.failures);
    }
    say(&format!("{total} pairs of faults, {played} tried, {} broke something", failures.len()));
    assert!(failures.is_empty(), "{} plans; the shortest:\n{}", failures.len(), listed(&failures));
}

/// The whole of an opt-out or an erasure, answered at each call of a send, with all that follows from it or before that.
#[test]
fn what_people_ask_for_at_any_call_holds_from_then_on() {
    let most = if all_are_asked_for() { usize::MAX } else { RACES };
    let mut total = 0;
    for name in scenarios() {
        let prepared = prepared(name);
        let plans = sample(races(&prepared, None), most, seed());
        let swept = sweep(&Ways::of(&prepared), &prepared, &plans);
        assert!(swept.failures.is_empty(), "{}", listed(&swept.failures));
        total += swept.run;
    }
    say(&format!("{total} plans in which people ask for something meanwhile"));
}

/// What is said of states that are alike, held against the same plans played from the beginning to their ends.
#[test]
fn a_pair_that_met_a_known_way_ends_so_by_itself() {
    let (firsts, most) = if all_are_asked_for() { (usize::MAX, 50) } else { (FIRSTS, 1) };
    for name in scenarios().step_by(if all_are_asked_for() { 1 } else { EACH }) {
        let prepared = prepared(name);
        let ways = Ways::of(&prepared);
        let jobs = pairs(&ways, &prepared, firsts).jobs;
        for job in sample(jobs, most, seed() + 1) {
            let swept = sweep_pairs(&ways, &prepared, std::slice::from_ref(&job));
            let alone = play(&Ways::of(&prepared), &prepared, &job.plan);
            let met = swept.failures.into_iter().flat_map(|failure| failure.broken);
            assert_eq!(Vec::from_iter(met), alone.broken, "{name}/{}", job.plan);
            assert!(!alone.is_known);
        }
    }
}

/// What is said of faults that lead to the same, held against what each leaves. Whoever dies leaves how everything stood, which
/// the plans with two faults go by; here instances live on, and whether one dies while it begins or later is not the same to them.
#[test]
fn a_fault_that_another_stands_for_leaves_what_that_one_leaves() {
    let most = if all_are_asked_for() { 50 } else { STOOD_FOR };
    let mut looked_at = 0;
    if !all_are_asked_for() && variable("SLUICE_ONLY").is_none() {
        // Playing each from the beginning takes long: it is done where a whole sweep is, or for a scenario that is named.
        return;
    }
    for name in scenarios() {
        let prepared = prepared(name);
        let mut all = stood_for(&prepared);
        all.retain(|(shot, _)| !matches!(shot.kind, Kind::CrashBefore | Kind::CrashAfter | Kind::Outage));
        for (shot, by) in sample(all, most, seed() + 2) {
            let (one, other) = (Plan::with(shot), Plan::with(by));
            assert_eq!(left(&prepared, &one), left(&prepared, &other), "{name}: {one} and {other}");
            looked_at += 1;
        }
    }
    say(&format!("{looked_at} faults are as those that stand for them"));
}

/// What is said of stops that are alike, held against what each leaves.
#[test]
fn a_duplicate_that_another_stands_for_leaves_what_that_one_leaves() {
    let most = if all_are_asked_for() { usize::MAX } else { STOPS };
    let mut looked_at = 0;
    for name in scenarios().step_by(if all_are_asked_for() { 1 } else { 4 * EACH }) {
        let prepared = prepared(name);
        let stops = sample(duplicates(&prepared, None), most, seed() + 3);
        for (plan, alike) in sample(stops_stood_for(&prepared, &stops), 10, seed()) {
            assert_eq!(left(&prepared, &plan), left(&prepared, &alike), "{name}: {plan} and {alike}");
            looked_at += 1;
        }
    }
    say(&format!("{looked_at} duplicates are as those that stand for them"));
    assert!(looked_at > 0 || variable("SLUICE_ONLY").is_some());
}

/// What catches a handler known to be bad: scenarios, the invariant that it breaks in each, and the plan that showed it last, which
/// is tried first: when calls come and go another one shows it, is found among all with one fault, and said.
fn caught_by(mutant: Mutant) -> &'static [(&'static str, &'static str, &'static str)] {
    match mutant {
        Mutant::ForgetsActs => {
            &[("console-accept", "I11: accept", ""), ("console-disqualify", "I11: disqualify", "")]
        }
        Mutant::ForgetsProofs => &[
            ("console-consents", "I12: no", ""),
            ("console-suppress", "I12: email", ""),
            ("console-unsuppress", "I12: sms", ""),
        ],
        Mutant::ForgetsNotes => &[
            ("console-publish", "I12: version", ""),
            ("console-token", "I12: tk_", ""),
            ("console-token-new", "I12: tk_", ""),
        ],
        Mutant::PublishesBlindly => &[("console-publish", "I14: two publications", "meanwhile@2")],
        Mutant::ForgetsReceivers => &[("webhook-enable", "I11: a receiver", "")],
        Mutant::FavoursOne => &[("route-turns", "I5", "")],
        Mutant::UnwatchesTeams => &[("route-capped-given", "I6", "meanwhile@5")],
        Mutant::KeepsWhatItErases => &[("erase-work", "I8", "")],
        Mutant::OverlooksMessages => &[("refuse-erased", "I8", ""), ("erase-message", "I8", "")],
        Mutant::LeavesGatesOpen => &[("erase-ask", "I8", "")],
        Mutant::MovesLeadsBlindly => &[("clock-answered", "I15", "duplicate@1")],
        Mutant::CountsBlindly => &[
            ("engage-open-refused", "I12", "duplicate@1"),
            ("console-settle", "I13: ms_", "duplicate@2-late"),
        ],
        Mutant::OverwritesGates => &[("refuse-one-click", "I4", "meanwhile@4")],
        Mutant::AcceptsTwice => &[("capture-form-key", "I9", "")],
        Mutant::ClaimsOver => &[("route-repeat", "I1", "crash-before@1+duplicate@2-late")],
        Mutant::CommitsBlindly => &[("route-new", "I3", "duplicate@1-late")],
        Mutant::GrantsBlindly => &[("route-new", "I6", "duplicate@8-late")],
        Mutant::LosesMessages => &[
            ("capture-form", "I1", ""),
            ("console-qualify", "I11: what is settled", ""),
            ("console-message", "I11: ms_", ""),
            ("console-test-send", "I11: of", ""),
            ("console-settle-alone", "I12: ms_", ""),
            ("console-publish", "I11: cu_", ""),
            ("webhook-redeliver", "I3: journey/care", "duplicate@0-late"),
        ],
        Mutant::DeletesBeforeSending => &[("fire-timers", "I3", "outage@17")],
        Mutant::SendsUnclaimed => &[("send-email", "I14", "")],
        Mutant::RepeatsMail => &[("send-email", "I3", "lost-reply@3")],
        Mutant::ChecksThenWrites => &[("send-email", "I3", "duplicate@2")],
        Mutant::LosesOwners => &[("route-new", "I2", "")],
        Mutant::FailsTogether => &[("route-batch", "I10", "")],
        Mutant::KeepsDueEntries => &[("clock-reminder", "I11", "")],
        Mutant::MiscountsContacts => &[("clock-contact", "I12", "")],
        Mutant::LeavesAddresses => &[("import-revert", "I1", "")],
        Mutant::PassesGates => &[("message-email", "I4", "")],
        Mutant::UnwatchesGates => &[("message-capped-overall", "I4", "meanwhile@5")],
        Mutant::KeepsDeadLetters => &[("erase-dead-letters", "I8", "")],
        Mutant::ForgetsTrails => &[("feedback-bounce", "I13: ms_", "")],
        Mutant::TakesBlindly => &[("advance-move", "I7", "duplicate@1")],
        Mutant::ForgetsEntries => &[("advance-enter", "I7", "")],
        Mutant::ForgetsTokens => &[("advance-timeout", "I11", "")],
        Mutant::ForgetsTimes => &[("advance-facts", "I13: cu_", "crash-before@1")],
        Mutant::ClaimsWhatIsPaused => &[("campaign-paused", "I4", "meanwhile@4")],
        Mutant::MiscountsMessages => &[("campaign-paged", "I12", "")],
        Mutant::MiscountsResults => &[("advance-enter", "I12", "")],
        Mutant::MovesCursorsFirst => &[("campaign-paged", "I11", "panic@5")],
        Mutant::ChoosesBlindly => &[("campaign-winner", "I14: the winner", "duplicate@1")],
    }
}

#[test]
fn handlers_known_to_be_bad_are_caught() {
    let only = variable("SLUICE_ONLY");
    let is_asked_for = |mutant: &Mutant| only.as_ref().is_none_or(|only| *only == format!("{mutant:?}"));
    for mutant in Mutant::ALL.into_iter().filter(is_asked_for) {
        for (name, invariant, plan) in caught_by(mutant) {
            let asked_for = variable("SLUICE_PLAN").filter(|_| only.is_some());
            is_caught(mutant, name, invariant, &Plan::parse(asked_for.as_deref().unwrap_or(plan)).unwrap());
        }
    }
}

fn is_caught(mutant: Mutant, name: &str, invariant: &str, known: &Plan) {
    let began = clock();
    let prepared = prepared(name);
    let of_duplicates = |most: usize| {
        let mut plans = sample(singles(&prepared, Some(mutant), most), CAUGHT_WITHIN, 2);
        // What is written in the wrong order shows in a crash.
        plans.sort_by_key(|plan| !plan.to_string().starts_with("crash"));
        plans
    };
    let first = || vec![known.clone()];
    let quick = || [vec![Plan::default()], duplicates(&prepared, Some(mutant))].concat();
    let alone = || [of_duplicates(0), races(&prepared, Some(mutant))].concat();
    // A few duplicates are enough for most. What lists all of them costs more than to play those that catch.
    let stages: [&dyn Fn() -> Vec<Plan>; 5] =
        [&first, &quick, &alone, &|| of_duplicates(DUPLICATES), &|| of_duplicates(usize::MAX)];
    let mut swept = Swept::default();
    for plans in stages {
        let more = catch(&prepared, &plans(), mutant, invariant);
        swept = Swept { run: swept.run + more.run, ..more };
        if !swept.failures.is_empty() {
            break;
        }
    }
    assert!(
        !swept.failures.is_empty(),
        "{mutant:?} breaks nothing of {invariant} in {} plans of {name}",
        swept.run
    );
    say(&format!(
        "{mutant:?} is caught by plan {}: {}, of {invariant}, in {:.1} s",
        swept.run,
        swept.failures[0].plan,
        began.elapsed().as_secs_f64()
    ));
}

#[test]
fn every_invariant_that_is_checked_is_broken_by_somebody() {
    let sources = [
        include_str!("../src/acts.rs"),
        include_str!("../src/audited.rs"),
        include_str!("../src/broadcasts.rs"),
        include_str!("../src/canaries.rs"),
        include_str!("../src/checks.rs"),
        include_str!("../src/decided.rs"),
        include_str!("../src/erased.rs"),
        include_str!("../src/heard.rs"),
        include_str!("../src/invariants.rs"),
        include_str!("../src/invariants/clocks.rs"),
        include_str!("../src/invariants/counters.rs"),
        include_str!("../src/invariants/told.rs"),
        include_str!("../src/links.rs"),
        include_str!("../src/observe.rs"),
        include_str!("../src/play.rs"),
        include_str!("../src/poison.rs"),
        include_str!("../src/runs.rs"),
        include_str!("../src/sends.rs"),
        include_str!("../src/settle.rs"),
    ];
    let said = sources.iter().flat_map(|source| source.split('"')).filter_map(|text| text.split_once(": "));
    let checked = said.map(|(name, _)| name).filter(|name| is_invariant(name));
    let checked: BTreeSet<&str> = checked.collect();
    let broken = Mutant::ALL.into_iter().flat_map(caught_by);
    let broken = BTreeSet::from_iter(broken.map(|(_, invariant, _)| invariant.split(':').next().unwrap()));
    assert_eq!(checked, broken);
    assert!(checked.len() >= 13, "{checked:?}");
}

fn is_invariant(name: &str) -> bool {
    name.strip_prefix('I')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[test]
fn a_record_that_panics_fails_alone_and_is_done_once_it_is_mended() {
    let mut records = 0;
    for name in scenarios() {
        let prepared = prepared(name);
        for id in subjects(&prepared) {
            let broken = poisoned(&prepared, &id);
            assert!(broken.is_empty(), "{name} with {id}:\n{}", broken.join("\n"));
            records += 1;
        }
    }
    say(&format!("{records} records that panic"));
}

/// Code of today among functions that are newer.
#[test]
fn records_with_more_in_them_than_is_known_are_read() {
    for name in scenarios() {
        let mut prepared = prepared(name);
        prepared.snapshot = prepared.snapshot.by_newer();
        crashes_break_nothing(&prepared);
    }
}

/// Each call is the last one of its process: what it has stored is read again.
fn crashes_break_nothing(prepared: &Prepared) {
    let quiet = one(prepared, &Plan::default(), None);
    let calls = quiet.struck.own.len() as u32;
    let mut plans = vec![Plan::default()];
    let crashes = (1..=calls).map(|at| Plan::with(Shot { kind: Kind::CrashAfter, at }));
    let most = if all_are_asked_for() { usize::MAX } else { 2 };
    plans.extend(sample(crashes.collect(), most, seed()));
    let swept = sweep(&Ways::of(prepared), prepared, &plans);
    assert!(swept.failures.is_empty(), "{}", listed(&swept.failures));
}

#[test]
fn one_plan_by_its_name() {
    let Some(text) = variable("SLUICE_PLAN") else { return };
    let (name, plan) = text.split_once('/').unwrap();
    let (prepared, plan) = (prepared(name), Plan::parse(plan).unwrap());
    // As the sweep plays it.
    let broken = match plan.is_alone() && plan.second.is_none() {
        true => one(&prepared, &plan, None).broken,
        false => play(&Ways::of(&prepared), &prepared, &plan).broken,
    };
    println!("{broken:#?}");
    assert!(broken.is_empty());
}

/// Two records of one batch that the SDK asks for at once, and again after a pause that it draws.
#[test]
fn what_there_is_to_try_is_the_same_each_time() {
    let prepared = prepared("feedback-delivery-unknown");
    let tried = || {
        let jobs = pairs(&Ways::of(&prepared), &prepared, 12).jobs;
        jobs.iter().map(|job| job.plan.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(tried(), tried());
}

#[test]
fn a_plan_is_found_again_by_its_name() {
    let prepared = prepared("route-new");
    for plan in singles(&prepared, None, 3) {
        assert_eq!(Plan::parse(&plan.to_string()), Some(plan.clone()), "{plan}");
    }
    let late = Plan { duplicate: Some(Duplicate { after: 3, late: true }), ..Plan::default() };
    assert_eq!(late.to_string(), "duplicate@3-late");
    let meanwhile = Plan { meanwhile: Some(Meanwhile { after: 0, late: false }), ..Plan::default() };
    assert_eq!(Plan::parse(&meanwhile.to_string()), Some(meanwhile));
}
