//! What reps do with a lead besides closing it: take it on, say that it is none, say what is settled.

use super::clock::{assigned, body};
use super::console::{act, full, once};
use super::{Prepare, accept, lead_body, play};
use crate::world::{ADMIN_TOKEN, World};
use serde_json::json;

/// The owner takes the lead on in the moment in which they are reminded of it.
pub(super) fn taken_on(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (lead, tick) = assigned(world, "timed").await;
        world.clock.advance(tick.at.millis() - world.clock.millis());
        let event = once(&format!("/api/leads/{lead}/accept"), &json!({}));
        (event, vec![("lead", body(&tick))])
    })
}

/// It is none after all, and another one waits for the room.
pub(super) fn disqualify(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let [first, _, waiting] = full(world).await;
        let path = format!("/api/leads/{first}/disqualify");
        (act(ADMIN_TOKEN, &path, &json!({ "reason": "a student" })), vec![("lead", lead_body(&waiting))])
    })
}

/// What a person needs is settled while a lead shows that a record known before is the same person's.
pub(super) fn qualify(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mail = ("email", "ada@example.org");
        let phone = ("phone", "+4930901820");
        let first = accept(world, "web", "1", &[phone], 0).await;
        let lead = accept(world, "web", "2", &[mail], 0).await;
        play(world, &[&first, &lead]).await;
        world.clock.advance(86_400_000);
        let both = accept(world, "web", "3", &[mail, phone], 0).await;
        let said = json!({ "need": "a crane", "grade": "A", "amount": 1200, "date": "2027-03-31" });
        (once(&format!("/api/leads/{lead}/qualify"), &said), vec![("lead", lead_body(&both))])
    })
}
