//! Opens and clicks: counted for people, told apart from programs, and leading nowhere but where the message led.

use crate::feedback::told;
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_host::environment::Clock;
use sluice_services::sqs::OutgoingMessage;
use sluice_tests::stack::http::Answer;
use sluice_tests::stack::mail::Mail;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

/// Topics and templates besides the usual policies.
pub(crate) const MESSAGES: &str = r#"
---
kind: topic
name: product
title: { en: Product news, de: Neues zum Produkt, zh: 产品动态 }
description: { en: About once a month. }
---
kind: topic
name: events
title: { en: Events }
consent: opt_in
---
kind: topic
name: offers
title: { en: Offers, de: Angebote }
consent: double_opt_in
confirm: confirm-offers
---
kind: template
name: news
subject: News
html: |
  <p>Hello. <a href="https://shop.example/a?x=1&amp;y=2#top">Read</a>, <a href="https://shop.example/b">buy</a> or
  <a href="{{ link.preferences }}">choose</a>.</p>
---
kind: template
name: receipt
subject: Your receipt
html: |
  <p>Thank you. <a href="https://shop.example/order">Your order</a></p>
---
kind: template
name: confirm-offers
subject: Please confirm
text: |
  Please confirm: {{ link.confirm }}
"#;

/// What a person reads with.
pub(crate) const BROWSER: (&str, &str) = (
    "user-agent",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36",
);

/// A message that went out.
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) mail: Mail,
}

pub(crate) async fn start() -> Running {
    Setup::policies(format!("{POLICIES}{MESSAGES}")).frozen().start().await
}

/// A customer of this address.
pub(crate) async fn customer(run: &Running, email: &str, more: &[(&str, &str)]) -> String {
    let lead = run.lead(&[&[("email", email)], more].concat()).await;
    run.show(&lead).await["customer"].as_str().unwrap().to_owned()
}

/// Asks for a message to a customer and answers with it once all is quiet.
pub(crate) async fn ask(run: &Running, customer: &str, template: &str, topic: &str) -> Value {
    let body = json!({ "customer": customer, "template": template, "topic": topic });
    let (status, answer) = run.api("POST", "/api/messages", Some(body)).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    message(run, answer["message_id"].as_str().unwrap()).await
}

pub(crate) async fn message(run: &Running, id: &str) -> Value {
    let (status, message) = run.api("GET", &format!("/api/messages/{id}"), None).await;
    assert_eq!(status, 200, "{message:#}");
    message
}

/// The newest mail to this address.
pub(crate) fn mail_to(run: &Running, email: &str) -> Mail {
    let mut mails = run.raw_mails().into_iter().rev();
    let (to, raw) = mails.find(|(to, _)| to.iter().any(|to| to == email)).expect("a mail");
    Mail::read(&to, &raw)
}

/// A message that went out a minute ago.
pub(crate) async fn send(run: &Running, email: &str, more: &[(&str, &str)], topic: &str) -> Sent {
    let customer = customer(run, email, more).await;
    let message = ask(run, &customer, if topic == "service" { "receipt" } else { "news" }, topic).await;
    assert_eq!(message["state"], "sent", "{message:#}");
    run.pass(Duration::from_secs(60)).await;
    Sent { id: message["id"].as_str().unwrap().to_owned(), customer, mail: mail_to(run, email) }
}

async fn get(run: &Running, path: &str) -> Answer {
    run.send("GET", path, &[BROWSER], b"").await
}

fn times(seen: &Value) -> u64 {
    seen["times"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn an_opening_is_a_persons_or_a_programs_and_the_picture_comes_anyway() {
    let run = start().await;
    let sent = send(&run, "open@person.example", &[], "product").await;
    let [pixel] = sent.mail.paths('o').try_into().expect("one pixel");
    let answer = get(&run, &pixel).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/gif")));
    assert!(
        answer.body.starts_with(b"GIF89a") && answer.header("cache-control").unwrap().contains("no-store")
    );
    let proxy = (
        "user-agent",
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    );
    assert_eq!(run.send("GET", &pixel, &[proxy], b"").await.body, answer.body);
    let opened = message(&run, &sent.id).await;
    assert_eq!((times(&opened["opened"]), times(&opened["by_machines"])), (2, 0), "{opened:#}");

    let apple = ("user-agent", "Mozilla/5.0");
    for (method, headers) in
        [("GET", vec![apple]), ("HEAD", vec![BROWSER]), ("GET", vec![BROWSER, ("sec-purpose", "prefetch")])]
    {
        let answer = run.send(method, &pixel, &headers, b"").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/gif")), "{method}");
        assert_eq!(answer.body.is_empty(), method == "HEAD");
    }
    let opened = message(&run, &sent.id).await;
    assert_eq!((times(&opened["opened"]), times(&opened["by_machines"])), (2, 3), "{opened:#}");
    let signs: Vec<&str> =
        opened["machine_signs"].as_array().unwrap().iter().filter_map(|sign| sign["sign"].as_str()).collect();
    assert_eq!(signs, ["head", "prefetch", "proxy"]);

    let before = run.table();
    let other = if pixel.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{}{other}", &pixel[..pixel.len() - 1]);
    for path in [forged.as_str(), "/o/nothing", &pixel.replace("/o/o", "/o/c")] {
        assert_eq!(get(&run, path).await.body, answer.body, "{path}");
    }
    assert_eq!(run.table(), before);
    run.finish().await;
}

#[tokio::test]
async fn a_click_leads_where_the_message_led_and_nowhere_else() {
    let run = start().await;
    let sent = send(&run, "click@person.example", &[], "product").await;
    let links = sent.mail.paths('c');
    let wanted = ["https://shop.example/a?x=1&y=2#top", "https://shop.example/b"];
    assert_eq!(links.len(), 2, "{}", sent.mail.html);
    for (path, url) in links.iter().zip(wanted) {
        for target in [path.clone(), format!("{path}?url=https://evil.example")] {
            let answer = get(&run, &target).await;
            assert_eq!((answer.status, answer.header("location")), (302, Some(url)), "{target}");
            assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        }
        run.pass(Duration::from_secs(15)).await;
    }
    let head = run.send("HEAD", &links[0], &[BROWSER], b"").await;
    assert_eq!((head.status, head.header("location"), head.body.len()), (302, Some(wanted[0]), 0));
    let clicked = message(&run, &sent.id).await;
    assert_eq!((times(&clicked["clicked"]), times(&clicked["by_machines"])), (4, 1), "{clicked:#}");
    assert_eq!(clicked["links"], json!(wanted));

    let before = run.table();
    let pixel = sent.mail.paths('o').remove(0);
    let other_purpose = pixel.replace("/o/", "/c/");
    let cut = &links[0][..links[0].len() - 3];
    for path in
        [other_purpose.as_str(), cut, "/c/", "/c/https://evil.example", "/c/c1.https://evil.example.x"]
    {
        let answer = get(&run, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("location"), None);
    }
    let lost = run.send("GET", cut, &[BROWSER, ("accept", "text/html")], b"").await;
    assert!(
        lost.header("content-type").unwrap().starts_with("text/html")
            && lost.text().contains("does not work")
    );
    assert_eq!(run.table(), before);

    // The message is gone: so is where its links led.
    let (pk, sk) =
        run.table().into_keys().find(|(pk, sk)| *pk == sent.customer && sk.starts_with("m#")).unwrap();
    delete(&run, &pk, &sk);
    let gone = run.send("GET", &links[0], &[BROWSER, ("accept", "text/html")], b"").await;
    assert_eq!(gone.text(), lost.text());
    assert_eq!(get(&run, &pixel).await.status, 200);
    run.finish().await;
}

/// Takes an item out of the table, as an erasure does.
pub(crate) fn delete(run: &Running, pk: &str, sk: &str) {
    let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
    let request = json!({ "TableName": named("Table"), "Key": key });
    run.stack.dynamodb.run("DeleteItem", request.to_string().as_bytes()).expect("deleted");
}

#[tokio::test]
async fn a_scanner_that_takes_every_link_at_once_is_nobody() {
    let run = start().await;
    let sent = send(&run, "scanned@person.example", &[], "product").await;
    for path in sent.mail.paths('c') {
        assert_eq!(get(&run, &path).await.status, 302);
    }
    let clicked = message(&run, &sent.id).await;
    assert_eq!((&clicked["clicked"], times(&clicked["by_machines"])), (&Value::Null, 2), "{clicked:#}");
    assert_eq!(clicked["machine_signs"][0]["sign"], "burst");
    run.pass(Duration::from_secs(30)).await;
    assert_eq!(get(&run, &sent.mail.paths('c')[1]).await.status, 302);
    let clicked = message(&run, &sent.id).await;
    assert_eq!((times(&clicked["clicked"]), times(&clicked["by_machines"])), (1, 2), "{clicked:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_scanner_that_comes_with_the_mail_is_nobody() {
    let run = start().await;
    let customer = customer(&run, "instant@person.example", &[]).await;
    let sent = ask(&run, &customer, "news", "product").await;
    let mail = mail_to(&run, "instant@person.example");
    get(&run, &mail.paths('c')[0]).await;
    get(&run, &mail.paths('o')[0]).await;
    run.pass(Duration::from_secs(3)).await;
    get(&run, &mail.paths('o')[0]).await;
    let seen = message(&run, sent["id"].as_str().unwrap()).await;
    assert_eq!((times(&seen["by_machines"]), times(&seen["opened"])), (2, 1), "{seen:#}");
    assert_eq!(seen["machine_signs"][0]["sign"], "instant");
    run.finish().await;
}

/// As if it were still to be told that the mail was delivered: the stack's SES tells it at once.
fn keep_back(run: &Running, sent: &Sent) {
    let mut messages = run.table().into_iter();
    let message = messages.find(|((pk, sk), _)| *pk == sent.customer && sk.starts_with("m#"));
    let (_, mut item) = message.expect("a message");
    let mut document: Value = serde_json::from_str(item["d"]["S"].as_str().unwrap()).unwrap();
    let delivered = document["b"].as_object_mut().and_then(|trail| trail.remove("d"));
    assert!(delivered.is_some(), "{document:#}");
    item["d"]["S"] = document.to_string().into();
    let request = json!({ "TableName": named("Table"), "Item": item });
    run.stack.dynamodb.run("PutItem", request.to_string().as_bytes()).expect("put");
}

#[tokio::test]
async fn a_scanner_that_comes_with_a_mail_that_was_delivered_late_is_nobody() {
    let run = start().await;
    let sent = send(&run, "greylisted@person.example", &[], "product").await;
    keep_back(&run, &sent);
    let mut delivered = told("Delivery", "mail-1", "greylisted@person.example");
    delivered["mail"]["tags"] = json!({"message": [sent.id]});
    delivered["delivery"]["timestamp"] = run.stack.clock.now().rfc3339().into();
    run.stack.sqs.send(&named("FeedbackQueue"), OutgoingMessage::new(delivered.to_string())).unwrap();
    run.settle().await;
    run.stack.advance(Duration::from_secs(1));
    get(&run, &sent.mail.paths('c')[0]).await;
    let seen = message(&run, &sent.id).await;
    assert_eq!((&seen["clicked"], times(&seen["by_machines"])), (&Value::Null, 1), "{seen:#}");
    assert_eq!(seen["machine_signs"][0]["sign"], "instant");
    run.stack.advance(Duration::from_secs(5));
    get(&run, &sent.mail.paths('c')[0]).await;
    assert_eq!(times(&message(&run, &sent.id).await["clicked"]), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_person_is_led_on_even_if_the_click_cannot_be_counted() {
    let run = start().await;
    let sent = send(&run, "uncounted@person.example", &[], "product").await;
    let links = sent.mail.paths('c');
    run.refusals.refuse(
        "record-engagement",
        "DynamoDB_20120810.PutItem",
        usize::MAX,
        (500, "InternalServerError"),
    );
    assert_eq!(get(&run, &links[1]).await.header("location"), Some("https://shop.example/b"));
    assert_eq!(get(&run, &sent.mail.paths('o')[0]).await.status, 200);
    run.refusals.lift();
    // Where the link leads cannot be looked up: later it can.
    run.refusals.refuse(
        "record-engagement",
        "DynamoDB_20120810.GetItem",
        usize::MAX,
        (500, "InternalServerError"),
    );
    let answer = get(&run, &links[1]).await;
    assert_eq!(
        (answer.status, answer.header("retry-after"), answer.header("location")),
        (503, Some("5"), None)
    );
    assert_eq!(get(&run, &sent.mail.paths('o')[0]).await.status, 200);
    run.refusals.lift();
    let clicked = message(&run, &sent.id).await;
    assert_eq!((&clicked["clicked"], &clicked["opened"]), (&Value::Null, &Value::Null));
    assert_eq!(get(&run, &links[1]).await.status, 302);
    run.finish().await;
}

#[tokio::test]
async fn nothing_is_counted_where_counting_is_switched_off_nor_of_what_a_person_asked_for() {
    let run = start().await;
    let before = send(&run, "before@person.example", &[], "product").await;
    let receipt = send(&run, "receipt@person.example", &[], "service").await;
    assert!(receipt.mail.html.contains("\"https://shop.example/order\""), "{}", receipt.mail.html);
    assert!(receipt.mail.paths('o').is_empty() && receipt.mail.paths('c').is_empty());
    assert_eq!(receipt.mail.header("list-unsubscribe"), None);

    let off = "kind: settings\nname: default\nmessaging: { track_opens: false, track_clicks: false }\n";
    run.apply(off).await;
    let after = send(&run, "after@person.example", &[], "product").await;
    assert!(after.mail.paths('o').is_empty() && after.mail.paths('c').is_empty(), "{}", after.mail.html);
    assert!(after.mail.html.contains("https://shop.example/b") && after.mail.unsubscribe().is_some());
    // What is out already works on and is not counted any more.
    assert_eq!(
        get(&run, &before.mail.paths('c')[1]).await.header("location"),
        Some("https://shop.example/b")
    );
    assert_eq!(get(&run, &before.mail.paths('o')[0]).await.status, 200);
    let seen = message(&run, &before.id).await;
    assert_eq!(
        (&seen["clicked"], &seen["opened"], &seen["by_machines"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    run.finish().await;
}

#[tokio::test]
async fn links_of_an_old_key_work_for_ever() {
    let run = start().await;
    let old = send(&run, "old-key@person.example", &[], "product").await;
    let secret = named("LinkKeySecret");
    let held: Value = serde_json::from_str(&run.stack.secrets.value(&secret).unwrap()).unwrap();
    let next = json!({ "version": "2", "current": "x".repeat(64), "old": { "1": held["current"] } });
    run.stack.secrets.put(&secret, next.to_string()).unwrap();
    run.pass(Duration::from_secs(61)).await;
    let new = send(&run, "new-key@person.example", &[], "product").await;
    assert!(old.mail.paths('c')[0].starts_with("/c/c1.") && new.mail.paths('c')[0].starts_with("/c/c2."));
    for mail in [&old.mail, &new.mail] {
        assert_eq!(get(&run, &mail.paths('c')[0]).await.status, 302);
        assert_eq!(get(&run, &mail.unsubscribe().unwrap()).await.status, 200);
    }
    run.stack.secrets.put(&secret, json!({ "version": "2", "current": "x".repeat(64) }).to_string()).unwrap();
    run.pass(Duration::from_secs(61)).await;
    assert_eq!(get(&run, &old.mail.paths('c')[0]).await.status, 404, "its key is nobody's any more");
    run.finish().await;
}
