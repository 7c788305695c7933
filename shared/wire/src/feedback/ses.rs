//! SES's events, in both shapes: `eventType` (event publishing, by a configuration set) and `notificationType` (feedback
//! notifications of an identity). Rules from the developer guide, "Contents of event data that Amazon SES publishes to
//! Amazon SNS" and "Amazon SNS notification contents for Amazon SES": fields may be added at any time, recipients may be
//! one or several, order is not promised.

use crate::body::json::Node;
use sluice_domain::feedback::{Bounce, Complaint, Feedback, Kind, Subscription};
use sluice_domain::id::MessageId;
use sluice_domain::identity::Email;
use sluice_domain::time::Timestamp;

/// The tag that our messages carry their id in.
const MESSAGE_TAG: &str = "message";
/// The header that tags may travel in.
const TAGS_HEADER: &str = "X-SES-MESSAGE-TAGS";

/// Reads an event; none if it names no kind.
pub(super) fn event(event: &Node) -> Option<Feedback> {
    let word = event.get("eventType").text().or_else(|| event.get("notificationType").text())?;
    let mail = event.get("mail");
    let (kind, detail) = kind(word, event);
    let named = match &kind {
        Kind::Bounce(_) => addresses(detail.get("bouncedRecipients")),
        Kind::Complaint(_) => addresses(detail.get("complainedRecipients")),
        Kind::DeliveryDelay => addresses(detail.get("delayedRecipients")),
        Kind::Delivery => detail.get("recipients").items().iter().filter_map(Node::text).collect(),
        _ => mail.get("destination").items().iter().filter_map(Node::text).collect(),
    };
    let time = |node: &Node| node.get("timestamp").text().and_then(Timestamp::parse);
    Some(Feedback {
        message: message(mail),
        mail: mail.get("messageId").text().unwrap_or_default().to_owned(),
        event: detail.get("feedbackId").text().unwrap_or_default().to_owned(),
        kind,
        at: time(detail).or_else(|| time(mail)),
        recipients: emails(&named),
    })
}

/// The kind, and the part of the event that is about it.
fn kind<'a>(word: &str, event: &'a Node) -> (Kind, &'a Node) {
    match word {
        "Send" => (Kind::Send, event.get("send")),
        "Delivery" => (Kind::Delivery, event.get("delivery")),
        "DeliveryDelay" => (Kind::DeliveryDelay, event.get("deliveryDelay")),
        "Bounce" => (Kind::Bounce(bounce(event.get("bounce"))), event.get("bounce")),
        "Complaint" => (Kind::Complaint(complaint(event.get("complaint"))), event.get("complaint")),
        "Reject" => (Kind::Reject, event.get("reject")),
        // With a blank, and what it reports on under either name.
        "Rendering Failure" | "RenderingFailure" => (Kind::RenderingFailure, event.get("failure")),
        "Open" => (Kind::Open, event.get("open")),
        "Click" => (Kind::Click, event.get("click")),
        "Subscription" => {
            (Kind::Subscription(subscription(event.get("subscription"))), event.get("subscription"))
        }
        other => (Kind::Other(other.chars().take(40).collect()), &Node::Null),
    }
}

fn bounce(bounce: &Node) -> Bounce {
    match bounce.get("bounceType").text() {
        Some("Permanent") => Bounce::Permanent,
        Some("Transient") => Bounce::Transient,
        _ => Bounce::Undetermined,
    }
}

fn complaint(complaint: &Node) -> Complaint {
    match complaint.get("complaintFeedbackType").text() {
        Some("not-spam") => Complaint::NotSpam,
        _ => Complaint::Unwanted,
    }
}

fn subscription(subscription: &Node) -> Subscription {
    let wants = subscription.get("newTopicPreferences");
    // SES's examples write the list under this name, its table of fields under the other.
    let topics =
        ["topicSubscriptionStatus", "topicDefaultSubscriptionStatus"].map(|name| wants.get(name).items());
    let is_out = |topic: &&Node| topic.get("subscriptionStatus").text() == Some("OptOut");
    let named = topics.into_iter().flatten().filter(is_out).filter_map(|topic| topic.get("topicName").text());
    Subscription {
        everything: wants.get("unsubscribeAll").text() == Some("true"),
        topics: named.map(str::to_owned).collect(),
    }
}

/// The message of ours by its tag: beside the mail, or in the header among the headers that are given back.
fn message(mail: &Node) -> Option<MessageId> {
    let tagged = mail.at(&["tags", MESSAGE_TAG]).items().iter().filter_map(Node::text);
    let is_tags =
        |header: &&Node| header.get("name").text().is_some_and(|name| name.eq_ignore_ascii_case(TAGS_HEADER));
    let headers = mail.get("headers").items().iter().filter(is_tags);
    let in_headers =
        headers.filter_map(|header| header.get("value").text()).flat_map(|value| value.split(','));
    let in_headers =
        in_headers.filter_map(|tag| tag.split_once('=')).filter(|(name, _)| name.trim() == MESSAGE_TAG);
    tagged.chain(in_headers.map(|(_, value)| value)).find_map(|id| MessageId::parse(id.trim()))
}

fn addresses(recipients: &Node) -> Vec<&str> {
    recipients.items().iter().filter_map(|one| one.get("emailAddress").text()).collect()
}

/// Each address once; with or without a name before it.
fn emails(named: &[&str]) -> Vec<Email> {
    let mut emails: Vec<Email> = Vec::new();
    for text in named {
        let bare =
            text.rsplit_once('<').map_or(*text, |(_, rest)| rest.split('>').next().unwrap_or_default());
        if let Ok(email) = Email::of_any_domain(bare)
            && emails.iter().all(|known| known.match_key() != email.match_key())
        {
            emails.push(email);
        }
    }
    emails
}
