//! A record at which the code panics, however often it comes: it fails alone, goes to the dead letters, and is put back
//! once the code is mended.

use crate::events::record_id;
use crate::invariants::Books;
use crate::plans::Plan;
use crate::play::{Play, Standing};
use crate::scenarios::{Event, POISON, Prepared};
use crate::world::{Name, World};
use sluice_domain::id::MessageId;
use sluice_store::keys;
use std::collections::BTreeSet;

/// Long enough for a record to come as often as it may, in milliseconds, and not for the timers to run.
const OFTEN_ENOUGH: i64 = 50_000;

/// The leads, messages and customers that the records of a scenario's event are about.
pub fn subjects(prepared: &Prepared) -> BTreeSet<String> {
    let Event::Queue { bodies, .. } = &prepared.event else { return BTreeSet::new() };
    // Going through an audience writes nothing of its people: what it writes is the campaign's. And where letters are dead
    // before it begins, which of them died of it cannot be told.
    if prepared.function == Name::Campaign || prepared.name == "erase-dead-letters" {
        return BTreeSet::new();
    }
    let words = bodies.iter().flat_map(|body| body.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let is_id = |word: &&str| ["ld_", "ms_", "cu_"].iter().any(|prefix| word.starts_with(prefix));
    words.filter(is_id).map(str::to_owned).collect()
}

/// How keys of items name it: a message to a customer lies with its customer, under the rest of its id.
fn in_keys(id: &str) -> String {
    MessageId::parse(id).map_or_else(|| id.to_owned(), |message| keys::message(&message))
}

/// What is broken if every function panics that is about to write anything of this, until it is mended.
pub async fn panics_at(prepared: &Prepared, id: &str, world: &mut World, begin: &Standing) -> Vec<String> {
    let plan = Plan::default();
    let mut play = Play::begin(prepared, &plan, world, begin);
    play.world.wire.poison(Some(in_keys(id)));
    if let Err(stuck) = play.event().await {
        return vec![stuck];
    }
    let Event::Queue { bodies, .. } = &prepared.event else { return Vec::new() };
    let is_bad = |body: &str| body == POISON || body.contains(id);
    let bad = bodies.iter().enumerate().filter(|(_, body)| is_bad(body)).map(|(at, _)| record_id(at));
    let bad = BTreeSet::from_iter(bad);
    let mut broken = Vec::new();
    if play.handed_back != bad {
        broken.push(format!("I10: {:?} were handed back, {bad:?} cannot be done", play.handed_back));
    }
    if let Err(stuck) = play.world.settle(OFTEN_ENOUGH).await {
        broken.push(stuck);
    }
    // Events name people by ids of their own, and the scenarios with events are about one person each.
    let may_be_theirs = |body: &str| id.starts_with("cu_") && body.contains("\"ids\"");
    for body in play.world.dead().iter().filter(|body| !is_bad(body) && !may_be_theirs(body)) {
        broken.push(format!("I10: {body} went to the dead letters with its neighbour"));
    }
    // What comes later has nothing to do with it.
    let came = |waits: &String| {
        let beside = prepared.beside.iter().map(|(_, body)| body);
        bodies.iter().chain(beside).any(|body| body.contains(waits.as_str()))
    };
    let waiting = Books::read(&play.world.items()).waiting();
    if waiting.iter().any(|waits| waits != id && came(waits)) {
        broken.push(format!("I10: {waiting:?} wait though only {id} cannot be done"));
    }
    play.world.wire.poison(None);
    play.world.redrive(|body| body != POISON);
    play.world.deliveries = 0;
    loop {
        match play.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(stuck) => {
                broken.push(stuck);
                break;
            }
        }
    }
    broken.extend(play.finish().await.broken);
    broken
}
