//! The timers fire.

use super::{Event, Prepare, accept, enrich_body, lead_body};
use crate::events::queue_event;
use crate::world::{Name, World};
use sluice_domain::time::Timestamp;
use sluice_store::DueEntry;

/// Entries for every queue, one far away, a lead whose message was lost, and one that nobody could take.
pub(super) fn everything(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lost = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let due = accept(world, "web", "2", &[("email", "grace@example.org")], 0).await;
        let fetched = accept(world, "ads", "621", &[], 0).await;
        let tight = [("1", "a@example.org"), ("2", "b@example.org"), ("3", "c@example.org")];
        let mut routed = Vec::new();
        for (key, email) in tight {
            routed.push(accept(world, "tight", key, &[("email", email)], 0).await);
        }
        for lead in &routed {
            world.send("lead", &lead_body(lead));
        }
        let messages = world.receive("lead", 10);
        let answer = world.invoke(Name::Route, queue_event(&messages)).await.unwrap();
        world.acknowledge("lead", &messages, &answer);
        let notices = world.receive("notice", 10);
        world.acknowledge("notice", &notices, &answer);
        world.clock.advance(300_000);
        let now = world.clock.millis();
        let store = world.store();
        let mut entries = vec![
            ("lead", due.to_string(), lead_body(&due), now - 1000),
            ("enrich", fetched.to_string(), enrich_body(&fetched), now + 30_000),
        ];
        for (at, notice) in notices.iter().enumerate() {
            entries.push((
                "notice",
                format!("notice-{at}"),
                notice.body.clone(),
                now + i64::try_from(at).unwrap() * 300_000,
            ));
        }
        for (queue, id, body, at) in entries {
            let entry = DueEntry { at: Timestamp(at), id, queue: queue.to_owned(), body };
            store.put_due(&entry).await.unwrap();
        }
        drop(lost);
        (Event::Schedule, Vec::new())
    })
}

/// A lead whose message was lost long ago is due just now: both looks find it.
pub(super) fn one_lead(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lead = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        world.clock.advance(300_000);
        let at = Timestamp(world.clock.millis() - 1_000);
        let (id, queue) = (lead.to_string(), "lead".to_owned());
        world.store().put_due(&DueEntry { at, id, queue, body: lead_body(&lead) }).await.unwrap();
        (Event::Schedule, Vec::new())
    })
}
