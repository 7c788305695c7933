//! Messages to customers: through the gate, once, and what becomes of those that do not go out.

use bytes::Bytes;
use serde_json::{Value, json};
use sluice_domain::customer::{HashKey, HashKeys, Identity, IdentityKind};
use sluice_domain::gate::{Gate, SuppressedBy, Wish};
use sluice_domain::message::Channel;
use sluice_domain::time::Timestamp;
use sluice_store::{GateRecord, Store, Written};
use sluice_tests::stack::fake::Fake;
use sluice_tests::stack::{POLICIES, Running, Setup};
use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) const SES: &str = "/v2/email/outbound-emails";
const EMAIL: &str = "ada@person.example";

pub(crate) const TEMPLATES: &str = "
kind: template
name: hello
subject: Hello {{ customer.first_name }}
html: <p>Your code is {{ data.code }}. <a href=\"https://shop.example/a\">More</a></p>
defaults: { customer.first_name: there, data.code: none }
---
kind: template
name: hello-sms
channel: sms
text: \"Hello {{ customer.first_name }}: {{ data.code }}\"
defaults: { customer.first_name: there, data.code: none }
";

/// The usual documents and these.
pub(crate) fn with(more: &str) -> Setup {
    Setup::policies(format!("{POLICIES}---\n{}\n---\n{}", TEMPLATES.trim(), more.trim()))
}

/// A stack with one customer who has an e-mail address and a phone; the customer's id.
pub(crate) async fn with_ada(setup: Setup) -> (Running, String) {
    let run = setup.start().await;
    let fields = [("email", EMAIL), ("phone", "+1 212 555 0199"), ("first_name", "Ada")];
    let lead = run.lead(&fields).await;
    let customer = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    (run, customer)
}

pub(crate) async fn ask(run: &Running, customer: &str, more: Value) -> String {
    let mut body = json!({"customer": customer, "template": "hello", "topic": "product"});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let (status, answer) = run.api("POST", "/api/messages", Some(body)).await;
    assert_eq!(status, 202, "{answer:#}");
    answer["message_id"].as_str().unwrap().to_owned()
}

async fn sent(run: &Running, customer: &str, more: Value) -> Value {
    let id = ask(run, customer, more).await;
    run.settle().await;
    show(run, &id).await
}

/// A message once its first attempt is over: before what waits for a later one is tried.
pub(crate) async fn tried(run: &Running, id: &str) -> Value {
    loop {
        let message = show(run, id).await;
        if message["attempts"] == 1 && message["state"] != "claimed" {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_mail_for_which_there_was_no_connection_has_not_gone_out() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Nobody is told of the lead: that would wait as well.
    let untold = POLICIES.lines().filter(|line| !line.starts_with("email: "));
    let setup =
        Setup::policies(format!("{}\n---\n{}", untold.collect::<Vec<_>>().join("\n"), TEMPLATES.trim()));
    let (run, customer) = with_ada(setup.var("AWS_ENDPOINT_URL_SESV2", format!("http://{free}"))).await;
    let id = ask(&run, &customer, json!({})).await;
    let message = tried(&run, &id).await;
    assert_eq!(
        (&message["state"], &message["note"]),
        (&json!("ready"), &json!("no connection")),
        "{message:#}"
    );
    assert_eq!(message["unknown"], 0);
    let taken = json!({"MessageId": "taken"}).to_string();
    let answer = move |_: &http::Request<Bytes>| http::Response::new(Bytes::from(taken.clone()));
    let _ses = Fake::serve_at(&free.to_string(), answer).await;
    run.pass(Duration::from_secs(6)).await;
    let message = show(&run, &id).await;
    assert_eq!((&message["state"], &message["attempts"]), (&json!("sent"), &json!(2)), "{message:#}");
    run.finish().await;
}

/// A time without the seconds: the stack's clock goes on while a scenario runs.
fn minute(time: &Value) -> &str {
    &time.as_str().unwrap()[..16]
}

pub(crate) async fn show(run: &Running, id: &str) -> Value {
    let (status, message) = run.api("GET", &format!("/api/messages/{id}"), None).await;
    assert_eq!(status, 200, "{message:#}");
    message
}

/// Mails to this address, newest last.
fn mails_to(run: &Running, to: &str) -> Vec<String> {
    run.mails().into_iter().filter(|(all, _)| all.iter().any(|one| one == to)).map(|(_, text)| text).collect()
}

fn store(run: &Running) -> Store {
    let mut env = run.sdk();
    env.vars.insert("SLUICE_TABLE".to_owned(), sluice::host::spec::named("Table"));
    sluice_host::aws::store(&env).unwrap()
}

/// The gate of an address, as the stack's own key names it.
async fn gate(run: &Running, channel: Channel, kind: IdentityKind, value: &str) -> GateRecord {
    let secret: Value =
        serde_json::from_str(&run.stack.secrets.value(&sluice::host::spec::named("HashKeySecret")).unwrap())
            .unwrap();
    let key =
        HashKey::new(secret["version"].as_str().unwrap(), secret["current"].as_str().unwrap().as_bytes());
    let keys = HashKeys::new(key);
    let hashes = keys.hashes(&Identity::new(kind, value.to_owned()));
    store(run).gates(&[(channel, hashes)]).await.unwrap().remove(0)
}

async fn change(run: &Running, channel: Channel, kind: IdentityKind, value: &str, how: impl Fn(&mut Gate)) {
    let read = gate(run, channel, kind, value).await;
    let mut changed = read.gate.clone();
    how(&mut changed);
    assert_eq!(store(run).update_gate(&read, &changed).await.unwrap(), Written::Done);
}

async fn email_gate(run: &Running, how: impl Fn(&mut Gate)) {
    change(run, Channel::Email, IdentityKind::Email, EMAIL, how).await;
}

fn now(run: &Running) -> Timestamp {
    use sluice_host::environment::Clock;
    run.stack.clock.now()
}

#[tokio::test]
async fn a_message_goes_out_once_however_often_it_is_asked_for_and_delivered() {
    let (run, ada) = with_ada(with("kind: topic\nname: product\n")).await;
    let body =
        json!({"customer": ada, "template": "hello", "topic": "product", "data": {"code": "<geheim>"}});
    let bearer = format!("Bearer {}", run.token);
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("idempotency-key", "order-1"),
    ];
    let text = body.to_string();
    let calls = (0..20).map(|_| run.send("POST", "/api/messages", &headers, text.as_bytes()));
    let answers = futures::future::join_all(calls).await;
    run.settle().await;
    let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert!(!taken.is_empty() && answers.iter().all(|answer| matches!(answer.status, 202 | 409)));
    let id = taken[0].json()["message_id"].as_str().unwrap().to_owned();
    assert!(taken.iter().all(|answer| answer.json()["message_id"] == id.as_str()));
    let other = body.to_string().replace("geheim", "other");
    assert_eq!(run.send("POST", "/api/messages", &headers, other.as_bytes()).await.status, 409);
    let list = json!([ada, "hello"]).to_string();
    let keyed = [headers[0], headers[1], ("idempotency-key", "order-1b")];
    let answer = run.send("POST", "/api/messages", &keyed, list.as_bytes()).await;
    assert!((400..500).contains(&answer.status), "a body is an object: {}", answer.status);
    run.settle().await;

    let message = show(&run, &id).await;
    assert_eq!((&message["state"], &message["attempts"]), (&json!("sent"), &json!(1)), "{message:#}");
    let mails = mails_to(&run, EMAIL);
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("Hello Ada") && mails[0].contains("<geheim>"), "{}", mails[0]);
    // What only the template needed is not kept.
    let stored = run.table().into_iter().find(|((pk, sk), _)| *pk == ada && sk.starts_with("m#")).unwrap().1;
    assert!(!stored.to_string().contains("geheim"), "{stored:#}");
    let gate = gate(&run, Channel::Email, IdentityKind::Email, EMAIL).await.gate;
    assert_eq!(gate.recent.len(), 1);
    let (_, list) = run.api("GET", &format!("/api/messages?customer={ada}"), None).await;
    assert_eq!(list["messages"].as_array().unwrap().len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_person_who_is_named_by_another_of_their_records_is_the_same_to_a_key() {
    let (run, ada) = with_ada(with("kind: topic\nname: product\n")).await;
    let lead = run.lead(&[("email", "ada@work.example"), ("first_name", "Ada")]).await;
    let other = run.show(&lead).await["customer"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {}", run.token);
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("idempotency-key", "order-2"),
    ];
    let ask = async |customer: &str, topic: &str| {
        let body = json!({"customer": customer, "template": "hello", "topic": topic}).to_string();
        run.send("POST", "/api/messages", &headers, body.as_bytes()).await
    };
    let first = ask(&ada, "product").await;
    assert_eq!(first.status, 202);
    let path = format!("/api/customers/{other}/merge");
    assert_eq!(run.api("POST", &path, Some(json!({"with": ada}))).await.0, 200);
    for customer in [&ada, &other] {
        let again = ask(customer, "product").await;
        assert_eq!((again.status, again.json()), (202, first.json()));
        ask(customer, "service").await.is_problem(409, "idempotency-key-reused");
    }
    run.settle().await;
    assert_eq!(mails_to(&run, EMAIL).len() + mails_to(&run, "ada@work.example").len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn what_a_person_wants_and_a_suppressed_address_are_outcomes_with_reasons() {
    let topics = "kind: topic\nname: product\n---\nkind: topic\nname: offers\nconsent: opt_in\n---\n\
                  kind: topic\nname: club\nconsent: double_opt_in\n";
    let (run, ada) = with_ada(with(topics)).await;
    let topic = |name: &str| json!({ "topic": name });
    let outcome = async |name: &str| {
        let message = sent(&run, &ada, topic(name)).await;
        (message["state"].as_str().unwrap().to_owned(), message["reason"].as_str().map(str::to_owned))
    };
    let skipped = |reason: &str| ("skipped".to_owned(), Some(reason.to_owned()));
    let went = ("sent".to_owned(), None);
    assert_eq!(outcome("product").await, went);
    assert_eq!(outcome("offers").await, skipped("no_consent"));
    let at = now(&run);
    email_gate(&run, |gate| {
        gate.say("offers", Wish::Yes, at);
        gate.say("club", Wish::Yes, at);
    })
    .await;
    assert_eq!(outcome("offers").await, went);
    assert_eq!(outcome("club").await, skipped("not_confirmed"));
    email_gate(&run, |gate| gate.say("*", Wish::No, at.plus_millis(1))).await;
    for name in ["product", "offers", "club"] {
        assert_eq!(outcome(name).await, skipped("opted_out"), "{name}");
    }
    // A name that nobody has described gets round no consent, and a no to it would keep nothing back.
    for name in ["ofers", "", "*", "a\0b", &"x".repeat(65)] {
        let body = json!({"customer": ada, "template": "hello", "topic": name});
        let (status, problem) = run.api("POST", "/api/messages", Some(body)).await;
        assert_eq!((status, &problem["field"]), (422, &json!("topic")), "{name}: {problem:#}");
        if name != "*" {
            let no = json!({"channel": "email", "topic": name, "wish": "no"});
            let (status, problem) =
                run.api("POST", &format!("/api/customers/{ada}/consents"), Some(no)).await;
            assert_eq!((status, &problem["field"]), (422, &json!("topic")), "{name}: {problem:#}");
        }
    }
    assert_eq!(outcome("service").await, went);
    email_gate(&run, |gate| gate.suppress(SuppressedBy::HardBounce, at)).await;
    assert_eq!(outcome("service").await, skipped("suppressed"));
    email_gate(&run, |gate| gate.lift(at.plus_millis(2))).await;
    email_gate(&run, |gate| gate.erase(at.plus_millis(3))).await;
    assert_eq!(outcome("service").await, skipped("erased"));
    assert_eq!(mails_to(&run, EMAIL).len(), 3);
    run.finish().await;
}

#[tokio::test]
async fn at_a_cap_and_at_night_the_author_chooses() {
    let (clock, provider) = (Timestamp::parse("2026-11-26T15:00:00Z").unwrap(), provider(202).await);
    let documents = format!(
        "kind: channel\nname: email\nvia: ses\ncaps: [{{ at_most: 1, within: 24h }}]\nquiet_hours: \"21:00-08:00\"\n---\n{}",
        sms(&provider.url)
    );
    let (run, ada) = with_ada(with(&documents).var("SMS_TOKEN", "AC1:geheim").at(clock)).await;
    let hour = Duration::from_secs(3_600);
    assert_eq!(sent(&run, &ada, json!({})).await["state"], "sent");

    let deferred = ask(&run, &ada, json!({"at_cap": "defer"})).await;
    let skipped = sent(&run, &ada, json!({"at_cap": "skip"})).await;
    assert_eq!((&skipped["state"], &skipped["reason"]), (&json!("skipped"), &json!("cap")));
    let exit = sent(&run, &ada, json!({"at_cap": "exit"})).await;
    assert_eq!((&exit["state"], &exit["reason"]), (&json!("skipped"), &json!("cap")));
    let late = sent(&run, &ada, json!({"not_after": "2026-11-26T16:00:00Z"})).await;
    assert_eq!((&late["state"], &late["reason"]), (&json!("skipped"), &json!("too_late")));
    let other = json!({"at_cap": "replace", "replace_by": {"channel": "sms", "template": "hello-sms"}, "data": {"code": "9"}});
    let replaced = sent(&run, &ada, other).await;
    assert_eq!((&replaced["state"], &replaced["reason"]), (&json!("skipped"), &json!("cap")));
    let calls = provider.seen();
    assert_eq!(calls.len(), 1);
    assert!(
        String::from_utf8_lossy(calls[0].body()).contains("Body=Hello+Ada%3A+9&"),
        "with what the mail was given"
    );

    let waiting = show(&run, &deferred).await;
    assert_eq!((&waiting["state"], minute(&waiting["not_before"])), (&json!("ready"), "2026-11-27T15:00"));
    assert_eq!(mails_to(&run, EMAIL).len(), 1);
    run.pass(hour * 24).await;
    run.fire_timers().await;
    assert_eq!(show(&run, &deferred).await["state"], "sent");

    // A day later, at three in the night where Ada lives (her phone says New York).
    run.pass(hour * 17).await;
    let night = ask(&run, &ada, json!({})).await;
    run.settle().await;
    let waiting = show(&run, &night).await;
    assert_eq!(minute(&waiting["not_before"]), "2026-11-28T15:00", "{waiting:#}");
    run.pass(hour * 7).await;
    run.fire_timers().await;
    assert_eq!(show(&run, &night).await["state"], "sent");
    let quiet = sent(&run, &ada, json!({"at_cap": "skip"})).await;
    assert_eq!(quiet["reason"], "cap");
    run.pass(hour * 38).await;
    let quiet = sent(&run, &ada, json!({"in_quiet_hours": "skip"})).await;
    assert_eq!((&quiet["state"], &quiet["reason"]), (&json!("skipped"), &json!("quiet_hours")), "{quiet:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_refusal_gives_the_claim_back_and_a_lost_answer_is_a_state_of_its_own() {
    let channel = "kind: channel\nname: email\nvia: ses\ncaps: [{ at_most: 1, within: 7d }]\n";
    let (run, ada) = with_ada(with(channel)).await;
    run.refusals.refuse("send-message", SES, 1, (429, "TooManyRequestsException"));
    let id = ask(&run, &ada, json!({})).await;
    let waiting = tried(&run, &id).await;
    assert_eq!((&waiting["state"], &waiting["note"]), (&json!("ready"), &json!("TooManyRequestsException")));
    assert!(gate(&run, Channel::Email, IdentityKind::Email, EMAIL).await.gate.recent.is_empty());
    run.pass(Duration::from_secs(6)).await;
    assert_eq!(show(&run, waiting["id"].as_str().unwrap()).await["state"], "sent");

    // The service topic is not capped.
    run.refusals.refuse("send-message", SES, 1, (500, "InternalFailure"));
    let held = sent(&run, &ada, json!({"topic": "service"})).await;
    assert_eq!((&held["state"], &held["unknown"]), (&json!("unknown"), &json!(1)));
    assert_eq!(held["note"], "status 500", "why nobody knows is kept");
    let (_, list) = run.api("GET", "/api/messages?state=unknown", None).await;
    assert_eq!(list["messages"][0]["id"], held["id"]);
    run.pass(Duration::from_secs(86_400)).await;
    run.fire_timers().await;
    assert_eq!(show(&run, held["id"].as_str().unwrap()).await["state"], "unknown");
    let settle = format!("/api/messages/{}/settle", held["id"].as_str().unwrap());
    let (status, settled) = run.api("POST", &settle, Some(json!({"went_out": true}))).await;
    assert_eq!((status, &settled["state"]), (200, &json!("sent")), "{settled:#}");
    assert_eq!(run.api("POST", &settle, Some(json!({"went_out": false}))).await.0, 409);
    let (_, list) = run.api("GET", "/api/messages?state=unknown", None).await;
    assert_eq!(list["messages"], json!([]));

    run.refusals.refuse("send-message", SES, 1, (500, "InternalFailure"));
    let again = sent(&run, &ada, json!({"topic": "service", "unknown": "resend"})).await;
    assert_eq!(again["state"], "unknown");
    run.pass(Duration::from_secs(901)).await;
    run.fire_timers().await;
    let again = show(&run, again["id"].as_str().unwrap()).await;
    assert_eq!(
        (&again["state"], &again["attempts"], &again["unknown"]),
        (&json!("sent"), &json!(2), &json!(1))
    );

    let unknown = run.metrics.sum("UnknownSends", ("Channel", "email"));
    assert_eq!(unknown, 2.0, "each once, however it ended");
    run.refusals.refuse("send-message", SES, 1, (400, "MessageRejected"));
    let failed = sent(&run, &ada, json!({"topic": "service"})).await;
    assert_eq!((&failed["state"], &failed["note"]), (&json!("failed"), &json!("MessageRejected")));
    assert_eq!(mails_to(&run, EMAIL).len(), 2);
    run.finish().await;
}

#[tokio::test]
async fn all_messages_whose_outcome_is_unknown_are_listed_page_by_page() {
    let (run, ada) = with_ada(with("kind: channel\nname: email\nvia: ses\n")).await;
    run.refusals.refuse("send-message", SES, usize::MAX, (500, "InternalFailure"));
    let mut asked = BTreeSet::new();
    for _ in 0..60 {
        asked.insert(ask(&run, &ada, json!({"topic": "service"})).await);
    }
    run.settle().await;
    let (mut listed, mut pages, mut path) = (BTreeSet::new(), 0, "/api/messages?state=unknown".to_owned());
    loop {
        let (status, page) = run.api("GET", &path, None).await;
        assert_eq!(status, 200, "{page:#}");
        let ids = page["messages"].as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap());
        ids.for_each(|id| assert!(listed.insert(id.to_owned()), "{id} is listed twice"));
        pages += 1;
        let Some(cursor) = page["cursor"].as_str() else { break };
        path = format!("/api/messages?state=unknown&cursor={cursor}");
    }
    assert_eq!((listed, pages), (asked, 2));
    let (status, _) = run.api("GET", "/api/messages?state=unknown&cursor=x", None).await;
    assert_eq!(status, 422);
    run.refusals.lift();
    run.finish().await;
}

async fn provider(status: u16) -> Fake {
    Fake::start(move |_| (status, json!({"sid": "SM17"}))).await
}

fn sms(url: &str) -> String {
    format!(
        "kind: channel\nname: sms\nvia: webhook\nfrom: \"+15005550006\"\nwebhook:\n  url: {url}/Messages.json\n  encoding: form\n  \
         basic: env:SMS_TOKEN\n  body: {{ To: \"{{{{ to }}}}\", From: \"{{{{ from }}}}\", Body: \"{{{{ text }}}}\" }}\n  answer_id: sid\n"
    )
}

#[tokio::test]
async fn an_sms_is_one_call_of_the_provider_and_an_error_of_its_server_is_unknown() {
    let provider = provider(201).await;
    let (run, ada) = with_ada(with(&sms(&provider.url)).var("SMS_TOKEN", "AC1:geheim")).await;
    let over_sms = json!({"channel": "sms", "template": "hello-sms", "data": {"code": "4711 & more"}});
    let message = sent(&run, &ada, over_sms.clone()).await;
    assert_eq!((&message["state"], &message["note"]), (&json!("sent"), &json!("SM17")), "{message:#}");
    let calls = provider.seen();
    assert_eq!(calls.len(), 1);
    let body = String::from_utf8_lossy(calls[0].body()).into_owned();
    assert_eq!(body, "Body=Hello+Ada%3A+4711+%26+more&From=%2B15005550006&To=%2B12125550199");
    assert_eq!(calls[0].headers()["authorization"], "Basic QUMxOmdlaGVpbQ==");
    drop(provider);
    for status in [502, 302] {
        let broken = Fake::start(move |_| (status, json!({}))).await;
        run.apply(&sms(&broken.url)).await;
        let message = sent(&run, &ada, over_sms.clone()).await;
        let note = json!(format!("status {status}"));
        assert_eq!((&message["state"], &message["note"]), (&json!("unknown"), &note), "{message:#}");
        assert_eq!(broken.seen().len(), 1);
    }
    let refuses = Fake::start(|_| (200, json!({"code": 4, "text": "+12125550199 is barred"}))).await;
    run.apply(&format!("{}  success: {{ at: code, is: [\"0\"] }}\n", sms(&refuses.url))).await;
    let message = sent(&run, &ada, over_sms).await;
    assert_eq!((&message["state"], &message["note"]), (&json!("failed"), &json!("status 200, code 4")));
    run.finish().await;
}

/// E-mail by a provider with an HTTP interface.
pub(crate) fn mail_by(url: &str) -> String {
    format!(
        "kind: channel\nname: email\nvia: webhook\nfrom: Shop <news@shop.example>\nreply_to: help@shop.example\nwebhook:\n  \
         url: {url}/emails\n  body:\n    from: \"{{{{ from }}}}\"\n    name: \"{{{{ from_name }}}}\"\n    to: \"{{{{ to }}}}\"\n    \
         reply_to: \"{{{{ reply_to }}}}\"\n    subject: \"{{{{ subject }}}}\"\n    text: \"{{{{ text }}}}\"\n    html: \"{{{{ html }}}}\"\n    \
         headers.List-Unsubscribe: \"<{{{{ unsubscribe }}}}>\"\n    headers.List-Unsubscribe-Post: List-Unsubscribe=One-Click\n"
    )
}

#[tokio::test]
async fn a_mail_by_a_providers_webhook_has_all_that_a_mail_has() {
    let provider = provider(200).await;
    let (run, ada) = with_ada(with(&mail_by(&provider.url))).await;
    let message = sent(&run, &ada, json!({})).await;
    assert_eq!(message["state"], "sent", "{message:#}");
    let body = |at: usize| serde_json::from_slice::<Value>(provider.seen()[at].body()).unwrap();
    let mail = body(0);
    assert_eq!((&mail["to"], &mail["subject"]), (&json!(EMAIL), &json!("Hello Ada")), "{mail:#}");
    assert_eq!((&mail["from"], &mail["name"]), (&json!("Shop <news@shop.example>"), &json!("Shop")));
    assert_eq!(mail["reply_to"], "help@shop.example");
    assert!(mail["html"].as_str().unwrap().starts_with("<p>Your code is none."), "{mail:#}");
    let header = mail["headers"]["List-Unsubscribe"].as_str().unwrap();
    let url = header.strip_prefix('<').and_then(|url| url.strip_suffix('>')).unwrap();
    let path = url.strip_prefix(&run.stack.addresses.url).unwrap();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(run.send("POST", path, &form, b"List-Unsubscribe=One-Click").await.status, 200);
    // What a person asked for cannot be refused: its mail has neither of the two headers.
    assert_eq!(sent(&run, &ada, json!({"topic": "service"})).await["state"], "sent");
    let mail = body(1);
    assert_eq!(mail["headers"], Value::Null, "{mail:#}");
    assert!(mails_to(&run, EMAIL).is_empty(), "SES was not asked");
    run.finish().await;
}

#[tokio::test]
async fn on_one_machine_mail_by_a_providers_webhook_is_kept_and_not_sent() {
    let provider = provider(200).await;
    // As `sluice dev` sets it.
    let (run, ada) = with_ada(with(&mail_by(&provider.url)).var("SLUICE_MAIL_VIA", "ses")).await;
    assert_eq!(sent(&run, &ada, json!({})).await["state"], "sent");
    assert!(provider.seen().is_empty());
    assert_eq!(mails_to(&run, EMAIL).len(), 1);
    run.finish().await;
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_not_kept_back_by_its_own_claim() {
    let channel =
        "kind: channel\nname: email\nvia: ses\nunknown: resend\ncaps: [{ at_most: 1, within: 7d }]\n";
    let (run, ada) = with_ada(with(channel)).await;
    run.refusals.refuse("send-message", SES, 2, (500, "InternalFailure"));
    let id = ask(&run, &ada, json!({})).await;
    assert_eq!(tried(&run, &id).await["state"], "unknown");
    for attempts in [2, 3] {
        run.pass(Duration::from_secs(901)).await;
        run.fire_timers().await;
        assert_eq!(show(&run, &id).await["attempts"], attempts);
    }
    assert_eq!(show(&run, &id).await["state"], "sent");
    // It counts once, and for others.
    assert_eq!(gate(&run, Channel::Email, IdentityKind::Email, EMAIL).await.gate.recent.len(), 1);
    let other = sent(&run, &ada, json!({"at_cap": "skip"})).await;
    assert_eq!((&other["state"], &other["reason"]), (&json!("skipped"), &json!("cap")), "{other:#}");
    run.finish().await;
}

#[tokio::test]
async fn a_trial_goes_to_whoever_tests_and_leaves_the_customers_gate_alone() {
    let (run, ada) = with_ada(with("kind: topic\nname: product\n")).await;
    let trial = |to: &str| json!({"customer": ada, "to": to, "data": {"code": "1"}});
    let path = "/api/templates/hello/test-send";
    let (status, answer) = run.api("POST", path, Some(trial("me@shop.example"))).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    assert_eq!(mails_to(&run, "me@shop.example").len(), 1);
    assert!(mails_to(&run, EMAIL).is_empty());
    assert!(!gate(&run, Channel::Email, IdentityKind::Email, EMAIL).await.is_stored());
    assert_eq!(run.api("POST", path, Some(trial("nobody"))).await.0, 422);
    // Of a template that there is not nothing else is said.
    let nobody = json!({"customer": "cu_00000000000000000000000000", "to": "me@shop.example"});
    for asked in [trial("me@shop.example"), trial("nobody"), nobody, json!({}), json!({"colour": "red"})] {
        let (status, problem) = run.api("POST", "/api/templates/none/test-send", Some(asked)).await;
        assert_eq!(
            (status, problem["type"].as_str()),
            (404, Some("urn:sluice:problem:no-such-template")),
            "{problem:#}"
        );
    }
    run.finish().await;
}

#[tokio::test]
async fn what_can_never_be_sent_is_refused_at_once() {
    let (run, ada) = with_ada(with("kind: topic\nname: product\n")).await;
    let nobody = "cu_00000000000000000000000000";
    for (body, status, kind) in [
        (json!({"customer": nobody, "template": "hello"}), 404, "no-such-customer"),
        (json!({"customer": ada, "template": "none"}), 422, "no-such-template"),
        (json!({"customer": ada, "template": "hello", "channel": "sms"}), 422, "no-such-channel"),
        (json!({"customer": ada, "template": "hello", "at_cap": "replace"}), 422, "replacement-missing"),
        (
            json!({"customer": ada, "template": "hello", "at_cap": "replace", "replace_by": {"channel": "email", "template": "hello"}}),
            422,
            "replacement-channel",
        ),
        (json!({"customer": ada, "template": "hello", "not_after": "soon"}), 422, "time-unreadable"),
        (json!({"customer": ada, "template": "hello", "channel": "fax"}), 422, "body-unfit"),
        (json!({"customer": ada, "template": "hello", "colour": "red"}), 422, "body-unfit"),
        (
            json!({"customer": ada, "template": "hello", "data": {"x": "y".repeat(5_000)}}),
            413,
            "data-too-large",
        ),
        (json!([]), 422, "body-unfit"),
    ] {
        let (got, problem) = run.api("POST", "/api/messages", Some(body.clone())).await;
        assert_eq!(got, status, "{body} {problem:#}");
        assert!(problem["type"].as_str().unwrap().ends_with(kind), "{body} {problem:#}");
    }
    assert_eq!(run.api("GET", "/api/messages/ms_1", None).await.0, 404);
    let rep = run.new_token("rep", Some("ann")).await;
    let body = json!({"customer": ada, "template": "hello"});
    assert_eq!(run.api_as(Some(&rep), "POST", "/api/messages", Some(body)).await.0, 403);
    let lost = sent(&run, &ada, json!({"template": "hello", "topic": "product"})).await;
    assert_eq!(lost["state"], "sent");
    run.finish().await;
}

#[tokio::test]
async fn a_provider_gets_no_more_than_it_takes_and_a_broadcast_never_delays_a_welcome() {
    let channel = "kind: channel\nname: email\nvia: ses\nrate: 1\n";
    let (run, ada) = with_ada(with(channel)).await;
    for _ in 0..12 {
        ask(&run, &ada, json!({"topic": "service", "bulk": true})).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let early = mails_to(&run, EMAIL).len();
    assert!(early <= 4, "{early} mails within two seconds at one a second");
    let welcome = ask(&run, &ada, json!({"topic": "service"})).await;
    for _ in 0..6 {
        run.stack.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // By now its room is there; a slow machine may still be on its way.
    for _ in 0..1_000 {
        if show(&run, &welcome).await["state"] == "sent" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(show(&run, &welcome).await["state"], "sent");
    assert!(mails_to(&run, EMAIL).len() < 13);
    for _ in 0..40 {
        run.stack.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    run.settle().await;
    let (_, list) = run.api("GET", &format!("/api/messages?customer={ada}"), None).await;
    let states: Vec<&Value> = list["messages"].as_array().unwrap().iter().map(|m| &m["state"]).collect();
    assert_eq!(mails_to(&run, EMAIL).len(), 13, "{states:?} {}", run.depths());
    run.finish().await;
}
