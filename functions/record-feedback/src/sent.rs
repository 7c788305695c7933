//! The provider has a mail, whatever became of it since: a message of which nobody knew whether it had gone out has.

use crate::Told;
use crate::books::Books;

pub(crate) fn apply(told: &Told<'_>, books: &mut Books) {
    if let Some(message) = &mut books.message {
        message.went_out(&told.event.mail);
    }
}
