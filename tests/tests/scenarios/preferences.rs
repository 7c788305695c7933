//! What people want: one-click unsubscribing as mail programs do it, the preference page, confirmations.

use crate::engagement::{BROWSER, Sent, ask, customer, delete, mail_to, message, send, start};
use crate::folder::{Folder, folders, text};
use crate::rights::consents;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sluice_tests::stack::Running;
use sluice_tests::stack::http::{Answer, urlencoded};
use std::time::Duration;

pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub(crate) const ONE_CLICK: &[u8] = b"List-Unsubscribe=One-Click";

pub(crate) async fn get(run: &Running, path: &str, more: &[(&str, &str)]) -> Answer {
    run.send("GET", path, &[&[BROWSER], more].concat(), b"").await
}

pub(crate) async fn post(run: &Running, path: &str, fields: &[(&str, &str)]) -> Answer {
    run.send("POST", path, &[FORM, BROWSER], urlencoded(fields).as_bytes()).await
}

/// Whether another message about the topic would go out, as the API says after trying.
pub(crate) async fn still_gets(run: &Running, customer: &str, topic: &str) -> bool {
    let message = ask(run, customer, "news", topic).await;
    match message["state"].as_str() {
        Some("sent") => true,
        Some("skipped") => false,
        _ => panic!("{message:#}"),
    }
}

/// Statements of an address: what was said, how, about what.
pub(crate) fn proofs(run: &Running) -> Vec<Value> {
    let proofs = run.table().into_iter().filter(|((pk, _), _)| pk.starts_with("consent#"));
    proofs.map(|(_, item)| serde_json::from_str(item["d"]["S"].as_str().unwrap()).unwrap()).collect()
}

/// A request of the fixtures with another path, as bytes of a connection.
fn with_path(raw: &[u8], was: &str, path: &str) -> Vec<u8> {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&raw[..end]).unwrap().replacen(was, path, 1);
    [head.as_bytes(), &raw[end..]].concat()
}

/// The same as the event that API Gateway makes of it.
fn as_event(raw: &[u8]) -> Value {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&raw[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let mut line = lines.next().unwrap().split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers: serde_json::Map<String, Value> =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into())).collect();
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": query, "headers": headers,
        "body": STANDARD.encode(&raw[end + 4..]), "isBase64Encoded": true,
        "requestContext": { "http": { "method": method, "sourceIp": "192.0.2.9" }, "stage": "$default" },
    })
}

/// Sends a case, over a connection or as an event: status, headers and body.
async fn deliver(run: &Running, raw: &[u8], as_lambda: bool) -> Answer {
    if !as_lambda {
        return run.raw(raw).await;
    }
    let answer = run.invoke("record-engagement", &as_event(raw)).await.expect("an answer");
    let headers = answer["headers"].as_object().unwrap().iter();
    let body = answer["body"].as_str().unwrap();
    Answer {
        status: u16::try_from(answer["statusCode"].as_u64().unwrap()).unwrap(),
        headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(),
        body: if answer["isBase64Encoded"] == true { STANDARD.decode(body).unwrap() } else { body.into() },
    }
}

/// A case of an HTTP request, to a link of a message that went out before it.
async fn one_click(run: &Running, folder: &Folder, case: &Value, sent: &Sent, as_lambda: bool) {
    let (id, facts) = (text(&case["id"]), &case["facts"]);
    let own = sent.mail.unsubscribe().unwrap();
    if facts["unsubscribes"] == "already" {
        assert_eq!(run.send("POST", &own, &[FORM], ONE_CLICK).await.status, 200);
    }
    let target = text(&case["target"]);
    let is_forged = target.contains("XXXX");
    let path = match is_forged {
        true => format!("{}XXXX{}", &own[..own.len() - 8], &own[own.len() - 4..]),
        false => own.clone(),
    };
    let before = run.table();
    let was = target.split('?').next().unwrap();
    let answer = deliver(run, &with_path(&folder.bytes(case), was, &path), as_lambda).await;
    let wanted = facts["must_answer_status"].as_u64().unwrap_or(if is_forged { 404 } else { 200 });
    assert_eq!(u64::from(answer.status), wanted, "{id}: {}", answer.text());
    assert!(!(300..400).contains(&answer.status) && answer.header("location").is_none(), "{id}");
    assert_eq!(answer.header("set-cookie"), None, "{id}");
    if case["method"] == "HEAD" {
        assert!(answer.body.is_empty(), "{id}");
    }
    if facts.get("must_not_reveal").is_some() {
        // A link of nobody's is answered with the same bytes.
        let nobody = run.send(case["method"].as_str().unwrap(), "/u/u1.Zm9v.YmFy", &[FORM], ONE_CLICK).await;
        assert_eq!((nobody.status, nobody.text()), (answer.status, answer.text()), "{id}");
    }
    let is_out = facts["unsubscribes"] != false;
    if facts["unsubscribes"] != true {
        assert_eq!(run.table(), before, "{id} changed something");
    }
    assert_eq!(still_gets(run, &sent.customer, "product").await, !is_out, "{id}");
    let trail = message(run, &sent.id).await;
    assert_eq!(trail["unsubscribed"].is_string(), is_out, "{id}: {trail:#}");
}

#[tokio::test]
async fn every_case_of_one_click_unsubscribing_is_answered_as_its_facts_say() {
    for folder in folders("oneclick_unsubscribe") {
        for as_lambda in [false, true] {
            let run = start().await;
            for case in folder.cases.iter().filter(|case| case.get("method").is_some()) {
                let email = format!("{}@clicks.example", text(&case["id"]));
                let sent = send(&run, &email, &[], "product").await;
                one_click(&run, &folder, case, &sent, as_lambda).await;
            }
            run.finish().await;
        }
    }
}

/// What a program makes of the two headers.
fn read_by_a_program(header: Option<&str>, post: Option<&str>) -> Value {
    let found = list_unsubscribe::parse_with_post(header.unwrap_or_default(), post);
    serde_json::to_value(found).unwrap()
}

#[tokio::test]
async fn a_mail_program_finds_the_button_in_every_mail_that_may_be_refused() {
    for folder in folders("oneclick_unsubscribe") {
        for case in folder.cases.iter().filter(|case| case.get("method").is_none()) {
            let document = folder.json(case);
            let input = |name: &str| document["input"][name].as_str();
            let found = read_by_a_program(input("list_unsubscribe"), input("list_unsubscribe_post"));
            assert_eq!(found, case["facts"]["expected"], "the program reads {} otherwise", case["id"]);
        }
    }
    let run = start().await;
    let sent = send(&run, "button@person.example", &[], "product").await;
    let header = |name: &str| sent.mail.header(name);
    let found = read_by_a_program(header("list-unsubscribe"), header("list-unsubscribe-post"));
    let path = sent.mail.unsubscribe().unwrap();
    let url = format!("{}{path}", run.stack.addresses.url);
    assert_eq!(found, json!({ "kind": "OneClick", "url": url }));
    assert_eq!(header("list-unsubscribe-post"), Some("List-Unsubscribe=One-Click"));
    for name in ["list-unsubscribe", "list-unsubscribe-post"] {
        assert_eq!(sent.mail.headers.iter().filter(|(n, _)| n == name).count(), 1);
    }
    // The link in the text is the same one, and it is not counted as a click.
    assert_eq!(sent.mail.paths('u'), [path]);
    run.finish().await;
}

#[tokio::test]
async fn the_page_speaks_the_recipients_language() {
    let run = start().await;
    let mut found = Vec::new();
    for (name, (field, language), accepts) in [
        ("de", ("language", "de"), "zh"),
        ("zh", ("language", "zh-CN"), "de"),
        ("browser", ("country", "FR"), "de-AT, en;q=0.5"),
        ("french", ("language", "fr"), "zh"),
        ("none", ("", ""), ""),
        ("neither", ("language", "fr"), "it"),
        // As the mail is written, and what the browser can do with.
        ("austria", ("country", "AT"), "en"),
        ("second", ("country", "FR"), "fr-FR,fr;q=0.9,de;q=0.8,en;q=0.1"),
    ] {
        let spoken = [(field, language)];
        let spoken: &[(&str, &str)] = if language.is_empty() { &[] } else { &spoken };
        let sent = send(&run, &format!("{name}@speaks.example"), spoken, "product").await;
        let answer = get(&run, &sent.mail.unsubscribe().unwrap(), &[("accept-language", accepts)]).await;
        assert_eq!(answer.status, 200);
        let html = answer.text();
        found.push((answer.header("content-language").unwrap().to_owned(), html.clone()));
        assert!(html.contains(&format!("<html lang=\"{}\">", answer.header("content-language").unwrap())));
    }
    let codes: Vec<&str> = found.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes, ["de", "zh", "de", "zh", "en", "en", "de", "de"]);
    assert!(found[0].1.contains("Neues zum Produkt") && found[0].1.contains("Speichern"));
    assert!(found[1].1.contains("产品动态") && found[1].1.contains("保存"));
    // A topic without a title in the language has the English one.
    assert!(found[4].1.contains("Product news") && found[1].1.contains("Events"));
    run.finish().await;
}

/// Names of the topics that a page shows, those ticked first.
pub(crate) fn boxes(html: &str) -> (Vec<String>, Vec<String>) {
    let inputs = html.split("<input type=\"checkbox\"").skip(1);
    let read = inputs.map(|input| {
        let tag = input.split('>').next().unwrap();
        let name = tag.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        (name.to_owned(), tag.contains(" checked"))
    });
    let (on, off): (Vec<_>, Vec<_>) = read.partition(|(_, checked)| *checked);
    let names = |list: Vec<(String, bool)>| list.into_iter().map(|(name, _)| name).collect();
    (names(on), names(off))
}

#[tokio::test]
async fn the_page_shows_what_is_so_and_looking_at_it_changes_nothing() {
    let run = start().await;
    let sent = send(&run, "look@person.example", &[], "product").await;
    let path = sent.mail.unsubscribe().unwrap();
    let before = run.table();
    for (method, headers) in
        [("GET", vec![BROWSER]), ("HEAD", vec![]), ("GET", vec![("sec-purpose", "prefetch")])]
    {
        assert_eq!(run.send(method, &path, &headers, b"").await.status, 200);
    }
    let page = get(&run, &path, &[]).await;
    assert_eq!(run.table(), before);
    let (on, off) = boxes(&page.text());
    assert_eq!((on, off), (vec!["product".to_owned()], vec!["events".to_owned(), "offers".to_owned()]));
    assert!(!page.text().contains("look@person.example"), "nothing about the person is on the page");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!page.text().contains("<script") && page.header("cache-control").unwrap().contains("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    run.finish().await;
}

#[tokio::test]
async fn what_is_saved_on_the_page_holds_and_has_its_proof() {
    let run = start().await;
    let sent = send(&run, "save@person.example", &[], "product").await;
    let (path, who) = (sent.mail.unsubscribe().unwrap(), sent.customer.as_str());
    let shown = [("shown", "product"), ("shown", "events"), ("shown", "offers")];
    let ticked = [&shown[..], &[("topic", "events"), ("topic", "offers"), ("save", "yes")]].concat();
    let saved = post(&run, &path, &ticked).await;
    assert_eq!((saved.status, boxes(&saved.text()).0), (200, vec!["events".to_owned(), "offers".to_owned()]));
    assert!(saved.text().contains("role=\"status\""));
    // Whoever ticks a box behind a link in a mail to them has confirmed it.
    for (topic, gets) in [("product", false), ("events", true), ("offers", true)] {
        assert_eq!(still_gets(&run, who, topic).await, gets, "{topic}");
    }
    let kept = proofs(&run);
    assert_eq!(kept.len(), 3, "{kept:#?}");
    for proof in &kept {
        let said = &proof["s"]["wish"];
        let (wish, ip) = if said["t"] == "product" { ("no", false) } else { ("confirmed", true) };
        assert_eq!((&said["w"], &proof["h"], &proof["m"]), (&json!(wish), &json!("page"), &json!(sent.id)));
        assert_eq!((proof["i"].is_string(), proof["u"] == BROWSER.1), (ip, ip), "{proof:#}");
        assert_eq!(proof["o"], "page");
        assert!(proof["v"].as_str().unwrap().parse::<u64>().unwrap() > 0, "{proof:#}");
        assert!(proof["w"].as_str().unwrap().starts_with("Send me messages about:"));
    }
    // Saved again as it is: nothing is said anew.
    let before = run.table();
    post(&run, &path, &ticked).await;
    assert_eq!(run.table(), before);
    // A topic that the page did not show, or that there is not, is left alone.
    run.pass(Duration::from_secs(1)).await;
    let few = [("shown", "events"), ("topic", "events"), ("topic", "nonsense"), ("shown", "nonsense")];
    assert_eq!(boxes(&post(&run, &path, &few).await.text()).0, ["events", "offers"]);

    run.pass(Duration::from_secs(1)).await;
    let nothing = post(&run, &path, &[&shown[..], &[("topic", "events"), ("nothing", "yes")]].concat()).await;
    assert_eq!((nothing.status, boxes(&nothing.text()).0), (200, Vec::new()));
    for topic in ["product", "events", "offers"] {
        assert!(!still_gets(&run, who, topic).await, "{topic}");
    }
    assert_eq!(ask(&run, who, "receipt", "service").await["state"], "sent");
    assert_eq!(post(&run, &path, &[("hello", "world")]).await.status, 400);
    run.finish().await;
}

#[tokio::test]
async fn unsubscribing_works_when_nothing_is_left_of_message_and_customer() {
    let run = start().await;
    let sent = send(&run, "gone@person.example", &[], "product").await;
    let path = sent.mail.unsubscribe().unwrap();
    for (pk, sk) in run.table().into_keys().filter(|(pk, _)| *pk == sent.customer || pk.starts_with("ad#")) {
        delete(&run, &pk, &sk);
    }
    let page = get(&run, &path, &[("accept-language", "de")]).await;
    assert_eq!((page.status, page.header("content-language")), (200, Some("de")));
    assert_eq!(run.send("POST", &path, &[FORM], ONE_CLICK).await.status, 200);
    // The person comes back by themselves: the address still wants nothing.
    let (lead, _) =
        (run.post("contact", &[("email", "gone@person.example"), ("n", "2")]).await.lead_id(), ());
    run.settle().await;
    let again = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    assert!(!still_gets(&run, &again, "product").await);
    // The first lead's customer is gone from under it, which no scenario leaves so.
    for (pk, sk) in run.table().into_keys().filter(|(pk, _)| pk.starts_with("ld_") && *pk != lead) {
        delete(&run, &pk, &sk);
    }
    run.finish().await;
}

#[tokio::test]
async fn an_opt_out_that_cannot_be_written_down_is_not_acknowledged() {
    let run = start().await;
    let sent = send(&run, "later@person.example", &[], "product").await;
    let path = sent.mail.unsubscribe().unwrap();
    let write = "DynamoDB_20120810.TransactWriteItems";
    run.refusals.refuse("record-engagement", write, usize::MAX, (500, "InternalServerError"));
    let refused = run.send("POST", &path, &[FORM], ONE_CLICK).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    run.refusals.lift();
    assert!(still_gets(&run, &sent.customer, "product").await);
    // The same while others change the gate: a conflict is tried again.
    run.refusals.refuse("record-engagement", write, 2, (400, "TransactionInProgressException"));
    assert_eq!(run.send("POST", &path, &[FORM], ONE_CLICK).await.status, 200);
    assert!(!still_gets(&run, &sent.customer, "product").await);
    run.finish().await;
}

#[tokio::test]
async fn a_hundred_presses_at_once_are_one_no() {
    let run = start().await;
    let sent = send(&run, "impatient@person.example", &[], "product").await;
    let path = sent.mail.unsubscribe().unwrap();
    let presses = (0..100).map(|_| run.send("POST", &path, &[FORM], ONE_CLICK));
    for answer in futures::future::join_all(presses).await {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(proofs(&run).len(), 1);
    assert_eq!(run.table().keys().filter(|(pk, _)| pk.starts_with("gate#")).count(), 1);
    run.finish().await;
}

#[tokio::test]
async fn the_address_keeps_its_wishes_while_the_hash_key_is_rotated() {
    let run = start().await;
    let sent = send(&run, "rotated@person.example", &[], "product").await;
    let secret = sluice::host::spec::named("HashKeySecret");
    let held: Value = serde_json::from_str(&run.stack.secrets.value(&secret).unwrap()).unwrap();
    let next = json!({
        "version": "2", "current": "y".repeat(64), "previous_version": held["version"], "previous": held["current"],
    });
    run.stack.secrets.put(&secret, next.to_string()).unwrap();
    run.pass(Duration::from_secs(61)).await;
    let path = sent.mail.unsubscribe().unwrap();
    assert_eq!(run.send("POST", &path, &[FORM], ONE_CLICK).await.status, 200);
    assert!(!still_gets(&run, &sent.customer, "product").await);
    // It is written under the new key, so that the old one need not be kept for it.
    let gates: Vec<String> =
        run.table().into_keys().map(|(pk, _)| pk).filter(|pk| pk.starts_with("gate#")).collect();
    assert!(gates.iter().any(|pk| pk.starts_with("gate#email#2.")), "{gates:?}");
    run.finish().await;
}

#[tokio::test]
async fn one_click_on_what_a_person_asked_for_stops_everything_else() {
    let run = start().await;
    let who = customer(&run, "bought@person.example", &[]).await;
    // The receipt has no button; its footer may lead to the page.
    let policies =
        "kind: template\nname: receipt\nsubject: Receipt\ntext: 'Choose: {{ link.preferences }}'\n";
    run.apply(policies).await;
    assert_eq!(ask(&run, &who, "receipt", "service").await["state"], "sent");
    let mail = mail_to(&run, "bought@person.example");
    let path = mail.paths('u').remove(0);
    let answer = run.send("POST", &path, &[FORM], ONE_CLICK).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("except answers to what you ask for yourself"));
    assert!(!still_gets(&run, &who, "product").await);
    assert_eq!(ask(&run, &who, "receipt", "service").await["state"], "sent");
    run.finish().await;
}

pub(crate) const CLUB: &str = r#"
---
kind: form
name: club
consent: { field: ok, topic: offers, wording: Send me offers, version: "7" }
"#;

/// Posts the form whose box asks for offers, and waits until all is quiet; the lead's customer.
pub(crate) async fn joins(run: &Running, email: &str, more: &[(&str, &str)]) -> String {
    let lead = run.post("club", &[&[("email", email)], more].concat()).await.lead_id();
    run.settle().await;
    run.show(&lead).await["customer"].as_str().unwrap().to_owned()
}

pub(crate) fn questions_to(run: &Running, email: &str) -> usize {
    let mails = run.raw_mails().into_iter();
    mails
        .filter(|(to, raw)| to.iter().any(|to| to == email) && raw.contains("Subject: Please confirm"))
        .count()
}

#[tokio::test]
async fn whoever_ticks_the_box_is_asked_once_and_gets_nothing_until_they_press_the_button() {
    let run = start().await;
    run.apply(CLUB).await;
    let who = joins(&run, "eve@person.example", &[("ok", "on"), ("language", "de")]).await;
    assert_eq!(questions_to(&run, "eve@person.example"), 1);
    let mail = mail_to(&run, "eve@person.example");
    let [path] = mail.paths('k').try_into().expect("one link to confirm by");
    assert!(mail.paths('o').is_empty(), "who has not said yes is not watched");
    assert_eq!(ask(&run, &who, "news", "offers").await["reason"], "not_confirmed");

    let before = run.table();
    for (method, headers) in
        [("GET", vec![BROWSER]), ("HEAD", vec![BROWSER]), ("GET", vec![("sec-purpose", "prefetch")])]
    {
        assert_eq!(run.send(method, &path, &headers, b"").await.status, 200);
    }
    let page = get(&run, &path, &[]).await;
    assert!(page.text().contains("Möchten Sie Nachrichten zu „Angebote“?"), "{}", page.text());
    assert!(page.text().contains("<form method=\"post\"><button"));
    assert_eq!(run.table(), before, "looking confirms nothing");

    run.pass(Duration::from_secs(60)).await;
    let done = post(&run, &path, &[("confirm", "yes")]).await;
    assert!(done.status == 200 && done.text().contains("Danke"), "{}", done.text());
    assert_eq!(ask(&run, &who, "news", "offers").await["state"], "sent");
    let kept = proofs(&run);
    let (form, button) = (&kept[0], &kept[1]);
    assert_eq!((kept.len(), &form["h"], &button["h"]), (2, &json!("form"), &json!("confirmation")));
    assert_eq!((&form["w"], &form["v"]), (&json!("Send me offers"), &json!("7")));
    assert!(button["w"].as_str().unwrap().contains("Angebote") && button["i"].is_string(), "{button:#}");
    assert_eq!((&button["o"], &button["u"]), (&json!("confirmation"), &json!(BROWSER.1)));
    assert!(button["v"].is_string(), "{button:#}");
    // Pressed once more, and posted without a body.
    let before = run.table();
    post(&run, &path, &[("confirm", "yes")]).await;
    let again = run.send("POST", &path, &[], b"").await;
    assert!(again.status == 200 && again.text().contains("class=\"done\""), "{}", again.text());
    assert_eq!(run.table(), before);
    // The person is there again: there is nothing to ask any more.
    run.pass(Duration::from_secs(3_600)).await;
    joins(&run, "eve@person.example", &[("ok", "on"), ("n", "2")]).await;
    assert_eq!(questions_to(&run, "eve@person.example"), 1);
    run.finish().await;
}

/// A question that says what it can.
const KNOWN_BY_NUMBER: &str = r#"
---
kind: template
name: confirm-offers
subject: Please confirm, {{ customer.first_name }}
text: |
  Is {{ customer.email }} yours, {{ customer.full_name }} of {{ customer.phone }}? Ask {{ owner.full_name }}.
  {{ link.confirm }}
defaults: { customer.first_name: you, customer.full_name: you, customer.phone: nowhere, owner.full_name: us }
"#;

#[tokio::test]
async fn whoever_names_a_customer_and_types_an_address_hears_of_that_address_and_nothing_else() {
    let run = start().await;
    run.apply(&format!("{CLUB}fields: {{ external_id.crm: [number] }}\n{}", KNOWN_BY_NUMBER.trim_start()))
        .await;
    let number = ("number", "4711");
    let name = [("first_name", "Eve"), ("last_name", "Sommer"), ("phone", "+1 212 555 0199")];
    let secret = "victim2.secret@person.example";
    let who = joins(&run, "victim@person.example", &[&name[..], &[number, ("ok", "no")]].concat()).await;
    run.pass(Duration::from_secs(60)).await;
    assert_eq!(joins(&run, secret, &[number]).await, who, "the number names the customer");
    run.pass(Duration::from_secs(60)).await;
    // By somebody who knows the number, or by the customer, who has a new address.
    let typed = "somebody@else.example";
    assert_eq!(joins(&run, typed, &[number, ("ok", "on")]).await, who);
    assert_eq!(questions_to(&run, typed), 1);
    let mail = mail_to(&run, typed);
    assert_eq!(mail.header("subject"), Some("Please confirm, you"));
    let text = format!("Is {typed} yours, you of nowhere? Ask us.");
    assert!(mail.text.contains(&text), "{}", mail.text);
    for theirs in ["victim", "Eve", "Sommer", "0199"] {
        assert!(!mail.text.contains(theirs), "{}", mail.text);
    }
    run.finish().await;
}

#[tokio::test]
async fn one_click_is_read_however_a_program_writes_its_part() {
    let run = start().await;
    let sent = send(&run, "part@person.example", &[], "product").await;
    let path = sent.mail.unsubscribe().unwrap();
    let part = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"; filename=\"blob\"\r\n\
                Content-Type: text/plain\r\n\r\nOne-Click\r\n--b--\r\n";
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let answer = run.send("POST", &path, &[kind], part.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!still_gets(&run, &sent.customer, "product").await);
    // A large file is none.
    let large = part.replace("One-Click", &"One-Click".repeat(500));
    run.send("POST", &path, &[kind], large.as_bytes()).await.is_problem(400, "body-unfit");
    // Larger than anything we take; a browser is shown a page.
    let huge = part.replace("One-Click", &"One-Click".repeat(200_000));
    run.send("POST", &path, &[kind], huge.as_bytes()).await.is_problem(413, "body-too-large");
    let page = run.send("POST", &path, &[kind, ("accept", "text/html,*/*")], huge.as_bytes()).await;
    assert_eq!((page.status, page.header("content-type")), (413, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("Nothing was changed"), "{}", page.text());
    // Whatever is wrong with a link, a program is told the same of it.
    for path in ["/u/none", "/k/none", "/c/none"] {
        run.send("GET", path, &[], b"").await.is_problem(404, "no-such-link");
    }
    run.finish().await;
}

#[tokio::test]
async fn a_no_that_was_said_after_the_question_went_out_stands() {
    let run = start().await;
    run.apply(CLUB).await;
    let who = joins(&run, "regret@person.example", &[("ok", "yes")]).await;
    let mail = mail_to(&run, "regret@person.example");
    run.pass(Duration::from_secs(60)).await;
    assert_eq!(run.send("POST", &mail.unsubscribe().unwrap(), &[FORM], ONE_CLICK).await.status, 200);
    run.pass(Duration::from_secs(60)).await;
    let path = mail.paths('k').remove(0);
    let page = get(&run, &path, &[]).await;
    assert!(page.text().contains("so it stays") && !page.text().contains("<button"), "{}", page.text());
    let answer = post(&run, &path, &[("confirm", "yes")]).await;
    assert!(answer.status == 200 && answer.text().contains("so it stays"), "{}", answer.text());
    assert_eq!(ask(&run, &who, "news", "offers").await["reason"], "opted_out");
    // They tick the box again: a new question, a new button.
    joins(&run, "regret@person.example", &[("ok", "yes"), ("n", "2")]).await;
    assert_eq!(questions_to(&run, "regret@person.example"), 2);
    let path = mail_to(&run, "regret@person.example").paths('k').remove(0);
    assert!(post(&run, &path, &[("confirm", "yes")]).await.text().contains("Thank you"));
    assert_eq!(ask(&run, &who, "news", "offers").await["state"], "sent");
    run.finish().await;
}

#[tokio::test]
async fn nobody_is_asked_who_ticked_nothing_nor_again_and_again_nor_at_another_address() {
    let run = start().await;
    run.apply(CLUB).await;
    joins(&run, "quiet@person.example", &[]).await;
    assert_eq!(questions_to(&run, "quiet@person.example"), 0);
    // Somebody types another's address into the form all day.
    for n in 0..6 {
        joins(&run, "victim@person.example", &[("ok", "on"), ("n", &n.to_string())]).await;
        run.pass(Duration::from_secs(3_600)).await;
    }
    assert_eq!(questions_to(&run, "victim@person.example"), 3);
    run.finish().await;
}

#[tokio::test]
async fn who_has_two_addresses_is_asked_at_the_one_they_gave_and_confirms_no_other() {
    let run = start().await;
    run.apply(CLUB).await;
    let (work, home) = ("kim@work.example", "kim@home.example");
    let who = joins(&run, work, &[]).await;
    run.pass(Duration::from_secs(60)).await;
    let other = joins(&run, home, &[]).await;
    let path = format!("/api/customers/{who}/merge");
    let (status, merged) = run.api("POST", &path, Some(json!({ "with": other }))).await;
    assert_eq!(status, 200, "{merged:#}");
    run.settle().await;
    let wish = |said: &Value, email: &str| {
        let all = said["addresses"].as_array().unwrap();
        let address = all.iter().find(|one| one["address"] == email).expect("both addresses");
        address["topics"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["topic"] == "offers")
            .map(|one| text(&one["wish"]))
    };

    // The same person ticks the box twice, with each address once.
    assert_eq!(joins(&run, home, &[("ok", "on")]).await, who);
    assert_eq!((questions_to(&run, work), questions_to(&run, home)), (0, 1));
    assert_eq!(joins(&run, work, &[("ok", "on")]).await, who);
    assert_eq!((questions_to(&run, work), questions_to(&run, home)), (1, 1));
    run.pass(Duration::from_secs(60)).await;

    // The button in the mail to one says nothing about the other, which is where messages go.
    let button = mail_to(&run, home).paths('k').remove(0);
    assert!(post(&run, &button, &[("confirm", "yes")]).await.text().contains("Thank you"));
    let said = consents(&run, &json!(who)).await;
    assert_eq!(wish(&said, home).as_deref(), Some("confirmed"), "{said:#}");
    assert_eq!(wish(&said, work).as_deref(), Some("yes"), "{said:#}");
    assert_eq!(ask(&run, &who, "news", "offers").await["reason"], "not_confirmed");

    let button = mail_to(&run, work).paths('k').remove(0);
    assert!(post(&run, &button, &[("confirm", "yes")]).await.text().contains("Thank you"));
    assert_eq!(ask(&run, &who, "news", "offers").await["state"], "sent");
    assert!(mail_to(&run, work).html.contains("Hello."), "it went to where it was confirmed");
    assert_eq!(questions_to(&run, home) + questions_to(&run, work), 2, "nobody is asked again");
    run.finish().await;
}
