//! Rows of a file on their way in, and a batch on its way out, while the same people come by themselves.

use super::console::act;
use super::{Event, Prepare, accept, lead_body, play};
use crate::world::{ADMIN_TOKEN, Name, World};
use serde_json::{Value, json};
use sluice_domain::time::Timestamp;
use sluice_store::{Batch, BatchState};

const BATCH: &str = "spring";

/// New and known people, one of them twice, while one of them posts a form.
pub(super) fn rows(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let known = accept(world, "web", "1", &[("email", "grace@example.org")], 0).await;
        play(world, &[&known]).await;
        begin(world, false).await;
        let next = accept(world, "web", "2", &[("email", "ada@example.org"), ("name", "Ada")], 0).await;
        (send(&people()), vec![("lead", lead_body(&next))])
    })
}

/// The same on their way to owners, who are not told.
pub(super) fn routed(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        begin(world, true).await;
        (send(&people()), Vec::new())
    })
}

/// What the rows brought goes, joined customers with it, while one of the people comes back.
pub(super) fn revert(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mail = accept(world, "web", "1", &[("email", "grace@example.org")], 0).await;
        let phone = accept(world, "web", "2", &[("phone", "+4930901820")], 0).await;
        play(world, &[&mail, &phone]).await;
        let joins = json!({"n": 5, "fields": [["email", "grace@example.org"], ["phone", "+4930901820"]]});
        let mut rows = people();
        rows.push(joins);
        brought_in(world, false, &rows).await;
        let next = accept(world, "web", "3", &[("email", "ada@example.org"), ("name", "Ada")], 0).await;
        (take_back(), vec![("lead", lead_body(&next))])
    })
}

/// Leads with owners go, and their places come free.
pub(super) fn revert_routed(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        brought_in(world, true, &people()).await;
        (take_back(), Vec::new())
    })
}

fn people() -> Vec<Value> {
    [
        json!([["email", "ada@example.org"], ["phone", "+4930901821"]]),
        json!([["email", "grace@example.org"], ["name", "Grace"]]),
        json!([["email", "ada@example.org"], ["name", "Ada"]]),
    ]
    .into_iter()
    .zip(1..)
    .map(|(fields, n)| json!({"n": n, "fields": fields}))
    .collect()
}

async fn begin(world: &World, route: bool) {
    let batch = Batch {
        name: BATCH.to_owned(),
        version: 0,
        form: "web".to_owned(),
        route,
        notify: false,
        state: BatchState::Open,
        by: "admin".to_owned(),
        at: Timestamp(world.clock.millis()),
    };
    assert_eq!(world.store().begin_batch(&batch).await.unwrap(), None);
}

async fn brought_in(world: &mut World, route: bool, rows: &[Value]) {
    begin(world, route).await;
    let Event::Http(post) = send(rows) else { return };
    let answer = world.invoke(Name::Console, post.payload).await.unwrap().unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer:#}");
    world.settle(600_000).await.unwrap();
    world.deliveries = 0;
    world.clock.advance(86_400_000);
}

fn send(rows: &[Value]) -> Event {
    act(ADMIN_TOKEN, &format!("/api/imports/{BATCH}/rows"), &json!({"rows": rows}))
}

fn take_back() -> Event {
    act(ADMIN_TOKEN, &format!("/api/imports/{BATCH}/revert"), &json!({}))
}
