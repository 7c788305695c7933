//! What is under test: for each handler the events it gets, and the world they come into.

mod admin;
mod advance;
mod asked;
mod campaign;
mod clock;
pub mod company;
mod console;
mod depth;
mod engage;
mod erase;
mod feedback;
mod import;
mod lookalike;
mod messages;
mod refusals;
mod senders;
mod timers;
mod track;
mod work;

pub(crate) use console::REP_TOKEN;
pub(crate) use messages::NOTED;

use crate::canaries::of_world;
use crate::events::{http_event, queue_event};
use crate::wire::Headers;
use crate::world::{APP_SECRET, Name, Snapshot, World};
use bytes::Bytes;
use company::GONE;
use futures::future::BoxFuture;
use ring::hmac;
use serde_json::{Value, json};
use sluice_domain::id::LeadId;
use sluice_domain::lead::{ConsentProof, Envelope, Lead, Origin, Progress};
use sluice_domain::time::Timestamp;
use sluice_wire::queue::{EnrichMessage, LeadMessage, NoticeKind, NoticeMessage, encode};
use std::collections::BTreeSet;

/// A body that no handler can read.
pub const POISON: &str = "not ours";
/// Instead of a queue, beside an event: what a person asks for meanwhile, as API Gateway hands it over.
pub const MEANWHILE: &str = "meanwhile";

/// The event that a handler gets.
#[derive(Clone, Debug)]
pub enum Event {
    /// Messages from a queue, delivered as one batch.
    Queue {
        /// The queue.
        queue: &'static str,
        /// The bodies.
        bodies: Vec<String>,
    },
    /// An HTTP request.
    Http(Post),
    /// The schedule.
    Schedule,
}

/// A request, and what its sender does when it is not answered with 2xx.
#[derive(Clone, Debug)]
pub struct Post {
    /// The first attempt.
    pub payload: Bytes,
    /// What it submits, in order; empty if that is not in the request.
    pub fields: Vec<(String, String)>,
    /// What is sent then, until there is a 2xx; none gives up.
    pub again: Option<Box<Post>>,
    /// A request that must be refused with 409 once this one is accepted.
    pub clash: Option<Bytes>,
}

/// One thing to sweep.
pub struct Scenario {
    /// Its name in plans.
    pub name: &'static str,
    /// The handler.
    pub function: Name,
    /// Puts the world in place, which is played to rest, and answers with the event and with messages that are on
    /// their queues beside it.
    pub prepare: fn(&mut World) -> Prepare<'_>,
}

/// A scenario with its world prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its name.
    pub name: String,
    /// The handler.
    pub function: Name,
    /// Where each plan begins.
    pub snapshot: Snapshot,
    /// The event.
    pub event: Event,
    /// Messages beside it.
    pub beside: Vec<(&'static str, String)>,
    /// What must be in no line of a log.
    pub canaries: BTreeSet<String>,
}

impl Scenario {
    /// Prepares the world once for all plans.
    pub async fn prepared(&self) -> Prepared {
        let mut world = company::world().await;
        let (event, beside) = (self.prepare)(&mut world).await;
        world.take_events().await;
        let snapshot = world.snapshot(company::capacities());
        let fields = if let Event::Http(post) = &event { post.fields.as_slice() } else { &[] };
        let canaries = of_world(snapshot.items.values().map(|item| &**item), fields);
        Prepared { name: self.name.to_owned(), function: self.function, snapshot, event, beside, canaries }
    }
}

/// An event, and messages beside it, once the world is in place.
pub type Prepare<'a> = BoxFuture<'a, (Event, Vec<(&'static str, String)>)>;

/// Every scenario. The acts of a further function are further lines here.
pub const ALL: &[Scenario] = &[
    Scenario { name: "capture-form-key", function: Name::Capture, prepare: capture_form_key },
    Scenario { name: "capture-form", function: Name::Capture, prepare: capture_form },
    Scenario { name: "capture-form-twice", function: Name::Capture, prepare: capture_form_twice },
    Scenario { name: "capture-form-corrected", function: Name::Capture, prepare: capture_form_corrected },
    Scenario { name: "capture-meta", function: Name::Capture, prepare: capture_meta },
    Scenario { name: "capture-withdrawn", function: Name::Capture, prepare: senders::withdrawn },
    Scenario { name: "enrich-linkedin", function: Name::Enrich, prepare: senders::enrich_linkedin },
    Scenario { name: "enrich", function: Name::Enrich, prepare: enrich },
    Scenario { name: "enrich-large", function: Name::Enrich, prepare: enrich_large },
    Scenario { name: "route-new", function: Name::Route, prepare: route_new },
    Scenario { name: "route-batch", function: Name::Route, prepare: route_batch },
    Scenario { name: "route-merge", function: Name::Route, prepare: route_merge },
    Scenario { name: "route-merge-batch", function: Name::Route, prepare: route_merge_batch },
    Scenario { name: "route-returning", function: Name::Route, prepare: route_returning },
    Scenario { name: "route-rotated", function: Name::Route, prepare: route_rotated },
    Scenario { name: "route-full", function: Name::Route, prepare: route_full },
    Scenario { name: "route-repeat", function: Name::Route, prepare: route_repeat },
    Scenario { name: "route-share", function: Name::Route, prepare: route_share },
    Scenario { name: "route-lookalike", function: Name::Route, prepare: lookalike::route },
    Scenario { name: "route-capped", function: Name::Route, prepare: depth::route_capped },
    Scenario { name: "route-capped-given", function: Name::Route, prepare: depth::route_capped_given },
    Scenario { name: "route-woken", function: Name::Route, prepare: depth::route_woken },
    Scenario { name: "route-turns", function: Name::Route, prepare: depth::route_turns },
    Scenario { name: "route-company", function: Name::Route, prepare: depth::route_company },
    Scenario { name: "route-round", function: Name::Route, prepare: depth::route_round },
    Scenario { name: "route-queue", function: Name::Route, prepare: depth::route_queue },
    Scenario { name: "route-stranded", function: Name::Route, prepare: depth::route_stranded },
    Scenario { name: "send-email", function: Name::Send, prepare: send_email },
    Scenario { name: "send-webhook", function: Name::Send, prepare: send_webhook },
    Scenario { name: "send-webhook-gone", function: Name::Send, prepare: send_webhook_gone },
    Scenario { name: "send-both", function: Name::Send, prepare: send_both },
    Scenario { name: "message-email", function: Name::Send, prepare: messages::email },
    Scenario { name: "message-capped", function: Name::Send, prepare: messages::capped },
    Scenario { name: "message-capped-overall", function: Name::Send, prepare: messages::capped_overall },
    Scenario { name: "message-resent", function: Name::Send, prepare: messages::resent },
    Scenario { name: "message-replaced", function: Name::Send, prepare: messages::replaced },
    Scenario { name: "refuse-one-click", function: Name::Send, prepare: refusals::one_click },
    Scenario { name: "refuse-page", function: Name::Send, prepare: refusals::page },
    Scenario { name: "refuse-by-staff", function: Name::Send, prepare: refusals::by_staff },
    Scenario { name: "refuse-suppressed", function: Name::Send, prepare: refusals::suppressed },
    Scenario { name: "refuse-erased", function: Name::Send, prepare: refusals::erased },
    Scenario { name: "refuse-merged", function: Name::Send, prepare: refusals::merged },
    Scenario { name: "refuse-unmerged", function: Name::Send, prepare: refusals::unmerged },
    Scenario { name: "feedback-bounce", function: Name::Record, prepare: feedback::bounced },
    Scenario { name: "feedback-soft-bounces", function: Name::Record, prepare: feedback::bounced_softly },
    Scenario { name: "feedback-complaint", function: Name::Record, prepare: feedback::complained },
    Scenario {
        name: "feedback-delivery-unknown",
        function: Name::Record,
        prepare: feedback::delivered_unknown,
    },
    Scenario { name: "hook-sns", function: Name::Capture, prepare: feedback::hooked },
    Scenario { name: "hook-sns-subscription", function: Name::Capture, prepare: feedback::subscribed },
    Scenario { name: "route-question", function: Name::Route, prepare: engage::question },
    Scenario { name: "engage-open", function: Name::Engage, prepare: engage::open },
    Scenario { name: "engage-open-refused", function: Name::Engage, prepare: engage::open_refused },
    Scenario { name: "engage-click", function: Name::Engage, prepare: engage::click },
    Scenario { name: "engage-unsubscribe", function: Name::Engage, prepare: engage::unsubscribe },
    Scenario { name: "engage-page", function: Name::Engage, prepare: engage::page },
    Scenario { name: "engage-confirm", function: Name::Engage, prepare: engage::confirm },
    Scenario { name: "engage-erased", function: Name::Engage, prepare: engage::erased },
    Scenario { name: "advance-stitch", function: Name::Advance, prepare: advance::stitched },
    Scenario { name: "advance-enter", function: Name::Advance, prepare: advance::entered },
    Scenario { name: "advance-move", function: Name::Advance, prepare: advance::moved },
    Scenario { name: "advance-erased", function: Name::Advance, prepare: advance::erased },
    Scenario { name: "advance-two-users", function: Name::Advance, prepare: advance::two_users },
    Scenario { name: "advance-facts", function: Name::Advance, prepare: advance::facts },
    Scenario { name: "advance-joined", function: Name::Advance, prepare: advance::joined },
    Scenario { name: "advance-timeout", function: Name::Advance, prepare: advance::timed_out },
    Scenario { name: "advance-webhook", function: Name::Advance, prepare: advance::hooked },
    Scenario { name: "advance-exit", function: Name::Advance, prepare: advance::left },
    Scenario { name: "advance-goal", function: Name::Advance, prepare: advance::reached },
    Scenario { name: "advance-pass", function: Name::Advance, prepare: advance::published },
    Scenario { name: "campaign-begins", function: Name::Campaign, prepare: campaign::begins },
    Scenario { name: "campaign-paged", function: Name::Campaign, prepare: campaign::paged },
    Scenario { name: "campaign-bundled", function: Name::Campaign, prepare: campaign::bundled },
    Scenario { name: "campaign-stopped", function: Name::Campaign, prepare: campaign::stopped },
    Scenario { name: "campaign-paused", function: Name::Send, prepare: campaign::paused },
    Scenario { name: "campaign-cancelled", function: Name::Send, prepare: campaign::cancelled },
    Scenario { name: "campaign-erased", function: Name::Send, prepare: campaign::erased },
    Scenario { name: "campaign-winner", function: Name::Campaign, prepare: campaign::won },
    Scenario { name: "campaign-merged", function: Name::Send, prepare: campaign::merged },
    Scenario { name: "campaign-asked-for", function: Name::Console, prepare: campaign::asked_for },
    Scenario { name: "campaign-resumed", function: Name::Console, prepare: campaign::resumed },
    Scenario { name: "campaign-given-up", function: Name::Console, prepare: campaign::given_up },
    Scenario { name: "track-batch", function: Name::Track, prepare: track::batch },
    Scenario { name: "clock-reminder", function: Name::Route, prepare: clock::reminder },
    Scenario { name: "clock-expiry", function: Name::Route, prepare: clock::expiry },
    Scenario { name: "clock-very-late", function: Name::Route, prepare: clock::very_late },
    Scenario { name: "clock-back", function: Name::Route, prepare: clock::back },
    Scenario { name: "clock-set-anew", function: Name::Route, prepare: clock::set_anew },
    Scenario { name: "clock-set-anew-later", function: Name::Route, prepare: clock::set_anew_later },
    Scenario { name: "clock-contact", function: Name::Console, prepare: clock::contact },
    Scenario { name: "clock-answered", function: Name::Route, prepare: clock::answered },
    Scenario { name: "fire-timers", function: Name::Fire, prepare: timers::everything },
    Scenario { name: "fire-timers-one", function: Name::Fire, prepare: timers::one_lead },
    Scenario { name: "console-close", function: Name::Console, prepare: console::close },
    Scenario { name: "console-accept", function: Name::Console, prepare: work::taken_on },
    Scenario { name: "console-disqualify", function: Name::Console, prepare: work::disqualify },
    Scenario { name: "console-qualify", function: Name::Console, prepare: work::qualify },
    Scenario { name: "console-reassign", function: Name::Console, prepare: console::reassign },
    Scenario { name: "console-claim", function: Name::Console, prepare: console::claim },
    Scenario { name: "console-claim-queued", function: Name::Console, prepare: depth::claim_queued },
    Scenario { name: "console-credit", function: Name::Console, prepare: depth::credit },
    Scenario { name: "console-leave", function: Name::Console, prepare: depth::leave },
    Scenario { name: "console-rebalance", function: Name::Console, prepare: depth::rebalance },
    Scenario { name: "console-merge", function: Name::Console, prepare: console::merge },
    Scenario { name: "console-keep-apart", function: Name::Console, prepare: console::keep_apart },
    Scenario { name: "console-unmerge", function: Name::Console, prepare: console::unmerge },
    Scenario { name: "console-unmerge-live", function: Name::Console, prepare: console::unmerge_live },
    Scenario { name: "console-consents", function: Name::Console, prepare: asked::consents },
    Scenario { name: "console-suppress", function: Name::Console, prepare: asked::suppress },
    Scenario { name: "console-unsuppress", function: Name::Console, prepare: asked::unsuppress },
    Scenario { name: "console-message", function: Name::Console, prepare: asked::message },
    Scenario { name: "console-message-new", function: Name::Console, prepare: asked::message_new },
    Scenario { name: "console-test-send", function: Name::Console, prepare: asked::test_send },
    Scenario { name: "console-settle", function: Name::Console, prepare: asked::settle },
    Scenario { name: "console-settle-alone", function: Name::Console, prepare: asked::settle_alone },
    Scenario { name: "console-publish", function: Name::Console, prepare: admin::publish },
    Scenario { name: "console-token", function: Name::Console, prepare: admin::revoke_token },
    Scenario { name: "console-token-new", function: Name::Console, prepare: admin::new_token },
    Scenario { name: "webhook-enable", function: Name::Console, prepare: admin::enable },
    Scenario { name: "webhook-redeliver", function: Name::Console, prepare: admin::redeliver },
    Scenario { name: "import-rows", function: Name::Console, prepare: import::rows },
    Scenario { name: "import-routed", function: Name::Console, prepare: import::routed },
    Scenario { name: "import-revert", function: Name::Console, prepare: import::revert },
    Scenario { name: "import-revert-routed", function: Name::Console, prepare: import::revert_routed },
    Scenario { name: "erase-ask", function: Name::Console, prepare: erase::ask },
    Scenario { name: "erase-work", function: Name::Erase, prepare: erase::work },
    Scenario { name: "erase-late", function: Name::Erase, prepare: erase::late },
    Scenario { name: "erase-dead-letters", function: Name::Erase, prepare: erase::dead_letters },
    Scenario { name: "erase-withdrawn", function: Name::Erase, prepare: erase::withdrawn },
    Scenario { name: "erase-withdrawn-only", function: Name::Erase, prepare: erase::withdrawn_only },
    Scenario { name: "erase-route", function: Name::Route, prepare: erase::route },
    Scenario { name: "erase-route-new", function: Name::Route, prepare: erase::route_new },
    Scenario { name: "erase-capture", function: Name::Capture, prepare: erase::capture },
    Scenario { name: "erase-enrich", function: Name::Enrich, prepare: erase::enrich },
    Scenario { name: "erase-message", function: Name::Console, prepare: asked::erased },
    Scenario { name: "erase-contact", function: Name::Console, prepare: erase::contact },
    Scenario { name: "console-test-send-once", function: Name::Console, prepare: asked::test_send_once },
    Scenario { name: "console-token-once", function: Name::Console, prepare: admin::new_token_once },
];

fn capture_form_key(_: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let post = form_post(Some("one"), &[("name", "Ada"), ("email", "ada@example.org")]);
        let clash = form_post(Some("one"), &[("name", "Ada"), ("email", "other@example.org")]).payload;
        let again = Some(Box::new(post.clone()));
        (Event::Http(Post { again, clash: Some(clash), ..post }), Vec::new())
    })
}

fn capture_form(_: &mut World) -> Prepare<'_> {
    Box::pin(async {
        (Event::Http(form_post(None, &[("name", "Ada"), ("email", "ada@example.org")])), Vec::new())
    })
}

/// A browser posts what names nobody, twice if it has no answer.
fn capture_form_twice(_: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let browser = [("user-agent".to_owned(), "Mozilla/5.0 (X11; Linux x86_64)".to_owned())];
        let post = form_post_with(Headers::from(browser), &[("name", "Ada"), ("note", "call me")]);
        let again = Some(Box::new(post.clone()));
        (Event::Http(Post { again, ..post }), Vec::new())
    })
}

/// The form keeps its key, the person corrects a field before sending again; too large for one item.
fn capture_form_corrected(_: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let note = "n".repeat(600);
        let post = form_post(Some("one"), &[("email", "ada@example.org"), ("note", &note)]);
        let corrected = form_post(Some("one"), &[("email", "ada.l@example.org"), ("note", &note)]);
        (Event::Http(Post { again: Some(Box::new(corrected)), ..post }), Vec::new())
    })
}

fn capture_meta(_: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let change = |id: &str| json!({ "field": "leadgen", "value": { "leadgen_id": id, "page_id": "7", "form_id": "8", "created_time": 1_795_259_990 } });
        let changes: Vec<Value> = ["501", "502", "503"].map(change).to_vec();
        let body =
            json!({ "object": "page", "entry": [{ "id": "7", "time": 1, "changes": changes }] }).to_string();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes()), body.as_bytes());
        let headers = Headers::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-hub-signature-256".to_owned(), format!("sha256={}", hex(tag.as_ref()))),
        ]);
        let payload = http_event("POST", "/hooks/ads", &headers, &body);
        let post = Post { payload, fields: Vec::new(), again: None, clash: None };
        (Event::Http(Post { again: Some(Box::new(post.clone())), ..post }), Vec::new())
    })
}

fn enrich(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "ads", "601", &[], 0).await;
        let two = accept(world, "ads", "602", &[], 0).await;
        let bodies = vec![enrich_body(&one), POISON.to_owned(), enrich_body(&two)];
        (Event::Queue { queue: "enrich", bodies }, Vec::new())
    })
}

/// What was announced is already too large for one item.
fn enrich_large(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "ads", "611", &[], 600).await;
        (Event::Queue { queue: "enrich", bodies: vec![enrich_body(&one)] }, Vec::new())
    })
}

fn route_new(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let new =
            accept(world, "web", "1", &[("email", "ada@example.org"), ("phone", "+4930901820")], 0).await;
        let other = accept(world, "web", "2", &[("email", "grace@example.org")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&new)] }, vec![("lead", lead_body(&other))])
    })
}

fn route_batch(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let ada = [("email", "ada@example.org"), ("name", "Ada")];
        let one = accept(world, "web", "1", &ada, 0).await;
        let two = accept(world, "web", "2", &[("email", "ada@example.org"), ("name", "Ada L")], 0).await;
        let other = accept(world, "web", "3", &[("email", "grace@example.org")], 0).await;
        let bodies = vec![lead_body(&one), POISON.to_owned(), lead_body(&two), lead_body(&other)];
        (Event::Queue { queue: "lead", bodies }, Vec::new())
    })
}

fn route_merge(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mail = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let phone = accept(world, "web", "2", &[("phone", "+4930901820")], 0).await;
        play(world, &[&mail, &phone]).await;
        let both =
            accept(world, "web", "3", &[("email", "ada@example.org"), ("phone", "+4930901820")], 0).await;
        let next = accept(world, "web", "4", &[("phone", "+4930901820"), ("name", "Ada")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&both)] }, vec![("lead", lead_body(&next))])
    })
}

fn route_merge_batch(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mail = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let phone = accept(world, "web", "2", &[("phone", "+4930901820")], 0).await;
        let both =
            accept(world, "web", "3", &[("email", "ada@example.org"), ("phone", "+4930901820")], 0).await;
        let bodies = [mail, phone, both].iter().map(lead_body).collect();
        (Event::Queue { queue: "lead", bodies }, Vec::new())
    })
}

fn route_returning(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let first = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let grace = accept(world, "web", "2", &[("email", "grace@example.org")], 0).await;
        play(world, &[&first, &grace]).await;
        world.clock.advance(86_400_000);
        let again =
            accept(world, "web", "3", &[("email", "ada@example.org"), ("phone", "+4930901820")], 0).await;
        let other = accept(world, "web", "4", &[("email", "joan@example.org")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&again)] }, vec![("lead", lead_body(&other))])
    })
}

/// The hash key was rotated since the person was here.
fn route_rotated(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let ada = [("email", "ada@example.org"), ("phone", "+4930901820")];
        let first = accept(world, "web", "1", &ada, 0).await;
        play(world, &[&first]).await;
        world.clock.advance(86_400_000);
        world.rotate();
        let again = accept(world, "web", "2", &ada, 0).await;
        let other = accept(world, "web", "3", &[("email", "grace@example.org")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&again), lead_body(&other)] }, Vec::new())
    })
}

/// Two places, three leads.
fn route_full(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "tight", "1", &[("email", "ada@example.org")], 0).await;
        let two = accept(world, "tight", "2", &[("email", "grace@example.org")], 0).await;
        let three = accept(world, "tight", "3", &[("email", "joan@example.org")], 0).await;
        let beside = vec![("lead", lead_body(&three))];
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&one), lead_body(&two)] }, beside)
    })
}

/// The same fields twice within minutes, the second while the first is being routed.
fn route_repeat(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let two = accept(world, "web", "2", &[("email", "ada@example.org")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&one)] }, vec![("lead", lead_body(&two))])
    })
}

/// Five people for two members.
fn route_share(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mut bodies = Vec::new();
        for key in ["1", "2", "3", "4", "5"] {
            let email = format!("p{key}@example.org");
            bodies.push(lead_body(&accept(world, "web", key, &[("email", &email)], 0).await));
        }
        let beside = bodies.split_off(3).into_iter().map(|body| ("lead", body)).collect();
        (Event::Queue { queue: "lead", bodies }, beside)
    })
}

fn send_email(world: &mut World) -> Prepare<'_> {
    Box::pin(async { send(world, "mail", "ann").await })
}

fn send_webhook(world: &mut World) -> Prepare<'_> {
    Box::pin(async { send(world, "hook", "bob").await })
}

fn send_webhook_gone(world: &mut World) -> Prepare<'_> {
    Box::pin(async { send(world, "lost", GONE).await })
}

fn send_both(world: &mut World) -> Prepare<'_> {
    Box::pin(async { send(world, "both", "eve").await })
}

/// A lead that was routed, whose owner is still to be told.
async fn send(world: &mut World, form: &str, rep: &str) -> (Event, Vec<(&'static str, String)>) {
    let lead = accept(world, form, "1", &[("email", "ada@example.org"), ("name", "Ada")], 0).await;
    world.send("lead", &lead_body(&lead));
    let messages = world.receive("lead", 10);
    let answer = world.invoke(Name::Route, queue_event(&messages)).await.unwrap();
    world.acknowledge("lead", &messages, &answer);
    // What route-lead sent is what is under test.
    let notices = world.receive("notice", 10);
    world.acknowledge("notice", &notices, &answer);
    let body = encode(&NoticeMessage { lead, rep: rep.to_owned(), kind: NoticeKind::Assigned, n: 1 });
    assert_eq!(notices.iter().map(|notice| notice.body.as_str()).collect::<Vec<_>>(), [body.as_str()]);
    (Event::Queue { queue: "notice", bodies: vec![body, POISON.to_owned()] }, Vec::new())
}

/// Accepts a lead as capture does; `padding` bytes of attribution make it large.
async fn accept(world: &World, source: &str, key: &str, fields: &[(&str, &str)], padding: usize) -> LeadId {
    accept_with(world, source, key, fields, padding, None).await
}

/// The same with what its consent box says.
async fn accept_with(
    world: &World,
    source: &str,
    key: &str,
    fields: &[(&str, &str)],
    padding: usize,
    consent: Option<ConsentProof>,
) -> LeadId {
    let is_ads = source == "ads";
    let mut envelope = Envelope {
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        consent,
        ..Envelope::default()
    };
    if padding > 0 {
        envelope.attribution.insert("page".to_owned(), "p".repeat(padding));
    }
    let lead = Lead {
        id: LeadId::derived(&["test", source, key]),
        origin: Origin { kind: if is_ads { "meta" } else { "form" }.to_owned(), name: source.to_owned() },
        external_id: is_ads.then(|| key.to_owned()),
        received: Timestamp(world.clock.millis()),
        envelope,
        needs_enrichment: is_ads,
        manifest: 1,
        progress: Progress::default(),
        version: 0,
    };
    world.store().accept_lead(&lead).await.unwrap();
    lead.id
}

async fn play(world: &mut World, leads: &[&LeadId]) {
    for lead in leads {
        world.send("lead", &lead_body(lead));
    }
    world.settle(600_000).await.unwrap();
    world.deliveries = 0;
}

/// A lead by itself that goes through a team, so that the team looks at its books.
pub async fn probe(world: &mut World, form: &str) {
    let email = format!("probe-{form}@example.net");
    let lead = accept(world, form, "probe", &[("email", &email)], 0).await;
    world.send("lead", &lead_body(&lead));
}

fn lead_body(lead: &LeadId) -> String {
    encode(&LeadMessage::Lead(lead.clone()))
}

fn enrich_body(lead: &LeadId) -> String {
    encode(&EnrichMessage::Lead(lead.clone()))
}

fn form_post(key: Option<&str>, fields: &[(&str, &str)]) -> Post {
    form_post_with(
        key.map(|key| ("idempotency-key".to_owned(), key.to_owned())).into_iter().collect(),
        fields,
    )
}

fn form_post_with(mut headers: Headers, fields: &[(&str, &str)]) -> Post {
    headers.insert("content-type".to_owned(), "application/json".to_owned());
    let mut body = serde_json::Map::new();
    for (name, value) in fields {
        body.insert((*name).to_owned(), (*value).into());
    }
    let payload = http_event("POST", "/f/web", &headers, &Value::Object(body).to_string());
    let mut fields: Vec<_> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    fields.sort();
    Post { payload, fields, again: None, clash: None }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
