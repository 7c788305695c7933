//! Going through one part of the table: a page at a time, its messages durable before the cursor moves.

use crate::{ATTEMPTS, Runner, outgoing, text};
use sluice_domain::campaign::{Broadcast, BroadcastState, Place, Planner, SECTIONS, Section, Share};
use sluice_domain::condition::Condition;
use sluice_domain::customer::{Known, Whole};
use sluice_domain::gate::zone_of;
use sluice_domain::id::CustomerId;
use sluice_domain::identity::Country;
use sluice_domain::live::see;
use sluice_domain::message::Channel;
use sluice_domain::policy::PolicySet;
use sluice_domain::segment::evaluate;
use sluice_domain::time::Timestamp;
use sluice_host::outbox::{Outgoing, QueueName};
use sluice_store::Written;
use sluice_wire::queue::{Bundle, CampaignMessage, CampaignTask, OrderMessage, encode};
use std::collections::{BTreeMap, BTreeSet};

/// Pages that one message stands for.
const PAGES: u32 = 20;
/// What is to go out within this is put on its queue at once, in milliseconds; the rest waits in bundles.
const NEAR_MS: i64 = 120_000;
/// A bundle is of one minute, in milliseconds. Minutes count from the broadcast's own time, so that one which comes late has
/// nobody wait for its first seconds again, in which nothing was to go out.
const MINUTE_MS: i64 = 60_000;
/// People of one bundle at most.
const BUNDLE: usize = 100;

impl Runner {
    /// Goes on from where the part stands, up to where the next message takes over. What was done by the time this comes
    /// again is not done again; if the next message took over, nothing is.
    pub(crate) async fn pages(&self, message: &CampaignMessage, part: u8, from: u32) -> Result<(), String> {
        let end = end_of(from);
        let mut conflicts = 0;
        loop {
            let Some(broadcast) = self.read(message).await? else { return Ok(()) };
            // Whoever lets it go on sends these again.
            if broadcast.state != BroadcastState::Running {
                return Ok(());
            }
            let section = self.store.section(&broadcast, part).await.map_err(text)?;
            if section.done || section.page > end {
                return Ok(());
            }
            if section.page == end {
                let task = CampaignTask::Pages { part, page: end };
                return self.hand_over(vec![outgoing(&broadcast, task, self.env.clock.now())]).await;
            }
            // The page is done: by somebody else, who may not live to go on, or by a write of our own whose answer was lost.
            if self.page(&broadcast, part, section).await? == Written::Conflict {
                conflicts += 1;
                if conflicts >= ATTEMPTS {
                    return Err("others went through the same pages each time".to_owned());
                }
            }
        }
    }

    /// One page: everybody of the audience who is in it gets a place, their messages are put on the way, and then the cursor
    /// moves.
    async fn page(&self, broadcast: &Broadcast, part: u8, mut section: Section) -> Result<Written, String> {
        let policies = self.current().await?;
        let now = self.env.clock.now();
        let Some(document) = &broadcast.document else { return Err("it has not begun".to_owned()) };
        let Some(planner) = Planner::new(broadcast, policies.rate_of(document), part) else {
            return Err("it has not begun".to_owned());
        };
        let cursor = section.cursor.as_deref();
        let page = self.store.scan_customers(i32::from(part), i32::from(SECTIONS), cursor).await;
        let page = page.map_err(text)?;
        let people = self.store.people_of(page.items).await.map_err(text)?;
        let own = document.audience.condition().as_deref().map(Condition::compile).transpose();
        let own = own.map_err(|error| error.message)?;
        let segment = document.audience.segment.as_deref().and_then(|name| policies.segment(name));
        let mut places = Vec::new();
        // A segment that is gone has nobody in it.
        if let Some(condition) = own.as_ref().or(segment) {
            for whole in self.audience(&people, condition, &policies, now).await? {
                let customer = whole.root.id.clone();
                let zone = zone(&whole, &policies);
                let place = planner.place(&mut section, &customer, &zone);
                places.push((customer, place));
            }
        }
        self.send(broadcast, policies.channel_of(document), places, now).await?;
        section.page += 1;
        section.done = page.next.is_none();
        section.cursor = page.next;
        self.store.put_section(broadcast, part, &section).await.map_err(text)
    }

    async fn audience<'p>(
        &self,
        people: &'p Known,
        condition: &Condition,
        policies: &PolicySet,
        now: Timestamp,
    ) -> Result<Vec<Whole<'p>>, String> {
        let ids: BTreeSet<CustomerId> = people.customers.keys().cloned().collect();
        let states = self.store.states(&ids).await.map_err(text)?;
        let roots = people.customers.values().filter(|record| record.into.is_none());
        let wholes = roots.map(|root| people.whole(root));
        let is_in = |whole: &Whole<'_>| {
            see(whole, |id| Some(&states.get(id)?.live), policies, now, |view| evaluate(condition, view))
        };
        Ok(wholes.filter(is_in).collect())
    }

    /// Puts messages on the way: those that are to go out soon by themselves, the others in bundles that come in their
    /// minute.
    async fn send(
        &self,
        broadcast: &Broadcast,
        channel: Channel,
        places: Vec<(CustomerId, Place)>,
        now: Timestamp,
    ) -> Result<(), String> {
        let mut sends = Vec::new();
        let mut bundles: BTreeMap<Timestamp, Vec<(CustomerId, Share, i64)>> = BTreeMap::new();
        for (customer, place) in places {
            let is_near = place.at.since(now) <= NEAR_MS && place.share != Share::Winner;
            match broadcast.order(&customer, place, channel).filter(|_| is_near) {
                Some(order) => sends.push(Outgoing {
                    queue: QueueName::Bulk,
                    id: order.id().to_string(),
                    body: encode(&OrderMessage::new(order)),
                    not_before: place.at,
                }),
                None => {
                    let after = place.at.since(broadcast.at).rem_euclid(MINUTE_MS);
                    let minute = place.at.plus_millis(-after);
                    bundles.entry(minute).or_default().push((customer, place.share, after));
                }
            }
        }
        for (at, people) in bundles {
            sends.extend(people.chunks(BUNDLE).map(|people| {
                let bundle = Bundle { at, people: people.to_vec(), due: None };
                outgoing(broadcast, CampaignTask::Bundle(bundle), at)
            }));
        }
        self.hand_over(sends).await
    }
}

/// The page at which the message that begins at one ends: the same for all that begin on the way there. Each time that somebody lets a
/// broadcast go on another begins, and they are one again there.
const fn end_of(from: u32) -> u32 {
    (from / PAGES).saturating_add(1).saturating_mul(PAGES)
}

/// Where somebody lives, as far as it is known.
fn zone(whole: &Whole<'_>, policies: &PolicySet) -> sluice_domain::calendar::Zone {
    let facts = whole.facts(&policies.settings.survivorship);
    let fact = |name: &str| facts.get(name).map(|fact| fact.value.reveal().as_str());
    let country = fact("country").and_then(Country::parse);
    zone_of(fact("time_zone"), country, policies.settings.messaging.zone.as_ref())
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn messages_that_begin_at_different_pages_end_at_one() {
        assert_eq!([0, 1, 7, 19].map(end_of), [20; 4]);
        assert_eq!([20, 33].map(end_of), [40; 2], "where one ended the next one begins");
        assert_eq!(end_of(u32::MAX), u32::MAX);
    }
}
