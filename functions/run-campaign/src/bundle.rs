//! A bundle's minute comes: its people's messages are put on the queue.

use crate::{ATTEMPTS, Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, Chosen, Place, Sends, Share, winner};
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::{Parked, Written};
use sluice_wire::queue::{Bundle, CampaignMessage, CampaignTask, OrderMessage, encode};

impl Runner {
    pub(crate) async fn open(&self, message: &CampaignMessage, bundle: &Bundle) -> Result<(), String> {
        let gets_winner = |share: Share| share == Share::Winner;
        let wants_winner = bundle.people.iter().any(|(_, share, _)| gets_winner(*share));
        for _ in 0..ATTEMPTS {
            let Some(mut broadcast) = self.read(message).await? else { return Ok(()) };
            let (mut due, mut waits) = (bundle.due.unwrap_or(bundle.at), false);
            match broadcast.sends() {
                Sends::Later => {
                    if self.park(message, &broadcast).await? {
                        return Ok(());
                    }
                    continue;
                }
                Sends::Yes if wants_winner => {
                    let (until, now) = self.winner_due(&broadcast, bundle).await?;
                    waits = until > bundle.at && now < until;
                    due = if waits { until } else { due.max(until) };
                    if !waits && broadcast.winner.is_none() {
                        // Read again, whoever's choice it is.
                        let _: Written = self.choose(broadcast).await?;
                        continue;
                    }
                }
                // All are left out, whichever they would have got.
                Sends::Never if broadcast.winner.is_none() => {
                    broadcast.winner = Some(Chosen { variant: 0, at: bundle.at });
                }
                Sends::Yes | Sends::Never => {}
            }
            let policies = self.current().await?;
            let Some(document) = &broadcast.document else { return Ok(()) };
            // What is late keeps its pace.
            let begin = bundle.at.max(self.env.clock.now());
            let channel = policies.channel_of(document);
            // Whoever of the test has the same minute does not wait with the others.
            let (waiting, others): (Vec<_>, Vec<_>) =
                bundle.people.iter().cloned().partition(|(_, share, _)| waits && gets_winner(*share));
            let orders = others.into_iter().filter_map(|(customer, share, after)| {
                let from = if gets_winner(share) { due } else { bundle.at };
                let place = Place { share, at: from.plus_millis(after) };
                let order = broadcast.order(&customer, place, channel)?;
                Some(Outgoing {
                    queue: QueueName::Bulk,
                    id: order.id().to_string(),
                    body: encode(&OrderMessage::new(order)),
                    not_before: begin.plus_millis(after),
                })
            });
            let mut messages: Vec<Outgoing> = orders.collect();
            if !waiting.is_empty() {
                let bundle = Bundle { at: bundle.at, people: waiting, due: Some(due) };
                messages.push(outgoing(&broadcast, CampaignTask::Bundle(bundle), due));
            }
            return self.hand_over(messages).await;
        }
        Err("others changed the broadcast each time".to_owned())
    }

    /// When those of the bundle are due who get the winner, as it looks at the second instant.
    async fn winner_due(
        &self,
        broadcast: &Broadcast,
        bundle: &Bundle,
    ) -> Result<(Timestamp, Timestamp), String> {
        let Some(document) = &broadcast.document else { return Err("it has not begun".to_owned()) };
        let sections = self.store.sections(broadcast).await.map_err(text)?;
        let policies = self.current().await?;
        let now = self.env.clock.now();
        Ok((broadcast.winner_due(&sections, policies.rate_of(document), bundle.at, now), now))
    }

    /// The variant for everybody who was not in the test, by what was counted until now.
    async fn choose(&self, mut broadcast: Broadcast) -> Result<Written, String> {
        let counts = self.store.counts(&broadcast).await.map_err(text)?;
        let Some((document, rule)) =
            broadcast.document.as_ref().and_then(|document| Some((document, document.winner?)))
        else {
            return Err("the broadcast has no rule for a winner".to_owned());
        };
        let variant = winner(rule, document.variants.len(), &counts);
        broadcast.winner = Some(Chosen { variant, at: self.env.clock.now() });
        self.store.put_broadcast(&broadcast).await.map_err(text)
    }

    /// A bundle waits until its broadcast goes on. Whether it does: it may have gone on by the time this is put.
    async fn park(&self, message: &CampaignMessage, broadcast: &Broadcast) -> Result<bool, String> {
        let parked =
            Parked { id: message.id(), queue: QueueName::Campaign.name().to_owned(), body: encode(message) };
        self.store.park(broadcast, 0, &parked).await.map_err(text)?;
        Ok(self.read(message).await?.is_some_and(|broadcast| broadcast.sends() == Sends::Later))
    }
}
