//! A recipient left a list that the provider keeps: what they want no more is not sent by us either. That they want
//! something is no consent, which needs its wording and proof.

use crate::Told;
use crate::books::Books;
use sluice_domain::feedback::Subscription;
use sluice_domain::gate::{EVERY_TOPIC, Wish};

pub(crate) fn apply(told: &Told<'_>, subscription: &Subscription, books: &mut Books) {
    if let Some(gate) = &mut books.gate {
        for topic in &subscription.topics {
            gate.say(topic, Wish::No, told.at);
        }
        if subscription.everything {
            gate.say(EVERY_TOPIC, Wish::No, told.at);
        }
    }
    if let Some(message) = &mut books.message {
        message.went_out(&told.event.mail);
    }
}
