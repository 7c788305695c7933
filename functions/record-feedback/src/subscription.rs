//! A recipient left a list that the provider keeps: what they want no more is not sent by us either. That they want
//! something is no consent, which needs its wording and proof.

use crate::Told;
use crate::books::Books;
use sluice_domain::feedback::Subscription;
use sluice_domain::gate::{EVERY_TOPIC, How, Said, Wish};

pub(crate) fn apply(told: &Told<'_>, subscription: &Subscription, books: &mut Books) {
    let everything = subscription.everything.then_some(EVERY_TOPIC);
    for topic in subscription.topics.iter().map(String::as_str).chain(everything) {
        let held = books.gate.as_ref().and_then(|gate| gate.says.get(topic)?.no);
        let said = Said::Wish { topic: topic.to_owned(), wish: Wish::No };
        books.say(told.proof(said, How::Provider, told.time(held)));
    }
    if let Some(message) = &mut books.message {
        message.went_out(&told.event.mail);
    }
}
