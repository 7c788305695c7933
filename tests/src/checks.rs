//! What is looked at once a plan has been played: the books, the answers, the dead letters, and everything once more.

use crate::events::queue_event;
use crate::invariants::Books;
use crate::play::{LIMIT, Play, accept, is_done, is_raced, status};
use crate::scenarios::{Event, POISON, probe};
use crate::table::Items;
use crate::wire::document;
use crate::world::{Name, QUEUES, World};
use crate::{acts, audited, decided, erased, heard, links, sends};
use bytes::Bytes;
use serde_json::Value;
use sluice_domain::lead::LeadState;
use sluice_domain::team::TeamState;
use std::sync::Arc;

/// Looks at everything.
pub(crate) async fn check(play: &mut Play<'_>) {
    let mut books = grants(play).await;
    let world = &mut play.world;
    play.broken.extend(books.check(world));
    let rows = world.rows();
    play.broken.extend(erased::check(&rows, world.delivered.iter().map(|(_, body)| body.as_str())));
    heard::check(world, &play.prepared.event, play.plan, &mut play.broken);
    play.broken.extend(links::check(&play.prepared.name, &rows, world.visits));
    audited::check(&rows, &mut play.broken);
    decided::check(&world.items(), &mut play.broken);
    sends::overall(&play.prepared.name, &rows, &mut play.broken);
    if matches!(play.prepared.function, Name::Console | Name::Erase) {
        room(play, &mut books).await;
    }
    submissions(play, &books).await;
    acts::check(play).await;

    dead_letters(play);
    replay(play).await;
}

/// I10 and I11: only poison is left, and nothing with it. I8: nothing of somebody who was erased.
fn dead_letters(play: &mut Play<'_>) {
    let dead = play.world.dead();
    let rows = play.world.rows();
    let bodies = match &play.prepared.event {
        Event::Queue { bodies, .. } => bodies.as_slice(),
        _ => &[],
    };
    for body in dead.iter().filter(|body| *body != POISON) {
        play.broken.push(match bodies.contains(body) && bodies.iter().any(|body| body == POISON) {
            _ if erased::is_of_erased(body, &rows) => format!("I8: {body} is left among the dead letters"),
            true => format!("I10: {body} went to the dead letters with its neighbour"),
            false => format!("I11: {body} is in the dead letters"),
        });
    }
    if bodies.iter().any(|body| body == POISON) && dead.iter().filter(|body| *body == POISON).count() != 1 {
        play.broken.push("I10: the poison record is not in the dead letters".to_owned());
    }
}

/// A team looks at its books when it is asked for the next lead.
async fn grants(play: &mut Play<'_>) -> Books {
    let Play { world, broken, .. } = play;
    let mut books = Books::read(&world.items());
    let strays = books.stray_grants();
    if !strays.is_empty() {
        world.clock.advance(60_000);
        let mut forms: Vec<&str> =
            strays.iter().map(|(team, _)| if team == "sales" { "web" } else { team.as_str() }).collect();
        forms.sort_unstable();
        forms.dedup();
        for form in forms {
            probe(world, form).await;
        }
        if let Err(stuck) = world.settle(LIMIT).await {
            broken.push(stuck);
        }
        books = Books::read(&world.items());
        for (team, lead) in books.stray_grants() {
            broken.push(format!("I6: {team} keeps a grant for {lead}, which went elsewhere"));
        }
    }
    books
}

/// Room that came free is taken: at once, or by the next timers if a fault may have struck the wake-up.
async fn room(play: &mut Play<'_>, books: &mut Books) {
    let Play { world, broken, .. } = play;
    if play.plan.first.is_some() && !books.kept_waiting().is_empty() {
        world.clock.advance(60_000);
        world.invoke(Name::Fire, Bytes::from_static(b"{}")).await;
        if let Err(stuck) = world.settle(LIMIT).await {
            broken.push(stuck);
        }
        *books = Books::read(&world.items());
        broken.extend(books.check(world));
    }
    for lead in books.kept_waiting() {
        broken.push(format!("I1: {lead} waits for room that is there"));
    }
}

/// I9, and that what was accepted is what is kept.
async fn submissions(play: &mut Play<'_>, books: &Books) {
    let Play { world, prepared, accepted, broken, .. } = play;
    for (id, fields) in &*accepted {
        let Some(lead) = books.leads.get(id) else {
            broken.push(format!("I1: {id} was accepted and is not in the ledger"));
            continue;
        };
        if lead.progress.state == LeadState::Erased {
            continue;
        }
        let mut kept = lead.fields.clone();
        kept.sort();
        if kept != *fields {
            broken.push(format!("I9: {id} was accepted with other fields than are kept"));
        }
    }
    let Event::Http(post) = &prepared.event else { return };
    for (_, id) in post.fields.iter().filter(|_| prepared.function == Name::Track) {
        let entries = world.items().keys().filter(|(_, sk)| *sk == format!("e#{id}")).count();
        if entries != 1 {
            broken.push(format!("I9: the event {id} was accepted and has {entries} entries"));
        }
    }
    let Some(clash) = &post.clash else { return };
    let same = world.invoke(prepared.function, post.payload.clone()).await;
    let mut repeated = Vec::new();
    if let Some(answer) = &same {
        accept(post, answer, &mut repeated);
    }
    if repeated.is_empty() || accepted.iter().any(|(id, _)| *id != repeated[0].0) {
        broken.push("I9: the same key and body was answered otherwise".to_owned());
    }
    if status(world.invoke(prepared.function, clash.clone()).await.as_ref()) != 409 {
        broken.push("I9: the same key with another body was not refused".to_owned());
    }
    if let Err(stuck) = world.settle(LIMIT).await {
        broken.push(stuck);
    }
}

/// I14: everything that was ever delivered comes again, and nothing changes. The first time teams may clear grants whose
/// leads are through, which is bookkeeping; the second time not a byte may change.
async fn replay(play: &mut Play<'_>) {
    for strictly in [false, true] {
        let before = play.world.items();
        let handed = play.world.ground.observed().handed.clone();
        ask_again(play).await;
        let Play { world, broken, .. } = &mut *play;
        if let Err(stuck) = deliver_again(world).await {
            broken.push(format!("I14: {stuck}"));
        }
        let after = world.items();
        if world.ground.observed().handed != handed {
            broken.push("I14: delivering everything again tells somebody again".to_owned());
        }
        if before == after {
            return;
        }
        let (before, after) =
            if strictly { (before, after) } else { (without_grants(before), without_grants(after)) };
        let changed = after.iter().find(|(key, item)| before.get(*key) != Some(item));
        if let Some(((pk, sk), _)) =
            changed.or_else(|| before.iter().find(|(key, _)| !after.contains_key(*key)))
        {
            broken.push(format!("I14: delivering everything again changes {pk} {sk}"));
        }
    }
}

/// What people asked for is asked for once more, in an instance that has seen none of it.
async fn ask_again(play: &mut Play<'_>) {
    let Play { world, prepared, broken, .. } = play;
    let Event::Http(post) = &prepared.event else { return };
    // A visit that is made again is another visit.
    let is_wish = prepared.function == Name::Engage && is_post(&post.payload);
    if (prepared.function != Name::Console && !is_wish) || is_once_more(&prepared.name) {
        return;
    }
    world.forget(prepared.function, 0);
    let answer = world.invoke(prepared.function, post.payload.clone()).await;
    if !is_done(answer.as_ref()) && !is_raced(prepared) {
        broken.push(format!("I14: asking again is answered with {}", status(answer.as_ref())));
    }
}

/// Whether what is asked for again is another one each time: a token, a trial, a delivery.
pub(crate) fn is_once_more(name: &str) -> bool {
    matches!(name, "console-token-new" | "console-message-new" | "console-test-send" | "webhook-redeliver")
}

fn is_post(payload: &[u8]) -> bool {
    let event: Value = serde_json::from_slice(payload).unwrap_or_default();
    event["requestContext"]["http"]["method"] == "POST"
}

async fn deliver_again(world: &mut World) -> Result<(), String> {
    let all: Vec<(&'static str, String)> =
        world.delivered.iter().filter(|(_, body)| body != POISON).cloned().collect();
    for (queue, name, _) in QUEUES {
        for (_, body) in all.iter().filter(|(of, _)| *of == queue) {
            world.send(queue, body);
        }
        let messages = world.receive(queue, 10);
        if messages.is_empty() {
            continue;
        }
        if let Some(answer) = world.invoke(name, queue_event(&messages)).await {
            world.acknowledge(queue, &messages, &answer);
        }
    }
    world.deliveries = 0;
    world.settle(LIMIT).await
}

fn without_grants(mut items: Items) -> Items {
    // What comes again while its campaign is paused waits, also if it was done before.
    items.retain(|(pk, _), _| !pk.starts_with("parked#"));
    for ((pk, _), item) in &mut items {
        if pk.starts_with("team#")
            && let Some(mut state) = document::<TeamState>(item, "d")
        {
            state.grants.clear();
            let item = Arc::make_mut(item);
            item["d"]["S"] = serde_json::to_string(&state).unwrap_or_default().into();
            item["v"] = Value::Null;
        }
    }
    items
}
