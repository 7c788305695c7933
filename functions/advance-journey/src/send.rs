//! What leaves after a commit, and again when a delivery comes again: messages, notices, what is due.

use sluice_domain::advance::{Taken, Wake};
use sluice_domain::event::Outgo;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_wire::queue::{EventMessage, OrderMessage, TellMessage, encode};

/// Everything that a decision sends.
pub(crate) fn outgoing(taken: &Taken) -> Vec<Outgoing> {
    let sends = taken.sends.iter().map(send);
    sends.chain(taken.wakes.iter().map(wake)).collect()
}

fn send(outgo: &Outgo) -> Outgoing {
    match outgo {
        Outgo::Message(order) => Outgoing {
            queue: QueueName::Message,
            id: order.id().to_string(),
            not_before: order.at,
            body: encode(&OrderMessage::new((**order).clone())),
        },
        Outgo::Tell(tell) => Outgoing {
            queue: QueueName::Notice,
            id: tell.id(),
            not_before: tell.at,
            body: encode(&TellMessage::Tell(tell.clone())),
        },
        Outgo::Heard(heard) => Outgoing {
            queue: QueueName::Notice,
            id: heard.id(),
            not_before: heard.at,
            body: encode(&TellMessage::Heard(heard.clone())),
        },
        Outgo::Webhook(call) => Outgoing {
            queue: QueueName::Notice,
            id: call.id(),
            not_before: call.at,
            body: encode(&TellMessage::Call(call.clone())),
        },
    }
}

fn wake(wake: &Wake) -> Outgoing {
    Outgoing {
        queue: QueueName::Event,
        id: wake.id(),
        not_before: wake.at,
        body: encode(&EventMessage::Due(wake.clone())),
    }
}
