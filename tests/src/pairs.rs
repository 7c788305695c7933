//! Every pair of faults, each way the world can go once.
//!
//! A plan with two faults is a way through states. Between two invocations nothing runs, and what happens from there on
//! is a function of how everything stands ([`Play::print`]): table, queues, clock, randomness, what was seen and
//! delivered, how far the sender and the timers are, and what came into each living process since it began. Processes
//! know nothing else: they are given their clock, their randomness and every answer, and what a service draws at random
//! is taken out of its answers ([`Call::without_chance`](crate::wire::Call::without_chance)). So:
//!
//! - where two ways meet in one state after both faults, the end of one is the end of the other
//!   ([`Pairs::endings`]);
//! - where two ways meet in one state between the faults, every second fault that can strike from there on need be
//!   tried after one of them only ([`Pairs::states`]);
//! - within the invocation under test, two first faults after which it makes its next request in one state go on alike,
//!   so their second faults within it need be tried once ([`Struck::going_on`](crate::connector::Struck)).
//!
//! Two ways differ in nothing that is looked at later, deliveries apart: these are counted, and the bound on them is
//! checked against the sum. For the ways to meet at all, instances live only as long as time stands still
//! ([`Lives::Briefly`](crate::world::Lives)); plans with one fault have instances that live on.
//!
//! What the argument rests on is tested: plans are played once more to their ends and must come out the same
//! (`tests/fault_sweep.rs`).

use crate::faults::shots;
use crate::ground::Print;
use crate::plans::Plan;
use crate::play::{Play, Report};
use crate::scenarios::Prepared;
use crate::table::Table;
use crate::world::{Lives, MAX_DELIVERIES, no_rest};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The pairs of one scenario.
pub struct Pairs<'a> {
    prepared: &'a Prepared,
    endings: Mutex<HashMap<Print, Ending>>,
}

/// How it ends from a state in which no fault is to come.
#[derive(Clone)]
struct Ending {
    /// Deliveries until it has come to rest.
    deliveries: u32,
    broken: Arc<[String]>,
}

/// What is ahead of a state between the two faults.
struct Ahead {
    /// Second faults that may strike until the next state.
    seconds: u64,
    /// The next state if none does; none at rest.
    next: Option<Print>,
}

/// Plans that stand for all pairs of a scenario.
#[derive(Debug, Default)]
pub struct Chosen {
    /// One plan for each second fault from each state.
    pub plans: Vec<Plan>,
    /// Pairs that they stand for.
    pub pairs: u64,
    /// States between the faults.
    pub states: usize,
}

/// What came of one pair.
#[derive(Debug)]
pub struct Ended {
    /// Broken invariants.
    pub broken: Vec<String>,
    /// Whether it met a way that was known.
    pub is_known: bool,
}

impl<'a> Pairs<'a> {
    /// Nothing is known yet.
    pub fn of(prepared: &'a Prepared) -> Self {
        Self { prepared, endings: Mutex::default() }
    }

    /// Follows first faults, each without a second, and chooses plans that stand for all pairs that begin with them.
    pub async fn choose(&self, firsts: &[Plan], table: &Arc<Table>) -> Chosen {
        let mut chosen = Chosen::default();
        let mut states: HashMap<Print, Ahead> = HashMap::new();
        let mut gone_on: HashSet<Print> = HashSet::new();
        for first in firsts {
            let mut play = Play::new(self.prepared, first, table, None);
            play.world.lives = Lives::Briefly;
            if play.event().await.is_err() {
                continue;
            }
            let mut made = play.world.wire.made_since(0);
            chosen.pairs += shots(&made, 1).count() as u64;
            if let Some((print, from)) = play.world.wire.going_on()
                && !gone_on.insert(print)
            {
                made.truncate(from);
            }
            chosen.plans.extend(shots(&made, 1).map(|second| first.and(second)));

            let (mut way, mut from) = (Vec::new(), play.world.wire.so_far().0);
            let begin = play.print();
            let mut at = Some(begin);
            while let Some(print) = at.filter(|print| !states.contains_key(print)) {
                way.push((print, play.world.deliveries));
                let Ok(more) = play.step().await else { break };
                let made = play.world.wire.made_since(from);
                let seconds = Vec::from_iter(shots(&made, from as u32 + 1));
                from += made.len();
                at = more.then(|| play.print());
                states.insert(print, Ahead { seconds: seconds.len() as u64, next: at });
                chosen.plans.extend(seconds.into_iter().map(|second| first.and(second)));
            }
            let mut at = Some(begin);
            while let Some(ahead) = at.and_then(|print| states.get(&print)) {
                chosen.pairs += ahead.seconds;
                at = ahead.next;
            }
            self.end(play, way, at).await;
        }
        chosen.states = states.len();
        chosen
    }

    /// Plays a plan with two faults until it has come to rest, or meets a way that is known.
    pub async fn run(&self, plan: &Plan, table: &Arc<Table>) -> Ended {
        let c = || crate::connector::CARRIED.load(std::sync::atomic::Ordering::SeqCst);
        let c0 = c();
        let mut c1 = 0;
        let mut play = Play::new(self.prepared, plan, table, None);
        let mut way = Vec::new();
        let mut more = play.event().await.map(|()| true);
        while let Ok(true) = more {
            if play.world.wire.so_far().1 == 2 {
                if c1 == 0 { c1 = c(); }
                let print = play.print();
                if self.endings().contains_key(&print) {
                    println!("K {} {} 0 {plan}", c1 - c0, c() - c1);
                    return Ended { broken: self.end(play, way, Some(print)).await, is_known: true };
                }
                way.push((print, play.world.deliveries));
            }
            more = play.step().await;
        }
        let c2 = c();
        let broken = match more {
            Err(stuck) => vec![stuck],
            Ok(_) => self.end(play, way, None).await,
        };
        println!("W {} {} {} {plan}", c1.max(c0) - c0, c2 - c1, c() - c2);
        Ended { broken, is_known: false }
    }

    /// Notes for each state of a way how it ends, which is known if the way came to a known state. Otherwise it came to
    /// rest, and is looked at.
    async fn end(&self, play: Play<'_>, way: Vec<(Print, u32)>, met: Option<Print>) -> Vec<String> {
        let so_far = play.world.deliveries;
        let ending = match met.and_then(|print| self.endings().get(&print).cloned()) {
            Some(ending) => ending,
            None => {
                let Report { broken, .. } = play.finish().await;
                Ending { deliveries: 0, broken: broken.into() }
            }
        };
        let all = so_far + ending.deliveries;
        let mut endings = self.endings();
        for (print, before) in way {
            endings.insert(print, Ending { deliveries: all - before, broken: ending.broken.clone() });
        }
        let mut broken = ending.broken.to_vec();
        if all > MAX_DELIVERIES {
            broken.push(no_rest("on two ways that meet"));
        }
        broken
    }

    fn endings(&self) -> MutexGuard<'_, HashMap<Print, Ending>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
