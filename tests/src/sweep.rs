//! Sweeps: which plans are run, on two threads, and what is said about them.

use crate::faults::Shot;
use crate::mutants::Mutant;
use crate::outside::SeededRandom;
use crate::plans::{Duplicate, Plan, Report, run};
use crate::scenarios::{ALL, Prepared};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that run plans.
const THREADS: usize = 2;

/// A plan that broke something.
#[derive(Clone, Debug)]
pub struct Failure {
    /// `scenario/plan`, as `SLUICE_PLAN` takes it.
    pub plan: String,
    /// What was broken.
    pub broken: Vec<String>,
}

/// What a sweep of one scenario came to.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// Plans run.
    pub run: usize,
    /// Those that broke something.
    pub failures: Vec<Failure>,
}

/// A runtime whose sleeps take no time.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A scenario by its name, prepared.
pub fn prepared(name: &str) -> Prepared {
    let scenario = ALL.iter().find(|scenario| scenario.name == name).unwrap();
    runtime().block_on(scenario.prepared())
}

/// Runs one plan by itself.
pub fn one(prepared: &Prepared, plan: &Plan, mutant: Option<Mutant>) -> Report {
    runtime().block_on(run(prepared, plan, mutant))
}

/// Every single fault at every call: alone, and with a duplicate stopped at every call, that goes on at once or late.
/// What there is to strike beside each duplicate is seen by letting it run without a fault. Of more than `most`
/// duplicates only a sample is looked at.
pub fn singles(prepared: &Prepared, mutant: Option<Mutant>, most: usize) -> Vec<Plan> {
    let stops = u32::try_from(one(prepared, &Plan::default(), mutant).struck.own.len()).unwrap();
    let beside = (0..stops).flat_map(|after| [false, true].map(|late| Duplicate { after, late }));
    let beside = beside.map(|duplicate| Plan { duplicate: Some(duplicate), ..Plan::default() });
    let mut quiet = sample(beside.collect(), most, 5);
    quiet.push(Plan::default());
    let plans = Mutex::new(Vec::new());
    each(&quiet, |runtime, quiet| {
        let report = runtime.block_on(run(prepared, quiet, mutant));
        let shots = report
            .struck
            .own
            .iter()
            .zip(1..)
            .flat_map(|(call, at)| call.kinds().map(move |kind| Shot { kind, at }));
        let with_fault = shots.map(|first| Plan { first: Some(first), ..quiet.clone() });
        plans.lock().unwrap().extend(std::iter::once(quiet.clone()).chain(with_fault));
    });
    let mut plans = plans.into_inner().unwrap();
    plans.sort();
    plans
}

/// Every pair of single faults: the first at the handler's own calls, the second at each call of whatever follows. Of
/// more than `most` first faults only a sample is followed.
pub fn pairs(prepared: &Prepared, most: usize) -> Vec<Plan> {
    let firsts = singles(prepared, None, 0).into_iter().filter(|plan| plan.first.is_some()).collect();
    let firsts = sample(firsts, most, 3);
    let plans = Mutex::new(Vec::new());
    each(&firsts, |runtime, alone| {
        let report = runtime.block_on(run(prepared, alone, None));
        let seconds = report
            .struck
            .made
            .iter()
            .zip(1..)
            .flat_map(|(call, at)| call.kinds().map(move |kind| Shot { kind, at }));
        plans.lock().unwrap().extend(seconds.map(|second| Plan { second: Some(second), ..alone.clone() }));
    });
    let mut plans = plans.into_inner().unwrap();
    plans.sort();
    plans
}

/// At most `most` of the plans in an order drawn from the seed.
pub fn sample(plans: Vec<Plan>, most: usize, seed: u64) -> Vec<Plan> {
    let random = SeededRandom::new(seed);
    let mut ranked: Vec<(u64, Plan)> = plans.into_iter().map(|plan| (random.next(), plan)).collect();
    ranked.sort();
    ranked.truncate(most);
    ranked.into_iter().map(|(_, plan)| plan).collect()
}

/// Runs plans on all threads.
pub fn sweep(prepared: &Prepared, plans: &[Plan]) -> Swept {
    until(prepared, plans, None, |_| false)
}

/// Runs plans with a handler known to be bad until one breaks an invariant whose name begins so.
pub fn catch(prepared: &Prepared, plans: &[Plan], mutant: Mutant, invariant: &str) -> Swept {
    let mut swept = until(prepared, plans, Some(mutant), |failure| is_about(failure, invariant));
    swept.failures.retain(|failure| is_about(failure, invariant));
    swept
}

fn is_about(failure: &Failure, invariant: &str) -> bool {
    failure.broken.iter().any(|why| why.starts_with(invariant))
}

fn until(
    prepared: &Prepared,
    plans: &[Plan],
    mutant: Option<Mutant>,
    is_enough: impl Fn(&Failure) -> bool + Sync,
) -> Swept {
    let swept = Mutex::new((Swept::default(), false));
    each(plans, |runtime, plan| {
        if swept.lock().unwrap().1 {
            return;
        }
        let report = runtime.block_on(run(prepared, plan, mutant));
        let (swept, enough) = &mut *swept.lock().unwrap();
        swept.run += 1;
        if !report.broken.is_empty() {
            let failure = Failure { plan: format!("{}/{plan}", prepared.name), broken: report.broken };
            *enough |= is_enough(&failure);
            swept.failures.push(failure);
        }
    });
    let (mut swept, _) = swept.into_inner().unwrap();
    swept.failures.sort_by(|a, b| (a.plan.len(), &a.plan).cmp(&(b.plan.len(), &b.plan)));
    swept
}

fn each<T: Sync>(all: &[T], work: impl Fn(&tokio::runtime::Runtime, &T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let runtime = runtime();
                while let Some(one) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    work(&runtime, one);
                }
            });
        }
    });
}
