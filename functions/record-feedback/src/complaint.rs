//! A recipient said something of a mail: that it is spam, and nothing more is sent there; or that it is none.

use crate::Told;
use crate::books::Books;
use sluice_domain::feedback::Complaint;
use sluice_domain::gate::{How, Said, SuppressedBy};

pub(crate) fn apply(told: &Told<'_>, complaint: Complaint, books: &mut Books) {
    if let Some(message) = &mut books.message {
        message.went_out(&told.event.mail);
    }
    // That somebody took a mail out of the spam folder is no reason to stop, nor a new permission.
    if complaint == Complaint::NotSpam {
        return;
    }
    if let Some(gate) = &books.gate {
        let at = told.time(gate.suppressed.get(&SuppressedBy::Complaint).copied());
        books.say(told.proof(Said::Suppressed(SuppressedBy::Complaint), How::Complaint, at));
    }
    if let Some(message) = &mut books.message {
        message.trail.complain(told.time(None));
    }
}
