//! The ways a world can go, each followed once.
//!
//! Where instances live for one event only ([`Lives::Once`](crate::world::Lives)), nothing is left between two invocations but how everything
//! stands ([`Play::print`]): table, queues, clock, randomness, what was seen and delivered, how far the sender and the
//! timers are. What happens from there on is a function of that: functions are given their clock, their randomness and
//! every answer, and what a service draws at random is taken out of its answers
//! ([`Call::without_chance`](crate::wire::Call::without_chance)). So:
//!
//! - where two ways meet in one state and no fault is to come, the end of one is the end of the other
//!   ([`Ways::run`]);
//! - where two ways meet in one state between two faults, every second fault that can strike from there on need be tried
//!   after one of them only ([`Ways::follow`]);
//! - within the invocation under test, two first faults after which it makes its next request in one state, having heard
//!   the same, go on alike: their second faults within it need be tried once
//!   ([`Struck::going_on`](crate::connector::Struck));
//! - what is left of an invocation that dies is how everything stood at that moment: reading leaves all as it was, so it
//!   need die once between two writes ([`distinct`]);
//! - a duplicate that goes on, reads, and hears what it would have heard before it stood might as well have stood after that
//!   read: of such stops the first is enough ([`stops_alike`]).
//!
//! Ways that meet differ in nothing that is looked at later but their numbers of deliveries: these are counted, and the
//! bound on them is checked against the sum. What all this rests on is tested: pairs are played from the beginning to
//! their ends and come out the same (`tests/fault_sweep.rs`). Plans with one fault and nothing in between are played whole,
//! by instances that live on and remember.

use crate::canaries;
use crate::connector::Resumed;
use crate::faults::{Made, Shot, distinct, shots};
use crate::ground::Print;
use crate::plans::Plan;
use crate::play::{Play, Report, Standing};
use crate::scenarios::Prepared;
use crate::settle::no_rest;
use crate::world::{MAX_DELIVERIES, World};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ways of one scenario.
pub struct Ways<'a> {
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

/// What is ahead of a state between two faults.
struct Ahead {
    /// Second faults that may strike until the next state.
    seconds: u64,
    /// The next state if none does; none at rest.
    next: Option<Print>,
}

/// Second faults that are to be tried.
#[derive(Clone)]
pub struct Job {
    /// Both faults.
    pub plan: Plan,
    /// Where the first of them has led; none if the second strikes before its invocation is over.
    from: Option<Arc<Standing>>,
}

impl AsRef<Plan> for Job {
    fn as_ref(&self) -> &Plan {
        &self.plan
    }
}

/// What stands for all pairs of a scenario.
#[derive(Default)]
pub struct Followed {
    /// One for each second fault from each state.
    pub jobs: Vec<Job>,
    /// Pairs that they stand for.
    pub pairs: u64,
    /// States between the faults.
    pub states: usize,
}

/// What came of one plan.
#[derive(Debug)]
pub struct Ended {
    /// Broken invariants.
    pub broken: Vec<String>,
    /// Whether it met a way that was known.
    pub is_known: bool,
    /// What its duplicate asked for once it went on.
    pub resumed: Vec<Resumed>,
}

impl<'a> Ways<'a> {
    /// None is known yet.
    pub fn of(prepared: &'a Prepared) -> Self {
        Self { prepared, endings: Mutex::default() }
    }

    /// Follows each first fault without a second, and says which second ones stand for all. `begin` is where the
    /// scenario begins.
    pub async fn follow(&self, firsts: &[Plan], world: &mut World, begin: &Standing) -> Followed {
        let mut followed = Followed::default();
        let mut states: HashMap<Print, Ahead> = HashMap::new();
        let mut gone_on: HashSet<Print> = HashSet::new();
        for first in firsts {
            let mut play = Play::begin(self.prepared, first, world, begin);
            play.world.wire.look_around();
            if play.event().await.is_err() {
                continue;
            }
            let mut made = play.world.wire.made_since(0);
            followed.pairs += shots(&made, 1).count() as u64;
            if let Some((print, from)) = play.world.wire.going_on()
                && !gone_on.insert(print)
            {
                made.truncate(from);
            }
            followed.add(first, None, distinct(&made, 1));

            let first_state = play.print();
            let (mut way, mut at) = (Vec::new(), Some(first_state));
            while let Some(print) = at.filter(|print| !states.contains_key(print)) {
                way.push((print, play.world.deliveries));
                let standing = Arc::new(play.standing());
                let (from, _) = play.world.wire.so_far();
                let Ok(more) = play.step().await else { break };
                let made = play.world.wire.made_since(from);
                let number = u32::try_from(from).unwrap_or(u32::MAX) + 1;
                at = more.then(|| play.print());
                states.insert(print, Ahead { seconds: shots(&made, number).count() as u64, next: at });
                followed.add(first, Some(&standing), distinct(&made, number));
            }
            let mut on = Some(first_state);
            while let Some(ahead) = on.and_then(|print| states.get(&print)) {
                followed.pairs += ahead.seconds;
                on = ahead.next;
            }
            self.end(play, way, at).await;
        }
        followed.states = states.len();
        followed
    }

    /// Tries a second fault.
    pub async fn strike(&self, job: &Job, world: &mut World, begin: &Standing) -> Ended {
        match &job.from {
            Some(standing) => {
                let play = Play::resume(self.prepared, &job.plan, world, standing);
                self.finish(play, Ok(true)).await
            }
            None => self.run(&job.plan, world, begin).await,
        }
    }

    /// Plays a plan from the beginning until it has come to rest, or meets a way that is known.
    pub async fn run(&self, plan: &Plan, world: &mut World, begin: &Standing) -> Ended {
        let mut play = Play::begin(self.prepared, plan, world, begin);
        let more = play.event().await.map(|()| true);
        let resumed = std::mem::take(&mut play.resumed);
        Ended { resumed, ..self.finish(play, more).await }
    }

    async fn finish(&self, mut play: Play<'_>, mut more: Result<bool, String>) -> Ended {
        let mut way = Vec::new();
        while let Ok(true) = more {
            if play.plan.second.is_none() || play.world.wire.so_far().1 == 2 {
                let print = play.print();
                if self.endings().contains_key(&print) {
                    return Ended {
                        broken: self.end(play, way, Some(print)).await,
                        is_known: true,
                        resumed: Vec::new(),
                    };
                }
                way.push((print, play.world.deliveries));
            }
            more = play.step().await;
        }
        let broken = match more {
            Err(stuck) => vec![stuck],
            Ok(_) => self.end(play, way, None).await,
        };
        Ended { broken, is_known: false, resumed: Vec::new() }
    }

    /// Notes for each state of a way how it ends, which is known if the way came to a known state. Otherwise it came to
    /// rest, and is looked at.
    async fn end(&self, play: Play<'_>, way: Vec<(Print, u32)>, met: Option<Print>) -> Vec<String> {
        let so_far = play.world.deliveries;
        let known = met.and_then(|print| self.endings().get(&print).cloned());
        let ending = match known {
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
        canaries::check(&self.prepared.canaries, &mut broken);
        if all > MAX_DELIVERIES {
            broken.push(no_rest("on two ways that meet"));
        }
        broken
    }

    fn endings(&self) -> MutexGuard<'_, HashMap<Print, Ending>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the stops right after this one need not be tried: a duplicate that stood after `after` calls went on with what it
/// would have read anyway (`quiet`, looked around at), heard the same, and then asked for the same.
pub fn stops_alike(quiet: &[Made], after: u32, resumed: &[Resumed]) -> u32 {
    let quiet = quiet.get(after as usize..).unwrap_or_default();
    let asks_the_same = |(then, now): &(&Made, &Resumed)| then.request == now.request;
    let hears_the_same = |then: &Made, now: &Resumed| {
        then.around.is_some_and(|around| around.before == around.after && now.answer == Some(around.answer))
    };
    let both: Vec<_> = quiet.iter().zip(resumed).take_while(asks_the_same).collect();
    let reads = both.iter().take_while(|(then, now)| hears_the_same(then, now)).count();
    // What it asks for after the last of them has to be the same as well.
    let is_end = reads == quiet.len() && quiet.len() == resumed.len();
    let alike = if is_end { reads } else { reads.min(both.len().saturating_sub(1)) };
    u32::try_from(alike).unwrap_or(u32::MAX)
}

impl Followed {
    fn add(&mut self, first: &Plan, from: Option<&Arc<Standing>>, seconds: Vec<Shot>) {
        let job = |second| Job { plan: first.and(second), from: from.cloned() };
        self.jobs.extend(seconds.into_iter().map(job));
    }
}
