//! A look at all customers after policies were published, a page of the table for each message: what comes again looks again,
//! and finds nothing new.

use crate::Advancer;
use sluice_domain::advance::{Incoming, Wake};
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_wire::queue::{EventMessage, Pass, encode};

impl Advancer {
    /// Looks at the customers of one page, then hands the next one on.
    pub(crate) async fn pass(&self, pass: &Pass) -> Result<(), String> {
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await.map_err(|error| error.to_string())?;
        // A later version has a pass of its own.
        if policies.version > pass.version {
            return Ok(());
        }
        if policies.version < pass.version {
            return Err("the policies are not seen yet".to_owned());
        }
        let page = self.store.scan_customers(pass.part, Pass::PARTS, pass.cursor.as_deref()).await;
        let page = page.map_err(|error| error.to_string())?;
        let live = page.items.into_iter().filter(|record| record.into.is_none());
        let work = live.map(|record| (0, Incoming::Due(Wake::pass(record.id, pass.version)))).collect();
        if let Some((_, why)) = self.take_all(work).await.pop_first() {
            return Err(why);
        }
        let Some(cursor) = page.next else { return Ok(()) };
        let next = Pass { cursor: Some(cursor), ..pass.clone() };
        let message = Outgoing {
            queue: QueueName::Event,
            id: next.id(),
            body: encode(&EventMessage::Pass(next)),
            not_before: now,
        };
        self.outbox.hand_over(vec![message], now).await.map_err(|error| error.to_string())
    }
}
