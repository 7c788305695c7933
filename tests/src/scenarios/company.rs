//! The company that leads come to: its reps, teams, forms and rules, as they are published in every scenario.

use super::{advance, campaign, depth, engage, feedback, hex, messages, track};
use crate::world::{Snapshot, World};
use ring::digest;
use serde_json::{Value, json};
use sluice_domain::access::{Change, Doer, Note};
use sluice_domain::policy::Document;
use sluice_store::{Manifest, ManifestEntry, Written};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A rep whose webhook's receiver says that it is gone.
pub const GONE: &str = "moe";

/// Teams and how many open leads each member may hold.
pub const TEAMS: [(&str, &[&str], Option<u32>); 10] = [
    ("sales", &["ann", "bob"], Some(4)),
    ("tight", &["cal", "dan"], Some(1)),
    ("mail", &["ann"], None),
    ("hook", &["bob"], None),
    ("both", &["eve"], None),
    ("lost", &[GONE], None),
    ("capa", &["gus"], None),
    ("capb", &["gus"], None),
    ("timed", &["gil", "ida"], Some(4)),
    ("brisk", &["gil"], Some(4)),
];

/// A source of events that is believed.
pub const TRUSTED: &str = "app";

/// Reps with a capacity over all teams.
pub const CAPPED: [(&str, u32); 1] = [("gus", 2)];

/// Open leads that a member may hold, by team and rep, where returning customers do not exceed it.
pub(super) fn capacities() -> BTreeMap<(String, String), u32> {
    let members = TEAMS.iter().flat_map(|(team, reps, capacity)| {
        reps.iter().filter_map(move |rep| Some((((*team).to_owned(), (*rep).to_owned()), (*capacity)?)))
    });
    members.collect()
}

/// The channels of each rep.
pub fn channels(rep: &str) -> &'static [&'static str] {
    match rep {
        "bob" | GONE => &["webhook"],
        "eve" => &["email", "webhook"],
        _ => &["email"],
    }
}

/// A world in which all of it is published.
pub(super) async fn world() -> World {
    static PUBLISHED: Mutex<Option<Snapshot>> = Mutex::new(None);
    let published = PUBLISHED.lock().unwrap().clone();
    if let Some(published) = published {
        return World::restore(&published, None);
    }
    let world = World::empty();
    publish(&world).await;
    *PUBLISHED.lock().unwrap() = Some(world.snapshot(BTreeMap::new()));
    world
}

async fn publish(world: &World) {
    let mut documents = vec![
        json!({
            "kind": "source", "name": "ads", "type": "meta", "auth": "signature",
            "secrets": {
                "app_secret": ["env:META_APP_SECRET"], "verify_token": ["env:META_APP_SECRET"],
                "page_token": ["secret:page-token"],
            },
        }),
        json!({
            "kind": "source", "name": "li", "type": "linkedin", "auth": "signature",
            "secrets": { "client_secret": ["env:META_APP_SECRET"], "access_token": ["secret:page-token"] },
        }),
    ];
    for rep in ["ann", "bob", "cal", "dan", "eve", "fay", "gil", "gus", "ida", GONE, "boss"] {
        let mut document = json!({ "kind": "rep", "name": rep });
        if let Some((_, capacity)) = CAPPED.iter().find(|(name, _)| *name == rep) {
            document["capacity"] = (*capacity).into();
        }
        if channels(rep).contains(&"email") {
            document["email"] = format!("{rep}@example.com").into();
        }
        if channels(rep).contains(&"webhook") {
            let path = if rep == GONE { "gone" } else { "in" };
            let url = format!("https://hook.test/{path}");
            document["webhook"] = json!({ "url": url, "secrets": ["secret:hook"] });
        }
        documents.push(document);
    }
    let mut rules = vec![json!({ "name": "owner", "assign": { "owner": "customer" } })];
    let (more, deeper) = depth::documents();
    documents.extend(more);
    documents.extend(messages::documents());
    documents.extend(engage::documents());
    documents.extend(track::documents());
    documents.extend(advance::documents());
    documents.extend(campaign::documents());
    rules.extend(deeper);
    for (team, reps, capacity) in TEAMS {
        let members: Vec<Value> =
            reps.iter().map(|rep| json!({ "rep": rep, "capacity": capacity })).collect();
        let mut document =
            json!({ "kind": "team", "name": team, "members": members, "sticky_may_exceed": false });
        // One is given away once and then caught, the other is left to a person.
        match team {
            "timed" => {
                document["response"] =
                    json!({ "within": "3m", "remind": ["50%"], "limit": 1, "catch_all": { "rep": "boss" } });
            }
            "brisk" => document["response"] = json!({ "within": "2m", "remind": ["50%"], "limit": 1 }),
            _ => {}
        }
        documents.push(document);
        if team != "sales" {
            documents.push(json!({ "kind": "form", "name": team }));
            let when = format!("lead.source == '{team}'");
            rules.push(json!({ "name": team, "when": when, "assign": { "team": team } }));
        }
    }
    documents.push(json!({ "kind": "form", "name": "web" }));
    rules.push(
        json!({ "name": "rest", "when": "lead.source in ['web', 'ads', 'li']", "assign": { "team": "sales" } }),
    );
    documents.push(json!({ "kind": "routing", "name": "default", "rules": rules }));
    documents.extend(feedback::documents());
    publish_more(world, documents).await;
}

/// Documents are published besides those that are, or in place of those of the same name. Answers with the version.
pub(super) async fn publish_more(world: &World, documents: Vec<Value>) -> u64 {
    let store = world.store();
    let mut manifest = store.manifest().await.unwrap();
    let since = manifest.version + 1;
    for document in documents {
        let document = Document::from_json(document).unwrap();
        let body = document.to_json().to_string();
        let sha = hex(digest::digest(&digest::SHA256, body.as_bytes()).as_ref());
        store.put_policy_text(&sha, &body).await.unwrap();
        let (kind, name) = (document.kind().to_owned(), document.name().to_owned());
        manifest.documents.retain(|other| (&other.kind, &other.name) != (&kind, &name));
        manifest.documents.push(ManifestEntry { kind, name, sha, since });
    }
    manifest.documents.sort();
    assert_eq!(store.publish(&manifest, &published(&manifest)).await.unwrap(), Written::Done);
    since
}

/// A team is removed, and another one gets what went into its queue.
pub(super) async fn close_queue(world: &World, team: &str, to: &str) {
    let store = world.store();
    let documents = store.documents(&store.manifest().await.unwrap()).await.unwrap();
    let mut routing =
        documents.iter().find(|document| document.kind() == "routing").map(Document::to_json).unwrap();
    for rule in routing["rules"].as_array_mut().unwrap() {
        if rule["assign"]["queue"] == team {
            rule["assign"] = json!({ "team": to });
        }
    }
    publish_more(world, vec![routing]).await;
    let mut manifest = store.manifest().await.unwrap();
    manifest.documents.retain(|entry| entry.kind != "team" || entry.name != team);
    assert_eq!(store.publish(&manifest, &published(&manifest)).await.unwrap(), Written::Done);
}

/// What the audit says of a publication.
pub(super) fn published(manifest: &Manifest) -> Note {
    let change = Change::Policy { version: manifest.version + 1, documents: Vec::new() };
    Note { at: manifest.at, who: Doer::function("test"), change }
}
