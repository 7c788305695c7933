//! The part of the permissions' workload that dead letters are: what nobody could take of somebody who is erased, with others
//! and without.

use crate::stack::Recorded;
use serde_json::Map;
use sluice::host::spec::named;
use sluice_domain::event::{Event, EventKind, Happened, Ids, Who};
use sluice_domain::feedback::{Bounce, Feedback, Kind};
use sluice_domain::id::EventId;
use sluice_domain::identity::Email;
use sluice_domain::pii::Pii;
use sluice_host::environment::Clock;
use sluice_services::sqs::OutgoingMessage;
use sluice_wire::queue::{EventMessage, FeedbackMessage, encode};

/// Letters about this address and another one, and one about that alone.
pub(crate) fn about(it: &Recorded, email: &str) {
    let other = "zoe@example.org";
    let events = |all: &[&str]| {
        encode(&EventMessage::Events(all.iter().map(|email| identify(it, email)).collect::<Vec<_>>()))
    };
    let recipients = [email, other].map(|to| Email::parse(to).unwrap()).to_vec();
    let bounce = Feedback {
        message: None,
        mail: "mail-3".to_owned(),
        event: "bounce-3".to_owned(),
        kind: Kind::Bounce(Bounce::Permanent),
        at: Some(it.stack.clock.now()),
        recipients,
    };
    for (queue, body) in [
        ("EventDeadLetters", events(&[email, other])),
        ("EventDeadLetters", events(&[other])),
        ("FeedbackDeadLetters", encode(&FeedbackMessage::Event(bounce))),
    ] {
        it.stack.sqs.send(&named(queue), OutgoingMessage::new(body)).unwrap();
    }
}

fn identify(it: &Recorded, email: &str) -> Happened {
    let at = it.stack.clock.now();
    let user = Pii::new(email.replace('@', "-"));
    Happened {
        who: Who::Ids(Ids { user: Some(user), ..Ids::default() }),
        event: Event {
            id: EventId::derived(&["dead", email]),
            kind: EventKind::Identify,
            name: String::new(),
            source: "site".to_owned(),
            at,
            received: at,
            properties: Pii::default(),
            traits: Pii::new(Map::from_iter([("email".to_owned(), email.into())])),
            context: Pii::default(),
        },
    }
}
