//! Capacities over all teams, companies, rounds, queues, leave, credit and leavers.

use super::company::close_queue;
use super::console::{act, call, full, owner};
use super::erase::asked;
use super::{Event, Prepare, accept, lead_body, play};
use crate::world::{ADMIN_TOKEN, Name, World};
use serde_json::{Value, json};
use sluice_domain::lead::LeadState;
use sluice_domain::time::Timestamp;
use sluice_store::DueEntry;

/// Documents, and rules that come before those of the teams.
pub(super) fn documents() -> (Vec<Value>, Vec<Value>) {
    let form = |name: &str| json!({ "kind": "form", "name": name });
    let documents = vec![
        form("queue"),
        form("firm"),
        form("round"),
        json!({ "kind": "team", "name": "desk", "members": [{ "rep": "fay" }] }),
    ];
    let rule = |source: &str, assign: Value| json!({ "name": format!("{source} {assign}"), "when": format!("lead.source == '{source}'"), "assign": assign });
    let rules = vec![
        rule("queue", json!({ "queue": "desk" })),
        rule("firm", json!({ "owner": "company" })),
        rule("firm", json!({ "team": "sales" })),
        rule("round", json!({ "teams": ["mail", "hook"], "by": "round" })),
    ];
    (documents, rules)
}

/// Two places over two teams, three leads.
pub(super) fn route_capped(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "capa", "1", &[("email", "ada@example.org")], 0).await;
        play(world, &[&one]).await;
        let two = accept(world, "capb", "2", &[("email", "grace@example.org")], 0).await;
        let three = accept(world, "capa", "3", &[("email", "joan@example.org")], 0).await;
        let beside = vec![("lead", lead_body(&three))];
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&two)] }, beside)
    })
}

/// The last place over two teams, asked for by the rules through one and by a person through the other.
pub(super) fn route_capped_given(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "capa", "1", &[("email", "ada@example.org")], 0).await;
        let moved = accept(world, "web", "2", &[("email", "joan@example.org")], 0).await;
        play(world, &[&one, &moved]).await;
        world.clock.advance(86_400_000);
        let two = accept(world, "capb", "3", &[("email", "grace@example.org")], 0).await;
        let path = format!("/api/leads/{moved}/reassign");
        let give = act(ADMIN_TOKEN, &path, &json!({ "team": "capa", "reason": "his region" }));
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&two)] }, vec![asked(give)])
    })
}

/// Five people of five companies for two members, one in each minute.
pub(super) fn route_turns(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let mut bodies = Vec::new();
        for key in ["1", "2", "3", "4", "5"] {
            let email = format!("ada@firm{key}.example");
            bodies.push(lead_body(&accept(world, "web", key, &[("email", &email)], 0).await));
        }
        let later = bodies.split_off(1);
        let times = (1..).map(|n| Timestamp(world.clock.millis() + n * 60_000));
        for (at, body) in times.zip(later) {
            let entry = DueEntry { at, id: format!("turn-{at}"), queue: "lead".to_owned(), body };
            world.store().put_due(&entry).await.unwrap();
        }
        (Event::Queue { queue: "lead", bodies }, Vec::new())
    })
}

/// There is room again for who waited.
pub(super) fn route_woken(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let [first, ..] = full(world).await;
        let path = format!("/api/leads/{first}/close");
        let Event::Http(close) = act(ADMIN_TOKEN, &path, &json!({ "reason": "bought" })) else {
            unreachable!("a call is a request")
        };
        world.invoke(Name::Console, close.payload).await.unwrap().unwrap();
        let wakes = world.receive("lead", 10);
        let handles: Vec<&str> = wakes.iter().map(|wake| wake.receipt_handle.as_str()).collect();
        world.queues.delete_batch("lead", &handles).unwrap();
        let bodies: Vec<String> = wakes.iter().map(|wake| wake.body.clone()).collect();
        let again = bodies.iter().map(|body| ("lead", body.clone())).collect();
        (Event::Queue { queue: "lead", bodies }, again)
    })
}

/// Three people of one company that nobody owns yet.
pub(super) fn route_company(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "firm", "1", &[("email", "ada@acme.example")], 0).await;
        let two = accept(world, "firm", "2", &[("email", "grace@acme.example")], 0).await;
        let three = accept(world, "firm", "3", &[("email", "joan@acme.example")], 0).await;
        let beside = vec![("lead", lead_body(&three))];
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&one), lead_body(&two)] }, beside)
    })
}

/// Two teams in turn.
pub(super) fn route_round(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "round", "1", &[("email", "ada@example.org")], 0).await;
        let two = accept(world, "round", "2", &[("email", "grace@example.org")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&one)] }, vec![("lead", lead_body(&two))])
    })
}

/// It waits to be claimed.
pub(super) fn route_queue(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "queue", "1", &[("email", "ada@example.org")], 0).await;
        (Event::Queue { queue: "lead", bodies: vec![lead_body(&one)] }, Vec::new())
    })
}

/// The team whose queue it waits in is gone, and the timers have it decided anew, twice at one moment.
pub(super) fn route_stranded(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "queue", "1", &[("email", "ada@example.org")], 0).await;
        play(world, &[&one]).await;
        close_queue(world, "desk", "sales").await;
        let body = lead_body(&one);
        (Event::Queue { queue: "lead", bodies: vec![body.clone()] }, vec![("lead", body)])
    })
}

/// Out of the queue, while its message comes once more.
pub(super) fn claim_queued(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "queue", "1", &[("email", "ada@example.org")], 0).await;
        play(world, &[&one]).await;
        let lead = world.store().lead(&one).await.unwrap().unwrap();
        assert_eq!(lead.progress.state, LeadState::Queued);
        let path = format!("/api/leads/{one}/claim");
        (call("POST", ADMIN_TOKEN, &path, &json!({ "rep": "fay" })), vec![("lead", lead_body(&one))])
    })
}

/// A share of a team is given back while the team gets another lead.
pub(super) fn credit(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        play(world, &[&one]).await;
        let two = accept(world, "web", "2", &[("email", "grace@example.org")], 0).await;
        let path = format!("/api/leads/{one}/credit");
        (call("POST", ADMIN_TOKEN, &path, &json!({ "reason": "nobody" })), vec![("lead", lead_body(&two))])
    })
}

/// Somebody is away from now on, while a lead comes in.
pub(super) fn leave(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let one = accept(world, "web", "1", &[("email", "ada@example.org")], 0).await;
        let body = json!({ "leave": [{ "from": "2020-01-01" }] });
        (call("PUT", ADMIN_TOKEN, "/api/reps/ann/leave", &body), vec![("lead", lead_body(&one))])
    })
}

/// Two open leads of somebody who leaves, one of whose people comes back. The other has room for all of them: a full owner
/// would lose theirs.
pub(super) fn rebalance(world: &mut World) -> Prepare<'_> {
    Box::pin(async {
        let people = ["ada@example.org", "grace@example.org", "joan@example.org"];
        let mut leads = Vec::new();
        for (key, email) in people.iter().enumerate() {
            leads.push(accept(world, "web", &key.to_string(), &[("email", email)], 0).await);
        }
        play(world, &leads.iter().collect::<Vec<_>>()).await;
        world.clock.advance(86_400_000);
        assert!(["ann", "bob"].contains(&owner(world, &leads[0]).await.as_str()));
        let next = accept(world, "web", "next", &[("email", people[0]), ("name", "Ada")], 0).await;
        let event = call("POST", ADMIN_TOKEN, "/api/reps/ann/rebalance", &json!({ "do": true }));
        (event, vec![("lead", lead_body(&next))])
    })
}
