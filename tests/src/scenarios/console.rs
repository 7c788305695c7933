//! What people do with leads and customers. Who gets no answer, or is told to try again, asks again.

use super::{Event, Post, Prepare, accept, hex, lead_body, play};
use crate::events::http_event;
use crate::wire::{Headers, document};
use crate::world::{ADMIN_TOKEN, World};
use ring::digest;
use serde_json::{Value, json};
use sluice_domain::access::{Change, Doer, Note, Role};
use sluice_domain::customer::Customer;
use sluice_domain::id::LeadId;
use sluice_domain::lead::LeadState;
use sluice_domain::time::Timestamp;
use sluice_store::{Token, Written};

/// The text of a rep's token.
pub(crate) const REP_TOKEN: &str = "ann-token";

/// The team is full and a lead waits for room.
pub(super) fn close(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let [first, _, waiting] = full(world).await;
        let path = format!("/api/leads/{first}/close");
        (act(ADMIN_TOKEN, &path, &json!({ "reason": "bought" })), vec![("lead", lead_body(&waiting))])
    })
}

/// To the other member of the team, while the person comes back.
pub(super) fn reassign(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let first = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let grace = accept(world, "web", "2", &[("email", "grace@example.org")], 0).await;
        play(world, &[&first, &grace]).await;
        world.clock.advance(86_400_000);
        let other = if owner(world, &first).await == "ann" { "bob" } else { "ann" };
        let next = accept(world, "web", "3", &[("email", "ada@example.org"), ("name", "Ada")], 0).await;
        let path = format!("/api/leads/{first}/reassign");
        (
            act(ADMIN_TOKEN, &path, &json!({ "rep": other, "reason": "speaks Dutch" })),
            vec![("lead", lead_body(&next))],
        )
    })
}

/// Nobody of the team could take it; a rep of another one does, while the team is asked again.
pub(super) fn claim(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let [.., waiting] = full(world).await;
        token_of_a_rep(world).await;
        let path = format!("/api/leads/{waiting}/claim");
        (act(REP_TOKEN, &path, &json!({})), vec![("lead", lead_body(&waiting))])
    })
}

/// A rep's token, whose text is [`REP_TOKEN`].
pub(super) async fn token_of_a_rep(world: &World) -> Token {
    let token = Token {
        sha: hex(digest::digest(&digest::SHA256, REP_TOKEN.as_bytes()).as_ref()),
        version: 0,
        role: Role::Rep,
        rep: Some("ann".to_owned()),
        teams: Vec::new(),
        note: None,
        at: Timestamp(world.clock.millis()),
        expires: None,
        revoked: None,
    };
    let change = Change::Token {
        token: token.id(),
        rep: token.rep.clone(),
        teams: Vec::new(),
        from: None,
        to: Some(token.role),
    };
    let note = Note { at: token.at, who: Doer::function("test"), change };
    assert_eq!(world.store().put_token(&token, &note).await.unwrap(), Written::Done);
    token
}

/// Two who share a phone are one person, says somebody while the phone comes in once more.
pub(super) fn merge(world: &mut World) -> Prepare<'_> {
    Box::pin(async { decide(world, "merge", "with").await })
}

/// The same two are not.
pub(super) fn keep_apart(world: &mut World) -> Prepare<'_> {
    Box::pin(async { decide(world, "keep-apart", "from").await })
}

async fn decide(world: &mut World, what: &str, other: &str) -> (Event, Vec<(&'static str, String)>) {
    let phone = ("phone", "+4930901820");
    let one = accept(world, "web", "1", &[("email", "ada@example.org"), phone], 0).await;
    let two = accept(world, "web", "2", &[("email", "ada@example.net"), phone], 0).await;
    play(world, &[&one, &two]).await;
    let mut customers = Vec::new();
    for lead in [&one, &two] {
        customers.extend(world.store().lead(lead).await.unwrap().unwrap().progress.customer);
    }
    assert_ne!(customers[0], customers[1]);
    world.clock.advance(86_400_000);
    let next = accept(world, "web", "3", &[phone, ("email", "ada@example.net"), ("name", "Ada")], 0).await;
    let path = format!("/api/customers/{}/{what}", customers[1]);
    (act(ADMIN_TOKEN, &path, &json!({ other: customers[0] })), vec![("lead", lead_body(&next))])
}

/// The half is named; both addresses come in together once more.
pub(super) fn unmerge(world: &mut World) -> Prepare<'_> {
    Box::pin(async { take_apart(world, true).await })
}

/// The live customer is named.
pub(super) fn unmerge_live(world: &mut World) -> Prepare<'_> {
    Box::pin(async { take_apart(world, false).await })
}

async fn take_apart(world: &mut World, names_half: bool) -> (Event, Vec<(&'static str, String)>) {
    let mail = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
    let phone = accept(world, "web", "2", &[("phone", "+4930901820")], 0).await;
    play(world, &[&mail, &phone]).await;
    let both = [("email", "ada@example.org"), ("phone", "+4930901820")];
    let joins = accept(world, "web", "3", &both, 0).await;
    play(world, &[&joins]).await;
    let items = world.items();
    let mut customers = items.iter().filter(|((pk, _), _)| pk.starts_with("cu_"));
    let half =
        customers.find_map(|((pk, _), item)| Some((pk, document::<Customer>(item, "d")?.into?))).unwrap();
    let named = if names_half { half.0.clone() } else { half.1.to_string() };
    world.clock.advance(86_400_000);
    let next = accept(world, "web", "4", &both, 0).await;
    (
        act(ADMIN_TOKEN, &format!("/api/customers/{named}/unmerge"), &json!({})),
        vec![("lead", lead_body(&next))],
    )
}

/// Two places, three leads: the last of them waits.
pub(super) async fn full(world: &mut World) -> [LeadId; 3] {
    let one = accept(world, "tight", "1", &[("email", "ada@example.org")], 0).await;
    let two = accept(world, "tight", "2", &[("email", "grace@example.org")], 0).await;
    play(world, &[&one, &two]).await;
    let three = accept(world, "tight", "3", &[("email", "joan@example.org")], 0).await;
    play(world, &[&three]).await;
    world.clock.advance(86_400_000);
    let waits = world.store().lead(&three).await.unwrap().unwrap();
    assert_eq!(waits.progress.state, LeadState::Escalated);
    [one, two, three]
}

pub(super) async fn owner(world: &World, lead: &LeadId) -> String {
    let lead = world.store().lead(lead).await.unwrap().unwrap();
    lead.progress.assignment.unwrap().rep
}

pub(super) fn act(token: &str, path: &str, body: &Value) -> Event {
    call("POST", token, path, body)
}

/// The same under a key: however often it is made, it is done once.
pub(super) fn once(path: &str, body: &Value) -> Event {
    request("POST", ADMIN_TOKEN, path, &body.to_string(), Some("call"))
}

/// A call that is made again until it is answered.
pub(super) fn call(method: &str, token: &str, path: &str, body: &Value) -> Event {
    request(method, token, path, &body.to_string(), None)
}

/// The same of any body, with a key if it has one.
pub(super) fn request(method: &str, token: &str, path: &str, body: &str, key: Option<&str>) -> Event {
    let mut headers = Headers::from([
        ("content-type".to_owned(), "application/json".to_owned()),
        ("authorization".to_owned(), format!("Bearer {token}")),
    ]);
    headers.extend(key.map(|key| ("idempotency-key".to_owned(), key.to_owned())));
    let payload = http_event(method, path, &headers, body);
    let post = Post { payload, fields: Vec::new(), again: None, clash: None };
    Event::Http(Post { again: Some(Box::new(post.clone())), ..post })
}
