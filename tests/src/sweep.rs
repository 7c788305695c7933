//! Sweeps: which plans are played, on two threads, and what is said about them.

use crate::canaries::listen;
use crate::faults::{self, Kind, Made, Shot, distinct};
use crate::ground::{Print, print};
use crate::mutants::Mutant;
use crate::outside::SeededRandom;
use crate::plans::{Duplicate, Meanwhile, Plan};
use crate::play::{Report, Standing, is_raced, look_at, run};
use crate::poison::panics_at;
use crate::scenarios::{ALL, Prepared};
use crate::ways::{Ended, Followed, Job, Ways, stops_alike};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that play plans.
const THREADS: usize = 2;
/// The stack of such a thread, in bytes: a debug build's functions within functions need more than is usual.
const STACK: usize = 8 << 20;

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
    /// Plans that others stood for: see [`stops_alike`].
    pub stood_for: usize,
    /// Those that broke something.
    pub failures: Vec<Failure>,
}

/// A thread that plays plans of one scenario, always in the same world.
struct Player {
    runtime: tokio::runtime::Runtime,
    world: World,
    begin: Standing,
}

impl Player {
    fn new(prepared: &Prepared, mutant: Option<Mutant>) -> Self {
        listen();
        let world = World::restore(&prepared.snapshot, mutant);
        let begin = Standing::of(&world);
        Self { runtime: runtime(), world, begin }
    }

    fn run(&mut self, prepared: &Prepared, plan: &Plan) -> Report {
        let Self { runtime, world, begin } = self;
        runtime.block_on(run(prepared, plan, world, begin))
    }

    fn look_at(&mut self, prepared: &Prepared, plan: &Plan) -> Report {
        let Self { runtime, world, begin } = self;
        runtime.block_on(look_at(prepared, plan, world, begin))
    }
}

/// A runtime whose sleeps take no time.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A scenario by its name, prepared once for all.
pub fn prepared(name: &str) -> Prepared {
    static ALREADY: Mutex<BTreeMap<&str, Prepared>> = Mutex::new(BTreeMap::new());
    if let Some(prepared) = ALREADY.lock().unwrap().get(name) {
        return prepared.clone();
    }
    let scenario = ALL.iter().find(|scenario| scenario.name == name).unwrap();
    let prepared = with_room(|| runtime().block_on(scenario.prepared()));
    ALREADY.lock().unwrap().insert(scenario.name, prepared.clone());
    prepared
}

/// Does something on a thread that has room for it.
fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Plays one plan by itself.
pub fn one(prepared: &Prepared, plan: &Plan, mutant: Option<Mutant>) -> Report {
    with_room(|| Player::new(prepared, mutant).run(prepared, plan))
}

/// What is broken at the end of one plan, and how everything stands there.
pub fn left(prepared: &Prepared, plan: &Plan) -> (Vec<String>, Print) {
    with_room(|| {
        let mut player = Player::new(prepared, None);
        let broken = player.run(prepared, plan).broken;
        (broken, print(|state| player.world.print_into(state)))
    })
}

/// Faults at the calls of the event by itself, each with the one that stands for it, of those that another one stands for.
pub fn stood_for(prepared: &Prepared) -> Vec<(Shot, Shot)> {
    faults::stood_for(&quiet(prepared), 1).into_iter().filter(|(shot, by)| shot != by).collect()
}

/// Plays one plan from the beginning until it meets a way that is known.
pub fn play(ways: &Ways<'_>, prepared: &Prepared, plan: &Plan) -> Ended {
    with_room(|| {
        let Player { runtime, mut world, begin } = Player::new(prepared, None);
        runtime.block_on(ways.run(plan, &mut world, &begin))
    })
}

/// What is broken if the code panics at a record's subject until it is mended.
pub fn poisoned(prepared: &Prepared, id: &str) -> Vec<String> {
    with_room(|| {
        let Player { runtime, mut world, begin } = Player::new(prepared, None);
        runtime.block_on(panics_at(prepared, id, &mut world, &begin))
    })
}

/// Every single fault at every call: alone, with a duplicate stopped at every call, that goes on at once or late, and with
/// what people ask for meanwhile done at every call; of those that lead to the same one ([`faults::stood_for`]). What there
/// is to strike beside each of these is seen by letting it run without a fault. Of more than `most` of them only a sample is
/// looked at.
pub fn singles(prepared: &Prepared, mutant: Option<Mutant>, most: usize) -> Vec<Plan> {
    let stops = u32::try_from(one(prepared, &Plan::default(), mutant).struck.own.len()).unwrap();
    let mut quiet = sample(beside(stops).chain(meanwhiles(prepared, stops)).collect(), most, 5);
    quiet.push(Plan::default());
    let plans = Mutex::new(vec![Plan::with(Shot { kind: Kind::Late, at: 0 })]);
    each(prepared, mutant, &quiet, |player, quiet| {
        let report = player.look_at(prepared, quiet);
        // Who stands so long is dead.
        let can_be = |shot: &Shot| shot.kind != Kind::Outage || quiet.duplicate.is_none();
        let shots = distinct(&report.struck.own, 1).into_iter().filter(can_be);
        let with_fault = shots.map(|first| Plan { first: Some(first), ..quiet.clone() });
        plans.lock().unwrap().extend(std::iter::once(quiet.clone()).chain(with_fault));
    });
    let mut plans = plans.into_inner().unwrap();
    plans.sort();
    plans
}

/// Plans without a fault in which a duplicate is stopped at every call of the event.
pub fn duplicates(prepared: &Prepared, mutant: Option<Mutant>) -> Vec<Plan> {
    let calls = one(prepared, &Plan::default(), mutant).struck.own.len();
    beside(u32::try_from(calls).unwrap()).collect()
}

/// A duplicate stopped after each of so many calls, that goes on at once or late.
fn beside(calls: u32) -> impl Iterator<Item = Plan> {
    let all = (0..calls).flat_map(|after| [false, true].map(|late| Duplicate { after, late }));
    all.map(|duplicate| Plan { duplicate: Some(duplicate), ..Plan::default() })
}

/// What people ask for meanwhile, done whole at each of so many calls of the event.
fn meanwhiles(prepared: &Prepared, calls: u32) -> impl Iterator<Item = Plan> {
    let all = (0..calls).flat_map(|after| [false, true].map(|late| Meanwhile { after, late }));
    let all = all.map(|meanwhile| Plan { meanwhile: Some(meanwhile), ..Plan::default() });
    all.filter(|_| is_raced(prepared))
}

/// Plans without a fault in which what people ask for meanwhile is done at every call of the event.
pub fn races(prepared: &Prepared, mutant: Option<Mutant>) -> Vec<Plan> {
    let calls = one(prepared, &Plan::default(), mutant).struck.own.len();
    meanwhiles(prepared, u32::try_from(calls).unwrap()).collect()
}

/// What stands for every pair of faults: the first at the handler's own calls, the second at each call of whatever
/// follows. Of more than `most` first faults only a sample is followed.
pub fn pairs(ways: &Ways<'_>, prepared: &Prepared, most: usize) -> Followed {
    let firsts = singles(prepared, None, 0).into_iter().filter(|plan| plan.first.is_some()).collect();
    let mut firsts = sample(firsts, most, 3);
    firsts.sort();
    with_room(|| {
        let Player { runtime, mut world, begin } = Player::new(prepared, None);
        runtime.block_on(ways.follow(&firsts, &mut world, &begin))
    })
}

/// At most `most` of them in an order drawn from the seed.
pub fn sample<T>(all: Vec<T>, most: usize, seed: u64) -> Vec<T> {
    let random = SeededRandom::new(seed);
    let mut ranked: Vec<(u64, T)> = all.into_iter().map(|one| (random.next(), one)).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.truncate(most);
    ranked.into_iter().map(|(_, one)| one).collect()
}

/// Plays plans with at most one fault, on all threads: to their ends, or where something gets in between until they meet
/// a way that is known. Of duplicates that stop so that it is all the same the first is played.
pub fn sweep(ways: &Ways<'_>, prepared: &Prepared, plans: &[Plan]) -> Swept {
    let rows = rows(plans);
    let quiet = if rows.iter().any(|row| row.len() > 1) { quiet(prepared) } else { Vec::new() };
    tried(prepared, &rows, |player, plan| {
        if plan.is_alone() {
            let broken = player.run(prepared, plan).broken;
            return (Ended { broken, is_known: false, resumed: Vec::new() }, 0);
        }
        let Player { runtime, world, begin } = player;
        let ended = runtime.block_on(ways.run(plan, world, begin));
        let alike =
            plan.duplicate.map_or(0, |duplicate| stops_alike(&quiet, duplicate.after, &ended.resumed));
        (ended, alike)
    })
}

/// The calls of the event by itself, looked around at.
fn quiet(prepared: &Prepared) -> Vec<Made> {
    with_room(|| Player::new(prepared, None).look_at(prepared, &Plan::default()).struck.own)
}

/// These plans, those that differ only in where the duplicate stops one after the other.
fn rows(plans: &[Plan]) -> Vec<Vec<&Plan>> {
    let mut rows: BTreeMap<Plan, Vec<&Plan>> = BTreeMap::new();
    for plan in plans {
        let anywhere = plan.duplicate.map(|duplicate| Duplicate { after: 0, ..duplicate });
        rows.entry(Plan { duplicate: anywhere, ..plan.clone() }).or_default().push(plan);
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.iter_mut().for_each(|row| row.sort());
    rows
}

/// Tries second faults until each meets a way that is known, on all threads.
pub fn sweep_pairs(ways: &Ways<'_>, prepared: &Prepared, jobs: &[Job]) -> Swept {
    let jobs: Vec<_> = jobs.iter().map(|job| vec![job]).collect();
    tried(prepared, &jobs, |player, job| {
        let Player { runtime, world, begin } = player;
        (runtime.block_on(ways.strike(job, world, begin)), 0)
    })
}

/// Plays each plan of each row that no earlier one of its row stands for; of how many stops after its own a plan does is said.
fn tried<T: Sync + AsRef<Plan>>(
    prepared: &Prepared,
    rows: &[Vec<&T>],
    play: impl Fn(&mut Player, &T) -> (Ended, u32) + Sync,
) -> Swept {
    let swept = Mutex::new(Swept::default());
    each(prepared, None, rows, |player, row| {
        let mut upto = None;
        for one in row {
            let after = one.as_ref().duplicate.map(|duplicate| duplicate.after);
            if after.is_some() && after <= upto {
                swept.lock().unwrap().stood_for += 1;
                continue;
            }
            let (Ended { broken, is_known, .. }, alike) = play(player, one);
            upto = after.map(|after| after + alike);
            let mut swept = swept.lock().unwrap();
            swept.run += 1;
            swept.known += usize::from(is_known);
            if !broken.is_empty() {
                swept.failures.push(Failure { plan: format!("{}/{}", prepared.name, one.as_ref()), broken });
            }
        }
    });
    sorted(swept.into_inner().unwrap())
}

/// Duplicates beside the event, each with the last of those that it stands for, if there is one.
pub fn stops_stood_for(prepared: &Prepared, plans: &[Plan]) -> Vec<(Plan, Plan)> {
    let quiet = quiet(prepared);
    let ways = Ways::of(prepared);
    let mut all = Vec::new();
    for plan in plans {
        let Some(duplicate) = plan.duplicate else { continue };
        let alike = stops_alike(&quiet, duplicate.after, &play(&ways, prepared, plan).resumed);
        if alike > 0 {
            let last = Duplicate { after: duplicate.after + alike, ..duplicate };
            all.push((plan.clone(), Plan { duplicate: Some(last), ..plan.clone() }));
        }
    }
    all
}

/// Plays plans with a handler known to be bad until one breaks an invariant whose name begins so.
pub fn catch(prepared: &Prepared, plans: &[Plan], mutant: Mutant, invariant: &str) -> Swept {
    let is_about = |failure: &Failure| failure.broken.iter().any(|why| why.starts_with(invariant));
    let swept = Mutex::new((Swept::default(), false));
    each(prepared, Some(mutant), plans, |player, plan| {
        if swept.lock().unwrap().1 {
            return;
        }
        let broken = player.run(prepared, plan).broken;
        let (swept, enough) = &mut *swept.lock().unwrap();
        swept.run += 1;
        let failure = Failure { plan: format!("{}/{plan}", prepared.name), broken };
        if is_about(&failure) {
            *enough = true;
            swept.failures.push(failure);
        }
    });
    sorted(swept.into_inner().unwrap().0)
}

fn sorted(mut swept: Swept) -> Swept {
    swept.failures.sort_by(|a, b| (a.plan.len(), &a.plan).cmp(&(b.plan.len(), &b.plan)));
    swept
}

fn each<T: Sync>(
    prepared: &Prepared,
    mutant: Option<Mutant>,
    all: &[T],
    work: impl Fn(&mut Player, &T) + Sync,
) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(all.len()) {
            let play = || {
                let mut player = Player::new(prepared, mutant);
                while let Some(one) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    work(&mut player, one);
                }
            };
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, play).unwrap();
        }
    });
}
