//! A mail came back. One that says that the address is dead suppresses it at once, the others when there are too many.

use crate::Told;
use crate::books::Books;
use sluice_domain::feedback::Bounce;
use sluice_domain::gate::{How, Said, SuppressedBy};
use sluice_domain::message;

pub(crate) fn apply(told: &Told<'_>, bounce: Bounce, books: &mut Books) {
    match (&mut books.gate, bounce.is_hard()) {
        (None, _) => {}
        (Some(gate), true) => {
            let at = told.time(gate.suppressed.get(&SuppressedBy::HardBounce).copied());
            books.say(told.proof(Said::Suppressed(SuppressedBy::HardBounce), How::Provider, at));
        }
        (Some(gate), false) => {
            let why = SuppressedBy::SoftBounces;
            let before = gate.suppressed.get(&why).copied();
            gate.soft_bounce(told.time(None), &told.event.key(), told.limit);
            if let Some(at) = gate.suppressed.get(&why).copied().filter(|at| Some(*at) != before) {
                books.proofs.push(told.proof(Said::Suppressed(why), How::Provider, at));
            }
        }
    }
    if let Some(message) = &mut books.message {
        let why = if bounce.is_hard() { message::Bounce::Hard } else { message::Bounce::Soft };
        message.went_out(&told.event.mail);
        message.trail.bounce(told.time(None), why);
    }
}
