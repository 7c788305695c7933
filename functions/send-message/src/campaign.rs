//! Messages of campaigns: whether their broadcast lets them go out now, and whether their person is still to get them.

use crate::deliver::Attempt;
use crate::{Sender, text};
use sluice_domain::campaign::{OfCampaign, Sends};
use sluice_domain::customer::Whole;
use sluice_domain::gate::{Reason, Verdict};
use sluice_domain::id::CustomerId;
use sluice_domain::live::see;
use sluice_domain::message::{Message, MessageState, Order};
use sluice_domain::policy::PolicySet;
use sluice_domain::segment::evaluate;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::QueueName;
use sluice_store::Parked;
use sluice_wire::queue::{OrderMessage, encode};
use std::collections::BTreeSet;

impl Sender {
    /// What became of a campaign's message that is not to be claimed now; none if it is. The claim itself is held to the
    /// tally again: what is paused after this look is not claimed.
    pub(crate) async fn hold(
        &self,
        message: &Message,
        whole: &Whole<'_>,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<Option<Attempt>, String> {
        let Some(of) = &message.order.campaign else { return Ok(None) };
        if of.held_out {
            return self.leave_out(message, Reason::HeldOut, now).await;
        }
        let campaign = &message.order.cause.name;
        let shard = of.shard(&message.id());
        if !self.store.is_open(campaign, of.broadcast, shard).await.map_err(text)? {
            let broadcast = self.store.broadcast(campaign, of.broadcast).await.map_err(text)?;
            let Some(broadcast) = broadcast.filter(|broadcast| broadcast.sends() != Sends::Never) else {
                return self.leave_out(message, Reason::Cancelled, now).await;
            };
            if broadcast.sends() == Sends::Later {
                return self.park(&message.order, of, shard).await.map(Some);
            }
            // It went on, or has just begun, and this tally has not heard of it.
            self.store.tell_tally(&broadcast, shard).await.map_err(text)?;
        }
        if self.has_it_already(&message.order, whole).await? {
            return self.leave_out(message, Reason::Merged, now).await;
        }
        if !self.is_in_audience(&message.order, of, whole, policies, now).await? {
            return self.leave_out(message, Reason::LeftAudience, now).await;
        }
        Ok(None)
    }

    async fn leave_out(
        &self,
        message: &Message,
        why: Reason,
        now: Timestamp,
    ) -> Result<Option<Attempt>, String> {
        self.refuse(message.clone(), Verdict::Skip(why), now).await.map(Some)
    }

    /// It waits until its broadcast goes on. Whoever lets it go on first says so and then looks for what waits: so one that
    /// went on by the time this is put is gone on with here.
    async fn park(&self, order: &Order, of: &OfCampaign, shard: u8) -> Result<Attempt, String> {
        let parked = Parked {
            id: order.id().to_string(),
            queue: QueueName::Bulk.name().to_owned(),
            body: encode(&OrderMessage::new(order.clone())),
        };
        let campaign = &order.cause.name;
        let read = || async { self.store.broadcast(campaign, of.broadcast).await.map_err(text) };
        let Some(broadcast) = read().await? else { return Ok(Attempt::Conflict) };
        self.store.park(&broadcast, shard, &parked).await.map_err(text)?;
        let waits = read().await?.is_some_and(|broadcast| broadcast.sends() == Sends::Later);
        Ok(if waits { Attempt::Done } else { Attempt::Conflict })
    }

    /// Whether another record of the person has got it: they were two when the audience was gone through.
    async fn has_it_already(&self, order: &Order, whole: &Whole<'_>) -> Result<bool, String> {
        for part in whole.parts().filter(|part| part.id != order.customer) {
            let other = Order { customer: part.id.clone(), ..order.clone() }.id();
            let other = self.store.message(&other).await.map_err(text)?;
            let went_out =
                |state| matches!(state, MessageState::Claimed | MessageState::Sent | MessageState::Unknown);
            if other.is_some_and(|other| went_out(other.state)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The audience is looked at once more: what people did since it was gone through counts. Not if its document says
    /// another one meanwhile, which is for the next broadcast.
    async fn is_in_audience(
        &self,
        order: &Order,
        of: &OfCampaign,
        whole: &Whole<'_>,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<bool, String> {
        let campaign = &order.cause.name;
        let is_same = |print: String| print == of.audience;
        let document = policies.campaigns.get(campaign).map(|(document, _)| document.audience.print());
        let Some(condition) = policies.audience(campaign).filter(|_| document.is_some_and(is_same)) else {
            return Ok(true);
        };
        let ids: BTreeSet<CustomerId> = whole.parts().map(|part| part.id.clone()).collect();
        let states = self.store.states(&ids).await.map_err(text)?;
        Ok(see(whole, |id| Some(&states.get(id)?.live), policies, now, |view| evaluate(condition, view)))
    }
}
