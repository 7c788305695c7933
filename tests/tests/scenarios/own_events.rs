//! What the system does itself is told as events of the customer: once each, also where it is delivered again.

use crate::engagement::{BROWSER, ask, mail_to, send, start};
use crate::feedback::told;
use crate::preferences::{FORM, ONE_CLICK, post, proofs};
use crate::tracking::entries;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_domain::event::{EventKind, Who};
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeMap;
use std::time::Duration;

/// What was told of a customer and everybody else: names, sorted, with what each says.
fn happened(run: &Running) -> Vec<(String, Value)> {
    let mut all: Vec<(String, Value)> = entries(run)
        .into_values()
        .map(|entry| {
            assert_eq!(entry.event.kind, EventKind::Own);
            assert!(matches!(entry.who, Who::Customer(_)) && entry.event.at <= entry.event.received);
            (entry.event.name, Value::Object(entry.event.properties.into_inner()))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn names(run: &Running) -> Vec<String> {
    happened(run).into_iter().map(|(name, _)| name).collect()
}

/// The unsubscriptions that were told: about what, and by the link of which message; sorted by topic.
fn unsubscribed(run: &Running) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = happened(run).into_iter().filter(|(name, _)| name == "unsubscribed");
    let mut all: Vec<_> = told.map(|(_, said)| (text(&said["topic"]), text(&said["message"]))).collect();
    all.sort();
    all
}

async fn act(run: &Running, lead: &str, act: &str, body: Value) {
    let (status, answer) = run.api("POST", &format!("/api/leads/{lead}/{act}"), Some(body)).await;
    assert_eq!(status, 200, "{act}: {answer:#}");
    run.settle().await;
}

#[tokio::test]
async fn a_leads_way_is_told_step_by_step_and_once() {
    let run = Setup::default().start().await;
    let lead = run.lead(&[("email", "ada@person.example")]).await;
    let rep = run.show(&lead).await["owner"].as_str().unwrap().to_owned();
    let told = happened(&run);
    assert_eq!(told[0].0, "lead_assigned");
    assert_eq!(
        (&told[0].1["lead"], &told[0].1["rep"], &told[0].1["n"]),
        (&json!(lead), &json!(rep), &json!(1))
    );
    assert_eq!(
        told[1],
        ("lead_captured".to_owned(), json!({"lead": lead, "form": "contact", "type": "form"}))
    );

    // Delivered again, and a post that says the same again.
    run.stack.sqs.send(&named("LeadQueue"), OutgoingMessage::new(json!({"lead": lead}).to_string())).unwrap();
    run.settle().await;
    run.lead(&[("email", "ada@person.example")]).await;
    assert_eq!(names(&run).len(), 2);

    for _ in 0..2 {
        act(&run, &lead, "accept", json!({})).await;
        act(&run, &lead, "contacts", json!({"channel": "phone", "key": "one"})).await;
    }
    let other = if rep == "ann" { "bo" } else { "ann" };
    for _ in 0..2 {
        act(&run, &lead, "reassign", json!({"rep": other, "from": 1})).await;
    }
    for _ in 0..2 {
        act(&run, &lead, "close", json!({})).await;
    }
    let expected =
        ["contact_made", "lead_accepted", "lead_assigned", "lead_assigned", "lead_captured", "lead_closed"];
    assert_eq!(names(&run), expected);
    let closed = happened(&run).pop().unwrap().1;
    assert_eq!((&closed["rep"], &closed["lead"]), (&json!(other), &json!(lead)));
    let spare = run.lead(&[("email", "bee@person.example")]).await;
    act(&run, &spare, "disqualify", json!({})).await;
    assert!(names(&run).contains(&"lead_disqualified".to_owned()));
    run.finish().await;
}

#[tokio::test]
async fn of_tests_and_quiet_imports_nothing_is_told() {
    let run = Setup::default().start().await;
    let batch = json!({"batch": "fair", "form": "contact", "route": true});
    assert_eq!(run.api("POST", "/api/imports", Some(batch)).await.0, 200);
    let rows = json!({"rows": [{"n": 1, "fields": [["email", "fair@person.example"]]}]});
    let (status, answer) = run.api("POST", "/api/imports/fair/rows", Some(rows)).await;
    assert_eq!(status, 200, "{answer:#}");
    run.settle().await;
    assert_eq!(run.leads().len(), 1);
    assert_eq!(names(&run), Vec::<String>::new());
    run.finish().await;
}

#[tokio::test]
async fn what_becomes_of_a_message_is_told_and_machines_are_not() {
    let run = start().await;
    let sent = send(&run, "open@person.example", &[], "product").await;
    let queue = named("FeedbackQueue");
    for _ in 0..2 {
        let mut delivered = told("Delivery", "mail-1", "open@person.example");
        delivered["mail"]["tags"] = json!({"message": [sent.id]});
        run.stack.sqs.send(&queue, OutgoingMessage::new(delivered.to_string())).unwrap();
        run.settle().await;
    }
    let [pixel] = sent.mail.paths('o').try_into().expect("one pixel");
    let click = sent.mail.paths('c').remove(0);
    let preferences = sent.mail.paths('u').remove(0);
    run.send("GET", &pixel, &[BROWSER], b"").await;
    run.send("GET", &pixel, &[("user-agent", "curl/8.0")], b"").await;
    run.pass(Duration::from_secs(30)).await;
    assert_eq!(run.send("GET", &click, &[BROWSER], b"").await.status, 302);
    run.send("HEAD", &click, &[BROWSER], b"").await;
    run.pass(Duration::from_secs(30)).await;
    for _ in 0..2 {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = run.send("POST", &preferences, &form, b"List-Unsubscribe=One-Click").await;
        assert_eq!(answer.status, 200);
        run.settle().await;
    }
    for _ in 0..2 {
        let mut complaint = told("Complaint", "mail-1", "open@person.example");
        complaint["mail"]["tags"] = json!({"message": [sent.id]});
        run.stack.sqs.send(&queue, OutgoingMessage::new(complaint.to_string())).unwrap();
        run.settle().await;
    }
    let all: BTreeMap<String, Value> = happened(&run).into_iter().collect();
    let expected = [
        "lead_assigned",
        "lead_captured",
        "message_clicked",
        "message_complained",
        "message_delivered",
        "message_opened",
        "message_sent",
        "unsubscribed",
    ];
    assert_eq!(names(&run), expected);
    for name in &expected[2..] {
        assert_eq!(all[*name]["message"], sent.id, "{name}");
    }
    assert_eq!(all["message_clicked"]["url"], "https://shop.example/a?x=1&y=2#top");
    assert_eq!(
        all["message_sent"],
        json!({"message": sent.id, "channel": "email", "template": "news", "topic": "product"})
    );
    assert_eq!(
        (&all["unsubscribed"]["topic"], &all["unsubscribed"]["how"]),
        (&json!("product"), &json!("one_click"))
    );
    run.finish().await;
}

#[tokio::test]
async fn a_refusal_is_told_once_and_as_that_of_the_mail_by_which_it_was_said() {
    let run = start().await;
    let first = send(&run, "done@person.example", &[], "product").await;
    let second = ask(&run, &first.customer, "news", "product").await["id"].as_str().unwrap().to_owned();
    let by_first = first.mail.unsubscribe().unwrap();
    let by_second = mail_to(&run, "done@person.example").unsubscribe().unwrap();
    assert_ne!(by_first, by_second);
    let product = ("product".to_owned(), first.id.clone());
    for path in [&by_first, &by_second, &by_first] {
        run.pass(Duration::from_secs(60)).await;
        assert_eq!(run.send("POST", path, &[FORM], ONE_CLICK).await.status, 200);
        run.settle().await;
        assert_eq!(unsubscribed(&run), std::slice::from_ref(&product));
    }
    // Saved as it is, by a page that another mail led to.
    assert_eq!(post(&run, &by_second, &[("shown", "product"), ("save", "yes")]).await.status, 200);
    run.settle().await;
    assert_eq!(unsubscribed(&run), std::slice::from_ref(&product));

    let nothing = ("*".to_owned(), second);
    for path in [&by_second, &by_second, &by_first] {
        run.pass(Duration::from_secs(60)).await;
        assert_eq!(post(&run, path, &[("nothing", "yes")]).await.status, 200);
        run.settle().await;
        assert_eq!(unsubscribed(&run), [nothing.clone(), product.clone()]);
    }
    run.finish().await;
}

#[tokio::test]
async fn a_refusal_of_which_nobody_could_be_told_is_told_when_it_is_said_again() {
    let run = start().await;
    let sent = send(&run, "again@person.example", &[], "product").await;
    let page = sent.mail.unsubscribe().unwrap();
    let ticked = [("shown", "events"), ("topic", "events"), ("save", "yes")];
    assert_eq!(post(&run, &page, &ticked).await.status, 200);
    run.pass(Duration::from_secs(60)).await;
    let none = [("shown", "events"), ("shown", "product"), ("save", "yes")];
    let nothing = [("nothing", "yes")];
    for (fields, topics) in [(&none[..], &["events", "product"][..]), (&nothing[..], &["*"][..])] {
        let before = unsubscribed(&run);
        // It is taken down, and neither the queue nor what stands in for it takes what is told.
        run.refusals.refuse("record-engagement", "AmazonSQS.", usize::MAX, (500, "InternalError"));
        let put = "DynamoDB_20120810.PutItem";
        run.refusals.refuse("record-engagement", put, usize::MAX, (500, "InternalServerError"));
        assert_eq!(post(&run, &page, fields).await.status, 503);
        run.refusals.lift();
        run.settle().await;
        assert_eq!(unsubscribed(&run), before);
        run.pass(Duration::from_secs(60)).await;
        assert_eq!(post(&run, &page, fields).await.status, 200);
        run.settle().await;
        let new = topics.iter().map(|topic| ((*topic).to_owned(), sent.id.clone()));
        let mut all: Vec<_> = before.into_iter().chain(new).collect();
        all.sort();
        assert_eq!(unsubscribed(&run), all);
    }
    run.finish().await;
}

#[tokio::test]
async fn more_topics_than_one_transaction_takes_are_refused_at_once_and_told_once_each() {
    let run = start().await;
    let names: Vec<String> = (0..100).map(|n| format!("topic{n:03}")).collect();
    let documents: Vec<String> = names.iter().map(|name| format!("kind: topic\nname: {name}\n")).collect();
    run.apply(&documents.join("---\n")).await;
    let sent = send(&run, "many@person.example", &[], "product").await;
    let page = sent.mail.unsubscribe().unwrap();
    let shown: Vec<(&str, &str)> = names.iter().map(|name| ("shown", name.as_str())).collect();
    let fields = [&shown[..], &[("save", "yes")]].concat();
    for (commits, status, recorded) in [(1, 503, 80), (usize::MAX, 200, 100)] {
        // The first time only the first part is taken down.
        let write = "DynamoDB_20120810.TransactWriteItems";
        run.refusals.pass_first("record-engagement", write, commits);
        run.refusals.refuse("record-engagement", write, usize::MAX, (500, "InternalServerError"));
        run.pass(Duration::from_secs(60)).await;
        assert_eq!(post(&run, &page, &fields).await.status, status);
        run.refusals.lift();
        assert_eq!(proofs(&run).len(), recorded);
    }
    run.settle().await;
    let told: Vec<(String, String)> = names.iter().map(|name| (name.clone(), sent.id.clone())).collect();
    assert_eq!(unsubscribed(&run), told);
    run.pass(Duration::from_secs(60)).await;
    assert_eq!(post(&run, &page, &fields).await.status, 200);
    run.settle().await;
    assert_eq!((proofs(&run).len(), unsubscribed(&run)), (100, told));
    run.finish().await;
}

#[tokio::test]
async fn a_scanners_burst_is_told_as_nobodys_click_and_the_persons_is_the_first() {
    let run = start().await;
    let sent = send(&run, "scanned@person.example", &[], "product").await;
    let clicks = sent.mail.paths('c');
    assert_eq!(clicks.len(), 2);
    let told = || {
        let all = happened(&run).into_iter().filter(|(name, _)| name == "message_clicked");
        all.map(|(_, said)| (said["link"].clone(), said["first"] == true)).collect::<Vec<_>>()
    };
    for path in &clicks {
        assert_eq!(run.send("GET", path, &[BROWSER], b"").await.status, 302);
    }
    // The one that was taken for a person's waits, and is looked at then.
    assert_eq!((told(), run.depth(&named("EventQueue"))), (vec![], 1));
    run.pass(Duration::from_secs(15)).await;
    assert!(told().is_empty());

    // A person follows the same link later, and the queue brings it twice.
    assert_eq!(run.send("GET", &clicks[0], &[BROWSER], b"").await.status, 302);
    let mut queued = run.queued().into_iter();
    let (queue, body) = queued.find(|(queue, _)| *queue == named("EventQueue")).expect("a click");
    run.stack.sqs.send(&queue, OutgoingMessage::new(body)).unwrap();
    run.pass(Duration::from_secs(15)).await;
    assert_eq!(told(), [(json!(0), true)]);
    assert_eq!(run.send("GET", &clicks[1], &[BROWSER], b"").await.status, 302);
    run.pass(Duration::from_secs(15)).await;
    let mut all = told();
    all.sort_by_key(|(link, _)| link.as_u64());
    assert_eq!(all, [(json!(0), true), (json!(1), false)]);

    // Of somebody who is erased meanwhile nothing is told.
    assert_eq!(run.send("GET", &clicks[1], &[BROWSER], b"").await.status, 302);
    assert_eq!(run.api("DELETE", &format!("/api/customers/{}", sent.customer), None).await.0, 202);
    run.pass(Duration::from_secs(400)).await;
    assert!(told().is_empty());
    run.finish().await;
}

#[tokio::test]
async fn what_came_back_is_told_as_a_bounce_and_a_lost_telling_is_made_up_for() {
    let run = start().await;
    // Nothing of what the sender tells arrives, nor what it would put in the queue's stead: the message comes again.
    let sent = send(&run, "gone@person.example", &[], "product").await;
    let mut bounce = told("Bounce", "mail-1", "gone@person.example");
    bounce["mail"]["tags"] = json!({"message": [sent.id]});
    run.refusals.refuse("record-feedback", "AmazonSQS.", 3, (500, "InternalError"));
    run.refusals.refuse("record-feedback", "DynamoDB_20120810.PutItem", 3, (500, "InternalServerError"));
    run.stack.sqs.send(&named("FeedbackQueue"), OutgoingMessage::new(bounce.to_string())).unwrap();
    // Until the queue has brought it again.
    while !names(&run).contains(&"message_bounced".to_owned()) {
        run.stack.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    run.settle().await;
    run.fire_timers().await;
    let all: BTreeMap<String, Value> = happened(&run).into_iter().collect();
    assert_eq!(
        (&all["message_bounced"]["kind"], &all["message_bounced"]["message"]),
        (&json!("hard"), &json!(sent.id))
    );
    run.finish().await;
}

#[tokio::test]
async fn an_events_queue_that_refuses_is_stood_in_for() {
    let run = Setup::policies(POLICIES).start().await;
    run.refusals.refuse("route-lead", "AmazonSQS.", usize::MAX, (500, "InternalError"));
    run.lead(&[("email", "ada@person.example")]).await;
    assert_eq!(names(&run), Vec::<String>::new());
    run.refusals.lift();
    run.pass(Duration::from_secs(60)).await;
    run.fire_timers().await;
    assert_eq!(names(&run), ["lead_assigned", "lead_captured"]);
    run.finish().await;
}
