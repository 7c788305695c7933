//! Events on their queue: who did it, and a journey that they begin, move, and end.

use super::erase::deliver;
use super::{Event, MEANWHILE, POISON, Prepare};
use crate::wire::text;
use crate::world::{Name, World};
use serde_json::{Map, Value, json};
use sluice_domain::event::{Event as Happening, EventKind, Happened, Ids, Who};
use sluice_domain::id::EventId;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{EventMessage, Wake, encode};

/// What is published for them.
pub(super) fn documents() -> Vec<Value> {
    vec![
        json!({
            "kind": "journey", "name": "welcome", "trigger": [{ "event": "signed_up" }], "exit": [{ "event": "order_completed" }],
            "steps": [
                { "send": { "template": "hello", "topic": "service" } },
                { "wait_for": { "event": "video_started", "within": "3m" } },
                { "tag": "welcomed" },
                { "notify": { "text": "Welcomed." } },
            ],
        }),
        json!({ "kind": "segment", "name": "buyers", "when": "count_in(\"order_completed\", \"30d\") > 0" }),
    ]
}

/// Something called `name`, in a call that repeats keep.
fn call(world: &World, name: &str, id: &str, user: Option<&str>, browser: Option<&str>) -> Happened {
    let at = Timestamp(world.clock.millis());
    let text = |text: &str| Pii::new(text.to_owned());
    let mut traits = Map::new();
    let kind = if name.is_empty() { EventKind::Identify } else { EventKind::Track };
    if kind == EventKind::Identify {
        traits.insert("email".to_owned(), "ada@example.org".into());
    }
    Happened {
        who: Who::Ids(Ids { user: user.map(text), anonymous: browser.map(text), previous: None }),
        event: Happening {
            id: EventId::derived(&["site", id]),
            kind,
            name: name.to_owned(),
            source: "site".to_owned(),
            at,
            received: at,
            properties: Pii::default(),
            traits: Pii::new(traits),
            context: Pii::default(),
        },
    }
}

fn events(calls: Vec<Happened>) -> String {
    encode(&EventMessage::Events(calls))
}

/// A browser that was nobody's becomes somebody's, while somebody else uses it too and a lead of the first comes in.
pub(super) fn stitched(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        world.send("event", &events(vec![call(world, "Page Seen", "1", None, Some("b-1"))]));
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        let known = events(vec![call(world, "", "2", Some("u-1"), Some("b-1"))]);
        let other = events(vec![call(world, "Page Seen", "3", Some("u-2"), Some("b-1"))]);
        let bodies = vec![known.clone(), POISON.to_owned(), other.clone()];
        let late = events(vec![call(world, "Page Seen", "4", None, Some("b-1"))]);
        (Event::Queue { queue: "event", bodies }, vec![("event", known), ("event", late)])
    })
}

/// Somebody with an address who did nothing so far.
async fn ada(world: &mut World) {
    world.send("event", &events(vec![call(world, "", "0", Some("ada"), None)]));
    world.settle(600_000).await.unwrap();
    world.deliveries = 0;
}

/// What begins a journey, as two calls and one of them twice.
pub(super) fn entered(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        ada(world).await;
        let one = events(vec![call(world, "Signed Up", "1", Some("ada"), None)]);
        let other = events(vec![call(world, "Signed Up", "2", Some("ada"), None)]);
        (Event::Queue { queue: "event", bodies: vec![one.clone()] }, vec![("event", one), ("event", other)])
    })
}

/// What a run waits for and the end of its wait, at once.
pub(super) fn moved(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        ada(world).await;
        world.send("event", &events(vec![call(world, "Signed Up", "1", Some("ada"), None)]));
        deliver(world, "event", Name::Advance).await;
        deliver(world, "message", Name::Send).await;
        let wake = waits(world);
        world.clock.advance(200_000);
        world.deliveries = 0;
        let due = encode(&EventMessage::Due(wake));
        let came = events(vec![call(world, "Video Started", "2", Some("ada"), None)]);
        (Event::Queue { queue: "event", bodies: vec![due.clone()] }, vec![("event", due), ("event", came)])
    })
}

/// What begins a journey of somebody who is erased meanwhile.
pub(super) fn erased(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        ada(world).await;
        let customer = record(world);
        let bodies = vec![events(vec![
            call(world, "Signed Up", "1", Some("ada"), Some("b-1")),
            call(world, "Order Completed", "2", Some("ada"), Some("b-1")),
        ])];
        (Event::Queue { queue: "event", bodies }, vec![(MEANWHILE, format!("/api/customers/{customer}"))])
    })
}

fn record(world: &World) -> String {
    let items = world.items();
    let record = items.iter().find(|item| text(item, "sk") == "c" && text(item, "pk").starts_with("cu_"));
    text(record.unwrap(), "pk").to_owned()
}

/// What the run waits for.
fn waits(world: &World) -> Wake {
    let items = world.items();
    let item = items.iter().find(|item| text(item, "sk") == "r#welcome").unwrap();
    let run: Value = serde_json::from_str(text(item, "d")).unwrap();
    Wake {
        customer: sluice_domain::id::CustomerId::parse(text(item, "pk")).unwrap(),
        journey: Some("welcome".to_owned()),
        token: run["w"]["k"].as_str().unwrap().to_owned(),
        at: Timestamp(run["w"]["at"].as_i64().unwrap()),
    }
}
