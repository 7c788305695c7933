//! The provider took a mail and then would not send it: a virus was in it, or its template could not be filled in. That
//! says nothing about the address, and the mail counts for no cap.

use crate::Told;
use crate::books::Books;
use sluice_domain::message::MessageState;

pub(crate) fn apply(told: &Told<'_>, books: &mut Books) {
    if let Some(message) = &mut books.message {
        // Once: what is told again finds it failed.
        if let (Some(gate), Some(claimed), false) =
            (&mut books.gate, message.claimed, message.state == MessageState::Failed)
        {
            gate.given_back(claimed);
        }
        message.was_rejected(told.time(None), told.event.kind.name());
    }
}
