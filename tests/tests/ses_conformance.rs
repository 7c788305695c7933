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
use sluice_tests::python;
use sluice_tests::stack::{POLICIES, Setup};
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
    let python = match python::environment("ses").await {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: no boto3 here: {why}");
            return None;
        }
    };
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
