//! The recipient's server took a mail: the message is settled, and soft bounces before it count no more.

use crate::Told;
use crate::books::Books;

pub(crate) fn apply(told: &Told<'_>, books: &mut Books) {
    if let (Some(gate), Some(at)) = (&mut books.gate, told.at) {
        gate.delivered(at);
    }
    if let Some(message) = &mut books.message {
        message.went_out(&told.event.mail);
        message.trail.deliver(told.time(None));
    }
}
