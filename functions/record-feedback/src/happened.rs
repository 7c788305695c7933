//! What policies are told of a mail that something came back of: once for each thing, however often the provider says it.

use crate::Told;
use serde_json::{Value, json};
use sluice_domain::event::{Happened, Teller};
use sluice_domain::feedback::{Complaint, Kind};
use sluice_domain::message::{Message, MessageState};

/// What this event tells of the message, as it is after the event was taken down.
pub(crate) fn of(told: &Told<'_>, message: &Message) -> Vec<Happened> {
    let teller = Teller { function: "record-feedback", now: told.now };
    let tell = |name: &str, of: &str, at, more: Value| teller.message(message, name, of, at, more);
    let trail = &message.trail;
    let sent = (message.state == MessageState::Sent && message.unknown > 0)
        .then(|| tell("message_sent", "", message.claimed.unwrap_or(told.now), Value::Null));
    let came_back = match &told.event.kind {
        Kind::Delivery => trail.delivered.map(|at| tell("message_delivered", "", at, Value::Null)),
        Kind::Bounce(bounce) => {
            let kind = if bounce.is_hard() { "hard" } else { "soft" };
            Some(tell("message_bounced", kind, told.time(None), json!({"kind": kind})))
        }
        Kind::Complaint(Complaint::NotSpam) => None,
        Kind::Complaint(_) => trail.complained.map(|at| tell("message_complained", "", at, Value::Null)),
        _ => None,
    };
    sent.into_iter().chain(came_back).flatten().collect()
}
