//! Random journeys under faults: inputs that come late, twice, in another order, decisions that are lost before they are
//! committed, acknowledgements that are lost afterwards, due entries that fire again and again.

use super::super::{Failed, Input, Outcome, Run};
use super::model::{HORIZON, events, journey, lived, told};
use super::{M, World, at, event};
use crate::event::Event;
use crate::policy::journey::Act;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// What goes wrong with one delivery.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// The function dies before it commits; the input comes again.
    Lost,
    /// It dies after the first part of what it decided was committed, which only a due entry finishes.
    Cut,
    /// It commits, and the input comes again.
    Again,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![3 => Just(Fault::None), 1 => Just(Fault::Lost), 1 => Just(Fault::Again), 1 => Just(Fault::Cut)]
}

/// A world with receipts and a pool of due entries, as the functions keep them.
struct Faulty {
    world: World,
    receipts: BTreeSet<String>,
    /// Every token that was ever armed: any of them may fire at any time.
    tokens: Vec<String>,
    /// Runs as they were after each commit.
    history: Vec<Run>,
}

impl Faulty {
    fn new(journey: &Value) -> Self {
        Self {
            world: World::new(journey.clone()),
            receipts: BTreeSet::new(),
            tokens: Vec::new(),
            history: Vec::new(),
        }
    }

    fn deliver(&mut self, input: &Input<'_>, receipt: Option<&str>, fault: Fault) {
        let times = if matches!(fault, Fault::None | Fault::Cut) { 1 } else { 2 };
        for time in 0..times {
            if receipt.is_some_and(|receipt| self.receipts.contains(receipt)) {
                continue;
            }
            let cut = matches!(fault, Fault::Cut);
            let (seen, run, effects, why) = self.world.decided(input, cut);
            if matches!(fault, Fault::Lost) && time == 0 {
                continue;
            }
            // One transaction: receipt, run, changes; what leaves is sent after it, and again with the same ids.
            self.receipts.extend(receipt.map(str::to_owned));
            if let Some(due) = run.as_ref().and_then(|run| run.due.as_ref()) {
                self.tokens.push(due.token.clone());
            }
            if run != self.world.run {
                self.history.extend(run.clone());
            }
            (self.world.seen, self.world.run) = (seen, run);
            self.world.effects.extend(effects);
            self.world.why.extend(why);
        }
    }

    fn event(&mut self, event: &Event, fault: Fault) {
        self.deliver(&Input::Event(event), Some(event.id.as_str()), fault);
    }

    /// Everything that is due up to a minute fires, in its time.
    fn until(&mut self, minute: i64, mut fault: impl FnMut() -> Fault) {
        let due = |run: &Option<Run>| run.as_ref().and_then(|run| run.due.clone());
        while let Some(due) = due(&self.world.run).filter(|due| due.at <= at(minute)) {
            self.world.now = self.world.now.max((due.at.since(at(0)) + M - 1) / M);
            self.deliver(&Input::Due(&due.token), None, fault());
        }
        self.world.now = self.world.now.max(minute);
    }

    fn stale(&mut self, which: usize) {
        let Some(token) = self.tokens.get(which % self.tokens.len().max(1)).cloned() else { return };
        self.deliver(&Input::Due(&token), None, Fault::None);
    }
}

/// I7: every step follows the one before along an edge, is begun once, and no wait is cut short.
fn holds_together(faulty: &Faulty) -> Result<(), TestCaseError> {
    let world = &faulty.world;
    let mut parts = BTreeSet::new();
    for effect in &world.effects {
        prop_assert!(parts.insert(effect.part.clone()), "{} was done twice", effect.part);
    }
    let flow = world.flow();
    let begun: Vec<&str> = world
        .why
        .iter()
        .filter_map(|why| match why.strip_prefix("Step ").and_then(|rest| rest.strip_suffix('.')) {
            Some(step) => Some(step),
            None => (why == "Entered." || why.starts_with("Entered, for the")).then_some(""),
        })
        .collect();
    let (mut n, mut visit, mut last) = (0, 0, None::<usize>);
    for step in begun {
        if step.is_empty() {
            (n, visit, last) = (n + 1, 0, None);
            continue;
        }
        let here = flow.position(step).unwrap();
        visit += 1;
        let follows = match last.map(|last: usize| (last, &flow.journey().steps[last].act)) {
            None => here == 0,
            Some((last, act)) => {
                (act.falls_through() && here == last + 1)
                    || act.labels().into_iter().any(|label| flow.position(label) == Some(here))
            }
        };
        prop_assert!(follows, "{step} does not follow {last:?}");
        let act = &flow.journey().steps[here].act;
        let leaves =
            !act.takes_time() && !matches!(act, Act::Branch(_) | Act::Split(_) | Act::Goto(_) | Act::End(_));
        prop_assert!(!leaves || parts.contains(&format!("{n}.{visit}.{step}")), "{step} was left out");
        last = Some(here);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Crashes and repeats leave no trace: it is as if nothing had gone wrong.
    #[test]
    fn crashes_and_repeats_change_nothing(
        journey in journey(), events in events(), faults in proptest::collection::vec(fault(), 40),
        stale in proptest::collection::vec(any::<usize>(), 40),
    ) {
        let mut faulty = Faulty::new(&journey);
        let mut faults = faults.into_iter().cycle();
        let mut next = || faults.next().unwrap();
        for ((name, minute), stale) in events.iter().zip(&stale) {
            faulty.until(minute - 1, &mut next);
            faulty.world.now = *minute;
            faulty.event(&event(name, &format!("{name} {minute}"), *minute), next());
            // What was begun in part is finished by a due entry, which is there at once.
            while let Some(due) = faulty.world.run.as_ref().and_then(|run| run.due.clone()).filter(|due| due.at <= at(*minute)) {
                faulty.deliver(&Input::Due(&due.token), None, Fault::None);
            }
            faulty.stale(*stale);
            faulty.event(&event(name, &format!("{name} {minute}"), *minute), Fault::None);
        }
        faulty.until(HORIZON, &mut next);
        faulty.until(HORIZON, || Fault::None);
        holds_together(&faulty)?;
        prop_assert_eq!(lived(&faulty.world), told(&journey, &events));
    }

    /// Whatever comes whenever: nobody leaves the ways of the document, and nothing is done twice.
    #[test]
    fn whatever_comes_late_or_in_another_order_nobody_leaves_the_way(
        journey in journey(), events in events(),
        delays in proptest::collection::vec(0..120i64, 16), faults in proptest::collection::vec(fault(), 40),
        stale in proptest::collection::vec(any::<usize>(), 40),
    ) {
        let mut faulty = Faulty::new(&journey);
        let mut faults = faults.into_iter().cycle();
        let mut deliveries: Vec<_> = events.iter().zip(delays).map(|((name, minute), delay)| {
            let mut event = event(name, &format!("{name} {minute}"), *minute);
            event.received = at(minute + delay / 2);
            (minute + delay, event)
        }).collect();
        deliveries.sort_by_key(|(time, _)| *time);
        for ((time, event), stale) in deliveries.iter().zip(&stale) {
            // Timers may be far behind.
            if stale % 3 == 0 {
                faulty.until(*time, || faults.next().unwrap());
            }
            faulty.world.now = *time;
            faulty.event(event, faults.next().unwrap());
            faulty.stale(*stale);
        }
        faulty.until(HORIZON * 2, || Fault::None);
        holds_together(&faulty)?;
        // Time never runs backwards for a run, and every wait lasts as long as it says.
        for pair in faulty.history.windows(2) {
            let [before, after] = pair else { continue };
            prop_assert!(after.n > before.n || after.visits >= before.visits);
            if let (Some(place), true, true) = (&before.place, after.n == before.n, after.visits > before.visits) {
                prop_assert!(after.place.as_ref().is_none_or(|next| next.since >= place.since));
            }
        }
        // Nothing is left behind: whoever is in it waits for something.
        let run = faulty.world.run.as_ref();
        prop_assert!(run.is_none_or(|run| run.is_active() == run.due.is_some()));
        let failed = run.and_then(|run| run.ended.as_ref()).and_then(|ended| match ended.outcome {
            Outcome::Failed(why) => Some(why),
            _ => None,
        });
        // A loop of a minute ends by their number.
        prop_assert!(failed.is_none_or(|why| why == Failed::TooManySteps));
    }

    /// A run is small, and the same after it was stored.
    #[test]
    fn a_run_is_small_and_the_same_after_it_was_stored(journey in journey(), events in events()) {
        let mut world = World::new(journey);
        for (name, minute) in &events {
            world.until(minute - 1);
            world.event(name, *minute);
            if let Some(run) = &world.run {
                let stored = serde_json::to_string(run).unwrap();
                prop_assert!(stored.len() < 600, "{}", stored);
                prop_assert_eq!(&serde_json::from_str::<Run>(&stored).unwrap(), run);
            }
        }
    }
}
