//! Lists page by page: each thing once, to the end, and a cursor that is none is said to be none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use serde_json::{Value, json};
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeSet;

/// More than one page of anything.
const MANY: usize = 53;

/// Ids of all pages of a list, and how many pages there are.
pub(crate) async fn all(run: &Running, token: &str, path: &str, list: &str) -> (Vec<String>, usize) {
    let (mut ids, mut pages, mut next) = (Vec::new(), 0, path.to_owned());
    loop {
        let (status, page) = run.api_as(Some(token), "GET", &next, None).await;
        assert_eq!(status, 200, "{page:#}");
        pages += 1;
        ids.extend(page[list].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        match page["cursor"].as_str() {
            Some(cursor) => next = format!("{path}&cursor={cursor}"),
            None => return (ids, pages),
        }
    }
}

#[tokio::test]
async fn a_customers_messages_are_listed_to_the_last() {
    let template = "\n---\nkind: template\nname: hello\nchannel: email\nsubject: Hello\nhtml: <p>Hello</p>\n";
    let run = Setup::policies(format!("{POLICIES}{template}")).start().await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    let customer = run.show(&lead).await["customer"].clone();
    // Too late all of them: that each is listed is what this is about.
    let order = json!({"customer": customer, "template": "hello", "not_after": "2020-01-01T00:00:00Z"});
    let asked = join_all((0..MANY).map(|_| run.api("POST", "/api/messages", Some(order.clone())))).await;
    let asked: BTreeSet<String> =
        asked.iter().map(|(_, answer)| answer["message_id"].as_str().unwrap().to_owned()).collect();
    run.settle().await;
    let path = format!("/api/messages?customer={}", customer.as_str().unwrap());
    let (listed, pages) = all(&run, &run.token, &path, "messages").await;
    assert_eq!((listed.len(), pages), (MANY, 2));
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), asked);
    run.finish().await;
}

#[tokio::test]
async fn leads_that_wait_are_listed_to_the_last_whoever_else_waits() {
    let west = "\n---\nkind: rep\nname: cy\n---\nkind: team\nname: west\nmembers: [{ rep: cy }]\n";
    let rules = "rules:\n  - name: west\n    when: has(lead.fields.west)\n    assign: { queue: west }\n";
    let policies =
        POLICIES.replace("rules:\n", rules).replace("assign: { team: sales }", "assign: { queue: sales }");
    let run = Setup::policies(format!("{policies}{west}")).start().await;
    let emails: Vec<String> = (0..MANY).map(|at| format!("w{at}@person.example")).collect();
    for email in &emails {
        run.post("contact", &[("email", email), ("west", "1")]).await;
    }
    run.settle().await;
    let last = run.lead(&[("email", "last@person.example")]).await;
    let list = "/api/leads?state=queued";
    let (everything, pages) = all(&run, &run.token, list, "leads").await;
    assert_eq!((everything.len(), pages), (MANY + 1, 2));
    assert_eq!(everything.iter().collect::<BTreeSet<_>>().len(), MANY + 1);
    // Boss sees the queue of sales only, which has the youngest.
    let boss = run.new_token("manager", Some("boss")).await;
    assert_eq!(all(&run, &boss, list, "leads").await, (vec![last], 1));
    run.finish().await;
}

#[tokio::test]
async fn what_is_no_cursor_and_no_time_is_the_callers_mistake() {
    let run = Setup::default().start().await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let elsewhere = URL_SAFE_NO_PAD.encode(r#"["somebody","else"]"#);
    let nowhere = URL_SAFE_NO_PAD.encode(r#"["",""]"#);
    let hers = format!("/api/messages?customer={customer}&");
    for cursor in ["x", "!", elsewhere.as_str(), nowhere.as_str()] {
        for list in [
            "/api/audit?",
            "/api/tokens?",
            "/api/imports?",
            "/api/messages?rep=ann&",
            hers.as_str(),
            "/api/leads?owner=ann&",
            "/api/leads?state=escalated&",
            "/api/leads?missing=any&",
        ] {
            let (status, problem) = run.api("GET", &format!("{list}cursor={cursor}"), None).await;
            assert_eq!(
                (status, problem["field"].as_str()),
                (422, Some("cursor")),
                "{list}{cursor}: {problem:#}"
            );
            assert_eq!(problem["type"], "urn:sluice:problem:cursor-unreadable");
        }
        let body = json!({"cursor": cursor});
        assert_eq!(run.api("POST", "/api/reps/ann/rebalance", Some(body)).await.0, 422, "{cursor}");
    }
    for list in ["/api/leads?state=spam&cursor=x".to_owned(), format!("{hers}cursor={}", "9".repeat(2_000))] {
        assert_eq!(run.api("GET", &list, None).await.0, 422, "{list}");
    }
    let (status, problem) =
        run.api("GET", "/api/audit?since=2027-02-01T00:00:00Z&until=2027-01-01T00:00:00Z", None).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("since")), "{problem:#}");
    let (status, page) = run.api("GET", "/api/audit?until=9999-01-01T00:00:00Z", None).await;
    assert!(
        status == 200 && page["audit"].as_array().is_some_and(|audit: &Vec<Value>| !audit.is_empty()),
        "{page:#}"
    );
    let long = "x".repeat(3_000);
    for path in
        [format!("/api/policies/rep/{long}"), format!("/api/imports/{long}"), format!("/api/tokens/{long}")]
    {
        let method = if path.contains("tokens") { "DELETE" } else { "GET" };
        assert_eq!(run.api(method, &path, None).await.0, 404);
    }
    run.finish().await;
}
