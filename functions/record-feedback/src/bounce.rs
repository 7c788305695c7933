//! A mail came back. One that says that the address is dead suppresses it at once, the others when there are too many.

use crate::Told;
use crate::books::Books;
use sluice_domain::feedback::Bounce;
use sluice_domain::gate::SuppressedBy;
use sluice_domain::message;

pub(crate) fn apply(told: &Told<'_>, bounce: Bounce, books: &mut Books) {
    if let Some(gate) = &mut books.gate {
        if bounce.is_hard() {
            gate.suppress(SuppressedBy::HardBounce, told.at);
        } else {
            gate.soft_bounce(told.at, &told.event.key(), told.limit);
        }
    }
    if let Some(message) = &mut books.message {
        message.went_out(&told.event.mail);
        message
            .trail
            .bounce(told.at, if bounce.is_hard() { message::Bounce::Hard } else { message::Bounce::Soft });
    }
}
