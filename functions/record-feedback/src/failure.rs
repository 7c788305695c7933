//! The provider took a mail and then would not send it: a virus was in it, or its template could not be filled in. That
//! says nothing about the address.

use crate::Told;
use crate::books::Books;

pub(crate) fn apply(told: &Told<'_>, books: &mut Books) {
    if let Some(message) = &mut books.message {
        message.was_rejected(told.time(None), told.event.kind.name());
    }
}
