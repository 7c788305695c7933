//! LinkedIn's leads: fetched, and withdrawn.

use super::{APP_SECRET, Event, Headers, POISON, Post, Prepare, enrich_body, hex, http_event};
use crate::world::World;
use ring::hmac;
use serde_json::json;
use sluice_domain::lead::{Envelope, Lead, MarkKind, Origin, Progress};
use sluice_domain::time::Timestamp;
use sluice_store::Mark;
use sluice_wire::sources::lead_id;

/// A lead as capture accepts it of a notification.
async fn announced(world: &World, id: &str) -> Lead {
    let lead = Lead {
        id: lead_id("li", id),
        origin: Origin { kind: "linkedin".to_owned(), name: "li".to_owned() },
        external_id: Some(id.to_owned()),
        received: Timestamp(world.clock.millis()),
        envelope: Envelope::default(),
        needs_enrichment: true,
        manifest: 1,
        progress: Progress::default(),
        version: 0,
    };
    world.store().accept_lead(&lead).await.unwrap();
    lead
}

/// The person takes back what is not fetched yet, and LinkedIn says so twice.
pub(super) fn withdrawn(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        announced(world, "801").await;
        let body = json!({
            "leadGenFormResponse": "urn:li:leadGenFormResponse:801", "leadAction": "DELETED", "occurredAt": 1,
        });
        let body = body.to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes());
        let tag = hmac::sign(&key, format!("hmacsha256={body}").as_bytes());
        let headers = Headers::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-li-signature".to_owned(), hex(tag.as_ref())),
        ]);
        let payload = http_event("POST", "/hooks/li", &headers, &body);
        let post = Post { payload, fields: Vec::new(), again: None, clash: None };
        (Event::Http(Post { again: Some(Box::new(post.clone())), ..post }), Vec::new())
    })
}

/// One lead is fetched, one was withdrawn before; a record beside them is poison.
pub(super) fn enrich_linkedin(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (one, two) = (announced(world, "811").await, announced(world, "812").await);
        let mark = Mark { kind: MarkKind::Withdrawn, at: two.received };
        world.store().put_mark(&two.id, mark).await.unwrap();
        let bodies = vec![enrich_body(&one.id), POISON.to_owned(), enrich_body(&two.id)];
        (Event::Queue { queue: "enrich", bodies }, Vec::new())
    })
}
