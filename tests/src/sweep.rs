//! Sweeps: which plans are played, on two threads, and what is said about them.

use crate::faults::{Kind, Shot, shots};
use crate::mutants::Mutant;
use crate::outside::SeededRandom;
use crate::pairs::{Chosen, Ended, Pairs};
use crate::plans::{Duplicate, Plan};
use crate::play::{Report, run};
use crate::poison::panics_at;
use crate::scenarios::{ALL, Prepared};
use crate::table::Table;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Threads that play plans.
const THREADS: usize = 1;

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
    /// Plans played.
    pub run: usize,
    /// Of these, those that met a way that was known.
    pub known: usize,
    /// Those that broke something.
    pub failures: Vec<Failure>,
}

/// A thread that plays plans of one scenario.
struct Player {
    runtime: tokio::runtime::Runtime,
    table: Arc<Table>,
}

impl Player {
    fn new(prepared: &Prepared) -> Self {
        Self { runtime: runtime(), table: Arc::new(Table::of(&prepared.snapshot.items)) }
    }

    fn run(&self, prepared: &Prepared, plan: &Plan, mutant: Option<Mutant>) -> Report {
        self.runtime.block_on(run(prepared, plan, &self.table, mutant))
    }
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

/// Plays one plan by itself.
pub fn one(prepared: &Prepared, plan: &Plan, mutant: Option<Mutant>) -> Report {
    Player::new(prepared).run(prepared, plan, mutant)
}

/// Plays one pair by itself.
pub fn play_pair(pairs: &Pairs<'_>, prepared: &Prepared, plan: &Plan) -> Ended {
    let player = Player::new(prepared);
    player.runtime.block_on(pairs.run(plan, &player.table))
}

/// What is broken if the code panics at a lead until it is mended.
pub fn poisoned(prepared: &Prepared, lead: &str) -> Vec<String> {
    let player = Player::new(prepared);
    player.runtime.block_on(panics_at(prepared, lead, &player.table))
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
    let plans = Mutex::new(vec![Plan::with(Shot { kind: Kind::Late, at: 0 })]);
    each(prepared, &quiet, |player, quiet| {
        let report = player.run(prepared, quiet, mutant);
        // Who stands three days is dead.
        let can_be = |shot: &Shot| shot.kind != Kind::Outage || quiet.duplicate.is_none();
        let shots = shots(&report.struck.own, 1).filter(can_be);
        let with_fault = shots.map(|first| Plan { first: Some(first), ..quiet.clone() });
        plans.lock().unwrap().extend(std::iter::once(quiet.clone()).chain(with_fault));
    });
    let mut plans = plans.into_inner().unwrap();
    plans.sort();
    plans
}

/// Plans that stand for every pair of faults: the first at the handler's own calls, the second at each call of whatever
/// follows. Of more than `most` first faults only a sample is followed.
pub fn pairs(pairs: &Pairs<'_>, prepared: &Prepared, most: usize) -> Chosen {
    let firsts = singles(prepared, None, 0).into_iter().filter(|plan| plan.first.is_some()).collect();
    let mut firsts = sample(firsts, most, 3);
    firsts.sort();
    let player = Player::new(prepared);
    player.runtime.block_on(pairs.choose(&firsts, &player.table))
}

/// At most `most` of the plans in an order drawn from the seed.
pub fn sample(plans: Vec<Plan>, most: usize, seed: u64) -> Vec<Plan> {
    let random = SeededRandom::new(seed);
    let mut ranked: Vec<(u64, Plan)> = plans.into_iter().map(|plan| (random.next(), plan)).collect();
    ranked.sort();
    ranked.truncate(most);
    ranked.into_iter().map(|(_, plan)| plan).collect()
}

/// Plays plans to their ends, on all threads.
pub fn sweep(prepared: &Prepared, plans: &[Plan]) -> Swept {
    until(prepared, plans, None, |_| false)
}

/// Plays plans with two faults until each meets a way that is known, on all threads.
pub fn sweep_pairs(pairs: &Pairs<'_>, prepared: &Prepared, plans: &[Plan]) -> Swept {
    let swept = Mutex::new(Swept::default());
    each(prepared, plans, |player, plan| {
        let Ended { broken, is_known } = player.runtime.block_on(pairs.run(plan, &player.table));
        let mut swept = swept.lock().unwrap();
        swept.run += 1;
        swept.known += usize::from(is_known);
        if !broken.is_empty() {
            swept.failures.push(Failure { plan: format!("{}/{plan}", prepared.name), broken });
        }
    });
    sorted(swept.into_inner().unwrap())
}

/// Plays plans with a handler known to be bad until one breaks an invariant whose name begins so.
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
    each(prepared, plans, |player, plan| {
        if swept.lock().unwrap().1 {
            return;
        }
        let report = player.run(prepared, plan, mutant);
        let (swept, enough) = &mut *swept.lock().unwrap();
        swept.run += 1;
        if !report.broken.is_empty() {
            let failure = Failure { plan: format!("{}/{plan}", prepared.name), broken: report.broken };
            *enough |= is_enough(&failure);
            swept.failures.push(failure);
        }
    });
    sorted(swept.into_inner().unwrap().0)
}

fn sorted(mut swept: Swept) -> Swept {
    swept.failures.sort_by(|a, b| (a.plan.len(), &a.plan).cmp(&(b.plan.len(), &b.plan)));
    swept
}

fn each<T: Sync>(prepared: &Prepared, all: &[T], work: impl Fn(&Player, &T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(all.len()) {
            scope.spawn(|| {
                let player = Player::new(prepared);
                while let Some(one) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    work(&player, one);
                }
            });
        }
    });
}
