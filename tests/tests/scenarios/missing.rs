//! 三定: leads whose people lack one of the three are listed, until somebody settles it.

use super::pages::all;
use futures::future::join_all;
use serde_json::{Value, json};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::{BTreeMap, BTreeSet};

/// A form that asks for the three under names of its own, and somebody who leads another team.
const DOCUMENTS: &str = "
---
kind: form
name: quote
fields: { need: [project], grade: [class], amount: [budget], date: [wanted_by] }
---
kind: rep
name: chief
---
kind: team
name: west
manager: chief
members: [{ rep: chief }]
";

const HOOK: &str = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";

const NEED: (&str, &str) = ("project", "a new roof");
const GRADE: (&str, &str) = ("class", "A");
const AMOUNT: (&str, &str) = ("budget", "12500.50");
const DATE: (&str, &str) = ("wanted_by", "2027-03-31");

async fn start() -> Running {
    Setup::policies(format!("{POLICIES}{DOCUMENTS}")).start().await
}

/// A lead of the form, from somebody of this name.
async fn quote(run: &Running, name: &str, said: &[(&str, &str)]) -> String {
    let email = format!("{name}@person.example");
    let answer = run.post("quote", &[&[("email", email.as_str())], said].concat()).await;
    run.settle().await;
    answer.lead_id()
}

/// What a list has: each lead with what is missing.
async fn listed(run: &Running, token: &str, query: &str) -> BTreeMap<String, String> {
    let (status, page) = run.api_as(Some(token), "GET", &format!("/api/leads?{query}"), None).await;
    assert_eq!((status, &page["cursor"]), (200, &Value::Null), "{page:#}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let words =
        |row: &Value| row["missing"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(" ");
    page["leads"].as_array().unwrap().iter().map(|row| (text(&row["id"]), words(row))).collect()
}

async fn qualify(run: &Running, token: &str, lead: &str, said: Value) -> (u16, Value) {
    let answer = run.api_as(Some(token), "POST", &format!("/api/leads/{lead}/qualify"), Some(said)).await;
    run.settle().await;
    answer
}

fn these(rows: &[(&String, &str)]) -> BTreeMap<String, String> {
    rows.iter().map(|(id, words)| ((*id).clone(), (*words).to_owned())).collect()
}

#[tokio::test]
async fn a_lead_is_listed_by_what_is_missing_until_somebody_settles_it() {
    let run = start().await;
    let admin = run.token.clone();
    let unpriced = &quote(&run, "unpriced", &[NEED, GRADE]).await;
    let undated = &quote(&run, "undated", &[NEED, GRADE, AMOUNT, ("wanted_by", "soon")]).await;
    let ungraded = &quote(&run, "ungraded", &[NEED, AMOUNT, DATE]).await;
    let settled = &quote(&run, "settled", &[NEED, GRADE, AMOUNT, DATE]).await;
    // The same fields by a form that maps none of them say nothing.
    let nothing = &run.lead(&[("email", "nothing@person.example"), NEED, GRADE, AMOUNT, DATE]).await;

    let (half, graded) = ("quantified", "graded");
    let everything = "qualified graded quantified";
    for (word, expected) in [
        ("any", vec![(unpriced, half), (undated, half), (ungraded, graded), (nothing, everything)]),
        ("qualified", vec![(nothing, everything)]),
        ("graded", vec![(ungraded, graded), (nothing, everything)]),
        ("quantified", vec![(unpriced, half), (undated, half), (nothing, everything)]),
        ("graded,qualified", vec![(ungraded, graded), (nothing, everything)]),
        ("any&source=quote", vec![(unpriced, half), (undated, half), (ungraded, graded)]),
        ("any&team=sales&source=contact", vec![(nothing, everything)]),
        ("any&team=west", vec![]),
        ("any&since=2027-06-01T00:00:00Z", vec![]),
        ("any&state=assigned&source=contact", vec![(nothing, everything)]),
        (
            "any&state=open",
            vec![(unpriced, half), (undated, half), (ungraded, graded), (nothing, everything)],
        ),
        ("any&state=escalated", vec![]),
    ] {
        assert_eq!(listed(&run, &admin, &format!("missing={word}")).await, these(&expected), "{word}");
    }
    assert_eq!(run.show(undated).await["missing"], json!(["quantified"]));
    assert_eq!(run.show(settled).await["missing"], json!([]));

    // Each part that is settled takes its lead off the list.
    let (status, answer) = qualify(&run, &admin, undated, json!({"date": "2027-04-30"})).await;
    assert_eq!((status, &answer["said"]), (202, &json!({"date": "2027-04-30"})));
    assert_eq!(qualify(&run, &admin, unpriced, json!({"amount": 900})).await.0, 202);
    let expected = these(&[(unpriced, half), (nothing, everything)]);
    assert_eq!(listed(&run, &admin, "missing=quantified").await, expected, "an amount without a day");
    assert_eq!(qualify(&run, &admin, ungraded, json!({"grade": "B", "need": null})).await.0, 202);
    assert_eq!(listed(&run, &admin, "missing=graded").await, these(&[(nothing, everything)]));
    let customer = run.show(ungraded).await["customer"].as_str().unwrap().to_owned();
    let known = &run.customer(&customer).await["qualification"];
    let expected =
        json!({"need": "a new roof", "grade": "B", "amount": 12500.5, "date": "2027-03-31", "missing": []});
    assert_eq!(*known, expected);

    // What nobody works on any more is listed only where its state is asked for.
    assert_eq!(run.api("POST", &format!("/api/leads/{nothing}/close"), Some(json!({}))).await.0, 200);
    run.settle().await;
    assert_eq!(listed(&run, &admin, "missing=any").await, these(&[(unpriced, half)]));
    assert_eq!(
        listed(&run, &admin, "missing=any&state=assigned").await,
        these(&[(unpriced, half), (nothing, everything)])
    );
    run.finish().await;
}

#[tokio::test]
async fn everybody_sees_and_settles_what_is_missing_of_their_own() {
    let run = start().await;
    let mut of: BTreeMap<String, String> = BTreeMap::new();
    for name in ["one", "two"] {
        let lead = quote(&run, name, &[GRADE]).await;
        of.insert(run.show(&lead).await["owner"].as_str().unwrap().to_owned(), lead);
    }
    assert_eq!(of.keys().collect::<Vec<_>>(), ["ann", "bo"]);
    let words = "qualified quantified";
    let (both, hers) = (these(&[(&of["ann"], words), (&of["bo"], words)]), these(&[(&of["ann"], words)]));
    let ann = run.new_token("rep", Some("ann")).await;
    for (role, rep, expected) in [
        ("marketer", None, &both),
        ("manager", Some("boss"), &both),
        ("manager", Some("chief"), &BTreeMap::new()),
        ("rep", Some("ann"), &hers),
    ] {
        let token = run.new_token(role, rep).await;
        assert_eq!(listed(&run, &token, "missing=any").await, *expected, "{role} {rep:?}");
    }
    for query in ["missing=any&owner=me", "missing=any&owner=ann", "missing=any&state=assigned"] {
        assert_eq!(listed(&run, &ann, query).await, hers, "{query}");
    }
    let (status, _) = run.api_as(Some(&ann), "GET", "/api/leads?missing=any&owner=bo", None).await;
    assert_eq!(status, 404, "a peer is not there");
    let said = json!({"need": "a new roof", "amount": 900, "date": "2027-03-31"});
    assert_eq!(qualify(&run, &ann, &of["bo"], said.clone()).await.0, 404, "nor is the peer's lead");
    assert_eq!(listed(&run, &run.token, "missing=any").await, both);

    // Said again under one key it counts once.
    let path = format!("/api/leads/{}/qualify", of["ann"]);
    let bearer = format!("Bearer {ann}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "call-17"),
        ("content-type", "application/json"),
    ];
    for _ in 0..2 {
        let answer = run.send("POST", &path, &headers, said.to_string().as_bytes()).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
    }
    run.settle().await;
    assert_eq!(listed(&run, &ann, "missing=any").await, BTreeMap::new());
    let customer = run.show(&of["ann"]).await["customer"].as_str().unwrap().to_owned();
    let (_, timeline) = run.api("GET", &format!("/api/customers/{customer}/timeline"), None).await;
    let rows = timeline["timeline"].as_array().unwrap().iter();
    assert_eq!(rows.filter(|row| row["event"] == "lead_qualified").count(), 1, "{timeline:#}");

    // A lead that goes on to somebody else is theirs to settle.
    let path = format!("/api/leads/{}/reassign", of["bo"]);
    assert_eq!(run.api("POST", &path, Some(json!({"rep": "ann"}))).await.0, 200);
    run.settle().await;
    assert_eq!(listed(&run, &ann, "missing=any").await, these(&[(&of["bo"], words)]));
    assert_eq!(listed(&run, &run.token, "missing=any&owner=bo").await, BTreeMap::new());
    run.finish().await;
}

#[tokio::test]
async fn what_is_asked_for_and_said_wrongly_is_named() {
    let run = start().await;
    let lead = quote(&run, "one", &[]).await;
    for wrong in ["need", "graded,need", "Graded", "graded|quantified"] {
        let (status, problem) = run.api("GET", &format!("/api/leads?missing={wrong}"), None).await;
        assert_eq!((status, problem["type"].as_str()), (422, Some("urn:sluice:problem:missing-unknown")));
        let words = "any, qualified, graded, quantified";
        assert!(problem["detail"].as_str().is_some_and(|said| said.contains(words)), "{problem:#}");
    }
    for (said, kind, field) in [
        (json!({}), "nothing-settled", "need"),
        (json!({"need": null, "wish": "a roof"}), "nothing-settled", "need"),
        (json!({"grade": "A", "amount": -1}), "qualification-unusable", "amount"),
        (json!({"date": "2027-02-30"}), "qualification-unusable", "date"),
    ] {
        let (status, problem) = qualify(&run, &run.token, &lead, said).await;
        let kind = format!("urn:sluice:problem:{kind}");
        assert_eq!((status, &problem["type"], &problem["field"]), (422, &json!(kind), &json!(field)));
    }
    assert_eq!(run.show(&lead).await["missing"].as_array().map(Vec::len), Some(3), "nothing was taken in");
    run.finish().await;
}

#[tokio::test]
async fn what_a_role_does_not_see_of_the_three_it_does_not_see_anywhere() {
    let access = "\n---\nkind: access\nname: default\nmasks:\n  marketer: [need, amount]\n";
    let run = Setup::policies(format!("{POLICIES}{DOCUMENTS}{access}")).start().await;
    let lead = quote(&run, "one", &[NEED, AMOUNT]).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let token = run.new_token("marketer", None).await;
    let (_, seen) = run.api_as(Some(&token), "GET", &format!("/api/customers/{customer}"), None).await;
    let expected = json!({"need": "•••", "grade": null, "amount": "•••", "date": null, "missing": ["graded", "quantified"]});
    assert_eq!(seen["qualification"], expected);
    for path in [format!("/api/customers/{customer}/timeline"), format!("/api/leads/{lead}")] {
        let (status, seen) = run.api_as(Some(&token), "GET", &path, None).await;
        assert_eq!(status, 200);
        assert!(!seen.to_string().contains("a new roof") && !seen.to_string().contains("12500"), "{seen:#}");
    }
    assert_eq!(listed(&run, &token, "missing=any").await, these(&[(&lead, "graded quantified")]));
    for (when, status) in [("qualification.amount > 9000.0", 403), ("size(qualification.missing) > 0", 200)] {
        let asked = Some(json!({ "when": when }));
        assert_eq!(
            run.api_as(Some(&token), "POST", "/api/segments/x/preview", asked).await.0,
            status,
            "{when}"
        );
    }
    run.finish().await;
}

#[tokio::test]
async fn the_list_goes_on_page_by_page_from_one_rep_to_the_next() {
    // More than a page, told over two channels each.
    const MANY: usize = 62;
    let hook = Fake::start(|_| (200, json!({}))).await;
    let webhook = format!("email: bo@reps.example\nwebhook: {{ url: {}/bo, secrets: [env:HOOK] }}", hook.url);
    let policies = format!("{POLICIES}{DOCUMENTS}").replace("email: bo@reps.example", &webhook);
    let run = Setup::policies(policies).var("HOOK", HOOK).start().await;
    let door = &run;
    let posted = (0..MANY).map(|at| async move {
        let email = format!("p{at}@person.example");
        door.post("contact", &[("email", email.as_str())]).await
    });
    join_all(posted).await;
    run.settle().await;
    let leads: BTreeSet<String> = run.leads().into_iter().collect();
    assert_eq!(leads.len(), MANY);
    assert_eq!(hook.seen().len(), MANY / 2);
    let (listed, pages) = all(&run, &run.token, "/api/leads?missing=any", "leads").await;
    assert_eq!((listed.len(), pages), (MANY, 2));
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), leads);

    // Whoever is settled is left out, whoever went on is where they are now.
    let (settled, moved) = (&listed[0], &listed[1]);
    let said = json!({"need": "a roof", "grade": "A", "amount": 1, "date": "2027-03-31"});
    assert_eq!(qualify(&run, &run.token, settled, said).await.0, 202);
    let path = format!("/api/leads/{moved}/reassign");
    assert_eq!(run.api("POST", &path, Some(json!({"rep": "bo"}))).await.0, 200);
    run.settle().await;
    let (again, _) = all(&run, &run.token, "/api/leads?missing=any", "leads").await;
    assert_eq!(again.len(), MANY - 1, "each once");
    assert!(!again.contains(settled) && again.iter().position(|id| id == moved) > Some(MANY / 2 - 5));

    // Of what is asked for a page may have nothing, and still goes on.
    let (none, _) = all(&run, &run.token, "/api/leads?missing=any&source=quote", "leads").await;
    assert_eq!(none, Vec::<String>::new());
    run.finish().await;
}
