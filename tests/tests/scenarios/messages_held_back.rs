//! What keeps a message back, whatever has become of the address, of the person and of the keys since it was said; and a
//! refusal that says nothing about the message, which only delays it.

use crate::engagement::{BROWSER, MESSAGES, ask, customer, mail_to, message, send, start};
use crate::rights::{consents, sluice};
use serde_json::{Value, json};
use sluice::host::spec::named;
use sluice_services::ses::Refusal;
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::time::Duration;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const ONE_CLICK: &[u8] = b"List-Unsubscribe=One-Click";
const SES: &str = "/v2/email/outbound-emails";
/// The secret that documents call `secret:sms`.
const SMS_SECRET: &str = "sluice/sources/sms";

/// A source that is believed, over whatever anybody typed.
const SHOP: &str = "
---
kind: source
name: shop
type: segment
trusted: true
secrets: { write_key: [env:SHOP_KEY] }
";

fn with_shop() -> Setup {
    Setup::policies(format!("{POLICIES}{MESSAGES}{SHOP}")).var("SHOP_KEY", "shop-key")
}

async fn believed() -> Running {
    with_shop().frozen().start().await
}

/// The shop says what the e-mail address of its user is.
async fn identify(run: &Running, user: &str, email: &str) {
    run.pass(Duration::from_secs(1)).await;
    let call = json!({"userId": user, "messageId": email, "traits": {"email": email}});
    let headers = [("authorization", "Basic c2hvcC1rZXk6"), ("content-type", "application/json")];
    let answer = run.send("POST", "/v1/identify", &headers, call.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    run.settle().await;
}

async fn found(run: &Running, email: &str) -> String {
    let (status, found) = run.lookup(json!({ "email": email })).await;
    assert_eq!(status, 200, "{found:#}");
    found["id"].as_str().unwrap().to_owned()
}

async fn says_no_by(run: &Running, path: &str) {
    assert_eq!(run.send("POST", path, &[FORM, BROWSER], ONE_CLICK).await.status, 200);
}

fn reason(message: &Value) -> (&str, &str) {
    (message["state"].as_str().unwrap(), message["reason"].as_str().unwrap_or_default())
}

/// Asks for a message; its id.
async fn wanted(run: &Running, customer: &str, template: &str, channel: &str) -> String {
    let body = json!({"customer": customer, "template": template, "channel": channel, "topic": "product"});
    let (status, asked) = run.api("POST", "/api/messages", Some(body)).await;
    assert_eq!(status, 202, "{asked:#}");
    asked["message_id"].as_str().unwrap().to_owned()
}

/// A message once its first attempt is over, whatever is to come of it.
async fn tried(run: &Running, id: &str) -> Value {
    loop {
        let message = message(run, id).await;
        if message["attempts"] == 1 && message["state"] != "claimed" {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until what was in hand is put off.
async fn is_put_off(run: &Running) {
    for _ in 0..3_000 {
        let depth = run.stack.sqs.depth(&named("MessageQueue")).unwrap();
        if (depth.visible, depth.in_flight, depth.delayed) == (0, 0, 1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is not put off: {}", run.depths());
}

/// A new key for the hashes of addresses; those before stay.
pub(crate) async fn rotate(run: &Running) {
    let secret = named("HashKeySecret");
    let mut held: Value = serde_json::from_str(&run.stack.secrets.value(&secret).unwrap()).unwrap();
    let version = held["version"].as_str().unwrap().to_owned();
    let next = version.parse::<u32>().unwrap() + 1;
    let mut old = held["old"].as_object().cloned().unwrap_or_default();
    old.insert(version, held["current"].take());
    let held = json!({"version": next.to_string(), "current": next.to_string().repeat(64), "old": old});
    run.stack.secrets.put(&secret, held.to_string()).unwrap();
    run.pass(Duration::from_secs(61)).await;
}

#[tokio::test]
async fn who_said_no_gets_nothing_at_an_address_that_others_give_for_them_since() {
    let run = believed().await;
    identify(&run, "u1", "before@person.example").await;
    let who = found(&run, "before@person.example").await;
    assert_eq!(ask(&run, &who, "news", "product").await["state"], "sent");
    says_no_by(&run, &mail_to(&run, "before@person.example").unsubscribe().unwrap()).await;
    identify(&run, "u1", "after@person.example").await;
    assert_eq!(run.customer(&who).await["profile"]["email"]["value"], "after@person.example");
    let refused = ask(&run, &who, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    let mails = run.raw_mails();
    assert!(mails.iter().all(|(to, _)| to.iter().all(|to| to != "after@person.example")));
    // What goes to the address counts at it alone: the person says yes again by the new one.
    run.pass(Duration::from_secs(1)).await;
    let yes =
        json!({"channel": "email", "topic": "product", "wish": "yes", "address": "after@person.example"});
    assert_eq!(run.api("POST", &format!("/api/customers/{who}/consents"), Some(yes)).await.0, 200);
    assert_eq!(ask(&run, &who, "news", "product").await["state"], "sent");
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_said_no_gets_nothing_though_a_file_says_yes_for_their_new_address() {
    let run = with_shop().start().await;
    identify(&run, "u1", "before@person.example").await;
    let who = found(&run, "before@person.example").await;
    assert_eq!(ask(&run, &who, "news", "product").await["state"], "sent");
    says_no_by(&run, &mail_to(&run, "before@person.example").unsubscribe().unwrap()).await;
    identify(&run, "u1", "after@person.example").await;
    run.pass(Duration::from_secs(60)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crm.csv");
    std::fs::write(&file, "email,newsletter\nafter@person.example,yes\n").unwrap();
    let import = ["import", file.to_str().unwrap(), "--form", "contact", "--batch", "crm"];
    assert!(sluice(&run, &import).await.status.success());
    run.settle().await;
    let said = consents(&run, &json!(who)).await;
    assert!(said["proofs"].as_array().unwrap().iter().any(|proof| proof["how"] == "import"), "{said:#}");
    let refused = ask(&run, &who, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    run.finish().await;
}

#[tokio::test]
async fn what_went_to_an_address_before_counts_for_the_cap() {
    let run = believed().await;
    run.apply("kind: channel\nname: email\nvia: ses\ncaps: [{ at_most: 1, within: 7d }]\n").await;
    identify(&run, "u1", "before@person.example").await;
    let who = found(&run, "before@person.example").await;
    assert_eq!(ask(&run, &who, "news", "product").await["state"], "sent");
    identify(&run, "u1", "after@person.example").await;
    let body = json!({"customer": who, "template": "news", "topic": "product", "at_cap": "skip"});
    let (_, asked) = run.api("POST", "/api/messages", Some(body)).await;
    run.settle().await;
    let capped = message(&run, asked["message_id"].as_str().unwrap()).await;
    assert_eq!(reason(&capped), ("skipped", "cap"), "{capped:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_no_outlives_every_rotation_of_the_hash_key() {
    let run = believed().await;
    let said = send(&run, "said@person.example", &[], "product").await;
    let late = send(&run, "late@person.example", &[], "product").await;
    identify(&run, "u1", "moved@person.example").await;
    let moved = found(&run, "moved@person.example").await;
    let suppressed = customer(&run, "suppressed@person.example", &[]).await;
    let path = format!("/api/customers/{suppressed}/suppress");
    assert_eq!(run.api("POST", &path, Some(json!({"reason": "her lawyer wrote"}))).await.0, 200);
    says_no_by(&run, &said.mail.unsubscribe().unwrap()).await;
    rotate(&run).await;
    // Said under a key that the address was not claimed under, before another took its place.
    assert_eq!(ask(&run, &moved, "news", "product").await["state"], "sent");
    says_no_by(&run, &mail_to(&run, "moved@person.example").unsubscribe().unwrap()).await;
    identify(&run, "u1", "elsewhere@person.example").await;
    rotate(&run).await;
    let refused = ask(&run, &said.customer, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    let refused = ask(&run, &moved, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    let refused = ask(&run, &suppressed, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "suppressed"), "{refused:#}");
    // The button of a mail of the first key's days.
    assert_eq!(ask(&run, &late.customer, "news", "product").await["state"], "sent");
    says_no_by(&run, &late.mail.unsubscribe().unwrap()).await;
    let refused = ask(&run, &late.customer, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    // Who comes again is who they were.
    assert_eq!(customer(&run, "said@person.example", &[("n", "2")]).await, said.customer);
    run.finish().await;
}

/// The usual documents with chat by a provider, to this of a customer; the form takes the openid of another app as well.
fn with_chat(provider: &Fake, address: &str) -> Setup {
    let contact = "name: contact\n";
    let policies = POLICIES.replacen(
        contact,
        &format!("{contact}fields: {{ wechat_openid.official: [follower] }}\n"),
        1,
    );
    let chat = format!(
        "
---
kind: channel
name: chat
address: {address}
via: webhook
webhook: {{ url: {}/send, body: {{ touser: \"{{{{ to }}}}\", text: \"{{{{ text }}}}\" }} }}
---
kind: template
name: hello-chat
channel: chat
text: Hello
",
        provider.url
    );
    Setup::policies(format!("{policies}{MESSAGES}{chat}"))
}

#[tokio::test]
async fn of_two_openids_the_one_of_the_channels_app_is_written_to() {
    let openids = [("openid", "oA-7"), ("follower", "oZ-9")];
    for (address, to) in [("wechat_openid", "oA-7"), ("wechat_openid.official", "oZ-9")] {
        let provider = Fake::start(|_| (200, json!({"id": "1"}))).await;
        let run = with_chat(&provider, address).frozen().start().await;
        let by_chat = async |who: &str| {
            let id = wanted(&run, who, "hello-chat", "chat").await;
            run.settle().await;
            message(&run, &id).await
        };
        let both = customer(&run, "wei@person.example", &openids).await;
        assert_eq!(by_chat(both.as_str()).await["state"], "sent", "{address}");
        let body: Value = serde_json::from_slice(provider.seen()[0].body()).unwrap();
        assert_eq!(body["touser"], to, "{address}");
        // Who has an openid of the other app alone has none that this one could write to.
        let other = customer(&run, "li@person.example", &[("openid", "oA-8")]).await;
        let sent = by_chat(other.as_str()).await;
        match address {
            "wechat_openid" => assert_eq!(reason(&sent), ("sent", ""), "{sent:#}"),
            _ => assert_eq!(reason(&sent), ("skipped", "no_address"), "{sent:#}"),
        }
        // What is refused holds for all of them.
        let no = json!({"channel": "chat", "topic": "*", "wish": "no", "note": "told us"});
        assert_eq!(run.api("POST", &format!("/api/customers/{both}/consents"), Some(no)).await.0, 200);
        let refused = by_chat(both.as_str()).await;
        assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
        run.finish().await;
    }
}

#[tokio::test]
async fn a_no_is_of_the_openid_that_is_written_to() {
    let provider = Fake::start(|_| (200, json!({"id": "1"}))).await;
    let run = with_chat(&provider, "wechat_openid").frozen().start().await;
    let who = customer(&run, "wei@person.example", &[("openid", "oA-7")]).await;
    let by_chat = || async {
        let id = wanted(&run, &who, "hello-chat", "chat").await;
        run.settle().await;
        message(&run, &id).await
    };
    assert_eq!(by_chat().await["state"], "sent");
    let no = json!({"channel": "chat", "topic": "*", "wish": "no", "note": "told us"});
    let (status, said) = run.api("POST", &format!("/api/customers/{who}/consents"), Some(no)).await;
    assert_eq!(status, 200, "{said:#}");
    let refused = by_chat().await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    assert_eq!(provider.seen().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_call_with_its_key_is_one_message_also_when_two_people_turned_out_to_be_one_in_between() {
    let run = start().await;
    let people =
        [customer(&run, "one@person.example", &[]).await, customer(&run, "two@person.example", &[]).await];
    let bearer = format!("Bearer {}", run.token);
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("idempotency-key", "order-1"),
    ];
    let call = async |who: &String| {
        let body = json!({"customer": who, "template": "receipt", "topic": "service"}).to_string();
        let answer = run.send("POST", "/api/messages", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        run.settle().await;
        answer.json()["message_id"].as_str().unwrap().to_owned()
    };
    let mut before = Vec::new();
    for who in &people {
        before.push(call(who).await);
    }
    let path = format!("/api/customers/{}/merge", people[0]);
    assert_eq!(run.api("POST", &path, Some(json!({"with": people[1]}))).await.0, 200);
    run.settle().await;
    for (who, message) in people.iter().zip(&before) {
        assert_eq!(call(who).await, *message);
    }
    assert_eq!(run.raw_mails().iter().filter(|(_, raw)| raw.contains("Your receipt")).count(), 2);
    run.finish().await;
}

#[tokio::test]
async fn a_refusal_of_the_account_only_delays_what_it_was_asked_to_take() {
    let run = start().await;
    let who = customer(&run, "waits@person.example", &[]).await;
    for (status, code) in [
        (403, "AccessDeniedException"),
        (403, "ExpiredTokenException"),
        (400, "AccountSuspendedException"),
        (400, "MailFromDomainNotVerifiedException"),
        (400, "SendingPausedException"),
        (404, "NotFoundException"),
    ] {
        run.refusals.refuse("send-message", SES, 1, (status, code));
        let id = wanted(&run, &who, "news", "email").await;
        let waits = tried(&run, &id).await;
        assert_eq!((&waits["state"], &waits["note"]), (&json!("ready"), &json!(code)), "{waits:#}");
        run.pass(Duration::from_secs(6)).await;
        assert_eq!(message(&run, &id).await["state"], "sent", "{code}");
    }
    let unverified = "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: \
                      sales@shop.example";
    let refusal = Refusal { status: 400, kind: "MessageRejected", message: unverified.to_owned() };
    run.stack.ses.refuse_next([refusal]);
    let id = wanted(&run, &who, "news", "email").await;
    let waits = tried(&run, &id).await;
    assert_eq!((&waits["state"], &waits["note"]), (&json!("ready"), &json!("not verified")), "{waits:#}");
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(message(&run, &id).await["state"], "sent");
    run.refusals.refuse("send-message", SES, 1, (400, "MessageRejected"));
    assert_eq!(ask(&run, &who, "news", "product").await["state"], "failed");
    run.finish().await;
}

#[tokio::test]
async fn a_provider_that_knows_us_again_gets_what_it_refused() {
    let provider = Fake::start(|request| match request.headers()["authorization"].to_str().unwrap() {
        "Bearer new" => (200, json!({})),
        other => {
            (other.strip_prefix("Bearer ").and_then(|status| status.parse().ok()).unwrap_or(400), json!({}))
        }
    })
    .await;
    let sms = format!(
        "
---
kind: channel
name: sms
via: webhook
webhook: {{ url: {}/send, bearer: \"secret:sms\", body: {{ to: \"{{{{ to }}}}\", text: \"{{{{ text }}}}\" }} }}
---
kind: template
name: hello-sms
channel: sms
text: Hello
",
        provider.url
    );
    let run = Setup::policies(format!("{POLICIES}{MESSAGES}{sms}")).frozen().start().await;
    let secret = |value: &str| run.stack.secrets.put(SMS_SECRET, value.to_owned()).unwrap();
    let who = customer(&run, "sms@person.example", &[("phone", "+1 212 555 0199")]).await;
    let answers =
        ["401", "402", "403", "404", "408", "425"].map(|status| (status, format!("status {status}")));
    let unfit = ("no\nheader", "not sent: a header cannot be used".to_owned());
    for (held, note) in answers.into_iter().chain([unfit]) {
        secret(held);
        // What a function holds of a secret it holds for a minute.
        run.pass(Duration::from_secs(61)).await;
        let id = wanted(&run, &who, "hello-sms", "sms").await;
        let waits = tried(&run, &id).await;
        assert_eq!((&waits["state"], &waits["note"]), (&json!("ready"), &json!(note)), "{waits:#}");
        secret("new");
        // Only of 401 is the secret the likely reason: it is read again at once.
        run.pass(Duration::from_secs(if held == "401" { 6 } else { 120 })).await;
        assert_eq!(message(&run, &id).await["state"], "sent", "{note}");
    }
    run.finish().await;
}

/// Documents without these topics.
fn without(documents: &str, topics: &[&str]) -> String {
    let is_of = |document: &&str, name: &&str| document.starts_with(&format!("kind: topic\nname: {name}\n"));
    let left = documents.split("---\n").filter(|document| !topics.iter().any(|name| is_of(document, name)));
    left.collect::<Vec<_>>().join("---\n")
}

#[tokio::test]
async fn a_message_that_waits_ends_with_its_topic_and_goes_by_no_rule_that_asks_for_less() {
    let once_a_day = "---\nkind: channel\nname: email\nvia: ses\ncaps: [{ at_most: 1, within: 24h }]\n";
    let documents = format!("{POLICIES}{MESSAGES}{once_a_day}");
    let day = Duration::from_secs(24 * 3_600);
    for gone in [["events"].as_slice(), &["product", "events", "offers"]] {
        let run = Setup::policies(documents.clone()).frozen().start().await;
        let who = customer(&run, "waits@person.example", &[]).await;
        let yes = json!({"channel": "email", "topic": "events", "wish": "yes"});
        assert_eq!(run.api("POST", &format!("/api/customers/{who}/consents"), Some(yes)).await.0, 200);
        assert_eq!(ask(&run, &who, "news", "events").await["state"], "sent");
        let waits = ask(&run, &who, "news", "events").await;
        assert_eq!(reason(&waits), ("ready", "cap"), "{waits:#}");

        let files = json!({"files": [{"file": "all.yaml", "text": without(&documents, gone)}]});
        let (status, answer) = run.api("POST", "/api/policies/apply?prune=true", Some(files)).await;
        assert_eq!(status, 200, "{answer:#}");
        run.pass(day).await;
        run.fire_timers().await;
        let ended = message(&run, waits["id"].as_str().unwrap()).await;
        assert_eq!(reason(&ended), ("skipped", "no_topic"), "{gone:?}: {ended:#}");
        assert_eq!(ended["why"], "no document describes its topic");
        let again = json!({"customer": who, "template": "news", "topic": "events"});
        let (status, problem) = run.api("POST", "/api/messages", Some(again)).await;
        assert_eq!((status, &problem["field"]), (422, &json!("topic")), "{problem:#}");

        run.apply(&documents).await;
        assert_eq!(ask(&run, &who, "news", "events").await["state"], "sent", "{gone:?}");
        run.finish().await;
    }
}

#[tokio::test]
async fn a_message_whose_gate_others_change_all_the_time_comes_by_later() {
    let run = start().await;
    let who = customer(&run, "busy@person.example", &[]).await;
    let write = "DynamoDB_20120810.TransactWriteItems";
    run.refusals.refuse("send-message", write, usize::MAX, (400, "TransactionInProgressException"));
    let id = wanted(&run, &who, "news", "email").await;
    // More often than a queue gives something out before it goes to the dead letters.
    for _ in 0..6 {
        is_put_off(&run).await;
        run.stack.advance(Duration::from_secs(9));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    is_put_off(&run).await;
    run.refusals.lift();
    run.pass(Duration::from_secs(9)).await;
    let sent = message(&run, &id).await;
    assert_eq!((&sent["state"], &sent["attempts"]), (&json!("sent"), &json!(1)), "{sent:#}");
    run.finish().await;
}

/// Somebody says that two customers are one.
async fn join(run: &Running, one: &str, other: &str) {
    let path = format!("/api/customers/{one}/merge");
    let (status, joined) = run.api("POST", &path, Some(json!({ "with": other }))).await;
    assert_eq!(status, 200, "{joined:#}");
    run.settle().await;
}

/// That they are two after all.
async fn take_apart(run: &Running, one: &str) {
    let (status, apart) = run.api("POST", &format!("/api/customers/{one}/unmerge"), Some(json!({}))).await;
    assert_eq!(status, 200, "{apart:#}");
    run.settle().await;
}

/// Of several addresses of a person this one is written to from now on: what was said first, or last.
async fn writes_to(run: &Running, who: &str, which: &str, email: &str) {
    let rule = format!("survivorship: {{ email: {which} }}");
    run.apply(&format!("kind: settings\nname: default\nescalate_to: [boss]\n{rule}\n")).await;
    assert_eq!(run.customer(who).await["profile"]["email"]["value"], email);
}

#[tokio::test]
async fn a_no_outlives_that_two_people_are_found_to_be_one_and_are_taken_apart_again() {
    let run = start().await;
    let (a, b) = ("a@person.example", "b@person.example");
    let refuser = send(&run, a, &[], "product").await;
    run.pass(Duration::from_secs(1)).await;
    let other = customer(&run, b, &[]).await;
    says_no_by(&run, &refuser.mail.unsubscribe().unwrap()).await;
    let refuser = refuser.customer;
    join(&run, &other, &refuser).await;
    for (which, email) in [("oldest", a), ("newest", b)] {
        writes_to(&run, &refuser, which, email).await;
        for who in [&refuser, &other] {
            let refused = ask(&run, who, "news", "product").await;
            assert_eq!(reason(&refused), ("skipped", "opted_out"), "{email}: {refused:#}");
        }
        // What was not refused goes to the address that is written to.
        let receipt = ask(&run, &refuser, "receipt", "service").await;
        assert_eq!(receipt["state"], "sent", "{receipt:#}");
        assert_eq!(run.raw_mails().pop().unwrap().0, [email]);
    }
    take_apart(&run, &refuser).await;
    let refused = ask(&run, &refuser, "news", "product").await;
    assert_eq!(reason(&refused), ("skipped", "opted_out"), "{refused:#}");
    assert_eq!(ask(&run, &other, "news", "product").await["state"], "sent", "who never said no");
    assert_eq!(run.raw_mails().pop().unwrap().0, [b]);
    let news = run.raw_mails().into_iter().filter(|(_, raw)| raw.contains("Subject: News"));
    assert_eq!(news.count(), 2, "the one before the no, and the last");
    run.finish().await;
}

#[tokio::test]
async fn a_suppressed_address_gets_nothing_whosever_it_is_found_to_be_and_another_of_that_person_does() {
    let run = start().await;
    let (c, d) = ("c@person.example", "d@person.example");
    let dead = customer(&run, c, &[]).await;
    run.pass(Duration::from_secs(1)).await;
    let other = customer(&run, d, &[]).await;
    let because = json!({"reason": "her lawyer wrote"});
    assert_eq!(run.api("POST", &format!("/api/customers/{dead}/suppress"), Some(because)).await.0, 200);
    join(&run, &other, &dead).await;
    writes_to(&run, &dead, "oldest", c).await;
    for (who, template, topic) in [(&dead, "news", "product"), (&other, "receipt", "service")] {
        let kept = ask(&run, who, template, topic).await;
        assert_eq!(reason(&kept), ("skipped", "suppressed"), "{kept:#}");
    }
    writes_to(&run, &dead, "newest", d).await;
    assert_eq!(ask(&run, &dead, "receipt", "service").await["state"], "sent");
    assert_eq!(run.raw_mails().pop().unwrap().0, [d]);
    take_apart(&run, &dead).await;
    let kept = ask(&run, &dead, "receipt", "service").await;
    assert_eq!(reason(&kept), ("skipped", "suppressed"), "{kept:#}");
    assert_eq!(ask(&run, &other, "news", "product").await["state"], "sent");
    assert!(run.raw_mails().iter().all(|(to, _)| to.iter().all(|to| to != c)), "nothing ever went there");
    run.finish().await;
}
