//! What customers are by now whose records a person joined or took apart, or whom an import that is taken back leaves with less: they
//! are looked at at once, though nothing happens to them.

use crate::{Console, unavailable};
use sluice_domain::customer::Customer;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{DueEntry, looks};
use sluice_wire::problem::Problem;

/// When a look is asked for by the timers that nobody has asked for at once, in milliseconds.
const AGAIN_MS: i64 = 60_000;

impl Console {
    /// Looks at whom these records are of, to be due with the commit that writes them: whoever dies after it is
    /// made up for. None where no document asks what customers are like.
    pub(crate) async fn looks(&self, records: &[Customer]) -> Result<Vec<DueEntry>, Problem> {
        if !self.current().await?.looks_at_people() {
            return Ok(Vec::new());
        }
        let now = self.env.clock.now();
        Ok(looks(records, now, now.plus_millis(AGAIN_MS)))
    }

    /// Asks for them at once. What fails of it leaves them due.
    pub(crate) async fn look(&self, looks: Vec<DueEntry>) {
        let now = self.env.clock.now();
        let message = |look: &DueEntry| Outgoing {
            queue: QueueName::Event,
            id: look.id.clone(),
            body: look.body.clone(),
            not_before: now,
        };
        let told = self.outbox.hand_over(looks.iter().map(message).collect(), now).await;
        if told.map_err(unavailable).is_err() {
            return;
        }
        for look in &looks {
            // One that is left comes again, and finds nothing new.
            let _ = self.store.drop_due(look).await;
        }
    }
}
