//! A plan: one scenario, the faults that strike it, and a duplicate that gets in between. Run, settled and checked.

use crate::erased;
use crate::faults::{Invocation, Kind, Ran, Shot, Struck};
use crate::heard;
use crate::invariants::Books;
use crate::links;
use crate::mutants::Mutant;
use crate::scenarios::{Event, MEANWHILE, POISON, Post, Prepared, probe};
use crate::wire::{Headers, document, text};
use crate::world::{ADMIN_TOKEN, Name, QUEUES, World, http_event, queue_event};
use bytes::Bytes;
use serde_json::Value;
use sluice_domain::lead::LeadState;
use sluice_domain::team::TeamState;
use sluice_host::function::InvokeError;
use sluice_services::sqs::ReceivedMessage;
use std::fmt;

/// A second invocation of the same event, in another instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duplicate {
    /// It begins first and stops after this many calls.
    pub after: u32,
    /// It goes on when everything else has settled as far as it can while a function may run; otherwise as soon as the
    /// first invocation has ended.
    pub late: bool,
}

/// What happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// To the invocation under test.
    pub first: Option<Shot>,
    /// To whatever runs afterwards.
    pub second: Option<Shot>,
    /// Beside it.
    pub duplicate: Option<Duplicate>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for shot in [self.first, self.second].into_iter().flatten() {
            parts.push(format!("{}@{}", shot.kind.name(), shot.at));
        }
        if let Some(Duplicate { after, late }) = self.duplicate {
            parts.push(format!("duplicate@{after}{}", if late { "-late" } else { "" }));
        }
        write!(f, "{}", parts.join("+"))
    }
}

impl Plan {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut plan = Self::default();
        for part in text.split('+').filter(|part| !part.is_empty()) {
            let (word, at) = part.split_once('@')?;
            if word == "duplicate" {
                let (after, late) = at.strip_suffix("-late").map_or((at, false), |after| (after, true));
                plan.duplicate = Some(Duplicate { after: after.parse().ok()?, late });
                continue;
            }
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == word)?;
            let shot = Shot { kind, at: at.parse().ok()? };
            match plan.first {
                None => plan.first = Some(shot),
                Some(_) => plan.second = Some(shot),
            }
        }
        Some(plan)
    }
}

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Report {
    /// Broken invariants.
    pub broken: Vec<String>,
    /// What there was to strike, and what struck.
    pub struck: Struck,
}

/// How long a function may run, in milliseconds: a duplicate that stands longer is dead.
const LATEST: i64 = 15_000;
/// Within this, in milliseconds, everything settles: longer than any back-off after a single fault.
const LIMIT: i64 = 3_600_000;

/// Runs a plan.
pub async fn run(prepared: &Prepared, plan: &Plan, mutant: Option<Mutant>) -> Report {
    let mut world = World::restore(&prepared.snapshot, mutant);
    let mut report = Report::default();
    let mut accepted: Vec<(String, Vec<(String, String)>)> = Vec::new();
    if let Err(stuck) = play(&mut world, prepared, plan, &mut report, &mut accepted).await {
        report.struck = world.wire.cease();
        report.broken.push(stuck);
        return report;
    }
    check(&mut world, prepared, plan, &accepted, &mut report).await;
    report
}

async fn play(
    world: &mut World,
    prepared: &Prepared,
    plan: &Plan,
    report: &mut Report,
    accepted: &mut Vec<(String, Vec<(String, String)>)>,
) -> Result<(), String> {
    let (payload, messages) = begin(world, &prepared.event);
    for (queue, body) in prepared.beside.iter().filter(|(queue, _)| *queue != MEANWHILE) {
        world.send(queue, body);
    }
    let queue = match &prepared.event {
        Event::Queue { queue, .. } => Some(*queue),
        _ => None,
    };
    let ended = |world: &World, answer: &Result<Bytes, InvokeError>| {
        if let Some(queue) = queue {
            world.acknowledge(queue, &messages, answer);
        }
    };

    let first = world.instance(prepared.function, 0).await;
    let other = match plan.duplicate {
        Some(_) => Some(world.instance(prepared.function, 1).await),
        None => None,
    };
    world.wire.aim(plan.first, plan.second);
    let mut standing = None;
    if let (Some(duplicate), Some(other)) = (plan.duplicate, &other) {
        let invocation = Invocation::new(false, duplicate.after);
        let mut work = other.invoke(payload.clone());
        world.visits.made += 1;
        match invocation.run(&mut work).await {
            Ran::Done(answer) => {
                ended(world, &answer);
                visit(world, Some(&answer));
                note(&prepared.event, &answer, accepted);
            }
            Ran::Crashed => {}
            Ran::Paused => standing = Some((invocation, work)),
        }
    }

    let invocation = Invocation::new(true, u32::MAX);
    let mut work = first.invoke(payload);
    world.visits.made += 1;
    let answered = match invocation.run(&mut work).await {
        Ran::Done(answer) => {
            ended(world, &answer);
            visit(world, Some(&answer));
            note(&prepared.event, &answer, accepted);
            Some(answer)
        }
        Ran::Crashed | Ran::Paused => {
            world.forget(prepared.function, 0);
            None
        }
    };
    drop(work);

    let late = plan.duplicate.is_some_and(|duplicate| duplicate.late);
    if late {
        again(world, prepared, answered.as_ref(), accepted, report).await;
        world.settle(LATEST).await?;
    }
    erase(world, prepared).await;
    if late && is_raced(prepared) {
        world.settle(LATEST).await?;
    }
    if let Some((invocation, mut work)) = standing {
        invocation.resume();
        if let Ran::Done(answer) = invocation.run(&mut work).await {
            ended(world, &answer);
            visit(world, Some(&answer));
            note(&prepared.event, &answer, accepted);
        }
    }
    if !late {
        again(world, prepared, answered.as_ref(), accepted, report).await;
    }
    world.settle(LIMIT).await?;
    report.struck = world.wire.cease();
    // A second fault may strike at the very end; then its repairs are still to be played.
    world.settle(LIMIT).await?;
    // Whoever was not there yet is erased now.
    erase(world, prepared).await;
    world.settle(LIMIT).await
}

/// Whether somebody is erased beside the event.
fn is_raced(prepared: &Prepared) -> bool {
    prepared.beside.iter().any(|(queue, _)| *queue == MEANWHILE)
}

/// Somebody asks to erase whom the scenario names, until that is answered; not whom nobody knows yet.
async fn erase(world: &mut World, prepared: &Prepared) {
    for (_, path) in prepared.beside.iter().filter(|(queue, _)| *queue == MEANWHILE) {
        let authorization = format!("Bearer {ADMIN_TOKEN}");
        let headers = Headers::from([("authorization".to_owned(), authorization)]);
        for _ in 0..6 {
            let answer = world.invoke(Name::Console, http_event("DELETE", path, &headers, "")).await;
            if matches!(status(answer.as_ref()), 202 | 404) {
                break;
            }
        }
    }
}

/// The event as Lambda hands it over.
fn begin(world: &mut World, event: &Event) -> (Bytes, Vec<ReceivedMessage>) {
    match event {
        Event::Queue { queue, bodies } => {
            for body in bodies {
                world.send(queue, body);
            }
            let messages = world.receive(queue, bodies.len());
            (queue_event(&messages), messages)
        }
        Event::Http(post) => (post.payload.clone(), Vec::new()),
        Event::Schedule => (Bytes::from_static(b"{}"), Vec::new()),
    }
}

/// Remembers a lead that was accepted, with what its sender had sent.
fn note(
    event: &Event,
    answer: &Result<Bytes, InvokeError>,
    accepted: &mut Vec<(String, Vec<(String, String)>)>,
) {
    if let Event::Http(post) = event {
        accept(post, answer, accepted);
    }
}

fn accept(
    post: &Post,
    answer: &Result<Bytes, InvokeError>,
    accepted: &mut Vec<(String, Vec<(String, String)>)>,
) {
    let Ok(answer) = answer else { return };
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
    if let (Some(200..=299), Some(lead)) = (answer["statusCode"].as_u64(), body["lead_id"].as_str()) {
        accepted.push((lead.to_owned(), post.fields.clone()));
    }
}

fn status(answer: Option<&Result<Bytes, InvokeError>>) -> u64 {
    let answer = answer.and_then(|answer| answer.as_ref().ok());
    let answer: Option<Value> = answer.and_then(|answer| serde_json::from_slice(answer).ok());
    answer.and_then(|answer| answer["statusCode"].as_u64()).unwrap_or(0)
}

/// Whether others were faster, so that the same request may do next time.
fn is_busy(answer: Option<&Result<Bytes, InvokeError>>) -> bool {
    is_refused_as(answer, "busy")
}

/// Whether it is done: customers that are apart already are no longer merged.
fn is_done(answer: Option<&Result<Bytes, InvokeError>>) -> bool {
    matches!(status(answer), 200 | 202) || is_refused_as(answer, "not-merged")
}

fn is_refused_as(answer: Option<&Result<Bytes, InvokeError>>, problem: &str) -> bool {
    let text = answer.and_then(|answer| answer.as_ref().ok()).map(|answer| String::from_utf8_lossy(answer));
    let name = format!("urn:sluice:problem:{problem}");
    status(answer) == 409 && text.is_some_and(|text| text.contains(&name))
}

/// Counts a request that was answered as it asked.
fn visit(world: &mut World, answer: Option<&Result<Bytes, InvokeError>>) {
    world.visits.answered += u32::from((200..400).contains(&status(answer)));
}

/// The sender tries again until there is a 2xx or a redirect, or a 409 that tells it that the first attempt was accepted. Of what
/// people do each repeat must be told that it is done.
async fn again(
    world: &mut World,
    prepared: &Prepared,
    answered: Option<&Result<Bytes, InvokeError>>,
    accepted: &mut Vec<(String, Vec<(String, String)>)>,
    report: &mut Report,
) {
    let Event::Http(post) = &prepared.event else { return };
    let Some(post) = post.again.as_deref() else { return };
    let (mut last, mut busy, mut done) = (status(answered), is_busy(answered), is_done(answered));
    for _ in 0..6 {
        if (200..400).contains(&last) || (last == 409 && !busy) {
            break;
        }
        let answer = world.invoke(prepared.function, post.payload.clone()).await;
        world.visits.made += 1;
        visit(world, answer.as_ref());
        (last, busy, done) = (status(answer.as_ref()), is_busy(answer.as_ref()), is_done(answer.as_ref()));
        if let Some(answer) = &answer {
            accept(post, answer, accepted);
        }
    }
    let is_answered = done || prepared.function == Name::Engage && (200..400).contains(&last);
    if matches!(prepared.function, Name::Console | Name::Engage | Name::Track)
        && !is_answered
        && !is_raced(prepared)
    {
        report.broken.push(format!("I14: what was asked for is answered with {last}, however often"));
    }
}

async fn check(
    world: &mut World,
    prepared: &Prepared,
    plan: &Plan,
    accepted: &[(String, Vec<(String, String)>)],
    report: &mut Report,
) {
    let mut books = Books::read(&world.items());
    // A team looks at its books when it is asked for the next lead.
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
            report.broken.push(stuck);
        }
        books = Books::read(&world.items());
        for (team, lead) in books.stray_grants() {
            report.broken.push(format!("I6: {team} keeps a grant for {lead}, which went elsewhere"));
        }
    }
    report.broken.extend(books.check(world));
    report
        .broken
        .extend(erased::check(&world.items(), world.delivered.iter().map(|(_, body)| body.as_str())));
    heard::check(world, &prepared.event, &mut report.broken);
    report.broken.extend(links::check(prepared.name, &world.items(), world.visits));
    if matches!(prepared.function, Name::Console | Name::Erase) {
        room(world, plan, &mut books, report).await;
    }
    submissions(world, prepared, accepted, &books, report).await;

    let dead = world.dead();
    if dead.iter().any(|body| body != POISON) {
        report.broken.push(format!("I11: in the dead letters: {dead:?}"));
    }
    if let Event::Queue { bodies, .. } = &prepared.event
        && bodies.iter().any(|body| body == POISON)
        && dead.iter().filter(|body| *body == POISON).count() != 1
    {
        report.broken.push("I10: the poison record is not in the dead letters".to_owned());
    }
    replay(world, prepared, report).await;
}

/// Room that came free is taken: at once, or by the next timers if a fault may have struck the wake-up.
async fn room(world: &mut World, plan: &Plan, books: &mut Books, report: &mut Report) {
    if plan.first.is_some() && !books.kept_waiting().is_empty() {
        world.clock.advance(60_000);
        world.invoke(Name::Fire, Bytes::from_static(b"{}")).await;
        if let Err(stuck) = world.settle(LIMIT).await {
            report.broken.push(stuck);
        }
        *books = Books::read(&world.items());
        report.broken.extend(books.check(world));
    }
    for lead in books.kept_waiting() {
        report.broken.push(format!("I1: {lead} waits for room that is there"));
    }
}

/// I9, and that what was accepted is what is kept.
async fn submissions(
    world: &mut World,
    prepared: &Prepared,
    accepted: &[(String, Vec<(String, String)>)],
    books: &Books,
    report: &mut Report,
) {
    for (id, fields) in accepted {
        let Some(lead) = books.leads.get(id) else {
            report.broken.push(format!("I1: {id} was accepted and is not in the ledger"));
            continue;
        };
        if lead.progress.state == LeadState::Erased {
            continue;
        }
        let mut kept = lead.fields.clone();
        kept.sort();
        if kept != *fields {
            report.broken.push(format!("I9: {id} was accepted with other fields than are kept"));
        }
    }
    let Event::Http(post) = &prepared.event else { return };
    for (_, id) in post.fields.iter().filter(|_| prepared.function == Name::Track) {
        let entries = world.items().iter().filter(|item| text(item, "sk") == format!("e#{id}")).count();
        if entries != 1 {
            report.broken.push(format!("I9: the event {id} was accepted and has {entries} entries"));
        }
    }
    let Some(clash) = &post.clash else { return };
    let same = world.invoke(prepared.function, post.payload.clone()).await;
    let mut repeated = Vec::new();
    if let Some(answer) = &same {
        accept(post, answer, &mut repeated);
    }
    if repeated.is_empty() || accepted.iter().any(|(id, _)| *id != repeated[0].0) {
        report.broken.push("I9: the same key and body was answered otherwise".to_owned());
    }
    if status(world.invoke(prepared.function, clash.clone()).await.as_ref()) != 409 {
        report.broken.push("I9: the same key with another body was not refused".to_owned());
    }
    if let Err(stuck) = world.settle(LIMIT).await {
        report.broken.push(stuck);
    }
}

/// I14: everything that was ever delivered comes again, and nothing changes. The first time teams may clear grants whose
/// leads are through, which is bookkeeping; the second time not a byte may change.
async fn replay(world: &mut World, prepared: &Prepared, report: &mut Report) {
    for strictly in [false, true] {
        let before = world.items();
        let handed = world.wire.observed().handed.clone();
        ask_again(world, prepared, report).await;
        if let Err(stuck) = deliver_again(world).await {
            report.broken.push(format!("I14: {stuck}"));
        }
        let after = world.items();
        if world.wire.observed().handed != handed {
            report.broken.push("I14: delivering everything again tells somebody again".to_owned());
        }
        let (before, after) =
            if strictly { (before, after) } else { (without_grants(before), without_grants(after)) };
        let changed = after.iter().find(|item| !before.contains(item));
        if let Some(item) = changed.or_else(|| before.iter().find(|item| !after.contains(item))) {
            let (pk, sk) = (text(item, "pk"), text(item, "sk"));
            report.broken.push(format!("I14: delivering everything again changes {pk} {sk}"));
        }
    }
}

/// What people asked for is asked for once more, in an instance that has seen none of it.
async fn ask_again(world: &mut World, prepared: &Prepared, report: &mut Report) {
    let Event::Http(post) = &prepared.event else { return };
    // A visit that is made again is another visit.
    let is_wish = prepared.function == Name::Engage && is_post(&post.payload);
    if prepared.function != Name::Console && !is_wish {
        return;
    }
    world.forget(prepared.function, 0);
    let answer = world.invoke(prepared.function, post.payload.clone()).await;
    if !is_done(answer.as_ref()) && !is_raced(prepared) {
        report.broken.push(format!("I14: asking again is answered with {}", status(answer.as_ref())));
    }
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

fn without_grants(mut items: Vec<Value>) -> Vec<Value> {
    for item in items.iter_mut().filter(|item| text(item, "pk").starts_with("team#")) {
        if let Some(mut state) = document::<TeamState>(item, "d") {
            state.grants.clear();
            item["d"]["S"] = serde_json::to_string(&state).unwrap_or_default().into();
            item["v"] = Value::Null;
        }
    }
    items
}
