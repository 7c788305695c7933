//! A look at all customers after policies were published, a page of the table for each message: what comes again looks again,
//! and finds nothing new.

use crate::Advancer;
use sluice_domain::advance::{Incoming, Wake};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_wire::queue::{EventMessage, Pass, encode};

impl Advancer {
    /// Hands the next page on, then looks at the customers of this one.
    pub(crate) async fn pass(&self, pass: &Pass) -> Result<(), String> {
        let now = self.env.clock.now();
        let policies = self.policies.current(now).await.map_err(|error| error.to_string())?;
        // A later version has a pass of its own, if it says anew what behaviour makes of customers.
        if policies.behaviour > pass.version {
            return Ok(());
        }
        if policies.version < pass.version {
            return Err("the policies are not seen yet".to_owned());
        }
        let page = self.store.scan_customers(pass.part, Pass::PARTS, pass.cursor.as_deref()).await;
        let page = page.map_err(|error| error.to_string())?;
        let live = page.items.into_iter().filter(|record| record.into.is_none());
        let wakes: Vec<Wake> = live.map(|record| Wake::pass(record.id, pass.version)).collect();
        // First of all: whatever this page holds, the others have their turn.
        if let Some(cursor) = page.next {
            let next = Pass { cursor: Some(cursor), ..pass.clone() };
            self.hand(vec![outgoing(next.id(), &EventMessage::Pass(next), now)]).await?;
        }
        let work = wakes.iter().cloned().map(Incoming::Due).enumerate().collect();
        let failed = self.take_all(work).await;
        // Who cannot be looked at now comes again by themselves.
        let again = failed.iter().filter_map(|(at, why)| {
            tracing::warn!(why, "a customer comes again by themselves");
            let wake = wakes.get(*at)?;
            Some(outgoing(wake.id(), &EventMessage::Due(wake.clone()), now))
        });
        self.hand(again.collect()).await
    }

    async fn hand(&self, messages: Vec<Outgoing>) -> Result<(), String> {
        let now = self.env.clock.now();
        self.outbox.hand_over(messages, now).await.map_err(|error| error.to_string())
    }
}

fn outgoing(id: String, message: &EventMessage, now: Timestamp) -> Outgoing {
    Outgoing { queue: QueueName::Event, id, body: encode(message), not_before: now }
}
