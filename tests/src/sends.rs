//! What holds of messages to customers, whatever fails: I3, I4, and that gates count what was claimed (I12).

use crate::observe::Observed;
use crate::scenarios::NOTED;
use crate::wire::{document, text};
use serde_json::Value;
use sluice_domain::gate::{Gate, Wish};
use sluice_domain::id::MessageId;
use sluice_domain::message::{CauseKind, Message, MessageState, OnUnknown};
use sluice_domain::policy::Topic;
use sluice_domain::time::Timestamp;
use std::collections::BTreeMap;

/// The message in an item, if it is one.
fn message(item: &Value) -> Option<Message> {
    (text(item, "pk").starts_with("cu_") && text(item, "sk").starts_with("m#"))
        .then(|| document(item, "d"))?
}

/// A commit as it happens. A claim is one with the gate of the address, the gate lets the message pass, and its person was
/// not told before that nothing would be sent any more (I4).
pub fn see(actions: &[Value], refused: bool, broken: &mut Vec<String>) {
    let puts: Vec<&Value> = actions.iter().map(|action| &action["Put"]["Item"]).collect();
    let claims = puts.iter().filter_map(|item| message(item)).filter(|m| m.state == MessageState::Claimed);
    let gates: Vec<(&str, Gate)> =
        puts.iter().filter_map(|item| Some((text(item, "pk"), document(item, "d")?))).collect();
    for claim in claims {
        let id = claim.id();
        let address = claim.address.as_ref().map(|hash| hash.as_str().to_owned()).unwrap_or_default();
        let pk = format!("gate#{}#{address}", claim.order.channel.name());
        let Some((_, gate)) = gates.iter().find(|(name, _)| *name == pk) else {
            broken.push(format!("I4: {id} was claimed without the gate of its address"));
            continue;
        };
        let is_service = claim.order.topic == Topic::SERVICE;
        let said_no = gate.wish(&claim.order.topic).is_some_and(|(wish, _)| wish == Wish::No);
        if gate.suppression().is_some() || gate.erased.is_some() || (said_no && !is_service) {
            broken.push(format!("I4: {id} was claimed though its address wants nothing"));
        }
        if refused {
            broken.push(format!(
                "I4: {id} was claimed after its person was told that nothing is sent any more"
            ));
        }
    }
}

/// I4: what went to a person over all channels, in the scenario that allows one message within a time.
pub fn overall(name: &str, items: &[Value], broken: &mut Vec<String>) {
    const WITHIN_MS: i64 = 600_000;
    if name != "message-capped-overall" {
        return;
    }
    let gates = items.iter().filter(|item| text(item, "pk").starts_with("gate#"));
    let mut sent: Vec<Timestamp> =
        gates.filter_map(|item| document::<Gate>(item, "d")).flat_map(|gate| gate.recent).collect();
    sent.sort_unstable();
    if sent.windows(2).any(|two| two[1].since(two[0]) < WITHIN_MS) {
        broken.push(format!("I4: more went out than may within a time: {sent:?}"));
    }
}

/// Everything that does not hold once all is at rest.
pub fn check(items: &[Value], observed: &Observed, broken: &mut Vec<String>) {
    let messages: Vec<Message> = items.iter().filter_map(message).collect();
    let mut claimed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for message in &messages {
        let id = message.id().to_string();
        let handed =
            observed.handed.iter().filter(|((_, name), _)| *name == id).map(|(_, n)| *n).sum::<u32>();
        let resends = message.order.unknown == Some(OnUnknown::Resend);
        let held = message.state == MessageState::Unknown && message.until.is_none();
        // Whoever was not told that their trial, or their message without a key, was stored asks for another one: that is counted with
        // what they asked for.
        let is_asked_anew = message.order.cause.kind == CauseKind::Test || message.order.template == NOTED;
        let is_another = is_asked_anew && message.state == MessageState::Ready;
        if !message.state.is_final() && !held && !is_another {
            broken.push(format!("I11: {id} stays {:?}", message.state));
        }
        let most = if resends { 1 + message.unknown } else { 1 };
        if handed > most {
            broken.push(format!(
                "I3: {id} was handed over {handed} times, {} of them unknown",
                message.unknown
            ));
        }
        if message.state == MessageState::Sent && handed == 0 {
            broken.push(format!("I3: {id} is called sent and was not handed over"));
        }
        if matches!(message.state, MessageState::Skipped | MessageState::Ready) && handed > 0 {
            broken.push(format!("I3: {id} is called {:?} and was handed over", message.state));
        }
        if message.state == MessageState::Failed && handed > message.unknown {
            broken.push(format!("I3: {id} is called failed and was handed over {handed} times"));
        }
        // Trials count for no cap, nor does what a person asked for; the question whether they want it does.
        let is_counted = match message.order.cause.kind {
            CauseKind::Test => false,
            CauseKind::Confirmation => true,
            CauseKind::Api | CauseKind::Journey | CauseKind::Campaign => {
                message.order.topic != Topic::SERVICE
            }
        };
        if let Some(hash) = message.address.as_ref().filter(|_| is_counted) {
            let counts = matches!(message.state, MessageState::Sent | MessageState::Unknown);
            let pk = format!("gate#{}#{}", message.order.channel.name(), hash.as_str());
            let (least, most) = claimed.entry(pk).or_default();
            *least += usize::from(counts);
            *most += if resends { message.attempts as usize } else { usize::from(counts) };
        }
    }
    for item in items.iter().filter(|item| text(item, "pk").starts_with("gate#")) {
        let (pk, gate) = (text(item, "pk"), document::<Gate>(item, "d").unwrap_or_default());
        let (least, most) = claimed.get(pk).copied().unwrap_or_default();
        if gate.erased.is_none() && !(least..=most).contains(&gate.recent.len()) {
            let counted = gate.recent.len();
            broken.push(format!("I12: {pk} counts {counted} claims, its messages had {least} to {most}"));
        }
    }
    for ((channel, id), n) in observed.handed.iter().filter(|((_, id), _)| id.starts_with("ms_")) {
        // Of somebody who was erased nothing is kept, messages neither.
        let customer = MessageId::parse(id).map(|id| id.customer());
        let is_erased = items.iter().any(|item| {
            let is_theirs = customer.as_ref().is_some_and(|customer| text(item, "pk") == customer.as_str());
            is_theirs && text(item, "sk") == "c" && item.get("x").is_some()
        });
        if is_erased && *n > 1 {
            broken
                .push(format!("I3: {id} was handed over {n} times by {channel} to somebody who was erased"));
        }
        if !is_erased && !messages.iter().any(|message| message.id().as_str() == id) {
            broken.push(format!("I3: {id} was handed over by {channel} and there is no such message"));
        }
    }
}
