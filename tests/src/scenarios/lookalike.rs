//! Joining by likeness: a lead that no identity leads to, described as one who is known, beside a lead of the same person
//! that brings both together by an identity.

use super::company::published;
use super::{Event, Prepare, accept, hex, lead_body, play};
use crate::world::World;
use ring::digest;
use serde_json::json;
use sluice_domain::policy::Document;
use sluice_store::Written;

const KNOWN: [(&str, &str); 5] = [
    ("first_name", "Ada"),
    ("last_name", "Lovelace"),
    ("company", "Analytical Engines Ltd"),
    ("postal_code", "SW1Y"),
    ("email", "ada@example.org"),
];

/// With joining switched on: the lead under test joins by likeness; beside it one of another who looks alike and may not
/// join, since the mailbox is another.
pub(super) fn route(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        switch_on(world).await;
        let known = accept(world, "web", "1", &KNOWN, 0).await;
        play(world, &[&known]).await;
        world.clock.advance(86_400_000);
        let described = [KNOWN[0], KNOWN[1], KNOWN[2], KNOWN[3], ("phone", "+4930901820")];
        let alike = accept(world, "web", "2", &described, 0).await;
        let described = [KNOWN[0], KNOWN[1], KNOWN[2], KNOWN[3], ("email", "a.lovelace@example.net")];
        let other = accept(world, "web", "3", &described, 0).await;
        let beside = vec![("lead", lead_body(&other))];
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&alike)] }, beside)
    })
}

/// Publishes settings in which joining is on.
async fn switch_on(world: &mut World) {
    let store = world.store();
    let settings = json!({
        "kind": "settings", "name": "default", "escalate_to": ["boss"], "matching": { "join": true },
    });
    let body = Document::from_json(settings).unwrap().to_json().to_string();
    let sha = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
    store.put_policy_text(&sha, &body).await.unwrap();
    let mut manifest = store.manifest().await.unwrap();
    for entry in manifest.documents.iter_mut().filter(|entry| entry.kind == "settings") {
        entry.sha.clone_from(&sha);
    }
    assert_eq!(store.publish(&manifest, &published(&manifest)).await.unwrap(), Written::Done);
    world.clock.advance(10_000);
}
