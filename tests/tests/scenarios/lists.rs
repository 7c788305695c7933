//! What is open: one word, to everybody the same, each lead once and none left out.

use crate::pages::all;
use crate::routing::{owner, policies};
use crate::work::{act, listed};
use futures::future::join_all;
use serde_json::json;
use sluice_tests::stack::{POLICIES_SEEN, Setup};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const EVERYONE: &str = "  - name: all\n    assign: { team: sdr }\n";

#[tokio::test]
async fn what_is_open_is_open_to_everybody_who_sees_it() {
    let people = ["one", "two", "three"];
    let sdr = "[{ rep: one, capacity: 2 }, { rep: two, capacity: 2 }]";
    let run = Setup::policies(policies(&people, &[("sdr", sdr)], EVERYONE)).start().await;
    let mut of = BTreeMap::<String, Vec<String>>::new();
    for at in 0..6 {
        let lead = run.lead(&[("email", &format!("open{at}@person.example"))]).await;
        let owner = run.show(&lead).await["owner"].as_str().unwrap_or("nobody").to_owned();
        of.entry(owner).or_default().push(lead);
        run.pass(Duration::from_secs(1)).await;
    }
    let admin = run.token.clone();
    let (done, left) = (&of["two"][0], &of["two"][1]);
    assert_eq!(act(&run, &admin, done, "close", json!({"reason": "bought"})).await.0, 200);
    // Room came free, so the older one of those that waited is two's as well: the newest that two was given.
    let (taken, waits) = (&of["nobody"][0], &of["nobody"][1]);
    assert_eq!(owner(&run, taken).await, "two");

    // Those on their way, oldest first; then by name of whoever works on them, the newest first.
    let of_one: Vec<&String> = of["one"].iter().rev().collect();
    let everything: Vec<String> =
        [vec![waits], of_one.clone(), vec![taken, left]].concat().into_iter().cloned().collect();
    let manager = run.new_token_of(json!({"role": "manager", "rep": "three", "teams": ["sdr"]})).await;
    let marketer = run.new_token("marketer", None).await;
    for token in [&admin, &manager, &marketer] {
        assert_eq!(listed(&run, token, "state=open").await, everything);
        assert_eq!(listed(&run, token, "").await, everything, "what is meant where nothing is said");
        assert_eq!(listed(&run, token, "state=open&team=sdr").await, everything[1..]);
        assert_eq!(listed(&run, token, "state=open&source=other").await, [""; 0]);
        assert_eq!(listed(&run, token, "state=open&since=2027-01-01T00:00:00Z").await, [""; 0]);
        // A day is its midnight in UTC.
        assert_eq!(listed(&run, token, "state=open&since=2026-03-02").await, everything);
        assert_eq!(listed(&run, token, "state=open&since=2026-03-03").await, [""; 0]);
    }
    // A rep's is the part of it that is theirs, whoever asks for it.
    for (rep, theirs) in [("one", of_one), ("two", vec![taken, left]), ("three", vec![])] {
        let token = run.new_token("rep", Some(rep)).await;
        for (token, query) in [
            (&token, "state=open"),
            (&token, "state=open&owner=me"),
            (&admin, &format!("state=open&owner={rep}")),
        ] {
            assert_eq!(listed(&run, token, query).await.iter().collect::<Vec<_>>(), theirs, "{rep}: {query}");
        }
        assert_eq!(
            listed(&run, &token, "state=escalated").await,
            std::slice::from_ref(waits),
            "to be claimed"
        );
        let own = listed(&run, &token, "owner=me").await;
        assert!(own.iter().collect::<BTreeSet<_>>().is_superset(&theirs.into_iter().collect()), "{own:?}");
        for query in ["state=mine", "state=mine&owner=me"] {
            assert_eq!(listed(&run, &token, query).await, own, "{rep}: {query}");
        }
    }
    // Whose token is no rep's has to say whom; and one's own are nobody else's.
    for (query, name, field) in [
        ("owner=me", "rep-missing", "owner"),
        ("state=mine", "rep-missing", "owner"),
        ("state=mine&owner=one", "state-unknown", "state"),
        ("state=yours", "state-unknown", "state"),
    ] {
        let (status, problem) = run.api("GET", &format!("/api/leads?{query}"), None).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{query}: {problem:#}");
        assert_eq!(problem["type"], format!("urn:sluice:problem:{name}"), "{query}");
    }
    let (_, problem) = run.api("GET", "/api/leads?state=yours", None).await;
    assert!(problem["detail"].as_str().unwrap().contains("mine"), "{problem:#}");

    // No document names two any more, and what two has not finished is still open.
    let without = policies(&["one", "three"], &[("sdr", "[{ rep: one, capacity: 2 }]")], EVERYONE);
    let body = json!({"files": [{"file": "scenario.yaml", "text": without}]});
    assert_eq!(run.api("POST", "/api/policies/apply?prune=true", Some(body)).await.0, 200);
    run.pass(POLICIES_SEEN).await;
    assert_eq!(run.api("GET", "/api/policies/rep/two", None).await.0, 404);
    assert_eq!(listed(&run, &admin, "state=open").await, everything);
    run.finish().await;
}

#[tokio::test]
async fn the_list_of_what_is_open_goes_on_page_by_page_from_what_waits_to_what_is_worked_on() {
    // More than a page of either kind, and three pages in all.
    const WAIT: usize = 56;
    const HAVE: usize = 27;
    let sdr = format!("[{{ rep: one, capacity: {HAVE} }}, {{ rep: two, capacity: {HAVE} }}]");
    let run = Setup::policies(policies(&["one", "two"], &[("sdr", &sdr)], EVERYONE)).start().await;
    let door = &run;
    let post = |at: usize| async move {
        let email = format!("p{at}@person.example");
        door.post("contact", &[("email", email.as_str())]).await.lead_id()
    };
    let posted = join_all((0..WAIT + 2 * HAVE).map(post)).await.into_iter().collect::<BTreeSet<_>>();
    run.settle().await;
    let (open, pages) = all(&run, &run.token, "/api/leads?state=open", "leads").await;
    assert_eq!((open.len(), pages), (posted.len(), 3));
    assert_eq!(open.iter().cloned().collect::<BTreeSet<_>>(), posted, "each once");
    let escalated = all(&run, &run.token, "/api/leads?state=escalated", "leads").await.0;
    assert_eq!((escalated.len(), &escalated[..]), (WAIT, &open[..WAIT]));
    for (rep, theirs) in [("one", &open[WAIT..WAIT + HAVE]), ("two", &open[WAIT + HAVE..])] {
        let path = format!("/api/leads?state=open&owner={rep}");
        assert_eq!(all(&run, &run.token, &path, "leads").await.0, theirs, "{rep}");
    }
    for cursor in ["x", "1.x", "1.ld_x.y", "WyJ4IiwieSJd"] {
        let path = format!("/api/leads?state=open&cursor={cursor}");
        let (status, problem) = run.api("GET", &path, None).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (422, Some("urn:sluice:problem:cursor-unreadable")),
            "{cursor}"
        );
    }
    run.finish().await;
}
