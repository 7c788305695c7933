//! Events on their queue: who did it, and a journey that they begin, move, and end.

use super::company::{TRUSTED, publish_more};
use super::erase::{deliver, meanwhile};
use super::{Event, POISON, Prepare, accept, play};
use crate::wire::text;
use crate::world::{Name, World};
use serde_json::{Map, Value, json};
use sluice_domain::event::{Event as Happening, EventKind, Happened, Ids, Who};
use sluice_domain::id::EventId;
use sluice_domain::pii::Pii;
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{EventMessage, Pass, Wake, encode};

/// What is published for them.
pub(super) fn documents() -> Vec<Value> {
    vec![
        welcome(),
        json!({ "kind": "segment", "name": "welcomed", "when": "\"welcomed\" in tags" }),
        json!({
            "kind": "source", "name": TRUSTED, "type": "segment", "trusted": true,
            "secrets": { "write_key": ["secret:app-key"] },
        }),
        json!({
            "kind": "journey", "name": "care", "trigger": [{ "event": "trial_started" }],
            "exit": [{ "event": "trial_cancelled" }], "goal": { "event": "order_completed", "within": "1h" },
            "steps": [
                { "wait_for": { "event": "demo_watched", "within": "3m", "else": "late" } },
                { "webhook": { "url": "https://hook.test/in", "secrets": ["secret:hook"], "facts": ["email"] } },
                { "end": {} },
                { "late": { "set": { "phase": "late" } } },
                { "wait": "2m" },
                { "wait": "1m" },
                { "enrol": "nudged" },
            ],
        }),
        json!({
            "kind": "journey", "name": "nudged",
            "steps": [{ "tag": "nudged" }, { "task": { "title": "Call them.", "rep": "ann", "within": "2d" } }],
        }),
    ]
}

fn welcome() -> Value {
    json!({
        "kind": "journey", "name": "welcome", "trigger": [{ "event": "signed_up" }], "exit": [{ "event": "order_completed" }],
        "steps": [
            { "send": { "template": "hello", "topic": "service" } },
            { "wait_for": { "event": "video_started", "within": "3m" } },
            { "tag": "welcomed" },
            { "notify": { "text": "Welcomed." } },
        ],
    })
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
        let due = waiting(world, "Signed Up", "welcome").await;
        let came = events(vec![call(world, "Video Started", "2", Some("ada"), None)]);
        (Event::Queue { queue: "event", bodies: vec![due.clone()] }, vec![("event", due), ("event", came)])
    })
}

/// A wait is over, and over again: on by another way to a further wait and into another journey.
pub(super) fn timed_out(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let due = waiting(world, "Trial Started", "care").await;
        (Event::Queue { queue: "event", bodies: vec![due.clone(), POISON.to_owned()] }, vec![("event", due)])
    })
}

/// What a run waits for leads to another system, which is told once.
pub(super) fn hooked(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let (due, came) = watched(world).await;
        let again = events(vec![call(world, "Demo Watched", "3", Some("ada"), None)]);
        (Event::Queue { queue: "event", bodies: vec![came] }, vec![("event", due), ("event", again)])
    })
}

/// Ada did in time what leads to another system, which nobody has heard yet: what wakes her, and the event.
pub(super) async fn watched(world: &mut World) -> (String, String) {
    let due = waiting(world, "Trial Started", "care").await;
    let mut came = call(world, "Demo Watched", "2", Some("ada"), None);
    came.event.at = came.event.at.plus_millis(-60_000);
    (due, events(vec![came]))
}

/// Somebody leaves a journey at the moment at which a wait in it is over.
pub(super) fn left(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let due = waiting(world, "Trial Started", "care").await;
        let out = events(vec![call(world, "Trial Cancelled", "2", Some("ada"), None)]);
        (Event::Queue { queue: "event", bodies: vec![out] }, vec![("event", due)])
    })
}

/// The goal is reached at that moment, and what began the journey happens once more.
pub(super) fn reached(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let due = waiting(world, "Trial Started", "care").await;
        let goal = events(vec![call(world, "Order Completed", "2", Some("ada"), None)]);
        let again = events(vec![call(world, "Trial Started", "3", Some("ada"), None)]);
        (Event::Queue { queue: "event", bodies: vec![goal] }, vec![("event", due), ("event", again)])
    })
}

/// Two records that run the same journey turn out to be one person.
pub(super) fn joined(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        world.send("event", &events(vec![call(world, "Trial Started", "8", None, Some("b-7"))]));
        deliver(world, "event", Name::Advance).await;
        let due = waiting(world, "Trial Started", "care").await;
        let known = events(vec![call(world, "", "2", Some("ada"), Some("b-7"))]);
        let came = events(vec![call(world, "Demo Watched", "3", None, Some("b-7"))]);
        (Event::Queue { queue: "event", bodies: vec![known] }, vec![("event", due), ("event", came)])
    })
}

/// Policies were published: a journey with people in it goes on otherwise, and a new segment makes them enter another one.
pub(super) fn published(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let due = waiting(world, "Signed Up", "welcome").await;
        let mut shorter = welcome();
        shorter["on_publish"] = json!({ "migrate": {} });
        shorter["steps"][1]["wait_for"]["within"] = "1m".into();
        let more = vec![
            shorter,
            json!({ "kind": "segment", "name": "reachable", "when": "has(customer.email)", "trigger": true }),
            json!({
                "kind": "journey", "name": "met", "trigger": [{ "segment": "reachable" }],
                "steps": [{ "notify": { "rep": "ann", "text": "Met." } }],
            }),
        ];
        let version = publish_more(world, more).await;
        let bodies = Pass::all(version).into_iter().map(|pass| encode(&EventMessage::Pass(pass))).collect();
        (Event::Queue { queue: "event", bodies }, vec![("event", due)])
    })
}

/// Two user ids come at one instant with the address of somebody who has none so far.
pub(super) fn two_users(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let lead = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        play(world, &[&lead]).await;
        let known = |id: &str, user: &str| events(vec![call(world, "", id, Some(user), None)]);
        let (one, other) = (known("1", "u-1"), known("2", "u-2"));
        (Event::Queue { queue: "event", bodies: vec![one.clone()] }, vec![("event", other), ("event", one)])
    })
}

/// A source that is believed says three things of one fact, the newest first and two of them at one instant.
pub(super) fn facts(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        ada(world).await;
        let said = |id: &str, plan: &str, before: i64| {
            let mut call = call(world, "", id, Some("ada"), None);
            call.event.source = TRUSTED.to_owned();
            call.event.at = call.event.at.plus_millis(-before);
            call.event.traits = Pii::new(Map::from_iter([("plan".to_owned(), plan.into())]));
            events(vec![call])
        };
        let (newest, same, late) = (said("1", "pro", 0), said("2", "gold", 0), said("3", "free", 60_000));
        (Event::Queue { queue: "event", bodies: vec![newest] }, vec![("event", late), ("event", same)])
    })
}

/// Ada is in a journey and waits; the body of what wakes her, which is due now.
async fn waiting(world: &mut World, trigger: &str, journey: &str) -> String {
    ada(world).await;
    world.send("event", &events(vec![call(world, trigger, "1", Some("ada"), None)]));
    for (queue, name) in [("event", Name::Advance), ("message", Name::Send), ("event", Name::Advance)] {
        deliver(world, queue, name).await;
    }
    // The wakes themselves, which wait in their queue: hers is made again.
    world.clock.advance(200_000);
    let waiting = world.receive("event", 10);
    let handles: Vec<&str> = waiting.iter().map(|message| message.receipt_handle.as_str()).collect();
    world.queues.delete_batch("event", &handles).unwrap();
    world.deliveries = 0;
    encode(&EventMessage::Due(waits(world, journey)))
}

/// What begins a journey of somebody who is erased meanwhile.
pub(super) fn erased(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        ada(world).await;
        let customer = sluice_domain::id::CustomerId::parse(&record(world)).unwrap();
        let bodies = vec![events(vec![
            call(world, "Signed Up", "1", Some("ada"), Some("b-1")),
            call(world, "Order Completed", "2", Some("ada"), Some("b-1")),
        ])];
        (Event::Queue { queue: "event", bodies }, vec![meanwhile(&customer)])
    })
}

fn record(world: &World) -> String {
    let items = world.items();
    let (pk, _) = items.keys().find(|(pk, sk)| sk == "c" && pk.starts_with("cu_")).unwrap();
    pk.clone()
}

/// What the run of somebody with an address waits for.
fn waits(world: &World, journey: &str) -> Wake {
    let items = world.items();
    let has_address = |pk: &str| {
        items
            .get(&(pk.to_owned(), "c".to_owned()))
            .is_some_and(|record| text(record, "d").contains("\"email\""))
    };
    let sk = format!("r#{journey}");
    let ((customer, _), item) = items.iter().find(|((pk, it), _)| *it == sk && has_address(pk)).unwrap();
    let run: Value = serde_json::from_str(text(item, "d")).unwrap();
    Wake {
        customer: sluice_domain::id::CustomerId::parse(customer).unwrap(),
        journey: Some(journey.to_owned()),
        token: run["w"]["k"].as_str().unwrap().to_owned(),
        at: Timestamp(run["w"]["at"].as_i64().unwrap()),
    }
}
