//! What holds of campaigns, whatever fails: one person gets one message, also who was two when it began (I3), nothing is
//! claimed once a part of a broadcast was told not to (I4), everybody of an audience that was gone through has a message
//! (I11), counters are what the messages say (I12), and a winner stays the winner and is what everybody gets (I14).

use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::calendar::Zone;
use sluice_domain::campaign::{Broadcast, BroadcastState, Planner, SECTIONS, Section, Share, names};
use sluice_domain::customer::Customer;
use sluice_domain::message::{Message, MessageState};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen of broadcasts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Records that gave way, and to whom.
    joined: BTreeMap<String, String>,
    /// Whose messages of each broadcast were claimed.
    claimed: BTreeMap<String, BTreeSet<String>>,
    /// The winner of each broadcast that has one.
    winners: BTreeMap<(String, String), u8>,
}

impl Seen {
    fn root<'a>(&'a self, mut id: &'a str) -> &'a str {
        while let Some(into) = self.joined.get(id) {
            id = into;
        }
        id
    }
}

/// A record is written: a customer may have given way, a broadcast may have a winner.
pub(crate) fn put(item: &Value, seen: &mut Seen, broken: &mut Vec<String>) {
    let (pk, sk) = (text(item, "pk"), text(item, "sk"));
    if sk == "c"
        && let Some(customer) = document::<Customer>(item, "d")
    {
        match customer.into {
            Some(into) => seen.joined.insert(pk.to_owned(), into.to_string()),
            None => seen.joined.remove(pk),
        };
    }
    if sk.starts_with("b#")
        && let Some(chosen) = document::<Broadcast>(item, "d").and_then(|broadcast| broadcast.winner)
    {
        let known = seen.winners.entry((pk.to_owned(), sk.to_owned())).or_insert(chosen.variant);
        if *known != chosen.variant {
            broken.push(format!("I14: the winner of {pk} was {known} and is {} now", chosen.variant));
        }
    }
}

/// A part of a broadcast is told whether its messages may be claimed.
pub(crate) fn hear(update: &Value, tallies: &mut BTreeMap<String, bool>) {
    let (pk, word) = (text(&update["Key"], "pk"), text(&update["ExpressionAttributeValues"], ":s"));
    if pk.starts_with("tally#") && !word.is_empty() {
        tallies.insert(pk.to_owned(), word == "y");
    }
}

/// A commit as it happens: a claim is counted in it, by a part that lets it be.
pub(crate) fn see(
    actions: &[Value],
    tallies: &BTreeMap<String, bool>,
    seen: &mut Seen,
    broken: &mut Vec<String>,
) {
    let counted: Vec<&str> = actions.iter().map(|action| text(&action["Update"]["Key"], "pk")).collect();
    for message in actions.iter().filter_map(|action| message(&action["Put"]["Item"])) {
        let Some(of) = &message.order.campaign else { continue };
        let broadcast = format!("{}#{}", message.order.cause.name, of.broadcast);
        let customer = message.order.customer.as_str();
        match message.state {
            MessageState::Claimed => {}
            MessageState::Sent | MessageState::Unknown => continue,
            // The claim was given back: it did not go out, and another record's may.
            _ => {
                seen.claimed.entry(broadcast).or_default().remove(customer);
                continue;
            }
        }
        let id = message.id();
        let tally = format!("tally#{}#{}#{}", message.order.cause.name, of.broadcast, of.shard(&id));
        if !counted.contains(&tally.as_str()) {
            broken.push(format!("I12: {id} was claimed and is not counted"));
        }
        if tallies.get(&tally) == Some(&false) {
            broken.push(format!("I4: {id} was claimed after its campaign was held back"));
        }
        let before = seen.claimed.get(&broadcast).into_iter().flatten();
        if before.clone().any(|other| other != customer && seen.root(other) == seen.root(customer)) {
            broken.push(format!("I3: {id} is for somebody who has got it by another record"));
        }
        seen.claimed.entry(broadcast).or_default().insert(customer.to_owned());
    }
}

/// Everything that does not hold once all is at rest.
pub(crate) fn check(items: &[Value], broken: &mut Vec<String>) {
    let mut counted: BTreeMap<(String, String), i64> = BTreeMap::new();
    for item in items.iter().filter(|item| text(item, "pk").starts_with("tally#")) {
        let broadcast = text(item, "pk").rsplit_once('#').map_or("", |(broadcast, _)| broadcast);
        for (name, n) in item.as_object().into_iter().flatten() {
            let n = n["N"].as_str().and_then(|n| n.parse::<i64>().ok()).unwrap_or_default();
            if let Some(name) = name.strip_prefix('#').filter(|_| n != 0) {
                *counted.entry((broadcast.to_owned(), name.to_owned())).or_default() += n;
            }
        }
    }
    counted.retain(|_, n| *n != 0);
    let messages: Vec<Message> = items.iter().filter_map(message).collect();
    let mut ledger: BTreeMap<(String, String), i64> = BTreeMap::new();
    for message in &messages {
        let Some(of) = &message.order.campaign else { continue };
        let broadcast = format!("tally#{}#{}", message.order.cause.name, of.broadcast);
        for name in names(message) {
            *ledger.entry((broadcast.clone(), name)).or_default() += 1;
        }
    }
    // Of who was erased nothing is left but that they were counted.
    let is_erased = items.iter().any(|item| text(item, "sk") == "c" && item.get("x").is_some());
    let is_equal = |name: &(String, String), n: i64| {
        let kept = ledger.get(name).copied().unwrap_or_default();
        n == kept || (is_erased && n > kept)
    };
    let all: BTreeSet<&(String, String)> = counted.keys().chain(ledger.keys()).collect();
    for name in all {
        let n = counted.get(name).copied().unwrap_or_default();
        if !is_equal(name, n) {
            let kept = ledger.get(name).copied().unwrap_or_default();
            broken.push(format!("I12: {} counts {n} {}, its messages are {kept}", name.0, name.1));
        }
    }
    for item in items.iter().filter(|item| text(item, "sk").starts_with("b#")) {
        let Some(broadcast) = document::<Broadcast>(item, "d") else { continue };
        everybody(text(item, "pk"), text(item, "sk"), &broadcast, items, &messages, broken);
        winners(text(item, "pk"), text(item, "sk"), broadcast, &messages, broken);
    }
}

/// Of a broadcast that goes out or has gone out, with its audience gone through, everybody has a message: here all who have
/// an address are in it.
fn everybody(
    pk: &str,
    sk: &str,
    broadcast: &Broadcast,
    items: &[Value],
    messages: &[Message],
    broken: &mut Vec<String>,
) {
    let sections = format!("s#{}#", sk.trim_start_matches("b#"));
    let done = items.iter().filter(|item| text(item, "pk") == pk && text(item, "sk").starts_with(&sections));
    let done = done.filter_map(|item| document::<Section>(item, "d")).filter(|section| section.done).count();
    let goes_out = matches!(broadcast.state, BroadcastState::Running | BroadcastState::Done);
    if done < usize::from(SECTIONS) || !goes_out {
        return;
    }
    let people = items.iter().filter(|item| text(item, "sk") == "c" && text(item, "pk").starts_with("cu_"));
    for person in people.filter(|item| item.get("x").is_none()) {
        let id = text(person, "pk");
        let theirs =
            |message: &&Message| message.order.customer.as_str() == id && message.order.campaign.is_some();
        if !messages.iter().any(|message| theirs(&message)) {
            broken.push(format!("I11: {id} is of the audience of {pk} and has no message"));
        }
    }
}

/// Who was not in the test of a broadcast got the variant that won.
fn winners(pk: &str, sk: &str, mut broadcast: Broadcast, messages: &[Message], broken: &mut Vec<String>) {
    let name = pk.trim_start_matches("campaign#");
    broadcast.n = sk.trim_start_matches("b#").parse().unwrap_or_default();
    let Some(planner) = Planner::new(&broadcast, None, 0) else { return };
    let of = |message: &&Message| {
        let of = message.order.campaign.as_ref().map(|of| of.broadcast);
        message.order.cause.name == name && of == Some(broadcast.n)
    };
    for message in messages.iter().filter(of).filter(|message| message.state != MessageState::Skipped) {
        let place = planner.place(&mut Section::default(), &message.order.customer, &Zone::utc());
        let got = message.order.campaign.as_ref().and_then(|of| of.variant);
        let won = broadcast.winner.map(|chosen| chosen.variant);
        if place.share == Share::Winner && got != won {
            broken.push(format!("I14: {} is variant {got:?}, and the winner is {won:?}", message.id()));
        }
    }
}

fn message(item: &Value) -> Option<Message> {
    (text(item, "pk").starts_with("cu_") && text(item, "sk").starts_with("m#"))
        .then(|| document(item, "d"))?
}
