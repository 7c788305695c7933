//! What holds of what people asked for, whatever fails: what was answered as done is there, and is there once.

use crate::events::http_event;
use crate::play::{Play, status};
use crate::scenarios::REP_TOKEN;
use crate::wire::{Headers, document, text};
use crate::world::{Name, World};
use serde_json::Value;
use sluice_domain::customer::Customer;
use sluice_domain::event::Entry;
use sluice_domain::lead::{Progress, Work};
use sluice_domain::message::{CauseKind, Message, MessageState};
use std::collections::BTreeMap;

/// Looks at what the scenario asked for.
pub(crate) async fn check(play: &mut Play<'_>) {
    let rows = play.world.rows();
    if play.prepared.function != Name::Record {
        told(&rows, &mut play.broken);
    }
    let (visits, broken) = (play.world.visits, &mut play.broken);
    match play.prepared.name.as_str() {
        "console-accept" => act(&rows, "accept", broken),
        "console-close" => act(&rows, "close", broken),
        "console-credit" => act(&rows, "credit", broken),
        "console-reassign" => act(&rows, "reassign", broken),
        "console-claim" | "console-claim-queued" => act(&rows, "claim", broken),
        "console-disqualify" => {
            act(&rows, "disqualify", broken);
            let works = rows.iter().filter_map(|item| document::<Progress>(item, "d"));
            let over = works.filter(|progress| progress.work == Work::Disqualified).count();
            once(over, "a lead that was none", broken);
        }
        "console-qualify" => {
            let said = entries(&rows).filter(|(_, entry)| entry.event.name == "lead_qualified").count();
            once(said, "what is settled", broken);
            let settled = rows.iter().filter(|item| text(item, "sk") == "s");
            let known = settled.filter(|item| text(item, "d").contains("a crane")).count();
            once(known, "the need of a person", broken);
        }
        "console-message" => {
            let asked: Vec<Message> = messages(&rows, CauseKind::Api).collect();
            once(asked.len(), "a message", broken);
            // A second fault may strike while it is handed over.
            let is_done = |message: &&Message| {
                message.state == MessageState::Sent
                    || (message.state == MessageState::Unknown && play.plan.second.is_some())
            };
            for message in asked.iter().filter(|message| !is_done(message)) {
                broken.push(format!("I11: {} was asked for and is {:?}", message.id(), message.state));
            }
        }
        "console-message-new" | "console-test-send" => {
            let (made, answered) = (visits.made as usize, visits.answered as usize);
            let is_trial = play.prepared.name == "console-test-send";
            let kind = if is_trial { CauseKind::Test } else { CauseKind::Api };
            let trials: Vec<Message> = messages(&rows, kind).collect();
            // Whether one whose answer was lost went out is not asked here: a trial's tester looks, and sends another.
            let may_be_sent =
                |trial: &&Message| matches!(trial.state, MessageState::Sent | MessageState::Unknown);
            let sent = trials.iter().filter(may_be_sent).count();
            if sent < answered || trials.len() > made {
                let n = trials.len();
                broken.push(format!(
                    "I11: of {made} messages {answered} were granted, {n} are there, {sent} sent"
                ));
            }
        }
        "console-test-send-once" => {
            let trials: Vec<Message> = messages(&rows, CauseKind::Test).collect();
            once(trials.len(), "a trial", broken);
            let went = |trial: &&Message| matches!(trial.state, MessageState::Sent | MessageState::Unknown);
            for trial in trials.iter().filter(|trial| !went(trial)) {
                broken.push(format!("I11: {} was asked for and is {:?}", trial.id(), trial.state));
            }
        }
        "console-token-once" => {
            let n = rows.iter().filter(|item| text(item, "pk") == "token").count();
            once(n, "a token", broken);
        }
        "console-token-new" => {
            let (made, answered) = (visits.made as usize, visits.answered as usize);
            let n = rows.iter().filter(|item| text(item, "pk") == "token").count();
            if !(answered..=made).contains(&n) {
                broken.push(format!("I11: {made} tokens were asked for, {answered} granted, {n} are there"));
            }
        }
        "console-token" => refused(play).await,
        "console-publish" => published(play, &rows),
        "webhook-enable" => {
            let gone = |item: &&Value| text(item, "d").contains("\"g\"");
            let receivers = rows.iter().filter(|item| text(item, "pk").starts_with("ep_"));
            if receivers.filter(gone).count() > 0 {
                broken.push("I11: a receiver was turned on again and is not".to_owned());
            }
        }
        "webhook-redeliver" => {
            let observed = play.world.ground.observed();
            let handed = observed.handed.iter().filter(|((_, id), _)| id.contains("-care-"));
            let handed: u32 = handed.map(|(_, n)| *n).sum();
            if visits.answered > 0 && handed < 2 {
                play.broken.push("I11: a delivery was asked for again and was not made".to_owned());
            }
        }
        _ => {}
    }
}

/// What was done is there once.
fn once(n: usize, what: &str, broken: &mut Vec<String>) {
    match n {
        1 => {}
        0 => broken.push(format!("I11: {what} was answered as done and is not there")),
        n => broken.push(format!("I14: {what} was asked for once and is there {n} times")),
    }
}

/// An act on a lead is among what people did with it.
fn act(rows: &[Value], what: &str, broken: &mut Vec<String>) {
    let leads = rows.iter().filter(|item| text(item, "sk") == "l");
    let acts = leads.filter_map(|item| document::<Progress>(item, "d")).flat_map(|progress| progress.acts);
    once(acts.filter(|act| act.what == what).count(), what, broken);
}

fn entries(rows: &[Value]) -> impl Iterator<Item = (&str, Entry)> {
    let of_customers = rows.iter().filter(|item| text(item, "pk").starts_with("cu_"));
    let entries = of_customers.filter(|item| text(item, "sk").starts_with("e#"));
    entries.filter_map(|item| Some((text(item, "pk"), document(item, "d")?)))
}

fn messages(rows: &[Value], kind: CauseKind) -> impl Iterator<Item = Message> {
    let of_customers = rows.iter().filter(|item| text(item, "pk").starts_with("cu_"));
    let messages = of_customers.filter(|item| text(item, "sk").starts_with("m#"));
    let messages = messages.filter_map(|item| document::<Message>(item, "d"));
    messages.filter(move |message| message.order.cause.kind == kind)
}

/// That a message went out is told, whoever found that out, and once.
fn told(rows: &[Value], broken: &mut Vec<String>) {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for (_, entry) in entries(rows).filter(|(_, entry)| entry.event.name == "message_sent") {
        let message = entry.event.properties.reveal().get("message").and_then(Value::as_str);
        *told.entry(message.unwrap_or_default().to_owned()).or_default() += 1;
    }
    let kinds = [CauseKind::Api, CauseKind::Journey, CauseKind::Campaign, CauseKind::Confirmation];
    for message in kinds.into_iter().flat_map(|kind| messages(rows, kind)) {
        let n = told.get(message.id().as_str()).copied().unwrap_or(0);
        if message.state == MessageState::Sent && n != 1 {
            broken.push(format!("I12: {} is sent, and told of {n} times", message.id()));
        }
    }
}

/// Who has a token that was revoked is refused.
async fn refused(play: &mut Play<'_>) {
    let Play { world, broken, .. } = play;
    let answer = ask_as_rep(world).await;
    if answer != 401 {
        broken.push(format!("I11: whoever has a token that was revoked is answered with {answer}"));
    }
}

async fn ask_as_rep(world: &mut World) -> u64 {
    let headers = Headers::from([("authorization".to_owned(), format!("Bearer {REP_TOKEN}"))]);
    let health = http_event("GET", "/api/health", &headers, "");
    status(world.invoke(Name::Console, health).await.as_ref())
}

/// Two publications are two versions, the second of which has what the first says; everybody is looked at.
fn published(play: &mut Play<'_>, rows: &[Value]) {
    let broken = &mut play.broken;
    let before = play.prepared.snapshot.items.keys().filter(|(pk, _)| pk == "manifest").count();
    let versions: Vec<&Value> = rows.iter().filter(|item| text(item, "pk") == "manifest").collect();
    if versions.len() != before + 2 {
        broken.push(format!("I14: two publications made {} versions", versions.len() - before));
    }
    let newest = versions.last().map(|item| text(item, "d")).unwrap_or_default();
    for name in ["reachable", "met", "more"] {
        if !newest.contains(&format!("\"name\":\"{name}\"")) {
            broken.push(format!("I11: {name} was published and is not in force"));
        }
    }
    let records = rows.iter().filter(|item| text(item, "sk") == "c" && item.get("x").is_none());
    let live = records.filter(|item| {
        let record = document::<Customer>(item, "d");
        record.is_some_and(|record| record.into.is_none() && record.facts.contains_key("email"))
    });
    for customer in live.map(|item| text(item, "pk")) {
        let of = |sk: &str| rows.iter().find(|item| text(item, "pk") == customer && text(item, "sk") == sk);
        if !of("s").is_some_and(|state| text(state, "d").contains("\"reachable\"")) || of("r#met").is_none() {
            broken.push(format!("I11: {customer} was not looked at after policies were published"));
        }
    }
}
