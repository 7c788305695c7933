//! Feedback of mail providers as it arrives: SES's events, bare or in the envelopes that SNS and EventBridge put around
//! them, and our own short form of them.

mod ses;
#[cfg(test)]
mod tests;

use crate::body::json::{self, Node};
use crate::queue::FeedbackMessage;
use sluice_domain::feedback::Feedback;
use sluice_domain::time::Timestamp;

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// An event about a mail.
    Event(Feedback),
    /// No event, and nothing is wrong: what SES and SNS say to see whether somebody is there. What it is, in words.
    Nothing(&'static str),
}

/// Why a body cannot be read; no personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// It names no kind of event.
    #[error("no event of a mail provider")]
    NotAnEvent,
}

/// What SES publishes to a topic that becomes the destination of its events.
/// (Amazon SES developer guide, "Set up an Amazon SNS event destination".)
const VALIDATION: &str = "Successfully validated SNS topic";

/// Reads a message of the feedback queue: our own form, an event of EventBridge's, a message of SNS's, or the bare event
/// that SNS delivers where its envelope is turned off. Who may put messages there is the queue's policy, so no signature
/// is looked at.
pub fn read(body: &str) -> Result<Read, Unreadable> {
    if let Ok(FeedbackMessage::Event(feedback)) = serde_json::from_str(body) {
        return Ok(Read::Event(feedback));
    }
    let node = match object(body) {
        Err(_) if body.trim_start().starts_with(VALIDATION) => {
            return Ok(Read::Nothing("a topic was validated"));
        }
        node => node?,
    };
    if node.get("detail-type").text().is_some() {
        let feedback = ses::event(node.get("detail")).ok_or(Unreadable::NotAnEvent)?;
        return Ok(Read::Event(dated(feedback, node.get("time"))));
    }
    match (node.get("Type").text(), node.get("Message").text()) {
        (Some("Notification"), Some(message)) => {
            let read = bare(message)?;
            Ok(match read {
                Read::Event(feedback) => Read::Event(dated(feedback, node.get("Timestamp"))),
                nothing => nothing,
            })
        }
        // SNS asks a queue for no confirmation unless its owner subscribed it from another account.
        (Some(_), Some(_)) => Ok(Read::Nothing("a message about a subscription")),
        _ => ses::event(&node).map(Read::Event).ok_or(Unreadable::NotAnEvent),
    }
}

/// Reads what a notification of SNS's carries, or the body of one without an envelope.
pub fn bare(message: &str) -> Result<Read, Unreadable> {
    match object(message) {
        Err(_) if message.trim_start().starts_with(VALIDATION) => Ok(Read::Nothing("a topic was validated")),
        node => ses::event(&node?).map(Read::Event).ok_or(Unreadable::NotAnEvent),
    }
}

fn object(text: &str) -> Result<Node, Unreadable> {
    match json::read(text) {
        Ok((node @ Node::Object(_), _)) => Ok(node),
        _ => Err(Unreadable::NotJson),
    }
}

/// The same event; where it does not say when it happened, the envelope's time.
fn dated(feedback: Feedback, time: &Node) -> Feedback {
    let at = feedback.at.or_else(|| time.text().and_then(Timestamp::parse));
    Feedback { at, ..feedback }
}
