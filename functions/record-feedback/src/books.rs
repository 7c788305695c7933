//! What an event may change.

use sluice_domain::gate::Gate;
use sluice_domain::message::Message;

/// The gate of an address and the message to it, as far as the event names them and we know them: somebody else may have
/// sent a mail by the same account, and its bounce says of the address what ours would.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Books {
    /// The gate of the recipient.
    pub(crate) gate: Option<Gate>,
    /// The message.
    pub(crate) message: Option<Message>,
}
