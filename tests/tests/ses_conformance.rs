//! The own SES service as an unmodified SDK meets it, and our own calls held against that SDK's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is not there stops the test, what is skipped is said"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use mail_parser::MessageParser;
use serde_json::{Value, json};
use sluice_services::ses::{Refusal, Ses};
use sluice_services::{Service, listen};
use sluice_tests::stack::http as plain;
use sluice_tests::stack::{POLICIES, Setup};
use sluice_tests::{needs, python};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

/// The service on a port, with every request that came.
struct Recorder {
    url: String,
    ses: Ses,
    seen: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

#[derive(Clone)]
struct Recording {
    ses: Ses,
    seen: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

impl Service for Recording {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        self.seen.lock().unwrap().push(request.clone());
        self.ses.call(request)
    }
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (ses, seen) = (Ses::memory(Arc::new(|| 1_795_283_353_000)), Arc::default());
        let recording = Recording { ses, seen };
        tokio::spawn(listen::serve(listener, Arc::new(recording.clone())));
        Self { url, ses: recording.ses, seen: recording.seen }
    }

    fn seen(&self) -> Vec<http::Request<Bytes>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

/// What boto3 says of these calls; none where it cannot be installed.
async fn boto3(url: &str, retries: u32, calls: &[(&str, &Value)]) -> Option<Vec<Value>> {
    let python = needs::found("boto3", python::environment("ses").await)?;
    let calls: Vec<Value> = calls
        .iter()
        .map(|(operation, arguments)| json!({ "operation": operation, "arguments": arguments }))
        .collect();
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/ses/driver.py");
    let mut process = Command::new(python)
        .args([driver, url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let asked = json!({ "retries": retries, "calls": calls }).to_string();
    process.stdin.take().unwrap().write_all(asked.as_bytes()).await.unwrap();
    let done = process.wait_with_output().await.unwrap();
    assert!(done.status.success(), "the driver failed");
    let told = String::from_utf8(done.stdout).unwrap();
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), calls.len());
    Some(told)
}

fn simple() -> Value {
    json!({
        "FromEmailAddress": "News <news@shop.example>",
        "Destination": { "ToAddresses": ["peter.gibbons@example.com"] },
        "ReplyToAddresses": ["help@shop.example"],
        "Content": { "Simple": {
            "Subject": { "Data": "Ihr Angebot – März", "Charset": "UTF-8" },
            "Body": { "Text": { "Data": "Hallo", "Charset": "UTF-8" },
                      "Html": { "Data": "<p>Hallo</p>", "Charset": "UTF-8" } },
            "Headers": [{ "Name": "List-Unsubscribe", "Value": "<https://shop.example/u/abc>" },
                        { "Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click" }],
        } },
        "EmailTags": [{ "Name": "campaign", "Value": "spring-26" }],
        "ConfigurationSetName": "marketing",
        "ListManagementOptions": { "ContactListName": "main", "TopicName": "news" },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmodified_sdk_sends_mails_of_every_kind() {
    let it = Recorder::start().await;
    let raw =
        "From: news@shop.example\r\nTo: a@example.com\r\nSubject: raw\r\n\r\n.\r\nbytes as they are\r\n";
    let raw = json!({ "Content": { "Raw": { "Data": STANDARD.encode(raw) } },
                      "Destination": { "ToAddresses": ["a@example.com"] } });
    let template = json!({ "FromEmailAddress": "news@shop.example", "Destination": { "ToAddresses": ["a@example.com"] },
                           "Content": { "Template": { "TemplateName": "welcome", "TemplateData": "{}" } } });
    let entry = |to: &str| json!({ "Destination": { "ToAddresses": [to] } });
    let bulk = json!({ "FromEmailAddress": "news@shop.example",
                       "DefaultContent": { "Template": { "TemplateName": "welcome", "TemplateData": "{}" } },
                       "BulkEmailEntries": [entry("a@example.com"), entry("b@example.com")] });
    let calls = [
        ("send_email", &simple()),
        ("send_email", &raw),
        ("send_email", &template),
        ("send_bulk_email", &bulk),
    ];
    let Some(told) = boto3(&it.url, 0, &calls).await else { return };
    let mails = it.ses.list();
    assert_eq!(mails.len(), 2);
    for (told, mail) in told.iter().zip(mails.iter().rev()) {
        assert_eq!(told["answer"]["MessageId"], mail.id.as_str());
    }
    let kept = &mails[1];
    assert_eq!(
        (kept.from.as_str(), kept.subject.as_str()),
        ("News <news@shop.example>", "Ihr Angebot – März")
    );
    assert_eq!(kept.tags, [("campaign".to_owned(), "spring-26".to_owned())]);
    assert_eq!(kept.configuration_set.as_deref(), Some("marketing"));
    let content = it.ses.read(&kept.id).unwrap();
    let parsed = MessageParser::default().parse(&content).unwrap();
    assert_eq!(parsed.body_html(0).unwrap(), "<p>Hallo</p>");
    assert_eq!(parsed.header_raw("List-Unsubscribe-Post").unwrap().trim(), "List-Unsubscribe=One-Click");
    assert_eq!(
        it.ses.read(&mails[0].id).unwrap(),
        STANDARD.decode(raw["Content"]["Raw"]["Data"].as_str().unwrap()).unwrap()
    );
    assert_eq!((&told[2]["type"], &told[2]["status"]), (&json!("NotFoundException"), &json!(404)));
    let results = told[3]["answer"]["BulkEmailEntryResults"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(|result| result["Status"] == "TEMPLATE_NOT_FOUND"), "{results:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unmodified_sdk_knows_each_error_and_repeats_what_may_be_repeated() {
    let it = Recorder::start().await;
    let errors = [
        (429, "TooManyRequestsException"),
        (400, "MessageRejected"),
        (400, "SendingPausedException"),
        (400, "AccountSuspendedException"),
        (400, "MailFromDomainNotVerifiedException"),
        (400, "LimitExceededException"),
        (500, "InternalServiceErrorException"),
        (503, "ServiceUnavailable"),
    ];
    let refusal = |(status, kind)| Refusal { status, kind, message: "as the test asks".to_owned() };
    let one = simple();
    it.ses.refuse_next(errors.map(refusal));
    let Some(told) = boto3(&it.url, 0, &errors.map(|_| ("send_email", &one))).await else { return };
    for ((status, kind), told) in errors.iter().zip(&told) {
        assert_eq!((&told["error"], &told["status"]), (&json!(kind), &json!(status)), "{told}");
        assert_eq!((&told["message"], &told["attempts"]), (&json!("as the test asks"), &json!(1)), "{told}");
    }
    assert!(it.ses.list().is_empty());
    it.seen();
    // This SDK repeats by itself, so a mail may go out twice: why ours does not.
    it.ses.refuse_next([errors[0], errors[6]].map(refusal));
    let told = boto3(&it.url, 3, &[("send_email", &one)]).await.unwrap();
    assert_eq!(told[0]["attempts"], 3, "{}", told[0]);
    assert_eq!((it.seen().len(), it.ses.list().len()), (3, 1));
}

const TEMPLATE: &str = "---
kind: template
name: hello
subject: Grüße an {{ customer.first_name }}
defaults: { customer.first_name: there }
html: <p>Hello. <a href=\"https://shop.example/a\">More</a></p>
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_calls_are_what_the_sdk_would_send_for_the_same_mails() {
    let it = Recorder::start().await;
    let setup = Setup::policies(format!("{POLICIES}{TEMPLATE}")).var("AWS_ENDPOINT_URL_SESV2", &it.url);
    let run = setup.start().await;
    let lead = run.lead(&[("email", "ada@person.example"), ("first_name", "Zoë")]).await;
    let shown = run.show(&lead).await;
    let (customer, owner) = (&shown["customer"], shown["owner"].as_str().unwrap());
    let order = json!({ "customer": customer, "template": "hello", "topic": "product" });
    let (status, answer) = run.api("POST", "/api/messages", Some(order)).await;
    assert_eq!(status, 202, "{answer:#}");
    run.settle().await;
    run.finish().await;
    let ours = it.seen();
    let bodies: Vec<Value> = ours.iter().map(|it| serde_json::from_slice(it.body()).unwrap()).collect();
    let [notice, message] = bodies.as_slice() else { panic!("{bodies:#?}") };
    let Some(told) = boto3(&it.url, 0, &[("send_email", notice), ("send_email", message)]).await else {
        return;
    };
    assert!(told.iter().all(|told| told["answer"]["MessageId"].is_string()), "{told:#?}");
    for ((ours, theirs), body) in ours.iter().zip(it.seen()).zip(&bodies) {
        assert_eq!(serde_json::from_slice::<Value>(theirs.body()).unwrap(), *body);
        assert_eq!((ours.method(), ours.uri()), (theirs.method(), theirs.uri()));
        let header = |request: &http::Request<Bytes>, name: &str| {
            request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        assert_eq!(header(ours, "content-type"), header(&theirs, "content-type"));
        for request in [ours, &theirs] {
            let signed = header(request, "authorization");
            assert!(signed.contains("/us-east-1/ses/aws4_request,"), "{signed}");
        }
    }
    assert_eq!(
        notice["EmailTags"],
        json!([{ "Name": "message", "Value": format!("{lead}_assigned_1_{owner}") }])
    );
    assert_eq!(message["EmailTags"], json!([{ "Name": "message", "Value": answer["message_id"] }]));
    assert_eq!(message["Destination"], json!({ "ToAddresses": ["ada@person.example"] }));
    assert!(notice["ConfigurationSetName"].is_null() && message["ConfigurationSetName"].is_string());
    let read = |body: &Value| STANDARD.decode(body["Content"]["Raw"]["Data"].as_str().unwrap()).unwrap();
    let subject =
        |body: &Value| MessageParser::default().parse(&read(body)).unwrap().subject().unwrap().to_owned();
    assert_eq!(
        (subject(notice).as_str(), subject(message).as_str()),
        ("New lead: Zoë (contact)", "Grüße an Zoë")
    );
    let mail = read(message);
    let mail = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(mail.header_raw("List-Unsubscribe-Post").unwrap().trim(), "List-Unsubscribe=One-Click");
    assert!(mail.header_raw("List-Unsubscribe").unwrap().trim().starts_with("<http"));
}

const COLLECTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/payloads/ses_api_requests");
const COLLECTIONS_DRIVER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/tools/sdk_drivers/ses.py");

/// The cases of the collection, where it is there.
fn collection() -> Vec<Value> {
    let Ok(index) = std::fs::read(Path::new(COLLECTION).join("index.json")) else {
        println!("skipped: no requests of SES clients at {COLLECTION}");
        return Vec::new();
    };
    let index: Value = serde_json::from_slice(&index).unwrap();
    index["cases"].as_array().unwrap().clone()
}

fn bytes_of(case: &Value, name: &str) -> Vec<u8> {
    std::fs::read(Path::new(COLLECTION).join(case[name].as_str().unwrap())).unwrap()
}

/// A request of an SDK, as far as two of the same mail can be compared.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Asked {
    /// From its bytes on the wire.
    fn recorded(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let headers = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
        Self { headers: headers.collect(), body: serde_json::from_slice(&bytes[end + 4..]).unwrap() }
    }

    /// As the own service got it.
    fn seen(request: &http::Request<Bytes>) -> Self {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Self { headers: headers.collect(), body: serde_json::from_slice(request.body()).unwrap() }
    }

    /// Without what no two calls have in common: where, when, by which machine, and what comes of these.
    fn alike(mut self) -> Self {
        for (name, value) in &mut self.headers {
            match name.as_str() {
                "host" | "user-agent" | "x-amz-date" | "amz-sdk-invocation-id" => value.clear(),
                // After an answer that says what time it is, boto3 says until when it will wait.
                "amz-sdk-request" => value.replace_range(..value.find("attempt=").unwrap_or_default(), ""),
                "authorization" => {
                    let said = value.split(", Signature=").next().unwrap_or_default().to_owned();
                    let parts = said.split('/').enumerate().filter(|(at, _)| *at != 1);
                    *value = parts.map(|(_, part)| part).collect::<Vec<_>>().join("/");
                }
                _ => {}
            }
        }
        self
    }
}

/// What SES says with this status to a call that may be made again.
fn busy(status: &str) -> Option<Refusal> {
    let (status, kind) = match status {
        "200" => return None,
        "429" => (429, "TooManyRequestsException"),
        "500" => (500, "InternalServiceErrorException"),
        other => panic!("what does SES say by {other}?"),
    };
    Some(Refusal { status, kind, message: "as it was recorded".to_owned() })
}

#[tokio::test]
async fn requests_that_sdks_were_seen_to_make_are_read_and_answered_as_they_were_recorded() {
    let it = Recorder::start().await;
    let mut attempts = Vec::new();
    for case in collection() {
        let (id, facts) = (case["id"].to_string(), &case["facts"]);
        let (bytes, kept) = (bytes_of(&case, "file"), it.ses.list().len());
        if id.contains("lettre-message") {
            // A whole message: it goes out as it is, header lines folded where they were.
            let body = json!({ "Content": { "Raw": { "Data": STANDARD.encode(&bytes) } } }).to_string();
            let target = "/v2/email/outbound-emails";
            let answer = plain::request(&it.url, "POST", target, &[], body.as_bytes()).await.unwrap();
            assert_eq!(answer.status, 200, "{id}: {}", answer.text());
            let mail = it.ses.list().remove(0);
            assert_eq!(it.ses.read(&mail.id).unwrap(), bytes, "{id}");
            assert_eq!(
                (mail.from.as_str(), mail.to),
                ("news@shop.example", vec!["juergen@example.com".to_owned()])
            );
            assert_eq!(mail.subject, "Ihr Angebot – März 🙂", "{id}");
            continue;
        }
        let status = facts["recorder_answered"].as_str().unwrap();
        it.ses.refuse_next(busy(status));
        let answer = plain::raw(&it.url, &bytes).await.unwrap();
        assert_eq!(answer.status.to_string(), status, "{id}: {}", answer.text());
        let seen = it.seen().remove(0);
        assert_eq!(
            (seen.method().as_str(), seen.uri().path()),
            (facts["method"].as_str().unwrap(), facts["target"].as_str().unwrap()),
            "{id}"
        );
        let (seen, recorded) = (Asked::seen(&seen), Asked::recorded(&bytes));
        assert_eq!(seen, recorded, "{id}");
        let told: Value = serde_json::from_slice(&bytes_of(&case, "recorded")).unwrap();
        assert_eq!(seen.body, told["body_json"], "{id}");
        if id.contains("retry") {
            attempts.push(seen.headers);
        }
        if status != "200" {
            assert_eq!(it.ses.list().len(), kept, "{id}: nothing is taken");
            assert!(
                answer.header("x-amzn-errortype").is_some() && answer.json()["message"].is_string(),
                "{id}"
            );
            continue;
        }
        let mail = it.ses.list().remove(0);
        assert_eq!(answer.json(), json!({ "MessageId": mail.id }), "{id}");
        assert_eq!(json!(mail.to), seen.body["Destination"]["ToAddresses"], "{id}");
        assert_eq!(mail.subject, seen.body["Content"]["Simple"]["Subject"]["Data"], "{id}");
        assert_eq!(json!(mail.configuration_set), seen.body["ConfigurationSetName"], "{id}");
        let content = it.ses.read(&mail.id).unwrap();
        let parsed = MessageParser::default().parse(&content).unwrap();
        for header in seen.body["Content"]["Simple"]["Headers"].as_array().unwrap() {
            let written = parsed.header_raw(header["Name"].as_str().unwrap()).unwrap();
            assert_eq!(written.trim(), header["Value"], "{id}");
        }
    }
    // One call that was made three times is told by its id, and by nothing that SES could hold against it.
    for (at, headers) in attempts.iter().enumerate() {
        assert_eq!(headers["amz-sdk-invocation-id"], attempts[0]["amz-sdk-invocation-id"]);
        assert_eq!(headers["amz-sdk-request"], format!("attempt={}; max=4", at + 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_collections_client_asks_of_the_own_service_what_it_was_recorded_to_ask() {
    let recorded: Vec<Asked> = collection()
        .iter()
        .filter(|case| case["id"].as_str().unwrap().contains("retry"))
        .map(|case| Asked::recorded(&bytes_of(case, "file")).alike())
        .collect();
    if recorded.is_empty() || !Path::new(COLLECTIONS_DRIVER).is_file() {
        println!("skipped: no client at {COLLECTIONS_DRIVER}");
        return;
    }
    let Some(python) = needs::found("boto3", python::environment("ses").await) else { return };
    let it = Recorder::start().await;
    it.ses.refuse_next(["429", "500"].into_iter().filter_map(busy));
    let port = it.url.rsplit_once(':').unwrap().1;
    let run = Command::new(python)
        .args([COLLECTIONS_DRIVER, port])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let run = run.await.unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
    let seen = it.seen();
    let asked: Vec<Asked> = seen.iter().take(3).map(|request| Asked::seen(request).alike()).collect();
    assert_eq!(asked, recorded);
    let id = |request: &http::Request<Bytes>| request.headers()["amz-sdk-invocation-id"].clone();
    assert!(seen[..3].iter().all(|request| id(request) == id(&seen[0])), "one call, made three times");
    let paths: Vec<&str> = seen[3..].iter().map(|request| request.uri().path()).collect();
    assert_eq!(paths, ["/v2/email/outbound-emails", "/v2/email/outbound-bulk-emails"]);
    let [sent, template, bulk] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    let mails = it.ses.list();
    assert_eq!(mails.len(), 1, "taken once, however often it was asked for");
    assert_eq!(sent, format!("send_email -> {{'MessageId': '{}'}}", mails[0].id));
    assert!(template.starts_with("send_email EXC NotFoundException "), "{template}");
    assert!(
        bulk.starts_with("send_bulk_email -> ") && bulk.matches("TEMPLATE_NOT_FOUND").count() == 2,
        "{bulk}"
    );
}
