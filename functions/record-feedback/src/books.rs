//! What an event may change.

use sluice_domain::gate::{Gate, Proof};
use sluice_domain::message::Message;

/// The gate of an address and the message to it, as far as the event names them and we know them: somebody else may have
/// sent a mail by the same account, and its bounce says of the address what ours would.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Books {
    /// The gate of the recipient.
    pub(crate) gate: Option<Gate>,
    /// The message.
    pub(crate) message: Option<Message>,
    /// What is written down beside the gate, of what changed it.
    pub(crate) proofs: Vec<Proof>,
}

impl Books {
    /// Takes down in the gate what was said about the address. What it knew already needs no proof again.
    pub(crate) fn say(&mut self, proof: Proof) {
        let Some(gate) = &mut self.gate else { return };
        let before = gate.clone();
        proof.tell(gate);
        if *gate != before {
            self.proofs.push(proof);
        }
    }
}
