//! Campaigns: audiences gone through, messages that are paused, cancelled, stopped and erased on their way.

use super::console;
use super::engage::request;
use super::erase::{asked, meanwhile};
use super::{Event, POISON, Post, Prepare, accept, play};
use crate::events::http_event;
use crate::wire::{Headers, text};
use crate::world::{ADMIN_TOKEN, World};
use serde_json::{Value, json};
use sluice_domain::calendar::Zone;
use sluice_domain::campaign::{Broadcast, Look, Place, Planner, SECTIONS, Section, Share, first};
use sluice_domain::id::CustomerId;
use sluice_domain::link::Link;
use sluice_domain::message::Channel;
use sluice_domain::policy::{Campaign, Document};
use sluice_domain::time::Timestamp;
use sluice_store::{Parked, Written};
use sluice_wire::queue::{Bundle, CampaignMessage, CampaignTask, OrderMessage, encode};

/// The campaign.
const SPRING: &str = "spring";
/// One with a winner.
const CONTEST: &str = "contest";

/// What is published for them: to everybody with an address, counted in two parts. The contest's test is of half of them, and
/// nearly all of these get the second variant.
pub(super) fn documents() -> Vec<Value> {
    vec![
        json!({
            "kind": "campaign", "name": SPRING, "audience": { "query": "has(customer.email)" },
            "send": { "template": "hello", "topic": "product" }, "rate": 10,
            "stop_if": { "bounce_rate": "50%", "after": 1 },
        }),
        json!({
            "kind": "campaign", "name": CONTEST, "audience": { "query": "has(customer.email)" },
            "send": { "template": "linked", "topic": "product" }, "rate": 10,
            "variants": [{ "name": "one" }, { "name": "two", "weight": 100 }],
            "winner": { "by": "clicked", "test": "50%", "after": "1h" },
        }),
    ]
}

fn document() -> Campaign {
    named(SPRING)
}

fn named(name: &str) -> Campaign {
    let document = documents().into_iter().find(|document| document["name"] == name).unwrap();
    match Document::from_json(document).unwrap() {
        Document::Campaign(campaign) => *campaign,
        other => panic!("{}", other.kind()),
    }
}

/// Two people with addresses.
async fn people(world: &mut World) -> Vec<CustomerId> {
    both(world, &[]).await
}

/// The same, who have something in common.
async fn both(world: &mut World, common: &[(&str, &str)]) -> Vec<CustomerId> {
    let ada = [&[("email", "ada@example.org")], common].concat();
    let grace = [&[("email", "grace@example.org")], common].concat();
    let ada = accept(world, "web", "1", &ada, 0).await;
    let grace = accept(world, "web", "2", &grace, 0).await;
    play(world, &[&ada, &grace]).await;
    let rows = world.rows();
    let records = rows.iter().filter(|item| text(item, "sk") == "c" && text(item, "pk").starts_with("cu_"));
    records.filter_map(|item| CustomerId::parse(text(item, "pk"))).collect()
}

/// A broadcast that was asked for now.
async fn scheduled(world: &World) -> Broadcast {
    let now = Timestamp(world.clock.millis());
    let broadcast = Broadcast::new(SPRING, 1, first(&document().at, now).unwrap(), "admin", now);
    put(world, broadcast).await
}

/// One that has begun. Its tallies have not heard of it.
async fn begun(world: &World) -> Broadcast {
    let mut broadcast = scheduled(world).await;
    broadcast.begin(&document(), 1, None, Timestamp(world.clock.millis())).unwrap();
    put(world, broadcast).await
}

async fn put(world: &World, mut broadcast: Broadcast) -> Broadcast {
    assert_eq!(world.store().put_broadcast(&broadcast).await.unwrap(), Written::Done);
    broadcast.version += 1;
    broadcast
}

fn task(broadcast: &Broadcast, task: CampaignTask) -> String {
    encode(&CampaignMessage { campaign: broadcast.campaign.clone(), broadcast: broadcast.n, task })
}

fn pages(broadcast: &Broadcast) -> Vec<String> {
    (0..SECTIONS).map(|part| task(broadcast, CampaignTask::Pages { part, page: 0 })).collect()
}

fn order(broadcast: &Broadcast, customer: &CustomerId) -> String {
    let place = Place { share: Share::Message(None), at: broadcast.at };
    encode(&OrderMessage::new(broadcast.order(customer, place, Channel::Email).unwrap()))
}

/// What somebody asks of the campaign.
fn act(what: &str) -> Event {
    let headers = Headers::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        ("authorization".to_owned(), format!("Bearer {ADMIN_TOKEN}")),
        ("idempotency-key".to_owned(), "one".to_owned()),
    ]);
    let payload = http_event("POST", &format!("/api/campaigns/{SPRING}/{what}"), &headers, "");
    let post = Post { payload, fields: Vec::new(), again: None, clash: None };
    Event::Http(Post { again: Some(Box::new(post.clone())), ..post })
}

/// All of its parts are gone through, whoever was found.
async fn gone_through(world: &World, broadcast: &Broadcast, planned: u64) {
    for part in 0..SECTIONS {
        let planned = if part == 0 { planned } else { 0 };
        let last = Some(broadcast.at);
        let section = Section { page: 1, done: true, planned, last, ..Section::default() };
        assert_eq!(world.store().put_section(broadcast, part, &section).await.unwrap(), Written::Done);
    }
}

/// Its time comes, twice.
pub(super) fn begins(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        people(world).await;
        let broadcast = scheduled(world).await;
        let begin = task(&broadcast, CampaignTask::Begin);
        (Event::Queue { queue: "campaign", bodies: vec![begin.clone()] }, vec![("campaign", begin)])
    })
}

/// Its audience is gone through.
pub(super) fn paged(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        people(world).await;
        let broadcast = begun(world).await;
        let mut bodies = pages(&broadcast);
        bodies.push(POISON.to_owned());
        (Event::Queue { queue: "campaign", bodies }, Vec::new())
    })
}

/// People whose minute comes.
pub(super) fn bundled(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let people = people(world).await;
        let broadcast = begun(world).await;
        gone_through(world, &broadcast, 2).await;
        let people = people.into_iter().map(|customer| (customer, Share::Message(None), 0)).collect();
        let bundle = task(&broadcast, CampaignTask::Bundle(Bundle { at: broadcast.at, people, due: None }));
        (Event::Queue { queue: "campaign", bodies: vec![bundle] }, vec![asked(act("pause"))])
    })
}

/// Messages on their way while somebody asks for this.
async fn on_their_way(world: &mut World, what: &str) -> (Event, Vec<(&'static str, String)>) {
    let people = people(world).await;
    let broadcast = begun(world).await;
    gone_through(world, &broadcast, 2).await;
    let [first, next] = [&people[0], &people[1]].map(|customer| order(&broadcast, customer));
    (Event::Queue { queue: "bulk", bodies: vec![first] }, vec![("bulk", next), asked(act(what))])
}

/// Paused.
pub(super) fn paused(world: &mut World) -> Prepare<'_> {
    Box::pin(async { on_their_way(world, "pause").await })
}

/// Cancelled.
pub(super) fn cancelled(world: &mut World) -> Prepare<'_> {
    Box::pin(async { on_their_way(world, "cancel").await })
}

/// The minute of those who wait for the winner comes, twice, while somebody in the test clicks: before that the first variant
/// is the best, after it the second.
pub(super) fn won(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mut leads = Vec::new();
        for n in 0..6 {
            let email = format!("reader{n}@example.org");
            leads.push(accept(world, "web", &n.to_string(), &[("email", &email)], 0).await);
        }
        play(world, &leads.iter().collect::<Vec<_>>()).await;
        let now = Timestamp(world.clock.millis());
        let document = named(CONTEST);
        let mut broadcast = Broadcast::new(CONTEST, 1, first(&document.at, now).unwrap(), "admin", now);
        broadcast.begin(&document, 1, None, now).unwrap();
        let broadcast = put(world, broadcast).await;
        let rows = world.rows();
        let records =
            rows.iter().filter(|item| text(item, "sk") == "c" && text(item, "pk").starts_with("cu_"));
        let people: Vec<CustomerId> =
            records.filter_map(|item| CustomerId::parse(text(item, "pk"))).collect();
        let planner = Planner::new(&broadcast, None, 0).unwrap();
        let share = |who: &CustomerId| planner.place(&mut Section::default(), who, &Zone::utc()).share;
        let (waiting, tested): (Vec<CustomerId>, Vec<CustomerId>) =
            people.into_iter().partition(|who| share(who) == Share::Winner);
        assert!(waiting.len() >= 2 && share(&tested[0]) == Share::Message(Some(1)), "{waiting:?} {tested:?}");
        gone_through(world, &broadcast, 6).await;
        let mut seen = None;
        for who in &tested {
            let place = Place { share: share(who), at: broadcast.at };
            let order = broadcast.order(who, place, Channel::Email).unwrap();
            seen.get_or_insert(order.id());
            world.send("bulk", &encode(&OrderMessage::new(order)));
        }
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        world.clock.advance(3_600_000);
        let at = Timestamp(world.clock.millis());
        let bundle = |who: &CustomerId| {
            let people = vec![(who.clone(), Share::Winner, 0)];
            task(&broadcast, CampaignTask::Bundle(Bundle { at, people, due: None }))
        };
        let rest = waiting[1..].iter().map(|who| ("campaign", bundle(who)));
        let click = asked(request("GET", &Link::Click(seen.unwrap(), 1), ""));
        (Event::Queue { queue: "campaign", bodies: vec![bundle(&waiting[0])] }, rest.chain([click]).collect())
    })
}

/// Messages to two who are found to be one person: first the one whose address that person will not be written to.
pub(super) fn merged(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mut people = both(world, &[("phone", "+4930901820")]).await;
        assert_eq!(people.len(), 2);
        // Of two who are alike the smaller id stays.
        people.sort();
        let broadcast = begun(world).await;
        gone_through(world, &broadcast, 2).await;
        let [stays, gives_way] = [&people[0], &people[1]];
        let path = format!("/api/customers/{gives_way}/merge");
        let merge = console::act(ADMIN_TOKEN, &path, &json!({ "with": stays }));
        let event = Event::Queue { queue: "bulk", bodies: vec![order(&broadcast, gives_way)] };
        (event, vec![("bulk", order(&broadcast, stays)), asked(merge)])
    })
}

/// A message whose person is erased.
pub(super) fn erased(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let people = people(world).await;
        let broadcast = begun(world).await;
        let own = order(&broadcast, &people[0]);
        (
            Event::Queue { queue: "bulk", bodies: vec![own.clone()] },
            vec![("bulk", own), meanwhile(&people[0])],
        )
    })
}

/// Somebody looks at what was counted and finds too much, while a message is on its way.
pub(super) fn stopped(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let people = people(world).await;
        let broadcast = begun(world).await;
        gone_through(world, &broadcast, 2).await;
        world.send("bulk", &order(&broadcast, &people[0]));
        world.settle(600_000).await.unwrap();
        world.deliveries = 0;
        // It came back.
        let own = world.store().messages_of(&people[0], None, 5).await.unwrap();
        let mut message = own.into_iter().find(|message| message.order.campaign.is_some()).unwrap();
        message.trail.bounce(Timestamp(world.clock.millis()), sluice_domain::message::Bounce::Hard);
        assert_eq!(world.store().put_message(&message).await.unwrap(), Written::Done);
        let watch = task(&broadcast, CampaignTask::Watch(Look::first(Timestamp(world.clock.millis()))));
        let next = order(&broadcast, &people[1]);
        (Event::Queue { queue: "campaign", bodies: vec![watch] }, vec![("bulk", next)])
    })
}

/// It is asked for, with a key.
pub(super) fn asked_for(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        people(world).await;
        (act("schedule"), Vec::new())
    })
}

/// It goes on, with messages and a bundle that wait, while another message comes that was to wait.
pub(super) fn resumed(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let people = people(world).await;
        let mut broadcast = begun(world).await;
        gone_through(world, &broadcast, 2).await;
        broadcast.pause().unwrap();
        let broadcast = put(world, broadcast).await;
        let store = world.store();
        store.tell_tallies(&broadcast).await.unwrap();
        let waits = vec![(people[0].clone(), Share::Message(None), 0)];
        let bundle = Bundle { at: broadcast.at, people: waits, due: None };
        let body = task(&broadcast, CampaignTask::Bundle(bundle));
        let parked = Parked { id: "bundle".to_owned(), queue: "campaign".to_owned(), body };
        store.park(&broadcast, 0, &parked).await.unwrap();
        (act("resume"), vec![("bulk", order(&broadcast, &people[1]))])
    })
}

/// It is cancelled, with a message that waits.
pub(super) fn given_up(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let people = people(world).await;
        let broadcast = begun(world).await;
        gone_through(world, &broadcast, 2).await;
        let parked =
            Parked { id: "one".to_owned(), queue: "bulk".to_owned(), body: order(&broadcast, &people[0]) };
        world.store().park(&broadcast, 1, &parked).await.unwrap();
        (act("cancel"), vec![("bulk", order(&broadcast, &people[1]))])
    })
}
